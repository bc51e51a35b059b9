//! Budgets of tokens and requests: their rows say nothing of them, so their grants do.

use faregate_price::NanoUsd;

use super::rows::{HOUR, NOON};
use crate::{
    journal::{Grant, Journal, Record, Settings, Start, Window, disk::simulated::Simulated},
    row::RowKind,
};

const SCOPE: &str = "tokens:team/a";

fn open(disk: &Simulated, boot: u64, at: u64) -> Journal<Simulated> {
    let (journal, recovery) =
        Journal::open(disk.clone(), Settings::default(), Start { node: 7, boot, at }).unwrap();
    for record in &recovery.charged {
        let Record::Lost { row, .. } = record else { panic!("{record:?}") };
        assert_eq!(row.kind, RowKind::LostLease);
    }
    journal
}

fn grant(total: u64, window: Window) -> Grant {
    Grant { scope: SCOPE.into(), window, total: NanoUsd(total) }
}

#[test]
fn what_is_no_money_counts_as_it_was_given_back_and_after_a_crash_as_it_was_granted() {
    let disk = Simulated::default();
    let mut journal = open(&disk, 1, NOON + 1);
    journal.append(&[Record::Grant(grant(100, HOUR))]).unwrap();
    // Who asks again in the same process, after its scope was dropped, is told what was given back.
    journal.append(&[Record::Return(grant(30, HOUR))]).unwrap();
    assert_eq!(journal.balances().spent(SCOPE, HOUR), NanoUsd(30));
    journal.append(&[Record::Grant(grant(90, HOUR)), Record::Return(grant(42, HOUR))]).unwrap();
    journal.close(NOON + 2).unwrap();
    let mut journal = open(&disk, 2, NOON + 3);
    assert_eq!(journal.balances().spent(SCOPE, HOUR), NanoUsd(42));
    assert_eq!(journal.balances().spent("tokens:team/b", HOUR), NanoUsd(0));
    journal.append(&[Record::Grant(grant(60, HOUR))]).unwrap();
    drop(journal);
    // It died: nobody knows how much of the grant was used. Twice, and it is charged once.
    drop(open(&disk, 3, NOON + 4));
    let journal = open(&disk, 4, NOON + 5);
    assert_eq!(journal.balances().spent(SCOPE, HOUR), NanoUsd(60));
    assert_eq!(journal.balances().granted(SCOPE, HOUR), NanoUsd(0));
}

#[test]
fn windows_that_are_over_are_not_charged_and_totals_are() {
    let disk = Simulated::default();
    let mut journal = open(&disk, 1, NOON + 1);
    let grants = [grant(100, HOUR), grant(70, Window::ALL)];
    journal.append(&grants.map(Record::Grant)).unwrap();
    drop(journal);
    let journal = open(&disk, 2, HOUR.end);
    assert_eq!(journal.balances().spent(SCOPE, HOUR), NanoUsd(0));
    assert_eq!(journal.balances().spent(SCOPE, Window::ALL), NanoUsd(70));
}
