//! `faregate anomalies`.

use clap::Args;
use faregate_ledger::report::{
    Dimension, Period,
    anomaly::{self, Watch},
    cells, money,
};

use super::{
    Stop,
    ledger::{Ledger, now},
    print,
};

pub(super) const HELP: &str = "\
What a scope spent on one day is compared with its own workdays, or weekend days, of the weeks before: with their
median, and with the median distance from it (MAD; one deviation is 1.4826 times that). Each line says the arithmetic. A scope
that is younger than five such days is left out.

Examples:
  faregate anomalies                               yesterday, by team
  faregate anomalies --by key --day 2026-11-24
  faregate anomalies --by user --deviations 8 --least 5 --fail     exit code 1 when there is one: for a cron job";

#[derive(Debug, Args)]
pub(super) struct Anomalies {
    /// Whose spend: team, project, agent, key, user, model, tag:NAME, …
    #[arg(long, value_name = "DIMENSION", default_value = "team")]
    by: Dimension,
    /// The day that is looked at [default: yesterday]
    #[arg(long, value_name = "DATE")]
    day: Option<String>,
    /// Where days begin: UTC, Europe/Berlin, …
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// Weeks of history
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=520))]
    weeks: u32,
    /// How many deviations are unusual
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    deviations: u32,
    /// The least difference that is told, in dollars
    #[arg(long, value_name = "DOLLARS", default_value = "1", value_parser = dollars)]
    least: i128,
    /// Exit with code 1 when there is one
    #[arg(long)]
    fail: bool,
    #[command(flatten)]
    ledger: Ledger,
}

fn dollars(text: &str) -> Result<i128, String> {
    let found = money::parse(text.trim_start_matches('$'), 9);
    let whole = found.filter(|(nanos, was_cut)| *nanos >= 0 && !was_cut);
    whole.map(|(nanos, _)| nanos).ok_or_else(|| "amounts are spelled 5 or 0.25".into())
}

pub(super) fn run(args: Anomalies) -> Result<(), Stop> {
    let zone = Period::zone(&args.timezone)?;
    let day = match &args.day {
        Some(text) => anomaly::date(text)?,
        None => anomaly::yesterday(now(), &zone).ok_or("there is no yesterday")?,
    };
    let store = args.ledger.read()?;
    let watch = Watch {
        by: args.by,
        day,
        zone,
        weeks: args.weeks,
        deviations: args.deviations,
        least: args.least,
    };
    let found = anomaly::find(&store, &watch)?;
    if found.is_empty() {
        return print(&format!("{}: no {} spent unlike before\n", watch.day, watch.by));
    }
    let line = |one: &anomaly::Anomaly| {
        let scope = if one.scope.is_empty() { "(none)".into() } else { one.scope.clone() };
        vec![scope, one.why()]
    };
    let lines: Vec<Vec<String>> = found.iter().map(line).collect();
    print(&format!("{}, by {}:\n{}", watch.day, watch.by, cells(&lines, 2)))?;
    if args.fail { Err(format!("{} spent unlike before", found.len()).into()) } else { Ok(()) }
}
