//! The tables `cache` of models and providers.

use super::{Reader, section::Section};
use crate::cache::PromptCache;

/// Reads the table `cache` of a model or a provider, if it is there.
pub(super) fn read(reader: &Reader<'_>, owner: &Section<'_, '_>) -> Option<PromptCache> {
    owner.given("cache")?;
    let section = owner.table("cache");
    let is_on = section.choice("prompt") == "auto";
    for key in ["ttl", "tokens_min"] {
        if let Some(span) = section.given(key).filter(|_| !is_on) {
            let reason = format!("`{key}` is without effect while nothing is marked");
            reader.clash(&span, reason, "add prompt = \"auto\", or take it out");
        }
    }
    let is_long = section.choice("ttl") == "1h";
    Some(PromptCache { is_on, is_long, tokens_min: section.number("tokens_min") })
}
