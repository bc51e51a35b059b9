//! Over an object or an array in one go, 64 bytes at a time.
//!
//! Definitions of tools are full of short strings; looking for each quote by itself takes longer than looking at all bytes.
//! Which bytes stand within strings is found for a whole block by shifts, as in simdjson
//! (<https://arxiv.org/abs/1902.08318>, section 3.1), in registers of eight bytes.

const BLOCK: usize = 64;

/// Bytes of the object or array that `text` begins with; `None` when it begins with none, or has no end.
///
/// In a well-formed text brackets of the other kind are balanced between, and need not be counted.
pub(super) fn container_len(text: &[u8]) -> Option<usize> {
    let (open, close) = match text.first()? {
        b'{' => (b'{', b'}'),
        b'[' => (b'[', b']'),
        _ => return None,
    };
    let (mut within, mut escapes, mut depth) = (0_u64, false, 0_u32);
    for (number, piece) in text.chunks(BLOCK).enumerate() {
        let mut tail = [0; BLOCK];
        let block = <&[u8; BLOCK]>::try_from(piece).unwrap_or_else(|_| {
            tail[..piece.len()].copy_from_slice(piece);
            &tail
        });
        let escaped = escaped(equal(block, b'\\'), &mut escapes);
        let quotes = equal(block, b'"') & !escaped;
        let strings = running(quotes) ^ within;
        within = if strings >> 63 == 1 { u64::MAX } else { 0 };
        let opens = equal(block, open) & !strings;
        let mut closes = equal(block, close) & !strings;
        if depth > closes.count_ones() {
            depth += opens.count_ones();
            depth -= closes.count_ones();
            continue;
        }
        let mut counted = 0_u64;
        while closes != 0 {
            let place = closes.trailing_zeros();
            let below = (1 << place) - 1;
            depth += (opens & below & !counted).count_ones();
            counted = below;
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(number * BLOCK + place as usize + 1);
            }
            closes &= closes - 1;
        }
        depth += (opens & !counted).count_ones();
    }
    None
}

/// One bit for each byte of the block: whether it is this one.
#[inline]
fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let wanted = u64::from_ne_bytes([byte; 8]);
    let mut bits = 0;
    let (words, _) = block.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ wanted;
        // The highest bit of each byte that is zero; then these bits, side by side.
        let same = !((differs & LOW).wrapping_add(LOW) | differs | LOW);
        bits |= ((same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * at);
    }
    bits
}

/// The bytes that a backslash takes the meaning of. `carries`: the last block has ended in such a backslash.
#[inline]
fn escaped(backslashes: u64, carries: &mut bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    if backslashes == 0 {
        return u64::from(std::mem::take(carries));
    }
    let carried = u64::from(*carries);
    let backslashes = backslashes & !carried;
    let follows = backslashes << 1 | carried;
    // Of a row of backslashes that begins at an odd place the sum carries to where it ends.
    let (ends, overflows) = (backslashes & !EVEN & !follows).overflowing_add(backslashes);
    *carries = overflows;
    (EVEN ^ (ends << 1)) & follows
}

/// Each bit: whether an odd number of bits up to it is set.
#[inline]
fn running(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use faregate_wire::json::value_len;
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8]) {
        let expected = value_len(text).filter(|_| matches!(text.first(), Some(b'{' | b'[')));
        assert_eq!(container_len(text), expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn ends_are_found_wherever_blocks_end() {
        for lead in 0..140 {
            let lead = " ".repeat(lead);
            for inner in [
                "",
                "{}",
                "\"}\"",
                "\"\\\"}\"",
                "\"\\\\\"",
                "\"\\\\\\\"}\"",
                "[{}]",
                "{{\"a\":\"\\\\\\\\\"}}",
            ] {
                check(format!("{{{lead}{inner}}} }}").as_bytes());
                check(format!("[{inner}{lead}{inner}] ]").as_bytes());
                check(format!("{{{lead}{inner}").as_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn the_obvious_way_finds_the_same(pieces in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", "\\\"", "a", "long enough to fill some of a block", ",",
        ]), 0..80), square: bool) {
            let text = format!("{}{}", if square { '[' } else { '{' }, pieces.concat());
            let text = text.as_bytes();
            // Backslashes outside of strings are no JSON; what they escape there is nobody's concern.
            if !escapes_outside(text) {
                prop_assert_eq!(container_len(text), value_len(text));
            }
        }
    }

    fn escapes_outside(text: &[u8]) -> bool {
        let (mut inside, mut at) = (false, 0);
        while at < text.len() {
            match text[at] {
                b'"' => inside = !inside,
                b'\\' if inside => at += 1,
                b'\\' => return true,
                _ => {}
            }
            at += 1;
        }
        false
    }
}
