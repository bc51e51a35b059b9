//! How many tokens a request takes, before a provider has told.
//!
//! In: a request in canonical form, or the size of a body. Out: a number, and how it was come by ([`How`]): *exact* where
//! the model's tokenizer is known and OpenAI has published how a chat is framed for it, an *upper bound* where a part of it
//! is bounded instead of counted, an *estimate* where there is neither. Nothing is remembered but the vocabularies, which
//! are loaded when the first text is counted.
//!
//! Loading takes 90 ms (`cl100k_base`) to 350 ms (`o200k_base`) and 24 to 46 MiB, counting 40 to 600 ns a byte: none of it
//! belongs on a core. The gateway has a thread for it.

mod encoding;
mod request;
mod text;

pub use encoding::Tokenizer;
pub use request::{bound, count, estimate, refine};

/// Tokens, and how their number was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub tokens: u64,
    /// How that is known.
    pub how: How,
}

/// How a number of tokens was come by, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Counted by the model's own tokenizer and framed by its published rule.
    #[default]
    Exact,
    /// There cannot be more.
    UpperBound,
    /// Made from sizes: there may be more or fewer.
    Estimate,
}

impl How {
    /// Its name, in `x-faregate-count`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UpperBound => "upper-bound",
            Self::Estimate => "estimate",
        }
    }
}

/// Bytes of English, or of source text, that make a token; other scripts have fewer.
const BYTES_PER_TOKEN: u64 = 4;

/// About how many tokens a text of this many bytes makes. For display: neither a bound nor a count.
#[must_use]
pub const fn estimated(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// About how many tokens an answer has, of which so many pieces with content have come and so many bytes of text, as far as
/// they were told apart: a piece is a token at least.
#[must_use]
pub const fn estimated_output(pieces: u64, text_bytes: u64) -> u64 {
    let by_size = estimated(text_bytes);
    if pieces > by_size { pieces } else { by_size }
}

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
    fn a_piece_of_an_answer_is_a_token_at_least() {
        assert_eq!(estimated_output(0, 0), 0);
        assert_eq!(estimated_output(3, 9), 3);
        assert_eq!(estimated_output(3, 40), 10);
    }

    #[test]
    fn the_bound_is_the_number_of_bytes() {
        for bytes in [0, 1, 4096, u64::MAX] {
            assert_eq!(input_upper_bound(bytes), bytes);
        }
    }
}
