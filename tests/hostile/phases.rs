//! Deadlines, each with its own status and code, with both drivers, and at the same time.
//!
//! Every phase is held up by a client or provider of its own; all of them wait at once, so that the time is spent once.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{
    Act, Answer, Driver, Gateway, Launch, Upstream, Wire, client::Events, upstream, wait,
};
use serde_json::Value;

use crate::{CHAT, STREAM, once, post};

/// A listener whose queue is full: nobody connects any more.
struct Full {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
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

const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A chunk with this text.
fn chunk(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

fn token() -> Act {
    chunk("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n")
}

/// What the provider does in each case.
fn acts(case: usize) -> Vec<Act> {
    let head = Act::Send(STREAM_HEAD.as_bytes().to_vec());
    let role = chunk(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    );
    let comments = |n: usize| vec![chunk(": still here\n\n"); n];
    match case {
        // No answer; half a head.
        0 => vec![Act::Hold],
        1 => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), Act::Hold],
        // A head and no content: nothing at all, a role, comments.
        2 => vec![head, Act::Hold],
        3 => vec![head, role, Act::Hold],
        4 => [vec![head, role], comments(20), vec![Act::Hold]].concat(),
        // Content, then nothing, half an event, comments.
        5 => vec![head, token(), Act::Hold],
        6 => vec![head, token(), chunk("data: {\"choices\""), Act::Hold],
        7 => [vec![head, token()], comments(20), vec![Act::Hold]].concat(),
        // A plain answer that stops in its body.
        8 => vec![Act::Send(upstream::json("{}").split_last().unwrap().1.to_vec()), Act::Hold],
        _ => vec![Act::Send(upstream::json("{}"))],
    }
}

/// A gateway whose deadlines are 300 ms each, before a provider that keeps to none.
fn start(driver: Driver, upstream: &Upstream, full: &Full) -> Gateway {
    let policy = format!(
        "{}[providers.sim.deadlines]\nfirst_byte = \"300ms\"\nfirst_token = \"300ms\"\nbetween_tokens = \"300ms\"\n\
         [providers.full]\nbase_url = \"http://{}\"\n[providers.full.deadlines]\nconnect = \"300ms\"\n",
        once(&upstream.base_url()),
        full.address
    );
    Launch::new(policy)
        .on(driver)
        .server("[server.deadlines]\nhead = \"300ms\"\nbody = \"300ms\"\nidle = \"300ms\"\nkeep_alive_comment = \"1s\"")
        .start()
}

/// The answer's status and code; of a stream, the code of its last event.
fn ending(mut wire: Wire) -> (u16, String) {
    let head = wire.head();
    if head.status != 200 {
        let body = wire.try_body(head.framing).unwrap();
        let answer = Answer { status: head.status, headers: head.headers, body };
        return (answer.status, answer.code());
    }
    let body = wire.try_body(head.framing);
    let Ok(body) = body else { return (200, "cut".to_owned()) };
    let text = String::from_utf8(body).unwrap();
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let event: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{text}"));
    (200, event["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_phase_has_a_deadline_and_a_code_of_its_own() {
    const EXPECTED: [(usize, &str, u16, &str); 11] = [
        (0, CHAT, 504, "first_byte_timeout"),
        (0, STREAM, 504, "first_byte_timeout"),
        (1, CHAT, 504, "first_byte_timeout"),
        (1, STREAM, 504, "first_byte_timeout"),
        (2, STREAM, 200, "first_token_timeout"),
        (3, STREAM, 200, "first_token_timeout"),
        (4, STREAM, 200, "first_token_timeout"),
        (5, STREAM, 200, "between_tokens_timeout"),
        (6, STREAM, 200, "between_tokens_timeout"),
        (7, STREAM, 200, "between_tokens_timeout"),
        (8, CHAT, 200, "cut"),
    ];
    let full = Full::new();
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| acts(request.case()));
        let gateway = start(driver, &upstream, &full);
        let begun = Instant::now();
        thread::scope(|scope| {
            for (case, body, status, code) in EXPECTED {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut wire = gateway.connect();
                    wire.send(post(case, body));
                    assert_eq!(ending(wire), (status, code.to_owned()), "case {case}: {body}");
                    let took = begun.elapsed();
                    assert!(took >= Duration::from_millis(290), "case {case} took {took:?}");
                });
            }
            let held = [
                ("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n", "head_timeout"),
                ("P", "head_timeout"),
                (
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\n{",
                    "body_timeout",
                ),
                (
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\n",
                    "body_timeout",
                ),
                (
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n",
                    "body_timeout",
                ),
                (
                    "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
                    "body_timeout",
                ),
            ];
            for (sent, code) in held {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut wire = gateway.connect();
                    wire.send(sent);
                    let answer = wire.answer();
                    assert_eq!((answer.status, answer.code().as_str()), (408, code), "{sent}");
                    assert_eq!(answer.header("connection"), Some("close"), "{sent}");
                    assert!(wire.is_closed(), "{sent}");
                });
            }
            scope.spawn(|| {
                let mut wire = gateway.connect();
                wire.send(post(9, CHAT.replace("\"m\"", "\"full/m\"").as_str()));
                let answer = wire.answer();
                let got = (answer.status, answer.code());
                assert_eq!(got, (504, "upstream_connect_timeout".to_owned()), "{answer:?}");
            });
            scope.spawn(|| {
                let mut wire = gateway.connect();
                wire.send(post(9, CHAT));
                assert_eq!(wire.answer().status, 200);
                assert!(wire.is_closed(), "an idle connection is closed without a word");
            });
        });
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // Who answered well is kept.
        wait::until_true("nobody hangs on to the provider", || upstream.open() <= 1);
        assert_eq!(gateway.metrics().sum("faregate_requests_in_flight", &[]), 0.0);
    }
}

#[test]
fn the_deadline_for_all_ends_what_keeps_every_other() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| match request.case() {
            0 => vec![Act::Hold],
            _ => vec![Act::Send(STREAM_HEAD.as_bytes().to_vec()), token(), Act::Hold],
        });
        let deadlines = "first_byte = \"600ms\"\nfirst_token = \"600ms\"\nbetween_tokens = \"600ms\"\nconnect = \"600ms\"";
        let policy =
            format!("{}[providers.sim.deadlines]\n{deadlines}\n", once(&upstream.base_url()));
        let gateway =
            Launch::new(policy).on(driver).server("[server.deadlines]\ntotal = \"600ms\"").start();
        for (case, status) in [(0, 504), (1, 200)] {
            let mut wire = gateway.connect();
            wire.send(post(case, STREAM));
            assert_eq!(ending(wire), (status, "total_timeout".to_owned()), "case {case}");
        }
    }
}

#[test]
fn a_silent_stream_gets_comments_and_they_buy_it_no_time() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|_| {
            vec![Act::Send(STREAM_HEAD.as_bytes().to_vec()), token(), Act::Hold]
        });
        let policy = format!(
            "{}[providers.sim.deadlines]\nbetween_tokens = \"2500ms\"\n",
            once(&upstream.base_url())
        );
        let gateway = Launch::new(policy)
            .on(driver)
            .server("[server.deadlines]\nkeep_alive_comment = \"1s\"")
            .start();
        let mut wire = gateway.connect();
        wire.send(post(0, STREAM));
        let answer = wire.answer();
        let comments = answer.text().split("\n\n").filter(|event| event.starts_with(':')).count();
        assert_eq!(comments, 2, "one a second: {}", answer.text());
        assert!(answer.text().contains("between_tokens_timeout"), "{}", answer.text());
    }
}

#[test]
fn events_are_whole_when_a_stream_is_ended_in_the_middle_of_one() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| acts(request.case()));
        let full = Full {
            address: upstream.address,
            _listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            _queued: Vec::new(),
        };
        let gateway = start(driver, &upstream, &full);
        let mut wire = gateway.connect();
        wire.send(post(6, STREAM));
        let data = Events::read(wire).all();
        assert_eq!(data.len(), 2, "the token and the error: {data:?}");
    }
}
