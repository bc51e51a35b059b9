//! A scanned body to the bytes that are sent: the model's name replaced, `include_usage` added.
//!
//! Up to 16 KiB the gateway copies the new body behind the head; a longer one is sent as slices.

use std::hint::black_box;

use super::{Group, Operation, Ready, body_rewrite};
use crate::input::chat::{self, KIB, MIB, Place};

pub(super) const GROUP: Group = Group {
    name: "body_patch",
    operations: &[
        Operation::ours("1KiB, copied", || ours(KIB)),
        Operation::ours("16KiB, copied", || ours(16 * KIB - 256)),
        Operation::ours("64KiB, as slices", || ours(64 * KIB)),
        Operation::ours("1MiB, as slices", || ours(MIB)),
    ],
};

fn ours(bytes: usize) -> Ready {
    let body = chat::body(bytes, Place::Last);
    let peek = body_rewrite::scan(&body);
    Ready::new(bytes, body_rewrite::expected(bytes), move || {
        body_rewrite::patch(black_box(peek.as_ref()), black_box(&body))
    })
}
