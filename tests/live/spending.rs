//! Money: budgets that hold under crowds, cuts and kills, books that add up.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{
    Gateway, Launch, Provider, binary, folder::Folder, gateway, key, provider, wait,
};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// Nano-dollars a token of output: a tenth of a cent. Input is free, so that what was billed is what the provider counts.
const TOKEN: u64 = 1_000_000;

/// Tokens of an answer.
const TOKENS: u64 = 16;

/// A policy whose key `one` of team `search` has this limit, with a price for everything.
fn policy(provider: &Provider, limit: &str, more: &str) -> String {
    format!(
        "{}[prices.\"sim/*\"]\ninput = \"$0/M\"\noutput = \"$1000/M\"\n[organisation]\nname = \"acme\"\nlimits = [\"$1,000/month\"]\n\
         [teams.search]\nlimits = [\"$500/day\"]\n{more}\n{}",
        gateway::sim(provider),
        key::row("one", &format!("team = \"search\"\nlimits = [\"{limit}\"]\n")),
    )
}

fn ask(tokens_max: u64, stream: bool) -> Value {
    json!({"model": "m", "max_tokens": tokens_max, "stream": stream,
        "messages": [{"role": "user", "content": "hi"}]})
}

/// What `faregate spend` says was spent, in nano-dollars, once the books have as many requests.
#[track_caller]
fn spent(data: &Path, requests: u64) -> u64 {
    let mut last = String::new();
    wait::until(&format!("the books have {requests} requests"), || {
        let mut command =
            binary::command(&["spend", "--by", "team", "--format", "json", "--ledger"]);
        let output = command.arg(data).output().unwrap();
        last = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: Value = serde_json::from_str(&last).ok()?;
        let total = &report["total"];
        (total["requests"].as_u64()? == requests).then(|| total["cost_nano_usd"].as_u64())?
    })
}

/// Asks until nothing has been had for a while; how many answers came.
fn drain(gateway: &Gateway, clients: usize, stream: bool) -> u64 {
    let answers = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = gateway.client(&key::named("one"));
                let mut refused = 0;
                while refused < 12 {
                    let answer = client.post("/v1/chat/completions", &ask(TOKENS + 4, stream));
                    match answer.status {
                        200 => {
                            refused = 0;
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                        402 => {
                            refused += 1;
                            wait::pass(Duration::from_millis(5));
                        }
                        other => panic!("{other}: {}", answer.text()),
                    }
                }
            });
        }
    });
    answers.load(Ordering::Relaxed)
}

#[test]
fn a_crowd_uses_a_budget_up_and_no_more() {
    for stream in [false, true] {
        let provider = provider();
        let gateway = Launch::new(policy(&provider, "$5 total", "")).server("cores = 2").start();
        let answers = drain(&gateway, 48, stream);
        let billed = provider.counters().tokens_out() * TOKEN;
        assert_eq!(billed, answers * TOKENS * TOKEN);
        assert!(billed <= 5_000_000_000, "{billed}");
        assert!(billed * 1000 >= 5_000_000_000 * 995, "only {billed} of $5 were used");
        assert_eq!(spent(&gateway.folder.join("data"), answers), billed);
        for line in gateway.access().iter().filter(|line| line["status"] == 200) {
            assert_eq!(line["cost_nanousd"], TOKENS * TOKEN, "{line}");
        }
    }
}

#[test]
fn a_refusal_says_what_would_fit_and_that_fits() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "$0.05 total", "")).start();
    let mut client = gateway.client(&key::named("one"));
    let refused = client.post("/v1/chat/completions", &ask(51, false));
    assert_eq!((refused.status, refused.code()), (402, "budget_spent".to_owned()));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    let error = refused.json()["error"].clone();
    assert_eq!(error["scope"], "key/one");
    assert_eq!(error["limit"], "$0.05 total");
    assert_eq!((&error["unit"], &error["left"]), (&json!("nanousd"), &json!(50_000_000)));
    assert_eq!(error["asked"], 51 * TOKEN);
    let fits = error["max_tokens_that_fits"].as_u64().unwrap();
    assert_eq!(fits, 50);
    assert_eq!(client.post("/v1/chat/completions", &ask(fits, false)).status, 200);
    assert_eq!(provider.counters().requests(), 1);
    // The team's budget resets: 429, and when.
    gateway.replace(&policy(&provider, "$50 total", "").replace("$500/day", "$0.01/day"));
    wait::until_true("the new policy is in force", || gateway.generation() > 1);
    let refused = client.post("/v1/chat/completions", &ask(11, false));
    assert_eq!((refused.status, refused.code()), (429, "budget_exceeded".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.json()["error"]["scope"], "team/search");
}

#[test]
fn what_has_no_price_is_refused_with_the_lines_that_give_it_one() {
    let provider = provider();
    let with = policy(&provider, "$5 total", "");
    let without = with.replace("[prices.\"sim/*\"]\ninput = \"$0/M\"\noutput = \"$1000/M\"\n", "");
    let gateway = Launch::new(without.clone()).start();
    let mut client = gateway.client(&key::named("one"));
    let refused = client.post("/v1/chat/completions", &ask(5, false));
    assert_eq!((refused.status, refused.code()), (403, "unpriced_model".to_owned()));
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let lines = message.split("\n\n").nth(1).unwrap();
    assert!(lines.starts_with("[prices.\"sim/m\"]"), "{message}");
    gateway.replace(&format!("{lines}\n{without}"));
    wait::until_true("the price is in force", || {
        client.post("/v1/chat/completions", &ask(5, false)).status == 200
    });
}

#[test]
fn a_stream_without_a_bound_ends_at_length_when_its_budget_does() {
    let provider = provider();
    let script = Script { tokens: 20_000, chunk: Duration::from_micros(200), ..Script::default() };
    provider.set_script(&script);
    let gateway = Launch::new(policy(&provider, "$3 total", "")).start();
    let client = gateway.client(&key::named("one"));
    let body =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let events = client.stream(&body).all();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length", "{last}");
    let content = events.iter().filter(|event| event.contains("\"content\":\"")).count() as u64;
    assert!((2900..=3000).contains(&content), "{content} tokens for $3");
    // The next one finds nothing.
    let refused = gateway.client(&key::named("one")).post("/v1/chat/completions", &ask(200, false));
    assert_eq!(refused.status, 402);
}

#[test]
fn an_answer_without_a_bound_is_given_one() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "$1 total", "")).start();
    let mut client = gateway.client(&key::named("one"));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(client.post("/v1/chat/completions", &body).status, 200);
    let captured = provider.take_captured().pop().unwrap();
    let sent: Value = serde_json::from_slice(&captured.body).unwrap();
    assert_eq!(sent["max_completion_tokens"], 512, "the largest halving of 8192 that $1 pays");
}

#[test]
fn whoever_leaves_pays_for_what_came_and_the_rest_is_free_again() {
    let provider = provider();
    let script = Script { tokens: 400, chunk: Duration::from_millis(2), ..Script::default() };
    provider.set_script(&script);
    let gateway = Launch::new(policy(&provider, "$1 total", "")).start();
    for _ in 0..8 {
        let client = gateway.client(&key::named("one"));
        let mut events = client.stream(&ask(400, true));
        for _ in 0..10 {
            events.next_data();
        }
    }
    provider.set_script(&Script::default());
    let data = gateway.folder.join("data");
    let cost = spent(&data, 8);
    let billed = provider.counters().tokens_out() * TOKEN;
    assert!(cost >= billed, "{cost} was charged, {billed} billed");
    assert!(cost <= billed + 8 * 32 * TOKEN, "{cost} was charged, {billed} billed");
    // All that is left can be had by one request.
    let left = (1_000_000_000 - cost) / TOKEN;
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.post("/v1/chat/completions", &ask(left + 1, false)).status, 402);
    assert_eq!(client.post("/v1/chat/completions", &ask(left, false)).status, 200);
}

#[test]
fn a_restart_knows_what_was_spent_and_a_kill_never_gives_any_back() {
    let provider = provider();
    let folder = Folder::new();
    let data = folder.join("books");
    let launch = || {
        Launch::new(policy(&provider, "$2 total", ""))
            .variable("FAREGATE_DATA", &data.display().to_string())
            .start()
    };
    let mut gateway = launch();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..10 {
        assert_eq!(client.post("/v1/chat/completions", &ask(TOKENS, false)).status, 200);
    }
    drop(client);
    assert!(gateway.stop().success());
    assert_eq!(spent(&data, 10), 10 * TOKENS * TOKEN);
    // What is left after an orderly end is exact.
    let gateway = launch();
    let left = 2000 - 10 * TOKENS;
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.post("/v1/chat/completions", &ask(left + 1, false)).status, 402);
    let answered = client.post("/v1/chat/completions", &ask(left, false));
    assert_eq!(answered.status, 200, "{}", answered.text());
    drop(gateway);
    // Killed in the middle of its work, again and again: what the provider bills stays below the limit.
    for _ in 0..6 {
        let gateway = launch();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut client = gateway.client(&key::named("one"));
                    for _ in 0..4 {
                        let body = ask(TOKENS, false).to_string().into_bytes();
                        let sent = client.try_send("POST", "/v1/chat/completions", Some(&body));
                        if sent.is_err() {
                            return;
                        }
                    }
                });
            }
            wait::pass(Duration::from_millis(15));
            gateway.process().signal(9);
        });
        let billed = provider.counters().tokens_out() * TOKEN;
        assert!(billed <= 2_000_000_000, "{billed}");
    }
}

#[test]
fn books_are_one_processs_at_a_time_and_the_next_one_waits() {
    let provider = provider();
    let folder = Folder::new();
    let data = folder.join("books").display().to_string();
    let launch =
        || Launch::new(policy(&provider, "$1 total", "")).variable("FAREGATE_DATA", &data).start();
    let mut first = launch();
    let mut client = first.client(&key::named("one"));
    assert_eq!(client.post("/v1/chat/completions", &ask(TOKENS, false)).status, 200);
    drop(client);
    thread::scope(|scope| {
        let second = scope.spawn(launch);
        wait::pass(Duration::from_millis(300));
        assert!(!second.is_finished(), "two processes have the same books");
        assert!(first.stop().success());
        let second = second.join().unwrap();
        assert!(second.log().contains("it is waited for"), "{}", second.log());
        let mut client = second.client(&key::named("one"));
        let left = 1000 - TOKENS;
        assert_eq!(client.post("/v1/chat/completions", &ask(left + 1, false)).status, 402);
        assert_eq!(client.post("/v1/chat/completions", &ask(left, false)).status, 200);
    });
}

#[test]
fn what_was_under_way_when_the_process_died_is_charged_by_name_at_its_most() {
    let provider = provider();
    let script = Script { tokens: 400, chunk: Duration::from_millis(5), ..Script::default() };
    provider.set_script(&script);
    let folder = Folder::new();
    let data = folder.join("books");
    let launch = || {
        Launch::new(policy(&provider, "$2 total", ""))
            .variable("FAREGATE_DATA", &data.display().to_string())
            .start()
    };
    let mut gateway = launch();
    let mut events = gateway.client(&key::named("one")).stream(&ask(400, true));
    events.next_data();
    wait::pass(Duration::from_millis(200));
    gateway.process().signal(9);
    gateway.wait_exit();
    drop(gateway);
    let gateway = launch();
    let unsettled = wait::until("the books have it", || {
        let mut command =
            binary::command(&["spend", "--by", "kind,team", "--format", "json", "--ledger"]);
        let output = command.arg(&data).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).ok()?;
        let mut groups = report["groups"].as_array()?.iter();
        groups.find(|group| group.to_string().contains("\"unsettled\"")).cloned()
    });
    assert!(unsettled.to_string().contains("\"search\""), "{unsettled}");
    assert!(
        unsettled.to_string().contains(&format!("\"cost_nano_usd\":{}", 400 * TOKEN)),
        "{unsettled}"
    );
    drop(gateway);
}

#[test]
fn a_store_that_is_down_stops_nothing_and_gets_every_row_later() {
    let provider = provider();
    let folder = Folder::new();
    let data = folder.join("books");
    std::fs::create_dir_all(&data).unwrap();
    // No file of SQLite's.
    std::fs::write(
        data.join("ledger.sqlite"),
        "this is no store, whatever it may look like to others".repeat(40),
    )
    .unwrap();
    let gateway = Launch::new(policy(&provider, "$5 total", ""))
        .variable("FAREGATE_DATA", &data.display().to_string())
        .start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..3 {
        assert_eq!(client.post("/v1/chat/completions", &ask(TOKENS, false)).status, 200);
    }
    gateway.wait_log("the store of the books cannot be written");
    std::fs::remove_file(data.join("ledger.sqlite")).unwrap();
    assert_eq!(client.post("/v1/chat/completions", &ask(TOKENS, false)).status, 200);
    assert_eq!(spent(&data, 4), 4 * TOKENS * TOKEN);
}
