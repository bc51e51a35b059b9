//! Bedrock's Converse: the order of messages, calls and their results, signatures of thoughts.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`].
//! Rules: <https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html>

use serde_json::{Map, Value};

use super::rules::{pattern, refuse};
use super::{blocks, messages, thinking};
use crate::provider::dialect::seal;
use crate::provider::refusal::{Reason, Refusal};

/// What a redacted thought is signed over.
pub(super) const REDACTED: &str = "redacted";

/// Judges the messages.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    let messages = messages(members);
    roles(messages)?;
    texts(messages)?;
    pairs(messages)?;
    let has_tools = |message: &Value| {
        let is_tool =
            |block: &Value| block["toolUse"].is_object() || block["toolResult"].is_object();
        blocks(&message["content"]).iter().any(is_tool)
    };
    if messages.iter().any(has_tools) && !members.contains_key("toolConfig") {
        let message = "The toolConfig field must be defined when using toolUse and toolResult \
                       content blocks.";
        return Err(refuse(Reason::Pairing, "toolConfig", message));
    }
    signatures(messages)?;
    thoughts(members, messages)
}

fn roles(messages: &[Value]) -> Result<(), Refusal> {
    let says = |message: &str| Err(refuse(Reason::Order, "messages", message));
    if messages.first().is_none_or(|first| first["role"] != "user") {
        return says(
            "A conversation must start with a user message. Try again with a conversation that \
             starts with a user message.",
        );
    }
    if messages.windows(2).any(|two| two[0]["role"] == two[1]["role"]) {
        return says(
            "A conversation must alternate between user and assistant roles. Make sure the \
             conversation alternates between user and assistant roles and try again.",
        );
    }
    Ok(())
}

fn texts(messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        let content = blocks(&message["content"]);
        if content.is_empty() {
            let message = format!(
                "The content field in the Message object at messages.{index} is empty. Add a \
                 ContentBlock object to the content field and try again."
            );
            return Err(refuse(Reason::Empty, &format!("messages.{index}.content"), message));
        }
        let blank =
            |block: &Value| block["text"].as_str().is_some_and(|text| text.trim().is_empty());
        if let Some(place) = content.iter().position(blank) {
            let at = format!("messages.{index}.content.{place}");
            let message = format!(
                "The text field in the ContentBlock object at {at} is blank. Add text to the text \
                 field, and try again."
            );
            return Err(refuse(Reason::Empty, &at, message));
        }
        let has = |name: &str| content.iter().any(|block| !block[name].is_null());
        if has("document") && !has("text") {
            let message = "Add a text block to the content field of the message with a document \
                           and try again.";
            return Err(refuse(Reason::Empty, &format!("messages.{index}.content"), message));
        }
    }
    Ok(())
}

fn ids<'a>(message: &'a Value, name: &str) -> Vec<&'a str> {
    let blocks = blocks(&message["content"]).iter();
    blocks.filter_map(|block| block[name]["toolUseId"].as_str()).collect()
}

fn pairs(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.{index}.content");
        let (uses, results) = (ids(message, "toolUse"), ids(message, "toolResult"));
        for id in uses.iter().chain(&results) {
            pattern(Reason::Id, &format!("messages.{}.member.content.toolUseId", index + 1), id)?;
        }
        for block in blocks(&message["content"]) {
            if let Some(name) = block["toolUse"]["name"].as_str() {
                pattern(Reason::Name, &format!("{at}.toolUse.name"), name)?;
                if !block["toolUse"]["input"].is_object() {
                    let message = format!(
                        "The format of the value at {at}.toolUse.input is invalid. Provide a json object for the field and try again."
                    );
                    return Err(refuse(Reason::Type, &at, message));
                }
            }
        }
        let wrong = if message["role"] == "user" { &uses } else { &results };
        if !wrong.is_empty() {
            let message = format!("{at} has tool blocks that its role may not have.");
            return Err(refuse(Reason::Order, &at, message));
        }
        if results.len() > open.len() {
            let message = format!(
                "The number of toolResult blocks at {at} exceeds the number of toolUse blocks of \
                 previous turn."
            );
            return Err(refuse(Reason::Pairing, &at, message));
        }
        let all: Vec<&str> = [uses.as_slice(), results.as_slice()].concat();
        if let Some(id) = all.iter().enumerate().find(|(at, id)| all[..*at].contains(id)) {
            let message = format!("{at} contains duplicate Ids: {}", id.1);
            return Err(refuse(Reason::Id, &at, message));
        }
        missing(&at, &open, &results)?;
        open = uses;
    }
    missing(&format!("messages.{}.content", messages.len()), &open, &[])
}

fn missing(at: &str, open: &[&str], results: &[&str]) -> Result<(), Refusal> {
    let missing: Vec<&str> = open.iter().copied().filter(|id| !results.contains(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let ids = missing.join(", ");
    let message = format!("Expected toolResult blocks at {at} for the following Ids: {ids}");
    Err(refuse(Reason::Pairing, at, message))
}

const ERRORS: &str = "The model returned the following errors: ";

fn signatures(messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        for (place, block) in blocks(&message["content"]).iter().enumerate() {
            let thought = &block["reasoningContent"]["reasoningText"];
            let text = |name: &str| thought[name].as_str().unwrap_or("");
            let redacted = block["reasoningContent"]["redactedContent"].as_str();
            let at = format!("messages.{index}.content.{place}");
            let what = match (thought.is_object(), redacted) {
                (true, _) if thought["signature"].is_null() => "thinking.signature: Field required",
                (true, _) if !seal::is_ours(text("signature"), text("text")) => {
                    "Invalid `signature` in `thinking` block"
                }
                (false, Some(data)) if !seal::is_ours(data, REDACTED) => {
                    "Invalid `data` in `redacted_thinking` block"
                }
                _ => continue,
            };
            let dot = if what.starts_with("thinking.") { "." } else { ": " };
            let message = format!("{ERRORS}{at}{dot}{what}");
            return Err(refuse(Reason::Signature, &at, message));
        }
    }
    Ok(())
}

fn thoughts(members: &Map<String, Value>, messages: &[Value]) -> Result<(), Refusal> {
    let thinking = thinking(members);
    if thinking["type"] != "enabled" {
        return Ok(());
    }
    let says = |reason, at: &str, what: &str| Err(refuse(reason, at, format!("{ERRORS}{what}")));
    let config = members.get("inferenceConfig").unwrap_or(&Value::Null);
    let (budget, most) = (thinking["budget_tokens"].as_u64(), config["maxTokens"].as_u64());
    let place = "additionalModelRequestFields.thinking";
    match budget {
        None => {
            return says(Reason::Missing, place, "thinking.enabled.budget_tokens: Field required");
        }
        Some(..1024) => {
            let what =
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
            return says(Reason::Value, place, what);
        }
        Some(budget) if most.is_some_and(|most| most <= budget) => {
            let what = "`max_tokens` must be greater than `thinking.budget_tokens`.";
            return says(Reason::Conflict, "inferenceConfig.maxTokens", what);
        }
        Some(_) => {}
    }
    if config["temperature"].as_f64().is_some_and(|value| value < 1.0) {
        let what = "`temperature` may only be set to 1 when thinking is enabled.";
        return says(Reason::Conflict, "inferenceConfig.temperature", what);
    }
    let choice = members.get("toolConfig").map_or(&Value::Null, |config| &config["toolChoice"]);
    if choice["any"].is_object() || choice["tool"].is_object() {
        let what = "Thinking may not be enabled when tool_choice forces tool use.";
        return says(Reason::Conflict, "toolConfig.toolChoice", what);
    }
    let Some([turn, results]) = messages.last_chunk::<2>() else { return Ok(()) };
    let is_thought = turn["content"][0]["reasoningContent"].is_object();
    if ids(results, "toolResult").is_empty() || is_thought {
        return Ok(());
    }
    let at = format!("messages.{}.content.0.type", messages.len() - 2);
    let what = format!(
        "{at}: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is \
         enabled, a final `assistant` message must start with a thinking block."
    );
    says(Reason::Signature, &at, &what)
}
