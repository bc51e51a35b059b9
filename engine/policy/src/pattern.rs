//! Names with `*`, as models and permissions are written: `gpt-*`, `openai/*`, `*`.

use std::fmt;

/// A name in which each `*` stands for any run of characters, none included. Upper and lower case
/// differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern as written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one name only.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.0.contains('*')
    }

    /// How many characters it fixes: of two patterns that match, the one that fixes more is meant.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.bytes().filter(|&b| b != b'*').count()
    }

    /// Whether `name` is meant. Time grows with the product of both lengths at worst.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }

    /// Whether every name that `prefix` begins is meant.
    #[must_use]
    pub fn covers_prefix(&self, prefix: &str) -> bool {
        self.0.ends_with('*') && self.matches(prefix)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The usual walk with one place to go back to: after a mismatch the last star takes one more byte.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            back = Some((p + 1, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star, taken)) = back {
            back = Some((star, taken + 1));
            p = star;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
    }

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        check("gpt-5", "gpt-5", true);
        check("gpt-5", "gpt-5-mini", false);
        check("gpt-*", "gpt-", true);
        check("gpt-*", "gpt-5-mini", true);
        check("*-mini", "gpt-5-mini", true);
        check("*-mini", "gpt-5-minis", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("GPT-*", "gpt-5", false);
    }

    #[test]
    fn a_prefix_is_covered_when_all_that_begins_with_it_is_meant() {
        let covers = |pattern, prefix| Pattern::new(pattern).covers_prefix(prefix);
        assert!(
            covers("*", "openai/") && covers("openai/*", "openai/") && covers("open*", "openai/")
        );
        assert!(!covers("openai/gpt-*", "openai/") && !covers("openai/", "openai/"));
        assert!(!covers("*-mini", "openai/") && !covers("groq/*", "openai/"));
    }

    /// The obvious way: a star takes nothing, or one byte and stays.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((b'*', rest)), None) => naive(rest, name),
            (Some((b'*', rest)), Some((_, behind))) => naive(rest, name) || naive(pattern, behind),
            (Some((p, rest)), Some((n, behind))) => p == n && naive(rest, behind),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_equals_the_obvious_way(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            let expected = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), expected);
        }
    }
}
