//! Where rows are kept for questions.

/// The tables of the SQLite store. Reports read these, the fold of the journal writes them.
pub const SCHEMA: &str = include_str!("store/schema.sql");
