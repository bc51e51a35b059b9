//! Holds over several budgets: all or none, once, whatever happens.

use std::rc::Rc;

use super::*;

const NOW: Wall = Wall(1);
const TOMORROW: Wall = Wall(86_400_000_000_000);

fn purse(limits: &[(Unit, u64)]) -> Rc<[Budget]> {
    limits.iter().map(|(unit, limit)| Budget::new(*unit, Period::Day, *limit, 2)).collect()
}

fn money(nanos: u64) -> Cost {
    Cost { money: NanoUsd(nanos), tokens: nanos * 10, requests: 1 }
}

fn levels(purse: &[Budget], now: Wall) -> Vec<(u64, u64)> {
    purse.iter().map(|budget| budget.level(now)).map(|level| (level.spent, level.held)).collect()
}

fn reserve(purse: &Rc<[Budget]>, cost: Cost) -> Result<Hold<Rc<[Budget]>>, Denied> {
    Hold::reserve(Rc::clone(purse), 0, cost, NOW).map_err(|(denied, _)| denied)
}

#[test]
fn all_budgets_or_none() {
    let purse = purse(&[
        (Unit::Money, 100),
        (Unit::Tokens, 10_000),
        (Unit::Requests, 1),
        (Unit::Money, 50),
    ]);
    let denied = reserve(&purse, money(51)).unwrap_err();
    assert_eq!((denied.index, denied.asked), (3, 51));
    assert_eq!(levels(&purse, NOW), [(0, 0); 4]);
    let hold = reserve(&purse, money(50)).unwrap();
    assert_eq!(levels(&purse, NOW), [(0, 50), (0, 500), (0, 1), (0, 50)]);
    let denied = reserve(&purse, Cost { money: NanoUsd(0), tokens: 0, requests: 1 }).unwrap_err();
    assert_eq!(denied.index, 2);
    hold.settle(money(20), NOW);
    assert_eq!(levels(&purse, NOW), [(20, 0), (200, 0), (1, 0), (20, 0)]);
}

#[test]
fn a_dropped_hold_is_released_until_it_was_sent_and_charged_in_full_after() {
    let purse = purse(&[(Unit::Money, 100), (Unit::Requests, 5)]);
    drop(reserve(&purse, money(30)).unwrap());
    assert_eq!(levels(&purse, NOW), [(0, 0), (0, 0)]);
    let mut hold = reserve(&purse, money(30)).unwrap();
    hold.sent();
    drop(hold);
    assert_eq!(levels(&purse, NOW), [(30, 0), (1, 0)]);
    let mut hold = reserve(&purse, money(30)).unwrap();
    hold.sent();
    hold.unsent();
    drop(hold);
    let mut hold = reserve(&purse, money(30)).unwrap();
    hold.sent();
    hold.release(NOW);
    assert_eq!(levels(&purse, NOW), [(30, 0), (1, 0)]);
}

#[test]
fn a_hold_grows_and_shrinks_in_all_budgets() {
    let purse = purse(&[(Unit::Money, 100), (Unit::Money, 60)]);
    let mut hold = reserve(&purse, money(40)).unwrap();
    assert_eq!(hold.extend(money(21), NOW).unwrap_err().index, 1);
    assert_eq!(levels(&purse, NOW), [(0, 40), (0, 40)]);
    hold.extend(money(20), NOW).unwrap();
    assert_eq!((hold.held(Unit::Money), hold.held(Unit::Tokens)), (Some(60), None));
    hold.shrink_to(money(10), NOW);
    assert_eq!(levels(&purse, NOW), [(0, 10), (0, 10)]);
    hold.shrink_to(money(500), NOW);
    hold.settle(money(12), NOW);
    assert_eq!(levels(&purse, NOW), [(12, 0), (12, 0)]);
    assert_eq!(purse[0].level(NOW).overrun, 2);
}

#[test]
fn a_hold_over_midnight_pays_with_the_old_day_first() {
    let purse = purse(&[(Unit::Money, 100)]);
    let mut hold = reserve(&purse, money(100)).unwrap();
    hold.extend(money(60), TOMORROW).unwrap();
    assert_eq!(hold.held(Unit::Money), Some(160));
    assert_eq!(levels(&purse, TOMORROW), [(0, 60)]);
    // Down to 130: the old day's hundred and thirty of the new one's.
    hold.shrink_to(money(130), TOMORROW);
    assert_eq!(levels(&purse, TOMORROW), [(0, 30)]);
    hold.settle(money(115), TOMORROW);
    assert_eq!(levels(&purse, TOMORROW), [(15, 0)]);
    // All of it fits into the old day.
    let mut hold = Hold::reserve(&*purse, 0, money(50), TOMORROW).unwrap();
    let day_after = Wall(2 * TOMORROW.0);
    hold.extend(money(10), day_after).unwrap();
    hold.settle(money(45), day_after);
    assert_eq!(levels(&purse, day_after), [(0, 0)]);
}

#[test]
fn more_budgets_than_fit_without_an_allocation_are_all_held() {
    let purse = purse(&[(Unit::Money, 100); 11]);
    let mut hold = reserve(&purse, money(10)).unwrap();
    hold.extend(money(10), NOW).unwrap();
    assert_eq!(levels(&purse, NOW), [(0, 20); 11]);
    hold.settle(money(15), NOW);
    assert_eq!(levels(&purse, NOW), [(15, 0); 11]);
}

#[test]
fn what_costs_nothing_passes_an_exhausted_budget_and_its_use_is_counted() {
    let purse = purse(&[(Unit::Money, 10)]);
    reserve(&purse, money(10)).unwrap().settle(money(10), NOW);
    let hold = reserve(&purse, Cost { requests: 1, ..Cost::default() }).unwrap();
    hold.settle(money(3), NOW);
    assert_eq!(levels(&purse, NOW), [(13, 0)]);
    let hold = Hold::reserve(&*purse, 1, Cost::default(), TOMORROW).unwrap();
    hold.settle(money(3), TOMORROW);
    assert_eq!(levels(&purse, TOMORROW), [(3, 0)]);
}

#[test]
fn a_share_is_warned_of_once_in_a_window() {
    let mut budget = Budget::new(Unit::Money, Period::Day, 100, 1);
    budget.warn_at = vec![50, 80];
    let purse: Rc<[Budget]> = Rc::new([budget]);
    let spend = |n, now| {
        let hold = Hold::reserve(Rc::clone(&purse), 0, money(n), now).unwrap();
        hold.settle(money(n), now);
        purse[0].warns(now)
    };
    assert_eq!([spend(49, NOW), spend(1, NOW), spend(29, NOW)], [None, Some(50), None]);
    assert_eq!([spend(10, NOW), spend(1, NOW)], [Some(80), None]);
    assert_eq!([spend(90, TOMORROW), spend(1, TOMORROW)], [Some(80), None]);
}
