//! Targets with prices and caches, and ways of choosing among them.
//!
//! The prices are made up after those of providers: some ask more for what is written to the cache and a tenth for what is
//! read from it, some ask half, some have no cache and ask less for all. None is the cheapest for every conversation.

use std::collections::HashMap;

use faregate_policy::{
    Nanos,
    affinity::{BLOCK_BYTES, Belief, Even, Homes, Keeps, ONE, Offer, Prompt, Replica, Seed, Turn},
};

use super::traffic;
use crate::fleet::random::{Random, mix};

/// A way of choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Where the first turn is cheapest; then there, until that fails.
    Pinned,
    /// Where this turn is cheapest.
    Cheapest,
    /// As the gateway chooses.
    BreakEven,
}

impl Way {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Pinned, Self::Cheapest, Self::BreakEven];
}

/// A target.
struct Seller {
    /// Pico-dollars a token: input, written to the cache, read from it, output.
    rates: [u64; 4],
    /// What it says of its cache.
    keeps: Keeps,
    /// How long it keeps what it has read, in seconds: exactly, or on average.
    life: Life,
}

enum Life {
    Exact(f64),
    Mean(f64),
    Nothing,
}

const SELLERS: [Seller; 5] = [
    Seller {
        rates: [3_000_000, 3_750_000, 300_000, 15_000_000],
        keeps: Keeps { seconds: 300, tokens_min: 1024 },
        life: Life::Exact(300.0),
    },
    Seller {
        rates: [2_500_000, 2_500_000, 250_000, 14_000_000],
        keeps: Keeps { seconds: 600, tokens_min: 1024 },
        life: Life::Mean(500.0),
    },
    Seller {
        rates: [1_300_000, 1_300_000, 650_000, 10_000_000],
        keeps: Keeps { seconds: 300, tokens_min: 1024 },
        life: Life::Mean(1500.0),
    },
    Seller {
        rates: [1_100_000, 1_100_000, 1_100_000, 8_000_000],
        keeps: Keeps { seconds: 600, tokens_min: 1024 },
        life: Life::Nothing,
    },
    // Says that it caches, and hardly does.
    Seller {
        rates: [1_600_000, 1_600_000, 160_000, 9_000_000],
        keeps: Keeps { seconds: 600, tokens_min: 1024 },
        life: Life::Mean(25.0),
    },
];

/// Bytes of a token.
const TOKEN_BYTES: u64 = 4;

/// A target fails for so many seconds on end, the next time after so many, on average.
const DOWN_SECONDS: f64 = 40.0;
const UP_SECONDS: f64 = 700.0;

/// One run.
pub(super) struct Market {
    way: Way,
    homes: Homes,
    seed: u64,
    /// What each target has of each conversation: tokens, and until when.
    caches: [HashMap<usize, (u64, f64)>; SELLERS.len()],
    /// Where each conversation is pinned.
    pins: HashMap<usize, usize>,
    /// When each target fails: from, to.
    outages: Vec<Vec<(f64, f64)>>,
}

impl Market {
    /// Nothing is known yet.
    pub(super) fn new(way: Way, seed: u64) -> Self {
        let outages = (0..SELLERS.len()).map(|seller| outages(mix(seed, seller as u64)));
        Self {
            way,
            homes: Homes::new(8 << 20),
            seed,
            caches: std::array::from_fn(|_| HashMap::new()),
            pins: HashMap::new(),
            outages: outages.collect(),
        }
    }

    /// What all turns cost, in dollars.
    pub(super) fn run(mut self, turns: &[traffic::Turn]) -> f64 {
        let pico: u128 = turns.iter().map(|turn| self.serve(turn)).sum();
        pico as f64 / 1e12
    }

    /// Serves a turn. Out: what it costs, in pico-dollars.
    fn serve(&mut self, turn: &traffic::Turn) -> u128 {
        let now = nanos(turn.at);
        let prompt = prompt(turn);
        let seen = self.homes.see(&prompt, now);
        self.homes.came("m", &seen);
        let offer = |seller: usize| {
            let Seller { rates: [input, write, cached, output], keeps, .. } = SELLERS[seller];
            let target = Replica::of(seller as u64);
            Offer { target, keeps, input, write, writes: write > input, cached, output }
        };
        let side = |seller| self.homes.side(&seen, "m", turn.prompt, &offer(seller), now);
        let sides = (0..SELLERS.len()).map(side).collect();
        let home = (0..SELLERS.len()).find(|s| seen.home() == Some(Replica::of(*s as u64)));
        let is_even = self.way == Way::BreakEven;
        let more = if is_even { self.homes.more("m", &seen) } else { 0 };
        let home = home.filter(|_| is_even);
        let asked = Turn { output_tokens: self.homes.output("m"), more, second: 0, home };
        let even = Even::new(asked, sides);
        let up = (0..SELLERS.len()).filter(|seller| !self.is_down(*seller, turn.at));
        let up = up.fold(0_u64, |set, seller| set | 1 << seller);
        let up = if up == 0 { u64::MAX } else { up };
        let pin = self.pins.get(&turn.talk).copied();
        let pin = pin.filter(|pin| self.way == Way::Pinned && up & 1 << pin != 0);
        let seller = pin.or_else(|| even.choose(up)).unwrap_or(0);
        self.pins.insert(turn.talk, seller);
        let target = Replica::of(seller as u64);
        let blocks = u64::from(seen.blocks().max(1));
        let warm = seen.of(target);
        let belief = Belief {
            raw_tokens: turn.prompt,
            warm: warm.map_or(0, |warm| u64::from(warm.depth) * ONE / blocks),
            age: warm.map_or(0, |warm| warm.age),
        };
        let (cost, told) = self.bill(seller, turn);
        self.homes.answered(&prompt, &seen, target, 1000, now);
        self.homes.told(target, &belief, told);
        self.homes.made("m", turn.output);
        cost
    }

    fn is_down(&self, seller: usize, at: f64) -> bool {
        self.outages[seller].iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// What a target asks for a turn, in pico-dollars, and what it tells of it.
    fn bill(&mut self, seller: usize, turn: &traffic::Turn) -> (u128, [u64; 3]) {
        let Seller { rates: [input, write, read, output], ref keeps, ref life } = SELLERS[seller];
        let cache = &mut self.caches[seller];
        let is_cached = turn.prompt >= keeps.tokens_min;
        let kept = cache.get(&turn.talk).filter(|(_, until)| *until >= turn.at);
        let cached = kept.map_or(0, |(tokens, _)| *tokens).min(turn.prompt);
        let cached = if is_cached { cached } else { 0 };
        // The same turn lives as long at a target whatever was chosen before.
        let mut random =
            Random::new(mix(mix(self.seed, seller as u64), mix(turn.talk as u64, turn.prompt)));
        let lives = match life {
            Life::Exact(seconds) => Some(*seconds),
            Life::Mean(seconds) => Some(random.exponential(*seconds)),
            Life::Nothing => None,
        };
        let lives = lives.filter(|_| is_cached);
        if let Some(lives) = lives {
            cache.insert(turn.talk, (turn.prompt, turn.at + lives));
        }
        let anew = turn.prompt - cached;
        let is_written = write > input && is_cached;
        let rate = if is_written { write } else { input };
        let sum = |tokens: u64, rate: u64| u128::from(tokens) * u128::from(rate);
        let cost = sum(anew, rate) + sum(cached, read) + sum(turn.output, output);
        (cost, [turn.prompt, cached, if is_written { anew } else { 0 }])
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of one run")]
fn nanos(seconds: f64) -> Nanos {
    Nanos((seconds * 1e9) as u64)
}

/// The prompt of a turn: each conversation's blocks are its own.
fn prompt(turn: &traffic::Turn) -> Prompt {
    let mut prompt = Prompt::new(&Seed::new([3, 1, 4, 1]), &["team"]).followed();
    let mut bytes = [0; BLOCK_BYTES];
    bytes[..8].copy_from_slice(&(turn.talk as u64).to_le_bytes());
    for block in 0..turn.prompt * TOKEN_BYTES / BLOCK_BYTES as u64 {
        bytes[8..16].copy_from_slice(&block.to_le_bytes());
        prompt.add(&bytes);
    }
    prompt
}

fn outages(seed: u64) -> Vec<(f64, f64)> {
    let mut random = Random::new(seed);
    let mut at = 0.0;
    let mut next = || {
        let from = at + random.exponential(UP_SECONDS);
        at = from + random.exponential(DOWN_SECONDS);
        (from, at)
    };
    (0..200).map(|_| next()).collect()
}
