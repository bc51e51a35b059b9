//! One scope: who draws on it now, and its budgets as the latest policy has them.
//!
//! # Life
//!
//! Whoever draws on it has pinned it; the thread that sweeps closes it while nobody does. Both change one word, which also
//! counts how often it was pinned: who looks at the funds first and closes then closes nothing that was drawn on in between.
//! What is closed is never pinned again, so that its funds and those of the entry that takes its place are never both drawn on.

use std::sync::Arc;

use crate::{
    atomic::{AtomicU64, Ordering, Place},
    budget::{Budget, Fund, Level, Unit},
    time::Wall,
};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A scope that was not drawn on for so long may go, if nothing is forgotten with it.
const IDLE_SECONDS: u64 = 60;

/// One that the journal remembers may go though its windows are not over.
const LONG_IDLE_SECONDS: u64 = 60 * 60;

/// The first bit of a life: nobody may pin it any more.
const CLOSED: u64 = 1;

/// One who draws on it; there is room for 16 million of them.
const PINNED: u64 = 1 << 1;
const PINS: u64 = ((1 << 25) - 1) & !CLOSED;

/// One time that it was pinned. The count may wrap.
const USE: u64 = 1 << 25;

/// A scope.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) name: Arc<str>,
    life: AtomicU64,
    /// When it was drawn on last, in seconds.
    seen: AtomicU64,
    drawn: Place<Drawn>,
}

/// The budgets of a scope, by one policy.
#[derive(Debug)]
pub struct Drawn {
    generation: u64,
    /// The scope's name: `user/alice`, `tag/feature=search`.
    pub name: Arc<str>,
    /// What it may use. Never empty.
    pub budgets: Box<[Budget]>,
}

/// A budget of a scope that is dropped, and what became of it.
#[derive(Debug)]
pub struct Leaving<'a> {
    /// The scope's name.
    pub scope: &'a str,
    /// The budget.
    pub budget: &'a Budget,
    /// What became of its last window.
    pub level: Level,
}

/// A scope that somebody draws on.
#[derive(Debug)]
pub(crate) struct Pin {
    entry: Arc<Entry>,
    drawn: Arc<Drawn>,
}

impl Pin {
    /// Its budgets.
    pub(crate) fn drawn(&self) -> &Drawn {
        &self.drawn
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.entry.life.fetch_sub(PINNED, Ordering::AcqRel);
    }
}

/// How funds are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making {
    pub(super) cores: usize,
    pub(super) is_journaled: bool,
    pub(super) is_shared: bool,
}

impl Entry {
    /// A scope that its maker has pinned.
    pub(super) fn pinned(name: &str) -> Self {
        Self {
            name: name.into(),
            life: AtomicU64::new(PINNED | USE),
            seen: AtomicU64::new(0),
            drawn: Place::default(),
        }
    }

    /// Pins it, if it is not closed.
    pub(super) fn pin(&self) -> bool {
        let before = self.life.fetch_add(PINNED | USE, Ordering::AcqRel);
        if before & CLOSED != 0 {
            self.life.fetch_sub(PINNED, Ordering::AcqRel);
        }
        before & CLOSED == 0
    }

    /// What its pinner holds.
    pub(super) fn hold(
        self: Arc<Self>,
        generation: u64,
        rule: &[Budget],
        making: Making,
        now: Wall,
    ) -> Pin {
        let second = now.0 / NANOS_PER_SECOND;
        if self.seen.load(Ordering::Relaxed) != second {
            self.seen.store(second, Ordering::Relaxed);
        }
        let drawn = self.drawn_by(generation, rule, making);
        Pin { entry: self, drawn }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.life.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.life.load(Ordering::Acquire) & PINS != 0
    }

    pub(super) fn drawn(&self) -> Option<Arc<Drawn>> {
        self.drawn.get()
    }

    /// Its budgets by the policy `generation`, or by a later one that somebody has seen it by.
    fn drawn_by(&self, generation: u64, rule: &[Budget], making: Making) -> Arc<Drawn> {
        loop {
            let current = self.drawn.get();
            if let Some(current) = current.as_ref().filter(|own| own.generation >= generation) {
                return Arc::clone(current);
            }
            let own = current.as_ref().map_or(&[][..], |current| &current.budgets);
            let budget = |wanted: &Budget| {
                let is_same =
                    |own: &&Budget| (own.unit, own.period) == (wanted.unit, wanted.period);
                if let Some(own) = own.iter().find(is_same) {
                    return Budget { fund: Arc::clone(&own.fund), ..wanted.clone() };
                }
                let fund =
                    Fund::new(wanted.period, wanted.limit, making.cores, making.is_journaled);
                if making.is_journaled && making.is_shared && wanted.unit == Unit::Money {
                    fund.share();
                }
                let made = Budget { fund: Arc::new(fund), ..wanted.clone() };
                made.take_effect();
                made
            };
            let budgets = rule.iter().map(budget).collect();
            let next = Arc::new(Drawn { generation, name: Arc::clone(&self.name), budgets });
            if self.drawn.exchange(current.as_ref(), Arc::clone(&next)) {
                if current.is_some() {
                    self.give_terms(&next);
                }
                return next;
            }
        }
    }

    /// Gives the funds the terms of `drawn`, or of whatever has taken its place meanwhile.
    fn give_terms(&self, drawn: &Arc<Drawn>) {
        let mut given = Arc::clone(drawn);
        loop {
            given.budgets.iter().for_each(Budget::take_effect);
            match self.drawn.get() {
                Some(latest) if !Arc::ptr_eq(&latest, &given) => given = latest,
                _ => return,
            }
        }
    }

    /// Closes it if nobody draws on it and nothing is forgotten with it.
    pub(super) fn leave(&self, now: Wall, leave: &mut dyn FnMut(&Leaving<'_>)) {
        let life = self.life.load(Ordering::Acquire);
        let idle = (now.0 / NANOS_PER_SECOND).saturating_sub(self.seen.load(Ordering::Relaxed));
        if life & (PINS | CLOSED) != 0 || idle < IDLE_SECONDS {
            return;
        }
        let Some(drawn) = self.drawn.get() else { return };
        let mut levels = Vec::with_capacity(drawn.budgets.len());
        for budget in &drawn.budgets {
            let last = budget.fund.last_level(now, &budget.calendar);
            let level = last.unwrap_or_else(|| budget.level(now));
            let is_empty = level.spent == 0 && level.held == 0;
            let is_known = budget.fund.is_journaled() && idle >= LONG_IDLE_SECONDS;
            if last.is_none() && !is_empty && !is_known {
                return;
            }
            levels.push(level);
        }
        let closed =
            self.life.compare_exchange(life, CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if closed {
            for (budget, level) in drawn.budgets.iter().zip(levels) {
                leave(&Leaving { scope: &self.name, budget, level });
            }
        }
    }
}
