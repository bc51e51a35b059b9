//! Where in a request a value stands, for the message that says it is wrong.
//!
//! In: a value and the way to it. Out: the value in the type that is wanted, or [`Invalid`] with the way spelled out
//! (`messages[3].content`). The way is only spelled when it is needed.

use std::{borrow::Cow, fmt};

use faregate_wire::Json;

use crate::dialect::Invalid;

/// The way to a value.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    /// A member of the request.
    Top(&'p str),
    /// A member of an object.
    Member(&'p Path<'p>, &'p str),
    /// An item of an array.
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'p> Path<'p> {
    pub(super) const fn member(&'p self, name: &'p str) -> Self {
        Path::Member(self, name)
    }

    pub(super) const fn item(&'p self, index: usize) -> Self {
        Path::Item(self, index)
    }

    /// What stands here is not `wanted`.
    pub(super) fn is_not(self, wanted: &str) -> Invalid {
        Invalid::type_of(self.to_string(), wanted)
    }

    pub(super) fn text<'a>(self, json: Json<'a>) -> Result<Cow<'a, str>, Invalid> {
        json.str().ok_or_else(|| self.is_not("a string"))
    }

    pub(super) fn bool(self, json: Json<'_>) -> Result<bool, Invalid> {
        json.bool().ok_or_else(|| self.is_not("a boolean"))
    }

    /// A number, as it was spelled.
    pub(super) fn number<'a>(self, json: Json<'a>) -> Result<Json<'a>, Invalid> {
        json.f64().map(|_| json).ok_or_else(|| self.is_not("a number"))
    }

    /// A number that bounds something, rounded up; `None` when it is negative, which some servers take for "no bound".
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and what is too large becomes the largest there is"
    )]
    pub(super) fn bound(self, json: Json<'_>) -> Result<Option<u64>, Invalid> {
        let number = json.f64().ok_or_else(|| self.is_not("a number"))?;
        Ok((number >= 0.0).then(|| json.u64().unwrap_or_else(|| number.ceil() as u64)))
    }

    pub(super) fn object<'a>(self, json: Json<'a>) -> Result<Json<'a>, Invalid> {
        if json.is_object() { Ok(json) } else { Err(self.is_not("an object")) }
    }

    pub(super) fn array<'a>(self, json: Json<'a>) -> Result<Json<'a>, Invalid> {
        if json.is_array() { Ok(json) } else { Err(self.is_not("an array")) }
    }

    /// The string member that must be there.
    pub(super) fn required_text<'a>(
        self,
        json: Json<'a>,
        name: &str,
    ) -> Result<Cow<'a, str>, Invalid> {
        let path = self.member(name);
        json.get_str(name).ok_or_else(|| path.is_not("a string"))
    }

    /// The member that must be there.
    pub(super) fn required<'a>(self, json: Json<'a>, name: &str) -> Result<Json<'a>, Invalid> {
        json.get(name).ok_or_else(|| self.member(name).is_not("given"))
    }
}
