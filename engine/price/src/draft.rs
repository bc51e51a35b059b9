//! A price as it is written down, where much is left unsaid, made whole.
//!
//! In: the rates that somebody wrote. Out: a [`Price`] that has a rate for every class of tokens. What is not said follows
//! from what is, and is never cheaper than what may be charged:
//!
//! - cached input and audio cost what input costs, reasoning and audio that is made what output costs;
//! - input that is written to a cache costs what input costs, and for an hour or more two and a half times that, or what the
//!   usual time costs, whichever is more: it is the most that anybody takes for it;
//! - a discount (batch, flex) costs no more than the standard service, so what it does not say is taken from there;
//! - what a dearer service, or a longer input, does not say keeps its proportion to input or output, rounded up; but cached
//!   input then costs what input costs.

use crate::{
    class::{Class, Region, Service, Unit},
    price::{PPM_ONE, Price, Tier},
};

/// Rates of a model's price, as somebody wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Rates by service and length.
    pub tiers: Vec<DraftTier>,
    /// Pico-dollars for each of [`Unit::ALL`].
    pub units: [Option<u64>; Unit::ALL.len()],
    /// Multipliers of tokens for [`Region::PRICED`], in parts of a million.
    pub regions: [u32; Region::PRICED.len()],
    /// The multiplier of everything, in parts of a million.
    pub scale: u32,
}

/// Rates for one service, from some length of the input on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftTier {
    /// For which service.
    pub service: Service,
    /// For requests with a longer input than this.
    pub above: u64,
    /// Pico-dollars a token, for each of [`Class::ALL`].
    pub rates: [Option<u64>; Class::ALL.len()],
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            tiers: Vec::new(),
            units: [None; Unit::ALL.len()],
            regions: [PPM_ONE; Region::PRICED.len()],
            scale: PPM_ONE,
        }
    }
}

impl Draft {
    /// Writes a rate down.
    pub fn set(&mut self, (service, above): (Service, u64), class: Class, rate: u64) {
        let found = self.tiers.iter_mut().find(|t| t.service == service && t.above == above);
        let tier = match found {
            Some(tier) => tier,
            None => {
                self.tiers.push(DraftTier { service, above, rates: [None; Class::ALL.len()] });
                let last = self.tiers.len() - 1;
                &mut self.tiers[last]
            }
        };
        tier.rates[class as usize] = Some(rate);
    }

    /// The rate that was written down.
    #[must_use]
    pub fn get(&self, (service, above): (Service, u64), class: Class) -> Option<u64> {
        let tier = self.tiers.iter().find(|t| t.service == service && t.above == above)?;
        tier.rates[class as usize]
    }

    /// Takes over everything that `other` says; multipliers of everything are multiplied.
    pub fn overlay(&mut self, other: &Self) {
        for tier in &other.tiers {
            for (class, rate) in Class::ALL.into_iter().zip(tier.rates) {
                if let Some(rate) = rate {
                    self.set((tier.service, tier.above), class, rate);
                }
            }
        }
        for (held, unit) in self.units.iter_mut().zip(other.units) {
            *held = unit.or(*held);
        }
        for (held, ppm) in self.regions.iter_mut().zip(other.regions) {
            *held = if ppm == PPM_ONE { *held } else { ppm };
        }
        let scale = u64::from(self.scale) * u64::from(other.scale);
        self.scale = u32::try_from(scale.div_ceil(u64::from(PPM_ONE))).unwrap_or(u32::MAX);
    }

    /// Whether it says what anything costs, multipliers aside.
    #[must_use]
    pub fn has_rates(&self) -> bool {
        let tokens = self.tiers.iter().any(|tier| tier.rates.iter().any(Option::is_some));
        tokens || self.units.iter().any(Option::is_some)
    }

    /// The price; `None` where nothing is priced, or where there are rates and none for a request of any length.
    #[must_use]
    pub fn finish(mut self) -> Option<Price> {
        self.tiers.retain(|tier| tier.rates.iter().any(Option::is_some));
        self.tiers.sort_by_key(|tier| (tier.service, tier.above));
        let mut tiers: Vec<Tier> = Vec::new();
        match self.tiers.first() {
            Some(first) if first.service == Service::Standard && first.above == 0 => {
                self.read_all(&mut tiers);
            }
            Some(_) => return None,
            None if self.units.iter().all(Option::is_none) => return None,
            None => {}
        }
        let Self { units, regions, scale, .. } = self;
        Some(Price { tiers: tiers.into(), units, regions, scale })
    }

    fn read_all(&self, tiers: &mut Vec<Tier>) {
        let lengths: Vec<u64> = self.of(Service::Standard).map(|tier| tier.above).collect();
        for service in Service::ALL {
            let mut own: Vec<u64> = self.of(service).map(|tier| tier.above).collect();
            if own.is_empty() {
                continue;
            }
            // Where the standard service becomes dearer with length, no other one may stay cheap.
            own.extend(&lengths);
            own.push(0);
            own.sort_unstable();
            own.dedup();
            for above in own {
                let tier = self.tier(tiers, service, above);
                tiers.push(tier);
            }
        }
    }

    fn of(&self, service: Service) -> impl Iterator<Item = &DraftTier> {
        self.tiers.iter().filter(move |tier| tier.service == service)
    }

    fn tier(&self, before: &[Tier], service: Service, above: u64) -> Tier {
        let written = self.of(service).find(|tier| tier.above == above);
        let written = written.map_or([None; Class::ALL.len()], |tier| tier.rates);
        let find =
            |service, above| before.iter().find(|t| t.service == service && t.above == above);
        let lower = before.iter().rfind(|tier| tier.service == service);
        let standard = find(Service::Standard, above);
        let rates = match (standard, lower) {
            (None, None) => first(&written),
            (Some(standard), _) if service.is_discount() => discount(&written, standard),
            (Some(standard), Some(lower)) => {
                // A longer input of a dearer service: no less than the same length costs as usual.
                let base = find(Service::Standard, 0).unwrap_or(standard);
                let raised = raised(&written, lower, Some((standard, base)));
                let least = |at: usize| written[at].unwrap_or(raised[at].max(standard.rates[at]));
                std::array::from_fn(least)
            }
            (Some(reference), None) | (None, Some(reference)) => raised(&written, reference, None),
        };
        let own = Class::ALL.iter().filter(|&&class| written[class as usize].is_some());
        let own = own.fold(0, |bits, &class| bits | 1 << class as u8);
        Tier { service, above, rates, own }
    }
}

type Written = [Option<u64>; Class::ALL.len()];
type Rates = [u64; Class::ALL.len()];

/// Rates of the standard service.
fn first(written: &Written) -> Rates {
    let known = written.iter().flatten().copied().max().unwrap_or_default();
    let own = |class: Class| written[class as usize];
    let input = own(Class::Input).unwrap_or(known);
    let output = own(Class::Output).unwrap_or(known);
    filled(written, input, output, |_, chain| chain)
}

/// Rates of a service that costs no more than `standard`.
fn discount(written: &Written, standard: &Tier) -> Rates {
    let own = |class: Class| written[class as usize];
    let input = own(Class::Input).unwrap_or(standard.rate(Class::Input));
    let output = own(Class::Output).unwrap_or(standard.rate(Class::Output));
    filled(written, input, output, |class, chain| match class {
        Class::CacheRead => standard.rate(class).min(chain),
        _ if standard.is_own(class) => standard.rate(class),
        _ => chain,
    })
}

/// Rates of a service or a length that costs more than `reference`; `growth` is how the standard service grows to this length,
/// for what is not written at all.
fn raised(written: &Written, reference: &Tier, growth: Option<(&Tier, &Tier)>) -> Rates {
    let own = |class: Class| written[class as usize];
    let rate = |class| reference.rate(class);
    let grown = |class: Class| match growth {
        Some((to, from)) => in_proportion(rate(class), to.rate(class), from.rate(class)),
        None => rate(class),
    };
    let follow = |class: Class, other: Class| match own(other) {
        Some(other_rate) => grown(class).max(in_proportion(rate(class), other_rate, rate(other))),
        None => grown(class),
    };
    let input = own(Class::Input).unwrap_or_else(|| follow(Class::Input, Class::Output));
    let output = own(Class::Output).unwrap_or_else(|| follow(Class::Output, Class::Input));
    filled(written, input, output, |class, chain| match class {
        Class::Reasoning | Class::AudioOutput if reference.is_own(class) => {
            chain.max(in_proportion(rate(class), output, rate(Class::Output)))
        }
        Class::CacheWrite | Class::CacheWriteLong | Class::AudioInput
            if reference.is_own(class) =>
        {
            in_proportion(rate(class), input, rate(Class::Input)).max(input)
        }
        _ => chain,
    })
}

/// All classes: what is written, else what `unsaid` makes of the rate of the class that it belongs to.
fn filled(written: &Written, input: u64, output: u64, unsaid: impl Fn(Class, u64) -> u64) -> Rates {
    let get =
        |class: Class, chain: u64| written[class as usize].unwrap_or_else(|| unsaid(class, chain));
    let cache_write = get(Class::CacheWrite, input);
    let long = cache_write.max(input.saturating_mul(5).div_ceil(2));
    Class::ALL.map(|class| match class {
        Class::Input => input,
        Class::Output => output,
        Class::CacheWrite => cache_write,
        Class::CacheWriteLong => get(class, long),
        Class::CacheRead | Class::AudioInput => get(class, input),
        Class::Reasoning | Class::AudioOutput => get(class, output),
    })
}

/// `rate · to / from`, rounded up; never below `rate`.
fn in_proportion(rate: u64, to: u64, from: u64) -> u64 {
    if from == 0 || to <= from {
        return rate.max(if from == 0 { to } else { 0 });
    }
    let product = (u128::from(rate) * u128::from(to)).div_ceil(u128::from(from));
    u64::try_from(product).unwrap_or(u64::MAX)
}
