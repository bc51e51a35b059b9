//! Converse.

use serde_json::{Value, json};

use super::{Body, Dice, arguments, schema};

pub(super) fn request(dice: &mut Dice<'_>) -> Body {
    let mut body = Body::new(json!({"messages": conversation(dice)}));
    if dice.rarely() {
        let mut system = vec![json!({"text": "Be brief."})];
        point(dice, &mut system);
        body.set("system", system);
    }
    tools(dice, &mut body);
    body.maybe(
        dice,
        "inferenceConfig",
        &[
            json!({"maxTokens": 99}),
            json!({"temperature": 0.5}),
            json!({"topP": 0.5, "stopSequences": ["a"]}),
            json!({"odd": 1}),
        ],
    )
    .maybe(
        dice,
        "outputConfig",
        &[
            json!({"effort": "low"}),
            json!({"odd": 1}),
            json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "x",
            "description": "d", "schema": "{\"type\":\"object\"}"}}}}),
        ],
    )
    .maybe(
        dice,
        "additionalModelRequestFields",
        &[
            json!({"top_k": 5}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}),
            json!({"odd": 1}),
            json!({"top_k": 5, "odd": {"a": 1}}),
        ],
    )
    .maybe(dice, "requestMetadata", &[json!({"team": "a"})])
    .maybe(
        dice,
        "serviceTier",
        &["default", "flex", "priority", "reserved", "odd"].map(|t| json!({"type": t})),
    )
    .maybe(dice, "guardrailConfig", &[json!({"guardrailIdentifier": "g", "guardrailVersion": "1"})])
    .maybe(dice, "performanceConfig", &[json!({"latency": "optimized"})])
    .maybe(dice, "additionalModelResponseFieldPaths", &[json!(["/a"])])
    .maybe(dice, "unheardOf", &[json!(1)]);
    body
}

/// A cache point behind what was said.
fn point(dice: &mut Dice<'_>, list: &mut Vec<Value>) {
    if dice.rarely() {
        let mut point = Body::new(json!({"type": "default"}));
        point.maybe(dice, "ttl", &[json!("5m"), json!("1h")]);
        list.push(json!({"cachePoint": point.done()}));
    }
}

fn conversation(dice: &mut Dice<'_>) -> Value {
    let mut all = vec![json!({"role": "user", "content": parts(dice, 0)})];
    for turn in 0..dice.below(3) {
        let mut said = Vec::new();
        if dice.rarely() {
            said.push(
                json!({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}}),
            );
        }
        if dice.rarely() {
            said.push(json!({"reasoningContent": {"redactedContent": "c2ln"}}));
        }
        said.push(json!({"text": dice.text()}));
        point(dice, &mut said);
        let mut user = Vec::new();
        for call in 0..dice.below(3) {
            let id = format!("tooluse_{turn}{call}");
            said.push(json!({"toolUse": {"toolUseId": id, "name": "f", "input": arguments(dice)}}));
            point(dice, &mut said);
            let content = dice.one_of(&[
                json!([{"text": "x"}]),
                json!([{"json": {"a": 1}}]),
                json!([{"text": "x"}, {"text": "y"}]),
                json!([{"image": {"format": "png", "source": {"bytes": "AAAA"}}}]),
            ]);
            let mut result = Body::new(json!({"toolUseId": id, "content": content}));
            result.maybe(dice, "status", &[json!("success"), json!("error")]);
            user.push(json!({"toolResult": result.done()}));
            point(dice, &mut user);
        }
        all.push(json!({"role": "assistant", "content": said}));
        user.extend(parts(dice, 10 * (turn + 1)));
        all.push(json!({"role": "user", "content": user}));
    }
    all.into()
}

/// Blocks; no two documents of a request have one name, which starts with `first`.
fn parts(dice: &mut Dice<'_>, first: usize) -> Vec<Value> {
    let mut all = vec![json!({"text": dice.text()})];
    for at in first..=first + dice.below(3) {
        all.push(match dice.below(7) {
            0 | 1 => json!({"text": dice.text()}),
            2 => json!({"image": {"format": "png", "source": {"bytes": "AAAA"}}}),
            3 => json!({"document": {"format": "pdf", "name": format!("a {at}"), "source": {"bytes": "AAAA"}}}),
            4 => json!({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://a/b.mp4"}}}}),
            5 => json!({"guardContent": {"text": {"text": "x"}}}),
            _ => json!({"document": {"format": "txt", "name": format!("b {at}"), "source": {"text": "x"},
                "context": "c", "citations": {"enabled": true}}}),
        });
        point(dice, &mut all);
    }
    all
}

fn tools(dice: &mut Dice<'_>, body: &mut Body) {
    let mut all = Vec::new();
    for name in ["f", "g"] {
        if dice.rarely() {
            let mut tool = Body::new(json!({"name": name, "inputSchema": {"json": schema(dice)}}));
            tool.maybe(dice, "description", &[json!("Does.")]).maybe(
                dice,
                "strict",
                &[json!(true), json!(false)],
            );
            all.push(json!({"toolSpec": tool.done()}));
            point(dice, &mut all);
        }
    }
    if all.is_empty() {
        return;
    }
    let mut config = Body::new(json!({"tools": all}));
    config.maybe(
        dice,
        "toolChoice",
        &[json!({"auto": {}}), json!({"any": {}}), json!({"tool": {"name": "f"}})],
    );
    body.set("toolConfig", config.done());
}
