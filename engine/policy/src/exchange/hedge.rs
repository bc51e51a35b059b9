//! A second attempt beside one that is late: the first token wins.
//!
//! In: that the first one is late, which of the two has won, what became of the other. Out: where the second one goes, if
//! it may. Remembered: the attempt that is not the current one.
//!
//! Both are paid for before the second one is sent: what the first may cost is held as if it were lost, and what the second
//! may cost beside it. When one has won, the other is cancelled, and of what was held for it stays what its provider may bill
//! for work that ended there: of a stream its input and [`CUT_TOKENS`](super::CUT_TOKENS), of another answer all of it. That is the request's waste.

use std::{mem, time::Duration};

use faregate_price::NanoUsd;

use crate::{
    Nanos, Phase,
    health::Pass,
    models::Model,
    retry::Class,
    route::{RouteReason, Why},
};

use super::{Exchange, Last, Outcome, Sent, attempt::class_of, money::Aside};

/// Whether a request may have a second attempt, and what became of that.
#[derive(Debug, Default)]
pub(super) struct Hedging {
    /// Whether it may: sent twice, it has no effect that it would not have once.
    is_harmless: bool,
    other: Option<Other>,
    /// A second attempt was made; whether it was the first to answer.
    pub(super) won: Option<bool>,
    /// Attempts beyond those that retries count.
    pub(super) attempts: u32,
}

/// The attempt that is not the current one.
#[derive(Debug)]
struct Other {
    sent: Sent,
    last: Last,
    /// Index of its target in the policy.
    target: usize,
    aside: Aside,
    is_second: bool,
}

/// Where a second attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Index into the policy's targets.
    pub target: usize,
    /// A random number to choose one of the target's places by.
    pub replica_hint: u64,
}

impl Exchange {
    /// The request has no effect but its answer: sent twice, it does no harm.
    pub fn deem_harmless(&mut self) {
        if let Some(model) = self.hedged_model() {
            model.hedges.earn(model.hedge_percent);
            self.hedging.is_harmless = true;
        }
    }

    /// Whether the attempt under way may have a second one beside it: then its first token counts, not its head.
    #[must_use]
    pub fn may_hedge(&self) -> bool {
        self.hedging.is_harmless && self.hedging.won.is_none() && !self.only_once
    }

    /// Whether the policy wants second attempts for the request's model.
    #[must_use]
    pub fn wants_hedge(&self) -> bool {
        self.hedged_model().is_some()
    }

    /// How long the attempt under way may take to its first token before it is late; `None` while that is not known.
    #[must_use]
    pub fn late_after(&self) -> Option<Duration> {
        let sent = self.under_way.filter(|_| self.may_hedge())?;
        self.policy.targets[self.route.target(sent.place)].gauge.firsts.p95()
    }

    /// The first token of the attempt under way has come.
    pub fn first_token(&self, now: Nanos) {
        if let Some(sent) = self.under_way {
            let gauge = &self.policy.targets[self.route.target(sent.place)].gauge;
            gauge.firsts.observe(now.since(sent.at));
        }
    }

    /// A second attempt, because the one under way is late: at another target that is well, or with `has_places` at another
    /// place of the same one. It becomes the one under way; [`swap`](Self::swap) goes back to the first.
    pub fn hedge(&mut self, has_places: bool, now: Nanos, random: u64) -> Option<Second> {
        self.see(now);
        let model = self.hedged_model().filter(|_| self.may_hedge() && now < self.deadline())?;
        let bucket = std::sync::Arc::clone(&model.hedges);
        let sent = self.under_way?;
        let policy = std::rc::Rc::clone(&self.policy);
        let (place, pass) =
            self.route.beside(&policy.targets, sent.place, (now, random)).or_else(|| {
                let same = &policy.targets[self.route.target(sent.place)].breaker;
                // One that is under proof has its probe out already.
                let pass = same.pass(now).ok().filter(|_| has_places)?;
                Some((sent.place, pass))
            })?;
        let target = self.route.target(place);
        let cancel = |pass: Pass| policy.targets[target].breaker.cancel(pass);
        if !bucket.spend() {
            cancel(pass);
            return None;
        }
        let Ok(aside) = self.set_aside_beside(target, now) else {
            cancel(pass);
            bucket.give_back();
            return None;
        };
        let first = self.target_of(sent);
        let last = self.last.take()?;
        let reason = RouteReason { place, cause: None, score: None, ..last.reason };
        self.last = Some(self.last_at(target, reason));
        self.hedging.other = Some(Other { sent, last, target: first, aside, is_second: false });
        self.hedging.won = Some(true);
        self.hedging.attempts += 1;
        self.attempts += 1;
        self.under_way = Some(Sent { place, pass, at: now });
        policy.targets[target].gauge.begin();
        self.busy = Some(target);
        bucket.made();
        Some(Second { target, replica_hint: random })
    }

    /// The other of two attempts becomes the one under way.
    pub fn swap(&mut self) {
        let (Some(other), Some(sent)) = (&mut self.hedging.other, &mut self.under_way) else {
            return;
        };
        mem::swap(&mut other.sent, sent);
        if let Some(last) = &mut self.last {
            mem::swap(&mut other.last, last);
        }
        if let Some(busy) = &mut self.busy {
            mem::swap(&mut other.target, busy);
        }
        other.is_second = !other.is_second;
        self.hedging.won = Some(!other.is_second);
        let aside = mem::take(&mut other.aside);
        let aside = self.swap_aside(aside);
        if let Some(other) = &mut self.hedging.other {
            other.aside = aside;
        }
    }

    /// The other of two attempts is over: it has failed, or, without an outcome, it is cancelled because the one under way has
    /// won.
    pub fn drop_other(&mut self, outcome: Option<Outcome>, now: Nanos) {
        self.see(now);
        let Some(other) = self.hedging.other.take() else { return };
        let policy = std::rc::Rc::clone(&self.policy);
        let target = &policy.targets[other.target];
        target.gauge.end();
        let waste = match outcome {
            None => {
                target.breaker.cancel(other.sent.pass);
                target.gauge.firsts.observe(now.since(other.sent.at));
                self.waste_at(other.target, other.aside.worst())
            }
            Some(outcome) => {
                let (class, why) = class_of(outcome);
                self.tell_breaker(&target.breaker, other.sent.pass, outcome, class, now);
                if class != Class::Served {
                    self.exclude(other.sent.place, outcome, class);
                    self.cause = Some(crate::route::Cause { target: other.target, why });
                }
                match why {
                    Why::Failed(fault) if fault.may_be_billed() => other.aside.worst(),
                    Why::Failed(_) | Why::Status(_) | Why::Skipped => NanoUsd::ZERO,
                }
            }
        };
        self.drop_aside(other.aside, waste);
        if outcome.is_none()
            && self.hedging.won == Some(true)
            && let Some(model) = self.hedged_model()
        {
            model.hedges.won();
        }
    }

    /// Both attempts are given up.
    pub(super) fn land_other(&mut self) {
        if let Some(other) = self.hedging.other.take() {
            let target = &self.policy.targets[other.target];
            target.gauge.end();
            target.breaker.cancel(other.sent.pass);
        }
    }

    fn target_of(&self, sent: Sent) -> usize {
        self.route.target(sent.place)
    }

    fn hedged_model(&self) -> Option<&Model> {
        debug_assert!(self.phase >= Phase::Route, "its model is known");
        self.current().filter(|model| model.hedge_percent > 0)
    }
}
