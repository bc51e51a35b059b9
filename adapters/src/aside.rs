//! What an answer says beside its tokens that has a price: how it was served, and searches that the provider made.
//!
//! In: a whole answer, or an event of a stream that tells usage, in any dialect: no two of them mean different things by one
//! name. Out: an [`Aside`]. Nothing is remembered.
//!
//! Only members that the provider itself writes are believed; what it gives back of the request (metadata, tools) is not.

use faregate_wire::Json;
use memchr::memmem;

/// What is said beside tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// The tier that it was served in, as one of [`TIERS`].
    pub tier: Option<&'static str>,
    /// Searches that were made.
    pub searches: Option<u64>,
}

/// Tiers that are known; others say nothing.
pub const TIERS: [&str; 9] =
    ["default", "standard", "on_demand", "scale", "batch", "flex", "priority", "fast", "ultrafast"];

/// Those that mean the usual one.
const USUAL: [&[u8]; 3] = [b"\"default\"", b"\"standard\"", b"\"on_demand\""];

/// The name of a tier, in most dialects.
const SNAKE: &[u8] = b"\"service_tier\"";

/// Where a tier is said.
const TIER_PATHS: [&[&str]; 7] = [
    &["service_tier"],
    &["usage", "service_tier"],
    &["message", "usage", "service_tier"],
    &["response", "service_tier"],
    &["usageMetadata", "serviceTier"],
    &["serviceTier", "type"],
    &["metadata", "serviceTier", "type"],
];

/// Where Anthropic counts searches.
const SEARCH_PATHS: [&[&str]; 2] = [
    &["usage", "server_tool_use", "web_search_requests"],
    &["message", "usage", "server_tool_use", "web_search_requests"],
];

impl Aside {
    /// What the text says; what is not as expected says nothing.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        let camel = memmem::find(data, b"\"serviceTier\"").is_some();
        let tiers = camel || memmem::find(data, SNAKE).is_some();
        let searches = memmem::find(data, b"web_search").is_some();
        let usual = tiers && !camel && is_usual(data);
        if !searches && (usual || !tiers) {
            return Self { tier: usual.then_some(TIERS[0]), searches: None };
        }
        let Some(json) = Json::new(data) else { return Self::default() };
        Self {
            tier: if tiers { tier(json) } else { None },
            searches: if searches { self::searches(json) } else { None },
        }
    }

    /// The tier of this name.
    #[must_use]
    pub fn of_tier(said: Option<&str>) -> Self {
        Self { tier: said.and_then(known), searches: None }
    }

    /// With what a later report says of the same answer.
    #[must_use]
    pub fn over(self, before: Self) -> Self {
        Self { tier: self.tier.or(before.tier), searches: self.searches.or(before.searches) }
    }
}

/// Whether the usual tier is all that is said, wherever it is: the text need not be read then.
fn is_usual(data: &[u8]) -> bool {
    let is_told = |at: usize| {
        let rest = data[at + SNAKE.len()..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { return false };
        let rest = rest.trim_ascii_start();
        USUAL.iter().any(|word| rest.starts_with(word))
    };
    memmem::find_iter(data, SNAKE).all(is_told)
}

fn tier(json: Json<'_>) -> Option<&'static str> {
    let said = TIER_PATHS.iter().find_map(|path| json.at(path)?.str())?;
    known(&said)
}

fn known(said: &str) -> Option<&'static str> {
    let said = said.to_ascii_lowercase();
    let said = said.strip_prefix("service_tier_").unwrap_or(&said);
    TIERS.into_iter().find(|tier| *tier == said)
}

fn searches(json: Json<'_>) -> Option<u64> {
    if let Some(count) = SEARCH_PATHS.iter().find_map(|path| json.at(path)?.u64()) {
        return Some(count);
    }
    // OpenAI's Responses: each call is an item of the output.
    let output = json.get("output").or_else(|| json.at(&["response", "output"]))?;
    let items = output.items();
    let is_search = |item: &Json<'_>| item.get_str("type").as_deref() == Some("web_search_call");
    Some(items.filter(is_search).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, tier: Option<&str>, searches: Option<u64>) {
        let found = Aside::of(text.as_bytes());
        assert_eq!((found.tier, found.searches), (tier, searches), "{text}");
    }

    #[test]
    fn each_dialect_says_how_it_was_served() {
        check(r#"{"usage":{"prompt_tokens":1},"service_tier":"default"}"#, Some("default"), None);
        check(r#"{"service_tier": "priority","usage":{}}"#, Some("priority"), None);
        check(
            r#"{"type":"response.completed","response":{"service_tier":"flex"}}"#,
            Some("flex"),
            None,
        );
        check(
            r#"{"type":"message_start","message":{"usage":{"service_tier":"batch"}}}"#,
            Some("batch"),
            None,
        );
        check(r#"{"usageMetadata":{"serviceTier":"PRIORITY"}}"#, Some("priority"), None);
        check(r#"{"serviceTier":{"type":"flex"}}"#, Some("flex"), None);
        check(r#"{"service_tier":"unheard_of"}"#, None, None);
        check(r#"{"service_tier":null}"#, None, None);
        check("{}", None, None);
    }

    #[test]
    fn what_a_client_has_written_is_not_believed() {
        check(
            r#"{"metadata":{"service_tier":"flex"},"service_tier":"priority"}"#,
            Some("priority"),
            None,
        );
        check(
            r#"{"metadata":{"service_tier":"flex"},"service_tier":"default"}"#,
            Some("default"),
            None,
        );
        check(r#"{"choices":[{"text":"\"service_tier\":\"flex\""}]}"#, None, None);
        check(r#"{"metadata":{"service_tier":"flex"}}"#, None, None);
    }

    #[test]
    fn searches_are_counted() {
        check(
            r#"{"usage":{"server_tool_use":{"web_search_requests":3},"service_tier":"standard"}}"#,
            Some("standard"),
            Some(3),
        );
        check(
            r#"{"output":[{"type":"web_search_call"},{"type":"message"},{"type":"web_search_call"}],"tools":[{"type":"web_search"}]}"#,
            None,
            Some(2),
        );
        check(
            r#"{"type":"response.completed","response":{"output":[],"tools":[{"type":"web_search"}]}}"#,
            None,
            Some(0),
        );
    }
}
