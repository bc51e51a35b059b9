//! What may be tried again, how soon, and how often the process allows it.
//!
//! In: what became of an attempt, the policy's [`Retries`], random numbers, the present. Out: a [`Class`] for each outcome,
//! a wait, or no more retries. Remembered: a [`RetryBudget`] for the whole process, so that a failing provider does not
//! get its traffic multiplied.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::{
    atomic::{AtomicU64, Ordering},
    fault::Fault,
    policy::Retries,
    time::nanos,
};

mod after;

pub use after::retry_after;

/// The longest `Retry-After` that a request waits for, whatever the policy allows.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Attempts that may follow one after which the provider may have been at work.
pub const AMBIGUOUS_RETRIES_MAX: u32 = 1;

/// Waits of one request, at most; each of them is within the policy's longest.
pub const WAITS_MAX: u32 = 8;

/// Retries that the process may make before it has served anything.
pub const BUDGET_RESERVE: u64 = 100;

/// What one retry costs of the budget; a request earns the policy's percentage.
const RETRY_COST: u64 = 100;

/// What an outcome means for the target and for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The target did its work; the answer is the client's.
    Served,
    /// The target is busy: it may be tried again, not before it said.
    Busy,
    /// The target failed: another one first.
    Failing,
    /// The target failed in a way that trying it again cannot mend: another one, or nothing.
    Broken,
    /// Nothing was learned about the target, and nothing is tried again.
    Ended,
}

impl Class {
    /// The class of an answer with this status.
    ///
    /// Tried again: 408, 429, 500, 502, 503, 504, 529 (Anthropic's "overloaded") and 520 to 524 (an edge that cannot reach
    /// its origin). 401 and 403 mean that the gateway's own key is no good there. Everything else is an answer.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Busy,
            408 | 500 | 502..=504 | 520..=524 | 529 => Self::Failing,
            401 | 403 => Self::Broken,
            _ => Self::Served,
        }
    }

    /// The class of an attempt without an answer.
    #[must_use]
    pub const fn of_fault(fault: Fault) -> Self {
        match fault {
            // Its deadline would only pass once more.
            Fault::FirstByteTimeout | Fault::UpstreamKeyRefused => Self::Broken,
            _ if fault.is_retryable() => Self::Failing,
            _ => Self::Ended,
        }
    }
}

/// The longest wait that the policy and the gateway allow before an attempt.
#[must_use]
pub fn wait_max(retries: &Retries) -> Duration {
    retries.backoff_max.min(RETRY_AFTER_MAX)
}

/// How long to wait before a target is tried for the `round`-th time again: any time up to an exponentially growing bound
/// ("full jitter", <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[must_use]
pub fn backoff(retries: &Retries, round: u32, random: u64) -> Duration {
    let doubled = nanos(retries.backoff).saturating_mul(1 << round.saturating_sub(1).min(20));
    let bound = doubled.min(nanos(wait_max(retries)));
    let scaled = (u128::from(bound) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(bound))
}

/// Retries that the process allows itself: a share of its requests, and [`BUDGET_RESERVE`] to begin with.
///
/// Each core earns and spends in its own cell, and spends from the others' when that is empty. Relaxed throughout: every
/// cell is one counter that nothing else depends on, and no order between two of them matters.
#[derive(Debug)]
pub struct RetryBudget {
    cells: Box<[CachePadded<AtomicU64>]>,
    cell_max: u64,
}

impl RetryBudget {
    /// A full budget for `cores` cores.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let cores = cores.max(1);
        let cell_max = (BUDGET_RESERVE / cores as u64).max(1) * RETRY_COST;
        let cells = (0..cores).map(|_| CachePadded::new(AtomicU64::new(cell_max))).collect();
        Self { cells, cell_max }
    }

    /// Counts a request of `core`, which allows `percent` of a retry.
    pub fn earn(&self, core: usize, percent: u32) {
        let cell = &self.cells[core % self.cells.len()];
        if cell.load(Ordering::Relaxed) < self.cell_max {
            cell.fetch_add(u64::from(percent), Ordering::Relaxed);
        }
    }

    /// Pays for a retry; false when there is nothing to pay with.
    #[must_use]
    pub fn spend(&self, core: usize) -> bool {
        let count = self.cells.len();
        let pay = |cell: &AtomicU64| {
            cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |had| {
                had.checked_sub(RETRY_COST)
            })
            .is_ok()
        };
        (0..count).any(|offset| pay(&self.cells[(core + offset) % count]))
    }

    /// Retries that could be made now.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.cells.iter().map(|cell| cell.load(Ordering::Relaxed) / RETRY_COST).sum()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries {
        attempts: 3,
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        budget_percent: 10,
    };

    #[test]
    fn clients_mistakes_are_never_tried_again() {
        for status in (400..500).filter(|status| ![401, 403, 408, 429].contains(status)) {
            assert_eq!(Class::of_status(status), Class::Served, "{status}");
        }
        for status in [408, 500, 502, 503, 504, 529] {
            assert_eq!(Class::of_status(status), Class::Failing, "{status}");
        }
        assert_eq!(Class::of_status(429), Class::Busy);
        assert_eq!(Class::of_status(501), Class::Served);
    }

    #[test]
    fn waits_grow_up_to_the_longest_and_start_at_nothing() {
        assert_eq!(backoff(&RETRIES, 1, 0), Duration::ZERO);
        for (round, most) in [(1, 100), (2, 200), (3, 400), (7, 5000), (99, 5000)] {
            let longest = backoff(&RETRIES, round, u64::MAX);
            assert!(longest <= Duration::from_millis(most), "{round}: {longest:?}");
            assert!(longest >= Duration::from_millis(most - 1), "{round}: {longest:?}");
        }
    }

    #[test]
    fn retries_stay_within_the_budget_on_any_number_of_cores() {
        for cores in [1, 2, 7, 300] {
            let budget = RetryBudget::new(cores);
            let reserve = budget.left();
            assert!(
                reserve >= BUDGET_RESERVE.min(cores as u64)
                    && reserve <= BUDGET_RESERVE.max(cores as u64)
            );
            let requests = 10_000;
            let mut retries = 0;
            for request in 0..requests {
                budget.earn(request % cores, 10);
                // Every request would be tried twice again.
                retries += u64::from(budget.spend(request % cores));
                retries += u64::from(budget.spend(request % cores));
            }
            assert!(retries <= requests as u64 / 10 + reserve, "{retries} with {cores} cores");
            assert!(retries >= requests as u64 / 10, "{retries} with {cores} cores");
        }
    }
}
