//! What the journal's thread does: gather, write, tell, tidy up.

use std::{
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    thread,
    time::Duration,
};

use hashbrown::HashMap;

use super::{Granted, Health, Message, Question, Shared, WriterSettings};
use crate::{
    journal::{AppendError, Appended, Journal, Record, disk::Disk},
    row::RowId,
};

/// How often it tries a full disk again when it is to stop.
const NO_SPACE_TRIES: u32 = 10;

/// How long it waits before it tries a full disk again.
const NO_SPACE_WAIT: Duration = Duration::from_millis(100);

/// So many times the thread looks in vain before it sleeps until it is woken.
const LOOKS: u32 = 200;

/// What the thread holds.
pub(super) struct Pen<D: Disk> {
    journal: Journal<D>,
    settings: WriterSettings,
    shared: Arc<Shared>,
    pending: Vec<Record>,
    /// Who waits for which of `pending`.
    waiting: Vec<(usize, Arc<dyn Granted>)>,
    /// What was asked, and how many of `pending` come before it.
    questions: Vec<(usize, Question)>,
    /// Which of `pending` say that a request is under way, of those that were gathered together.
    begun: HashMap<RowId, usize>,
    /// Which of `pending` are not worth a write.
    idle: Vec<usize>,
    folded: u64,
    since: u64,
}

impl<D: Disk> Pen<D> {
    pub(super) fn new(journal: Journal<D>, settings: WriterSettings, shared: Arc<Shared>) -> Self {
        let (pending, waiting) = (Vec::with_capacity(settings.group), Vec::new());
        let (questions, begun, idle) = (Vec::new(), HashMap::new(), Vec::new());
        Self {
            journal,
            settings,
            shared,
            pending,
            waiting,
            questions,
            begun,
            idle,
            folded: 0,
            since: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<(), AppendError> {
        let (mut looks, mut tries) = (0, 0);
        loop {
            // Looked at before the queue: what was put in before the stop is seen.
            let is_last = self.shared.last.get().is_some();
            self.gather();
            self.thin_out();
            self.answer();
            if self.pending.is_empty() {
                if is_last {
                    return self.end();
                }
                self.tidy();
                looks = if looks < LOOKS { looks + 1 } else { self.sleep() };
            } else {
                looks = 0;
                match self.commit() {
                    Err(AppendError::NoSpace(_)) if tries < NO_SPACE_TRIES => {
                        tries += u32::from(is_last);
                        thread::park_timeout(NO_SPACE_WAIT);
                        continue;
                    }
                    Err(error) if is_last => return Err(error),
                    Err(_) | Ok(()) => {}
                }
            }
            if !self.shared.is_urgent.swap(false, Ordering::Relaxed) {
                thread::park_timeout(self.settings.linger);
            }
        }
    }

    /// Sleeps until something is put in.
    fn sleep(&self) -> u32 {
        self.shared.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.shared.queue.is_empty() && self.shared.last.get().is_none() {
            thread::park();
        }
        self.shared.is_asleep.store(false, Ordering::Relaxed);
        0
    }

    fn gather(&mut self) {
        self.begun.clear();
        while self.pending.len() < self.settings.group
            && self.questions.len() < self.settings.group
            && let Some(message) = self.shared.queue.pop()
        {
            match message {
                Message::Record(record) => self.take(record),
                Message::Question(question) => self.questions.push((self.pending.len(), question)),
                Message::Grant(grant, told) => {
                    self.waiting.push((self.pending.len(), told));
                    self.pending.push(Record::Grant(grant));
                }
            }
        }
    }

    /// Adds a record. That a request is under way is not written down where it is over before that could be durable.
    fn take(&mut self, record: Record) {
        let earlier = match &record {
            Record::Row(row) => self.begun.remove(&row.id),
            Record::Intent(row) => self.begun.insert(row.id, self.pending.len()),
            Record::Grant(_)
            | Record::Return(_)
            | Record::Lost { .. }
            | Record::Boot(_)
            | Record::Close { .. }
            | Record::Part(_) => None,
        };
        self.idle.extend(earlier);
        self.pending.push(record);
    }

    /// Drops what is not worth a write.
    fn thin_out(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        self.idle.sort_unstable();
        let before = |at: usize| at - self.idle.partition_point(|idle| *idle < at);
        self.waiting.iter_mut().for_each(|(at, _)| *at = before(*at));
        self.questions.iter_mut().for_each(|(at, _)| *at = before(*at));
        let (mut at, mut idle) = (0, self.idle.iter().peekable());
        self.pending.retain(|_| {
            at += 1;
            idle.next_if(|idle| **idle == at - 1).is_none()
        });
        self.idle.clear();
    }

    /// Writes what is pending.
    fn commit(&mut self) -> Result<(), AppendError> {
        while !self.pending.is_empty() {
            match self.journal.append(&self.pending) {
                Ok(appended) => self.tell(&appended),
                Err(error) => {
                    self.fail(&error);
                    return Err(error);
                }
            }
        }
        self.say_how_it_is();
        self.tidy();
        Ok(())
    }

    /// Tells what became of the first records that are pending, and drops them.
    fn tell(&mut self, appended: &Appended) {
        self.shared.durable.store(appended.durable, Ordering::Release);
        let refused = &appended.refused;
        self.shared.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        let done = self.waiting.partition_point(|(at, _)| *at < appended.taken);
        for (at, told) in self.waiting.drain(..done) {
            let is_refused = refused.binary_search_by_key(&at, |(at, _)| *at).is_ok();
            match &self.pending[at] {
                Record::Grant(grant) if !is_refused && self.journal.is_in_force(grant) => {
                    told.granted(grant.total);
                }
                _ => told.refused(),
            }
        }
        self.waiting.iter_mut().for_each(|(at, _)| *at -= appended.taken);
        self.pending.drain(..appended.taken);
        self.questions.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(appended.taken));
        self.answer();
    }

    /// Answers what has nothing pending before it.
    fn answer(&mut self) {
        let done = self.questions.partition_point(|(before, _)| *before == 0);
        for (_, Question { scope, window, asked }) in self.questions.drain(..done) {
            asked.spent(self.journal.balances().spent(&scope, window));
        }
    }

    fn say_how_it_is(&self) {
        let is_full = self.journal.is_full();
        self.shared.is(if is_full { Health::Full } else { Health::Running });
    }

    fn fail(&mut self, error: &AppendError) {
        match error {
            AppendError::NoSpace(_) => self.shared.is(Health::NoSpace),
            AppendError::Broken(why) => {
                drop(self.shared.trouble.set(Arc::clone(why)));
                self.shared.is(Health::Broken);
                self.shared.refused.fetch_add(self.pending.len() as u64, Ordering::Relaxed);
                self.waiting.drain(..).for_each(|(_, told)| told.refused());
                self.pending.clear();
                self.questions.clear();
            }
        }
    }

    /// Does what was asked for aside.
    fn tidy(&mut self) {
        let since = self.shared.since.load(Ordering::Relaxed);
        if since > self.since {
            self.since = since;
            self.journal.forget_before(since);
        }
        let folded = self.shared.folded.load(Ordering::Relaxed);
        if folded > self.folded {
            self.folded = folded;
            match self.journal.retain(folded) {
                Ok(_) if self.pending.is_empty() => self.say_how_it_is(),
                Ok(_) => {}
                Err(error) => self.fail(&error),
            }
        }
    }

    fn end(mut self) -> Result<(), AppendError> {
        let Some(last) = self.shared.last.get() else { return Ok(()) };
        self.pending.extend(last.returns.iter().cloned().map(Record::Return));
        let at = last.at;
        self.commit()?;
        self.journal.close(at)
    }
}
