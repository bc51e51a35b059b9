//! OpenAI's responses: the items of the input, calls and their outputs, sealed thoughts.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`].
//! Format: <https://platform.openai.com/docs/api-reference/responses/create#responses-create-input>

use serde_json::{Map, Value};

use super::rules::{below, length, name, refuse};
use crate::provider::dialect::shape::{self, Kind, Shape, Tags, may, must};
use crate::provider::dialect::{Dialect, seal};
use crate::provider::refusal::{Reason, Refusal};

/// What sealed thoughts are made over.
pub(super) const SEALED: &str = "encrypted";

/// How the ids of calls begin that were made in thought.
pub(super) const THOUGHT_OUT: &str = "fc_5eed";

const STATUS: Kind = Kind::Word(&["in_progress", "completed", "incomplete"]);

static ITEMS: Tags = Tags {
    member: "type",
    default: Some("message"),
    shapes: &[
        ("message", &MESSAGE),
        ("function_call", &CALL),
        ("function_call_output", &OUTPUT),
        ("reasoning", &REASONING),
        ("item_reference", &REFERENCE),
        ("custom_tool_call", &CUSTOM),
        ("custom_tool_call_output", &OUTPUT),
    ],
};
static MESSAGE: Shape = Shape(&[
    must("role", Kind::Word(&["user", "assistant", "system", "developer"])),
    must("content", Kind::TextOr(&Kind::List(&Kind::Map))),
    may("id", Kind::Text),
    may("status", STATUS),
    may("phase", Kind::Word(&["commentary", "final_answer"])),
]);
static CALL: Shape = Shape(&[
    must("call_id", Kind::Text),
    must("name", Kind::Text),
    must("arguments", Kind::Text),
    may("id", Kind::Text),
    may("status", STATUS),
    may("namespace", Kind::Text),
    may("caller", Kind::Any),
]);
static CUSTOM: Shape = Shape(&[
    must("call_id", Kind::Text),
    must("name", Kind::Text),
    must("input", Kind::Text),
    may("id", Kind::Text),
    may("status", STATUS),
    may("namespace", Kind::Text),
]);
static OUTPUT: Shape = Shape(&[
    must("call_id", Kind::Text),
    must("output", Kind::TextOr(&Kind::List(&Kind::Tagged(&INPUT_PARTS)))),
    may("id", Kind::Text),
    may("status", STATUS),
    may("caller", Kind::Any),
]);
static REASONING: Shape = Shape(&[
    must("summary", Kind::List(&Kind::Map)),
    may("id", Kind::Text),
    may("content", Kind::List(&Kind::Map)),
    may("encrypted_content", Kind::Text),
    may("status", STATUS),
]);
static REFERENCE: Shape = Shape(&[must("id", Kind::Text)]);

static INPUT_PARTS: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[
        ("input_text", &TEXT),
        ("input_image", &IMAGE),
        ("input_file", &FILE),
        ("input_audio", &AUDIO),
    ],
};
static OUTPUT_PARTS: Tags = Tags {
    member: "type",
    default: None,
    shapes: &[("output_text", &OUTPUT_TEXT), ("refusal", &REFUSAL)],
};
static TEXT: Shape = Shape(&[must("text", Kind::Text), may("prompt_cache_breakpoint", Kind::Map)]);
static IMAGE: Shape = Shape(&[
    may("image_url", Kind::Text),
    may("file_id", Kind::Text),
    may("detail", Kind::Word(&["low", "high", "auto", "original"])),
    may("prompt_cache_breakpoint", Kind::Map),
]);
static FILE: Shape = Shape(&[
    may("file_data", Kind::Text),
    may("file_id", Kind::Text),
    may("file_url", Kind::Text),
    may("filename", Kind::Text),
    may("detail", Kind::Text),
    may("prompt_cache_breakpoint", Kind::Map),
]);
static AUDIO: Shape = Shape(&[must("input_audio", Kind::Map)]);
static OUTPUT_TEXT: Shape = Shape(&[
    must("text", Kind::Text),
    may("annotations", Kind::List(&Kind::Any)),
    may("logprobs", Kind::Any),
]);
static REFUSAL: Shape = Shape(&[must("refusal", Kind::Text)]);

static INPUT: Shape = Shape(&[may("input", Kind::TextOr(&Kind::List(&Kind::Tagged(&ITEMS))))]);
static FROM_OTHERS: Shape =
    Shape(&[may("content", Kind::TextOr(&Kind::List(&Kind::Tagged(&INPUT_PARTS))))]);
static FROM_MODEL: Shape =
    Shape(&[may("content", Kind::TextOr(&Kind::List(&Kind::Tagged(&OUTPUT_PARTS))))]);

/// Judges the items of the input.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(input) = members.get("input") else { return Ok(()) };
    let alone: Map<_, _> = [("input".to_owned(), input.clone())].into_iter().collect();
    shape::check(Dialect::Responses, &INPUT, &alone)?;
    let items = input.as_array().map_or(&[][..], Vec::as_slice);
    for (index, item) in items.iter().enumerate() {
        let place = format!("input[{index}]");
        match item["type"].as_str().unwrap_or("message") {
            "message" => message(item, &place)?,
            "function_call" => {
                length(Dialect::Responses, &format!("{place}.call_id"), text(item, "call_id"))?;
                name(Dialect::Responses, &format!("{place}.name"), text(item, "name"))?;
                prefix(item, &place, "fc")?;
            }
            "function_call_output" => {
                length(Dialect::Responses, &format!("{place}.call_id"), text(item, "call_id"))?;
            }
            "reasoning" => {
                prefix(item, &place, "rs")?;
                thought(members, items, index, &place)?;
            }
            "item_reference" => {
                let message = format!("Item with id '{}' not found.", text(item, "id"));
                return Err(refuse(Reason::ItemUnknown, &place, message));
            }
            _ => {}
        }
    }
    pairs(items)?;
    unthought(items)
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or("")
}

fn message(item: &Value, place: &str) -> Result<(), Refusal> {
    let shape = if item["role"] == "assistant" { &FROM_MODEL } else { &FROM_OTHERS };
    let content: Map<_, _> =
        [("content".to_owned(), item["content"].clone())].into_iter().collect();
    shape::check(Dialect::Responses, shape, &content).map_err(|refusal| below(refusal, place))?;
    for (index, part) in item["content"].as_array().into_iter().flatten().enumerate() {
        if part["type"] == "input_image"
            && !part["image_url"].is_string()
            && !part["file_id"].is_string()
        {
            let at = format!("{place}.content[{index}]");
            let message = format!(
                "Missing mutually exclusive parameters: '{at}'. Ensure you are providing exactly one of: 'image_url' or 'file_id'."
            );
            return Err(refuse(Reason::Missing, &at, message));
        }
        let url = part["image_url"].as_str().unwrap_or("http:");
        if !["http:", "https:", "data:image/"].iter().any(|start| url.starts_with(start)) {
            let at = format!("{place}.content[{index}].image_url");
            let message = format!(
                "Invalid '{at}'. Expected a valid URL, but got a value with an invalid format."
            );
            return Err(refuse(Reason::Value, &at, message));
        }
    }
    prefix(item, place, "msg")
}

/// Ids of items tell what the items are.
fn prefix(item: &Value, place: &str, prefix: &str) -> Result<(), Refusal> {
    let Some(id) = item["id"].as_str() else { return Ok(()) };
    length(Dialect::Responses, &format!("{place}.id"), id)?;
    if id.starts_with(prefix) {
        return Ok(());
    }
    let at = format!("{place}.id");
    let message = format!("Invalid '{at}': '{id}'. Expected an ID that begins with '{prefix}'.");
    Err(refuse(Reason::Id, &at, message))
}

/// A thought that comes back is whole, and something follows it.
fn thought(
    members: &Map<String, Value>,
    items: &[Value],
    index: usize,
    place: &str,
) -> Result<(), Refusal> {
    let item = &items[index];
    let id = text(item, "id");
    match item["encrypted_content"].as_str() {
        Some(sealed) if !seal::is_ours(sealed, SEALED) => {
            let message = format!(
                "The encrypted content {}... could not be verified. Reason: Encrypted content \
                 could not be decrypted or parsed.",
                sealed.chars().take(4).collect::<String>()
            );
            return Err(refuse(Reason::Signature, place, message));
        }
        None if members.get("store") == Some(&Value::Bool(false)) => {
            let message = format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to \
                 false. Try again with `store` set to true, or remove this item from your input."
            );
            return Err(refuse(Reason::ItemUnknown, place, message));
        }
        Some(_) | None => {}
    }
    let next = items.get(index + 1).unwrap_or(&Value::Null);
    let follows = match next["type"].as_str() {
        Some("function_call" | "reasoning" | "custom_tool_call") => true,
        _ => next["role"] == "assistant",
    };
    if follows {
        return Ok(());
    }
    let message = format!(
        "Item '{id}' of type 'reasoning' was provided without its required following item."
    );
    Err(refuse(Reason::Order, place, message))
}

fn pairs(items: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut known: Vec<&str> = Vec::new();
    for item in items {
        let id = text(item, "call_id");
        match item["type"].as_str() {
            Some("function_call" | "custom_tool_call") => {
                open.push(id);
                known.push(id);
            }
            Some("function_call_output" | "custom_tool_call_output") if known.contains(&id) => {
                open.retain(|other| *other != id);
            }
            Some("function_call_output" | "custom_tool_call_output") => {
                let message =
                    format!("No tool call found for function call output with call_id {id}.");
                return Err(refuse(Reason::Pairing, "input", message));
            }
            _ => {}
        }
    }
    match open.first() {
        Some(id) => {
            let message = format!("No tool output found for function call {id}.");
            Err(refuse(Reason::Pairing, "input", message))
        }
        None => Ok(()),
    }
}

/// A call that was made in thought and comes back under its id needs that thought before it.
fn unthought(items: &[Value]) -> Result<(), Refusal> {
    let mut thoughts: Vec<&str> = Vec::new();
    for item in items {
        let id = text(item, "id");
        match item["type"].as_str() {
            Some("reasoning") => thoughts.push(id.trim_start_matches("rs_")),
            Some("function_call") if id.starts_with(THOUGHT_OUT) => {
                let thought = id.get(THOUGHT_OUT.len()..THOUGHT_OUT.len() + 16).unwrap_or("");
                if !thoughts.contains(&thought) {
                    let message = format!(
                        "Item '{id}' of type 'function_call' was provided without its required \
                         'reasoning' item: 'rs_{thought}'."
                    );
                    return Err(refuse(Reason::Signature, "input", message));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
