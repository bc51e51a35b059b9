//! Conditions: the `when` of a rule, as in `difficulty > 0.7 or tools`.
//!
//! In: a text, once, when the policy is read. Out: a [`Rule`] that says of a request whether it holds, or the [`Mistake`]
//! in the text. Remembered: nothing.
//!
//! The language has four types (true or false, numbers, texts, lists that are written out), `and`, `or`, `not`,
//! `== != < <= > >= in`, `matches` with a pattern, `+ - *`, and the names of [`FIELDS`]. What a text means is settled when it
//! is read: types are checked, names found, patterns taken apart. A rule that was read cannot fail, does no I/O, allocates
//! nothing, and has an end: there are no loops and no calls.

mod field;
mod lex;
mod parse;
mod tree;

#[cfg(all(test, not(loom)))]
mod tests;

use std::ops::Range;

pub use field::{FIELDS, Field, FlagField, NumberField, TextField};
pub use tree::TEXT_BYTES_MAX;

/// Bytes of a condition.
pub const RULE_BYTES_MAX: usize = 1024;

/// Levels of brackets, `not` and signs.
pub const DEPTH_MAX: usize = 32;

/// Values of a list.
pub const LIST_MAX: usize = 64;

/// A condition that was read.
#[derive(Clone, Debug)]
pub struct Rule {
    text: Box<str>,
    root: tree::Flag,
    needs: Needs,
}

/// What conditions look at that has to be found in the body of a request first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its shape: turns, tools, images, effort, user.
    pub shape: bool,
    /// How hard it looks.
    pub difficulty: bool,
    /// What caches have read of its prompt.
    pub warm: bool,
}

/// What conditions may name, and the names of fields and tags that they look at.
#[derive(Clone, Debug, Default)]
pub struct Known<'p> {
    /// The names of the policy's targets, in its order.
    pub targets: Vec<&'p str>,
    /// Fields of the head, lower case; [`Facts::header`] is asked for one by its place here.
    pub headers: Vec<Box<str>>,
    /// Tags; [`Facts::tag`] is asked for one by its place here.
    pub tags: Vec<Box<str>>,
}

/// What a policy's conditions look at in a request: the gateway finds it before they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Fields of the head, lower case, by their places.
    pub headers: Vec<Box<str>>,
    /// Tags, by their places.
    pub tags: Vec<Box<str>>,
    /// What has to be found in the body.
    pub needs: Needs,
}

/// What is wrong with a condition, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong: lower case, without a full stop.
    pub reason: String,
    /// What would be right; empty: nothing to say.
    pub help: String,
}

/// What a condition asks of a request. Answers do not change while it is evaluated.
pub trait Facts {
    /// Whether it is so.
    fn flag(&self, field: FlagField) -> bool;
    /// How much it is; never NaN.
    fn number(&self, field: NumberField) -> f64;
    /// What it is called; empty where there is none.
    fn text(&self, field: TextField) -> &str;
    /// A field of the head, by its place in [`Known::headers`]; empty where it is missing.
    fn header(&self, index: usize) -> &str;
    /// A tag, by its place in [`Known::tags`]; empty where it is missing.
    fn tag(&self, index: usize) -> &str;
    /// Whether requests pass to this target: index into the policy's.
    fn healthy(&self, target: usize) -> bool;
    /// The present, in nanoseconds since 1970 UTC.
    fn wall_nanos(&self) -> u64;
}

impl Rule {
    /// Reads a condition. The names of fields and tags that it looks at are added to `known`.
    ///
    /// # Errors
    ///
    /// The first [`Mistake`].
    pub fn compile(text: &str, known: &mut Known<'_>) -> Result<Self, Mistake> {
        if text.len() > RULE_BYTES_MAX {
            let reason =
                format!("the condition has {} bytes, more than {RULE_BYTES_MAX}", text.len());
            return Err(mistake(0..text.len(), reason, "make two rules of it"));
        }
        let (root, needs) = parse::parse(text, known)?;
        Ok(Self { text: text.into(), root, needs })
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, facts: &dyn Facts) -> bool {
        self.root.holds(facts)
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it looks at in the body of a request.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }
}

/// Two conditions are the same when they are written alike.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Rule {}

impl Needs {
    /// What either needs.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            shape: self.shape || other.shape,
            difficulty: self.difficulty || other.difficulty,
            warm: self.warm || other.warm,
        }
    }

    /// Whether the body has to be looked into.
    #[must_use]
    pub fn any(self) -> bool {
        self.shape || self.difficulty
    }
}

fn mistake(span: Range<usize>, reason: impl Into<String>, help: impl Into<String>) -> Mistake {
    Mistake { span, reason: reason.into(), help: help.into() }
}
