//! Reports against the obvious way: adding rows up.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{
    month::{DAY, HOUR},
    row::{Row, RowKind},
    sample::Sample,
};

/// 2026-11-01 in UTC.
const NOVEMBER: u64 = 1_793_491_200_000_000_000;

/// Rows of every kind, at least one of each; some give back.
pub(crate) fn rows(seed: u64, count: usize, step: u64) -> Vec<Row> {
    let mut sample = Sample::new(seed, NOVEMBER, step, 16);
    let mut rows: Vec<Row> = (0..count).map(|_| sample.row()).collect();
    for (at, row) in rows.iter_mut().enumerate() {
        match at % 17 {
            3 => {
                row.kind = RowKind::Correction;
                row.is_credit = true;
                row.cost.0 /= 2;
            }
            5 => row.kind = RowKind::LostLease,
            7 => std::sync::Arc::make_mut(&mut row.work).cache_hit = true,
            _ => {}
        }
    }
    rows
}

pub(crate) fn store(rows: &[Row]) -> Store {
    let mut store = Store::in_memory().unwrap();
    for batch in rows.chunks(333) {
        store.fold(batch, None).unwrap();
    }
    store
}

fn cost(row: &Row) -> i128 {
    if row.is_credit { -i128::from(row.cost.0) } else { i128::from(row.cost.0) }
}

/// The value of a dimension, taken from the row itself.
fn value(row: &Row, dimension: &Dimension, period: &Period) -> String {
    let (payer, work) = (&row.payer, &row.work);
    match dimension {
        Dimension::Organisation => payer.organisation.clone(),
        Dimension::Team => payer.team.clone(),
        Dimension::Project => payer.project.clone(),
        Dimension::Agent => payer.agent.clone(),
        Dimension::Key => payer.key.clone(),
        Dimension::User => payer.user.clone(),
        Dimension::Session => row.session.to_string(),
        Dimension::Tag(name) => {
            let tag = payer.tags.iter().find(|(found, _)| found == name);
            tag.map(|(_, value)| value.clone()).unwrap_or_default()
        }
        Dimension::Surface => work.surface.clone(),
        Dimension::ModelAsked => work.model_asked.clone(),
        Dimension::Provider => work.provider.clone(),
        Dimension::Model => work.model.clone(),
        Dimension::Region => work.region.clone(),
        Dimension::UsageSource => format!("{:?}", row.usage_source).to_lowercase(),
        Dimension::PriceId => row.price_id.to_string(),
        Dimension::Kind => match row.kind {
            RowKind::LostLease => "lost_lease".into(),
            kind => format!("{kind:?}").to_lowercase(),
        },
        Dimension::Hour | Dimension::Day | Dimension::Week | Dimension::Month => {
            let starts = period.starts(dimension, row.settled_at, row.settled_at + 1);
            period.label(dimension, starts[0])
        }
    }
}

/// Compares a report with the rows added up one by one.
fn check(store: &Store, rows: &[Row], query: &Query) {
    let report = ask(store, query.clone()).unwrap();
    let period = &query.period;
    let mut expected: BTreeMap<Vec<String>, (i128, i128, i128)> = BTreeMap::new();
    let mut owned = 0;
    for row in rows {
        let is_in = (period.from..period.to).contains(&row.settled_at)
            && query.only.iter().all(|(of, wanted)| value(row, of, period) == *wanted);
        if !is_in {
            continue;
        }
        let values = query.by.iter().map(|dimension| value(row, dimension, period)).collect();
        let sums = expected.entry(values).or_default();
        sums.0 += cost(row);
        sums.1 += i128::from(matches!(row.kind, RowKind::Request | RowKind::Unsettled));
        sums.2 += i128::from(row.usage.total_input() + row.usage.total_output());
        let payer = &row.payer;
        let names = [&payer.team, &payer.project, &payer.agent, &payer.key];
        if names.iter().any(|name| !name.is_empty()) {
            owned += cost(row);
        }
    }
    let found: BTreeMap<Vec<String>, (i128, i128, i128)> = report
        .groups
        .iter()
        .map(|group| {
            let total = &group.total;
            (group.values.clone(), (total.cost, total.requests, total.tokens()))
        })
        .collect();
    assert_eq!(found, expected, "{:?} over {period}", query.by);
    assert_eq!(found.len(), report.groups.len(), "a group comes once");
    assert_eq!(report.total.cost, expected.values().map(|sums| sums.0).sum::<i128>());
    assert_eq!(report.owned.cost, owned);
    assert_eq!(report.owned.cost + report.unowned.cost, report.total.cost);
}

fn query(period: Period, by: &[Dimension]) -> Query {
    Query { period, by: by.to_vec(), only: Vec::new() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_dimension_adds_up_to_the_ledger(
        seed in any::<u64>(),
        step in prop_oneof![Just(HOUR / 50), Just(HOUR), Just(7 * HOUR)],
        from in 0..5 * DAY,
        length in 1..9 * DAY,
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Asia/Kolkata"), Just("America/St_Johns"),
            Just("America/Los_Angeles"), Just("Pacific/Auckland")],
    ) {
        let rows = rows(seed, 200, step);
        let store = store(&rows);
        let zone = Period::zone(zone).unwrap();
        let period = Period { from: NOVEMBER + from, to: NOVEMBER + from + length, zone: zone.clone() };
        for dimension in Dimension::all().into_iter().chain([Dimension::Tag("env".into())]) {
            check(&store, &rows, &query(Period::all(zone.clone()), std::slice::from_ref(&dimension)));
            check(&store, &rows, &query(period.clone(), &[dimension]));
        }
    }
}

#[test]
fn dimensions_go_together() {
    let rows = rows(3, 400, HOUR);
    let store = store(&rows);
    let zone = TimeZone::UTC;
    for by in [
        &[][..],
        &[Dimension::Day, Dimension::Team, Dimension::Model],
        &[Dimension::Model, Dimension::Tag("env".into()), Dimension::Session, Dimension::Week],
    ] {
        check(&store, &rows, &query(Period::all(zone.clone()), by));
    }
    let only = vec![
        (Dimension::Team, "search".into()),
        (Dimension::Provider, "openai".into()),
        (Dimension::Tag("env".into()), String::new()),
    ];
    let mut query = query(Period::all(zone), &[Dimension::Agent, Dimension::Hour]);
    query.only = only;
    check(&store, &rows, &query);
    query.only = vec![(Dimension::Session, rows[0].session.to_string())];
    check(&store, &rows, &query);
}

#[test]
fn an_empty_ledger_has_an_empty_report() {
    let store = Store::in_memory().unwrap();
    for by in [vec![], vec![Dimension::Day], vec![Dimension::Team]] {
        let report = ask(&store, query(Period::all(TimeZone::UTC), &by)).unwrap();
        assert!(report.groups.is_empty());
        assert_eq!(report.attribution(), None);
        assert!(
            terminal(&report, Shown { top: 5, exact: false }).contains("$0.0000 in 0 requests")
        );
    }
}

#[test]
fn what_cannot_be_answered_is_said() {
    let store = store(&rows(1, 10, HOUR));
    let all = || Period::all(TimeZone::UTC);
    for (question, why) in [
        (query(all(), &[Dimension::Day, Dimension::Hour]), "one of them"),
        (query(all(), &[Dimension::Team, Dimension::Team]), "twice"),
        (query(all(), &vec![Dimension::Tag("a".into()); 9]), "at most 8"),
        (
            Query { period: all(), by: vec![], only: vec![(Dimension::Day, "2026-11-01".into())] },
            "with the period",
        ),
    ] {
        let error = ask(&store, question).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_report_needs_no_rows_that_have_been_deleted() {
    let rows = rows(9, 300, HOUR);
    let mut store = store(&rows);
    store.close("2026-11".parse().unwrap(), u64::MAX).unwrap();
    store.compact(NOVEMBER + 5 * DAY + 1).unwrap();
    check(&store, &rows, &query(Period::all(TimeZone::UTC), &[Dimension::Team, Dimension::Hour]));
    let error = ask(&store, query(Period::all(TimeZone::UTC), &[Dimension::Session])).unwrap_err();
    assert!(error.to_string().contains("have been deleted"), "{error}");
}

#[test]
fn files_have_every_digit_and_add_up() {
    let rows = rows(5, 500, HOUR);
    let report =
        ask(&store(&rows), query(Period::all(TimeZone::UTC), &[Dimension::User, Dimension::Model]))
            .unwrap();
    let text = csv(&report);
    let mut lines = text.split("\r\n").map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let at = |name: &str| head.iter().position(|found| *found == name).unwrap();
    let (mut nanos, mut dollars) = (0_i128, 0_i128);
    for line in lines.filter(|line| line.len() > 1) {
        nanos += line[at("cost_nano_usd")].parse::<i128>().unwrap();
        let (amount, was_cut) = money::parse(line[at("cost_usd")], 9).unwrap();
        assert!(!was_cut);
        dollars += amount;
    }
    assert_eq!(nanos, report.total.cost);
    assert_eq!(dollars, report.total.cost);
    let text = json(&report);
    let parsed = faregate_wire::Json::new(text.as_bytes()).unwrap();
    let groups = parsed.get("groups").unwrap().items();
    let cost = |json: faregate_wire::Json<'_>| -> i128 {
        std::str::from_utf8(json.get("cost_nano_usd").unwrap().raw()).unwrap().parse().unwrap()
    };
    assert_eq!(groups.map(cost).sum::<i128>(), report.total.cost);
    assert_eq!(cost(parsed.get("total").unwrap()), report.total.cost);
}

#[test]
fn a_terminal_sees_the_owners_first() {
    let rows = rows(5, 500, HOUR);
    let report = ask(&store(&rows), query(Period::all(TimeZone::UTC), &[Dimension::Team])).unwrap();
    let text = terminal(&report, Shown { top: 2, exact: true });
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("has an owner"), "{text}");
    assert!(lines[2].starts_with("no owner"), "{text}");
    assert!(lines[3].contains(&money::exact(report.total.cost)), "{text}");
    assert!(text.contains("3 more"), "{text}");
    assert!(text.contains('█'), "{text}");
}
