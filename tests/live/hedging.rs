//! Second attempts beside those that are late: the first token wins.

use std::time::{Duration, Instant};

use faregate_tests::{
    Answer, Gateway, Launch, Provider,
    client::{self, Events},
    gateway::Driver,
    provider, wait,
};
use loadtest::provider::Script;
use serde_json::{Value, json};

const TRAINED: usize = 30;

/// A gateway whose model `m` is at `a` and then at `b`, both with a price, and has second attempts as `hedge` says.
fn start(a: &Provider, b: &Provider, hedge: &str) -> Gateway {
    let provider = |name: &str, at: &Provider| {
        format!(
            "[providers.{name}]\nbase_url = \"{}\"\nspeaks = [\"chat\", \"responses\"]\n\
             [prices.\"{name}/m\"]\ninput = \"$1/M\"\noutput = \"$10/M\"\n",
            at.base_url()
        )
    };
    Launch::new(format!(
        "{}{}[models.m]\ntargets = [\"a/m\", \"b/m\"]\n{hedge}\n[organisation]\nlimits = [\"$100/day\"]\n",
        provider("a", a),
        provider("b", b)
    ))
    .start()
}

fn set(provider: &Provider, script: &str) {
    provider.set_script(&Script::parse(script).unwrap());
}

fn bounded(stream: bool) -> Value {
    let mut body = if stream { client::streamed("m") } else { client::chat("m") };
    body["max_tokens"] = 50.into();
    body
}

/// Asks until it is known how long first tokens of `a` take.
fn train(gateway: &Gateway) {
    let mut client = gateway.client("");
    for _ in 0..TRAINED {
        assert_eq!(client.post("/v1/chat/completions", &bounded(false)).status, 200);
    }
}

/// What the head of an answer says.
struct Told {
    status: u16,
    id: String,
    route: String,
    reason: String,
}

fn told<'h>(status: u16, field: impl Fn(&str) -> Option<&'h str>) -> Told {
    let text = |name: &str| field(name).unwrap_or_default().to_owned();
    let (id, route) = (text("x-faregate-request-id"), text("x-faregate-route"));
    Told { status, id, route, reason: text("x-faregate-route-reason") }
}

fn of_stream(events: &Events) -> Told {
    told(events.head.status, |name| events.head.header(name))
}

fn of_plain(answer: &Answer) -> Told {
    told(answer.status, |name| answer.header(name))
}

fn log_of(gateway: &Gateway, head: &Told) -> Value {
    gateway.access_line(&head.id)
}

/// Second attempts made, and those that won.
fn hedges(gateway: &Gateway) -> (f64, f64) {
    let metrics = gateway.metrics();
    let of = |name: &str| metrics.sum(name, &["model=\"m\""]);
    (of("faregate_hedges_total"), of("faregate_hedges_won_total"))
}

/// Nothing is held, and what is spent is what the log says.
fn check_books(gateway: &Gateway) {
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("faregate_budget_held", &[]), 0.0);
    assert_eq!(metrics.sum("faregate_budget_overrun_total", &[]), 0.0);
    #[expect(clippy::cast_precision_loss, reason = "a few cents")]
    let logged = || -> f64 {
        let lines = gateway.access();
        lines.iter().filter_map(|line| line["cost_nanousd"].as_u64()).map(|cost| cost as f64).sum()
    };
    let spent = metrics.sum("faregate_budget_spent", &["unit=\"nanousd\""]);
    wait::until_true(&format!("the log adds up to {spent}"), || logged() >= spent);
    assert_eq!(logged(), spent);
}

#[test]
fn the_second_attempt_answers_when_the_first_one_is_late_and_its_waste_is_booked() {
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "hedge = \"100%\"");
    train(&gateway);
    // On a busy machine one may be late while times are learned.
    let (before, others) = (hedges(&gateway), b.counters().requests());
    // The head of a stream comes at once, its first token does not.
    for (script, stream) in [("first=20s", true), ("delay=20s", true), ("delay=20s", false)] {
        set(&a, script);
        let aborted = a.counters().aborted();
        let begun = Instant::now();
        let head = if stream {
            let events = gateway.client("").stream(&bounded(true));
            let head = of_stream(&events);
            assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"), "{script}");
            head
        } else {
            of_plain(&gateway.client("").post("/v1/chat/completions", &bounded(false)))
        };
        assert_eq!((head.status, head.route.as_str()), (200, "b/m"), "{script}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{script}: {:?}", begun.elapsed());
        assert!(head.reason.ends_with("; hedge won"), "{script}: {}", head.reason);
        wait::until_true("the first attempt is cancelled", || a.counters().aborted() > aborted);
        let line = log_of(&gateway, &head);
        let wasted = line["wasted_nanousd"].as_u64().unwrap_or_else(|| panic!("{line}"));
        assert!(wasted > 0 && wasted < line["cost_nanousd"].as_u64().unwrap(), "{line}");
        assert_eq!(line["attempts"], 2, "{line}");
    }
    assert_eq!(b.counters().requests() - others, 3);
    check_books(&gateway);
    let (made, won) = hedges(&gateway);
    assert_eq!((made - before.0, won - before.1), (3.0, 3.0));
}

#[test]
fn the_first_attempt_answers_when_the_second_one_is_later_still() {
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "hedge = \"100%\"");
    train(&gateway);
    let aborted = b.counters().aborted();
    set(&a, "first=700ms");
    set(&b, "first=20s");
    let events = gateway.client("").stream(&bounded(true));
    let head = of_stream(&events);
    assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"));
    assert_eq!((head.status, head.route.as_str()), (200, "a/m"));
    assert!(head.reason.ends_with("; hedge lost"), "{}", head.reason);
    wait::until_true("the second attempt is cancelled", || b.counters().aborted() > aborted);
    assert!(log_of(&gateway, &head)["wasted_nanousd"].as_u64().unwrap() > 0);
    check_books(&gateway);
}

#[test]
fn one_that_fails_leaves_the_other_to_answer() {
    for (of_a, of_b, route) in [
        ("delay=500ms; status=500", "delay=1s", "b/m"),
        ("delay=1s", "status=500", "a/m"),
        ("delay=1s", "reset_at=head", "a/m"),
    ] {
        let (a, b) = (provider(), provider());
        let gateway = start(&a, &b, "hedge = \"100%\"");
        train(&gateway);
        let before = (a.counters().requests(), b.counters().requests());
        set(&a, of_a);
        set(&b, of_b);
        let answer = gateway.client("").post("/v1/chat/completions", &bounded(false));
        assert_eq!(answer.status, 200, "{of_a} {of_b}: {answer:?}");
        assert_eq!(answer.header("x-faregate-route"), Some(route), "{of_a} {of_b}");
        let after = (a.counters().requests(), b.counters().requests());
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{of_a} {of_b}");
        check_books(&gateway);
    }
}

#[test]
fn another_replica_of_the_same_target_will_do_on_both_drivers() {
    for driver in Driver::ALL {
        let (a, b) = (provider(), provider());
        let gateway = Launch::new(format!(
            "[providers.fleet]\nreplicas = [\"{}\", \"{}\"]\n\
             [models.m]\ntargets = [\"fleet/m\"]\nhedge = \"100%\"\n",
            a.base_url(),
            b.base_url()
        ))
        .on(driver)
        .start();
        train(&gateway);
        set(&a, "first=20s");
        let begun = Instant::now();
        for _ in 0..8 {
            let events = gateway.client("").stream(&bounded(true));
            assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"), "{driver:?}");
        }
        // One of 256 times all of them find the quick one first.
        assert!(begun.elapsed() < Duration::from_secs(10), "{driver:?}: {:?}", begun.elapsed());
        wait::until_true("no request is left", || {
            gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
        });
    }
}

#[test]
fn what_has_effects_or_is_not_allowed_is_sent_once() {
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "hedge = \"100%\"");
    train(&gateway);
    let before = b.counters().requests();
    set(&a, "delay=400ms");
    let mut client = gateway.client("");
    let mut tool = bounded(false);
    tool["tools"] = json!([{"type": "web_search"}]);
    let stored = json!({"model": "m", "input": "hi"});
    let mut kept = bounded(false);
    kept["store"] = true.into();
    for (path, body) in [
        ("/v1/chat/completions", &tool),
        ("/v1/responses", &stored),
        ("/v1/chat/completions", &kept),
    ] {
        let answer = client.post(path, body);
        assert_eq!(answer.header("x-faregate-route"), Some("a/m"), "{path} {body}: {answer:?}");
    }
    assert_eq!(b.counters().requests(), before);
    // Without the key nothing is sent twice either.
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "");
    train(&gateway);
    set(&a, "delay=400ms");
    assert_eq!(gateway.client("").post("/v1/chat/completions", &bounded(false)).status, 200);
    assert_eq!(b.counters().requests(), 0);
}

#[test]
fn a_budget_that_has_no_room_for_two_pays_for_one() {
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "hedge = \"100%\"\nlimits = [\"$0.011/day\"]");
    train(&gateway);
    let before = b.counters().requests();
    set(&a, "delay=400ms");
    // Half a cent is spent. What is left has room for one of these, at 0.4 cents of output, and not for two.
    let mut large = bounded(false);
    large["max_tokens"] = 400.into();
    let answer = gateway.client("").post("/v1/chat/completions", &large);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(b.counters().requests(), before, "the second attempt would not have been paid for");
    // With room for two it is made.
    large["max_tokens"] = 50.into();
    let answer = gateway.client("").post("/v1/chat/completions", &large);
    assert_eq!((answer.status, b.counters().requests()), (200, before + 1), "{answer:?}");
    check_books_of_model(&gateway);
}

fn check_books_of_model(gateway: &Gateway) {
    let metrics = gateway.metrics();
    let of = |name: &str| metrics.sum(name, &["scope=\"model/m\""]);
    assert_eq!(of("faregate_budget_held"), 0.0);
    assert!(of("faregate_budget_spent") <= of("faregate_budget_limit"));
}

#[test]
fn no_more_requests_are_sent_twice_than_the_share_that_is_allowed() {
    let (a, b) = (provider(), provider());
    let gateway = start(&a, &b, "hedge = \"10%\"");
    train(&gateway); // three are earned
    let before = b.counters().requests();
    set(&a, "delay=150ms");
    let mut client = gateway.client("");
    for _ in 0..10 {
        assert_eq!(client.post("/v1/chat/completions", &bounded(false)).status, 200);
    }
    let twice = b.counters().requests() - before;
    assert!(before <= 3 && twice <= 4 - before && before + twice > 0, "{before} and {twice}");
}
