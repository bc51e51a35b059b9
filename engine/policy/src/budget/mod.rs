//! Budgets: how much money, how many tokens or requests a scope may use in a window of the calendar, or at all.
//!
//! In: what a request costs at worst, and what it did cost, with the present. Out: a [`Hold`] on every budget that it is paid
//! from, or which one refused. Remembered, in one [`Fund`] for each budget: what of its window is used and held.
//!
//! A [`Budget`] is what the policy says; its fund outlives the policy. A request reserves before it is sent and settles after
//! it has ended, each once:
//!
//! ```
//! use faregate_policy::{
//!     Wall,
//!     budget::{Budget, Calendar, Cost, Hold, Period, Short, Unit},
//! };
//! use faregate_price::NanoUsd;
//!
//! let budgets = [
//!     Budget::new(Unit::Money, Period::Day, 5 * NanoUsd::DOLLAR.0, 2),    // the key's
//!     Budget::new(Unit::Money, Period::Month, 100 * NanoUsd::DOLLAR.0, 2), // the team's
//! ];
//! let worst = Cost { money: NanoUsd(3_000_000_000), tokens: 4000, requests: 1 };
//! let (core, now) = (0, Wall(1_795_000_000_000_000_000));
//!
//! let mut hold = Hold::reserve(&budgets[..], core, worst, now).expect("there is enough");
//! hold.sent();
//! // Another one like it is more than the key has left.
//! let (denied, _) = Hold::reserve(&budgets[..], core, worst, now).expect_err("2 dollars are left");
//! let Short::Exhausted(level) = denied.short else { unreachable!("no journal is to be waited for") };
//! assert_eq!((denied.index, level.held, level.left()), (0, 3_000_000_000, 2_000_000_000));
//!
//! // A stream goes on beyond its slice, then ends for less.
//! hold.extend(Cost { money: NanoUsd::DOLLAR, ..Cost::default() }, now).expect("there is enough");
//! hold.settle(Cost { money: NanoUsd(3_200_000_000), tokens: 4100, requests: 1 }, now);
//! assert_eq!(budgets[0].level(now).left(), 1_800_000_000);
//! ```
//!
//! [`Short::Ungranted`] is no refusal: the journal is behind. The request waits for it and reserves again.

use std::sync::Arc;

use faregate_price::NanoUsd;

use crate::time::Wall;

pub mod fund;
pub mod hold;
#[cfg(all(test, not(loom)))]
mod tests;
pub mod window;

pub use fund::{Fund, Grant, LIMIT_MAX, Level, Lot, Raise, Short, Wish};
pub use hold::{Denied, Hold, Purse};
pub use window::{Calendar, Period, Window};

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Nano-dollars.
    Money,
    /// Tokens, input and output.
    Tokens,
    /// Requests.
    Requests,
}

impl Unit {
    /// The word for it in policy, errors and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }
}

/// What a request costs, at worst or in fact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Money.
    pub money: NanoUsd,
    /// Tokens, input and output.
    pub tokens: u64,
    /// Requests: one, or none for what was never sent.
    pub requests: u64,
}

impl Cost {
    /// How much of `unit`.
    #[must_use]
    pub fn of(self, unit: Unit) -> u64 {
        match unit {
            Unit::Money => self.money.0,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }
}

/// A bound on what a scope may use in a window of the calendar, or at all.
#[derive(Clone, Debug)]
pub struct Budget {
    /// What is counted.
    pub unit: Unit,
    /// How long it counts.
    pub period: Period,
    /// Where and how days are counted.
    pub calendar: Arc<Calendar>,
    /// Units in each window. At most [`LIMIT_MAX`].
    pub limit: u64,
    /// More of them until a moment.
    pub raise: Option<Raise>,
    /// It counts and warns, and never refuses.
    pub is_soft: bool,
    /// Shares at which a warning is given, in percent, rising.
    pub warn_at: Vec<u64>,
    /// As written in the policy.
    pub text: Box<str>,
    /// What is left of it, over all cores.
    pub fund: Arc<Fund>,
}

impl Budget {
    /// A hard budget of `limit` units in UTC with a fund of its own, which no journal keeps.
    #[must_use]
    pub fn new(unit: Unit, period: Period, limit: u64, cores: usize) -> Self {
        Self {
            unit,
            period,
            calendar: Arc::default(),
            limit,
            raise: None,
            is_soft: false,
            warn_at: Vec::new(),
            text: Box::default(),
            fund: Arc::new(Fund::new(period, limit, cores, false)),
        }
    }

    /// Gives its fund the terms of this policy.
    pub fn take_effect(&self) {
        self.fund.set(self.limit, self.raise, self.is_soft);
    }

    /// What has become of it at `now`.
    #[must_use]
    pub fn level(&self, now: Wall) -> Level {
        self.fund.level(now, &self.calendar)
    }

    /// What the journal should make durable for it now. See [`Fund::asks`].
    #[must_use]
    pub fn asks(&self, now: Wall) -> Option<Grant> {
        // What money a soft limit has spent, rows say.
        match self.is_soft && self.unit != Unit::Money {
            true => self.fund.asks_behind(now, &self.calendar),
            false => self.fund.asks(now, &self.calendar),
        }
    }

    /// The highest share of [`warn_at`](Self::warn_at) that has been reached since this was last asked in the same window.
    /// For one thread, now and then: each share is told once a window.
    #[must_use]
    pub fn warns(&self, now: Wall) -> Option<u64> {
        self.shares().next()?;
        let percent = self.level(now).percent();
        let reached = self.shares().filter(|share| *share <= percent).max()?;
        self.fund.tell_once(reached, now, &self.calendar).then_some(reached)
    }

    /// The share of it that is used, in whole percent, where that is one to warn of.
    #[must_use]
    pub fn warning(&self, now: Wall) -> Option<u64> {
        let least = self.shares().min()?;
        Some(self.level(now).percent()).filter(|percent| *percent >= least)
    }

    /// Shares at which is warned: those that are said, and that of a soft limit, which does nothing else.
    fn shares(&self) -> impl Iterator<Item = u64> {
        self.warn_at.iter().copied().chain(self.is_soft.then_some(100))
    }
}
