//! How many requests one target takes at a time, learned from how long its answers take to begin.
//!
//! In: answers, with how long they took to begin and how many requests were under way; refusals for lack of room; the
//! present. Out: whether there is room for another request. Remembered: the limit, the time that answers take when nothing
//! waits, and sums of the window that is open.
//!
//! Every [`WINDOW`] the mean time of its answers is held against the time without a queue. While it is below [`TOLERANCE`]
//! times that, and the limit is used, the limit grows by its square root (by half, while nothing waits at all); above, it shrinks by as much as answers have become
//! slower, to a half at most, halfway each time. So it comes to rest where a request waits about half as long as it is
//! worked on. The time without a queue is the least mean that was seen; every [`PROBE_EVERY`] windows the limit is halved for
//! two, and that time is measured anew: else a target that has become slower for good would count as busy for ever.
//! This is the gradient algorithm of Netflix's concurrency-limits
//! (<https://github.com/Netflix/concurrency-limits>, `GradientLimit`, which probes likewise).
//!
//! Relaxed throughout: one core closes a window, what others add meanwhile may fall into either, and a limit that is checked
//! before a request begins can be exceeded by one request for each core.

use std::time::Duration;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
    time::nanos,
};

/// How long answers are gathered before the limit is changed.
pub const WINDOW: Duration = Duration::from_millis(500);

/// Answers without which a window says nothing.
pub const WINDOW_ANSWERS_MIN: u64 = 5;

/// How much longer than without a queue an answer may take, in tenths.
pub const TOLERANCE: u64 = 15;

/// Windows between two measurements of the time without a queue.
pub const PROBE_EVERY: u64 = 120;

/// The fewest requests at a time that a limit comes down to.
pub const LIMIT_MIN: u64 = 4;

/// The limit is kept in thousandths.
const WHOLE: u64 = 1000;

/// One target's limit. It has none until [`Limiter::set`] gives it a most.
#[derive(Debug)]
pub struct Limiter {
    /// Zero: there is no limit.
    max: AtomicU64,
    limit: AtomicU64,
    /// The time without a queue, in microseconds; zero: not known.
    base: AtomicU64,
    opened: AtomicU64,
    sum: AtomicU64,
    count: AtomicU64,
    /// The most requests under way in this window.
    peak: AtomicU64,
    /// Answers that said there was no room.
    refused: AtomicU64,
    windows: AtomicU64,
    shed: AtomicU64,
}

impl Default for Limiter {
    fn default() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            max: word(),
            limit: word(),
            base: word(),
            opened: word(),
            sum: word(),
            count: word(),
            peak: word(),
            refused: word(),
            windows: word(),
            shed: word(),
        }
    }
}

impl Limiter {
    /// At most so many requests at a time; `None`: any number.
    pub fn set(&self, max: Option<u64>) {
        let max = max.unwrap_or(0);
        if self.max.swap(max, Ordering::Relaxed) != max {
            // It begins with few, so that the time without a queue is the first that it learns.
            self.limit.store(LIMIT_MIN.min(max) * WHOLE, Ordering::Relaxed);
            self.base.store(0, Ordering::Relaxed);
        }
    }

    /// Requests at a time that it takes now; `None`: any number.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        let max = self.max.load(Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed) / WHOLE;
        (max != 0).then(|| limit.clamp(LIMIT_MIN.min(max), max))
    }

    /// Whether there is room for a request beside those under way.
    #[must_use]
    pub fn has_room(&self, under_way: u64) -> bool {
        self.limit().is_none_or(|limit| under_way < limit)
    }

    /// A request was turned away for lack of room.
    pub fn shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were turned away.
    #[must_use]
    pub fn shed_count(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// An answer took so long to begin, with so many requests under way, itself included.
    pub fn observe(&self, took: Duration, under_way: u64, now: Nanos) {
        if self.max.load(Ordering::Relaxed) == 0 {
            return;
        }
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        self.sum.fetch_add(took, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.peak.fetch_max(under_way, Ordering::Relaxed);
        self.close(now);
    }

    /// The target said that it has no room, or did not answer in time.
    pub fn refused(&self, under_way: u64, now: Nanos) {
        if self.max.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.peak.fetch_max(under_way, Ordering::Relaxed);
        self.close(now);
    }

    fn close(&self, now: Nanos) {
        let opened = self.opened.load(Ordering::Relaxed);
        let seen = self.count.load(Ordering::Relaxed) + self.refused.load(Ordering::Relaxed);
        if now.0.saturating_sub(opened) < nanos(WINDOW) || seen < WINDOW_ANSWERS_MIN {
            return;
        }
        let claim =
            self.opened.compare_exchange(opened, now.0, Ordering::Relaxed, Ordering::Relaxed);
        if claim.is_err() {
            return;
        }
        let take = |word: &AtomicU64| word.swap(0, Ordering::Relaxed);
        let (sum, count) = (take(&self.sum), take(&self.count));
        let (peak, refused) = (take(&self.peak), take(&self.refused));
        let mean = sum.checked_div(count);
        let limit = self.limit.load(Ordering::Relaxed);
        let next = self.next(limit, mean, peak, refused);
        let max = self.max.load(Ordering::Relaxed);
        let next = next.clamp(LIMIT_MIN.min(max) * WHOLE, max * WHOLE);
        self.limit.store(next, Ordering::Relaxed);
    }

    fn next(&self, limit: u64, mean: Option<u64>, peak: u64, refused: u64) -> u64 {
        let shrunk = || limit - limit / 10;
        let Some(mean) = mean else { return shrunk() };
        let windows = self.windows.fetch_add(1, Ordering::Relaxed) + 1;
        let base = self.base.load(Ordering::Relaxed);
        match windows % PROBE_EVERY {
            0 if base != 0 => return limit / 2,
            // What was let in by the limit before is answered in this one; the next one measures.
            1 if base != 0 => return limit,
            2 if base != 0 => {
                self.base.store(mean, Ordering::Relaxed);
                return limit * 2;
            }
            _ if base == 0 || mean < base => self.base.store(mean, Ordering::Relaxed),
            _ => {}
        }
        if refused > 0 {
            return shrunk();
        }
        let base = self.base.load(Ordering::Relaxed).max(1);
        let gradient = (base.saturating_mul(TOLERANCE) * WHOLE / 10 / mean).clamp(WHOLE / 2, WHOLE);
        let is_used = peak * 2 * WHOLE >= limit;
        if gradient == WHOLE && !is_used {
            return limit;
        }
        let grown = match is_used {
            true if mean * 10 <= base * 11 => limit / 2, // nothing waits at all
            true => (limit / WHOLE).isqrt().max(1) * WHOLE,
            false => 0,
        };
        let wanted = limit * gradient / WHOLE + grown;
        (limit + wanted) / 2
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BinaryHeap;

    use super::*;

    /// A server of so many workers, each of which takes so long for a request; what finds none free waits in line.
    struct Server {
        workers: usize,
        service: u64,
        /// When each worker is free, in microseconds.
        free: BinaryHeap<std::cmp::Reverse<u64>>,
    }

    impl Server {
        fn new(workers: usize, service: u64) -> Self {
            let free = (0..workers).map(|_| std::cmp::Reverse(0)).collect();
            Self { workers, service, free }
        }

        /// When a request that comes now is answered.
        fn serve(&mut self, now: u64) -> u64 {
            let free = self.free.pop().unwrap().0;
            let end = free.max(now) + self.service;
            self.free.push(std::cmp::Reverse(end));
            end
        }
    }

    /// What became of a stretch of time.
    #[derive(Debug, Default)]
    struct Told {
        served: u64,
        shed: u64,
        longest: u64,
    }

    /// Requests come to `server` at `rate` a second, for so many seconds, through the limiter.
    struct World {
        limiter: Limiter,
        server: Server,
        now: u64,
        ends: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    }

    impl World {
        fn new(workers: usize, service: u64, max: u64) -> Self {
            let limiter = Limiter::default();
            limiter.set(Some(max));
            Self { limiter, server: Server::new(workers, service), now: 0, ends: BinaryHeap::new() }
        }

        fn run(&mut self, seconds: u64, rate: u64) -> Told {
            let mut told = Told::default();
            let end = self.now + seconds * 1_000_000;
            while self.now < end {
                self.now += 1_000_000 / rate;
                while let Some(std::cmp::Reverse((at, began))) = self.ends.peek().copied()
                    && at <= self.now
                {
                    let under_way = self.ends.len() as u64;
                    self.ends.pop();
                    let took = Duration::from_micros(at - began);
                    self.limiter.observe(took, under_way, Nanos(at * 1000));
                    told.served += 1;
                    told.longest = told.longest.max(at - began);
                }
                if self.limiter.has_room(self.ends.len() as u64) {
                    let at = self.server.serve(self.now);
                    self.ends.push(std::cmp::Reverse((at, self.now)));
                } else {
                    told.shed += 1;
                }
            }
            told
        }

        fn limit(&self) -> u64 {
            self.limiter.limit().unwrap()
        }
    }

    #[test]
    fn at_three_times_what_a_server_can_do_it_does_all_it_can_and_nobody_waits_long() {
        for (workers, max) in [(20, 1000), (20, 16), (4, 500), (100, 2000)] {
            let mut world = World::new(workers, 100_000, max);
            let capacity = workers as u64 * 10;
            world.run(60, capacity * 3);
            let told = world.run(120, capacity * 3);
            let most = (workers as u64).min(max) * 10 * 120;
            assert!(told.served * 100 >= most * 95, "{workers} workers, {max}: {told:?} of {most}");
            // Where there are few workers, one request more is much more.
            let longest = if workers < 10 { 310_000 } else { 250_000 };
            assert!(told.longest <= longest, "{workers} workers, {max}: {told:?}");
            let limit = world.limit();
            assert!(limit <= (workers as u64 * 5 / 2).max(LIMIT_MIN) && limit <= max, "{limit}");
            assert!(told.shed > 0);
        }
    }

    #[test]
    fn with_little_to_do_nothing_is_turned_away() {
        let mut world = World::new(20, 100_000, 200);
        let told = world.run(200, 100);
        assert!(told.shed < 200, "a few while it learns: {told:?}");
        let told = world.run(200, 100);
        assert_eq!(told.shed, 0, "{told:?}");
    }

    #[test]
    fn a_brown_out_brings_the_limit_down_and_its_end_brings_it_back() {
        let mut world = World::new(20, 50_000, 400);
        world.run(20, 300);
        let before = world.limit();
        world.server.service = 500_000;
        world.run(30, 300);
        let during = world.limit();
        assert!(during * 2 <= before, "{before} before, {during} during");
        world.server = Server::new(20, 50_000);
        world.run(60, 300);
        let told = world.run(30, 300);
        assert_eq!(told.shed, 0, "{told:?}, a limit of {}", world.limit());
        assert!(world.server.workers == 20 && told.served >= 300 * 29);
    }

    #[test]
    fn a_server_that_is_slower_for_good_is_not_taken_for_a_busy_one() {
        let mut world = World::new(20, 50_000, 400);
        world.run(60, 1000);
        world.server.service = 200_000; // now it can do 100 a second
        world.run(240, 1000);
        let told = world.run(60, 1000);
        assert!(told.served * 100 >= 100 * 60 * 90, "{told:?}, a limit of {}", world.limit());
    }

    #[test]
    fn refusals_bring_the_limit_down_and_without_a_most_there_is_none() {
        let limiter = Limiter::default();
        limiter.refused(1000, Nanos(0));
        assert!(limiter.limit().is_none() && limiter.has_room(u64::MAX));
        limiter.set(Some(100));
        assert_eq!(limiter.limit(), Some(LIMIT_MIN));
        for window in 1..100 {
            for _ in 0..WINDOW_ANSWERS_MIN {
                limiter.refused(50, Nanos(window * 600_000_000));
            }
        }
        assert_eq!(limiter.limit(), Some(LIMIT_MIN));
        limiter.set(Some(2));
        assert!(limiter.limit() == Some(2) && limiter.has_room(1) && !limiter.has_room(2));
        limiter.set(None);
        assert_eq!(limiter.limit(), None);
    }
}
