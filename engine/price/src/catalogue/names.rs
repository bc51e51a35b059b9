//! The spellings of a model's name that are understood.
//!
//! In: who is asked, and what for. Out: the one entry that is meant, or the dearest of those that may be. A name is looked
//! for as it stands; then without what providers put around names; then as a snapshot of its model, or its model as its
//! snapshots. Beginnings of names are never compared: `gpt-5` has nothing to do with `gpt-5-mini`.

use super::{Catalogue, Found};
use crate::{Class, Unit};

/// Who is asked for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The provider in the words of the catalogue: `openai`, `bedrock`, `vertex`.
    pub provider: &'a str,
    /// Where it is: `us-east-1`, `eu`.
    pub region: Option<&'a str>,
    /// The provider's name for the model.
    pub model: &'a str,
}

/// Providers whose models are also listed under another one.
const ALSO: &[(&str, &str)] = &[("azure", "azure_ai")];

/// What other programs call providers.
const ALIASES: &[(&str, &str)] = &[
    ("google", "gemini"),
    ("vertex_ai", "vertex"),
    ("google-vertex", "vertex"),
    ("amazon-bedrock", "bedrock"),
    ("together_ai", "together"),
    ("togetherai", "together"),
    ("fireworks_ai", "fireworks"),
    ("fireworks-ai", "fireworks"),
    ("nvidia_nim", "nvidia"),
    ("moonshotai", "moonshot"),
];

/// What stands before names in paths of clouds and in clients' spellings.
const PATHS: &[&str] = &[
    "models/",
    "publishers/google/models/",
    "publishers/anthropic/models/",
    "publishers/meta/models/",
    "publishers/mistralai/models/",
    "converse/",
];

/// Where Bedrock may serve a model: the first part of its profiles' names.
const PROFILES: &[&str] =
    &["us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov.", "ca.", "in.", "sa.", "mx.", "uk."];

/// Versions that stand for whatever is there.
const LATEST: &[&str] = &["-latest", "@latest", "@default"];

/// Finds what is meant.
pub(super) fn find<'c>(catalogue: &'c Catalogue, asked: &Asked<'_>) -> Option<Found<'c>> {
    let provider = provider(asked.provider);
    let also = ALSO.iter().filter(|(one, _)| *one == provider).map(|(_, other)| *other);
    let model = asked.model.to_ascii_lowercase();
    let bare = bare(&provider, &model);
    let region = asked.region.map(str::to_ascii_lowercase);
    let mut providers = std::iter::once(&*provider).chain(also);
    providers.find_map(|provider| {
        let here = |model: &str| {
            let regional = region.as_ref().map(|region| format!("{provider}/{region}/{model}"));
            let regional = regional.and_then(|name| catalogue.get(&name));
            regional.or_else(|| catalogue.get(&format!("{provider}/{model}")))
        };
        here(&model).or_else(|| here(bare)).or_else(|| {
            let siblings = siblings(catalogue, provider, bare);
            siblings.or_else(|| profiles(catalogue, provider, bare))
        })
    })
}

/// A provider in the words of the catalogue.
pub(super) fn provider(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(other, _)| *other == name);
    alias.map_or(name, |(_, ours)| (*ours).to_owned())
}

/// The name without what stands around it: `models/…`, the provider's own name, an ARN, a fine-tuned model's owner.
fn bare<'a>(provider: &str, model: &'a str) -> &'a str {
    let mut model = model;
    if model.starts_with("arn:") {
        model = model.rsplit('/').next().unwrap_or(model);
    }
    model = PATHS.iter().find_map(|path| model.strip_prefix(path)).unwrap_or(model);
    model = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    if let Some(tuned) = model.strip_prefix("ft:") {
        // ft:gpt-4o-mini-2024-07-18:my-org::id
        return tuned.split_once(':').map_or(model, |(base, _)| &model[..base.len() + "ft:".len()]);
    }
    match provider {
        "vertex" => model.strip_prefix("google/").unwrap_or(model),
        _ => model,
    }
}

/// The dearest of a model and its dated snapshots, for a snapshot or a model that is not listed itself.
fn siblings<'c>(catalogue: &'c Catalogue, provider: &str, model: &str) -> Option<Found<'c>> {
    let undated = LATEST.iter().find_map(|latest| model.strip_suffix(latest));
    let stem = undated.or_else(|| without_date(model)).unwrap_or(model);
    let stem = format!("{provider}/{stem}");
    let is_sibling =
        |name: &str| name == stem || without_date(name).is_some_and(|name| name == stem);
    let close = catalogue.names_from(&stem).take_while(|name| name.starts_with(&stem));
    dearest(close.filter(|name| is_sibling(name)).filter_map(|name| catalogue.get(name)))
}

/// The dearest of a model of Bedrock wherever it may be served, for a profile that is not listed.
fn profiles<'c>(catalogue: &'c Catalogue, provider: &str, model: &str) -> Option<Found<'c>> {
    if provider != "bedrock" {
        return None;
    }
    let base = PROFILES.iter().find_map(|profile| model.strip_prefix(profile)).unwrap_or(model);
    let all = |base: &str| {
        let names = std::iter::once("").chain(PROFILES.iter().copied());
        let found = names.filter_map(|profile| catalogue.get(&format!("bedrock/{profile}{base}")));
        dearest(found)
    };
    all(base).or_else(|| all(without_version(base)?))
}

/// The dearest, and of several the first.
fn dearest<'c>(found: impl Iterator<Item = Found<'c>>) -> Option<Found<'c>> {
    let dearness = |found: &Found<'_>| {
        let first = found.price.tiers().first();
        let rate = |class| first.map(|tier| tier.rate(class));
        let units = Unit::ALL.map(|unit| found.price.unit(unit));
        (rate(Class::Output), rate(Class::Input), rate(Class::CacheRead), units)
    };
    found.reduce(|one, other| if dearness(&other) > dearness(&one) { other } else { one })
}

/// The name before its date: `-2026-08-07`, `-20260807`, `@20260807`; `None` where it ends in none.
fn without_date(name: &str) -> Option<&str> {
    let is_date = |text: &str| {
        let year = text.starts_with("20");
        year && match text.len() {
            8 => text.bytes().all(|b| b.is_ascii_digit()),
            10 => text.bytes().enumerate().all(|(at, b)| match at {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            }),
            _ => false,
        }
    };
    [10, 8].into_iter().find_map(|len| {
        let at = name.len().checked_sub(len)?;
        let stem = name.get(..at)?;
        let date = name.get(at..).filter(|text| is_date(text)).is_some();
        stem.strip_suffix(['-', '@']).filter(|stem| date && !stem.is_empty())
    })
}

/// The name before its version: `-v1:0`, `-v2`; `None` where it ends in none.
fn without_version(name: &str) -> Option<&str> {
    let (stem, version) = name.rsplit_once("-v")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (major, minor) = version.split_once(':').unwrap_or((version, "0"));
    (digits(major) && digits(minor)).then_some(stem)
}
