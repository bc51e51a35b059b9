//! Every point at which the power can go, or the disk fail.
//!
//! A script is run on a simulated disk again and again; each time the power goes at another operation, and what was not
//! durable is lost, kept or torn. Then the journal is opened, also with the power going at every operation of that, and
//! what it says is held against what was acknowledged.

use faregate_price::NanoUsd;
use proptest::prelude::*;

use super::{
    gateway::{DAY, Gateway, SCOPES, Step, settings},
    rows::{HOUR, NOON},
};
use crate::journal::{
    Journal, Start,
    disk::simulated::{Failure, Fate, Simulated},
};

const SCRIPT: [Step; 26] = [
    Step::Grant(0, false, 100),
    Step::Grant(1, false, 120),
    Step::Grant(0, true, 90),
    Step::Commit,
    Step::Row(10),
    Step::Begin(20),
    Step::Commit,
    Step::Row(5),
    Step::Grant(0, false, 50),
    Step::Begin(7),
    Step::Commit,
    Step::Finish,
    Step::Credit(4),
    Step::Commit,
    Step::Retain,
    Step::Grant(0, true, 30),
    Step::Commit,
    Step::Row(3),
    Step::Return(0, true),
    Step::Commit,
    Step::Restart,
    Step::Grant(1, false, 60),
    Step::Commit,
    Step::Row(9),
    Step::Retain,
    Step::Commit,
];

const FATES: [Fate; 8] = [
    Fate::Nothing,
    Fate::Everything,
    Fate::Dice(1),
    Fate::Dice(2),
    Fate::Dice(3),
    Fate::Dice(4),
    Fate::Dice(5),
    Fate::Dice(6),
];

/// Opens the journal on what a power cut left; and again, after a power cut in each operation of that.
fn recover_everywhere(gateway: &Gateway, disk: &Simulated, fates: &[Fate]) -> u64 {
    let mut opened = 0;
    let start = Start { node: 7, boot: 1_000, at: NOON + 1_000 };
    for fate in fates {
        let whole = disk.after_power_cut(*fate);
        let (journal, _) = Journal::open(whole.clone(), settings(), start)
            .unwrap_or_else(|error| unreachable!("{fate:?}: {error}"));
        gateway.check(&whole, &journal);
        let expected = balances(&journal);
        drop(journal);
        for operation in 0..whole.operations() {
            let cut = disk.after_power_cut(*fate);
            cut.fail(operation, Failure::Power);
            assert!(Journal::open(cut.clone(), settings(), start).is_err(), "the power went");
            let again = cut.after_power_cut(*fate);
            let start = Start { boot: 1_001, ..start };
            let (journal, _) = Journal::open(again.clone(), settings(), start)
                .unwrap_or_else(|error| unreachable!("{fate:?}, {operation}: {error}"));
            gateway.check(&again, &journal);
            assert_eq!(balances(&journal), expected, "{fate:?}, {operation}: charged otherwise");
            opened += 1;
        }
    }
    opened
}

fn balances(journal: &Journal<Simulated>) -> Vec<NanoUsd> {
    let both = SCOPES.iter().flat_map(|scope| [(scope, HOUR), (scope, DAY)]);
    both.map(|(scope, window)| journal.balances().spent(scope, window)).collect()
}

/// Runs the script with `failure` at every operation. How many recoveries were tried.
fn fail_everywhere(script: &[Step], failure: Failure, fates: &[Fate]) -> u64 {
    let whole = Simulated::default();
    let ran = Gateway::default().run(&whole, script);
    assert!(ran.is_some(), "without a failure it goes through");
    let mut opened = 0;
    for operation in 0..whole.operations() {
        let (disk, mut gateway) = (Simulated::default(), Gateway::default());
        disk.fail(operation, failure);
        drop(gateway.run(&disk, script));
        opened += recover_everywhere(&gateway, &disk, fates);
        if failure != Failure::Power {
            opened += start_again(&gateway, &disk);
        }
    }
    opened
}

/// The process ends and the power stays; the next one starts, and then the power goes.
fn start_again(gateway: &Gateway, disk: &Simulated) -> u64 {
    let start = Start { node: 7, boot: 1_000, at: NOON + 1_000 };
    for disk in [disk.clone(), disk.after_power_cut(Fate::Nothing)] {
        let opened = Journal::open(disk.clone(), settings(), start);
        let (journal, _) = opened.unwrap_or_else(|error| unreachable!("{error}"));
        gateway.check(&disk, &journal);
        let expected = balances(&journal);
        drop(journal);
        let after = disk.after_power_cut(Fate::Nothing);
        let opened = Journal::open(after.clone(), settings(), Start { boot: 1_001, ..start });
        let (journal, _) = opened.unwrap_or_else(|error| unreachable!("{error}"));
        gateway.check(&after, &journal);
        assert_eq!(balances(&journal), expected, "what one process saw, the next one does not");
    }
    2
}

#[test]
fn no_power_cut_costs_a_row_or_a_budget_its_limit() {
    let opened = fail_everywhere(&SCRIPT, Failure::Power, &FATES);
    assert!(opened > 1_000, "only {opened} recoveries were tried");
}

#[test]
fn no_failure_of_the_disk_costs_a_row_or_a_budget_its_limit() {
    for failure in [Failure::Broken, Failure::Full, Failure::Half] {
        let opened = fail_everywhere(&SCRIPT, failure, &FATES[..3]);
        assert!(opened > 500, "{failure:?}: only {opened} recoveries were tried");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2usize, any::<bool>(), 1..60u64).prop_map(|(scope, is_day, more)| Step::Grant(scope, is_day, more)),
        4 => (1..30u64).prop_map(Step::Row),
        2 => (1..30u64).prop_map(Step::Begin),
        2 => Just(Step::Finish),
        1 => (1..3u64).prop_map(Step::Credit),
        1 => (0..2usize, any::<bool>()).prop_map(|(scope, is_day)| Step::Return(scope, is_day)),
        4 => Just(Step::Commit),
        1 => Just(Step::Retain),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_script_finds_a_point_that_costs_anything(
        steps in proptest::collection::vec(step(), 1..24),
        operation in any::<u64>(),
        failure in prop_oneof![
            3 => Just(Failure::Power),
            1 => Just(Failure::Broken),
            1 => Just(Failure::Full),
            1 => Just(Failure::Half),
        ],
        seed in any::<u64>(),
    ) {
        let script = [&[Step::Grant(0, false, 100), Step::Grant(1, false, 90), Step::Commit], &steps[..]].concat();
        let whole = Simulated::default();
        drop(Gateway::default().run(&whole, &script));
        let (disk, mut gateway) = (Simulated::default(), Gateway::default());
        disk.fail(operation % whole.operations(), failure);
        drop(gateway.run(&disk, &script));
        recover_everywhere(&gateway, &disk, &[Fate::Nothing, Fate::Everything, Fate::Dice(seed)]);
        if failure != Failure::Power {
            start_again(&gateway, &disk);
        }
    }
}
