//! When requests are due, and which.
//!
//! In: a rate or a number of connections. Out: intended send times, and an index into the kinds of
//! requests. Times do not depend on what the gateway does: that is what makes the loop open.

use std::time::Duration;

use super::scenario::{Arrivals, Scenario};
use crate::clock::Nanos;

/// A small generator of random numbers (SplitMix64), the same on every run.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// A number from 0 up to but not including 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.next() >> 32).expect("thirty-two bits are left");
        f64::from(bits) / 4_294_967_296.0
    }
}

/// The intended times of an open loop.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: Nanos,
    gap_seconds: f64,
    arrivals: Arrivals,
    random: Random,
    start: Nanos,
    elapsed_seconds: f64,
}

impl Schedule {
    /// The schedule of `rate` requests a second from `start` on.
    pub(crate) fn new(rate: f64, arrivals: Arrivals, seed: u64, start: Nanos) -> Schedule {
        let random = Random::new(seed);
        let gap_seconds = 1.0 / rate;
        Schedule { next: start, gap_seconds, arrivals, random, start, elapsed_seconds: 0.0 }
    }

    /// When the next request is due.
    pub(crate) fn next(&self) -> Nanos {
        self.next
    }

    /// Takes one request that is due before `now`.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<Nanos> {
        if self.next >= now {
            return None;
        }
        let due = self.next;
        // Summed from the start, so that rounding does not shift the rate.
        self.elapsed_seconds += match self.arrivals {
            Arrivals::Even => self.gap_seconds,
            Arrivals::Poisson => -(1.0 - self.random.unit()).ln() * self.gap_seconds,
        };
        self.next = self.start.after(Duration::from_secs_f64(self.elapsed_seconds));
        Some(due)
    }
}

/// Picks kinds of requests in proportion to their weights.
#[derive(Debug)]
pub(crate) struct Mix {
    /// The weight of each kind and all before it.
    sums: Vec<u64>,
    random: Random,
}

impl Mix {
    pub(crate) fn new(scenario: &Scenario) -> Mix {
        let weights = scenario.requests.iter().map(|request| u64::from(request.weight));
        let add = |sum: &mut u64, weight: u64| {
            *sum += weight;
            Some(*sum)
        };
        Mix { sums: weights.scan(0, add).collect(), random: Random::new(!scenario.seed) }
    }

    pub(crate) fn pick(&mut self) -> usize {
        if self.sums.len() == 1 {
            return 0;
        }
        let total = self.sums.last().copied().unwrap_or(1).max(1);
        let place = self.random.next() % total;
        self.sums.partition_point(|sum| *sum <= place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(arrivals: Arrivals, seconds: u64) -> usize {
        let mut schedule = Schedule::new(1000.0, arrivals, 7, Nanos(0));
        let mut before = Nanos(0);
        let end = Nanos(seconds * 1_000_000_000);
        std::iter::from_fn(|| {
            let due = schedule.due(end)?;
            assert!(due >= before, "time runs forwards");
            before = due;
            Some(due)
        })
        .count()
    }

    #[test]
    fn the_rate_is_kept() {
        assert_eq!(count(Arrivals::Even, 10), 10_000);
        let poisson = count(Arrivals::Poisson, 100);
        assert!((99_000..101_000).contains(&poisson), "{poisson}");
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut schedule = Schedule::new(10.0, Arrivals::Even, 7, Nanos(5));
        assert_eq!(schedule.due(Nanos(5)), None);
        assert_eq!(schedule.due(Nanos(6)), Some(Nanos(5)));
        assert_eq!(schedule.due(Nanos(7)), None);
        assert_eq!(schedule.next(), Nanos(100_000_005));
    }

    #[test]
    fn the_mix_follows_the_weights() {
        let text = "name='x'\nabout=''\nconnections=1\nwarmup='0s'\nduration='1s'\n\
                    [[requests]]\nweight=3\n[[requests]]\nweight=0\n[[requests]]\nweight=1\n";
        let mut mix = Mix::new(&Scenario::parse(text).unwrap());
        let mut counts = [0; 3];
        (0..40_000).for_each(|_| counts[mix.pick()] += 1);
        assert_eq!(counts[1], 0);
        assert!((29_000..31_000).contains(&counts[0]), "{counts:?}");
    }
}
