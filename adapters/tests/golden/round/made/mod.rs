//! Requests that are made up: any choice of what a dialect can say, in a conversation that its provider would take.
//!
//! In: bytes, each of which decides one thing. Where they end, everything is as plain as it can be, so a request that fails
//! shrinks to what matters.

mod chat;
mod converse;
mod gemini;
mod messages;
mod responses;

use faregate_adapters::dialect::Form;
use serde_json::{Map, Value, json};

/// A request that the bytes decide.
pub(super) fn request(form: Form, bytes: &[u8]) -> Value {
    let mut dice = Dice(bytes);
    let mut body = match form {
        Form::Chat => chat::request(&mut dice),
        Form::Responses => responses::request(&mut dice),
        Form::Messages => messages::request(&mut dice),
        Form::Gemini => gemini::request(&mut dice),
        Form::Converse => converse::request(&mut dice),
    };
    body.shrink();
    Value::Object(body.0)
}

/// Bytes, taken one after the other.
struct Dice<'b>(&'b [u8]);

impl Dice<'_> {
    /// Below `sides`; 0 when nothing is left.
    fn below(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % sides
    }

    /// Rarely, so that a request has a few things of many.
    fn rarely(&mut self) -> bool {
        self.below(4) == 3
    }

    fn one_of(&mut self, values: &[Value]) -> Value {
        values[self.below(values.len())].clone()
    }

    fn text(&mut self) -> Value {
        self.one_of(&[
            "Hi.".into(),
            "ä \u{2028}\"\\\n".into(),
            " spaced ".into(),
            "{\"a\":1}".into(),
        ])
    }
}

/// An object that is put together.
struct Body(Map<String, Value>);

impl Body {
    fn new(value: Value) -> Self {
        match value {
            Value::Object(members) => Self(members),
            _ => Self(Map::new()),
        }
    }

    /// Sets a member to one of these, or leaves it out.
    fn maybe(&mut self, dice: &mut Dice<'_>, name: &str, values: &[Value]) -> &mut Self {
        if dice.rarely() {
            self.0.insert(name.into(), dice.one_of(values));
        }
        self
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Without empty lists of tools and the like.
    fn shrink(&mut self) {
        self.0.retain(|name, value| {
            name != "tools" || value.as_array().is_none_or(|l| !l.is_empty())
        });
    }

    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// Schemas of arguments, closed as strict ones must be.
fn schema(dice: &mut Dice<'_>) -> Value {
    dice.one_of(&[
        json!({"type": "object", "properties": {}, "additionalProperties": false, "required": []}),
        json!({"type": "object", "properties": {"city": {"type": "string", "enum": ["a", "b"]}},
            "required": ["city"], "additionalProperties": false}),
    ])
}

/// Arguments of a call.
fn arguments(dice: &mut Dice<'_>) -> Value {
    dice.one_of(&[json!({}), json!({"city": "a"}), json!({"city": "\u{e9}", "n": [1, 2.5, null]})])
}
