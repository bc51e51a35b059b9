//! Streams that are kept alive and say nothing: pings, comments and empty events are no content, in any dialect.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{Launch, client, wait};
use serde_json::{Value, json};

/// A provider that begins a stream with `first`, and then sends `rest` again and again until its client leaves.
fn pinging(first: &'static str, rest: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                let _ = stream.read(&mut buffer);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                let mut sent = stream.write_all(format!("{head}{first}").as_bytes());
                while sent.is_ok() {
                    wait::pass(Duration::from_millis(30));
                    sent = stream.write_all(rest.as_bytes());
                }
            });
        }
    });
    address
}

const ROLE: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const CHAT: &str = "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const COMMENT: &str = ": keep-alive\n\n";
const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const TEXT: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"m\",\"output\":[]}}\n\n";
const PROGRESS: &str = "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"sequence_number\":1,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"m\",\"output\":[]}}\n\n";
const EMPTY: &str = "data: {\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":1}}\n\n";
const GEMINI: &str = "data: {\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hi\"}]}}]}\n\n";

/// A stream of this provider ends with `code`, however it is kept alive.
fn check(
    dialect: &str,
    path: &str,
    body: &Value,
    (first, rest): (&'static str, &'static str),
    code: &str,
) {
    let address = pinging(first, rest);
    let gateway = Launch::new(format!(
        "[providers.p]\nbase_url = \"http://{address}\"\ndialect = \"{dialect}\"\nspeaks = [\"{}\"]\n\
         [providers.p.deadlines]\nfirst_token = \"300ms\"\nbetween_tokens = \"300ms\"\n\
         [models.m]\ntargets = [\"p/m\"]\n[retries]\nattempts = 1\n",
        match dialect {
            "anthropic" => "messages",
            "gemini" => "gemini",
            _ if path.ends_with("responses") => "responses",
            _ => "chat",
        }
    ))
    .start();
    let begun = Instant::now();
    let mut wire = gateway.connect();
    wire.send(gateway.client("").request("POST", path, Some(body.to_string().as_bytes())));
    let answer = wire.answer();
    assert!(answer.text().contains(code), "{dialect} {path} {rest:?}: {answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{dialect} {path}: {:?}", begun.elapsed());
}

#[test]
fn what_keeps_a_stream_alive_is_no_first_token() {
    let code = "first_token_timeout";
    let (chat, mut messages) = (client::streamed("m"), client::streamed("m"));
    messages["max_tokens"] = 16.into();
    let responses = json!({"model": "m", "input": "hi", "stream": true, "store": false});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (first, rest) in [(ROLE, COMMENT), (ROLE, ROLE), ("", COMMENT)] {
        check("openai", "/v1/chat/completions", &chat, (first, rest), code);
    }
    check("anthropic", "/v1/messages", &messages, (START, PING), "no content in time");
    check("anthropic", "/v1/chat/completions", &chat, (START, PING), code);
    check("openai", "/v1/responses", &responses, (CREATED, PROGRESS), code);
    let path = "/v1beta/models/m:streamGenerateContent?alt=sse";
    check("gemini", path, &gemini, (EMPTY, EMPTY), "no content in time");
}

#[test]
fn what_keeps_a_stream_alive_does_not_go_on_with_it_either() {
    let code = "between_tokens_timeout";
    let (chat, mut messages) = (client::streamed("m"), client::streamed("m"));
    messages["max_tokens"] = 16.into();
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    check("openai", "/v1/chat/completions", &chat, (CHAT, ROLE), code);
    check("anthropic", "/v1/messages", &messages, (TEXT, PING), "stopped sending content");
    check("anthropic", "/v1/chat/completions", &chat, (TEXT, PING), code);
    let path = "/v1beta/models/m:streamGenerateContent?alt=sse";
    check("gemini", path, &gemini, (GEMINI, EMPTY), "stopped sending content");
}
