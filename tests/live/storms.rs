//! Providers that fail under load: what their clients notice of it.
//!
//! `FAREGATE_STORM=20` puts 1,000 requests a second for twenty seconds; without it there are fewer, for two.

use std::time::{Duration, Instant};

use faregate_tests::{Gateway, Launch, Provider, gateway, provider};
use loadtest::{
    load::{Report, Scenario, Target, run},
    provider::Script,
};

use crate::deadlines::BlackHole;

/// A gateway whose model `m` is at these places by lot.
fn spread(places: &[String]) -> Gateway {
    let mut policy = String::new();
    let mut targets = Vec::new();
    for (place, url) in places.iter().enumerate() {
        policy += &format!(
            "[providers.p{place}]\nbase_url = \"{url}\"\n[providers.p{place}.deadlines]\nconnect = \"300ms\"\n"
        );
        targets.push(format!("\"p{place}/m\""));
    }
    let targets = targets.join(", ");
    Launch::new(format!("{policy}[models.m]\nstrategy = \"weight\"\ntargets = [{targets}]\n"))
        .start()
}

/// Puts load on the model `m`, open loop.
fn storm(gateway: &Gateway) -> Report {
    let seconds = std::env::var("FAREGATE_STORM").ok();
    let (rate, duration) = match seconds {
        Some(seconds) => (1000, format!("{seconds}s")),
        None => (200, "2s".to_owned()),
    };
    let scenario = Scenario::parse(&format!(
        "name = \"storm\"\nabout = \"\"\nconnections = 200\nrate = {rate}\narrivals = \"poisson\"\n\
         warmup = \"0s\"\nduration = \"{duration}\"\n[[requests]]\nmodel = \"m\"\nscript = \"tokens=1\"\n"
    ));
    run(&scenario.unwrap(), &Target::new(gateway.address), &mut |_| {}).unwrap()
}

/// Of a thousand requests at most one fails, and the provider that fails is hardly asked.
fn check(report: &Report, what: &str) {
    assert!(report.requests_total >= 300, "{what}: {report:?}");
    assert!(report.failed() * 1000 <= report.requests_total, "{what}: {:?}", report.errors);
}

#[test]
fn one_of_three_targets_that_fails_every_time_costs_nobody_an_answer() {
    for script in ["status=500", "status=429; retry_after=30", "reset_at=head"] {
        let places: Vec<Provider> = (0..3).map(|_| provider()).collect();
        places[1].set_script(&Script::parse(script).unwrap());
        let gateway = spread(&places.iter().map(Provider::base_url).collect::<Vec<_>>());
        let report = storm(&gateway);
        check(&report, script);
        let asked = places[1].counters().requests();
        // Ten failures open its breaker, others are under way meanwhile; then there is one probe at a time.
        assert!(asked <= 40, "{script}: {asked} of {}", report.requests_total);
        let sent = gateway.metrics().sum("faregate_upstream_requests_total", &[]);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let requests = report.requests_total as f64;
        assert!(sent <= requests * 1.1 + 10.0, "{script}: {sent} for {requests} requests");
    }
}

#[test]
fn one_of_three_targets_that_takes_no_connection_costs_nobody_an_answer() {
    let hole = BlackHole::new();
    let places: Vec<Provider> = (0..2).map(|_| provider()).collect();
    let mut urls: Vec<String> = places.iter().map(Provider::base_url).collect();
    urls.insert(1, format!("http://{}", hole.address));
    check(&storm(&spread(&urls)), "black hole");
}

#[test]
fn a_target_that_takes_no_connection_is_left_when_its_connect_deadline_passes() {
    const CONNECT: Duration = Duration::from_millis(300);
    let hole = BlackHole::new();
    let there = provider();
    let gateway = Launch::new(format!(
        "[providers.hole]\nbase_url = \"http://{}\"\n[providers.hole.deadlines]\nconnect = \"300ms\"\n{}\
         [models.m]\ntargets = [\"hole/m\", \"sim/m\"]\n",
        hole.address,
        gateway::sim(&there)
    ))
    .start();
    let took: Vec<Duration> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let answer = gateway.client("").chat("m");
            assert_eq!((answer.status, answer.header("x-faregate-route")), (200, Some("sim/m")));
            begun.elapsed()
        })
        .collect();
    assert!(took.iter().all(|took| *took >= CONNECT), "{took:?}");
    // What a busy machine adds is not in all of them.
    let quickest = took.iter().min().unwrap();
    assert!(*quickest <= CONNECT + Duration::from_millis(100), "{took:?}");
}
