//! Which replica is warm for a prompt, and which one takes it.
//!
//! In: a prompt as the spans of its body, the replicas' loads, what answers say of their caches, the present. Out: the
//! replica that costs least. Remembered: where beginnings of prompts have been sent ([`Table`], shared by all cores), and how
//! busy each replica is ([`Load`]).
//!
//! A prompt is hashed in blocks, each over all before it ([`Prompt`]); some depths of it are anchors, close together at the
//! start and an eighth apart further on, so that a conversation that grows finds the anchors of the turn before. What is
//! learned is corrected by what answers say they read from a cache: a replica forgets, and the table must forget with it.

mod choose;
mod homes;
mod load;
mod prompt;
mod table;
mod worth;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub use choose::{Bid, choose};
pub use homes::{Belief, Homes, Keeps, Offer, Seen};
pub use load::Load;
pub use prompt::{BLOCK_BYTES, Prompt, Seed};
pub use table::{Table, Warm, Warmth};
pub use worth::{Even, ONE, Rates, SIDES_MAX, Side, Turn};

/// A replica: what the table knows of it is its number, which is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica(u16);

impl Replica {
    /// The replica with this serial number. Numbers 65,535 apart are the same one, which costs a cold prompt and no more.
    #[must_use]
    pub fn of(serial: u64) -> Self {
        let number = u16::try_from(serial % u64::from(u16::MAX)).unwrap_or(0);
        Self(number + 1)
    }

    /// What has this name, the same in every process.
    #[must_use]
    pub fn named(parts: &[&str]) -> Self {
        Self::of(name_number(parts))
    }
}

/// A number for a name: FNV-1a, a byte that no text holds between its parts.
fn name_number(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ hash >> 32
}

/// The 128-bit product of two numbers, folded to half.
const fn fold(a: u64, b: u64) -> u64 {
    let wide = (a as u128) * (b as u128);
    #[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
    let folded = (wide as u64) ^ ((wide >> 64) as u64);
    folded
}
