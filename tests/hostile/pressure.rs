//! Slow clients: they cost the gateway a bounded amount of memory, hold the provider back, and are let go in time, while
//! everybody else is served.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{
    Act, Driver, Gateway, Launch, Upstream, Wire, client, provider, upstream, wait,
};
use serde_json::Value;

use crate::{CHAT, STREAM, before, once, post};

/// Clients that do not read.
const READERS: usize = 200;

/// What each of them asks for.
const ANSWER_BYTES: usize = 8 << 20;

/// What a client that does not read may cost.
const READER_KIB_MAX: u64 = 64;

/// What a client that has not finished its head may cost, in a build without optimisation.
const HEAD_KIB_MAX: u64 = 10;

/// What the process may grow by for other reasons.
const SLACK_KIB: u64 = 2048;

/// An answer of 8 MiB in one of the framings, and the request's body that makes it one.
fn large(case: usize) -> Vec<Act> {
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(4_000)
    );
    let text = "y".repeat(16 << 10);
    let (head, part, last) = match case {
        0 => ("text/event-stream\r\ntransfer-encoding: chunked", framed(&event), "0\r\n\r\n"),
        1 => ("text/plain\r\ntransfer-encoding: chunked", framed(&text), "0\r\n\r\n"),
        2 => ("text/plain\r\ncontent-length: 8388608", text, ""),
        _ => ("text/plain", text, ""),
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {head}\r\n\r\n").into_bytes();
    let parts = ANSWER_BYTES / part.len();
    let mut acts = vec![Act::Send(head)];
    acts.extend(std::iter::repeat_n(Act::Send(part.into_bytes()), parts));
    acts.extend([Act::Send(last.as_bytes().to_vec()), Act::Close]);
    acts
}

fn framed(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Waits until the provider sends no more.
fn wait_held_back(upstream: &Upstream) {
    wait::until_true("the provider is held back", || {
        let sent = upstream.sent();
        sent > 0 && wait::stays(Duration::from_millis(100), || upstream.sent() == sent)
    });
}

#[test]
fn a_reader_that_does_not_read_costs_little_and_is_let_go() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| large(request.case()));
        let gateway = Launch::new(once(&upstream.base_url()))
            .on(driver)
            .server("[server.deadlines]\nstall = \"3s\"")
            .start();
        for case in 0..4 {
            // Warm: buffers that are kept for good are there already.
            let mut wire = gateway.connect();
            wire.send(post(case, STREAM));
            assert!(wire.answer().body.len() > ANSWER_BYTES - (64 << 10), "case {case}");
        }
        for case in 0..4 {
            let before = gateway.process().rss_kib();
            let fds = gateway.process().fds();
            let readers: Vec<Wire> = (0..READERS / 4)
                .map(|_| {
                    let mut wire = gateway.connect();
                    wire.send(post(case, STREAM));
                    wire
                })
                .collect();
            wait_held_back(&upstream);
            let grown = gateway.process().rss_kib().saturating_sub(before);
            let most = READER_KIB_MAX * readers.len() as u64 + SLACK_KIB;
            assert!(grown <= most, "{driver:?}, case {case}: {grown} KiB for {READERS}");
            if case == 3 {
                wait::until_true("they are let go in time", || upstream.open() <= 4);
            }
            drop(readers);
            wait::until_true("descriptors come back", || gateway.process().fds() <= fds + 4);
        }
    }
}

#[test]
fn a_reader_that_reads_slowly_gets_everything() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| large(request.case()));
        let gateway = before(&upstream, driver);
        thread::scope(|scope| {
            for case in 0..4 {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut wire = gateway.connect();
                    wire.send(post(case, STREAM));
                    let head = wire.head();
                    wait::pass(Duration::from_millis(300));
                    let body = wire.try_body(head.framing).unwrap();
                    assert!(body.len() > ANSWER_BYTES - (64 << 10), "case {case}: {}", body.len());
                });
            }
        });
    }
}

#[test]
fn a_provider_that_takes_a_request_slowly_gets_all_of_it() {
    for driver in Driver::ALL {
        let provider = faregate_tests::provider_with(faregate_tests::Settings {
            capture: 4,
            receive_buffer: Some(4096),
            ..Default::default()
        });
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let body = format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "y".repeat(2 << 20));
        let mut client = gateway.client("").with("x-sim", "read_bytes=65536; read_wait=1ms");
        let answer = client.send("POST", "/v1/files", Some(body.as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(provider.take_captured()[0].body == body.as_bytes());
    }
}

#[test]
fn slow_uploads_cost_what_they_have_sent_and_end_in_time() {
    const CLIENTS: usize = 100;
    for driver in Driver::ALL {
        let upstream = Upstream::start(|_| vec![Act::Send(upstream::json("{}"))]);
        let gateway = Launch::new(once(&upstream.base_url()))
            .on(driver)
            .server("[server.deadlines]\nbody = \"2s\"")
            .start();
        let before = gateway.process().rss_kib();
        let mut slow: Vec<Wire> = (0..CLIENTS)
            .map(|n| {
                let framing = match n % 2 {
                    0 => "content-length: 30000000\r\n\r\n{\"model\":",
                    _ => "transfer-encoding: chunked\r\n\r\n1c9c380\r\n{\"model\":",
                };
                let mut wire = gateway.connect();
                wire.send(format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n{framing}"));
                wire
            })
            .collect();
        wait::until_true("all are under way", || {
            gateway.metrics().sum("faregate_requests_in_flight", &[]) == CLIENTS as f64
        });
        let mut healthy = gateway.client("");
        assert_eq!(healthy.chat("m").status, 200);
        let grown = gateway.process().rss_kib().saturating_sub(before);
        assert!(grown <= READER_KIB_MAX * CLIENTS as u64 + SLACK_KIB, "{driver:?}: {grown} KiB");
        for wire in &mut slow {
            assert_eq!(wire.answer().code(), "body_timeout");
            assert!(wire.is_closed());
        }
    }
}

/// Sets its flag when it goes, also when a test fails.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends a byte of a head that never ends on each connection, again and again, until told to stop.
fn trickle(wires: &mut [Wire], done: &AtomicBool) {
    let mut bytes = b"GET /v1/models HTTP/1.1\r\nx-slow: ".iter().chain(std::iter::repeat(&b'y'));
    while !done.load(Ordering::Relaxed) {
        let byte = [*bytes.next().unwrap()];
        for wire in &mut *wires {
            let _ = wire.try_send(&byte);
        }
        wait::pass(Duration::from_millis(500));
    }
}

/// Descriptors of a gateway all of whose cores have started: on a loaded machine the last one comes after the address is open.
fn settled_fds(gateway: &Gateway) -> usize {
    let fds = || gateway.process().fds();
    wait::until("the cores have started", || {
        let now = fds();
        wait::stays(Duration::from_millis(500), || fds() == now).then_some(now)
    })
}

#[test]
fn clients_that_never_finish_a_head_are_closed_and_harm_nobody() {
    const CLIENTS: usize = 2_000;
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url()))
            .on(driver)
            .server("[server.deadlines]\nhead = \"3s\"")
            .start();
        let open = || gateway.metrics().sum("faregate_connections", &[]);
        let fds = settled_fds(&gateway);
        let before = gateway.process().rss_kib();
        let mut slow: Vec<Wire> = (0..CLIENTS).map(|_| gateway.connect()).collect();
        let begun = Instant::now();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| trickle(&mut slow, &done));
            let _end = Finally(&done);
            let mut healthy = gateway.client("");
            wait::until_true("they are all in", || {
                assert_eq!(healthy.chat("m").status, 200);
                open() >= CLIENTS as f64 || begun.elapsed() > Duration::from_secs(2)
            });
            let grown = gateway.process().rss_kib().saturating_sub(before);
            assert!(grown <= HEAD_KIB_MAX * CLIENTS as u64 + SLACK_KIB, "{driver:?}: {grown} KiB");
            wait::until_true("they are all closed", || {
                assert_eq!(healthy.chat("m").status, 200);
                open() <= 2.0
            });
        });
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        wait::until_true("descriptors come back", || gateway.process().fds() <= fds + 8);
    }
}

#[test]
fn a_slow_reader_of_a_pipelined_answer_gets_the_next_one_too() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| match request.case() {
            9 => vec![Act::Send(upstream::json("{}"))],
            case => large(case),
        });
        let gateway: Gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        wire.send(format!("{}{}", post(2, CHAT), post(9, CHAT)));
        wait_held_back(&upstream);
        assert_eq!(wire.answer().body.len(), ANSWER_BYTES);
        assert_eq!(wire.answer().text(), "{}");
    }
}

#[test]
fn streams_that_are_read_slowly_end_as_they_should() {
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let mut body: Value = client::streamed("m");
        body["sim"] = "tokens=2000; pad=4000".into();
        let events = gateway.client("").stream(&body);
        wait::until_true("the provider is held back", || {
            let sent = provider.counters().bytes_out();
            wait::stays(Duration::from_millis(50), || provider.counters().bytes_out() == sent)
        });
        let data = events.all();
        assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
        assert!(data.len() >= 2_000, "{}", data.len());
    }
}
