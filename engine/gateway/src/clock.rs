//! The only clock. Everything below the gateway is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock, in nanoseconds since the process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    /// The moment `nanos` nanoseconds after the process started.
    pub(crate) fn at(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the process started.
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the process started.
    pub(crate) fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The first whole millisecond that is not before this moment.
    pub(crate) fn millis_ceil(self) -> u64 {
        self.0.div_ceil(1_000_000)
    }

    /// `duration` later.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Nanoseconds from `earlier` to here, zero when that is negative.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Reads the clocks of the machine. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// The clock of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub(crate) fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// Now, on the monotonic clock.
    pub(crate) fn now(&self) -> Instant {
        Instant(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Now, on the wall clock, as nanoseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub(crate) fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
