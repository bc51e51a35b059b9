//! Eight bytes at a time: which of them matter.
//!
//! In: eight bytes as a word, the first byte lowest. Out: a word with the highest bit of each byte that matters set, and
//! nothing else. Plain arithmetic, so the compiler may use what vectors the machine has.

/// Bytes in a word.
pub(super) const WORD_BYTES: usize = 8;

const HIGH: u64 = all(0x80);

const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; WORD_BYTES])
}

/// The bytes of characters beyond ASCII.
#[inline]
pub(super) const fn high(word: u64) -> u64 {
    word & HIGH
}

/// The place of the lowest mark, or 8.
#[inline]
pub(super) const fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The place of the highest mark. There must be one.
#[inline]
pub(super) const fn last(marks: u64) -> usize {
    marks.ilog2() as usize / 8
}

/// The marks below the place `first`.
#[inline]
pub(super) const fn below(marks: u64, first: usize) -> u64 {
    if first < WORD_BYTES { marks & ((1 << (first * 8)) - 1) } else { marks }
}

/// The marks moved up by one byte; `carry` says whether the last byte of the word before had one.
#[inline]
pub(super) const fn behind(marks: u64, carry: bool) -> u64 {
    marks << 8 | if carry { 0x80 } else { 0 }
}

/// Whether the last byte has a mark.
#[inline]
pub(super) const fn carries(marks: u64) -> bool {
    marks >> 63 == 1
}

/// Decimal digits, all of them exact.
#[inline]
pub(super) const fn digits(word: u64) -> u64 {
    let low = word & !HIGH;
    let from_0 = (low | HIGH) - all(b'0');
    let to_9 = (all(b'9') | HIGH) - low;
    from_0 & to_9 & !word & HIGH
}

/// Bytes that are `byte`, all of them exact.
#[inline]
pub(super) const fn equal(word: u64, byte: u8) -> u64 {
    let different = word ^ all(byte);
    !(((different & !HIGH) + !HIGH) | different) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(block: [u8; 8], holds: impl Fn(u8) -> bool) -> u64 {
        u64::from_le_bytes(block.map(|byte| if holds(byte) { 0x80 } else { 0 }))
    }

    #[test]
    fn every_byte_in_every_place_is_marked_as_it_should_be() {
        for byte in 0..=u8::MAX {
            for place in 0..WORD_BYTES {
                for around in [b'a', b'"', b'!', b'0', b'/', b':', b',', b'-', 0xff, 0x80, 0] {
                    let mut block = [around; WORD_BYTES];
                    block[place] = byte;
                    let word = u64::from_le_bytes(block);
                    assert_eq!(high(word), expected(block, |b| b >= 0x80), "{block:?}");
                    assert_eq!(digits(word), expected(block, |b| b.is_ascii_digit()), "{block:?}");
                    assert_eq!(equal(word, b','), expected(block, |b| b == b','), "{block:?}");
                }
            }
        }
    }

    #[test]
    fn marks_are_counted_from_the_first_byte() {
        let marks = expected(*b"ab,d,fgh", |b| b == b',');
        assert_eq!((first(marks), last(marks), first(0)), (2, 4, 8));
        assert_eq!(below(marks, 4), expected(*b"ab,defgh", |b| b == b','));
        assert_eq!(below(marks, 8), marks);
        assert_eq!(behind(marks, true), expected(*b",bc,e,gh", |b| b == b','));
        assert!(!carries(marks) && carries(marks << 24));
    }
}
