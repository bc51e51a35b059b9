//! Statements add up, and charge only what can be answered for.

use jiff::tz::TimeZone;

use super::*;
use crate::report::{
    money,
    tests::{rows, store},
};

fn period() -> Period {
    Period::month("2026-11".parse().unwrap(), TimeZone::UTC).unwrap()
}

fn search() -> (Dimension, String) {
    (Dimension::Team, "search".into())
}

#[test]
fn each_side_of_a_statement_has_the_same_total() {
    let mut rows = rows(11, 400, crate::month::HOUR);
    let store = store(&rows);
    let statement = state(&store, search(), period(), Purpose::Showback).unwrap();
    rows.retain(|row| row.payer.team == "search" && row.settled_at < period().to);
    assert!(rows.len() > 50);
    let cost = |credit: bool| -> i128 {
        rows.iter().filter(|row| row.is_credit == credit).map(|row| i128::from(row.cost.0)).sum()
    };
    let cost = cost(false) - cost(true);
    for report in statement.sides.iter().chain([&statement.detail]) {
        assert_eq!(report.total.cost, cost);
        assert_eq!(report.groups.iter().map(|group| group.total.cost).sum::<i128>(), cost);
    }
    assert_eq!(statement.days.iter().map(|day| day.total.cost).sum::<i128>(), cost);
    let page = html(&statement);
    let digits = money::decimal(cost);
    let (cents, rest) = digits.split_at(digits.len() - 7);
    let shown = format!("${cents}<i>{rest}</i>");
    assert!(page.matches(&shown).count() > SIDES.len(), "{shown}");
    assert!(page.contains("not closed"));
    assert!(statement_csv(&statement).contains("cost_nano_usd"));
}

#[test]
fn a_chargeback_needs_owners() {
    let mut rows = rows(11, 400, crate::month::HOUR);
    for row in rows.iter_mut().step_by(3) {
        row.payer = Default::default();
    }
    let store = store(&rows);
    let charge = |purpose| state(&store, search(), period(), purpose);
    let error = charge(Purpose::Chargeback).unwrap_err().to_string();
    assert!(error.contains("has an owner") && error.contains("--force"), "{error}");
    assert!(html(&charge(Purpose::ForcedChargeback).unwrap()).contains("forced"));
    assert!(html(&charge(Purpose::Showback).unwrap()).contains("Showback"));
}

#[test]
fn a_statement_of_a_closed_month_has_its_hash_and_no_markup_of_strangers() {
    let mut rows = rows(12, 50, crate::month::HOUR);
    let payer = std::sync::Arc::make_mut(&mut rows[0].payer);
    payer.team = "search".into();
    payer.user = "<img src=x onerror=alert(1)>".into();
    let mut store = store(&rows);
    let closed = store.close("2026-11".parse().unwrap(), u64::MAX).unwrap();
    let statement = state(&store, search(), period(), Purpose::Showback).unwrap();
    let page = html(&statement);
    assert!(page.contains(&closed.entries_sha256));
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.contains("<img"));
}
