//! Numbers as the journal writes them: little ones in few bytes.
//!
//! In and out: LEB128 with the low seven bits first, at most ten bytes; signed amounts folded so that the sign is the lowest
//! bit. Nothing is remembered.

/// Bytes that no writer of ours has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(
    /// What was being read.
    pub &'static str,
);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot be read", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Appends `value`.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_seven(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven(value));
}

/// Appends an amount that may be below zero: its sign and its size.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i128) {
    let size = value.unsigned_abs();
    out.push(u8::from(value < 0));
    out.extend_from_slice(&size.to_le_bytes());
}

/// Appends bytes behind their length.
#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[inline]
const fn low_seven(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// What has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    #[inline]
    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(first)
    }

    /// The next number.
    #[inline]
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    /// The next number, which fits in 32 bits.
    pub(crate) fn small(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.number(what)?).map_err(|_| Malformed(what))
    }

    /// The next amount that may be below zero.
    pub(crate) fn signed(&mut self, what: &'static str) -> Result<i128, Malformed> {
        let negative = match self.byte(what)? {
            0 => false,
            1 => true,
            _ => return Err(Malformed(what)),
        };
        let size = u128::from_le_bytes(self.array(what)?);
        let size = i128::try_from(size).map_err(|_| Malformed(what))?;
        Ok(if negative { -size } else { size })
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next bytes, behind their length.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number(what)?).map_err(|_| Malformed(what))?;
        let (head, rest) = self.rest.split_at_checked(length).ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_and_an_overlong_one_is_refused() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.number("it"), Ok(value));
            assert!(reader.is_empty(), "{value}");
        }
        let mut reader = Reader::new(&[0xff; 12]);
        assert_eq!(reader.number("it"), Err(Malformed("it")));
    }

    #[test]
    fn amounts_keep_their_sign() {
        for value in [0, -1, 1, i128::from(u64::MAX), -i128::from(u64::MAX) * 1_000_000] {
            let mut out = Vec::new();
            put_signed(&mut out, value);
            assert_eq!(Reader::new(&out).signed("it"), Ok(value));
        }
    }
}
