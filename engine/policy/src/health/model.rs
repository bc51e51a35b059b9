//! Every interleaving of a few threads at a breaker, by loom.

use loom::{sync::Arc, thread};

use super::*;

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 1,
    window: Duration::from_secs(10),
    open: Duration::from_nanos(10),
    open_max: Duration::from_nanos(40),
};

/// Only one of several cores gets the probe; lost or failed, it leaves the breaker usable.
#[test]
fn loom_there_is_one_probe_at_a_time() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(SETTINGS));
        breaker.failed(Pass::Free, Nanos(0));
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.pass(Nanos(10)).ok());
        let passes = [breaker.pass(Nanos(10)).ok(), thread.join().unwrap()];
        assert_eq!(passes.iter().flatten().count(), 1, "{passes:?}");
        passes.into_iter().flatten().for_each(|probe| breaker.cancel(probe));
        assert_eq!(breaker.pass(Nanos(10)), Ok(Pass::Probe));
    });
}

/// Failures that are reported at once open it once, for the first length.
#[test]
fn loom_failures_at_once_open_it_once() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(SETTINGS));
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.failed(Pass::Free, Nanos(0)));
        breaker.failed(Pass::Free, Nanos(0));
        thread.join().unwrap();
        assert_eq!(breaker.pass(Nanos(0)), Err(Nanos(10)));
        assert_eq!(breaker.pass(Nanos(10)), Ok(Pass::Probe));
    });
}

/// A probe that is reported while another core asks: it passes free or not at all, never as a second probe.
#[test]
fn loom_a_closing_breaker_gives_no_second_probe() {
    loom::model(|| {
        let breaker = Arc::new(Breaker::new(SETTINGS));
        breaker.failed(Pass::Free, Nanos(0));
        assert_eq!(breaker.pass(Nanos(10)), Ok(Pass::Probe));
        let other = Arc::clone(&breaker);
        let thread = thread::spawn(move || other.pass(Nanos(11)));
        breaker.succeeded(Pass::Probe, Nanos(11));
        assert_ne!(thread.join().unwrap(), Ok(Pass::Probe));
        assert_eq!(breaker.pass(Nanos(12)), Ok(Pass::Free));
    });
}
