//! The chunked coding, taken apart as strictly as it can be.
//!
//! In: bytes as they arrived, split anywhere. Out: runs of body bytes. Remembered between calls:
//! where in a chunk the last byte lay. Bare line feeds, signs, blanks around a size, a size of more
//! than sixteen digits and control bytes in an extension are refused.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112#section-7.1>

/// Bytes of extensions and trailers that one message may carry.
const ASIDE_BYTES_MAX: usize = 8 << 10;

/// A reader of one chunked body.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    place: Place,
    left: u64,
    digits: u8,
    aside: usize,
    chunks: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    EndLineFeed,
    End,
}

/// The coding is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk(
    /// What is wrong, for a log line.
    pub &'static str,
);

impl Chunks {
    /// Reads `input`, calls `found` with each run of body bytes, returns how many bytes belonged to
    /// this body: less than all of `input` only when the body has ended.
    ///
    /// # Errors
    ///
    /// [`BadChunk`] at the first byte that breaks the coding; the reader is of no use after that.
    pub fn read(&mut self, input: &[u8], mut found: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < input.len() && self.place != Place::End {
            if self.place == Place::Data {
                let have = (input.len() - at) as u64;
                let take = usize::try_from(self.left.min(have)).expect("no more than the input");
                found(&input[at..at + take]);
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.place = Place::DataReturn;
                }
            } else {
                self.place = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Whether the last chunk and the trailers have been read.
    pub fn is_ended(&self) -> bool {
        self.place == Place::End
    }

    /// Data chunks seen so far, the unfinished one included.
    pub fn count(&self) -> u64 {
        self.chunks
    }

    fn step(&mut self, byte: u8) -> Result<Place, BadChunk> {
        match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => Ok(Place::SizeLineFeed),
            (Place::Size, b';') if self.digits > 0 => Ok(Place::Extension),
            (Place::Size, _) => self.digit(byte),
            (Place::Extension, b'\r') => Ok(Place::SizeLineFeed),
            (Place::Extension, _) => self.aside(byte, Place::Extension),
            (Place::SizeLineFeed, b'\n') => Ok(self.size_read()),
            (Place::DataReturn, b'\r') => Ok(Place::DataLineFeed),
            (Place::DataLineFeed, b'\n') => Ok(Place::Size),
            (Place::TrailerStart, b'\r') => Ok(Place::EndLineFeed),
            (Place::TrailerStart | Place::Trailer, _) if byte != b'\r' => {
                self.aside(byte, Place::Trailer)
            }
            (Place::Trailer, b'\r') => Ok(Place::TrailerLineFeed),
            (Place::TrailerLineFeed, b'\n') => Ok(Place::TrailerStart),
            (Place::EndLineFeed, b'\n') => Ok(Place::End),
            (Place::DataReturn | Place::DataLineFeed, _) => Err(BadChunk("data without its end")),
            _ => Err(BadChunk("line without carriage return and line feed")),
        }
    }

    fn digit(&mut self, byte: u8) -> Result<Place, BadChunk> {
        let value = char::from(byte).to_digit(16).ok_or(BadChunk("size is not hexadecimal"))?;
        self.digits += 1;
        if self.digits > 16 {
            return Err(BadChunk("size of more than sixteen digits"));
        }
        self.left = self.left << 4 | u64::from(value);
        Ok(Place::Size)
    }

    fn size_read(&mut self) -> Place {
        self.digits = 0;
        if self.left == 0 {
            return Place::TrailerStart;
        }
        self.chunks += 1;
        Place::Data
    }

    fn aside(&mut self, byte: u8, place: Place) -> Result<Place, BadChunk> {
        self.aside += 1;
        if self.aside > ASIDE_BYTES_MAX {
            return Err(BadChunk("extensions and trailers too long"));
        }
        if byte < b' ' && byte != b'\t' || byte == 0x7f {
            return Err(BadChunk("control byte in an extension or trailer"));
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &[u8], expected: Result<&[u8], &str>) {
        for piece in 1..=wire.len() {
            let mut chunks = Chunks::default();
            let mut body = Vec::new();
            let outcome = wire
                .chunks(piece)
                .try_for_each(|part| {
                    chunks.read(part, |bytes| body.extend_from_slice(bytes)).map(|_| ())
                })
                .map(|()| body.as_slice())
                .map_err(|BadChunk(reason)| reason);
            assert_eq!(outcome, expected, "pieces of {piece}");
            assert_eq!(chunks.is_ended(), expected.is_ok());
        }
    }

    #[test]
    fn a_body_does_not_depend_on_where_the_network_cut_it() {
        check(b"3\r\nabc\r\n0A;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n", Ok(b"abc0123456789"));
        check(b"0\r\n\r\n", Ok(b""));
    }

    #[test]
    fn loose_spellings_are_refused() {
        check(b"0x3\r\nabc\r\n0\r\n\r\n", Err("size is not hexadecimal"));
        check(b" 3\r\nabc\r\n0\r\n\r\n", Err("size is not hexadecimal"));
        check(b"\r\nabc", Err("size is not hexadecimal"));
        check(b"3\nabc\r\n0\r\n\r\n", Err("size is not hexadecimal"));
        check(b"3\r\nabcd\r\n", Err("data without its end"));
        check(b"3;a\nb\r\nabc", Err("control byte in an extension or trailer"));
        check(b"00000000000000001\r\na", Err("size of more than sixteen digits"));
        check(b"0\r\n\rX", Err("line without carriage return and line feed"));
    }

    #[test]
    fn bytes_behind_the_end_are_left() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.read(b"1\r\na\r\n0\r\n\r\nGET /", |_| ()), Ok(11));
        assert_eq!(chunks.count(), 1);
    }
}
