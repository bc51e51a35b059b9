//! How far the journal has gone ahead: what may be claimed because a claim of it would survive a power cut.
//!
//! A fund with a journal claims nothing beyond what was granted. The thread that writes the journal asks each fund what it
//! [will need](Fund::asks), makes that durable, and [grants](Fund::grant) it, so that requests find it granted already.
//! After a crash the whole grant counts as used until the journal's rows say otherwise.

use super::{CLAIMS, Fund, Short, Turn};
use crate::{
    atomic::{AtomicU64, Ordering},
    budget::window::{Calendar, Window},
    time::Wall,
};

/// Leave to claim units of a window up to a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The number of the window in the fund.
    number: u64,
    /// The window.
    pub window: Window,
    /// Units that may be claimed in it, from its beginning. What to make durable.
    pub up_to: u64,
}

impl Grant {
    pub(super) const fn new(number: u64, window: Window, up_to: u64) -> Self {
        Self { number, window, up_to }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The same window, up to another total.
    #[must_use]
    pub const fn with(self, up_to: u64) -> Self {
        Self { up_to, ..self }
    }
}

/// What the journal allows.
#[derive(Debug)]
pub(super) struct Durable {
    is_journaled: AtomicU64,
    /// The window that `granted` is of. Both are written by the thread of the journal alone.
    number: AtomicU64,
    granted: AtomicU64,
    /// What a refused request would have needed; zero: none was refused.
    needed: AtomicU64,
    /// What was claimed when the journal asked last.
    seen: AtomicU64,
    /// Whether the journal has told what was spent before: [`UNTOLD`], [`ASKED`] or [`TOLD`].
    told: AtomicU64,
}

/// Nobody has asked the journal what was spent before the fund was made.
const UNTOLD: u64 = 0;

/// Somebody has.
const ASKED: u64 = 1;

/// It has told.
const TOLD: u64 = 2;

impl Durable {
    pub(super) fn new(is_journaled: bool) -> Self {
        Self {
            is_journaled: AtomicU64::new(u64::from(is_journaled)),
            number: AtomicU64::new(0),
            granted: AtomicU64::new(0),
            needed: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            told: AtomicU64::new(UNTOLD),
        }
    }

    /// Units of window `number` that may be claimed.
    pub(super) fn granted(&self, number: u64) -> u64 {
        if self.is_journaled.load(Ordering::Relaxed) == 0 {
            return CLAIMS.max();
        }
        let before = self.number.load(Ordering::Acquire);
        let granted = self.granted.load(Ordering::Acquire);
        let is_whole = self.number.load(Ordering::Relaxed) == before;
        if is_whole && before == number { granted } else { 0 }
    }

    /// What a refused request would have needed, once.
    pub(super) fn take_needed(&self) -> u64 {
        self.needed.swap(0, Ordering::AcqRel)
    }

    /// What was claimed since this was last asked.
    pub(super) fn burnt(&self, claimed: u64) -> u64 {
        claimed.saturating_sub(self.seen.swap(claimed, Ordering::Relaxed))
    }

    /// Lets no more be claimed of window `number` than `up_to`.
    pub(super) fn lower(&self, number: u64, up_to: u64) {
        if self.number.load(Ordering::Relaxed) == number {
            self.granted.swap(up_to, Ordering::AcqRel);
        }
    }

    pub(super) fn has_been_told(&self) {
        self.told.store(TOLD, Ordering::Release);
    }

    fn need(&self, total: u64) {
        self.needed.fetch_max(total, Ordering::AcqRel);
    }

    fn publish(&self, number: u64, up_to: u64) {
        if self.number.load(Ordering::Relaxed) == number {
            self.granted.fetch_max(up_to, Ordering::AcqRel);
            return;
        }
        // No window has this number: readers between the two see nothing granted.
        self.number.swap(u64::MAX, Ordering::AcqRel);
        self.granted.swap(up_to, Ordering::AcqRel);
        self.number.store(number, Ordering::Release);
    }
}

impl Fund {
    /// A journal keeps it from now on: nothing is claimed before it has been [granted](Self::grant). To be said before the fund
    /// is drawn on.
    pub fn keep_in_journal(&self) {
        self.durable.is_journaled.store(1, Ordering::Relaxed);
    }

    /// Whether a journal keeps it.
    #[must_use]
    pub fn is_journaled(&self) -> bool {
        self.durable.is_journaled.load(Ordering::Relaxed) != 0
    }

    /// Whether the journal must be asked what was spent before the fund was made; true to one asker alone, who then tells it
    /// by [`add_spent`](Self::add_spent), or [asks again](Self::ask_again). Until then nothing is granted.
    #[must_use]
    pub fn wants_telling(&self) -> bool {
        let told = &self.durable.told;
        self.is_journaled()
            && told.load(Ordering::Relaxed) == UNTOLD
            && told.compare_exchange(UNTOLD, ASKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The journal could not be asked.
    pub fn ask_again(&self) {
        self.durable.told.store(UNTOLD, Ordering::Release);
    }

    pub(super) fn is_told(&self) -> bool {
        self.durable.told.load(Ordering::Acquire) == TOLD
    }

    /// What the journal should make durable now: what was claimed and some time's use more, less near the limit. `None`: there
    /// is enough. For the one thread that writes the journal, once a round: four rounds' use is asked for.
    #[must_use]
    pub fn asks(&self, now: Wall, calendar: &Calendar) -> Option<Grant> {
        if !self.is_journaled() || self.is_soft() || !self.is_told() {
            return None;
        }
        let turn = self.turn(now, calendar);
        let claimed = CLAIMS.amount(self.claims(turn.number)?);
        let limit = self.limit(now);
        let seen = self.durable.seen.swap(claimed, Ordering::Relaxed);
        let burnt = claimed.saturating_sub(seen);
        let ahead = burnt.saturating_mul(4).max(limit / 256);
        let ahead = ahead.min(limit.saturating_sub(claimed) / 4);
        let needed = self.durable.needed.swap(0, Ordering::AcqRel);
        let granted = self.durable.granted(turn.number);
        if granted >= needed && granted >= claimed.saturating_add(ahead / 2) {
            return None;
        }
        let up_to = claimed.saturating_add(ahead).max(needed).min(limit);
        let window =
            Window { start: calendar.window(self.period, before(turn.end)).start, end: turn.end };
        (up_to > granted).then_some(Grant { number: turn.number, window, up_to })
    }

    /// The same of a soft limit, which waits for no grant: what was claimed, after it was.
    #[must_use]
    pub fn asks_behind(&self, now: Wall, calendar: &Calendar) -> Option<Grant> {
        if !self.is_journaled() || !self.is_soft() || !self.is_told() {
            return None;
        }
        let turn = self.turn(now, calendar);
        let up_to = CLAIMS.amount(self.claims(turn.number)?);
        let window =
            Window { start: calendar.window(self.period, before(turn.end)).start, end: turn.end };
        let is_more = up_to > self.durable.granted(turn.number);
        is_more.then_some(Grant { number: turn.number, window, up_to })
    }

    /// Publishes a grant that is durable. Without effect when its window is over. For the one thread that writes the journal.
    pub fn grant(&self, grant: &Grant) {
        if self.claims(grant.number).is_some() {
            self.durable.publish(grant.number, grant.up_to);
        }
    }

    /// Notes that `n` units more were wanted than are granted.
    pub(super) fn ungranted(&self, turn: Turn, n: u64) -> Short {
        if let Some(word) = self.claims(turn.number) {
            self.durable.need(CLAIMS.amount(word).saturating_add(n));
        }
        if self.shared.is_away() { Short::Away } else { Short::Ungranted }
    }
}

/// The last moment of a window.
pub(super) fn before(end: Wall) -> Wall {
    Wall(end.0.saturating_sub(1))
}
