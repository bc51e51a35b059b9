//! The chunked coding, strictly.
//!
//! In: bytes as they arrived, split anywhere. Out: runs of data, as slices of the input; sizes,
//! extensions and trailers are checked and dropped. State between calls: where in a chunk the last
//! byte was, and what the limits have left.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>
//!
//! What the grammar allows and this reader does not: space around a size or an extension, and more
//! than 16 digits.

use std::{error::Error, fmt};

use crate::{
    body::Piece,
    limits::{
        CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, CHUNK_WASTE_BYTES_MAX, TRAILER_BYTES_MAX,
    },
};

/// Bytes of the longest chunk head that [`write_chunk_head`] writes.
pub const CHUNK_HEAD_BYTES_MAX: usize = 18;

/// The last chunk, without trailers.
pub const LAST_CHUNK: &[u8; 5] = b"0\r\n\r\n";

/// Bytes of framing that every chunk may cost before they count as waste.
const WASTE_FREE_PER_CHUNK: u64 = 16;

/// Bytes of framing that every byte of data excuses.
const WASTE_FREE_PER_BYTE: u64 = 2;

/// Which rule of the chunked coding was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadChunk {
    /// The size is not one to sixteen hex digits, right before CRLF or `;`.
    Size,
    /// A line does not end with CRLF, or data are not followed by it.
    LineEnd,
    /// A control byte in an extension.
    Extension,
    /// More than [`CHUNK_EXTENSION_BYTES_MAX`] bytes of extensions.
    ExtensionsTooLong,
    /// More than [`CHUNK_WASTE_BYTES_MAX`] bytes of framing beyond what the data excuse.
    TooMuchFraming,
    /// A trailer field that is none.
    Trailer,
    /// More than [`TRAILER_BYTES_MAX`] bytes of trailers.
    TrailersTooLong,
}

impl BadChunk {
    /// What is wrong, as a lowercase sentence for whoever sent it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Size => "a chunk size is not 1 to 16 hex digits",
            Self::LineEnd => "a line of the chunked coding does not end with CRLF",
            Self::Extension => "a chunk extension holds a control byte",
            Self::ExtensionsTooLong => "the chunk extensions are longer than 4096 bytes",
            Self::TooMuchFraming => "the chunked coding holds too much framing for its data",
            Self::Trailer => "a trailer is no field",
            Self::TrailersTooLong => "the trailers are longer than 8192 bytes",
        }
    }
}

impl fmt::Display for BadChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Error for BadChunk {}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
    Bad(BadChunk),
}

/// Reads chunks.
///
/// Against framing that costs more than it carries (long extensions on chunks of a byte) it keeps
/// an account: each chunk adds the bytes of its framing, is excused 16 and twice its size, and the
/// sum may not pass [`CHUNK_WASTE_BYTES_MAX`].
#[derive(Clone, Debug)]
pub struct ChunkReader {
    at: At,
    /// Digits of the size that is being read.
    digits: u8,
    /// The size that is being read, then what is left of the data.
    left: u64,
    /// Bytes of the line that is being read.
    line: u32,
    extensions: u32,
    trailers: u32,
    waste: u64,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkReader {
    /// A reader at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self { at: At::Size, digits: 0, left: 0, line: 0, extensions: 0, trailers: 0, waste: 0 }
    }

    /// The next run of data in `input`, and the framing on both of its sides.
    ///
    /// # Errors
    ///
    /// [`BadChunk`] at the first byte that breaks the coding, and at every call after it. Data in
    /// front of that byte are always given back first, however the input was cut.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, BadChunk> {
        let start = self.framing(input, 0);
        let mut data = &input[start..start];
        let mut consumed = start;
        if self.at == At::Data {
            let rest = &input[start..];
            let take = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
            data = &rest[..take];
            self.left -= take as u64;
            consumed += take;
            if self.left == 0 {
                self.at = At::DataCr;
                consumed = self.framing(input, consumed);
            }
        }
        match self.at {
            // The bad byte stays where it is; the next call reports it.
            At::Bad(bad) if data.is_empty() => Err(bad),
            at => Ok(Piece { data, consumed, end: at == At::End }),
        }
    }

    /// Whether the body has come to its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.at == At::End
    }

    /// Whether the next byte is the first of a chunk.
    #[must_use]
    pub fn at_chunk_start(&self) -> bool {
        self.at == At::Size && self.digits == 0
    }

    /// Reads framing from `from` on, up to data, the end or a bad byte; says how far.
    fn framing(&mut self, input: &[u8], from: usize) -> usize {
        let mut i = from;
        while i < input.len() && !matches!(self.at, At::Data | At::End | At::Bad(_)) {
            match self.byte(input[i]) {
                Ok(at) => self.at = at,
                Err(bad) => {
                    self.at = At::Bad(bad);
                    return i;
                }
            }
            i += 1;
        }
        i
    }

    fn byte(&mut self, byte: u8) -> Result<At, BadChunk> {
        match self.at {
            At::Size => self.size_byte(byte),
            At::Extension => self.extension_byte(byte),
            At::SizeLf => expect(byte, b'\n').and_then(|()| self.size_read()),
            At::DataCr => expect(byte, b'\r').map(|()| At::DataLf),
            At::DataLf => expect(byte, b'\n').map(|()| self.chunk_start()),
            At::TrailerStart if byte == b'\r' => Ok(At::EndLf),
            At::TrailerStart | At::TrailerName => self.trailer_name_byte(byte),
            At::TrailerValue => self.trailer_value_byte(byte),
            At::TrailerLf => {
                self.count_trailer_byte()?;
                expect(byte, b'\n').map(|()| At::TrailerStart)
            }
            At::EndLf => expect(byte, b'\n').map(|()| At::End),
            at @ (At::Data | At::End | At::Bad(_)) => Ok(at),
        }
    }

    fn chunk_start(&mut self) -> At {
        self.digits = 0;
        self.left = 0;
        self.line = 0;
        At::Size
    }

    fn size_byte(&mut self, byte: u8) -> Result<At, BadChunk> {
        self.line += 1;
        match (hex_digit(byte), byte) {
            (Some(digit), _) if self.digits < CHUNK_SIZE_DIGITS_MAX => {
                self.digits += 1;
                self.left = self.left << 4 | digit;
                Ok(At::Size)
            }
            (None, b'\r') if self.digits > 0 => Ok(At::SizeLf),
            (None, b';') if self.digits > 0 => self.extension_byte(byte),
            (None, b'\n') => Err(BadChunk::LineEnd),
            _ => Err(BadChunk::Size),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<At, BadChunk> {
        self.line += 1;
        match byte {
            b'\r' => Ok(At::SizeLf),
            b'\n' => Err(BadChunk::LineEnd),
            _ if !is_text(byte) => Err(BadChunk::Extension),
            _ if self.extensions == CHUNK_EXTENSION_BYTES_MAX => Err(BadChunk::ExtensionsTooLong),
            _ => {
                self.extensions += 1;
                Ok(At::Extension)
            }
        }
    }

    fn size_read(&mut self) -> Result<At, BadChunk> {
        if self.left == 0 {
            return Ok(At::TrailerStart);
        }
        let framing = u64::from(self.line) + 3; // LF here, CRLF behind the data
        let excused =
            WASTE_FREE_PER_CHUNK.saturating_add(self.left.saturating_mul(WASTE_FREE_PER_BYTE));
        self.waste = (self.waste + framing).saturating_sub(excused);
        if self.waste > CHUNK_WASTE_BYTES_MAX {
            return Err(BadChunk::TooMuchFraming);
        }
        Ok(At::Data)
    }

    fn trailer_name_byte(&mut self, byte: u8) -> Result<At, BadChunk> {
        self.count_trailer_byte()?;
        match byte {
            b':' if self.at == At::TrailerName => Ok(At::TrailerValue),
            b'\n' => Err(BadChunk::LineEnd),
            _ if crate::head::is_token_byte(byte) => Ok(At::TrailerName),
            _ => Err(BadChunk::Trailer),
        }
    }

    fn trailer_value_byte(&mut self, byte: u8) -> Result<At, BadChunk> {
        self.count_trailer_byte()?;
        match byte {
            b'\r' => Ok(At::TrailerLf),
            b'\n' => Err(BadChunk::LineEnd),
            _ if is_text(byte) => Ok(At::TrailerValue),
            _ => Err(BadChunk::Trailer),
        }
    }

    fn count_trailer_byte(&mut self) -> Result<(), BadChunk> {
        self.trailers += 1;
        if self.trailers > TRAILER_BYTES_MAX { Err(BadChunk::TrailersTooLong) } else { Ok(()) }
    }
}

fn expect(byte: u8, expected: u8) -> Result<(), BadChunk> {
    if byte == expected { Ok(()) } else { Err(BadChunk::LineEnd) }
}

fn hex_digit(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        b'A'..=b'F' => Some(u64::from(byte - b'A') + 10),
        _ => None,
    }
}

/// HTAB, SP, VCHAR or obs-text.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The data of chunks that lie whole and in canonical form in one input.
///
/// For the answer that can be passed on as it lies: nothing in it has to be read again by a
/// [`ChunkReader`].
#[derive(Clone, Debug)]
pub struct WholeChunks<'a> {
    rest: &'a [u8],
}

impl<'a> WholeChunks<'a> {
    /// Iterates over the data of the chunks in `input`: `Some` only if it holds one or more
    /// complete data chunks and nothing else.
    ///
    /// Canonical is a size without leading zeros, in lower or upper case, without extension. The
    /// last chunk is none.
    #[must_use]
    pub fn all(input: &'a [u8]) -> Option<Self> {
        let mut rest = input;
        while !rest.is_empty() {
            rest = first_chunk(rest)?.1;
        }
        if input.is_empty() { None } else { Some(Self { rest: input }) }
    }
}

impl<'a> Iterator for WholeChunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (data, rest) = first_chunk(self.rest)?;
        self.rest = rest;
        Some(data)
    }
}

/// The data of the first chunk, and what follows the chunk.
fn first_chunk(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut size = hex_digit(*input.first()?)?;
    if size == 0 {
        return None;
    }
    let mut at = 1;
    loop {
        let byte = *input.get(at)?;
        at += 1;
        let Some(digit) = hex_digit(byte) else {
            if byte == b'\r' && input.get(at) == Some(&b'\n') {
                break;
            }
            return None;
        };
        if at > usize::from(CHUNK_SIZE_DIGITS_MAX) {
            return None;
        }
        size = size << 4 | digit;
    }
    let body = &input[at + 1..];
    let size = usize::try_from(size).ok()?;
    if body.len() < size {
        return None;
    }
    let (data, rest) = body.split_at(size);
    Some((data, rest.strip_prefix(b"\r\n")?))
}

/// Writes the head of a chunk of `len` bytes to the front of `out`: hex digits and CRLF. Returns
/// how many bytes that is.
///
/// A `len` of zero would be the start of a last chunk; use [`LAST_CHUNK`] for that.
pub fn write_chunk_head(out: &mut [u8; CHUNK_HEAD_BYTES_MAX], len: usize) -> usize {
    debug_assert!(len > 0, "a chunk without data ends the body");
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bits = usize::BITS - (len | 1).leading_zeros();
    let digits = bits.div_ceil(4) as usize;
    for (i, byte) in out[..digits].iter_mut().enumerate() {
        *byte = HEX[len >> (4 * (digits - 1 - i)) & 0xf];
    }
    out[digits..digits + 2].copy_from_slice(b"\r\n");
    digits + 2
}

#[cfg(test)]
mod tests;
