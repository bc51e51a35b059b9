//! Money: what requests cost, budgets that hold, books that add up.

mod bounds;
mod crash;
mod crowd;
mod exact;
mod extras;
mod flat;
mod refusals;
mod ways;
mod webhook;

use std::path::Path;

use faregate_tests::{Gateway, Provider, binary, key, wait};
use serde_json::{Value, json};

/// Nano-dollars of a token of input, and of one of output, where nothing else is said.
const INPUT: u64 = 1000;
const OUTPUT: u64 = 4000;

/// One price for all models of these providers.
fn prices(providers: &[&str]) -> String {
    let of = |name: &&str| {
        format!(
            "[prices.\"{name}/*\"]\ninput = \"$1/M\"\noutput = \"$4/M\"\ncache_read = \"$0.10/M\"\n\
             cache_write = \"$1.25/M\"\ncache_write_1h = \"$2/M\"\n"
        )
    };
    providers.iter().map(of).collect()
}

/// What the scripted provider would bill by [`prices`], caches apart.
fn billed(provider: &Provider) -> u64 {
    let counters = provider.counters();
    counters.billed_in() * INPUT + counters.billed_out() * OUTPUT
}

/// The tables of one provider called `sim` with prices, one attempt each.
fn sim(provider: &Provider) -> String {
    let sim = faregate_tests::gateway::sim(provider);
    let prices = prices(&["sim"]);
    format!("{sim}{prices}[retries]\nattempts = 1\n[breaker]\nfailures = 10000\n")
}

/// A key whose budget is `limits`.
fn limited(provider: &Provider, limits: &str) -> String {
    format!("{}{}", sim(provider), key::row("one", &format!("limits = [{limits}]")))
}

/// Dollars as a policy writes them.
fn dollars(nanos: u64) -> String {
    format!("${}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// What `faregate spend` says of the books in `folder`, by key.
fn spend(folder: &Path) -> Value {
    spend_by(folder, "key")
}

/// The same by another dimension.
pub(super) fn spend_by(folder: &Path, dimension: &str) -> Value {
    let arguments = ["spend", "--by", dimension, "--since", "2d", "--format", "json", "--ledger"];
    let output = binary::command(&arguments).arg(folder.join("data")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until the books have so many rows; their sum.
#[track_caller]
fn spent(gateway: &Gateway, rows: usize) -> u64 {
    wait::until(&format!("{rows} rows in the books"), || {
        let total = spend(gateway.folder.path())["total"].clone();
        let count = total["requests"].as_u64()?;
        assert!(count <= rows as u64, "{total}");
        (count == rows as u64).then(|| nanos(&total))
    })
}

/// The nano-dollars of a total.
fn nanos(total: &Value) -> u64 {
    total["cost_nano_usd"].as_u64().unwrap_or_else(|| panic!("no cost in {total}"))
}

/// The costs in the access log, added up.
fn logged(gateway: &Gateway) -> u64 {
    gateway.access().iter().filter_map(|line| line["cost_nanousd"].as_u64()).sum()
}

fn asking(max: u64) -> Value {
    json!({"model": "m", "max_tokens": max, "messages": [{"role": "user", "content": "hi"}]})
}

/// What the key's own budget says of itself when it refuses what can never fit.
fn level(gateway: &Gateway) -> Value {
    level_of(gateway, "one")
}

/// The same of another key.
fn level_of(gateway: &Gateway, name: &str) -> Value {
    let mut client = gateway.client(&key::named(name));
    let refused = client.post("/v1/chat/completions", &asking(10_000_000_000));
    assert_eq!(refused.status, 429, "{refused:?}");
    let error = refused.json()["error"].clone();
    assert_eq!(error["scope"], format!("key/{name}"), "{error}");
    error
}

fn spent_of(level: &Value) -> u64 {
    level["spent"].as_u64().unwrap_or_else(|| panic!("{level}"))
}
