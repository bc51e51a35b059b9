//! AWS event-stream frames (`application/vnd.amazon.eventstream`), cut out of a byte stream without copying a payload.
//!
//! In: bytes as they arrived, split anywhere. Out: one [`Frame`] for each message, both of its checksums checked, its
//! headers well-formed. State between calls: how long the unfinished frame will be, once its prelude was checked. The way
//! back, [`write_frame`], is for whoever serves such streams.
//!
//! ```text
//! total u32 | headers u32 | crc32 of these 8 bytes | headers | payload | crc32 of all before it      (big-endian)
//! header: name length u8 | name | type u8 | value        (type 7, a string: length u16 | bytes)
//! ```
//! Format: <https://smithy.io/2.0/aws/amazon-eventstream.html>

use std::borrow::Cow;

use crate::{
    crc::crc32,
    limits::{FRAME_BYTES_MAX, FRAME_HEADER_BYTES_MAX},
    quote,
};

/// Bytes before the headers: two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;

/// Bytes of the checksum at the end.
const CRC_BYTES: usize = 4;

/// The type of a header that is a string.
const STRING: u8 = 7;

/// Cuts a stream of bytes into frames.
#[derive(Clone, Debug, Default)]
pub struct FrameCutter {
    /// Bytes of the unfinished frame and of its headers, once its prelude was checked.
    prelude: Option<(usize, usize)>,
    /// Something of the unfinished frame has arrived.
    begun: bool,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Everything the frame consists of.
    pub raw: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
    headers: &'a [u8],
}

/// What is wrong with a frame; there is no way on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// More than [`FRAME_BYTES_MAX`], or more than [`FRAME_HEADER_BYTES_MAX`] of headers.
    TooLong,
    /// The lengths contradict each other.
    Lengths,
    /// The checksum of the lengths is wrong.
    PreludeCrc,
    /// The checksum of the frame is wrong.
    Crc,
    /// The headers are none.
    Headers,
}

impl FrameCutter {
    /// Returns the next whole frame in `pending`, or `None` until more bytes arrive.
    ///
    /// The caller drops `frame.raw.len()` bytes from the front before calling again.
    ///
    /// # Errors
    ///
    /// [`BadFrame`], as soon as it can be told.
    pub fn cut<'a>(&mut self, pending: &'a [u8]) -> Result<Option<Frame<'a>>, BadFrame> {
        self.begun = !pending.is_empty();
        let (total, headers_len) = match self.prelude {
            Some(known) => known,
            None => {
                let Some(lengths) = pending.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
                *self.prelude.insert(check_prelude(lengths)?)
            }
        };
        let Some(raw) = pending.get(..total) else { return Ok(None) };
        let (rest, crc) = raw.split_at(total - CRC_BYTES);
        if crc != crc32(rest).to_be_bytes() {
            return Err(BadFrame::Crc);
        }
        let (headers, payload) = rest[PRELUDE_BYTES..].split_at(headers_len);
        let all = Headers { rest: headers };
        if !all.are_whole() {
            return Err(BadFrame::Headers);
        }
        *self = Self::default();
        Ok(Some(Frame { raw, payload, headers }))
    }

    /// Whether the last call of [`FrameCutter::cut`] left no part of a frame behind.
    #[must_use]
    pub fn at_frame_start(&self) -> bool {
        !self.begun
    }
}

fn check_prelude(prelude: &[u8; PRELUDE_BYTES]) -> Result<(usize, usize), BadFrame> {
    let number = |at: usize| {
        u32::from_be_bytes([prelude[at], prelude[at + 1], prelude[at + 2], prelude[at + 3]])
    };
    if number(8) != crc32(&prelude[..8]) {
        return Err(BadFrame::PreludeCrc);
    }
    let (total, headers) = (number(0) as usize, number(4) as usize);
    if total > FRAME_BYTES_MAX || headers > FRAME_HEADER_BYTES_MAX {
        return Err(BadFrame::TooLong);
    }
    if total < PRELUDE_BYTES + headers + CRC_BYTES {
        return Err(BadFrame::Lengths);
    }
    Ok((total, headers))
}

impl<'a> Frame<'a> {
    /// The value of the string header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let found = Headers { rest: self.headers }.find(|header| header.name == name.as_bytes())?;
        (found.kind == STRING).then_some(found.value)
    }

    /// What the frame is called: `:event-type`; of an exception `exception:` and its type; of an error that the service
    /// has no type for `exception:` and its code. Empty when it has no name.
    #[must_use]
    pub fn event(&self) -> Cow<'a, [u8]> {
        let named = |header| self.header(header).unwrap_or_default();
        match self.header(":message-type") {
            Some(b"exception") => [b"exception:", named(":exception-type")].concat().into(),
            Some(b"error") => [b"exception:", named(":error-code")].concat().into(),
            _ => named(":event-type").into(),
        }
    }

    /// The payload; of an error without one its message, as the JSON that exceptions have: `{"message":"…"}`.
    #[must_use]
    pub fn data(&self) -> Cow<'a, [u8]> {
        if !self.payload.is_empty() || self.header(":message-type") != Some(b"error") {
            return self.payload.into();
        }
        let message = self.header(":error-message").unwrap_or_default();
        let mut json = b"{\"message\":".to_vec();
        quote(&mut json, &String::from_utf8_lossy(message));
        json.push(b'}');
        json.into()
    }
}

struct Header<'a> {
    name: &'a [u8],
    kind: u8,
    value: &'a [u8],
}

struct Headers<'a> {
    rest: &'a [u8],
}

impl Headers<'_> {
    /// Whether all of it can be read.
    fn are_whole(mut self) -> bool {
        self.by_ref().for_each(drop);
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    /// The next header; `None` leaves what cannot be read where it is.
    fn next(&mut self) -> Option<Header<'a>> {
        let (name_len, rest) = self.rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
        let (kind, rest) = rest.split_first()?;
        let (len, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            9 => (16, rest),
            6 | &STRING => {
                let (len, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*len)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        if name.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(Header { name, kind: *kind, value })
    }
}

/// Appends a frame with these string headers.
///
/// # Panics
///
/// When a header's name is empty or longer than 255 bytes, its value longer than 65535 or the frame longer than 4 GiB: the
/// format has no room for them.
pub fn write_frame(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE_BYTES]);
    for (name, value) in headers {
        assert!(!name.is_empty(), "a header without a name cannot be read");
        out.push(u8::try_from(name.len()).expect("names of headers have at most 255 bytes"));
        out.extend_from_slice(name.as_bytes());
        out.push(STRING);
        let len = u16::try_from(value.len()).expect("values of headers have at most 65535 bytes");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let headers_len = out.len() - start - PRELUDE_BYTES;
    out.extend_from_slice(payload);
    let total = out.len() - start + CRC_BYTES;
    for (at, number) in [(start, total), (start + 4, headers_len)] {
        let number = u32::try_from(number).expect("a frame has at most 4 GiB");
        out[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    let crc = crc32(&out[start..start + 8]);
    out[start + 8..start + PRELUDE_BYTES].copy_from_slice(&crc.to_be_bytes());
    let crc = crc32(&out[start..]);
    out.extend_from_slice(&crc.to_be_bytes());
}

/// Appends an event with a JSON payload.
///
/// # Panics
///
/// As [`write_frame`].
pub fn write_event_frame(out: &mut Vec<u8>, event: &str, json: &[u8]) {
    let headers =
        [(":event-type", event), (":content-type", "application/json"), (":message-type", "event")];
    write_frame(out, &headers, json);
}

/// Appends an exception with a JSON payload.
///
/// # Panics
///
/// As [`write_frame`].
pub fn write_exception_frame(out: &mut Vec<u8>, exception: &str, json: &[u8]) {
    let headers = [
        (":exception-type", exception),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write_frame(out, &headers, json);
}

impl BadFrame {
    /// What is wrong, as a lowercase sentence.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "a frame or its headers are longer than the limit",
            Self::Lengths => "the headers of a frame are longer than the frame",
            Self::PreludeCrc => "the checksum of a frame's lengths is wrong",
            Self::Crc => "the checksum of a frame is wrong",
            Self::Headers => "the headers of a frame cannot be read",
        }
    }
}

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BadFrame {}

#[cfg(test)]
mod tests;
