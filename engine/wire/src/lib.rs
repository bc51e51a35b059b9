//! Bytes to meaning: HTTP/1.1 heads, framing, chunks, SSE events and JSON spans.
//!
//! Parsers here take bytes and give back slices. They own no buffer, do no I/O and know no provider.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod json;
mod patch;
pub mod sse;

pub use json::{JsonError, Peek, Scanner};
pub use patch::{Patch, quote};
pub use sse::{Cutter, Event, TooLong};

/// A request method that is served. (Placeholder until `head.rs` is merged: then delete it here.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "placeholder")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}
