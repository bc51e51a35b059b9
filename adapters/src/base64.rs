//! Base64, with the standard alphabet and with the one for URLs.
//!
//! In: bytes. Out: text, or the other way round.
//! Format: RFC 4648 <https://www.rfc-editor.org/rfc/rfc4648>

use std::borrow::Cow;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// No letter of either alphabet.
const NONE: u8 = 64;

/// What each byte stands for, in either alphabet.
static VALUES: [u8; 256] = values();

/// Appends `bytes` in the standard alphabet, with padding.
pub fn encode(out: &mut String, bytes: &[u8]) {
    let end = append(out, bytes, STANDARD);
    out.extend(std::iter::repeat_n('=', end));
}

/// Appends `bytes` in the alphabet for URLs, without padding.
pub fn encode_url(out: &mut String, bytes: &[u8]) {
    append(out, bytes, URL);
}

/// The bytes that `text` stands for, in either alphabet, with or without padding; blanks and line ends are stepped over.
/// `None` when it is not base64.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count, mut is_padded) = (0_u32, 0_u8, false);
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let value = VALUES[usize::from(*byte)];
        if *byte == b'=' {
            is_padded = true;
            continue;
        }
        if value == NONE || is_padded {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        2 => out.push((bits >> 4 & 0xff) as u8),
        3 => out.extend_from_slice(&(bits << 6).to_be_bytes()[1..3]),
        _ => return None,
    }
    Some(out)
}

/// `bytes` in the standard alphabet, with padding.
#[must_use]
pub fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    encode(&mut text, bytes);
    text
}

/// The same data in the standard alphabet with padding: what is in it already stays as it is, and so does what is no base64.
#[must_use]
pub fn standard(text: Cow<'_, str>) -> Cow<'_, str> {
    let foreign = |letter: u8| letter == b'-' || letter == b'_' || letter.is_ascii_whitespace();
    if text.len().is_multiple_of(4) && !text.bytes().any(foreign) {
        return text;
    }
    decode(text.as_bytes()).map_or(text, |bytes| encoded(&bytes).into())
}

/// Whether `text` is base64 in either alphabet, without blanks.
#[must_use]
pub fn is_base64(text: &str) -> bool {
    let letters = text.trim_end_matches('=');
    letters.len() % 4 != 1 && letters.bytes().all(|letter| VALUES[usize::from(letter)] != NONE)
}

/// Appends without padding; gives back how much is missing.
fn append(out: &mut String, bytes: &[u8], alphabet: &[u8; 64]) -> usize {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let mut missing = 0;
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        missing = 3 - chunk.len();
        for at in 0..=chunk.len() {
            out.push(char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    missing
}

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < NONE {
        values[STANDARD[value as usize] as usize] = value;
        values[URL[value as usize] as usize] = value;
        value += 1;
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_standards_examples_come_out() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = String::new();
            encode(&mut out, plain.as_bytes());
            assert_eq!(out, coded);
            assert_eq!(decode(coded.as_bytes()).unwrap(), plain.as_bytes());
        }
        for wrong in ["Z", "Zg=a", "Z!==", "Zm9vY"] {
            assert_eq!(decode(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(decode(b"Zm9v\r\nYg ==\n").unwrap(), b"foob");
    }

    #[test]
    fn the_alphabet_for_urls_becomes_the_standard_one() {
        for (given, expected) in
            [("-_8=", "+/8="), ("-_8", "+/8="), ("+/8=", "+/8="), ("Zm9v\n", "Zm9v"), ("!", "!")]
        {
            assert_eq!(standard(given.into()), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let (mut standard, mut url) = (String::new(), String::new());
            encode(&mut standard, &bytes);
            encode_url(&mut url, &bytes);
            prop_assert_eq!(decode(standard.as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(decode(url.as_bytes()), Some(bytes));
        }
    }
}
