//! What a model's name means, in a policy with 200 names and 20 more with `*`.

use std::hint::black_box;

use super::{Group, Operation, Ready, policy_lookup::compiled};
use crate::input::policy;

const PLAIN: usize = 200;
const STARRED: usize = 20;

pub(super) const GROUP: Group = Group {
    name: "model_resolve",
    operations: &[
        Operation::ours("exact", || resolve("model-150", "model-150")),
        Operation::ours("direct", || resolve("a/gpt-5-mini", "")),
        Operation::ours("wildcard, last of 20", || resolve("team-0/llama", "team-0/*")),
        Operation::ours("unknown", || resolve("nobody-has-this", "-")),
    ],
};

/// The answer is the length of the policy's name for it, or of `-`.
fn resolve(asked: &'static str, name: &'static str) -> Ready {
    let policy = compiled(&policy::models(PLAIN, STARRED));
    let found = policy.models.resolve(asked).map_or("-", |found| found.name);
    assert_eq!(found, name, "{asked} should have another meaning");
    Ready::new(asked.len(), name.len() as u64, move || {
        policy.models.resolve(black_box(asked)).map_or(1, |found| found.name.len() as u64)
    })
}
