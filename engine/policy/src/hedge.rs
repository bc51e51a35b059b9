//! When a second attempt is worth its price, and how many there may be.
//!
//! In: how long first tokens took to come, requests that might have a second attempt, the share of them that the policy
//! allows. Out: the time behind which an answer is late, and leave for one more attempt. Remembered: how long first tokens of
//! a target took ([`Firsts`]), and what requests have earned and second attempts spent ([`Bucket`]).
//!
//! A request is late when 95 of 100 would have had their first token. That counts attempts that were given up as if their
//! first token had come at that moment: without them, what is slow would never be seen, and every answer would be late. The
//! more requests are late, the later late is; and whatever the times say, there are no more second attempts than the
//! bucket holds, so that a provider in trouble is not asked twice for everything.
//! The method is that of "The Tail at Scale" (<https://research.google/pubs/the-tail-at-scale/>).

use std::time::Duration;

use crate::atomic::{AtomicU64, Ordering};

/// Samples without which nothing is known of a target.
pub const SAMPLES_MIN: u64 = 20;

/// At so many samples all count half, so that what is old fades.
const SAMPLES_MAX: u64 = 1024;

/// Second attempts that may be saved up.
pub const SAVED_MAX: u64 = 10;

/// Four to each doubling, from 128 microseconds to more than two minutes.
const BUCKETS: usize = 84;
const FIRST_BITS: u32 = 7;

/// How long the first tokens of one target took, over all cores. Relaxed throughout: a sample that a race loses is one of many.
#[derive(Debug)]
pub struct Firsts {
    counts: [AtomicU64; BUCKETS],
    total: AtomicU64,
}

impl Default for Firsts {
    fn default() -> Self {
        Self { counts: std::array::from_fn(|_| AtomicU64::new(0)), total: AtomicU64::new(0) }
    }
}

impl Firsts {
    /// A first token took so long, or had not come after so long.
    pub fn observe(&self, took: Duration) {
        self.counts[place(took)].fetch_add(1, Ordering::Relaxed);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        let halved = || {
            let half = total / 2;
            self.total.compare_exchange(total, half, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if total >= SAMPLES_MAX && halved() {
            for count in &self.counts {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
    }

    /// The time within which 95 of 100 came, rounded up to the next of `BUCKETS`; `None` while little is known.
    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        let counts: Vec<u64> =
            self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total < SAMPLES_MIN {
            return None;
        }
        let wanted = (total * 95).div_ceil(100);
        let mut below = 0;
        let hit = counts.iter().position(|count| {
            below += count;
            below >= wanted
        });
        hit.map(end)
    }
}

fn place(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1 << FIRST_BITS);
    let bits = us.ilog2();
    let quarter = (us >> (bits - 2)) & 3;
    let place = u64::from(bits - FIRST_BITS) * 4 + quarter;
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Where a bucket ends.
fn end(place: usize) -> Duration {
    let next = place as u64 + 1;
    Duration::from_micros(((4 + next % 4) << (next / 4)) << (FIRST_BITS - 2))
}

/// What one second attempt costs of the bucket; a request earns the policy's percentage.
const COST: u64 = 100;

/// Second attempts that one model may make. It begins with none.
#[derive(Debug, Default)]
pub struct Bucket {
    saved: AtomicU64,
    made: AtomicU64,
    won: AtomicU64,
}

impl Bucket {
    /// Counts a request that might have a second attempt, of which `percent` may.
    pub fn earn(&self, percent: u64) {
        if self.saved.load(Ordering::Relaxed) < SAVED_MAX * COST {
            self.saved.fetch_add(percent, Ordering::Relaxed);
        }
    }

    /// Leave for a second attempt.
    #[must_use]
    pub fn spend(&self) -> bool {
        let take = |saved: u64| saved.checked_sub(COST);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// A second attempt that had leave is not made after all.
    pub fn give_back(&self) {
        self.saved.fetch_add(COST, Ordering::Relaxed);
    }

    /// A second attempt is made.
    pub(crate) fn made(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// A second attempt was the first to answer.
    pub(crate) fn won(&self) {
        self.won.fetch_add(1, Ordering::Relaxed);
    }

    /// How many second attempts were made, and how many of them were the first to answer.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.made.load(Ordering::Relaxed), self.won.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn every_time_has_a_place_that_ends_behind_it() {
        let mut before = 0;
        for us in (0..27).flat_map(|bits| [1_u64 << bits, (1 << bits) + 1, (1 << bits) * 7 / 4]) {
            let took = Duration::from_micros(us);
            let found = place(took);
            assert!(end(found) > took, "{took:?} in {found}, which ends at {:?}", end(found));
            let near = end(found) <= took * 2 || us < 1 << FIRST_BITS;
            assert!(near && (found >= before || us < 1 << FIRST_BITS), "{took:?}");
            before = found;
        }
        assert_eq!(place(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn late_is_what_95_of_100_are_not() {
        let firsts = Firsts::default();
        for n in 0..SAMPLES_MIN - 1 {
            assert_eq!(firsts.p95(), None, "after {n}");
            firsts.observe(ms(10));
        }
        firsts.observe(ms(10));
        let usual = firsts.p95().unwrap();
        assert!(usual > ms(10) && usual <= ms(13), "{usual:?}");
        // Four of a hundred that are slow change nothing, ten do.
        for _ in 0..96 - SAMPLES_MIN {
            firsts.observe(ms(10));
        }
        (0..4).for_each(|_| firsts.observe(ms(900)));
        assert_eq!(firsts.p95(), Some(usual));
        (0..6).for_each(|_| firsts.observe(ms(900)));
        assert!(firsts.p95().unwrap() > ms(900));
    }

    #[test]
    fn what_is_old_fades() {
        let firsts = Firsts::default();
        (0..500).for_each(|_| firsts.observe(ms(900)));
        (0..6000).for_each(|_| firsts.observe(ms(10)));
        assert!(firsts.p95().unwrap() <= ms(13), "{:?}", firsts.p95());
    }

    #[test]
    fn no_more_second_attempts_are_made_than_the_share_that_is_allowed() {
        let bucket = Bucket::default();
        assert!(!bucket.spend(), "it begins with none");
        let mut made = 0;
        for _ in 0..10_000 {
            bucket.earn(5);
            made += u64::from(bucket.spend());
        }
        assert_eq!(made, 500);
        // What was not spent is not saved up without an end.
        (0..1_000_000).for_each(|_| bucket.earn(5));
        assert_eq!((0..100).filter(|_| bucket.spend()).count() as u64, SAVED_MAX);
    }
}
