//! A look at a fund, for refusals, headers and figures.

use super::{CLAIMS, Fund, TURN, grant::before};
use crate::{
    atomic::Ordering,
    budget::window::{Calendar, Window},
    time::Wall,
};

/// What has become of a budget's units. While cores are at work the numbers may be of instants next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Units that may be used in the window.
    pub limit: u64,
    /// Units used.
    pub spent: u64,
    /// Units that requests hold.
    pub held: u64,
    /// Units of these that are not this gateway's: others have used them, or have leased them.
    pub elsewhere: u64,
    /// The window; its end is when all of it is there again.
    pub window: Window,
    /// Units used beyond what was held for them, since the process was started.
    pub overrun: u64,
}

impl Level {
    /// Units that can be had.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.held)
    }

    /// When the window ends; `None` for one that never does.
    #[must_use]
    pub fn resets(&self) -> Option<Wall> {
        (self.window.end != Wall::MAX).then_some(self.window.end)
    }

    /// The share of the limit that is used, in whole percent, rounded down.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let hundredths = u128::from(self.spent) * 100 / u128::from(self.limit.max(1));
        u64::try_from(hundredths).unwrap_or(u64::MAX)
    }
}

impl Fund {
    /// What has become of its units at `now`.
    #[must_use]
    pub fn level(&self, now: Wall, calendar: &Calendar) -> Level {
        let turn = self.turn(now, calendar);
        let claimed = self.claims(turn.number).map_or(0, |word| CLAIMS.amount(word));
        let sum = |of: fn(&super::Cell, u64) -> u64| {
            self.cells.iter().map(|cell| of(cell, turn.number)).fold(0, u64::saturating_add)
        };
        let (spent, free) = (sum(super::Cell::spent), sum(super::Cell::free));
        let earlier = self.before.load(Ordering::Acquire);
        let earlier = if CLAIMS.is_of(earlier, turn.number) { CLAIMS.amount(earlier) } else { 0 };
        let spent = spent.saturating_add(earlier);
        let held = claimed.saturating_sub(free).saturating_sub(spent);
        let (others_spent, others_held) = self.shared.others(turn.number);
        let start = calendar.window(self.period, before(turn.end)).start;
        Level {
            limit: self.limit(now),
            spent: spent.saturating_add(others_spent),
            held: held.saturating_add(others_held),
            elsewhere: others_spent.saturating_add(others_held),
            window: Window { start, end: turn.end },
            overrun: self.overrun.load(Ordering::Relaxed),
        }
    }

    /// What became of its last window, if that is over at `now` and nobody has opened the next.
    pub(crate) fn last_level(&self, now: Wall, calendar: &Calendar) -> Option<Level> {
        let end = super::Turn::read(self.turn.load(Ordering::Acquire)).end;
        (end <= now).then(|| self.level(before(end), calendar))
    }

    /// Units that could be taken at `now`, over all cores.
    #[must_use]
    pub fn left(&self, now: Wall, calendar: &Calendar) -> u64 {
        self.level(now, calendar).left()
    }

    /// Whether no share as high as `share`, in percent, has been told of in the window; notes it.
    pub(in crate::budget) fn tell_once(&self, share: u64, now: Wall, calendar: &Calendar) -> bool {
        let told = TURN.pack(self.turn(now, calendar).number, share.min(TURN.max()));
        self.told.fetch_max(told, Ordering::AcqRel) < told
    }

    /// How long what is used counts.
    #[must_use]
    pub fn period(&self) -> super::Period {
        self.period
    }
}
