//! Sixteen bytes of a string at a time: which of them end it, and which are no ASCII.
//!
//! Three comparisons of vectors, which every machine of the last twenty years has; on others the same in plain
//! arithmetic. `wide` wraps them so that no `unsafe` is needed here.

use wide::u8x16;

/// Bytes in a block.
pub(super) const BLOCK_BYTES: usize = 16;

/// One bit for each byte of a block, the first byte lowest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    special: u32,
    high: u32,
}

impl Marks {
    /// The marks of a block.
    #[inline(always)]
    pub(super) fn of(block: &[u8; BLOCK_BYTES]) -> Self {
        let bytes = u8x16::new(*block);
        let quotes = bytes.simd_eq(u8x16::splat(b'"'));
        let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
        let controls = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
        Self { special: (quotes | backslashes | controls).to_bitmask(), high: bytes.to_bitmask() }
    }

    /// Whether there is anything to look at.
    #[inline(always)]
    pub(super) fn any(self) -> bool {
        self.special | self.high != 0
    }

    /// Whether there is a quote, a backslash or a control character.
    #[inline(always)]
    pub(super) fn special(self) -> bool {
        self.special != 0
    }

    /// Whether there is a byte beyond ASCII.
    #[inline(always)]
    pub(super) fn high(self) -> bool {
        self.high != 0
    }

    /// The place of the first special byte, or [`BLOCK_BYTES`].
    #[inline(always)]
    pub(super) fn first_special(self) -> usize {
        (self.special.trailing_zeros() as usize).min(BLOCK_BYTES)
    }
}

/// Bytes of `text` before its first quote, backslash or control character.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = text[at..].first_chunk() {
        let marks = Marks::of(block);
        if marks.special() {
            return at + marks.first_special();
        }
        at += BLOCK_BYTES;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
    let rest = &text[at..];
    at + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_is_marked_as_it_should_be() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK_BYTES {
                for around in [b'a', b' ', b'!', 0x7f, 0x80, 0xff] {
                    let mut block = [around; BLOCK_BYTES];
                    block[place] = byte;
                    let marks = Marks::of(&block);
                    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
                    let first = block.iter().position(special);
                    assert_eq!(marks.special(), first.is_some(), "{block:?}");
                    assert_eq!(marks.first_special(), first.unwrap_or(BLOCK_BYTES), "{block:?}");
                    assert_eq!(marks.high(), !block.is_ascii(), "{block:?}");
                    assert_eq!(marks.any(), marks.special() || marks.high(), "{block:?}");
                }
            }
        }
    }
}
