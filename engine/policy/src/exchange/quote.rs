//! Where a request would go, without sending it.
//!
//! In: a request that was decided, the present, a random number. Out: a [`Quote`]. Nothing is changed: no probe is taken, no
//! attempt begins.

use std::borrow::Cow;

use crate::{
    Nanos, Strategy, Target,
    affinity::Side,
    health::Health,
    route::{Cause, RouteReason, Score, Why},
};

use super::Exchange;

/// Where a request would go.
#[derive(Clone, Debug)]
pub struct Quote<'e> {
    /// How the candidates share the requests.
    pub strategy: Strategy,
    /// Whether what is drawn stays for this user, session or key.
    pub is_stuck: bool,
    /// Where it may go, in the order of the policy.
    pub candidates: Vec<Candidate<'e>>,
    /// The one that it would go to; `None` when none can be used now.
    pub winner: Option<usize>,
    /// Why there, in the words of `x-faregate-route-reason`.
    pub reason: Option<Cow<'static, str>>,
}

/// A target that a request may go to.
#[derive(Clone, Debug)]
pub struct Candidate<'e> {
    /// The target.
    pub target: &'e Target,
    /// Its index into the policy's targets.
    pub index: usize,
    /// The model's name there.
    pub model: Cow<'e, str>,
    /// What it is like now.
    pub health: Health,
    /// What it is chosen by, where that is more than its place.
    pub score: Option<Score>,
    /// What is known of its cache, and whether the conversation was answered there last, where targets are chosen by that.
    pub side: Option<(Side, bool)>,
}

impl Exchange {
    /// Where the request would go now. It must have been decided.
    #[must_use]
    pub fn quote(&self, now: Nanos, random: u64) -> Quote<'_> {
        let targets = &self.policy.targets;
        let route = &self.route;
        let candidate = |place: usize| {
            let index = route.target(place);
            let target = &targets[index];
            Candidate {
                target,
                index,
                model: target.model_for(self.asked()),
                health: target.breaker.health(now),
                score: route.score(targets, place, now),
                side: route.even().and_then(|even| {
                    Some((*even.sides.get(place)?, even.turn.home == Some(place)))
                }),
            }
        };
        let candidates: Vec<_> = (0..route.len()).map(candidate).collect();
        let winner = route.foresee(targets, now, random);
        let reason = winner.map(|place| {
            let is_shut =
                |health| matches!(health, Health::Open(_) | Health::Resting(_) | Health::Probing);
            let first = candidates.first().filter(|first| place > 0 && is_shut(first.health));
            let cause = first
                .filter(|_| route.strategy() == Strategy::Order)
                .map(|_| Cause { target: route.target(0), why: Why::Skipped });
            self.told(RouteReason {
                strategy: route.strategy(),
                place,
                of: route.len(),
                cause,
                again: false,
                score: route.score(targets, place, now),
            })
        });
        let (strategy, is_stuck) = (route.strategy(), route.is_stuck());
        Quote { strategy, is_stuck, candidates, winner, reason }
    }
}
