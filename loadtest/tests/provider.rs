//! The provider, spoken to over real sockets.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use loadtest::clock::Nanos;
use loadtest::provider::{Provider, Reason, Script, Settings};
use serde_json::Value;

const HI: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn start(settings: Settings) -> Provider {
    Provider::start(settings).unwrap()
}

fn connect(provider: &Provider) -> TcpStream {
    let socket = TcpStream::connect(provider.address()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn post(path: &str, fields: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n{fields}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends `wire`, says goodbye by `Connection: close`, returns everything that came back.
fn ask(provider: &Provider, path: &str, fields: &str, body: &str) -> String {
    let mut socket = connect(provider);
    let fields = format!("Connection: close\r\n{fields}");
    socket.write_all(post(path, &fields, body).as_bytes()).unwrap();
    everything(&mut socket)
}

fn everything(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn chat(provider: &Provider, script: &str, members: &str) -> String {
    let body = format!(r#"{{"model":"gpt",{HI}{members}}}"#);
    ask(provider, "/v1/chat/completions", &format!("X-Sim: {script}\r\n"), &body)
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The data of the events, with the chunked coding taken off.
fn events(answer: &str) -> Vec<String> {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let mut chunks = loadtest::http::Chunks::default();
    let mut stream = Vec::new();
    chunks.read(body.as_bytes(), |part| stream.extend_from_slice(part)).unwrap();
    let stream = String::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\r', "\n");
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(str::to_owned).collect()
}

#[test]
fn a_chat_is_answered_and_the_connection_stays() {
    let provider = start(Settings::default());
    let mut socket = connect(&provider);
    let request = post("/v1/chat/completions", "", &format!(r#"{{"model":"gpt",{HI}}}"#));
    let mut first = String::new();
    for _ in 0..3 {
        socket.write_all(request.as_bytes()).unwrap();
        let answer = one_answer(&mut socket);
        let content = json(&answer)["choices"][0]["message"]["content"].to_string();
        assert!(first.is_empty() || first == content, "the text depends on the request alone");
        first = content;
    }
    assert_eq!(provider.counters().requests(), 3);
    assert_eq!(provider.counters().accepted(), 1);
    assert_eq!(provider.counters().tokens_out(), 48);
    assert_eq!(provider.counters().breached(), 0);
}

fn one_answer(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = socket.read(&mut piece).unwrap();
        assert!(read > 0, "the connection ended");
        answer.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if body.len() >= length {
            return text.into_owned();
        }
    }
}

#[test]
fn a_stream_ends_with_done_and_has_usage_only_when_asked() {
    let provider = start(Settings::default());
    let plain = events(&chat(&provider, "tokens=5", r#","stream":true"#));
    assert_eq!(plain.len(), 1 + 5 + 1 + 1);
    assert_eq!(plain.last().unwrap(), "[DONE]");
    assert!(plain.iter().all(|data| !data.contains("usage")));
    let options = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let asked = events(&chat(&provider, "tokens=5", options));
    assert_eq!(asked.len(), plain.len() + 1);
    let usage: Value = serde_json::from_str(&asked[asked.len() - 2]).unwrap();
    assert_eq!(usage["choices"], serde_json::json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 5);
    let others = asked[..asked.len() - 2].iter();
    assert!(others.into_iter().all(|data| data.ends_with(",\"usage\":null}")), "{asked:?}");
}

#[test]
fn the_text_of_a_stream_is_that_of_the_plain_answer() {
    let provider = start(Settings::default());
    let plain = json(&chat(&provider, "tokens=9", ""));
    for script in ["tokens=9", "tokens=9; split=7; chunk_bytes=11; cr=cr; comments=1"] {
        let stream = events(&chat(&provider, script, r#","stream":true"#));
        let text: String = stream
            .iter()
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .filter_map(|data| data["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(plain["choices"][0]["message"]["content"], text, "{script}");
    }
}

#[test]
fn every_surface_answers() {
    let provider = start(Settings { models: vec!["gpt".into()], ..Settings::default() });
    let completion = ask(&provider, "/v1/completions", "", r#"{"model":"gpt","prompt":"a"}"#);
    assert_eq!(json(&completion)["object"], "text_completion");
    let embedding = ask(&provider, "/v1/embeddings", "", r#"{"model":"gpt","input":["a","b"]}"#);
    assert_eq!(json(&embedding)["data"].as_array().unwrap().len(), 2);
    let get = |path: &str| {
        let mut socket = connect(&provider);
        let wire = format!("GET {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n");
        socket.write_all(wire.as_bytes()).unwrap();
        json(&everything(&mut socket))
    };
    assert_eq!(get("/v1/models")["data"][0]["id"], "gpt");
    assert_eq!(get("/v1/models/gpt")["id"], "gpt");
    assert_eq!(get("/v1/models/none")["error"]["code"], "model_not_found");
    assert_eq!(get("/v1/files?limit=2")["target"], "/v1/files?limit=2");
    assert_eq!(get("/sim/counters")["refusals"]["model_not_found"], 1);
}

#[test]
fn faults_strike_where_they_are_told_to() {
    let provider = start(Settings::default());
    let whole = chat(&provider, "tokens=20", "");
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    let cut = chat(&provider, "tokens=20; close_at=100", "");
    assert_eq!(cut.len() - cut.find("\r\n\r\n").unwrap() - 4, 100);
    assert!(whole.len() - head > 100);
    let mut socket = connect(&provider);
    let body = format!(r#"{{"model":"sim-fault=reset@50",{HI}}}"#);
    socket.write_all(post("/v1/chat/completions", "", &body).as_bytes()).unwrap();
    let mut answer = Vec::new();
    let error = socket.read_to_end(&mut answer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(provider.counters().faults(), 2);
    assert_eq!(provider.counters().in_flight(), 0);
}

#[test]
fn waits_are_kept() {
    let provider = start(Settings::default());
    let start = Nanos::now();
    let script = "delay=20ms; first=20ms; chunk=10ms; tokens=3";
    let answer = chat(&provider, script, r#","stream":true"#);
    let took = Nanos::now().since(start);
    assert_eq!(events(&answer).last().unwrap(), "[DONE]");
    assert!(took >= Duration::from_millis(59), "{took:?}");
}

#[test]
fn an_abort_is_noticed_at_once() {
    let provider = start(Settings::default());
    let mut socket = connect(&provider);
    let body = format!(r#"{{"model":"sim-tokens=1000-chunk=50ms",{HI},"stream":true}}"#);
    let wire = post("/v1/chat/completions", "X-Request-Id: r1\r\n", &body);
    socket.write_all(wire.as_bytes()).unwrap();
    socket.read_exact(&mut [0; 64]).unwrap();
    let left = Nanos::now();
    socket.shutdown(Shutdown::Both).unwrap();
    let abort = loop {
        if let Some(abort) = provider.counters().take_aborts().pop() {
            break abort;
        }
        std::thread::yield_now();
    };
    assert_eq!(abort.request_id.as_deref(), Some("r1"));
    assert!(abort.at >= left && abort.sent_bytes > 0);
    assert_eq!(provider.counters().in_flight(), 0);
}

#[test]
fn errors_are_scripted_by_request_by_owner_and_by_queue() {
    let provider = start(Settings::default());
    let status = |answer: String| answer.split(' ').nth(1).unwrap().to_owned();
    let answer = chat(&provider, "status=429; retry_after=7", "");
    assert!(answer.contains("\r\nretry-after: 7\r\n"));
    assert_eq!(json(&answer)["error"]["code"], "rate_limit_exceeded");
    provider.set_script(&Script::parse("status=503").unwrap());
    assert_eq!(status(chat(&provider, "", "")), "503");
    provider.set_script(&Script::default());
    assert!(provider.queue(Script::parse("status=500").unwrap()));
    assert_eq!(status(chat(&provider, "", "")), "500");
    assert_eq!(status(chat(&provider, "", "")), "200");
    ask(&provider, "/sim/queue", "", "status=502");
    assert_eq!(status(chat(&provider, "", "")), "502");
    assert!(ask(&provider, "/sim/script", "", "bad=luck").contains("bad has no form luck"));
    let early = chat(&provider, "early=1; status=413", "");
    assert_eq!(status(early), "413");
}

#[test]
fn a_prompt_seen_before_is_cached() {
    let provider = start(Settings::default());
    let prompt = "word ".repeat(2000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let cached = || {
        let answer = json(&ask(&provider, "/v1/chat/completions", "", &body));
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(), 0);
    assert_eq!(cached(), 19 * 128);
}

#[test]
fn breaches_are_counted_and_end_the_connection() {
    let provider = start(Settings { keys: vec!["sk-1".into()], ..Settings::default() });
    let answer = ask(&provider, "/v1/chat/completions", "Authorization: Bearer sk-2\r\n", "{}");
    assert!(answer.starts_with("HTTP/1.1 401 "));
    assert_eq!(provider.counters().refused(Reason::KeyWrong), 1);
    let mut socket = connect(&provider);
    socket.write_all(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /").unwrap();
    let answer = everything(&mut socket);
    assert!(answer.contains("host_repeated") && answer.contains("connection: close"));
    assert_eq!(provider.counters().breached(), 2);
    assert_eq!(provider.counters().take_breaches()[1].reason, Reason::HostRepeated);
}

#[test]
fn chunked_requests_are_read_and_judged() {
    let provider = start(Settings { capture: 8, ..Settings::default() });
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = format!(r#"{{"model":"gpt",{HI}}}"#);
    let (front, back) = body.split_at(10);
    let chunked = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
    let wire = format!("{head}{}{}0\r\n\r\n", chunked(front), chunked(back));
    let mut socket = connect(&provider);
    socket.write_all(wire.as_bytes()).unwrap();
    assert!(everything(&mut socket).starts_with("HTTP/1.1 200 "));
    let captured = provider.take_captured();
    assert_eq!(captured[0].body, body.as_bytes());
    assert_eq!(captured[0].header("transfer-encoding"), Some("chunked"));
    let mut socket = connect(&provider);
    socket.write_all(format!("{head}xx\r\n").as_bytes()).unwrap();
    assert!(everything(&mut socket).contains("chunk_malformed"));
}

#[test]
fn a_slow_reader_still_reads_it_all() {
    let provider = start(Settings::default());
    let prompt = "x".repeat(200_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let fields = "X-Sim: read_bytes=20000; read_wait=2ms\r\n";
    let start = Nanos::now();
    let answer = ask(&provider, "/v1/chat/completions", fields, &body);
    assert!(answer.starts_with("HTTP/1.1 200 "));
    assert!(Nanos::now().since(start) > Duration::from_millis(10));
}

#[test]
fn idle_connections_can_be_closed_under_the_gateway() {
    let provider = start(Settings::default());
    let mut socket = connect(&provider);
    socket.write_all(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    one_answer(&mut socket);
    provider.close_idle();
    assert_eq!(socket.read(&mut [0; 16]).unwrap(), 0);
    let brief = Some(Duration::from_millis(5));
    let provider = start(Settings { idle_max: brief, ..Settings::default() });
    let mut socket = connect(&provider);
    assert_eq!(socket.read(&mut [0; 16]).unwrap(), 0);
}
