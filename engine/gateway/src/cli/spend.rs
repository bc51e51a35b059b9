//! `faregate spend`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use faregate_ledger::report::{self, DIMENSIONS_MAX, Dimension, Query, Shown};

use super::{
    Stop,
    ledger::{Ledger, When, condition, put},
};

pub(super) const HELP: &str = "\
Examples:
  faregate spend                                   the last 30 days by team and model
  faregate spend --by key --month 2026-11
  faregate spend --by day,team --since 12w --timezone Europe/Berlin
  faregate spend --by user --where team=search --where provider=openai
  faregate spend --by tag:cost-centre --format csv -o spend.csv

Dimensions: organisation, team, project, agent, key, user, session, tag:NAME, surface, model_asked, provider,
model, region, usage_source, price_id, kind, and one of hour, day, week, month.

The first lines say how much of it has an owner: a team, a project, an agent or a key. In CSV and JSON amounts are
whole nano-dollars, and dollars with nine digits; they add up to the ledger to the last one.";

#[derive(Debug, Args)]
pub(super) struct Spend {
    /// What to group by, with commas between
    #[arg(long, value_name = "DIMENSIONS", value_delimiter = ',', default_value = "team,model")]
    by: Vec<Dimension>,
    #[command(flatten)]
    when: When,
    /// Only rows with this value: team=search; more than one must all hold
    #[arg(long = "where", value_name = "DIMENSION=VALUE", value_parser = condition)]
    only: Vec<(Dimension, String)>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Lines of the table; what is behind them is put together
    #[arg(long, value_name = "COUNT", default_value_t = 25)]
    top: usize,
    /// Every digit of amounts in the table
    #[arg(long)]
    exact: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

pub(super) fn run(spend: Spend) -> Result<(), Stop> {
    if spend.by.len() > DIMENSIONS_MAX {
        return Err(format!("at most {DIMENSIONS_MAX} dimensions can be asked for").into());
    }
    let period = spend.when.period("30d")?;
    let store = spend.ledger.read()?;
    let report = report::ask(&store, Query { period, by: spend.by, only: spend.only })?;
    let text = match spend.format {
        Format::Table => {
            report::terminal(&report, Shown { top: spend.top.max(1), exact: spend.exact })
        }
        Format::Csv => report::csv(&report),
        Format::Json => report::json(&report),
    };
    put(spend.output.as_deref(), text.as_bytes())
}
