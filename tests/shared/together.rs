//! With nothing going wrong: all is spent, and no more.

use std::sync::atomic::{AtomicBool, Ordering};

use faregate_tests::{key, redis::Redis, wait};

use super::{Seen, all_is_used, asking, billed, budget, gateways, launch, provider, rounds, spend};

#[test]
fn three_gateways_spend_all_of_one_budget_and_no_more() {
    let Some(redis) = Redis::start(&[]) else { return };
    for _ in 0..rounds() {
        redis.say("FLUSHALL");
        let provider = provider();
        let gateways = gateways(&provider, 3, &redis.url(), "\"$0.06 total\"");
        let seen = Seen::default();
        let all: Vec<_> = gateways.iter().collect();
        spend(&all, 4, 3, &AtomicBool::new(false), &seen);
        all_is_used(&provider, 60_000_000, &seen);
        // Everybody knows what was spent.
        for gateway in &gateways {
            wait::until_true("every gateway knows what all have spent", || {
                budget(gateway)["spent"] == billed(&provider)
            });
        }
    }
}

/// One gateway has leased all that is left ahead of need, and is idle; another one gets it.
#[test]
fn what_lies_idle_elsewhere_is_recalled_before_anybody_is_refused() {
    let Some(redis) = Redis::start(&[]) else { return };
    let provider = provider();
    let gateways = gateways(&provider, 2, &redis.url(), "\"$0.02 total\"");
    let mut one = gateways[0].client(&key::named("one"));
    // A big request holds most of it for a moment, and gives it back to its own gateway.
    let mut big = asking(1, 4000);
    big["sim"] = "tokens=1".into();
    assert_eq!(one.post("/v1/chat/completions", &big).status, 200);
    let mut other = gateways[1].client(&key::named("one"));
    big["messages"][0]["content"] = "another".into();
    let answer = other.post("/v1/chat/completions", &big);
    assert_eq!(answer.status, 200, "{answer:?}");
    // Back and forth.
    for number in 0..4 {
        let client = if number % 2 == 0 { &mut one } else { &mut other };
        big["messages"][0]["content"] = format!("number {number}").into();
        assert_eq!(client.post("/v1/chat/completions", &big).status, 200, "number {number}");
    }
    let refused = one.post("/v1/chat/completions", &asking(2, 1_000_000));
    assert_eq!(refused.code(), "budget_spent", "{refused:?}");
}

#[test]
fn what_a_gateway_leaves_unspent_is_there_for_others() {
    let Some(redis) = Redis::start(&["--requirepass", "open-sesame"]) else { return };
    let provider = provider();
    let url =
        format!("url = \"redis://127.0.0.1:{}/3\"\npassword = \"env:THE_PASSWORD\"", redis.port);
    let start = |name| {
        launch(&provider, name, &url, "\"$0.06 total\"").variable("THE_PASSWORD", "open-sesame")
    };
    let mut first = start("first").start();
    assert_eq!(
        first.client(&key::named("one")).post("/v1/chat/completions", &asking(1, 10)).status,
        200
    );
    assert!(first.stop().success());
    let second = start("second").start();
    let mut client = second.client(&key::named("one"));
    assert_eq!(client.post("/v1/chat/completions", &asking(2, 10)).status, 200);
    let level = wait::until("the second knows of the first", || {
        Some(budget(&second)).filter(|level| level["spent"] == billed(&provider))
    });
    assert_eq!(level["limit_units"], 60_000_000, "{level}");
    let seen = Seen::default();
    spend(&[&second], 2, 3, &AtomicBool::new(false), &seen);
    all_is_used(&provider, 60_000_000, &seen);
    assert!(seen.served.load(Ordering::Relaxed) > 10, "{seen:?}");
}
