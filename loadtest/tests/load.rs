//! The generator against the provider, over real sockets.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use loadtest::load::{Report, Scenario, Target, run};
use loadtest::provider::{Provider, Script, Settings};

fn scenario(rest: &str) -> Scenario {
    let head = "name='test'\nabout=''\nwarmup='50ms'\nduration='300ms'\ntimeout='20s'\n";
    Scenario::parse(&format!("{head}{rest}")).unwrap()
}

fn load(provider: &Provider, rest: &str) -> Report {
    let mut target = Target::new(provider.address());
    target.key = Some("sk-test".into());
    target.pids = vec![std::process::id()];
    run(&scenario(rest), &target, &mut |_| ()).unwrap()
}

fn provider() -> Provider {
    let settings = Settings { keys: vec!["sk-test".into()], ..Settings::default() };
    Provider::start(settings).unwrap()
}

#[track_caller]
fn is_clean(report: &Report, provider: &Provider) {
    assert_eq!(report.errors.len(), 0, "{:?}", report.errors);
    let breaches = provider.counters().take_breaches();
    assert!(breaches.is_empty(), "{breaches:?}");
    assert_eq!(report.requests_total, provider.counters().answered());
}

#[test]
fn a_closed_loop_keeps_its_connections_busy() {
    let provider = provider();
    let report = load(&provider, "connections=4\n[[requests]]\n");
    is_clean(&report, &provider);
    assert_eq!(report.connects, 4);
    assert!(report.requests > 10, "{report:?}");
    assert!(report.cost.unwrap().cpu_us_per_request.unwrap() > 0.0);
}

#[test]
fn an_open_loop_keeps_its_rate_and_mix() {
    let provider = provider();
    let rest = "connections=8\nrate=400.0\n\
                [[requests]]\nbody_bytes=70000\n\
                [[requests]]\nstream=true\nusage=true\nscript='tokens=3; chunk=1ms; stamp=1'\n\
                [[requests]]\nkind='embedding'\n\
                [[requests]]\nkind='completion'\nstream=true\n\
                [[requests]]\nkind='models'\n\
                [[requests]]\nscript='status=429'\nstatus=429\n\
                [[requests]]\nscript='framing=chunked'\n\
                [[requests]]\nscript='framing=close'\n";
    let report = load(&provider, rest);
    is_clean(&report, &provider);
    assert_eq!(report.requests_total, 140);
    assert!(report.travel.unwrap().count > 0 && report.gap.unwrap().count > 0);
}

#[test]
fn streams_are_held_open() {
    let provider = provider();
    let rest = "connections=50\nhold=true\n[[requests]]\nstream=true\nscript='chunk=100s'\n";
    let report = load(&provider, rest);
    assert_eq!(report.errors.len(), 0, "{:?}", report.errors);
    assert_eq!(report.first.map_or(0, |first| first.count), 0, "all began in the warm-up");
    assert!(report.cost.unwrap().bytes_per_stream.is_some());
    assert_eq!(provider.counters().accepted(), 50);
}

#[test]
fn faults_are_told_apart_and_latency_counts_from_the_intended_time() {
    let provider = provider();
    let one = |script: &str| {
        let rest = format!("connections=1\nrate=20.0\n[[requests]]\nscript='{script}'\n");
        load(&provider, &rest)
    };
    let kinds = |script: &str| one(script).errors.into_keys().collect::<Vec<_>>();
    assert_eq!(kinds("reset_at=10"), ["reset"]);
    assert_eq!(kinds("close_at=10"), ["cut"]);
    assert_eq!(kinds("status=503"), ["status 503"]);
    assert_eq!(kinds("bad=both"), ["malformed: both a length and a transfer coding"]);
    assert_eq!(kinds("bad=json"), ["content: not an object"]);
    // Each answer takes 100 ms, a request is due every 50 ms, there is one connection: they queue.
    let queued = one("delay=100ms").latency.unwrap();
    assert!(queued.max_us > 300_000.0, "{queued:?}");
}

#[test]
fn a_kept_connection_that_is_closed_is_no_failure() {
    let settings = Settings {
        requests_max: Some(3),
        idle_max: Some(std::time::Duration::from_millis(5)),
        script: Script::parse("tokens=2").unwrap(),
        ..Settings::default()
    };
    let provider = Provider::start(settings).unwrap();
    let report = load(&provider, "connections=2\nrate=100.0\n[[requests]]\n");
    is_clean(&report, &provider);
    assert!(report.connects > 10);
}
