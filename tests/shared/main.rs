//! Gateways that share budgets, on one machine, with a Redis server of the test's own that is killed, stopped, cut off and
//! replaced. What the provider bills is counted by the provider.
//!
//! `FAREGATE_SHARED_ROUNDS` says how often each is done.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod failures;
mod rules;
mod together;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{Gateway, Launch, Provider, key, provider_with, wait};
use loadtest::provider::Settings;
use serde_json::{Value, json};

/// Nano-dollars of a token of input, and of one of output.
const INPUT: u64 = 1000;
const OUTPUT: u64 = 4000;

/// How often each test does what it does.
fn rounds() -> usize {
    std::env::var("FAREGATE_SHARED_ROUNDS").map_or(1, |text| text.parse().unwrap())
}

fn provider() -> Provider {
    provider_with(Settings::default())
}

/// What the provider bills.
fn billed(provider: &Provider) -> u64 {
    let counters = provider.counters();
    counters.billed_in() * INPUT + counters.billed_out() * OUTPUT
}

/// A gateway whose one key has `limits`, with the lines of a store.
fn launch(provider: &Provider, name: &str, store: &str, limits: &str) -> Launch {
    let sim = faregate_tests::gateway::sim(provider);
    Launch::new(format!(
        "{sim}[prices.\"sim/*\"]\ninput = \"$1/M\"\noutput = \"$4/M\"\ncache_read = \"$0.10/M\"\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n\
         [budgets.store]\nnode = \"{name}\"\n{store}\n{}",
        key::row("one", &format!("limits = [{limits}]"))
    ))
    .server("cores = 2")
}

/// Some gateways that share a budget.
fn gateways(provider: &Provider, count: usize, url: &str, limits: &str) -> Vec<Gateway> {
    let store = format!("url = \"{url}\"");
    let start = |n| launch(provider, &format!("gateway-{n}"), &store, limits).start();
    (1..=count).map(start).collect()
}

/// What one request asks for: `tokens` of output, which it gets.
fn asking(number: u64, tokens: u64) -> Value {
    json!({"model": "m", "max_tokens": tokens, "sim": format!("tokens={tokens}"),
        "messages": [{"role": "user", "content": format!("{number:08}")}]})
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    served: AtomicU64,
    refused: AtomicU64,
    away: AtomicU64,
    /// No connection, or one that broke: a gateway was killed.
    broken: AtomicU64,
}

/// Sends requests from some clients of each gateway until each has been refused so often in a row, or is told to stop.
fn spend(gateways: &[&Gateway], clients: usize, refusals: u32, stop: &AtomicBool, seen: &Seen) {
    let number = AtomicU64::new(0);
    thread::scope(|scope| {
        for gateway in gateways {
            for _ in 0..clients {
                scope.spawn(|| spend_one(gateway, refusals, (stop, &number), seen));
            }
        }
    });
}

fn spend_one(
    gateway: &Gateway,
    refusals: u32,
    (stop, number): (&AtomicBool, &AtomicU64),
    seen: &Seen,
) {
    let mut client = gateway.client(&key::named("one"));
    let mut in_a_row = 0;
    while in_a_row < refusals && !stop.load(Ordering::Relaxed) {
        let body = asking(number.fetch_add(1, Ordering::Relaxed), 20).to_string();
        let path = "/v1/chat/completions";
        let Ok(answer) = client.try_send("POST", path, Some(body.as_bytes())) else {
            seen.broken.fetch_add(1, Ordering::Relaxed);
            return;
        };
        match answer.status {
            200 => {
                in_a_row = 0;
                seen.served.fetch_add(1, Ordering::Relaxed);
            }
            402 | 429 => {
                in_a_row += 1;
                seen.refused.fetch_add(1, Ordering::Relaxed);
                // What others hold for a moment is not gone.
                wait::pass(Duration::from_millis(40));
            }
            503 if answer.code() == "budget_store_away" => {
                in_a_row += 1;
                seen.away.fetch_add(1, Ordering::Relaxed);
                wait::pass(Duration::from_millis(20));
            }
            _ => panic!("{answer:?}"),
        }
    }
}

/// The budget of the key as the gateway's operators see it.
fn budget(gateway: &Gateway) -> Value {
    let answer = faregate_tests::Client::new(gateway.admin, "").get("/budgets");
    assert_eq!(answer.status, 200, "{answer:?}");
    let all = answer.json();
    let scopes = all["scopes"].as_array().unwrap().clone();
    let key = scopes.iter().find(|scope| scope["scope"] == "key/one").unwrap();
    key["budgets"][0].clone()
}

/// Waits until a gateway leases.
fn ready(gateways: &[Gateway]) {
    for gateway in gateways {
        let mut client = gateway.client(&key::named("one"));
        wait::until_true("a gateway leases", || {
            client.post("/v1/chat/completions", &asking(0, 1)).status == 200
        });
    }
}

/// That the provider billed no more than the limit, and nearly all of it.
#[track_caller]
fn all_is_used(provider: &Provider, limit: u64, seen: &Seen) {
    let billed = billed(provider);
    assert!(billed <= limit, "{billed} of {limit} were spent: {seen:?}");
    assert!(billed * 1000 >= limit * 995, "only {billed} of {limit} were spent: {seen:?}");
}
