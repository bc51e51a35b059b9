//! The head of a streamed answer: from its first byte to status, framing and kind of body.

use std::hint::black_box;

use faregate_wire::{Framing, HeadLimits, Method, Slots, parse_response};

use super::{Group, Operation, Ready};
use crate::input::head::RESPONSE;

pub(super) const GROUP: Group = Group {
    name: "head_response",
    operations: &[
        Operation::ours("stream", whole),
        Operation::by("httparse, no rules", "stream", cut_only),
    ],
};

fn whole() -> Ready {
    Ready::new(RESPONSE.len(), RESPONSE.len() as u64, || {
        let mut slots = Slots::new();
        let limits = HeadLimits::default();
        let head = parse_response(black_box(RESPONSE), &mut slots, &limits, Method::Post);
        match head {
            Ok(Some(head)) if head.framing == Framing::Chunked && head.is_event_stream => {
                head.len as u64
            }
            _ => 0,
        }
    })
}

fn cut_only() -> Ready {
    Ready::new(RESPONSE.len(), RESPONSE.len() as u64, || {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(black_box(RESPONSE)) {
            Ok(httparse::Status::Complete(len)) => len as u64,
            _ => 0,
        }
    })
}
