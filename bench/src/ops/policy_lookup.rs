//! Who shows a key, among 10,000: the hash of the key, then the table.

use std::hint::black_box;

use faregate_policy::{Policy, key};

use super::{Group, Operation, Ready};
use crate::input::policy::{self, KEY};

const KEYS: usize = 10_000;

pub(super) const GROUP: Group = Group {
    name: "policy_lookup",
    operations: &[
        Operation::ours("hash of a key", hash),
        Operation::ours("hash and find, known", || find(KEY, true)),
        Operation::ours("hash and find, unknown", || find(b"fg-somebody-else", false)),
        Operation::ours("find alone, known", find_alone),
    ],
};

fn hash() -> Ready {
    let expected = u64::from(key::hash(KEY).0[0]);
    Ready::new(KEY.len(), expected, || u64::from(key::hash(black_box(KEY)).0[0]))
}

fn find(key: &'static [u8], known: bool) -> Ready {
    let policy = compiled(&policy::keys(KEYS));
    Ready::new(key.len(), u64::from(known), move || {
        u64::from(policy.caller_of(black_box(key)).is_some_and(|caller| &*caller.key == "k0"))
    })
}

fn find_alone() -> Ready {
    let policy = compiled(&policy::keys(KEYS));
    let hash = key::hash(KEY);
    Ready::new(KEY.len(), 0, move || {
        policy.keys.find(black_box(&hash)).map_or(1, |index| index as u64)
    })
}

/// The policy that `text` means.
#[expect(clippy::panic, reason = "a bench whose own policy is wrong cannot go on")]
pub(super) fn compiled(text: &str) -> Policy {
    Policy::compile(text, "bench.toml", 2, None).unwrap_or_else(|problems| panic!("{problems}"))
}
