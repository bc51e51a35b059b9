//! A provider that breaks an answer off at any byte, in any way: the client gets a well-formed ending, the connection to
//! the provider is not used again, and the client's connection serves the next request or is closed.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use faregate_tests::{
    Act, Driver, Gateway, Launch, Upstream, Wire, client::Events, upstream, wait,
};
use serde_json::Value;

use crate::{CHAT, STREAM, once, post};

/// Clients that break answers at the same time.
const CLIENTS: usize = 16;

/// The case that is answered whole.
const WHOLE: usize = usize::MAX;

/// How an answer is broken off.
const WAYS: [Act; 3] = [Act::Reset, Act::Close, Act::Hold];

/// A stream of about 4 KiB as a provider sends it: head and body, in chunks that do not follow the events.
fn stream() -> Vec<u8> {
    let event = |n: usize| {
        let rest = r#""object":"chat.completion.chunk","created":1,"model":"m""#;
        let choice =
            format!(r#"{{"index":0,"delta":{{"content":"word {n}"}},"finish_reason":null}}"#);
        format!("data: {{\"id\":\"c\",{rest},\"choices\":[{choice}]}}\n\n")
    };
    let mut text: String = (0..25).map(event).collect();
    text.push_str(": a comment\n\ndata: [DONE]\n\n");
    let mut out =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in text.as_bytes().chunks(301) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// A plain answer of about 4 KiB, by its length or in chunks.
fn plain(chunked: bool) -> Vec<u8> {
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(4_000));
    if !chunked {
        return upstream::json(&body);
    }
    let mut out =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in body.as_bytes().chunks(701) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The bytes at which an answer of `length` bytes is broken off: all of them, or one in 37 and those at both ends.
fn places(length: usize) -> Vec<usize> {
    if std::env::var("FAREGATE_SWEEP").is_ok_and(|value| value == "full") {
        return (0..length).collect();
    }
    (0..length).filter(|at| at % 37 == 0 || at + 48 > length || *at < 4).collect()
}

/// A gateway before a provider that sends `whole` and breaks off: case `n` says where and how.
fn broken(whole: &[u8], driver: Driver) -> (Gateway, Upstream) {
    let whole = whole.to_vec();
    let upstream = Upstream::start(move |request| {
        let (at, way) = (request.case() / WAYS.len(), &WAYS[request.case() % WAYS.len()]);
        let sent = whole[..at.min(whole.len())].to_vec();
        if at >= whole.len() { vec![Act::Send(sent)] } else { vec![Act::Send(sent), way.clone()] }
    });
    let policy = format!(
        "{}[providers.sim.deadlines]\nfirst_byte = \"300ms\"\nfirst_token = \"300ms\"\nbetween_tokens = \"300ms\"\n",
        once(&upstream.base_url())
    );
    (Launch::new(policy).on(driver).start(), upstream)
}

/// Runs `check` for every place and way, many at a time, with a connection for each client.
fn sweep(length: usize, gateway: &Gateway, check: impl Fn(&mut Wire, usize, &str) + Sync) {
    let cases: Vec<usize> = places(length)
        .into_iter()
        .flat_map(|at| (0..WAYS.len()).map(move |way| at * WAYS.len() + way))
        .collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut wire = gateway.connect();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (at, way) = (case / WAYS.len(), &WAYS[case % WAYS.len()]);
                    check(&mut wire, *case, &format!("{way:?} at {at}"));
                    check_goes_on(&mut wire, gateway, &format!("{way:?} at {at}"));
                }
            });
        }
    });
}

/// The connection serves another request, or it is closed and a new one does. That request is answered well, so that the
/// provider is not taken for one that is down.
fn check_goes_on(wire: &mut Wire, gateway: &Gateway, case: &str) {
    for _ in 0..2 {
        if wire.try_send(post(WHOLE, CHAT).as_bytes()).is_ok()
            && let Ok(answer) = wire.try_answer()
        {
            assert_eq!(answer.status, 200, "{case}: not the answer to this: {answer:?}");
            return;
        }
        *wire = gateway.connect();
    }
    panic!("{case}: a new connection is not served");
}

/// What must hold when everything has been broken.
fn check_after(gateway: &Gateway, upstream: &Upstream) {
    let requests = upstream.take();
    let broken: Vec<_> = requests.iter().filter(|request| request.case() != WHOLE).collect();
    let last = |connection: usize| {
        requests.iter().filter(|request| request.connection == connection).map(|r| r.place).max()
    };
    for request in &broken {
        let is_last = last(request.connection) == Some(request.place);
        assert!(is_last, "a broken connection is used again: {request:?}");
    }
    let good = upstream.accepted() - broken.len();
    wait::until_true("every broken connection is closed", || upstream.open() <= good);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("faregate_requests_in_flight", &[]), 0.0);
    assert_eq!(metrics.sum("faregate_panics_total", &[]), 0.0);
}

/// Reads a stream that was broken off: whole events, then an error event, never an end that the provider did not send.
fn check_stream(wire: Wire, case: &str, done_sent: bool) -> Wire {
    let mut events = Events::read(wire);
    if events.head.status != 200 {
        let body = events.wire.try_body(events.head.framing).unwrap();
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert!(matches!(events.head.status, 502 | 504), "{case}: {error}");
        assert!(error["error"]["code"].is_string(), "{case}: {error}");
        return events.wire;
    }
    let mut data = Vec::new();
    loop {
        match events.try_next() {
            Ok(Some(next)) => data.push(next),
            Ok(None) => break,
            Err(error) => panic!("{case}: the stream itself broke: {error}\n{data:#?}"),
        }
    }
    let last = data.pop().unwrap_or_else(|| panic!("{case}: nothing came"));
    let done = last == "[DONE]";
    assert_eq!(done, done_sent, "{case}: {last}");
    assert!(!data.contains(&"[DONE]".to_owned()), "{case}: something behind the end: {last}");
    if !done {
        let error: Value = serde_json::from_str(&last).unwrap();
        let code = error["error"]["code"].as_str().unwrap_or_default();
        let codes = ["upstream_cut", "between_tokens_timeout", "first_token_timeout"];
        assert!(codes.contains(&code), "{case}: {last}");
        assert!(error["error"]["request_id"].is_string(), "{case}: {last}");
    }
    for (n, event) in data.iter().enumerate() {
        let event: Value = serde_json::from_str(event).unwrap();
        assert_eq!(event["choices"][0]["delta"]["content"], format!("word {n}"), "{case}");
    }
    events.wire
}

#[test]
fn a_stream_broken_off_at_any_byte_ends_with_an_error_event() {
    let whole = stream();
    let done = whole.len() - b"\r\n0\r\n\r\n".len();
    for driver in Driver::ALL {
        let (gateway, upstream) = broken(&whole, driver);
        sweep(whole.len(), &gateway, |wire, case, shown| {
            wire.send(post(case, STREAM));
            let taken = std::mem::replace(wire, gateway.connect());
            *wire = check_stream(taken, shown, case / WAYS.len() >= done);
        });
        check_after(&gateway, &upstream);
    }
}

#[test]
fn a_plain_answer_broken_off_at_any_byte_never_looks_whole() {
    for driver in Driver::ALL {
        for chunked in [false, true] {
            let whole = plain(chunked);
            let (gateway, upstream) = broken(&whole, driver);
            sweep(whole.len(), &gateway, |wire, case, shown| {
                wire.send(post(case, CHAT));
                match wire.try_answer() {
                    Err(error) => assert!(error.contains("closed"), "{shown}: {error}"),
                    Ok(answer) => {
                        assert!(matches!(answer.status, 502 | 504), "{shown}: {answer:?}");
                        assert!(!answer.code().is_empty(), "{shown}: {answer:?}");
                    }
                }
            });
            check_after(&gateway, &upstream);
        }
    }
}

#[test]
fn a_chunk_that_is_none_breaks_the_answer_where_it_stands() {
    const SIZES: [&str; 8] = ["zz", "-1", "+5", "0x5", "", "5 5", "fffffffffffffffff", "5\n"];
    const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"word 0\"}}]}\n\n";
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| {
            let (bad, events) = (SIZES[request.case() / 2], request.case() % 2 == 0);
            let kind = if events { "text/event-stream" } else { "application/json" };
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked");
            let good = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
            vec![Act::Send(format!("{head}\r\n\r\n{good}{bad}\r\nhello\r\n0\r\n\r\n").into_bytes())]
        });
        let gateway = crate::before(&upstream, driver);
        for (n, bad) in SIZES.iter().enumerate() {
            let mut wire = gateway.connect();
            wire.send(post(2 * n, STREAM));
            check_stream(wire, bad, false);
            let mut wire = gateway.connect();
            wire.send(post(2 * n + 1, CHAT));
            let error = wire.try_answer().expect_err("it must not look whole");
            assert!(error.contains("closed"), "{bad:?}: {error}");
        }
        check_after(&gateway, &upstream);
    }
}
