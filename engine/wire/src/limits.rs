//! Every byte and count limit of the wire. Reaching one is an error with a name, never a longer
//! buffer.

/// Bytes of a head, blank line included: of a request or of a response.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields of a head. [`crate::Slots`] has room for exactly so many; a policy can only lower it.
pub const HEADERS_MAX: usize = 256;

/// Bytes of a request target.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a method. A longer one is not implemented, whatever it says.
pub const METHOD_BYTES_MAX: usize = 16;

/// Options in all `Connection` fields of a head together.
pub const CONNECTION_OPTIONS_MAX: usize = 32;

/// Digits of a `Content-Length`: the most that always fit an `u64`.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 19;

/// Hex digits of a chunk size: the most that always fit an `u64`.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// Bytes of chunk extensions in one message.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 4 * 1024;

/// Bytes of chunk framing in one message beyond what its data excuse; see [`crate::ChunkReader`].
pub const CHUNK_WASTE_BYTES_MAX: u64 = 16 * 1024;

/// Bytes of trailer fields in one message. They are read and dropped.
pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// Bytes of one event-stream frame, checksums included. The format allows 16 MiB and more; models send less than a
/// hundredth of this.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Bytes of the headers of one frame.
pub const FRAME_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the boundary of a form (RFC 2046 section 5.1.1).
pub const FORM_BOUNDARY_BYTES_MAX: usize = 70;

/// Bytes of the head of one part of a form.
pub const PART_HEAD_BYTES_MAX: usize = 4 * 1024;

/// Bytes of the one value that is looked for in a form.
pub const FORM_VALUE_BYTES_MAX: usize = 256;

/// Bytes of the head of a WebSocket frame, its mask included (RFC 6455 section 5.2).
pub const WEBSOCKET_HEAD_BYTES_MAX: usize = 14;

/// Bytes that a control frame of a WebSocket carries (RFC 6455 section 5.5).
pub const WEBSOCKET_CONTROL_BYTES_MAX: usize = 125;

const _: () = assert!(FRAME_HEADER_BYTES_MAX < FRAME_BYTES_MAX, "headers leave room for a payload");
const _: () = assert!(TARGET_BYTES_MAX < HEAD_BYTES_MAX, "a long target is told from a long head");
const _: () = assert!(CONTENT_LENGTH_DIGITS_MAX <= u64::MAX.ilog10() as usize, "no length wraps");
const _: () = assert!(CHUNK_SIZE_DIGITS_MAX as u32 * 4 == u64::BITS, "no chunk size wraps");
