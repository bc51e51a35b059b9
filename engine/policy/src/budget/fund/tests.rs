//! One fund on one thread: its rules one by one, and the obvious version beside it.

use proptest::prelude::*;

use super::*;

const CORES: usize = 3;
const HOUR: u64 = 3_600_000_000_000;

fn fund(limit: u64) -> Fund {
    Fund::new(Period::Hour, limit, CORES, false)
}

fn utc() -> Calendar {
    Calendar::default()
}

fn take(fund: &Fund, core: usize, n: u64, now: u64) -> Option<Lot> {
    fund.take(core, n, Wall(now), &utc()).ok()
}

fn claimed(fund: &Fund) -> u64 {
    CLAIMS.amount(fund.claimed.load(Ordering::Relaxed))
}

#[test]
fn the_last_unit_is_had_whoever_asks_and_no_more() {
    let fund = fund(1000);
    for core in 0..CORES {
        let lot = take(&fund, core, 300, 1).unwrap();
        fund.settle(core, lot, 300, Wall(1));
    }
    // 100 are left, some of them in cells.
    assert!(fund.cells.iter().any(|cell| cell.free(1) > 0));
    let Err(Short::Exhausted(level)) = fund.take(1, 101, Wall(2), &utc()) else { panic!("had") };
    assert_eq!((level.limit, level.spent, level.held, level.left()), (1000, 900, 0, 100));
    assert_eq!(level.resets(), Some(Wall(HOUR)));
    let lot = take(&fund, 1, 100, 2).unwrap();
    assert_eq!(take(&fund, 0, 1, 2), None);
    fund.settle(1, lot, 40, Wall(2));
    assert_eq!(fund.left(Wall(2), &utc()), 60);
    assert_eq!(take(&fund, 2, 60, 2).unwrap().amount, 60);
}

#[test]
fn each_window_begins_anew_and_what_is_left_of_the_last_is_worth_nothing() {
    let fund = fund(1000);
    let old = take(&fund, 0, 900, 1).unwrap();
    assert_eq!(take(&fund, 1, 101, 1), None);
    let new = take(&fund, 1, 1000, HOUR).unwrap();
    // The old lot ends in the new window: nothing of it comes back, nothing of it counts.
    fund.settle(0, old, 100, Wall(HOUR));
    assert_eq!(take(&fund, 0, 1, HOUR), None);
    let level = fund.level(Wall(HOUR), &utc());
    assert_eq!((level.spent, level.held), (0, 1000));
    fund.settle(1, new, 1000, Wall(HOUR));
    // An old lot that used more than it held leaves the new window alone.
    let old = take(&fund, 0, 10, 2 * HOUR).unwrap();
    assert_eq!(take(&fund, 1, 1000, 3 * HOUR).unwrap().amount, 1000);
    fund.settle(0, old, 500, Wall(3 * HOUR));
    assert_eq!(claimed(&fund), 1000);
    assert_eq!(fund.level(Wall(3 * HOUR), &utc()).overrun, 490);
}

#[test]
fn a_clock_that_is_set_back_opens_no_window() {
    let fund = fund(10);
    let lot = take(&fund, 0, 10, HOUR + 1).unwrap();
    fund.settle(0, lot, 10, Wall(5));
    assert_eq!(take(&fund, 0, 1, 5), None);
    assert_eq!(fund.level(Wall(5), &utc()).window.end, Wall(2 * HOUR));
}

#[test]
fn what_was_used_beyond_what_was_held_is_claimed_and_stops_the_next() {
    let fund = fund(1000);
    let (a, b) = (take(&fund, 0, 100, 1).unwrap(), take(&fund, 1, 100, 1).unwrap());
    fund.settle(0, a, 950, Wall(1));
    // 1050 are used or held: what lay in the cells is gone, and what comes back is kept by no cell.
    assert_eq!(take(&fund, 2, 1, 1), None);
    fund.settle(1, b, 60, Wall(1));
    let level = fund.level(Wall(1), &utc());
    assert_eq!((level.spent, level.held, level.overrun), (1010, 0, 850));
    assert_eq!((take(&fund, 1, 1, 1), claimed(&fund)), (None, 1010));
}

#[test]
fn a_soft_limit_counts_and_never_refuses() {
    let fund = fund(100);
    fund.set(100, None, true);
    let lot = take(&fund, 0, 5000, 1).unwrap();
    fund.settle(0, lot, 4000, Wall(1));
    let level = fund.level(Wall(1), &utc());
    assert_eq!((level.spent, level.percent(), level.left()), (4000, 4000, 0));
    fund.set(100, None, false);
    assert_eq!(take(&fund, 0, 1, 1), None);
}

#[test]
fn a_raise_ends_when_it_ends_and_takes_its_leases_along() {
    let fund = fund(100);
    fund.set(100, Some(Raise { to: 10_000, until: Wall(50) }), false);
    let lot = take(&fund, 0, 101, 1).unwrap();
    fund.settle(0, lot, 101, Wall(1));
    assert!(fund.cells[0].free(1) > 0, "the raise is leased");
    assert_eq!(take(&fund, 0, 1, 50), None);
    let level = fund.level(Wall(50), &utc());
    assert_eq!((level.limit, level.spent, level.left()), (100, 101, 0));
    // What is raised again is had again, from wherever it lies.
    fund.set(100, Some(Raise { to: 110, until: Wall(90) }), false);
    assert_eq!(take(&fund, 1, 9, 51).unwrap().amount, 9);
    assert_eq!(take(&fund, 0, 1, 51), None);
}

#[test]
fn a_lowered_limit_holds_at_once_and_a_higher_one_too() {
    let fund = fund(10_000);
    let lot = take(&fund, 0, 50, 1).unwrap();
    assert!(fund.cells[0].free(1) > 0);
    fund.set(50, None, false);
    assert_eq!((take(&fund, 0, 1, 1), claimed(&fund)), (None, 50));
    fund.settle(0, lot, 20, Wall(1));
    assert_eq!(claimed(&fund), 20);
    assert_eq!(take(&fund, 1, 30, 1).unwrap().amount, 30);
    fund.set(51, None, false);
    assert_eq!(take(&fund, 0, 1, 1).unwrap().amount, 1);
}

#[test]
fn nothing_is_claimed_before_it_is_granted() {
    let fund = Fund::new(Period::Hour, 1000, CORES, true);
    fund.add_spent(Window::ALWAYS, 0);
    assert_eq!(fund.take(0, 600, Wall(1), &utc()), Err(Short::Ungranted));
    let grant = fund.asks(Wall(1), &utc()).unwrap();
    assert_eq!(grant.up_to, 600);
    fund.grant(&grant);
    let lot = take(&fund, 0, 600, 1).unwrap();
    assert_eq!(fund.take(1, 1, Wall(1), &utc()), Err(Short::Ungranted));
    assert!(matches!(fund.take(1, 401, Wall(1), &utc()), Err(Short::Exhausted(_))));
    // Four rounds' use would be 2400: there are only 400, and a quarter of them is asked for.
    let grant = fund.asks(Wall(1), &utc()).unwrap();
    assert_eq!(grant.up_to, 700);
    fund.grant(&grant);
    assert_eq!(fund.asks(Wall(1), &utc()), None);
    // A grant is of its window.
    fund.settle(0, lot, 600, Wall(1));
    assert_eq!(fund.take(0, 1, Wall(HOUR), &utc()), Err(Short::Ungranted));
    fund.grant(&grant);
    assert_eq!(fund.take(0, 1, Wall(HOUR), &utc()), Err(Short::Ungranted));
    let grant = fund.asks(Wall(HOUR), &utc()).unwrap();
    assert_eq!(grant.window, utc().window(Period::Hour, Wall(HOUR)));
    fund.grant(&grant);
    assert!(take(&fund, 0, 1, HOUR).is_some());
}

#[test]
fn what_was_used_before_a_fund_was_made_counts_before_anything_is_granted() {
    let fund = Fund::new(Period::Hour, 1000, CORES, true);
    let window = fund.level(Wall(HOUR), &utc()).window;
    assert_eq!(fund.take(0, 10, Wall(HOUR), &utc()), Err(Short::Ungranted));
    assert!(fund.wants_telling() && !fund.wants_telling(), "one asker alone");
    assert_eq!(fund.asks(Wall(HOUR), &utc()), None, "nothing is asked for before it is told");
    fund.ask_again();
    assert!(fund.wants_telling());
    fund.add_spent(window, 980);
    assert!(!fund.wants_telling());
    let level = fund.level(Wall(HOUR), &utc());
    assert_eq!((level.spent, level.held, level.left()), (980, 0, 20));
    fund.grant(&fund.asks(Wall(HOUR), &utc()).unwrap());
    assert!(matches!(fund.take(1, 21, Wall(HOUR), &utc()), Err(Short::Exhausted(_))));
    assert_eq!(fund.level(Wall(2 * HOUR), &utc()).spent, 0, "it is of its window alone");
    let late = Fund::new(Period::Hour, 1000, CORES, true);
    let window = late.level(Wall(HOUR), &utc()).window;
    assert_eq!(late.level(Wall(2 * HOUR), &utc()).spent, 0);
    late.add_spent(window, 1000);
    assert_eq!(late.level(Wall(2 * HOUR), &utc()).left(), 1000, "that window is over");
}

#[test]
fn what_was_used_before_the_start_counts_in_its_window() {
    let fund = fund(1000);
    fund.restore(utc().window(Period::Hour, Wall(HOUR)), 990);
    assert_eq!(take(&fund, 1, 11, HOUR + 1), None);
    assert_eq!(fund.level(Wall(HOUR + 1), &utc()).spent, 990);
    assert_eq!(take(&fund, 1, 10, HOUR + 1).unwrap().amount, 10);
    assert_eq!(take(&fund, 1, 1000, 2 * HOUR).unwrap().amount, 1000);
    let total = Fund::new(Period::Total, 1000, CORES, false);
    total.restore(Window::ALWAYS, 999);
    assert_eq!(take(&total, 0, 1, u64::MAX - 1).unwrap().amount, 1);
    assert_eq!(take(&total, 0, 1, u64::MAX - 1), None);
    assert_eq!(total.level(Wall(1), &utc()).resets(), None);
}

/// The obvious version: one thread, no cells, a list of lots.
#[derive(Default)]
struct Twin {
    end: u64,
    spent: u64,
    held: u64,
}

#[derive(Clone, Debug)]
enum Op {
    Take { core: usize, n: u64 },
    Settle { which: usize, used: u64 },
    Wait { nanos: u64 },
    Limit { limit: u64, is_soft: bool },
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..CORES, prop_oneof![0_u64..40, 0_u64..3000]).prop_map(|(core, n)| Op::Take { core, n }),
        8 => (any::<usize>(), prop_oneof![0_u64..40, 0_u64..3000])
            .prop_map(|(which, used)| Op::Settle { which, used }),
        1 => (0..HOUR).prop_map(|nanos| Op::Wait { nanos }),
        1 => (1_u64..8000, prop::bool::weighted(0.2))
            .prop_map(|(limit, is_soft)| Op::Limit { limit, is_soft }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Every answer is the one that the obvious version gives: nothing too much, no refusal that is not true.
    #[test]
    fn cells_and_leases_change_no_answer(limit in 1_u64..8000, ops in prop::collection::vec(ops(), 1..200)) {
        let fund = fund(limit);
        let (mut limit, mut is_soft, mut now) = (limit, false, 1);
        let mut twin = Twin { end: HOUR, ..Twin::default() };
        let mut lots: Vec<(usize, Lot, u64)> = Vec::new();
        for op in ops {
            match op {
                Op::Take { core, n } => {
                    let is_free = is_soft || n == 0 || twin.spent + twin.held + n <= limit;
                    let lot = take(&fund, core, n, now);
                    prop_assert_eq!(lot.is_some(), is_free, "{} of {}", n, limit);
                    if let Some(lot) = lot {
                        lots.push((core, lot, twin.end));
                        twin.held += n;
                    }
                }
                Op::Settle { which, used } => {
                    if lots.is_empty() {
                        continue;
                    }
                    let (core, lot, end) = lots.swap_remove(which % lots.len());
                    fund.settle(core, lot, used, Wall(now));
                    if end == twin.end {
                        twin.held -= lot.amount;
                        twin.spent += used;
                    }
                }
                Op::Wait { nanos } => {
                    now += nanos;
                    if now >= twin.end {
                        twin = Twin { end: now / HOUR * HOUR + HOUR, ..Twin::default() };
                        // Looked at, so that both have the same window.
                        let _ = fund.left(Wall(now), &utc());
                    }
                }
                Op::Limit { limit: other, is_soft: soft } => {
                    (limit, is_soft) = (other, soft);
                    fund.set(limit, None, is_soft);
                }
            }
            let level = fund.level(Wall(now), &utc());
            prop_assert_eq!((level.spent, level.held), (twin.spent, twin.held));
            let within = claimed(&fund) <= limit.max(twin.spent + twin.held);
            prop_assert!(is_soft || within, "cells keep what is not there");
        }
    }
}
