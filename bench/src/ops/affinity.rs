//! A prompt to the replica that takes it: spans of a scanned body hashed, a table of a million anchors looked up, eight
//! replicas weighed.
//!
//! What a request pays for `affinity = "prefix"`, beside the scan, which it pays anyway. `hash` is the hashing alone. A hit
//! is found at its deepest anchor; a miss has all its anchors looked for.

use std::{hint::black_box, rc::Rc};

use faregate_adapters::dialect::openai;
use faregate_policy::{
    Nanos,
    affinity::{Bid, Prompt, Replica, Seed, Table, choose},
};
use faregate_wire::Scanner;

use super::{Group, Operation, Ready};
use crate::input::chat::{self, KIB, Place};

const NOW: Nanos = Nanos(1_000_000_000);
const SEED: Seed = Seed::new([0x1234_5678, 0x9abc_def0, 0x0fed_cba9, 0x8765_4321]);
const REPLICAS: u64 = 8;

/// Two thirds of a table of 1,048,576 slots.
const OTHERS: u64 = 24_000;
const TABLE_BYTES: usize = 16 * 1024 * KIB;

pub(super) const GROUP: Group = Group {
    name: "affinity",
    operations: &[
        Operation::ours("1KiB, hash", || hash(KIB)),
        Operation::ours("1KiB, hit", || route(KIB, true)),
        Operation::ours("1KiB, miss", || route(KIB, false)),
        Operation::ours("16KiB, hash", || hash(16 * KIB)),
        Operation::ours("16KiB, hit", || route(16 * KIB, true)),
        Operation::ours("16KiB, miss", || route(16 * KIB, false)),
        Operation::ours("64KiB, hit", || route(64 * KIB, true)),
        Operation::ours("64KiB, miss", || route(64 * KIB, false)),
    ],
};

/// The conversation of a body, as the scan has found it.
fn talk(bytes: usize) -> Vec<u8> {
    let body = chat::body(bytes, Place::First);
    let peek = Scanner::new(openai::FIELDS).finish(&body);
    let span = peek.ok().and_then(|peek| peek.span(openai::field::MESSAGES));
    span.map_or_else(Vec::new, |span| body[span].to_vec())
}

fn prompt(talk: &[u8]) -> Prompt {
    let mut prompt = Prompt::new(&SEED, &["team/search", "fleet", "qwen3-32b"]);
    prompt.add(black_box(talk));
    prompt
}

fn hash(bytes: usize) -> Ready {
    let talk = talk(bytes);
    let expected = u64::from(prompt(&talk).blocks());
    Ready::new(talk.len(), expected, move || u64::from(prompt(&talk).blocks()))
}

fn route(bytes: usize, hits: bool) -> Ready {
    let talk = talk(bytes);
    let table = Rc::new(Table::new(TABLE_BYTES));
    for other in 0..OTHERS {
        let mut full = Prompt::new(&SEED, &[&other.to_string()]);
        full.add(&vec![7; 16 * KIB]);
        table.note(&full, Replica::of(other % REPLICAS), NOW);
    }
    if hits {
        table.note(&prompt(&talk), Replica::of(5), NOW);
    }
    let right = move |taken: Option<usize>| u64::from(taken == Some(5) || !hits);
    Ready::new(talk.len(), 1, move || {
        let prompt = prompt(&talk);
        let warmth = table.look_up(&prompt, NOW);
        let bid = |serial: u64| {
            let warm = warmth.of(Replica::of(serial)).map_or(0, |warm| warm.depth);
            let cold = prompt.blocks() - warm;
            Bid { cold, name: serial, is_open: true, ..Bid::default() }
        };
        let bids: [Bid; 8] = std::array::from_fn(|serial| bid(serial as u64));
        right(choose(&bids, prompt.first()))
    })
}
