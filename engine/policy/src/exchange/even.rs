//! What the targets of a model cost for a turn and those to come, where one is chosen by that.
//!
//! In: the policy's prices, what is known of the conversation and of the targets' caches. Out: an [`Even`]. Nothing is
//! remembered.

use faregate_adapters::{cache, dialect::Form};
use faregate_price::{Class, PPM_ONE};

use crate::{
    Policy, Strategy,
    affinity::{Even, Homes, Keeps, Offer, Replica, SIDES_MAX, Seen, Side, Turn},
    models::Resolved,
};

use super::{Exchange, Wanted};

impl Policy {
    /// What the table of conversations calls a target that is asked for `model`, the provider's name for it.
    #[must_use]
    pub fn home(&self, target: usize, model: &str) -> Replica {
        Replica::named(&[&self.providers[self.targets[target].provider].name, model])
    }

    /// What is known of a target's prompt cache beforehand; `model` is the policy's name for what was asked for.
    #[must_use]
    pub fn keeps(&self, model: &str, target: usize, upstream: &str) -> Keeps {
        let provider = &self.providers[self.targets[target].provider];
        let is_long = self.prompt_cache(model, self.targets[target].provider);
        let form = provider.forms.first().copied().unwrap_or(Form::Chat);
        let kept = cache::keeps(form, upstream, is_long.is_some_and(|cache| cache.is_long));
        Keeps { seconds: kept.seconds, tokens_min: kept.tokens_min }
    }
}

impl Exchange {
    /// What the targets cost, where the model's are chosen by that and something is known of the conversation.
    pub(super) fn even(
        &self,
        policy: &Policy,
        found: &Resolved<'_, '_>,
        targets: &[usize],
        wanted: &Wanted<'_>,
    ) -> Option<Even> {
        if found.strategy != Strategy::BreakEven {
            return None;
        }
        let model = &policy.models.list()[found.index?];
        let (homes, seen) = wanted.asks.homes?;
        let known = Known { policy, homes, seen, model: found.name, wanted, now: self.now };
        let usual = homes.output(found.name);
        let output = wanted.output_tokens_max.map_or(usual, |most| usual.min(most));
        let names: Vec<_> = targets
            .iter()
            .take(SIDES_MAX)
            .map(|target| (*target, policy.targets[*target].model_for(found.asked)))
            .collect();
        let homes_of = names.iter().map(|(target, name)| policy.home(*target, name));
        let home = seen.home().and_then(|home| homes_of.clone().position(|one| one == home));
        let mut sides: Vec<Side> =
            names.iter().map(|(target, name)| known.side(self, *target, name)).collect();
        // A target that nobody has seen lately is taken for as quick as the quickest.
        let quickest = sides.iter().map(|side| side.delay_us).filter(|us| *us > 0).min();
        for side in sides.iter_mut().filter(|side| side.delay_us == 0) {
            side.delay_us = quickest.unwrap_or(0);
        }
        let more = homes.more(found.name, seen);
        Some(Even::new(Turn { output_tokens: output, more, second: model.second, home }, sides))
    }

    /// Whether what the targets cost from here on was weighed.
    #[must_use]
    pub fn weighs(&self) -> bool {
        self.route.even().is_some()
    }
}

struct Known<'a> {
    policy: &'a Policy,
    homes: &'a Homes,
    seen: &'a Seen,
    model: &'a str,
    wanted: &'a Wanted<'a>,
    now: crate::Nanos,
}

impl Known<'_> {
    fn side(&self, exchange: &Exchange, target: usize, name: &str) -> Side {
        let home = self.policy.home(target, name);
        let raw = self.wanted.asks.input_tokens;
        let prompt_tokens = self.homes.tokens(home, raw);
        let cache = self.policy.prompt_cache(self.model, self.policy.targets[target].provider);
        let is_long = cache.is_some_and(|cache| cache.is_long);
        let rates = exchange.policy.with_price(target, name, |priced| {
            let price = &priced?.price;
            let tier = price.rates(prompt_tokens)?;
            let rate = |class| scaled(tier.rate(class), price.scale());
            let write = if is_long { Class::CacheWriteLong } else { Class::CacheWrite };
            Some([Class::Input, write, Class::CacheRead, Class::Output].map(rate))
        });
        let [input, write, cached, output] = rates.unwrap_or_default();
        let keeps = self.policy.keeps(self.model, target, name);
        let writes = self.writes(target);
        let offer = Offer { target: home, keeps, input, write, writes, cached, output };
        self.homes.side(self.seen, self.model, raw, &offer, self.now)
    }

    /// What is read anew is written to the cache where it has to be marked for that, and is.
    fn writes(&self, target: usize) -> bool {
        let provider = self.policy.targets[target].provider;
        let form = self.policy.providers[provider].forms.first();
        let is_marked = matches!(form, Some(Form::Messages | Form::Converse));
        is_marked && self.policy.prompt_cache(self.model, provider).is_some()
    }
}

fn scaled(rate: u64, millionths: u32) -> u64 {
    let product = u128::from(rate) * u128::from(millionths);
    u64::try_from(product / u128::from(PPM_ONE)).unwrap_or(u64::MAX)
}
