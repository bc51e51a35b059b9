//! Fallbacks: another model, where the one that was asked for cannot answer.
//!
//! In: why it cannot. Out: whether the request goes on with another model. A model names them: `fallbacks`, one after the
//! other, where its targets are down or its attempts are used up; `on_context_window` and `on_content_policy`, where a
//! provider declines the request for that reason. What a fallback names in its turn comes before what is left of the list
//! that led to it. No model is taken twice.
//!
//! The attempts that the policy allows are counted for each model anew, so that one which is down does not use up those of
//! the next. A request that only one place can answer, or that cannot be sent again, stays where it is.

use std::rc::Rc;

use crate::{
    Nanos, Phase,
    models::{LEADS_MAX, Model},
    retry::AMBIGUOUS_RETRIES_MAX,
    route::Route,
};

use super::Exchange;

/// Why a request goes on with another model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedBy {
    /// None of its targets answers.
    Down,
    /// The input is longer than its window.
    ContextWindow,
    /// The provider's rules do not allow the content.
    ContentPolicy,
}

impl TurnedBy {
    /// The word for it in reasons.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
        }
    }
}

/// A model that could not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub model: Box<str>,
    /// Why.
    pub by: TurnedBy,
}

/// The fallbacks of one request.
#[derive(Debug, Default)]
pub(super) struct Fallbacks {
    /// The model, as the policy has it: index into its list. None for `provider/model`.
    pub(super) model: Option<usize>,
    /// Only one place can answer it.
    pub(super) stays: bool,
    /// Attempts that were made for models before.
    pub(super) attempts: u32,
    /// The bound of the input that holds for every model.
    pub(super) input_bound: u64,
    /// Names that are left of lists that have been begun, the next one last.
    rest: Vec<Box<str>>,
    /// The model's own list has been begun.
    is_begun: bool,
    /// Names that were given, and those of models that were left.
    taken: Vec<Box<str>>,
}

impl Exchange {
    /// Whether a provider's reason to decline may lead to another model: then the body of an error is worth reading.
    #[must_use]
    pub fn hears_declined(&self) -> bool {
        let named =
            |model: &Model| model.on_context_window.is_some() || model.on_content_policy.is_some();
        self.may_turn(self.now) && self.current().is_some_and(named)
    }

    /// Instead of [`report`](Self::report), where a provider has declined the request: true when it goes on with another
    /// model, and then [`step`](Self::step) is next.
    pub fn declined(&mut self, by: TurnedBy, now: Nanos) -> bool {
        self.see(now);
        let Some(sent) = self.under_way else { return false };
        if !self.may_turn(now) {
            return false;
        }
        let target = self.route.target(sent.place);
        self.policy.targets[target].breaker.succeeded(sent.pass, now);
        self.under_way = None;
        self.money_failed(false);
        self.land();
        self.phase = Phase::Route;
        let turned = self.turn(by);
        if !turned {
            // Where there is no way on, the answer is reported as it came.
            self.under_way = Some(sent);
        }
        turned
    }

    /// Goes ahead to a larger model, where the input is longer than this one's window.
    pub(super) fn turn_ahead(&mut self, input_tokens: u64) {
        for _ in 0..LEADS_MAX {
            let window = self.current().and_then(|model| model.context_tokens);
            if self.fallbacks.stays || window.is_none_or(|window| input_tokens <= window) {
                return;
            }
            if !self.turn(TurnedBy::ContextWindow) {
                return;
            }
        }
    }

    /// Goes on with the next fallback, because no target of the model answers.
    pub(super) fn turn_down(&mut self, now: Nanos) -> bool {
        self.may_turn(now) && self.turn(TurnedBy::Down)
    }

    /// Whether there may be a fallback for a model that is down.
    pub(super) fn has_fallback(&self) -> bool {
        let names = |model: &Model| !self.fallbacks.is_begun && !model.fallbacks.is_empty();
        !self.fallbacks.rest.is_empty() || self.current().is_some_and(names)
    }

    fn may_turn(&self, now: Nanos) -> bool {
        !self.fallbacks.stays
            && !self.only_once
            && self.ambiguous <= AMBIGUOUS_RETRIES_MAX
            && now < self.deadline()
    }

    /// The model that the request is at, where that is one of the policy's names.
    pub(super) fn current(&self) -> Option<&Model> {
        self.fallbacks.model.map(|index| &self.policy.models.list()[index])
    }

    fn turn(&mut self, by: TurnedBy) -> bool {
        let policy = Rc::clone(&self.policy);
        let Some(next) = self.next_for(by) else { return false };
        let Some(found) = policy.models.resolve(&next) else { return false };
        if found.targets.is_empty() || !self.draw_anew(found.name, self.now) {
            return false;
        }
        self.way.left.push(Left { model: self.wanted_name().into(), by });
        self.go(found.name, found.asked, Route::new(found.strategy, found.targets));
        self.fallbacks.model = found.index;
        self.fallbacks.is_begun = false;
        self.fallbacks.attempts = self.attempts - self.other_keys - self.hedging.attempts;
        self.not_before = Nanos(0);
        // A closer bound was counted for other models.
        self.input_bound = self.input_bound.max(self.fallbacks.input_bound);
        true
    }

    /// The name to go on with. Each is given once.
    fn next_for(&mut self, by: TurnedBy) -> Option<Box<str>> {
        let model = self.fallbacks.model;
        let policy = Rc::clone(&self.policy);
        let model = model.map(|index| &policy.models.list()[index]);
        if let Some(model) = model {
            self.fallbacks.taken.push(model.name.clone());
        }
        match by {
            TurnedBy::ContextWindow => self.take(model?.on_context_window.clone()?),
            TurnedBy::ContentPolicy => self.take(model?.on_content_policy.clone()?),
            TurnedBy::Down => {
                let list = model.map_or(&[][..], |model| &model.fallbacks);
                if !std::mem::replace(&mut self.fallbacks.is_begun, true) {
                    self.fallbacks.rest.extend(list.iter().rev().cloned());
                }
                while let Some(next) = self.fallbacks.rest.pop() {
                    if let Some(fresh) = self.take(next) {
                        return Some(fresh);
                    }
                }
                None
            }
        }
    }

    fn take(&mut self, name: Box<str>) -> Option<Box<str>> {
        let taken = &mut self.fallbacks.taken;
        if taken.contains(&name) {
            return None;
        }
        taken.push(name.clone());
        Some(name)
    }

    /// Ends a model that has no attempt left: true when another one follows.
    pub(super) fn turn_after(&mut self, now: Nanos) -> bool {
        self.has_fallback()
            && self.may_turn(now)
            && self.policy.retry_budget.spend(self.core)
            && self.turn(TurnedBy::Down)
    }
}
