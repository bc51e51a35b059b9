//! Events cut out of what was read, and their data found.
//!
//! The rival searches two LFs and knows nothing else: no CR, no byte order mark, no `data` behind another line, no limit.

use std::hint::black_box;

use faregate_wire::Cutter;
use memchr::memmem::Finder;

use super::{Group, Operation, Ready};
use crate::input::sse;

const KIB: usize = 1024;

pub(super) const GROUP: Group = Group {
    name: "sse_cut",
    operations: &[
        Operation::ours("one of 200B", || ours(1, &sse::delta(192))),
        Operation::by("memchr, LF only", "one of 200B", || by_memchr(1, &sse::delta(192))),
        Operation::ours("80 of 200B", || ours(80, &sse::delta(192))),
        Operation::by("memchr, LF only", "80 of 200B", || by_memchr(80, &sse::delta(192))),
        Operation::ours("400 of 40B", || ours(400, SMALL)),
        Operation::by("memchr, LF only", "400 of 40B", || by_memchr(400, SMALL)),
        Operation::ours("one of 64KiB", || ours(1, &sse::delta(64 * KIB - 8))),
        Operation::by("memchr, LF only", "one of 64KiB", || {
            by_memchr(1, &sse::delta(64 * KIB - 8))
        }),
        Operation::ours("one of 64KiB in 4KiB pieces", || in_pieces(64 * KIB, 4 * KIB)),
    ],
};

/// Data of 32 bytes.
const SMALL: &[u8] = b"{\"type\":\"delta\",\"text\":\"a word\"}";

fn wire(count: usize, data: &[u8]) -> Vec<u8> {
    sse::event(data).repeat(count)
}

/// How many events, and how many bytes of data.
fn answer(count: usize, bytes: usize) -> u64 {
    (count as u64) << 32 | bytes as u64
}

fn ours(count: usize, data: &[u8]) -> Ready {
    let wire = wire(count, data);
    Ready::new(wire.len(), answer(count, count * data.len()), move || {
        cut(&mut Cutter::default(), black_box(&wire))
    })
}

fn cut(cutter: &mut Cutter, wire: &[u8]) -> u64 {
    let (mut count, mut bytes) = (0, 0);
    let mut pending = wire;
    while let Ok(Some(event)) = cutter.cut(pending) {
        count += 1;
        bytes += event.data().unwrap_or_default().len();
        pending = &pending[event.raw.len()..];
    }
    answer(count, bytes)
}

fn in_pieces(bytes: usize, piece: usize) -> Ready {
    let data = sse::delta(bytes - 8);
    let wire = wire(1, &data);
    Ready::new(wire.len(), answer(1, data.len()), move || {
        let wire = black_box(&wire[..]);
        let mut cutter = Cutter::default();
        for arrived in (piece..wire.len()).step_by(piece) {
            if !matches!(cutter.cut(&wire[..arrived]), Ok(None)) {
                return 0;
            }
        }
        cut(&mut cutter, wire)
    })
}

fn by_memchr(count: usize, data: &[u8]) -> Ready {
    let wire = wire(count, data);
    let finder = Finder::new("\n\n");
    Ready::new(wire.len(), answer(count, count * data.len()), move || {
        let (mut count, mut bytes) = (0, 0);
        let mut rest = black_box(&wire[..]);
        while let Some(end) = finder.find(rest) {
            count += 1;
            bytes += rest[..end].strip_prefix(b"data: ").unwrap_or_default().len();
            rest = &rest[end + 2..];
        }
        answer(count, bytes)
    })
}
