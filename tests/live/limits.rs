//! Targets that take so many requests at a time: the rest goes elsewhere, or is told at once.

use std::{
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{Gateway, Launch, Provider, client, provider, wait};
use loadtest::provider::Script;

/// A gateway whose model `m` is at `a`, which takes two at a time, and then as `rest` says.
fn start(a: &Provider, rest: &str) -> Gateway {
    Launch::new(format!(
        "[providers.a]\nbase_url = \"{}\"\nconcurrency_max = 2\n{rest}\n",
        a.base_url()
    ))
    .start()
}

/// Does `then` while two requests are under way at `a`.
fn while_full(gateway: &Gateway, a: &Provider, then: impl FnOnce()) {
    a.set_script(&Script::parse("delay=700ms").unwrap());
    let before = a.counters().requests();
    thread::scope(|scope| {
        let two = [0, 1].map(|_| scope.spawn(|| gateway.client("").chat("m").status));
        wait::until_true("both are under way", || a.counters().requests() == before + 2);
        then();
        for one in two {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
}

#[test]
fn what_finds_no_room_is_told_at_once_and_the_provider_never_sees_it() {
    let a = provider();
    let gateway = start(&a, "[models.m]\ntargets = [\"a/m\"]");
    while_full(&gateway, &a, || {
        let mut client = gateway.client("");
        let mut quickest = Duration::MAX;
        for _ in 0..20 {
            let begun = Instant::now();
            let answer = client.chat("m");
            quickest = quickest.min(begun.elapsed());
            assert_eq!((answer.status, answer.code().as_str()), (503, "targets_full"));
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
        // Nothing waits on the way: what a busy machine adds is not in all of them.
        assert!(quickest < Duration::from_millis(5), "{quickest:?}");
        assert_eq!(a.counters().requests(), 2);
        let metrics = gateway.metrics();
        assert_eq!(metrics.sum("faregate_target_shed_total", &["target=\"a/m\""]), 20.0);
        assert_eq!(metrics.sum("faregate_target_limit", &["target=\"a/m\""]), 2.0);
    });
    assert_eq!(gateway.client("").chat("m").status, 200, "there is room again");
}

#[test]
fn another_target_or_a_fallback_takes_what_finds_no_room() {
    for model in [
        "targets = [\"a/m\", \"b/two\"]\n",
        "targets = [\"a/m\"]\nfallbacks = [\"spare\"]\n[models.spare]\ntargets = [\"b/two\"]\n",
    ] {
        let (a, b) = (provider(), provider());
        let second = format!("[providers.b]\nbase_url = \"{}\"\n", b.base_url());
        let gateway = start(&a, &format!("{second}[models.m]\n{model}"));
        while_full(&gateway, &a, || {
            let answer = gateway.client("").post("/v1/chat/completions", &client::chat("m"));
            assert_eq!((answer.status, answer.header("x-faregate-route")), (200, Some("b/two")));
        });
    }
}
