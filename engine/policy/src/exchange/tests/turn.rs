//! Requests that go on with another model.

use std::time::Duration;

use super::*;

const MODELS: &str = r#"
[models.one]
targets = ["a/x"]
fallbacks = ["spare", "last"]
on_context_window = "large"
on_content_policy = "b/free"
context_tokens = 1000
[models.spare]
targets = ["b/spare"]
fallbacks = ["deep", "b/direct", "last"]
[models.deep]
targets = ["b/deep"]
[models.last]
targets = ["b/last"]
[models.large]
targets = ["a/large"]
[models.two]
"#;

fn turning(attempts: u32) -> World {
    let retries = format!("[retries]\nattempts = {attempts}");
    with_all(&[
        ("[models.one]\ntargets = [\"a/x\"]\n[models.two]", MODELS),
        ("[retries]", &retries),
    ])
}

#[test]
fn each_fallback_follows_when_the_model_before_it_is_down_and_none_comes_twice() {
    let world = turning(1);
    let mut exchange = world.decided("one", ms(0));
    let mut seen = Vec::new();
    loop {
        match exchange.step(ms(1), 7) {
            Step::Send { target, .. } => {
                seen.push(exchange.policy().targets[target].name.to_string())
            }
            other => {
                assert!(matches!(other, Step::Refuse(_)), "{other:?}");
                break;
            }
        }
        if exchange.report(answered(500), ms(1)) == Verdict::Relay {
            break;
        }
    }
    // What a fallback names comes before what is left of the list that led to it.
    assert_eq!(seen, ["a/x", "b/spare", "b/deep", "b/*", "b/last"]);
    assert_eq!(exchange.model(), "last");
    let reason = exchange.route_reason();
    assert!(
        reason.starts_with("one down > spare down > deep down > direct down > last; "),
        "{reason}"
    );
}

#[test]
fn a_model_has_its_own_attempts_before_its_fallback_has_them_anew() {
    let world = turning(2);
    let mut exchange = world.decided("one", ms(0));
    let mut seen = Vec::new();
    let mut now = 1;
    while seen.len() < 4 {
        match exchange.step(ms(now), 7) {
            Step::Send { target, .. } => {
                seen.push(exchange.policy().targets[target].name.to_string());
                assert_eq!(exchange.report(answered(503), ms(now)), Verdict::Again);
            }
            Step::Wait(until) => now = until.0 / 1_000_000 + 1,
            Step::Refuse(refusal) => panic!("{refusal:?}"),
        }
    }
    assert_eq!(seen, ["a/x", "a/x", "b/spare", "b/spare"]);
}

#[test]
fn nothing_is_sent_to_a_model_that_is_known_to_be_down() {
    let world = turning(3);
    let one = world.policy.targets.iter().find(|target| *target.name == *"a/x").unwrap();
    one.breaker.rest(Duration::from_secs(30), ms(0));
    let mut exchange = world.decided("one", ms(1));
    assert_eq!(sent_to(&mut exchange, ms(1)), "b/spare");
    assert_eq!(exchange.attempts(), 1);
    assert!(exchange.route_reason().starts_with("one down > spare; "));
}

#[test]
fn a_target_that_asks_to_be_left_alone_is_not_waited_for_where_there_is_a_fallback() {
    let world = turning(3);
    let mut exchange = world.decided("one", ms(0));
    assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
    let outcome = Outcome::Answered { status: 429, retry_after: Some(Duration::from_secs(2)) };
    assert_eq!(exchange.report(outcome, ms(0)), Verdict::Again);
    assert_eq!(sent_to(&mut exchange, ms(0)), "b/spare", "without a wait");
}

#[test]
fn what_is_declined_goes_to_the_model_that_the_policy_names_for_it() {
    let world = turning(3);
    for (by, to, told) in [
        (TurnedBy::ContextWindow, "a/large", "one context_window > large; "),
        (TurnedBy::ContentPolicy, "b/*", "one content_policy > free; "),
    ] {
        let mut exchange = world.decided("one", ms(0));
        sent_to(&mut exchange, ms(0));
        assert!(exchange.hears_declined());
        assert!(exchange.declined(by, ms(1)));
        assert_eq!(sent_to(&mut exchange, ms(1)), to);
        let reason = exchange.route_reason().into_owned();
        assert!(reason.starts_with(told), "{reason}");
        // The next model names nobody: its word is the client's.
        assert!(!exchange.hears_declined() && !exchange.declined(by, ms(2)));
        assert_eq!(exchange.report(answered(400), ms(2)), Verdict::Relay);
    }
    assert_eq!(world.health("a/x", ms(2)), Health::Closed);
}

#[test]
fn what_is_longer_than_the_window_goes_to_the_larger_model_at_once() {
    let world = turning(3);
    for (input_tokens, to) in [(1000, "a/x"), (1001, "a/large")] {
        let mut exchange = world.admitted(ms(0));
        let asks = Asks { input_tokens, ..Asks::default() };
        exchange.decide(&Wanted { asks, ..chat("one") }, ms(0)).unwrap();
        assert_eq!(sent_to(&mut exchange, ms(0)), to);
    }
}

#[test]
fn what_only_one_place_can_answer_or_cannot_be_sent_again_stays() {
    let world = turning(1);
    let mut exchange = world.decided("one", ms(0));
    sent_to(&mut exchange, ms(0));
    exchange.forbid_retries();
    assert!(!exchange.hears_declined());
    assert_eq!(exchange.report(answered(500), ms(0)), Verdict::Relay);
    let mut exchange = world.admitted(ms(0));
    let pin = Pin { provider: "a", target: "a/x", is_asked_for: false };
    exchange.decide(&Wanted { pinned: Some(pin), ..chat("one") }, ms(0)).unwrap();
    sent_to(&mut exchange, ms(0));
    assert_eq!(exchange.report(answered(500), ms(0)), Verdict::Relay);
}
