//! What the commands that read the books have in common: where the ledger is, which period is meant, where output goes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use faregate_ledger::{
    month::Month,
    report::{Dimension, Period},
    store::{FILE, Store, StoreError},
};

use super::{Stop, print};
use crate::clock::Clock;

/// Where the ledger is.
#[derive(Debug, Args)]
pub(super) struct Ledger {
    /// The folder of the ledger [default: $XDG_DATA_HOME/faregate or ~/.local/share/faregate]
    #[arg(long = "ledger", value_name = "DIR", env = "FAREGATE_DATA", hide_env_values = true)]
    folder: Option<PathBuf>,
}

impl Ledger {
    /// Opens it to read.
    pub(super) fn read(&self) -> Result<Store, Stop> {
        let folder = self.folder()?;
        Store::read(&folder).map_err(|error| missing(error, &folder))
    }

    /// Opens one that is there, to write.
    pub(super) fn write(&self) -> Result<Store, Stop> {
        let folder = self.folder()?;
        if !folder.join(FILE).exists() {
            let error = StoreError::Missing(folder.join(FILE).display().to_string());
            return Err(missing(error, &folder));
        }
        Ok(Store::open(&folder)?)
    }

    fn folder(&self) -> Result<PathBuf, Stop> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        crate::books::default_folder()
            .ok_or_else(|| "where is the ledger? say --ledger DIR or set FAREGATE_DATA".into())
    }
}

fn missing(error: StoreError, folder: &Path) -> Stop {
    match error {
        StoreError::Missing(file) => format!(
            "there is no ledger at {file}\nA gateway writes one into its data folder as it serves, if its policy has the table [ledger] or budgets. If it is elsewhere than {}, say --ledger DIR or set FAREGATE_DATA.",
            folder.display()
        )
        .into(),
        other => other.into(),
    }
}

/// Which rows are meant, by time.
#[derive(Debug, Args)]
pub(super) struct When {
    /// The last hours, days, weeks or months: 36h, 30d, 12w, 6m
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["month", "from", "to"])]
    since: Option<String>,
    /// A calendar month: 2026-11
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    month: Option<Month>,
    /// From this date or moment on: 2026-11-01, 2026-11-01T12:00
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Until before this date or moment
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    /// Where days and months begin: UTC, Europe/Berlin, …
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
}

impl When {
    /// The period; `usual` is the span up to now where nothing is said.
    pub(super) fn period(&self, usual: &str) -> Result<Period, Stop> {
        let zone = Period::zone(&self.timezone)?;
        let period = match (&self.since, self.month) {
            (Some(since), _) => Period::since(since, now(), zone),
            (None, Some(month)) => Period::month(month, zone),
            (None, None) if self.from.is_none() && self.to.is_none() => {
                Period::since(usual, now(), zone)
            }
            (None, None) => Period::between(self.from.as_deref(), self.to.as_deref(), zone),
        };
        Ok(period?)
    }
}

/// Now, in nanoseconds since 1970 UTC.
pub(super) fn now() -> u64 {
    Clock::start().wall()
}

/// `team=search`: a dimension and its value.
pub(super) fn condition(text: &str) -> Result<(Dimension, String), String> {
    let (name, value) = text.split_once('=').ok_or("conditions are spelled team=search")?;
    Ok((name.parse()?, value.to_owned()))
}

/// Writes a result into a file, or prints it.
pub(super) fn put(file: Option<&Path>, bytes: &[u8]) -> Result<(), Stop> {
    match file {
        Some(file) => fs::write(file, bytes)
            .map_err(|error| Stop::from(format!("{}: {error}", file.display()))),
        None => print_bytes(bytes),
    }
}

fn print_bytes(bytes: &[u8]) -> Result<(), Stop> {
    match std::str::from_utf8(bytes) {
        Ok(text) => print(text),
        Err(_) => Err("this format is no text: say -o FILE".into()),
    }
}
