//! OpenAI's responses: answers written.
//!
//! In: a question and its plan. Out: the response, whole or as events.
//! Format: <https://platform.openai.com/docs/api-reference/responses-streaming>

use serde_json::{Value, json};

use super::items;
use crate::clock::unix_seconds;
use crate::provider::dialect::anthropic::answer::fragments;
use crate::provider::dialect::plan::{Finish, Plan, Question, Spent, pieces};
use crate::provider::dialect::seal;
use crate::provider::pieces::Event;

/// The whole response.
pub(crate) fn whole(question: &Question, plan: &Plan) -> Value {
    let mut response = opening(question);
    let is_cut = plan.finish == Finish::Length;
    response["status"] = if is_cut { "incomplete" } else { "completed" }.into();
    if is_cut {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    } else {
        response["completed_at"] = unix_seconds().into();
    }
    response["output"] = output(question, plan).into();
    response["usage"] = usage(plan.used);
    response
}

/// The response as events, numbered in order.
pub(crate) fn events(question: &Question, plan: &Plan) -> Vec<Event> {
    let mut log = Log::default();
    log.add("response.created", json!({"response": opening(question)}));
    log.add("response.in_progress", json!({"response": opening(question)}));
    for (index, item) in output(question, plan).iter().enumerate() {
        unfold(&mut log, index, item);
    }
    let last = match plan.finish {
        Finish::Length => "response.incomplete",
        Finish::Stop | Finish::Calls | Finish::Refusal => "response.completed",
    };
    log.add(last, json!({"response": whole(question, plan)}));
    log.0
}

/// The event of a failure in the middle.
pub(crate) fn failure() -> Event {
    let message = "The server had an error while processing your request. Sorry about that!";
    let data = json!({
        "type": "error",
        "code": "server_error",
        "message": message,
        "param": null,
        "sequence_number": 99,
    });
    Event::named("error", data)
}

#[derive(Default)]
struct Log(Vec<Event>);

impl Log {
    fn add(&mut self, name: &'static str, mut data: Value) {
        data["type"] = name.into();
        data["sequence_number"] = self.0.len().into();
        self.0.push(Event::named(name, data));
    }
}

fn unfold(log: &mut Log, index: usize, item: &Value) {
    let mut start = item.clone();
    start["status"] = "in_progress".into();
    let kind = item["type"].as_str().unwrap_or("");
    match kind {
        "message" => start["content"] = json!([]),
        "function_call" => start["arguments"] = "".into(),
        // Thoughts have no status of their own.
        _ => {
            start = item.clone();
            start["summary"] = json!([]);
        }
    }
    log.add("response.output_item.added", json!({"output_index": index, "item": start}));
    let at = |more: Value| {
        let mut data = json!({"output_index": index, "item_id": item["id"]});
        for (name, value) in more.as_object().into_iter().flatten() {
            data[name] = value.clone();
        }
        data
    };
    match kind {
        "message" => message(log, item, &at),
        "function_call" => {
            let arguments = item["arguments"].as_str().unwrap_or("");
            for piece in fragments(arguments) {
                log.add("response.function_call_arguments.delta", at(json!({"delta": piece})));
            }
            let done = json!({"arguments": arguments, "name": item["name"]});
            log.add("response.function_call_arguments.done", at(done));
        }
        _ => thought(log, item, &at),
    }
    log.add("response.output_item.done", json!({"output_index": index, "item": item}));
}

fn message(log: &mut Log, item: &Value, at: &dyn Fn(Value) -> Value) {
    let part = &item["content"][0];
    let is_refusal = part["type"] == "refusal";
    let name = if is_refusal { "refusal" } else { "text" };
    let text = part[name].as_str().unwrap_or("");
    let mut start = part.clone();
    start[name] = "".into();
    log.add("response.content_part.added", at(json!({"content_index": 0, "part": start})));
    let (delta, done) = match is_refusal {
        true => ("response.refusal.delta", "response.refusal.done"),
        false => ("response.output_text.delta", "response.output_text.done"),
    };
    for piece in pieces(text) {
        log.add(delta, at(json!({"content_index": 0, "delta": piece, "logprobs": []})));
    }
    log.add(done, at(json!({"content_index": 0, name: text, "logprobs": []})));
    log.add("response.content_part.done", at(json!({"content_index": 0, "part": part})));
}

fn thought(log: &mut Log, item: &Value, at: &dyn Fn(Value) -> Value) {
    let part = &item["summary"][0];
    let text = part["text"].as_str().unwrap_or("");
    let empty = json!({"type": "summary_text", "text": ""});
    log.add(
        "response.reasoning_summary_part.added",
        at(json!({"summary_index": 0, "part": empty})),
    );
    for piece in pieces(text) {
        let delta = at(json!({"summary_index": 0, "delta": piece}));
        log.add("response.reasoning_summary_text.delta", delta);
    }
    let done = at(json!({"summary_index": 0, "text": text}));
    log.add("response.reasoning_summary_text.done", done);
    log.add("response.reasoning_summary_part.done", at(json!({"summary_index": 0, "part": part})));
}

fn opening(question: &Question) -> Value {
    let stay = &question.stay;
    json!({
        "id": stay.id,
        "object": "response",
        "created_at": unix_seconds(),
        "status": "in_progress",
        "background": stay.is_background,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": question.tokens_max,
        "metadata": {},
        "model": question.model,
        "output": [],
        "parallel_tool_calls": !question.single,
        "previous_response_id": stay.previous,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": stay.is_stored,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    })
}

fn output(question: &Question, plan: &Plan) -> Vec<Value> {
    let mut items = Vec::new();
    let serial = format!("{:016x}", plan.serial);
    if let Some(thought) = &plan.thought {
        let mut item = json!({
            "id": format!("rs_{serial}"),
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": thought}],
        });
        if question.marks > 0 {
            item["encrypted_content"] = seal::make(plan.serial, items::SEALED).into();
        }
        items.push(item);
    }
    if !plan.text.is_empty() {
        let part = match plan.finish {
            Finish::Refusal => json!({"type": "refusal", "refusal": plan.text}),
            _ => {
                json!({"type": "output_text", "text": plan.text, "annotations": [], "logprobs": []})
            }
        };
        let status = if plan.finish == Finish::Length { "incomplete" } else { "completed" };
        items.push(json!({
            "id": format!("msg_{serial}"),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": [part],
        }));
    }
    for (index, call) in plan.calls.iter().enumerate() {
        let start = if plan.thought.is_some() { items::THOUGHT_OUT } else { "fc_0000" };
        items.push(json!({
            "id": format!("{start}{serial}{index:02x}"),
            "type": "function_call",
            "status": "completed",
            "call_id": format!("call_{}", call.id),
            "name": call.name,
            "arguments": call.arguments.to_string(),
        }));
    }
    items
}

fn usage(used: Spent) -> Value {
    json!({
        "input_tokens": used.input(),
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": used.written},
        "output_tokens": used.output(),
        "output_tokens_details": {"reasoning_tokens": used.thought},
        "total_tokens": used.input() + used.output(),
    })
}
