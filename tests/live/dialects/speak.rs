//! What clients of each dialect send, and what they make of the answers: as much as an SDK does, written once more.

use std::collections::BTreeMap;

use faregate_tests::{Answer, Client};
use serde_json::{Map, Value, json};

/// A dialect as a client speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Chat,
    Responses,
    Messages,
    Gemini,
    /// Gemini whose streams are one JSON array.
    GeminiArray,
    Converse,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) turns: Vec<Value>,
    pub(crate) tools: bool,
    pub(crate) thinks: bool,
    pub(crate) shaped: bool,
    pub(crate) stream: bool,
}

/// What was heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) thought: String,
    /// Id, name and arguments.
    pub(crate) calls: Vec<(String, String, Value)>,
    /// The dialect's own word.
    pub(crate) finish: String,
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// The assistant's turn as the client sends it back.
    pub(crate) turn: Vec<Value>,
    /// The error inside of a stream.
    pub(crate) error: Option<Value>,
}

pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn append(value: &mut Value, more: &str) {
    *value = format!("{}{more}", text(value)).into();
}

fn schema(members: &[&str]) -> Value {
    let of = |name: &&str| ((*name).to_owned(), json!({"type": "string"}));
    let properties: Map<String, Value> = members.iter().map(of).collect();
    json!({"type": "object", "properties": properties, "required": members, "additionalProperties": false})
}

impl Tongue {
    pub(crate) const ALL: [Self; 6] = [
        Self::Chat,
        Self::Responses,
        Self::Messages,
        Self::Gemini,
        Self::GeminiArray,
        Self::Converse,
    ];

    /// The path of a chat.
    pub(crate) fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions".into(),
            (Self::Responses, _) => "/v1/responses".into(),
            (Self::Messages, _) => "/v1/messages".into(),
            (Self::Gemini | Self::GeminiArray, false) => {
                format!("/v1beta/models/{model}:generateContent")
            }
            (Self::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Self::GeminiArray, true) => format!("/v1beta/models/{model}:streamGenerateContent"),
            (Self::Converse, false) => format!("/model/{model}/converse"),
            (Self::Converse, true) => format!("/model/{model}/converse-stream"),
        }
    }

    /// A turn of the user's.
    pub(crate) fn user(self, said: &str, image: bool) -> Value {
        let url = format!("data:image/png;base64,{PNG}");
        let (words, picture) = match self {
            Self::Chat => (
                json!({"type": "text", "text": said}),
                json!({"type": "image_url", "image_url": {"url": url}}),
            ),
            Self::Responses => (
                json!({"type": "input_text", "text": said}),
                json!({"type": "input_image", "image_url": url, "detail": "auto"}),
            ),
            Self::Messages => (
                json!({"type": "text", "text": said}),
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
            ),
            Self::Gemini | Self::GeminiArray => (
                json!({"text": said}),
                json!({"inlineData": {"mimeType": "image/png", "data": PNG}}),
            ),
            Self::Converse => (
                json!({"text": said}),
                json!({"image": {"format": "png", "source": {"bytes": PNG}}}),
            ),
        };
        let content = if image { json!([words, picture]) } else { json!([words]) };
        match self {
            Self::Responses => json!({"type": "message", "role": "user", "content": content}),
            Self::Gemini | Self::GeminiArray => json!({"role": "user", "parts": content}),
            _ => json!({"role": "user", "content": content}),
        }
    }

    /// The results of the calls that were heard.
    pub(crate) fn results(self, heard: &Heard, results: &[&str]) -> Vec<Value> {
        let pairs = || heard.calls.iter().zip(results);
        match self {
            Self::Chat => pairs()
                .map(|((id, ..), said)| json!({"role": "tool", "tool_call_id": id, "content": said}))
                .collect(),
            Self::Responses => pairs()
                .map(|((id, ..), said)| {
                    json!({"type": "function_call_output", "call_id": id, "output": said})
                })
                .collect(),
            Self::Messages => {
                let blocks = pairs().map(|((id, ..), said)| {
                    json!({"type": "tool_result", "tool_use_id": id, "content": said})
                });
                vec![json!({"role": "user", "content": blocks.collect::<Vec<_>>()})]
            }
            Self::Gemini | Self::GeminiArray => {
                let parts = pairs().map(|((id, name, _), said)| {
                    let mut part = json!({"functionResponse": {"name": name, "response": {"result": said}}});
                    if !id.is_empty() {
                        part["functionResponse"]["id"] = id.clone().into();
                    }
                    part
                });
                vec![json!({"role": "user", "parts": parts.collect::<Vec<_>>()})]
            }
            Self::Converse => {
                let blocks = pairs().map(|((id, ..), said)| {
                    json!({"toolResult": {"toolUseId": id, "content": [{"text": said}], "status": "success"}})
                });
                vec![json!({"role": "user", "content": blocks.collect::<Vec<_>>()})]
            }
        }
    }

    /// The body of a request.
    pub(crate) fn body(self, model: &str, ask: &Ask) -> Value {
        let tools = [("get_weather", schema(&["city"])), ("find", schema(&["q"]))];
        let shape = schema(&["city"]);
        let mut body = match self {
            Self::Chat => json!({"model": model, "messages": ask.turns}),
            Self::Responses => {
                json!({"model": model, "input": ask.turns, "store": false, "include": ["reasoning.encrypted_content"]})
            }
            Self::Messages => json!({"model": model, "max_tokens": 4096, "messages": ask.turns}),
            Self::Gemini | Self::GeminiArray => json!({"contents": ask.turns}),
            Self::Converse => {
                json!({"messages": ask.turns, "inferenceConfig": {"maxTokens": 4096}})
            }
        };
        if ask.stream && matches!(self, Self::Chat | Self::Responses | Self::Messages) {
            body["stream"] = true.into();
        }
        if ask.stream && self == Self::Chat {
            body["stream_options"] = json!({"include_usage": true});
        }
        if ask.tools {
            let all = tools.iter().map(|(name, schema)| match self {
                Self::Chat => {
                    json!({"type": "function", "function": {"name": name, "parameters": schema}})
                }
                Self::Responses => {
                    json!({"type": "function", "name": name, "parameters": schema, "strict": false})
                }
                Self::Messages => json!({"name": name, "description": "x", "input_schema": schema}),
                Self::Gemini | Self::GeminiArray => {
                    json!({"name": name, "parametersJsonSchema": schema})
                }
                Self::Converse => {
                    json!({"toolSpec": {"name": name, "inputSchema": {"json": schema}}})
                }
            });
            let all: Vec<Value> = all.collect();
            match self {
                Self::Gemini | Self::GeminiArray => {
                    body["tools"] = json!([{"functionDeclarations": all}])
                }
                Self::Converse => body["toolConfig"] = json!({"tools": all}),
                _ => body["tools"] = all.into(),
            }
        }
        if ask.thinks {
            let enabled = json!({"type": "enabled", "budget_tokens": 2048});
            match self {
                Self::Chat => body["reasoning_effort"] = "medium".into(),
                Self::Responses => {
                    body["reasoning"] = json!({"effort": "medium", "summary": "auto"})
                }
                Self::Messages => body["thinking"] = enabled,
                Self::Gemini | Self::GeminiArray => {
                    body["generationConfig"]["thinkingConfig"] =
                        json!({"includeThoughts": true, "thinkingBudget": 2048});
                }
                Self::Converse => {
                    body["additionalModelRequestFields"] = json!({"thinking": enabled})
                }
            }
        }
        if ask.shaped {
            match self {
                Self::Chat => {
                    body["response_format"] = json!({"type": "json_schema",
                        "json_schema": {"name": "place", "schema": shape, "strict": true}});
                }
                Self::Responses => {
                    body["text"]["format"] = json!({"type": "json_schema", "name": "place", "schema": shape, "strict": true});
                }
                Self::Messages => {
                    body["output_config"] =
                        json!({"format": {"type": "json_schema", "schema": shape}});
                }
                Self::Gemini | Self::GeminiArray => {
                    body["generationConfig"] = json!({"responseMimeType": "application/json", "responseJsonSchema": shape});
                }
                Self::Converse => {
                    body["outputConfig"] = json!({"textFormat": {"type": "json_schema",
                        "structure": {"jsonSchema": {"name": "place", "schema": shape.to_string()}}}});
                }
            }
        }
        body
    }

    /// Sends it.
    pub(crate) fn send(self, client: &mut Client, model: &str, ask: &Ask) -> Answer {
        client.post(&self.path(model, ask.stream), &self.body(model, ask))
    }

    /// What an answer says, whole or streamed.
    pub(crate) fn hear(self, answer: &Answer, stream: bool) -> Heard {
        if !stream {
            return self.whole(&answer.json());
        }
        match self {
            Self::Chat => chat_stream(&events(answer.text())),
            Self::Responses => responses_stream(&events(answer.text())),
            Self::Messages => messages_stream(&events(answer.text())),
            Self::Gemini => gemini_stream(&events(answer.text())),
            Self::GeminiArray => gemini_stream(answer.json().as_array().unwrap()),
            Self::Converse => converse_stream(&answer.body),
        }
    }

    fn whole(self, answer: &Value) -> Heard {
        match self {
            Self::Chat => chat_whole(answer),
            Self::Responses => responses_whole(answer),
            Self::Messages => messages_whole(answer),
            Self::Gemini | Self::GeminiArray => gemini_stream(std::slice::from_ref(answer)),
            Self::Converse => converse_whole(answer),
        }
    }
}

/// The data of all events.
pub(crate) fn events(body: &str) -> Vec<Value> {
    let body = body.replace("\r\n", "\n");
    let lines = body.split('\n').filter_map(|line| line.strip_prefix("data: "));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    lines.map(|line| if line == "[DONE]" { json!("[DONE]") } else { parse(line) }).collect()
}

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| panic!("no JSON: {arguments}"))
}

fn chat_whole(answer: &Value) -> Heard {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let call = |call: &Value| {
        let function = &call["function"];
        (
            text(&call["id"]).into(),
            text(&function["name"]).into(),
            parsed(text(&function["arguments"])),
        )
    };
    let said =
        if message["refusal"].is_string() { &message["refusal"] } else { &message["content"] };
    Heard {
        text: text(said).into(),
        thought: text(&message["reasoning_content"]).into(),
        calls: list(&message["tool_calls"]).map(call).collect(),
        finish: text(&choice["finish_reason"]).into(),
        input: answer["usage"]["prompt_tokens"].as_u64().unwrap_or(0),
        output: answer["usage"]["completion_tokens"].as_u64().unwrap_or(0),
        turn: vec![message.clone()],
        error: None,
    }
}

fn chat_stream(events: &[Value]) -> Heard {
    let mut message = json!({"role": "assistant"});
    let mut calls = BTreeMap::<u64, Value>::new();
    let (mut finish, mut usage, mut error) = (Value::Null, Value::Null, None);
    for event in events {
        if event.get("error").is_some() {
            error = Some(event.clone());
        }
        if event["usage"].is_object() {
            usage = event["usage"].clone();
        }
        let choice = &event["choices"][0];
        for name in ["content", "refusal", "reasoning_content"] {
            if let Some(more) = choice["delta"][name].as_str().filter(|more| !more.is_empty()) {
                append(&mut message[name], more);
            }
        }
        for delta in list(&choice["delta"]["tool_calls"]) {
            let index = delta["index"].as_u64().expect("each delta has an index");
            let call = calls.entry(index).or_insert_with(|| {
                assert!(delta["id"].is_string(), "the first delta names the call: {delta}");
                let name = &delta["function"]["name"];
                json!({"id": delta["id"], "type": "function", "function": {"name": name, "arguments": ""}})
            });
            append(&mut call["function"]["arguments"], text(&delta["function"]["arguments"]));
        }
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into_values().collect();
    }
    if error.is_none() {
        assert_eq!(events.last(), Some(&json!("[DONE]")));
    } else {
        assert!(!events.contains(&json!("[DONE]")), "an error is not done");
        message["tool_calls"] = Value::Null;
    }
    let answer =
        json!({"choices": [{"message": message, "finish_reason": finish}], "usage": usage});
    Heard { error, ..chat_whole(&answer) }
}

fn responses_whole(answer: &Value) -> Heard {
    let mut heard = Heard {
        finish: text(&answer["incomplete_details"]["reason"]).into(),
        input: answer["usage"]["input_tokens"].as_u64().unwrap_or(0),
        output: answer["usage"]["output_tokens"].as_u64().unwrap_or(0),
        ..Heard::default()
    };
    if heard.finish.is_empty() {
        heard.finish = text(&answer["status"]).into();
    }
    for item in list(&answer["output"]) {
        heard.turn.push(item.clone());
        match text(&item["type"]) {
            "message" => {
                for part in list(&item["content"]) {
                    heard.text.push_str(text(&part["text"]));
                    heard.text.push_str(text(&part["refusal"]));
                }
            }
            "reasoning" => {
                list(&item["summary"]).for_each(|part| heard.thought.push_str(text(&part["text"])));
            }
            "function_call" => heard.calls.push((
                text(&item["call_id"]).into(),
                text(&item["name"]).into(),
                parsed(text(&item["arguments"])),
            )),
            other => panic!("an item {other}"),
        }
    }
    heard
}

fn responses_stream(events: &[Value]) -> Heard {
    let mut words = String::new();
    for (number, event) in events.iter().enumerate() {
        // The provider's own error says 99.
        let is_error = event["type"] == "error";
        assert!(is_error || event["sequence_number"] == number, "{event}");
        if matches!(text(&event["type"]), "response.output_text.delta" | "response.refusal.delta") {
            words.push_str(text(&event["delta"]));
        }
    }
    let last = events.last().expect("there are events");
    match text(&last["type"]) {
        "response.completed" | "response.incomplete" => {
            let heard = responses_whole(&last["response"]);
            assert_eq!(words, heard.text, "deltas and the whole are one");
            heard
        }
        "error" | "response.failed" => {
            Heard { text: words, error: Some(last.clone()), ..Heard::default() }
        }
        other => panic!("ends with {other}"),
    }
}

fn messages_whole(answer: &Value) -> Heard {
    let usage = &answer["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
    let mut heard = Heard {
        finish: text(&answer["stop_reason"]).into(),
        input: tokens("input_tokens")
            + tokens("cache_read_input_tokens")
            + tokens("cache_creation_input_tokens"),
        output: tokens("output_tokens"),
        turn: vec![json!({"role": "assistant", "content": answer["content"]})],
        ..Heard::default()
    };
    for block in list(&answer["content"]) {
        match text(&block["type"]) {
            "text" => heard.text.push_str(text(&block["text"])),
            "thinking" => heard.thought.push_str(text(&block["thinking"])),
            "redacted_thinking" => {}
            "tool_use" => heard.calls.push((
                text(&block["id"]).into(),
                text(&block["name"]).into(),
                block["input"].clone(),
            )),
            other => panic!("a block {other}"),
        }
    }
    heard
}

fn messages_stream(events: &[Value]) -> Heard {
    let mut message = events[0]["message"].clone();
    let (mut blocks, mut open, mut input, mut error) = (Vec::new(), None, String::new(), None);
    for event in events {
        match text(&event["type"]) {
            "content_block_start" => {
                assert!(open.is_none(), "blocks do not overlap");
                assert_eq!(event["index"], blocks.len());
                open = Some(event["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                let block: &mut Value = open.as_mut().expect("a delta is of an open block");
                let delta = &event["delta"];
                match text(&delta["type"]) {
                    "text_delta" => append(&mut block["text"], text(&delta["text"])),
                    "thinking_delta" => append(&mut block["thinking"], text(&delta["thinking"])),
                    "signature_delta" => block["signature"] = delta["signature"].clone(),
                    "input_json_delta" => input.push_str(text(&delta["partial_json"])),
                    other => panic!("a delta {other}"),
                }
            }
            "content_block_stop" => {
                let mut block = open.take().expect("an open block is closed");
                if block["type"] == "tool_use" && !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).unwrap_or_default();
                }
                blocks.push(block);
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    message["usage"][name] = value.clone();
                }
            }
            "error" => error = Some(event.clone()),
            _ => {}
        }
    }
    assert!(open.is_none() || error.is_some(), "every block is closed");
    let last = if error.is_some() { "error" } else { "message_stop" };
    assert_eq!(events.last().map(|event| text(&event["type"])), Some(last));
    message["content"] = blocks.into();
    Heard { error, ..messages_whole(&message) }
}

fn gemini_stream(chunks: &[Value]) -> Heard {
    let mut heard = Heard::default();
    let mut parts = Vec::new();
    for chunk in chunks {
        if chunk.get("error").is_some() {
            heard.error = Some(chunk.clone());
        }
        let candidate = &chunk["candidates"][0];
        for part in list(&candidate["content"]["parts"]) {
            let said = text(&part["text"]);
            match (part["thought"] == true, &part["functionCall"]) {
                (true, _) => heard.thought.push_str(said),
                (_, Value::Null) => heard.text.push_str(said),
                (_, call) => heard.calls.push((
                    text(&call["id"]).into(),
                    text(&call["name"]).into(),
                    call["args"].clone(),
                )),
            }
            parts.push(part.clone());
        }
        if candidate["finishReason"].is_string() {
            heard.finish = text(&candidate["finishReason"]).into();
        }
        let usage = &chunk["usageMetadata"];
        if usage.is_object() {
            let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
            heard.input = tokens("promptTokenCount");
            heard.output = tokens("candidatesTokenCount") + tokens("thoughtsTokenCount");
        }
    }
    heard.turn = vec![json!({"role": "model", "parts": parts})];
    heard
}

fn converse_whole(answer: &Value) -> Heard {
    let usage = &answer["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
    let message = &answer["output"]["message"];
    let mut heard = Heard {
        finish: text(&answer["stopReason"]).into(),
        input: tokens("inputTokens")
            + tokens("cacheReadInputTokens")
            + tokens("cacheWriteInputTokens"),
        output: tokens("outputTokens"),
        turn: vec![message.clone()],
        ..Heard::default()
    };
    for block in list(&message["content"]) {
        heard.text.push_str(text(&block["text"]));
        heard.thought.push_str(text(&block["reasoningContent"]["reasoningText"]["text"]));
        if let Some(call) = block.get("toolUse") {
            heard.calls.push((
                text(&call["toolUseId"]).into(),
                text(&call["name"]).into(),
                call["input"].clone(),
            ));
        }
    }
    heard
}

/// Kind, name and payload of every frame.
pub(crate) fn frames(mut body: &[u8]) -> Vec<(String, String, Value)> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        let (length, head) = (number(0), number(4));
        let mut fields = &body[12..12 + head];
        let mut named = BTreeMap::new();
        while !fields.is_empty() {
            let name_end = 1 + usize::from(fields[0]);
            let name = String::from_utf8_lossy(&fields[1..name_end]).into_owned();
            assert_eq!(fields[name_end], 7, "a string");
            let size = usize::from(fields[name_end + 1]) << 8 | usize::from(fields[name_end + 2]);
            let start = name_end + 3;
            named.insert(name, String::from_utf8_lossy(&fields[start..start + size]).into_owned());
            fields = &fields[start + size..];
        }
        let payload = serde_json::from_slice(&body[12 + head..length - 4]).unwrap();
        let kind = named.remove(":message-type").unwrap();
        let name = named.remove(":event-type").or(named.remove(":exception-type")).unwrap();
        out.push((kind, name, payload));
        body = &body[length..];
    }
    out
}

fn converse_stream(body: &[u8]) -> Heard {
    let mut blocks = BTreeMap::<u64, Value>::new();
    let mut answer = json!({});
    let mut error = None;
    for (kind, name, data) in frames(body) {
        if kind == "exception" {
            error = Some(json!({"exception": name, "payload": data}));
            continue;
        }
        let index = data["contentBlockIndex"].as_u64().unwrap_or(0);
        match name.as_str() {
            "contentBlockStart" => _ = blocks.insert(index, data["start"].clone()),
            "contentBlockDelta" => {
                let block = blocks.entry(index).or_insert_with(|| json!({}));
                let delta = &data["delta"];
                if let Some(more) = delta["text"].as_str() {
                    append(&mut block["text"], more);
                }
                if let Some(more) = delta["toolUse"]["input"].as_str() {
                    append(&mut block["toolUse"]["input"], more);
                }
                let thought = &delta["reasoningContent"];
                let place = |block: &mut Value, name: &str, more: &str| {
                    append(&mut block["reasoningContent"]["reasoningText"][name], more);
                };
                for name in ["text", "signature"] {
                    thought[name].as_str().into_iter().for_each(|more| place(block, name, more));
                }
            }
            "messageStop" => answer["stopReason"] = data["stopReason"].clone(),
            "metadata" => answer["usage"] = data["usage"].clone(),
            _ => {}
        }
    }
    let mut content: Vec<Value> = blocks.into_values().collect();
    for block in content.iter_mut().filter(|block| block.get("toolUse").is_some()) {
        let input = serde_json::from_str(text(&block["toolUse"]["input"])).unwrap_or(json!({}));
        block["toolUse"]["input"] = input;
    }
    answer["output"]["message"] = json!({"role": "assistant", "content": content});
    Heard { error, ..converse_whole(&answer) }
}
