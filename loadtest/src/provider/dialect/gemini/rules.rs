//! Google's generateContent: the members that exist, and what the real API refuses.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`] in the real API's words.
//! Format: <https://ai.google.dev/api/generate-content>

use serde_json::{Map, Value};

use super::{inside, list, member, schemas, turns};
use crate::provider::dialect::shape::{self, Kind, Shape, may, must};
use crate::provider::dialect::{Dialect, Service, is_name};
use crate::provider::refusal::{Reason, Refusal};

/// Letters of a function's name.
const NAME_MAX: usize = 64;

/// Sequences that end an answer.
const STOPS_MAX: usize = 5;

static BODY: Shape = Shape(&[
    must("contents", Kind::Any),
    may("model", Kind::Text),
    may("systemInstruction", Kind::Object(&CONTENT)),
    may("tools", Kind::List(&Kind::Object(&TOOL))),
    may("toolConfig", Kind::Object(&TOOL_CONFIG)),
    may("safetySettings", Kind::List(&Kind::Object(&SAFETY))),
    may("generationConfig", Kind::Object(&CONFIG)),
    may("cachedContent", Kind::Text),
    may("serviceTier", Kind::Text),
    may("store", Kind::Bool),
    may("labels", Kind::Map),
]);
static COUNT: Shape = Shape(&[
    may("contents", Kind::Any),
    may("generateContentRequest", Kind::Map),
    may("model", Kind::Text),
    may("systemInstruction", Kind::Object(&CONTENT)),
    may("tools", Kind::List(&Kind::Object(&TOOL))),
    may("generationConfig", Kind::Object(&CONFIG)),
]);
static EMBED: Shape = Shape(&[
    must("content", Kind::Object(&CONTENT)),
    may("model", Kind::Text),
    may("taskType", Kind::Text),
    may("title", Kind::Text),
    may("outputDimensionality", Kind::Int(1, 3072)),
    may("autoTruncate", Kind::Bool),
]);
static BATCH: Shape = Shape(&[must("requests", Kind::List(&Kind::Object(&EMBED)))]);

pub(super) static CONTENT: Shape = Shape(&[may("role", Kind::Text), may("parts", Kind::Any)]);
pub(super) static PART: Shape = Shape(&[
    may("text", Kind::Text),
    may("inlineData", Kind::Object(&BLOB)),
    may("fileData", Kind::Object(&FILE)),
    may("functionCall", Kind::Object(&CALL)),
    may("functionResponse", Kind::Object(&RESPONSE)),
    may("executableCode", Kind::Map),
    may("codeExecutionResult", Kind::Map),
    may("toolCall", Kind::Map),
    may("toolResponse", Kind::Map),
    may("thought", Kind::Bool),
    may("thoughtSignature", Kind::Text),
    may("videoMetadata", Kind::Map),
    may("mediaResolution", Kind::Any),
    may("partMetadata", Kind::Map),
]);
static BLOB: Shape = Shape(&[
    must("mimeType", Kind::Text),
    must("data", Kind::Text),
    may("displayName", Kind::Text),
]);
static FILE: Shape = Shape(&[
    may("mimeType", Kind::Text),
    must("fileUri", Kind::Text),
    may("displayName", Kind::Text),
]);
static CALL: Shape = Shape(&[
    may("id", Kind::Text),
    must("name", Kind::Text),
    may("args", Kind::Map),
    may("partialArgs", Kind::List(&Kind::Map)),
    may("willContinue", Kind::Bool),
]);
static RESPONSE: Shape = Shape(&[
    may("id", Kind::Text),
    may("name", Kind::Text),
    must("response", Kind::Map),
    may("parts", Kind::List(&Kind::Map)),
    may("willContinue", Kind::Bool),
    may("scheduling", Kind::Text),
]);
static TOOL: Shape = Shape(&[
    may("functionDeclarations", Kind::List(&Kind::Object(&DECLARATION))),
    may("googleSearch", Kind::Map),
    may("googleSearchRetrieval", Kind::Map),
    may("codeExecution", Kind::Map),
    may("urlContext", Kind::Map),
    may("computerUse", Kind::Map),
    may("fileSearch", Kind::Map),
    may("googleMaps", Kind::Map),
    may("mcpServers", Kind::List(&Kind::Map)),
]);
static DECLARATION: Shape = Shape(&[
    must("name", Kind::Text),
    may("description", Kind::Text),
    may("parameters", Kind::Map),
    may("parametersJsonSchema", Kind::Any),
    may("response", Kind::Map),
    may("responseJsonSchema", Kind::Any),
    may("behavior", Kind::Text),
]);
static TOOL_CONFIG: Shape = Shape(&[
    may("functionCallingConfig", Kind::Object(&CALLING)),
    may("retrievalConfig", Kind::Map),
    may("includeServerSideToolInvocations", Kind::Bool),
]);
static CALLING: Shape = Shape(&[
    may("mode", Kind::Word(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"])),
    may("allowedFunctionNames", Kind::List(&Kind::Text)),
    may("streamFunctionCallArguments", Kind::Bool),
]);
static SAFETY: Shape = Shape(&[
    must("category", Kind::Text),
    must("threshold", Kind::Text),
    may("method", Kind::Text),
]);
static CONFIG: Shape = Shape(&[
    may("stopSequences", Kind::List(&Kind::Text)),
    may("responseMimeType", Kind::Word(&["text/plain", "application/json", "text/x.enum"])),
    may("responseSchema", Kind::Map),
    may("responseJsonSchema", Kind::Any),
    may("responseFormat", Kind::Any),
    may("responseModalities", Kind::List(&Kind::Text)),
    may("candidateCount", Kind::Int(1, 8)),
    may("maxOutputTokens", Kind::Int(1, 1 << 31)),
    may("temperature", Kind::Real(0.0, 2.0)),
    may("topP", Kind::Real(0.0, 1.0)),
    may("topK", Kind::Real(0.0, 1000.0)),
    may("seed", Kind::Int(-(1 << 31), (1 << 31) - 1)),
    may("presencePenalty", Kind::Real(-2.0, 2.0)),
    may("frequencyPenalty", Kind::Real(-2.0, 2.0)),
    may("responseLogprobs", Kind::Bool),
    may("logprobs", Kind::Int(0, 20)),
    may("enableEnhancedCivicAnswers", Kind::Bool),
    may("speechConfig", Kind::Map),
    may("thinkingConfig", Kind::Object(&THINKING)),
    may("imageConfig", Kind::Map),
    may("mediaResolution", Kind::Text),
    may("audioTimestamp", Kind::Bool),
]);
static THINKING: Shape = Shape(&[
    may("includeThoughts", Kind::Bool),
    may("thinkingBudget", Kind::Int(-1, 32_768)),
    may(
        "thinkingLevel",
        Kind::Word(&[
            "THINKING_LEVEL_UNSPECIFIED",
            "MINIMAL",
            "LOW",
            "MEDIUM",
            "HIGH",
            "XHIGH",
            "minimal",
            "low",
            "medium",
            "high",
            "xhigh",
        ]),
    ),
]);

/// Judges the members of a body.
pub(super) fn check(
    service: Service,
    model: &str,
    members: &Map<String, Value>,
) -> Result<(), Refusal> {
    let table = match service {
        Service::Count => &COUNT,
        Service::Embed => &EMBED,
        Service::EmbedBatch => &BATCH,
        Service::Answer | Service::Models | Service::Stored => &BODY,
    };
    shape::check(Dialect::Gemini, table, members)?;
    match service {
        Service::EmbedBatch => return batch(model, members),
        Service::Embed => return embedded(inside(&Value::from(members.clone()), "content")),
        Service::Count => return counted(members),
        Service::Answer | Service::Models | Service::Stored => {}
    }
    tools(members)?;
    config(members)?;
    turns::check(model, members)
}

pub(super) fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Gemini.refuse(reason, at, message)
}

/// A refusal that names the place in Google's way.
pub(super) fn at(reason: Reason, place: &str, words: &str) -> Refusal {
    refuse(reason, place, format!("* GenerateContentRequest.{place}: {words}"))
}

fn counted(members: &Map<String, Value>) -> Result<(), Refusal> {
    let has = |name: &str| member(members, name).is_some();
    if has("contents") == has("generateContentRequest") {
        let message = "* CountTokensRequest.contents: contents or generate_content_request must \
                       be set, but not both";
        return Err(refuse(Reason::Conflict, "contents", message));
    }
    Ok(())
}

fn embedded(content: &Value) -> Result<(), Refusal> {
    if list(inside(content, "parts")).is_empty() {
        let message = "* EmbedContentRequest.content: contents is not specified";
        return Err(refuse(Reason::Empty, "content", message));
    }
    Ok(())
}

fn batch(model: &str, members: &Map<String, Value>) -> Result<(), Refusal> {
    let requests = member(members, "requests").map_or(&[][..], list);
    if requests.is_empty() {
        let message = "* BatchEmbedContentsRequest.requests: requests must not be empty";
        return Err(refuse(Reason::Empty, "requests", message));
    }
    for (index, request) in requests.iter().enumerate() {
        let named = inside(request, "model").as_str().unwrap_or("");
        if named.strip_prefix("models/") != Some(model) {
            let place = format!("requests[{index}].model");
            let message = format!(
                "* BatchEmbedContentsRequest.{place}: model must match the model of the batch \
                 request: models/{model}, got '{named}'"
            );
            return Err(refuse(Reason::Conflict, &place, message));
        }
        embedded(inside(request, "content"))?;
    }
    Ok(())
}

fn tools(members: &Map<String, Value>) -> Result<(), Refusal> {
    let mut names: Vec<&str> = Vec::new();
    for (index, tool) in member(members, "tools").map_or(&[][..], list).iter().enumerate() {
        for (place, one) in list(inside(tool, "functionDeclarations")).iter().enumerate() {
            let place = format!("tools[{index}].function_declarations[{place}]");
            let name = inside(one, "name").as_str().unwrap_or("");
            is_function(name, &format!("{place}.name"))?;
            if names.contains(&name) {
                let words = format!("Duplicate function declaration found: {name}");
                return Err(at(Reason::Name, &format!("{place}.name"), &words));
            }
            names.push(name);
            let (proto, json) = (inside(one, "parameters"), inside(one, "parametersJsonSchema"));
            if proto.is_object() && !json.is_null() {
                let words = "parameters_json_schema must not be set when parameters is set";
                return Err(at(Reason::Conflict, &place, words));
            }
            schemas::check(proto, &format!("{place}.parameters"))?;
        }
    }
    let config = member(members, "toolConfig").unwrap_or(&Value::Null);
    let calling = inside(config, "functionCallingConfig");
    let allowed = list(inside(calling, "allowedFunctionNames"));
    let place = "tool_config.function_calling_config.allowed_function_names";
    let mode = inside(calling, "mode").as_str().unwrap_or("AUTO");
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        let words =
            "allowed_function_names should only be set when the function calling mode is ANY";
        return Err(at(Reason::Conflict, place, words));
    }
    let unknown = allowed.iter().filter_map(Value::as_str).find(|name| !names.contains(name));
    if let Some(name) = unknown {
        let words = format!("{name} is not among the function declarations");
        return Err(at(Reason::Value, place, &words));
    }
    if mode == "ANY" && names.is_empty() {
        let message = "Function calling config is set without function_declarations.";
        return Err(refuse(Reason::Conflict, "tool_config", message));
    }
    Ok(())
}

/// Judges the name of a function.
pub(super) fn is_function(name: &str, place: &str) -> Result<(), Refusal> {
    let first = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if first && is_name(name, "_.:-", NAME_MAX) {
        return Ok(());
    }
    let words = "[FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. \
                 Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or \
                 dashes (-), with a maximum length of 64.";
    Err(at(Reason::Name, place, words))
}

fn config(members: &Map<String, Value>) -> Result<(), Refusal> {
    let config = member(members, "generationConfig").unwrap_or(&Value::Null);
    let place = |name: &str| format!("generation_config.{name}");
    if list(inside(config, "stopSequences")).len() > STOPS_MAX {
        let words = "the number of stop sequences must be at most 5";
        return Err(at(Reason::Value, &place("stop_sequences"), words));
    }
    let thinking = inside(config, "thinkingConfig");
    let has = |name: &str| !inside(thinking, name).is_null();
    if has("thinkingBudget") && has("thinkingLevel") {
        let message = "You can only set only one of thinking budget and thinking level.";
        return Err(refuse(Reason::Conflict, &place("thinking_config"), message));
    }
    let (proto, json) = (inside(config, "responseSchema"), inside(config, "responseJsonSchema"));
    let is_json =
        inside(config, "responseMimeType").as_str().is_some_and(|kind| kind != "text/plain");
    if proto.is_object() && !json.is_null() {
        let words = "response_json_schema must not be set when response_schema is set";
        return Err(at(Reason::Conflict, &place("response_schema"), words));
    }
    if (proto.is_object() || json.is_object()) && !is_json {
        let words = "response_schema requires response_mime_type application/json";
        return Err(at(Reason::Conflict, &place("response_mime_type"), words));
    }
    schemas::check(proto, &place("response_schema"))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
