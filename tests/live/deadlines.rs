//! Deadlines, each with its own status and code.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use faregate_tests::{Gateway, Launch, client, gateway, provider, wait};
use serde_json::Value;

fn asked(sim: &str, stream: bool) -> Value {
    let mut body = if stream { client::streamed("m") } else { client::chat("m") };
    body["sim"] = sim.into();
    body
}

/// A gateway in front of `provider` with these deadlines of the server and of the provider.
fn start(provider: &faregate_tests::Provider, server: &str, target: &str) -> Gateway {
    let policy = format!(
        "{}[providers.sim.deadlines]\n{target}\n[retries]\nattempts = 1\n[breaker]\nfailures = 1000\n",
        gateway::sim(provider)
    );
    Launch::new(policy).server(&format!("[server.deadlines]\n{server}")).start()
}

fn check_plain(gateway: &Gateway, sim: &str, status: u16, code: &str) {
    let begun = Instant::now();
    let answer = gateway.client("").post("/v1/chat/completions", &asked(sim, false));
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{code} took {:?}", begun.elapsed());
}

/// The last event of the stream has this code, or the answer does when it had not begun.
fn check_stream(gateway: &Gateway, sim: &str, code: &str) {
    let mut wire = gateway.connect();
    let body = asked(sim, true).to_string();
    wire.send(gateway.client("").request("POST", "/v1/chat/completions", Some(body.as_bytes())));
    let answer = wire.answer();
    if answer.status != 200 {
        assert_eq!((answer.status, answer.code().as_str()), (504, code));
        return;
    }
    let last = answer.text().trim_end().rsplit("data: ").next().unwrap();
    let error: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{last}"));
    assert_eq!(error["error"]["code"], code, "{error}");
    assert!(error["error"]["request_id"].is_string(), "{error}");
}

#[test]
fn a_head_that_does_not_end() {
    let provider = provider();
    let gateway = start(&provider, "head = \"200ms\"", "");
    let mut wire = gateway.connect();
    wire.send("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (408, "head_timeout"));
    assert!(wire.is_closed());
    // One byte now and then does not buy more time: the deadline is for the whole head.
    let mut wire = gateway.connect();
    let begun = Instant::now();
    wire.patience(Duration::from_millis(20));
    let mut bytes = b"GET /v1/models HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'y'));
    wait::until_true("it is told", || {
        let _ = wire.try_send(&[*bytes.next().unwrap()]);
        wire.arrived() > 0 || wire.is_closed()
    });
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_does_not_come() {
    let provider = provider();
    let gateway = start(&provider, "body = \"200ms\"", "");
    for framing in [
        "content-length: 100\r\n\r\n{\"model\":",
        "transfer-encoding: chunked\r\n\r\n5\r\n{\"mod\r\n",
    ] {
        let mut wire = gateway.connect();
        wire.send(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n{framing}"
        ));
        let answer = wire.answer();
        assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"), "{framing}");
        assert!(wire.is_closed(), "{framing}");
    }
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn a_connection_that_nobody_uses() {
    let provider = provider();
    let gateway = start(&provider, "head = \"500ms\"\nidle = \"200ms\"", "");
    let mut fresh = gateway.connect();
    let mut used = gateway.connect();
    used.send(gateway.client("").request("GET", "/health", None));
    assert_eq!(used.answer().status, 200);
    assert!(used.is_closed(), "closed without another byte");
    assert!(fresh.is_closed(), "closed without a byte");
}

/// A listener that takes no more connections: its queue is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(stream);
            assert!(queued.len() < 10_000, "the queue has an end");
        }
        Self { address, _listener: listener, _queued: queued }
    }
}

#[test]
fn a_provider_that_takes_no_connection() {
    let hole = BlackHole::new();
    let there = provider();
    let gateway = Launch::new(format!(
        "[providers.hole]\nbase_url = \"http://{}\"\n[providers.hole.deadlines]\nconnect = \"200ms\"\n\
         [providers.there]\nbase_url = \"{}\"\n\
         [models.only]\ntargets = [\"hole/m\"]\n[models.first]\ntargets = [\"hole/m\", \"there/m\"]\n[retries]\nattempts = 2\n",
        hole.address,
        there.base_url()
    ))
    .start();
    let begun = Instant::now();
    let answer = gateway.client("").chat("first");
    let took = begun.elapsed();
    assert_eq!((answer.status, answer.header("x-faregate-route")), (200, Some("there/m")));
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    let answer = gateway.client("").chat("only");
    assert_eq!((answer.status, answer.code().as_str()), (504, "upstream_connect_timeout"));
}

#[test]
fn a_provider_that_does_not_answer() {
    let provider = provider();
    let gateway = start(&provider, "", "first_byte = \"200ms\"");
    check_plain(&gateway, "delay=10s", 504, "first_byte_timeout");
    check_stream(&gateway, "delay=10s", "first_byte_timeout");
}

#[test]
fn a_stream_without_content() {
    let provider = provider();
    let gateway = start(&provider, "", "first_token = \"200ms\"");
    check_stream(&gateway, "first=10s", "first_token_timeout");
}

#[test]
fn a_stream_that_falls_silent() {
    let provider = provider();
    let gateway = start(&provider, "", "between_tokens = \"200ms\"");
    check_stream(&gateway, "tokens=100; stall_at=4000", "between_tokens_timeout");
    // Comments are no content.
    check_stream(&gateway, "tokens=3; chunk=10s; comments=1", "between_tokens_timeout");
}

#[test]
fn a_request_that_takes_too_long_in_all() {
    let provider = provider();
    let gateway = start(
        &provider,
        "total = \"400ms\"",
        "first_byte = \"400ms\"\nfirst_token = \"400ms\"\nbetween_tokens = \"400ms\"\nconnect = \"400ms\"",
    );
    check_stream(&gateway, "tokens=1000; chunk=20ms", "total_timeout");
}

#[test]
fn a_client_that_does_not_take_its_answer() {
    let provider = provider();
    let gateway = start(&provider, "stall = \"300ms\"", "");
    let events = gateway.client("").stream(&asked("tokens=50000; pad=4000", true));
    wait::until_true("the provider is let go", || provider.counters().aborted() == 1);
    wait::until_true("no request is left", || {
        gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
    });
    drop(events);
}
