//! Requests as they are sent.

use serde_json::{Value, json};

use super::*;
use crate::{
    chat::{Message, Part, PartBody, ReasoningPart, Role},
    dialect::{
        Call,
        gemini::request::{read, read_count_request},
    },
    quirks::Quirks,
};

const THIRD: &str = "gemini-3-pro-preview";
const SECOND: &str = "gemini-2.5-flash";

fn written(request: &Request<'_>, model: &str) -> (Value, String) {
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    let terms = Terms { model, output_max: 100, quirks: &Quirks::NONE };
    write(&mut out, request, &terms, &mut loss).unwrap();
    (serde_json::from_slice(&out).unwrap(), loss.list())
}

fn of(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, name: None, parts }
}

fn call(id: &'static str, name: &'static str, signature: Option<&'static str>) -> Part<'static> {
    Part::new(PartBody::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: "{\"a\":1}".into(),
        kind: ToolKind::Function,
        signature: signature.map(Into::into),
    })
}

fn result(id: &'static str, text: &'static str, is_error: bool) -> Part<'static> {
    let content = vec![Part::text(text)];
    Part::new(PartBody::ToolResult { id: id.into(), name: None, content, is_error })
}

fn contents(messages: Vec<Message<'static>>, model: &str) -> Value {
    written(&Request { messages, ..Request::default() }, model).0["contents"].clone()
}

#[test]
fn results_stand_behind_their_calls_one_each() {
    let messages = vec![
        of(Role::User, vec![Part::text("go")]),
        of(Role::Assistant, vec![Part::text("on it"), call("x", "f", None), call("y", "g", None)]),
        of(Role::Assistant, vec![call("z", "h", None)]),
        of(Role::User, vec![Part::text("more"), result("y", "{\"k\":[1]}", false)]),
        of(Role::User, vec![result("x", "broken", true), result("stray", "s", false)]),
        of(Role::Developer, vec![Part::text("be brief")]),
    ];
    let expected = |sign: &str| {
        let mut first = json!({"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}});
        if !sign.is_empty() {
            first["thoughtSignature"] = sign.into();
        }
        let error = json!({"error": "no result was given"});
        json!([
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [
                {"text": "on it"}, first,
                {"functionCall": {"id": "y", "name": "g", "args": {"a": 1}}},
                {"functionCall": {"id": "z", "name": "h", "args": {"a": 1}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "x", "name": "f", "response": {"error": "broken"}}},
                {"functionResponse": {"id": "y", "name": "g", "response": {"k": [1]}}},
                {"functionResponse": {"id": "z", "name": "h", "response": error}},
                {"text": "more"},
                {"text": "Result of stray:\ns"},
                {"text": "<system-reminder>\nbe brief\n</system-reminder>"},
            ]},
        ])
    };
    assert_eq!(contents(messages.clone(), SECOND), expected(""));
    assert_eq!(contents(messages, THIRD), expected("skip_thought_signature_validator"));
}

#[test]
fn a_result_far_behind_its_call_is_brought_back() {
    let messages = vec![
        of(Role::Assistant, vec![call("x", "f", Some("c2ln"))]),
        of(Role::User, vec![Part::text("wait")]),
        of(Role::Assistant, vec![Part::text("ok")]),
        of(Role::User, vec![result("x", "r", false)]),
    ];
    let expected = json!([
        {"role": "user", "parts": [{"text": " "}]},
        {"role": "model", "parts": [{"functionCall": {"id": "x", "name": "f", "args": {"a": 1}},
            "thoughtSignature": "c2ln"}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "x", "name": "f", "response": {"result": "r"}}},
            {"text": "wait"}]},
        {"role": "model", "parts": [{"text": "ok"}]},
    ]);
    assert_eq!(contents(messages, THIRD), expected);
}

#[test]
fn thoughts_keep_their_signatures_and_foreign_ones_go() {
    let thought = |text: &'static str, signature: Option<&'static str>, redacted| {
        let signature = signature.map(Into::into);
        Part::new(PartBody::Reasoning(ReasoningPart {
            text: text.into(),
            signature,
            redacted,
            id: None,
        }))
    };
    let messages = vec![
        of(Role::User, vec![Part::text("q")]),
        of(
            Role::Assistant,
            vec![
                thought("hm", Some("c2ln"), false),
                thought("", Some("hidden"), true),
                thought("no base64", Some("a.b"), false),
                Part::text("answer"),
                thought("", Some("ZW5k"), false),
                thought("", Some("YWxvbmU="), false),
            ],
        ),
    ];
    let expected = json!([
        {"text": "hm", "thought": true, "thoughtSignature": "c2ln"},
        {"text": "no base64", "thought": true},
        {"text": "answer", "thoughtSignature": "ZW5k"},
        {"text": "", "thoughtSignature": "YWxvbmU="},
    ]);
    assert_eq!(contents(messages, THIRD)[1]["parts"], expected);
}

#[test]
fn prefixes_of_a_conversation_keep_their_bytes() {
    let turns = [
        of(Role::System, vec![Part::text("be")]),
        of(Role::User, vec![Part::text("one")]),
        of(Role::Assistant, vec![call("x", "f", None)]),
        of(Role::User, vec![result("x", "r", false)]),
        of(Role::Assistant, vec![Part::text("two")]),
        of(Role::User, vec![Part::text("three")]),
    ];
    let body = |len: usize| {
        let request = Request { messages: turns[..len].to_vec(), ..Request::default() };
        let mut out = Vec::new();
        let terms = Terms { model: THIRD, output_max: 1, quirks: &Quirks::NONE };
        write(&mut out, &request, &terms, &mut Loss::default()).unwrap();
        out
    };
    let longest = body(turns.len());
    for len in 2..turns.len() {
        let prefix = body(len);
        let prefix = prefix.strip_suffix(b"]}").unwrap();
        assert!(longest.starts_with(prefix), "{len}");
    }
}

/// What is read is written again, with nothing lost.
fn check_round_trip(body: &Value, model: &str) {
    let text = body.to_string();
    let call = Call { model: Some(model), stream: None };
    let request = read(text.as_bytes(), &call).unwrap();
    let (written, loss) = written(&request, model);
    assert_eq!((&written, &*loss), (body, ""));
}

#[test]
fn what_the_dialect_can_say_comes_back_whole() {
    check_round_trip(
        &json!({
            "systemInstruction": {"parts": [{"text": "be"}]},
            "tools": [
                {"functionDeclarations": [{"name": "a.b:c", "description": "d",
                    "parametersJsonSchema": {"$schema": "x", "type": "object", "const": 1}}]},
                {"googleSearch": {"timeRangeFilter": {}}},
            ],
            "contents": [
                {"role": "user", "parts": [{"text": "q"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"},
                     "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
                    {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x.pdf"}}]},
                {"role": "model", "parts": [
                    {"text": "t", "thought": true},
                    {"executableCode": {"language": "PYTHON", "code": "1"}},
                    {"functionCall": {"id": "i", "name": "a.b:c", "args": {"x": 1.50}},
                     "thoughtSignature": "c2ln"}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "i", "name": "a.b:c", "response": {"r": 1},
                     "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}]},
            ],
            "toolConfig": {
                "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["a.b:c"],
                    "streamFunctionCallArguments": true},
                "retrievalConfig": {"languageCode": "de"}},
            "generationConfig": {
                "temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 1, "frequencyPenalty": 0.1,
                "presencePenalty": -0.1, "candidateCount": 2, "responseLogprobs": true,
                "logprobs": 3, "maxOutputTokens": 99, "stopSequences": ["x", "y"],
                "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
                "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "HIGH"},
                "responseModalities": ["TEXT"], "speechConfig": {"languageCode": "de-DE"}},
            "labels": {"team": "a"},
            "serviceTier": "priority",
            "safetySettings": [{"category": "X", "threshold": "OFF"}],
            "cachedContent": "cachedContents/1",
        }),
        THIRD,
    );
}

#[test]
fn thinking_is_said_as_the_model_takes_it() {
    for (asked, model, expected) in [
        (r#"{"thinkingLevel":"LOW"}"#, SECOND, json!({"thinkingBudget": 2048})),
        (r#"{"thinkingLevel":"LOW"}"#, THIRD, json!({"thinkingLevel": "LOW"})),
        (r#"{"thinkingBudget":700}"#, THIRD, json!({"thinkingBudget": 700})),
        (r#"{"thinkingBudget":0}"#, SECOND, json!({"thinkingBudget": 0})),
        (r#"{"thinkingBudget":-1}"#, SECOND, json!({"thinkingBudget": -1})),
        (r#"{"thinkingBudget":-1}"#, THIRD, Value::Null),
    ] {
        let body =
            format!("{{\"contents\":[],\"generationConfig\":{{\"thinkingConfig\":{asked}}}}}");
        let request = read(body.as_bytes(), &Call::default()).unwrap();
        let (written, _) = written(&request, model);
        assert_eq!(written["generationConfig"]["thinkingConfig"], expected, "{asked} {model}");
    }
}

#[test]
fn what_cannot_be_said_is_told() {
    let tool = |name: &'static str, kind, json: &'static str| Tool {
        kind,
        name: name.into(),
        description: None,
        parameters: Json::new(json.as_bytes()),
        strict: None,
        cache: None,
    };
    let request = Request {
        messages: vec![of(Role::User, vec![Part::text("q")])],
        tools: vec![
            tool("web_search", ToolKind::Other, r#"{"type":"web_search"}"#),
            tool("patch", ToolKind::Custom, "{}"),
        ],
        parallel_tools: Some(false),
        stop: ["1", "2", "3", "4", "5", "6"].map(Into::into).to_vec(),
        metadata: Json::new(br#"{"Key":"Some Value"}"#),
        rest: vec![("logit_thing".into(), Json::new(b"1").unwrap())],
        ..Request::default()
    };
    let (body, loss) = written(&request, THIRD);
    let expected = "tools.web_search,tools.patch,parallel_tool_calls,stop,metadata,logit_thing";
    assert_eq!(loss, expected);
    let stops = json!({"stopSequences": ["1", "2", "3", "4", "5"]});
    assert_eq!(body["generationConfig"], stops);
    assert!(body.get("tools").is_none() && body.get("toolConfig").is_none());
}

#[test]
fn a_count_is_asked_for_a_whole_request() {
    let messages = vec![of(Role::User, vec![Part::text("q")])];
    let request = Request { messages, output_max: Some(5), ..Request::default() };
    let mut out = Vec::new();
    let terms = Terms { model: "gemini-3-pro", output_max: 1, quirks: &Quirks::NONE };
    write_count_request(&mut out, &request, &terms, &mut Loss::default()).unwrap();
    let read = read_count_request(&out, &Call::default()).unwrap();
    assert_eq!((&*read.model, read.output_max), ("gemini-3-pro", Some(5)));
    assert_eq!(count_path("gemini-3-pro"), "/models/gemini-3-pro:countTokens");
}

#[test]
fn paths_name_the_model_and_the_verb() {
    for (model, is_stream, expected) in [
        ("gemini-3-pro", false, "/models/gemini-3-pro:generateContent"),
        ("models/gemini-3-pro", true, "/models/gemini-3-pro:streamGenerateContent?alt=sse"),
        ("tunedModels/a-1", false, "/tunedModels/a-1:generateContent"),
        ("a b?", false, "/models/a%20b%3F:generateContent"),
        (
            "publishers/google/models/gemini-3-pro",
            false,
            "/publishers/google/models/gemini-3-pro:generateContent",
        ),
    ] {
        assert_eq!(path(model, is_stream), expected);
    }
}
