//! Words, vectors and identifiers that depend on nothing but a seed.

/// Words a text is made of; each is one token with the blank before it.
const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "that", "is", "was", "for", "on", "are", "with", "as", "they",
    "be", "at", "one", "have", "this", "from", "or", "had", "by", "not", "but", "what", "all",
    "were", "when", "we", "there", "can", "an", "your", "which", "their", "said", "if", "do",
    "will", "each", "about", "how", "up", "out", "them", "then", "she", "many", "some", "so",
    "these", "would", "other", "into", "has", "more", "her", "two", "like", "him", "see", "time",
    "could",
];

/// Letters and digits; the first two come twice, so that six bits pick one.
const LETTERS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01";

/// Mixes `value` well enough that neighbours look unrelated (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// A hash of `bytes` on top of `seed`, eight bytes at a step.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut state = seed ^ bytes.len() as u64;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("chunks are of eight bytes"));
        state = (state.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    for byte in words.remainder() {
        state = (state.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    mix(state)
}

/// The token at `index` of the text of `seed`, without its blank.
pub(crate) fn word(seed: u64, index: u64) -> &'static str {
    WORDS[(mix(seed ^ index.wrapping_mul(0xd129_8a2f)) >> 58) as usize]
}

/// The first `tokens` tokens of the text of `seed`.
pub(crate) fn words(seed: u64, tokens: u64) -> String {
    let mut text = String::new();
    for index in 0..tokens {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word(seed, index));
    }
    text
}

/// The text of `seed` cut to exactly `bytes` bytes, and its tokens.
pub(crate) fn words_of_bytes(seed: u64, bytes: usize) -> (String, u64) {
    let mut text = String::with_capacity(bytes + 8);
    let mut tokens = 0;
    while text.len() < bytes {
        if tokens > 0 {
            text.push(' ');
        }
        text.push_str(word(seed, tokens));
        tokens += 1;
    }
    text.truncate(bytes);
    (text, tokens)
}

/// Adds `count` letters and digits that depend on `seed`.
pub(crate) fn letters(out: &mut Vec<u8>, seed: u64, count: usize) {
    let start = out.len();
    out.resize(start + count, 0);
    put_letters(&mut out[start..], seed);
}

/// Fills `out` with letters and digits that depend on `seed`.
pub(crate) fn put_letters(out: &mut [u8], seed: u64) {
    let mut state = seed;
    for ten in out.chunks_mut(10) {
        state = mix(state);
        let mut bits = state;
        for letter in ten {
            *letter = LETTERS[(bits & 63) as usize];
            bits >>= 6;
        }
    }
}

/// The number at `index` of the vector of `seed`, between -1 and 1.
pub(crate) fn coordinate(seed: u64, index: u64) -> f32 {
    let bits = u16::try_from(mix(seed ^ index) >> 48).expect("sixteen bits are left");
    f32::from(bits) / 32_768.0 - 1.0
}

/// Adds `bytes` in base64 with padding.
pub(crate) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let sign = |shift: u32| SIGNS[(bits >> shift & 63) as usize];
        let third = if group.len() > 1 { sign(6) } else { b'=' };
        let fourth = if group.len() > 2 { sign(0) } else { b'=' };
        out.extend_from_slice(&[sign(18), sign(12), third, fourth]);
    }
}

/// The bytes that `text` is in base64, with its padding and without blanks.
pub(crate) fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let value = |sign: u8| match sign {
        b'A'..=b'Z' => Some(u32::from(sign - b'A')),
        b'a'..=b'z' => Some(u32::from(sign - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(sign - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let padding = text.iter().rev().take_while(|sign| **sign == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text[..text.len() - padding].chunks(4) {
        let mut bits = 0;
        for sign in group {
            bits = bits << 6 | value(*sign)?;
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_depends_on_its_seed_alone() {
        assert_eq!(words(7, 40), words(7, 40));
        assert_ne!(words(7, 40), words(8, 40));
        assert!(words(7, 41).starts_with(&words(7, 40)));
        let (text, tokens) = words_of_bytes(7, 1000);
        assert_eq!(text.len(), 1000);
        assert!(words(7, tokens).starts_with(&text));
    }

    #[test]
    fn base64_agrees_with_the_standard() {
        let check = |plain: &str, coded: &str| {
            let mut out = Vec::new();
            base64(&mut out, plain.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), coded);
            assert_eq!(unbase64(coded.as_bytes()).unwrap(), plain.as_bytes());
        };
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foobar", "Zm9vYmFy");
    }
}
