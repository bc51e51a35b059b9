//! The conversation of a request, written: `systemInstruction` and `contents`.
//!
//! Gemini takes turns of `user` and `model`, the first of them the user's, and behind a turn with calls one that answers
//! each of them. So messages of one role are merged; results stand first in their turn, in the order of the calls, wherever
//! the client put them; a call that was never answered is answered with an error; a result that answers nothing is told
//! as a text.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter, Scanner};

use super::{
    media,
    write::{ID_RULE, Writing},
};
use crate::{
    base64,
    chat::{Message, Part, PartBody, ReasoningPart, Request, Role, ToolKind, fit_id},
};

/// Stands where a signature must be that nobody has: the API documents it for calls that the model did not make.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Parts that are the dialect's own.
const OWN_PARTS: [&str; 5] =
    ["executableCode", "codeExecutionResult", "toolCall", "toolResponse", "audioTranscription"];

/// Says something where the API wants a turn and the client has none.
const BLANK: &str = " ";

/// One turn: messages of one role.
struct Turn<'r, 'a> {
    is_model: bool,
    pieces: Vec<Piece<'r, 'a>>,
}

enum Piece<'r, 'a> {
    Part(&'r Part<'a>),
    /// Instructions in the middle of the conversation.
    Reminder(String),
    /// The result of a tool, until it has been written.
    Result(Option<ToolResult<'r, 'a>>),
}

#[derive(Clone, Copy)]
struct ToolResult<'r, 'a> {
    id: &'r str,
    name: &'r str,
    content: &'r [Part<'a>],
    is_error: bool,
}

/// A call of the turn before.
struct Call<'r> {
    id: &'r str,
    name: &'r str,
}

/// How many messages at the start are instructions.
fn instructions(request: &Request<'_>) -> usize {
    let is_system = |message: &&Message<'_>| is_instruction(message);
    request.messages.iter().take_while(is_system).count()
}

fn is_instruction(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// Writes the instructions that stand before everything else.
pub(super) fn write_system(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let messages = &request.messages[..instructions(request)];
    let parts = || messages.iter().flat_map(|message| &message.parts);
    let texts = || parts().filter_map(text_of).filter(|text| !text.is_empty());
    if parts().any(|part| text_of(part).is_none()) {
        to.loss.add("system");
    }
    if texts().next().is_none() {
        return;
    }
    json.name("systemInstruction").object().name("parts").array();
    texts().for_each(|text| {
        json.object().member_str("text", text).end();
    });
    json.end().end();
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.body {
        PartBody::Text(text) => Some(text),
        _ => None,
    }
}

pub(super) fn write_contents(
    json: &mut JsonWriter<'_>,
    request: &Request<'_>,
    to: &mut Writing<'_>,
) {
    let mut turns = turns(&request.messages[instructions(request)..], to);
    json.name("contents").array();
    if turns.first().is_none_or(|first| first.is_model) {
        json.object().member_str("role", "user").name("parts").array();
        json.object().member_str("text", BLANK).end().end().end();
    }
    let mut calls = Vec::new();
    let mut parts = Vec::new();
    for at in 0..turns.len() {
        parts.clear();
        let mut inner = JsonWriter::new(&mut parts);
        inner.array();
        let is_model = turns[at].is_model;
        if is_model {
            calls = write_model(&mut inner, &turns[at], to);
        } else {
            let mut media = Vec::new();
            for call in calls.drain(..) {
                let result = take_result(&mut turns[at..], call.id);
                write_result(&mut inner, &call, result, &mut media, to);
            }
            media.iter().for_each(|media| media::write(&mut inner, media, to));
            write_user(&mut inner, &turns[at], to);
        }
        inner.end();
        if parts != b"[]" {
            json.object().member_str("role", if is_model { "model" } else { "user" });
            json.name("parts").raw(&parts).end();
        }
    }
    json.end();
}

fn turns<'r, 'a>(messages: &'r [Message<'a>], to: &mut Writing<'_>) -> Vec<Turn<'r, 'a>> {
    let mut turns: Vec<Turn<'r, 'a>> = Vec::new();
    for message in messages {
        if message.name.is_some() {
            to.loss.add("name");
        }
        let is_model = message.role == Role::Assistant;
        if turns.last().is_none_or(|turn| turn.is_model != is_model) {
            turns.push(Turn { is_model, pieces: Vec::new() });
        }
        let Some(turn) = turns.last_mut() else { continue };
        turn.pieces.extend(message.parts.iter().map(|part| match &part.body {
            PartBody::Text(text) if is_instruction(message) => {
                Piece::Reminder(format!("<system-reminder>\n{text}\n</system-reminder>"))
            }
            PartBody::ToolResult { id, name, content, is_error } => {
                let name = name.as_deref().unwrap_or_default();
                Piece::Result(Some(ToolResult { id, name, content, is_error: *is_error }))
            }
            _ => Piece::Part(part),
        }));
    }
    turns
}

/// The next result with this id.
fn take_result<'r, 'a>(turns: &mut [Turn<'r, 'a>], id: &str) -> Option<ToolResult<'r, 'a>> {
    let mut pieces = turns.iter_mut().flat_map(|turn| &mut turn.pieces);
    pieces.find_map(|piece| match piece {
        Piece::Result(result) if result.is_some_and(|result| result.id == id) => result.take(),
        _ => None,
    })
}

/// Writes the parts of a model's turn, and gives back its calls.
fn write_model<'r>(
    json: &mut JsonWriter<'_>,
    turn: &Turn<'r, '_>,
    to: &mut Writing<'_>,
) -> Vec<Call<'r>> {
    let mut calls = Vec::new();
    let mut unsigned = to.is_third && !has_signed_call(turn);
    let mut pieces = turn.pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let Piece::Part(part) = piece else { continue };
        match &part.body {
            PartBody::Text(text) => {
                let sign = pieces.next_if(|next| hidden_signature(next).is_some());
                let sign = sign.and_then(hidden_signature);
                if !text.is_empty() || sign.is_some() {
                    write_text(json, text, false, sign);
                }
            }
            PartBody::Reasoning(thought) => write_thought(json, thought),
            PartBody::ToolCall { id, name, arguments, kind, signature } => {
                let no_signature = std::mem::take(&mut unsigned).then_some(NO_SIGNATURE);
                let sign = signature.as_deref().filter(|sign| is_sendable(sign)).or(no_signature);
                let id_sent = !to.terms.quirks.refuses("functionCall.id");
                let call = Call { id, name };
                write_call(json, &call, arguments, *kind, (id_sent, sign));
                calls.push(call);
            }
            _ => write_part(json, part, to),
        }
    }
    calls
}

/// Whether a call carries a signature: one for the whole turn is enough.
fn has_signed_call(turn: &Turn<'_, '_>) -> bool {
    turn.pieces.iter().any(|piece| match piece {
        Piece::Part(Part { body: PartBody::ToolCall { signature: Some(sign), .. }, .. }) => {
            is_sendable(sign)
        }
        _ => false,
    })
}

/// The signature of a thought that is nothing else: it belongs to the text before it.
fn hidden_signature<'p>(piece: &'p Piece<'_, '_>) -> Option<&'p str> {
    match piece {
        Piece::Part(Part { body: PartBody::Reasoning(thought), .. })
            if thought.text.is_empty() && !thought.redacted =>
        {
            thought.signature.as_deref().filter(|sign| is_sendable(sign))
        }
        _ => None,
    }
}

/// Signatures are bytes in base64; another family's may be anything.
fn is_sendable(signature: &str) -> bool {
    !signature.is_empty() && base64::is_base64(signature)
}

fn write_text(json: &mut JsonWriter<'_>, text: &str, is_thought: bool, sign: Option<&str>) {
    json.object().member_str("text", text);
    if is_thought {
        json.member_bool("thought", true);
    }
    if let Some(sign) = sign {
        json.member_str("thoughtSignature", sign);
    }
    json.end();
}

/// A thought that is only there in encrypted form is another family's: nothing of it can be said.
fn write_thought(json: &mut JsonWriter<'_>, thought: &ReasoningPart<'_>) {
    let sign = thought.signature.as_deref().filter(|sign| is_sendable(sign));
    if !thought.redacted && (sign.is_some() || !thought.text.is_empty()) {
        write_text(json, &thought.text, !thought.text.is_empty(), sign);
    }
}

fn write_call(
    json: &mut JsonWriter<'_>,
    call: &Call<'_>,
    arguments: &str,
    kind: ToolKind,
    (id_sent, sign): (bool, Option<&str>),
) {
    json.object().name("functionCall").object();
    if id_sent {
        json.member_str("id", &fit_id(call.id, &ID_RULE));
    }
    json.member_str("name", call.name).name("args");
    match arguments.trim() {
        "" => json.object().end(),
        _ if kind != ToolKind::Custom && is_object(arguments) => json.raw(arguments.as_bytes()),
        _ => json.object().member_str("input", arguments).end(),
    };
    json.end();
    if let Some(sign) = sign {
        json.member_str("thoughtSignature", sign);
    }
    json.end();
}

/// Whether a text is one well-formed JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && Scanner::new(&[]).finish(text.as_bytes()).is_ok()
}

fn write_result<'r, 'a>(
    json: &mut JsonWriter<'_>,
    call: &Call<'_>,
    result: Option<ToolResult<'r, 'a>>,
    beside: &mut Vec<&'r crate::chat::Media<'a>>,
    to: &mut Writing<'_>,
) {
    json.object().name("functionResponse").object();
    if !to.terms.quirks.refuses("functionCall.id") {
        json.member_str("id", &fit_id(call.id, &ID_RULE));
    }
    json.member_str("name", call.name).name("response");
    let Some(result) = result else {
        json.object().member_str("error", "no result was given").end().end().end();
        return;
    };
    write_response(json, &result);
    let media = result.content.iter().filter_map(|part| match &part.body {
        PartBody::Media(media) => Some(media),
        _ => None,
    });
    let mut media = media.peekable();
    if !to.is_third {
        beside.extend(media);
    } else if media.peek().is_some() {
        json.name("parts").array();
        media.for_each(|media| media::write(json, media, to));
        json.end();
    }
    let said = |part: &Part<'_>| matches!(part.body, PartBody::Text(_) | PartBody::Media(_));
    if !result.content.iter().all(said) {
        to.loss.add("tool_result.content");
    }
    json.end().end();
}

/// The object that a result is: a text that is one already, or else the text under a documented name.
fn write_response(json: &mut JsonWriter<'_>, result: &ToolResult<'_, '_>) {
    let text = joined(result.content);
    let is_object = is_object(&text);
    let has_error = || Json::new(text.as_bytes()).is_some_and(|json| json.get("error").is_some());
    if is_object && (!result.is_error || has_error()) {
        json.raw(text.trim().as_bytes());
        return;
    }
    json.object().name(if result.is_error { "error" } else { "result" });
    if is_object {
        json.raw(text.trim().as_bytes())
    } else {
        json.str(&text)
    };
    json.end();
}

fn joined<'p>(content: &'p [Part<'_>]) -> Cow<'p, str> {
    let mut texts = content.iter().filter_map(text_of);
    let Some(first) = texts.next() else { return Cow::Borrowed("") };
    texts.fold(Cow::Borrowed(first), |all, text| Cow::Owned(format!("{all}\n{text}")))
}

/// Writes what a user's turn says beside the results that have been written.
fn write_user(json: &mut JsonWriter<'_>, turn: &Turn<'_, '_>, to: &mut Writing<'_>) {
    for piece in &turn.pieces {
        match piece {
            Piece::Reminder(text) => write_text(json, text, false, None),
            Piece::Part(part) => write_part(json, part, to),
            Piece::Result(None) => {}
            Piece::Result(Some(result)) => {
                let of = if result.name.is_empty() { result.id } else { result.name };
                let text = format!("Result of {of}:\n{}", joined(result.content));
                write_text(json, &text, false, None);
            }
        }
    }
}

fn write_part(json: &mut JsonWriter<'_>, part: &Part<'_>, to: &mut Writing<'_>) {
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) if text.is_empty() => {}
        PartBody::Text(text) | PartBody::Refusal(text) => write_text(json, text, false, None),
        PartBody::Media(media) => media::write(json, media, to),
        PartBody::Other { kind, json: raw } if OWN_PARTS.contains(&&**kind) => {
            json.json(*raw);
        }
        PartBody::Other { kind, .. } => to.loss.add_named(kind),
        PartBody::Reasoning(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => {
            to.loss.add("messages");
        }
    }
}
