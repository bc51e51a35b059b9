//! The monotonic clock of the machine, in nanoseconds.
//!
//! Unlike `Instant`, its readings can be compared between processes and written into a stream, so
//! the generator can tell how long a chunk travelled.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Reads the clock.
    pub fn now() -> Nanos {
        let time = clock_gettime(ClockId::Monotonic);
        let whole = u64::try_from(time.tv_sec).unwrap_or(0);
        Nanos(whole * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// This moment and `wait` more.
    pub fn after(self, wait: Duration) -> Nanos {
        Nanos(self.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment, zero if it lies behind.
    pub fn since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Seconds since 1970, as the `created` field of an answer has it.
pub fn unix_seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}
