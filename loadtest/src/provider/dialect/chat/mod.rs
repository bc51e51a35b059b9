//! OpenAI's chat, as far as it is more than text: requests read.
//!
//! In: the members of a request. Out: the [`Refusal`], or a [`Question`] where the answer is to be
//! more than the text that a load test asks for.
//! Format: <https://platform.openai.com/docs/api-reference/chat/create>

pub(crate) mod answer;
mod rules;
mod turns;

use serde_json::Value;

use super::plan::{Choice, Question, Tool};
use super::responses::{media, word_choice};
use crate::provider::ask::Members;
use crate::provider::refusal::Refusal;

/// Judges messages, tools and formats; the question, if its answer is not plain text.
pub(crate) fn read(members: &Members, messages: &[Value]) -> Result<Option<Question>, Refusal> {
    turns::check(messages)?;
    rules::check(members, messages)?;
    Ok(question(members, messages).filter(is_rich))
}

/// Whether anything in the request steers the answer away from plain text.
fn is_rich(question: &Question) -> bool {
    let calls = question.calls();
    let said = |words: &str| question.said.contains(words);
    calls
        || said("refuse me")
        || said("short please")
        || question.schema.is_some()
        || !question.results.is_empty()
        || !question.media.is_empty()
}

fn question(members: &Members, messages: &[Value]) -> Option<Question> {
    let get = |name: &str| members.get(name).unwrap_or(&Value::Null);
    let tools = get("tools").as_array();
    let tool = |tool: &Value| Tool::of(&tool["function"], "parameters");
    let mut question = Question {
        model: get("model").as_str().unwrap_or("").to_owned(),
        tools: tools.into_iter().flatten().filter_map(tool).collect(),
        choice: choice(get("tool_choice")),
        single: get("parallel_tool_calls") == &Value::Bool(false),
        schema: schema(get("response_format")),
        ..Question::default()
    };
    for message in messages {
        match message["role"].as_str()? {
            "assistant" => question.forget_turn(),
            "user" => content(&message["content"], &mut question),
            "tool" => {
                let said = std::mem::take(&mut question.said);
                content(&message["content"], &mut question);
                let output = std::mem::replace(&mut question.said, said);
                question.results.push(output);
            }
            _ => {}
        }
    }
    Some(question)
}

fn content(content: &Value, question: &mut Question) {
    if let Some(text) = content.as_str() {
        question.said.push_str(text);
        return;
    }
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("text") => question.said.push_str(part["text"].as_str().unwrap_or("")),
            Some("image_url") => {
                question.media.push(media(part["image_url"]["url"].as_str().unwrap_or("")));
            }
            Some("input_audio") => {
                let format = part["input_audio"]["format"].as_str().unwrap_or("");
                question.media.push(format!("audio/{format}"));
            }
            Some("file") => {
                question.media.push(media(part["file"]["file_data"].as_str().unwrap_or("")));
            }
            _ => {}
        }
    }
}

fn choice(choice: &Value) -> Choice {
    match (choice.as_str(), choice["function"]["name"].as_str()) {
        (Some(word), _) => word_choice(word),
        (None, Some(name)) => Choice::Named(name.to_owned()),
        (None, None) => word_choice(choice["allowed_tools"]["mode"].as_str().unwrap_or("auto")),
    }
}

fn schema(format: &Value) -> Option<Value> {
    match format["type"].as_str() {
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        Some("json_object") => Some(serde_json::json!({"type": "object"})),
        _ => None,
    }
}
