//! Limits: exact under many clients, shared by teams, said in full when they refuse.

use std::{thread, time::Duration};

use faregate_tests::{Answer, Gateway, Launch, Wire, client, gateway, key, provider, wait};
use loadtest::provider::Script;
use serde_json::json;

/// What a crowd got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    answered: usize,
    refused: usize,
    other: usize,
}

/// `clients` at once, each asking `each` times with one of the keys.
fn crowd(gateway: &Gateway, keys: &[String], clients: usize, each: usize) -> Tally {
    let one = |number: usize| {
        let mut client = gateway.client(&keys[number % keys.len()]);
        let mut tally = Tally::default();
        for _ in 0..each {
            match client.chat("m").status {
                200 => tally.answered += 1,
                429 => tally.refused += 1,
                _ => tally.other += 1,
            }
        }
        tally
    };
    let one = &one;
    thread::scope(|scope| {
        let crowd: Vec<_> = (0..clients).map(|number| scope.spawn(move || one(number))).collect();
        crowd.into_iter().fold(Tally::default(), |sum, client| {
            let tally = client.join().unwrap();
            Tally {
                answered: sum.answered + tally.answered,
                refused: sum.refused + tally.refused,
                other: sum.other + tally.other,
            }
        })
    })
}

/// A policy with one team, whose keys have these names.
fn team(provider: &faregate_tests::Provider, limits: &str, keys: &[(&str, &str)]) -> String {
    let rows: String = keys
        .iter()
        .map(|(name, rest)| key::row(name, &format!("team = \"search\"\n{rest}")))
        .collect();
    format!("{}[teams.search]\n{limits}\n{rows}", gateway::sim(provider))
}

#[test]
fn requests_are_counted_exactly_under_256_clients() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"300 requests/day\"]")]);
    let gateway = Launch::new(policy).start();
    let tally = crowd(&gateway, &[key::named("one")], 256, 4);
    assert_eq!(tally, Tally { answered: 300, refused: 1024 - 300, other: 0 });
    assert_eq!(provider.counters().requests(), 300);
}

#[test]
fn the_keys_of_a_team_share_its_limit_and_have_their_own() {
    let provider = provider();
    let own = "limits = [\"60 requests/day\"]";
    let policy = team(
        &provider,
        "limits = [\"150 requests/day\"]",
        &[("one", own), ("two", own), ("three", own)],
    );
    let gateway = Launch::new(policy).start();
    let keys: Vec<String> = ["one", "two", "three"].iter().map(|name| key::named(name)).collect();
    let first = crowd(&gateway, &keys[..1], 32, 4);
    assert_eq!(first, Tally { answered: 60, refused: 68, other: 0 });
    let all = crowd(&gateway, &keys, 96, 4);
    assert_eq!(all.answered, 90, "the team's limit is 150: {all:?}");
    assert_eq!(provider.counters().requests(), 150);
}

#[test]
fn nobody_is_refused_before_the_limit_is_used_up() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"100 requests/day\"]")]);
    let gateway = Launch::new(policy).start();
    for request in 0..100 {
        // A connection of its own each: they spread over the cores.
        let answer = gateway.client(&key::named("one")).chat("m");
        assert_eq!(answer.status, 200, "request {request}: {answer:?}");
    }
    let refused = gateway.client(&key::named("one")).chat("m");
    assert_eq!((refused.status, refused.code()), (429, "request_rate_exceeded".to_owned()));
}

#[test]
fn a_refusal_says_everything_a_program_needs() {
    let provider = provider();
    let policy = team(&provider, "limits = [\"1 requests/min\"]", &[("one", "")]);
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.chat("m").status, 200);
    let refused = client.chat("m");
    assert_eq!(refused.status, 429);
    let error = &refused.json()["error"];
    assert_eq!(error["type"], "rate_limit_error");
    assert_eq!(error["code"], "request_rate_exceeded");
    assert_eq!(error["scope"], "team/search");
    assert!(error["limit"].as_str().unwrap().contains('1'), "{error}");
    let resets = error["resets_in_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&resets), "{error}");
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{refused:?}");
    assert!(after * 1000 >= resets, "{refused:?}");
}

#[test]
fn what_was_told_to_wait_for_is_there_then() {
    let provider = provider();
    // One comes back each 300 ms.
    let policy = team(&provider, "", &[("one", "limits = [\"200 requests/min\"]")]);
    let gateway = Launch::new(policy).start();
    let tally = crowd(&gateway, &[key::named("one")], 16, 20);
    assert!(tally.answered >= 200 && tally.other == 0, "{tally:?}");
    let mut client = gateway.client(&key::named("one"));
    let refused = wait::until("a refusal", || Some(client.chat("m")).filter(|a| a.status == 429));
    let wait: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!(wait <= 300, "{refused:?}");
    wait::pass(Duration::from_millis(wait));
    assert_eq!(client.chat("m").status, 200, "after {wait} ms");
}

/// Requests that stay with the provider until their connections are dropped; the refusals of the rest.
fn hold(gateway: &Gateway, clients: usize, allowed: usize) -> (Vec<Wire>, Vec<Answer>) {
    let body = json!({"model": "m", "sim": "stall_at=head", "messages": [{"role": "user", "content": "hi"}]});
    let request = gateway.client(&key::named("one")).request(
        "POST",
        "/v1/chat/completions",
        Some(body.to_string().as_bytes()),
    );
    let mut wires: Vec<Wire> = (0..clients).map(|_| gateway.connect()).collect();
    thread::scope(|scope| {
        for wire in &mut wires {
            scope.spawn(|| wire.send(&request));
        }
    });
    wait::until_true("the rest is refused", || {
        wires.iter_mut().filter_map(|wire| (wire.arrived() > 0).then_some(())).count()
            >= clients - allowed
    });
    let (held, refused): (Vec<_>, Vec<_>) =
        wires.into_iter().map(|mut wire| (wire.arrived() == 0, wire)).partition(|(held, _)| *held);
    let refused = refused.into_iter().map(|(_, mut wire)| wire.answer()).collect();
    (held.into_iter().map(|(_, wire)| wire).collect(), refused)
}

#[test]
fn so_many_at_a_time_and_no_more() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"8 concurrent\"]")]);
    let gateway = Launch::new(policy).start();
    for round in 0..3 {
        let (held, refused) = hold(&gateway, 64, 8);
        assert_eq!((held.len(), refused.len()), (8, 56), "round {round}");
        for answer in &refused {
            assert_eq!((answer.status, answer.code()), (429, "concurrency_exceeded".to_owned()));
            assert!(answer.header("retry-after").is_some());
        }
        wait::until_true("the provider has them", || provider.counters().in_flight() == 8);
        drop(held);
        wait::until_true("all slots are back", || {
            provider.counters().in_flight() == 0
                && gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
        });
    }
}

#[test]
fn a_slot_comes_back_whatever_happened() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"1 concurrent\"]")]);
    let gateway = Launch::new(policy).start();
    for sim in [
        "",
        "status=400",
        "status=500",
        "reset_at=head",
        "reset_at=100",
        "bad=head",
        "bad=long",
        "bad=chunk; framing=chunked",
    ] {
        let body =
            json!({"model": "m", "sim": sim, "messages": [{"role": "user", "content": "hi"}]});
        let mut wire = gateway.connect();
        wire.send(gateway.client(&key::named("one")).request(
            "POST",
            "/v1/chat/completions",
            Some(body.to_string().as_bytes()),
        ));
        let _ = wire.try_answer();
        wait::until_true(&format!("the slot is back after {sim:?}"), || {
            gateway.client(&key::named("one")).chat("m").status == 200
        });
    }
    // What never gets to a provider gives its slot back too.
    for body in ["{", "{\"model\":\"m\"", "{\"model\":1}", "{}"] {
        let answer = gateway.client(&key::named("one")).send(
            "POST",
            "/v1/chat/completions",
            Some(body.as_bytes()),
        );
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(gateway.client(&key::named("one")).chat("m").status, 200, "after {body}");
    }
}

#[test]
fn who_comes_again_at_once_finds_the_slot_free() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"1 concurrent\"]")]);
    let gateway = Launch::new(policy).start();
    for round in 0..200 {
        // On a connection of its own each time, so on either core.
        let client = || gateway.client(&key::named("one"));
        assert_eq!(client().chat("m").status, 200, "round {round}");
        assert_eq!(
            client().send("POST", "/v1/chat/completions", Some(b"{")).status,
            400,
            "round {round}"
        );
        let mut events = client().stream(&client::streamed("m"));
        assert_eq!(events.head.status, 200, "round {round}");
        while events.next_data().unwrap() != "[DONE]" {}
    }
}

fn asking(tokens_max: u64) -> serde_json::Value {
    let mut body = client::chat("m");
    body["max_tokens"] = tokens_max.into();
    body
}

#[test]
fn tokens_are_set_aside_and_what_was_not_used_comes_back() {
    let provider = provider();
    provider.set_script(&Script::parse("tokens=10").unwrap());
    let policy = team(&provider, "", &[("one", "limits = [\"5000 tokens/day\"]")]);
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client(&key::named("one"));
    let body = asking(500);
    let first = client.post("/v1/chat/completions", &body);
    let used = first.json()["usage"]["total_tokens"].as_u64().unwrap();
    let mut answered = 1;
    let refused = loop {
        let answer = client.post("/v1/chat/completions", &body);
        match answer.status {
            200 => answered += 1,
            429 => break answer,
            other => panic!("{other}: {answer:?}"),
        }
    };
    assert_eq!(refused.code(), "token_rate_exceeded");
    let error = &refused.json()["error"];
    let (asked, left) = (error["asked"].as_u64().unwrap(), error["left"].as_u64().unwrap());
    assert!(asked > 500 && left < asked, "{error}");
    // Nothing is lost: what is left is the limit less what the provider counted, and it was not enough.
    let spent = answered * used;
    assert!(left.abs_diff(5000 - spent) <= 5, "{left} left after {answered} of {used}: {error}");
    assert_eq!(refused.json()["error"]["scope"], "key/one");
}

#[test]
fn streams_are_charged_what_the_provider_counted() {
    let provider = provider();
    provider.set_script(&Script::parse("tokens=10").unwrap());
    let policy = team(&provider, "", &[("one", "limits = [\"3000 tokens/day\"]")]);
    let gateway = Launch::new(policy).start();
    let client = gateway.client(&key::named("one"));
    let mut body = asking(1000);
    body["stream"] = true.into();
    let mut answered = 0;
    while answered < 200 {
        let events = client.stream(&body);
        if events.head.status != 200 {
            assert_eq!(events.head.status, 429);
            break;
        }
        assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"));
        answered += 1;
    }
    // Without the refund there would be two or three of them.
    assert!((20..200).contains(&answered), "{answered}");
}

#[test]
fn what_failed_is_not_charged() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"2000 tokens/day\"]")]);
    let policy = format!("{policy}[retries]\nattempts = 1\n[breaker]\nfailures = 1000\n");
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..20 {
        assert!(provider.queue(Script::parse("status=500").unwrap()));
        assert_eq!(client.post("/v1/chat/completions", &asking(1500)).status, 500);
    }
    assert_eq!(client.post("/v1/chat/completions", &asking(1500)).status, 200);
}

#[test]
fn a_request_that_can_never_fit_is_told_so() {
    let provider = provider();
    let policy = team(&provider, "", &[("one", "limits = [\"1000 tokens/min\"]")]);
    let gateway = Launch::new(policy).start();
    let refused = gateway.client(&key::named("one")).post("/v1/chat/completions", &asking(5000));
    assert_eq!((refused.status, refused.code()), (400, "request_exceeds_limit".to_owned()));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn tokens_hold_under_a_crowd() {
    let provider = provider();
    provider.set_script(&Script::parse("tokens=20").unwrap());
    let policy = team(&provider, "", &[("one", "limits = [\"20000 tokens/day\"]")]);
    let gateway = Launch::new(policy).start();
    let body = asking(20);
    let sent = crowd_of(&gateway, &body, 64, 20);
    let used = gateway.metrics().sum("faregate_tokens_total", &[]);
    assert!(used <= 20_000.0, "{used} tokens used with {sent} answers");
    assert!(used >= 20_000.0 - 64.0 * 150.0, "{used} tokens used: refused too early");
    // Alone, one can have all but less than what one request sets aside.
    let mut client = gateway.client(&key::named("one"));
    while client.post("/v1/chat/completions", &body).status == 200 {}
    let used = gateway.metrics().sum("faregate_tokens_total", &[]);
    assert!((20_000.0 - 150.0..=20_000.0).contains(&used), "{used}");
}

fn crowd_of(gateway: &Gateway, body: &serde_json::Value, clients: usize, each: usize) -> usize {
    thread::scope(|scope| {
        let one = || {
            let mut client = gateway.client(&key::named("one"));
            (0..each).filter(|_| client.post("/v1/chat/completions", body).status == 200).count()
        };
        let crowd: Vec<_> = (0..clients).map(|_| scope.spawn(one)).collect();
        crowd.into_iter().map(|client| client.join().unwrap()).sum()
    })
}
