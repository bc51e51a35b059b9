//! Walks of single requests, step by step.

use std::{fmt::Write, sync::Arc, time::Duration};

use faregate_adapters::chat::Usage;

use super::*;
use crate::{health::Health, key};

mod hedge;
mod stored;
mod turn;
mod way;

const KEY: &[u8] = b"sk-of-the-crawler";
const WALL: u64 = 1_700_000_000_000_000_000;

const POLICY: &str = r#"
[server]
listen = "127.0.0.1:0"
[providers.a]
base_url = "http://127.0.0.1:1"
passthrough = false
[providers.b]
base_url = "http://127.0.0.1:2"
passthrough = true
[models.one]
targets = ["a/x"]
[models.two]
targets = ["a/x", "b/y"]
[models."gpt-*"]
targets = ["b/*"]
[retries]
backoff = "100ms"
backoff_max = "8s"
[organisation]
limits = ["20k tokens/min"]
[teams.search]
limits = ["600 requests/min", "10k tokens/min", "2 concurrent"]
[[keys]]
name = "crawler"
team = "search"
hash = "HASH"
"#;

struct World {
    policy: Rc<CorePolicy>,
}

fn world() -> World {
    with("", "")
}

/// The policy above, with `from` replaced by `to`.
fn with(from: &str, to: &str) -> World {
    if from.is_empty() { with_all(&[]) } else { with_all(&[(from, to)]) }
}

/// The policy above, with each first replaced by its second.
fn with_all(changes: &[(&str, &str)]) -> World {
    let mut hash = String::from("sha256:");
    key::hash(KEY).0.iter().for_each(|byte| write!(hash, "{byte:02x}").unwrap());
    let mut text = POLICY.replace("HASH", &hash);
    for (from, to) in changes {
        text = text.replace(from, to);
    }
    let policy = Policy::compile(&text, "test.toml", 2, None);
    World {
        policy: CorePolicy::new(Arc::new(policy.unwrap_or_else(|problems| panic!("{problems}")))),
    }
}

const fn ms(ms: u64) -> Nanos {
    Nanos(ms * 1_000_000)
}

fn chat(model: &str) -> Wanted<'_> {
    Wanted {
        model: Some(model),
        needs_model: true,
        input_tokens_bound: 1000,
        output_tokens_max: Some(500),
        choices: 1,
        metered: true,
        ..Wanted::default()
    }
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after: None }
}

fn used(tokens: u64) -> Settlement {
    let usage = Usage { input: tokens, ..Usage::default() };
    let usage_source = UsageSource::Provider;
    Settlement { usage: Some(usage), usage_source, delivered: true, ..Settlement::default() }
}

impl World {
    fn open(&self, now: Nanos) -> Exchange {
        Exchange::open(Rc::clone(&self.policy), 0, now)
    }

    fn admitted(&self, now: Nanos) -> Exchange {
        let mut exchange = self.open(now);
        exchange.identify(Some(KEY), WALL).unwrap();
        exchange.admit(now).unwrap();
        exchange
    }

    fn decided(&self, model: &str, now: Nanos) -> Exchange {
        let mut exchange = self.admitted(now);
        exchange.decide(&chat(model), now).unwrap();
        exchange
    }

    fn left(&self, scope: &str, kind: LimitKind, now: Nanos) -> u64 {
        let scope = self.policy.scopes.iter().find(|found| *found.name == *scope).unwrap();
        scope.limits.iter().find(|limit| limit.kind == kind).unwrap().pool.left(now)
    }

    fn tokens_left(&self, now: Nanos) -> u64 {
        let organisation =
            self.policy.scopes.iter().find(|scope| scope.name.starts_with("org")).unwrap();
        let whole = organisation.limits[0].pool.left(now);
        let team = self.left("team/search", LimitKind::Tokens, now);
        assert_eq!(whole, team + 10_000, "all scopes or none");
        team
    }

    fn health(&self, name: &str, now: Nanos) -> Health {
        let target = self.policy.targets.iter().find(|target| *target.name == *name).unwrap();
        target.breaker.health(now)
    }
}

fn sent_to(exchange: &mut Exchange, now: Nanos) -> String {
    match exchange.step(now, 7) {
        Step::Send { target, .. } => exchange.policy().targets[target].name.to_string(),
        other => panic!("{other:?}"),
    }
}

fn refusal(step: Step) -> Refusal {
    match step {
        Step::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_walks_through_all_phases_and_leaves_nothing_behind() {
    let world = world();
    let mut exchange = world.open(ms(0));
    assert_eq!(exchange.phase(), Phase::Identify);
    exchange.identify(Some(KEY), WALL).unwrap();
    assert_eq!(exchange.phase(), Phase::Admit);
    exchange.admit(ms(0)).unwrap();
    assert_eq!(exchange.phase(), Phase::Read);
    exchange.decide(&chat("two"), ms(0)).unwrap();
    assert_eq!(exchange.phase(), Phase::Write);
    assert_eq!((exchange.reserved(), exchange.model()), (1500, "two"));
    assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
    assert_eq!((exchange.phase(), exchange.upstream_model()), (Phase::Send, "x"));
    assert_eq!(exchange.route_reason(), "order 1/2");
    assert_eq!(world.tokens_left(ms(0)), 8500);
    assert_eq!(exchange.report(answered(200), ms(1)), Verdict::Relay);
    exchange.settle(used(700), ms(1));
    assert_eq!(exchange.phase(), Phase::Record);
    assert_eq!(world.tokens_left(ms(1)), 9300);
    drop(exchange);
    assert_eq!(world.tokens_left(ms(1)), 9300);
    assert_eq!(world.left("team/search", LimitKind::Concurrent, ms(1)), 2);
    assert_eq!(world.left("team/search", LimitKind::Requests, ms(1)), 599);
}

#[test]
fn keys_are_told_apart() {
    let world = world();
    let fault = |key: Option<&[u8]>| world.open(ms(0)).identify(key, WALL).unwrap_err().fault;
    assert_eq!(fault(None), Fault::KeyMissing);
    assert_eq!(fault(Some(b"sk-other")), Fault::KeyUnknown);
    let expired = with("name = \"crawler\"", "name = \"crawler\"\nexpires = 2020-01-01");
    assert_eq!(expired.open(ms(0)).identify(Some(KEY), WALL).unwrap_err().fault, Fault::KeyExpired);
    let disabled = with("name = \"crawler\"", "name = \"crawler\"\ndisabled = true");
    assert_eq!(
        disabled.open(ms(0)).identify(Some(KEY), WALL).unwrap_err().fault,
        Fault::KeyDisabled
    );
}

#[test]
fn a_refused_admission_takes_nothing() {
    let world = world();
    let held = [world.admitted(ms(0)), world.admitted(ms(0))];
    let mut third = world.open(ms(0));
    third.identify(Some(KEY), WALL).unwrap();
    let refusal = third.admit(ms(0)).unwrap_err();
    assert_eq!(refusal.fault, Fault::Concurrency);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(world.left("team/search", LimitKind::Requests, ms(0)), 598);
    drop((held, third));
    assert_eq!(world.left("team/search", LimitKind::Concurrent, ms(0)), 2);
}

#[test]
fn a_rate_refusal_says_which_limit_and_when() {
    let world = with("600 requests/min", "5 requests/min");
    for _ in 0..5 {
        world.admitted(ms(0));
    }
    let mut exchange = world.open(ms(0));
    exchange.identify(Some(KEY), WALL).unwrap();
    let refusal = exchange.admit(ms(0)).unwrap_err();
    assert_eq!(
        refusal.message,
        "rate limit of team/search exhausted: 5 requests/min; try again in 12 s"
    );
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(12)));
    assert_eq!(
        refusal.data.as_deref(),
        Some(
            r#""limit":"5 requests/min","scope":"team/search","asked":1,"left":0,"resets_in_ms":12000"#
        )
    );
}

#[test]
fn tokens_are_reserved_in_all_scopes_or_none() {
    let world = world();
    let mut first = world.admitted(ms(0));
    first.decide(&Wanted { output_tokens_max: Some(7000), ..chat("one") }, ms(0)).unwrap();
    let mut second = world.admitted(ms(0));
    let refusal = second.decide(&Wanted { output_tokens_max: Some(1001), ..chat("one") }, ms(0));
    let refusal = refusal.unwrap_err();
    assert_eq!((refusal.fault, second.reserved()), (Fault::TokenRate, 0));
    assert!(refusal.message.contains("asked 2001, left 2000"), "{}", refusal.message);
    assert_eq!(world.tokens_left(ms(0)), 2000);
    drop((first, second));
    assert_eq!(world.tokens_left(ms(0)), 10_000);
}

#[test]
fn more_than_a_limit_ever_holds_is_refused_for_good() {
    let world = world();
    let mut exchange = world.admitted(ms(0));
    let refusal = exchange.decide(&Wanted { choices: 20, ..chat("one") }, ms(0)).unwrap_err();
    assert_eq!((refusal.fault, refusal.retry_after), (Fault::RequestExceedsLimit, None));
    assert_eq!(refusal.should_retry, Some(false));
    assert!(refusal.message.contains("10k tokens/min"), "{}", refusal.message);
}

#[test]
fn a_closer_bound_may_fit_where_the_first_did_not() {
    let world = world();
    let mut exchange = world.admitted(ms(0));
    let wanted = Wanted { input_tokens_bound: 10_001, choices: 2, ..chat("two") };
    let wanted = Wanted { output_tokens_max: Some(100), ..wanted };
    assert_eq!(exchange.decide(&wanted, ms(0)).unwrap_err().fault, Fault::RequestExceedsLimit);
    let models: Vec<_> = exchange.candidates().map(|(_, model)| model).collect();
    assert_eq!(models, ["x", "y"]);
    let refusal = exchange.reserve_closer(9_801, ms(0)).unwrap_err();
    assert_eq!((refusal.fault, world.tokens_left(ms(0))), (Fault::RequestExceedsLimit, 10_000));
    exchange.reserve_closer(9_800, ms(0)).unwrap();
    assert_eq!((exchange.reserved(), exchange.phase()), (10_000, Phase::Write));
    assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
    exchange.report(answered(200), ms(1));
    exchange.settle(used(700), ms(2));
    assert_eq!(world.tokens_left(ms(2)), 9_300);
}

#[test]
fn without_a_bound_a_slice_is_reserved_that_fits() {
    let world = world();
    let reserved = |input, choices| {
        let mut exchange = world.admitted(ms(0));
        let wanted =
            Wanted { input_tokens_bound: input, output_tokens_max: None, choices, ..chat("one") };
        exchange
            .decide(&wanted, ms(0))
            .map(|()| exchange.reserved())
            .map_err(|refusal| refusal.fault)
    };
    assert_eq!(reserved(1000, 1), Ok(1000 + OUTPUT_TOKENS_SLICE));
    assert_eq!(reserved(1000, 3), Ok(1000 + 3 * OUTPUT_TOKENS_SLICE));
    assert_eq!(reserved(9900, 1), Ok(10_000));
    assert_eq!(reserved(10_001, 1), Err(Fault::RequestExceedsLimit));
}

#[test]
fn models_are_resolved_where_the_caller_may_use_them() {
    let world = with("[teams.search]", "[teams.search]\nmodels = [\"one\", \"gpt-*\"]");
    let fault = |wanted: &Wanted<'_>| {
        world
            .admitted(ms(0))
            .decide(wanted, ms(0))
            .map_err(|refusal| (refusal.fault, refusal.param.map(|param| param.into_owned())))
    };
    assert_eq!(fault(&chat("one")), Ok(()));
    assert_eq!(fault(&chat("two")), Err((Fault::ModelForbidden, Some("model".to_owned()))));
    assert_eq!(fault(&chat("nosuch")), Err((Fault::ModelForbidden, Some("model".to_owned()))));
    let nameless = Wanted { model: None, ..chat("") };
    assert_eq!(fault(&nameless), Err((Fault::ModelMissing, Some("model".to_owned()))));
    let path = Wanted { needs_model: false, provider: Some("b"), ..nameless };
    assert_eq!(fault(&path), Err((Fault::ModelForbidden, None)));
    let mut exchange = world.decided("gpt-5", ms(0));
    assert_eq!(sent_to(&mut exchange, ms(0)), "b/*");
    assert_eq!((exchange.upstream_model(), exchange.model()), ("gpt-5", "gpt-*"));
}

#[test]
fn paths_without_a_model_go_to_a_provider_that_takes_them() {
    let world = with("passthrough = true\n", "passthrough = true\nmodels = [\"y\"]\n");
    let decide = |provider, model| {
        let mut exchange = world.admitted(ms(0));
        let wanted = Wanted { model, provider, metered: false, needs_model: false, ..chat("") };
        exchange.decide(&wanted, ms(0)).map_err(|refusal| refusal.fault)?;
        assert_eq!(exchange.reserved(), 0);
        Ok(sent_to(&mut exchange, ms(0)))
    };
    assert_eq!(decide(Some("b"), None), Ok("b/*".to_owned()));
    assert_eq!(decide(Some("a"), None), Err(Fault::PathUnknown));
    assert_eq!(decide(Some("b"), Some("y")), Ok("b/*".to_owned()));
    assert_eq!(decide(Some("b"), Some("nosuch")), Err(Fault::ModelUnknown));
}

#[test]
fn a_failed_target_gives_way_to_the_next_one() {
    for outcome in [
        Outcome::Failed(Fault::ConnectFailed),
        Outcome::Failed(Fault::UpstreamReset),
        answered(500),
        answered(529),
        answered(429),
        answered(401),
        answered(403),
    ] {
        let world = world();
        let mut exchange = world.decided("two", ms(0));
        assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
        assert_eq!(exchange.report(outcome, ms(1)), Verdict::Again, "{outcome:?}");
        assert_eq!(exchange.phase(), Phase::Route);
        assert_eq!(sent_to(&mut exchange, ms(1)), "b/y");
        assert_eq!(exchange.upstream_model(), "y");
        assert!(
            exchange.route_reason().starts_with("failover: a/x "),
            "{}",
            exchange.route_reason()
        );
        assert_eq!(exchange.report(answered(200), ms(2)), Verdict::Relay);
        exchange.settle(used(1), ms(2));
        assert_eq!(exchange.attempts(), 2);
    }
}

#[test]
fn clients_mistakes_are_relayed_at_once() {
    for status in [200, 302, 400, 404, 409, 413, 422, 501] {
        let world = world();
        let mut exchange = world.decided("two", ms(0));
        sent_to(&mut exchange, ms(0));
        assert_eq!(exchange.report(answered(status), ms(1)), Verdict::Relay, "{status}");
    }
}

#[test]
fn the_last_answer_is_relayed_when_nothing_is_left() {
    let world = world();
    let mut exchange = world.decided("two", ms(0));
    for (name, verdict) in [("a/x", Verdict::Again), ("b/y", Verdict::Again)] {
        assert_eq!(sent_to(&mut exchange, ms(9000)), name);
        assert_eq!(exchange.report(answered(503), ms(9000)), verdict);
    }
    let Step::Wait(until) = exchange.step(ms(9000), u64::MAX) else {
        panic!("a backoff comes first")
    };
    assert!(until > ms(9000) && until <= ms(9100), "{until:?}");
    assert_eq!(exchange.step(ms(9000), 7), Step::Wait(until));
    assert_eq!(sent_to(&mut exchange, until), "a/x");
    assert_eq!(exchange.route_reason(), "failover: b/y status_503");
    assert_eq!(exchange.report(answered(503), until), Verdict::Relay);
}

#[test]
fn a_target_is_not_asked_before_it_said() {
    let world = world();
    let busy =
        |secs| Outcome::Answered { status: 429, retry_after: Some(Duration::from_secs(secs)) };
    let mut exchange = world.decided("one", ms(0));
    sent_to(&mut exchange, ms(0));
    assert_eq!(exchange.report(busy(5), ms(0)), Verdict::Again);
    let mut now = ms(0);
    for _ in 0..5 {
        match exchange.step(now, u64::MAX) {
            Step::Wait(until) => now = until,
            Step::Send { .. } => break,
            Step::Refuse(refusal) => panic!("{refusal:?}"),
        }
    }
    assert_eq!(now, ms(5000));
    // Longer than the longest wait: the answer is the client's, and others are not sent there either.
    assert_eq!(exchange.report(busy(9), now), Verdict::Relay);
    let refused = refusal(world.decided("one", now).step(now, 7));
    assert_eq!(
        (refused.fault, refused.retry_after),
        (Fault::NoTarget, Some(Duration::from_secs(9)))
    );
    assert_eq!(world.health("a/x", now), Health::Resting(ms(14_000)));
}

#[test]
fn what_may_have_been_worked_on_is_sent_once_more_at_most() {
    let world = world();
    let mut exchange = world.decided("two", ms(0));
    sent_to(&mut exchange, ms(0));
    assert_eq!(exchange.report(Outcome::Failed(Fault::UpstreamReset), ms(0)), Verdict::Again);
    sent_to(&mut exchange, ms(0));
    assert_eq!(exchange.report(Outcome::Failed(Fault::UpstreamReset), ms(0)), Verdict::Again);
    let refused = refusal(exchange.step(ms(0), 7));
    assert_eq!(refused.fault, Fault::UpstreamReset);
    assert_eq!(
        refused.message,
        "b/y: the provider broke the connection before it answered; 2 attempts"
    );
    assert_eq!(refusal(exchange.step(ms(1), 7)), refused, "a refusal is final");
    exchange.settle(Settlement { fault: Some(refused.fault), ..Settlement::default() }, ms(1));
    assert_eq!(world.tokens_left(ms(1)), 10_000);
}

#[test]
fn a_refused_key_of_ours_is_never_shown() {
    let world = world();
    let mut exchange = world.decided("one", ms(0));
    sent_to(&mut exchange, ms(0));
    assert_eq!(exchange.report(answered(401), ms(0)), Verdict::Again);
    assert_eq!(refusal(exchange.step(ms(0), 7)).fault, Fault::UpstreamKeyRefused);
}

#[test]
fn no_attempt_begins_after_the_deadline() {
    let world = world();
    let mut exchange = world.decided("two", ms(0));
    sent_to(&mut exchange, ms(0));
    let late = Nanos(0).after(world.policy.server.deadlines.total);
    assert_eq!(exchange.report(Outcome::Failed(Fault::ConnectTimeout), late), Verdict::Again);
    assert_eq!(refusal(exchange.step(late, 7)).fault, Fault::ConnectTimeout);
}

#[test]
fn a_dropped_request_gives_back_what_no_provider_worked_for() {
    let world = world();
    drop(world.admitted(ms(0)));
    drop(world.decided("one", ms(0)));
    let mut failed = world.decided("one", ms(0));
    sent_to(&mut failed, ms(0));
    failed.report(Outcome::Failed(Fault::ConnectFailed), ms(0));
    drop(failed);
    assert_eq!(world.tokens_left(ms(0)), 10_000);

    let mut under_way = world.decided("one", ms(0));
    sent_to(&mut under_way, ms(0));
    drop(under_way);
    assert_eq!(world.tokens_left(ms(0)), 8500);

    let mut relaying = world.decided("one", ms(0));
    sent_to(&mut relaying, ms(0));
    relaying.report(answered(200), ms(0));
    drop(relaying);
    assert_eq!(world.tokens_left(ms(0)), 7000);
    assert_eq!(world.left("team/search", LimitKind::Concurrent, ms(0)), 2);
}

#[test]
fn absent_usage_is_never_free() {
    let charged = |settlement: Settlement| {
        let world = world();
        let mut exchange = world.decided("one", ms(0));
        sent_to(&mut exchange, ms(0));
        exchange.report(answered(200), ms(0));
        exchange.settle(settlement, ms(0));
        10_000 - world.tokens_left(ms(0))
    };
    let delivered = Settlement { delivered: true, ..Settlement::default() };
    assert_eq!(charged(delivered.clone()), 1500);
    let estimate = Some(Usage { output: 1, ..Usage::default() });
    let usage_source = UsageSource::Estimated;
    assert_eq!(charged(Settlement { estimate, usage_source, ..delivered.clone() }), 1500);
    let cut = Settlement { fault: Some(Fault::UpstreamCut), ..delivered };
    assert_eq!(charged(cut.clone()), 1500);
    let came = |events| Settlement { output_estimate: Some(events), ..cut.clone() };
    assert_eq!(charged(came(0)), 1000);
    assert_eq!(charged(came(30)), 1030);
    assert_eq!(charged(came(30_000)), 1500);
    assert_eq!(charged(Settlement::default()), 0);
    assert_eq!(charged(used(10)), 10);
    assert_eq!(charged(used(2000)), 2000);
}

#[test]
fn a_client_that_leaves_before_anything_came_pays_for_its_input() {
    let world = world();
    let mut exchange = world.decided("one", ms(0));
    sent_to(&mut exchange, ms(0));
    let gone = Settlement { fault: Some(Fault::ClientGone), ..Settlement::default() };
    exchange.settle(gone, ms(0));
    assert_eq!(world.tokens_left(ms(0)), 9_000);
}

#[test]
fn a_lost_probe_is_returned() {
    let world = world();
    let down = || {
        let mut exchange = world.decided("one", ms(0));
        for _ in 0..10 {
            match exchange.step(ms(0), 0) {
                Step::Send { .. } => {
                    exchange.report(Outcome::Failed(Fault::ConnectFailed), ms(0));
                }
                Step::Wait(_) => {}
                Step::Refuse(_) => return,
            }
        }
    };
    (0..10).for_each(|_| down());
    assert_eq!(world.health("a/x", ms(0)), Health::Open(ms(1000)));
    let mut probe = world.decided("one", ms(1000));
    sent_to(&mut probe, ms(1000));
    assert_eq!(refusal(world.decided("one", ms(1000)).step(ms(1000), 7)).fault, Fault::NoTarget);
    drop(probe);
    assert_eq!(sent_to(&mut world.decided("one", ms(1000)), ms(1000)), "a/x");
}

#[test]
fn headers_show_the_tightest_limits() {
    let world = world();
    let exchange = world.decided("one", ms(0));
    let headers = exchange.rate_headers(ms(0));
    let requests = headers.requests.unwrap();
    assert_eq!((requests.limit, requests.remaining), (600, 599));
    let tokens = headers.tokens.unwrap();
    assert_eq!((tokens.limit, tokens.remaining), (10_000, 8500));
}
