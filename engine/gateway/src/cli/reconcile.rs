//! `faregate reconcile`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use faregate_ledger::report::{
    Period, cells,
    money::{count, exact},
    percent,
    reconcile::{self, Line, Measure, Reconciliation, Source},
    share,
};

use super::{Stop, ledger::Ledger, print};

pub(super) const HELP: &str = "\
The file is what the provider's API answers; several pages may stand one after the other:

  curl -H \"Authorization: Bearer $OPENAI_ADMIN_KEY\" \\
    'https://api.openai.com/v1/organization/costs?start_time=1793491200&bucket_width=1d&group_by=line_item&limit=31' > costs.json
  faregate reconcile --provider openai costs.json

  curl -H \"x-api-key: $ANTHROPIC_ADMIN_KEY\" -H 'anthropic-version: 2023-06-01' \\
    'https://api.anthropic.com/v1/organizations/cost_report?starting_at=2026-11-01T00:00:00Z&group_by[]=description&limit=31' > costs.json
  faregate reconcile --provider anthropic costs.json

Reports of usage (usage/completions, usage_report/messages) are compared by tokens. The exit code is 1 when a day's
model, or the total, differs by more than the tolerance. A difference is not always an error: other programs may use
the same account, discounts and credits are the provider's, and calls are billed on the day they end.";

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Whose report it is
    #[arg(long, value_enum)]
    provider: Provider,
    /// The provider's name in the policy, where it is another one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How much may differ, in percent of the larger side
    #[arg(long, value_name = "PERCENT", default_value = "0.5", value_parser = tolerance)]
    tolerance: u64,
    /// The report
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Provider {
    Openai,
    Anthropic,
}

/// Percent as hundredths of a percent.
fn tolerance(text: &str) -> Result<u64, String> {
    let found = faregate_ledger::report::money::parse(text, 2);
    found
        .and_then(|(hundredths, was_cut)| u64::try_from(hundredths).ok().filter(|_| !was_cut))
        .filter(|hundredths| *hundredths <= 10_000)
        .ok_or_else(|| "a percentage has at most two digits behind the point: 0.5".into())
}

pub(super) fn run(args: &Reconcile) -> Result<(), Stop> {
    let source = match args.provider {
        Provider::Openai => Source::OpenAi,
        Provider::Anthropic => Source::Anthropic,
    };
    let usual = match args.provider {
        Provider::Openai => "openai",
        Provider::Anthropic => "anthropic",
    };
    let named = |error: String| format!("{}: {error}", args.file.display());
    let bytes = contents(&args.file).map_err(|error| named(error.to_string()))?;
    let export = reconcile::read(source, &bytes).map_err(|bad| named(bad.to_string()))?;
    let store = args.ledger.read()?;
    let name = args.name.as_deref().unwrap_or(usual);
    let found = reconcile::reconcile(&store, &export, name)?;
    let mut text = table(&found, args.tolerance)?;
    if export.is_incomplete {
        text.push_str("note: the report says that it has more pages; they are not in the file\n");
    }
    if export.was_cut {
        text.push_str(
            "note: the report has amounts finer than a nano-dollar; what is finer was cut\n",
        );
    }
    print(&text)?;
    let beyond = found.beyond(args.tolerance).len();
    if beyond == 0 && !found.is_beyond(args.tolerance) {
        return Ok(());
    }
    Err(format!(
        "{beyond} of {} lines differ by more than {}",
        found.lines.len(),
        percent(args.tolerance)
    )
    .into())
}

fn contents(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = reconcile::EXPORT_BYTES_MAX as u64 + 1;
    File::open(file)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn table(found: &Reconciliation, tolerance: u64) -> Result<String, Stop> {
    let written = |number: i128| match found.measure {
        Measure::Cost => exact(number),
        Measure::Tokens => count(number),
    };
    let title = ["day", "model", "provider says", "ledger says", "difference", "of it", ""];
    let mut lines = vec![title.map(str::to_owned).to_vec()];
    let zone = Period::zone("UTC")?;
    let mut line = |day: String, line: &Line, mark: bool| {
        lines.push(vec![
            day,
            if line.model.is_empty() { "(all)".into() } else { line.model.clone() },
            written(line.theirs),
            written(line.ours),
            written(line.drift()),
            share(line.drift().abs(), line.theirs.abs()).map_or_else(String::new, percent),
            if mark { "differs".into() } else { String::new() },
        ]);
    };
    let beyond = found.beyond(tolerance);
    for each in &found.lines {
        line(Period::day(each.day, &zone), each, beyond.contains(&each));
    }
    let total = Line { day: 0, model: String::new(), theirs: found.theirs, ours: found.ours };
    line("total".into(), &total, found.is_beyond(tolerance));
    Ok(cells(&lines, 2))
}
