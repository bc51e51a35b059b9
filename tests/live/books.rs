//! The commands that read the books, on a ledger of made-up rows.

use std::process::Output;

use faregate_ledger::{Row, sample::Sample, store::Store};
use faregate_tests::{Launch, binary, folder::Folder, provider};
use serde_json::Value;

/// 2026-11-01 in UTC, and a quarter of an hour, in nanoseconds.
const NOVEMBER: u64 = 1_793_491_200_000_000_000;
const STEP: u64 = 900_000_000_000;

/// A ledger of half of November 2026.
fn ledger() -> (Folder, Vec<Row>) {
    let folder = Folder::new();
    let mut sample = Sample::new(5, NOVEMBER, STEP, 40);
    let rows: Vec<Row> = (0..1_500).map(|_| sample.row()).collect();
    Store::open(folder.path()).unwrap().fold(&rows, None).unwrap();
    (folder, rows)
}

fn run(folder: &Folder, arguments: &[&str]) -> Output {
    binary::command(arguments)
        .env("FAREGATE_DATA", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn good(folder: &Folder, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Folder, code: i32, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn cost(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.cost.0).sum()
}

#[test]
fn spend_statement_and_focus_say_the_same() {
    let (folder, rows) = ledger();
    let spend: Value = serde_json::from_str(&good(
        &folder,
        &["spend", "--by", "team,model", "--month", "2026-11", "--format", "json"],
    ))
    .unwrap();
    assert_eq!(spend["total"]["cost_nano_usd"].as_u64(), Some(cost(&rows)));
    let groups = spend["groups"].as_array().unwrap();
    let team: u64 = groups
        .iter()
        .filter(|group| group["team"] == "search")
        .map(|group| group["cost_nano_usd"].as_u64().unwrap())
        .sum();
    let dollars = |nanos: u64| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);

    let page = good(&folder, &["statement", "--team", "search", "--month", "2026-11"]);
    let shown = dollars(team);
    let (cents, rest) = shown.split_at(shown.len() - 7);
    assert!(page.contains(&format!("${cents}<i>{rest}</i>")), "{shown}");

    for version in ["1.2", "1.3"] {
        let file = format!("focus-{version}.parquet");
        let arguments =
            ["focus", "--month", "2026-11", "--focus", version, "--format", "parquet", "-o", &file];
        let said = good(&folder, &arguments);
        let total = dollars(cost(&rows));
        let total = total.trim_end_matches('0');
        assert!(said.replace(',', "").contains(&format!("${total}")), "{said} {total}");
        assert!(std::fs::read(folder.join(&file)).unwrap().ends_with(b"PAR1"));
    }
    let text = good(&folder, &["focus", "--month", "2026-11"]);
    assert_eq!(text.lines().next().unwrap().split(',').count(), 69);
    assert!(
        refused(&folder, 1, &["focus", "--month", "2026-11", "--format", "parquet"])
            .contains("-o FILE")
    );
}

#[test]
fn a_table_says_first_who_answers_for_it() {
    let (folder, _) = ledger();
    let table = good(&folder, &["spend", "--from", "2026-11-01", "--by", "day,team"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("has an owner") && lines[2].starts_with("no owner"), "{table}");
    assert!(table.contains("2026-11-03") && table.contains('█'), "{table}");
    let only = good(&folder, &["spend", "--from", "2026-11-01", "--where", "team=growth"]);
    assert!(!only.contains("search") && only.contains("growth"), "{only}");
}

#[test]
fn a_month_is_closed_once_and_verified() {
    let (folder, _) = ledger();
    let open = refused(&folder, 1, &["close", "--month", "2026-11", "--verify"]);
    assert!(open.contains("not closed"), "{open}");
    // Rows of a month that has ended: the same ones, seen from the month before.
    let october = good(&folder, &["close", "--month", "2026-10"]);
    assert!(october.contains("2026-10 is closed") && october.contains("sha256"), "{october}");
    assert!(refused(&folder, 1, &["close", "--month", "2026-10"]).contains("closed already"));
    assert!(
        good(&folder, &["close", "--month", "2026-10", "--verify"]).contains("as it was closed")
    );
}

#[test]
fn a_chargeback_without_owners_is_refused() {
    let (folder, _) = ledger();
    let charge = ["statement", "--team", "search", "--month", "2026-11", "--chargeback"];
    let why = refused(&folder, 1, &charge);
    assert!(why.contains("has an owner") && why.contains("--force"), "{why}");
    assert!(good(&folder, &[&charge[..], &["--force"]].concat()).contains("Chargeback, forced"));
    let nobody = refused(&folder, 1, &["statement", "--team", "nobody", "--month", "2026-11"]);
    assert!(nobody.contains("there is nothing of team"), "{nobody}");
}

#[test]
fn drift_from_a_provider_is_told_and_fails() {
    let (folder, rows) = ledger();
    let is_first =
        |row: &&Row| row.work.provider == "openai" && row.settled_at < NOVEMBER + 96 * STEP;
    let first: Vec<Row> = rows.iter().filter(is_first).cloned().collect();
    assert!(!first.is_empty());
    let nanos = cost(&first);
    let report = |value: &str| {
        let start = NOVEMBER / 1_000_000_000;
        let bucket = format!(
            r#"{{"object":"bucket","start_time":{start},"end_time":{},"results":[{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},"line_item":null}}]}}"#,
            start + 86_400
        );
        format!(r#"{{"object":"page","data":[{bucket}],"has_more":false}}"#)
    };
    let exact = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    std::fs::write(folder.join("costs.json"), report(&exact)).unwrap();
    let reconcile = ["reconcile", "--provider", "openai", "--tolerance", "0", "costs.json"];
    let said = good(&folder, &reconcile);
    assert!(said.contains("2026-11-01") && said.contains("$0.00"), "{said}");
    std::fs::write(folder.join("costs.json"), report("99.5")).unwrap();
    assert!(refused(&folder, 1, &reconcile).contains("differ by more than 0.00 %"));
    std::fs::write(folder.join("costs.json"), "no").unwrap();
    assert!(refused(&folder, 1, &reconcile).contains("costs.json"));
}

#[test]
fn an_unusual_day_is_explained() {
    let (folder, mut rows) = ledger();
    let last = rows.last().unwrap().settled_at;
    let mut spike = rows.remove(0);
    spike.id.number = 1_000_000;
    spike.settled_at = last;
    std::sync::Arc::make_mut(&mut spike.payer).team = "search".into();
    spike.cost.0 = 5_000_000_000_000;
    Store::open(folder.path()).unwrap().fold(&[spike], None).unwrap();
    let day = format!("2026-11-{:02}", 1 + (last - NOVEMBER) / 86_400_000_000_000);
    let arguments = ["anomalies", "--day", &day, "--weeks", "4"];
    let said = good(&folder, &arguments);
    assert!(said.contains("search") && said.contains("median"), "{said}");
    refused(&folder, 1, &[&arguments[..], &["--fail"]].concat());
}

#[test]
fn without_a_ledger_each_command_says_where_it_looked() {
    let folder = Folder::new();
    for arguments in [
        &["spend"][..],
        &["statement", "--team", "a", "--month", "2026-11"],
        &["focus", "--month", "2026-11"],
        &["close", "--month", "2026-10"],
        &["anomalies"],
    ] {
        let why = refused(&folder, 1, arguments);
        assert!(why.contains("ledger.sqlite") && why.contains("--ledger DIR"), "{why}");
    }
    assert!(!folder.join("ledger.sqlite").exists(), "looking makes nothing");
}

#[test]
fn old_rows_go_and_reports_and_closed_months_stay() {
    let folder = Folder::new();
    let mut sample = Sample::new(5, NOVEMBER - 184 * 96 * STEP, 4 * STEP, 40);
    let rows: Vec<Row> = (0..2_000).map(|_| sample.row()).collect();
    Store::open(folder.path()).unwrap().fold(&rows, None).unwrap();
    let spend = [
        "spend",
        "--by",
        "day,team",
        "--from",
        "2026-05-01",
        "--to",
        "2026-09-01",
        "--format",
        "json",
    ];
    let before = good(&folder, &spend);
    let provider = provider();
    let policy =
        format!("{}[ledger]\nkeep = \"31 days\"\n", faregate_tests::gateway::sim(&provider));
    let launch = Launch::new(policy);
    let launch = launch.variable("FAREGATE_DATA", &folder.path().display().to_string());
    let mut gateway = launch.start();
    gateway.wait_log("rows older than ledger.keep are deleted");
    assert!(gateway.stop().success());
    assert_eq!(good(&folder, &spend), before);
    assert!(good(&folder, &["close", "--month", "2026-05", "--verify"]).contains("2026-05"));
    let store = Store::read(folder.path()).unwrap();
    assert_eq!(store.closed().len(), 1, "June is not old as a whole");
    assert_eq!(store.compacted_before(), store.closed()[0].end());
}
