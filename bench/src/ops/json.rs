//! How a library would read the request: three fields as they are, the messages left alone.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, LazyValue};

use crate::input::chat::{MAX_TOKENS, MODEL};

/// The answer to every reading of a body of ours.
pub(super) const EXPECTED: u64 = answer(MODEL.len(), true, MAX_TOKENS);

/// What was read, as a number.
pub(super) const fn answer(model: usize, stream: bool, max_tokens: u64) -> u64 {
    max_tokens << 16 | (model as u64) << 1 | stream as u64
}

#[derive(Deserialize)]
struct Skipped<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    stream: bool,
    max_tokens: u64,
    #[serde(borrow)]
    messages: &'a RawValue,
}

#[derive(Deserialize)]
struct Lazy<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    stream: bool,
    max_tokens: u64,
    #[serde(borrow)]
    messages: LazyValue<'a>,
}

/// serde_json into a struct; the messages stay text.
pub(super) fn serde_skipped(body: &[u8]) -> u64 {
    let Ok(read) = serde_json::from_slice::<Skipped<'_>>(body) else { return 0 };
    if read.messages.get().is_empty() {
        0
    } else {
        answer(read.model.len(), read.stream, read.max_tokens)
    }
}

/// sonic-rs into a struct; the messages stay text.
pub(super) fn sonic_skipped(body: &[u8]) -> u64 {
    let Ok(read) = sonic_rs::from_slice::<Lazy<'_>>(body) else { return 0 };
    let is_empty = read.messages.as_raw_str().is_empty();
    if is_empty { 0 } else { answer(read.model.len(), read.stream, read.max_tokens) }
}

/// serde_json into a tree.
pub(super) fn serde_value(body: &[u8]) -> u64 {
    let Ok(read) = serde_json::from_slice::<serde_json::Value>(body) else { return 0 };
    let model = read["model"].as_str().map_or(0, str::len);
    let stream = read["stream"].as_bool().unwrap_or_default();
    answer(model, stream, read["max_tokens"].as_u64().unwrap_or_default())
}

/// sonic-rs into a tree.
pub(super) fn sonic_value(body: &[u8]) -> u64 {
    let Ok(read) = sonic_rs::from_slice::<sonic_rs::Value>(body) else { return 0 };
    let Some(read) = read.as_object() else { return 0 };
    let model = read.get(&"model").as_str().map_or(0, str::len);
    let stream = read.get(&"stream").as_bool().unwrap_or_default();
    answer(model, stream, read.get(&"max_tokens").as_u64().unwrap_or_default())
}
