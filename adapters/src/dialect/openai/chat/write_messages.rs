//! Messages, written in the order that OpenAI demands.
//!
//! Results of tools come directly behind the message that called them, before anything else that was said meanwhile.
//! Messages of the model that follow each other are one if a call is among them, since its results must follow it. A
//! result can hold text alone: what else it holds goes into a message of the user behind it.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use super::{write_parts, write_request::Writing};
use crate::chat::{CacheMark, Format, Message, Part, PartBody, Role, ToolKind};

/// Stands between a tool's result and a user's message where they may not follow each other.
const BETWEEN: &str = "I have read the results.";

/// Stands before a schema that a provider only takes as an instruction.
const SCHEMA: &str =
    "Answer with a JSON object that follows this JSON schema, and with nothing else:\n";

/// Writes `messages`.
pub(super) fn write(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>) {
    let messages = &writing.request.messages[..];
    json.name("messages").array();
    if let Some(Format::JsonSchema { schema, .. }) = &writing.request.format
        && writing.quirks.no_json_schema
    {
        let schema = String::from_utf8_lossy(schema.raw());
        json.object().member_str("role", "system");
        json.member_str("content", &[SCHEMA, &schema].concat()).end();
    }
    let is_model = |message: &Message<'_>| message.role == Role::Assistant;
    for run in messages.chunk_by(|before, next| is_model(before) == is_model(next)) {
        if run.first().is_some_and(is_model) {
            assistants(writing, json, run);
        } else {
            others(writing, json, run);
        }
    }
    json.end();
}

/// The model's messages up to the next of somebody else.
fn assistants(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, run: &[Message<'_>]) {
    let is_call = |part: &Part<'_>| matches!(part.body, PartBody::ToolCall { .. });
    if run.iter().flat_map(|message| &message.parts).any(is_call) {
        let parts: Vec<&Part<'_>> = run.iter().flat_map(|message| &message.parts).collect();
        let name = run.first().and_then(|message| message.name.as_deref());
        assistant(writing, json, name, &parts);
        return;
    }
    for message in run {
        let parts: Vec<&Part<'_>> = message.parts.iter().collect();
        assistant(writing, json, message.name.as_deref(), &parts);
    }
}

fn assistant(
    writing: &mut Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    name: Option<&str>,
    parts: &[&Part<'_>],
) {
    json.object().member_str("role", "assistant");
    self::name(writing, json, name);
    let is_text = |part: &&&Part<'_>| matches!(part.body, PartBody::Text(_));
    let texts: Vec<&Part<'_>> = parts.iter().filter(is_text).copied().collect();
    let refusals = parts.iter().filter_map(|part| match &part.body {
        PartBody::Refusal(text) => Some(&**text),
        _ => None,
    });
    let refusal = refusals.collect::<Vec<_>>().concat();
    let says_refusal = !refusal.is_empty() && !writing.quirks.refuses("refusal");
    let calls: Vec<&Part<'_>> = parts
        .iter()
        .filter(|part| matches!(part.body, PartBody::ToolCall { .. }))
        .copied()
        .collect();
    json.name("content");
    match (&texts[..], &*refusal) {
        ([], "") if calls.is_empty() => {
            json.str("");
        }
        ([], text) if !says_refusal && !text.is_empty() => {
            json.str(text);
        }
        ([], _) => {
            json.null();
        }
        _ => write_parts::write(writing, json, &texts),
    }
    if says_refusal {
        json.member_str("refusal", &refusal);
    }
    thoughts(writing, json, parts);
    if !calls.is_empty() {
        json.name("tool_calls").array();
        for part in calls {
            call(writing, json, part);
        }
        json.end();
    }
    others_of_assistant(writing, json, parts);
    json.end();
}

/// What else is in a message of the model: the name of sound that it made before; the rest cannot be said.
fn others_of_assistant(
    writing: &mut Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    parts: &[&Part<'_>],
) {
    for part in parts {
        match &part.body {
            PartBody::Other { kind, json: whole }
                if kind == "audio" && !writing.quirks.refuses("audio") =>
            {
                json.member_json("audio", *whole);
            }
            PartBody::Other { kind, .. } => writing.loss.add_named(&format!("messages.{kind}")),
            PartBody::Media(media) => {
                writing.loss.add_named(&format!("messages.{}", super::media::noun(media.kind)));
            }
            _ => {}
        }
    }
}

/// Thoughts of earlier turns, where the provider takes them.
fn thoughts(writing: &Writing<'_, '_>, json: &mut JsonWriter<'_>, parts: &[&Part<'_>]) {
    let thoughts = parts.iter().filter_map(|part| match &part.body {
        PartBody::Reasoning(thought) => Some(thought),
        _ => None,
    });
    if writing.quirks.takes_reasoning {
        let text = thoughts.clone().map(|thought| &*thought.text).collect::<Vec<_>>().concat();
        let has_calls = parts.iter().any(|part| matches!(part.body, PartBody::ToolCall { .. }));
        if !text.is_empty() || (has_calls && writing.quirks.reasoning_with_calls) {
            json.member_str(writing.quirks.reasoning_name, &text);
        }
    }
    if !writing.quirks.takes("reasoning_details") {
        return;
    }
    let signs = parts.iter().filter_map(|part| match &part.body {
        PartBody::ToolCall { id, signature: Some(signature), .. } => Some((id, signature)),
        _ => None,
    });
    if thoughts.clone().next().is_none() && signs.clone().next().is_none() {
        return;
    }
    json.name("reasoning_details").array();
    for thought in thoughts {
        let signature = thought.signature.as_deref();
        super::write_thought(json, &thought.text, signature, thought.redacted, None);
    }
    for (id, signature) in signs {
        json.object().member_str("type", "reasoning.encrypted");
        json.member_str("data", signature).member_str("id", &writing.id(id));
        json.member_str("format", "google-gemini-v1").end();
    }
    json.end();
}

fn call(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, part: &Part<'_>) {
    let PartBody::ToolCall { id, name, arguments, kind, signature } = &part.body else { return };
    json.object().member_str("id", &writing.id(id));
    if *kind == ToolKind::Custom {
        json.member_str("type", "custom").name("custom").object();
        json.member_str("name", name).member_str("input", arguments).end();
    } else {
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        json.member_str("type", "function").name("function").object();
        json.member_str("name", name).member_str("arguments", arguments).end();
    }
    if let Some(signature) = signature
        && writing.quirks.takes("extra_content")
    {
        super::write_extra_content(json, signature);
    }
    json.end();
}

/// Instructions, the user's words and tools' results, up to the model's next message.
fn others(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, run: &[Message<'_>]) {
    let mut left: Vec<&Part<'_>> = Vec::new();
    let mut has_results = false;
    for part in run.iter().flat_map(|message| &message.parts) {
        if let PartBody::ToolResult { id, content, is_error, .. } = &part.body {
            has_results = true;
            let media = |part: &&Part<'_>| matches!(part.body, PartBody::Media(_));
            let before = left.len();
            left.extend(content.iter().filter(media));
            result(writing, json, (id, content, *is_error), left.len() > before);
        }
    }
    let mut is_between = has_results && writing.quirks.no_user_after_tool;
    let mut between = |json: &mut JsonWriter<'_>, role: Role| {
        if role == Role::User && std::mem::take(&mut is_between) {
            json.object().member_str("role", "assistant").member_str("content", BETWEEN).end();
        }
    };
    if !left.is_empty() {
        between(json, Role::User);
        json.object().member_str("role", "user").name("content");
        write_parts::write(writing, json, &left);
        json.end();
    }
    for message in run {
        let is_result = |part: &&Part<'_>| matches!(part.body, PartBody::ToolResult { .. });
        let parts: Vec<&Part<'_>> = message.parts.iter().filter(|part| !is_result(part)).collect();
        if parts.is_empty() && !message.parts.is_empty() {
            continue;
        }
        between(json, message.role);
        let role = match message.role {
            Role::System => "system",
            Role::Developer if writing.quirks.no_developer => "system",
            Role::Developer => "developer",
            Role::User | Role::Assistant => "user",
        };
        json.object().member_str("role", role);
        name(writing, json, message.name.as_deref());
        json.name("content");
        write_parts::write(writing, json, &parts);
        json.end();
    }
}

/// The text of one tool's result.
fn result(
    writing: &mut Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    (id, content, is_error): (&str, &[Part<'_>], bool),
    has_media: bool,
) {
    let mut texts: Vec<Cow<'_, str>> = Vec::new();
    for part in content {
        match &part.body {
            PartBody::Text(text) => texts.push(Cow::Borrowed(text)),
            PartBody::Other { json, .. } => texts.push(String::from_utf8_lossy(json.raw())),
            PartBody::Refusal(text) => texts.push(Cow::Borrowed(text)),
            _ => {}
        }
    }
    if texts.is_empty() && has_media {
        texts.push(Cow::Borrowed("The result is in the next message of the user."));
    }
    let says_error = texts.iter().any(|text| text.to_ascii_lowercase().contains("error"));
    if is_error && !says_error {
        texts.insert(0, Cow::Borrowed("Error:"));
    }
    json.object().member_str("role", "tool").member_str("tool_call_id", &writing.id(id));
    json.name("content");
    let parts: Vec<Part<'_>> = texts.into_iter().map(Part::text).collect();
    write_parts::write(writing, json, &parts.iter().collect::<Vec<_>>());
    json.end();
}

/// The name of a participant. What OpenAI would refuse in it is replaced.
fn name(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, name: Option<&str>) {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return };
    if writing.may("name") {
        json.member_str("name", &super::name_rule().fit(name));
    }
}

/// Writes what says that the prompt up to here shall be cached. It is a hint: where it cannot be said, it is left out.
pub(super) fn cache_mark(
    writing: &Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    mark: Option<CacheMark>,
) {
    let Some(mark) = mark else { return };
    if writing.quirks.takes("cache_control") {
        json.name("cache_control").object().member_str("type", "ephemeral");
        if let Some(minutes) = mark.minutes {
            json.member_str("ttl", if minutes > 30 { "1h" } else { "5m" });
        }
        json.end();
    } else if !writing.quirks.refuses("prompt_cache_breakpoint") {
        json.name("prompt_cache_breakpoint").object().member_str("mode", "explicit");
        if let Some(minutes) = mark.minutes {
            json.member_str("ttl", if minutes > 60 { "12h" } else { "30m" });
        }
        json.end();
    }
}
