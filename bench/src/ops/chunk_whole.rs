//! Whether a read holds whole chunks and nothing else, and the data of each: what lets it be passed on as it is.

use std::hint::black_box;

use faregate_wire::WholeChunks;

use super::{Group, Operation, Ready, chunk_decode};
use crate::input::{chunks, sse};

pub(super) const GROUP: Group = Group {
    name: "chunk_whole",
    operations: &[
        Operation::ours("one of 200B", || ours(1, 200)),
        Operation::by("httparse", "one of 200B", || chunk_decode::by_httparse(1, 200)),
        Operation::ours("64 of 250B", || ours(64, 250)),
        Operation::by("httparse", "64 of 250B", || chunk_decode::by_httparse(64, 250)),
    ],
};

fn ours(count: usize, size: usize) -> Ready {
    let event = sse::event(&sse::delta(size - 8));
    let wire = chunks::each(std::iter::repeat_n(&event[..], count));
    Ready::new(wire.len(), (count * size) as u64, move || {
        let Some(whole) = WholeChunks::all(black_box(&wire)) else { return 0 };
        whole.map(|data| data.len() as u64).sum()
    })
}
