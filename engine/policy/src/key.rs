//! Client keys: how they are minted, recognised and hashed.
//!
//! A minted key is `fg-`, 43 characters that hold 256 random bits, and 6 that hold the CRC-32 of
//! those 43, so that a mistyped key, or one found by a scanner for leaked secrets, is told from any
//! other text without asking anybody. Keys of any other form work too: a policy holds the hash of
//! what the client sends.

use std::fmt;

use sha2::{Digest, Sha256};

/// What every minted key begins with.
pub const PREFIX: &str = "fg-";

/// Characters that hold 256 bits.
const BODY_CHARS: usize = 43;

/// Characters that hold 32 bits.
const CHECKSUM_CHARS: usize = 6;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SHA-256 of a client key: all that a policy holds of it. Displayed as the policy spells it:
/// `sha256:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Reads `sha256:` and 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let mut hash = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let pair = &hex[at..at + 2];
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of a key as the client sends it.
#[must_use]
pub fn hash(key: &[u8]) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

/// A new key. `random` comes from the system's generator and is used once.
#[must_use]
pub fn mint(random: [u8; 32]) -> String {
    let mut number = random;
    let mut body = [0; BODY_CHARS];
    for place in body.iter_mut().rev() {
        *place = BASE62[usize::from(divide(&mut number))];
    }
    let mut key = String::with_capacity(PREFIX.len() + BODY_CHARS + CHECKSUM_CHARS);
    key.push_str(PREFIX);
    key.extend(body.iter().map(|&b| char::from(b)));
    let sum = checksum(&body);
    key.extend(sum.iter().map(|&b| char::from(b)));
    key
}

/// Whether a text has the form of a minted key, right or mistyped.
#[must_use]
pub fn looks_minted(key: &[u8]) -> bool {
    key.starts_with(PREFIX.as_bytes())
}

/// Whether a text is a minted key without a typing mistake.
#[must_use]
pub fn verify_checksum(key: &[u8]) -> bool {
    let Some(rest) = key.strip_prefix(PREFIX.as_bytes()) else { return false };
    rest.len() == BODY_CHARS + CHECKSUM_CHARS && checksum(&rest[..BODY_CHARS]) == rest[BODY_CHARS..]
}

/// What to tell a client whose key is in no policy: lower case, without the key.
#[must_use]
pub fn why_unknown(key: &[u8]) -> &'static str {
    match (looks_minted(key), verify_checksum(key)) {
        (true, true) => "the key is not known here: it was revoked, or belongs to another gateway",
        (true, false) => "the key is mistyped or cut: its checksum is wrong",
        (false, _) => "the key is not known here",
    }
}

/// Divides a number of 256 bits, highest byte first, by 62; gives what remains.
fn divide(number: &mut [u8; 32]) -> u8 {
    let mut rest = 0_u32;
    for byte in number {
        let value = (rest << 8) | u32::from(*byte);
        *byte = low_byte(value / 62);
        rest = value % 62;
    }
    low_byte(rest)
}

#[expect(clippy::cast_possible_truncation, reason = "quotient and rest of a division fit a byte")]
fn low_byte(value: u32) -> u8 {
    debug_assert!(value < 256, "{value} is no byte: a key would lose bits");
    value as u8
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut number = crc32(body);
    let mut text = [0; CHECKSUM_CHARS];
    for place in text.iter_mut().rev() {
        *place = BASE62[(number % 62) as usize];
        number /= 62;
    }
    text
}

/// CRC-32 as in gzip (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_hash_is_spelled_as_sha256sum_does() {
        let expected = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(hash(b"foo").to_string(), expected);
        assert_eq!(KeyHash::parse(expected), Some(hash(b"foo")));
        for wrong in ["", "sha256:", "2c26", &expected[7..], &expected[..70], "sha256:é"] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
        }
        assert_eq!(KeyHash::parse(&expected.replacen("2c", "+c", 1)), None);
    }

    #[test]
    fn a_key_has_one_length_whatever_the_numbers() {
        assert!(mint([0; 32]).starts_with(&format!("fg-{}", "0".repeat(43))));
        assert_eq!(mint([0; 32]).len(), 52);
        assert_eq!(mint([255; 32]).len(), 52);
    }

    #[test]
    fn a_mistyped_key_is_called_so() {
        let key = mint([7; 32]);
        assert!(why_unknown(key.as_bytes()).contains("revoked"));
        assert!(why_unknown(&key.as_bytes()[..51]).contains("mistyped"));
        assert_eq!(why_unknown(b"sk-x"), "the key is not known here");
    }

    proptest! {
        #[test]
        fn a_minted_key_verifies_and_a_mistyped_one_does_not(
            random: [u8; 32],
            at in 3_usize..52,
            other in 0_usize..62,
        ) {
            let key = mint(random);
            prop_assert!(looks_minted(key.as_bytes()) && verify_checksum(key.as_bytes()));
            let mut typed = key.clone().into_bytes();
            typed[at] = BASE62[other];
            prop_assert_eq!(verify_checksum(&typed), typed == key.as_bytes());
        }

        #[test]
        fn no_two_numbers_make_one_key(a: [u8; 32], b: [u8; 32]) {
            prop_assert_eq!(a == b, mint(a) == mint(b));
        }

        #[test]
        fn any_bytes_can_be_asked_about(bytes: Vec<u8>) {
            let _ = (looks_minted(&bytes), verify_checksum(&bytes), hash(&bytes));
        }
    }
}
