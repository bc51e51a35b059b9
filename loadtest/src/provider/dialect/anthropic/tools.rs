//! Anthropic's messages: the tools on offer.
//!
//! In: the members of a body. Out: the tools, or the [`Refusal`]. Tools of the server are known by
//! the date in their type and taken as they are.

use serde_json::{Map, Value};

use crate::provider::dialect::plan::Tool;
use crate::provider::dialect::{Dialect, is_name};
use crate::provider::refusal::{Reason, Refusal};

const MEMBERS: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "allowed_callers",
    "input_examples",
    "eager_input_streaming",
];

/// The tools whose calls a client answers.
pub(super) fn read(members: &Map<String, Value>) -> Vec<Tool> {
    let tools = members.get("tools").and_then(Value::as_array);
    tools.into_iter().flatten().filter_map(|tool| Tool::of(tool, "input_schema")).collect()
}

/// Judges tools and the choice among them.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    let tools = members.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        match tool["type"].as_str() {
            None | Some("custom") => custom(index, tool)?,
            Some(kind) if is_dated(kind) => {}
            Some(kind) => {
                let at = format!("tools.{index}");
                let message = format!(
                    "{at}: Input tag '{kind}' found using 'type' does not match any of the \
                     expected tags: 'bash_20250124', 'custom', 'text_editor_20250728', \
                     'web_search_20250305'"
                );
                return Err(refuse(Reason::Value, &at, message));
            }
        }
        let name = tool["name"].as_str().unwrap_or("");
        if names.contains(&name) {
            return Err(refuse(Reason::Name, "tools", "tools: Tool names must be unique."));
        }
        names.push(name);
    }
    choice(members, &names)
}

fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Anthropic.refuse(reason, at, message)
}

/// Whether a type ends in a date, as `web_search_20250305` does.
fn is_dated(kind: &str) -> bool {
    kind.rsplit_once('_').is_some_and(|(_, date)| {
        date.len() == 8 && date.bytes().all(|letter| letter.is_ascii_digit())
    }) || kind.starts_with("mcp_toolset")
}

fn custom(index: usize, tool: &Value) -> Result<(), Refusal> {
    let at = |member: &str| format!("tools.{index}.custom.{member}");
    let says = |reason: Reason, member: &str, words: &str| {
        Err(refuse(reason, &at(member), format!("{}: {words}", at(member))))
    };
    for name in tool.as_object().into_iter().flat_map(Map::keys) {
        if !MEMBERS.contains(&name.as_str()) {
            return says(Reason::MemberUnknown, name, "Extra inputs are not permitted");
        }
    }
    let Some(name) = tool["name"].as_str() else {
        return says(Reason::Missing, "name", "Field required");
    };
    if !is_name(name, "_-", 128) {
        let words = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'";
        return says(Reason::Name, "name", words);
    }
    if !matches!(tool["description"], Value::Null | Value::String(_)) {
        return says(Reason::Type, "description", "Input should be a valid string");
    }
    let Some(schema) = tool["input_schema"].as_object() else {
        return says(Reason::Missing, "input_schema", "Field required");
    };
    match schema.get("type") {
        None => return says(Reason::Schema, "input_schema.type", "Field required"),
        Some(kind) if kind != "object" => {
            return says(Reason::Schema, "input_schema.type", "Input should be 'object'");
        }
        Some(_) => {}
    }
    if ["oneOf", "allOf", "anyOf"].iter().any(|name| schema.contains_key(*name)) {
        let words = "input_schema does not support oneOf, allOf, or anyOf at the top level";
        return says(Reason::Schema, "input_schema", words);
    }
    Ok(())
}

fn choice(members: &Map<String, Value>, names: &[&str]) -> Result<(), Refusal> {
    let Some(choice) = members.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    if names.is_empty() {
        let message = "tool_choice: tool_choice may only be specified while providing tools.";
        return Err(refuse(Reason::Conflict, "tool_choice", message));
    }
    let name = choice["name"].as_str().unwrap_or("");
    if choice["type"] == "tool" && !names.contains(&name) {
        let message = format!("Tool '{name}' not found in provided tools");
        return Err(refuse(Reason::Value, "tool_choice.tool.name", message));
    }
    Ok(())
}
