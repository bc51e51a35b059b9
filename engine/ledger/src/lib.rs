//! The books: what was spent, by whom, for what.
//!
//! In: one [`Row`] for each request that has cost something or could have. Out: durable rows, balances, reports.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

pub mod journal;
pub mod lease;
pub mod month;
pub mod report;
pub mod row;
#[cfg(any(test, feature = "check"))]
pub mod sample;
pub mod store;

pub use row::{Row, RowId, RowKind};
