//! What a provider bills against what the ledger says.
//!
//! In: a provider's report of costs or of usage, as its API gives it, and the store. Out: for each day and model both
//! sides and their difference, exactly: amounts are decimals, never floating-point numbers. Days are those of UTC, as
//! providers count them; only days that the report has are compared.
//!
//! - OpenAI, `GET /v1/organization/costs`: buckets with `amount.value` in dollars, by `line_item` (`gpt-5.5, input`).
//! - OpenAI, `GET /v1/organization/usage/completions`: buckets with tokens, by `model`.
//! - Anthropic, `GET /v1/organizations/cost_report`: `amount` in cents, by `model` when grouped by description.
//! - Anthropic, `GET /v1/organizations/usage_report/messages`: tokens, by `model`.
//!
//! A file may hold one page, several pages one after the other, or an array of them.

mod pages;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::{Dimension, Period, Query, ask};
use crate::{
    month::DAY,
    store::{Store, StoreError},
};

pub use pages::{BadExport, EXPORT_BYTES_MAX, read};

/// Whose report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// What a report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Nano-dollars.
    Cost,
    /// Tokens.
    Tokens,
}

/// What a provider says of a day and a model, in nano-dollars or tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// What it counts.
    pub measure: Measure,
    /// Days since 1970 that it covers, also those on which nothing was used.
    pub days: BTreeSet<u64>,
    /// By day and model; the model is empty where the report does not say it.
    pub amounts: BTreeMap<(u64, String), i128>,
    /// Whether amounts finer than a nano-dollar were cut.
    pub was_cut: bool,
    /// Whether the report says that pages are missing.
    pub is_incomplete: bool,
}

/// One day and model on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Days since 1970.
    pub day: u64,
    /// The model; empty where the report does not say it.
    pub model: String,
    /// What the provider says.
    pub theirs: i128,
    /// What the ledger says.
    pub ours: i128,
}

/// Both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// What is compared.
    pub measure: Measure,
    /// Days and models in order.
    pub lines: Vec<Line>,
    /// The provider's total.
    pub theirs: i128,
    /// The ledger's total for the same days.
    pub ours: i128,
}

impl Line {
    /// How much more the provider says.
    #[must_use]
    pub const fn drift(&self) -> i128 {
        self.theirs - self.ours
    }
}

impl Reconciliation {
    /// How much more the provider says.
    #[must_use]
    pub const fn drift(&self) -> i128 {
        self.theirs - self.ours
    }

    /// Lines whose sides differ by more than `tolerance` hundredths of a percent of the larger one.
    #[must_use]
    pub fn beyond(&self, tolerance: u64) -> Vec<&Line> {
        self.lines.iter().filter(|line| is_beyond(line.theirs, line.ours, tolerance)).collect()
    }

    /// Whether the totals differ by more than `tolerance` hundredths of a percent of the larger one.
    #[must_use]
    pub fn is_beyond(&self, tolerance: u64) -> bool {
        is_beyond(self.theirs, self.ours, tolerance)
    }
}

fn is_beyond(theirs: i128, ours: i128, tolerance: u64) -> bool {
    let larger = theirs.unsigned_abs().max(ours.unsigned_abs());
    let allowed = larger.saturating_mul(u128::from(tolerance)) / 10_000;
    theirs.abs_diff(ours) > allowed
}

/// Compares a report with what the ledger has of the provider called `provider` in the policy.
///
/// # Errors
///
/// The store cannot be read.
pub fn reconcile(
    store: &Store,
    export: &Export,
    provider: &str,
) -> Result<Reconciliation, StoreError> {
    let (Some(first), Some(last)) = (export.days.first(), export.days.last()) else {
        return Err(StoreError::Question("the report covers no day".into()));
    };
    let query = Query {
        period: Period {
            from: first.saturating_mul(DAY),
            to: last.saturating_add(1).saturating_mul(DAY),
            zone: TimeZone::UTC,
        },
        by: vec![Dimension::Day, Dimension::Model],
        only: vec![(Dimension::Provider, provider.to_owned())],
    };
    // A report that names no model is compared by day alone.
    let has_models = export.amounts.keys().any(|(_, model)| !model.is_empty());
    let mut both: BTreeMap<(u64, String), (i128, i128)> = BTreeMap::new();
    for group in ask(store, query)?.groups {
        let [date, model] = group.values.as_slice() else { continue };
        let Some(day) = pages::day(date) else { continue };
        if export.days.contains(&day) {
            let model = if has_models { model.clone() } else { String::new() };
            let ours = match export.measure {
                Measure::Cost => group.total.cost,
                Measure::Tokens => group.total.tokens(),
            };
            both.entry((day, model)).or_default().1 += ours;
        }
    }
    for ((day, model), theirs) in &export.amounts {
        both.entry((*day, ours_of(&both, *day, model))).or_default().0 += theirs;
    }
    let lines: Vec<Line> = both
        .into_iter()
        .map(|((day, model), (theirs, ours))| Line { day, model, theirs, ours })
        .collect();
    Ok(Reconciliation {
        measure: export.measure,
        theirs: lines.iter().map(|line| line.theirs).sum(),
        ours: lines.iter().map(|line| line.ours).sum(),
        lines,
    })
}

/// The name that the ledger has for a model on a day: the report's own, or the one it is a dated snapshot of.
fn ours_of(both: &BTreeMap<(u64, String), (i128, i128)>, day: u64, model: &str) -> String {
    let is_ours = |name: &str| both.contains_key(&(day, name.to_owned()));
    if is_ours(model) {
        return model.to_owned();
    }
    match undated(model) {
        Some(name) if is_ours(name) => name.to_owned(),
        _ => model.to_owned(),
    }
}

/// A model's name without the date of its snapshot: `gpt-5.5-2026-04-01`, `claude-sonnet-5-5-20260401`.
fn undated(model: &str) -> Option<&str> {
    let is_date = |text: &str| {
        let mut digits = 0;
        let plain = text.bytes().all(|b| {
            digits += usize::from(b.is_ascii_digit());
            b.is_ascii_digit() || b == b'-'
        });
        plain && digits == 8
    };
    [9, 11].into_iter().find_map(|len| {
        let (name, tail) = model.split_at_checked(model.len().checked_sub(len)?)?;
        (is_date(tail.strip_prefix('-')?) && !name.is_empty()).then_some(name)
    })
}
