//! `faregate statement`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use faregate_ledger::{
    month::Month,
    report::{
        Dimension, Period,
        statement::{self, Purpose},
    },
};

use super::{
    Stop,
    ledger::{Ledger, put},
};

pub(super) const HELP: &str = "\
One page to print or to send, without scripts or anything from elsewhere; or CSV with every detail.

A chargeback is refused while less than 90 % of all cost in the month has an owner (a team, a project, an agent or
a key): what has none would be paid by those who can be named. --force makes it all the same, and says so on it.

Examples:
  faregate statement --team search --month 2026-11 -o search.html
  faregate statement --project ranking --month 2026-11 --format csv
  faregate statement --team search --month 2026-11 --chargeback -o search.html";

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("of").required(true))]
pub(super) struct Statement {
    /// The team
    #[arg(long, group = "of", value_name = "NAME")]
    team: Option<String>,
    /// Or the project
    #[arg(long, group = "of", value_name = "NAME")]
    project: Option<String>,
    /// Or the agent
    #[arg(long, group = "of", value_name = "NAME")]
    agent: Option<String>,
    /// Or the key
    #[arg(long, group = "of", value_name = "NAME")]
    key: Option<String>,
    /// Or the organisation
    #[arg(long, group = "of", value_name = "NAME")]
    organisation: Option<String>,
    /// The month: 2026-11
    #[arg(long, value_name = "MONTH")]
    month: Month,
    /// Where the month begins and ends: UTC, Europe/Berlin, …
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// To be charged, not only shown
    #[arg(long)]
    chargeback: bool,
    /// Charge although less than 90 % of the cost has an owner
    #[arg(long, requires = "chargeback")]
    force: bool,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Html,
    Csv,
}

pub(super) fn run(args: Statement) -> Result<(), Stop> {
    let period = Period::month(args.month, Period::zone(&args.timezone)?)?;
    let purpose = match (args.chargeback, args.force) {
        (false, _) => Purpose::Showback,
        (true, false) => Purpose::Chargeback,
        (true, true) => Purpose::ForcedChargeback,
    };
    let of = [
        (Dimension::Team, args.team),
        (Dimension::Project, args.project),
        (Dimension::Agent, args.agent),
        (Dimension::Key, args.key),
        (Dimension::Organisation, args.organisation),
    ];
    let of = of.into_iter().find_map(|(dimension, name)| Some((dimension, name?)));
    let of = of.ok_or("say whose statement it is: --team NAME")?;
    let store = args.ledger.read()?;
    let made = statement::state(&store, of, period, purpose)?;
    if made.detail.groups.is_empty() {
        let (dimension, name) = &made.of;
        return Err(format!("there is nothing of {dimension} {name:?} in {}", args.month).into());
    }
    let text = match args.format {
        Format::Html => statement::html(&made),
        Format::Csv => statement::statement_csv(&made),
    };
    put(args.output.as_deref(), text.as_bytes())
}
