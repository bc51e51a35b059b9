//! LiteLLM's list: one object, a member for each model, dollars a token.
//!
//! A member's name says what is priced, its endings for whom: `_above_200k_tokens`, `_above_1hr`, `_batches`, `_flex`,
//! `_priority`. A name that is not known is passed over. Several prices that fall into one class are one, the dearest.
//! Format: <https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json>

use std::collections::HashMap;

use faregate_wire::json::Json;

use super::{Entry, List, dearer, dollars, name};
use crate::{Class, Decimal, Draft, Region, Service, Unit, price::PPM_ONE};

/// LiteLLM's name of a provider, how its models' names begin, and what we call it. Others are called as they are.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("text-completion-openai", "openai/", "openai"),
    ("bedrock_converse", "bedrock/", "bedrock"),
    ("azure_text", "azure/", "azure"),
    ("together_ai", "together_ai/", "together"),
    ("fireworks_ai", "fireworks_ai/", "fireworks"),
    ("fireworks_ai-embedding-models", "fireworks_ai/", "fireworks"),
    ("cohere_chat", "cohere/", "cohere"),
    ("nvidia_nim", "nvidia_nim/", "nvidia"),
    ("text-completion-codestral", "codestral/", "codestral"),
];

/// What a name begins with that is priced by the token.
const RATES: &[(&str, Class)] = &[
    ("input_cost_per_token_cache_hit", Class::CacheRead),
    ("input_cost_per_token", Class::Input),
    ("output_cost_per_token", Class::Output),
    ("cache_read_input_token_cost", Class::CacheRead),
    ("cache_creation_input_token_cost_above_1hr", Class::CacheWriteLong),
    ("cache_creation_input_token_cost_above_12hr", Class::CacheWriteLong),
    ("cache_creation_input_token_cost", Class::CacheWrite),
    ("output_cost_per_reasoning_token", Class::Reasoning),
    ("input_cost_per_audio_token", Class::AudioInput),
    ("output_cost_per_audio_token", Class::AudioOutput),
];

/// What stands for the text of models that make images or videos.
const PICTURE_RATES: &[(&str, Class)] = &[
    ("input_cost_per_image_token", Class::Input),
    ("output_cost_per_image_token", Class::Output),
    ("input_cost_per_video_token", Class::Input),
    ("output_cost_per_video_token", Class::Output),
];

/// What a name begins with that is priced by another unit; what follows it says how large or how fine.
const UNITS: &[(&str, Unit)] = &[
    ("output_cost_per_image", Unit::Image),
    ("output_cost_per_second", Unit::Second),
    ("output_cost_per_video_per_second", Unit::Second),
    ("input_cost_per_second", Unit::Second),
    ("cost_per_second", Unit::Second),
    ("input_cost_per_request", Unit::Request),
    ("ocr_cost_per_page", Unit::Page),
    ("annotation_cost_per_page", Unit::Page),
    ("input_cost_per_character", Unit::Character),
    ("output_cost_per_character", Unit::Character),
];

/// Multipliers of tokens by region.
const REGIONS: &[(&str, Region)] = &[
    ("regional_processing_uplift_multiplier_us", Region::Us),
    ("regional_processing_uplift_multiplier_eu", Region::Eu),
    ("regional_endpoint_uplift_multiplier", Region::Regional),
    ("fedramp_uplift_multiplier", Region::Fedramp),
];

/// Reads the list.
pub(super) fn read(json: Json<'_>) -> Vec<Entry> {
    let mut drafts: HashMap<String, Draft> = HashMap::new();
    let mut entries = Vec::new();
    let mut aliases = Vec::new();
    for (key, model) in json.members().filter(|(key, _)| key != "sample_spec") {
        if let Some(alias) = model.get_str("alias_of") {
            aliases.push((key, alias));
            continue;
        }
        // Capacity that is rented by the second is no price of a request.
        if key.contains("commitment/") {
            continue;
        }
        let draft = draft(model);
        if draft.clone().finish().is_none() {
            continue;
        }
        let provider = model.get_str("litellm_provider").unwrap_or_default();
        if let Some(name) = named(&provider, &key) {
            entries.push(Entry { name, list: List::LiteLlm, draft: draft.clone() });
        }
        drafts.insert(key.into_owned(), draft);
    }
    for (key, alias) in aliases {
        let named = key.split_once('/').and_then(|(provider, _)| named(provider, &key));
        if let (Some(draft), Some(name)) = (drafts.get(&*alias), named) {
            entries.push(Entry { name, list: List::LiteLlm, draft: draft.clone() });
        }
    }
    entries
}

/// The name of a model of `provider` that the list has under `key`.
fn named(provider: &str, key: &str) -> Option<String> {
    if provider.starts_with("vertex_ai") {
        return name("vertex", key.strip_prefix("vertex_ai/").unwrap_or(key));
    }
    match PROVIDERS.iter().find(|(theirs, ..)| *theirs == provider) {
        Some((_, prefix, ours)) => name(ours, key.strip_prefix(prefix).unwrap_or(key)),
        None if provider.is_empty() => None,
        None => {
            let rest = key.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
            name(provider, rest.unwrap_or(key))
        }
    }
}

fn draft(model: Json<'_>) -> Draft {
    let mut draft = Draft::default();
    let mode = model.get_str("mode").unwrap_or_default();
    let makes_pictures = matches!(&*mode, "image_generation" | "image_edit" | "video_generation");
    for tier in model.get("tiered_pricing").into_iter().flat_map(Json::items) {
        let from = tier.get("range").and_then(|range| range.items().next()).and_then(whole);
        for (name, value) in tier.members() {
            rate(&mut draft, RATES, (&name, value), from);
        }
    }
    for (name, value) in model.members() {
        rate(&mut draft, RATES, (&name, value), None);
        if makes_pictures {
            rate(&mut draft, PICTURE_RATES, (&name, value), None);
        }
        unit(&mut draft, &mode, &name, value);
        region(&mut draft, &name, value);
    }
    if let Some(entry) = model.get("provider_specific_entry") {
        entry.get("us").into_iter().for_each(|us| multiply(&mut draft, Region::Us, us));
        if let Some(factor) = entry.get("fast").and_then(dollars) {
            faster(&mut draft, factor);
        }
    }
    if &*mode == "moderation"
        && draft.tiers.is_empty()
        && model.get("input_cost_per_token").is_some()
    {
        // Moderation is the one thing that is known to be free where it says so.
        draft.set((Service::Standard, 0), Class::Input, 0);
    }
    if model.get("output_cost_per_image_token").is_some() {
        draft.units[Unit::Image as usize] = None;
    }
    without_double_prices(without_half_prices(draft, &mode), &mode)
}

/// Where tokens are priced, seconds, characters and images that are read are the same thing in another measure; but for
/// embeddings, which take their toll of images beside tokens.
fn without_double_prices(mut draft: Draft, mode: &str) -> Draft {
    if !draft.tiers.is_empty() {
        draft.units[Unit::Second as usize] = None;
        draft.units[Unit::Character as usize] = None;
        if mode != "embedding" {
            draft.units[Unit::ImageInput as usize] = None;
        }
    }
    draft
}

/// What talks must have a price of what it says: where there is none, the price of its input is a fee of somebody else.
fn without_half_prices(mut draft: Draft, mode: &str) -> Draft {
    let talks = matches!(mode, "" | "chat" | "responses" | "completion" | "realtime");
    let has = |class| draft.get((Service::Standard, 0), class).is_some();
    if talks && !has(Class::Output) && !has(Class::AudioOutput) {
        draft.tiers.clear();
    }
    draft
}

/// Takes the rate that a member is, if it is one; `from` is the length of input that its tier begins with.
fn rate(
    draft: &mut Draft,
    rates: &[(&str, Class)],
    (name, value): (&str, Json<'_>),
    from: Option<u64>,
) {
    let found = rates.iter().find_map(|(start, class)| Some((*class, name.strip_prefix(start)?)));
    let Some((class, ending)) = found else { return };
    let Some((service, above)) = ending_of(ending) else { return };
    let Some(rate) = dollars(value).and_then(|number| number.rounded_up(12)) else { return };
    let tier = (service, above.or(from).unwrap_or_default());
    if let Some(rate) = dearer(draft.get(tier, class), Some(rate)) {
        draft.set(tier, class, rate);
    }
}

/// The service and the length that a member's ending means.
fn ending_of(mut ending: &str) -> Option<(Service, Option<u64>)> {
    let mut above = None;
    if let Some(rest) = ending.strip_prefix("_above_") {
        let (number, rest) = rest.split_once("k_tokens")?;
        above = Some(number.parse::<u64>().ok()?.checked_mul(1000)?);
        ending = rest;
    }
    let service = match ending {
        "" => Service::Standard,
        "_batches" => Service::Batch,
        "_flex" => Service::Flex,
        "_priority" => Service::Priority,
        "_fast" => Service::Fast,
        "_ultrafast" => Service::Ultrafast,
        _ => return None,
    };
    Some((service, above))
}

fn unit(draft: &mut Draft, mode: &str, name: &str, value: Json<'_>) {
    let unit = match name {
        "input_cost_per_image" if matches!(mode, "image_generation") => Unit::Image,
        "input_cost_per_image" => Unit::ImageInput,
        "input_cost_per_query" if mode == "search" => Unit::Search,
        "input_cost_per_query" => Unit::Rerank,
        "search_context_cost_per_query" => {
            value.members().for_each(|(_, size)| add(draft, Unit::Search, size));
            return;
        }
        _ => match UNITS.iter().find(|(start, _)| name.starts_with(start)) {
            // Tokens of images are none, and nobody asks for images by the batch.
            Some((_, unit)) if !name.contains("_token") && !name.contains("_batches") => *unit,
            _ => return,
        },
    };
    add(draft, unit, value);
}

fn add(draft: &mut Draft, unit: Unit, value: Json<'_>) {
    let price = dollars(value).and_then(|number| number.rounded_up(12));
    let held = &mut draft.units[unit as usize];
    *held = dearer(*held, price);
}

fn region(draft: &mut Draft, name: &str, value: Json<'_>) {
    if let Some((_, region)) = REGIONS.iter().find(|(member, _)| *member == name) {
        multiply(draft, *region, value);
    }
}

fn multiply(draft: &mut Draft, region: Region, value: Json<'_>) {
    let ppm = dollars(value).and_then(|factor| factor.rounded_up(6));
    let at = Region::PRICED.iter().position(|other| *other == region);
    if let (Some(ppm), Some(at)) = (ppm.and_then(|ppm| u32::try_from(ppm).ok()), at) {
        draft.regions[at] = ppm.max(PPM_ONE);
    }
}

/// The fast service costs a multiple of the standard one.
fn faster(draft: &mut Draft, factor: Decimal) {
    let standard = draft.tiers.clone();
    for tier in standard.iter().filter(|tier| tier.service == Service::Standard) {
        for (class, rate) in Class::ALL.into_iter().zip(tier.rates) {
            let rate = rate.map(Decimal::whole).and_then(|rate| rate.times(factor));
            if let Some(rate) = rate.and_then(|rate| rate.rounded_up(0)) {
                draft.set((Service::Fast, tier.above), class, rate);
            }
        }
    }
}

fn whole(value: Json<'_>) -> Option<u64> {
    Decimal::parse(std::str::from_utf8(value.raw()).ok()?)?.exactly(0)
}
