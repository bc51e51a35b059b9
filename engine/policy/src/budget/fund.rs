//! What is left of one budget, over all cores: one [`Fund`] a budget.
//!
//! In: units asked for, returned and used, with the present. Out: a [`Lot`], or [`Short`] saying why not. Remembered: which
//! window of the calendar it is, how much of it is claimed, and a cell for each core.
//!
//! # What holds
//!
//! A unit of a window is *free*, or *claimed*: used, held by somebody, or in a core's cell to be handed out. At every instant,
//! over all cores, `claimed ≤ min(limit, granted)`, where `limit` is the policy's and `granted` what the journal has made
//! durable. The exceptions are counted and seen: what is used beyond what was held ([`Fund::settle`]: `overrun`), and a limit
//! that is lowered below what is claimed already. Until the excess is gone nothing is handed out, not even from cells.
//!
//! Each window begins with nothing claimed. A lot belongs to the window that it was taken in: whatever is left of it after
//! that window's end is worth nothing, and what was used of it is never counted in a later one.
//!
//! # How
//!
//! A core claims units for several requests at once into its own cell, so that most requests touch no shared line: a
//! 4·cores-th of what is left and at most a 64th of the limit, so that near the limit every claim is exact. A core that would
//! have to refuse first takes back what lies in the other cells. With nothing else going on a refusal is therefore true. While
//! others move units between fund and cells it is tried again, [`ROUNDS`] times at most.
//!
//! # Windows
//!
//! Whoever first touches the fund behind a window's end opens the next one, by one compare-and-swap on `turn`. Claims and
//! leases carry the number of their window in the same word as the amount, so that a compare-and-swap on them fails when the
//! window has changed: nothing has to be reset, and nobody waits. The first who claims in the new window puts the claims to
//! zero. A clock that is set back opens no window; one that runs ahead opens a later window early, which stays until its end.
//!
//! # Memory ordering
//!
//! Claims, leases and `overdrawn` are changed by read-modify-writes with acquire and release only. An excess is claimed, then
//! marked in `overdrawn`, then every cell is emptied, each by a read-modify-write. A core that puts units into its cell looks
//! at `overdrawn` afterwards: either the emptier found the units, or the core sees the mark and takes them out itself.
//!
//! Model-checked: `RUSTFLAGS="--cfg loom" cargo test -p faregate-policy --release --lib loom_`.

use crossbeam_utils::CachePadded;

use super::window::{Calendar, Period, Window};
use crate::{
    atomic::{AtomicU64, Ordering, spin_loop},
    time::Wall,
};

mod cell;
mod grant;
mod look;
#[cfg(all(test, loom))]
mod model;
mod shared;
#[cfg(all(test, not(loom)))]
mod tests;
mod word;

use cell::Cell;
pub use grant::Grant;
pub use look::Level;
pub use shared::Wish;
use word::{CLAIMS, LEASE, TURN};

/// The largest limit: a billion dollars, in nano-dollars. What is used beyond it still has room in a word.
pub const LIMIT_MAX: u64 = 1_000_000_000_000_000_000;

/// How often a refusal is looked at again while others move units.
pub const ROUNDS: usize = if cfg!(loom) { 2 } else { 16 };

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// One budget's units. The policy's part is told by [`set`](Self::set).
#[derive(Debug)]
pub struct Fund {
    period: Period,
    /// The number of the window, and the second in which it ends.
    turn: CachePadded<AtomicU64>,
    /// Units of the window that are used, held or in cells.
    claimed: CachePadded<AtomicU64>,
    /// Who is moving units between claims and cells now, and how often that was done.
    moves: CachePadded<AtomicU64>,
    terms: Terms,
    durable: grant::Durable,
    shared: shared::Shared,
    /// Not zero: more is claimed than may be, so cells keep nothing.
    overdrawn: AtomicU64,
    /// Units used beyond what was held, since the fund was made.
    overrun: AtomicU64,
    /// Units of a window that were used before the fund was made, where that was told later.
    before: AtomicU64,
    /// The window and share that was last told of.
    told: AtomicU64,
    cells: Box<[CachePadded<Cell>]>,
}

/// The policy's part.
#[derive(Debug)]
struct Terms {
    limit: AtomicU64,
    raise_to: AtomicU64,
    raise_until: AtomicU64,
    soft: AtomicU64,
}

/// A limit that is higher until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// How high.
    pub to: u64,
    /// Until when.
    pub until: Wall,
}

/// Units that somebody holds. Ended by [`Fund::settle`] on the core that took it; one that is not stays claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "units that are not settled stay claimed until the window ends"]
pub struct Lot {
    /// The number of the window.
    number: u64,
    /// Units.
    pub amount: u64,
}

impl Lot {
    /// Both in one; `None` when they are of different windows.
    pub(super) fn join(self, other: Self) -> Option<Self> {
        let amount = self.amount.saturating_add(other.amount);
        (self.number == other.number).then_some(Self { number: self.number, amount })
    }

    /// Keeps `keep` units; the others, if there are any, are another lot.
    pub(super) fn split(&mut self, keep: u64) -> Option<Self> {
        let amount = self.amount.checked_sub(keep).filter(|rest| *rest > 0)?;
        self.amount = keep;
        Some(Self { number: self.number, amount })
    }
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// The limit does not allow it.
    Exhausted(Level),
    /// The limit allows it, but the journal has not made it durable yet: to be asked for again, soon. [`Fund::asks`] knows.
    Ungranted,
    /// More of it would have to be leased, and the store that other gateways use, too, cannot be asked.
    Away,
}

/// Which window it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    number: u64,
    end: Wall,
}

/// A claim that was not made.
enum Unclaimed {
    /// The window is over.
    Turned,
    /// The limit does not allow it.
    Exhausted,
    /// The journal does not allow it yet.
    Ungranted,
}

impl Fund {
    /// A fund of `limit` units in each window of `period`, for `cores` cores. `journaled`: nothing may be claimed before it
    /// has been [granted](Self::grant).
    ///
    /// # Panics
    ///
    /// When the limit is above [`LIMIT_MAX`].
    #[must_use]
    pub fn new(period: Period, limit: u64, cores: usize, journaled: bool) -> Self {
        assert!(limit <= LIMIT_MAX, "a limit above {LIMIT_MAX} would not fit: checked when read");
        Self {
            period,
            turn: CachePadded::new(AtomicU64::new(0)),
            claimed: CachePadded::new(AtomicU64::new(0)),
            moves: CachePadded::new(AtomicU64::new(0)),
            terms: Terms {
                limit: AtomicU64::new(limit),
                raise_to: AtomicU64::new(0),
                raise_until: AtomicU64::new(0),
                soft: AtomicU64::new(0),
            },
            durable: grant::Durable::new(journaled),
            shared: shared::Shared::default(),
            overdrawn: AtomicU64::new(0),
            overrun: AtomicU64::new(0),
            before: AtomicU64::new(0),
            told: AtomicU64::new(0),
            cells: (0..cores.max(1)).map(|_| CachePadded::new(Cell::default())).collect(),
        }
    }

    /// Takes `n` units, all or none. The taker holds them until [`settle`](Self::settle).
    ///
    /// Nothing can be taken of any fund: a lot to settle what is used all the same. `core` names the cell that is used; each
    /// thread has its own. `calendar` says which window comes when the present one
    /// has ended.
    ///
    /// # Errors
    ///
    /// [`Short`] when they are not to be had, with no unit taken.
    pub fn take(&self, core: usize, n: u64, now: Wall, calendar: &Calendar) -> Result<Lot, Short> {
        match self.cell(core).take(n, now) {
            Some(number) => Ok(Lot { number, amount: n }),
            None if n == 0 => Ok(self.take_nothing(core, now, calendar)),
            None => self.take_shared(core, n, now, calendar),
        }
    }

    /// Ends the hold on a lot of which `used` units were used; the rest is free again. On the core that took it.
    ///
    /// `used` may exceed the lot: the difference is claimed whatever the limit says, and counted as overrun.
    pub fn settle(&self, core: usize, lot: Lot, used: u64, now: Wall) {
        let cell = self.cell(core);
        let is_of_cell = lot.number == cell.number();
        if is_of_cell && used > 0 {
            cell.note(used);
        }
        if used > lot.amount {
            self.overrun(core, lot.number, used - lot.amount, now);
        } else if used < lot.amount {
            let rest = lot.amount - used;
            if !(is_of_cell && cell.put(rest, self.lease_max(), now)) {
                self.let_go(lot.number, rest);
            } else if self.overdrawn.load(Ordering::Acquire) != 0 {
                self.let_go(lot.number, cell.take_all(lot.number));
            }
        }
    }

    /// Goes on with other terms. What is claimed stays so.
    pub fn set(&self, limit: u64, raise: Option<Raise>, is_soft: bool) {
        assert!(limit <= LIMIT_MAX, "a limit above {LIMIT_MAX} would not fit: checked when read");
        let Raise { to, until } = raise.unwrap_or(Raise { to: 0, until: Wall(0) });
        self.terms.raise_until.store(0, Ordering::Release);
        self.terms.raise_to.store(to.min(LIMIT_MAX), Ordering::Release);
        self.terms.raise_until.store(until.0, Ordering::Release);
        self.terms.limit.store(limit, Ordering::Release);
        self.terms.soft.store(u64::from(is_soft), Ordering::Release);
        self.end_leases();
    }

    /// Counts what was used of `window` before the process was started. Called before anything is taken; a window that is
    /// over at the first [`take`](Self::take) is forgotten then.
    pub fn restore(&self, window: Window, spent: u64) {
        let spent = spent.min(CLAIMS.max());
        self.turn.store(TURN.pack(1, seconds(window.end)), Ordering::Release);
        self.claimed.store(CLAIMS.pack(1, spent), Ordering::Release);
        let cell = &self.cells[0];
        cell.begin(1, 0, Wall(0));
        cell.note(spent);
        self.durable.has_been_told();
    }

    /// Counts what was used of `window` before the fund was made, whatever has become of it since. Once, by the thread of the
    /// journal. When another window has begun the amount is of no interest any more.
    pub fn add_spent(&self, window: Window, spent: u64) {
        let turn = self.turn.load(Ordering::Acquire);
        let number = TURN.tag(turn);
        if TURN.amount(turn) == seconds(window.end) {
            let spent = spent.min(CLAIMS.max());
            while let Some(word) = self.claims(number) {
                let claimed = CLAIMS.amount(word).saturating_add(spent).min(CLAIMS.max());
                let next = CLAIMS.pack(number, claimed);
                if self
                    .claimed
                    .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
                {
                    self.before.store(CLAIMS.pack(number, spent), Ordering::Release);
                    break;
                }
            }
        }
        self.durable.has_been_told();
    }

    #[cold]
    fn take_nothing(&self, core: usize, now: Wall, calendar: &Calendar) -> Lot {
        let turn = self.turn(now, calendar);
        let own = self.cell(core);
        if own.number() != turn.number {
            own.begin(turn.number, 0, Wall(0));
        }
        Lot { number: turn.number, amount: 0 }
    }

    #[cold]
    fn take_shared(
        &self,
        core: usize,
        n: u64,
        now: Wall,
        calendar: &Calendar,
    ) -> Result<Lot, Short> {
        for round in 1.. {
            let turn = self.turn(now, calendar);
            let before = self.moves.load(Ordering::Acquire);
            // A refusal writes nothing: an exhausted budget that is asked again and again stays cheap.
            let reason = match self.might_have(turn, n, now) {
                true => match self.move_and_take(core, n, turn, now) {
                    Ok(lot) => return Ok(lot),
                    Err(reason) => reason,
                },
                false => Unclaimed::Exhausted,
            };
            let is_last = round >= ROUNDS;
            match reason {
                Unclaimed::Turned => {}
                Unclaimed::Ungranted => return Err(self.ungranted(turn, n)),
                Unclaimed::Exhausted if is_last || self.is_still(before) => break,
                Unclaimed::Exhausted => spin_loop(),
            }
        }
        Err(Short::Exhausted(self.level(now, calendar)))
    }

    /// Whether `n` units are free or in cells.
    fn might_have(&self, turn: Turn, n: u64, now: Wall) -> bool {
        let claimed = self.claims(turn.number).map_or(0, |word| CLAIMS.amount(word));
        let leased =
            self.cells.iter().map(|cell| cell.free(turn.number)).fold(0, u64::saturating_add);
        let total = claimed.saturating_sub(leased).saturating_add(n);
        self.is_soft()
            || total <= self.limit(now)
                && (total <= self.durable.granted(turn.number)
                    || !self.shared.refuses(turn.number, total, now))
    }

    /// Whether nobody has moved units since `before`, nor is doing so now.
    fn is_still(&self, before: u64) -> bool {
        before & MOVERS == 0 && self.moves.load(Ordering::Acquire) == before
    }

    /// Claims `n` units and some for the cell; where they are missing, all that lies in cells goes back first.
    fn move_and_take(&self, core: usize, n: u64, turn: Turn, now: Wall) -> Result<Lot, Unclaimed> {
        self.moves.fetch_add(1, Ordering::AcqRel);
        let own = self.cell(core);
        self.let_go(turn.number, own.take_all(turn.number));
        let claimed = match self.claim(turn, n, now) {
            Err(Unclaimed::Exhausted | Unclaimed::Ungranted) => {
                self.recall(turn.number);
                self.claim(turn, n, now)
            }
            decided => decided,
        };
        let taken = claimed.map(|claimed| {
            own.begin(turn.number, claimed - n, self.good_until(turn, now));
            self.keep_within(core, turn.number, now);
            Lot { number: turn.number, amount: n }
        });
        self.moves.fetch_add(MOVED - 1, Ordering::AcqRel);
        taken
    }

    /// Claims `want` units or more.
    fn claim(&self, turn: Turn, want: u64, now: Wall) -> Result<u64, Unclaimed> {
        loop {
            let word = self.claims(turn.number).ok_or(Unclaimed::Turned)?;
            let claimed = CLAIMS.amount(word);
            let limit = if self.is_soft() { CLAIMS.max() } else { self.limit(now) };
            let spare = limit.checked_sub(claimed).and_then(|left| left.checked_sub(want));
            let spare = spare.ok_or(Unclaimed::Exhausted)?;
            let granted =
                if self.is_soft() { CLAIMS.max() } else { self.durable.granted(turn.number) };
            let granted = granted.checked_sub(claimed).and_then(|left| left.checked_sub(want));
            let spare = spare.min(granted.ok_or_else(|| {
                let total = claimed.saturating_add(want);
                match self.shared.refuses(turn.number, total, now) {
                    true => Unclaimed::Exhausted,
                    false => Unclaimed::Ungranted,
                }
            })?);
            let got = want + (spare / (4 * self.cells.len() as u64)).min(self.lease_max());
            let swapped = self.claimed.compare_exchange_weak(
                word,
                word + got,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if swapped.is_ok() {
                if self.is_lowered_below(turn, claimed + got) {
                    self.let_go(turn.number, got);
                    return Err(Unclaimed::Ungranted);
                }
                return Ok(got);
            }
        }
    }

    /// Sees to it that the core's cell keeps nothing when more is claimed than may be.
    fn keep_within(&self, core: usize, number: u64, now: Wall) {
        if self.overdrawn.load(Ordering::Acquire) == 0 {
            return;
        }
        self.overdrawn.swap(0, Ordering::AcqRel);
        let claimed = self.claims(number).map_or(0, |word| CLAIMS.amount(word));
        if claimed > self.limit(now) && !self.is_soft() {
            self.overdrawn.swap(1, Ordering::AcqRel);
        }
        if self.overdrawn.load(Ordering::Acquire) != 0 {
            self.let_go(number, self.cell(core).take_all(number));
        }
    }

    /// Claims units that were used though nobody held them.
    #[cold]
    fn overrun(&self, core: usize, number: u64, n: u64, now: Wall) {
        self.overrun.fetch_add(n, Ordering::Relaxed);
        let cell = self.cell(core);
        if cell.number() == number && cell.take(n, now).is_some() {
            return;
        }
        while let Some(word) = self.claims(number) {
            let claimed = CLAIMS.amount(word).saturating_add(n).min(CLAIMS.max());
            let next = CLAIMS.pack(number, claimed);
            if self
                .claimed
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            if claimed > self.limit(now) && !self.is_soft() {
                self.end_leases();
            }
            return;
        }
    }

    /// Takes from the cells what they were given while there was enough, when there may not be any more.
    #[cold]
    fn end_leases(&self) {
        self.overdrawn.swap(1, Ordering::AcqRel);
        let mut number = TURN.tag(self.turn.load(Ordering::Acquire));
        loop {
            self.recall(number);
            // A cell that was of a later window than asked for has let that be known.
            let now = TURN.tag(self.turn.load(Ordering::Acquire));
            if now == number {
                return;
            }
            number = now;
        }
    }

    /// Takes back what lies in the cells.
    fn recall(&self, number: u64) {
        for cell in &self.cells {
            self.let_go(number, cell.take_all(number));
        }
    }

    /// Ends the claim on `n` units, unless their window is over.
    fn let_go(&self, number: u64, n: u64) {
        if n == 0 {
            return;
        }
        while let Some(word) = self.claims(number) {
            let claimed = CLAIMS.amount(word);
            debug_assert!(claimed >= n, "more came back than was ever claimed: {n} of {claimed}");
            let next = CLAIMS.pack(number, claimed.saturating_sub(n));
            let swapped =
                self.claimed.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed);
            if swapped.is_ok() {
                return;
            }
        }
    }

    /// The word of what is claimed in window `number`; `None` when that is over.
    fn claims(&self, number: u64) -> Option<u64> {
        loop {
            let word = self.claimed.load(Ordering::Acquire);
            if TURN.tag(self.turn.load(Ordering::Acquire)) != number {
                return None;
            }
            if CLAIMS.is_of(word, number) {
                return Some(word);
            }
            // The window is open and nobody has claimed in it. Whoever comes first starts from nothing.
            let next = CLAIMS.pack(number, 0);
            let _ = self.claimed.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// The window at `now`, opened when the one before has ended.
    fn turn(&self, now: Wall, calendar: &Calendar) -> Turn {
        let mut word = self.turn.load(Ordering::Acquire);
        loop {
            let turn = Turn::read(word);
            if now < turn.end {
                return turn;
            }
            let end = seconds(calendar.window(self.period, now).end);
            let next = TURN.pack(turn.number + 1, end);
            match self.turn.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let turn = Turn::read(next);
                    self.claims(turn.number);
                    return turn;
                }
                Err(found) => word = found,
            }
        }
    }

    /// Units that may be claimed, as the policy says.
    fn limit(&self, now: Wall) -> u64 {
        let limit = self.terms.limit.load(Ordering::Acquire);
        if now.0 < self.terms.raise_until.load(Ordering::Acquire) {
            limit.max(self.terms.raise_to.load(Ordering::Acquire))
        } else {
            limit
        }
    }

    /// How long a lease is good: to the end of the window, or of a raise.
    fn good_until(&self, turn: Turn, now: Wall) -> Wall {
        let raised = self.terms.raise_until.load(Ordering::Acquire);
        if now.0 < raised { Wall(turn.end.0.min(raised)) } else { turn.end }
    }

    fn is_soft(&self) -> bool {
        self.terms.soft.load(Ordering::Acquire) != 0
    }

    /// Units that a cell keeps.
    fn lease_max(&self) -> u64 {
        (self.terms.limit.load(Ordering::Relaxed) / 64).min(LEASE.max())
    }

    fn cell(&self, core: usize) -> &Cell {
        self.cells.get(core).unwrap_or_else(|| &self.cells[core % self.cells.len()])
    }
}

impl Turn {
    fn read(word: u64) -> Self {
        let end = TURN.amount(word);
        let end = if end == TURN.max() { u64::MAX } else { end.saturating_mul(NANOS_PER_SECOND) };
        Self { number: TURN.tag(word), end: Wall(end) }
    }
}

/// The second of a window's end.
fn seconds(end: Wall) -> u64 {
    if end == Wall::MAX { TURN.max() } else { end.0 / NANOS_PER_SECOND }
}

/// Those who are moving units now, in `moves`.
const MOVERS: u64 = 0xffff;

/// One move that was made, in `moves`.
const MOVED: u64 = MOVERS + 1;
