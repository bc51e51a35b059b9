//! The provider's other dialects, spoken to over real sockets.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use loadtest::http::Chunks;
use loadtest::provider::{Provider, Reason, Settings};
use serde_json::{Value, json};

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The data of the events.
    fn events(&self) -> Vec<Value> {
        let text = self.text().replace("\r\n", "\n");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

fn send(provider: &Provider, line: &str, fields: &str, body: &str) -> Answer {
    let mut socket = TcpStream::connect(provider.address()).unwrap();
    let length = body.len();
    let wire = format!(
        "{line} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {fields}Content-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(wire.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut body = answer[end..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        let coded = std::mem::take(&mut body);
        Chunks::default().read(&coded, |part| body.extend_from_slice(part)).unwrap();
    }
    Answer { status: head[9..12].parse().unwrap(), head, body }
}

fn start() -> Provider {
    Provider::start(Settings { models: vec!["m".into()], ..Settings::default() }).unwrap()
}

fn messages(provider: &Provider, fields: &str, body: &Value) -> Answer {
    let fields = format!("anthropic-version: 2023-06-01\r\n{fields}");
    send(provider, "POST /v1/messages", &fields, &body.to_string())
}

#[test]
fn anthropic_answers_and_refuses() {
    let provider = start();
    let hi =
        json!({"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
    let answer = messages(&provider, "x-api-key: k\r\n", &hi);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.head.contains("\r\nrequest-id: req_"));
    let whole = answer.json();
    assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
    let mut streamed = hi.clone();
    streamed["stream"] = true.into();
    let events = messages(&provider, "authorization: Bearer k\r\n", &streamed).events();
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    let pieces = events.iter().filter_map(|event| event["delta"]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), whole["content"][0]["text"].as_str().unwrap());

    let mut unknown = hi.clone();
    unknown["n"] = 2.into();
    let refused = messages(&provider, "", &unknown);
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["message"], "n: Extra inputs are not permitted");
    assert_eq!(refused.json()["error"]["type"], "invalid_request_error");
    let bare = send(&provider, "POST /v1/messages", "", &hi.to_string());
    assert_eq!(bare.json()["error"]["message"], "anthropic-version: header is required");
    assert_eq!(provider.counters().refused(Reason::VersionMissing), 1);
    let overloaded = messages(&provider, "x-sim: status=529\r\n", &hi);
    assert_eq!(
        (overloaded.status, &overloaded.json()["error"]["type"]),
        (529, &json!("overloaded_error"))
    );
    let mut other = hi.clone();
    other["model"] = "other".into();
    assert_eq!(messages(&provider, "", &other).status, 404);
    let broken = messages(&provider, "x-sim: error_at=3\r\n", &streamed).events();
    assert_eq!(broken.last().unwrap()["type"], "error");
}

#[test]
fn anthropic_counts_and_lists() {
    let provider = start();
    let fields = "anthropic-version: 2023-06-01\r\n";
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let count = send(&provider, "POST /v1/messages/count_tokens", fields, &body.to_string());
    assert!(count.json()["input_tokens"].as_u64().unwrap() > 0, "{}", count.text());
    let models = send(&provider, "GET /v1/models", fields, "");
    assert_eq!(models.json()["data"][0]["id"], "m");
    assert_eq!(models.json()["first_id"], "m");
    assert_eq!(send(&provider, "GET /v1/models/none", fields, "").status, 404);
    assert_eq!(send(&provider, "POST /v1/messages/batches", fields, "{}").status, 404);
}

#[test]
fn recorded_answers_are_sent_as_they_are() {
    let dir = std::env::temp_dir().join(format!("faregate-replay-{}", std::process::id()));
    let case = dir.join("anthropic/odd_1");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(case.join("stream.txt"), "event: x\ndata: {}\n\n").unwrap();
    std::fs::write(case.join("answer.json"), "{\"odd\":1}").unwrap();
    let settings = Settings { replay_dir: Some(PathBuf::from(&dir)), ..Settings::default() };
    let provider = Provider::start(settings).unwrap();
    let mut body = json!({
        "model": "m", "max_tokens": 9, "stream": true,
        "messages": [{"role": "user", "content": "hi"}],
    });
    let stream = messages(&provider, "x-replay: anthropic/odd_1\r\n", &body);
    assert_eq!(stream.text(), "event: x\ndata: {}\n\n");
    assert!(stream.head.contains("content-type: text/event-stream"));
    body["stream"] = false.into();
    let plain = messages(&provider, "x-sim: odd=anthropic/odd_1; status=503\r\n", &body);
    assert_eq!((plain.status, plain.text()), (503, "{\"odd\":1}"));
    assert_eq!(messages(&provider, "x-replay: none\r\n", &body).status, 404);
    let chat =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let fields = "x-replay: anthropic/odd_1\r\n";
    let chat = send(&provider, "POST /v1/chat/completions", fields, &chat.to_string());
    assert_eq!(chat.text(), "event: x\ndata: {}\n\n");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn gemini_answers_in_all_its_forms() {
    let provider = start();
    let hi = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).to_string();
    let key = "x-goog-api-key: k\r\n";
    let post = |target: &str, fields: &str, body: &str| {
        send(&provider, &format!("POST {target}"), fields, body)
    };
    let whole = post("/v1beta/models/m:generateContent", key, &hi);
    assert_eq!(whole.status, 200, "{}", whole.text());
    let text = whole.json()["candidates"][0]["content"]["parts"][0]["text"].clone();
    assert_eq!(whole.json()["candidates"][0]["finishReason"], "STOP");
    let of = |events: &[Value]| {
        let texts =
            events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]["text"]);
        Value::from(texts.filter_map(Value::as_str).collect::<String>())
    };
    let sse = post("/v1/models/m:streamGenerateContent?alt=sse&key=k", "", &hi);
    assert!(sse.text().starts_with("data: {") && sse.text().ends_with("}\r\n\r\n"));
    assert_eq!(of(&sse.events()), text);
    let list = post("/v1beta/models/m:streamGenerateContent", key, &hi).json();
    assert_eq!(of(list.as_array().unwrap()), text);
    let count = post("/v1beta/models/m:countTokens", key, &hi).json();
    assert!(count["totalTokens"].as_u64().unwrap() > 0);
    let content = json!({"parts": [{"text": "a"}]});
    let batch =
        json!({"requests": [{"model": "models/m", "content": content, "outputDimensionality": 4}]});
    let vectors = post("/v1beta/models/m:batchEmbedContents", key, &batch.to_string()).json();
    assert_eq!(vectors["embeddings"].as_array().unwrap().len(), 1);
    let vector = json!({"content": content, "outputDimensionality": 4}).to_string();
    let vector = post("/v1beta/models/m:embedContent", key, &vector).json();
    assert_eq!(vector["embedding"]["values"].as_array().unwrap().len(), 4);
    assert_eq!(
        send(&provider, "GET /v1beta/models", key, "").json()["models"][0]["name"],
        "models/m"
    );
    let none = post("/v1beta/models/none:generateContent", key, &hi);
    assert_eq!((none.status, &none.json()["error"]["status"]), (404, &json!("NOT_FOUND")));
    let foreign = post("/v1beta/models/m:generateContent", "authorization: Bearer k\r\n", &hi);
    assert_eq!(foreign.status, 400);
    assert_eq!(provider.counters().refused(Reason::ForeignCredential), 1);
}

#[test]
fn responses_are_numbered_and_complete() {
    let provider = start();
    let mut body = json!({
        "model": "m", "stream": true, "reasoning": {"effort": "low"}, "input": "call find",
        "tools": [{"type": "function", "name": "find", "parameters": {
            "type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"],
        }}],
    });
    let events = send(&provider, "POST /v1/responses", "", &body.to_string()).events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["status"], "completed");
    let kinds: Vec<&Value> =
        last["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    body["stream"] = false.into();
    body["input"] = "short please".into();
    let cut = send(&provider, "POST /v1/responses", "", &body.to_string()).json();
    assert_eq!(cut["incomplete_details"]["reason"], "max_output_tokens");
    body["seed"] = 1.into();
    let refused = send(&provider, "POST /v1/responses", "", &body.to_string());
    assert_eq!(refused.json()["error"]["code"], "unknown_parameter");
    assert_eq!(refused.json()["error"]["param"], "seed");
}

/// The payloads of an event stream.
fn frames(mut bytes: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (total, headers) = (word(0), word(4));
        found.push(serde_json::from_slice(&bytes[12 + headers..total - 4]).unwrap());
        bytes = &bytes[total..];
    }
    found
}

#[test]
fn converse_answers_in_frames() {
    let provider = start();
    let hi = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}).to_string();
    let bearer = "authorization: Bearer k\r\n";
    let whole = send(&provider, "POST /model/m/converse", bearer, &hi);
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole = whole.json();
    assert_eq!(whole["stopReason"], "end_turn");
    let stream = send(&provider, "POST /model/m/converse-stream", bearer, &hi);
    assert!(stream.head.contains("content-type: application/vnd.amazon.eventstream"));
    let frames = frames(&stream.body);
    let text: String =
        frames.iter().filter_map(|payload| payload["delta"]["text"].as_str()).collect();
    assert_eq!(whole["output"]["message"]["content"][0]["text"], text);
    assert_eq!(frames.last().unwrap()["usage"], whole["usage"]);
    let bare = send(&provider, "POST /model/m/converse", "", &hi);
    assert_eq!(
        (bare.status, bare.json()),
        (403, json!({"message": "Missing Authentication Token"}))
    );
    let none = send(&provider, "POST /model/none/converse", bearer, &hi);
    assert_eq!(
        (none.status, &none.json()["message"]),
        (400, &json!("The provided model identifier is invalid."))
    );
    assert!(none.head.contains("x-amzn-errortype: ValidationException"));
    let fields = format!("{bearer}x-sim: status=429\r\n");
    let limited = send(&provider, "POST /model/m/converse", &fields, &hi);
    assert!(limited.head.contains("x-amzn-errortype: ThrottlingException"));
}
