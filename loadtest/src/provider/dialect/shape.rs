//! What members an object may have, as a table, and the walk that holds a body against it.
//!
//! In: a [`Shape`] and a value. Out: nothing, or the first fault in the words of the dialect
//! ([`super::words`]). Nothing is remembered. Members that are null count as absent where the real
//! API treats them so, which is everywhere but inside values that are the caller's own.

use serde_json::{Map, Value};

use super::Dialect;
use super::words;
use crate::provider::refusal::Refusal;

/// What a value has to be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Anything at all.
    Any,
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// A whole number in this range.
    Int(i64, i64),
    /// A number in this range.
    Real(f64, f64),
    /// One of these strings.
    Word(&'static [&'static str]),
    /// An object with members of its own.
    Map,
    /// An object with these members.
    Object(&'static Shape),
    /// A list of these.
    List(&'static Kind),
    /// A string, or this.
    TextOr(&'static Kind),
    /// An object whose member tells which members the others are.
    Tagged(&'static Tags),
}

/// Objects told apart by one member.
#[derive(Debug)]
pub(crate) struct Tags {
    /// The member that tells.
    pub(crate) member: &'static str,
    /// What it is when it is absent.
    pub(crate) default: Option<&'static str>,
    /// The values it may have, and what goes with each.
    pub(crate) shapes: &'static [(&'static str, &'static Shape)],
}

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Shape(pub(crate) &'static [Member]);

/// One member.
#[derive(Debug)]
pub(crate) struct Member {
    name: &'static str,
    required: bool,
    kind: Kind,
}

/// A member that may be absent.
pub(crate) const fn may(name: &'static str, kind: Kind) -> Member {
    Member { name, required: false, kind }
}

/// A member that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind) -> Member {
    Member { name, required: true, kind }
}

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a member.
    Key(String),
    /// Into an element.
    Index(usize),
    /// Nowhere: which of several forms a value was taken for.
    Tag(String),
}

/// What is wrong with a value.
#[derive(Debug)]
pub(crate) enum Flaw<'a> {
    /// The last step of the path is a member that nobody knows.
    Unknown,
    /// The last step of the path is a member that is missing.
    Missing,
    /// The value is not of this kind.
    Type(&'a Kind, &'a Value),
    /// The value is a number outside of the kind's range.
    Range(&'a Kind, &'a Value),
    /// The value is not among these.
    Word(&'a [&'a str], &'a Value),
    /// The tag is not among these.
    Tag(&'a Tags, &'a Value),
}

/// Holds `members` against `shape`.
pub(crate) fn check(
    dialect: Dialect,
    shape: &Shape,
    members: &Map<String, Value>,
) -> Result<(), Refusal> {
    Walk { dialect, path: Vec::new() }.object(shape, members, None)
}

struct Walk {
    dialect: Dialect,
    path: Vec<Step>,
}

impl Walk {
    fn object(
        &mut self,
        shape: &Shape,
        members: &Map<String, Value>,
        tag: Option<&str>,
    ) -> Result<(), Refusal> {
        for (name, value) in members {
            let known = shape.0.iter().find(|member| self.names(member.name, name));
            self.path.push(Step::Key(name.clone()));
            match known {
                Some(member) if !value.is_null() => self.value(&member.kind, value)?,
                None if tag != Some(name) => return Err(self.flaw(&Flaw::Unknown)),
                Some(_) | None => {}
            }
            self.path.pop();
        }
        for member in shape.0.iter().filter(|member| member.required) {
            if self.dialect.get(members, member.name).is_none() {
                self.path.push(Step::Key(member.name.to_owned()));
                return Err(self.flaw(&Flaw::Missing));
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> Result<(), Refusal> {
        let fits = match kind {
            Kind::Any => true,
            Kind::Text => value.is_string(),
            Kind::Bool => value.is_boolean(),
            Kind::Map => value.is_object(),
            Kind::Int(least, most) => match whole(value, self.dialect) {
                Some(number) if (*least..=*most).contains(&number) => true,
                Some(_) => return Err(self.flaw(&Flaw::Range(kind, value))),
                None => false,
            },
            Kind::Real(least, most) => match value.as_f64() {
                Some(number) if (*least..=*most).contains(&number) => true,
                Some(_) => return Err(self.flaw(&Flaw::Range(kind, value))),
                None => false,
            },
            Kind::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => true,
                Some(_) => return Err(self.flaw(&Flaw::Word(words, value))),
                None => false,
            },
            Kind::TextOr(_) if value.is_string() => true,
            Kind::TextOr(other) => return self.value(other, value),
            Kind::Object(shape) => match value.as_object() {
                Some(members) => return self.object(shape, members, None),
                None => false,
            },
            Kind::Tagged(tags) => match value.as_object() {
                Some(members) => return self.tagged(tags, members),
                None => false,
            },
            Kind::List(each) => match value.as_array() {
                Some(list) => return self.list(each, list),
                None => false,
            },
        };
        if fits { Ok(()) } else { Err(self.flaw(&Flaw::Type(kind, value))) }
    }

    fn list(&mut self, kind: &Kind, list: &[Value]) -> Result<(), Refusal> {
        for (index, value) in list.iter().enumerate() {
            self.path.push(Step::Index(index));
            self.value(kind, value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn tagged(&mut self, tags: &Tags, members: &Map<String, Value>) -> Result<(), Refusal> {
        let found = members.get(tags.member);
        let tag = match (found, tags.default) {
            (None | Some(Value::Null), Some(default)) => default,
            (None | Some(Value::Null), None) => {
                self.path.push(Step::Key(tags.member.to_owned()));
                return Err(self.flaw(&Flaw::Missing));
            }
            (Some(value), _) => match value.as_str() {
                Some(tag) => tag,
                None => return Err(self.flaw(&Flaw::Tag(tags, value))),
            },
        };
        let Some((_, shape)) = tags.shapes.iter().find(|(name, _)| *name == tag) else {
            return Err(self.flaw(&Flaw::Tag(tags, found.unwrap_or(&Value::Null))));
        };
        self.path.push(Step::Tag(tag.to_owned()));
        self.object(shape, members, Some(tags.member))?;
        self.path.pop();
        Ok(())
    }

    fn names(&self, known: &str, given: &str) -> bool {
        known == given || self.dialect.takes_snake() && known == camel(given)
    }

    fn flaw(&self, flaw: &Flaw<'_>) -> Refusal {
        words::flaw(self.dialect, &self.path, flaw)
    }
}

/// The number, if it is a whole one. Protocol buffers take `5.0` and `"5"` for 5.
fn whole(value: &Value, dialect: Dialect) -> Option<i64> {
    if dialect.takes_snake() {
        let text = value.as_str().and_then(|text| text.parse().ok());
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15);
        #[expect(clippy::cast_possible_truncation, reason = "without a fraction and in range")]
        return value.as_i64().or(text).or(float.map(|float| float as i64));
    }
    value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX))
}

/// `a_name` as `aName`.
pub(crate) fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let mut letters = part.chars();
        out.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// `aName` as `a_name`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static INNER: Shape = Shape(&[must("text", Kind::Text), may("n", Kind::Int(1, 3))]);
    static TAGS: Tags = Tags { member: "type", default: None, shapes: &[("text", &INNER)] };
    static OUTER: Shape = Shape(&[
        must("list", Kind::TextOr(&Kind::List(&Kind::Tagged(&TAGS)))),
        may("topP", Kind::Real(0.0, 1.0)),
        may("mode", Kind::Word(&["a", "b"])),
    ]);

    fn message(dialect: Dialect, body: &Value) -> Option<String> {
        check(dialect, &OUTER, body.as_object().unwrap()).err().map(|refusal| refusal.message)
    }

    #[test]
    fn what_the_table_knows_is_taken() {
        let body =
            json!({"list": [{"type": "text", "text": "a", "n": 2}], "topP": 1, "mode": null});
        assert_eq!(message(Dialect::Anthropic, &body), None);
        assert_eq!(message(Dialect::Gemini, &json!({"list": "x", "top_p": 0.5})), None);
    }

    #[test]
    fn the_first_flaw_is_told_in_the_words_of_the_dialect() {
        let check = |body: Value, expected: &str| {
            assert_eq!(message(Dialect::Anthropic, &body).unwrap(), expected);
        };
        check(json!({"list": "", "x": 1}), "x: Extra inputs are not permitted");
        check(json!({}), "list: Field required");
        check(json!({"list": [{"type": "text"}]}), "list.0.text.text: Field required");
        check(
            json!({"list": [{"type": "text", "text": "", "n": 9}]}),
            "list.0.text.n: Input should be less than or equal to 3",
        );
        check(json!({"list": "", "mode": "c"}), "mode: Input should be 'a' or 'b'");
        let gemini = json!({"list": [{"type": "text", "text": "", "fooBar": 1}]});
        assert_eq!(
            message(Dialect::Gemini, &gemini).unwrap(),
            "Invalid JSON payload received. Unknown name \"fooBar\" at 'list[0]': Cannot find field.",
        );
        let responses = message(Dialect::Responses, &json!({"list": "", "x": 1}));
        assert_eq!(responses.unwrap(), "Unknown parameter: 'x'.");
    }

    #[test]
    fn spellings_are_turned_into_each_other() {
        assert_eq!(camel("function_calling_config"), "functionCallingConfig");
        assert_eq!(snake("functionCallingConfig"), "function_calling_config");
    }
}
