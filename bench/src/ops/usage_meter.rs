//! The usage of a whole answer, found as it passes in reads of 4 KiB.

use std::hint::black_box;

use faregate_adapters::dialect::openai::UsageMeter;
use serde::Deserialize;
use serde_json::Value;

use super::{Group, Operation, Ready};
use crate::input::answer::{self, COMPLETION_TOKENS, PROMPT_TOKENS};

const KIB: usize = 1024;

/// Bytes that pass at once.
const READ_BYTES: usize = 4 * KIB;

pub(super) const GROUP: Group = Group {
    name: "usage_meter",
    operations: &[
        Operation::ours("2KiB", || of(ours, 2 * KIB)),
        Operation::by("serde_json struct", "2KiB", || of(serde_struct, 2 * KIB)),
        Operation::by("sonic-rs struct", "2KiB", || of(sonic_struct, 2 * KIB)),
        Operation::by("serde_json Value", "2KiB", || of(serde_value, 2 * KIB)),
        Operation::ours("32KiB", || of(ours, 32 * KIB)),
        Operation::by("serde_json struct", "32KiB", || of(serde_struct, 32 * KIB)),
        Operation::by("sonic-rs struct", "32KiB", || of(sonic_struct, 32 * KIB)),
        Operation::by("serde_json Value", "32KiB", || of(serde_value, 32 * KIB)),
    ],
};

fn of(meter: fn(&[u8]) -> u64, bytes: usize) -> Ready {
    let body = answer::body(bytes);
    Ready::new(bytes, PROMPT_TOKENS + COMPLETION_TOKENS, move || meter(black_box(&body)))
}

fn ours(body: &[u8]) -> u64 {
    let mut meter = UsageMeter::default();
    body.chunks(READ_BYTES).for_each(|read| meter.feed(read));
    meter.finish().map_or(0, |usage| usage.total())
}

/// All else is skipped.
#[derive(Deserialize)]
struct Answer {
    usage: Tokens,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u64,
    completion_tokens: u64,
}

fn serde_struct(body: &[u8]) -> u64 {
    let read = serde_json::from_slice::<Answer>(body);
    read.map_or(0, |answer| answer.usage.prompt_tokens + answer.usage.completion_tokens)
}

fn sonic_struct(body: &[u8]) -> u64 {
    let read = sonic_rs::from_slice::<Answer>(body);
    read.map_or(0, |answer| answer.usage.prompt_tokens + answer.usage.completion_tokens)
}

fn serde_value(body: &[u8]) -> u64 {
    let Ok(read) = serde_json::from_slice::<Value>(body) else { return 0 };
    let tokens = ["prompt_tokens", "completion_tokens"].map(|name| read["usage"][name].as_u64());
    tokens.into_iter().flatten().sum()
}
