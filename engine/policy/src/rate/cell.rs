//! What one core has of a pool: units to hand out, and uses not yet moved to the pool's mark.
//!
//! The owner reads and writes it all the time; other cores only ever empty it.

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
};

/// One core's part of a pool.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// Units to hand out. Counted in the pool's `held`.
    free: AtomicU64,
    /// Units used. Counted in the pool's `held` until they are in its mark.
    used: AtomicU64,
    /// When the first of the uses happened.
    first: AtomicU64,
    /// When the last of the uses happened, or later.
    last: AtomicU64,
}

impl Cell {
    /// Takes `n` of the free units, if they are there.
    pub(super) fn take(&self, n: u64) -> bool {
        let mut free = self.free.load(Ordering::Relaxed);
        while let Some(rest) = free.checked_sub(n) {
            match self.free.compare_exchange_weak(free, rest, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => free = found,
            }
        }
        false
    }

    /// Takes all free units.
    pub(super) fn take_all(&self) -> u64 {
        if self.free() == 0 { 0 } else { self.free.swap(0, Ordering::AcqRel) }
    }

    /// Adds free units.
    pub(super) fn put(&self, n: u64) {
        if n > 0 {
            self.free.fetch_add(n, Ordering::AcqRel);
        }
    }

    /// Adds uses; returns how many there are now. Only the owner may.
    pub(super) fn note(&self, n: u64, now: Nanos) -> u64 {
        if self.used() == 0 {
            self.first.store(now.0, Ordering::Relaxed);
        }
        if self.last().0 < now.0 {
            self.last.store(now.0, Ordering::Relaxed);
        }
        self.used.fetch_add(n, Ordering::AcqRel).saturating_add(n)
    }

    /// Takes all uses, and when the last of them happened.
    pub(super) fn take_used(&self) -> (u64, Nanos) {
        let used = self.used.swap(0, Ordering::AcqRel);
        (used, self.last())
    }

    /// Nanoseconds over which the uses in it would spread with one more at `now`; zero when there are none.
    pub(super) fn spans(&self, now: Nanos) -> u64 {
        if self.used() == 0 { 0 } else { now.0.saturating_sub(self.first.load(Ordering::Relaxed)) }
    }

    /// Units to hand out.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Uses not yet moved.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// When the last use happened.
    pub(super) fn last(&self) -> Nanos {
        Nanos(self.last.load(Ordering::Relaxed))
    }
}
