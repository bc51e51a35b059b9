//! Requests that go back to a stored response.

use super::*;
use crate::exchange::Pin;

const fn pin(provider: &'static str, target: &'static str) -> Pin<'static> {
    Pin { provider, target, is_asked_for: false }
}

/// The targets that a chat which goes on from a response may go to, or why to none.
fn ways(world: &World, model: &str, pinned: Pin<'_>) -> Result<Vec<String>, Refusal> {
    let mut exchange = world.admitted(ms(0));
    exchange.decide(&Wanted { pinned: Some(pinned), ..chat(model) }, ms(0))?;
    let targets = exchange.route.candidates().iter();
    Ok(targets.map(|index| world.policy.targets[*index].name.to_string()).collect())
}

#[test]
fn a_turn_goes_to_the_target_that_made_the_one_before() {
    let world = with("\"a/x\", \"b/y\"", "\"a/x\", \"b/y\", \"b/z\"");
    assert_eq!(ways(&world, "two", pin("b", "b/y")).unwrap(), ["b/y"]);
    assert_eq!(ways(&world, "two", pin("a", "a/x")).unwrap(), ["a/x"]);
    assert_eq!(ways(&world, "two", pin("b", "b/other")).unwrap(), ["b/y", "b/z"]);
    assert_eq!(ways(&world, "gpt-5", pin("b", "b/*")).unwrap(), ["b/*"]);
    for (model, provider) in [("one", "b"), ("gpt-5", "a"), ("two", "gone")] {
        let refusal = ways(&world, model, pin(provider, "")).unwrap_err();
        assert_eq!(refusal.fault, Fault::PreviousUnknown, "{model}");
        assert_eq!(refusal.param.as_deref(), Some("previous_response_id"));
    }
}

#[test]
fn rules_lead_back_to_where_the_response_is() {
    let rules = "[models.far]\ntargets = [\"b/y\"]\n[models.inner]\nroute = [{ use = \"far\" }]\n[models.auto]\n\
        route = [{ when = \"tools\", use = \"inner\" }, { use = \"one\" }]\n[models.one]";
    let world = with("[models.one]", rules);
    assert_eq!(ways(&world, "auto", pin("a", "a/x")).unwrap(), ["a/x"]);
    assert_eq!(
        ways(&world, "auto", pin("b", "b/y")).unwrap(),
        ["b/y"],
        "though no rule holds that leads there"
    );
    assert_eq!(ways(&world, "auto", pin("gone", "")).unwrap_err().fault, Fault::PreviousUnknown);
}

#[test]
fn a_failing_target_is_not_replaced_by_one_that_cannot_know_the_response() {
    let world = world();
    let mut exchange = world.admitted(ms(0));
    let wanted = Wanted { pinned: Some(pin("b", "b/y")), ..chat("two") };
    exchange.decide(&wanted, ms(0)).unwrap();
    let mut now = ms(0);
    let mut tried = 0;
    loop {
        match exchange.step(now, 0) {
            Step::Send { target, .. } => {
                assert_eq!(&*world.policy.targets[target].name, "b/y");
                tried += 1;
                exchange.report(Outcome::Failed(Fault::ConnectFailed), now);
            }
            Step::Wait(until) => now = until,
            Step::Refuse(refusal) => {
                assert_eq!(refusal.fault, Fault::ConnectFailed);
                break;
            }
        }
    }
    assert!(tried > 1, "the same target is tried again");
}

#[test]
fn a_model_that_the_key_may_not_use_stays_forbidden() {
    let world = with("team = \"search\"\nhash", "team = \"search\"\nmodels = [\"one\"]\nhash");
    let refusal = ways(&world, "two", pin("b", "b/y")).unwrap_err();
    assert_eq!(refusal.fault, Fault::ModelForbidden);
}

#[test]
fn an_own_response_is_asked_for_where_it_is() {
    let world = with("team = \"search\"\nhash", "team = \"search\"\nmodels = [\"one\"]\nhash");
    let asked = |provider| Pin { is_asked_for: true, ..pin(provider, "a/x") };
    // Neither the provider in the head, nor a model in the body, nor what else the key may use changes that.
    for model in [None, Some("two")] {
        let mut exchange = world.admitted(ms(0));
        let wanted =
            Wanted { model, provider: Some("b"), pinned: Some(asked("a")), ..Wanted::default() };
        exchange.decide(&wanted, ms(0)).unwrap();
        let Step::Send { target, .. } = exchange.step(ms(0), 0) else { panic!("{model:?}") };
        assert_eq!(&*world.policy.targets[target].name, "a/*");
    }
    let mut exchange = world.admitted(ms(0));
    let wanted = Wanted { pinned: Some(asked("gone")), ..Wanted::default() };
    assert_eq!(exchange.decide(&wanted, ms(0)).unwrap_err().fault, Fault::ResponseUnknown);
}

#[test]
fn responses_that_nobody_is_known_to_have_stored_pass_where_there_is_one_caller() {
    const ONE: &str = "[[keys]]";
    let passes = |from, to| with(from, to).policy.passes_unknown_responses();
    assert!(passes(ONE, ONE));
    let two = format!("[[keys]]\nname = \"other\"\nhash = \"sha256:{}\"\n{ONE}", "00".repeat(32));
    assert!(!passes(ONE, &two));
    let set = |word: &str| format!("unknown_responses = \"{word}\"\nlisten");
    assert!(!passes("listen", &set("refuse")));
    let both = |word: &str| {
        let mut text = POLICY.replace(ONE, &two).replace("listen", &set(word));
        text = text.replace("HASH", &format!("sha256:{}", "01".repeat(32)));
        Policy::compile(&text, "test.toml", 2, None).unwrap().passes_unknown_responses()
    };
    assert!(both("pass") && !both("auto") && !both("refuse"));
}
