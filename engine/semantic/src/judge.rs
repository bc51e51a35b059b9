//! Whether two answers say the same, decided by rules.
//!
//! In: two answers. Out: a [`Verdict`]; doubt is `Different`. Nothing is remembered. The rules: the same text but for white space,
//! case and marks is the same. Otherwise all numbers, days, code and names with digits of one must be in the other and the
//! other way round; both must deny or neither, where they are short; one `yes` and one `no` at the beginning are different; and of
//! the longer words that either has, both must have at least [`OVERLAP_MIN`] in a hundred.

use hashbrown::HashSet;

use crate::{
    opposite,
    text::{Kind, Token, cut, quantity},
};

/// Bytes of an answer that are looked at.
pub const ANSWER_BYTES_MAX: usize = 16 << 10;

/// In a hundred words of either answer, how many both must have.
pub const OVERLAP_MIN: usize = 50;

/// Words up to which an answer is short, so that a single `not` turns it round.
const SHORT_WORDS: usize = 40;

/// Letters of words that are compared.
const LETTERS_MIN: usize = 4;

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They say the same.
    Same,
    /// They do not, or it is not known.
    Different,
}

impl Verdict {
    /// Compares two answers.
    #[must_use]
    pub fn of(one: &str, other: &str) -> Self {
        let [one, other] = [one, other].map(read);
        let is_same = one.all == other.all && !one.all.is_empty()
            || one.exact == other.exact
                && (one.count.max(other.count) > SHORT_WORDS || one.groups == other.groups)
                && one.opening == other.opening
                && is_alike(&one.words, &other.words);
        if is_same { Self::Same } else { Self::Different }
    }

    /// Whether it is [`Verdict::Same`].
    #[must_use]
    pub fn is_same(self) -> bool {
        self == Self::Same
    }
}

struct Answer {
    /// All of it, without marks and case.
    all: Vec<String>,
    exact: HashSet<String>,
    words: HashSet<String>,
    groups: HashSet<u8>,
    /// `yes` or `no`, where it begins with one.
    opening: Option<bool>,
    count: usize,
}

fn read(text: &str) -> Answer {
    let mut end = text.len().min(ANSWER_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Marks of Markdown around words are no part of them.
    let plain: String =
        text[..end].chars().filter(|c| !matches!(c, '*' | '#' | '_' | '`')).collect();
    let tokens = quantity::english(cut(&plain));
    let solid = tokens.iter().filter(|token| token.kind != Kind::Mark);
    let lower = |token: &Token| token.text.to_lowercase();
    let words: Vec<String> =
        tokens.iter().filter(|token| token.kind == Kind::Word).map(lower).collect();
    let is_exact = |token: &&Token| {
        matches!(token.kind, Kind::Number | Kind::Date | Kind::Time | Kind::Unit)
            || token.kind == Kind::Verbatim && token.text.contains(|c: char| c.is_ascii_digit())
    };
    let opening = match words.first().map(String::as_str) {
        Some("yes" | "ja" | "oui" | "sí" | "si") => Some(true),
        Some("no" | "nein" | "non") => Some(false),
        _ => None,
    };
    Answer {
        all: solid.clone().map(lower).collect(),
        exact: tokens.iter().filter(is_exact).map(lower).collect(),
        groups: words.iter().filter_map(|word| opposite::group(word)).collect(),
        opening,
        count: words.len(),
        words: words.into_iter().filter(|word| word.chars().count() >= LETTERS_MIN).collect(),
    }
}

fn is_alike(one: &HashSet<String>, other: &HashSet<String>) -> bool {
    let both = one.intersection(other).count();
    let either = one.len() + other.len() - both;
    either > 0 && both * 100 >= either * OVERLAP_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, expected: Verdict) {
        assert_eq!(Verdict::of(one, other), expected, "{one} | {other}");
        assert_eq!(Verdict::of(other, one), expected, "{other} | {one}");
    }

    #[test]
    fn the_same_in_other_dress_is_the_same() {
        check("**Paris**.", "paris", Verdict::Same);
        check("The capital of France is Paris.", "Paris is the capital of France.", Verdict::Same);
        check("It costs $1,000.", "It costs 1000 dollars.", Verdict::Same);
        check("42", "42", Verdict::Same);
    }

    #[test]
    fn what_may_be_something_else_is_different() {
        check("Paris", "Berlin", Verdict::Different);
        check("It takes 5 days.", "It takes 6 days.", Verdict::Different);
        check(
            "Dogs are allowed in the rooms.",
            "Dogs are not allowed in the rooms.",
            Verdict::Different,
        );
        check("Yes, that refund is possible.", "No, that refund is possible.", Verdict::Different);
        check("", "", Verdict::Different);
        check("…", "!", Verdict::Different);
        check("Prices increase every summer.", "Prices decrease every summer.", Verdict::Different);
    }
}
