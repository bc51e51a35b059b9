//! One request as a state machine.
//!
//! In: what arrives and what becomes of attempts, with the present. Out: what to do next. Remembered: where the request is
//! on its walk ([`Phase`]), what it holds of its caller's limits, which targets it has tried.
//!
//! The gateway calls [`identify`](Exchange::identify), [`admit`](Exchange::admit), [`decide`](Exchange::decide), then
//! [`step`](Exchange::step) and [`report`](Exchange::report) in turn until an answer is to be relayed or the request is
//! refused, and [`settle`](Exchange::settle) at the end, whatever happened. Phases advance in order; a failed attempt alone
//! goes back to *route*.
//!
//! Whatever way it takes, everything it holds is let go exactly once: by `settle`, or, when that is never called because the
//! connection's task was dropped or has panicked, by `Drop`. Slots always come back. Tokens that were set aside come back
//! unless a provider was at work: then they are charged.
//!
//! # Tokens
//!
//! Set aside is the bound of the input (a closer one, where the first does not fit:
//! [`reserve_closer`](Exchange::reserve_closer)) plus, for each choice, the output asked for, or [`OUTPUT_TOKENS_SLICE`]
//! when the client asks for no bound. Charged is what the provider says was used, whatever was set aside: the rest returns, and an
//! excess is owed to the limit, which gives nothing until it is refilled. So a limit is exceeded by requests without a bound
//! alone, by at most what each of those under way generates beyond its slice. An answer without usage is never free: see
//! [`Settlement`].

use std::rc::Rc;

use faregate_adapters::{
    aside::Aside,
    chat::{Usage, UsageSource},
};

pub use crate::fault::Refusal;
use crate::{
    Caller, CorePolicy, Nanos, Phase, Policy, Target,
    fault::Fault,
    health::Pass,
    key,
    policy::LimitKind,
    route::{Cause, Route, RouteReason},
};

mod attempt;
mod cheaper;
mod decide;
mod estimate;
mod even;
mod facts;
mod hedge;
mod hold;
mod money;
mod quote;
mod say;
mod session;
#[cfg(all(test, not(loom)))]
mod tests;
mod turn;
mod way;

pub use attempt::{Outcome, Step, Verdict};
pub use decide::{OUTPUT_TOKENS_SLICE, Pin, Wanted};
pub use estimate::{Drawn, Estimate, Sum};
pub use facts::Asks;
pub use hedge::Second;
pub use quote::{Candidate, Quote};
pub use session::Session;
pub use turn::{Left, TurnedBy};
pub use way::{DEFAULT, Instead, Turn, Way};

pub use money::{CUT_TOKENS, Extra, More, OUTPUT_TOKENS_CAP, Receipt};

use hedge::Hedging;
use hold::Limits;
use money::Money;
use turn::Fallbacks;

/// One request.
#[derive(Debug)]
pub struct Exchange {
    policy: Rc<CorePolicy>,
    core: usize,
    opened: Nanos,
    /// The latest moment it was told.
    now: Nanos,
    phase: Phase,
    /// Index into the policy's callers.
    caller: Option<usize>,
    /// It has a slot of every limit on requests at a time.
    admitted: bool,
    /// Tokens it holds of every limit on tokens.
    reserved: u64,
    /// How many of them are for the input.
    input_bound: u64,
    /// What may be made: tokens of a choice, where the client bounds them, and choices.
    output: (Option<u64>, u64),
    /// Tokens are counted.
    is_metered: bool,
    /// The policy's name for the model, and behind it what `*` in a target's model stands for.
    names: Box<str>,
    name_len: usize,
    route: Route,
    way: Way,
    attempts: u32,
    /// Those of them that were followed by one with another key.
    other_keys: u32,
    /// Attempts that ended without an answer though the provider may have worked.
    ambiguous: u32,
    waits: u32,
    not_before: Nanos,
    under_way: Option<Sent>,
    /// The target that is busy with it: index into the policy's.
    busy: Option<usize>,
    last: Option<Last>,
    cause: Option<Cause>,
    ended: Option<Fault>,
    /// It cannot be sent again.
    only_once: bool,
    fallbacks: Fallbacks,
    hedging: Hedging,
    /// The dearest target that the model asked for can lead to.
    dearest: Option<usize>,
    money: Money,
}

/// An attempt whose outcome is not known.
#[derive(Clone, Copy, Debug)]
struct Sent {
    place: usize,
    pass: Pass,
    at: Nanos,
}

/// The latest attempt.
#[derive(Clone, Debug)]
struct Last {
    /// Index into the policy's targets.
    target: usize,
    /// The model's name there, where it is made of what the client asked for and more.
    composed: Option<Box<str>>,
    reason: RouteReason,
}

/// What a request has used.
///
/// Charged is the usage that the provider gave. Where it gave none and the answer was its work (`delivered`, or the attempt
/// was still under way): all that was set aside; of a stream that ended early, the input and the events that came; of a
/// request whose client left before anything came, the input. Nothing otherwise.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// What the provider says was used.
    pub usage: Option<Usage>,
    /// How it is known what was used: [`UsageSource::Provider`] with `usage`, [`UsageSource::Counted`] or
    /// [`UsageSource::Estimated`] with `estimate`.
    pub usage_source: UsageSource,
    /// What stands for the usage where the provider gave none. Limits do not go by it: it may be too little.
    pub estimate: Option<Usage>,
    /// A provider has worked for the request and its answer was passed on, in part at least.
    pub delivered: bool,
    /// Events with content that came, as a stand-in for tokens of output; `None` where the answer was no stream.
    pub output_estimate: Option<u64>,
    /// What the answer says beside tokens.
    pub aside: Aside,
    /// What ended the request early.
    pub fault: Option<Fault>,
}

/// The limits that a client may want to know about: the tightest of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests in a period.
    pub requests: Option<RateHeader>,
    /// Tokens in a period.
    pub tokens: Option<RateHeader>,
}

/// One limit, for `x-ratelimit-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateHeader {
    /// Units that the limit allows.
    pub limit: u64,
    /// Units left.
    pub remaining: u64,
    /// Until all of them are there again.
    pub reset: std::time::Duration,
}

impl Exchange {
    /// A request whose head was read at `now` on `core`.
    #[must_use]
    pub fn open(policy: Rc<CorePolicy>, core: usize, now: Nanos) -> Self {
        Self {
            policy,
            core,
            opened: now,
            now,
            phase: Phase::Identify,
            caller: None,
            admitted: false,
            reserved: 0,
            input_bound: 0,
            output: (None, 1),
            is_metered: false,
            names: Box::default(),
            name_len: 0,
            route: Route::default(),
            way: Way::default(),
            attempts: 0,
            other_keys: 0,
            ambiguous: 0,
            waits: 0,
            not_before: Nanos(0),
            under_way: None,
            busy: None,
            last: None,
            cause: None,
            ended: None,
            only_once: false,
            fallbacks: Fallbacks::default(),
            hedging: Hedging::default(),
            dearest: None,
            money: Money::default(),
        }
    }

    /// A request that this one needs to be answered: of the same caller, who pays for it. It takes no slot and is not counted
    /// among the caller's requests: this one is.
    #[must_use]
    pub fn beside(&self, now: Nanos) -> Self {
        let mut other = Self::open(Rc::clone(&self.policy), self.core, now);
        other.see_wall(self.wall(now).0);
        other.caller = self.caller;
        other.phase = Phase::Read;
        other
    }

    /// No attempt follows the one under way: what it sends is gone.
    pub fn forbid_retries(&mut self) {
        self.only_once = true;
    }

    /// Finds the caller by the key it shows; `wall_nanos` since 1970 says whether the key is still valid.
    ///
    /// A request without a key is anonymous where the policy allows that; so is one with any key where the policy has none.
    ///
    /// # Errors
    ///
    /// `KeyMissing`, `KeyUnknown`, `KeyExpired`, `KeyDisabled`.
    pub fn identify(&mut self, credential: Option<&[u8]>, wall_nanos: u64) -> Result<(), Refusal> {
        assert_eq!(self.phase, Phase::Identify, "a request is identified once");
        self.see_wall(wall_nanos);
        let keys = &self.policy.keys;
        let anonymous = keys.anonymous.filter(|_| credential.is_none() || keys.is_empty());
        let known = || credential.and_then(|credential| keys.find(&key::hash(credential)));
        let Some(index) = anonymous.or_else(known) else {
            return Err(match credential {
                None => Refusal::new(
                    Fault::KeyMissing,
                    "no key: send it as Authorization: Bearer KEY, or as x-api-key",
                ),
                Some(credential) => Refusal::new(Fault::KeyUnknown, key::why_unknown(credential)),
            });
        };
        let caller = &keys.callers[index];
        if caller.disabled {
            let message = format!("the key {} is switched off", caller.key);
            return Err(Refusal::new(Fault::KeyDisabled, message));
        }
        if caller.is_expired(wall_nanos) {
            let message = format!("the key {} has expired", caller.key);
            return Err(Refusal::new(Fault::KeyExpired, message));
        }
        self.caller = Some(index);
        self.phase = Phase::Admit;
        Ok(())
    }

    /// Takes a request and a slot of every limit on the caller's path, all or none.
    ///
    /// # Errors
    ///
    /// `RequestRate` or `Concurrency`, with what is left and when to come again.
    pub fn admit(&mut self, now: Nanos) -> Result<(), Refusal> {
        assert_eq!(
            self.phase,
            Phase::Admit,
            "a request is admitted once, when its caller is known"
        );
        self.see(now);
        self.limits().admit(now)?;
        self.policy.retry_budget.earn(self.core, self.policy.retries.budget_percent);
        self.admitted = true;
        self.phase = Phase::Read;
        Ok(())
    }

    /// Charges what was used and lets go of everything held.
    pub fn settle(&mut self, settlement: Settlement, now: Nanos) -> Receipt {
        assert!(self.phase < Phase::Settle, "a request is settled once");
        self.see(now);
        let used = self.used(&settlement);
        let receipt = self.pay(&settlement);
        self.let_go(used);
        self.phase = Phase::Record;
        receipt
    }

    /// Who pays, once that is known.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.map(|index| &self.policy.keys.callers[index])
    }

    /// Where the request is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Attempts made.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The target of the latest attempt.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.last.as_ref().map(|last| &self.policy.targets[last.target])
    }

    /// The policy's name for the model; empty for `provider/model` and where there is none.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.names[..self.name_len]
    }

    /// The model's name at the target of the latest attempt.
    #[must_use]
    pub fn upstream_model(&self) -> &str {
        let Some(last) = &self.last else { return "" };
        match (&last.composed, &*self.policy.targets[last.target].model) {
            (Some(composed), _) => composed,
            (None, "*") => self.asked(),
            (None, model) => model,
        }
    }

    /// Where the request may go, and the model's name there.
    pub fn candidates(&self) -> impl Iterator<Item = (&Target, std::borrow::Cow<'_, str>)> {
        let targets = self.route.candidates().iter().map(|index| &self.policy.targets[*index]);
        targets.map(|target| (target, target.model_for(self.asked())))
    }

    /// Why the latest attempt went where it went.
    #[must_use]
    pub fn reason(&self) -> Option<RouteReason> {
        self.last.as_ref().map(|last| last.reason)
    }

    /// [`reason`](Self::reason) in a few words; empty before the first attempt.
    #[must_use]
    pub fn route_reason(&self) -> std::borrow::Cow<'static, str> {
        self.reason().map_or_else(Default::default, |reason| self.told(reason))
    }

    /// A reason in a few words, behind how the request came to its model.
    fn told(&self, reason: RouteReason) -> std::borrow::Cow<'static, str> {
        let mut text = reason.text(&self.policy.targets);
        if let Some(even) = self.route.even() {
            let name = |place: usize| &*self.policy.targets[self.route.target(place)].name;
            text = format!("{text}; {}", even.text(name, reason.place)).into();
        }
        match self.hedging.won {
            Some(true) => text.to_mut().push_str("; hedge won"),
            Some(false) => text.to_mut().push_str("; hedge lost"),
            None => {}
        }
        if self.way == Way::default() {
            return text;
        }
        (self.way.text(&self.policy, self.wanted_name()) + &text).into()
    }

    /// The policy that the request sees from its first byte to its settlement.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Tokens set aside for it in every limit on tokens.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// What is left of the tightest limits on the caller's path.
    #[must_use]
    pub fn rate_headers(&self, now: Nanos) -> RateHeaders {
        RateHeaders {
            requests: self.tightest(LimitKind::Requests, now),
            tokens: self.tightest(LimitKind::Tokens, now),
        }
    }

    fn tightest(&self, kind: LimitKind, now: Nanos) -> Option<RateHeader> {
        let levels = self.limits().of(kind).map(|(_, limit)| limit.pool.level(now));
        let level = levels.min_by_key(|level| level.left)?;
        Some(RateHeader { limit: level.amount, remaining: level.left, reset: level.full_in })
    }

    fn asked(&self) -> &str {
        &self.names[self.name_len..]
    }

    /// The limits on the caller's path; none before the caller is known.
    fn limits(&self) -> Limits<'_> {
        let scopes = self.caller().map_or(&[][..], |caller| &caller.scopes);
        Limits::new(&self.policy, scopes, self.core)
    }

    fn see(&mut self, now: Nanos) {
        self.now = self.now.max(now);
    }

    /// Tokens to charge.
    fn used(&self, settlement: &Settlement) -> u64 {
        if let Some(usage) = &settlement.usage {
            return usage.total();
        }
        if !settlement.delivered && self.under_way.is_none() {
            return 0;
        }
        let output = match (settlement.fault, settlement.output_estimate) {
            (Some(_), Some(events)) => events,
            (Some(Fault::ClientGone), None) if !settlement.delivered => 0,
            (None, _) | (Some(_), None) => return self.reserved,
        };
        self.input_bound.saturating_add(output).min(self.reserved)
    }

    /// No target is busy with it any more.
    fn land(&mut self) {
        if let Some(target) = self.busy.take() {
            self.policy.targets[target].gauge.end();
        }
    }

    fn let_go(&mut self, used: u64) {
        self.land_other();
        self.land();
        if let Some(sent) = self.under_way.take() {
            self.policy.targets[self.route.target(sent.place)].breaker.cancel(sent.pass);
        }
        if self.reserved > 0 {
            self.limits().settle(self.reserved, used, self.now);
            self.reserved = 0;
        }
        if self.admitted {
            self.limits().leave();
            self.admitted = false;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.phase < Phase::Settle {
            let worked = self.under_way.is_some() || self.phase == Phase::Relay;
            self.let_go(if worked { self.reserved } else { 0 });
        }
    }
}
