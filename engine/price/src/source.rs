//! Price lists of others, read.
//!
//! In: the JSON of LiteLLM's or models.dev's list. Out: an [`Entry`] for each model that has a price in it, under a name of
//! ours. Numbers are taken as the decimal text that they are. A zero is no price: these lists write it as often for what is
//! not known, or paid for otherwise, as for what is free.

mod litellm;
mod models_dev;

use std::fmt;

use faregate_wire::json::Json;

use crate::{Class, Decimal, Draft, Service};

/// Bytes of a list.
pub const LIST_BYTES_MAX: usize = 64 << 20;

/// A model and its price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `provider/model`, in lower case.
    pub name: String,
    /// Which list it is from.
    pub list: List,
    /// Its price.
    pub draft: Draft,
}

/// A list of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// `model_prices_and_context_window.json` of LiteLLM.
    LiteLlm,
    /// `api.json` of models.dev.
    ModelsDev,
}

impl List {
    /// What it is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiteLlm => "litellm",
            Self::ModelsDev => "models.dev",
        }
    }

    /// Its letter in the catalogue.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::LiteLlm => "l",
            Self::ModelsDev => "m",
        }
    }

    /// The list with this letter.
    #[must_use]
    pub fn of_letter(letter: &str) -> Option<Self> {
        [Self::LiteLlm, Self::ModelsDev].into_iter().find(|list| list.letter() == letter)
    }
}

/// Why a text is no list of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAList {
    /// It has more than [`LIST_BYTES_MAX`].
    TooLong,
    /// It is no JSON object.
    NotJson,
    /// It is neither of the lists that are known.
    UnknownShape,
    /// It has no price.
    Empty,
}

impl fmt::Display for NotAList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the list is longer than 64 MiB",
            Self::NotJson => "this is no JSON object",
            Self::UnknownShape => {
                "this is neither LiteLLM's model_prices_and_context_window.json nor models.dev's api.json"
            }
            Self::Empty => "there is no price in this list",
        })
    }
}

impl std::error::Error for NotAList {}

/// Reads a list of either shape.
///
/// # Errors
///
/// [`NotAList`].
pub fn read(text: &[u8]) -> Result<(List, Vec<Entry>), NotAList> {
    if text.len() > LIST_BYTES_MAX {
        return Err(NotAList::TooLong);
    }
    let json = Json::new(text).filter(|json| json.is_object()).ok_or(NotAList::NotJson)?;
    let is_model = |(_, value): (_, Json<'_>)| {
        value.get("litellm_provider").is_some() || value.get("input_cost_per_token").is_some()
    };
    let is_provider = |(_, value): (_, Json<'_>)| value.get("models").is_some_and(Json::is_object);
    let (list, mut entries) = if json.members().any(is_model) {
        (List::LiteLlm, litellm::read(json))
    } else if json.members().any(is_provider) {
        (List::ModelsDev, models_dev::read(json))
    } else {
        return Err(NotAList::UnknownShape);
    };
    entries.iter_mut().for_each(|entry| disbelieve(&mut entry.draft));
    unify(&mut entries);
    if entries.is_empty() { Err(NotAList::Empty) } else { Ok((list, entries)) }
}

/// Sorts entries by name; of two of one name the one of the preferred list stays, and of two of one list the dearer one.
pub fn unify(entries: &mut Vec<Entry>) {
    let dearness = |entry: &Entry| {
        let rate = |class| entry.draft.get((Service::Standard, 0), class);
        std::cmp::Reverse((rate(Class::Output), rate(Class::Input), entry.draft.units))
    };
    entries.sort_by(|a, b| {
        (&a.name, a.list).cmp(&(&b.name, b.list)).then_with(|| dearness(a).cmp(&dearness(b)))
    });
    entries.dedup_by(|later, first| later.name == first.name);
}

/// Takes out what cannot be: input that is written to a cache has been read, and does not cost less for it.
fn disbelieve(draft: &mut Draft) {
    for tier in &mut draft.tiers {
        let input = tier.rates[Class::Input as usize];
        for class in [Class::CacheWrite, Class::CacheWriteLong] {
            let rate = &mut tier.rates[class as usize];
            *rate = rate.filter(|rate| Some(*rate) >= input);
        }
    }
}

/// A name as the catalogue has it; `None` where it cannot have it.
fn name(provider: &str, model: &str) -> Option<String> {
    let name = format!("{provider}/{model}").to_ascii_lowercase();
    let fits = !model.is_empty() && name.len() <= 200;
    (fits && !name.chars().any(|c| c.is_whitespace() || c.is_control())).then_some(name)
}

/// A number of dollars that is more than nothing.
fn dollars(value: Json<'_>) -> Option<Decimal> {
    let text = std::str::from_utf8(value.raw()).ok()?;
    Decimal::parse(text).map(Decimal::without_noise).filter(|number| !number.is_zero())
}

/// The dearer of both.
fn dearer(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.max(other)
}
