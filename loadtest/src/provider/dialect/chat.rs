//! OpenAI's chat, where the conversation steers the answer: tools, schemas, images, refusals.
//!
//! In: the members of a request that was judged already, or a plan. Out: a [`Question`], or the
//! answer. Chats that ask for nothing but text are answered by a faster path and never come here.
//! Format: <https://platform.openai.com/docs/api-reference/chat>

use serde_json::{Map, Value, json};

use super::anthropic::answer::fragments;
use super::plan::{Choice, Finish, Plan, Question, Spent, Tool, pieces};
use super::responses::{media, word_choice};
use crate::clock::unix_seconds;
use crate::provider::pieces::Event;
use crate::provider::refusal::{Reason, Refusal};

/// The question of a chat, if it is one that steers.
pub(crate) fn read(members: &Map<String, Value>) -> Result<Option<Question>, Refusal> {
    let get = |name: &str| members.get(name).unwrap_or(&Value::Null);
    let mut question = Question {
        model: get("model").as_str().unwrap_or("").to_owned(),
        stream: get("stream").as_bool().unwrap_or(false),
        tokens_max: get("max_completion_tokens").as_u64().or(get("max_tokens").as_u64()),
        choice: choice(get("tool_choice")),
        single: get("parallel_tool_calls") == &Value::Bool(false),
        schema: schema(get("response_format")),
        // Whether the stream ends with what was used.
        marks: usize::from(get("stream_options")["include_usage"] == true),
        ..Question::default()
    };
    let tools = get("tools").as_array().into_iter().flatten();
    question.tools = tools.filter_map(|tool| Tool::of(&tool["function"], "parameters")).collect();
    question.prompt = get("tools").to_string().into_bytes();
    question.prompt.extend(get("messages").to_string().into_bytes());
    let messages: Vec<&Value> = get("messages").as_array().into_iter().flatten().collect();
    pairs(&messages)?;
    messages.iter().for_each(|message| note(message, &mut question));
    let steers = question.schema.is_some()
        || !matches!(question.choice, Choice::Auto | Choice::None)
        || !question.results.is_empty()
        || !question.media.is_empty()
        || ["call ", "refuse me", "short please"].iter().any(|word| question.said.contains(word));
    Ok(steers.then_some(question))
}

fn note(message: &Value, question: &mut Question) {
    match message["role"].as_str().unwrap_or("") {
        "user" => content(&message["content"], question),
        "tool" => {
            let said = std::mem::take(&mut question.said);
            content(&message["content"], question);
            let result = std::mem::replace(&mut question.said, said);
            question.results.push(result);
        }
        "assistant" => question.forget_turn(),
        _ => {}
    }
}

fn content(content: &Value, question: &mut Question) {
    if let Some(text) = content.as_str() {
        question.said.push_str(text);
        return;
    }
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str().unwrap_or("") {
            "text" => question.said.push_str(part["text"].as_str().unwrap_or("")),
            "image_url" => {
                question.media.push(media(part["image_url"]["url"].as_str().unwrap_or("")));
            }
            "file" => question.media.push(media(part["file"]["file_data"].as_str().unwrap_or(""))),
            _ => {}
        }
    }
}

/// Every call is answered by the messages right behind it, and nothing else is.
fn pairs(messages: &[&Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.[{index}].role");
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or("");
            let Some(place) = open.iter().position(|call| *call == id) else {
                let text = "Invalid parameter: messages with role 'tool' must be a response to a \
                            preceeding message with 'tool_calls'.";
                return Err(Refusal::of(Reason::Value, at, text));
            };
            open.remove(place);
            continue;
        }
        if !open.is_empty() {
            return Err(unanswered(at, &open));
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open.extend(calls.filter_map(|call| call["id"].as_str()));
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered("messages".to_owned(), &open)) }
}

fn unanswered(at: String, open: &[&str]) -> Refusal {
    let text = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Refusal::of(Reason::Value, at, text)
}

fn choice(choice: &Value) -> Choice {
    match choice {
        Value::String(word) => word_choice(word),
        Value::Object(_) if choice["type"] == "function" => {
            Choice::Named(choice["function"]["name"].as_str().unwrap_or("").to_owned())
        }
        Value::Object(_) => word_choice(choice["allowed_tools"]["mode"].as_str().unwrap_or("auto")),
        _ => Choice::Auto,
    }
}

fn schema(format: &Value) -> Option<Value> {
    match format["type"].as_str() {
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        Some("json_object") => Some(json!({"type": "object"})),
        _ => None,
    }
}

/// The whole answer.
pub(crate) fn whole(question: &Question, plan: &Plan) -> Value {
    let refuses = plan.finish == Finish::Refusal;
    let text = Some(&plan.text).filter(|text| !text.is_empty());
    let mut message = json!({
        "role": "assistant",
        "content": text.filter(|_| !refuses),
        "refusal": text.filter(|_| refuses),
        "annotations": [],
    });
    if !plan.calls.is_empty() {
        message["tool_calls"] = (0..plan.calls.len()).map(|index| call(plan, index)).collect();
    }
    let mut answer = opening(question, plan, "chat.completion");
    answer["choices"] = json!([{
        "index": 0, "message": message, "logprobs": null, "finish_reason": reason(plan.finish),
    }]);
    answer["usage"] = usage(plan.used);
    answer
}

/// The answer as chunks.
pub(crate) fn events(question: &Question, plan: &Plan) -> Vec<Event> {
    let mut deltas = vec![json!({"role": "assistant", "content": "", "refusal": null})];
    let refuses = plan.finish == Finish::Refusal;
    let name = if refuses { "refusal" } else { "content" };
    deltas.extend(pieces(&plan.text).into_iter().map(|piece| json!({ name: piece })));
    let arguments: Vec<String> = plan.calls.iter().map(|c| c.arguments.to_string()).collect();
    let mut parts: Vec<Vec<&str>> = arguments.iter().map(|text| fragments(text)).collect();
    for index in 0..plan.calls.len() {
        let mut start = call(plan, index);
        start["index"] = index.into();
        start["function"]["arguments"] = "".into();
        deltas.push(json!({"tool_calls": [start]}));
    }
    // The calls' arguments come interleaved.
    while parts.iter().any(|rest| !rest.is_empty()) {
        for (index, rest) in parts.iter_mut().enumerate().filter(|(_, rest)| !rest.is_empty()) {
            let function = json!({"arguments": rest.remove(0)});
            deltas.push(json!({"tool_calls": [{"index": index, "function": function}]}));
        }
    }
    let asked = question.marks > 0;
    let chunk = |choices: Value, used: Option<Value>| {
        let mut chunk = opening(question, plan, "chat.completion.chunk");
        chunk["choices"] = choices;
        if asked {
            chunk["usage"] = used.unwrap_or_default();
        }
        Event::new(chunk)
    };
    let choice = |delta: Value, reason: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]);
    let mut events: Vec<Event> =
        deltas.into_iter().map(|delta| chunk(choice(delta, None), None)).collect();
    events.push(chunk(choice(json!({}), Some(reason(plan.finish))), None));
    if asked {
        events.push(chunk(json!([]), Some(usage(plan.used))));
    }
    events.push(Event::new("[DONE]"));
    events
}

/// The event of a failure in the middle.
pub(crate) fn failure() -> Event {
    let message = "The server had an error while processing your request. Sorry about that!";
    Event::new(json!({"error": {
        "message": message, "type": "server_error", "param": null, "code": null,
    }}))
}

fn opening(question: &Question, plan: &Plan, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{:029}", plan.serial),
        "object": object,
        "created": unix_seconds(),
        "model": question.model,
        "service_tier": "default",
    })
}

fn call(plan: &Plan, index: usize) -> Value {
    let call = &plan.calls[index];
    json!({
        "id": format!("call_{}", call.id),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments.to_string()},
    })
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

fn usage(used: Spent) -> Value {
    json!({
        "prompt_tokens": used.input(),
        "completion_tokens": used.output(),
        "total_tokens": used.input() + used.output(),
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.thought, "audio_tokens": 0},
    })
}
