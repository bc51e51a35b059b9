//! A request body to the bytes that are sent, scan and patch together, beside libraries that parse, set and write.

use std::hint::black_box;

use faregate_adapters::dialect::openai;
use faregate_wire::{Patch, Peek, Scanner};
use serde_json::{Value, json};
use sonic_rs::JsonValueMutTrait as _;

use super::{Group, Operation, Ready};
use crate::input::chat::{self, KIB, MIB, MODEL, Place};

/// What the provider calls the model.
const UPSTREAM_MODEL: &str = "gpt-4o-mini-2024-07-18";

/// The most bytes of a body that the gateway copies behind the head: `COPY_BYTES_MAX` in its `obtain.rs`.
const COPY_BYTES_MAX: usize = 16 * KIB;

pub(super) const GROUP: Group = Group {
    name: "body_rewrite",
    operations: &[
        Operation::ours("1KiB", || by(ours, KIB)),
        Operation::by("serde_json Value", "1KiB", || by(serde_value, KIB)),
        Operation::by("sonic-rs Value", "1KiB", || by(sonic_value, KIB)),
        Operation::ours("64KiB", || by(ours, 64 * KIB)),
        Operation::by("serde_json Value", "64KiB", || by(serde_value, 64 * KIB)),
        Operation::by("sonic-rs Value", "64KiB", || by(sonic_value, 64 * KIB)),
        Operation::ours("1MiB", || by(ours, MIB)),
        Operation::by("serde_json Value", "1MiB", || by(serde_value, MIB)),
        Operation::by("sonic-rs Value", "1MiB", || by(sonic_value, MIB)),
    ],
};

fn by(rewrite: fn(&[u8]) -> u64, bytes: usize) -> Ready {
    let body = chat::body(bytes, Place::Last);
    Ready::new(bytes, expected(bytes), move || rewrite(black_box(&body)))
}

/// Bytes of the new body.
pub(super) fn expected(bytes: usize) -> u64 {
    let added = ",\"stream_options\":{\"include_usage\":true}".len();
    (bytes + UPSTREAM_MODEL.len() - MODEL.len() + added) as u64
}

fn ours(body: &[u8]) -> u64 {
    patch(scan(body).as_ref(), body)
}

/// Where the members of interest are.
pub(super) fn scan(body: &[u8]) -> Option<Peek> {
    Scanner::new(openai::FIELDS).finish(body).ok()
}

/// Makes the new body as the gateway does, and says how long it is.
pub(super) fn patch(peek: Option<&Peek>, body: &[u8]) -> u64 {
    let Some(peek) = peek else { return 0 };
    let Some(span) = peek.span(openai::field::MODEL) else { return 0 };
    let mut patch = Patch::new();
    let mut quoted = Vec::with_capacity(UPSTREAM_MODEL.len() + 2);
    faregate_wire::quote(&mut quoted, UPSTREAM_MODEL);
    patch.replace(span, quoted);
    openai::include_usage_edit(&mut patch, peek, body);
    if patch.len(body) <= COPY_BYTES_MAX {
        let mut out = Vec::with_capacity(patch.len(body));
        patch.write(body, &mut out);
        return black_box(&out).len() as u64;
    }
    let mut parts: Vec<&[u8]> = Vec::with_capacity(8);
    patch.parts(body, &mut parts);
    black_box(&parts).iter().map(|part| part.len() as u64).sum()
}

fn serde_value(body: &[u8]) -> u64 {
    let Ok(mut tree) = serde_json::from_slice::<Value>(body) else { return 0 };
    tree["model"] = UPSTREAM_MODEL.into();
    tree["stream_options"] = json!({"include_usage": true});
    serde_json::to_vec(&tree).map_or(0, |out| black_box(&out).len() as u64)
}

fn sonic_value(body: &[u8]) -> u64 {
    let Ok(mut tree) = sonic_rs::from_slice::<sonic_rs::Value>(body) else { return 0 };
    let Some(object) = tree.as_object_mut() else { return 0 };
    object.insert(&"model", UPSTREAM_MODEL);
    object.insert(&"stream_options", sonic_rs::json!({"include_usage": true}));
    sonic_rs::to_vec(&tree).map_or(0, |out| black_box(&out).len() as u64)
}
