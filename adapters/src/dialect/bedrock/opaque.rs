//! Hidden thoughts of any provider as a blob of Converse, and back.
//!
//! `redactedContent` is bytes: clients decode its base64 and encode it again when they send it back. What another provider
//! made (base64 for URLs, or no base64) would not survive that, so it is wrapped as a whole, with a mark before it.

use std::borrow::Cow;

use crate::base64;

const MARK: &str = "faregate:";

/// A signature as base64 that survives decoding and encoding.
pub(super) fn to_blob(signature: &str) -> Cow<'_, str> {
    let mut same = String::new();
    if let Some(bytes) = base64::decode(signature.as_bytes()) {
        base64::encode(&mut same, &bytes);
    }
    if same == signature {
        return signature.into();
    }
    let mut blob = String::new();
    base64::encode(&mut blob, format!("{MARK}{signature}").as_bytes());
    blob.into()
}

/// The signature that a blob was made of.
pub(super) fn of_blob(blob: Cow<'_, str>) -> Cow<'_, str> {
    let bytes = base64::decode(blob.as_bytes()).unwrap_or_default();
    match std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_prefix(MARK)) {
        Some(signature) => signature.to_owned().into(),
        None => blob,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_survive_a_client() {
        for signature in ["", "Zm9v", "gAAAAB-_x", "Zm9vYg", "not base64 at all", "ü"] {
            let blob = to_blob(signature);
            let mut again = String::new();
            base64::encode(&mut again, &base64::decode(blob.as_bytes()).unwrap());
            assert_eq!(again, blob);
            assert_eq!(of_blob(blob), signature);
        }
        assert_eq!(to_blob("Zm9v"), "Zm9v");
    }
}
