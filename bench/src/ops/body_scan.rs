//! A whole request body to what it asks for: one scan for eleven members, then model, stream and bounds read.
//!
//! Ours checks the grammar at any depth, UTF-8, and that no member of interest occurs twice or in disguise. The libraries
//! look for four members; `skip` keeps the messages as text.

use std::hint::black_box;

use faregate_adapters::{dialect::openai, surface::Surface};
use faregate_wire::Scanner;

use super::{Group, Operation, Ready, json};
use crate::input::{
    Style,
    chat::{self, KIB, MIB, Place},
};

pub(super) const GROUP: Group = Group {
    name: "body_scan",
    operations: &[
        Operation::ours("1KiB, model first", || ours(KIB, Place::First)),
        Operation::ours("1KiB, model last", || ours(KIB, Place::Last)),
        Operation::by("serde_json skip", "1KiB, model last", || by(json::serde_skipped, KIB)),
        Operation::by("sonic-rs skip", "1KiB, model last", || by(json::sonic_skipped, KIB)),
        Operation::by("serde_json Value", "1KiB, model last", || by(json::serde_value, KIB)),
        Operation::by("sonic-rs Value", "1KiB, model last", || by(json::sonic_value, KIB)),
        Operation::ours("64KiB, model first", || ours(64 * KIB, Place::First)),
        Operation::ours("64KiB, model last", || ours(64 * KIB, Place::Last)),
        Operation::by("serde_json skip", "64KiB, model last", || by(json::serde_skipped, 64 * KIB)),
        Operation::by("sonic-rs skip", "64KiB, model last", || by(json::sonic_skipped, 64 * KIB)),
        Operation::by("serde_json Value", "64KiB, model last", || by(json::serde_value, 64 * KIB)),
        Operation::by("sonic-rs Value", "64KiB, model last", || by(json::sonic_value, 64 * KIB)),
        Operation::ours("64KiB in 16KiB pieces", || in_pieces(64 * KIB, 16 * KIB)),
        Operation::ours("64KiB, dense text", || {
            dense(|body| read(Scanner::new(openai::FIELDS), body))
        }),
        Operation::by("serde_json skip", "64KiB, dense text", || dense(json::serde_skipped)),
        Operation::by("sonic-rs skip", "64KiB, dense text", || dense(json::sonic_skipped)),
        Operation::ours("1MiB, model first", || ours(MIB, Place::First)),
        Operation::ours("1MiB, model last", || ours(MIB, Place::Last)),
        Operation::by("serde_json skip", "1MiB, model last", || by(json::serde_skipped, MIB)),
        Operation::by("sonic-rs skip", "1MiB, model last", || by(json::sonic_skipped, MIB)),
        Operation::by("serde_json Value", "1MiB, model last", || by(json::serde_value, MIB)),
        Operation::by("sonic-rs Value", "1MiB, model last", || by(json::sonic_value, MIB)),
    ],
};

fn ours(bytes: usize, place: Place) -> Ready {
    let body = chat::body(bytes, place);
    Ready::new(bytes, json::EXPECTED, move || {
        let body = black_box(&body[..]);
        read(Scanner::new(openai::FIELDS), body)
    })
}

fn in_pieces(bytes: usize, piece: usize) -> Ready {
    let body = chat::body(bytes, Place::Last);
    Ready::new(bytes, json::EXPECTED, move || {
        let body = black_box(&body[..]);
        let mut scanner = Scanner::new(openai::FIELDS);
        for arrived in (piece..body.len()).step_by(piece) {
            if scanner.feed(&body[..arrived]).is_err() {
                return 0;
            }
        }
        read(scanner, body)
    })
}

/// Messages full of escapes and letters beyond ASCII.
fn dense(scan: fn(&[u8]) -> u64) -> Ready {
    let body = chat::body_of(Style::Dense, 64 * KIB, Place::Last);
    Ready::new(body.len(), json::EXPECTED, move || scan(black_box(&body)))
}

fn read(scanner: Scanner, body: &[u8]) -> u64 {
    let Ok(peek) = scanner.finish(body) else { return 0 };
    let Ok(asked) = openai::read(&peek, body, Surface::ChatCompletions) else { return 0 };
    let model = asked.model.map_or(0, |model| model.len());
    json::answer(model, asked.stream, asked.output_max.unwrap_or_default())
}

fn by(library: fn(&[u8]) -> u64, bytes: usize) -> Ready {
    let body = chat::body(bytes, Place::Last);
    Ready::new(bytes, json::EXPECTED, move || library(black_box(&body)))
}
