//! Chat Completions.

use serde_json::{Value, json};

use super::{Body, Dice, arguments, schema};

pub(super) fn request(dice: &mut Dice<'_>) -> Body {
    let mut body = Body::new(json!({"model": "gpt-5.5"}));
    body.set("messages", conversation(dice)).set("tools", tools(dice));
    if dice.rarely() {
        body.set("stream", true);
    }
    settings(dice, &mut body);
    if !body.0["tools"].as_array().is_some_and(Vec::is_empty) {
        body.maybe(dice, "parallel_tool_calls", &[json!(false), json!(true)]);
        body.maybe(
            dice,
            "tool_choice",
            &[
                json!("auto"),
                json!("none"),
                json!("required"),
                json!({"type": "function", "function": {"name": "f"}}),
                json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
                "tools": [{"type": "function", "function": {"name": "f"}}]}}),
            ],
        );
    }
    body
}

fn settings(dice: &mut Dice<'_>, body: &mut Body) {
    let number = &[json!(0.5), json!(1), json!(0)];
    for name in ["temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k", "min_p"]
    {
        body.maybe(dice, name, number);
    }
    body.maybe(dice, "seed", &[json!(7), json!(-1)])
        .maybe(dice, "logit_bias", &[json!({"50": -100})])
        .maybe(dice, "n", &[json!(1), json!(2)])
        .maybe(dice, "logprobs", &[json!(true), json!(false)])
        .maybe(dice, "top_logprobs", &[json!(0), json!(5)])
        .maybe(dice, "max_completion_tokens", &[json!(9)])
        .maybe(dice, "max_tokens", &[json!(9)])
        .maybe(dice, "stop", &[json!("END"), json!(["a", "\n"])])
        .maybe(dice, "metadata", &[json!({"team": "a"})])
        .maybe(dice, "store", &[json!(true), json!(false)])
        .maybe(dice, "verbosity", &[json!("low"), json!("high")])
        .maybe(dice, "service_tier", &["auto", "default", "flex", "priority", "scale", "fast"].map(Value::from))
        .maybe(dice, "reasoning_effort", &["none", "minimal", "low", "xhigh", "odd"].map(Value::from))
        .maybe(dice, "prompt_cache_key", &[json!("k")])
        .maybe(dice, "prompt_cache_retention", &[json!("24h")])
        .maybe(dice, "user", &[json!("u-1")])
        .maybe(dice, "safety_identifier", &[json!("u-1"), json!("u-2")])
        .maybe(dice, "modalities", &[json!(["text", "audio"])])
        .maybe(dice, "audio", &[json!({"voice": "alloy", "format": "wav"})])
        .maybe(dice, "prediction", &[json!({"type": "content", "content": "x"})])
        .maybe(dice, "web_search_options", &[json!({})])
        .maybe(dice, "unheard_of", &[json!(1)])
        .maybe(dice, "reasoning", &[json!({"effort": "low"}), json!({"max_tokens": 9}), json!({"exclude": true})])
        .maybe(dice, "thinking", &[json!({"type": "enabled"}), json!({"type": "disabled"})])
        .maybe(dice, "response_format", &[
            json!({"type": "text"}), json!({"type": "json_object"}),
            json!({"type": "json_schema", "json_schema": {"name": "answer", "description": "d", "strict": true,
                "schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": false}}}),
            json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}),
            json!({"type": "grammar", "grammar": "x"}),
        ]);
}

fn conversation(dice: &mut Dice<'_>) -> Value {
    let mut all = Vec::new();
    for role in ["system", "developer"] {
        if dice.rarely() {
            all.push(json!({"role": role, "content": content(dice, false)}));
        }
    }
    all.push(json!({"role": "user", "content": content(dice, true)}));
    for turn in 0..dice.below(3) {
        answer(dice, turn, &mut all);
        let mut user = Body::new(json!({"role": "user", "content": content(dice, true)}));
        user.maybe(dice, "name", &[json!("ada")]).maybe(dice, "odd", &[json!(1)]);
        all.push(user.done());
    }
    all.into()
}

fn answer(dice: &mut Dice<'_>, turn: usize, all: &mut Vec<Value>) {
    let mut message = Body::new(json!({"role": "assistant", "content": dice.text()}));
    message
        .maybe(dice, "name", &[json!("bot")])
        .maybe(dice, "refusal", &[json!("No.")])
        .maybe(dice, "annotations", &[json!([])])
        .maybe(dice, "audio", &[json!({"id": "audio_1"})])
        .maybe(dice, "reasoning_content", &[json!("hm")])
        .maybe(
            dice,
            "reasoning_details",
            &[
                json!([{"type": "reasoning.text", "text": "hm", "signature": "c2ln"}]),
                json!([{"type": "reasoning.encrypted", "data": "c2ln"}]),
            ],
        );
    let mut results = Vec::new();
    let mut calls = Vec::new();
    for call in 0..dice.below(3) {
        let id = format!("call_{turn}_{call}");
        let mut made = match dice.below(3) {
            2 => Body::new(
                json!({"id": id, "type": "custom", "custom": {"name": "c", "input": dice.text()}}),
            ),
            _ => Body::new(json!({"id": id, "type": "function", "function":
                {"name": "f", "arguments": arguments(dice).to_string()}})),
        };
        made.maybe(dice, "extra_content", &[json!({"google": {"thought_signature": "c2ln"}})]);
        calls.push(made.done());
        results.push(json!({"role": "tool", "tool_call_id": id, "content": content(dice, false)}));
    }
    if !calls.is_empty() {
        message.set("tool_calls", calls);
    }
    all.push(message.done());
    all.append(&mut results);
}

/// A text, or a list of parts.
fn content(dice: &mut Dice<'_>, has_media: bool) -> Value {
    if dice.below(2) == 0 {
        return dice.text();
    }
    let mut parts = Vec::new();
    for _ in 0..=dice.below(3) {
        let mut part = Body::new(match dice.below(if has_media { 7 } else { 1 }) {
            0 => json!({"type": "text", "text": dice.text()}),
            1 => json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
            2 => {
                json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}})
            }
            3 => json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
            4 => {
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}})
            }
            5 => json!({"type": "file", "file": {"file_id": "file-1"}}),
            _ => json!({"type": "odd", "odd": 1}),
        });
        part.maybe(
            dice,
            "prompt_cache_breakpoint",
            &[
                json!({"mode": "explicit"}),
                json!({"mode": "explicit", "ttl": "30m"}),
                json!({"mode": "explicit", "ttl": "12h"}),
            ],
        );
        parts.push(part.done());
    }
    parts.into()
}

fn tools(dice: &mut Dice<'_>) -> Value {
    let mut all = Vec::new();
    for name in ["f", "g"] {
        if dice.rarely() {
            let mut function = Body::new(json!({"name": name, "parameters": schema(dice)}));
            function.maybe(dice, "description", &[json!("Does."), json!("")]).maybe(
                dice,
                "strict",
                &[json!(true), json!(false)],
            );
            all.push(json!({"type": "function", "function": function.done()}));
        }
    }
    if dice.rarely() {
        let mut custom = Body::new(json!({"name": "c"}));
        custom.maybe(dice, "description", &[json!("Does.")]).maybe(
            dice,
            "format",
            &[
                json!({"type": "text"}),
                json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}),
            ],
        );
        all.push(json!({"type": "custom", "custom": custom.done()}));
    }
    all.into()
}
