//! The books: what was spent, by whom, for what.
//!
//! In: one [`Row`] for each request that has cost something or could have. Out: durable rows, balances, reports.
#![forbid(unsafe_code)]

pub mod journal;
pub mod row;
pub mod store;

pub use row::{Row, RowId, RowKind};
