//! One text, counted in bounded steps.
//!
//! In: a text of any length. Out: how many tokens it makes, or can make at most. The tokenizer's regular expression needs a
//! stack that grows with the text, and time that grows faster than it: so a long text is cut where its first step, which
//! divides text into words, cuts it anyway, and what has no such place for [`PIECE_BYTES_MAX`] bytes is bounded by its bytes.
//!
//! The places are behind an ASCII letter or digit or a CJK ideograph, before a space or a line end. In both vocabularies'
//! patterns a word that holds a letter or a digit ends there, whatever follows, and what follows does not look back. So the
//! pieces' tokens are the text's.

use super::{Count, How, Tokenizer, input_upper_bound};

/// The longest piece that the tokenizer is given.
pub(super) const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Counts the tokens of a text that stands by itself. Control tokens in it are text.
pub(super) fn count(tokenizer: Tokenizer, text: &str) -> Count {
    let (mut tokens, mut how, mut rest) = (0_u64, How::Exact, text);
    while !rest.is_empty() {
        let (piece, behind) = cut(rest);
        if piece.len() > PIECE_BYTES_MAX {
            how = How::UpperBound;
            tokens = tokens.saturating_add(input_upper_bound(piece.len() as u64));
        } else {
            let counted = tokenizer.vocabulary().count_ordinary(piece);
            tokens = tokens.saturating_add(counted as u64);
        }
        rest = behind;
    }
    Count { tokens, how }
}

/// The longest piece that is short enough, and the rest; where there is none, the shortest.
fn cut(text: &str) -> (&str, &str) {
    if text.len() <= PIECE_BYTES_MAX {
        return (text, "");
    }
    let bytes = text.as_bytes();
    let short = (1..=PIECE_BYTES_MAX).rev().find(|at| is_end(bytes, *at));
    let long = || (PIECE_BYTES_MAX + 1..bytes.len()).find(|at| is_end(bytes, *at));
    text.split_at(short.or_else(long).unwrap_or(bytes.len()))
}

/// Whether a word ends before `at`, which is not the start.
fn is_end(bytes: &[u8], at: usize) -> bool {
    let is_space = matches!(bytes[at], b' ' | b'\n');
    is_space && (bytes[at - 1].is_ascii_alphanumeric() || is_ideograph(&bytes[..at]))
}

/// Whether the bytes end with a CJK unified ideograph, U+4E00 to U+9FFF: E4 B8 80 to E9 BF BF.
fn is_ideograph(bytes: &[u8]) -> bool {
    match bytes {
        [.., first, second, third] => {
            (0xE4B8..=0xE9BF).contains(&u16::from_be_bytes([*first, *second]))
                && (0x80..=0xBF).contains(third)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODELS: [&str; 2] = ["gpt-4", "gpt-4o"];

    fn counted(model: &str, text: &str) -> Count {
        count(Tokenizer::of(model).unwrap(), text)
    }

    #[test]
    fn texts_have_the_tokens_that_openai_says() {
        // From OpenAI's cookbook and tiktoken's own tests.
        let check = |text: &str, cl100k: u64, o200k: u64| {
            for (model, tokens) in MODELS.into_iter().zip([cl100k, o200k]) {
                assert_eq!(
                    counted(model, text),
                    Count { tokens, how: How::Exact },
                    "{model} {text}"
                );
            }
        };
        check("tiktoken is great!", 6, 6);
        check("antidisestablishmentarianism", 6, 6);
        check("2 + 2 = 4", 7, 7);
        check("お誕生日おめでとう", 9, 8);
        check("", 0, 0);
        check("<|endoftext|>", 7, 7);
    }

    #[test]
    fn a_long_text_is_cut_without_a_trace() {
        let text =
            "The quick brown fox's 12 jumps,  over\n\n the (lazy) dog.\r\n\t学习 和 123456 再\n"
                .repeat(2000);
        assert!(text.len() > 2 * PIECE_BYTES_MAX);
        for model in MODELS {
            let whole = Tokenizer::of(model).unwrap().vocabulary().count_ordinary(&text) as u64;
            assert_eq!(counted(model, &text), Count { tokens: whole, how: How::Exact });
        }
    }

    #[test]
    fn what_cannot_be_cut_is_bounded_and_the_rest_counted() {
        let long = "!".repeat(PIECE_BYTES_MAX + 7);
        let text = format!("one two{}x three", long);
        for model in MODELS {
            let count = counted(model, &text);
            assert_eq!(count.how, How::UpperBound);
            assert_eq!(
                count.tokens,
                1 + " two".len() as u64 + long.len() as u64 + 1 + 1,
                "{model}"
            );
        }
    }

    #[test]
    fn no_text_upsets_the_tokenizer() {
        for unit in [
            " ",
            "\n",
            "a",
            "A",
            "=",
            "\u{a0}",
            "\u{301}",
            "\t ",
            "字",
            "👩\u{200d}",
            "\u{0}",
            " \n",
        ] {
            let text = unit.repeat(PIECE_BYTES_MAX / unit.len());
            for model in MODELS {
                for text in [&text, &format!("{}a", &text[unit.len()..])] {
                    let count = counted(model, text);
                    assert!(count.how == How::Exact && count.tokens <= text.len() as u64);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_text_never_makes_more_tokens_than_it_has_bytes(text in "(?s).{0,200}") {
            for model in MODELS {
                prop_assert!(counted(model, &text).tokens <= input_upper_bound(text.len() as u64));
            }
        }

        #[test]
        fn a_cut_at_the_end_of_a_word_adds_nothing(
            left in "([ \\n\\t\\r'a-zA-Z0-9.,!/é中字\u{301}\u{a0}]{0,40})[a-zA-Z0-9中]",
            right in "[ \\n][ \\n\\t\\r'a-zA-Z0-9.,!/é中字\u{301}\u{a0}]{0,40}",
        ) {
            let whole = format!("{left}{right}");
            prop_assert!(is_end(whole.as_bytes(), left.len()));
            for model in MODELS {
                let parts = counted(model, &left).tokens + counted(model, &right).tokens;
                prop_assert_eq!(counted(model, &whole).tokens, parts);
            }
        }
    }
}
