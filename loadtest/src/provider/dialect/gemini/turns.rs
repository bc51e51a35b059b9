//! Google's generateContent: the order of turns, their parts, and the signatures of thoughts.
//!
//! In: the contents. Out: nothing, or the first [`Refusal`].
//! Rules: <https://ai.google.dev/gemini-api/docs/function-calling>,
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>

use serde_json::{Map, Value};

use super::rules::{CONTENT, PART, at, refuse};
use super::{inside, list, member, thinks};
use crate::provider::dialect::{Dialect, seal, shape};
use crate::provider::refusal::{Reason, Refusal};
use crate::provider::text;

/// What a part may be; one of them, and no more.
const DATA: &[&str] = &[
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// Signatures by which a client that never had one tells the real API to look away.
const DUMMIES: &[&str] =
    &["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

/// What signatures on text are made over.
pub(super) const TEXT: &str = "text";

/// Judges the contents.
pub(super) fn check(model: &str, members: &Map<String, Value>) -> Result<(), Refusal> {
    let contents = member(members, "contents").map_or(&[][..], list);
    if contents.is_empty() {
        return Err(at(Reason::Empty, "contents", "contents is not specified"));
    }
    if let Some(system) = member(members, "systemInstruction") {
        parts(system, "system_instruction")?;
    }
    for (index, content) in contents.iter().enumerate() {
        let place = format!("contents[{index}]");
        if let Some(members) = content.as_object() {
            shape::check(Dialect::Gemini, &CONTENT, members)
                .map_err(|refusal| below(refusal, &place))?;
        }
        if !matches!(inside(content, "role").as_str(), None | Some("user" | "model" | "function")) {
            let message = "Please use a valid role: user, model.";
            return Err(refuse(Reason::Value, &format!("{place}.role"), message));
        }
        parts(content, &place)?;
    }
    order(contents)?;
    signatures(contents, thinks(model, members))
}

/// The same refusal for a value that lies below `place`.
fn below(refusal: Refusal, place: &str) -> Refusal {
    let param = refusal.param.clone().unwrap_or_default();
    let message = match refusal.message.split_once(": Cannot find field.") {
        Some((front, _)) if !front.contains(" at '") => {
            format!("{front} at '{place}': Cannot find field.")
        }
        _ => refusal.message.replace(" at '", &format!(" at '{place}.")),
    };
    Refusal { message, param: Some(format!("{place}.{param}")), ..refusal }
}

fn parts(content: &Value, place: &str) -> Result<(), Refusal> {
    let parts = list(inside(content, "parts"));
    if parts.is_empty() {
        let place = format!("{place}.parts");
        return Err(at(Reason::Empty, &place, "contents.parts must not be empty."));
    }
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}.parts[{index}]");
        let Some(members) = part.as_object() else {
            let message = format!("Invalid value at '{place}' (Part), {part}");
            return Err(refuse(Reason::Type, &place, message));
        };
        shape::check(Dialect::Gemini, &PART, members).map_err(|refusal| below(refusal, &place))?;
        one_of(part, &place)?;
    }
    Ok(())
}

fn one_of(part: &Value, place: &str) -> Result<(), Refusal> {
    let mut set = DATA.iter().filter(|name| !inside(part, name).is_null());
    let Some(first) = set.next() else {
        let words = "required oneof field 'data' must have one initialized field";
        return Err(at(Reason::Empty, &format!("{place}.data"), words));
    };
    if let Some(second) = set.next() {
        let message = format!(
            "Invalid value at '{place}' (oneof), oneof field 'data' is already set by '{first}'. \
             Cannot set '{second}'"
        );
        return Err(refuse(Reason::Conflict, place, message));
    }
    let data = inside(inside(part, "inlineData"), "data").as_str();
    let coded = |data: &str| data.replace('-', "+").replace('_', "/");
    if data.is_some_and(|data| text::unbase64(coded(data).as_bytes()).is_none()) {
        let place = format!("{place}.inline_data.data");
        let message = format!("Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed");
        return Err(refuse(Reason::Value, &place, message));
    }
    let response = inside(part, "functionResponse");
    if response.is_object() && inside(response, "name").as_str().unwrap_or("").is_empty() {
        let place = format!("{place}.function_response.name");
        return Err(at(Reason::Name, &place, "Name cannot be empty."));
    }
    Ok(())
}

fn count(content: &Value, name: &str) -> usize {
    let parts = list(inside(content, "parts"));
    parts.iter().filter(|part| !inside(part, name).is_null()).count()
}

/// Calls come after a user's turn, and as many responses directly after them.
fn order(contents: &[Value]) -> Result<(), Refusal> {
    let mut calls = 0;
    for (index, content) in contents.iter().enumerate() {
        let place = format!("contents[{index}]");
        let says = |reason, message: &str| Err(refuse(reason, &place, message));
        let is_model = inside(content, "role") == "model";
        let responses = count(content, "functionResponse");
        if responses > 0 && (calls == 0 || is_model) {
            return says(
                Reason::Pairing,
                "Please ensure that function response turn comes immediately after a function call \
                 turn.",
            );
        }
        if calls != responses {
            return says(
                Reason::Pairing,
                "Please ensure that the number of function response parts is equal to the number \
                 of function call parts of the function call turn.",
            );
        }
        calls = count(content, "functionCall");
        let follows_model = index == 0 || inside(&contents[index - 1], "role") == "model";
        if calls > 0 && (!is_model || follows_model) {
            return says(
                Reason::Order,
                "Please ensure that function call turn comes immediately after a user turn or \
                 after a function response turn.",
            );
        }
    }
    Ok(())
}

/// Signatures that come back must be whole. With thoughts, the first call of each step of the turn
/// that is not finished must have one.
fn signatures(contents: &[Value], thinks: bool) -> Result<(), Refusal> {
    let is_asked = |content: &Value| {
        inside(content, "role") != "model" && count(content, "functionResponse") == 0
    };
    let turn = contents.iter().rposition(is_asked).unwrap_or(0);
    for (index, content) in contents.iter().enumerate() {
        let mut is_first = true;
        for (place, part) in list(inside(content, "parts")).iter().enumerate() {
            let call = inside(part, "functionCall");
            let name = inside(call, "name").as_str().unwrap_or("");
            let at = format!("contents[{index}].parts[{place}]");
            let signature = inside(part, "thoughtSignature").as_str();
            let bound = if call.is_object() { name } else { TEXT };
            let is_good = |signature: &str| {
                let coded = signature.replace('-', "+").replace('_', "/");
                DUMMIES.contains(&signature) || seal::is_ours(&coded, bound)
            };
            if signature.is_some_and(|signature| !is_good(signature)) {
                return Err(refuse(Reason::Signature, &at, "Corrupted thought signature."));
            }
            if !call.is_object() {
                continue;
            }
            if thinks && is_first && index > turn && signature.is_none() {
                let message = format!(
                    "Function call is missing a thought_signature in functionCall parts. This is \
                     required for tools to work correctly, and missing thought_signature may lead \
                     to degraded model performance. Additional data, function call \
                     `default_api:{name}` , position {}. Please refer to \
                     https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                    index + 1
                );
                return Err(refuse(Reason::Signature, &at, message));
            }
            is_first = false;
        }
    }
    Ok(())
}
