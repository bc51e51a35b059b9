//! Measures the books: how fast rows are folded, how long a question takes.
//!
//! `cargo run --release -p faregate-ledger --features check --example books -- FOLDER [ROWS]`: makes a store of that many
//! rows in the folder (ten million without a number; where there is one, it is used) and asks it the questions of
//! `faregate spend`.

use std::{error::Error, io::Write, path::Path, time::Duration};

use faregate_ledger::{
    Row,
    report::{self, Dimension, Period, Query},
    sample::Sample,
    store::{FILE, Position, Store},
};
use jiff::tz::TimeZone;

/// 2026-09-01 in UTC.
const START: u64 = 1_788_220_800_000_000_000;

/// Rows of one transaction.
const BATCH: usize = 20_000;

/// Days over which rows are spread, and people who cause them.
const DAYS: u64 = 90;
const USERS: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("say a folder")?;
    let rows: u64 = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    let folder = Path::new(&folder);
    let mut out = std::io::stdout();
    if !folder.join(FILE).exists() {
        let seconds = fold(folder, rows)?.as_secs_f64();
        writeln!(out, "folded {rows} rows in {seconds:.1} s")?;
    }
    let store = Store::read(folder)?;
    let utc = || Period::all(TimeZone::UTC);
    let berlin = || Period::zone("Europe/Berlin").map(Period::all);
    for (label, period, by) in [
        ("nothing", utc(), vec![]),
        ("team, model", utc(), vec![Dimension::Team, Dimension::Model]),
        ("user", utc(), vec![Dimension::User]),
        ("day, team", utc(), vec![Dimension::Day, Dimension::Team]),
        ("tag:env, provider", utc(), vec![Dimension::Tag("env".into()), Dimension::Provider]),
        ("day in Berlin", berlin().map_err(|bad| bad.0)?, vec![Dimension::Day]),
        ("hour", utc(), vec![Dimension::Hour]),
    ] {
        let mut took = Duration::MAX;
        let mut groups = 0;
        for _ in 0..3 {
            let start = now();
            let query = Query { period: period.clone(), by: by.clone(), only: Vec::new() };
            groups = report::ask(&store, query)?.groups.len();
            took = took.min(start.elapsed());
        }
        writeln!(out, "by {label}: {groups} groups in {:.0} ms", took.as_secs_f64() * 1e3)?;
    }
    Ok(())
}

fn fold(folder: &Path, rows: u64) -> Result<Duration, Box<dyn Error>> {
    let step = DAYS * 86_400_000_000_000 / rows.max(1);
    let mut sample = Sample::new(42, START, step, USERS);
    let mut store = Store::open(folder)?;
    let mut took = Duration::ZERO;
    let mut made = 0;
    while made < rows {
        let batch: Vec<Row> = (0..BATCH).map(|_| sample.row()).collect();
        made += BATCH as u64;
        let start = now();
        store.fold(&batch, Some(Position { node: 1, segment: 0, offset: made }))?;
        took += start.elapsed();
    }
    Ok(took)
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
