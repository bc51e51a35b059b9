//! OpenAI's chat: calls of tools, their results, and the parts of messages.
//!
//! In: the messages, whose roles are known to be good. Out: nothing, or the first [`Refusal`].
//! Members that nobody knows are let through here: the servers that copy this dialect have their
//! own.

use serde_json::Value;

use super::super::responses::{length, name};
use crate::provider::dialect::Dialect;
use crate::provider::refusal::{Reason, Refusal};

/// Judges the messages one by one, then in their order.
pub(super) fn check(messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let role = message["role"].as_str().unwrap_or("");
        parts(message, role, &at)?;
        match role {
            "assistant" => assistant(message, &at)?,
            "tool" => match message["tool_call_id"].as_str() {
                Some(id) => length(Dialect::OpenAi, &format!("{at}.tool_call_id"), id)?,
                None => return Err(missing(&format!("{at}.tool_call_id"))),
            },
            _ => {}
        }
    }
    order(messages)
}

pub(super) fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::OpenAi.refuse(reason, at, message)
}

pub(super) fn missing(at: &str) -> Refusal {
    refuse(Reason::Missing, at, format!("Missing required parameter: '{at}'."))
}

fn list<'a>(message: &'a Value, name: &str) -> &'a [Value] {
    message[name].as_array().map_or(&[][..], Vec::as_slice)
}

fn parts(message: &Value, role: &str, at: &str) -> Result<(), Refusal> {
    let known: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    if message["content"].as_array().is_some_and(Vec::is_empty) {
        let at = format!("{at}.content");
        let message = format!(
            "Invalid '{at}': empty array. Expected an array with minimum length 1, but got an \
             empty array instead."
        );
        return Err(refuse(Reason::Empty, &at, message));
    }
    for (index, part) in list(message, "content").iter().enumerate() {
        let at = format!("{at}.content[{index}]");
        let Some(kind) = part["type"].as_str() else { return Err(missing(&format!("{at}.type"))) };
        if !known.contains(&kind) {
            let message =
                format!("Invalid value: '{kind}'. Supported values are: '{}'.", known.join("', '"));
            return Err(refuse(Reason::Value, &format!("{at}.type"), message));
        }
        if kind == "text" && !part["text"].is_string() {
            return Err(missing(&format!("{at}.text")));
        }
        if kind == "image_url" {
            image(part, &at)?;
        }
    }
    Ok(())
}

fn image(part: &Value, at: &str) -> Result<(), Refusal> {
    let at = format!("{at}.image_url");
    let Some(url) = part["image_url"]["url"].as_str() else {
        let message =
            format!("Invalid type for '{at}': expected an object, but got something else instead.");
        return Err(refuse(Reason::Type, &at, message));
    };
    if ["http:", "https:", "data:image/"].iter().any(|start| url.starts_with(start)) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{at}.url'. Expected a valid URL, but got a value with an invalid format."
    );
    Err(refuse(Reason::Value, &format!("{at}.url"), message))
}

fn assistant(message: &Value, at: &str) -> Result<(), Refusal> {
    let calls = format!("{at}.tool_calls");
    match &message["tool_calls"] {
        Value::Null => {
            let others = ["content", "refusal", "function_call", "audio"];
            if others.iter().all(|name| message[name].is_null()) {
                let message = "Invalid value for 'content': expected a string, got null.";
                return Err(refuse(Reason::Empty, &format!("{at}.content"), message));
            }
        }
        Value::Array(list) if list.is_empty() => {
            let message = format!(
                "Invalid '{calls}': empty array. Expected an array with minimum length 1, but got \
                 an empty array instead."
            );
            return Err(refuse(Reason::Empty, &calls, message));
        }
        Value::Array(_) => {}
        _ => {
            let message = format!("Invalid type for '{calls}': expected an array of objects.");
            return Err(refuse(Reason::Type, &calls, message));
        }
    }
    for (index, call) in list(message, "tool_calls").iter().enumerate() {
        let at = format!("{calls}[{index}]");
        let Some(id) = call["id"].as_str() else { return Err(missing(&format!("{at}.id"))) };
        length(Dialect::OpenAi, &format!("{at}.id"), id)?;
        match call["type"].as_str() {
            None => return Err(missing(&format!("{at}.type"))),
            Some("custom") => continue,
            Some("function") => {}
            Some(other) => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'function' and 'custom'."
                );
                return Err(refuse(Reason::Value, &format!("{at}.type"), message));
            }
        }
        let at = format!("{at}.function");
        name(
            Dialect::OpenAi,
            &format!("{at}.name"),
            call["function"]["name"].as_str().unwrap_or(""),
        )?;
        if !call["function"]["arguments"].is_string() {
            let at = format!("{at}.arguments");
            let message = format!("Invalid type for '{at}': expected a string.");
            return Err(refuse(Reason::Type, &at, message));
        }
    }
    Ok(())
}

/// Every call is answered directly after it, and nothing else is.
fn order(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut called: Vec<&str> = Vec::new();
    let mut at = String::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] != "tool" {
            unanswered(&open, &at)?;
            let calls = list(message, "tool_calls").iter();
            open = calls.filter_map(|call| call["id"].as_str()).collect();
            called.clone_from(&open);
            at = format!("messages[{index}]");
            continue;
        }
        let id = message["tool_call_id"].as_str().unwrap_or("");
        if called.is_empty() {
            let message = "Invalid parameter: messages with role 'tool' must be a response to a \
                           preceeding message with 'tool_calls'.";
            return Err(refuse(Reason::Pairing, &format!("messages.[{index}].role"), message));
        }
        if !called.contains(&id) {
            let at = format!("messages.[{index}].tool_call_id");
            let message = format!(
                "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous \
                 message."
            );
            return Err(refuse(Reason::Pairing, &at, message));
        }
        open.retain(|other| *other != id);
    }
    unanswered(&open, &at)
}

fn unanswered(open: &[&str], at: &str) -> Result<(), Refusal> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(refuse(Reason::Pairing, &format!("{at}.role"), message))
}
