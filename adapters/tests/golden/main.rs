//! Every dialect against every other, over the recorded conversations in `tests/golden`.
//!
//! [`crossing`] compares what each becomes in the other dialects with the files under `to/` (`UPDATE=1` rewrites them; the
//! diff is read), [`usage`] adds up tokens, [`prefixes`] breaks every stream off at every place, and [`round`] says every
//! request again in its own dialect.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reads fixtures, and what it does not expect fails it"
)]

mod crossing;
mod fixture;
mod grammar;
mod layout;
mod prefixes;
mod relay;
mod round;
mod usage;
