//! What one request holds of all budgets that it is paid from: all of it or nothing.
//!
//! In: what the request costs at worst, more of it as it goes on, what it did cost. Out: a [`Hold`], or [`Denied`] saying which
//! budget refused. Remembered: a [`Lot`] of each budget, and whether the request was sent.
//!
//! Budgets are drawn on in the order of the [`Purse`], the narrowest scope first: a key that has run out never disturbs its
//! organisation. When one refuses, what was taken before it goes back at once.
//!
//! A hold ends exactly once. [`settle`](Hold::settle) charges what was used and [`release`](Hold::release) nothing. One that is
//! dropped, because a task was cancelled or has panicked, is released when the request was never [sent](Hold::sent), and
//! charged in full when it was: a provider may have been at work, and nobody knows how much.

use super::{
    Budget, Cost, Unit,
    fund::{Lot, Short},
};
use crate::time::Wall;

/// The budgets that a request is paid from. The same ones in the same order at every call.
pub trait Purse {
    /// Every budget, the narrowest scope's first.
    fn budgets(&self) -> impl Iterator<Item = &Budget>;
}

impl Purse for [Budget] {
    fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.iter()
    }
}

impl<P: Purse + ?Sized> Purse for &P {
    fn budgets(&self) -> impl Iterator<Item = &Budget> {
        (**self).budgets()
    }
}

impl<P: Purse + ?Sized> Purse for std::rc::Rc<P> {
    fn budgets(&self) -> impl Iterator<Item = &Budget> {
        (**self).budgets()
    }
}

/// Money, tokens and requests set aside in every budget of a purse.
#[derive(Debug)]
#[must_use = "a hold that is dropped is released"]
pub struct Hold<P: Purse> {
    purse: P,
    core: usize,
    parts: Parts,
    is_sent: bool,
    is_over: bool,
    /// The latest moment it was told.
    now: Wall,
}

/// A budget that refused. Nothing is held, or nothing more than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Its place in the purse.
    pub index: usize,
    /// Units that were asked of it.
    pub asked: u64,
    /// Why.
    pub short: Short,
}

/// What is held of one budget.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    lot: Lot,
    /// Units held in windows that have ended since. They pay first.
    before: u64,
}

impl<P: Purse> Hold<P> {
    /// Sets `worst` aside in every budget, or in none. `core` is the caller's own, as for [`Fund::take`](super::Fund::take).
    ///
    /// # Errors
    ///
    /// The first budget that refuses, and the purse back.
    pub fn reserve(purse: P, core: usize, worst: Cost, now: Wall) -> Result<Self, (Denied, P)> {
        match take(&purse, core, worst, now) {
            Ok(parts) => Ok(Self { purse, core, parts, is_sent: false, is_over: false, now }),
            Err(denied) => Err((denied, purse)),
        }
    }

    /// Sets `more` aside in every budget, or in none. What is taken in a new window is held there, and what was held in the
    /// old one stays there.
    ///
    /// # Errors
    ///
    /// The first budget that refuses. What was held before is held still.
    pub fn extend(&mut self, more: Cost, now: Wall) -> Result<(), Denied> {
        self.now = self.now.max(now);
        let mut added = take(&self.purse, self.core, more, now)?;
        self.parts.pair_up(&mut added, |part, more| match part.lot.join(more.lot) {
            Some(lot) => part.lot = lot,
            None => {
                *part = Part { lot: more.lot, before: part.before.saturating_add(part.lot.amount) };
            }
        });
        Ok(())
    }

    /// Gives back what is held beyond `cost`.
    pub fn shrink_to(&mut self, cost: Cost, now: Wall) {
        self.now = self.now.max(now);
        let core = self.core;
        self.parts.each(&self.purse, |budget, part| {
            let keep = cost.of(budget.unit).saturating_sub(part.before);
            if let Some(rest) = part.lot.split(keep) {
                budget.fund.settle(core, rest, 0, now);
            }
        });
    }

    /// The request is on its way: dropped from now on, the hold is charged in full.
    pub fn sent(&mut self) {
        self.is_sent = true;
    }

    /// No provider was at work after all: dropped from now on, the hold is released.
    pub fn unsent(&mut self) {
        self.is_sent = false;
    }

    /// Charges what was used. The rest is free again; what was used beyond what was held is claimed all the same.
    pub fn settle(mut self, used: Cost, now: Wall) {
        self.now = self.now.max(now);
        self.end(|unit, _| used.of(unit));
    }

    /// Charges nothing.
    pub fn release(mut self, now: Wall) {
        self.now = self.now.max(now);
        self.end(|_, _| 0);
    }

    /// What is paid from.
    #[must_use]
    pub fn purse(&self) -> &P {
        &self.purse
    }

    /// The most that is held of `unit` in any budget; `None` when no budget counts it.
    #[must_use]
    pub fn held(&self, unit: Unit) -> Option<u64> {
        let budgets = self.purse.budgets().zip(self.parts.iter());
        budgets.filter(|(budget, _)| budget.unit == unit).map(|(_, part)| part.total()).max()
    }

    fn end(&mut self, used: impl Fn(Unit, u64) -> u64) {
        self.is_over = true;
        let (core, now) = (self.core, self.now);
        self.parts.each(&self.purse, |budget, part| {
            let used = used(budget.unit, part.total()).saturating_sub(part.before);
            budget.fund.settle(core, part.lot, used, now);
        });
    }
}

impl<P: Purse> Drop for Hold<P> {
    fn drop(&mut self) {
        if !self.is_over {
            let is_sent = self.is_sent;
            self.end(|_, held| if is_sent { held } else { 0 });
        }
    }
}

impl Part {
    fn total(&self) -> u64 {
        self.before.saturating_add(self.lot.amount)
    }
}

/// Takes of every budget of a purse, or of none.
fn take<P: Purse>(purse: &P, core: usize, cost: Cost, now: Wall) -> Result<Parts, Denied> {
    let mut parts = Parts::default();
    for (index, budget) in purse.budgets().enumerate() {
        let asked = cost.of(budget.unit);
        match budget.fund.take(core, asked, now, &budget.calendar) {
            Ok(lot) => parts.push(Part { lot, before: 0 }),
            Err(short) => {
                parts.each(purse, |budget, part| budget.fund.settle(core, part.lot, 0, now));
                return Err(Denied { index, asked, short });
            }
        }
    }
    Ok(parts)
}

/// Parts of a purse, in its order: the first few without an allocation.
#[derive(Debug, Default)]
struct Parts {
    first: [Part; FIRST],
    more: Vec<Part>,
    len: usize,
}

/// Budgets of a purse that need no allocation.
const FIRST: usize = 8;

impl Parts {
    fn push(&mut self, part: Part) {
        match self.first.get_mut(self.len) {
            Some(place) => *place = part,
            None => self.more.push(part),
        }
        self.len += 1;
    }

    fn iter(&self) -> impl Iterator<Item = &Part> {
        self.first[..self.len.min(FIRST)].iter().chain(&self.more)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.first[..self.len.min(FIRST)].iter_mut().chain(&mut self.more)
    }

    /// Calls `with` for each part and its budget.
    fn each<P: Purse>(&mut self, purse: &P, mut with: impl FnMut(&Budget, &mut Part)) {
        for (part, budget) in self.iter_mut().zip(purse.budgets()) {
            with(budget, part);
        }
    }

    fn pair_up(&mut self, others: &mut Self, mut with: impl FnMut(&mut Part, &mut Part)) {
        for (part, other) in self.iter_mut().zip(others.iter_mut()) {
            with(part, other);
        }
    }
}
