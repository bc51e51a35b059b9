//! JSON schemas, adapted to what this dialect takes.
//!
//! The input of a tool is an object at the top, without `anyOf`, `oneOf` and `allOf` there. Where a schema is followed
//! exactly, objects are closed (`additionalProperties: false`), and bounds of numbers, texts and lists are not known: they
//! go into the description, where the model reads them. A schema that needs nothing of this keeps its bytes.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

/// What joins schemas.
const COMBINATORS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// What is not known where a schema is followed exactly.
const BOUNDS: &[&str] = &[
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "uniqueItems",
];

/// Members that hold schemas by name.
const NAMED: [&str; 4] = ["properties", "$defs", "definitions", "patternProperties"];

/// Members that hold one schema, or a list of them.
const NESTED: [&str; 5] = ["items", "prefixItems", "anyOf", "oneOf", "allOf"];

/// Writes the schema of a tool's input.
pub(super) fn write_input_schema(
    json: &mut JsonWriter<'_>,
    schema: Option<Json<'_>>,
    strict: bool,
) {
    match schema.filter(|schema| schema.is_object()) {
        None => {
            json.object().member_str("type", "object").name("properties").object().end().end();
        }
        Some(schema) if is_object_at_top(schema) => match strict {
            true => write_exact(json, schema),
            false => {
                json.json(schema);
            }
        },
        Some(schema) => write_as_object(json, schema),
    }
}

/// Writes a schema that is followed exactly.
pub(super) fn write_exact(json: &mut JsonWriter<'_>, schema: Json<'_>) {
    if is_exact(schema) {
        json.json(schema);
        return;
    }
    json.object();
    let closes = is_object(schema);
    let bounds = bounds(schema);
    for (name, value) in schema.members() {
        match &*name {
            _ if BOUNDS.contains(&&*name) => {}
            "additionalProperties" if closes => {}
            "description" if bounds.is_some() => {}
            _ if NAMED.contains(&&*name) && value.is_object() => {
                json.name(&name).object();
                for (name, schema) in value.members() {
                    json.name(&name);
                    write_exact(json, schema);
                }
                json.end();
            }
            _ if NESTED.contains(&&*name) && value.is_array() => {
                json.name(if name == "oneOf" { "anyOf" } else { &name }).array();
                value.items().for_each(|schema| write_exact(json, schema));
                json.end();
            }
            _ if NESTED.contains(&&*name) => {
                json.name(&name);
                write_exact(json, value);
            }
            _ => {
                json.member_json(&name, value);
            }
        }
    }
    if let Some(bounds) = bounds {
        let description = schema.get_str("description").unwrap_or_default();
        let blank = if description.is_empty() { "" } else { " " };
        json.member_str("description", &format!("{description}{blank}({bounds})"));
    }
    if closes {
        json.member_bool("additionalProperties", false);
    }
    json.end();
}

/// `minimum: 1, maximum: 5`
fn bounds(schema: Json<'_>) -> Option<String> {
    let bounds = schema.members().filter(|(name, _)| BOUNDS.contains(&&**name));
    let shown: Vec<String> = bounds
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.raw())))
        .collect();
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn is_exact(schema: Json<'_>) -> bool {
    let is_closed = !is_object(schema) || schema.get_bool("additionalProperties") == Some(false);
    is_closed
        && schema.members().all(|(name, value)| match &*name {
            "oneOf" => false,
            _ if BOUNDS.contains(&&*name) => false,
            _ if NAMED.contains(&&*name) => value.members().all(|(_, schema)| is_exact(schema)),
            _ if NESTED.contains(&&*name) && value.is_array() => value.items().all(is_exact),
            _ if NESTED.contains(&&*name) => is_exact(value),
            _ => true,
        })
}

fn is_object(schema: Json<'_>) -> bool {
    match schema.get("type") {
        Some(kind) if kind.is_array() => {
            kind.items().any(|kind| kind.str().is_some_and(|kind| kind == "object"))
        }
        Some(kind) => kind.str().is_some_and(|kind| kind == "object"),
        None => schema.get("properties").is_some(),
    }
}

fn is_object_at_top(schema: Json<'_>) -> bool {
    schema.get_str("type").is_some_and(|kind| kind == "object")
        && COMBINATORS.iter().all(|name| schema.get(name).is_none())
}

/// Writes a schema as an object that may have the properties of all schemas joined in it.
fn write_as_object(json: &mut JsonWriter<'_>, schema: Json<'_>) {
    let joined: Vec<(&str, Json<'_>)> = COMBINATORS
        .iter()
        .flat_map(|name| {
            schema.get(name).into_iter().flat_map(Json::items).map(|item| (*name, item))
        })
        .collect();
    let is_ours = |name: &str| {
        COMBINATORS.contains(&name) || matches!(name, "type" | "properties" | "required")
    };
    json.object().member_str("type", "object");
    let sources = || std::iter::once(schema).chain(joined.iter().map(|(_, item)| *item));
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    json.name("properties").object();
    for (name, property) in
        sources().filter_map(|item| item.get("properties")).flat_map(Json::members)
    {
        if !names.contains(&name) {
            json.member_json(&name, property);
            names.push(name);
        }
    }
    json.end();
    let all = joined.iter().filter(|(name, _)| *name == "allOf").map(|(_, item)| *item);
    let required = std::iter::once(schema).chain(all).filter_map(|item| item.get("required"));
    json.name("required").array();
    for name in required.flat_map(Json::items).filter(|name| name.is_string()) {
        json.json(name);
    }
    json.end();
    for (name, value) in schema.members().filter(|(name, _)| !is_ours(name)) {
        json.member_json(&name, value);
    }
    json.end();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(write: impl Fn(&mut JsonWriter<'_>, Json<'_>), schema: &Value, expected: &Value) {
        let (text, mut out) = (schema.to_string(), Vec::new());
        write(&mut JsonWriter::new(&mut out), Json::new(text.as_bytes()).unwrap());
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), *expected);
    }

    fn input(json: &mut JsonWriter<'_>, schema: Json<'_>) {
        write_input_schema(json, Some(schema), false);
    }

    #[test]
    fn the_input_of_a_tool_is_an_object() {
        let plain = json!({"type": "object", "properties": {"a": {"anyOf": [{}]}}});
        check(input, &plain, &plain);
        check(
            input,
            &json!({"description": "d", "properties": {"a": {}}}),
            &json!({"type": "object", "properties": {"a": {}}, "required": [], "description": "d"}),
        );
        check(
            input,
            &json!({"type": "object", "required": ["a"], "properties": {"a": {}},
                "allOf": [{"properties": {"b": {}}, "required": ["b"]}],
                "anyOf": [{"properties": {"c": {}, "a": {"type": "null"}}, "required": ["c"]}]}),
            &json!({"type": "object", "properties": {"a": {}, "c": {}, "b": {}},
                "required": ["a", "b"]}),
        );
        let mut out = Vec::new();
        write_input_schema(&mut JsonWriter::new(&mut out), None, true);
        assert_eq!(out, br#"{"type":"object","properties":{}}"#);
    }

    #[test]
    fn a_schema_that_is_followed_exactly_is_closed_and_unbounded() {
        let exact = json!({"type": "object", "properties": {"minimum": {"type": "string"}},
            "additionalProperties": false});
        check(write_exact, &exact, &exact);
        check(
            write_exact,
            &json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1,
                "maximum": 5, "description": "How many."},
                "list": {"type": "array", "items": {"type": "object", "properties": {}}}}}),
            &json!({"type": "object", "additionalProperties": false,
                "properties": {"n": {"type": "integer",
                    "description": "How many. (maximum: 5, minimum: 1)"},
                "list": {"type": "array", "items": {"type": "object", "properties": {},
                    "additionalProperties": false}}}}),
        );
    }
}
