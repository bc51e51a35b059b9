//! What the decisions of one request cost: identify, admit, decide, step, report, settle, over four scopes.
//!
//! `cargo run -p faregate-policy --profile quick --example exchange_cost`

#![expect(clippy::print_stdout, reason = "the figures are the purpose")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(clippy::panic, reason = "a policy that does not compile ends it")]

use std::{fmt::Write, hint::black_box, rc::Rc, sync::Arc, time::Instant};

use faregate_adapters::chat::Usage;
use faregate_policy::{
    Exchange, Nanos, Policy,
    exchange::{Outcome, Settlement, Step, Verdict, Wanted},
    key,
};

const KEY: &[u8] = b"fg-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

const POLICY: &str = r#"
[server]
listen = "127.0.0.1:0"
[providers.a]
base_url = "http://127.0.0.1:1"
[models.default]
targets = ["a/x", "a/y"]
[organisation]
limits = [LIMITS]
[teams.t]
limits = [LIMITS]
[teams.t.projects.p]
limits = [LIMITS]
[teams.t.projects.p.agents.g]
limits = [LIMITS]
[[keys]]
name = "k"
team = "t"
project = "p"
agent = "g"
hash = "HASH"
"#;

/// As exchanges take it.
type Shared = Rc<Arc<Policy>>;

fn main() {
    println!("SHA-256 of the key: {:.0} ns", time(|_| _ = black_box(key::hash(black_box(KEY)))));
    for (name, limits) in [
        ("no limits but one", r#""1G requests/min""#),
        ("2 limits a scope, far away", r#""60M requests/min", "6G tokens/min""#),
        ("3 limits a scope, far away", r#""60M requests/min", "6G tokens/min", "4000 concurrent""#),
        ("2 small limits a scope", r#""40 requests/s", "40k tokens/s""#),
    ] {
        let policy = policy(limits);
        let mut refused = 0_u64;
        // One request each 100 us: what one core of a busy gateway sees.
        let nanos = time(|turn| refused += u64::from(!request(&policy, Nanos(turn * 100_000))));
        println!("{name}: {nanos:.0} ns a request, {refused} refused");
    }
}

fn policy(limits: &str) -> Shared {
    let mut hash = String::from("sha256:");
    key::hash(KEY).0.iter().for_each(|byte| _ = write!(hash, "{byte:02x}"));
    let text = POLICY.replace("LIMITS", limits).replace("HASH", &hash);
    let policy = Policy::compile(&text, "exchange_cost.toml", 2, None);
    Rc::new(Arc::new(policy.unwrap_or_else(|problems| panic!("{problems}"))))
}

fn request(policy: &Shared, now: Nanos) -> bool {
    let mut exchange = Exchange::open(Rc::clone(policy), 0, now);
    let wanted = Wanted {
        model: Some(black_box("default")),
        needs_model: true,
        input_tokens_bound: 1000,
        output_tokens_max: Some(100),
        choices: 1,
        metered: true,
        ..Wanted::default()
    };
    let decided = exchange
        .identify(Some(black_box(KEY)), 0)
        .and_then(|()| exchange.admit(now))
        .and_then(|()| exchange.decide(&wanted, now));
    if decided.is_err() {
        return false;
    }
    let Step::Send { .. } = black_box(exchange.step(now, 7)) else { return false };
    let verdict = exchange.report(Outcome::Answered { status: 200, retry_after: None }, now);
    assert_eq!(verdict, Verdict::Relay);
    let usage = Usage { input: 300, output: 50, ..Usage::default() };
    exchange.settle(
        Settlement { usage: Some(usage), delivered: true, ..Settlement::default() },
        Nanos(now.0 + 50_000),
    );
    true
}

/// Nanoseconds of one call: the best of many short rounds, so that some ran undisturbed.
fn time(mut call: impl FnMut(u64)) -> f64 {
    const CALLS: u64 = 500;
    const ROUNDS: u64 = 4000;
    let mut best = f64::MAX;
    for round in 0..ROUNDS {
        let start = Instant::now();
        (0..CALLS).for_each(|call_number| call(round * CALLS + call_number));
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / 500.0
}
