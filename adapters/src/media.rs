//! What a request brings or may set off beside text: images, and searches that the provider makes.
//!
//! In: a body in any of the dialects. Out: [`Media`], counted from above. Nothing is remembered.
//!
//! Names are searched for, and the body is read only where a search may be set off. In a text they cannot stand: there,
//! quotes are escaped.

use std::sync::LazyLock;

use faregate_wire::Json;
use memchr::memmem::{self, Finder};

/// Searches of one request where nothing bounds them.
pub const SEARCHES_USUAL: u64 = 10;

/// The most tokens that an image takes, whatever its size. OpenAI's detail `original` is 10,000 patches with 1.62 tokens each;
/// others take less.
pub const IMAGE_TOKENS_MAX: u64 = 16_384;

/// The same at models that count small models' images by many times their tiles: GPT-4o mini.
const IMAGE_TOKENS_MINI: u64 = 49_152;

/// What is beside text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Images, by URL, by name or as data.
    pub images: u64,
    /// Searches, at most, where the body says so; else [`SEARCHES_USUAL`].
    pub searches: u64,
}

/// What all names of images have in common.
static IMAGES: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| [&b"mage"[..], b"nline", b"ileData", b"ile_data"].map(Finder::new));

/// What all names of searches have in common.
static SEARCHES: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [&b"_search"[..], b"googleSearch"].map(Finder::new));

impl Media {
    /// What a body brings; of `choices` answers each may search.
    #[must_use]
    pub fn of(body: &[u8], choices: u64) -> Self {
        let has = |names: &[Finder<'_>]| names.iter().any(|name| name.find(body).is_some());
        let images = if has(&*IMAGES) { images(body) } else { 0 };
        let searches = if has(&*SEARCHES) { searches(body) } else { 0 };
        Self { images, searches: searches.saturating_mul(choices.max(1)) }
    }
}

/// The most tokens that an image takes at a model.
#[must_use]
pub fn image_tokens(model: &str) -> u64 {
    if model.contains("4o-mini") { IMAGE_TOKENS_MINI } else { IMAGE_TOKENS_MAX }
}

fn images(body: &[u8]) -> u64 {
    let count = |name: &[u8]| memmem::find_iter(body, name).count() as u64;
    let of_responses = count(b"\"input_image\"");
    // A part of a chat says it twice: as its type, and as the name of what it holds.
    let of_chat = count(b"\"image_url\"").saturating_sub(of_responses).div_ceil(2);
    let of_gemini = ["inlineData", "inline_data", "fileData", "file_data"];
    let of_gemini: u64 = of_gemini.iter().map(|name| count(format!("\"{name}\"").as_bytes())).sum();
    of_responses + of_chat + count(b"\"image\"") + of_gemini
}

fn searches(body: &[u8]) -> u64 {
    let Some(json) = Json::new(body) else { return 0 };
    let bound = json.get("max_tool_calls").and_then(|calls| calls.u64());
    let mut most = 0_u64;
    for tool in json.get("tools").into_iter().flat_map(|tools| tools.items()) {
        let kind = tool.get_str("type").unwrap_or_default();
        let is_search = kind.starts_with("web_search")
            || ["google_search", "googleSearch"].iter().any(|name| tool.get(name).is_some());
        if is_search {
            let own = tool.get("max_uses").and_then(|uses| uses.u64());
            most = most.saturating_add(own.or(bound).unwrap_or(SEARCHES_USUAL));
        }
    }
    // Models that always search once.
    let always = json.get("web_search_options").is_some_and(|options| options.is_object());
    most.saturating_add(u64::from(always))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, images: u64, searches: u64) {
        assert_eq!(Media::of(body.as_bytes(), 1), Media { images, searches }, "{body}");
    }

    #[test]
    fn images_are_counted_in_every_dialect() {
        let chat = r#"{"type":"image_url","image_url":{"url":"https://e.x/i.png"}}"#;
        check(&format!(r#"{{"messages":[{{"content":[{chat},{chat}]}}]}}"#), 2, 0);
        check(
            r#"{"input":[{"content":[{"type":"input_image","image_url":"https://e.x/i"},{"type":"input_image","file_id":"f"}]}]}"#,
            2,
            0,
        );
        check(
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://e.x"}}]}]}"#,
            1,
            0,
        );
        check(
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}},{"file_data":{}}]}]}"#,
            2,
            0,
        );
        check(r#"{"messages":[{"content":[{"image":{"format":"png"}}]}]}"#, 1, 0);
        check(r#"{"messages":[{"content":"an \"image_url\" and an \"image\""}]}"#, 0, 0);
    }

    #[test]
    fn searches_are_bounded_by_what_the_body_says() {
        check(
            r#"{"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]}"#,
            0,
            3,
        );
        check(r#"{"tools":[{"type":"web_search"}],"max_tool_calls":2}"#, 0, 2);
        check(r#"{"tools":[{"type":"web_search_preview"}]}"#, 0, SEARCHES_USUAL);
        check(r#"{"tools":[{"googleSearch":{}}]}"#, 0, SEARCHES_USUAL);
        check(r#"{"web_search_options":{}}"#, 0, 1);
        check(r#"{"tools":[{"type":"function","function":{"name":"web_search"}}]}"#, 0, 0);
        assert_eq!(Media::of(br#"{"web_search_options":{}}"#, 3).searches, 3);
    }
}
