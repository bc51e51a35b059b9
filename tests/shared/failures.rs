//! Gateways that are killed; a store that is killed, stopped, cut off, replaced: nothing is spent twice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{
    key,
    redis::{Redis, Switch},
    wait,
};

use super::{
    Seen, all_is_used, asking, billed, budget, gateways, launch, provider, ready, rounds, spend,
};

const LIMIT: u64 = 60_000_000;
const LIMITS: &str = "\"$0.06 total\"";

/// Spends at all gateways while `act` happens; then until all is spent.
fn spend_while(gateways: &[&faregate_tests::Gateway], seen: &Seen, act: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| spend(gateways, 2, u32::MAX, &stop, seen));
        wait::until_true("some is spent", || seen.served.load(Ordering::Relaxed) > 30);
        act();
        stop.store(true, Ordering::Relaxed);
    });
    spend(gateways, 3, 4, &AtomicBool::new(false), seen);
}

#[test]
fn a_store_that_is_stopped_or_killed_forgets_nothing_and_stops_nobody_for_long() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    for _ in 0..rounds() {
        redis.say("FLUSHALL");
        let provider = provider();
        let gateways = gateways(&provider, 3, &redis.url(), LIMITS);
        let all: Vec<_> = gateways.iter().collect();
        let seen = Seen::default();
        spend_while(&all, &seen, || {
            redis.process().signal(libc::SIGSTOP);
            wait::pass(Duration::from_secs(2));
            redis.process().signal(libc::SIGCONT);
            wait::pass(Duration::from_millis(200));
            redis.kill();
            redis.start_again();
        });
        // It may have taken a moment to be heard of again.
        wait::until_true("the store answers again", || {
            let level = budget(&gateways[0]);
            spend(&all, 1, 2, &AtomicBool::new(false), &seen);
            level["spent"] == billed(&provider)
        });
        all_is_used(&provider, LIMIT, &seen);
    }
}

#[test]
fn what_a_killed_gateway_had_leased_is_spent_by_nobody_until_its_journal_has_settled_it() {
    let Some(redis) = Redis::start(&[]) else { return };
    for _ in 0..rounds() {
        redis.say("FLUSHALL");
        let provider = provider();
        let mut gateways = gateways(&provider, 3, &redis.url(), LIMITS);
        ready(&gateways);
        let seen = Seen::default();
        let (first, others) = gateways.split_first_mut().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| spend(&[&*first], 2, u32::MAX, &AtomicBool::new(false), &seen));
            wait::until_true("some is spent", || seen.served.load(Ordering::Relaxed) > 50);
            first.process().signal(libc::SIGKILL);
        });
        first.wait_exit();
        let dead = billed(&provider);
        let others: Vec<_> = others.iter().collect();
        spend(&others, 3, 3, &AtomicBool::new(false), &seen);
        let without = billed(&provider);
        assert!(without <= LIMIT, "{without}");
        assert!(without > dead, "the others were not stopped: {seen:?}");
        first.start_again();
        let again = wait::until("the first has settled", || {
            let level = budget(first);
            (level["spent"].as_u64()? >= billed(&provider)).then_some(level)
        });
        spend(&[&*first], 2, 3, &AtomicBool::new(false), &seen);
        let all = billed(&provider);
        assert!(all <= LIMIT, "{all} of {LIMIT}: {again}");
    }
}

#[test]
fn a_replica_that_takes_over_is_told_what_was_leased() {
    for _ in 0..rounds() {
        let (Some(leader), Some(replica)) = (Redis::start(&[]), Redis::start(&[])) else { return };
        replica.follow(&leader);
        let switch = Switch::to(leader.port);
        let provider = provider();
        let gateways = gateways(&provider, 3, &switch.url(), LIMITS);
        let all: Vec<_> = gateways.iter().collect();
        let seen = Seen::default();
        let mut leader = Some(leader);
        spend_while(&all, &seen, || {
            // What is leased from here on, the replica never hears of.
            replica.say("REPLICAOF NO ONE");
            wait::pass(Duration::from_millis(150));
            drop(leader.take());
            switch.turn(replica.port);
            wait::pass(Duration::from_millis(300));
        });
        spend(&all, 1, 3, &AtomicBool::new(false), &seen);
        all_is_used(&provider, LIMIT, &seen);
    }
}

#[test]
fn a_gateway_that_is_cut_off_spends_what_it_has_leased_and_no_more() {
    let Some(redis) = Redis::start(&[]) else { return };
    let switch = Switch::to(redis.port);
    let provider = provider();
    let alone = launch(&provider, "alone", &format!("url = \"{}\"", switch.url()), LIMITS).start();
    let others = gateways(&provider, 2, &redis.url(), LIMITS);
    ready(std::slice::from_ref(&alone));
    ready(&others);
    switch.turn(0);
    let seen = Seen::default();
    spend(&[&alone], 2, 5, &AtomicBool::new(false), &seen);
    assert!(seen.away.load(Ordering::Relaxed) > 0, "{seen:?}");
    assert!(billed(&provider) < LIMIT / 4, "a lease is small: {seen:?}");
    let others: Vec<_> = others.iter().collect();
    spend(&others, 3, 3, &AtomicBool::new(false), &seen);
    assert!(billed(&provider) <= LIMIT, "{seen:?}");
    switch.turn(redis.port);
    let mut client = alone.client(&key::named("one"));
    wait::until_true("the one that was cut off knows what is left", || {
        matches!(client.post("/v1/chat/completions", &asking(1, 20)).status, 200 | 402)
    });
    spend(&[&alone], 2, 5, &AtomicBool::new(false), &seen);
    spend(&others, 2, 3, &AtomicBool::new(false), &seen);
    all_is_used(&provider, LIMIT, &seen);
}
