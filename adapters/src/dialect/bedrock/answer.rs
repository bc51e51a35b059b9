//! A whole answer of Converse, its stop reasons and its usage.
//!
//! In: the body. Out: deltas. What tools of the provider's own did on the way (`server_tool_use` and its results) is not
//! told: the client could not answer it.

use faregate_wire::Json;

use super::{
    media::{self, KINDS},
    opaque,
};
use crate::{
    chat::{Delta, Error, ErrorKind, Finish, Media, MediaKind, Source, Start, Usage},
    dialect::{BadAnswer, call_id},
};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order.
    Finish(Finish),
    /// The model said what cannot be read.
    Malformed(&'static str),
}

/// Reads a whole answer.
pub(super) fn read(
    body: &[u8],
    seed: u64,
    sink: &mut dyn FnMut(Delta<'_>),
) -> Result<(), BadAnswer> {
    let answer = Json::new(body).filter(|json| json.is_object()).ok_or(BadAnswer)?;
    let message = answer.at(&["output", "message"]).ok_or(BadAnswer)?;
    let usage = answer.get("usage").and_then(usage);
    sink(Delta::Start(Start { tier: tier(answer), usage, ..Start::default() }));
    let mut calls = 0;
    for block in message.get("content").map(Json::items).into_iter().flatten() {
        read_block(block, (seed, &mut calls), sink);
    }
    let reason = answer.get_str("stopReason").unwrap_or_default();
    let stop = answer.at(&["additionalModelResponseFields", "stop_sequence"]).and_then(Json::str);
    let ending = ending(&reason, calls > 0);
    if let Ending::Finish(reason) = ending {
        sink(Delta::Finish { choice: 0, reason, stop });
    }
    if let Some(usage) = usage {
        sink(Delta::Usage(usage));
    }
    match ending {
        Ending::Finish(_) => sink(Delta::Done),
        Ending::Malformed(code) => sink(Delta::Error(malformed(code))),
    }
    Ok(())
}

fn read_block(block: Json<'_>, (seed, calls): (u64, &mut u32), sink: &mut dyn FnMut(Delta<'_>)) {
    if let Some(text) = block.get_str("text") {
        say(text, sink);
    }
    if let Some(thought) = block.get("reasoningContent") {
        read_thought(thought, sink);
    }
    if let Some(tool) = block.get("toolUse").filter(|tool| !is_servers(*tool)) {
        let call = *calls;
        let id = call_id(tool.get_str("toolUseId"), seed, call);
        let name = tool.get_str("name").unwrap_or_default();
        *calls += 1;
        sink(Delta::ToolStart { choice: 0, call, id, name, custom: false, signature: None });
        let arguments = tool.get("input").filter(|input| input.is_object());
        let arguments = arguments.map_or("{}".into(), |input| String::from_utf8_lossy(input.raw()));
        sink(Delta::ToolArguments { choice: 0, call, fragment: arguments });
    }
    if let Some(cited) = block.get("citationsContent") {
        for text in cited.get("content").map(Json::items).into_iter().flatten() {
            say(text.get_str("text").unwrap_or_default(), sink);
        }
        for citation in cited.get("citations").map(Json::items).into_iter().flatten() {
            read_citation(citation, sink);
        }
    }
    for (kind, name) in KINDS {
        if let Some(media) = block.get(name).and_then(|json| read_media(kind, json)) {
            sink(Delta::Media { choice: 0, media });
        }
    }
}

fn say(text: std::borrow::Cow<'_, str>, sink: &mut dyn FnMut(Delta<'_>)) {
    if !text.is_empty() {
        sink(Delta::Text { choice: 0, text });
    }
}

fn read_thought(thought: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
    if let Some(shown) = thought.get("reasoningText") {
        let text = shown.get_str("text").unwrap_or_default();
        if !text.is_empty() {
            sink(Delta::Reasoning { choice: 0, text });
        }
        sign(shown.get_str("signature"), false, sink);
    }
    sign(thought.get_str("redactedContent").map(opaque::of_blob), true, sink);
}

/// Says a signature, if there is one.
pub(super) fn sign(
    signature: Option<std::borrow::Cow<'_, str>>,
    redacted: bool,
    sink: &mut dyn FnMut(Delta<'_>),
) {
    if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
        sink(Delta::Signature { choice: 0, signature, redacted });
    }
}

/// Says a citation; of a streamed one too.
pub(super) fn read_citation(citation: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
    let url = citation.at(&["location", "web", "url"]).and_then(Json::str);
    let url = url.or_else(|| citation.get_str("source").filter(|at| at.starts_with("http")));
    let title = citation.get_str("title").or_else(|| citation.get_str("source"));
    let quote = citation.get("sourceContent").and_then(|content| content.items().next());
    let quote = quote.and_then(|quote| quote.get_str("text"));
    if url.is_some() || title.is_some() || quote.is_some() {
        sink(Delta::Citation { choice: 0, url, title, quote });
    }
}

/// Reads an image, a document, sound or a moving picture.
pub(super) fn read_media(kind: MediaKind, json: Json<'_>) -> Option<Media<'_>> {
    let source = json.get("source")?;
    let format = json.get_str("format");
    let source = if let Some(data) = source.get_str("bytes") {
        let format = format.as_deref().unwrap_or("octet-stream");
        Source::Base64 { media_type: media::media_type(kind, format), data }
    } else if let Some(text) = source.get_str("text") {
        Source::Text(text)
    } else {
        Source::Url(source.get("s3Location")?.get_str("uri")?)
    };
    Some(Media { kind, source, detail: None, name: json.get_str("name") })
}

/// Whether a call was for one of the provider's own tools.
pub(super) fn is_servers(tool: Json<'_>) -> bool {
    tool.get_str("type").is_some_and(|kind| kind == "server_tool_use")
}

/// The tier that answered.
pub(super) fn tier(answer: Json<'_>) -> Option<std::borrow::Cow<'_, str>> {
    answer.at(&["serviceTier", "type"])?.str()
}

/// What a stop reason means.
pub(super) fn ending(reason: &str, has_calls: bool) -> Ending {
    Ending::Finish(match reason {
        "tool_use" => Finish::ToolCalls,
        "max_tokens" => Finish::Length,
        "model_context_window_exceeded" => Finish::ContextFull,
        "guardrail_intervened" | "content_filtered" | "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        "malformed_model_output" => return Ending::Malformed("malformed_model_output"),
        "malformed_tool_use" => return Ending::Malformed("malformed_tool_use"),
        _ if has_calls => Finish::ToolCalls, // some models end with `end_turn` after a call
        _ => Finish::Stop,
    })
}

/// What is said of an answer that cannot be read.
pub(super) fn malformed(code: &'static str) -> Error<'static> {
    Error {
        kind: ErrorKind::Api,
        message: match code {
            "malformed_tool_use" => "the model called a tool in a form that cannot be read",
            _ => "the model answered in a form that cannot be read",
        }
        .into(),
        code: Some(code.into()),
        param: None,
        retry_after: None,
    }
}

/// Reads a usage object. Converse counts cached input apart from `inputTokens`.
pub(super) fn usage(json: Json<'_>) -> Option<Usage> {
    let count = |name: &str| json.get_u64(name);
    let (input, output) = (count("inputTokens"), count("outputTokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let details = json.get("cacheDetails").map(Json::items).into_iter().flatten();
    let (mut short, mut long) = (0_u64, 0_u64);
    for detail in details {
        let tokens = detail.get_u64("inputTokens").unwrap_or(0);
        let is_long = detail.get_str("ttl").is_some_and(|ttl| ttl != "5m");
        let sum = if is_long { &mut long } else { &mut short };
        *sum = sum.saturating_add(tokens);
    }
    let written = count("cacheWriteInputTokens").unwrap_or(short.saturating_add(long));
    let long = long.min(written);
    Some(Usage {
        input: input.unwrap_or(0),
        cache_read: count("cacheReadInputTokens").unwrap_or(0),
        cache_write: written - long,
        cache_write_long: long,
        output: output.unwrap_or(0),
        ..Usage::default()
    })
}
