//! Bedrock's Converse: answers written.
//!
//! In: a question and its plan. Out: the response, whole or as events for frames.
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>

use serde_json::{Value, json};

use super::turns;
use crate::provider::dialect::anthropic::answer::fragments;
use crate::provider::dialect::plan::{Finish, Plan, Question, Spent, pieces};
use crate::provider::dialect::seal;
use crate::provider::pieces::Event;
use crate::provider::text;

/// The whole response.
pub(crate) fn whole(question: &Question, plan: &Plan) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": blocks(question, plan)}},
        "stopReason": stop_reason(plan.finish),
        "usage": usage(plan.used),
        "metrics": {"latencyMs": 7},
    })
}

/// The response as events.
pub(crate) fn events(question: &Question, plan: &Plan) -> Vec<Event> {
    let mut log = Log { events: Vec::new(), serial: plan.serial };
    log.add("messageStart", json!({"role": "assistant"}));
    for (index, block) in blocks(question, plan).iter().enumerate() {
        let (start, deltas) = unfold(block);
        if let Some(start) = start {
            let start = json!({"contentBlockIndex": index, "start": start});
            log.add("contentBlockStart", start);
        }
        for delta in deltas {
            let delta = json!({"contentBlockIndex": index, "delta": delta});
            log.add("contentBlockDelta", delta);
        }
        log.add("contentBlockStop", json!({"contentBlockIndex": index}));
    }
    log.add("messageStop", json!({"stopReason": stop_reason(plan.finish)}));
    log.add("metadata", json!({"usage": usage(plan.used), "metrics": {"latencyMs": 7}}));
    log.events
}

/// The exception of a failure in the middle.
pub(crate) fn failure() -> Event {
    let message = "The system encountered an unexpected error during processing. Try your request \
                   again.";
    Event::named("internalServerException", json!({"message": message}))
}

struct Log {
    events: Vec<Event>,
    serial: u64,
}

impl Log {
    /// Adds an event, padded to an uneven length as the real ones are.
    fn add(&mut self, name: &'static str, mut data: Value) {
        let mut padding = Vec::new();
        let seed = text::mix(self.serial ^ self.events.len() as u64);
        let length = usize::try_from(seed % 40).unwrap_or(0);
        text::letters(&mut padding, seed, length);
        data["p"] = String::from_utf8_lossy(&padding).into();
        self.events.push(Event::named(name, data));
    }
}

fn blocks(question: &Question, plan: &Plan) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = &plan.thought {
        let content = if question.said.contains("redact") {
            json!({"redactedContent": seal::make(plan.serial, turns::REDACTED)})
        } else {
            let signature = seal::make(plan.serial, thought);
            json!({"reasoningText": {"text": thought, "signature": signature}})
        };
        blocks.push(json!({"reasoningContent": content}));
    }
    if !plan.text.is_empty() {
        blocks.push(json!({"text": plan.text}));
    }
    for call in &plan.calls {
        let id = format!("tooluse_{}", call.id);
        let used = json!({"toolUseId": id, "name": call.name, "input": call.arguments});
        blocks.push(json!({"toolUse": used}));
    }
    blocks
}

/// The start of a block, where it has one, and what is added to it.
fn unfold(block: &Value) -> (Option<Value>, Vec<Value>) {
    if let Some(text) = block["text"].as_str() {
        return (None, pieces(text).into_iter().map(|piece| json!({"text": piece})).collect());
    }
    let thought = &block["reasoningContent"];
    if let Some(text) = thought["reasoningText"]["text"].as_str() {
        let delta = |piece: &str| json!({"reasoningContent": {"text": piece}});
        let signature = &thought["reasoningText"]["signature"];
        let signature = json!({"reasoningContent": {"signature": signature}});
        return (None, pieces(text).into_iter().map(delta).chain([signature]).collect());
    }
    if thought.is_object() {
        return (None, vec![json!({"reasoningContent": thought})]);
    }
    let used = &block["toolUse"];
    let start = json!({"toolUse": {"toolUseId": used["toolUseId"], "name": used["name"]}});
    let input = used["input"].to_string();
    let delta = |piece: &str| json!({"toolUse": {"input": piece}});
    (Some(start), fragments(&input).into_iter().map(delta).collect())
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
        Finish::Refusal => "content_filtered",
    }
}

fn usage(used: Spent) -> Value {
    json!({
        "inputTokens": used.fresh,
        "outputTokens": used.output(),
        "totalTokens": used.input() + used.output(),
        "cacheReadInputTokens": used.cached,
        "cacheWriteInputTokens": used.written,
    })
}
