//! Anthropic's messages: answers written.
//!
//! In: a question and its plan. Out: the message, whole or as events.
//! Format: <https://docs.claude.com/en/docs/build-with-claude/streaming>

use serde_json::{Value, json};

use super::thoughts;
use crate::provider::dialect::plan::{Finish, Plan, Question, Spent, pieces};
use crate::provider::dialect::seal;
use crate::provider::pieces::Event;

/// Bytes of arguments in one event.
const FRAGMENT_BYTES: usize = 12;

/// The whole message.
pub(crate) fn whole(question: &Question, plan: &Plan) -> Value {
    let mut message = opening(question, plan);
    message["content"] = blocks(question, plan).into();
    message["stop_reason"] = stop_reason(plan.finish).into();
    message["stop_details"] = stop_details(plan.finish);
    message["usage"] = usage(plan.used, plan.used.output());
    message
}

/// The message as events.
pub(crate) fn events(question: &Question, plan: &Plan) -> Vec<Event> {
    let event = |name: &'static str, mut data: Value| {
        data["type"] = name.into();
        Event::named(name, data)
    };
    let mut events = vec![event("message_start", json!({"message": opening(question, plan)}))];
    for (index, block) in blocks(question, plan).iter().enumerate() {
        let (start, deltas) = unfold(block);
        let start = json!({"index": index, "content_block": start});
        events.push(event("content_block_start", start));
        if index == 0 {
            events.push(event("ping", json!({})));
        }
        let delta = |delta| event("content_block_delta", json!({"index": index, "delta": delta}));
        events.extend(deltas.into_iter().map(delta));
        events.push(event("content_block_stop", json!({"index": index})));
    }
    let reason = json!({
        "stop_reason": stop_reason(plan.finish),
        "stop_sequence": null,
        "stop_details": stop_details(plan.finish),
    });
    let end = json!({"delta": reason, "usage": usage(plan.used, plan.used.output())});
    events.push(event("message_delta", end));
    events.push(event("message_stop", json!({})));
    events
}

/// The event of a failure in the middle.
pub(crate) fn failure() -> Event {
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    Event::named("error", json!({"type": "error", "error": error}))
}

/// The list of models.
pub(crate) fn models(names: &[String]) -> Value {
    let data: Vec<Value> = names.iter().map(|name| model(name)).collect();
    json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()})
}

/// One model.
pub(crate) fn model(name: &str) -> Value {
    json!({
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
    })
}

fn opening(question: &Question, plan: &Plan) -> Value {
    json!({
        "id": format!("msg_01{:022x}", plan.serial),
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(plan.used, 1),
    })
}

fn blocks(question: &Question, plan: &Plan) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &plan.thought {
        if question.said.contains("redact") {
            let data = seal::make(plan.serial, thoughts::REDACTED);
            blocks.push(json!({"type": "redacted_thinking", "data": data}));
        } else {
            let signature = seal::make(plan.serial, thought);
            blocks.push(json!({"type": "thinking", "thinking": thought, "signature": signature}));
        }
    }
    if !plan.text.is_empty() {
        blocks.push(json!({"type": "text", "text": plan.text}));
    }
    for call in &plan.calls {
        let id = format!("toolu_{}", call.id);
        let input = &call.arguments;
        blocks.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}));
    }
    blocks
}

/// A block as it is opened, and what is added to it.
fn unfold(block: &Value) -> (Value, Vec<Value>) {
    let mut start = block.clone();
    let text = |name: &str| block[name].as_str().unwrap_or("");
    let deltas = match text("type") {
        "text" => {
            start["text"] = "".into();
            let delta = |piece: &str| json!({"type": "text_delta", "text": piece});
            pieces(text("text")).into_iter().map(delta).collect()
        }
        "thinking" => {
            start["thinking"] = "".into();
            start["signature"] = "".into();
            let delta = |piece: &str| json!({"type": "thinking_delta", "thinking": piece});
            let signature = json!({"type": "signature_delta", "signature": text("signature")});
            pieces(text("thinking")).into_iter().map(delta).chain([signature]).collect()
        }
        "tool_use" => {
            let json = block["input"].to_string();
            start["input"] = json!({});
            let delta = |piece: &str| json!({"type": "input_json_delta", "partial_json": piece});
            std::iter::once("").chain(fragments(&json)).map(delta).collect()
        }
        _ => Vec::new(),
    };
    (start, deltas)
}

/// `text` in pieces of about a dozen bytes.
pub(crate) fn fragments(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut at = FRAGMENT_BYTES.min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (front, back) = rest.split_at(at);
        out.push(front);
        rest = back;
    }
    out
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
        Finish::Refusal => "refusal",
    }
}

fn stop_details(finish: Finish) -> Value {
    match finish {
        Finish::Refusal => json!({"type": "refusal", "category": null, "explanation": null}),
        Finish::Stop | Finish::Length | Finish::Calls => Value::Null,
    }
}

fn usage(used: Spent, output: u64) -> Value {
    json!({
        "input_tokens": used.fresh,
        "cache_creation_input_tokens": used.written,
        "cache_read_input_tokens": used.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": used.written,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": used.thought.min(output)},
        "service_tier": "standard",
        "inference_geo": "global",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::dialect::plan::Tool;
    use crate::provider::script::Script;

    fn question(said: &str) -> Question {
        let schema = json!({"type": "object", "required": ["q"]});
        let tools = vec![Tool { name: "find".into(), schema }];
        Question { said: said.into(), thinks: true, tools, ..Question::default() }
    }

    fn plan(question: &Question) -> Plan {
        Plan::new(question, &Script::default(), Spent { fresh: 9, ..Spent::default() }, 5)
    }

    #[test]
    fn a_message_has_its_blocks_in_order() {
        let question = question("call find");
        let message = whole(&question, &plan(&question));
        let kinds: Vec<&Value> =
            message["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
        assert_eq!(kinds, ["thinking", "text", "tool_use"]);
        assert_eq!(message["stop_reason"], "tool_use");
        assert_eq!(message["usage"]["input_tokens"], 9);
    }

    #[test]
    fn the_events_add_up_to_the_message() {
        for said in ["call find", "redact", "refuse me", "hi"] {
            let question = question(said);
            let plan = plan(&question);
            let whole = whole(&question, &plan);
            let mut blocks: Vec<Value> = Vec::new();
            let mut inputs = String::new();
            for event in events(&question, &plan) {
                let data: Value = serde_json::from_str(&event.data).unwrap();
                let delta = &data["delta"];
                match event.name.unwrap() {
                    "content_block_start" => blocks.push(data["content_block"].clone()),
                    "content_block_delta" => {
                        let block = blocks.last_mut().unwrap();
                        for name in ["text", "thinking", "signature"] {
                            if let Some(piece) = delta[name].as_str() {
                                let text = block[name].as_str().unwrap().to_owned() + piece;
                                block[name] = text.into();
                            }
                        }
                        inputs.push_str(delta["partial_json"].as_str().unwrap_or(""));
                    }
                    "message_delta" => {
                        assert_eq!(delta["stop_reason"], whole["stop_reason"]);
                        assert_eq!(data["usage"], whole["usage"]);
                    }
                    _ => {}
                }
            }
            if !inputs.is_empty() {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&inputs).unwrap();
            }
            assert_eq!(Value::from(blocks), whole["content"], "{said}");
        }
    }
}
