//! Names with `*`, as models and permissions are written: `gpt-*`, `openai/*`, `*`.

use std::fmt;

/// A name in which each `*` stands for any run of characters, none included. Upper and lower case differ.
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
        self.0.strip_suffix('*').is_some_and(|head| {
            matches(head.as_bytes(), prefix.as_bytes())
                || self.matches(prefix) && prefix.starts_with(head)
        }) || &*self.0 == "*"
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
