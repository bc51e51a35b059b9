//! A month as FOCUS, the open format of cost and usage data: <https://focus.finops.org/focus-specification/>.
//!
//! In: the sums of the days of a month. Out: one charge for each day, payer and work, as CSV or Parquet, whose `BilledCost`
//! adds up to the ledger. All columns of the version are there, in the order of the alphabet, then ours, whose names
//! begin with `x_`. What a gateway cannot know is null: what is negotiated, committed or invoiced. Unit prices are null too: a
//! charge adds up tokens of several prices, and `SkuPriceId` names the price list's entry that has them.

mod charge;
mod columns;
mod parquet;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use jiff::Timestamp;
use rusqlite::params;

use super::{csv_field, money::decimal};
use crate::{
    month::{DAY, Month},
    store::{SUMS, Store, StoreError},
};
use charge::Charge;
pub use columns::{Column, Type, Version, columns};
use parquet::Parquet;

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// Text, or JSON.
    Text(String),
    /// A number in billionths.
    Decimal(i128),
    /// A moment, in nanoseconds since 1970 UTC.
    Time(u64),
}

/// How the charges are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a head.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Charges.
    pub charges: u64,
    /// What they add up to, in nano-dollars.
    pub cost: i128,
}

/// Why an export ends.
#[derive(Debug)]
pub enum FocusError {
    /// The store cannot be read.
    Store(StoreError),
    /// The output cannot be written.
    Output(io::Error),
}

impl std::fmt::Display for FocusError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for FocusError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for FocusError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<io::Error> for FocusError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Writes the charges of a month.
///
/// # Errors
///
/// The store cannot be read, or the output not written.
pub fn write(
    store: &Store,
    month: Month,
    version: Version,
    format: Format,
    out: &mut dyn Write,
) -> Result<Written, FocusError> {
    let columns = columns(version);
    let mut written = Written::default();
    let mut count = |charge: &Charge| {
        written.charges += 1;
        written.cost += charge.cost();
    };
    match format {
        Format::Csv => {
            let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
            write!(out, "{}\r\n", names.join(","))?;
            each(store, month, |charge| {
                count(charge);
                let fields: Vec<String> = columns
                    .iter()
                    .map(|column| field(column, charge.value(column.name, version)))
                    .collect();
                write!(out, "{}\r\n", fields.join(","))
            })?;
        }
        Format::Parquet => {
            let mut file = Parquet::new(out, &columns)?;
            each(store, month, |charge| {
                count(charge);
                file.row(columns.iter().map(|column| charge.value(column.name, version)))
            })?;
            file.finish()?;
        }
    }
    Ok(written)
}

/// Reads the charges of a month, by day.
fn each(
    store: &Store,
    month: Month,
    mut take: impl FnMut(&Charge) -> io::Result<()>,
) -> Result<(), FocusError> {
    let sums = SUMS.map(|name| format!("day.{name}")).join(", ");
    let mut statement = store.connection().prepare(&format!(
        "SELECT day.span, payer.organisation, payer.team, payer.project, payer.agent, payer.key_name, payer.user_name, \
         payer.tags, work.surface, work.model_asked, work.provider, work.model, work.region, work.price_id, \
         work.usage_source, work.kind, {sums} FROM day JOIN payer ON payer.id = day.payer \
         JOIN work ON work.id = day.work WHERE day.span >= ?1 AND day.span < ?2 \
         ORDER BY day.span, day.payer, day.work"
    ))?;
    let days = (month.start() / DAY, month.end() / DAY);
    let mut rows = statement.query(params![days.0.cast_signed(), days.1.cast_signed()])?;
    while let Some(row) = rows.next()? {
        take(&Charge::read(row, month)?)?;
    }
    Ok(())
}

/// A value as a field of CSV.
fn field(column: &Column, value: Value) -> String {
    match value {
        Value::Null => String::new(),
        // Names of ours may come from clients; the standard's own are kept to the letter.
        Value::Text(text) if column.name.starts_with("x_") => csv_field(&text),
        Value::Text(text) if text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::Text(text) => text,
        Value::Decimal(billionths) => {
            let text = decimal(billionths);
            let text = text.trim_end_matches('0').trim_end_matches('.');
            text.to_owned()
        }
        Value::Time(nanos) => Timestamp::from_nanosecond(nanos.into())
            .map_or_else(|_| String::new(), |moment| moment.to_string()),
    }
}
