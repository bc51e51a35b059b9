//! What a policy with rules adds to a request: the shape of its body, its difficulty, and the rules themselves.
//!
//! `chat` is prose in messages of 600 bytes, `dense` the same full of escapes; `tools` is an agent's request, most of it
//! definitions of tools, where quotes and brackets are dense.

use std::hint::black_box;

use faregate_adapters::shape::Shape;
use faregate_policy::{
    route::Difficulty,
    rule::{Facts, FlagField, Known, NumberField, Rule, TextField},
};

use super::{Group, Operation, Ready};
use crate::input::{
    Style,
    chat::{self, KIB, Place},
};

pub(super) const GROUP: Group = Group {
    name: "route_rule",
    operations: &[
        Operation::ours("difficulty, 1KiB chat", || difficulty(chat::body(KIB, Place::First))),
        Operation::ours("difficulty, 16KiB chat", || {
            difficulty(chat::body(16 * KIB, Place::First))
        }),
        Operation::ours("difficulty, 16KiB dense", || {
            difficulty(chat::body_of(Style::Dense, 16 * KIB, Place::First))
        }),
        Operation::ours("difficulty, 16KiB tools", || difficulty(tools(16 * KIB))),
        Operation::ours("difficulty, 64KiB chat", || {
            difficulty(chat::body(64 * KIB, Place::First))
        }),
        Operation::ours("short condition", || holds("difficulty > 0.7 or tools")),
        Operation::ours("long condition", || {
            holds(
                "team in [\"a\", \"b\", \"search\"] and not stream and (input_tokens + 2 * max_tokens > 8k or \
                 model matches \"gpt-*-mini\") and header[\"x-tier\"] != \"gold\" and hour(\"+02:00\") < 24",
            )
        }),
    ],
};

/// The answer is the difficulty in thousandths.
fn difficulty(body: Vec<u8>) -> Ready {
    let of = |body: &[u8]| thousandths(Difficulty::of(&Shape::of(body)).value);
    let expected = of(&body);
    assert!((1..1000).contains(&expected), "a body without a shape is another measurement");
    Ready::new(body.len(), expected, move || of(black_box(&body)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1"
)]
fn thousandths(share: f64) -> u64 {
    (share * 1000.0) as u64
}

/// An agent's request of about `bytes` bytes.
fn tools(bytes: usize) -> Vec<u8> {
    const TOOL: &str = "{\"type\":\"function\",\"function\":{\"name\":\"read_file\",\"description\":\"Reads a file.\",\
        \"parameters\":{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"limit\":{\"type\":\
        \"integer\"}},\"required\":[\"path\"]}}}";
    let list = vec![TOOL; bytes / TOOL.len()].join(",");
    format!(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"Debug this.\"}}],\"tools\":[{list}]}}"
    )
    .into_bytes()
}

/// A request of team `search`.
struct Sample;

impl Facts for Sample {
    fn flag(&self, _: FlagField) -> bool {
        false
    }

    fn number(&self, field: NumberField) -> f64 {
        if field == NumberField::Difficulty { 0.8 } else { 4000.0 }
    }

    fn text(&self, field: TextField) -> &str {
        if field == TextField::Team { "search" } else { "gpt-5-mini" }
    }

    fn header(&self, _: usize) -> &str {
        "silver"
    }

    fn tag(&self, _: usize) -> &str {
        ""
    }

    fn healthy(&self, _: usize) -> bool {
        true
    }

    fn wall_nanos(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

fn holds(text: &'static str) -> Ready {
    let rule = Rule::compile(text, &mut Known::default()).expect("the condition is right");
    Ready::new(text.len(), 1, move || u64::from(black_box(&rule).holds(black_box(&Sample))))
}
