//! The price of a model, and what usage costs by it.
//!
//! In: tokens by class, units, and the circumstances of a request. Out: nano-dollars, rounded up once. Rates are whole
//! pico-dollars, 10⁻¹² USD; products are taken in 128 bits and checked.
//!
//! A class of tokens without a rate of its own has been given one by [`Draft::finish`](crate::Draft::finish), never a
//! cheaper one; so there is nothing to fall back to here.

use std::fmt;

use faregate_adapters::chat::Usage;

use crate::{
    NanoUsd,
    class::{Class, Region, Service, Services, Unit, Units},
};

/// A multiplier of 1.
pub const PPM_ONE: u32 = 1_000_000;

/// Pico-dollars in a nano-dollar.
const PICO_IN_NANO: u128 = 1000;

/// Under which conditions usage came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// How it was served.
    pub service: Service,
    /// Where.
    pub region: Region,
    /// What was counted beside tokens.
    pub units: Units,
}

/// Whether, and for how long, a request may write its input to the provider's prompt cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheWrites {
    /// Not at all.
    #[default]
    None,
    /// For the usual time.
    Short,
    /// For an hour or more, or for the usual time.
    Long,
}

/// The most that a request can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Tokens of input, of all classes.
    pub input: u64,
    /// Tokens of output of one answer, reasoning included.
    pub output: u64,
    /// Answers; none means one.
    pub answers: u64,
    /// Whether the input may be written to the provider's cache.
    pub cache_writes: CacheWrites,
    /// Whether there may be audio in the input.
    pub audio_input: bool,
    /// Whether there may be audio in the output.
    pub audio_output: bool,
    /// How it may be served.
    pub services: Services,
    /// Where it may be served.
    pub region: Region,
    /// The most that is counted beside tokens, over all answers.
    pub units: Units,
}

/// Why something has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPrice {
    /// It would cost more than can be counted.
    Overflow,
    /// The price says nothing of a dearer service.
    Service(Service),
    /// The price says nothing of a unit that was used.
    Unit(Unit),
    /// The price is one of units, and none were counted.
    NothingCounted,
}

impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow => f.write_str("the cost is more than can be counted"),
            Self::Service(service) => write!(f, "no price for the service {}", service.as_str()),
            Self::Unit(unit) => write!(f, "no price for each {}", unit.key()),
            Self::NothingCounted => f.write_str("priced by units of which none were counted"),
        }
    }
}

impl std::error::Error for NoPrice {}

/// Rates from some length of the input on, for one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// For which service.
    pub service: Service,
    /// It holds for requests whose whole input is longer than this many tokens.
    pub above: u64,
    /// Pico-dollars a token, by class.
    pub(crate) rates: [u64; Class::ALL.len()],
    /// Classes whose rate was written down, rather than taken from another one: a bit each.
    pub(crate) own: u8,
}

impl Tier {
    /// Pico-dollars a token.
    #[must_use]
    pub const fn rate(&self, class: Class) -> u64 {
        self.rates[class as usize]
    }

    /// Whether the class has a rate of its own, rather than one that follows from others.
    #[must_use]
    pub const fn is_own(&self, class: Class) -> bool {
        self.own & (1 << class as u8) != 0
    }

    /// Pico-dollars for all tokens of `usage`.
    fn tokens(&self, usage: &Usage) -> Option<u128> {
        Class::ALL.iter().try_fold(0_u128, |sum, &class| {
            let product = u128::from(class.count(usage)).checked_mul(u128::from(self.rate(class)));
            sum.checked_add(product?)
        })
    }

    fn dearest(&self, classes: &[(bool, Class)]) -> u64 {
        classes
            .iter()
            .filter(|(may, _)| *may)
            .map(|(_, class)| self.rate(*class))
            .max()
            .unwrap_or(0)
    }
}

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Sorted by service and length. Where there are any, one is of the standard service and any length.
    pub(crate) tiers: Box<[Tier]>,
    /// Pico-dollars for each unit.
    pub(crate) units: [Option<u64>; Unit::ALL.len()],
    /// Multipliers of tokens for [`Region::PRICED`], in parts of a million.
    pub(crate) regions: [u32; Region::PRICED.len()],
    /// The multiplier of everything.
    pub(crate) scale: u32,
}

impl Price {
    /// What `usage` costs, rounded up to a nano-dollar.
    ///
    /// The length of the whole input, cached or not, says which rates hold for the whole request. A discount that has no
    /// price is none.
    ///
    /// # Errors
    ///
    /// [`NoPrice`], where no number would be right.
    pub fn cost(&self, usage: &Usage, at: &Circumstances) -> Result<NanoUsd, NoPrice> {
        let tokens = match self.tiers.is_empty() {
            true => 0,
            false => self
                .tier(at.service, usage.total_input())?
                .tokens(usage)
                .ok_or(NoPrice::Overflow)?,
        };
        if self.tiers.is_empty() && usage.total() > 0 && at.units == Units::default() {
            return Err(NoPrice::NothingCounted);
        }
        self.sum(tokens, at.region, &at.units)
    }

    /// The most that a request within `ask` can cost: no usage within it costs more.
    ///
    /// # Errors
    ///
    /// [`NoPrice`], where no number would be right.
    pub fn worst_case(&self, ask: &Ask) -> Result<NanoUsd, NoPrice> {
        let mut tokens = 0;
        for service in Service::ALL.into_iter().filter(|&service| ask.services.has(service)) {
            if !self.tiers.is_empty() {
                tokens = tokens.max(self.worst_tokens(service, ask)?);
            }
        }
        self.sum(tokens, ask.region, &ask.units)
    }

    /// What the prompt cache saved: the difference to reading all input anew. Nothing where writing to it cost more.
    #[must_use]
    pub fn saved_by_cache(&self, usage: &Usage, at: &Circumstances) -> NanoUsd {
        let cached = usage.cache_read.saturating_add(usage.total_cache_write());
        if cached == 0 {
            return NanoUsd::ZERO;
        }
        let input = usage.input.saturating_add(cached);
        let anew = Usage { input, cache_read: 0, cache_write: 0, cache_write_long: 0, ..*usage };
        match (self.cost(&anew, at), self.cost(usage, at)) {
            (Ok(anew), Ok(cost)) => anew.saturating_sub(cost),
            _ => NanoUsd::ZERO,
        }
    }

    /// Its rates, by service and length of the input. None: it is a price of units alone.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Its rates for a request of the standard service whose whole input has so many tokens.
    #[must_use]
    pub fn rates(&self, input: u64) -> Option<&Tier> {
        self.tier(Service::Standard, input).ok()
    }

    /// Pico-dollars for each `unit`.
    #[must_use]
    pub const fn unit(&self, unit: Unit) -> Option<u64> {
        self.units[unit as usize]
    }

    /// The multiplier of tokens there, in parts of a million.
    #[must_use]
    pub fn region(&self, region: Region) -> u32 {
        match region {
            Region::Global => PPM_ONE,
            Region::Us => self.regions[0],
            Region::Eu => self.regions[1],
            Region::Regional => self.regions[2],
            Region::Fedramp => self.regions[3],
            Region::Any => self.regions.iter().fold(PPM_ONE, |most, &ppm| most.max(ppm)),
        }
    }

    /// The multiplier of everything, in parts of a million.
    #[must_use]
    pub const fn scale(&self) -> u32 {
        self.scale
    }

    /// Whether nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let tiers = self.tiers.iter().all(|tier| tier.rates.iter().all(|&rate| rate == 0));
        self.scale == 0 || (tiers && self.units.iter().flatten().all(|&unit| unit == 0))
    }

    /// Whether it says what this service costs.
    #[must_use]
    pub fn serves(&self, service: Service) -> bool {
        self.tiers.is_empty() || self.of_service(service).is_ok()
    }

    fn worst_tokens(&self, service: Service, ask: &Ask) -> Result<u128, NoPrice> {
        let output = u128::from(ask.output) * u128::from(ask.answers.max(1));
        let mut worst = 0_u128;
        let tiers = self.of_service(service)?;
        for (index, tier) in tiers.iter().enumerate() {
            if tier.above > 0 && tier.above >= ask.input {
                break;
            }
            // Usage that gets these rates is no longer than where the next ones begin.
            let input = tiers.get(index + 1).map_or(ask.input, |next| next.above.min(ask.input));
            let input_rate = tier.dearest(&[
                (true, Class::Input),
                (true, Class::CacheRead),
                (ask.cache_writes != CacheWrites::None, Class::CacheWrite),
                (ask.cache_writes == CacheWrites::Long, Class::CacheWriteLong),
                (ask.audio_input, Class::AudioInput),
            ]);
            let output_rate = tier.dearest(&[
                (true, Class::Output),
                (true, Class::Reasoning),
                (ask.audio_output, Class::AudioOutput),
            ]);
            let input = u128::from(input).checked_mul(u128::from(input_rate));
            let output = output.checked_mul(u128::from(output_rate));
            let sum = input.zip(output).and_then(|(input, output)| input.checked_add(output));
            worst = worst.max(sum.ok_or(NoPrice::Overflow)?);
        }
        Ok(worst)
    }

    /// The rates of a service: its own, or for a discount those of the standard service.
    fn of_service(&self, service: Service) -> Result<&[Tier], NoPrice> {
        let find = |service| {
            let start = self.tiers.partition_point(|tier| tier.service < service);
            let end = self.tiers.partition_point(|tier| tier.service <= service);
            &self.tiers[start..end]
        };
        match find(service) {
            [] if service.is_discount() => Ok(find(Service::Standard)),
            [] => Err(NoPrice::Service(service)),
            tiers => Ok(tiers),
        }
    }

    fn tier(&self, service: Service, input: u64) -> Result<&Tier, NoPrice> {
        let tiers = self.of_service(service)?;
        let reached = tiers.iter().rposition(|tier| tier.above < input).unwrap_or(0);
        tiers.get(reached).ok_or(NoPrice::Service(service))
    }

    /// The sum of pico-dollars for tokens and of units, with its multipliers, as nano-dollars.
    fn sum(&self, tokens: u128, region: Region, units: &Units) -> Result<NanoUsd, NoPrice> {
        let fees = self.fees(units)?.checked_mul(u128::from(PPM_ONE));
        let tokens = tokens.checked_mul(u128::from(self.region(region)));
        let sum = tokens.zip(fees).and_then(|(tokens, fees)| tokens.checked_add(fees));
        let scaled = sum.and_then(|sum| sum.checked_mul(u128::from(self.scale)));
        let unit = u128::from(PPM_ONE) * u128::from(PPM_ONE) * PICO_IN_NANO;
        let nanos = scaled.ok_or(NoPrice::Overflow)?.div_ceil(unit);
        u64::try_from(nanos).map(NanoUsd).map_err(|_| NoPrice::Overflow)
    }

    fn fees(&self, units: &Units) -> Result<u128, NoPrice> {
        let mut sum = 0_u128;
        for unit in Unit::ALL {
            let count = units.count(unit);
            let rate = match self.unit(unit) {
                Some(rate) => rate,
                None if count == 0 || self.is_without_fee(unit) => continue,
                None => return Err(NoPrice::Unit(unit)),
            };
            let fee = u128::from(count).checked_mul(u128::from(rate));
            sum = fee.and_then(|fee| sum.checked_add(fee)).ok_or(NoPrice::Overflow)?;
        }
        Ok(sum)
    }

    /// Whether a unit without a price is one that nobody pays for: most requests have no fee of their own, and where tokens
    /// are paid for, images, sounds and pages are counted in them. A search is not.
    fn is_without_fee(&self, unit: Unit) -> bool {
        unit == Unit::Request || (unit != Unit::Search && !self.tiers.is_empty())
    }
}

#[cfg(test)]
mod tests;
