//! Every decision of one request, identify to settle: key, limits of four scopes, model, route, breaker.

use std::{hint::black_box, rc::Rc, sync::Arc};

use faregate_adapters::chat::Usage;
use faregate_policy::{
    CorePolicy, Exchange, Nanos,
    exchange::{Outcome, Settlement, Step, Verdict, Wanted},
};

use super::{Group, Operation, Ready, policy_lookup::compiled};
use crate::input::policy::{self, KEY};

/// As exchanges take it.
type Shared = Rc<CorePolicy>;

pub(super) const GROUP: Group = Group {
    name: "exchange",
    operations: &[
        Operation::ours("1 limit a scope, far away", || whole(r#""1G requests/min""#)),
        Operation::ours("2 limits a scope, far away", || {
            whole(r#""60M requests/min", "6G tokens/min""#)
        }),
        Operation::ours("3 limits a scope, far away", || {
            whole(r#""60M requests/min", "6G tokens/min", "4000 concurrent""#)
        }),
        Operation::ours("refused, limit empty", || refused(r#""40 requests/h""#)),
    ],
};

/// Between two requests of a busy core.
const STEP: u64 = 100_000;

fn whole(limits: &str) -> Ready {
    let policy: Shared = CorePolicy::new(Arc::new(compiled(&policy::nested(limits))));
    let mut now = Nanos(0);
    Ready::new(0, 1, move || {
        now.0 += STEP;
        u64::from(request(&policy, now))
    })
}

/// A caller who has used up the limit and goes on asking.
fn refused(limits: &str) -> Ready {
    let policy: Shared = CorePolicy::new(Arc::new(compiled(&policy::nested(limits))));
    let now = Nanos(STEP);
    while request(&policy, now) {}
    Ready::new(0, 0, move || u64::from(request(&policy, now)))
}

/// Whether a request was served: the walk of the gateway without its sockets.
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
    let usage = Usage { input: 300, output: 50, ..Usage::default() };
    let settlement = Settlement { usage: Some(usage), delivered: true, ..Settlement::default() };
    exchange.settle(settlement, Nanos(now.0 + STEP / 2));
    verdict == Verdict::Relay
}
