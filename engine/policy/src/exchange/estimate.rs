//! What a request may cost, without setting anything aside.
//!
//! In: a request that was decided, one of its targets, the present. Out: an [`Estimate`]. Nothing is changed.

use faregate_adapters::chat::Usage;
use faregate_price::{Circumstances, NanoUsd};

use crate::{
    Nanos,
    budget::{Budget, Cost, Level, Unit},
    prices::USUAL_OUTPUT,
};

use super::{
    Exchange, OUTPUT_TOKENS_SLICE,
    money::{OUTPUT_TOKENS_CAP, OUTPUT_TOKENS_LEAST, named, priced_units},
};

/// What a request may cost at a target.
#[derive(Clone, Debug)]
pub struct Estimate<'e> {
    /// The name of the price, and what it comes to; `None` where there is none, or it does not say.
    pub priced: Option<Sum>,
    /// Tokens of output, of each choice, that would be set aside.
    pub output: u64,
    /// The budgets that pay, the narrowest scope's first.
    pub budgets: Vec<Drawn<'e>>,
    /// Whether the request would be served as far as budgets go.
    pub suffices: bool,
}

/// What a price comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The name of the price.
    pub price_id: Box<str>,
    /// The most.
    pub worst: NanoUsd,
    /// With the input that is there, nothing of it cached, and an answer of usual length.
    pub typical: Option<NanoUsd>,
}

/// A budget that a request draws on.
#[derive(Clone, Debug)]
pub struct Drawn<'e> {
    /// The scope's name.
    pub scope: &'e str,
    /// The budget.
    pub budget: &'e Budget,
    /// What would be set aside of it.
    pub asked: u64,
    /// What has become of it.
    pub level: Level,
}

impl Drawn<'_> {
    /// Whether it has as much.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.budget.is_soft || self.asked <= self.level.left()
    }
}

impl Exchange {
    /// What the request may cost at `target`, index into the policy's targets, if its input has about `input` tokens. It must
    /// have been decided. `None`: it costs nothing anywhere.
    #[must_use]
    pub fn estimate(&self, target: usize, input: u64, now: Nanos) -> Option<Estimate<'_>> {
        let extra = self.money.extra?;
        let bound = self.output.0;
        let is_open = bound.is_none() && !extra.makes_nothing && !extra.is_unmetered;
        let mut output = match bound {
            Some(bound) => bound,
            None if !is_open => 0,
            None if extra.streams => OUTPUT_TOKENS_SLICE,
            None => OUTPUT_TOKENS_CAP,
        };
        // As it would be set aside: less output for a request without a bound, where there is not enough for more.
        loop {
            let estimate = self.estimate_with(target, (input, output), now);
            if estimate.suffices || !is_open || output / 2 < OUTPUT_TOKENS_LEAST {
                return Some(estimate);
            }
            output /= 2;
        }
    }

    fn estimate_with(
        &self,
        target: usize,
        (input, output): (u64, u64),
        now: Nanos,
    ) -> Estimate<'_> {
        let priced = self.sum(target, input, output);
        let choices = self.output.1;
        let cost = Cost {
            money: priced.as_ref().map_or(NanoUsd::ZERO, |sum| sum.worst),
            tokens: self
                .input_tokens(&self.model_at(target))
                .saturating_add(output.saturating_mul(choices)),
            requests: 1,
        };
        let wall = self.wall(now);
        let drawn = self.money.drawn.as_deref();
        let caller = self.caller.into_iter();
        let budgets = caller.flat_map(|caller| named(&self.policy, caller, drawn));
        let budgets: Vec<_> = budgets
            .map(|(scope, budget)| {
                let (asked, level) = (cost.of(budget.unit), budget.level(wall));
                Drawn { scope, budget, asked, level }
            })
            .collect();
        let is_of_money = |drawn: &Drawn<'_>| drawn.budget.unit == Unit::Money;
        let may_pass = priced.is_some()
            || self.policy.lets_unpriced_pass()
            || !budgets.iter().any(is_of_money);
        let suffices = may_pass && budgets.iter().all(Drawn::suffices);
        Estimate { priced, output, budgets, suffices }
    }

    fn sum(&self, target: usize, input: u64, output: u64) -> Option<Sum> {
        let extra = self.money.extra.unwrap_or_default();
        let model = self.model_at(target);
        let priced = self.policy.price(target, &model)?;
        let worst = priced.price.worst_case(&self.ask(output, &model, &priced.price)).ok()?;
        let usage = Usage {
            input: input.min(self.input_bound),
            output: output.min(USUAL_OUTPUT).saturating_mul(self.output.1),
            ..Usage::default()
        };
        let at = Circumstances {
            service: extra.service,
            units: priced_units(extra.units, &priced.price),
            ..Circumstances::default()
        };
        let typical = priced.price.cost(&usage, &at).ok().map(|typical| typical.min(worst));
        Some(Sum { price_id: (*priced.id).into(), worst, typical })
    }
}
