//! OpenAI's chat: answers that are more than text, written.
//!
//! In: the request, a question and its plan. Out: the completion, whole or as chunks. Parallel calls
//! come one after the other, or, when the last turn says `interleave`, in turns.
//! Format: <https://platform.openai.com/docs/api-reference/chat/object>

use serde_json::{Value, json};

use crate::provider::ask::Ask;
use crate::provider::dialect::anthropic::answer::fragments;
use crate::provider::dialect::plan::{Finish, Plan, Question, Spent, pieces};
use crate::provider::pieces::Event;
use crate::provider::plain::Identity;
use crate::provider::refusal::error_body;
use crate::provider::script::{Script, UsageForm};

/// The whole completion.
pub(crate) fn whole(ask: &Ask, identity: Identity, plan: &Plan, script: &Script) -> Value {
    let mut message =
        json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
    if !plan.text.is_empty() {
        message[part(plan)] = plan.text.clone().into();
    }
    if !plan.calls.is_empty() {
        let calls = plan.calls.iter().map(|call| {
            let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
            json!({"id": format!("call_{}", call.id), "type": "function", "function": function})
        });
        message["tool_calls"] = calls.collect();
    }
    let choice = |index: u64| {
        let finish = finish_reason(plan.finish);
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish})
    };
    let mut body = opening(ask, identity, "chat.completion");
    body["choices"] = (0..ask.choices).map(choice).collect();
    if script.usage != UsageForm::Never {
        body["usage"] = usage(plan.used, ask.choices);
    }
    body
}

/// The completion as chunks.
pub(crate) fn events(
    ask: &Ask,
    identity: Identity,
    question: &Question,
    plan: &Plan,
    script: &Script,
) -> Vec<Event> {
    let opening = opening(ask, identity, "chat.completion.chunk");
    let wants_usage = ask.include_usage && script.usage != UsageForm::Never;
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = opening.clone();
        chunk["choices"] = choices;
        if let Some(usage) = usage.or(wants_usage.then_some(Value::Null)) {
            chunk["usage"] = usage;
        }
        Event::new(chunk)
    };
    let one = |index: u64, delta: Value, finish: Value, usage: Option<Value>| {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        chunk(json!([choice]), usage)
    };
    let whole_usage = || usage(plan.used, ask.choices);
    let every = || (script.usage == UsageForm::Every).then(whole_usage);
    let mut events = Vec::new();
    for delta in deltas(question, plan) {
        for choice in 0..ask.choices {
            events.push(one(choice, delta.clone(), Value::Null, every()));
        }
    }
    for choice in 0..ask.choices {
        let merged = script.usage == UsageForm::Merged;
        let usage = merged.then(whole_usage).or_else(every);
        events.push(one(choice, json!({}), finish_reason(plan.finish).into(), usage));
    }
    if wants_usage && script.usage == UsageForm::Asked {
        events.push(chunk(json!([]), Some(whole_usage())));
    }
    if script.done {
        events.push(Event::new("[DONE]"));
    }
    events
}

/// The event of a failure in the middle.
pub(crate) fn failure() -> Event {
    let message = "The server had an error while processing your request. Sorry about that!";
    let body = error_body(message, "server_error", None, None);
    Event::new(String::from_utf8_lossy(&body))
}

fn part(plan: &Plan) -> &'static str {
    if plan.finish == Finish::Refusal { "refusal" } else { "content" }
}

fn deltas(question: &Question, plan: &Plan) -> Vec<Value> {
    let start = if plan.calls.is_empty() { json!("") } else { Value::Null };
    let mut deltas = vec![json!({"role": "assistant", "content": start, "refusal": null})];
    deltas.extend(pieces(&plan.text).into_iter().map(|piece| json!({part(plan): piece})));
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (index, call) in plan.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let id = format!("call_{}", call.id);
        let start = json!({"index": index, "id": id, "type": "function", "function": function});
        let json = call.arguments.to_string();
        let fragment = |piece: &&str| json!({"index": index, "function": {"arguments": piece}});
        let fragments = fragments(&json);
        rows.push(std::iter::once(start).chain(fragments.iter().map(fragment)).collect());
    }
    let delta = |call: &Value| json!({"tool_calls": [call]});
    if question.said.contains("interleave") {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        for place in 0..longest {
            deltas.extend(rows.iter().filter_map(|row| row.get(place)).map(delta));
        }
    } else {
        deltas.extend(rows.iter().flatten().map(delta));
    }
    deltas
}

fn opening(ask: &Ask, identity: Identity, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{:029x}", identity.serial),
        "object": object,
        "created": identity.created,
        "model": ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_0000000000",
    })
}

fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

fn usage(used: Spent, choices: u64) -> Value {
    let completion = used.output() * choices;
    json!({
        "prompt_tokens": used.input(),
        "completion_tokens": completion,
        "total_tokens": used.input() + completion,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": used.thought,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
