//! Anthropic's messages: requests read.
//!
//! In: the fields and members of a request. Out: a [`Question`] or the [`Refusal`].
//! Format: <https://docs.claude.com/en/api/messages>

pub(crate) mod answer;
mod pairs;
mod rules;
mod thoughts;
mod tools;

use serde_json::{Map, Value};

use super::plan::{Choice, Question, Tool};
use super::{Fields, Service};
use crate::provider::refusal::Refusal;

/// Judges a request and reads it.
pub(crate) fn read(
    service: Service,
    fields: &Fields<'_>,
    members: &Map<String, Value>,
) -> Result<Question, Refusal> {
    rules::head(fields)?;
    rules::check(service, members)?;
    Ok(question(members))
}

/// The same where the head says no version.
pub(crate) fn read_body(
    service: Service,
    fields: &Fields<'_>,
    members: &Map<String, Value>,
) -> Result<Question, Refusal> {
    rules::betas(fields)?;
    rules::check(service, members)?;
    Ok(question(members))
}

fn question(members: &Map<String, Value>) -> Question {
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or("");
    let mut question = Question {
        model: text("model").to_owned(),
        stream: members.get("stream").and_then(Value::as_bool).unwrap_or(false),
        tokens_max: members.get("max_tokens").and_then(Value::as_u64),
        tools: tools::read(members),
        thinks: thoughts::are_wanted(members),
        schema: schema(members),
        ..Question::default()
    };
    (question.choice, question.single) = choice(members);
    prompt(members, &mut question);
    let messages = members.get("messages").and_then(Value::as_array);
    for message in messages.into_iter().flatten() {
        match message["role"].as_str() {
            Some("assistant") => question.forget_turn(),
            Some("user") => blocks(&message["content"], &mut question),
            _ => {}
        }
    }
    question
}

/// Adds what is read, block by block.
fn prompt(members: &Map<String, Value>, question: &mut Question) {
    for name in ["tools", "system"] {
        question.add_place(name);
        contents(members.get(name).unwrap_or(&Value::Null), question);
    }
    let messages = members.get("messages").and_then(Value::as_array);
    for message in messages.into_iter().flatten() {
        question.add_place(message["role"].as_str().unwrap_or(""));
        contents(&message["content"], question);
    }
    if members.contains_key("cache_control") {
        question.mark_block();
    }
}

fn contents(content: &Value, question: &mut Question) {
    if let Some(text) = content.as_str() {
        question.add_text(text);
    }
    for block in content.as_array().into_iter().flatten() {
        let bare = without_marks(block);
        question.add_block(&bare);
        if bare != *block {
            question.mark_block();
        }
    }
}

impl Question {
    /// What was said before is not the last turn any more.
    pub(crate) fn forget_turn(&mut self) {
        self.said.clear();
        self.results.clear();
        self.media.clear();
    }
}

fn blocks(content: &Value, question: &mut Question) {
    if let Some(text) = content.as_str() {
        question.said.push_str(text);
        return;
    }
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("text") => question.said.push_str(block["text"].as_str().unwrap_or("")),
            Some("tool_result") => {
                question.results.push(result(&block["content"], &mut question.media))
            }
            Some("image" | "document") => question.media.push(media(block)),
            _ => {}
        }
    }
}

fn result(content: &Value, seen: &mut Vec<String>) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let mut out = String::new();
    for block in content.as_array().into_iter().flatten() {
        match block["type"].as_str() {
            Some("image" | "document") => seen.push(media(block)),
            _ => out.push_str(block["text"].as_str().unwrap_or("")),
        }
    }
    out
}

fn media(block: &Value) -> String {
    let source = &block["source"];
    let kind = source["media_type"].as_str().or(source["url"].as_str());
    kind.or(source["type"].as_str()).unwrap_or("nothing").to_owned()
}

fn schema(members: &Map<String, Value>) -> Option<Value> {
    let config = members.get("output_config").and_then(|config| config.get("format"));
    let format = config.or(members.get("output_format")).filter(|format| !format.is_null());
    format.and_then(|format| format.get("schema")).cloned()
}

fn choice(members: &Map<String, Value>) -> (Choice, bool) {
    let Some(choice) = members.get("tool_choice") else { return (Choice::Auto, false) };
    let single = choice["disable_parallel_tool_use"].as_bool().unwrap_or(false);
    let kind = match choice["type"].as_str() {
        Some("any") => Choice::Any,
        Some("none") => Choice::None,
        Some("tool") => Choice::Named(choice["name"].as_str().unwrap_or("").to_owned()),
        _ => Choice::Auto,
    };
    (kind, single)
}

/// The same value without its marks for the cache, which are no part of the prompt.
fn without_marks(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(without_marks).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "cache_control");
            kept.map(|(name, value)| (name.clone(), without_marks(value))).collect()
        }
        other => other.clone(),
    }
}

impl Tool {
    /// The tool that `tool` declares, with the schema in member `schema`.
    pub(crate) fn of(tool: &Value, schema: &str) -> Option<Tool> {
        let name = tool.get("name")?.as_str()?.to_owned();
        Some(Tool { name, schema: tool.get(schema).cloned().unwrap_or(Value::Null) })
    }
}
