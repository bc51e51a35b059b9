//! Which other model of the policy a request that was refused could be served by.
//!
//! In: a request whose budget refused. Out: the name of a model that its caller may use and that would fit into every budget,
//! the dearest of them; it says the same as `model` in the body. Nothing is changed.

use faregate_price::{Class, NanoUsd};

use crate::{
    Model, Wall,
    budget::{Budget, Cost, Purse},
};

use super::{Exchange, OUTPUT_TOKENS_SLICE, money::CallersPurse};

/// Models that are looked at.
const LOOKED_MAX: usize = 64;

impl Exchange {
    /// The dearest model of the policy that would fit, at each of its targets.
    #[cold]
    pub(super) fn model_that_fits(&self, purse: &CallersPurse, wall: Wall) -> Option<&str> {
        let extra = self.money.extra?;
        let caller = self.caller()?;
        // Models that make vectors are no help to who wants text, nor the other way round.
        if extra.makes_nothing || extra.is_unmetered || self.money.held.money != NanoUsd::ZERO {
            return None;
        }
        let own = self.model();
        let may = |model: &&Model| {
            !model.name.contains('*') && *model.name != *own && caller.may_use(&model.name)
        };
        let models = self.policy.models.list().iter().take(LOOKED_MAX).filter(may);
        let fitting = models.filter_map(|model| Some((self.fits_at(model, purse, wall)?, model)));
        fitting.max_by_key(|(worst, _)| *worst).map(|(_, model)| &*model.name)
    }

    /// What the request may cost as one for `model`, if every budget has room for it.
    fn fits_at(&self, model: &Model, purse: &CallersPurse, wall: Wall) -> Option<NanoUsd> {
        let output = self.output.0.unwrap_or(OUTPUT_TOKENS_SLICE);
        let mut cost = Cost { requests: 1, ..Cost::default() };
        for target in &model.targets {
            let name = self.policy.targets[*target].model_for(&model.name);
            let priced = self.policy.price(*target, &name)?;
            let makes_text = priced.price.tiers().iter().any(|tier| tier.is_own(Class::Output));
            if !makes_text {
                return None;
            }
            let ask = self.ask(output, &name, &priced.price);
            cost.money = cost.money.max(priced.price.worst_case(&ask).ok()?);
            let tokens = ask.input.saturating_add(output.saturating_mul(self.output.1));
            cost.tokens = cost.tokens.max(tokens);
        }
        let has_room =
            |budget: &Budget| budget.is_soft || cost.of(budget.unit) <= budget.level(wall).left();
        // The budget of the model that was asked for is not the other one's.
        let others = self.policy.crowd.models.get(&*model.name);
        let others = others.map_or(&[][..], |scope| &self.policy.scopes[*scope].budgets);
        let own = purse.model_scope();
        let mut shared = purse.named().filter(|(scope, _)| Some(*scope) != own);
        let fits = shared.all(|(_, budget)| has_room(budget)) && others.iter().all(has_room);
        (fits && !model.targets.is_empty() && purse.budgets().next().is_some())
            .then_some(cost.money)
    }
}
