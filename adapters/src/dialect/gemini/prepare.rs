//! Gemini's `Schema` turned into JSON schema, in the body, before it is read.
//!
//! `parameters` and `responseSchema` are not JSON schema: types are spelled `STRING`, and `nullable`, `propertyOrdering`
//! and counts in strings are its own. A request only borrows from its body, so the body is written anew where one of
//! them is in it: as `parametersJsonSchema` and `responseJsonSchema`, which the API takes as well.
//! Format: <https://ai.google.dev/api/caching#Schema>

use faregate_wire::{Json, JsonWriter};

use super::member::{camel, is_named, list, member};

/// The body with JSON schemas; `None` when it has no others.
pub(super) fn prepare(body: &[u8]) -> Option<Vec<u8>> {
    let json = Json::new(body).filter(|json| has_schema(*json))?;
    let mut out = Vec::with_capacity(body.len() + body.len() / 8);
    request(&mut JsonWriter::new(&mut out), json);
    Some(out)
}

fn has_schema(json: Json<'_>) -> bool {
    let declares = |tool: Json<'_>| {
        let declarations = member(tool, "functionDeclarations").into_iter().flat_map(list);
        declarations.into_iter().any(|function| member(function, "parameters").is_some())
    };
    member(json, "tools").into_iter().flat_map(list).any(declares)
        || member(json, "generationConfig").and_then(|c| member(c, "responseSchema")).is_some()
        || member(json, "generateContentRequest").is_some_and(has_schema)
}

fn request(out: &mut JsonWriter<'_>, json: Json<'_>) {
    each_member(out, json, |out, name, value| {
        if is_named(name, "tools") {
            out.name("tools").array();
            list(value).for_each(|entry| tool(out, entry));
            out.end();
        } else if is_named(name, "generationConfig") {
            out.name("generationConfig");
            renamed(out, value, "responseSchema", "responseJsonSchema");
        } else if is_named(name, "generateContentRequest") {
            out.name("generateContentRequest");
            request(out, value);
        } else {
            out.member_json(name, value);
        }
    });
}

fn tool(out: &mut JsonWriter<'_>, json: Json<'_>) {
    each_member(out, json, |out, name, value| {
        if is_named(name, "functionDeclarations") {
            out.name("functionDeclarations").array();
            list(value).for_each(|f| renamed(out, f, "parameters", "parametersJsonSchema"));
            out.end();
        } else {
            out.member_json(name, value);
        }
    });
}

/// An object in which the schema `from` becomes the JSON schema `to`, unless that is there as well.
fn renamed(out: &mut JsonWriter<'_>, json: Json<'_>, from: &str, to: &str) {
    let has_both = member(json, to).is_some();
    each_member(out, json, |out, name, value| {
        if !is_named(name, from) {
            out.member_json(name, value);
        } else if !has_both && !value.is_null() {
            out.name(to);
            schema(out, value);
        }
    });
}

/// Writes an object member by member; what is no object is left as it is, for the reader to refuse.
fn each_member(
    out: &mut JsonWriter<'_>,
    json: Json<'_>,
    mut each: impl FnMut(&mut JsonWriter<'_>, &str, Json<'_>),
) {
    if !json.is_object() {
        out.json(json);
        return;
    }
    out.object();
    json.members().for_each(|(name, value)| each(out, &name, value));
    out.end();
}

fn schema(out: &mut JsonWriter<'_>, json: Json<'_>) {
    let nullable = member(json, "nullable").and_then(Json::bool) == Some(true);
    each_member(out, json, |out, name, value| keyword(out, name, value, nullable));
}

fn keyword(out: &mut JsonWriter<'_>, name: &str, value: Json<'_>, nullable: bool) {
    let name = camel(name.into());
    match &*name {
        "nullable" | "propertyOrdering" => {}
        "type" => kind(out, value, nullable),
        "properties" | "defs" | "$defs" => {
            out.name(if name == "defs" { "$defs" } else { &name });
            each_member(out, value, |out, name, value| {
                out.name(name);
                schema(out, value);
            });
        }
        "items" | "additionalProperties" => {
            out.name(&name);
            schema(out, value);
        }
        "anyOf" | "prefixItems" => {
            out.name(&name).array();
            list(value).for_each(|item| schema(out, item));
            if nullable && name == "anyOf" {
                out.object().member_str("type", "null").end();
            }
            out.end();
        }
        "enum" if nullable && value.is_array() => {
            out.name("enum").array();
            value.items().for_each(|item| {
                out.json(item);
            });
            out.null().end();
        }
        "ref" => {
            out.member_json("$ref", value);
        }
        "example" => {
            out.name("examples").array().json(value).end();
        }
        "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
            match value.str().and_then(|digits| digits.parse().ok()) {
                Some(count) => out.member_u64(&name, count),
                None => out.member_json(&name, value),
            };
        }
        _ => {
            out.member_json(&name, value);
        }
    }
}

fn kind(out: &mut JsonWriter<'_>, value: Json<'_>, nullable: bool) {
    let Some(kind) = value.str().map(|kind| kind.to_ascii_lowercase()) else {
        out.member_json("type", value);
        return;
    };
    match (&*kind, nullable) {
        ("type_unspecified", _) => {}
        (_, true) => {
            out.name("type").array().str(&kind).str("null").end();
        }
        (_, false) => {
            out.member_str("type", &kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn schemas_become_json_schema() {
        let body = json!({
            "contents": [{"parts": [{"text": "x"}]}],
            "tools": [{"googleSearch": {}}, {"function_declarations": [{"name": "f", "parameters": {
                "type": "OBJECT", "property_ordering": ["any_of"], "required": ["any_of"],
                "properties": {
                    "any_of": {"type": "STRING", "nullable": true, "enum": ["a"], "maxLength": "5"},
                    "list": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}], "nullable": true}},
                }}}]}],
            "generation_config": {"responseSchema": {"type": "NUMBER", "example": 1}, "seed": 1},
        });
        let written = prepare(body.to_string().as_bytes()).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let expected = json!({
            "contents": [{"parts": [{"text": "x"}]}],
            "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {
                "type": "object", "required": ["any_of"],
                "properties": {
                    "any_of": {"type": ["string", "null"], "enum": ["a", null], "maxLength": 5},
                    "list": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
                }}}]}],
            "generationConfig": {"responseJsonSchema": {"type": "number", "examples": [1]}, "seed": 1},
        });
        assert_eq!(written, expected);
    }

    #[test]
    fn a_body_without_them_is_left_alone() {
        for body in [
            r#"{"contents":[]}"#,
            r#"{"tools":[{"functionDeclarations":[{"name":"parameters","parametersJsonSchema":{}}]}]}"#,
            r#"{"tools":7,"generationConfig":"x"}"#,
        ] {
            assert_eq!(prepare(body.as_bytes()), None, "{body}");
        }
    }
}
