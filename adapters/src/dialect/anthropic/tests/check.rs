//! What a stream and a request of this dialect must be.

use serde_json::Value;

use super::events;

/// Checks a stream that may have been broken off, and tells its last event.
pub(super) fn check_stream(stream: &[u8]) -> String {
    let mut state = Stream::default();
    for (name, data) in events(stream) {
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["type"], name.as_str(), "the name of an event is its type");
        assert_ne!(state.last, "message_stop", "nothing follows the end");
        assert_ne!(state.last, "error", "nothing follows an error");
        state.take(&name, &data);
        if name != "ping" {
            state.last = name;
        }
    }
    state.last
}

#[derive(Default)]
struct Stream {
    last: String,
    has_start: bool,
    has_end: bool,
    blocks: u64,
    /// The type of the open block.
    open: Option<String>,
    input: String,
}

impl Stream {
    fn take(&mut self, name: &str, data: &Value) {
        match name {
            "ping" | "error" => {}
            "message_start" => {
                assert!(!std::mem::replace(&mut self.has_start, true), "one start");
                let message = &data["message"];
                assert!(message["usage"]["input_tokens"].is_u64());
                assert!(message["id"].as_str().is_some_and(|id| !id.is_empty()));
            }
            "content_block_start" => {
                assert!(self.has_start && !self.has_end && self.open.is_none());
                assert_eq!(data["index"], self.blocks);
                let kind = data["content_block"]["type"].as_str().unwrap();
                self.open = Some(kind.to_owned());
                self.input.clear();
            }
            "content_block_delta" => {
                assert_eq!(data["index"], self.blocks);
                self.take_delta(&data["delta"]);
            }
            "content_block_stop" => {
                assert_eq!(data["index"], self.blocks);
                assert!(self.open.take().is_some(), "a block is open");
                self.blocks += 1;
            }
            "message_delta" => {
                assert!(self.has_start && self.open.is_none());
                assert!(!std::mem::replace(&mut self.has_end, true), "one end");
                assert!(data["usage"]["output_tokens"].is_u64());
                assert!(data["delta"]["stop_reason"].is_string());
            }
            "message_stop" => assert!(self.has_end),
            _ => panic!("no such event: {name}"),
        }
    }

    fn take_delta(&mut self, delta: &Value) {
        let (kind, member, block) = match delta["type"].as_str().unwrap() {
            "text_delta" => ("text", "text", "text"),
            "citations_delta" => ("citation", "citation", "text"),
            "thinking_delta" => ("thinking", "thinking", "thinking"),
            "signature_delta" => ("signature", "signature", "thinking"),
            "input_json_delta" => ("partial_json", "partial_json", "tool_use"),
            kind => panic!("no such delta: {kind}"),
        };
        assert_eq!(self.open.as_deref(), Some(block), "{kind} goes into a block of its own type");
        assert!(!delta[member].is_null());
    }
}

/// Checks what the provider checks in a request.
pub(super) fn check_request(request: &Value) {
    assert!(request["max_tokens"].as_u64().unwrap() > 0);
    let messages = request["messages"].as_array().unwrap();
    assert_eq!(messages[0]["role"], "user");
    let (mut role, mut calls) = ("", Vec::new());
    for message in messages {
        let now = message["role"].as_str().unwrap();
        assert_ne!(now, role, "roles alternate");
        assert!(now != "system" || role == "user", "instructions follow the user");
        let blocks = message["content"].as_array().unwrap();
        assert!(!blocks.is_empty());
        check_results(&mut calls, blocks);
        blocks.iter().for_each(check_block);
        let ids =
            blocks.iter().filter(|block| block["type"] == "tool_use").map(|b| b["id"].clone());
        calls.extend(ids);
        role = now;
    }
    assert!(calls.is_empty(), "every call is answered");
    let marks = request.to_string().matches("\"cache_control\":{").count();
    assert!(marks <= 4, "{marks} cache marks");
    check_thinking(request);
    if request.get("tool_choice").is_some() {
        assert!(!request["tools"].as_array().unwrap().is_empty());
    }
}

fn check_results(calls: &mut Vec<Value>, blocks: &[Value]) {
    let is_result = |block: &&Value| block["type"] == "tool_result";
    let results: Vec<&Value> = blocks.iter().take_while(is_result).collect();
    assert_eq!(results.len(), blocks.iter().filter(is_result).count(), "results come first");
    assert_eq!(results.len(), calls.len(), "all results are there");
    for result in results {
        let at = calls.iter().position(|id| *id == result["tool_use_id"]);
        calls.remove(at.unwrap());
    }
}

fn check_block(block: &Value) {
    match block["type"].as_str().unwrap() {
        "text" => assert!(!block["text"].as_str().unwrap().trim().is_empty(), "a text has words"),
        "tool_use" => assert!(block["input"].is_object()),
        "thinking" => assert!(!block["signature"].as_str().unwrap().is_empty()),
        _ => {}
    }
}

fn check_thinking(request: &Value) {
    if let Some(tokens) = request["thinking"]["budget_tokens"].as_u64() {
        assert!(tokens >= 1024 && tokens < request["max_tokens"].as_u64().unwrap());
    }
    if request["thinking"]["type"].as_str().is_some_and(|kind| kind != "disabled") {
        assert!(request["temperature"].is_null() && request["top_k"].is_null());
    }
}
