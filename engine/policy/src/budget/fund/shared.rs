//! A fund that is leased from a store, because other gateways spend the same budget.
//!
//! What such a fund may claim is [granted](Fund::grant) as ever, but no grant is beyond what this gateway has leased. The
//! thread that leases asks each fund what it [wishes](Fund::wish), [lowers](Fund::lower) what is granted when others need it,
//! and says when there is [no more](Fund::refuse_above) to be had.
//!
//! # Lowering a grant
//!
//! Whoever lowers writes the grant first, and then reads what is claimed, by a read-modify-write; whoever claims swaps what is
//! claimed first, and then reads the grant. So of a claim that is above a lowered grant, either the one who lowers knows, and
//! keeps so much; or the claimer sees the grant, and lets go before anything is spent.

use super::{CLAIMS, Fund, Grant, Turn, grant::before};
use crate::{
    atomic::{AtomicU64, Ordering},
    budget::window::{Calendar, Window},
    time::Wall,
};

/// What is known of the other gateways.
#[derive(Debug, Default)]
pub(super) struct Shared {
    is_shared: AtomicU64,
    /// The store cannot be asked.
    is_away: AtomicU64,
    /// The window that those below are of. Written by the thread that leases alone.
    number: AtomicU64,
    /// What could be leased in all, when it was asked last.
    ceiling: AtomicU64,
    /// Until when that is as good as asking again.
    until: AtomicU64,
    others_spent: AtomicU64,
    others_held: AtomicU64,
}

/// What a fund needs of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The window; `up_to` is the total that would be good to have.
    pub grant: Grant,
    /// The total that a refused request needs; zero: none was refused since this was last asked.
    pub need: u64,
    /// Units that are used, held, or in cells.
    pub claimed: u64,
    /// Units that are used.
    pub spent: u64,
    /// Units that may be claimed now.
    pub granted: u64,
    /// What the policy says.
    pub limit: u64,
}

impl Shared {
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed) != 0
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed) != 0
    }

    fn is_of(&self, number: u64) -> bool {
        self.is_shared() && self.number.load(Ordering::Acquire) == number
    }

    /// Whether there is known to be no such total to be leased.
    pub(super) fn refuses(&self, number: u64, total: u64, now: Wall) -> bool {
        self.is_of(number)
            && now.0 < self.until.load(Ordering::Acquire)
            && total > self.ceiling.load(Ordering::Acquire)
    }

    /// What other gateways have used and hold of window `number`.
    pub(super) fn others(&self, number: u64) -> (u64, u64) {
        if !self.is_of(number) {
            return (0, 0);
        }
        let read = |word: &AtomicU64| word.load(Ordering::Acquire);
        (read(&self.others_spent), read(&self.others_held))
    }

    fn turn_to(&self, number: u64) {
        if self.number.load(Ordering::Relaxed) != number {
            self.number.swap(u64::MAX, Ordering::AcqRel);
            let words = [&self.ceiling, &self.until, &self.others_spent, &self.others_held];
            words.iter().for_each(|word| word.store(0, Ordering::Release));
            self.number.store(number, Ordering::Release);
        }
    }
}

impl Fund {
    /// Other gateways spend the same budget: what may be claimed is leased from a store. To be said before the fund is drawn
    /// on, with [`keep_in_journal`](Self::keep_in_journal).
    pub fn share(&self) {
        self.shared.is_shared.store(1, Ordering::Relaxed);
    }

    /// Whether it is leased from a store.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.is_shared()
    }

    /// Says whether the store can be asked. What is granted can be claimed in any case.
    pub fn set_away(&self, is_away: bool) {
        self.shared.is_away.store(u64::from(is_away), Ordering::Relaxed);
    }

    /// What it needs of the store; `None` until it has been told what was spent before. For the one thread that leases.
    #[must_use]
    pub fn wish(&self, now: Wall, calendar: &Calendar) -> Option<Wish> {
        if !self.is_shared() || !self.is_told() {
            return None;
        }
        let turn = self.turn(now, calendar);
        let claimed = CLAIMS.amount(self.claims(turn.number)?);
        let (limit, needed) = (self.limit(now), self.durable.take_needed());
        let burnt = self.durable.burnt(claimed);
        let level = self.level(now, calendar);
        let ahead = burnt.saturating_mul(4).max(limit / 256).min(level.left() / 4);
        let want = claimed.saturating_add(ahead).max(needed).min(limit.max(claimed));
        let window =
            Window { start: calendar.window(self.period, before(turn.end)).start, end: turn.end };
        Some(Wish {
            grant: Grant::new(turn.number, window, want),
            need: needed,
            claimed,
            spent: level.spent.saturating_sub(self.shared.others(turn.number).0),
            granted: self.durable.granted(turn.number),
            limit: if self.is_soft() { super::LIMIT_MAX } else { limit },
        })
    }

    /// How far the window of a grant may be claimed now.
    #[must_use]
    pub fn granted(&self, grant: &Grant) -> u64 {
        self.durable.granted(grant.number())
    }

    /// How far its window may be claimed without asking anybody.
    #[must_use]
    pub fn leased(&self, now: Wall, calendar: &Calendar) -> u64 {
        self.durable.granted(self.turn(now, calendar).number)
    }

    /// Takes back what lies idle, and lets no more be claimed than is claimed now. How much that is; `None` when the window
    /// of the grant is over. For the one thread that leases, not while a grant of the fund is being made durable.
    #[must_use]
    pub fn lower(&self, grant: &Grant) -> Option<u64> {
        let number = grant.number();
        self.recall(number);
        let claimed = CLAIMS.amount(self.claims(number)?);
        self.durable.lower(number, claimed);
        // Read by writing: see the head of this file.
        let word = self.claimed.fetch_add(0, Ordering::AcqRel);
        if !CLAIMS.is_of(word, number) {
            return None;
        }
        let keep = CLAIMS.amount(word).max(claimed);
        self.durable.lower(number, keep);
        Some(keep)
    }

    /// Says that no more than `total` could be leased in all. Good until a moment; then it is asked again.
    pub fn refuse_above(&self, grant: &Grant, total: u64, until: Wall) {
        self.shared.turn_to(grant.number());
        self.shared.ceiling.store(total, Ordering::Release);
        self.shared.until.store(until.0, Ordering::Release);
    }

    /// Says what the other gateways have used, and what they have leased beyond that.
    pub fn see_others(&self, grant: &Grant, spent: u64, held: u64) {
        self.shared.turn_to(grant.number());
        self.shared.others_spent.store(spent, Ordering::Release);
        self.shared.others_held.store(held, Ordering::Release);
    }

    /// Whether a claim that was made, up to `total`, is above a grant that was lowered meanwhile.
    pub(super) fn is_lowered_below(&self, turn: Turn, total: u64) -> bool {
        self.is_shared() && !self.is_soft() && total > self.durable.granted(turn.number)
    }
}
