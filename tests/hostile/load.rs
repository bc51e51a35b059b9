//! Many clients at once, with everything that goes right and wrong, and a process that has run out of descriptors.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{
    Client, Driver, Gateway, Launch, Provider, Wire, client, provider, random::Random, wait,
};
use serde_json::Value;

use crate::once;

/// Clients at the same time.
const CLIENTS: usize = 256;

/// Requests of all of them.
const REQUESTS: usize = 2_500;

fn asked(sim: &str, stream: bool) -> Vec<u8> {
    let mut body: Value = if stream { client::streamed("m") } else { client::chat("m") };
    body["sim"] = sim.into();
    body.to_string().into_bytes()
}

/// One request of some kind on a connection that is kept, made anew when it was closed.
fn one(gateway: &Gateway, client: &mut Client, kind: usize) {
    let path = "/v1/chat/completions";
    match kind {
        0..5 => {
            let answer = client.send("POST", path, Some(&asked("", false)));
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["object"], "chat.completion");
        }
        5 | 6 => {
            let body: Value = serde_json::from_slice(&asked("tokens=20; chunk=1ms", true)).unwrap();
            let data = gateway.client("").stream(&body).all();
            assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
            assert_eq!(data.len(), 23, "{data:#?}");
        }
        7 => {
            let answer = client.send("POST", path, Some(b"{\"model\":"));
            assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_json"));
        }
        8 => {
            let answer = client.send("POST", path, Some(&asked("status=500", false)));
            assert_eq!(answer.status, 500, "{answer:?}");
        }
        9 => {
            let answer = client.send("POST", path, Some(&asked("reset_at=head", false)));
            assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_reset"));
        }
        10 => {
            let body: Value = serde_json::from_slice(&asked("close_at=1500", true)).unwrap();
            let data = gateway.client("").stream(&body).all();
            assert!(data.last().unwrap().contains("upstream_cut"), "{data:#?}");
        }
        11 => {
            let body: Value =
                serde_json::from_slice(&asked("tokens=1000; chunk=1ms", true)).unwrap();
            let mut left = gateway.client("").stream(&body);
            left.next_data().unwrap();
        }
        12 => {
            let mut wire = gateway.connect();
            wire.send("GET / HTTP/1.1\r\nhost: g\r\nhost: h\r\n\r\n");
            assert_eq!(wire.answer().status, 400);
        }
        _ => {
            let body = asked(&"x".repeat(40_000), false);
            let body = String::from_utf8(body).unwrap().replace("\"sim\"", "\"long\"");
            let answer = client.send("POST", path, Some(body.as_bytes()));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

fn run(gateway: &Gateway, requests: usize) {
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = gateway.client("");
                let mut random = Random::seeded(sent.fetch_add(1, Ordering::Relaxed) as u64);
                while sent.fetch_add(1, Ordering::Relaxed) < requests {
                    one(gateway, &mut client, random.below(14));
                }
            });
        }
    });
}

fn wait_idle(gateway: &Gateway, provider: &Provider) {
    wait::until_true("no request is left", || {
        provider.counters().open() == 0
            && gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
            && gateway.metrics().sum("faregate_connections", &[]) == 0.0
    });
}

#[test]
fn many_clients_at_once_all_get_what_is_theirs() {
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url()))
            .on(driver)
            .server("[server.deadlines]\nupstream_idle = \"200ms\"")
            .start();
        run(&gateway, REQUESTS);
        wait_idle(&gateway, &provider);
        let fds = gateway.process().fds();
        let rss = gateway.process().rss_kib();
        run(&gateway, REQUESTS);
        wait_idle(&gateway, &provider);
        wait::until_true("descriptors come back", || gateway.process().fds() <= fds);
        let grown = gateway.process().rss_kib().saturating_sub(rss);
        assert!(grown <= 4096, "{driver:?}: {grown} KiB more after as many requests again");
        assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
        assert_eq!(gateway.metrics().sum("faregate_panics_total", &[]), 0.0);
    }
}

/// Lets the gateway have no more than so many descriptors.
#[expect(unsafe_code, reason = "prlimit(2) is a system call")]
fn limit_descriptors(gateway: &Gateway, most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    let id = i32::try_from(gateway.process().0).unwrap();
    // SAFETY: the limit is valid for reading, and a null pointer for the old one is allowed.
    let set = unsafe { libc::prlimit(id, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// What became of one client among too many.
fn attempt(gateway: &Gateway) -> (u16, Option<Wire>) {
    let Ok(mut wire) = Wire::try_connect(gateway.address) else { return (0, None) };
    wire.patience(Duration::from_millis(300));
    let body = asked("delay=50ms", false);
    let _ = wire.try_send(&gateway.client("").request("POST", "/v1/chat/completions", Some(&body)));
    match wire.try_answer() {
        Ok(answer) => (answer.status, Some(wire)),
        Err(_) => (0, Some(wire)),
    }
}

#[test]
fn a_process_without_descriptors_says_so_and_recovers() {
    for driver in Driver::ALL {
        let provider = provider();
        let policy = once(&provider.base_url()).replace("failures = 10000", "failures = 5");
        let gateway = Launch::new(policy).on(driver).start();
        assert_eq!(gateway.client("").chat("m").status, 200);
        limit_descriptors(&gateway, 256);
        let outcomes: Vec<(u16, Option<Wire>)> = thread::scope(|scope| {
            let all: Vec<_> = (0..400).map(|_| scope.spawn(|| attempt(&gateway))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let count = |status: u16| outcomes.iter().filter(|(got, _)| *got == status).count();
        // Served, told that there is no room, or left waiting: never blamed on the provider.
        let told: Vec<u16> = outcomes.iter().map(|(status, _)| *status).collect();
        assert!(told.iter().all(|status| matches!(status, 0 | 200 | 503)), "{told:?}");
        assert!(count(200) > 50, "{told:?}");
        // The connections are held: there is no room, and the gateway does not spin for it.
        let before = gateway.process().cpu_ticks();
        let begun = Instant::now();
        wait::pass(Duration::from_millis(700));
        let spent = gateway.process().cpu_ticks() - before;
        let most = u64::try_from(begun.elapsed().as_millis()).unwrap() / 10 / 4;
        assert!(spent <= most, "{driver:?}: {spent} ticks of 10 ms in {:?}", begun.elapsed());
        drop(outcomes);
        wait::until_true("it serves again", || {
            let mut client = gateway.client("");
            client
                .try_send("POST", "/v1/chat/completions", Some(&asked("", false)))
                .is_ok_and(|answer| answer.status == 200)
        });
        for _ in 0..20 {
            assert_eq!(gateway.client("").chat("m").status, 200);
        }
        assert_eq!(gateway.metrics().sum("faregate_panics_total", &[]), 0.0);
    }
}
