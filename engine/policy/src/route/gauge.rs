//! How busy and how slow one target is, as this process has seen it. One [`Gauge`] a target, shared by all cores.
//!
//! In: requests that begin and end there, how long answers took to begin, the present. Out: requests under way, and a delay.
//! Remembered: both, in a word each.
//!
//! The delay is a peak-sensitive moving average: one slow answer raises it at once, quicker ones bring it down over
//! [`FADE`]. A target that is not asked is forgotten at the same pace, so that a slow one is tried again in time. Both words
//! are relaxed: each is right by itself, and a race of two observations loses one of them.
//! The method is that of Finagle's balancer: <https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-peak-ewma>

use std::time::Duration;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
    hedge::Firsts,
    limiter::Limiter,
};

/// How long it takes until a delay counts for a third (1/e) of what it was.
pub const FADE: Duration = Duration::from_secs(10);

/// How busy and how slow one target is.
#[derive(Debug)]
pub struct Gauge {
    under_way: AtomicU64,
    /// Microseconds in the upper half, zero: nothing is known; when they were noted in the lower, in milliseconds that wrap
    /// after 49 days.
    delay: AtomicU64,
    /// How long first tokens took, where that is measured.
    pub firsts: Firsts,
    /// How many requests at a time it takes, where that is limited.
    pub limiter: Limiter,
}

impl Default for Gauge {
    fn default() -> Self {
        Self {
            under_way: AtomicU64::new(0),
            delay: AtomicU64::new(0),
            firsts: Firsts::default(),
            limiter: Limiter::default(),
        }
    }
}

impl Gauge {
    /// A request begins.
    pub fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that began has ended.
    pub fn end(&self) {
        let before = self.under_way.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a request ends that has not begun");
    }

    /// Whether there is room for another request.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.limiter.has_room(self.under_way())
    }

    /// Requests under way.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// An answer took so long to begin.
    pub fn observe(&self, took: Duration, now: Nanos) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let word = self.delay.load(Ordering::Relaxed);
        let known = u32::try_from(word >> 32).unwrap_or(u32::MAX);
        let next = if known == 0 || took >= faded(word, now) {
            took
        } else {
            let weight = fade(word, now);
            blend(known, weight, took)
        };
        self.delay.store(u64::from(next) << 32 | stamp(now), Ordering::Relaxed);
    }

    /// How long answers take to begin, in microseconds; `None` when nothing is known.
    #[must_use]
    pub fn delay_us(&self, now: Nanos) -> Option<u32> {
        let word = self.delay.load(Ordering::Relaxed);
        (word >> 32 != 0).then(|| faded(word, now))
    }

    /// What a further request would meet: the delay, once for each request under way and once for itself.
    ///
    /// A target of which nothing is known is worth a try, but only one at a time.
    #[must_use]
    pub fn strain(&self, now: Nanos) -> u64 {
        let under_way = self.under_way();
        match self.delay_us(now) {
            Some(delay) => u64::from(delay).saturating_mul(under_way.saturating_add(1)),
            None if under_way == 0 => 0,
            None => (u64::MAX >> 1).saturating_add(under_way),
        }
    }
}

const MASK_32: u64 = 0xffff_ffff;

fn stamp(now: Nanos) -> u64 {
    (now.0 / 1_000_000) & MASK_32
}

/// What an observation noted in `word` still counts for.
fn fade(word: u64, now: Nanos) -> f64 {
    let passed = stamp(now).wrapping_sub(word) & MASK_32;
    // A core that is a little behind sees what was noted in its future.
    let passed = if passed > MASK_32 / 2 { 0 } else { passed };
    let passed = Duration::from_millis(passed);
    (-passed.as_secs_f64() / FADE.as_secs_f64()).exp()
}

fn faded(word: u64, now: Nanos) -> u32 {
    blend(u32::try_from(word >> 32).unwrap_or(u32::MAX), fade(word, now), 0)
}

/// `weight` of one and the rest of the other.
fn blend(one: u32, weight: f64, other: u32) -> u32 {
    let blended = f64::from(one) * weight + f64::from(other) * (1.0 - weight);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between two numbers of 32 bits"
    )]
    let whole = blended.round() as u32;
    whole.max(1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Nanos {
        Nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_fades() {
        let gauge = Gauge::default();
        assert_eq!(gauge.delay_us(at(0)), None);
        gauge.observe(Duration::from_millis(5), at(1));
        assert_eq!(gauge.delay_us(at(1)), Some(5000));
        gauge.observe(Duration::from_millis(300), at(1));
        assert_eq!(gauge.delay_us(at(1)), Some(300_000), "a peak is taken as it is");
        gauge.observe(Duration::from_millis(5), at(1));
        assert_eq!(gauge.delay_us(at(1)), Some(300_000), "one quick answer does not undo it");
        for second in 2..=11 {
            gauge.observe(Duration::from_millis(5), at(second));
        }
        let delay = gauge.delay_us(at(11)).unwrap();
        assert!((80_000..140_000).contains(&delay), "{delay}: about a third after {FADE:?}");
    }

    #[test]
    fn a_target_that_is_not_asked_is_forgotten() {
        let gauge = Gauge::default();
        gauge.observe(Duration::from_millis(300), at(0));
        let after = |seconds| gauge.delay_us(at(seconds)).unwrap();
        assert_eq!(after(0), 300_000);
        assert!(after(10) < 120_000 && after(60) < 1000 && after(10_000) == 1);
        // What another core noted a moment ahead is not a month old.
        gauge.observe(Duration::from_millis(300), at(100));
        assert_eq!(gauge.delay_us(at(99)), Some(300_000));
    }

    #[test]
    fn load_multiplies_the_delay_and_the_unknown_is_tried_once() {
        let (gauge, new) = (Gauge::default(), Gauge::default());
        gauge.observe(Duration::from_millis(2), at(0));
        assert_eq!((gauge.strain(at(0)), new.strain(at(0))), (2000, 0));
        gauge.begin();
        new.begin();
        assert_eq!(gauge.strain(at(0)), 4000);
        assert!(new.strain(at(0)) > gauge.strain(at(0)));
        gauge.end();
        new.end();
        assert_eq!((gauge.under_way(), new.strain(at(0))), (0, 0));
    }
}
