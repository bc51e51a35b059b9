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
        gauge: Arc::default(),
        cost: None,
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
        let reason =
            RouteReason { strategy: Strategy::Order, place, of: 2, cause, again, score: None };
        assert_eq!(reason.text(&targets), expected);
    };
    check(0, None, false, "order 1/2");
    check(1, None, false, "order 2/2");
    check(1, Some((0, Why::Skipped)), false, "order 2/2: p/m0 open");
    check(1, Some((0, Why::Failed(Fault::UpstreamReset))), false, "failover: p/m0 upstream_reset");
    check(0, Some((0, Why::Status(503))), true, "retry: p/m0 status_503");
}

#[test]
fn the_quickest_is_taken_its_load_counted_in() {
    let targets = targets(&[1, 1]);
    let mut route = Route::new(Strategy::Latency, &[0, 1]);
    targets[0].gauge.observe(Duration::from_millis(300), Nanos(0));
    assert_eq!(place(route.pick(&targets, false, Nanos(0), 9)), 1, "what is not known is tried");
    targets[1].gauge.observe(Duration::from_millis(100), Nanos(0));
    for random in [0, u64::MAX / 2, u64::MAX] {
        assert_eq!(place(route.pick(&targets, false, Nanos(0), random)), 1);
    }
    (0..3).for_each(|_| targets[1].gauge.begin());
    assert_eq!(place(route.pick(&targets, false, Nanos(0), 9)), 0, "three wait for the quick one");
    open(&targets[0]);
    let pick = route.pick(&targets, false, Nanos(0), 9);
    assert_eq!(pick, Pick::Take { place: 1, pass: Pass::Free, skipped: Some(0) });
}

#[test]
fn the_least_busy_is_taken_and_of_equals_one_by_lot() {
    let targets = targets(&[1, 1, 1]);
    let mut route = Route::new(Strategy::Load, &[0, 1, 2]);
    targets[1].gauge.begin();
    let mut taken = [0; 3];
    for n in 0..1000_u64 {
        let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        taken[place(route.pick(&targets, false, Nanos(0), random))] += 1;
    }
    assert_eq!(taken[1], 0, "{taken:?}");
    assert!(taken[0] > 400 && taken[2] > 400, "{taken:?}");
    targets[0].gauge.begin();
    targets[0].gauge.begin();
    targets[2].gauge.begin();
    targets[2].gauge.begin();
    assert_eq!(place(route.pick(&targets, false, Nanos(0), 0)), 1);
}

#[test]
fn the_cheapest_is_taken() {
    let mut targets = targets(&[1, 1, 1]);
    for (target, cost) in targets.iter_mut().zip([3, 1, 1]) {
        target.cost = Some(cost);
    }
    let mut route = Route::new(Strategy::Cost, &[0, 1, 2]);
    assert_eq!(place(route.pick(&targets, false, Nanos(0), u64::MAX)), 1, "the first of equals");
    assert_eq!(route.score(&targets, 1, Nanos(0)), Some(Score::Cost(1)));
}

#[test]
fn who_sticks_is_drawn_the_same_and_comes_back() {
    let targets = targets(&[1, 1, 1]);
    let mut homes = [0; 3];
    for n in 0..300_u64 {
        let number = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let route = || Route::new(Strategy::Weighted, &[0, 1, 2]).stick(Some(number));
        let home = place(route().pick(&targets, false, Nanos(0), n));
        for random in 0..5 {
            assert_eq!(place(route().pick(&targets, false, Nanos(0), random)), home);
        }
        assert_eq!(route().foresee(&targets, Nanos(0), 7), Some(home));
        homes[home] += 1;
    }
    assert!(homes.iter().all(|count| *count > 70), "{homes:?}");
    open(&targets[0]);
    let stuck = |n| Route::new(Strategy::Weighted, &[0, 1, 2]).stick(Some(n));
    let away = place(stuck(0).pick(&targets, false, Nanos(0), 1));
    assert_ne!(away, 0);
    assert_eq!(place(stuck(0).pick(&targets, false, Nanos(0), 2)), away, "also while it is down");
    assert_eq!(stuck(0).foresee(&targets, Nanos(2_000_000_000), 1), Some(0), "it is back");
}

#[test]
fn what_is_foreseen_takes_no_probe() {
    let targets = targets(&[1, 1]);
    open(&targets[0]);
    let back = Nanos(2_000_000_000);
    let mut route = Route::new(Strategy::Order, &[0, 1]);
    assert_eq!(route.foresee(&targets, back, 0), Some(0));
    assert_eq!(route.foresee(&targets, back, 0), Some(0));
    let pick = route.pick(&targets, false, back, 0);
    assert_eq!(pick, Pick::Take { place: 0, pass: Pass::Probe, skipped: None });
    assert_eq!(route.foresee(&targets, back, 0), Some(1), "the probe is out");
}
