//! Where requests go, and where they go when that fails.

use std::{net::TcpListener, time::Duration};

use faregate_tests::{Answer, Gateway, Launch, Provider, client, gateway, provider, wait};
use loadtest::provider::Script;

/// The policy of a model `m` with two targets, `a` first; `rest` are further tables.
fn pair(a: &str, b: &str, rest: &str) -> String {
    format!(
        "[providers.a]\nbase_url = \"{a}\"\n[providers.b]\nbase_url = \"{b}\"\n\
         [models.m]\ntargets = [\"a/one\", \"b/two\"]\n{rest}"
    )
}

fn script(text: &str) -> Script {
    Script::parse(text).unwrap()
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

fn attempts(gateway: &Gateway, answer: &Answer) -> u64 {
    let id = answer.header("x-faregate-request-id").unwrap();
    gateway.access_line(id)["attempts"].as_u64().unwrap()
}

/// With `a` doing what the script says, `b` answers.
fn check_failover(script_of_a: &str, deadlines: &str) {
    let (a, b) = (provider(), provider());
    a.set_script(&script(script_of_a));
    let rest = format!("[providers.a.deadlines]\n{deadlines}\n");
    let gateway = Launch::new(pair(&a.base_url(), &b.base_url(), &rest)).start();
    let mut client = gateway.client("");
    let plain = client.chat("m");
    assert_eq!(plain.status, 200, "{script_of_a}: {plain:?}");
    assert_eq!(plain.header("x-faregate-route"), Some("b/two"), "{script_of_a}");
    assert_eq!(plain.json()["model"], "two", "the second target has its own name for the model");
    assert_eq!(attempts(&gateway, &plain), 2, "{script_of_a}");
    let events = client.stream(&client::streamed("m"));
    assert_eq!(events.head.status, 200, "{script_of_a}");
    assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"), "{script_of_a}");
    assert!(a.counters().requests() >= 1, "{script_of_a}: the first target was asked first");
}

#[test]
fn the_next_target_answers_when_one_fails() {
    check_failover("status=500", "");
    check_failover("status=503", "");
    check_failover("status=502", "");
    check_failover("status=529", "");
    check_failover("status=429; retry_after=30", "");
    check_failover("status=401", "");
    check_failover("reset_at=head", "");
    check_failover("close_at=head", "");
    check_failover("bad=head", "");
    check_failover("delay=10s", "first_byte = \"100ms\"");
}

#[test]
fn the_next_target_answers_when_one_is_not_there() {
    let b = provider();
    let gateway = Launch::new(pair(&nowhere(), &b.base_url(), "")).start();
    let answer = gateway.client("").chat("m");
    assert_eq!((answer.status, answer.header("x-faregate-route")), (200, Some("b/two")));
    assert_eq!(attempts(&gateway, &answer), 2);
    let reason = answer.header("x-faregate-route-reason").unwrap_or_default();
    assert!(reason.contains("a/one"), "the reason names what failed: {reason}");
}

#[test]
fn a_mistake_of_the_client_is_answered_once() {
    for status in [400, 404, 409, 413, 422] {
        let (a, b) = (provider(), provider());
        a.set_script(&script(&format!("status={status}")));
        let gateway = Launch::new(pair(&a.base_url(), &b.base_url(), "")).start();
        let answer = gateway.client("").chat("m");
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.json()["error"]["code"],
            "scripted",
            "the provider's words are passed on"
        );
        assert_eq!((a.counters().requests(), b.counters().requests()), (1, 0));
    }
}

#[test]
fn the_last_error_is_passed_on_and_says_not_to_retry() {
    let (a, b) = (provider(), provider());
    a.set_script(&script("status=500"));
    b.set_script(&script("status=503"));
    let rest = "[retries]\nattempts = 2\n";
    let gateway = Launch::new(pair(&a.base_url(), &b.base_url(), rest)).start();
    let answer = gateway.client("").chat("m");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().contains("currently overloaded"), "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let streamed = gateway.client("").stream(&client::streamed("m"));
    assert_eq!(streamed.head.status, 503);
    assert_eq!(streamed.head.header("x-should-retry"), Some("false"));
}

#[test]
fn with_no_answer_at_all_the_fault_is_named() {
    let rest = "[retries]\nattempts = 2\n";
    let gateway = Launch::new(pair(&nowhere(), &nowhere(), rest)).start();
    let answer = gateway.client("").chat("m");
    assert_eq!((answer.status, answer.code()), (502, "upstream_connect_failed".to_owned()));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.json()["error"]["type"], "server_error");
    assert!(answer.text().contains("b/two"), "the target is named: {answer:?}");
}

#[test]
fn a_key_that_the_provider_refuses_is_the_gateways_affair() {
    let a = provider();
    a.set_script(&script("status=401"));
    let gateway = Launch::open(&a).start();
    let answer = gateway.client("").chat("m");
    assert_eq!((answer.status, answer.code()), (502, "upstream_key_refused".to_owned()));
    assert!(!answer.text().contains("Incorrect API key"), "{answer:?}");
}

/// How long after the first request the second one came, when the first was answered as scripted.
fn pause_after(first: &str) -> (Answer, Option<Duration>) {
    let a = provider();
    assert!(a.queue(script(first)));
    let gateway = Launch::open(&a).start();
    let answer = gateway.client("").chat("m");
    let seen = a.take_captured();
    let pause = seen.get(1).map(|second| Duration::from_nanos(second.at.0 - seen[0].at.0));
    (answer, pause)
}

#[test]
fn a_target_is_never_asked_again_earlier_than_it_said() {
    for (told, least) in [
        ("status=429; retry_after=1", 1000),
        ("status=503; retry_after=1", 1000),
        ("status=429; retry_after_ms=300", 300),
        ("status=429; retry_after=5; retry_after_ms=200", 200),
        ("status=429; retry_after=0", 0),
        ("status=429; retry_after=-5", 0),
        ("status=500; retry_after=soon", 0),
    ] {
        let (answer, pause) = pause_after(told);
        assert_eq!(answer.status, 200, "{told}: {answer:?}");
        let pause = pause.unwrap();
        assert!(pause >= Duration::from_millis(least), "{told}: again after {pause:?}");
    }
}

#[test]
fn a_wait_that_is_too_long_is_passed_on_at_once() {
    for told in ["3600", "99999999999999999999", "Wed, 21 Oct 2065 07:28:00 GMT"] {
        let (answer, pause) = pause_after(&format!("status=429; retry_after={told}"));
        assert_eq!(answer.status, 429, "{told}: {answer:?}");
        assert_eq!(answer.header("retry-after"), Some(told));
        assert_eq!(pause, None, "{told}: asked again");
    }
}

/// A gateway whose only target opens its breaker after three failures.
fn fragile(a: &Provider) -> Gateway {
    let policy = format!(
        "{}[retries]\nattempts = 1\n[breaker]\nfailures = 3\nopen = \"500ms\"\n",
        gateway::sim(a)
    );
    Launch::new(policy).start()
}

#[test]
fn a_failing_target_is_left_alone_and_probed() {
    let a = provider();
    a.set_script(&script("status=500"));
    let gateway = fragile(&a);
    let mut client = gateway.client("");
    for _ in 0..3 {
        assert_eq!(client.chat("m").status, 500);
    }
    let refused = client.chat("m");
    assert_eq!((refused.status, refused.code()), (503, "no_target".to_owned()));
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(a.counters().requests(), 3, "an open breaker lets nothing through");

    // The probe fails: it opens again.
    wait::until_true("the target is probed", || {
        let _ = client.chat("m");
        a.counters().requests() == 4
    });
    assert_eq!(client.chat("m").status, 503);
    assert_eq!(a.counters().requests(), 4);

    // The probe succeeds: everything passes.
    a.set_script(&Script::default());
    wait::until_true("the target is back", || client.chat("m").status == 200);
    for _ in 0..10 {
        assert_eq!(client.chat("m").status, 200);
    }
}

#[test]
fn one_probe_goes_out_at_a_time() {
    let a = provider();
    a.set_script(&script("status=500"));
    let gateway = fragile(&a);
    for _ in 0..3 {
        assert_eq!(gateway.client("").chat("m").status, 500);
    }
    a.set_script(&script("stall_at=head"));
    let before = a.counters().requests();
    let mut waiting = gateway.connect();
    wait::until_true("a probe is out", || {
        let request = gateway.client("").request(
            "POST",
            "/v1/chat/completions",
            Some(client::chat("m").to_string().as_bytes()),
        );
        waiting = gateway.connect();
        waiting.send(request);
        wait::until_true("it is refused or sent", || {
            waiting.arrived() > 0 || a.counters().requests() > before
        });
        a.counters().requests() > before
    });
    for _ in 0..16 {
        assert_eq!(gateway.client("").chat("m").status, 503);
    }
    assert_eq!(a.counters().requests(), before + 1, "while the probe is out nothing else is sent");
    // Its client leaves; nothing was learned, and the next one probes.
    drop(waiting);
    a.set_script(&Script::default());
    wait::until_true("the target is back", || gateway.client("").chat("m").status == 200);
}

#[test]
fn weights_share_the_requests() {
    let (a, b) = (provider(), provider());
    let policy = format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n[models.m]\nstrategy = \"weighted\"\n\
         targets = [{{ target = \"a/one\", weight = 3 }}, {{ target = \"b/two\" }}]\n",
        a.base_url(),
        b.base_url()
    );
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client("");
    for _ in 0..400 {
        assert_eq!(client.chat("m").status, 200);
    }
    // Three of four: 300 of 400, with a standard deviation of 9.
    let share = a.counters().requests();
    assert!((250..=350).contains(&share), "{share} of 400 went to the one with three quarters");
    assert_eq!(share + b.counters().requests(), 400);
}

#[test]
fn nobody_notices_one_of_three_targets_that_fails() {
    let places: Vec<Provider> = (0..3).map(|_| provider()).collect();
    places[1].set_script(&script("status=500"));
    let mut policy =
        "[models.m]\nstrategy = \"weighted\"\ntargets = [\"p0/x\", \"p1/x\", \"p2/x\"]\n"
            .to_owned();
    for (n, place) in places.iter().enumerate() {
        policy.push_str(&format!("[providers.p{n}]\nbase_url = \"{}\"\n", place.base_url()));
    }
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client("");
    let failed = (0..300).filter(|_| client.chat("m").status != 200).count();
    assert_eq!(failed, 0);
    let wasted = places[1].counters().requests();
    assert!(wasted <= 20, "{wasted} requests went to the failing target");
}

#[test]
fn retries_stay_within_their_budget() {
    let (a, b) = (provider(), provider());
    a.set_script(&script("status=500"));
    b.set_script(&script("status=500"));
    let rest = "[retries]\nattempts = 10\nbackoff = \"1ms\"\nbackoff_max = \"2ms\"\n[breaker]\nfailures = 10000\n";
    let gateway = Launch::new(pair(&a.base_url(), &b.base_url(), rest)).start();
    let mut client = gateway.client("");
    for _ in 0..300 {
        let status = client.chat("m").status;
        assert!(matches!(status, 500 | 503), "{status}");
    }
    // A reserve of a hundred, then one in ten.
    let sent = a.counters().requests() + b.counters().requests();
    assert!(sent <= 300 + 100 + 30, "{sent} attempts for 300 requests");
}

#[test]
fn a_connection_that_died_idle_costs_nothing() {
    let a = provider();
    let gateway = Launch::open(&a).server("cores = 1").start();
    let mut client = gateway.client("");
    for round in 0..20 {
        let answer = client.chat("m");
        assert_eq!(answer.status, 200, "round {round}: {answer:?}");
        assert_eq!(attempts(&gateway, &answer), 1);
        a.close_idle();
    }
    assert_eq!(a.counters().requests(), 20, "nothing was sent twice");
}

#[test]
fn a_gateway_that_is_its_own_provider_notices() {
    let a = provider();
    let gateway = Launch::open(&a).start();
    let own = format!("http://{}/v1", gateway.address);
    let policy = gateway::sim(&a).replace(&a.base_url(), &own);
    let before = gateway.generation();
    gateway.write(&policy);
    gateway.wait_generation_after(before);
    let answer = gateway.client("").chat("m");
    assert_eq!((answer.status, answer.code()), (508, "loop_detected".to_owned()));
}

#[test]
fn provider_and_model_name_a_target_without_a_model_in_the_policy() {
    let a = provider();
    let gateway = Launch::new(format!(
        "[providers.sim]\nbase_url = \"{}\"\nmodels = [\"gpt-*\"]\n",
        a.base_url()
    ))
    .start();
    let mut client = gateway.client("");
    let answer = client.chat("sim/gpt-5");
    assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("gpt-5")));
    let refused = client.chat("sim/other");
    assert_eq!((refused.status, refused.code()), (404, "model_not_found".to_owned()));
    let refused = client.chat("gpt-5");
    assert_eq!((refused.status, refused.code()), (404, "model_not_found".to_owned()));
    assert_eq!(refused.json()["error"]["param"], "model");
    assert_eq!(a.counters().requests(), 1);
}
