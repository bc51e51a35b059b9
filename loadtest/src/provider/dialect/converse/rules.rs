//! Bedrock's Converse: the members that exist, and what the real API refuses of them.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`] in the real API's words.
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use serde_json::{Map, Value};

use super::{blocks, messages};
use crate::provider::dialect::shape::{self, Kind, Shape, may, must};
use crate::provider::dialect::{Dialect, is_name};
use crate::provider::refusal::{Reason, Refusal};
use crate::provider::text;

/// Marks for the cache in one request.
const MARKS_MAX: usize = 4;

/// Letters of a tool's name or of a call's id.
pub(super) const NAME_MAX: usize = 64;

static BODY: Shape = Shape(&[
    // A stored prompt brings its own messages; this provider keeps none.
    must("messages", Kind::List(&Kind::Object(&MESSAGE))),
    may("system", Kind::List(&Kind::Object(&SYSTEM))),
    may("inferenceConfig", Kind::Object(&INFERENCE)),
    may("toolConfig", Kind::Object(&TOOLS)),
    may("guardrailConfig", Kind::Map),
    may("additionalModelRequestFields", Kind::Map),
    may("additionalModelResponseFieldPaths", Kind::List(&Kind::Text)),
    may("promptVariables", Kind::Map),
    may("requestMetadata", Kind::Map),
    may("performanceConfig", Kind::Object(&PERFORMANCE)),
    may("serviceTier", Kind::Object(&TIER)),
    may("outputConfig", Kind::Object(&OUTPUT)),
]);
static MESSAGE: Shape = Shape(&[
    must("role", Kind::Word(&["user", "assistant"])),
    must("content", Kind::List(&Kind::Object(&BLOCK))),
]);
static SYSTEM: Shape = Shape(&[
    may("text", Kind::Text),
    may("cachePoint", Kind::Object(&CACHE_POINT)),
    may("guardContent", Kind::Map),
]);
static BLOCK: Shape = Shape(&[
    may("text", Kind::Text),
    may("image", Kind::Object(&IMAGE)),
    may("document", Kind::Object(&DOCUMENT)),
    may("video", Kind::Map),
    may("audio", Kind::Map),
    may("toolUse", Kind::Object(&USE)),
    may("toolResult", Kind::Object(&RESULT)),
    may("guardContent", Kind::Map),
    may("cachePoint", Kind::Object(&CACHE_POINT)),
    may("reasoningContent", Kind::Object(&REASONING)),
    may("citationsContent", Kind::Map),
    may("searchResult", Kind::Map),
]);
static IMAGE: Shape = Shape(&[
    must("format", Kind::Word(&["png", "jpeg", "gif", "webp"])),
    must("source", Kind::Object(&SOURCE)),
]);
static DOCUMENT: Shape = Shape(&[
    may("format", Kind::Word(&["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"])),
    must("name", Kind::Text),
    must("source", Kind::Object(&SOURCE)),
    may("context", Kind::Text),
    may("citations", Kind::Map),
]);
static SOURCE: Shape = Shape(&[
    may("bytes", Kind::Text),
    may("s3Location", Kind::Map),
    may("text", Kind::Text),
    may("content", Kind::List(&Kind::Map)),
]);
static USE: Shape = Shape(&[
    must("toolUseId", Kind::Text),
    must("name", Kind::Text),
    must("input", Kind::Any),
    may("type", Kind::Text),
]);
static RESULT: Shape = Shape(&[
    must("toolUseId", Kind::Text),
    must("content", Kind::List(&Kind::Object(&RESULT_BLOCK))),
    may("status", Kind::Word(&["success", "error"])),
    may("type", Kind::Text),
]);
static RESULT_BLOCK: Shape = Shape(&[
    may("text", Kind::Text),
    may("json", Kind::Any),
    may("image", Kind::Object(&IMAGE)),
    may("document", Kind::Object(&DOCUMENT)),
    may("video", Kind::Map),
    may("searchResult", Kind::Map),
]);
static REASONING: Shape =
    Shape(&[may("reasoningText", Kind::Object(&THOUGHT)), may("redactedContent", Kind::Text)]);
static THOUGHT: Shape = Shape(&[must("text", Kind::Text), may("signature", Kind::Text)]);
static CACHE_POINT: Shape =
    Shape(&[must("type", Kind::Word(&["default"])), may("ttl", Kind::Word(&["5m", "1h"]))]);
static INFERENCE: Shape = Shape(&[
    may("maxTokens", Kind::Int(1, i64::MAX)),
    may("temperature", Kind::Real(0.0, 1.0)),
    may("topP", Kind::Real(0.0, 1.0)),
    may("stopSequences", Kind::List(&Kind::Text)),
]);
static TOOLS: Shape = Shape(&[
    must("tools", Kind::List(&Kind::Object(&TOOL))),
    may("toolChoice", Kind::Object(&CHOICE)),
]);
static TOOL: Shape = Shape(&[
    may("toolSpec", Kind::Object(&SPEC)),
    may("systemTool", Kind::Map),
    may("cachePoint", Kind::Object(&CACHE_POINT)),
]);
static SPEC: Shape = Shape(&[
    must("name", Kind::Text),
    may("description", Kind::Text),
    must("inputSchema", Kind::Object(&SCHEMA)),
    may("strict", Kind::Bool),
]);
static SCHEMA: Shape = Shape(&[must("json", Kind::Any)]);
static CHOICE: Shape =
    Shape(&[may("auto", Kind::Map), may("any", Kind::Map), may("tool", Kind::Object(&NAMED))]);
static NAMED: Shape = Shape(&[must("name", Kind::Text)]);
static PERFORMANCE: Shape = Shape(&[may("latency", Kind::Word(&["standard", "optimized"]))]);
static TIER: Shape =
    Shape(&[must("type", Kind::Word(&["priority", "default", "flex", "reserved"]))]);
static OUTPUT: Shape =
    Shape(&[may("textFormat", Kind::Object(&FORMAT)), may("effort", Kind::Text)]);
static FORMAT: Shape = Shape(&[
    must("type", Kind::Word(&["json_schema"])),
    must("structure", Kind::Object(&STRUCTURE)),
]);
static STRUCTURE: Shape = Shape(&[must("jsonSchema", Kind::Object(&JSON_SCHEMA))]);
static JSON_SCHEMA: Shape =
    Shape(&[must("schema", Kind::Text), may("name", Kind::Text), may("description", Kind::Text)]);

/// Judges everything but the order of messages.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    shape::check(Dialect::Converse, &BODY, members)?;
    unions(members)?;
    tools(members.get("toolConfig").unwrap_or(&Value::Null))?;
    let system = members.get("system").map_or(&[][..], blocks);
    if system.iter().any(|block| block["text"] == "") {
        let message = "1 validation error detected: Value '' at 'system.1.member.text' failed to \
                       satisfy constraint: Member must have length greater than or equal to 1";
        return Err(refuse(Reason::Empty, "system", message));
    }
    if marks(members) > MARKS_MAX {
        let message = format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {}.",
            marks(members)
        );
        return Err(refuse(Reason::Marks, "cachePoint", message));
    }
    let metadata = members.get("requestMetadata").and_then(Value::as_object);
    if metadata.is_some_and(|metadata| metadata.len() > 16) {
        let message = "1 validation error detected: Value at 'requestMetadata' failed to satisfy \
                       constraint: Member must have length less than or equal to 16";
        return Err(refuse(Reason::Value, "requestMetadata", message));
    }
    format(members)
}

pub(super) fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Converse.refuse(reason, at, message)
}

/// How many marks for the cache there are.
pub(super) fn marks(members: &Map<String, Value>) -> usize {
    let tools = members.get("toolConfig").map_or(&[][..], |config| blocks(&config["tools"]));
    let system = members.get("system").map_or(&[][..], blocks);
    let content = messages(members).iter().flat_map(|message| blocks(&message["content"]));
    let all = tools.iter().chain(system).chain(content);
    all.filter(|block| !block["cachePoint"].is_null()).count()
}

/// Judges that of the members of each block exactly one is there.
fn unions(members: &Map<String, Value>) -> Result<(), Refusal> {
    let one = |value: &Value, at: &str| {
        let set = value
            .as_object()
            .map_or(0, |members| members.values().filter(|value| !value.is_null()).count());
        let message = match set {
            1 => return Ok(()),
            0 => format!("The {at} field is empty. Set exactly one of its members, and try again."),
            _ => format!("{at}: only one member of a union may be set"),
        };
        Err(refuse(if set == 0 { Reason::Empty } else { Reason::Conflict }, at, message))
    };
    for (index, message) in messages(members).iter().enumerate() {
        for (place, block) in blocks(&message["content"]).iter().enumerate() {
            let at = format!("messages.{index}.content.{place}");
            one(block, &at)?;
            for inner in blocks(&block["toolResult"]["content"]) {
                one(inner, &format!("{at}.toolResult.content"))?;
            }
            bytes(block, &at)?;
        }
    }
    let config = members.get("toolConfig").unwrap_or(&Value::Null);
    for (index, tool) in blocks(&config["tools"]).iter().enumerate() {
        one(tool, &format!("toolConfig.tools.{index}"))?;
    }
    match &config["toolChoice"] {
        Value::Null => Ok(()),
        choice => one(choice, "toolConfig.toolChoice"),
    }
}

fn bytes(block: &Value, at: &str) -> Result<(), Refusal> {
    for kind in ["image", "document"] {
        let data = block[kind]["source"]["bytes"].as_str();
        if data.is_some_and(|data| data.is_empty() || text::unbase64(data.as_bytes()).is_none()) {
            let at = format!("{at}.{kind}.source.bytes");
            return Err(refuse(Reason::Value, &at, format!("Invalid base64 at {at}")));
        }
    }
    let name = block["document"]["name"].as_str();
    if name.is_some_and(|name| !is_name(name, " -()[]", 200) || name.contains("  ")) {
        let message = "The document file name can only contain alphanumeric characters, whitespace \
                       characters, hyphens, parentheses, and square brackets. The name can't \
                       contain more than one consecutive whitespace character.";
        return Err(refuse(Reason::Name, &format!("{at}.document.name"), message));
    }
    Ok(())
}

/// Judges a name or an id by its alphabet and length.
pub(super) fn pattern(reason: Reason, at: &str, text: &str) -> Result<(), Refusal> {
    let says = |must: &str| {
        let message = format!(
            "1 validation error detected: Value '{text}' at '{at}' failed to satisfy constraint: \
             Member must {must}"
        );
        Err(refuse(reason, at, message))
    };
    match text.chars().count() {
        0 => says("have length greater than or equal to 1"),
        1..=NAME_MAX if is_name(text, "_-", NAME_MAX) => Ok(()),
        1..=NAME_MAX => says("satisfy regular expression pattern: [a-zA-Z0-9_-]+"),
        _ => says("have length less than or equal to 64"),
    }
}

fn tools(config: &Value) -> Result<(), Refusal> {
    if config.is_null() {
        return Ok(());
    }
    let tools = blocks(&config["tools"]);
    if tools.is_empty() {
        let message = "1 validation error detected: Value '[]' at 'toolConfig.tools' failed to \
                       satisfy constraint: Member must have length greater than or equal to 1";
        return Err(refuse(Reason::Empty, "toolConfig.tools", message));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let spec = &tool["toolSpec"];
        if !spec.is_object() {
            continue;
        }
        let name = spec["name"].as_str().unwrap_or("");
        let at = format!("toolConfig.tools.{}.member.toolSpec", index + 1);
        pattern(Reason::Name, &format!("{at}.name"), name)?;
        if spec["description"] == "" {
            let at = format!("{at}.description");
            let message = format!(
                "1 validation error detected: Value '' at '{at}' failed to satisfy constraint: \
                 Member must have length greater than or equal to 1"
            );
            return Err(refuse(Reason::Empty, &at, message));
        }
        let schema = &spec["inputSchema"]["json"];
        if schema["type"] != "object" {
            let at = format!("toolConfig.tools.{index}.toolSpec.inputSchema.json.type");
            let message = format!("The value at {at} must be one of the following: object.");
            return Err(refuse(Reason::Schema, &at, message));
        }
        if names.contains(&name) {
            let message = format!("The tool name {name} is already defined at toolConfig.tools.");
            return Err(refuse(Reason::Name, "toolConfig.tools", message));
        }
        names.push(name);
    }
    let named = config["toolChoice"]["tool"]["name"].as_str();
    if let Some(name) = named.filter(|name| !names.contains(name)) {
        let message =
            format!("The tool {name} at toolConfig.toolChoice is not in toolConfig.tools.");
        return Err(refuse(Reason::Value, "toolConfig.toolChoice.tool.name", message));
    }
    Ok(())
}

fn format(members: &Map<String, Value>) -> Result<(), Refusal> {
    let format = members.get("outputConfig").map_or(&Value::Null, |config| &config["textFormat"]);
    let schema = format["structure"]["jsonSchema"]["schema"].as_str();
    let is_schema = |text: &str| serde_json::from_str::<Map<String, Value>>(text).is_ok();
    match schema {
        Some(text) if !is_schema(text) => {
            let at = "outputConfig.textFormat.structure.jsonSchema.schema";
            let message = format!("The value at {at} is not a valid JSON schema.");
            Err(refuse(Reason::Schema, at, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
