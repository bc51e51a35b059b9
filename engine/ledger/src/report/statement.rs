//! What one team, or another part of the organisation, used in a period: a statement to show, or to charge.
//!
//! In: whose it is and the period. Out: reports of the same rows seen from several sides, each with the same total, and a
//! document of them. A chargeback is made only when nine tenths of all cost have an owner: what has none would be paid by
//! those who can be named.

mod html;
#[cfg(test)]
mod tests;

use super::{Dimension, Group, Period, Query, Report, ask, csv, percent};
use crate::{
    month::Month,
    store::{Closed, Store, StoreError},
};

pub use html::html;

/// The share of cost that must have an owner before it is charged, in hundredths of a percent.
pub const CHARGEBACK_SHARE: u64 = 9_000;

/// Why a statement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show.
    Showback,
    /// To charge.
    Chargeback,
    /// To charge although too little has an owner, which the document says.
    ForcedChargeback,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Whose it is: the team of a name, a project, …
    pub of: (Dimension, String),
    /// Why it is made.
    pub purpose: Purpose,
    /// The period.
    pub period: Period,
    /// The share of the whole ledger's cost in the period that has an owner, in hundredths of a percent.
    pub attribution: Option<u64>,
    /// Its rows by each of [`SIDES`].
    pub sides: Vec<Report>,
    /// Its rows by day.
    pub days: Vec<Group>,
    /// Its rows in every detail, for CSV.
    pub detail: Report,
    /// The month's closing, when the period is a month of UTC that is closed.
    pub closed: Option<Closed>,
}

/// What tables a statement has.
pub const SIDES: [(&str, &[Dimension]); 6] = [
    ("Projects and agents", &[Dimension::Project, Dimension::Agent]),
    ("Models", &[Dimension::Provider, Dimension::Model]),
    ("Keys", &[Dimension::Key]),
    ("Users", &[Dimension::User]),
    ("Who counted the tokens", &[Dimension::UsageSource]),
    ("Kinds of entries", &[Dimension::Kind]),
];

/// Puts a statement together.
///
/// # Errors
///
/// It is a chargeback and less than [`CHARGEBACK_SHARE`] has an owner, or the store cannot be read.
pub fn state(
    store: &Store,
    of: (Dimension, String),
    period: Period,
    purpose: Purpose,
) -> Result<Statement, StoreError> {
    let all = Query { period: period.clone(), by: Vec::new(), only: Vec::new() };
    let attribution = ask(store, all)?.attribution();
    let is_enough = attribution.is_none_or(|share| share >= CHARGEBACK_SHARE);
    let purpose = match purpose {
        Purpose::ForcedChargeback if is_enough => Purpose::Chargeback,
        said => said,
    };
    if let (Purpose::Chargeback, Some(share), false) = (purpose, attribution, is_enough) {
        return Err(StoreError::Question(format!(
            "only {} of the cost has an owner, and a chargeback takes {}: see who lacks one with `faregate spend --by key,user`, \
             or say --force",
            percent(share),
            percent(CHARGEBACK_SHARE)
        )));
    }
    let by = |dimensions: &[Dimension]| {
        let query =
            Query { period: period.clone(), by: dimensions.to_vec(), only: vec![of.clone()] };
        ask(store, query)
    };
    let sides = SIDES.iter().map(|(_, by_these)| by(by_these)).collect::<Result<_, _>>()?;
    let detail = by(&[
        Dimension::Project,
        Dimension::Agent,
        Dimension::Key,
        Dimension::User,
        Dimension::Provider,
        Dimension::Model,
        Dimension::PriceId,
        Dimension::Kind,
    ])?;
    let days = by(&[Dimension::Day])?.groups;
    let month = Month::of(period.from);
    let is_month = (month.start(), month.end()) == (period.from, period.to);
    let closed = if is_month { store.closing(month)? } else { None };
    Ok(Statement { of, purpose, period, attribution, sides, days, detail, closed })
}

/// The statement's rows in every detail.
#[must_use]
pub fn statement_csv(statement: &Statement) -> String {
    csv(&statement.detail)
}
