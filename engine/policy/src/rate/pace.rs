//! How fast a pool refills, readable by every core while the reload thread changes it.
//!
//! In: an amount, a period, moments. Out: how much has been refilled since the beginning, in *parts* of a unit.
//! A pool chooses the number of parts in a unit once, so that a nanosecond refills a whole number of them whenever the
//! amount and the period allow it (600 a minute: 10⁸ parts a unit, one a nanosecond); where they do not, a part takes less
//! than a 64th of a nanosecond. What has been refilled is computed from where the pace was set, never by adding up, so
//! nothing is lost to rounding.

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
};

/// Parts that a nanosecond refills, at most, where the choice is ours.
const PARTS_PER_NANO_MAX: u64 = 64;

/// The longest period: 4.5 years. Keeps the parts of a whole pool within 63 bits.
const PERIOD_NANOS_MAX: u64 = 1 << 57;

/// Where refilling ends for good. At the pace a pool was made for that is decades away; a pool that gets there, because it
/// was resized to thousands of times its first pace, runs dry rather than open.
const EARNED_MAX: u64 = 1 << 63;

/// One core may set this share of the amount aside for itself.
const LEASE_SHARE: u64 = 50;

/// Uses are merged in a core's cell for this share of the period.
const SPAN_SHARE: u64 = 1000;

/// An amount in a period, and since when it has been so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Units that the pool holds.
    pub(super) amount: u64,
    /// Nanoseconds in which all of them are refilled; zero: never.
    period: u64,
    /// Parts of a unit.
    parts: u64,
    /// What had been refilled at `epoch`, in parts.
    base: u64,
    /// When this rate began.
    epoch: u64,
}

impl Rate {
    pub(super) fn new(amount: u64, period_nanos: u64) -> Self {
        let period = period_nanos.min(PERIOD_NANOS_MAX);
        Self { amount, period, parts: parts(amount, period), base: 0, epoch: 0 }
    }

    /// Parts refilled from the beginning to `now`. Grows with `now`.
    pub(super) fn earned(&self, now: Nanos) -> u64 {
        if self.period == 0 {
            return 0;
        }
        let nanos = u128::from(now.0.saturating_sub(self.epoch));
        let whole = u128::from(self.whole());
        let earned = u64::try_from(nanos * whole / u128::from(self.period)).unwrap_or(EARNED_MAX);
        self.base.saturating_add(earned).min(EARNED_MAX)
    }

    /// Units that may be had at `now`, when `spent` is the pool's mark and `held` units are with somebody.
    pub(super) fn free(&self, spent: u64, held: u64, now: Nanos) -> u64 {
        let owed = spent.saturating_sub(self.earned(now)).div_ceil(self.parts);
        self.amount.saturating_sub(owed).saturating_sub(held)
    }

    /// Nanoseconds from `now` until `n` units are free, if nobody else takes any and nothing held comes back;
    /// `None` when time alone does not help.
    pub(super) fn wait(&self, n: u64, spent: u64, held: u64, now: Nanos) -> Option<u64> {
        let room = self.amount.checked_sub(n)?.checked_sub(held)?;
        let owed = spent.saturating_sub(self.earned(now)).saturating_sub(self.cost(room));
        let whole = u128::from(self.whole());
        if self.period == 0 || whole == 0 {
            return None;
        }
        let nanos = (u128::from(owed) * u128::from(self.period)).div_ceil(whole);
        Some(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// `n` units in parts.
    pub(super) fn cost(&self, n: u64) -> u64 {
        n.saturating_mul(self.parts)
    }

    /// Units that one core may set aside for itself.
    pub(super) fn lease_max(&self) -> u64 {
        self.amount / LEASE_SHARE
    }

    /// Nanoseconds over which uses are merged.
    fn span(&self) -> u64 {
        self.period / SPAN_SHARE
    }

    fn whole(&self) -> u64 {
        self.cost(self.amount)
    }
}

fn parts(amount: u64, period: u64) -> u64 {
    if amount == 0 || period == 0 {
        return 1;
    }
    let common = gcd(amount, period);
    if amount / common <= PARTS_PER_NANO_MAX {
        return period / common;
    }
    let parts = u128::from(PARTS_PER_NANO_MAX) * u128::from(period) / u128::from(amount);
    u64::try_from(parts).unwrap_or(u64::MAX).max(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A [`Rate`] that one thread may change while others read it.
///
/// Two slots: the generation's lowest bit says which one counts. A new rate is written into the other slot, field by field
/// with release stores, and then the generation is raised. A reader that met a half-written slot has therefore seen, with
/// an acquire load, a store that came after a newer generation, finds that generation on its second look, and reads again.
/// Nobody waits for anybody: a reader repeats only when two changes happened while it read.
#[derive(Debug)]
pub(super) struct Pace {
    parts: u64,
    generation: AtomicU64,
    writing: AtomicU64,
    slots: [Slot; 2],
    /// The latest moment that a core came by. A new rate counts from there.
    seen: AtomicU64,
    /// Copies of [`Rate::lease_max`] and [`Rate::span`], for those who need nothing else.
    lease_max: AtomicU64,
    span: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    amount: AtomicU64,
    period: AtomicU64,
    base: AtomicU64,
    epoch: AtomicU64,
}

impl Pace {
    pub(super) fn new(amount: u64, period_nanos: u64) -> Self {
        let rate = Rate::new(amount, period_nanos);
        Self {
            parts: rate.parts,
            generation: AtomicU64::new(0),
            writing: AtomicU64::new(0),
            slots: [Slot::new(&rate), Slot::new(&rate)],
            seen: AtomicU64::new(0),
            lease_max: AtomicU64::new(rate.lease_max()),
            span: AtomicU64::new(rate.span()),
        }
    }

    /// The rate that counts now.
    pub(super) fn read(&self) -> Rate {
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            let slot = &self.slots[usize::from(generation & 1 == 1)];
            let rate = Rate {
                amount: slot.amount.load(Ordering::Acquire),
                period: slot.period.load(Ordering::Acquire),
                parts: self.parts,
                base: slot.base.load(Ordering::Acquire),
                epoch: slot.epoch.load(Ordering::Acquire),
            };
            if self.generation.load(Ordering::Relaxed) == generation {
                return rate;
            }
        }
    }

    /// Notes that a core came by at `now`.
    pub(super) fn see(&self, now: Nanos) {
        // Relaxed: only a moment that was really seen is needed, not the latest.
        if self.seen.load(Ordering::Relaxed) < now.0 {
            self.seen.fetch_max(now.0, Ordering::Relaxed);
        }
    }

    /// Goes on at another rate from the latest moment seen. False, and no change, when another thread is doing the same.
    pub(super) fn set(&self, amount: u64, period_nanos: u64) -> bool {
        if self.writing.swap(1, Ordering::Acquire) == 1 {
            return false;
        }
        let old = self.read();
        let seen = Nanos(self.seen.load(Ordering::Relaxed));
        let period = period_nanos.min(PERIOD_NANOS_MAX);
        if (amount, period) != (old.amount, old.period) {
            let base = old.earned(seen);
            let new = Rate { amount, period, parts: self.parts, base, epoch: seen.0 };
            self.publish(self.generation.load(Ordering::Relaxed) + 1, &new);
            self.lease_max.store(new.lease_max(), Ordering::Relaxed);
            self.span.store(new.span(), Ordering::Relaxed);
        }
        self.writing.store(0, Ordering::Release);
        true
    }

    /// Makes `rate` the one that counts. For the one thread that writes.
    pub(super) fn publish(&self, generation: u64, rate: &Rate) {
        self.slots[usize::from(generation & 1 == 1)].store(rate);
        self.generation.store(generation, Ordering::Release);
    }

    /// Units that one core may set aside for itself.
    pub(super) fn lease_max(&self) -> u64 {
        self.lease_max.load(Ordering::Relaxed)
    }

    /// Nanoseconds over which uses are merged.
    pub(super) fn span(&self) -> u64 {
        self.span.load(Ordering::Relaxed)
    }
}

impl Slot {
    fn new(rate: &Rate) -> Self {
        Self {
            amount: AtomicU64::new(rate.amount),
            period: AtomicU64::new(rate.period),
            base: AtomicU64::new(rate.base),
            epoch: AtomicU64::new(rate.epoch),
        }
    }

    fn store(&self, rate: &Rate) {
        self.amount.store(rate.amount, Ordering::Release);
        self.period.store(rate.period, Ordering::Release);
        self.base.store(rate.base, Ordering::Release);
        self.epoch.store(rate.epoch, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn refilling_is_exact_after_a_year() {
        let rate = Rate::new(600, MINUTE);
        let year = 365 * 24 * 60 * MINUTE;
        assert_eq!(rate.earned(Nanos(year)) / rate.parts, 600 * 365 * 24 * 60);
        assert_eq!(rate.earned(Nanos(year)) % rate.parts, 0);
    }

    #[test]
    fn an_awkward_rate_loses_less_than_a_part() {
        let rate = Rate::new(999_983, MINUTE);
        let day = 24 * 60 * MINUTE;
        let exact = 999_983 * 24 * 60;
        let earned = rate.earned(Nanos(day)).div_ceil(rate.parts);
        assert_eq!(earned, exact);
    }

    #[test]
    fn at_the_end_of_time_it_runs_dry() {
        let rate = Rate { base: EARNED_MAX - 10, ..Rate::new(600, MINUTE) };
        assert_eq!(rate.earned(Nanos(u64::MAX)), EARNED_MAX);
        assert_eq!(rate.free(EARNED_MAX + rate.cost(600), 0, Nanos(u64::MAX)), 0);
    }

    #[test]
    fn the_wait_is_the_first_moment_at_which_there_is_enough() {
        let rate = Rate::new(7, MINUTE);
        let spent = rate.cost(7);
        for n in 1..=7 {
            let wait = rate.wait(n, spent, 0, Nanos(0)).unwrap();
            assert!(rate.free(spent, 0, Nanos(wait)) >= n, "{n} after {wait}");
            assert!(rate.free(spent, 0, Nanos(wait - 1)) < n, "{n} before {wait}");
        }
        assert_eq!(rate.wait(8, spent, 0, Nanos(0)), None);
        assert_eq!(rate.wait(5, spent, 3, Nanos(0)), None);
    }

    #[test]
    fn a_new_rate_goes_on_from_where_the_old_one_was() {
        let pace = Pace::new(60, MINUTE);
        pace.see(Nanos(MINUTE));
        assert!(pace.set(120, MINUTE));
        let rate = pace.read();
        assert_eq!(rate.earned(Nanos(MINUTE)) / rate.parts, 60);
        assert_eq!(rate.earned(Nanos(2 * MINUTE)) / rate.parts, 180);
    }
}
