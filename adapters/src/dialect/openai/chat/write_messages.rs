//! Messages, written in the order that OpenAI demands.
//!
//! Results of tools come directly behind the message that called them, before anything else that was said meanwhile.
//! Messages of the model that follow each other are one if a call is among them, since its results must follow it. A
//! result can hold text alone: what else it holds goes into a message of the user behind it.
//!
//! Where messages go through a chat template, instructions are one message at the start; later ones become words of the
//! user, marked as what they are, and what the user says in several messages in a row is said in one.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use super::{write_others, write_parts, write_request::Writing};
use crate::chat::{CacheMark, Format, Message, Part, PartBody, Role, ToolKind};

/// Stands before a schema that a provider only takes as an instruction.
const SCHEMA: &str =
    "Answer with a JSON object that follows this JSON schema, and with nothing else:\n";

/// Writes `messages`.
pub(super) fn write(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>) {
    let messages = &writing.request.messages[..];
    json.name("messages").array();
    let messages = messages.get(instructions(writing, json)..).unwrap_or_default();
    let is_model = |message: &Message<'_>| message.role == Role::Assistant;
    for run in messages.chunk_by(|before, next| is_model(before) == is_model(next)) {
        if run.first().is_some_and(is_model) {
            assistants(writing, json, run);
        } else {
            write_others::write(writing, json, run);
        }
    }
    json.end();
}

/// Writes the instructions that must stand at the start in one message; gives back how many messages they were.
fn instructions(writing: &Writing<'_, '_>, json: &mut JsonWriter<'_>) -> usize {
    let mut texts: Vec<Cow<'_, str>> = Vec::new();
    let mut count = 0;
    if writing.quirks.templated {
        let leading =
            writing.request.messages.iter().take_while(|message| write_others::instructs(message));
        for message in leading {
            count += 1;
            texts.push(Cow::Owned(write_others::text(&message.parts)));
        }
    }
    if let Some(Format::JsonSchema { schema, .. }) = &writing.request.format
        && writing.quirks.no_json_schema
    {
        let schema = String::from_utf8_lossy(schema.raw());
        texts.push(Cow::Owned([SCHEMA, &schema].concat()));
    }
    if !texts.is_empty() {
        json.object().member_str("role", "system").member_str("content", &texts.join("\n\n")).end();
    }
    count
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
fn thoughts(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, parts: &[&Part<'_>]) {
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
        if !writing.quirks.takes_reasoning && thoughts.clone().any(|t| !t.text.is_empty()) {
            writing.loss.add("reasoning_content");
        }
        if thoughts.clone().any(|thought| thought.signature.is_some()) {
            writing.loss.add("reasoning_details");
        }
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
    if *kind == ToolKind::Custom && writing.quirks.refuses("custom") {
        let mut input = Vec::new();
        JsonWriter::new(&mut input).object().member_str("input", arguments).end();
        json.member_str("type", "function").name("function").object();
        let arguments = String::from_utf8_lossy(&input);
        json.member_str("name", name).member_str("arguments", &arguments).end();
    } else if *kind == ToolKind::Custom {
        json.member_str("type", "custom").name("custom").object();
        json.member_str("name", name).member_str("input", arguments).end();
    } else {
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        json.member_str("type", "function").name("function").object();
        json.member_str("name", name).member_str("arguments", arguments).end();
    }
    match signature {
        Some(signature) if writing.quirks.takes("extra_content") => {
            super::write_extra_content(json, signature);
        }
        // Said beside the message's thoughts.
        Some(_) if writing.quirks.takes("reasoning_details") => {}
        Some(_) => writing.loss.add("extra_content"),
        None => {}
    }
    json.end();
}

/// The name of a participant. What OpenAI would refuse in it is replaced.
pub(super) fn name(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, name: Option<&str>) {
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
