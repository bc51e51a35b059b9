//! OpenAI's responses: requests read.
//!
//! In: the members of a request. Out: a [`Question`] or the [`Refusal`].
//! Format: <https://platform.openai.com/docs/api-reference/responses/create>

pub(crate) mod answer;
mod items;
mod rules;

use serde_json::{Map, Value};

use super::plan::{Choice, Question, Tool};
use crate::provider::refusal::Refusal;

/// Judges a request and reads it.
pub(crate) fn read(members: &Map<String, Value>) -> Result<Question, Refusal> {
    rules::check(members)?;
    items::check(members)?;
    Ok(question(members))
}

fn question(members: &Map<String, Value>) -> Question {
    let get = |name: &str| members.get(name).unwrap_or(&Value::Null);
    let tools = get("tools").as_array();
    let (choice, single) = choice(members);
    let mut question = Question {
        model: get("model").as_str().unwrap_or("").to_owned(),
        stream: get("stream").as_bool().unwrap_or(false),
        tokens_max: get("max_output_tokens").as_u64(),
        tools: tools
            .into_iter()
            .flatten()
            .filter_map(|tool| Tool::of(tool, "parameters"))
            .collect(),
        choice,
        single,
        schema: schema(get("text")),
        thinks: get("reasoning").is_object(),
        // Whether the thoughts are to be sealed into the answer.
        marks: usize::from(rules::is_sealed(members)),
        ..Question::default()
    };
    for name in ["tools", "instructions", "input"] {
        question.prompt.extend(get(name).to_string().into_bytes());
    }
    match get("input") {
        Value::String(text) => question.said.clone_from(text),
        Value::Array(items) => items.iter().for_each(|item| note(item, &mut question)),
        _ => {}
    }
    question
}

fn note(item: &Value, question: &mut Question) {
    match (item["type"].as_str().unwrap_or("message"), item["role"].as_str()) {
        ("message", Some("user")) => content(&item["content"], question),
        ("function_call_output", _) => match &item["output"] {
            Value::Array(_) => {
                let said = std::mem::take(&mut question.said);
                content(&item["output"], question);
                let output = std::mem::replace(&mut question.said, said);
                question.results.push(output);
            }
            output => question.results.push(output.as_str().unwrap_or("").to_owned()),
        },
        ("message", Some("assistant")) | ("function_call" | "reasoning", _) => {
            question.forget_turn();
        }
        _ => {}
    }
}

fn content(content: &Value, question: &mut Question) {
    if let Some(text) = content.as_str() {
        question.said.push_str(text);
        return;
    }
    for part in content.as_array().into_iter().flatten() {
        let text = |name: &str| part[name].as_str().unwrap_or("");
        match text("type") {
            "input_text" => question.said.push_str(text("text")),
            "input_image" => question.media.push(media(text("image_url"))),
            "input_file" => question.media.push(media(text("file_data"))),
            _ => {}
        }
    }
}

/// The type of a data URL, or the address itself.
pub(crate) fn media(url: &str) -> String {
    let data = url.strip_prefix("data:").and_then(|data| data.split([';', ',']).next());
    match data.unwrap_or(url) {
        "" => "a file".to_owned(),
        kind => kind.to_owned(),
    }
}

fn choice(members: &Map<String, Value>) -> (Choice, bool) {
    let single = members.get("parallel_tool_calls") == Some(&Value::Bool(false));
    let choice = match members.get("tool_choice") {
        Some(Value::String(word)) => word_choice(word),
        Some(choice) if choice["type"] == "function" => {
            Choice::Named(choice["name"].as_str().unwrap_or("").to_owned())
        }
        Some(choice) if choice["type"] == "allowed_tools" => {
            word_choice(choice["mode"].as_str().unwrap_or("auto"))
        }
        _ => Choice::Auto,
    };
    (choice, single)
}

/// The choice that OpenAI spells by a word.
pub(crate) fn word_choice(word: &str) -> Choice {
    match word {
        "none" => Choice::None,
        "required" => Choice::Any,
        _ => Choice::Auto,
    }
}

fn schema(text: &Value) -> Option<Value> {
    let format = &text["format"];
    match format["type"].as_str() {
        Some("json_schema") => Some(format["schema"].clone()),
        Some("json_object") => Some(serde_json::json!({"type": "object"})),
        _ => None,
    }
}
