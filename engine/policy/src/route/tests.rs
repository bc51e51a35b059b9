//! Which target is next, and why.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    fault::Fault,
    health::{Breaker, BreakerSettings},
};

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 1,
    window: Duration::from_secs(10),
    open: Duration::from_secs(1),
    open_max: Duration::from_secs(60),
};

fn targets(weights: &[u32]) -> Vec<Target> {
    let target = |(index, weight): (usize, &u32)| Target {
        provider: 0,
        model: format!("m{index}").into(),
        name: format!("p/m{index}").into(),
        breaker: Arc::new(Breaker::new(SETTINGS)),
        weight: *weight,
    };
    weights.iter().enumerate().map(target).collect()
}

fn open(target: &Target) {
    target.breaker.failed(Pass::Free, Nanos(0));
}

fn place(pick: Pick) -> usize {
    match pick {
        Pick::Take { place, .. } => place,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_that_is_well_is_taken() {
    let targets = targets(&[1, 1, 1]);
    let mut route = Route::new(Strategy::Order, &[0, 1, 2]);
    assert_eq!(place(route.pick(&targets, false, Nanos(0), 9)), 0);
    open(&targets[0]);
    let pick = route.pick(&targets, false, Nanos(0), 9);
    assert_eq!(pick, Pick::Take { place: 1, pass: Pass::Free, skipped: Some(0) });
}

#[test]
fn a_failed_target_comes_after_all_others_and_after_a_wait() {
    let targets = targets(&[1, 1]);
    let mut route = Route::new(Strategy::Order, &[0, 1]);
    route.exclude(0);
    assert_eq!(place(route.pick(&targets, true, Nanos(0), 9)), 1);
    route.exclude(1);
    assert_eq!(route.pick(&targets, true, Nanos(0), 9), Pick::BackOff(1));
    assert_eq!(place(route.pick(&targets, true, Nanos(0), 9)), 0);
    assert_eq!(route.pick(&targets, true, Nanos(0), 9), Pick::BackOff(2));
}

#[test]
fn a_barred_target_is_never_taken() {
    let targets = targets(&[1, 1]);
    let mut route = Route::new(Strategy::Order, &[0, 1]);
    route.bar(0);
    route.exclude(1);
    assert_eq!(route.pick(&targets, true, Nanos(0), 9), Pick::BackOff(1));
    assert_eq!(place(route.pick(&targets, true, Nanos(0), 9)), 1);
    route.bar(1);
    assert_eq!(route.pick(&targets, true, Nanos(0), 9), Pick::Nothing);
}

#[test]
fn with_every_breaker_open_the_soonest_is_named() {
    let targets = targets(&[1, 1]);
    targets[0].breaker.rest(Duration::from_secs(9), Nanos(0));
    open(&targets[1]);
    let mut route = Route::new(Strategy::Order, &[0, 1]);
    let second = Nanos(1_000_000_000);
    assert_eq!(route.pick(&targets, false, Nanos(0), 9), Pick::Later(second));
    let within = |latest| route.next_within(&targets, Nanos(0), Nanos(0), latest);
    assert_eq!(within(second), Some(second));
    assert_eq!(within(Nanos(second.0 - 1)), None);
}

#[test]
fn weights_are_kept_among_those_that_are_well() {
    let targets = targets(&[1, 3, 6, 90]);
    open(&targets[3]);
    let mut route = Route::new(Strategy::Weighted, &[0, 1, 2, 3]);
    let mut counts = [0_u32; 4];
    let mut random = 1_u64;
    for _ in 0..100_000 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        counts[place(route.pick(&targets, false, Nanos(0), random))] += 1;
    }
    assert_eq!(counts[3], 0);
    for (count, expected) in counts.iter().zip([10_000_u32, 30_000, 60_000]) {
        assert!(count.abs_diff(expected) < 1500, "{counts:?}");
    }
}

#[test]
fn no_more_targets_are_considered_than_there_are_bits() {
    let targets = targets(&[1; 80]);
    let all: Vec<usize> = (0..80).collect();
    let mut route = Route::new(Strategy::Order, &all);
    for expected in 0..CANDIDATES_MAX {
        assert_eq!(place(route.pick(&targets, false, Nanos(0), 1)), expected);
        route.exclude(expected);
    }
    assert_eq!(route.pick(&targets, false, Nanos(0), 1), Pick::Nothing);
}

#[test]
fn reasons_are_few_words() {
    let targets = targets(&[1, 1]);
    let check = |place, cause: Option<(usize, Why)>, again, expected: &str| {
        let cause = cause.map(|(target, why)| Cause { target, why });
        let reason = RouteReason { strategy: Strategy::Order, place, of: 2, cause, again };
        assert_eq!(reason.text(&targets), expected);
    };
    check(0, None, false, "order 1/2");
    check(1, None, false, "order 2/2");
    check(1, Some((0, Why::Skipped)), false, "order 2/2: p/m0 open");
    check(1, Some((0, Why::Failed(Fault::UpstreamReset))), false, "failover: p/m0 upstream_reset");
    check(0, Some((0, Why::Status(503))), true, "retry: p/m0 status_503");
}
