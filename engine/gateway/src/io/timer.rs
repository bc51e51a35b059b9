//! Deadlines: one number a connection, swept by one task a core.
//!
//! In: `arm(at)`. Out: the task that waits is woken when `at` has passed, and [`Slot::poll_expired`] says so.
//! Nothing is allocated or queued per deadline, and no future is dropped to cancel one: moving a deadline is a store.
//! Resolution is [`TICK`]; with nothing armed the sweeper sleeps.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::clock::{Clock, Instant};

/// How often armed deadlines are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(10);

const NEVER: u64 = u64::MAX;

/// The deadlines of one core.
#[derive(Default)]
pub(crate) struct Timers {
    /// Milliseconds of the core's clock, by slot; contiguous, because it is read from end to end each tick.
    deadlines: RefCell<Vec<u64>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Slots whose task waits for something that may never come, and may be told to stop at any time.
    idle: RefCell<Vec<bool>>,
    free: RefCell<Vec<usize>>,
    armed: Cell<usize>,
    sweeper: RefCell<Option<Waker>>,
}

/// One connection's deadline. Dropping it frees the place.
pub(crate) struct Slot {
    timers: Rc<Timers>,
    index: usize,
    armed_at: Cell<u64>,
}

impl Timers {
    /// A place for one deadline, unarmed.
    pub(crate) fn slot(self: &Rc<Self>) -> Slot {
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.deadlines.borrow_mut().push(NEVER);
            self.wakers.borrow_mut().push(None);
            self.idle.borrow_mut().push(false);
            self.deadlines.borrow().len() - 1
        });
        Slot { timers: Rc::clone(self), index, armed_at: Cell::new(NEVER) }
    }

    /// Wakes every task whose deadline has passed, for ever. One a core.
    pub(crate) async fn sweep(self: Rc<Self>, clock: Clock) {
        loop {
            std::future::poll_fn(|cx| self.poll_armed(cx)).await;
            super::sleep(TICK).await;
            self.fire(clock.now());
        }
    }

    /// Lets every deadline of an idle slot pass now; one that has none is woken too.
    pub(crate) fn expire_idle(&self, now: Instant) {
        let idle: Vec<usize> = (0..)
            .zip(self.idle.borrow().iter())
            .filter_map(|(i, idle)| idle.then_some(i))
            .collect();
        for index in idle {
            self.set(index, now.millis());
        }
        self.fire(now);
    }

    /// Lets every deadline pass now.
    pub(crate) fn expire_all(&self, now: Instant) {
        for at in self.deadlines.borrow_mut().iter_mut().filter(|at| **at != NEVER) {
            *at = now.millis();
        }
        self.fire(now);
    }

    fn poll_armed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.armed.get() > 0 {
            return Poll::Ready(());
        }
        *self.sweeper.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn fire(&self, now: Instant) {
        let mut deadlines = self.deadlines.borrow_mut();
        let mut wakers = self.wakers.borrow_mut();
        for (index, at) in deadlines.iter_mut().enumerate() {
            if *at <= now.millis() {
                *at = NEVER;
                self.armed.set(self.armed.get() - 1);
                if let Some(waker) = wakers[index].take() {
                    waker.wake();
                }
            }
        }
    }

    fn set(&self, index: usize, at: u64) {
        let mut deadlines = self.deadlines.borrow_mut();
        let before = std::mem::replace(&mut deadlines[index], at);
        match (before == NEVER, at == NEVER) {
            (true, false) => self.armed.set(self.armed.get() + 1),
            (false, true) => self.armed.set(self.armed.get() - 1),
            _ => return,
        }
        if self.armed.get() == 1
            && let Some(sweeper) = self.sweeper.borrow_mut().take()
        {
            sweeper.wake();
        }
    }
}

impl Slot {
    /// Sets the deadline; an earlier one is forgotten. It never fires before its time.
    pub(crate) fn arm(&self, at: Instant) {
        self.armed_at.set(at.millis_ceil());
        self.timers.set(self.index, at.millis_ceil());
    }

    /// Whether the wait may be ended early, by [`Timers::expire_idle`].
    pub(crate) fn set_idle(&self, idle: bool) {
        self.timers.idle.borrow_mut()[self.index] = idle;
    }

    /// No deadline from here on.
    pub(crate) fn disarm(&self) {
        self.armed_at.set(NEVER);
        self.timers.set(self.index, NEVER);
    }

    /// Whether the deadline has fired. Cheap; registers the task of `cx` to be woken when it does.
    pub(crate) fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.armed_at.get() == NEVER {
            return Poll::Pending;
        }
        if self.timers.deadlines.borrow()[self.index] == NEVER {
            return Poll::Ready(());
        }
        let mut wakers = self.timers.wakers.borrow_mut();
        match &wakers[self.index] {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => wakers[self.index] = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.disarm();
        self.set_idle(false);
        self.timers.wakers.borrow_mut()[self.index] = None;
        self.timers.free.borrow_mut().push(self.index);
    }
}
