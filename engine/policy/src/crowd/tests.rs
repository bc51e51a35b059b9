//! The table against one that is a map, and with many threads.

use std::{
    collections::HashMap,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
};

use proptest::prelude::*;

use super::{Pin, Rule, Table};
use crate::{
    budget::{Budget, Calendar, Period, Short, Unit, Window},
    time::Wall,
};

const HOUR: u64 = 3_600_000_000_000;

fn rule(period: Period, limit: u64) -> Rule {
    [Budget::new(Unit::Money, period, limit, 4)].into()
}

fn pin(table: &Table, name: &str, rule: &Rule, now: u64) -> Option<Pin> {
    table.pin(name, (1, rule), 8, Wall(now))
}

fn spend(pin: &Pin, amount: u64, now: u64) -> bool {
    let budget = &pin.drawn().budgets[0];
    match budget.fund.take(0, amount, Wall(now), &budget.calendar) {
        Ok(lot) => {
            budget.fund.settle(0, lot, amount, Wall(now));
            true
        }
        Err(_) => false,
    }
}

fn swept(table: &Table, now: u64) -> Vec<(String, u64)> {
    let mut left = Vec::new();
    table.sweep(Wall(now), &mut |leaving| {
        left.push((leaving.scope.to_owned(), leaving.level.spent));
    });
    left.sort_unstable();
    left
}

#[test]
fn first_requests_of_many_threads_share_one_budget_and_never_exceed_it() {
    const THREADS: usize = 8;
    for round in 0..200 {
        let (table, rule) = (Arc::new(Table::new(THREADS)), rule(Period::Day, 10));
        let (start, taken) = (Barrier::new(THREADS), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for core in 0..THREADS {
                let (table, rule, start, taken) = (&table, &rule, &start, &taken);
                scope.spawn(move || {
                    start.wait();
                    let pin = pin(table, "user/new", rule, HOUR).unwrap();
                    let budget = &pin.drawn().budgets[0];
                    for _ in 0..4 {
                        let lot = budget.fund.take(core, 1, Wall(HOUR), &budget.calendar);
                        taken.fetch_add(lot.map_or(0, |lot| lot.amount), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::Relaxed), 10, "round {round}");
        assert_eq!(table.count(), 1);
    }
}

#[test]
fn where_there_is_no_room_only_what_is_known_is_pinned() {
    let (table, rule) = (Table::new(1), rule(Period::Hour, 10));
    let names: Vec<String> = (0..8).map(|n| format!("user/{n}")).collect();
    for name in &names {
        assert!(spend(&pin(&table, name, &rule, 1).unwrap(), 1, 1));
    }
    assert!(!table.wants_room());
    assert!(pin(&table, "user/8", &rule, 1).is_none());
    assert!(table.wants_room() && !table.wants_room(), "told once");
    assert!(pin(&table, "user/3", &rule, 1).is_some());
    // Their windows are not over; then they are, but one is drawn on.
    assert_eq!(swept(&table, HOUR - 1), []);
    let held = pin(&table, "user/3", &rule, HOUR - 1).unwrap();
    assert_eq!(swept(&table, 2 * HOUR).len(), 7);
    assert_eq!(table.count(), 1);
    assert!(pin(&table, "user/8", &rule, 2 * HOUR).is_some());
    assert!(!spend(&held, 11, 2 * HOUR) && spend(&held, 10, 2 * HOUR), "a new window");
    drop(held);
    assert!(!spend(&pin(&table, "user/3", &rule, 2 * HOUR).unwrap(), 1, 2 * HOUR));
}

#[test]
fn what_nobody_would_remember_stays_and_what_the_journal_knows_goes() {
    let (plain, kept, rule) = (Table::new(1), Table::new(1), rule(Period::Total, 10));
    kept.keep_in_journal();
    assert!(spend(&pin(&plain, "session/s", &rule, 1).unwrap(), 4, 1));
    assert_eq!(swept(&plain, 1000 * HOUR), []);
    assert_eq!(
        pin(&plain, "session/s", &rule, 1000 * HOUR).unwrap().drawn().budgets[0]
            .level(Wall(1))
            .spent,
        4
    );
    let first = pin(&kept, "session/s", &rule, 1).unwrap();
    let budget = &first.drawn().budgets[0];
    assert_eq!(budget.fund.take(0, 1, Wall(1), &budget.calendar), Err(Short::Ungranted));
    assert!(budget.fund.wants_telling());
    budget.fund.add_spent(Window::ALWAYS, 4);
    drop(first);
    assert_eq!(swept(&kept, HOUR / 2), []);
    assert_eq!(swept(&kept, 2 * HOUR), [("session/s".to_owned(), 4)]);
    let second = pin(&kept, "session/s", &rule, 2 * HOUR).unwrap();
    assert!(second.drawn().budgets[0].fund.wants_telling(), "it begins again by asking");
}

#[test]
fn a_later_policy_keeps_the_funds_and_an_earlier_one_changes_nothing() {
    let (table, five, seven) = (Table::new(1), rule(Period::Day, 5), rule(Period::Day, 7));
    let both: Rule = [five[0].clone(), Budget::new(Unit::Money, Period::Month, 50, 1)].into();
    assert!(spend(&table.pin("user/a", (1, &five), 8, Wall(1)).unwrap(), 5, 1));
    let later = table.pin("user/a", (2, &seven), 8, Wall(1)).unwrap();
    assert!(!spend(&later, 3, 1) && spend(&later, 2, 1));
    let earlier = table.pin("user/a", (1, &five), 8, Wall(1)).unwrap();
    assert_eq!(earlier.drawn().budgets[0].limit, 7);
    let more = table.pin("user/a", (3, &both), 8, Wall(1)).unwrap();
    let levels: Vec<u64> = more.drawn().budgets.iter().map(|b| b.level(Wall(1)).spent).collect();
    assert_eq!(levels, [7, 0]);
}

#[test]
fn who_was_drawn_on_is_looked_at_until_nobody_holds_it() {
    let (table, rule) = (Table::new(1), rule(Period::Day, 5));
    let names = |table: &Table| {
        let mut names: Vec<String> =
            table.stirring().iter().map(|drawn| drawn.name.to_string()).collect();
        names.sort_unstable();
        names
    };
    let (one, two) = (pin(&table, "user/1", &rule, 1), pin(&table, "user/2", &rule, 1));
    drop(one);
    assert_eq!(names(&table), ["user/1", "user/2"]);
    assert!(names(&table).contains(&"user/2".to_owned()));
    drop(two);
    assert!(names(&table).contains(&"user/2".to_owned()), "once more, when it was let go");
    assert_eq!(names(&table), [""; 0]);
    assert_eq!(table.all().len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Spend(u8, u64),
    Hold(u8),
    LetGo,
    Later(u64),
    Sweep,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..12, 1_u64..6).prop_map(|(name, amount)| Step::Spend(name, amount)),
        1 => (0_u8..12).prop_map(Step::Hold),
        1 => Just(Step::LetGo),
        1 => (1_u64..HOUR).prop_map(Step::Later),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    /// Whatever is swept in between, a scope has spent in its window what it was given, and no more than its limit.
    #[test]
    fn a_table_answers_as_a_map_would(steps in steps()) {
        const LIMIT: u64 = 10;
        let (table, rule) = (Table::new(1), rule(Period::Hour, LIMIT));
        let utc = Calendar::default();
        let mut spent: HashMap<(u8, Wall), u64> = HashMap::new();
        let (mut now, mut held) = (HOUR, Vec::new());
        for step in steps {
            match step {
                Step::Later(nanos) => now += nanos,
                Step::LetGo => drop(held.pop()),
                Step::Sweep => table.sweep(Wall(now), &mut |_| {}),
                Step::Hold(name) => held.extend(pin(&table, &format!("user/{name}"), &rule, now)),
                Step::Spend(name, amount) => {
                    let Some(pin) = pin(&table, &format!("user/{name}"), &rule, now) else {
                        prop_assert_eq!(table.count(), 8);
                        continue;
                    };
                    let window = utc.window(Period::Hour, Wall(now)).end;
                    let known = spent.entry((name, window)).or_default();
                    let expected = *known + amount <= LIMIT;
                    prop_assert_eq!(spend(&pin, amount, now), expected);
                    *known += if expected { amount } else { 0 };
                }
            }
            prop_assert!(table.count() <= 8);
            prop_assert_eq!(table.all().len() as u64, table.count());
        }
    }
}
