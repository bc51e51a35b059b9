//! What was used costs: the price of an answer, and what was saved on it.
//!
//! In: what was used, as the answer told it or as it is bounded where nobody told. Out: a [`Receipt`] without what was held.

use faregate_adapters::chat::{Usage, UsageSource};
use faregate_price::{
    Circumstances, NanoUsd, NoPrice, Price, Service, Unit as Counts, Units as Counted,
};

use super::{CUT_TOKENS, Exchange, Extra, Receipt, Settlement};
use crate::fault::Fault;

impl Exchange {
    /// Whether a provider has worked for it, as far as is known.
    pub(super) fn has_begun(&self, settlement: &Settlement) -> bool {
        settlement.delivered || settlement.usage.is_some() || self.under_way.is_some()
    }

    /// What the usage, or what stands for it, costs at the target that worked, and what was saved.
    pub(super) fn price_of(&self, settlement: &Settlement, usage: Option<Usage>) -> Receipt {
        let mut receipt = self.price_here(settlement, usage);
        if let (Some(cost), Some(usage)) = (receipt.cost, receipt.usage) {
            receipt.saved_by_routing = self.dearest_cost(&usage, settlement).saturating_sub(cost);
        }
        receipt
    }

    /// What a usage would have cost at the dearest target that the model asked for can lead to.
    fn dearest_cost(&self, usage: &Usage, settlement: &Settlement) -> NanoUsd {
        let dearest = self
            .dearest
            .filter(|dearest| self.last.as_ref().is_some_and(|last| last.target != *dearest));
        let (Some(dearest), Some(extra)) = (dearest, self.money.extra) else {
            return NanoUsd::ZERO;
        };
        let priced = self.policy.price(dearest, &self.policy.targets[dearest].model);
        let cost = priced.and_then(|priced| {
            let at = circumstances(&extra, settlement, &priced.price);
            priced.price.cost(usage, &at).ok()
        });
        cost.unwrap_or(NanoUsd::ZERO)
    }

    fn price_here(&self, settlement: &Settlement, usage: Option<Usage>) -> Receipt {
        let nothing = || Receipt { cost: Some(NanoUsd::ZERO), ..Receipt::default() };
        let (Some(last), Some(extra)) = (&self.last, self.money.extra) else { return nothing() };
        if !self.has_begun(settlement) {
            return nothing();
        }
        self.policy.with_price(last.target, self.upstream_model(), |priced| {
            let Some(priced) = priced else { return Receipt::default() };
            let at = circumstances(&extra, settlement, &priced.price);
            let mut receipt = Receipt { price_id: (*priced.id).into(), ..Receipt::default() };
            // A price of units alone needs no tokens.
            let is_of_units = priced.price.tiers().is_empty();
            let Some(usage) = usage.or(is_of_units.then(Usage::default)) else { return receipt };
            let cost: Result<NanoUsd, NoPrice> = priced.price.cost(&usage, &at);
            receipt.cost = cost.ok();
            receipt.saved_by_cache = priced.price.saved_by_cache(&usage, &at);
            receipt.usage = Some(usage);
            receipt
        })
    }

    /// The usage that is charged; `None` where nobody knows. What the provider has not told is bounded where a budget must
    /// hold, and estimated where none does.
    pub(super) fn priced_usage(&self, settlement: &Settlement) -> Option<Usage> {
        let is_held = self.money.hold.is_some();
        let by_and_by = self.money.is_made_while_sent();
        let on_its_way = if is_held && by_and_by { CUT_TOKENS } else { 0 };
        let bound = self.input_tokens(self.upstream_model());
        let input = if is_held { bound } else { 0 };
        let is_cut = settlement.fault.is_some();
        if let Some(usage) = settlement.usage {
            let more = if is_cut && settlement.usage_source != UsageSource::Provider {
                on_its_way
            } else {
                0
            };
            return Some(Usage { output: usage.output.saturating_add(more), ..usage });
        }
        if !self.has_begun(settlement) || self.money.extra.is_some_and(|extra| extra.is_unmetered) {
            return Some(Usage::default());
        }
        if let Some(usage) = settlement.estimate {
            let more = if is_cut { on_its_way } else { 0 };
            return match is_cut && by_and_by || !is_held {
                true => Some(Usage {
                    input: usage.input.max(input),
                    output: usage.output.saturating_add(more),
                    ..usage
                }),
                // A whole answer whose provider tells nothing, or which broke off when it was made: all that was held.
                false => None,
            };
        }
        // Who leaves before a stream begins stops the work; who leaves before a whole answer comes may have to pay for it.
        let has_gone = settlement.fault == Some(Fault::ClientGone) && !settlement.delivered;
        let usage = Usage { input: bound, output: on_its_way, ..Usage::default() };
        (has_gone && (by_and_by || !is_held)).then_some(usage)
    }
}

/// Units without those that cost nothing of their own at this price.
pub(in crate::exchange) fn priced_units(units: Counted, price: &Price) -> Counted {
    let priced = |units: Counted, unit| match price.unit(unit) {
        Some(_) => units,
        None => units.with(unit, 0),
    };
    priced(priced(units, Counts::Search), Counts::ImageInput)
}

/// What a price depends on beside tokens: as the answer tells it, else as it was asked for.
fn circumstances(extra: &Extra, settlement: &Settlement, price: &Price) -> Circumstances {
    let mut units = priced_units(extra.units, price);
    if let Some(searches) = settlement.aside.searches
        && price.unit(Counts::Search).is_some()
    {
        units = units.with(Counts::Search, searches);
    }
    let told = settlement.aside.tier.map(Service::named);
    let service = told.filter(|told| price.serves(*told)).unwrap_or(extra.service);
    Circumstances { service, units, ..Circumstances::default() }
}
