//! Responses.

use serde_json::{Value, json};

use super::{Body, Dice, arguments, schema};

pub(super) fn request(dice: &mut Dice<'_>) -> Body {
    let mut body = Body::new(json!({"model": "gpt-5.5"}));
    body.set("input", input(dice)).set("tools", tools(dice));
    body.maybe(dice, "stream", &[json!(true)])
        .maybe(dice, "instructions", &[json!("Be brief.")])
        .maybe(dice, "max_output_tokens", &[json!(99)])
        .maybe(dice, "temperature", &[json!(0.5)])
        .maybe(dice, "top_p", &[json!(0.5)])
        .maybe(dice, "top_logprobs", &[json!(3)])
        .maybe(dice, "store", &[json!(true), json!(false)])
        .maybe(dice, "metadata", &[json!({"team": "a"})])
        .maybe(dice, "prompt_cache_key", &[json!("k")])
        .maybe(dice, "prompt_cache_options", &[json!({"mode": "explicit"})])
        .maybe(dice, "user", &[json!("u-1")])
        .maybe(dice, "safety_identifier", &[json!("u-1"), json!("u-2")])
        .maybe(dice, "service_tier", &["auto", "default", "flex", "priority", "scale", "fast"].map(Value::from))
        .maybe(dice, "truncation", &[json!("auto"), json!("disabled")])
        .maybe(dice, "background", &[json!(true), json!(false)])
        .maybe(dice, "previous_response_id", &[json!("resp_1")])
        .maybe(dice, "conversation", &[json!("conv_1"), json!({"id": "conv_1"})])
        .maybe(dice, "prompt", &[json!({"id": "p"})])
        .maybe(dice, "max_tool_calls", &[json!(3)])
        .maybe(dice, "unheard_of", &[json!(1)])
        .maybe(dice, "stream_options", &[json!({"include_obfuscation": true}), json!({"include_obfuscation": false})])
        .maybe(dice, "include", &[
            json!(["reasoning.encrypted_content"]), json!(["message.output_text.logprobs"]),
            json!(["file_search_call.results", "reasoning.encrypted_content"]),
        ])
        .maybe(dice, "reasoning", &[
            json!({"effort": "low"}), json!({"effort": "xhigh", "summary": "auto"}),
            json!({"summary": "detailed"}), json!({"odd": 1}),
        ])
        .maybe(dice, "text", &[
            json!({"verbosity": "low"}), json!({"format": {"type": "text"}}), json!({"odd": 1}),
            json!({"format": {"type": "json_object"}}), json!({"format": {"type": "grammar"}}),
            json!({"format": {"type": "json_schema", "name": "x", "description": "d", "strict": true,
                "schema": {"type": "object"}}, "verbosity": "high"}),
        ]);
    if !body.0["tools"].as_array().is_some_and(Vec::is_empty) {
        body.maybe(dice, "parallel_tool_calls", &[json!(false), json!(true)]);
        body.maybe(dice, "tool_choice", &[
            json!("auto"), json!("none"), json!("required"), json!({"type": "function", "name": "f"}),
            json!({"type": "web_search"}),
            json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
        ]);
    }
    body
}

fn input(dice: &mut Dice<'_>) -> Value {
    if dice.below(4) == 0 {
        return dice.text();
    }
    let mut all = Vec::new();
    for role in ["system", "developer"] {
        if dice.rarely() {
            all.push(json!({"role": role, "content": content(dice, false)}));
        }
    }
    all.push(json!({"type": "message", "role": "user", "content": content(dice, true)}));
    for turn in 0..dice.below(3) {
        if dice.rarely() {
            all.push(thought(dice, turn));
        }
        let mut part = Body::new(json!({"type": "output_text", "text": dice.text()}));
        part.maybe(dice, "annotations", &[json!([])]);
        if dice.rarely() {
            part = Body::new(json!({"type": "refusal", "refusal": "No."}));
        }
        let mut message =
            Body::new(json!({"type": "message", "role": "assistant", "content": [part.done()]}));
        message
            .maybe(dice, "id", &[json!("msg_1")])
            .maybe(dice, "status", &[json!("completed")])
            .maybe(dice, "phase", &[json!("commentary")]);
        all.push(message.done());
        calls(dice, turn, &mut all);
        all.push(json!({"role": "user", "content": content(dice, true)}));
    }
    all.into()
}

fn thought(dice: &mut Dice<'_>, turn: usize) -> Value {
    let mut thought =
        Body::new(json!({"type": "reasoning", "id": format!("rs_{turn}"), "summary": []}));
    thought.maybe(
        dice,
        "summary",
        &[
            json!([{"type": "summary_text", "text": "hm"}]),
            json!([{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]),
        ],
    );
    thought
        .maybe(dice, "encrypted_content", &[json!("gAAA")])
        .maybe(dice, "status", &[json!("completed")])
        .maybe(dice, "content", &[json!([{"type": "reasoning_text", "text": "so"}])]);
    thought.done()
}

fn calls(dice: &mut Dice<'_>, turn: usize, all: &mut Vec<Value>) {
    let mut results = Vec::new();
    for call in 0..dice.below(3) {
        let id = format!("call_{turn}_{call}");
        match dice.below(4) {
            3 => {
                all.push(json!({"type": "custom_tool_call", "call_id": id, "name": "c", "input": dice.text()}));
                results.push(json!({"type": "custom_tool_call_output", "call_id": id, "output": dice.text()}));
            }
            2 => all.push(json!({"type": "web_search_call", "id": id, "status": "completed"})),
            _ => {
                let arguments = arguments(dice).to_string();
                all.push(json!({"type": "function_call", "call_id": id, "name": "f", "arguments": arguments}));
                let output = content(dice, false);
                results
                    .push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
        }
    }
    all.append(&mut results);
}

fn content(dice: &mut Dice<'_>, has_media: bool) -> Value {
    if dice.below(2) == 0 {
        return dice.text();
    }
    let mut parts = Vec::new();
    for _ in 0..=dice.below(3) {
        let mut part = Body::new(match dice.below(if has_media { 8 } else { 1 }) {
            0 => json!({"type": "input_text", "text": dice.text()}),
            1 => {
                json!({"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"})
            }
            2 => {
                json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"})
            }
            3 => json!({"type": "input_image", "file_id": "file-1", "detail": "high"}),
            4 => {
                json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"})
            }
            5 => json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
            6 => json!({"type": "input_file", "file_id": "file-1"}),
            _ => json!({"type": "odd", "odd": 1}),
        });
        part.maybe(
            dice,
            "prompt_cache_breakpoint",
            &[json!({"mode": "explicit"}), json!({"mode": "explicit", "ttl": "12h"})],
        );
        parts.push(part.done());
    }
    parts.into()
}

fn tools(dice: &mut Dice<'_>) -> Value {
    let mut all = Vec::new();
    if dice.rarely() {
        let mut function =
            Body::new(json!({"type": "function", "name": "f", "parameters": schema(dice)}));
        function
            .maybe(dice, "description", &[json!("Does.")])
            .maybe(dice, "strict", &[json!(true), json!(false)])
            .maybe(dice, "defer_loading", &[json!(true), json!(false)]);
        all.push(function.done());
    }
    if dice.rarely() {
        let mut custom = Body::new(json!({"type": "custom", "name": "c"}));
        custom.maybe(dice, "description", &[json!("Does.")]).maybe(
            dice,
            "format",
            &[
                json!({"type": "text"}),
                json!({"type": "grammar", "syntax": "lark", "definition": "start: x"}),
            ],
        );
        all.push(custom.done());
    }
    if dice.rarely() {
        all.push(json!({"type": "web_search", "external_web_access": false}));
    }
    if dice.rarely() {
        let function = json!({"type": "function", "name": "g", "parameters": schema(dice)});
        let mut namespace =
            Body::new(json!({"type": "namespace", "name": "n", "tools": [function]}));
        namespace.maybe(dice, "description", &[json!("Many.")]);
        all.push(namespace.done());
    }
    all.into()
}
