//! Gemini.

use serde_json::{Value, json};

use super::{Body, Dice, arguments, schema};

pub(super) fn request(dice: &mut Dice<'_>) -> Body {
    let mut body = Body::new(json!({"contents": conversation(dice), "tools": tools(dice)}));
    body.maybe(dice, "systemInstruction", &[json!({"parts": [{"text": "Be brief."}]})])
        .maybe(
            dice,
            "safetySettings",
            &[json!([{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}])],
        )
        .maybe(dice, "cachedContent", &[json!("cachedContents/1")])
        .maybe(dice, "labels", &[json!({"team": "a"})])
        .maybe(dice, "serviceTier", &["standard", "flex", "priority", "odd"].map(Value::from))
        .maybe(dice, "unheardOf", &[json!(1)])
        .maybe(dice, "store", &[json!(true), json!(false)]);
    let config = config(dice);
    if config.as_object().is_some_and(|config| !config.is_empty()) {
        body.set("generationConfig", config);
    }
    if !body.0["tools"].as_array().is_some_and(Vec::is_empty) {
        body.maybe(dice, "toolConfig", &[
            json!({"functionCallingConfig": {"mode": "AUTO"}}), json!({"functionCallingConfig": {"mode": "NONE"}}),
            json!({"functionCallingConfig": {"mode": "ANY"}}), json!({"functionCallingConfig": {"mode": "VALIDATED"}}),
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}),
            json!({"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}}),
            json!({"retrievalConfig": {"languageCode": "de"}}),
        ]);
    }
    body
}

fn config(dice: &mut Dice<'_>) -> Value {
    let mut config = Body::new(json!({}));
    for name in ["temperature", "topP", "topK", "frequencyPenalty", "presencePenalty"] {
        config.maybe(dice, name, &[json!(0.5), json!(1)]);
    }
    config
        .maybe(dice, "seed", &[json!(7)])
        .maybe(dice, "candidateCount", &[json!(1), json!(2)])
        .maybe(dice, "maxOutputTokens", &[json!(99)])
        .maybe(dice, "stopSequences", &[json!(["a", "b"])])
        .maybe(dice, "responseLogprobs", &[json!(true), json!(false)])
        .maybe(dice, "logprobs", &[json!(3)])
        .maybe(dice, "responseModalities", &[json!(["TEXT", "IMAGE"])])
        .maybe(dice, "mediaResolution", &[json!("MEDIA_RESOLUTION_LOW")])
        .maybe(dice, "unheardOf", &[json!(1)])
        .maybe(
            dice,
            "responseMimeType",
            &["application/json", "text/plain", "text/x.enum"].map(Value::from),
        )
        .maybe(
            dice,
            "thinkingConfig",
            &[
                json!({"thinkingLevel": "LOW"}),
                json!({"thinkingBudget": 1024}),
                json!({"thinkingBudget": 0}),
                json!({"thinkingBudget": -1}),
                json!({"includeThoughts": true}),
                json!({"thinkingLevel": "HIGH", "includeThoughts": false}),
            ],
        );
    if dice.rarely() {
        config.set("responseJsonSchema", schema(dice));
    }
    config.done()
}

fn conversation(dice: &mut Dice<'_>) -> Value {
    let mut all = vec![json!({"role": "user", "parts": parts(dice)})];
    for turn in 0..dice.below(3) {
        let mut said = Vec::new();
        if dice.rarely() {
            let mut thought = Body::new(json!({"text": "hm", "thought": true}));
            thought.maybe(dice, "thoughtSignature", &[json!("c2ln")]);
            said.push(thought.done());
        }
        let mut text = Body::new(json!({"text": dice.text()}));
        text.maybe(dice, "thoughtSignature", &[json!("c2ln")]);
        said.push(text.done());
        let mut user = Vec::new();
        for call in 0..dice.below(3) {
            let id = format!("fc-{turn}{call}");
            let mut made = Body::new(
                json!({"functionCall": {"id": id, "name": "f", "args": arguments(dice)}}),
            );
            made.maybe(dice, "thoughtSignature", &[json!("c2ln")]);
            said.push(made.done());
            let response = dice.one_of(&[
                json!({"result": "18"}),
                json!({"output": "x"}),
                json!({"error": "no"}),
                json!({"degrees": 18, "sky": [1, 2.5]}),
                json!({}),
                json!({"result": {"a": 1}}),
            ]);
            let mut result = Body::new(json!({"id": id, "name": "f", "response": response}));
            result.maybe(
                dice,
                "parts",
                &[json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}])],
            );
            user.push(json!({"functionResponse": result.done()}));
        }
        all.push(json!({"role": "model", "parts": said}));
        user.extend(parts(dice));
        all.push(json!({"role": "user", "parts": user}));
    }
    all.into()
}

fn parts(dice: &mut Dice<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..=dice.below(3) {
        all.push(match dice.below(6) {
            0 | 1 => json!({"text": dice.text()}),
            2 => json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
            3 => json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
            4 => json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/files/a"},
                "videoMetadata": {"fps": 1}}),
            _ => json!({"fileData": {"mimeType": "application/pdf", "fileUri": "gs://a/b", "displayName": "b"}}),
        });
    }
    all
}

fn tools(dice: &mut Dice<'_>) -> Value {
    let mut all = Vec::new();
    let mut declared = Vec::new();
    for name in ["f", "g"] {
        if dice.rarely() {
            let mut function =
                Body::new(json!({"name": name, "parametersJsonSchema": schema(dice)}));
            function
                .maybe(dice, "description", &[json!("Does.")])
                .maybe(dice, "responseJsonSchema", &[json!({"type": "object"})])
                .maybe(dice, "behavior", &[json!("BLOCKING"), json!("NON_BLOCKING")]);
            declared.push(function.done());
        }
    }
    if !declared.is_empty() {
        all.push(json!({"functionDeclarations": declared}));
    }
    if dice.rarely() {
        all.push(dice.one_of(&[
            json!({"googleSearch": {}}),
            json!({"codeExecution": {}}),
            json!({"urlContext": {}}),
        ]));
    }
    all.into()
}
