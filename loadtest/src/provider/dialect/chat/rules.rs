//! OpenAI's chat: tools, the choice among them, and the format of the answer.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`] in the real API's words.
//! Format: <https://platform.openai.com/docs/api-reference/chat/create>

use serde_json::Value;

use super::super::responses::{name, parameters};
use super::turns::{missing, refuse};
use crate::provider::ask::Members;
use crate::provider::dialect::Dialect;
use crate::provider::refusal::{Reason, Refusal};

/// Tools in one request.
const TOOLS_MAX: usize = 128;

const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Judges what is not a message.
pub(super) fn check(members: &Members, messages: &[Value]) -> Result<(), Refusal> {
    let names = tools(members)?;
    choice(members, names.as_deref())?;
    format(members, messages)?;
    let effort = members.get("reasoning_effort").and_then(Value::as_str);
    if let Some(effort) = effort.filter(|effort| !EFFORTS.contains(effort)) {
        let message =
            format!("Invalid value: '{effort}'. Supported values are: '{}'.", EFFORTS.join("', '"));
        return Err(refuse(Reason::Value, "reasoning_effort", message));
    }
    Ok(())
}

/// The names of the functions, if there are tools.
fn tools(members: &Members) -> Result<Option<Vec<&str>>, Refusal> {
    let Some(value) = members.get("tools") else { return Ok(None) };
    let Some(tools) = value.as_array() else {
        let message = "Invalid type for 'tools': expected an array of objects.";
        return Err(refuse(Reason::Type, "tools", message));
    };
    if tools.is_empty() || tools.len() > TOOLS_MAX {
        let message = match tools.len() {
            0 => "Invalid 'tools': empty array. Expected an array with minimum length 1, but got \
                  an empty array instead."
                .to_owned(),
            count => format!(
                "Invalid 'tools': array too long. Expected an array with maximum length 128, but \
                 got an array with length {count} instead."
            ),
        };
        return Err(refuse(Reason::Value, "tools", message));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let at = |member: &str| format!("tools[{index}].{member}");
        match tool["type"].as_str() {
            None => return Err(missing(&at("type"))),
            Some("custom") => continue,
            Some("function") => {}
            Some(other) => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'function' and 'custom'."
                );
                return Err(refuse(Reason::Value, &at("type"), message));
            }
        }
        let function = &tool["function"];
        if !function.is_object() {
            return Err(missing(&at("function")));
        }
        let Some(called) = function["name"].as_str() else {
            return Err(missing(&at("function.name")));
        };
        name(Dialect::OpenAi, &at("function.name"), called)?;
        let strict = function["strict"].as_bool().unwrap_or(false);
        let place = at("function.parameters");
        parameters(Dialect::OpenAi, &place, called, &function["parameters"], strict)?;
        names.push(called);
    }
    Ok(Some(names))
}

fn choice(members: &Members, names: Option<&[&str]>) -> Result<(), Refusal> {
    for name in ["tool_choice", "parallel_tool_calls"] {
        if members.get(name).is_some_and(|value| value != "none") && names.is_none() {
            let message = format!(
                "Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            );
            return Err(refuse(Reason::Conflict, name, message));
        }
    }
    let choice = members.get("tool_choice").unwrap_or(&Value::Null);
    if let Some(word) = choice.as_str().filter(|word| !["none", "auto", "required"].contains(word))
    {
        let message = format!(
            "Invalid value: '{word}'. Supported values are: 'none', 'auto', and 'required'."
        );
        return Err(refuse(Reason::Value, "tool_choice", message));
    }
    if choice["type"] != "function" {
        return Ok(());
    }
    let Some(called) = choice["function"]["name"].as_str() else {
        return Err(missing("tool_choice.function"));
    };
    match names.is_some_and(|names| names.contains(&called)) {
        true => Ok(()),
        false => {
            let message = format!("Tool choice '{called}' not found in 'tools' parameter.");
            Err(refuse(Reason::Value, "tool_choice", message))
        }
    }
}

fn format(members: &Members, messages: &[Value]) -> Result<(), Refusal> {
    let Some(format) = members.get("response_format") else { return Ok(()) };
    match format["type"].as_str() {
        Some("text") => Ok(()),
        Some("json_object") => {
            let says =
                |message: &Value| message["content"].to_string().to_lowercase().contains("json");
            if messages.iter().any(says) {
                return Ok(());
            }
            let message = "'messages' must contain the word 'json' in some form, to use \
                           'response_format' of type 'json_object'.";
            Err(refuse(Reason::Value, "messages", message))
        }
        Some("json_schema") => {
            let at = "response_format.json_schema";
            let schema = &format["json_schema"];
            let Some(called) = schema["name"].as_str() else {
                return Err(missing(&format!("{at}.name")));
            };
            name(Dialect::OpenAi, &format!("{at}.name"), called)
        }
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', \
                 and 'text'."
            );
            Err(refuse(Reason::Value, "response_format.type", message))
        }
        None => Err(missing("response_format.type")),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
