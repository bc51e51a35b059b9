//! Attempts: where the next one goes, what became of it, whether there is another.

use std::time::Duration;

use crate::{
    Nanos, Phase,
    fault::{Fault, Refusal},
    health::{Breaker, Pass},
    retry::{self, AMBIGUOUS_RETRIES_MAX, Class, WAITS_MAX},
    route::{Cause, Pick, RouteReason, Why},
};

use super::{
    Exchange, Last, Sent,
    money::{JOURNAL_LOOK, NotHeld},
    say,
};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the request, and report what became of it.
    Send {
        /// Index into the policy's targets.
        target: usize,
        /// A random number to choose one of the target's places by.
        replica_hint: u64,
        /// Counts the request's attempts, from 1.
        try_number: u32,
    },
    /// Wait until then and ask again.
    Wait(Nanos),
    /// There is no answer to be had.
    Refuse(Refusal),
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head of an answer came.
    Answered {
        /// Its status.
        status: u16,
        /// How long the provider asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer came.
    Failed(Fault),
}

/// What to do with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer goes to the client.
    Relay,
    /// The answer, if there is one, is thrown away: call [`Exchange::step`].
    Again,
}

impl Exchange {
    /// What to do next. A refusal is final: it is what every further call says.
    pub fn step(&mut self, now: Nanos, random: u64) -> Step {
        assert!(self.under_way.is_none(), "the attempt under way has not been reported");
        let is_ready = matches!(self.phase, Phase::Write | Phase::Route);
        assert!(
            is_ready,
            "a step is taken once the request has been decided, not at {}",
            self.phase
        );
        self.see(now);
        self.phase = Phase::Route;
        if let Some(fault) = self.ended {
            return Step::Refuse(self.exhausted(fault));
        }
        if now < self.not_before {
            return Step::Wait(self.not_before);
        }
        let again = self.counted_attempts() > 0;
        match self.route.pick(&self.policy.targets, again, now, random) {
            Pick::Take { place, pass, skipped } => {
                self.send(Sent { place, pass, at: now }, skipped, random)
            }
            Pick::BackOff(round) => {
                let backoff = retry::backoff(&self.policy.retries, round, random);
                self.wait(now.after(backoff), now)
            }
            Pick::Later(_) | Pick::Nothing if self.has_fallback() && self.turn_down(now) => {
                self.step(now, random)
            }
            Pick::Later(until) if again => self.wait(until, now),
            Pick::Later(_) if self.route.is_full(&self.policy.targets, now) => {
                Step::Refuse(self.no_room())
            }
            Pick::Later(until) => Step::Refuse(self.no_target(until.since(now))),
            Pick::Nothing => self.end(Fault::NoTarget),
        }
    }

    /// Notes what became of the attempt, for its target and for this request.
    pub fn report(&mut self, outcome: Outcome, now: Nanos) -> Verdict {
        let sent = self.under_way.take();
        let sent = sent.expect("an outcome is reported of an attempt that a step has asked for");
        self.see(now);
        let (class, why) = class_of(outcome);
        let target = self.route.target(sent.place);
        if class != Class::Served {
            self.money_failed(matches!(outcome, Outcome::Failed(fault) if fault.may_be_billed()));
        }
        self.tell_breaker(&self.policy.targets[target].breaker, sent.pass, outcome, class, now);
        self.tell_limiter(target, now.since(sent.at), outcome, class);
        if is_timed(outcome, class) {
            self.policy.targets[target].gauge.observe(now.since(sent.at), now);
        }
        if class == Class::Served {
            self.phase = Phase::Relay;
            return Verdict::Relay;
        }
        self.exclude(sent.place, outcome, class);
        if class != Class::Ended && self.may_try_again(now) {
            self.phase = Phase::Route;
            self.cause = Some(Cause { target, why });
            self.land();
            return Verdict::Again;
        }
        if class != Class::Ended && self.turn_after(now) {
            self.cause = Some(Cause { target, why });
            self.land();
            self.phase = Phase::Route;
            return Verdict::Again;
        }
        match outcome {
            // The provider's words are about the gateway's key, and none of the client's business.
            Outcome::Answered { status: 401, .. } => self.give_up(Fault::UpstreamKeyRefused),
            Outcome::Answered { .. } => {
                self.phase = Phase::Relay;
                Verdict::Relay
            }
            Outcome::Failed(fault) => self.give_up(fault),
        }
    }

    /// Instead of [`report`](Self::report), where the attempt was answered with a status that is about the key it showed, and
    /// the provider has another key to show: true when the request may go on with it, and then [`step`](Self::step) is next.
    ///
    /// Such an attempt says nothing of the target, and is none of those that the policy counts: each key is shown once.
    pub fn other_key(&mut self, status: u16, now: Nanos) -> bool {
        self.see(now);
        let class = Class::of_status(status);
        let is_of_key = matches!(class, Class::Busy) || matches!(status, 401 | 403);
        if self.only_once || !is_of_key || now >= self.deadline() {
            return false;
        }
        let Some(sent) = self.under_way.take() else { return false };
        let target = self.route.target(sent.place);
        self.money_failed(false);
        let breaker = &self.policy.targets[target].breaker;
        match class {
            Class::Busy => breaker.succeeded(sent.pass, now),
            _ => breaker.cancel(sent.pass),
        }
        self.other_keys += 1;
        self.phase = Phase::Route;
        self.cause = Some(Cause { target, why: Why::Status(status) });
        self.land();
        true
    }

    fn tell_limiter(&self, target: usize, took: Duration, outcome: Outcome, class: Class) {
        let gauge = &self.policy.targets[target].gauge;
        let is_full = matches!(
            outcome,
            Outcome::Answered { status: 429 | 503 | 529, .. }
                | Outcome::Failed(Fault::FirstByteTimeout | Fault::FirstTokenTimeout)
        );
        match outcome {
            _ if is_full => gauge.limiter.refused(gauge.under_way(), self.now),
            Outcome::Answered { .. } if class == Class::Served => {
                gauge.limiter.observe(took, gauge.under_way(), self.now);
            }
            Outcome::Answered { .. } | Outcome::Failed(_) => {}
        }
    }

    fn give_up(&mut self, fault: Fault) -> Verdict {
        self.land();
        self.phase = Phase::Route;
        self.ended = Some(fault);
        Verdict::Again
    }

    pub(super) fn tell_breaker(
        &self,
        breaker: &Breaker,
        pass: Pass,
        outcome: Outcome,
        class: Class,
        now: Nanos,
    ) {
        match class {
            Class::Served => breaker.succeeded(pass, now),
            Class::Busy => {
                breaker.succeeded(pass, now);
                if let Outcome::Answered { retry_after: Some(wait), .. } = outcome {
                    breaker.rest(wait, now);
                }
            }
            Class::Failing | Class::Broken => breaker.failed(pass, now),
            Class::Ended if outcome == Outcome::Failed(Fault::TotalTimeout) => {
                breaker.failed(pass, now)
            }
            Class::Ended => breaker.cancel(pass),
        }
    }

    pub(super) fn exclude(&mut self, place: usize, outcome: Outcome, class: Class) {
        self.route.exclude(place);
        let longest = retry::wait_max(&self.policy.retries);
        let told = match outcome {
            Outcome::Answered { retry_after, .. } => retry_after.unwrap_or_default(),
            Outcome::Failed(fault) => {
                self.ambiguous += u32::from(fault.may_have_worked());
                Duration::ZERO
            }
        };
        if class == Class::Broken || told > longest {
            self.route.bar(place);
        } else if !told.is_zero() && class == Class::Failing {
            // A failing target that says when to come again is not asked before.
            self.not_before_again(place, told);
        }
    }

    fn not_before_again(&self, place: usize, told: Duration) {
        self.policy.targets[self.route.target(place)].breaker.rest(told, self.now);
    }

    /// Whether the plan, the deadline, the targets and the process's budget allow another attempt. Pays for it.
    fn may_try_again(&self, now: Nanos) -> bool {
        let retries = &self.policy.retries;
        let longest = now.after(retry::wait_max(retries));
        let backed_off = now.after(retry::backoff(retries, self.route.round() + 1, u64::MAX));
        // Who has a fallback does not wait for a target that rests.
        let longest = if self.has_fallback() { backed_off.min(longest) } else { longest };
        let latest = Nanos(longest.0.min(self.deadline().0.saturating_sub(1)));
        !self.only_once
            && self.counted_attempts() < retries.attempts
            && self.ambiguous <= AMBIGUOUS_RETRIES_MAX
            && now < self.deadline()
            && self.route.next_within(&self.policy.targets, now, backed_off, latest).is_some()
            && self.policy.retry_budget.spend(self.core)
    }

    /// Attempts that count for the model: those for models before it, those that another key followed, and second attempts
    /// do not.
    fn counted_attempts(&self) -> u32 {
        let others = self.other_keys + self.hedging.attempts;
        self.attempts.saturating_sub(self.fallbacks.attempts + others)
    }

    pub(super) fn deadline(&self) -> Nanos {
        self.opened.after(self.policy.server.deadlines.total)
    }

    fn send(&mut self, sent: Sent, skipped: Option<usize>, random: u64) -> Step {
        let policy = std::rc::Rc::clone(&self.policy);
        let index = self.route.target(sent.place);
        if let Err(reason) = self.set_aside(index, self.now) {
            policy.targets[index].breaker.cancel(sent.pass);
            return match reason {
                NotHeld::Later => Step::Wait(self.now.after(JOURNAL_LOOK)),
                NotHeld::Refused(refusal) => Step::Refuse(*refusal),
            };
        }
        self.money_sent();
        let again = self.cause.is_some_and(|cause| cause.target == index);
        let passed_over =
            skipped.map(|place| Cause { target: self.route.target(place), why: Why::Skipped });
        let reason = RouteReason {
            strategy: self.route.strategy(),
            place: sent.place,
            of: self.route.len(),
            cause: self.cause.or(passed_over),
            again,
            score: self.route.score(&policy.targets, sent.place, self.now),
        };
        self.last = Some(self.last_at(index, reason));
        self.under_way = Some(sent);
        policy.targets[index].gauge.begin();
        self.busy = Some(index);
        self.attempts += 1;
        self.phase = Phase::Send;
        Step::Send { target: index, replica_hint: random, try_number: self.attempts }
    }

    pub(super) fn last_at(&self, index: usize, reason: RouteReason) -> Last {
        let target = &self.policy.targets[index];
        let composed = &*target.model != "*" && target.model.contains('*');
        let composed = composed.then(|| target.model_for(self.asked()).into());
        Last { target: index, composed, reason }
    }

    fn wait(&mut self, until: Nanos, now: Nanos) -> Step {
        let longest = now.after(retry::wait_max(&self.policy.retries));
        if self.waits >= WAITS_MAX || until > longest || until >= self.deadline() {
            return self.end(Fault::NoTarget);
        }
        self.waits += 1;
        self.not_before = until;
        Step::Wait(until)
    }

    fn end(&mut self, fault: Fault) -> Step {
        self.ended = Some(fault);
        Step::Refuse(self.exhausted(fault))
    }

    /// A target is well and takes no more for now, and none was tried.
    fn no_room(&self) -> Refusal {
        for index in self.route.candidates() {
            let gauge = &self.policy.targets[*index].gauge;
            if !gauge.has_room() {
                gauge.limiter.shed();
            }
        }
        let wait = Duration::from_secs(1);
        let message = format!(
            "{} has as many requests under way as it answers in time; try again in {}",
            self.wanted_name(),
            say::seconds(wait)
        );
        let mut refusal = Refusal::new(Fault::TargetsFull, message);
        refusal.retry_after = Some(wait);
        refusal
    }

    /// Every target is failing or resting, and none was tried.
    fn no_target(&self, wait: Duration) -> Refusal {
        let message = format!(
            "no target of {} can be used now: {}; try again in {}",
            self.wanted_name(),
            self.candidate_names(),
            say::seconds(wait)
        );
        let mut refusal = Refusal::new(Fault::NoTarget, message);
        refusal.retry_after = Some(wait);
        refusal
    }

    /// Attempts were made and none is left.
    fn exhausted(&self, fault: Fault) -> Refusal {
        let name = self.target().map_or("", |target| &target.name);
        let what = match self.cause {
            Some(Cause { why: Why::Status(status), .. }) if fault == Fault::NoTarget => {
                format!("it answered {status}")
            }
            _ => say::clause(fault),
        };
        let attempts = self.attempts;
        let plural = if attempts == 1 { "" } else { "s" };
        let mut refusal =
            Refusal::new(fault, format!("{name}: {what}; {attempts} attempt{plural}"));
        refusal.should_retry = (attempts > 1).then_some(false);
        refusal
    }

    /// The policy's name for the model, or `model` of `provider/model`.
    pub(super) fn wanted_name(&self) -> &str {
        if self.model().is_empty() { self.asked() } else { self.model() }
    }

    /// The first few targets, and how many more there are.
    fn candidate_names(&self) -> String {
        const NAMES_MAX: usize = 4;
        let candidates = self.route.candidates();
        let names =
            candidates.iter().take(NAMES_MAX).map(|index| &*self.policy.targets[*index].name);
        let mut out = names.collect::<Vec<_>>().join(", ");
        if candidates.len() > NAMES_MAX {
            out.push_str(&format!(" and {} more", candidates.len() - NAMES_MAX));
        }
        out.push_str(if candidates.len() == 1 {
            " is failing or resting"
        } else {
            " are failing or resting"
        });
        out
    }
}

/// What an outcome means.
pub(super) fn class_of(outcome: Outcome) -> (Class, Why) {
    match outcome {
        Outcome::Answered { status, .. } => (Class::of_status(status), Why::Status(status)),
        Outcome::Failed(fault) => (Class::of_fault(fault), Why::Failed(fault)),
    }
}

/// Whether the time that an attempt took says how quick its target is: that of an answer, or of waiting for one in vain.
fn is_timed(outcome: Outcome, class: Class) -> bool {
    match outcome {
        Outcome::Answered { .. } => class == Class::Served,
        Outcome::Failed(fault) => matches!(fault, Fault::FirstByteTimeout | Fault::TotalTimeout),
    }
}
