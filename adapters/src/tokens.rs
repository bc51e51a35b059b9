//! Ceilings for tokens that no tokenizer has counted yet.

/// The most tokens that the text in a request body of this many bytes can make.
///
/// A byte-level BPE vocabulary (the tiktoken families, Llama 3, Qwen, DeepSeek, Mistral's Tekken) splits text into tokens
/// that are each at least one byte of it: merging only makes tokens fewer. JSON spells no byte of a text in less than one
/// byte (escapes are longer: `\n`, `\u00e9`), so the text has no more bytes than the body. SentencePiece with byte
/// fallback adds at most one token, a leading space; control tokens of a chat template (at most a handful a message) are
/// outweighed by the JSON that spells the message: `{"role":"user","content":""}` alone has 28 bytes, and such a
/// template adds fewer than 10 tokens. Images, audio and files that are fetched by URL or named by id are not text and
/// not covered: nothing can be told from the body about them.
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
