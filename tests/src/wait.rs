//! Waiting for what should happen, with an end.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// The time after which what has not happened will not: far beyond what a loaded machine needs.
pub const LONG: Duration = Duration::from_secs(20);

/// Looks until `look` finds something.
///
/// Panics after [`LONG`], saying that `what` did not happen.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "within {LONG:?} this did not happen: {what}");
        pause();
    }
}

/// Looks until `look` says yes.
///
/// Panics after [`LONG`], saying that `what` did not happen.
#[track_caller]
pub fn until_true(what: &str, mut look: impl FnMut() -> bool) {
    until(what, || look().then_some(()));
}

/// Whether `look` goes on saying yes for `time`.
pub fn stays(time: Duration, mut look: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while look() {
        if Instant::now() >= end {
            return true;
        }
        pause();
    }
    false
}

/// Lets `time` pass, where time itself is what is tested: a limit refills, a breaker rests.
pub fn pass(time: Duration) {
    stays(time, || true);
}

#[expect(clippy::disallowed_methods, reason = "the one place where looking again is waited for")]
fn pause() {
    std::thread::sleep(PAUSE);
}
