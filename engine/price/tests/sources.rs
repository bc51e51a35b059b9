//! Prices of the built-in catalogue against a sample of the lists that it was made from, read another way: by serde_json and
//! in floating point.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, and its prices are small"
)]

use faregate_price::{Catalogue, Class, Region, Service, Unit, source};
use serde_json::Value;

const LITELLM: &str = include_str!("data/litellm_excerpt.json");
const MODELS_DEV: &str = include_str!("data/models_dev_excerpt.json");

/// The rate of a tier of a price that is written in the catalogue.
fn rate(
    catalogue: &Catalogue,
    name: &str,
    (service, above): (Service, u64),
    class: Class,
) -> Option<u64> {
    let found = catalogue.get(name)?;
    let tier = found.price.tiers().iter().find(|t| t.service == service && t.above == above)?;
    tier.is_own(class).then(|| tier.rate(class))
}

fn pico(value: &Value, a_dollar: f64) -> Option<u64> {
    value
        .as_f64()
        .filter(|dollars| *dollars > 0.0)
        .map(|dollars| (dollars * a_dollar).round() as u64)
}

/// Equal but for a pico-dollar: the catalogue rounds up.
fn is_close(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= 1
}

#[test]
fn prices_by_the_token_are_those_of_litellm() {
    let catalogue = Catalogue::built_in();
    let list: Value = serde_json::from_str(LITELLM).unwrap();
    let fields = [
        ("input_cost_per_token", Service::Standard, 0, Class::Input),
        ("output_cost_per_token", Service::Standard, 0, Class::Output),
        ("cache_read_input_token_cost", Service::Standard, 0, Class::CacheRead),
        ("cache_creation_input_token_cost", Service::Standard, 0, Class::CacheWrite),
        ("output_cost_per_reasoning_token", Service::Standard, 0, Class::Reasoning),
        ("input_cost_per_audio_token", Service::Standard, 0, Class::AudioInput),
        ("output_cost_per_audio_token", Service::Standard, 0, Class::AudioOutput),
        ("input_cost_per_token_batches", Service::Batch, 0, Class::Input),
        ("output_cost_per_token_batches", Service::Batch, 0, Class::Output),
        ("input_cost_per_token_flex", Service::Flex, 0, Class::Input),
        ("cache_read_input_token_cost_flex", Service::Flex, 0, Class::CacheRead),
        ("output_cost_per_token_priority", Service::Priority, 0, Class::Output),
        ("input_cost_per_token_above_200k_tokens", Service::Standard, 200_000, Class::Input),
        ("output_cost_per_token_above_272k_tokens", Service::Standard, 272_000, Class::Output),
        ("output_cost_per_token_above_272k_tokens_flex", Service::Flex, 272_000, Class::Output),
    ];
    let mut seen = [0; 15];
    let mut wrong = Vec::new();
    for (key, model) in list.as_object().unwrap() {
        // Names of these are the same in both; pictures have prices of several kinds.
        let provider = model["litellm_provider"].as_str().unwrap_or_default();
        let name = match provider {
            "openai" | "anthropic" => format!("{provider}/{key}"),
            "bedrock" | "bedrock_converse" if !key.contains("commitment") => {
                format!("bedrock/{}", key.strip_prefix("bedrock/").unwrap_or(key))
            }
            "azure" | "azure_ai" | "gemini" | "groq" | "mistral" | "xai" | "deepinfra"
            | "moonshot" | "dashscope" | "novita" | "databricks" => key.clone(),
            "fireworks_ai" => key.replacen("fireworks_ai/", "fireworks/", 1),
            _ => continue,
        };
        // Some are listed without their provider.
        let name = match name.contains('/') {
            true => name.to_lowercase(),
            false => {
                format!("{}/{name}", provider.replace("fireworks_ai", "fireworks")).to_lowercase()
            }
        };
        let mode = model["mode"].as_str().unwrap_or_default();
        let free = pico(&model["output_cost_per_token"], 1e12).is_none() && mode == "chat";
        if mode.contains("image")
            || mode.contains("video")
            || free
            || model["tiered_pricing"].is_array()
        {
            continue;
        }
        for (at, (field, service, above, class)) in fields.into_iter().enumerate() {
            let Some(expected) = pico(&model[field], 1e12) else { continue };
            let found = rate(&catalogue, &name, (service, above), class);
            if !found.is_some_and(|found| is_close(found, expected)) {
                let below_input = pico(&model["input_cost_per_token"], 1e12) > Some(expected);
                if !(class == Class::CacheWrite && below_input && found.is_none()) {
                    wrong.push(format!("{name} {field}: {expected}, not {found:?}"));
                }
            }
            seen[at] += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let total: usize = seen.iter().sum();
    assert!(total > 600 && seen.iter().all(|&count| count > 0), "{total} values: {seen:?}");
}

#[test]
fn units_and_multipliers_are_those_of_litellm() {
    let catalogue = Catalogue::built_in();
    let list: Value = serde_json::from_str(LITELLM).unwrap();
    let mut seen = 0;
    for (key, model) in list.as_object().unwrap() {
        let provider = model["litellm_provider"].as_str().unwrap_or_default();
        if !matches!(provider, "openai" | "anthropic") || model["mode"] == "image_generation" {
            continue;
        }
        let Some(found) = catalogue.get(&format!("{provider}/{key}")) else { continue };
        let search = &model["search_context_cost_per_query"];
        let dearest =
            search.as_object().and_then(|sizes| sizes.values().filter_map(|v| pico(v, 1e12)).max());
        assert_eq!(found.price.unit(Unit::Search), dearest, "{key}");
        let us = match provider {
            "openai" => &model["regional_processing_uplift_multiplier_us"],
            _ => &model["provider_specific_entry"]["us"],
        };
        let ppm = pico(us, 1e6).unwrap_or(1_000_000);
        assert_eq!(u64::from(found.price.region(Region::Us)), ppm, "{key}");
        seen += 1;
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn prices_that_only_models_dev_knows_are_those_of_models_dev() {
    let catalogue = Catalogue::built_in();
    let list: Value = serde_json::from_str(MODELS_DEV).unwrap();
    let mut seen = 0;
    for (provider, content) in list.as_object().unwrap() {
        for (model, content) in content["models"].as_object().unwrap() {
            let name = format!("{provider}/{model}").to_lowercase();
            let Some(found) = catalogue.get(&name) else { continue };
            if found.list != source::List::ModelsDev {
                continue;
            }
            for (field, class) in [
                ("input", Class::Input),
                ("output", Class::Output),
                ("cache_read", Class::CacheRead),
            ] {
                let expected = pico(&content["cost"][field], 1e6);
                let found = rate(&catalogue, &name, (Service::Standard, 0), class);
                let close = found.zip(expected).is_some_and(|(one, other)| is_close(one, other));
                assert!(found == expected || close, "{name} {field}: {expected:?}, not {found:?}");
                seen += usize::from(expected.is_some());
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn the_lists_are_read_by_their_shapes_and_other_texts_are_refused() {
    let (list, entries) = source::read(LITELLM.as_bytes()).unwrap();
    assert_eq!(list, source::List::LiteLlm);
    assert!(entries.len() > 450, "{}", entries.len());
    let alias = entries.iter().find(|entry| entry.name == "bedrock/claude-opus-latest").unwrap();
    let meant = entries
        .iter()
        .find(|entry| entry.name == "bedrock/global.anthropic.claude-opus-5-5")
        .unwrap();
    assert_eq!(alias.draft, meant.draft);
    let (list, entries) = source::read(MODELS_DEV.as_bytes()).unwrap();
    assert_eq!(list, source::List::ModelsDev);
    assert!(entries.len() > 300, "{}", entries.len());
    let read = |text: &str| source::read(text.as_bytes()).map(|(_, entries)| entries.len());
    assert_eq!(read("[]"), Err(source::NotAList::NotJson));
    assert_eq!(read("{"), Err(source::NotAList::NotJson));
    assert_eq!(read("{}"), Err(source::NotAList::UnknownShape));
    assert_eq!(read(r#"{"a":{"b":1}}"#), Err(source::NotAList::UnknownShape));
    let free = r#"{"m":{"litellm_provider":"x","mode":"chat","input_cost_per_token":0.0}}"#;
    assert_eq!(read(free), Err(source::NotAList::Empty));
    for cut in (0..LITELLM.len()).step_by(4001).filter(|&cut| LITELLM.is_char_boundary(cut)) {
        assert!(read(&LITELLM[..cut]).is_err(), "cut at {cut}");
    }
}
