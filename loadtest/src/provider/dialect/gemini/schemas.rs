//! Google's own form of a schema, which has fewer words than JSON's.
//!
//! In: the value of `parameters` or `responseSchema`. Out: nothing, or the [`Refusal`] of the first
//! word that the form does not have. Format: <https://ai.google.dev/api/caching#Schema>

use serde_json::Value;

use super::inside;
use super::rules::refuse;
use crate::provider::dialect::shape::{camel, snake};
use crate::provider::refusal::{Reason, Refusal};

const WORDS: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
    "additionalProperties",
    "ref",
    "$ref",
    "defs",
    "$defs",
];

const TYPES: &[&str] =
    &["TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// How deep a schema may be.
const DEPTH_MAX: usize = 64;

/// Judges `schema` at `place`; anything but an object is none.
pub(super) fn check(schema: &Value, place: &str) -> Result<(), Refusal> {
    walk(schema, place, 0)
}

fn walk(schema: &Value, place: &str, depth: usize) -> Result<(), Refusal> {
    let Some(members) = schema.as_object() else { return Ok(()) };
    if depth > DEPTH_MAX {
        return Err(refuse(Reason::Schema, place, format!("'{place}' exceeds the maximum depth")));
    }
    for name in members.keys() {
        if !WORDS.contains(&name.as_str()) && !WORDS.contains(&camel(name).as_str()) {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find \
                 field."
            );
            return Err(refuse(Reason::MemberUnknown, place, message));
        }
    }
    kind(schema, place)?;
    let inner = |name: &str| format!("{place}.{}", snake(name));
    for name in ["properties", "defs", "$defs"] {
        let each = inside(schema, name).as_object();
        for (index, (_, value)) in each.into_iter().flatten().enumerate() {
            walk(value, &format!("{}[{index}].value", inner(name)), depth + 1)?;
        }
    }
    for name in ["items", "additionalProperties"] {
        walk(inside(schema, name), &inner(name), depth + 1)?;
    }
    let any = inside(schema, "anyOf").as_array();
    for (index, value) in any.into_iter().flatten().enumerate() {
        walk(value, &format!("{}[{index}]", inner("anyOf")), depth + 1)?;
    }
    required(schema, place)
}

fn kind(schema: &Value, place: &str) -> Result<(), Refusal> {
    let place = format!("{place}.type");
    match &schema["type"] {
        Value::Null => Ok(()),
        Value::String(name) if TYPES.contains(&name.to_ascii_uppercase().as_str()) => Ok(()),
        Value::Array(_) => {
            let message = format!("Proto field is not repeating, cannot start list. at '{place}'");
            Err(refuse(Reason::Type, &place, message))
        }
        other => {
            let kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.Type";
            let message = format!("Invalid value at '{place}' ({kind}), {other}");
            Err(refuse(Reason::Value, &place, message))
        }
    }
}

/// What is required must be there, and enums are of strings.
fn required(schema: &Value, place: &str) -> Result<(), Refusal> {
    let known = inside(schema, "properties").as_object();
    let names = inside(schema, "required").as_array();
    for (index, name) in names.into_iter().flatten().enumerate() {
        let is_known =
            name.as_str().is_some_and(|name| known.is_some_and(|known| known.contains_key(name)));
        if !is_known {
            let place = format!("{place}.required[{index}]");
            let message = format!("* GenerateContentRequest.{place}: property is not defined");
            return Err(refuse(Reason::Schema, &place, message));
        }
    }
    let enums = inside(schema, "enum").as_array();
    for (index, value) in enums.into_iter().flatten().enumerate() {
        if !value.is_string() {
            let place = format!("{place}.enum[{index}]");
            let message = format!("Invalid value at '{place}' (TYPE_STRING), {value}");
            return Err(refuse(Reason::Type, &place, message));
        }
    }
    Ok(())
}
