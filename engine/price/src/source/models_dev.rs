//! The list of models.dev: one object, a member for each provider with its models, dollars for a million tokens.
//!
//! Format: <https://models.dev/api.json>, <https://github.com/sst/models.dev>

use faregate_wire::json::Json;

use super::{Entry, List, dollars, name};
use crate::{Class, Decimal, Draft, Service};

/// Their name of a provider and ours. Others are called as they are.
const PROVIDERS: &[(&str, &str)] = &[
    ("amazon-bedrock", "bedrock"),
    ("google", "gemini"),
    ("google-vertex", "vertex"),
    ("google-vertex-anthropic", "vertex"),
    ("togetherai", "together"),
    ("fireworks-ai", "fireworks"),
    ("moonshotai", "moonshot"),
    ("azure-cognitive-services", "azure"),
    ("cloudflare-workers-ai", "cloudflare"),
    ("alibaba", "dashscope"),
    ("novita-ai", "novita"),
    ("friendli", "friendliai"),
    ("github-copilot", "github_copilot"),
    ("vercel", "vercel_ai_gateway"),
];

const RATES: &[(&str, Class)] = &[
    ("input", Class::Input),
    ("output", Class::Output),
    ("cache_read", Class::CacheRead),
    ("cache_write", Class::CacheWrite),
    ("reasoning", Class::Reasoning),
    ("input_audio", Class::AudioInput),
    ("output_audio", Class::AudioOutput),
];

/// Reads the list.
pub(super) fn read(json: Json<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (id, provider) in json.members() {
        // What a subscription covers has no price of its own.
        if id.contains("-plan") {
            continue;
        }
        let ours = PROVIDERS.iter().find(|(theirs, _)| *theirs == id);
        let ours = ours.map_or(&*id, |(_, ours)| ours);
        for (model, content) in provider.get("models").into_iter().flat_map(Json::members) {
            let draft = draft(&model, content);
            if let (Some(name), Some(_)) = (name(ours, &model), draft.clone().finish()) {
                entries.push(Entry { name, list: List::ModelsDev, draft });
            }
        }
    }
    entries
}

/// The price of a model; nothing where what it reads or says has none.
fn draft(id: &str, model: Json<'_>) -> Draft {
    let mut draft = Draft::default();
    let Some(cost) = model.get("cost") else { return draft };
    rates(&mut draft, (Service::Standard, 0), cost);
    for tier in cost.get("tiers").into_iter().flat_map(Json::items) {
        let size = tier
            .at(&["tier", "size"])
            .and_then(|size| Decimal::parse(std::str::from_utf8(size.raw()).ok()?)?.exactly(0));
        if let Some(above) = size {
            rates(&mut draft, (Service::Standard, above), tier);
        }
    }
    for (_, mode) in model.at(&["experimental", "modes"]).into_iter().flat_map(Json::members) {
        let tier = mode.at(&["provider", "body", "service_tier"]);
        let service = match tier.and_then(Json::str).as_deref() {
            Some("priority") => Service::Priority,
            Some("flex") => Service::Flex,
            Some(_) => continue,
            None => Service::Fast,
        };
        mode.get("cost").into_iter().for_each(|cost| rates(&mut draft, (service, 0), cost));
    }
    let has = |class| draft.get((Service::Standard, 0), class).is_some();
    let is_silent = id.contains("embed") || id.contains("rerank");
    if !has(Class::Input) || (!has(Class::Output) && !is_silent) {
        draft.tiers.clear();
    }
    draft
}

fn rates(draft: &mut Draft, tier: (Service, u64), cost: Json<'_>) {
    for (member, value) in cost.members() {
        let Some((_, class)) = RATES.iter().find(|(name, _)| *name == member) else { continue };
        if let Some(rate) = dollars(value).and_then(|number| number.rounded_up(6)) {
            draft.set(tier, *class, rate);
        }
    }
}
