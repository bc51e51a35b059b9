//! `faregate close`.

use clap::Args;
use faregate_ledger::{
    month::Month,
    report::money::exact,
    store::{Closed, Verdict},
};

use super::{
    Stop,
    ledger::{Ledger, now},
    print,
};

pub(super) const HELP: &str = "\
A closed month stays as it is. Its rows are hashed in their order with SHA-256: keep the hash where the ledger's
owner cannot change it, and --verify shows at any time whether a row was changed. What comes late is booked in the
first open month; a mistake is put right by a correction there. Months are those of UTC.

Examples:
  faregate close --month 2026-10
  faregate close --month 2026-10 --verify          exit code 1 when something has changed";

#[derive(Debug, Args)]
pub(super) struct Close {
    /// The month: 2026-10
    #[arg(long, value_name = "MONTH")]
    month: Month,
    /// Change nothing; compare the month with what was closed
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    ledger: Ledger,
}

pub(super) fn run(close: &Close) -> Result<(), Stop> {
    let month = close.month;
    if !close.verify {
        let closed = close.ledger.write()?.close(month, now())?;
        return print(&format!("{month} is closed\n{}", said(&closed)));
    }
    match close.ledger.read()?.verify(month)? {
        None => Err(format!("{month} is not closed").into()),
        Some(Verdict::Good(closed)) => {
            print(&format!("{month} is as it was closed\n{}", said(&closed)))
        }
        Some(Verdict::SumsGood(closed)) => print(&format!(
            "{month}: its rows have been deleted as retention says; its sums are those that were closed\n{}",
            said(&closed)
        )),
        Some(Verdict::Changed(then, now)) => Err(format!(
            "{month} has changed since it was closed\nclosed:\n{}found:\n{}",
            said(&then),
            said(&now)
        )
        .into()),
    }
}

fn said(closed: &Closed) -> String {
    format!(
        "  rows    {}\n  cost    {}\n  sha256  {}  of the rows\n          {}  of the hours' sums\n",
        closed.entries,
        exact(closed.cost.into()),
        closed.entries_sha256,
        closed.sums_sha256
    )
}
