//! Clients that leave: the provider is let go at once, and what the request held comes back.

use std::time::Duration;

use faregate_tests::{
    Driver, Gateway, Launch, Provider, client, key, provider, random::Random, wait,
};
use loadtest::clock::Nanos;
use serde_json::Value;

use crate::once;

/// Clients that leave, for each driver and way.
const ROUNDS: usize = 50;

fn asked(sim: &str, stream: bool) -> Value {
    let mut body = if stream { client::streamed("m") } else { client::chat("m") };
    body["sim"] = sim.into();
    body
}

/// From the moment the client has left to the moment the provider has noticed: `leave` lets the client go.
fn delay(provider: &Provider, leave: impl FnOnce()) -> Duration {
    let before = provider.counters().aborted();
    let left = Nanos::now();
    leave();
    wait::until_true("the provider notices", || provider.counters().aborted() > before);
    Duration::from_nanos(provider.counters().aborted_at_ns().saturating_sub(left.0))
}

/// The machine may be busy with other tests: the best quarter shows what the gateway does.
#[expect(clippy::print_stdout, reason = "the figures of a failed test, or with --nocapture")]
fn check_delays(name: &str, driver: Driver, mut delays: Vec<Duration>) {
    delays.sort_unstable();
    let at = |share: usize| delays[(delays.len() * share / 100).min(delays.len() - 1)];
    println!("{name}, {driver:?}: p25 {:?}, p50 {:?}, p99 {:?}", at(25), at(50), at(99));
    assert!(at(25) <= Duration::from_millis(5), "{name}, {driver:?}: {delays:?}");
}

fn wait_idle(gateway: &Gateway) {
    wait::until_true("no request is left", || {
        gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
    });
}

#[test]
fn a_client_that_leaves_a_stream_at_any_point_takes_the_provider_with_it() {
    let random = &mut Random::new();
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let mut delays = Vec::new();
        for round in 0..ROUNDS {
            let sim =
                ["tokens=100000; chunk=1ms", "tokens=100; stall_at=5000", "first=60s"][round % 3];
            let mut events = gateway.client("").stream(&asked(sim, true));
            for _ in 0..random.below(if round % 3 == 2 { 1 } else { 15 }) {
                events.next_data().unwrap();
            }
            delays.push(delay(&provider, || match round % 2 {
                0 => drop(events),
                _ => events.wire.reset(),
            }));
        }
        check_delays("streams", driver, delays);
        wait_idle(&gateway);
        wait::until_true("the provider has no connections", || provider.counters().open() == 0);
        let gone = gateway.metrics().sum("faregate_requests_total", &["status=\"499\""]);
        assert_eq!(gone, ROUNDS as f64, "each is counted as what it is");
    }
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_the_provider_with_it() {
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let mut delays = Vec::new();
        for round in 0..ROUNDS {
            let sim = ["delay=60s", "stall_at=head", "stall_at=10"][round % 3];
            let mut wire = gateway.connect();
            let body = asked(sim, false).to_string();
            wire.send(gateway.client("").request(
                "POST",
                "/v1/chat/completions",
                Some(body.as_bytes()),
            ));
            wait::until_true("the provider has it", || provider.counters().in_flight() == 1);
            delays.push(delay(&provider, || match round % 2 {
                0 => drop(wire),
                _ => wire.reset(),
            }));
        }
        check_delays("plain answers", driver, delays);
        wait_idle(&gateway);
    }
}

#[test]
fn a_client_that_leaves_while_its_answer_is_stuck_takes_the_provider_with_it() {
    for driver in Driver::ALL {
        let provider = provider();
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let mut delays = Vec::new();
        for round in 0..20 {
            let events = gateway.client("").stream(&asked("tokens=50000; pad=4000", true));
            wait::until_true("the provider is held back", || {
                let sent = provider.counters().bytes_out();
                wait::stays(Duration::from_millis(20), || provider.counters().bytes_out() == sent)
            });
            delays.push(delay(&provider, || match round % 2 {
                0 => drop(events),
                _ => events.wire.reset(),
            }));
        }
        check_delays("stuck streams", driver, delays);
        wait_idle(&gateway);
    }
}

#[test]
fn what_a_request_held_comes_back_when_its_client_leaves() {
    for driver in Driver::ALL {
        let provider = provider();
        let limits = "limits = [\"2 concurrent\", \"20k tokens/day\"]";
        let policy = format!("{}{}", once(&provider.base_url()), key::row("one", limits));
        let gateway = Launch::new(policy).on(driver).start();
        let client = gateway.client(&key::named("one"));
        for round in 0..20 {
            let mut body = asked("delay=60s", round % 2 == 0);
            body["max_tokens"] = 4_000.into();
            let hold = || {
                let mut wire = gateway.connect();
                wire.send(client.request(
                    "POST",
                    "/v1/chat/completions",
                    Some(body.to_string().as_bytes()),
                ));
                wire
            };
            let held = [hold(), hold()];
            wait::until_true("the provider has both", || provider.counters().in_flight() == 2);
            let mut third = gateway.client(&key::named("one"));
            assert_eq!(third.chat("m").code(), "concurrency_exceeded", "round {round}");
            let before = provider.counters().aborted();
            drop(held);
            wait::until_true("both are let go", || provider.counters().aborted() == before + 2);
            wait_idle(&gateway);
        }
        // Prompts were sent and count. The tokens set aside for answers, eight times the limit in all, came back.
        let mut body = asked("", false);
        body["max_tokens"] = 4_000.into();
        let answer = gateway.client(&key::named("one")).post("/v1/chat/completions", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_request_costs_nothing() {
    for driver in Driver::ALL {
        let provider = provider();
        let policy = format!(
            "{}{}",
            once(&provider.base_url()),
            key::row("one", "limits = [\"1 concurrent\"]")
        );
        let gateway = Launch::new(policy).on(driver).start();
        let whole = gateway.client(&key::named("one")).request(
            "POST",
            "/v1/chat/completions",
            Some(asked("", false).to_string().as_bytes()),
        );
        for cut in (1..whole.len()).step_by(7) {
            let mut wire = gateway.connect();
            wire.send(&whole[..cut]);
            if cut % 2 == 0 {
                wire.reset();
            }
        }
        wait::until_true("the one place is free", || {
            let mut client = gateway.client(&key::named("one"));
            client.chat("m").status == 200
        });
        wait_idle(&gateway);
        assert_eq!(provider.counters().answered(), 1);
    }
}
