//! A policy file to a policy, with 1,000 keys: what a reload costs its thread.
//!
//! toml alone is no rival, since it is what reads the file for us; its row shows what checking and indexing cost on top.

use std::hint::black_box;

use faregate_policy::Policy;

use super::{Group, Operation, Ready};
use crate::input::policy;

const KEYS: usize = 1_000;

pub(super) const GROUP: Group = Group {
    name: "policy_compile",
    operations: &[
        Operation::ours("1,000 keys", ours),
        Operation::by("toml, no checks", "1,000 keys", parse_only),
    ],
};

fn ours() -> Ready {
    let text = policy::keys(KEYS);
    Ready::new(text.len(), KEYS as u64, move || {
        let policy = Policy::compile(black_box(&text), "bench.toml", 2, None);
        policy.map_or(0, |policy| policy.keys.len() as u64)
    })
}

fn parse_only() -> Ready {
    let text = policy::keys(KEYS);
    Ready::new(text.len(), KEYS as u64, move || {
        let Ok(table) = black_box(&text).parse::<toml::Table>() else { return 0 };
        table.get("keys").and_then(|keys| keys.as_array()).map_or(0, |keys| keys.len() as u64)
    })
}
