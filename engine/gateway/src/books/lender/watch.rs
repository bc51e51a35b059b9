//! One window of a shared budget, as the lender sees it.
//!
//! In: what its fund wishes, what the store says. Out: grants asked of the journal, refusals, what the fund can spare.
//! Remembered: who needs how much since when, and whether the journal is at work on a grant.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faregate_ledger::{
    journal::{Grant, writer::Granted},
    lease::{Key, News},
};
use faregate_policy::{
    Wall,
    budget::{self, Budget, Fund},
};
use faregate_price::NanoUsd;

use super::{super::Books, nanos};
use crate::clock::Instant;

/// How long a need is remembered that nobody repeats: who waits asks again every few milliseconds.
const NEED: Duration = Duration::from_millis(100);

/// What is known of a window.
pub(super) struct Watch {
    fund: Arc<Fund>,
    grant: budget::Grant,
    /// The journal has been asked for a grant and has not answered.
    is_pending: Arc<AtomicBool>,
    need: u64,
    needed_at: Instant,
    /// Nothing is leased ahead until then.
    quiet_until: Instant,
    /// When the store has last said how it is.
    seen: Option<Instant>,
    pub(super) budget_is_soft: bool,
    has_overdrawn: bool,
    /// Some of the overdraft may be unused.
    pub(super) is_overdrawn: bool,
}

/// A fund that is told what is leased and written down.
struct Leased {
    fund: Arc<Fund>,
    grant: budget::Grant,
    is_pending: Arc<AtomicBool>,
}

impl Granted for Leased {
    fn granted(&self, _: NanoUsd) {
        self.fund.grant(&self.grant);
        self.is_pending.store(false, Ordering::Release);
    }

    fn refused(&self) {
        self.is_pending.store(false, Ordering::Release);
    }
}

impl Watch {
    pub(super) fn new(budget: &Budget, grant: budget::Grant) -> Self {
        Self {
            fund: Arc::clone(&budget.fund),
            grant,
            is_pending: Arc::default(),
            need: 0,
            needed_at: Instant::at(0),
            quiet_until: Instant::at(0),
            seen: None,
            budget_is_soft: budget.is_soft,
            has_overdrawn: false,
            is_overdrawn: false,
        }
    }

    /// A scope that was dropped and came again has another fund.
    pub(super) fn is_of(&mut self, budget: &Budget, grant: budget::Grant) {
        if !Arc::ptr_eq(&self.fund, &budget.fund) {
            self.fund = Arc::clone(&budget.fund);
            self.is_pending = Arc::default();
        }
        self.grant = grant;
    }

    /// The total that somebody waits for.
    pub(super) fn need(&mut self, need: u64, now: Instant) -> u64 {
        if need > 0 {
            (self.need, self.needed_at) = (need, now);
        } else if now.since(self.needed_at) > nanos(NEED) {
            self.need = 0;
        }
        self.need
    }

    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now < self.quiet_until
    }

    pub(super) fn is_old(&self, now: Instant, age: Duration) -> bool {
        self.seen.is_none_or(|seen| now.since(seen) > nanos(age))
    }

    /// Takes what the store has said.
    pub(super) fn heed(&mut self, news: &News, now: Instant) {
        self.seen = Some(now);
        let elsewhere = news.state.leased.0.saturating_sub(news.state.total.0);
        let spent = news.state.others_spent.0;
        self.fund.see_others(&self.grant, spent, elsewhere.saturating_sub(spent));
        if news.may_spend.0 >= self.need {
            self.need = 0;
        }
    }

    /// There is no more to be leased than that makes in all.
    pub(super) fn refuse(&mut self, total: u64, until: Wall, quiet: Instant) {
        self.fund.refuse_above(&self.grant, total, until);
        (self.need, self.quiet_until) = (0, quiet);
    }

    /// Has the journal write down what was leased, if it has not yet.
    pub(super) fn grant_up_to(&self, books: &Books, key: &Key, total: u64) {
        let is_there = total <= self.fund.granted(&self.grant);
        if self.budget_is_soft || is_there || self.is_pending.load(Ordering::Acquire) {
            return;
        }
        let grant =
            Grant { scope: Arc::clone(&key.scope), window: key.window, total: NanoUsd(total) };
        self.is_pending.store(true, Ordering::Release);
        let told = Leased {
            fund: Arc::clone(&self.fund),
            grant: self.grant.with(total),
            is_pending: Arc::clone(&self.is_pending),
        };
        match books.inbox.request_grant(grant, Arc::new(told)) {
            Ok(()) => {}
            // A queue that is full is asked again in the next round.
            Err(_) => self.is_pending.store(false, Ordering::Release),
        }
    }

    /// Lets nothing more be spent than is held already. How much that is; `None`: not now.
    pub(super) fn lower(&mut self, books: &Books, key: &Key, quiet: Instant) -> Option<u64> {
        self.quiet_until = quiet;
        if self.budget_is_soft || self.is_pending.load(Ordering::Acquire) {
            return None;
        }
        let keep = self.fund.lower(&self.grant)?;
        let grant =
            Grant { scope: Arc::clone(&key.scope), window: key.window, total: NanoUsd(keep) };
        // What finds no place in the queue is charged at its most after a crash.
        drop(books.inbox.give_back(grant));
        Some(keep)
    }

    /// Whether it may be overdrawn; once.
    pub(super) fn may_overdraw(&mut self) -> bool {
        let may = !self.budget_is_soft && !std::mem::replace(&mut self.has_overdrawn, true);
        self.is_overdrawn |= may;
        may
    }

    /// Lets nothing more be spent.
    pub(super) fn stop(&mut self) {
        let _ = self.fund.lower(&self.grant);
    }
}
