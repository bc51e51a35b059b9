//! Ends of the process, good and bad: what was spent stays spent, and no life spends more than is left.
//!
//! `FAREGATE_KILLS` says how many times a process is killed under load.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{Gateway, Launch, Provider, Wire, key, provider, random::Random, wait};
use loadtest::provider::Script;
use serde_json::json;

use super::{asking, billed, dollars, level, limited, nanos, sim, spend, spend_by, spent_of};

#[test]
fn after_a_restart_as_much_is_left_as_before_to_the_nano_dollar() {
    let provider = provider();
    let mut gateway = Launch::new(limited(&provider, "\"$1/day\"")).start();
    for life in 1..=4 {
        let mut client = gateway.client(&key::named("one"));
        for max in [1, 7, 500] {
            assert_eq!(client.post("/v1/chat/completions", &asking(max)).status, 200);
        }
        let before = spent_of(&level(&gateway));
        assert_eq!(before, billed(&provider), "life {life}");
        assert!(gateway.stop().success());
        let total = spend(gateway.folder.path())["total"].clone();
        assert_eq!((nanos(&total), &total["requests"]), (before, &json!(3 * life)), "life {life}");
        gateway.start_again();
        assert_eq!(spent_of(&level(&gateway)), before, "life {life}");
        assert_eq!(nanos(&spend(gateway.folder.path())["total"]), before, "life {life}");
    }
}

#[test]
fn a_budget_outlives_a_change_of_its_amount() {
    let provider = provider();
    let mut gateway = Launch::new(limited(&provider, "\"$1/day\"")).start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..5 {
        assert_eq!(client.post("/v1/chat/completions", &asking(100)).status, 200);
    }
    for limit in [2_000_000_000, 500_000_000, billed(&provider) + 1000, billed(&provider) / 2] {
        let before = gateway.generation();
        gateway.write(&limited(&provider, &format!("\"{}/day\"", dollars(limit))));
        gateway.wait_generation_after(before);
        let told = level(&gateway);
        assert_eq!(told["limit_units"], limit, "{told}");
        assert_eq!(spent_of(&told), billed(&provider), "{told}");
        assert_eq!(told["left"], limit.saturating_sub(billed(&provider)), "{told}");
    }
    let before = gateway.generation();
    gateway.write(&limited(&provider, "\"$1/day\""));
    gateway.wait_generation_after(before);
    assert_eq!(client.post("/v1/chat/completions", &asking(100)).status, 200);
    assert!(gateway.stop().success());
    gateway.start_again();
    assert_eq!(spent_of(&level(&gateway)), billed(&provider));
}

/// Asks and asks until `stop`, whatever comes.
fn load(gateway: &Gateway, stop: &AtomicBool) {
    let mut random = Random::new();
    while !stop.load(Ordering::Relaxed) {
        let stream = random.once_in(2);
        let mut body = json!({"model": "m", "stream": stream,
            "messages": [{"role": "user", "content": format!("number {}", random.number())}]});
        // What holds much loses much when the process is killed.
        if !stream || !random.once_in(16) {
            body["max_tokens"] = (1 + random.below(60)).into();
        }
        let text = body.to_string();
        let client = gateway.client(&key::named("one"));
        let request = client.request("POST", "/v1/chat/completions", Some(text.as_bytes()));
        let Ok(mut wire) = Wire::try_connect(gateway.address) else { return };
        if wire.try_send(&request).is_err() {
            return;
        }
        match wire.try_answer() {
            Ok(answer) => assert!(matches!(answer.status, 200 | 429 | 503), "{answer:?}"),
            Err(_) => return,
        }
    }
}

fn cycles() -> u64 {
    let cycles = std::env::var("FAREGATE_KILLS").ok();
    cycles.and_then(|cycles| cycles.parse().ok()).unwrap_or(25)
}

fn quiet(provider: &Provider) {
    wait::until_true("the provider is at rest", || provider.counters().in_flight() == 0);
}

/// Lives of one folder: so few that what each loses of a budget leaves something to the others.
const LIVES: u64 = 25;

#[test]
fn killed_at_any_moment_it_never_spends_more_than_its_budgets() {
    for _ in 0..cycles().div_ceil(LIVES) {
        kill_again_and_again(LIVES);
    }
}

fn kill_again_and_again(cycles: u64) {
    // So small that the later lives find nothing left, so great that most have some.
    let limit = cycles * 30_000_000;
    let day = |limit| format!("limits = [\"{}/day\"]\n", dollars(limit));
    let provider = provider();
    provider.set_script(&Script::parse("tokens=40; chunk=2ms").unwrap());
    let policy = format!(
        "{}[organisation]\n{}[teams.a]\n{}{}",
        sim(&provider),
        day(limit * 3),
        day(limit * 2),
        key::row("one", &format!("team = \"a\"\n{}", day(limit))),
    );
    let mut gateway = Launch::new(policy).start();
    let mut random = Random::new();
    let (mut served, mut rows) = (0, 0);
    for cycle in 0..cycles {
        let stop = AtomicBool::new(false);
        let before = billed(&provider);
        thread::scope(|scope| {
            let (gateway, stop) = (&gateway, &stop);
            for _ in 0..16 {
                scope.spawn(move || load(gateway, stop));
            }
            wait::pass(Duration::from_millis(20 + random.below(160) as u64));
            gateway.process().signal(libc::SIGKILL);
            stop.store(true, Ordering::Relaxed);
        });
        gateway.wait_exit();
        quiet(&provider);
        served += u64::from(billed(&provider) > before);
        let place = format!("after {cycle} kills, limit {limit}");
        // What a reader of the books has seen is there for good.
        let seen = spend(gateway.folder.path())["total"].clone();
        gateway.start_again();
        let told = level(&gateway);
        assert!(billed(&provider) <= limit, "{place}: {} were billed", billed(&provider));
        assert!(spent_of(&told) <= limit, "{place}: {told}");
        assert!(
            spent_of(&told) >= billed(&provider),
            "{place}: {} billed, {told}",
            billed(&provider)
        );
        assert_eq!(told["held"], 0, "{place}: {told}");
        let count = wait::until("the books hold what they held", || {
            let total = spend(gateway.folder.path())["total"].clone();
            (nanos(&total) >= nanos(&seen)).then(|| total["requests"].as_u64())?
        });
        assert!(count >= seen["requests"].as_u64().unwrap() && count >= rows, "{place}: {count}");
        rows = count;
    }
    assert!(spent_of(&level(&gateway)) * 10 >= limit * 9, "the limit was never near");
    assert!(served * 4 >= cycles, "only {served} of {cycles} lives had anything to spend");
    assert!(gateway.stop().success());
    // A request has one row, if it has ended. What lives left open is rows of its own, one for each scope.
    let books = spend_by(gateway.folder.path(), "kind");
    let requests = books["groups"].as_array().unwrap().iter().find(|by| by["kind"] == "request");
    let requests = requests.unwrap_or_else(|| panic!("{books}"));
    assert!(nanos(requests) <= limit, "{books}");
    let count = requests["requests"].as_u64().unwrap();
    let asked = provider.counters().requests();
    assert!(count > 0 && count <= asked, "{asked} requests reached the provider: {books}");
    assert!(nanos(requests) >= billed(&provider) / 2, "most of it was settled: {books}");
}
