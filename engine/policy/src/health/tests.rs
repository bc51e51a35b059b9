//! Breakers, second by second.

use super::*;

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 10,
    window: Duration::from_secs(10),
    open: Duration::from_secs(1),
    open_max: Duration::from_secs(8),
};

fn millis(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

fn breaker() -> Breaker {
    Breaker::new(SETTINGS)
}

/// Sends and reports failures from `start` on, one each `step` milliseconds, until nothing passes; how many there were.
fn fail_until_open(breaker: &Breaker, start: u64, step: u64) -> (u64, u64) {
    for count in 0..1000 {
        let now = millis(start + count * step);
        match breaker.pass(now) {
            Ok(pass) => breaker.failed(pass, now),
            Err(_) => return (count, start + count * step),
        }
    }
    panic!("a target that only fails must open its breaker");
}

#[test]
fn a_dead_target_is_left_alone_after_few_failures_or_half_a_second() {
    for step in [0, 1, 10, 50, 99, 100, 200] {
        let (failures, at) = fail_until_open(&breaker(), 77, step);
        assert!(failures <= 10, "{failures} failures, one each {step} ms");
        let last = at - 77 - step;
        assert!(failures <= 5 || last <= 500 + step, "{last} ms, one failure each {step}");
    }
}

#[test]
fn more_than_half_failing_opens_and_fewer_do_not() {
    let run = |failing: u64| {
        let breaker = breaker();
        (0..2000_u64).any(|turn| {
            let now = millis(turn * 10);
            let Ok(pass) = breaker.pass(now) else { return true };
            if turn * 7 % 10 < failing {
                breaker.failed(pass, now)
            } else {
                breaker.succeeded(pass, now)
            }
            false
        })
    };
    assert!(run(7), "70 % failing");
    assert!(!run(3), "30 % failing");
}

#[test]
fn old_failures_are_forgotten() {
    let breaker = breaker();
    for turn in 0..4 {
        breaker.failed(Pass::Free, millis(turn));
    }
    breaker.failed(Pass::Free, millis(10_004));
    assert_eq!(breaker.health(millis(10_004)), Health::Closed);
}

#[test]
fn one_probe_at_a_time_and_success_closes() {
    let breaker = breaker();
    let (_, at) = fail_until_open(&breaker, 0, 0);
    assert_eq!(at, 0);
    assert_eq!(breaker.pass(millis(999)), Err(millis(1000)));
    assert_eq!(breaker.health(millis(1000)), Health::HalfOpen);
    assert_eq!(breaker.pass(millis(1000)), Ok(Pass::Probe));
    assert_eq!(breaker.health(millis(1000)), Health::Probing);
    assert!(breaker.pass(millis(1001)).is_err_and(|until| until > millis(1001)));
    breaker.succeeded(Pass::Probe, millis(1002));
    assert_eq!(breaker.pass(millis(1002)), Ok(Pass::Free));
}

#[test]
fn a_failed_probe_opens_for_twice_as_long_up_to_the_longest() {
    let breaker = breaker();
    fail_until_open(&breaker, 0, 0);
    let mut now = 1000;
    for length in [2000, 4000, 8000, 8000] {
        assert_eq!(breaker.pass(millis(now)), Ok(Pass::Probe));
        breaker.failed(Pass::Probe, millis(now));
        assert_eq!(breaker.pass(millis(now)), Err(millis(now + length)));
        now += length;
    }
    assert_eq!(breaker.pass(millis(now)), Ok(Pass::Probe));
    breaker.succeeded(Pass::Probe, millis(now));
    // Failing again at once goes on where it was; after a long time of health it begins anew.
    fail_until_open(&breaker, now, 0);
    assert_eq!(breaker.pass(millis(now)), Err(millis(now + 8000)));
    now += 8000;
    assert_eq!(breaker.pass(millis(now)), Ok(Pass::Probe));
    breaker.succeeded(Pass::Probe, millis(now));
    now += 8001;
    fail_until_open(&breaker, now, 0);
    assert_eq!(breaker.pass(millis(now)), Err(millis(now + 1000)));
}

#[test]
fn a_lost_probe_lets_the_next_one_try() {
    let breaker = breaker();
    fail_until_open(&breaker, 0, 0);
    let probe = breaker.pass(millis(1000)).unwrap();
    breaker.cancel(probe);
    assert_eq!(breaker.pass(millis(1000)), Ok(Pass::Probe));
}

#[test]
fn what_was_sent_before_it_opened_says_nothing() {
    let breaker = breaker();
    fail_until_open(&breaker, 0, 0);
    breaker.failed(Pass::Free, millis(900));
    breaker.succeeded(Pass::Free, millis(900));
    breaker.cancel(Pass::Free);
    assert_eq!(breaker.pass(millis(999)), Err(millis(1000)));
    assert_eq!(breaker.pass(millis(1000)), Ok(Pass::Probe));
}

#[test]
fn a_rest_is_as_long_as_asked_for_up_to_a_minute() {
    let breaker = breaker();
    breaker.rest(Duration::from_secs(7), millis(0));
    breaker.rest(Duration::from_secs(3), millis(0));
    assert_eq!(breaker.pass(millis(6999)), Err(millis(7000)));
    assert_eq!(breaker.health(millis(6999)), Health::Resting(millis(7000)));
    assert_eq!(breaker.pass(millis(7000)), Ok(Pass::Free));
    breaker.rest(Duration::from_secs(3600), millis(7000));
    assert_eq!(breaker.pass(millis(66_999)), Err(millis(67_000)));
    assert_eq!(breaker.pass(millis(67_000)), Ok(Pass::Free));
}
