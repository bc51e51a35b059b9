//! A request whose workload keeps its answers: the key of all that shapes the answer, then the table of 10,000 that are kept.
//!
//! What such a request pays before it goes anywhere, beside the scan, which it pays anyway. `key` is the hashing alone; a
//! workload that keeps nothing pays none of it. `keep` is another answer under the same key, in the place of the one before.

use std::{cell::Cell, hint::black_box, sync::Arc};

use faregate_adapters::{repeat, surface::Surface};
use faregate_policy::{
    Nanos,
    cache::{
        key::{CacheKey, KeyMaker},
        table::{Entry, Table},
    },
};
use faregate_wire::Json;

use super::{Group, Operation, Ready};
use crate::input::chat::{self, KIB, Place};

const NOW: Nanos = Nanos(1_000_000_000);
const LATER: Nanos = Nanos(u64::MAX);
const KEPT: u64 = 10_000;
const MEMORY: u64 = 64 << 20;
const FIELDS: &[u8] = b"content-type: application/json\r\naccept: application/json\r\n\
    user-agent: OpenAI/Python 2.8.0\r\nx-stainless-lang: python\r\nx-stainless-os: Linux\r\n";

pub(super) const GROUP: Group = Group {
    name: "answer_cache",
    operations: &[
        Operation::ours("1KiB, key", || hash(KIB)),
        Operation::ours("16KiB, key", || hash(16 * KIB)),
        Operation::ours("64KiB, key", || hash(64 * KIB)),
        Operation::ours("1KiB, hit", || look_up(KIB, true)),
        Operation::ours("1KiB, miss", || look_up(KIB, false)),
        Operation::ours("16KiB, hit", || look_up(16 * KIB, true)),
        Operation::ours("keep", keep),
    ],
};

fn key(body: &[u8]) -> Option<CacheKey> {
    let mut maker = KeyMaker::new("bench");
    maker.add("tenant", b"team/7:default/6:search");
    maker.add("workload", b"faq");
    maker.add("target", b"openai/gpt-5-mini");
    maker.add_fields(black_box(FIELDS));
    maker.add_body(Json::new(body)?, repeat::left_out(Surface::ChatCompletions));
    Some(maker.finish())
}

fn other(number: u64) -> CacheKey {
    let mut maker = KeyMaker::new("other");
    maker.add("number", &number.to_le_bytes());
    maker.finish()
}

fn full() -> Table<u64> {
    let table = Table::new(MEMORY);
    for number in 0..KEPT {
        table.keep(Arc::new(Entry::new(other(number), number, 1024, NOW, LATER)), NOW);
    }
    table
}

fn hash(bytes: usize) -> Ready {
    let body = chat::body(bytes, Place::First);
    let expected = key(&body);
    Ready::new(body.len(), 1, move || u64::from(key(black_box(&body)) == expected))
}

fn look_up(bytes: usize, hits: bool) -> Ready {
    let body = chat::body(bytes, Place::First);
    let table = full();
    if let Some(key) = key(&body).filter(|_| hits) {
        table.keep(Arc::new(Entry::new(key, KEPT, 1024, NOW, LATER)), NOW);
    }
    Ready::new(body.len(), u64::from(hits), move || {
        let found = key(black_box(&body)).and_then(|key| table.find(&key, NOW));
        u64::from(found.is_some_and(|entry| entry.value == KEPT))
    })
}

fn keep() -> Ready {
    let table = full();
    let next = Cell::new(0);
    Ready::new(1024, 1, move || {
        let number = next.replace((next.get() + 1) % KEPT);
        let entry = Entry::new(other(number), number, 1024, NOW, LATER);
        u64::from(table.keep(Arc::new(entry), NOW))
    })
}
