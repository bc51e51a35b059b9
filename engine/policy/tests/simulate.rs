//! Whole exchanges on a fake clock, in a world that misbehaves as a seed says.
//!
//! `FAREGATE_SEED=n cargo test -p faregate-policy --test simulate` repeats a run. What must hold in every one of them:
//! no limit is exceeded at any instant or over any interval, every request ends once and lets go of all it held, nobody is
//! asked before the moment they named, retries stay within the budget, a refusal says why.

#![expect(clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "shown when a test fails: the seed to repeat it with")]

mod simulate {
    pub(super) mod request;
    pub(super) mod world;
}

use simulate::{
    request::Request,
    world::{Effect, Kind, World},
};

/// The seed that was asked for.
fn wanted_seed() -> Option<u64> {
    let seed = std::env::var_os("FAREGATE_SEED")?;
    Some(seed.to_string_lossy().parse().expect("FAREGATE_SEED is a number"))
}

/// The seed that was asked for alone, or as many as a test run should take.
fn seeds(count: u64) -> Vec<u64> {
    wanted_seed().map_or_else(|| (1..=count).collect(), |seed| vec![seed])
}

/// Runs `requests` requests that begin over time, and checks the world at every moment and at the end.
fn run(world: &mut World, requests: u64) {
    let mut waiting: Vec<(u64, Request)> = Vec::new();
    let mut begun = 0;
    while begun < requests || !waiting.is_empty() {
        let next = waiting.iter().map(|(at, _)| *at).min();
        if begun < requests && next.is_none_or(|at| world.next_arrival <= at) {
            world.now = world.next_arrival;
            let gap = world.arrival_gap();
            world.next_arrival += gap;
            begun += 1;
            waiting.push((world.now, Request::begin(world)));
            continue;
        }
        let at = next.unwrap_or_default();
        world.now = at;
        let index = waiting.iter().position(|(moment, _)| *moment == at).unwrap_or_default();
        let (_, request) = waiting.swap_remove(index);
        if let Some((at, request)) = request.go_on(world) {
            waiting.push((at.max(world.now), request));
        }
        world.check();
    }
    world.check_end();
}

#[test]
fn whatever_happens_limits_hold_and_everything_comes_back() {
    let mut ends = std::collections::BTreeMap::<&str, u64>::new();
    for seed in seeds(150) {
        println!("FAREGATE_SEED={seed}");
        let mut world = World::stormy(seed);
        run(&mut world, 500);
        for (name, count) in &world.ends {
            *ends.entry(name).or_default() += count;
        }
    }
    println!("{ends:?}");
    if wanted_seed().is_some() {
        return;
    }
    // The runs are of no use if something never happened in them.
    for name in
        ["relayed", "client gone", "panic", "upstream_reset", "no_target", "token_rate_exceeded"]
    {
        assert!(ends.contains_key(name), "{name} is not among {ends:?}");
    }
    for name in
        ["concurrency_exceeded", "request_rate_exceeded", "first_byte_timeout", "invalid_api_key"]
    {
        assert!(ends.contains_key(name), "{name} is not among {ends:?}");
    }
}

#[test]
fn every_effect_may_fail_in_every_way() {
    const REQUESTS: u64 = 12;
    let mut calm = World::calm(1, None);
    run(&mut calm, REQUESTS);
    let effects = calm.effects;
    assert!(effects >= REQUESTS * 3, "{effects} effects");
    for k in 0..effects {
        for kind in Kind::ALL {
            let mut world = World::calm(1, Some(Effect { number: k, kind }));
            run(&mut world, REQUESTS);
            assert!(world.struck, "effect {k} did not happen");
        }
    }
}

#[test]
fn a_storm_at_one_of_three_is_not_felt_by_clients() {
    let mut world = World::calm(7, None);
    world.always_failing = Some(0);
    world.models = &["ordered"];
    world.arrivals = 1_000_000;
    run(&mut world, 20_000);
    let count = |name| world.ends.get(name).copied().unwrap_or_default();
    let failed = 20_000 - count("relayed") - count("invalid_api_key");
    assert!(failed * 1000 <= 20_000, "{:?}", world.ends);
}
