//! OpenAI's responses: the members that exist, and what the real API refuses of them.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`] in the real API's words.
//! Format: <https://platform.openai.com/docs/api-reference/responses/create>

use serde_json::{Map, Value};

use crate::provider::dialect::shape::{self, Kind, Shape, Tags, may, must};
use crate::provider::dialect::{Dialect, is_name};
use crate::provider::refusal::{Reason, Refusal};

/// Letters of a name or an id.
const NAME_MAX: usize = 64;

static BODY: Shape = Shape(&[
    must("model", Kind::Text),
    may("input", Kind::TextOr(&Kind::List(&Kind::Map))),
    may("instructions", Kind::TextOr(&Kind::List(&Kind::Map))),
    may("background", Kind::Bool),
    // No SDK has it; Codex sends it.
    may("client_metadata", Kind::Map),
    may("context_management", Kind::Any),
    may("conversation", Kind::Any),
    may("include", Kind::List(&Kind::Word(INCLUDES))),
    may("max_output_tokens", Kind::Int(16, i64::MAX)),
    may("max_tool_calls", Kind::Int(1, i64::MAX)),
    may("metadata", Kind::Map),
    may("moderation", Kind::Any),
    may("multi_agent", Kind::Any),
    may("parallel_tool_calls", Kind::Bool),
    may("previous_response_id", Kind::Text),
    may("prompt", Kind::Map),
    may("prompt_cache_key", Kind::Text),
    may("prompt_cache_options", Kind::Map),
    may("prompt_cache_diagnostics", Kind::Any),
    may("prompt_cache_retention", Kind::Text),
    may("reasoning", Kind::Object(&REASONING)),
    may("safety_identifier", Kind::Text),
    may("service_tier", Kind::Word(&["auto", "default", "flex", "scale", "priority", "fast"])),
    may("store", Kind::Bool),
    may("stream", Kind::Bool),
    may("stream_options", Kind::Object(&STREAM)),
    may("temperature", Kind::Real(0.0, 2.0)),
    may("text", Kind::Object(&TEXT)),
    may("tool_choice", Kind::TextOr(&Kind::Map)),
    may("tools", Kind::List(&Kind::Map)),
    may("top_logprobs", Kind::Int(0, 20)),
    may("top_p", Kind::Real(0.0, 1.0)),
    may("truncation", Kind::Word(&["auto", "disabled"])),
    may("user", Kind::Text),
]);
const INCLUDES: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];
static REASONING: Shape = Shape(&[
    may("effort", Kind::Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
    may("summary", Kind::Word(&["auto", "concise", "detailed"])),
    may("generate_summary", Kind::Word(&["auto", "concise", "detailed"])),
    may("context", Kind::Any),
    may("mode", Kind::Any),
]);
static STREAM: Shape = Shape(&[may("include_obfuscation", Kind::Bool)]);
static TEXT: Shape = Shape(&[
    may("format", Kind::Tagged(&FORMATS)),
    may("verbosity", Kind::Word(&["low", "medium", "high"])),
]);
static FORMATS: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[("text", &NOTHING), ("json_object", &NOTHING), ("json_schema", &SCHEMA)],
};
static NOTHING: Shape = Shape(&[]);
static SCHEMA: Shape = Shape(&[
    must("name", Kind::Text),
    must("schema", Kind::Map),
    may("description", Kind::Text),
    may("strict", Kind::Bool),
]);
static FUNCTION: Shape = Shape(&[
    must("type", Kind::Text),
    must("name", Kind::Text),
    may("description", Kind::Text),
    may("parameters", Kind::Map),
    may("strict", Kind::Bool),
    may("defer_loading", Kind::Bool),
    may("allowed_callers", Kind::Any),
    may("output_schema", Kind::Any),
]);

const SERVER_TOOLS: &[&str] = &[
    "function",
    "custom",
    "namespace",
    "file_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "computer",
    "computer_use_preview",
    "mcp",
    "code_interpreter",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "programmatic_tool_calling",
];

/// Judges everything but the items of the input.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    shape::check(Dialect::Responses, &BODY, members)?;
    let has = |name: &str| members.get(name).is_some_and(|value| !value.is_null());
    if !["input", "prompt", "previous_response_id", "conversation"].iter().any(|name| has(name)) {
        let message = "Missing required parameter: 'input'.";
        return Err(refuse(Reason::Missing, "input", message));
    }
    if has("stream_options") && members.get("stream") != Some(&Value::Bool(true)) {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(refuse(Reason::OptionsWithoutStream, "stream_options", message));
    }
    metadata(members)?;
    format(members)?;
    tools(members)
}

pub(super) fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Responses.refuse(reason, at, message)
}

/// Whether thoughts are sent along sealed.
pub(super) fn is_sealed(members: &Map<String, Value>) -> bool {
    let list = members.get("include").and_then(Value::as_array);
    list.into_iter().flatten().any(|item| item == "reasoning.encrypted_content")
}

/// Judges a name or an id: neither empty, nor too long, nor of strange letters.
pub(crate) fn name(dialect: Dialect, at: &str, name: &str) -> Result<(), Refusal> {
    length(dialect, at, name)?;
    if is_name(name, "_-", NAME_MAX) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{at}': string does not match pattern. Expected a string that matches the \
         pattern '^[a-zA-Z0-9_-]+$'."
    );
    Err(dialect.refuse(Reason::Name, at, message))
}

/// Judges the length of an id.
pub(crate) fn length(dialect: Dialect, at: &str, id: &str) -> Result<(), Refusal> {
    let message = match id.chars().count() {
        0 => format!(
            "Invalid '{at}': empty string. Expected a string with minimum length 1, but got an \
             empty string instead."
        ),
        1..=NAME_MAX => return Ok(()),
        length => format!(
            "Invalid '{at}': string too long. Expected a string with maximum length {NAME_MAX}, \
             but got a string with length {length} instead."
        ),
    };
    Err(dialect.refuse(Reason::Id, at, message))
}

/// Judges the schema of a function's parameters.
pub(crate) fn parameters(
    dialect: Dialect,
    at: &str,
    name: &str,
    schema: &Value,
    strict: bool,
) -> Result<(), Refusal> {
    let says = |what: &str| {
        let message = format!("Invalid schema for function '{name}': {what}");
        Err(dialect.refuse(Reason::Schema, at, message))
    };
    let Some(members) = schema.as_object() else { return Ok(()) };
    let kind = members.get("type").and_then(Value::as_str);
    // An empty schema is a function without parameters.
    if kind != Some("object") && !members.is_empty() {
        let kind = kind.unwrap_or("None");
        return says(&format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
        ));
    }
    if strict && members.get("additionalProperties") != Some(&Value::Bool(false)) {
        return says(
            "In context=(), 'additionalProperties' is required to be supplied and to be false.",
        );
    }
    let properties = members.get("properties").and_then(Value::as_object);
    let required = members.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|list| list.iter().any(|item| item == name));
    let missing = properties.into_iter().flat_map(Map::keys).find(|name| !is_required(name));
    if let Some(missing) = missing.filter(|_| strict) {
        return says(&format!(
            "In context=(), 'required' is required to be supplied and to be an array including \
             every key in properties. Missing '{missing}'."
        ));
    }
    Ok(())
}

fn metadata(members: &Map<String, Value>) -> Result<(), Refusal> {
    let metadata = members.get("metadata").and_then(Value::as_object);
    if metadata.is_some_and(|metadata| metadata.len() > 16) {
        let message = "Invalid 'metadata': too many properties. Expected an object with at most 16 \
                       properties.";
        return Err(refuse(Reason::Value, "metadata", message));
    }
    let mut odd = metadata.into_iter().flatten().filter(|(_, value)| !value.is_string());
    if let Some((name, _)) = odd.next() {
        let at = format!("metadata.{name}");
        let message = format!("Invalid type for '{at}': expected a string.");
        return Err(refuse(Reason::Type, &at, message));
    }
    Ok(())
}

fn format(members: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(format) = members.get("text").and_then(|text| text.get("format")) else {
        return Ok(());
    };
    if format["type"] == "json_schema" {
        let at = "text.format.name";
        name(Dialect::Responses, at, format["name"].as_str().unwrap_or(""))?;
    }
    let says_json = |name: &str| {
        members.get(name).is_some_and(|value| value.to_string().to_lowercase().contains("json"))
    };
    if format["type"] == "json_object" && !says_json("input") && !says_json("instructions") {
        let message = "Response input messages must contain the word 'json' in some form to use \
                       'text.format' of type 'json_object'.";
        return Err(refuse(Reason::Value, "input", message));
    }
    Ok(())
}

fn tools(members: &Map<String, Value>) -> Result<(), Refusal> {
    let tools = members.get("tools").and_then(Value::as_array);
    let mut names = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = |member: &str| format!("tools[{index}].{member}");
        let Some(kind) = tool["type"].as_str() else {
            let message = format!("Missing required parameter: '{}'.", at("type"));
            return Err(refuse(Reason::Missing, &at("type"), message));
        };
        if !SERVER_TOOLS.contains(&kind) {
            let message = format!(
                "Invalid value: '{kind}'. Supported values are: '{}'.",
                SERVER_TOOLS.join("', '")
            );
            return Err(refuse(Reason::Value, &at("type"), message));
        }
        if kind != "function" {
            continue;
        }
        if let Some(members) = tool.as_object() {
            shape::check(Dialect::Responses, &FUNCTION, members)
                .map_err(|refusal| below(refusal, &format!("tools[{index}]")))?;
        }
        let called = tool["name"].as_str().unwrap_or("");
        name(Dialect::Responses, &at("name"), called)?;
        let strict = tool["strict"].as_bool().unwrap_or(false);
        let place = at("parameters");
        parameters(Dialect::Responses, &place, called, &tool["parameters"], strict)?;
        names.push(called);
    }
    choice(members.get("tool_choice").unwrap_or(&Value::Null), &names)
}

fn choice(choice: &Value, names: &[&str]) -> Result<(), Refusal> {
    let called = choice["name"].as_str().unwrap_or("");
    match choice.as_str() {
        None if choice["type"] == "function" && !names.contains(&called) => {
            let message = "Tool choice 'function' not found in 'tools' parameter.";
            Err(refuse(Reason::Value, "tool_choice", message))
        }
        Some("required") if names.is_empty() => {
            let message = "Tool choice 'required' must be specified with 'tools' parameter.";
            Err(refuse(Reason::Value, "tool_choice", message))
        }
        None | Some("none" | "auto" | "required") => Ok(()),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'none', 'auto', and 'required'."
            );
            Err(refuse(Reason::Value, "tool_choice", message))
        }
    }
}

/// The same refusal for a value that lies below `place`.
pub(crate) fn below(refusal: Refusal, place: &str) -> Refusal {
    let Some(param) = refusal.param.clone() else { return refusal };
    let whole = format!("{place}.{param}");
    let message = refusal.message.replace(&format!("'{param}'"), &format!("'{whole}'"));
    Refusal { message, param: Some(whole), ..refusal }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
