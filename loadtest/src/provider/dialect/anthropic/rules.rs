//! Anthropic's messages: the members that exist, and what the real API refuses.
//!
//! In: fields and members. Out: nothing, or the first [`Refusal`] in the real API's words.
//! Format: <https://docs.claude.com/en/api/messages>

use serde_json::{Map, Value};

use super::{pairs, thoughts, tools};
use crate::provider::dialect::shape::{self, Kind, Shape, Tags, may, must};
use crate::provider::dialect::{Dialect, Fields, Service};
use crate::provider::refusal::{Reason, Refusal};
use crate::provider::text;

/// Marks for the cache in one request.
const MARKS_MAX: usize = 4;

const VERSIONS: &[&str] = &["2023-01-01", "2023-06-01", "2026-10-21"];
const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];
const EFFORTS: &[&str] = &["low", "medium", "high", "xhigh", "max"];

static BODY: Shape = Shape(&[
    must("model", Kind::Text),
    must("messages", Kind::List(&Kind::Object(&MESSAGE))),
    must("max_tokens", Kind::Int(1, i64::MAX)),
    may("system", Kind::TextOr(&Kind::List(&Kind::Tagged(&SYSTEM)))),
    may("metadata", Kind::Object(&METADATA)),
    may("stop_sequences", Kind::List(&Kind::Text)),
    may("stream", Kind::Bool),
    may("temperature", Kind::Real(0.0, 1.0)),
    may("top_k", Kind::Int(0, i64::MAX)),
    may("top_p", Kind::Real(0.0, 1.0)),
    may("tools", Kind::List(&Kind::Map)),
    may("tool_choice", Kind::Tagged(&CHOICES)),
    may("thinking", Kind::Tagged(&THINKING)),
    may("output_config", Kind::Object(&OUTPUT)),
    may("output_format", Kind::Tagged(&FORMATS)),
    may("cache_control", Kind::Tagged(&MARKS)),
    may("service_tier", Kind::Word(&["auto", "standard_only"])),
    may("speed", Kind::Word(&["standard", "fast"])),
    may("inference_geo", Kind::Text),
    may("container", Kind::Any),
    may("context_management", Kind::Map),
    may("mcp_servers", Kind::List(&Kind::Map)),
    may("diagnostics", Kind::Map),
]);

static COUNT: Shape = Shape(&[
    must("model", Kind::Text),
    must("messages", Kind::List(&Kind::Object(&MESSAGE))),
    may("system", Kind::TextOr(&Kind::List(&Kind::Tagged(&SYSTEM)))),
    may("tools", Kind::List(&Kind::Map)),
    may("tool_choice", Kind::Tagged(&CHOICES)),
    may("thinking", Kind::Tagged(&THINKING)),
    may("output_config", Kind::Object(&OUTPUT)),
    may("output_format", Kind::Tagged(&FORMATS)),
    may("cache_control", Kind::Tagged(&MARKS)),
    may("speed", Kind::Word(&["standard", "fast"])),
    may("context_management", Kind::Map),
    may("mcp_servers", Kind::List(&Kind::Map)),
]);

static METADATA: Shape = Shape(&[may("user_id", Kind::Text)]);
static MESSAGE: Shape = Shape(&[
    must("role", Kind::Word(&["user", "assistant", "system"])),
    must("content", Kind::TextOr(&Kind::List(&Kind::Tagged(&BLOCKS)))),
]);

static SYSTEM: Tags = Tags { member: "type", default: None, shapes: &[("text", &TEXT)] };
static BLOCKS: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[
        ("document", &DOCUMENT),
        ("image", &IMAGE),
        ("redacted_thinking", &REDACTED),
        ("search_result", &SEARCH_RESULT),
        ("server_tool_use", &SERVER_USE),
        ("text", &TEXT),
        ("thinking", &THOUGHT),
        ("tool_result", &RESULT),
        ("tool_use", &USE),
        ("web_search_tool_result", &SERVER_RESULT),
    ],
};
static RESULT_BLOCKS: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[
        ("document", &DOCUMENT),
        ("image", &IMAGE),
        ("search_result", &SEARCH_RESULT),
        ("text", &TEXT),
    ],
};

static TEXT: Shape = Shape(&[
    must("text", Kind::Text),
    may("citations", Kind::List(&Kind::Map)),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static IMAGE: Shape = Shape(&[
    must("source", Kind::Tagged(&IMAGE_SOURCES)),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static DOCUMENT: Shape = Shape(&[
    must("source", Kind::Tagged(&DOCUMENT_SOURCES)),
    may("title", Kind::Text),
    may("context", Kind::Text),
    may("citations", Kind::Map),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static SEARCH_RESULT: Shape = Shape(&[
    must("source", Kind::Text),
    must("title", Kind::Text),
    must("content", Kind::List(&Kind::Tagged(&SYSTEM))),
    may("citations", Kind::Map),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static THOUGHT: Shape = Shape(&[must("thinking", Kind::Text), must("signature", Kind::Text)]);
static REDACTED: Shape = Shape(&[must("data", Kind::Text)]);
static USE: Shape = Shape(&[
    must("id", Kind::Text),
    must("name", Kind::Text),
    must("input", Kind::Map),
    may("caller", Kind::Map),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static SERVER_USE: Shape = Shape(&[
    must("id", Kind::Text),
    must("name", Kind::Text),
    must("input", Kind::Map),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static SERVER_RESULT: Shape = Shape(&[
    must("tool_use_id", Kind::Text),
    must("content", Kind::Any),
    may("cache_control", Kind::Tagged(&MARKS)),
]);
static RESULT: Shape = Shape(&[
    must("tool_use_id", Kind::Text),
    may("content", Kind::TextOr(&Kind::List(&Kind::Tagged(&RESULT_BLOCKS)))),
    may("is_error", Kind::Bool),
    may("cache_control", Kind::Tagged(&MARKS)),
]);

static IMAGE_SOURCES: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[("base64", &IMAGE_BYTES), ("file", &FILE), ("url", &URL)],
};
static DOCUMENT_SOURCES: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[
        ("base64", &PDF),
        ("content", &CONTENT),
        ("file", &FILE),
        ("text", &PLAIN),
        ("url", &URL),
    ],
};
static IMAGE_BYTES: Shape =
    Shape(&[must("media_type", Kind::Word(IMAGES)), must("data", Kind::Text)]);
static PDF: Shape =
    Shape(&[must("media_type", Kind::Word(&["application/pdf"])), must("data", Kind::Text)]);
static PLAIN: Shape =
    Shape(&[must("media_type", Kind::Word(&["text/plain"])), must("data", Kind::Text)]);
static CONTENT: Shape =
    Shape(&[must("content", Kind::TextOr(&Kind::List(&Kind::Tagged(&RESULT_BLOCKS))))]);
static FILE: Shape = Shape(&[must("file_id", Kind::Text)]);
static URL: Shape = Shape(&[must("url", Kind::Text)]);

static MARKS: Tags = Tags { member: "type", default: None, shapes: &[("ephemeral", &MARK)] };
static MARK: Shape = Shape(&[may("ttl", Kind::Word(&["5m", "1h"]))]);

static CHOICES: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[("any", &CHOICE), ("auto", &CHOICE), ("none", &NOTHING), ("tool", &NAMED)],
};
static CHOICE: Shape = Shape(&[may("disable_parallel_tool_use", Kind::Bool)]);
static NAMED: Shape =
    Shape(&[must("name", Kind::Text), may("disable_parallel_tool_use", Kind::Bool)]);
static NOTHING: Shape = Shape(&[]);

static THINKING: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[
        ("adaptive", &SHOWN),
        ("between_tools", &SHOWN),
        ("disabled", &NOTHING),
        ("enabled", &BUDGET),
    ],
};
static SHOWN: Shape = Shape(&[may("display", Kind::Word(&["summarized", "omitted"]))]);
static BUDGET: Shape = Shape(&[
    must("budget_tokens", Kind::Int(1024, i64::MAX)),
    may("display", Kind::Word(&["summarized", "omitted"])),
]);
static OUTPUT: Shape = Shape(&[
    may("effort", Kind::Word(EFFORTS)),
    may("format", Kind::Tagged(&FORMATS)),
    may("task_budget", Kind::Map),
]);
static FORMATS: Tags = Tags { member: "type", default: None, shapes: &[("json_schema", &SCHEMA)] };
static SCHEMA: Shape = Shape(&[must("schema", Kind::Map)]);

/// Judges the fields that the dialect demands, and its betas.
pub(super) fn head(fields: &Fields<'_>) -> Result<(), Refusal> {
    let wrong = |message: String| Err(refuse(Reason::VersionMissing, "anthropic-version", message));
    match fields.get("anthropic-version") {
        None => wrong("anthropic-version: header is required".to_owned()),
        Some(version) if !VERSIONS.contains(&version) => {
            wrong(format!("anthropic-version: \"{version}\" is not a valid version."))
        }
        Some(_) => betas(fields),
    }
}

/// Judges the betas that are asked for.
pub(super) fn betas(fields: &Fields<'_>) -> Result<(), Refusal> {
    for flag in fields.get("anthropic-beta").unwrap_or("").split(',').map(str::trim) {
        // `name-2025-05-14`, and `name-20250219`.
        let end = |bytes: usize| flag.get(flag.len().saturating_sub(bytes)..).unwrap_or("");
        let digits = |date: &str| date.chars().filter(char::is_ascii_digit).count();
        let dated = [end(11), end(9)].iter().any(|d| d.starts_with('-') && digits(d) == 8);
        if !flag.is_empty() && !dated {
            let message = format!(
                "Unexpected value(s) `{flag}` for the `anthropic-beta` header. Please consult our \
                 documentation at docs.claude.com or try again without the header."
            );
            return Err(refuse(Reason::Value, "anthropic-beta", message));
        }
    }
    Ok(())
}

/// Judges the members of a body.
pub(super) fn check(service: Service, members: &Map<String, Value>) -> Result<(), Refusal> {
    let table = if service == Service::Count { &COUNT } else { &BODY };
    shape::check(Dialect::Anthropic, table, members)?;
    tools::check(members)?;
    let messages = members["messages"].as_array().map_or(&[][..], Vec::as_slice);
    roles(messages)?;
    system(members)?;
    contents(messages)?;
    cache(members)?;
    pairs::check(messages)?;
    if service != Service::Count {
        thoughts::check(members)?;
    }
    thoughts::signatures(members, messages)?;
    limits(members)
}

fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Anthropic.refuse(reason, at, message)
}

fn roles(messages: &[Value]) -> Result<(), Refusal> {
    let Some(first) = messages.first() else {
        let message = "messages: at least one message is required";
        return Err(refuse(Reason::Empty, "messages", message));
    };
    if first["role"] != "user" {
        let message = "messages: first message must use the \"user\" role";
        return Err(refuse(Reason::Order, "messages", message));
    }
    Ok(())
}

fn system(members: &Map<String, Value>) -> Result<(), Refusal> {
    let blocks = members.get("system").and_then(Value::as_array);
    match blocks.into_iter().flatten().any(|block| block["text"] == "") {
        true => {
            let message = "system: text content blocks must be non-empty";
            Err(refuse(Reason::Empty, "system", message))
        }
        false => Ok(()),
    }
}

fn contents(messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        let content = &message["content"];
        let is_last = index + 1 == messages.len() && message["role"] == "assistant";
        let empty = content == "" || content.as_array().is_some_and(Vec::is_empty);
        if empty && !is_last {
            let message = format!(
                "messages.{index}: all messages must have non-empty content except for the \
                 optional final assistant message"
            );
            return Err(refuse(Reason::Empty, &format!("messages.{index}"), message));
        }
        let texts: Vec<&str> = match content.as_array() {
            Some(blocks) => all_blocks(blocks).filter_map(text_of).collect(),
            None => Vec::new(),
        };
        if texts.contains(&"") {
            let message = "messages: text content blocks must be non-empty";
            return Err(refuse(Reason::Empty, "messages", message));
        }
        if texts.iter().any(|text| text.trim().is_empty()) {
            let message = "messages: text content blocks must contain non-whitespace text";
            return Err(refuse(Reason::Empty, "messages", message));
        }
        let last = content.as_str().or(texts.last().copied());
        if is_last && last.is_some_and(|text| text.ends_with(char::is_whitespace)) {
            let message = "messages: final assistant content cannot end with trailing whitespace";
            return Err(refuse(Reason::Value, "messages", message));
        }
        media(index, content)?;
    }
    Ok(())
}

fn text_of(block: &Value) -> Option<&str> {
    if block["type"] == "text" { block["text"].as_str() } else { None }
}

/// Blocks and the blocks inside results.
fn all_blocks(blocks: &[Value]) -> impl Iterator<Item = &Value> {
    blocks.iter().flat_map(|block| {
        let inside = block["content"].as_array().filter(|_| block["type"] == "tool_result");
        std::iter::once(block).chain(inside.into_iter().flatten())
    })
}

fn media(index: usize, content: &Value) -> Result<(), Refusal> {
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    for (place, block) in all_blocks(blocks).enumerate() {
        let (kind, source) = (block["type"].as_str().unwrap_or(""), &block["source"]);
        if !matches!(kind, "image" | "document") || source["type"] != "base64" {
            continue;
        }
        let data = source["data"].as_str().unwrap_or("");
        if data.is_empty() || text::unbase64(data.as_bytes()).is_none() {
            let at = format!("messages.{index}.content.{place}.{kind}.source.base64.data");
            let message = format!("{at}: Invalid base64 data");
            return Err(refuse(Reason::Value, &at, message));
        }
    }
    Ok(())
}

/// The marks for the cache, in the order in which they are looked at.
pub(super) fn marks(members: &Map<String, Value>) -> Vec<&Value> {
    let mut found = Vec::new();
    for name in ["tools", "system"] {
        let list = members.get(name).and_then(Value::as_array);
        found.extend(list.into_iter().flatten());
    }
    let messages = members.get("messages").and_then(Value::as_array);
    for message in messages.into_iter().flatten() {
        let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        found.extend(all_blocks(blocks));
    }
    let mark = |value: &&'_ Value| !value["cache_control"].is_null();
    found.into_iter().filter(mark).map(|value| &value["cache_control"]).collect()
}

fn cache(members: &Map<String, Value>) -> Result<(), Refusal> {
    let marks = marks(members);
    let count = marks.len() + usize::from(members.contains_key("cache_control"));
    if count > MARKS_MAX {
        let message =
            format!("A maximum of 4 blocks with cache_control may be provided. Found {count}.");
        return Err(refuse(Reason::Marks, "cache_control", message));
    }
    let short = marks.iter().position(|mark| mark["ttl"] != "1h");
    if short.is_some_and(|at| marks[at..].iter().any(|mark| mark["ttl"] == "1h")) {
        let message = "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control \
                       block. Note that blocks are processed in the following order: `tools`, \
                       `system`, `messages`.";
        return Err(refuse(Reason::Marks, "cache_control", message));
    }
    Ok(())
}

fn limits(members: &Map<String, Value>) -> Result<(), Refusal> {
    let stops = members.get("stop_sequences").and_then(Value::as_array);
    let blank = |stop: &Value| stop.as_str().is_some_and(|text| text.trim().is_empty());
    if stops.into_iter().flatten().any(blank) {
        let message = "stop_sequences: each stop sequence must contain non-whitespace";
        return Err(refuse(Reason::Value, "stop_sequences", message));
    }
    let user = members.get("metadata").and_then(|metadata| metadata["user_id"].as_str());
    if user.is_some_and(|user| user.chars().count() > 256) {
        let message = "metadata.user_id: String should have at most 256 characters";
        return Err(refuse(Reason::Value, "metadata.user_id", message));
    }
    Ok(())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
