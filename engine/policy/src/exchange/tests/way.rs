//! Rules, defaults and overrides: where a request is led, and how that is told.

use faregate_adapters::shape::Shape;

use super::*;
use crate::{
    exchange::{Instead, Turn},
    route::Score,
};

const RULES: &str = r#"[models.auto]
allow_override = true
route = [
  { when = "difficulty > 0.7 or tools", use = "two" },
  { when = "header['x-tier'] == 'gold' or tag['job'] == 'nightly'", use = "b/big" },
  { when = "not healthy('a/x')", use = "b/y" },
  { use = "one" },
]
[models.outer]
route = [{ when = "team == 'search'", use = "auto" }, { use = "one" }]
[models.canary]
strategy = "weight"
sticky = "user"
targets = [{ target = "a/x", weight = 9 }, { target = "b/y" }]
[models.one]"#;

fn ruled() -> World {
    with("[models.one]", RULES)
}

fn decided(world: &World, wanted: &Wanted<'_>) -> Result<Exchange, Refusal> {
    let mut exchange = world.admitted(ms(0));
    exchange.decide(wanted, ms(0)).map(|()| exchange)
}

/// Decides and takes the first step. Out: the target, and the reason.
fn led(world: &World, wanted: &Wanted<'_>) -> (String, String) {
    let mut exchange = decided(world, wanted).unwrap();
    exchange.step(ms(0), 0);
    let target = exchange.target().unwrap().name.to_string();
    (target, exchange.route_reason().into_owned())
}

fn asking<'a>(model: &'a str, asks: Asks<'a>) -> Wanted<'a> {
    Wanted { asks, ..chat(model) }
}

fn pair(target: &str, reason: &str) -> (String, String) {
    (target.to_owned(), reason.to_owned())
}

#[test]
fn the_first_rule_that_holds_leads() {
    let world = ruled();
    let plain = led(&world, &chat("auto"));
    assert_eq!(plain, pair("a/x", "auto rule 4 > one (difficulty 0.07); order 1/1"));
    let body = br#"{"tools":[{}]}"#;
    let shape = Shape::of(body);
    let asks = Asks { shape: Some(&shape), ..Asks::default() };
    assert_eq!(
        led(&world, &asking("auto", asks)),
        pair("a/x", "auto rule 1 > two (difficulty 0.12); order 1/2")
    );
    let headers = ["gold".into()];
    let asks = Asks { headers: &headers, ..Asks::default() };
    let (target, reason) = led(&world, &asking("auto", asks));
    assert_eq!(target, "b/*");
    assert!(reason.starts_with("auto rule 2 > big (difficulty"), "{reason}");
    assert_eq!(world.policy.watch.headers, ["x-tier".into()]);
    assert_eq!(world.policy.watch.tags, ["job".into()]);
    assert!(world.policy.watch.needs.any());
}

#[test]
fn rules_lead_on_and_health_counts() {
    let world = ruled();
    let target = world.policy.targets.iter().find(|target| *target.name == *"a/x").unwrap();
    target.breaker.rest(Duration::from_secs(5), ms(0));
    let (target, reason) = led(&world, &chat("outer"));
    assert_eq!(target, "b/y");
    assert!(reason.starts_with("outer rule 1 > auto rule 3 > "), "{reason}");
    let exchange = decided(&world, &chat("outer")).unwrap();
    let list = world.policy.models.list();
    let names: Vec<_> = exchange
        .way()
        .turns
        .iter()
        .map(|Turn { model, rule }| (&*list[*model].name, *rule))
        .collect();
    assert_eq!(names, [("outer", 0), ("auto", 2)]);
}

#[test]
fn a_client_may_say_more_where_the_policy_lets_it() {
    let world = ruled();
    let told = Asks { difficulty: Some(0.9), ..Asks::default() };
    let (target, reason) = led(&world, &asking("auto", told));
    assert_eq!(
        (&*target, &*reason),
        ("a/x", "auto rule 1 > two (difficulty 0.90, told); order 1/2")
    );
    let instead = Asks { instead: Some("two"), ..Asks::default() };
    let found = led(&world, &asking("auto", instead));
    assert_eq!(found, pair("a/x", "x-faregate-model > two; order 1/2"));
    assert_eq!(led(&world, &asking("two", instead)), pair("a/x", "order 1/2"), "it is that model");
    let refused = decided(&world, &asking("one", instead)).unwrap_err();
    assert_eq!(refused.fault, Fault::OverrideForbidden);
    // A model with rules that does not say so hears nothing.
    let (_, reason) = led(&world, &asking("outer", told));
    assert!(!reason.contains("told"), "{reason}");
    let unknown = Asks { instead: Some("three"), ..Asks::default() };
    let refused = decided(&world, &asking("auto", unknown)).unwrap_err();
    assert_eq!(
        (refused.fault, refused.param.as_deref()),
        (Fault::ModelUnknown, Some("x-faregate-model"))
    );
}

#[test]
fn an_override_is_bound_to_what_the_key_may_use() {
    let world = ruled();
    let text = "[teams.search]\nmodels = [\"auto\"]";
    let strict = with_all(&[("[models.one]", RULES), ("[teams.search]", text)]);
    let instead = Asks { instead: Some("two"), ..Asks::default() };
    assert!(decided(&world, &asking("auto", instead)).is_ok());
    let refused = decided(&strict, &asking("auto", instead)).unwrap_err();
    assert_eq!(refused.fault, Fault::ModelForbidden);
    // What rules lead to is the policy's decision: the key needs leave for the first model only.
    assert!(decided(&strict, &chat("auto")).is_ok());
    assert_eq!(decided(&strict, &chat("one")).unwrap_err().fault, Fault::ModelForbidden);
}

#[test]
fn the_default_model_answers_to_its_name_and_to_unknown_ones() {
    let text = "[teams.search]\ndefault_model = \"two\"";
    let world = with("[teams.search]", text);
    for asked in ["default", "claude-9"] {
        assert_eq!(led(&world, &chat(asked)), pair("a/x", "default > two; order 1/2"), "{asked}");
    }
    assert_eq!(led(&world, &chat("one")), pair("a/x", "order 1/1"));
    let exchange = decided(&world, &chat("default")).unwrap();
    assert_eq!(exchange.way().instead, Some(Instead::Default));
    assert_eq!(exchange.model(), "two");
    // Paths that need no model are passed on as before.
    let other = Wanted { needs_model: false, ..chat("claude-9") };
    assert_eq!(decided(&world, &other).unwrap().model(), "");
}

#[test]
fn a_user_sticks_to_a_target_and_weights_share_users() {
    let world = ruled();
    let mut at_b = 0;
    for user in 0..150 {
        let body = format!("{{\"user\":\"u{user}\"}}");
        let shape = Shape::of(body.as_bytes());
        let asks = Asks { shape: Some(&shape), ..Asks::default() };
        let wanted = Wanted { metered: false, ..asking("canary", asks) };
        let mut targets = Vec::new();
        for random in [0, u64::MAX / 2, u64::MAX] {
            let mut exchange = decided(&world, &wanted).unwrap();
            exchange.step(ms(0), random);
            assert_eq!(exchange.reason().unwrap().score, Some(Score::Stuck));
            targets.push(exchange.target().unwrap().name.clone());
            exchange.settle(Settlement::default(), ms(0));
        }
        assert!(targets.iter().all(|target| *target == targets[0]), "{targets:?}");
        at_b += usize::from(*targets[0] == *"b/y");
    }
    // One of ten: 15 of 150, with a standard deviation of 4.
    assert!((4..=30).contains(&at_b), "{at_b} of 150 users");
    // Without a user it is a lot, and the reason does not say that it stays.
    assert_eq!(led(&world, &chat("canary")).1, "weighted 1/2");
}

#[test]
fn a_target_is_busy_until_its_answer_has_passed() {
    let world = world();
    let busy = |name: &str| {
        let target = world.policy.targets.iter().find(|target| *target.name == *name).unwrap();
        target.gauge.under_way()
    };
    let mut exchange = world.decided("two", ms(0));
    assert_eq!(busy("a/x"), 0);
    exchange.step(ms(0), 0);
    assert_eq!(busy("a/x"), 1);
    exchange.report(answered(500), ms(5));
    assert_eq!(busy("a/x"), 0, "it has failed");
    exchange.step(ms(5), 0);
    exchange.report(answered(200), ms(12));
    assert_eq!((busy("a/x"), busy("b/y")), (0, 1), "the answer passes");
    let target = exchange.target().unwrap();
    assert_eq!(target.gauge.delay_us(ms(12)), Some(7000));
    exchange.settle(used(5), ms(20));
    assert_eq!(busy("b/y"), 0);
    let mut dropped = world.decided("two", ms(30));
    dropped.step(ms(30), 0);
    drop(dropped);
    assert_eq!((busy("a/x"), busy("b/y")), (0, 0));
}
