//! Messages.

use serde_json::{Value, json};

use super::{Body, Dice, arguments, schema};

pub(super) fn request(dice: &mut Dice<'_>) -> Body {
    let mut body = Body::new(json!({"model": "claude-sonnet-4-5", "max_tokens": 20_000}));
    body.set("tools", tools(dice));
    if dice.rarely() {
        body.set("system", content(dice, false));
    }
    body.set("messages", conversation(dice));
    body.maybe(dice, "stream", &[json!(true)])
        .maybe(dice, "temperature", &[json!(0.5), json!(1), json!(0)])
        .maybe(dice, "top_p", &[json!(0.5), json!(0.97)])
        .maybe(dice, "top_k", &[json!(5)])
        .maybe(dice, "stop_sequences", &[json!(["END"]), json!(["a", "b"])])
        .maybe(dice, "metadata", &[json!({"user_id": "u-1"}), json!({"user_id": "u-1", "odd": 1})])
        .maybe(dice, "service_tier", &[json!("auto"), json!("standard_only"), json!("odd")])
        .maybe(dice, "cache_control", &[json!({"type": "ephemeral"})])
        .maybe(dice, "container", &[json!("c")])
        .maybe(dice, "context_management", &[json!({"edits": []})])
        .maybe(dice, "mcp_servers", &[json!([{"type": "url", "url": "https://example.com", "name": "m"}])])
        .maybe(dice, "unheard_of", &[json!(1)])
        .maybe(dice, "thinking", &[
            json!({"type": "enabled", "budget_tokens": 2048}), json!({"type": "disabled"}),
            json!({"type": "enabled", "budget_tokens": 2048, "display": "omitted"}), json!({"type": "odd"}),
        ])
        .maybe(dice, "output_config", &[
            json!({"effort": "low"}), json!({"effort": "max", "odd": 1}),
            json!({"format": {"type": "json_schema", "schema": {"type": "object", "properties": {},
                "required": [], "additionalProperties": false}}}),
        ]);
    if !body.0["tools"].as_array().is_some_and(Vec::is_empty) {
        body.maybe(
            dice,
            "tool_choice",
            &[
                json!({"type": "auto"}),
                json!({"type": "any"}),
                json!({"type": "none"}),
                json!({"type": "tool", "name": "f"}),
                json!({"type": "auto", "disable_parallel_tool_use": true}),
                json!({"type": "any", "disable_parallel_tool_use": false}),
            ],
        );
    }
    body
}

fn marked(dice: &mut Dice<'_>, mut body: Body) -> Value {
    body.maybe(
        dice,
        "cache_control",
        &[
            json!({"type": "ephemeral"}),
            json!({"type": "ephemeral", "ttl": "5m"}),
            json!({"type": "ephemeral", "ttl": "1h"}),
        ],
    );
    body.done()
}

fn conversation(dice: &mut Dice<'_>) -> Value {
    let mut all = vec![json!({"role": "user", "content": content(dice, true)})];
    for turn in 0..dice.below(3) {
        let mut said = Vec::new();
        if dice.rarely() {
            said.push(json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}));
        }
        if dice.rarely() {
            said.push(json!({"type": "redacted_thinking", "data": "c2ln"}));
        }
        let mut text = Body::new(json!({"type": "text", "text": dice.text()}));
        text.maybe(dice, "citations", &[json!([{"type": "char_location", "cited_text": "x"}])]);
        said.push(marked(dice, text));
        let mut results = Vec::new();
        for call in 0..dice.below(3) {
            let id = format!("toolu_{turn}{call}");
            let made = json!({"type": "tool_use", "id": id, "name": "f", "input": arguments(dice)});
            said.push(marked(dice, Body::new(made)));
            let mut result = Body::new(json!({"type": "tool_result", "tool_use_id": id}));
            if dice.below(4) < 3 {
                result.set("content", content(dice, true));
            }
            result.maybe(dice, "is_error", &[json!(true), json!(false)]);
            results.push(marked(dice, result));
        }
        all.push(json!({"role": "assistant", "content": said}));
        let mut user = match content(dice, true) {
            text @ Value::String(_) => vec![json!({"type": "text", "text": text})],
            list => list.as_array().cloned().unwrap_or_default(),
        };
        results.append(&mut user);
        all.push(json!({"role": "user", "content": results}));
    }
    all.into()
}

fn content(dice: &mut Dice<'_>, has_media: bool) -> Value {
    if dice.below(2) == 0 {
        return dice.text();
    }
    let mut parts = Vec::new();
    for _ in 0..=dice.below(3) {
        let part = Body::new(match dice.below(if has_media { 8 } else { 1 }) {
            0 => json!({"type": "text", "text": dice.text()}),
            1 => {
                json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})
            }
            2 => {
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})
            }
            3 => json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
            4 => json!({"type": "document", "title": "a", "source": {"type": "base64",
                "media_type": "application/pdf", "data": "AAAA"}}),
            5 => {
                json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}})
            }
            6 => json!({"type": "document", "source": {"type": "content", "content": "x"}}),
            _ => json!({"type": "search_result", "source": "x", "title": "t", "content": []}),
        });
        parts.push(marked(dice, part));
    }
    parts.into()
}

fn tools(dice: &mut Dice<'_>) -> Value {
    let mut all = Vec::new();
    for name in ["f", "g"] {
        if dice.rarely() {
            let mut tool = Body::new(json!({"name": name, "input_schema": schema(dice)}));
            tool.maybe(dice, "description", &[json!("Does.")])
                .maybe(dice, "type", &[json!("custom")])
                .maybe(dice, "strict", &[json!(true), json!(false)])
                .maybe(dice, "defer_loading", &[json!(true)])
                .maybe(dice, "eager_input_streaming", &[json!(true)]);
            all.push(marked(dice, tool));
        }
    }
    if dice.rarely() {
        all.push(marked(
            dice,
            Body::new(json!({"type": "web_search_20260318", "name": "web_search", "max_uses": 5})),
        ));
    }
    all.into()
}
