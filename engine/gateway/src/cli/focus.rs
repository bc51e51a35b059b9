//! `faregate focus`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use faregate_ledger::{
    month::Month,
    report::{
        focus::{self, FocusError, Format, Version, Written},
        money::exact,
    },
};

use super::{Stop, ledger::Ledger, print};

pub(super) const HELP: &str = "\
FOCUS is the FinOps Foundation's open format of cost and usage data. One charge is what one payer used of one model
on one day of UTC; BilledCost adds up to `faregate spend` of the same month to the last digit. Version 1.3 has the
columns that say to whom a cost is allocated.

Examples:
  faregate focus --month 2026-11 -o focus.csv
  faregate focus --month 2026-11 --format parquet -o focus.parquet
  faregate focus --month 2026-11 --focus 1.3 | head";

#[derive(Debug, Args)]
pub(super) struct Focus {
    /// The month, in UTC: 2026-11
    #[arg(long, value_name = "MONTH")]
    month: Month,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Form::Csv)]
    format: Form,
    /// The version of the format
    #[arg(long, value_enum, default_value_t = Standard::V1_2)]
    focus: Standard,
    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Csv,
    Parquet,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Standard {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

pub(super) fn run(args: &Focus) -> Result<(), Stop> {
    if args.format == Form::Parquet && args.output.is_none() {
        return Err("Parquet is no text: say -o FILE".into());
    }
    let store = args.ledger.read()?;
    let (version, format) = (
        match args.focus {
            Standard::V1_2 => Version::V1_2,
            Standard::V1_3 => Version::V1_3,
        },
        match args.format {
            Form::Csv => Format::Csv,
            Form::Parquet => Format::Parquet,
        },
    );
    let Some(file) = &args.output else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let written = focus::write(&store, args.month, version, format, &mut out);
        return match written.and_then(|_| Ok(out.flush()?)) {
            Err(FocusError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            other => Ok(other?),
        };
    };
    let written = into_file(file, |out| focus::write(&store, args.month, version, format, out))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    print(&format!(
        "wrote {}: {} charges, {}\n",
        file.display(),
        written.charges,
        exact(written.cost)
    ))
}

fn into_file(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<Written, FocusError>,
) -> Result<Written, FocusError> {
    let mut out = BufWriter::new(File::create(file)?);
    let written = write(&mut out)?;
    out.flush()?;
    Ok(written)
}
