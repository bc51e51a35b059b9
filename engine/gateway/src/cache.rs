//! Answers that are kept to be given again, and requests that wait for another one's.
//!
//! In: what was sent to a client, once it is whole. Out: the same for the next one. All cores share it, over reloads of the
//! policy; it is there while a workload has its answers kept. Nobody waits for a lock: see [`Table`] and [`Flights`].

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use faregate_adapters::repeat::Shape;
use faregate_policy::{
    Nanos,
    cache::{
        flight::{Flights, Lead},
        table::{Entry, Table},
    },
};

use crate::worker::{Core, Shared};

/// One answer that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The team of the key that it was made for, for who drops answers.
    pub(crate) team: Box<str>,
    /// That key's name.
    pub(crate) key: Box<str>,
    /// The workload.
    pub(crate) workload: Box<str>,
    /// Its status.
    pub(crate) status: u16,
    /// The head fields that every client gets, each with CRLF.
    pub(crate) fields: Vec<u8>,
    /// The body, without framing.
    pub(crate) body: Vec<u8>,
    /// How the body is cut.
    pub(crate) shape: Shape,
    /// What it cost when it was made, in nano-dollars.
    pub(crate) cost: u64,
    /// The target that made it, `provider/model`.
    pub(crate) target: Box<str>,
    /// The provider, and the model's name there.
    pub(crate) made_by: (Box<str>, Box<str>),
}

impl Kept {
    /// Bytes of all its texts.
    pub(crate) fn bytes(&self) -> usize {
        let (provider, model) = &self.made_by;
        let names = [&self.team, &self.key, &self.workload, &self.target, provider, model];
        let names: usize = names.iter().map(|name| name.len()).sum();
        names + self.fields.capacity() + self.body.capacity()
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Cache {
    /// What is kept.
    pub(crate) answers: Table<Kept>,
    /// Who goes and who waits.
    pub(crate) flights: Arc<Flights<Entry<Kept>>>,
    /// Counts the times that all was dropped: what was begun before is not kept.
    epoch: AtomicU64,
}

impl Cache {
    /// Nothing is kept yet.
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self {
            answers: Table::new(memory_bytes),
            flights: Arc::default(),
            epoch: AtomicU64::new(0),
        }
    }

    /// Which times between two drops this is.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Keeps `entry`, whose request began in `epoch`; whether it did.
    pub(crate) fn keep(&self, entry: &Arc<Entry<Kept>>, epoch: u64, now: Nanos) -> bool {
        epoch == self.epoch() && self.answers.keep(Arc::clone(entry), now)
    }

    /// Drops what `is_meant`, and what of it is under way. How many answers that were.
    pub(crate) fn drop_all(&self, is_meant: impl Fn(&Kept) -> bool) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.answers.drop_all(is_meant)
    }
}

/// Tasks of one core that wait for another's answer.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    wakers: RefCell<Vec<Waker>>,
}

impl Parked {
    /// Wakes the task when something has changed.
    pub(crate) fn park(&self, cx: &Context<'_>) {
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
    }

    /// The task waits no more.
    pub(crate) fn leave(&self, cx: &Context<'_>) {
        self.wakers.borrow_mut().retain(|waker| !waker.will_wake(cx.waker()));
    }

    /// Something has changed.
    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A lead that wakes those who wait however it ends.
pub(crate) struct Leading {
    lead: Option<Lead<Entry<Kept>>>,
    shared: Arc<Shared>,
}

impl Leading {
    /// Leads from now on.
    pub(crate) fn new(lead: Lead<Entry<Kept>>, core: &Core) -> Self {
        Self { lead: Some(lead), shared: Arc::clone(&core.shared) }
    }

    /// Says whether others wait.
    pub(crate) fn followers(&self) -> Option<Box<dyn Fn() -> bool>> {
        self.lead.as_ref().map(|lead| Box::new(lead.followers()) as Box<dyn Fn() -> bool>)
    }

    /// Gives the answer to those who wait.
    pub(crate) fn land(mut self, answer: Arc<Entry<Kept>>) {
        let woken = self.lead.take().map_or(0, |lead| lead.land(answer));
        self.wake(woken);
    }

    /// Lets those who wait go by themselves.
    pub(crate) fn free(mut self) {
        let woken = self.lead.take().map_or(0, Lead::free);
        self.wake(woken);
    }

    fn wake(&self, cores: u64) {
        if cores == 0 {
            return;
        }
        for (index, desk) in self.shared.cores.iter().enumerate() {
            if cores & 1 << (index % 64) != 0 {
                desk.wake();
            }
        }
    }
}

/// Fails: one of those who wait goes instead.
impl Drop for Leading {
    fn drop(&mut self) {
        let woken = self.lead.take().map_or(0, Lead::fail);
        self.wake(woken);
    }
}
