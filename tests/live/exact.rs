//! Answers that are kept and given again to the same request: to whom, how, when not, and what they cost.

mod keys;

use std::{thread, time::Duration};

use faregate_tests::{
    Act, Answer, Client, Gateway, Launch, Provider, Upstream, key, metrics::Metrics, provider,
    upstream, wait,
};
use serde_json::{Value, json};

use crate::dialects::{
    TARGETS, policy, simulator,
    speak::{Ask, Tongue},
};

/// What is added to a policy so that the workload `faq` keeps its answers.
fn kept(terms: &str) -> String {
    format!("[workloads.faq.cache.exact]\n{terms}\n")
}

fn asks(client: Client) -> Client {
    client.with("x-faregate-workload", "faq")
}

fn gateway(provider: &Provider, terms: &str, rest: &str) -> Gateway {
    Launch::new(format!("{}{}{rest}", faregate_tests::gateway::sim(provider), kept(terms))).start()
}

fn said(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]})
}

/// What the cache did, by the header.
#[track_caller]
fn did(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-faregate-cache").unwrap_or("nothing")
}

/// Requests that got an answer again: one that was kept, or, when they were quick, one that was about to be.
fn given(metrics: &Metrics) -> f64 {
    ["hits", "joined"]
        .map(|how| metrics.sum(&format!("faregate_cache_{how}_total"), &[]))
        .iter()
        .sum()
}

#[test]
fn every_client_gets_the_same_bytes_again_without_a_call() {
    let provider = simulator();
    let gateway = Launch::new(format!("{}{}", policy(&provider), kept("")))
        .variable("PROVIDER_KEY", "provider-key")
        .start();
    for tongue in Tongue::ALL {
        for (target, _) in TARGETS {
            for stream in [false, true] {
                let place = format!("{tongue:?} at {target}, stream {stream}");
                // Gemini streams as an array where a client does not say how: its whole answer is the other one's.
                let words = format!("tell me of {place}");
                let ask = Ask { turns: vec![tongue.user(&words, false)], stream, ..Ask::default() };
                let model = format!("at-{target}");
                let send = || tongue.send(&mut asks(gateway.client("")), &model, &ask);
                let first = send();
                assert_eq!(did(&first), "miss", "{place}");
                let calls = provider.counters().requests();
                for _ in 0..3 {
                    let again = send();
                    assert_eq!(did(&again), "hit", "{place}");
                    assert_eq!(again.body, first.body, "{place}");
                    assert_eq!(again.header("content-type"), first.header("content-type"));
                    let heard = (tongue.hear(&first, stream), tongue.hear(&again, stream));
                    assert_eq!(heard.0.text, heard.1.text, "{place}");
                    assert!(!heard.1.text.is_empty() && heard.1.error.is_none(), "{place}");
                    assert_eq!(again.header("x-faregate-cost-nanousd"), Some("0"));
                    let ids = [&first, &again].map(|a| a.header("x-faregate-request-id").unwrap());
                    assert_ne!(ids[0], ids[1], "each request has its own id");
                    assert!(
                        again.header("x-faregate-route-reason").unwrap().starts_with("cache; ")
                    );
                }
                assert_eq!(provider.counters().requests(), calls, "{place}: no call was made");
            }
        }
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
    let metrics = gateway.metrics();
    let cells = 2.0 * (Tongue::ALL.len() * TARGETS.len()) as f64;
    assert_eq!(given(&metrics), 3.0 * cells);
    assert_eq!(metrics.sum("faregate_cache_stored_total", &[]), cells);
    assert_eq!(metrics.sum("faregate_cache_entries", &[]), cells);
    assert!(metrics.sum("faregate_cache_bytes", &[]) > 512.0 * cells);
}

#[test]
fn nothing_is_kept_for_who_has_not_asked_for_it() {
    let provider = provider();
    let gateway = gateway(&provider, "", "[workloads.other]\nmatch = { tag = { a = \"b\" } }\n");
    for client in [gateway.client(""), gateway.client("").with("x-faregate-workload", "other")] {
        let mut client = client;
        for _ in 0..2 {
            assert_eq!(did(&client.chat("m")), "nothing");
        }
    }
    assert_eq!(provider.counters().requests(), 4);
}

#[test]
fn no_tenant_gets_what_was_answered_to_another() {
    let provider = provider();
    let row = |name: &str, team: &str| key::row(name, &format!("team = \"{team}\""));
    let keys = format!(
        "[teams.a]\n[teams.b]\n{}{}{}{}{}",
        row("a1", "a"),
        row("a2", "a"),
        row("b1", "b"),
        key::row("alone", ""),
        key::row("lone", "")
    );
    let gateway = gateway(&provider, "", &keys);
    let send = |name: &str| asks(gateway.client(&key::named(name))).chat("m");
    for name in ["a1", "b1", "alone", "lone"] {
        assert_eq!(did(&send(name)), "miss", "{name} has nothing of the others'");
    }
    for name in ["a1", "a2", "b1", "alone", "lone"] {
        assert_eq!(did(&send(name)), "hit", "{name} has its own, and its team's");
    }
    assert_eq!(provider.counters().requests(), 4);
}

#[test]
fn who_may_not_use_the_model_gets_no_answer_of_it() {
    let provider = provider();
    let keys = format!(
        "[teams.a]\n{}{}",
        key::row("any", "team = \"a\""),
        key::row("few", "team = \"a\"\nmodels = [\"other\"]")
    );
    let gateway = gateway(&provider, "", &keys);
    assert_eq!(did(&asks(gateway.client(&key::named("any"))).chat("m")), "miss");
    assert_eq!(asks(gateway.client(&key::named("few"))).chat("m").code(), "model_not_allowed");
}

#[test]
fn whatever_shapes_an_answer_makes_it_another() {
    let upstream = Upstream::start(|_| vec![Act::Send(upstream::json(DONE))]);
    let gateway = open(&upstream, "");
    let mut client = asks(gateway.client(""));
    let body = json!({
        "model": "m", "temperature": 0.5, "max_tokens": 100, "seed": 7, "user": "u",
        "metadata": {"env": "test"}, "n": 1, "stop": ["x"], "response_format": {"type": "text"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        ],
    });
    let path = "/v1/chat/completions";
    assert_eq!(did(&client.post(path, &body)), "miss");
    assert_eq!(did(&client.post(path, &body)), "hit");
    let mut checked = 0;
    for (path_of_leaf, other) in keys::changed(&body) {
        let expected = match path_of_leaf.as_str() {
            "/user" | "/metadata" | "/metadata/env" => "hit",
            "/tools/0/type" => "bypass", // no tool that only the client runs
            "/model" | "/n" => continue, // no model, and no number of choices
            _ => "miss",
        };
        assert_eq!(did(&client.post(path, &other)), expected, "{path_of_leaf}");
        checked += 1;
    }
    assert!(checked > 25, "{checked} changes");
    for header in [("openai-beta", "x"), ("anthropic-version", "2"), ("x-new", "1")] {
        let mut other = asks(gateway.client("")).with(header.0, header.1);
        assert_eq!(did(&other.post(path, &body)), "miss", "{header:?}");
    }
    for header in [("user-agent", "x"), ("x-stainless-lang", "js"), ("x-session-id", "s")] {
        let mut other = asks(gateway.client("")).with(header.0, header.1);
        assert_eq!(did(&other.post(path, &body)), "hit", "{header:?}");
    }
    assert_eq!(did(&client.post("/v1/chat/completions?a=b", &body)), "miss");
}

const DONE: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;

fn open(upstream: &Upstream, terms: &str) -> Gateway {
    let base = upstream.base_url();
    let policy = format!(
        "[providers.sim]\nbase_url = \"{base}\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n{}",
        kept(terms)
    );
    Launch::new(policy).start()
}

#[test]
fn what_is_cut_or_filtered_or_an_error_is_not_kept() {
    let whole = |status: &str, body: &str| {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n");
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let stream = |body: &str, end: &str| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{body}\r\n{end}", body.len()).into_bytes()
    };
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    let end = event.replace("null", "\"stop\"") + "data: [DONE]\n\n";
    let cases: Vec<(bool, Vec<Act>, bool)> = vec![
        (false, vec![Act::Send(whole("200 OK", &DONE.replace("\"stop\"", "\"length\"")))], false),
        (
            false,
            vec![Act::Send(whole("200 OK", &DONE.replace("\"stop\"", "\"content_filter\"")))],
            false,
        ),
        (false, vec![Act::Send(whole("200 OK", "{\"error\":{\"message\":\"no\"}}"))], false),
        (false, vec![Act::Send(whole("429 Too Many Requests", "{}"))], false),
        (false, vec![Act::Send(whole("500 No", "{}"))], false),
        (false, vec![Act::Send(whole("400 No", "{}"))], false),
        (false, vec![Act::Send(whole("200 OK", DONE))], true),
        (true, vec![Act::Send(stream(event, "")), Act::Close], false),
        (true, vec![Act::Send(stream(event, "0\r\n\r\n"))], false),
        (true, vec![Act::Send(stream(&end, "")), Act::Close], false),
        (true, vec![Act::Send(stream(&end, "0\r\n\r\n"))], true),
    ];
    for (number, (streams, acts, is_kept)) in cases.into_iter().enumerate() {
        let upstream = Upstream::start(move |_| acts.clone());
        let gateway = open(&upstream, "");
        let mut body = said("x");
        body["stream"] = streams.into();
        for _ in 0..2 {
            let request = asks(gateway.client("")).request(
                "POST",
                "/v1/chat/completions",
                Some(body.to_string().as_bytes()),
            );
            let mut wire = gateway.connect();
            wire.send(&request);
            let _ = wire.try_answer();
        }
        let expected = if is_kept { 1 } else { 2 };
        wait::until_true("the provider was asked", || upstream.sent() >= expected);
        let hits = given(&gateway.metrics());
        assert_eq!(hits, if is_kept { 1.0 } else { 0.0 }, "case {number}");
    }
}

#[test]
fn what_a_request_says_of_caches_is_done() {
    let provider = provider();
    let gateway = gateway(&provider, "", "");
    let send = |control: &str| {
        did(&asks(gateway.client("")).with("cache-control", control).chat("m")).to_owned()
    };
    assert_eq!(send("no-store"), "bypass");
    assert_eq!(send("max-age=60"), "miss");
    assert_eq!(send("max-age=60"), "hit");
    assert_eq!(send("no-cache"), "miss");
    assert_eq!(send("max-age=0"), "miss", "the second of the two was kept in place of the first");
    assert_eq!(send("no-store"), "bypass");
    assert_eq!(send("private"), "hit");
    assert_eq!(provider.counters().requests(), 5);
    let refused = asks(gateway.client("")).with("x-faregate-cache-ttl", "1m").chat("m");
    assert_eq!(refused.code(), "model_override_not_allowed");
    let allowed = self::gateway(&provider, "ttl_header = true", "");
    let send = |ttl: &str| asks(allowed.client("")).with("x-faregate-cache-ttl", ttl).chat("m");
    assert_eq!(did(&send("1m")), "miss");
    assert_eq!(did(&send("1m")), "hit");
    assert_eq!(send("soon").code(), "malformed_request");
}

#[test]
fn a_hit_costs_nothing_and_the_books_say_what_it_saved() {
    let provider = provider();
    let rest = format!(
        "[prices.\"sim/*\"]\ninput = \"$1/M\"\noutput = \"$2/M\"\n{}",
        key::row("one", "limits = [\"$100/day\", \"4 requests/hour\"]")
    );
    let gateway = gateway(&provider, "", &rest);
    let mut client = asks(gateway.client(&key::named("one")));
    let first = client.chat("m");
    let cost: u64 = first.header("x-faregate-cost-nanousd").unwrap().parse().unwrap();
    assert!(cost > 0 && did(&first) == "miss");
    let spent = || {
        let me = gateway.client(&key::named("one")).get("/v1/faregate/me").json();
        me.to_string()
    };
    let before = spent();
    let again = client.chat("m");
    assert_eq!((did(&again), again.header("x-faregate-cost-nanousd")), ("hit", Some("0")));
    assert_eq!(again.json()["usage"], first.json()["usage"], "the usage is the first one's");
    let line = gateway.access_line(again.header("x-faregate-request-id").unwrap());
    assert!(line["answer_cache"] == "hit" || line["answer_cache"] == "joined", "{line}");
    assert_eq!(line["saved_nanousd"], json!(cost));
    assert_eq!((&line["cost_nanousd"], &line["attempts"]), (&json!(0), &json!(0)));
    assert!(line.get("target").is_none() && line["kept_from"] == "sim/*", "{line}");
    assert!(before.contains(&format!("{cost}")), "what the first one cost is spent: {before}");
    let total = wait::until("the books have both", || {
        let arguments = ["spend", "--by", "key", "--format", "json", "--ledger"];
        let mut command = faregate_tests::binary::command(&arguments);
        let output = command.arg(gateway.folder.join("data")).output().unwrap();
        let total = serde_json::from_slice::<Value>(&output.stdout).ok()?["total"].clone();
        (total["requests"] == 2).then_some(total)
    });
    assert_eq!(
        (&total["cost_nano_usd"], &total["cache_hits"]),
        (&json!(cost), &json!(1)),
        "{total}"
    );
    assert_eq!(total["saved_by_cache_nano_usd"], json!(cost), "{total}");
    let tokens = first.json()["usage"]["completion_tokens"].clone();
    assert_eq!(total["output_tokens"], tokens, "what was not made is not counted: {total}");
    assert_eq!(did(&client.chat("m")), "hit");
    assert_eq!(did(&client.chat("m")), "hit");
    assert_eq!(client.chat("m").code(), "request_rate_exceeded", "requests are counted");
}

#[test]
fn an_operator_drops_what_is_kept() {
    let provider = provider();
    let rest = format!("[teams.a]\n{}{}", key::row("a1", "team = \"a\""), key::row("lone", ""));
    let gateway = gateway(&provider, "", &rest);
    let send = |name: &str| did(&asks(gateway.client(&key::named(name))).chat("m")).to_owned();
    let drop = |query: &str| {
        let answer = Client::new(gateway.admin, "").send("DELETE", &format!("/cache{query}"), None);
        (
            answer.status,
            if answer.status == 200 { answer.json()["dropped"].clone() } else { json!(0) },
        )
    };
    let fill = || {
        let did = ["a1", "lone"].map(&send);
        // A client can know its answer before it is kept.
        wait::until_true("both are kept", || {
            gateway.metrics().sum("faregate_cache_entries", &[]) == 2.0
        });
        did.map(|did| if did == "miss" { "miss" } else { "hit" })
    };
    fill();
    assert_eq!(fill(), ["hit", "hit"]);
    assert_eq!(drop("?team=b"), (200, json!(0)));
    assert_eq!(drop("?team=a"), (200, json!(1)));
    assert_eq!(fill(), ["miss", "hit"]);
    assert_eq!(drop("?workload=faq&key=lone"), (200, json!(1)));
    assert_eq!(fill(), ["hit", "miss"]);
    assert_eq!(drop(""), (200, json!(2)));
    assert_eq!(fill(), ["miss", "miss"]);
    assert_eq!(drop("?teem=a").0, 400);
    assert_eq!(gateway.metrics().sum("faregate_cache_entries", &[]), 2.0);
}

#[test]
fn memory_is_bounded_and_a_reload_keeps_what_is_there() {
    let provider = provider();
    let rest = "[cache]\nmemory = \"64 KiB\"\n";
    let gateway = gateway(&provider, "", rest);
    let mut client = asks(gateway.client(""));
    for number in 0..200 {
        let answer = client.post("/v1/chat/completions", &said(&format!("question {number}")));
        assert_eq!(did(&answer), "miss");
    }
    let metrics = gateway.metrics();
    assert!(metrics.sum("faregate_cache_bytes", &[]) <= 65536.0);
    assert!(metrics.sum("faregate_cache_evicted_total", &[]) > 20.0);
    let send = |client: &mut Client| client.post("/v1/chat/completions", &said("question 199"));
    assert_eq!(did(&send(&mut client)), "hit");
    let before = gateway.generation();
    let policy =
        format!("{}{}{rest}", faregate_tests::gateway::sim(&provider), kept("ttl = \"2h\""));
    gateway.replace(&policy);
    gateway.wait_generation_after(before);
    assert_eq!(did(&send(&mut client)), "hit", "the key is the same");
    let moved = policy.replace("[\"sim/*\"]", "[\"sim/other\"]");
    let before = gateway.generation();
    gateway.replace(&moved);
    gateway.wait_generation_after(before);
    assert_eq!(did(&send(&mut client)), "miss", "it goes to another model");
}

#[test]
fn fifty_at_once_are_one_call() {
    let provider = provider();
    let gateway = Launch::new(format!("{}{}", faregate_tests::gateway::sim(&provider), kept("")))
        .server("cores = 2")
        .start();
    for streams in [false, true] {
        let before = provider.counters().requests();
        let mut body = said("all at once");
        body["sim"] = json!("first=300ms;tokens=20");
        body["stream"] = streams.into();
        let answers: Vec<Answer> = thread::scope(|scope| {
            let send = || asks(gateway.client("")).post("/v1/chat/completions", &body);
            let threads: Vec<_> = (0..50).map(|_| scope.spawn(send)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(provider.counters().requests() - before, 1, "one call");
        let led = answers.iter().filter(|answer| did(answer) == "miss").count();
        assert_eq!(led, 1, "one is answered by the provider");
        assert!(answers.iter().all(|answer| answer.body == answers[0].body));
    }
    let metrics = gateway.metrics();
    assert_eq!(given(&metrics), 98.0);
    assert!(metrics.sum("faregate_cache_joined_total", &[]) > 50.0, "most have waited");
}

#[test]
fn a_leader_that_leaves_does_not_take_the_answer_with_it() {
    for streams in [false, true] {
        let provider = provider();
        let gateway = gateway(&provider, "", "");
        let mut body = said("wait");
        body["sim"] = json!("first=500ms;tokens=20");
        body["stream"] = streams.into();
        let bytes = body.to_string();
        let request = asks(gateway.client("")).request(
            "POST",
            "/v1/chat/completions",
            Some(bytes.as_bytes()),
        );
        let mut leader = gateway.connect();
        leader.send(&request);
        wait::until_true("the provider is at work", || provider.counters().requests() == 1);
        let answer = thread::scope(|scope| {
            let send = || asks(gateway.client("")).post("/v1/chat/completions", &body);
            let waiting = scope.spawn(send);
            wait::pass(Duration::from_millis(150));
            drop(leader);
            waiting.join().unwrap()
        });
        assert_eq!(did(&answer), "hit");
        assert_eq!(provider.counters().requests(), 1, "stream {streams}");
        assert!(provider.counters().take_aborts().is_empty(), "nothing was broken off");
    }
}

#[test]
fn when_the_leader_fails_one_goes_instead() {
    let failed = std::sync::atomic::AtomicBool::new(false);
    let upstream = Upstream::start(move |_| {
        wait::pass(Duration::from_millis(300));
        match failed.swap(true, std::sync::atomic::Ordering::SeqCst) {
            false => vec![Act::Reset],
            true => vec![Act::Send(upstream::json(DONE))],
        }
    });
    let gateway = open(&upstream, "");
    let answers: Vec<Answer> = thread::scope(|scope| {
        let send = || asks(gateway.client("")).post("/v1/chat/completions", &said("x"));
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let bad = answers.iter().filter(|answer| answer.status != 200).count();
    assert_eq!(bad, 1, "the leader alone is told: {answers:?}");
    let hits = answers.iter().filter(|a| a.header("x-faregate-cache") == Some("hit")).count();
    assert_eq!(hits, 3, "one went instead");
}

#[test]
fn nobody_waits_for_an_answer_that_is_too_long_to_keep() {
    let provider = provider();
    let gateway = gateway(&provider, "", "[cache]\nanswer_bytes = \"1 KiB\"\n");
    let mut body = said("long");
    body["sim"] = json!("first=200ms;tokens=400;chunk=20ms");
    body["stream"] = true.into();
    let bytes = body.to_string();
    let client = asks(gateway.client(""));
    let request = client.request("POST", "/v1/chat/completions", Some(bytes.as_bytes()));
    let mut leader = gateway.connect();
    leader.send(&request);
    wait::until_true("the provider is at work", || provider.counters().requests() == 1);
    let mut waiting = gateway.connect();
    waiting.send(&request);
    wait::until_true("the other one goes, too", || provider.counters().in_flight() == 2);
}
