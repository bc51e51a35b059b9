//! Where the members of a JSON object are, found without building a tree.
//!
//! In: a body that grows, and the names of the top-level members of interest. Out: the byte range of each member's value.
//! State between calls: where the scan stopped, in which state, and the kinds of the open containers.
//! Format: RFC 8259 <https://www.rfc-editor.org/rfc/rfc8259>
use std::{borrow::Cow, ops::Range};

/// The most names a scanner can look for.
pub const NAMES_MAX: usize = 16;

/// The most bytes of such a name.
pub const NAME_BYTES_MAX: usize = 31;

/// The most containers that may be open at a time.
pub const DEPTH_MAX: usize = 128;

/// Scans a body as it arrives.
#[derive(Clone, Debug)]
pub struct Scanner {
    names: &'static [&'static str],
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
    names: &'static [&'static str],
}

impl Scanner {
    /// Looks for the top-level members called `names`.
    ///
    /// # Panics
    ///
    /// With more than [`NAMES_MAX`] names, or a name longer than [`NAME_BYTES_MAX`].
    #[must_use]
    pub fn new(names: &'static [&'static str]) -> Self {
        Self { names }
    }

    /// Scans what is new in `body`, which is everything received so far.
    ///
    /// # Errors
    ///
    /// [`JsonError`] as soon as the body cannot become one that is accepted.
    pub fn feed(&mut self, body: &[u8]) -> Result<(), JsonError> {
        let _ = (self.names, body);
        Ok(())
    }

    /// Scans to the end of `body`, which is complete.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when the body is not exactly one object, or what [`Scanner::feed`] reports.
    pub fn finish(mut self, body: &[u8]) -> Result<Peek, JsonError> {
        self.feed(body)?;
        Ok(Peek { names: self.names })
    }
}

impl Peek {
    /// The value of the member with this index.
    #[must_use]
    pub fn span(&self, index: usize) -> Option<Range<usize>> {
        let _ = (index, self.names);
        None
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
        let _ = (body, index);
        None
    }

    /// The value of a boolean member. `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`JsonError::Mistyped`] when it is something else.
    #[must_use]
    pub fn bool(&self, body: &[u8], index: usize) -> Option<Result<bool, JsonError>> {
        let _ = (body, index);
        None
    }

    /// The value of a member that is a whole number. `None` when it is absent.
    ///
    /// # Errors
    ///
    /// [`JsonError::Mistyped`] when it is something else, has a sign, a fraction or an exponent, or is too large.
    #[must_use]
    pub fn number_u64(&self, body: &[u8], index: usize) -> Option<Result<u64, JsonError>> {
        let _ = (body, index);
        None
    }

    /// Whether the member is there and `null`.
    #[must_use]
    pub fn is_null(&self, body: &[u8], index: usize) -> bool {
        self.span(index).is_some_and(|span| &body[span] == b"null")
    }

    /// The object, braces included.
    #[must_use]
    pub fn object(&self) -> Range<usize> {
        0..0
    }

    /// Where a member can be inserted: right before the closing brace.
    #[must_use]
    pub fn insert_at(&self) -> usize {
        self.object().end - 1
    }

    /// Whether the object has no member.
    #[must_use]
    pub fn is_empty_object(&self) -> bool {
        false
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
