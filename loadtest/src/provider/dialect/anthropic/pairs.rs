//! Anthropic's messages: calls of tools and their results.
//!
//! In: the messages. Out: nothing, or the first [`Refusal`]. Results come first in the very next
//! message, one for each call and none for another.

use serde_json::Value;

use crate::provider::dialect::{Dialect, is_name};
use crate::provider::refusal::{Reason, Refusal};

/// Judges ids, and whether calls and results go together.
pub(super) fn check(messages: &[Value]) -> Result<(), Refusal> {
    let mut seen = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let results = results(index, message, &open)?;
        if let Some(missing) = open.iter().find(|id| !results.contains(id)) {
            let place = index - 1;
            return Err(unanswered(place, missing));
        }
        open = uses(index, message, &mut seen)?;
    }
    match open.first() {
        // A conversation may not end with open calls either.
        Some(missing) => Err(unanswered(messages.len() - 1, missing)),
        None => Ok(()),
    }
}

fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Anthropic.refuse(reason, at, message)
}

fn blocks(message: &Value) -> &[Value] {
    message["content"].as_array().map_or(&[][..], Vec::as_slice)
}

fn unanswered(place: usize, id: &str) -> Refusal {
    let message = format!(
        "messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message."
    );
    refuse(Reason::Pairing, &format!("messages.{place}"), message)
}

/// The ids of the results at the front of a message; results elsewhere answer nothing.
fn results<'a>(index: usize, message: &'a Value, open: &[&str]) -> Result<Vec<&'a str>, Refusal> {
    let mut found = Vec::new();
    let mut at_front = true;
    for (place, block) in blocks(message).iter().enumerate() {
        let is_result = block["type"] == "tool_result";
        at_front &= is_result;
        let at = format!("messages.{index}.content.{place}");
        if block["type"] == "tool_use" && message["role"] != "assistant" {
            let message =
                format!("messages.{index}: `tool_use` blocks can only be in `assistant` messages");
            return Err(refuse(Reason::Order, &at, message));
        }
        if !is_result {
            continue;
        }
        if message["role"] != "user" {
            let message =
                format!("messages.{index}: `tool_result` blocks can only be in `user` messages");
            return Err(refuse(Reason::Order, &at, message));
        }
        let id = block["tool_use_id"].as_str().unwrap_or("");
        pattern(&format!("{at}.tool_result.tool_use_id"), id)?;
        if !open.contains(&id) {
            let message = format!(
                "{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous \
                 message."
            );
            return Err(refuse(Reason::Pairing, &at, message));
        }
        if found.contains(&id) {
            let message = format!(
                "{at}: each tool_use must have a single result. Found multiple `tool_result` \
                 blocks with id: {id}"
            );
            return Err(refuse(Reason::Pairing, &at, message));
        }
        if at_front {
            found.push(id);
        }
    }
    Ok(found)
}

fn uses<'a>(
    index: usize,
    message: &'a Value,
    seen: &mut Vec<&'a str>,
) -> Result<Vec<&'a str>, Refusal> {
    let mut open = Vec::new();
    for (place, block) in blocks(message).iter().enumerate() {
        if block["type"] != "tool_use" {
            continue;
        }
        let (id, name) = (block["id"].as_str().unwrap_or(""), block["name"].as_str().unwrap_or(""));
        let at = format!("messages.{index}.content.{place}.tool_use");
        pattern(&format!("{at}.id"), id)?;
        if !is_name(name, "_-", 200) {
            let message =
                format!("{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,200}}$'");
            return Err(refuse(Reason::Name, &format!("{at}.name"), message));
        }
        if seen.contains(&id) {
            let message = "messages: `tool_use` ids must be unique";
            return Err(refuse(Reason::Id, &format!("{at}.id"), message));
        }
        seen.push(id);
        open.push(id);
    }
    Ok(open)
}

fn pattern(at: &str, id: &str) -> Result<(), Refusal> {
    if is_name(id, "_-", usize::MAX) {
        return Ok(());
    }
    let message = format!("{at}: String should match pattern '^[a-zA-Z0-9_-]+$'");
    Err(refuse(Reason::Id, at, message))
}
