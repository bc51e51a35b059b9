//! Conversations, as they come.

use crate::fleet::random::Random;

/// What kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// People: some turns, half a minute to some minutes apart.
    Chat,
    /// Loops of agents: many turns, seconds apart, long prompts.
    Agent,
    /// A long document, and a few questions about it.
    Document,
    /// One question each.
    Single,
    /// People who come back after longer than most caches keep.
    Idle,
    /// Half of them one long question, half of them long conversations that begin alike: nobody can tell them apart.
    Coin,
    /// All of them.
    Mix,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Chat, Self::Agent, Self::Document, Self::Single, Self::Idle, Self::Coin, Self::Mix];

    /// Its name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chats",
            Self::Agent => "agents",
            Self::Document => "documents",
            Self::Single => "single questions",
            Self::Idle => "long pauses",
            Self::Coin => "one or many",
            Self::Mix => "the mix",
        }
    }
}

/// A turn of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// When it comes, in seconds.
    pub(super) at: f64,
    /// Which conversation it is of.
    pub(super) talk: usize,
    /// Tokens of its prompt.
    pub(super) prompt: u64,
    /// Tokens of its answer.
    pub(super) output: u64,
}

/// The turns of so many conversations in the order in which they come.
pub(super) fn talks(kind: Kind, seed: u64, count: usize) -> Vec<Turn> {
    let mut random = Random::new(seed ^ (kind as u64) << 32);
    let (mut turns, mut begins) = (Vec::new(), 0.0);
    for talk in 0..count {
        begins += random.exponential(8.0);
        let own = match kind {
            Kind::Mix => match random.within(0, 99) {
                0..40 => Kind::Chat,
                40..60 => Kind::Agent,
                60..72 => Kind::Document,
                72..88 => Kind::Single,
                _ => Kind::Idle,
            },
            kind => kind,
        };
        one(own, talk, begins, &mut random, &mut turns);
    }
    turns.sort_by(|a, b| a.at.total_cmp(&b.at));
    turns
}

fn one(kind: Kind, talk: usize, begins: f64, random: &mut Random, turns: &mut Vec<Turn>) {
    // Tokens at the start, turns, tokens that a turn adds, tokens of answers, seconds between turns.
    let (start, count, step, answer, gap) = match kind {
        Kind::Chat => ((400, 3000), (1, 14), (60, 500), (100, 600), 70.0),
        Kind::Agent => ((6000, 14_000), (8, 50), (300, 2500), (40, 400), 9.0),
        Kind::Document => ((20_000, 50_000), (1, 6), (40, 200), (150, 500), 45.0),
        Kind::Single => ((200, 6000), (1, 1), (0, 0), (100, 800), 1.0),
        Kind::Idle => ((2000, 12_000), (2, 8), (200, 1200), (100, 600), 900.0),
        Kind::Coin | Kind::Mix => ((8000, 16_000), (1, 1), (100, 900), (60, 300), 15.0),
    };
    let mut count = random.within(count.0, count.1);
    if kind == Kind::Coin && random.unit() < 0.5 {
        count = random.within(12, 24);
    }
    let (mut at, mut prompt) = (begins, random.within(start.0, start.1));
    for _ in 0..count {
        let output = random.within(answer.0, answer.1);
        turns.push(Turn { at, talk, prompt, output });
        prompt += output + random.within(step.0, step.1);
        at += 1.0 + random.exponential(gap);
    }
}
