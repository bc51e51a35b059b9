//! Failures of one target, counted in one word.
//!
//! 16 bits each: failures less successes, failures in a row. 32 bits: when the row began, in milliseconds, wrapping after
//! 49 days; the word beside it says when the last failure was.

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
};

use super::{ROW_FEW, ROW_SPAN};

/// The tally of one target.
#[derive(Debug, Default)]
pub(super) struct Tally {
    word: AtomicU64,
    last: AtomicU64,
}

/// What the tally says after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    score: u64,
    row: u64,
    began: u64,
    now: u64,
}

impl Count {
    /// Whether that is enough to open.
    pub(super) fn opens(self, failures: u64) -> bool {
        let span = self.now.wrapping_sub(self.began) & MASK_32;
        let long = u128::from(span) >= ROW_SPAN.as_millis();
        self.score >= failures.min(MASK_16) || (self.row >= u64::from(ROW_FEW) && long)
    }

    fn read(word: u64, now: u64) -> Self {
        Self { score: word & MASK_16, row: (word >> 16) & MASK_16, began: word >> 32, now }
    }

    fn word(self) -> u64 {
        self.score | (self.row << 16) | (self.began << 32)
    }
}

const MASK_16: u64 = 0xffff;
const MASK_32: u64 = 0xffff_ffff;

impl Tally {
    /// Counts a failure; earlier ones are forgotten when the last is older than `window`.
    pub(super) fn failure(&self, now: Nanos, window: u64) -> Count {
        let last = self.last.fetch_max(now.0, Ordering::AcqRel);
        let stale = now.0.saturating_sub(last) > window;
        let millis = (now.0 / 1_000_000) & MASK_32;
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let mut count = if stale { Count::read(0, millis) } else { Count::read(word, millis) };
            if count.row == 0 {
                count.began = millis;
            }
            count.score = (count.score + 1).min(MASK_16);
            count.row = (count.row + 1).min(MASK_16);
            match self.swap(word, count.word()) {
                Ok(()) => return count,
                Err(found) => word = found,
            }
        }
    }

    /// Counts a success. Nothing is written while there are no failures to make up for.
    pub(super) fn success(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & MASK_32 != 0 {
            let score = (word & MASK_16).saturating_sub(1);
            match self.swap(word, score) {
                Ok(()) => return,
                Err(found) => word = found,
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.word.store(0, Ordering::Release);
    }

    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        self.word.compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Relaxed).map(|_| ())
    }
}
