//! Where a body ends.
//!
//! In: a [`Framing`] that the head decided, then bytes as they arrived, split anywhere. Out: runs
//! of body bytes, as slices of the input. State between calls: what is still to come.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>

use crate::chunk::{BadChunk, ChunkReader};

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the sender closes. Responses alone.
    UntilClose,
}

/// A run of body bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Body bytes, without framing. May be empty when the input held framing alone.
    pub data: &'a [u8],
    /// Bytes of the input that are done with: framing and data.
    pub consumed: usize,
    /// The body ends here; what is left of the input belongs to the next message.
    pub end: bool,
}

/// Reads a body to its end.
#[derive(Clone, Debug)]
pub enum BodyReader {
    /// Nothing to read.
    None,
    /// So many bytes are to come.
    Length(u64),
    /// Chunks.
    Chunked(ChunkReader),
    /// Everything, until the sender closes.
    UntilClose,
}

impl BodyReader {
    /// A reader at the start of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(ChunkReader::new()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// The next run of body bytes in `input`.
    ///
    /// The caller drops [`Piece::consumed`] bytes and calls again until nothing is left or
    /// [`Piece::end`] is true. At least one byte of an input that is not empty is consumed until
    /// then.
    ///
    /// # Errors
    ///
    /// [`BadChunk`] at the first byte that breaks the chunked coding, and at every call after it.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, BadChunk> {
        match self {
            Self::None => Ok(Piece { data: &[], consumed: 0, end: true }),
            Self::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= take as u64;
                Ok(Piece { data: &input[..take], consumed: take, end: *left == 0 })
            }
            Self::Chunked(reader) => reader.next(input),
            Self::UntilClose => Ok(Piece { data: input, consumed: input.len(), end: false }),
        }
    }

    /// Whether the body has come to its end. One that is framed by the end of the connection never
    /// says so.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match self {
            Self::None | Self::Length(0) => true,
            Self::Length(_) | Self::UntilClose => false,
            Self::Chunked(reader) => reader.is_ended(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_its_bytes_and_not_one_more() {
        let mut reader = BodyReader::new(Framing::Length(5));
        assert_eq!(reader.next(b"abc").unwrap(), Piece { data: b"abc", consumed: 3, end: false });
        assert!(!reader.is_ended());
        assert_eq!(reader.next(b"deGET /").unwrap(), Piece { data: b"de", consumed: 2, end: true });
        assert!(reader.is_ended());
        assert_eq!(reader.next(b"GET /").unwrap(), Piece { data: b"", consumed: 0, end: true });
    }

    #[test]
    fn the_longest_length_does_not_wrap() {
        let mut reader = BodyReader::new(Framing::Length(u64::MAX));
        assert_eq!(reader.next(b"abc").unwrap(), Piece { data: b"abc", consumed: 3, end: false });
        assert!(matches!(reader, BodyReader::Length(left) if left == u64::MAX - 3));
    }

    #[test]
    fn no_body_ends_before_it_begins() {
        let mut reader = BodyReader::new(Framing::None);
        assert!(reader.is_ended());
        assert_eq!(reader.next(b"GET /").unwrap(), Piece { data: b"", consumed: 0, end: true });
    }

    #[test]
    fn a_body_until_close_has_no_end_of_its_own() {
        let mut reader = BodyReader::new(Framing::UntilClose);
        assert_eq!(reader.next(b"abc").unwrap(), Piece { data: b"abc", consumed: 3, end: false });
        assert!(!reader.is_ended());
    }

    #[test]
    fn chunks_are_read_through_the_same_door() {
        let mut reader = BodyReader::new(Framing::Chunked);
        let piece = reader.next(b"3\r\nabc\r\n0\r\n\r\nGET /").unwrap();
        assert_eq!(piece, Piece { data: b"abc", consumed: 13, end: true });
        assert!(reader.is_ended());
    }
}
