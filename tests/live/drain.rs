//! The end of a process, and the hand-over to its successor.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{Gateway, Launch, Wire, client, provider, wait};
use serde_json::Value;

fn asked(sim: &str) -> Value {
    let mut body = client::streamed("m");
    body["sim"] = sim.into();
    body
}

fn is_refused(gateway: &Gateway) -> bool {
    let Ok(mut wire) = Wire::try_connect(gateway.address) else { return true };
    let request = gateway.client("").request("GET", "/health", None);
    wire.try_send(&request).is_err() || wire.try_answer().is_err()
}

#[test]
fn what_is_under_way_is_finished_and_nothing_new_begins() {
    let provider = provider();
    let mut gateway = Launch::open(&provider).start();
    let mut events = gateway.client("").stream(&asked("tokens=50; chunk=20ms"));
    events.next_data().unwrap();
    let mut body = client::chat("m");
    body["sim"] = "delay=500ms".into();
    let mut plain = gateway.connect();
    plain.send(gateway.client("").request(
        "POST",
        "/v1/chat/completions",
        Some(body.to_string().as_bytes()),
    ));
    wait::until_true("the provider has both", || provider.counters().in_flight() == 2);

    gateway.process().signal(libc::SIGTERM);
    wait::until_true("nobody is let in", || is_refused(&gateway));
    assert!(gateway.runs(), "there is still something under way");
    let answer = plain.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("connection"),
        Some("close"),
        "the connection is not to be used again"
    );
    let rest = events.all();
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"));
    assert_eq!(rest.len(), 52, "{rest:#?}");
    let status = gateway.wait_exit();
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    let lines = gateway.access();
    assert_eq!(lines.iter().filter(|line| line["surface"] == "chat").count(), 2, "{lines:#?}");
}

#[test]
fn readiness_goes_off_while_the_process_drains() {
    let provider = provider();
    let mut gateway = Launch::open(&provider).start();
    let mut probe = gateway.client("");
    assert_eq!(probe.get("/health/readiness").status, 200);
    let mut events = gateway.client("").stream(&asked("tokens=1000; chunk=10ms"));
    events.next_data().unwrap();
    gateway.process().signal(libc::SIGTERM);
    let mut admin = faregate_tests::Client::new(gateway.admin, "");
    wait::until_true("the admin listener says so", || admin.get("/health/readiness").status == 503);
    assert_eq!(admin.get("/health/liveliness").status, 200, "it is still alive");
    drop(events);
    assert_eq!(gateway.wait_exit().code(), Some(0));
}

#[test]
fn an_idle_process_ends_at_once() {
    let provider = provider();
    let mut gateway = Launch::open(&provider).start();
    let kept: Vec<Wire> = (0..8).map(|_| gateway.connect()).collect();
    assert_eq!(gateway.client("").chat("m").status, 200);
    let begun = std::time::Instant::now();
    assert_eq!(gateway.stop().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(kept);
}

#[test]
fn a_second_signal_cuts_what_is_left_and_says_so() {
    let provider = provider();
    let mut gateway = Launch::open(&provider).start();
    let mut events = gateway.client("").stream(&asked("tokens=100000; chunk=20ms"));
    events.next_data().unwrap();
    gateway.process().signal(libc::SIGTERM);
    gateway.wait_log("draining");
    assert!(events.next_data().is_some(), "the first signal lets it go on");
    gateway.process().signal(libc::SIGTERM);
    let rest = events.all();
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "draining", "{last}");
    gateway.wait_exit();
}

#[test]
fn a_drain_has_an_end() {
    let provider = provider();
    let mut gateway =
        Launch::open(&provider).server("[server.deadlines]\ndrain = \"300ms\"").start();
    let mut events = gateway.client("").stream(&asked("tokens=100000; chunk=20ms"));
    events.next_data().unwrap();
    gateway.process().signal(libc::SIGTERM);
    let rest = events.all();
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "draining", "{last}");
    gateway.wait_exit();
}

/// Asks again and again, by turns on a kept connection and on new ones; how often that worked, and what did not.
fn ask_until(
    address: std::net::SocketAddr,
    done: &AtomicBool,
    kept: bool,
    sent: &AtomicU64,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut client = faregate_tests::Client::new(address, "");
    while !done.load(Ordering::Relaxed) {
        if !kept {
            client = faregate_tests::Client::new(address, "");
        }
        let body = client::chat("m").to_string();
        match client.try_send("POST", "/v1/chat/completions", Some(body.as_bytes())) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => failures.push(format!("{answer:?}")),
            Err(error) => failures.push(error),
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
    failures
}

#[test]
fn a_successor_takes_over_without_a_failed_request() {
    let provider = provider();
    let mut first = Launch::open(&provider).start();
    let address = first.address;
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let failures: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|n| {
                let (done, sent) = (&done, &sent);
                scope.spawn(move || ask_until(address, done, n % 2 == 0, sent))
            })
            .collect();
        let more = |n: u64| {
            let goal = sent.load(Ordering::Relaxed) + n;
            wait::until_true("requests are sent", || sent.load(Ordering::Relaxed) >= goal);
        };
        more(100);
        let second = Launch::open(&provider).listen(address).start();
        more(50);
        assert_eq!(first.stop().code(), Some(0), "{}", first.log());
        more(100);
        done.store(true, Ordering::Relaxed);
        let failures = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        drop(second);
        failures
    });
    assert!(failures.is_empty(), "{} of {sent:?} failed: {failures:#?}", failures.len());
}
