//! Anthropic's messages: thoughts, what excludes them, and their signatures.
//!
//! In: the members of a body. Out: nothing, or the first [`Refusal`].
//! Rules: <https://docs.claude.com/en/docs/build-with-claude/extended-thinking>

use serde_json::{Map, Value};

use crate::provider::dialect::{Dialect, seal};
use crate::provider::refusal::{Reason, Refusal};

/// What a redacted thought is signed over.
pub(super) const REDACTED: &str = "redacted";

/// Whether thoughts are wanted.
pub(super) fn are_wanted(members: &Map<String, Value>) -> bool {
    members.get("thinking").is_some_and(|thinking| {
        matches!(thinking["type"].as_str(), Some("enabled" | "adaptive" | "between_tools"))
    })
}

/// Judges what excludes thinking.
pub(super) fn check(members: &Map<String, Value>) -> Result<(), Refusal> {
    if !are_wanted(members) {
        return Ok(());
    }
    let says = |at: &str, message: &str| Err(refuse(Reason::Conflict, at, message));
    let budget = members["thinking"]["budget_tokens"].as_u64();
    if budget.is_some_and(|budget| members["max_tokens"].as_u64() <= Some(budget)) {
        let message = "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult \
                       our documentation at https://docs.claude.com/en/docs/build-with-claude/\
                       extended-thinking#max-tokens-and-context-window-size";
        return says("max_tokens", message);
    }
    let number = |name: &str| members.get(name).and_then(Value::as_f64);
    if number("temperature").is_some_and(|value| (value - 1.0).abs() > f64::EPSILON) {
        let message = "`temperature` may only be set to 1 when thinking is enabled. Please consult \
                       our documentation at https://docs.claude.com/en/docs/build-with-claude/\
                       extended-thinking#important-considerations-when-using-extended-thinking";
        return says("temperature", message);
    }
    if number("top_k").is_some() {
        return says("top_k", "`top_k` must be unset when thinking is enabled.");
    }
    if number("top_p").is_some_and(|value| value < 0.95) {
        let message = "`top_p` must be greater than or equal to 0.95 or unset when thinking is \
                       enabled.";
        return says("top_p", message);
    }
    let choice = members.get("tool_choice").and_then(|choice| choice["type"].as_str());
    if matches!(choice, Some("any" | "tool")) {
        return says(
            "tool_choice",
            "Thinking may not be enabled when tool_choice forces tool use.",
        );
    }
    Ok(())
}

/// Judges the signatures of the thoughts that come back, and demands those of an unfinished turn.
pub(super) fn signatures(members: &Map<String, Value>, messages: &[Value]) -> Result<(), Refusal> {
    for (index, message) in messages.iter().enumerate() {
        let blocks = message["content"].as_array().map_or(&[][..], Vec::as_slice);
        for (place, block) in blocks.iter().enumerate() {
            let text = |name: &str| block[name].as_str().unwrap_or("");
            let (kind, is_ours) = match text("type") {
                "thinking" => ("signature", seal::is_ours(text("signature"), text("thinking"))),
                "redacted_thinking" => ("data", seal::is_ours(text("data"), REDACTED)),
                _ => continue,
            };
            if !is_ours {
                let at = format!("messages.{index}.content.{place}");
                let message = format!("{at}: Invalid `{kind}` in `{}` block", text("type"));
                return Err(refuse(Reason::Signature, &at, message));
            }
        }
        let is_thought = |block: &Value| {
            matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"))
        };
        if message["role"] == "assistant" && blocks.last().is_some_and(is_thought) {
            let message = format!(
                "messages.{index}: The final block in an assistant message cannot be `thinking`."
            );
            return Err(refuse(Reason::Order, &format!("messages.{index}"), message));
        }
    }
    if members.get("thinking").is_none_or(|thinking| thinking["type"] != "enabled") {
        return Ok(());
    }
    demanded(messages)
}

/// With a budget for thinking, the assistant's message before the last results begins with a
/// thought.
fn demanded(messages: &[Value]) -> Result<(), Refusal> {
    let results = messages.last().and_then(|message| message["content"].as_array());
    if results.and_then(|blocks| blocks.first()).is_none_or(|block| block["type"] != "tool_result")
    {
        return Ok(());
    }
    let Some(index) = messages.iter().rposition(|message| message["role"] == "assistant") else {
        return Ok(());
    };
    let found = messages[index]["content"][0]["type"].as_str().unwrap_or("text");
    if matches!(found, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    let message = format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
         `{found}`. When `thinking` is enabled, a final `assistant` message must start with a \
         thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We \
         recommend you include thinking blocks from previous turns. To avoid this requirement, \
         disable `thinking`. Please consult our documentation at https://docs.claude.com/en/docs/\
         build-with-claude/extended-thinking"
    );
    Err(refuse(Reason::Signature, &format!("messages.{index}.content.0.type"), message))
}

fn refuse(reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
    Dialect::Anthropic.refuse(reason, at, message)
}
