//! Every interleaving of two cores at one scope, and of a core with the thread that sweeps.

use std::sync::Arc;

use loom::thread;

use super::{Pin, Rule, Table};
use crate::{
    budget::{Budget, Period, Unit},
    time::Wall,
};

const HOUR: u64 = 3_600_000_000_000;

fn rule(limit: u64) -> Rule {
    [Budget::new(Unit::Money, Period::Hour, limit, 1)].into()
}

fn pin(table: &Table, name: &str, generation: u64, rule: &Rule) -> Option<Pin> {
    pin_at(table, name, generation, rule, 1)
}

fn pin_at(table: &Table, name: &str, generation: u64, rule: &Rule, now: u64) -> Option<Pin> {
    table.pin(name, (generation, rule), 8, Wall(now))
}

fn fund_is_one(one: &Pin, other: &Pin) -> bool {
    Arc::ptr_eq(&one.drawn().budgets[0].fund, &other.drawn().budgets[0].fund)
}

/// The first requests of a scope share its fund.
#[test]
fn loom_crowd_first_requests_share_one_fund() {
    loom::model(|| {
        let (table, rule) = (Arc::new(Table::new(1)), rule(5));
        let (other, others) = (Arc::clone(&table), Arc::clone(&rule));
        let thread = thread::spawn(move || pin(&other, "user/a", 1, &others).unwrap());
        let mine = pin(&table, "user/a", 1, &rule).unwrap();
        let theirs = thread.join().unwrap();
        assert!(fund_is_one(&mine, &theirs));
        assert_eq!(table.count(), 1);
    });
}

/// Two policies see a scope at the same time: one fund, and the later policy's limit.
#[test]
fn loom_crowd_the_later_policy_holds() {
    loom::model(|| {
        let (table, first, second) = (Arc::new(Table::new(1)), rule(5), rule(7));
        let (other, others) = (Arc::clone(&table), Arc::clone(&first));
        let thread = thread::spawn(move || pin(&other, "user/a", 1, &others).unwrap());
        let mine = pin(&table, "user/a", 2, &second).unwrap();
        let theirs = thread.join().unwrap();
        assert!(fund_is_one(&mine, &theirs));
        let again = pin(&table, "user/a", 1, &first).unwrap();
        assert_eq!(again.drawn().budgets[0].level(Wall(1)).limit, 7);
    });
}

/// A scope is swept while a request comes: the request draws on what all later ones draw on.
#[test]
fn loom_crowd_what_is_swept_is_not_drawn_on() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let (table, rule) = (Arc::new(Table::new(1)), rule(5));
        drop(pin(&table, "user/a", 1, &rule));
        let (other, others) = (Arc::clone(&table), Arc::clone(&rule));
        let thread = thread::spawn(move || pin_at(&other, "user/a", 1, &others, 2 * HOUR).unwrap());
        table.sweep(Wall(2 * HOUR), &mut |_| {});
        let theirs = thread.join().unwrap();
        let last = pin_at(&table, "user/a", 1, &rule, 2 * HOUR).unwrap();
        assert!(fund_is_one(&last, &theirs));
        assert_eq!(table.count(), 1);
    });
}
