//! Whether a schema is one that OpenAI follows strictly.

use faregate_wire::Json;

/// The deepest that a schema is looked into; OpenAI allows less.
const DEPTH_MAX: usize = 32;

/// Whether every object in it is closed: `additionalProperties` is false, and all properties are required.
pub(super) fn is_closed(schema: Json<'_>) -> bool {
    is_closed_at(schema, 0)
}

fn is_closed_at(schema: Json<'_>, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    let is_closed = |inner: Json<'_>| is_closed_at(inner, depth + 1);
    let is_object = schema.get_str("type").as_deref() == Some("object");
    if (is_object || schema.get("properties").is_some()) && !closes(schema) {
        return false;
    }
    schema.members().all(|(name, value)| match &*name {
        "properties" | "$defs" | "definitions" => {
            value.members().all(|(_, inner)| is_closed(inner))
        }
        "anyOf" => value.items().all(is_closed),
        "items" => is_closed(value),
        "oneOf" | "allOf" | "not" | "patternProperties" | "if" => false,
        _ => true,
    })
}

fn closes(object: Json<'_>) -> bool {
    let required = object.get("required");
    let is_required = |wanted: &str| {
        let mut names = required.into_iter().flat_map(Json::items);
        names.any(|name| name.str().as_deref() == Some(wanted))
    };
    let mut properties = object.get("properties").into_iter().flat_map(Json::members);
    object.get_bool("additionalProperties") == Some(false)
        && properties.all(|(name, _)| is_required(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expected: bool) {
        assert_eq!(is_closed(Json::new(schema.as_bytes()).unwrap()), expected, "{schema}");
    }

    #[test]
    fn only_closed_schemas_are_followed_strictly() {
        check(r#"{"type":"object","properties":{},"additionalProperties":false}"#, true);
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
            true,
        );
        check(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
            false,
        );
        check(r#"{"type":"object","properties":{}}"#, false);
        check(r#"{"type":"array","items":{"type":"object"}}"#, false);
        check(r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#, true);
        check(r#"{"oneOf":[{"type":"string"}]}"#, false);
        check(
            r#"{"properties":{"properties":{"type":"string"}},"required":["properties"],"additionalProperties":false}"#,
            true,
        );
        check(&(r#"{"items":"#.repeat(50) + "{}" + &"}".repeat(50)), false);
    }
}
