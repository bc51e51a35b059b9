//! Google's generateContent: answers written.
//!
//! In: a question and its plan. Out: the response, whole or as events.
//! Format: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>

use serde_json::{Value, json};

use super::turns;
use crate::provider::dialect::plan::{Finish, Plan, Question, Spent, pieces};
use crate::provider::dialect::{seal, words};
use crate::provider::pieces::Event;
use crate::provider::text;

/// Numbers of a vector when the request does not say.
const DIMENSIONS: u64 = 768;

/// The whole response.
pub(crate) fn whole(question: &Question, plan: &Plan) -> Value {
    response(question, plan, parts(plan), true, plan.used)
}

/// The response as events: a piece of text or all calls in each, usage in every one.
pub(crate) fn events(question: &Question, plan: &Plan) -> Vec<Event> {
    let mut groups: Vec<Vec<Value>> = Vec::new();
    let mut calls = Vec::new();
    for part in parts(plan) {
        match part["text"].as_str() {
            Some(text) => {
                let pieces = pieces(text);
                for piece in &pieces {
                    let mut piece_part = json!({"text": piece});
                    if part["thought"] == true {
                        piece_part["thought"] = true.into();
                    }
                    groups.push(vec![piece_part]);
                }
                if let Some(signature) = part.get("thoughtSignature") {
                    groups.push(vec![json!({"text": "", "thoughtSignature": signature})]);
                }
            }
            None => calls.push(part),
        }
    }
    if !calls.is_empty() {
        groups.push(calls);
    }
    let last = groups.len().saturating_sub(1);
    let event = |(index, parts): (usize, Vec<Value>)| {
        let so_far = (index as u64 + 1).min(plan.used.answer);
        let answer = if index == last { plan.used.answer } else { so_far };
        let used = Spent { answer, ..plan.used };
        Event::new(response(question, plan, parts, index == last, used))
    };
    groups.into_iter().enumerate().map(event).collect()
}

/// The event of a failure in the middle.
pub(crate) fn failure() -> Event {
    Event::new(words::google(503, "The model is overloaded. Please try again later."))
}

/// The answer to a request for vectors.
pub(crate) fn embeddings(question: &Question, is_batch: bool) -> Value {
    let size = question.tokens_max.unwrap_or(DIMENSIONS);
    let seed = text::hash(0, &question.prompt);
    let vector = |index: usize| {
        let numbers =
            (0..size).map(|place| text::coordinate(text::mix(seed ^ index as u64), place));
        json!({"values": numbers.collect::<Vec<f32>>()})
    };
    if is_batch {
        return json!({"embeddings": (0..question.marks).map(vector).collect::<Vec<_>>()});
    }
    json!({"embedding": vector(0)})
}

/// The list of models.
pub(crate) fn models(names: &[String]) -> Value {
    json!({"models": names.iter().map(|name| model(name)).collect::<Vec<_>>()})
}

/// One model.
pub(crate) fn model(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "embedContent"],
    })
}

fn response(
    question: &Question,
    plan: &Plan,
    parts: Vec<Value>,
    is_last: bool,
    used: Spent,
) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if is_last {
        candidate["finishReason"] = match plan.finish {
            Finish::Stop | Finish::Calls => "STOP",
            Finish::Length => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
        }
        .into();
    }
    if plan.finish == Finish::Refusal && is_last {
        candidate["safetyRatings"] = json!([{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true}]);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(used),
        "modelVersion": question.model,
        "responseId": format!("sim{:020x}", plan.serial),
    })
}

fn usage(used: Spent) -> Value {
    let mut usage = json!({
        "promptTokenCount": used.input(),
        "candidatesTokenCount": used.answer,
        "totalTokenCount": used.input() + used.output(),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used.input()}],
    });
    if used.cached > 0 {
        usage["cachedContentTokenCount"] = used.cached.into();
        usage["cacheTokensDetails"] = json!([{"modality": "TEXT", "tokenCount": used.cached}]);
    }
    if used.thought > 0 {
        usage["thoughtsTokenCount"] = used.thought.into();
    }
    usage
}

fn parts(plan: &Plan) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(thought) = &plan.thought {
        parts.push(json!({"text": thought, "thought": true}));
    }
    if !plan.text.is_empty() || plan.calls.is_empty() {
        let mut part = json!({"text": plan.text});
        if plan.thought.is_some() && plan.calls.is_empty() {
            part["thoughtSignature"] = seal::make(plan.serial, turns::TEXT).into();
        }
        parts.push(part);
    }
    for (index, call) in plan.calls.iter().enumerate() {
        let mut part = json!({"functionCall": {"name": call.name, "args": call.arguments}});
        // Of parallel calls only the first is signed.
        if plan.thought.is_some() && index == 0 {
            part["thoughtSignature"] = seal::make(plan.serial, &call.name).into();
        }
        parts.push(part);
    }
    parts
}
