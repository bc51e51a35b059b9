//! Second attempts: who is asked, what is held meanwhile, what stays.

use std::time::Duration;

use super::*;
use crate::Wall;

/// A model with two targets that have prices, second attempts and this budget.
fn hedging(budget: &str) -> World {
    let model = format!(
        "[models.two]\ntargets = [\"a/x\", \"b/y\"]\nhedge = \"100%\"\nlimits = [\"{budget}\"]\n\
         [prices.\"a/x\"]\ninput = \"$1/M\"\noutput = \"$10/M\"\n\
         [prices.\"b/y\"]\ninput = \"$1/M\"\noutput = \"$10/M\"\n"
    );
    let world = with_all(&[("[models.two]\ntargets = [\"a/x\", \"b/y\"]\n", &model)]);
    for target in &world.policy.targets {
        (0..50).for_each(|_| target.gauge.firsts.observe(Duration::from_millis(10)));
    }
    world
}

fn sent(world: &World, streams: bool) -> Exchange {
    let mut exchange = world.admitted(ms(0));
    let extra = Some(Extra { is_made_while_sent: streams, ..Extra::default() });
    exchange.decide(&Wanted { extra, ..chat("two") }, ms(0)).unwrap();
    exchange.deem_harmless();
    assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
    exchange
}

fn level(world: &World) -> (u64, u64) {
    let scope = world.policy.scopes.iter().find(|scope| *scope.name == *"model/two").unwrap();
    let level = scope.budgets[0].level(Wall(WALL));
    (level.held, level.spent)
}

fn under_way(world: &World) -> [u64; 2] {
    ["a/x", "b/y"].map(|name| {
        world.policy.targets.iter().find(|target| *target.name == *name).unwrap().gauge.under_way()
    })
}

/// The input's bound and the output's, at both targets alike.
const WORST: u64 = 1000 * 1000 + 500 * 10_000;

/// What the loser of a stream may be billed for.
const WASTE: u64 = 1000 * 1000 + CUT_TOKENS * 10_000;

#[test]
fn both_attempts_are_held_and_of_the_loser_stays_what_may_be_billed() {
    for (first_wins, streams, waste) in
        [(false, true, WASTE), (true, true, WASTE), (false, false, WORST), (true, false, WORST)]
    {
        let world = hedging("$1/day");
        let mut exchange = sent(&world, streams);
        let late = exchange.late_after().unwrap();
        assert!((10..=13).contains(&late.as_millis()), "{late:?}");
        assert_eq!((level(&world).0, under_way(&world)), (WORST, [1, 0]));
        let second = exchange.hedge(false, ms(20), 7).unwrap();
        assert_eq!(&*world.policy.targets[second.target].name, "b/y");
        assert_eq!((level(&world).0, under_way(&world)), (2 * WORST, [1, 1]));
        if first_wins {
            exchange.swap();
        }
        exchange.drop_other(None, ms(30));
        assert_eq!(level(&world).0, WORST + waste);
        let left = if first_wins { [1, 0] } else { [0, 1] };
        assert_eq!(under_way(&world), left);
        let reason = exchange.route_reason().into_owned();
        assert!(
            reason.ends_with(if first_wins { "; hedge lost" } else { "; hedge won" }),
            "{reason}"
        );
        assert_eq!(exchange.report(answered(200), ms(30)), Verdict::Relay);
        let receipt = exchange.settle(used(100), ms(40));
        assert_eq!((receipt.wasted.0, receipt.cost.unwrap().0), (waste, waste + 100 * 1000));
        assert_eq!((level(&world), under_way(&world)), ((0, waste + 100 * 1000), [0, 0]));
        assert!(!exchange.may_hedge(), "one request has one");
    }
}

#[test]
fn a_second_attempt_that_cannot_be_paid_for_is_not_made() {
    let world = hedging("$0.011/day");
    let mut exchange = sent(&world, true);
    assert_eq!(exchange.hedge(false, ms(20), 7), None);
    assert_eq!((level(&world).0, under_way(&world)), (WORST, [1, 0]));
    assert_eq!(exchange.report(answered(200), ms(30)), Verdict::Relay);
    assert_eq!(exchange.settle(used(100), ms(40)).wasted.0, 0);
    assert_eq!(level(&world), (0, 100 * 1000));
    // Its leave was given back: the next model budget that has room has it.
    assert!(world.policy.models.named("two").unwrap().hedges.spend());
}

#[test]
fn a_second_attempt_that_fails_costs_nothing_and_is_not_asked_again() {
    let world = hedging("$1/day");
    let mut exchange = sent(&world, true);
    exchange.hedge(false, ms(20), 7).unwrap();
    exchange.swap();
    exchange.drop_other(Some(answered(500)), ms(25));
    assert_eq!((level(&world).0, under_way(&world)), (WORST, [1, 0]));
    assert_eq!(exchange.report(answered(500), ms(30)), Verdict::Again);
    assert!(matches!(exchange.step(ms(30), u64::MAX), Step::Wait(_)), "both have failed once");
}

#[test]
fn a_request_that_is_dropped_or_left_while_two_are_under_way_leaves_nothing_behind() {
    let world = hedging("$1/day");
    let mut exchange = sent(&world, true);
    exchange.hedge(false, ms(20), 7).unwrap();
    drop(exchange);
    assert_eq!((level(&world), under_way(&world)), ((0, 2 * WORST), [0, 0]), "both may be billed");
    let mut exchange = sent(&world, true);
    exchange.hedge(false, ms(20), 7).unwrap();
    let gone = Settlement { fault: Some(Fault::ClientGone), ..Settlement::default() };
    let receipt = exchange.settle(gone, ms(40));
    assert_eq!((level(&world).0, under_way(&world)), (0, [0, 0]));
    assert!(receipt.cost.unwrap().0 >= 2 * 1000 * 1000, "the input of both: {receipt:?}");
}

#[test]
fn what_is_not_known_to_be_harmless_is_sent_once() {
    let world = hedging("$1/day");
    let mut exchange = world.decided("two", ms(0));
    assert_eq!(sent_to(&mut exchange, ms(0)), "a/x");
    assert!(exchange.wants_hedge() && !exchange.may_hedge());
    assert_eq!((exchange.late_after(), exchange.hedge(true, ms(20), 7)), (None, None));
}
