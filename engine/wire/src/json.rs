//! Where the members of a JSON object are, found without building a tree.
//!
//! In: a body that grows, and the names of the top-level members of interest. Out: the byte range of each member's value.
//! State between calls: where the scan stopped, in which state, and the kinds of the open containers.
//! Format: RFC 8259 <https://www.rfc-editor.org/rfc/rfc8259>
//!
//! A body is accepted when it is one object in the grammar of the RFC and in UTF-8, whatever is in it at any depth, so
//! that no parser behind us reads other members than we do. That is what `serde_json` accepts, with these differences:
//!
//! - names of interest must not occur twice at the top level, or be spelled with escapes there;
//! - numbers have no range (`1e999` is refused by `serde_json`), since nobody here reads their values;
//! - an escape may be half of a surrogate pair (`"\ud83d"`, which JavaScript writes for a text cut in two); such a text
//!   is refused only by [`Peek::string`];
//! - [`DEPTH_MAX`] containers may be open, one more than there.

mod integers;
mod marks;
mod scan;
mod string;
#[cfg(test)]
mod tests;
mod view;
mod words;
mod write;

use std::{borrow::Cow, ops::Range};

pub(crate) use marks::plain_len;
use scan::State;
use string::Text;
pub use view::{Items, Json, Kind, Members, string_len, value_len};
pub use write::JsonWriter;

/// The most names a scanner can look for.
pub const NAMES_MAX: usize = 24;

/// The most bytes of such a name.
pub const NAME_BYTES_MAX: usize = 31;

/// The most containers that may be open at a time.
pub const DEPTH_MAX: usize = 128;

/// Scans a body as it arrives.
#[derive(Clone, Debug)]
pub struct Scanner {
    names: &'static [&'static str],
    /// Which of the names have this many bytes, one bit each.
    names_of_len: [u32; NAME_BYTES_MAX + 1],
    /// Where to go on.
    at: usize,
    state: State,
    /// The string that is being read.
    text: Text,
    /// What is left of the literal that is being read.
    literal: &'static [u8],
    /// Open containers.
    depth: usize,
    /// One bit for each of them, the innermost lowest: whether it is an object.
    kinds: u128,
    object_start: usize,
    object_end: usize,
    has_members: bool,
    /// The name of interest whose value is being read.
    current: Option<usize>,
    /// One bit for each name that has been read.
    seen: u32,
    spans: [Range<usize>; NAMES_MAX],
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The body is not a JSON object.
    NotAnObject,
    /// The body ends before the object does.
    Unbalanced,
    /// The byte at this place cannot stand there.
    Malformed(usize),
    /// The member of interest with this index occurs twice.
    Duplicate(usize),
    /// The member of interest with this index is spelled with escapes.
    EscapedName(usize),
    /// More than [`DEPTH_MAX`] containers are open.
    TooDeep,
    /// Something follows the object.
    Trailing,
    /// The value of the member of interest with this index has another type.
    Mistyped(usize),
}

/// Where the members of interest are in a body.
#[derive(Clone, Debug)]
pub struct Peek {
    object: Range<usize>,
    has_members: bool,
    seen: u32,
    spans: [Range<usize>; NAMES_MAX],
}

impl Scanner {
    /// Looks for the top-level members called `names`.
    ///
    /// # Panics
    ///
    /// With more than [`NAMES_MAX`] names, or a name longer than [`NAME_BYTES_MAX`].
    #[must_use]
    pub fn new(names: &'static [&'static str]) -> Self {
        assert!(names.len() <= NAMES_MAX, "a name that is not looked for would not be checked");
        let mut names_of_len = [0; NAME_BYTES_MAX + 1];
        for (index, name) in names.iter().enumerate() {
            names_of_len[name.len()] |= 1 << index;
        }
        Self {
            names,
            names_of_len,
            at: 0,
            state: State::Start,
            text: Text::at(0),
            literal: &[],
            depth: 0,
            kinds: 0,
            object_start: 0,
            object_end: 0,
            has_members: false,
            current: None,
            seen: 0,
            spans: [const { 0..0 }; NAMES_MAX],
        }
    }

    /// Scans what is new in `body`, which is everything received so far.
    ///
    /// # Errors
    ///
    /// [`JsonError`] as soon as the body cannot become one that is accepted; there is no way on from there.
    ///
    /// # Panics
    ///
    /// When `body` is shorter than before.
    pub fn feed(&mut self, body: &[u8]) -> Result<(), JsonError> {
        assert!(self.at <= body.len(), "a body that shrinks is not the body that was checked");
        self.run(body)
    }

    /// Scans to the end of `body`, which is complete.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when the body is not exactly one object, or what [`Scanner::feed`] reports.
    ///
    /// # Panics
    ///
    /// When `body` is shorter than before.
    pub fn finish(mut self, body: &[u8]) -> Result<Peek, JsonError> {
        self.feed(body)?;
        match self.state {
            State::Done => Ok(Peek {
                object: self.object_start..self.object_end,
                has_members: self.has_members,
                seen: self.seen,
                spans: self.spans,
            }),
            State::Start => Err(JsonError::NotAnObject),
            _ => Err(JsonError::Unbalanced),
        }
    }
}

impl Peek {
    /// Where the value of the member with this index is.
    #[must_use]
    pub fn span(&self, index: usize) -> Option<Range<usize>> {
        let is_there = index < NAMES_MAX && self.seen & 1 << index != 0;
        is_there.then(|| self.spans[index].clone())
    }

    /// The text of a string member. `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`JsonError::Mistyped`] when it is not a string, [`JsonError::Malformed`] when it has half a surrogate pair.
    #[must_use]
    pub fn string<'a>(
        &self,
        body: &'a [u8],
        index: usize,
    ) -> Option<Result<Cow<'a, str>, JsonError>> {
        let span = self.span(index)?;
        let [b'"', literal @ .., b'"'] = &body[span.clone()] else {
            return Some(Err(JsonError::Mistyped(index)));
        };
        Some(string::decode(literal).ok_or(JsonError::Malformed(span.start)))
    }

    /// The value of a boolean member. `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`JsonError::Mistyped`] when it is something else.
    #[must_use]
    pub fn bool(&self, body: &[u8], index: usize) -> Option<Result<bool, JsonError>> {
        Some(match &body[self.span(index)?] {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(JsonError::Mistyped(index)),
        })
    }

    /// The value of a member that is a whole number. `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`JsonError::Mistyped`] when it is something else, has a sign, a fraction or an exponent, or is too large.
    #[must_use]
    pub fn number_u64(&self, body: &[u8], index: usize) -> Option<Result<u64, JsonError>> {
        let digits = std::str::from_utf8(&body[self.span(index)?]).ok();
        Some(digits.and_then(|d| d.parse().ok()).ok_or(JsonError::Mistyped(index)))
    }

    /// Whether the member is there and `null`.
    #[must_use]
    pub fn is_null(&self, body: &[u8], index: usize) -> bool {
        self.span(index).is_some_and(|span| &body[span] == b"null")
    }

    /// Where the object is, braces included.
    #[must_use]
    pub fn object(&self) -> Range<usize> {
        self.object.clone()
    }

    /// Where a member can be inserted: right before the closing brace.
    #[must_use]
    pub fn insert_at(&self) -> usize {
        self.object.end - 1
    }

    /// Whether the object has no member.
    #[must_use]
    pub fn is_empty_object(&self) -> bool {
        !self.has_members
    }
}

impl JsonError {
    /// Index of the name that the error is about.
    #[must_use]
    pub const fn name_index(&self) -> Option<usize> {
        match self {
            Self::Duplicate(index) | Self::EscapedName(index) | Self::Mistyped(index) => {
                Some(*index)
            }
            Self::NotAnObject
            | Self::Unbalanced
            | Self::Malformed(_)
            | Self::TooDeep
            | Self::Trailing => None,
        }
    }
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the body is not a JSON object"),
            Self::Unbalanced => f.write_str("the body ends in the middle of the JSON object"),
            Self::Malformed(at) => write!(f, "malformed JSON at byte {at}"),
            Self::Duplicate(_) => f.write_str("a member occurs twice"),
            Self::EscapedName(_) => f.write_str("the name of a member is spelled with escapes"),
            Self::TooDeep => write!(f, "more than {DEPTH_MAX} nested arrays and objects"),
            Self::Trailing => f.write_str("something follows the JSON object"),
            Self::Mistyped(_) => f.write_str("a member has the wrong type"),
        }
    }
}

impl std::error::Error for JsonError {}
