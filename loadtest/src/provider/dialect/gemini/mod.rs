//! Google's generateContent and its neighbours: requests read.
//!
//! In: the members of a request. Out: a [`Question`] or the [`Refusal`]. Members may be spelled with
//! capitals or with underscores, as protocol buffers allow.
//! Format: <https://ai.google.dev/api/generate-content>

pub(crate) mod answer;
mod rules;
mod schemas;
mod turns;

use serde_json::{Map, Value};

use super::plan::{Choice, Question, Tool};
use super::{Dialect, Service};
use crate::provider::refusal::Refusal;

/// Judges a request for `model` and reads it.
pub(crate) fn read(
    service: Service,
    model: &str,
    members: &Map<String, Value>,
) -> Result<Question, Refusal> {
    rules::check(service, model, members)?;
    Ok(match service {
        Service::Answer => question(model, members),
        _ => {
            let prompt = Value::from(members.clone()).to_string().into_bytes();
            let vectors = member(members, "requests").and_then(Value::as_array).map_or(1, Vec::len);
            let config = member(members, "outputDimensionality");
            let size = config.and_then(Value::as_u64);
            Question { prompt, tokens_max: size, marks: vectors, ..Question::default() }
        }
    })
}

/// The member of that name, in either spelling.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    Dialect::Gemini.get(members, name)
}

/// The same of a value that may be no object.
fn inside<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.as_object().and_then(|members| member(members, name)).unwrap_or(&Value::Null)
}

/// The elements of a list, none of anything else. A single one may stand without its list.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Object(_) => std::slice::from_ref(value),
        _ => &[],
    }
}

/// Whether thoughts are wanted: by request, or because the model always thinks.
fn thinks(model: &str, members: &Map<String, Value>) -> bool {
    let config = member(members, "generationConfig").unwrap_or(&Value::Null);
    let thinking = inside(config, "thinkingConfig");
    let budget = inside(thinking, "thinkingBudget").as_i64();
    model.contains("gemini-3") || thinking.is_object() && budget != Some(0)
}

fn question(model: &str, members: &Map<String, Value>) -> Question {
    let config = member(members, "generationConfig").unwrap_or(&Value::Null);
    let mut question = Question {
        model: model.to_owned(),
        tokens_max: inside(config, "maxOutputTokens").as_u64(),
        tools: declared(members).filter_map(tool).collect(),
        choice: choice(members),
        thinks: thinks(model, members),
        schema: schema(config),
        ..Question::default()
    };
    for name in ["tools", "systemInstruction", "contents"] {
        let part = member(members, name).unwrap_or(&Value::Null);
        question.prompt.extend(part.to_string().into_bytes());
    }
    for content in member(members, "contents").map_or(&[][..], list) {
        if inside(content, "role") == "model" {
            question.forget_turn();
        } else {
            list(inside(content, "parts")).iter().for_each(|part| note(part, &mut question));
        }
    }
    question
}

/// The functions that are declared.
fn declared(members: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let tools = member(members, "tools").map_or(&[][..], list);
    tools.iter().flat_map(|tool| list(inside(tool, "functionDeclarations")))
}

fn tool(declaration: &Value) -> Option<Tool> {
    let name = declaration.get("name")?.as_str()?.to_owned();
    let schema = [inside(declaration, "parametersJsonSchema"), inside(declaration, "parameters")];
    let schema = schema.into_iter().find(|schema| schema.is_object()).unwrap_or(&Value::Null);
    Some(Tool { name, schema: schema.clone() })
}

fn choice(members: &Map<String, Value>) -> Choice {
    let config = member(members, "toolConfig").unwrap_or(&Value::Null);
    let calling = inside(config, "functionCallingConfig");
    let allowed = list(inside(calling, "allowedFunctionNames"));
    match (inside(calling, "mode").as_str(), allowed) {
        (Some("NONE"), _) => Choice::None,
        (Some("ANY"), [Value::String(name)]) => Choice::Named(name.clone()),
        (Some("ANY"), _) => Choice::Any,
        _ => Choice::Auto,
    }
}

fn schema(config: &Value) -> Option<Value> {
    let schemas = [inside(config, "responseJsonSchema"), inside(config, "responseSchema")];
    let found = schemas.into_iter().find(|schema| schema.is_object()).cloned();
    let is_json = inside(config, "responseMimeType") == "application/json";
    found.or_else(|| is_json.then(|| serde_json::json!({"type": "object"})))
}

fn note(part: &Value, question: &mut Question) {
    question.said.push_str(inside(part, "text").as_str().unwrap_or(""));
    for name in ["inlineData", "fileData"] {
        if let Some(kind) = inside(inside(part, name), "mimeType").as_str() {
            question.media.push(kind.to_owned());
        }
    }
    let response = inside(inside(part, "functionResponse"), "response");
    if let Some(members) = response.as_object() {
        let texts: Vec<&str> = members.values().filter_map(Value::as_str).collect();
        let is_plain = texts.len() == members.len() && !texts.is_empty();
        question.results.push(if is_plain { texts.join(" ") } else { response.to_string() });
    }
}
