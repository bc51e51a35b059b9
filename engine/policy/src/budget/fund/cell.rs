//! What one core has of a fund: units to hand out, and a count of those used.
//!
//! The owner reads and writes it all the time; other cores only ever empty it.

use super::word::LEASE;
use crate::{
    atomic::{AtomicU64, Ordering},
    time::Wall,
};

/// One core's part of a fund.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// Units to hand out, and of which window. Counted in the fund's claims of that window.
    lease: AtomicU64,
    /// The number of that window. Written by the owner alone, as are those below.
    number: AtomicU64,
    /// Until when the lease may be used: the end of the window, or of a raise.
    until: AtomicU64,
    /// Units used in that window.
    spent: AtomicU64,
}

impl Cell {
    /// Takes `n` units, if they are there and still good at `now`; returns the number of their window. Only the owner may.
    pub(super) fn take(&self, n: u64, now: Wall) -> Option<u64> {
        if now.0 >= self.until.load(Ordering::Relaxed) {
            return None;
        }
        let mut lease = self.lease.load(Ordering::Relaxed);
        loop {
            LEASE.amount(lease).checked_sub(n)?;
            let swapped = self.lease.compare_exchange_weak(
                lease,
                lease - n,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return Some(self.number()),
                Err(found) => lease = found,
            }
        }
    }

    /// Puts `n` units of the cell's window back, unless that makes more than `max` or they are good no longer. Only the owner
    /// may.
    pub(super) fn put(&self, n: u64, max: u64, now: Wall) -> bool {
        let free = LEASE.amount(self.lease.load(Ordering::Relaxed));
        let fits = free.checked_add(n).is_some_and(|sum| sum <= max);
        if !fits || now.0 >= self.until.load(Ordering::Relaxed) {
            return false;
        }
        // Others only take: the sum still fits.
        self.lease.fetch_add(n, Ordering::AcqRel);
        true
    }

    /// Takes all units of window `number`. Those of an earlier one are worth nothing and stay.
    ///
    /// Writes in any case: what the caller wrote before is seen by an owner who puts something in later.
    pub(super) fn take_all(&self, number: u64) -> u64 {
        let mut lease = self.lease.load(Ordering::Relaxed);
        loop {
            let taken = if LEASE.is_of(lease, number) { LEASE.amount(lease) } else { 0 };
            let swapped = self.lease.compare_exchange_weak(
                lease,
                lease - taken,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return taken,
                Err(found) => lease = found,
            }
        }
    }

    /// Begins with `n` units of a window that are good until then. Only the owner may, after it has taken all.
    pub(super) fn begin(&self, number: u64, n: u64, until: Wall) {
        if self.number() != number {
            self.spent.store(0, Ordering::Relaxed);
            self.number.store(number, Ordering::Release);
        }
        self.until.store(until.0, Ordering::Relaxed);
        self.lease.swap(LEASE.pack(number, n), Ordering::AcqRel);
    }

    /// Counts `n` used units of the cell's window. Only the owner may.
    pub(super) fn note(&self, n: u64) {
        let spent = self.spent.load(Ordering::Relaxed);
        self.spent.store(spent.saturating_add(n), Ordering::Relaxed);
    }

    /// The number of the window that it is of.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Units of window `number` to hand out.
    pub(super) fn free(&self, number: u64) -> u64 {
        let lease = self.lease.load(Ordering::Acquire);
        if LEASE.is_of(lease, number) { LEASE.amount(lease) } else { 0 }
    }

    /// Units of window `number` used.
    pub(super) fn spent(&self, number: u64) -> u64 {
        if self.number() == number { self.spent.load(Ordering::Relaxed) } else { 0 }
    }
}
