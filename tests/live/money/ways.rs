//! Every way out of a request settles it: nothing stays held, and what may have been billed is charged.

use std::time::Duration;

use faregate_tests::{
    Act, Gateway, Launch, Provider, Upstream, key, provider,
    upstream::{self, Request},
    wait,
};
use loadtest::provider::Script;
use serde_json::{Value, json};

use super::{asking, billed, level, limited, spent_of};

/// Nano-dollars of a token of input at the most: written to the provider's cache.
const WRITTEN: u64 = 1250;

fn quiet(gateway: &Gateway, provider: &Provider) {
    wait::until_true("all is quiet", || {
        provider.counters().in_flight() == 0
            && gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
    });
}

/// What a way out costs, from the level before and after it.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    spent: u64,
    billed: u64,
}

fn measured(gateway: &Gateway, provider: &Provider, act: impl FnOnce()) -> Cost {
    let before = (spent_of(&level(gateway)), billed(provider));
    act();
    quiet(gateway, provider);
    let told = level(gateway);
    assert_eq!(told["held"], 0, "{told}");
    Cost { spent: spent_of(&told) - before.0, billed: billed(provider) - before.1 }
}

fn body(sim: &str, stream: bool) -> Value {
    let mut body = asking(40);
    body["sim"] = sim.into();
    body["stream"] = stream.into();
    body
}

/// A gateway whose key has a dollar, and which waits for a provider no longer than half a second.
fn launch(provider: &Provider) -> Gateway {
    let deadlines = "[providers.sim.deadlines]\nfirst_byte = \"500ms\"\nfirst_token = \"500ms\"\nbetween_tokens = \"500ms\"\n";
    Launch::new(format!("{}{deadlines}", limited(provider, "\"$1/day\""))).start()
}

/// Sends a request and leaves after so long, or when so many bytes have come.
fn leave(gateway: &Gateway, body: &Value, time: Duration, bytes: usize) {
    let client = gateway.client(&key::named("one"));
    let text = body.to_string();
    let mut wire = gateway.connect();
    wire.send(client.request("POST", "/v1/chat/completions", Some(text.as_bytes())));
    wait::stays(time, || wire.arrived() < bytes);
}

#[test]
fn whoever_leaves_pays_what_the_provider_may_bill_and_holds_nothing() {
    let provider = provider();
    let gateway = launch(&provider);
    let most = 40 * 4000;
    let soon = Duration::from_millis(80);
    for (sim, stream, bytes) in [
        ("tokens=40; delay=300ms", false, 1),
        ("tokens=40; first=300ms", false, 1),
        ("tokens=40; delay=300ms", true, 1),
        ("tokens=40; first=300ms", true, 1),
        ("tokens=40; chunk=10ms", true, 300),
        ("tokens=40; chunk=10ms", true, 2000),
        ("tokens=40; chunk=10ms", true, 100_000),
    ] {
        let body = body(sim, stream);
        let cost = measured(&gateway, &provider, || leave(&gateway, &body, soon, bytes));
        let place = format!("{sim}, stream {stream}, {bytes} bytes: {cost:?}");
        assert!(cost.billed > 0 && cost.spent >= cost.billed, "{place}");
        let text = body.to_string().len() as u64;
        assert!(cost.spent <= (text + 20) * WRITTEN + most, "{place}");
        if stream {
            assert!(cost.spent - cost.billed <= (text + 20) * WRITTEN + 20 * 4000, "{place}");
        }
    }
}

#[test]
fn what_a_provider_breaks_off_is_charged_as_far_as_it_may_be_billed() {
    let provider = provider();
    let gateway = launch(&provider);
    for (sim, stream) in [
        ("tokens=40; reset_at=head", false),
        ("tokens=40; close_at=head", true),
        ("tokens=40; reset_at=100", false),
        ("tokens=40; chunk=2ms; reset_at=3000", true),
        ("tokens=40; chunk=2ms; close_at=3000", true),
        ("tokens=40; chunk=2ms; stall_at=3000", true),
        ("tokens=40; stall_at=head", false),
        ("tokens=40; stall_at=head", true),
        ("tokens=40; bad=head", false),
        ("tokens=40; bad=long", false),
        ("tokens=40; bad=json", false),
        ("tokens=40; bad=chunk", true),
        ("tokens=40; error_at=5", true),
        ("tokens=40; done=0", true),
        ("tokens=40; usage=none", true),
        ("tokens=40; usage=none", false),
    ] {
        let cost = measured(&gateway, &provider, || {
            let client = gateway.client(&key::named("one"));
            let text = body(sim, stream).to_string();
            let mut wire = gateway.connect();
            wire.send(client.request("POST", "/v1/chat/completions", Some(text.as_bytes())));
            let _ = wire.try_answer();
        });
        let place = format!("{sim}, stream {stream}: {cost:?}");
        assert!(cost.billed > 0 && cost.spent >= cost.billed, "{place}");
        let text = body(sim, stream).to_string().len() as u64;
        assert!(cost.spent <= (text + 20) * WRITTEN + 60 * 4000, "{place}");
    }
}

#[test]
fn what_a_provider_refuses_costs_nothing() {
    let provider = provider();
    let gateway = launch(&provider);
    for status in [400, 401, 404, 429, 500, 503] {
        for stream in [false, true] {
            let cost = measured(&gateway, &provider, || {
                let mut client = gateway.client(&key::named("one"));
                let body = body(&format!("status={status}"), stream);
                assert_ne!(client.post("/v1/chat/completions", &body).status, 200);
            });
            assert_eq!(cost, Cost { spent: 0, billed: 0 }, "{status}, stream {stream}");
        }
    }
}

#[test]
fn another_attempt_pays_for_itself_and_for_what_went_before_it() {
    let provider = provider();
    let policy = format!(
        "[providers.sim]\nbase_url = \"{}\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n{}{}\
         [retries]\nattempts = 3\nbudget = \"100%\"\n[breaker]\nfailures = 10000\n",
        provider.base_url(),
        super::prices(&["sim"]),
        key::row("one", "limits = [\"$1/day\"]"),
    );
    let gateway = Launch::new(policy).start();
    for first in ["status=500", "status=429; retry_after_ms=1", "bad=head"] {
        let cost = measured(&gateway, &provider, || {
            assert!(provider.queue(Script::parse(first).unwrap()));
            let answer =
                gateway.client(&key::named("one")).post("/v1/chat/completions", &asking(40));
            assert_eq!(answer.status, 200, "{first}: {answer:?}");
        });
        match first.starts_with("status") {
            true => assert_eq!(cost.spent, cost.billed, "{first}"),
            false => assert!(cost.spent >= cost.billed, "{first}: {cost:?}"),
        }
    }
}

#[test]
fn a_drain_settles_streams_under_way() {
    let provider = provider();
    provider.set_script(&Script::parse("tokens=30; chunk=10ms").unwrap());
    let mut gateway = launch(&provider);
    let mut streams: Vec<_> =
        (0..12).map(|_| gateway.client(&key::named("one")).stream(&body("", true))).collect();
    for stream in &mut streams {
        assert!(stream.next_data().is_some());
    }
    gateway.process().signal(libc::SIGTERM);
    for stream in streams {
        assert_eq!(stream.all().last().map(String::as_str), Some("[DONE]"));
    }
    assert!(gateway.wait_exit().success());
    let total = super::spend(gateway.folder.path())["total"].clone();
    assert_eq!((super::nanos(&total), &total["requests"]), (billed(&provider), &json!(12)));
    gateway.start_again();
    let told = level(&gateway);
    assert_eq!((spent_of(&told), &told["held"]), (billed(&provider), &json!(0)));
}

#[test]
fn what_no_provider_saw_costs_nothing() {
    let provider = provider();
    let gateway = launch(&provider);
    let cost = measured(&gateway, &provider, || {
        for body in
            ["{", "{}", "{\"model\":1}", "{\"model\":\"m\",\"messages\":[],\"max_tokens\":-1}"]
        {
            let mut client = gateway.client(&key::named("one"));
            client.send("POST", "/v1/chat/completions", Some(body.as_bytes()));
        }
    });
    assert_eq!(cost.billed, 0);
    assert_eq!(cost.spent, 0);
}

/// A gateway in front of a provider that is written byte by byte; each answer tells 10 and 5 tokens.
fn behind(acts: impl Fn(&Request) -> Vec<Act> + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(acts);
    let policy = format!(
        "[providers.sim]\nbase_url = \"{}\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n[retries]\nattempts = 1\n\
         [breaker]\nfailures = 10000\n{}{}",
        upstream.base_url(),
        super::prices(&["sim"]),
        key::row("one", "limits = [\"$1/day\"]"),
    );
    (upstream, Launch::new(policy).server("cores = 1").start())
}

const TOLD: &str = "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}";
const ANSWER: u64 = 10 * 1000 + 5 * 4000;

fn left(gateway: &Gateway) -> Value {
    let me = gateway.client(&key::named("one")).get("/v1/faregate/me").json();
    let budget = me["scopes"][0]["budgets"][0].clone();
    assert_eq!(budget["held"], 0, "{budget}");
    budget
}

#[test]
fn a_request_that_is_sent_twice_because_nobody_took_it_is_paid_once() {
    let (upstream, gateway) = behind(|_| vec![Act::Send(upstream::json(TOLD)), Act::Reset]);
    let mut client = gateway.client(&key::named("one"));
    for number in 0..200 {
        let answer = client.post("/v1/chat/completions", &asking(40));
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    }
    assert_eq!(upstream.take().len(), 200, "each was performed once");
    assert_eq!(left(&gateway)["spent"], 200 * ANSWER);
}

#[test]
fn a_request_that_is_sent_twice_and_may_be_billed_twice_is_paid_twice() {
    // The second one of each connection is read whole, and nothing is said.
    let (upstream, gateway) = behind(|request| match request.place {
        0 => vec![Act::Send(upstream::json(TOLD))],
        _ => vec![Act::Close],
    });
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..2 {
        assert_eq!(client.post("/v1/chat/completions", &asking(40)).status, 200);
    }
    assert_eq!(upstream.take().len(), 3, "the second one was sent twice");
    let spent = left(&gateway)["spent"].as_u64().unwrap();
    let most = asking(40).to_string().len() as u64 * WRITTEN + 40 * 4000;
    assert!(
        spent > 2 * ANSWER + 40 * 4000,
        "{spent}: the one that nobody answered is charged at its most"
    );
    assert!(spent <= 2 * ANSWER + most + 40 * WRITTEN, "{spent}");
}
