//! Signatures of other families' thoughts, as a Gemini client can carry them.
//!
//! A `thoughtSignature` is bytes: `google-genai` decodes its base64 and writes it anew, in the other alphabet. A
//! signature that is not Gemini's own would come back changed, or not be decoded at all, so it is wrapped: a mark, whether
//! the thought is hidden, and the signature, all of it in base64. What has no mark is taken as it is.

use std::borrow::Cow;

use crate::base64;

/// Six bytes each, so that they take eight letters in base64 and the signature begins with the ninth.
const SHOWN: &str = "fgate0";
const HIDDEN: &str = "fgate1";

/// How many letters a mark is.
const MARK_LETTERS: usize = 8;

/// A signature for a client to carry.
pub(super) fn wrap(signature: &str, redacted: bool) -> String {
    let mark = if redacted { HIDDEN } else { SHOWN };
    base64::encoded([mark, signature].concat().as_bytes())
}

/// What a client carried: the signature, and whether its thought is hidden.
pub(super) fn unwrap(carried: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    let mark = carried.get(..MARK_LETTERS).and_then(decoded).unwrap_or_default();
    let redacted = mark == HIDDEN.as_bytes();
    if !redacted && mark != SHOWN.as_bytes() {
        return (carried, false);
    }
    let inner = carried.get(MARK_LETTERS..).and_then(decoded);
    match inner.and_then(|inner| String::from_utf8(inner).ok()) {
        Some(inner) => (Cow::Owned(inner), redacted),
        None => (carried, false),
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    base64::decode(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_carries_comes_back() {
        for signature in ["EqQB+/==", "gAAAA-_", "", "ü"] {
            for redacted in [true, false] {
                let carried = wrap(signature, redacted);
                let rewritten = carried.replace('+', "-").replace('/', "_");
                let expected = (Cow::Borrowed(signature), redacted);
                assert_eq!(unwrap(carried.into()), expected);
                assert_eq!(unwrap(rewritten.into()), expected);
            }
        }
        for native in ["CiQB0e2Kb7x==", "", "short", "skip_thought_signature_validator", "äöüäöü"]
        {
            assert_eq!(unwrap(native.into()), (Cow::Borrowed(native), false));
        }
    }
}
