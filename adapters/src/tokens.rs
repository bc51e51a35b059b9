//! Ceilings for tokens that no tokenizer has counted yet.

/// The most tokens that the text in a request body of this many bytes can make: one a byte.
///
/// A byte-level BPE vocabulary (the tiktoken families, Llama 3, Qwen, DeepSeek, Mistral's Tekken) splits text into tokens
/// of at least one byte each: it begins with single bytes, and merging only makes tokens fewer. JSON spells no byte of a
/// text in less than one byte (escapes are longer: `\n`, `\u00e9`), so the text has no more bytes than the body. In a
/// list of token ids each takes two bytes or more. SentencePiece with byte fallback adds at most one token, a leading
/// space. The control tokens of a chat template, fewer than ten a message, are outweighed by the JSON around a message:
/// `{"role":"user","content":""}` alone has 28 bytes.
///
/// Not covered: images, audio and files, which are fetched by URL, named by id or counted by their own rules; and
/// vocabularies that normalise text to something longer first (NFKC, in T5 and its kin).
#[must_use]
pub const fn input_upper_bound(body_bytes: u64) -> u64 {
    body_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_number_of_bytes() {
        for bytes in [0, 1, 4096, u64::MAX] {
            assert_eq!(input_upper_bound(bytes), bytes);
        }
    }
}
