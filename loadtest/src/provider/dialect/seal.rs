//! Signatures of thoughts: opaque to whoever carries them, demanded back unaltered.
//!
//! In: what is signed, or a signature that came back. Out: a signature, or whether it is ours.
//! Nothing is remembered: a signature proves itself, as the real ones do. It looks like the real
//! ones too, with `+`, `/` and `=`, so that whoever mangles those is found out.

use crate::provider::text::{self, hash, mix};

/// Bytes of a signature before they are coded; not a multiple of three, so that there is padding.
const BYTES: usize = 96 - 8;

/// A signature over `bound`. Different `serial`s give different ones.
pub(crate) fn make(serial: u64, bound: &str) -> String {
    let mut plain = Vec::with_capacity(BYTES);
    for place in 0..BYTES as u64 / 8 - 1 {
        plain.extend_from_slice(&mix(serial ^ place << 32).to_be_bytes());
    }
    let proof = hash(hash(SECRET, &plain), bound.as_bytes());
    plain.extend_from_slice(&proof.to_be_bytes());
    let mut out = Vec::new();
    text::base64(&mut out, &plain);
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether `signature` is one that [`make`] has made over `bound`.
pub(crate) fn is_ours(signature: &str, bound: &str) -> bool {
    let Some(plain) = text::unbase64(signature.as_bytes()) else { return false };
    if plain.len() != BYTES {
        return false;
    }
    let (front, proof) = plain.split_at(BYTES - 8);
    hash(hash(SECRET, front), bound.as_bytes()).to_be_bytes() == *proof
}

const SECRET: u64 = 0x5eed_0f51_67a7_0e55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_known_again_and_an_altered_one_is_not() {
        let signature = make(7, "a thought");
        assert!(signature.ends_with('='));
        assert_ne!(signature, make(8, "a thought"));
        assert!(is_ours(&signature, "a thought"));
        assert!(!is_ours(&signature, "another"));
        assert!(!is_ours(&signature[1..], "a thought"));
        assert!(!is_ours(&signature.replace('=', ""), "a thought"));
        let altered = format!("{}A{}", &signature[..20], &signature[21..]);
        assert!(altered == signature || !is_ours(&altered, "a thought"));
        assert!(!is_ours("", ""));
    }
}
