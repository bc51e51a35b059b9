//! What was spent, asked of the store.
//!
//! In: a [`Query`]: a period, what to group by, what to keep. Out: a [`Report`] whose groups add up to its total and whose
//! total is the ledger's, to the last nano-dollar. Nothing is remembered.

pub mod anomaly;
mod dimension;
mod export;
pub mod focus;
mod gather;
pub mod money;
mod period;
pub mod reconcile;
pub mod statement;
mod terminal;
#[cfg(test)]
pub(crate) mod tests;

pub use dimension::Dimension;
pub use export::{csv, csv_field, json};
pub use period::{BadPeriod, Period};
pub use terminal::{Shown, bar, cells, terminal};

use crate::store::{Store, StoreError};

/// The key's name of a caller without one, who owns nothing.
const ANONYMOUS: &str = "anonymous";

/// The most dimensions of one question.
pub const DIMENSIONS_MAX: usize = 8;

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    /// Rows that were booked in it.
    pub period: Period,
    /// What rows are put together by; nothing: all are one group.
    pub by: Vec<Dimension>,
    /// Only rows with these values.
    pub only: Vec<(Dimension, String)>,
}

/// Sums of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Requests; corrections and lost leases are none.
    pub requests: i128,
    /// Requests that failed.
    pub errors: i128,
    /// Requests that a cache of the gateway answered.
    pub cache_hits: i128,
    /// Tokens of input read anew.
    pub input: i128,
    /// Tokens of input found in a provider's cache.
    pub cache_read: i128,
    /// Tokens written to a provider's cache.
    pub cache_write: i128,
    /// Tokens written to a provider's cache for an hour or more.
    pub cache_write_long: i128,
    /// Tokens of audio in the input.
    pub audio_input: i128,
    /// Tokens of output.
    pub output: i128,
    /// Tokens of reasoning.
    pub reasoning: i128,
    /// Tokens of audio in the output.
    pub audio_output: i128,
    /// What it cost in nano-dollars, credits taken off.
    pub cost: i128,
    /// What prompt caches saved, in nano-dollars.
    pub saved_by_cache: i128,
    /// What routing saved, in nano-dollars.
    pub saved_by_routing: i128,
    /// The part of the cost that went into answers nobody got, in nano-dollars.
    pub wasted: i128,
    /// Rows of every kind.
    pub entries: i128,
}

impl Total {
    /// The sums in the order of the store's columns.
    fn parts(&mut self) -> [&mut i128; 16] {
        [
            &mut self.requests,
            &mut self.errors,
            &mut self.cache_hits,
            &mut self.input,
            &mut self.cache_read,
            &mut self.cache_write,
            &mut self.cache_write_long,
            &mut self.audio_input,
            &mut self.output,
            &mut self.reasoning,
            &mut self.audio_output,
            &mut self.cost,
            &mut self.saved_by_cache,
            &mut self.saved_by_routing,
            &mut self.wasted,
            &mut self.entries,
        ]
    }

    pub(crate) fn add(&mut self, more: &[i64; 16]) {
        for (sum, more) in self.parts().into_iter().zip(more) {
            // Sums of 64 bits do not fill 128 in the lifetime of a disk.
            *sum = sum.saturating_add(i128::from(*more));
        }
    }

    /// Adds another total to this one.
    pub fn join(&mut self, mut more: Self) {
        for (sum, more) in self.parts().into_iter().zip(more.parts()) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// All input tokens.
    #[must_use]
    pub const fn all_input(&self) -> i128 {
        self.input + self.cache_read + self.cache_write + self.cache_write_long + self.audio_input
    }

    /// All output tokens.
    #[must_use]
    pub const fn all_output(&self) -> i128 {
        self.output + self.reasoning + self.audio_output
    }

    /// All tokens.
    #[must_use]
    pub const fn tokens(&self) -> i128 {
        self.all_input() + self.all_output()
    }
}

/// One group of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The value of each dimension, in the query's order; empty where there is none.
    pub values: Vec<String>,
    /// Its sums.
    pub total: Total,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug)]
pub struct Report {
    /// The question.
    pub query: Query,
    /// Groups: in the order of time when time is the first dimension, otherwise the dearest first.
    pub groups: Vec<Group>,
    /// All of it.
    pub total: Total,
    /// The part that has an owner: a team, a project, an agent or a key.
    pub owned: Total,
    /// The part that has none.
    pub unowned: Total,
    /// Rows that are in no sum, because no request can cost what they say.
    pub aside: u64,
}

impl Report {
    /// The share of cost that has an owner, in hundredths of a percent, rounded down; `None` when nothing was spent.
    #[must_use]
    pub fn attribution(&self) -> Option<u64> {
        share(self.owned.cost, self.total.cost)
    }
}

/// `part` of `whole` in hundredths of a percent, rounded down; `None` when there is no whole.
#[must_use]
pub fn share(part: i128, whole: i128) -> Option<u64> {
    if whole <= 0 {
        return None;
    }
    u64::try_from(part.max(0).checked_mul(10_000)? / whole).ok()
}

/// Hundredths of a percent as text: `97.25 %`.
#[must_use]
pub fn percent(hundredths: u64) -> String {
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// Answers a question.
///
/// # Errors
///
/// The question cannot be answered, because it asks for two spans of time, or for single rows that have been deleted; or
/// the store cannot be read.
pub fn ask(store: &Store, query: Query) -> Result<Report, StoreError> {
    gather::gather(store, query)
}
