//! Limits: how many requests or tokens in a period, how many requests at a time. One [`Pool`] a limit, shared by all cores.
//!
//! In: units asked for, returned and used, with the present. Out: yes, or [`Empty`] saying what is left and when there is
//! more. Remembered: one mark, one sum, and a cell for each core.
//!
//! # What holds
//!
//! A unit is *free*, *held* by somebody, or *used*. A used unit comes back with time, the whole amount in one period;
//! free, held and not-yet-refilled units together are never more than the amount, so a held unit takes the place of a
//! refill. From this follows, for every interval of length t:
//!
//! - units taken in it and not given back ≤ `amount · (1 + t / period)`, to the nanosecond. What a holder reports as used
//!   beyond what it held ([`Pool::spend`]) comes on top; it is owed, and paid by refills before anything is free again.
//! - of a concurrent limit no more than `amount` units are out at any instant.
//!
//! # How
//!
//! `held` counts every unit that is with a core or a request; `spent` is the moment, in refilled parts, at which everything
//! used will have come back (the theoretical arrival time of the GCRA, ITU-T I.371). A core takes units for several
//! requests at once into its own cell and notes uses there, so that most requests touch no shared line. How many: a 4·cores
//! -th of what is left and at most a 50th of the amount, so that near the limit every take is exact. A core that would have
//! to refuse first takes back what lies in the other cells; with nothing else going on a refusal is therefore true, but
//! that uses within a 1000th of the period count as one: it can come that much too early.
//!
//! Uses are moved from cell to mark in the order in which they happened wherever the order matters, which is when the pool
//! had been full in between. In any other order the mark comes out higher, never lower.
//!
//! # Memory ordering
//!
//! A use is added to `spent` before it is taken from `held`, and `held` is changed by read-modify-writes with acquire and
//! release only. So whoever reads `held` without it reads `spent` with it, and counts a unit twice for an instant rather
//! than not at all. `Pool::claim` looks at `spent` again after its compare-and-swap, because `held` may have gone down and
//! up to the same value in between. A cell's units were counted in `held` before the release that put them there; taking
//! them acquires it. `last` is written before the release that adds to `used`.
//!
//! Model-checked: `RUSTFLAGS="--cfg loom" cargo test -p faregate-policy --release --lib loom_`.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
    policy::LimitKind,
};

mod cell;
#[cfg(all(test, loom))]
mod model;
mod pace;
#[cfg(all(test, not(loom)))]
mod tests;

use cell::Cell;
use pace::{Pace, Rate};

/// What a refused caller is told to wait when time alone brings nothing back.
const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// One limit of one scope.
#[derive(Debug)]
pub struct Pool {
    kind: LimitKind,
    /// Units that are with somebody: in cells (free or used there) and with requests.
    held: CachePadded<AtomicU64>,
    /// What must have been refilled until no use is left, in parts.
    spent: CachePadded<AtomicU64>,
    pace: Pace,
    /// Not zero: more is out than there is, by overuse or a resize, so cells keep nothing.
    overdrawn: AtomicU64,
    cells: Box<[CachePadded<Cell>]>,
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    /// Units that could have been had.
    pub available: u64,
    /// When all that was asked for would be there, if nobody else takes any. A second where that depends on others
    /// giving back what they hold.
    pub ready_in: Duration,
    /// More was asked for than the limit ever allows at once.
    pub never: bool,
}

/// A look at a limit, for headers and figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Units that the limit allows.
    pub amount: u64,
    /// Units that are free.
    pub left: u64,
    /// Until everything used so far has come back.
    pub full_in: Duration,
}

impl Pool {
    /// A full pool of `amount` units, refilled in `period_nanos` (of no meaning for concurrent limits), for `cores` cores.
    #[must_use]
    pub fn new(kind: LimitKind, amount: u64, period_nanos: u64, cores: usize) -> Self {
        Self {
            kind,
            held: CachePadded::new(AtomicU64::new(0)),
            spent: CachePadded::new(AtomicU64::new(0)),
            pace: Pace::new(amount, effective_period(kind, period_nanos)),
            overdrawn: AtomicU64::new(0),
            cells: (0..cores.max(1)).map(|_| CachePadded::new(Cell::default())).collect(),
        }
    }

    /// What is limited.
    #[must_use]
    pub fn kind(&self) -> LimitKind {
        self.kind
    }

    /// Takes `n` units, all or none. The taker holds them until [`give_back`](Self::give_back) or [`spend`](Self::spend).
    ///
    /// `core` names the cell that is used; each thread has its own. `now` may lie before an earlier call's: nothing is
    /// refilled by that.
    ///
    /// # Errors
    ///
    /// [`Empty`] when they are not there, with no unit taken.
    pub fn take(&self, core: usize, n: u64, now: Nanos) -> Result<(), Empty> {
        if self.cell(core).take(n) { Ok(()) } else { self.take_shared(core, n, now) }
    }

    /// Returns `n` units that were taken and not used.
    pub fn give_back(&self, core: usize, n: u64) {
        let cell = self.cell(core);
        let room = self.pace.lease_max().saturating_sub(cell.free());
        if n <= room && self.overdrawn.load(Ordering::Relaxed) == 0 {
            cell.put(n);
        } else {
            self.let_go(n);
        }
    }

    /// Ends the hold on `held` units of which `used` were used at `now`; the rest is free again.
    ///
    /// `used` may exceed `held`: the difference is owed, and nothing is free until it is refilled.
    pub fn spend(&self, core: usize, held: u64, used: u64, now: Nanos) {
        if held > used {
            self.give_back(core, held - used);
        }
        if used == 0 {
            return;
        }
        if used > held {
            self.held.fetch_add(used - held, Ordering::AcqRel);
        }
        let cell = self.cell(core);
        if cell.spans(now) > self.pace.span() {
            self.post(core, &self.pace.read());
        }
        if cell.note(used, now) > self.pace.lease_max() {
            self.post(core, &self.pace.read());
        }
        if used > held {
            self.end_leases();
        }
    }

    /// Returns `n` slots of a concurrent limit.
    pub fn release(&self, core: usize, n: u64) {
        self.give_back(core, n);
    }

    /// Goes on with another amount and period from the last moment that the pool was drawn on. What is held and what has
    /// been used stays so. For the one thread that reloads; false, and no change, when two do it at once.
    pub fn resize(&self, amount: u64, period_nanos: u64) -> bool {
        let done = self.pace.set(amount, effective_period(self.kind, period_nanos));
        self.end_leases();
        done
    }

    /// Units that could be taken at `now`, over all cores.
    #[must_use]
    pub fn left(&self, now: Nanos) -> u64 {
        let (rate, spent, held) = self.look();
        let leased = self.cells.iter().map(|cell| cell.free()).fold(0, u64::saturating_add);
        rate.free(spent, held.saturating_sub(leased), now)
    }

    /// What headers and figures say of the limit.
    #[must_use]
    pub fn level(&self, now: Nanos) -> Level {
        let (rate, spent, _) = self.look();
        let full_in = rate.wait(rate.amount, spent, 0, now).unwrap_or(0);
        Level { amount: rate.amount, left: self.left(now), full_in: Duration::from_nanos(full_in) }
    }

    /// The amount that counts now.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.pace.read().amount
    }

    #[cold]
    fn take_shared(&self, core: usize, n: u64, now: Nanos) -> Result<(), Empty> {
        self.pace.see(now);
        let rate = self.pace.read();
        if n > rate.amount {
            return Err(self.empty(&rate, n, now));
        }
        let own = self.cell(core);
        let had = own.take_all();
        if had >= n {
            own.put(had - n);
            return Ok(());
        }
        if let Some(more) = self.claim(&rate, n - had, now) {
            own.put(had + more - n);
            return Ok(());
        }
        let had = had + self.recall(core, &rate);
        if had >= n {
            self.let_go(had - n);
            return Ok(());
        }
        if let Some(more) = self.claim(&rate, n - had, now) {
            own.put(had + more - n);
            return Ok(());
        }
        self.let_go(had);
        Err(self.empty(&rate, n, now))
    }

    /// Takes `want` units or more out of what is free.
    fn claim(&self, rate: &Rate, want: u64, now: Nanos) -> Option<u64> {
        loop {
            let held = self.held.load(Ordering::Acquire);
            let spent = self.spent.load(Ordering::Acquire);
            let spare = rate.free(spent, held, now).checked_sub(want)?;
            let got = want + (spare / (4 * self.cells.len() as u64)).min(rate.lease_max());
            let taken = self.held.compare_exchange(
                held,
                held.saturating_add(got),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if taken.is_err() {
                continue;
            }
            if rate.free(self.spent.load(Ordering::Acquire), held, now) >= got {
                if self.overdrawn.load(Ordering::Relaxed) != 0 {
                    self.overdrawn.store(0, Ordering::Relaxed);
                }
                return Some(got);
            }
            self.let_go(got);
        }
    }

    /// Takes back what lies in the cells of the other cores, and moves all uses to the mark.
    fn recall(&self, core: usize, rate: &Rate) -> u64 {
        self.post_before(u64::MAX, rate);
        let own = core % self.cells.len();
        let others = self.cells.iter().enumerate().filter(|(index, _)| *index != own);
        others.map(|(_, cell)| cell.take_all()).fold(0, u64::saturating_add)
    }

    /// Moves the uses of a core's cell to the mark; before them, if the pool was full at the time, all earlier ones.
    fn post(&self, core: usize, rate: &Rate) {
        let cell = self.cell(core);
        let last = cell.last();
        if self.spent.load(Ordering::Acquire) < rate.earned(last) {
            self.post_before(last.0, rate);
        }
        self.post_cell(cell, rate);
    }

    /// Moves the uses before `moment` to the mark, the earliest first.
    fn post_before(&self, moment: u64, rate: &Rate) {
        // A cell that fills again while this runs is left for the next time.
        for _ in 0..self.cells.len() {
            let waiting =
                self.cells.iter().filter(|cell| cell.used() > 0 && cell.last().0 < moment);
            match waiting.min_by_key(|cell| cell.last()) {
                Some(cell) => self.post_cell(cell, rate),
                None => return,
            }
        }
    }

    fn post_cell(&self, cell: &Cell, rate: &Rate) {
        let (used, last) = cell.take_used();
        if used == 0 {
            return;
        }
        let mut spent = self.spent.load(Ordering::Relaxed);
        loop {
            let next = spent.max(rate.earned(last)).saturating_add(rate.cost(used));
            let swapped =
                self.spent.compare_exchange_weak(spent, next, Ordering::AcqRel, Ordering::Relaxed);
            match swapped {
                Ok(_) => break,
                Err(found) => spent = found,
            }
        }
        self.let_go(used);
    }

    /// Takes from the cells what they were given while there was enough, when there may not be any more.
    #[cold]
    fn end_leases(&self) {
        self.overdrawn.store(1, Ordering::Relaxed);
        self.cells.iter().for_each(|cell| self.let_go(cell.take_all()));
    }

    fn let_go(&self, n: u64) {
        let before = self.held.fetch_sub(n, Ordering::AcqRel);
        debug_assert!(before >= n, "more came back than was ever taken: {n} of {before}");
    }

    fn empty(&self, rate: &Rate, n: u64, now: Nanos) -> Empty {
        let held = self.held.load(Ordering::Acquire);
        let spent = self.spent.load(Ordering::Acquire);
        let wait = rate.wait(n, spent, held, now).filter(|nanos| *nanos > 0);
        Empty {
            available: rate.free(spent, held, now),
            ready_in: wait.map_or(RELEASE_WAIT, Duration::from_nanos),
            never: n > rate.amount,
        }
    }

    fn look(&self) -> (Rate, u64, u64) {
        let held = self.held.load(Ordering::Acquire);
        (self.pace.read(), self.spent.load(Ordering::Acquire), held)
    }

    fn cell(&self, core: usize) -> &Cell {
        self.cells.get(core).unwrap_or_else(|| &self.cells[core % self.cells.len()])
    }
}

/// A concurrent limit is refilled by nothing but what comes back; any other needs a period.
fn effective_period(kind: LimitKind, period_nanos: u64) -> u64 {
    if kind == LimitKind::Concurrent { 0 } else { period_nanos.max(1) }
}
