//! Bytes to meaning: HTTP/1.1 heads, framing, chunks, SSE events and JSON spans.
//! Every decision, without I/O and without a clock.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

pub mod body;
#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod chunk;
pub mod head;
pub mod limits;

pub use body::{BodyReader, Framing, Piece};
pub use chunk::{BadChunk, ChunkReader, WholeChunks, write_chunk_head};
pub use head::{HeadError, HeadLimits, Known, Method, RequestHead, ResponseHead, Slots, Version};
pub use head::{parse_request, parse_response};
