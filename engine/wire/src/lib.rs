//! Bytes to meaning: HTTP/1.1 heads, framing, chunks, SSE events, event-stream frames and JSON spans.
//!
//! Parsers here take bytes and give back slices. They own no buffer, do no I/O and know no provider.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

pub mod body;
#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod chunk;
mod crc;
pub mod frames;
pub mod head;
pub mod json;
pub mod limits;
mod multipart;
mod patch;
pub mod sse;
mod websocket;

pub use body::{BodyReader, Framing, Piece};
pub use chunk::{BadChunk, ChunkReader, WholeChunks, write_chunk_head};
pub use frames::{
    BadFrame, Frame, FrameCutter, write_event_frame, write_exception_frame, write_frame,
};
pub use head::{HeadError, HeadLimits, Known, Method, RequestHead, ResponseHead, Slots, Version};
pub use head::{parse_request, parse_response, parse_switch};
pub use json::{Json, JsonError, JsonWriter, Peek, Scanner};
pub use multipart::{FormError, FormField, FormScanner};
pub use patch::{Patch, quote};
pub use sse::{Cutter, Event, TooLong};
pub use websocket::{BadWebsocket, FramePiece, FrameReader, Opcode};
