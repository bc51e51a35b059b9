//! Chunked coding taken off, byte by byte in its framing: the path for what cannot be passed on as it is.

use std::hint::black_box;

use faregate_wire::ChunkReader;

use super::{Group, Operation, Ready};
use crate::input::{chunks, sse};

pub(super) const GROUP: Group = Group {
    name: "chunk_decode",
    operations: &[
        Operation::ours("one of 200B", || ours(1, 200)),
        Operation::by("httparse", "one of 200B", || by_httparse(1, 200)),
        Operation::ours("64 of 250B", || ours(64, 250)),
        Operation::by("httparse", "64 of 250B", || by_httparse(64, 250)),
        Operation::ours("one of 16KiB", || ours(1, 16 * 1024)),
        Operation::by("httparse", "one of 16KiB", || by_httparse(1, 16 * 1024)),
    ],
};

fn wire(count: usize, size: usize) -> Vec<u8> {
    let event = sse::event(&sse::delta(size - 8));
    chunks::each(std::iter::repeat_n(&event[..], count))
}

fn ours(count: usize, size: usize) -> Ready {
    let wire = wire(count, size);
    Ready::new(wire.len(), (count * size) as u64, move || {
        let mut reader = ChunkReader::new();
        let mut rest = black_box(&wire[..]);
        let mut data = 0;
        while !rest.is_empty() {
            let Ok(piece) = reader.next(rest) else { return 0 };
            data += piece.data.len() as u64;
            rest = &rest[piece.consumed..];
        }
        data
    })
}

/// Sizes read by httparse. It counts no framing, takes white space around a size, and leaves the rest to its caller.
pub(super) fn by_httparse(count: usize, size: usize) -> Ready {
    let wire = wire(count, size);
    Ready::new(wire.len(), (count * size) as u64, move || {
        let mut rest = black_box(&wire[..]);
        let mut data = 0;
        while !rest.is_empty() {
            let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest)
            else {
                return 0;
            };
            let Ok(len) = usize::try_from(size) else { return 0 };
            let Some(end) = rest[start..].get(len..len + 2) else { return 0 };
            if end != b"\r\n" {
                return 0;
            }
            data += size;
            rest = &rest[start + len + 2..];
        }
        data
    })
}
