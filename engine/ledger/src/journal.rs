//! The journal: the append-only truth about money.
//!
//! In: records, in batches. Out: the sequence number up to which they are durable; after a crash, the balances. Remembered
//! between calls: the dictionary of the open segment and the balances so far. The format and the rules are in
//! `docs/journal.md`.

pub mod balances;
pub(crate) mod bytes;
pub(crate) mod decode;
pub(crate) mod dictionary;
pub mod disk;
pub(crate) mod encode;
pub(crate) mod numbers;
pub mod record;

pub use balances::Balances;
pub use bytes::Malformed;
pub use encode::{SCOPES_MAX, TAGS_MAX, TEXT_BYTES_MAX, fits};
pub use record::{Boot, Grant, Part, QUARTER_NS, Record, Unfit, Window};

#[cfg(test)]
mod tests;
