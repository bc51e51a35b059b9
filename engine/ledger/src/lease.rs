//! Leases: money of one budget, spent by many nodes.
//!
//! In: what each node's budgets need, and the answers of a store that all nodes share. Out: what to tell the store next, and
//! how far a node may spend. Remembered: in the store, how much of a window each node may have spent; in a [`Node`], what
//! of that it uses. No socket and no clock: a [`LeaseStore`] has them.
//!
//! # What holds
//!
//! For every window of a scope, at every instant, over all nodes: the sum of what nodes may spend is no more than the limit.
//! A node spends up to its own total, which the store knows before the node does, and which only the node itself (or an
//! operator, for one that is gone) lowers again. Time never does: a node that is dead, or cut off, keeps what it had leased
//! charged until its journal has said what became of it.
//!
//! # Totals
//!
//! A lease is no amount but a total: all that one node may have spent of the window since its start, as grants of the
//! journal are. A message that says a total can be lost, repeated and sent again, and a node that has restarted needs nothing
//! but its journal to say where it stands.
//!
//! # What is said
//!
//! There is one message, a [`Tell`]: some [`Line`]s, each with all that the node has to say of one window. It leases where
//! `want` is above the node's total, gives back where it is below, and declares again what a store has forgotten (`held`).
//! Its identity is the node, its epoch and its number: a store takes a message with a later one than any before, and answers
//! others with how things are, changing nothing. So what is settled is settled once.
//!
//! # Epochs and generations
//!
//! A process of a node [joins](LeaseStore::join) before it says anything, and gets an *epoch* that is later than any before:
//! messages of an earlier one are refused ([`Answer::Fenced`]).
//!
//! A store that has lost its last writes (another server took its place, or it was started anew) begins a new *generation*.
//! A message of an earlier generation lowers and raises nothing. Every node then declares what it holds, even where that is
//! more than there is; until all that the store knows have done so, or [`SETTLE`] is over, nothing more is leased.
//!
//! # Recall
//!
//! A line whose `need` cannot be met opens a *round*: other nodes are told of it as [`Told::wanted`] at their next message, take
//! back what lies idle, and say so ([`Line::answers`]). [`State::pending`] says how many have not; when it is zero and the need
//! still cannot be met, a refusal is true.

pub mod book;
#[cfg(test)]
mod model;
pub mod node;
#[cfg(feature = "redis")]
pub mod redis;
mod store;

use std::{sync::Arc, time::Duration};

use faregate_price::NanoUsd;

pub use book::Book;
pub use node::{Heard, Need, News, Node};
pub use store::{Join, Joined, LeaseStore, Share, StoreError, View};

use crate::journal::Window;

/// How long a store waits, in a new generation, for the nodes that it knows to declare what they hold.
pub const SETTLE: Duration = Duration::from_secs(1);

/// A node that was not heard of for so long is not waited for by one that wants money. What it has leased stays its own.
pub const ALIVE: Duration = Duration::from_secs(1);

/// How long nodes are told that a window is wanted.
pub const WANTED: Duration = Duration::from_secs(2);

/// Lines of one message, and keys that it says are wanted.
pub const LINES_MAX: usize = 256;

/// Of what is left behind a need, a node gets at most this part for what may come.
pub const AHEAD_PART: u64 = 4;

/// A node: one journal, by its random number. Two processes that have different journals are different nodes, whatever they
/// are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u64);

/// A window of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The scope: `team/search`.
    pub scope: Arc<str>,
    /// The window.
    pub window: Window,
}

/// All that a node has to say of one window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The window.
    pub key: Key,
    /// What all nodes may spend in it, by this node's policy.
    pub limit: NanoUsd,
    /// What the node may have spent so far: its total is never below.
    pub held: NanoUsd,
    /// The total without which the line is of no use; at most `held` when nothing is needed.
    pub need: NanoUsd,
    /// The total that it would like: above the present one it leases, below it gives back. At least `held` and `need`.
    pub want: NanoUsd,
    /// What it has really spent, for others to see.
    pub spent: NanoUsd,
    /// The last round that it has taken back idle money for.
    pub answers: u64,
    /// A need that is not met wants a later round than this: it opens one, if this is the latest and everybody has answered for it.
    /// `u64::MAX` for one that is told for the first time.
    pub refused_in: u64,
}

/// A message of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tell {
    /// Who.
    pub node: NodeId,
    /// Which process of it.
    pub epoch: u64,
    /// The number of the message in the epoch, from 1. Never used twice.
    pub seq: u64,
    /// The generation of the store as the node knows it.
    pub generation: u64,
    /// With this, the node has declared all that it holds in this generation.
    pub is_all_declared: bool,
    /// Some windows, each once. At most [`LINES_MAX`].
    pub lines: Vec<Line>,
}

/// What a store says to a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Another process of the node has joined since: this one leases nothing more.
    Fenced,
    /// How things are now.
    Told(Told),
}

/// How things are in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// The store's generation. When it is not the node's, the node declares anew.
    pub generation: u64,
    /// Nothing is leased at present: nodes have to declare what they hold first.
    pub is_frozen: bool,
    /// Windows of which somebody needs more than there is, that this node has leased of and not answered for; with their
    /// rounds. At most [`LINES_MAX`].
    pub wanted: Vec<(Key, u64)>,
    /// One for each line, in their order.
    pub states: Vec<State>,
}

/// How a window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The node's total.
    pub total: NanoUsd,
    /// The sum of all nodes' totals.
    pub leased: NanoUsd,
    /// What the other nodes have told that they have spent.
    pub others_spent: NanoUsd,
    /// The latest round.
    pub round: u64,
    /// Other nodes that are alive and have not answered for that round.
    pub pending: u32,
}

impl Line {
    /// How much of the limit is free beside what all nodes have leased.
    #[must_use]
    pub fn free(&self, state: &State) -> NanoUsd {
        NanoUsd(self.limit.0.saturating_sub(state.leased.0))
    }
}

/// What a line makes of a node's total, where `others` is the sum of the other nodes' totals and nothing is frozen.
///
/// The rule that every store keeps: [`Book`] and the tests of stores use it as it is written here.
#[must_use]
pub fn next_total(line: &Line, total: NanoUsd, others: NanoUsd, may_lease: bool) -> NanoUsd {
    let total = total.0.max(line.held.0);
    if line.want.0 <= total {
        return NanoUsd(if may_lease { line.want.0.max(line.held.0) } else { total });
    }
    if !may_lease {
        return NanoUsd(total);
    }
    let free = line.limit.0.saturating_sub(others.0).saturating_sub(total);
    let needed = line.need.0.saturating_sub(total);
    let Some(rest) = free.checked_sub(needed) else { return NanoUsd(total) };
    let ahead = line.want.0.saturating_sub(total + needed);
    NanoUsd(total + needed + ahead.min(rest / AHEAD_PART))
}
