//! Every dialect against every other, over the recorded conversations in `tests/golden`.
//!
//! [`crossing`] compares what each becomes in the other dialects with the files under `to/` (`UPDATE=1` rewrites them; the
//! diff is read), and [`prefixes`] breaks every stream off behind every byte.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test reads fixtures, and what it does not expect fails it"
)]

mod crossing;
mod fixture;
mod layout;
mod prefixes;
mod relay;
mod round;
mod sums;
