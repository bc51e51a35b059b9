//! Bedrock's Converse: requests read.
//!
//! In: the members of a request. Out: a [`Question`] or the [`Refusal`].
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

pub(crate) mod answer;
mod rules;
mod turns;

use serde_json::{Map, Value};

use super::plan::{Choice, Question, Tool};
use crate::provider::refusal::Refusal;

/// Judges a request and reads it.
pub(crate) fn read(members: &Map<String, Value>) -> Result<Question, Refusal> {
    rules::check(members)?;
    turns::check(members)?;
    Ok(question(members))
}

/// Blocks of a message or of the like.
fn blocks(content: &Value) -> &[Value] {
    content.as_array().map_or(&[][..], Vec::as_slice)
}

/// The messages of a request.
fn messages(members: &Map<String, Value>) -> &[Value] {
    members.get("messages").map_or(&[][..], blocks)
}

/// How the model is asked to think, in the words of its maker.
fn thinking(members: &Map<String, Value>) -> &Value {
    let more = members.get("additionalModelRequestFields");
    more.and_then(|more| more.get("thinking")).unwrap_or(&Value::Null)
}

fn question(members: &Map<String, Value>) -> Question {
    let get = |name: &str| members.get(name).unwrap_or(&Value::Null);
    let config = get("toolConfig");
    let tool = |tool: &Value| {
        let spec = &tool["toolSpec"];
        let name = spec["name"].as_str()?.to_owned();
        Some(Tool { name, schema: spec["inputSchema"]["json"].clone() })
    };
    let more = get("additionalModelRequestFields");
    let mut question = Question {
        tokens_max: get("inferenceConfig")["maxTokens"].as_u64(),
        tools: blocks(&config["tools"]).iter().filter_map(tool).collect(),
        choice: choice(&config["toolChoice"]),
        single: more["tool_choice"]["disable_parallel_tool_use"] == true,
        schema: schema(&get("outputConfig")["textFormat"]),
        thinks: matches!(thinking(members)["type"].as_str(), Some("enabled" | "adaptive")),
        ..Question::default()
    };
    contents("tools", &config["tools"], &mut question);
    contents("system", get("system"), &mut question);
    for message in messages(members) {
        let role = message["role"].as_str().unwrap_or("");
        contents(role, &message["content"], &mut question);
    }
    for message in messages(members) {
        if message["role"] == "assistant" {
            question.forget_turn();
        } else {
            blocks(&message["content"]).iter().for_each(|block| note(block, &mut question));
        }
    }
    question
}

/// Adds what is read, block by block.
fn contents(place: &str, content: &Value, question: &mut Question) {
    question.add_place(place);
    for block in blocks(content) {
        match block["cachePoint"].is_null() {
            true => question.add_block(block),
            false => question.mark_block(),
        }
    }
}

fn note(block: &Value, question: &mut Question) {
    if let Some(text) = block["text"].as_str() {
        question.said.push_str(text);
    }
    media(block, question);
    let result = &block["toolResult"];
    if result.is_object() {
        let mut text = String::new();
        for block in blocks(&result["content"]) {
            text.push_str(block["text"].as_str().unwrap_or(""));
            if !block["json"].is_null() {
                text.push_str(&block["json"].to_string());
            }
            media(block, question);
        }
        question.results.push(text);
    }
}

fn media(block: &Value, question: &mut Question) {
    for kind in ["image", "document", "video", "audio"] {
        if let Some(format) = block[kind]["format"].as_str() {
            let family = if kind == "document" { "application" } else { kind };
            question.media.push(format!("{family}/{format}"));
        }
    }
}

fn choice(choice: &Value) -> Choice {
    if choice["any"].is_object() {
        return Choice::Any;
    }
    match choice["tool"]["name"].as_str() {
        Some(name) => Choice::Named(name.to_owned()),
        None => Choice::Auto,
    }
}

/// The schema comes as text.
fn schema(format: &Value) -> Option<Value> {
    let schema = &format["structure"]["jsonSchema"]["schema"];
    schema.as_str().and_then(|text| serde_json::from_str(text).ok())
}
