//! The head of a request: from its first byte to method, path, framing and credential.
//!
//! httparse alone is no rival, since it is what cuts the lines for us; its row shows what the rules cost on top.

use std::hint::black_box;

use faregate_wire::{Framing, HeadLimits, Slots, parse_request};

use super::{Group, Operation, Ready};
use crate::input::head::{REQUEST, REQUEST_BODY_BYTES};

pub(super) const GROUP: Group = Group {
    name: "head_request",
    operations: &[
        Operation::ours("393B", whole),
        Operation::by("httparse, no rules", "393B", cut_only),
        Operation::ours("393B, last byte missing", incomplete),
    ],
};

fn whole() -> Ready {
    let expected = REQUEST.len() as u64 + REQUEST_BODY_BYTES;
    Ready::new(REQUEST.len(), expected, || {
        let mut slots = Slots::new();
        let head = parse_request(black_box(REQUEST), &mut slots, &HeadLimits::default());
        let Ok(Some(head)) = head else { return 0 };
        match (head.framing, head.bearer()) {
            (Framing::Length(length), Some(_)) => head.len as u64 + length,
            _ => 0,
        }
    })
}

fn cut_only() -> Ready {
    Ready::new(REQUEST.len(), REQUEST.len() as u64, || {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(black_box(REQUEST)) {
            Ok(httparse::Status::Complete(len)) => len as u64,
            _ => 0,
        }
    })
}

fn incomplete() -> Ready {
    let bytes = &REQUEST[..REQUEST.len() - 1];
    Ready::new(bytes.len(), 1, || {
        let mut slots = Slots::new();
        let head = parse_request(black_box(bytes), &mut slots, &HeadLimits::default());
        u64::from(matches!(head, Ok(None)))
    })
}
