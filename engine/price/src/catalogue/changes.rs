//! What two catalogues say differently.

use std::cmp::Ordering;

use super::{Catalogue, Found};
use crate::{Class, Price, Region, Service, Unit};

/// A model whose price is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'c> {
    /// Its name.
    pub name: &'c str,
    /// What happened to its price.
    pub drift: Drift,
    /// Its price in the older one.
    pub old: Option<Price>,
    /// Its price in the newer one.
    pub new: Option<Price>,
}

/// What happened to a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// It is new.
    Added,
    /// Nothing is cheaper, and something dearer.
    Dearer,
    /// Nothing is dearer, and something cheaper.
    Cheaper,
    /// Some is dearer, some cheaper; or what is priced is another thing.
    Changed,
    /// It is no longer there.
    Gone,
}

impl Drift {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Added, Self::Dearer, Self::Cheaper, Self::Changed, Self::Gone];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Dearer => "dearer",
            Self::Cheaper => "cheaper",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }
}

/// Walks both in the order of names.
pub(super) fn between<'c>(older: &'c Catalogue, newer: &'c Catalogue) -> Vec<Change<'c>> {
    let (mut old, mut new) = (older.iter().peekable(), newer.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.name.cmp(new.name),
        };
        let gone = if order.is_le() { old.next() } else { None };
        let come = if order.is_ge() { new.next() } else { None };
        changes.extend(change(gone, come));
    }
}

fn change<'c>(old: Option<Found<'c>>, new: Option<Found<'c>>) -> Option<Change<'c>> {
    let name = new.as_ref().or(old.as_ref())?.name;
    let (old, new) = (old.map(|found| found.price), new.map(|found| found.price));
    let drift = match (&old, &new) {
        (Some(old), Some(new)) => drift(old, new)?,
        (None, _) => Drift::Added,
        (_, None) => Drift::Gone,
    };
    Some(Change { name, drift, old, new })
}

/// How a price moved; `None` where it did not.
fn drift(old: &Price, new: &Price) -> Option<Drift> {
    if old == new {
        return None;
    }
    let (old, new) = (figures(old), figures(new));
    let mut pairs = old.iter().zip(&new);
    let rose = pairs.clone().any(|(old, new)| new > old);
    let fell = pairs.any(|(old, new)| new < old);
    Some(match (rose, fell) {
        (true, false) => Drift::Dearer,
        (false, true) => Drift::Cheaper,
        _ => Drift::Changed,
    })
}

/// What a price comes to, in figures that can be held against those of another one: for every service, at lengths that
/// matter, then units and regions.
fn figures(price: &Price) -> Vec<u64> {
    const LENGTHS: [u64; 5] = [0, 40_000, 150_000, 250_000, 600_000];
    let mut figures = Vec::new();
    for service in Service::ALL {
        for length in LENGTHS {
            let reached = |tier: &&crate::Tier| tier.service == service && tier.above <= length;
            let tier = price.tiers().iter().rfind(reached);
            let rates = Class::ALL.map(|class| tier.map_or(0, |tier| tier.rate(class)));
            figures.extend(rates);
        }
    }
    figures.extend(Unit::ALL.map(|unit| price.unit(unit).unwrap_or_default()));
    figures.extend(Region::PRICED.map(|region| u64::from(price.region(region))));
    figures
}
