//! One operation, called again and again where callgrind sees it.
//!
//! In: its name. Out, to standard output: how many calls there were and what they asked of the allocator, as JSON.

use std::hint::black_box;

use faregate_bench::ops::{self, Ready};
use serde::{Deserialize, Serialize};

use crate::{allocations, print};

/// Calls of an operation that looks at little.
const TURNS_MAX: usize = 100;

/// Bytes that all calls together look at, roughly: callgrind is fifty times slower than the machine.
const BYTES: usize = 2 << 20;

/// What a child says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    /// Calls that were counted.
    pub(super) turns: u64,
    /// Blocks that they asked for.
    pub(super) blocks: u64,
    /// Bytes of those.
    pub(super) bytes: u64,
}

/// Runs the operation `name`.
///
/// # Errors
///
/// When there is none.
pub(super) fn run(name: &str) -> Result<(), String> {
    let operation = ops::all().find(|(other, _)| other == name);
    let (_, operation) = operation.ok_or_else(|| format!("no operation {name}"))?;
    let mut ready = (operation.set_up)();
    // What happens only once (tables of the searcher, growth of the heap) happens here.
    ready.check(name);
    let turns = (BYTES / ready.bytes.max(1)).clamp(2, TURNS_MAX);
    let before = allocations::asked();
    counted_turns(&mut ready, turns);
    let after = allocations::asked();
    ready.check(name);
    let told = Told {
        turns: turns as u64,
        blocks: after.blocks - before.blocks,
        bytes: after.bytes - before.bytes,
    };
    print::result(&serde_json::to_string(&told).map_err(|error| error.to_string())?);
    Ok(())
}

/// What callgrind counts: see [`super::callgrind::COUNTED`], which is this name.
#[inline(never)]
fn counted_turns(ready: &mut Ready, turns: usize) {
    for _ in 0..turns {
        black_box(ready.call());
    }
}
