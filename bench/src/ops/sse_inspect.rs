//! What one event of a stream says: content, usage, the end.

use std::{borrow::Cow, hint::black_box};

use faregate_adapters::dialect::openai;
use serde::Deserialize;
use serde_json::Value;
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _};

use super::{Group, Operation, Ready};
use crate::input::sse;

pub(super) const GROUP: Group = Group {
    name: "sse_inspect",
    operations: &[
        Operation::ours("content, 192B", || content(ours)),
        Operation::by("serde_json struct", "content, 192B", || content(serde_struct)),
        Operation::by("serde_json Value", "content, 192B", || content(serde_value)),
        Operation::by("sonic-rs struct", "content, 192B", || content(sonic_struct)),
        Operation::by("sonic-rs Value", "content, 192B", || content(sonic_value)),
        Operation::ours("usage", || usage(ours)),
        Operation::by("serde_json struct", "usage", || usage(serde_struct)),
        Operation::by("serde_json Value", "usage", || usage(serde_value)),
        Operation::by("sonic-rs struct", "usage", || usage(sonic_struct)),
        Operation::by("sonic-rs Value", "usage", || usage(sonic_value)),
        Operation::ours("[DONE]", || of(ours, sse::DONE, answer(false, true, 0))),
    ],
};

fn content(inspect: fn(&[u8]) -> u64) -> Ready {
    of(inspect, &sse::delta(192), answer(true, false, 0))
}

fn usage(inspect: fn(&[u8]) -> u64) -> Ready {
    of(inspect, sse::USAGE, answer(false, false, sse::USAGE_TOKENS))
}

fn of(inspect: fn(&[u8]) -> u64, data: &[u8], expected: u64) -> Ready {
    let data = data.to_vec();
    Ready::new(data.len(), expected, move || inspect(black_box(&data)))
}

fn answer(content: bool, done: bool, tokens: u64) -> u64 {
    tokens << 2 | u64::from(content) << 1 | u64::from(done)
}

fn ours(data: &[u8]) -> u64 {
    let seen = openai::inspect(data);
    answer(seen.content, seen.done, seen.usage.map_or(0, |usage| usage.total()))
}

/// What a library would be asked for. Text alone counts as content; ours also knows reasoning, refusals, tools, audio.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Chunk<'_> {
    fn answer(&self) -> u64 {
        let texts = self.choices.iter().filter_map(|choice| choice.delta.content.as_deref());
        let tokens = self.usage.as_ref().map_or(0, |it| it.prompt_tokens + it.completion_tokens);
        answer(texts.into_iter().any(|text| !text.is_empty()), false, tokens)
    }
}

fn serde_struct(data: &[u8]) -> u64 {
    serde_json::from_slice::<Chunk<'_>>(data).map_or(0, |chunk| chunk.answer())
}

fn sonic_struct(data: &[u8]) -> u64 {
    sonic_rs::from_slice::<Chunk<'_>>(data).map_or(0, |chunk| chunk.answer())
}

fn serde_value(data: &[u8]) -> u64 {
    let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return 0 };
    let text = chunk["choices"][0]["delta"]["content"].as_str();
    let usage = &chunk["usage"];
    let [prompt, completion] =
        ["prompt_tokens", "completion_tokens"].map(|name| usage[name].as_u64().unwrap_or_default());
    answer(text.is_some_and(|text| !text.is_empty()), false, prompt + completion)
}

fn sonic_value(data: &[u8]) -> u64 {
    let Ok(chunk) = sonic_rs::from_slice::<sonic_rs::Value>(data) else { return 0 };
    let choice = chunk.get("choices").and_then(|choices| choices.as_array()?.first());
    let text = choice.and_then(|choice| choice.get("delta")?.get("content")?.as_str());
    let [prompt, completion] = ["prompt_tokens", "completion_tokens"].map(|name| {
        chunk.get("usage").and_then(|usage| usage.get(name)?.as_u64()).unwrap_or_default()
    });
    answer(text.is_some_and(|text| !text.is_empty()), false, prompt + completion)
}
