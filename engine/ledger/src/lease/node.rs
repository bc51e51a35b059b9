//! A node's side: what it may spend, and what to tell the store next.
//!
//! In: what windows need and can spare, answers of the store. Out: messages, and how far each window may be spent. Remembered:
//! of each window how far it may be spent ([`Node::may_spend`]), which goes up only by an answer, and down only by
//! [`Node::give_back`].
//!
//! One message is under way at a time. An answer that is lost is as good as none: the next message says the same, or what has
//! come of it, under another number.

use faregate_price::NanoUsd;
use hashbrown::HashMap;

use super::{Answer, Joined, Key, LINES_MAX, Line, NodeId, State, Tell};

/// What a window needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Need {
    /// What all nodes may spend in it.
    pub limit: NanoUsd,
    /// What this node has spent.
    pub spent: NanoUsd,
    /// The total that somebody waits for; zero: nobody does.
    pub need: NanoUsd,
    /// The total that would be good to have.
    pub want: NanoUsd,
}

/// What became of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The window.
    pub key: Key,
    /// How far this node may spend it.
    pub may_spend: NanoUsd,
    /// How it is in the store.
    pub state: State,
    /// What is free beside all leases.
    pub free: NanoUsd,
    /// A need that cannot be met, now that everybody has taken back what lay idle.
    pub is_refused: bool,
    /// A need that is not met yet.
    pub is_waiting: bool,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Another process of this node has joined: nothing more is to be had.
    Fenced,
    /// An answer to an earlier message: it says nothing.
    Stale,
    /// How things are.
    News {
        /// Of each line of the message.
        news: Vec<News>,
        /// Windows that others need, with the round: what lies idle of them is to be [given back](Node::give_back).
        wanted: Vec<(Key, u64)>,
        /// Nothing is leased at present.
        is_frozen: bool,
    },
}

/// What the node has of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lease {
    need: Need,
    /// How far it may be spent: what the node may have spent, at most.
    may_spend: NanoUsd,
    /// What it has given back is not known to the store yet.
    is_giving: bool,
    answers: u64,
    /// The round before the one in which others are asked for what the need is short of.
    asks_after: Option<u64>,
    /// There is something to say.
    is_dirty: bool,
    /// The generation in which it was declared.
    declared: u64,
}

/// One process of a node.
#[derive(Clone, Debug)]
pub struct Node {
    id: NodeId,
    epoch: u64,
    seq: u64,
    generation: u64,
    is_declared: bool,
    leases: HashMap<Key, Lease>,
}

impl Node {
    /// A process that has joined.
    #[must_use]
    pub fn new(id: NodeId, joined: Joined) -> Self {
        Self {
            id,
            epoch: joined.epoch,
            seq: 0,
            generation: joined.generation,
            is_declared: false,
            leases: HashMap::new(),
        }
    }

    /// It has joined once more, because another process of the node had; or because the store was lost. What it may spend
    /// stays, and is declared.
    pub fn rejoined(&mut self, joined: Joined) {
        (self.epoch, self.seq) = (joined.epoch, 0);
        self.turn(joined.generation);
    }

    /// Begins to keep a window of which `spent` was spent before, by earlier processes of the node too: all that its journal
    /// cannot say was not spent. Without effect when it is kept already.
    pub fn open(&mut self, key: &Key, spent: NanoUsd) {
        if !self.keeps(key) {
            let need = Need { spent, ..Need::default() };
            let lease = Lease { need, may_spend: spent, is_dirty: true, ..Lease::default() };
            self.leases.insert(key.clone(), lease);
        }
    }

    /// Lets `more` be spent of a window than was leased: an overdraft, while the store cannot be asked. It is declared when that
    /// can be asked again.
    pub fn overdraw(&mut self, key: &Key, more: NanoUsd) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.may_spend = lease.may_spend.saturating_add(more);
            lease.is_dirty = true;
        }
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The store's generation, as far as it is known.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All that tells one state from another, of a node with one window.
    #[cfg(test)]
    pub(super) fn hash(&self, key: &Key, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        let Self { epoch, seq, generation, is_declared, .. } = self;
        (epoch, seq, generation, is_declared, self.leases.get(key)).hash(hasher);
    }

    /// Whether something is given back that the store does not know of yet.
    #[must_use]
    pub fn is_giving(&self) -> bool {
        self.leases.values().any(|lease| lease.is_giving)
    }

    /// Whether the window is kept.
    #[must_use]
    pub fn keeps(&self, key: &Key) -> bool {
        self.leases.contains_key(key)
    }

    /// How far the node may spend the window.
    #[must_use]
    pub fn may_spend(&self, key: &Key) -> NanoUsd {
        self.leases.get(key).map_or(NanoUsd::ZERO, |lease| lease.may_spend)
    }

    /// Says what an [opened](Self::open) window needs.
    pub fn need(&mut self, key: &Key, need: Need) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.is_dirty |= need.need > lease.may_spend
            || need.want > lease.may_spend
            || need.limit != lease.need.limit;
        lease.need = need;
    }

    /// Gives back what lies above `keep` of a window, for the round of that number (zero: for none). From here on no more
    /// than `keep` may be spent, and no more than that was: the caller has seen to it.
    pub fn give_back(&mut self, key: &Key, keep: NanoUsd, round: u64) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.may_spend = lease.may_spend.min(keep);
        lease.need.want = lease.may_spend;
        lease.need.need = NanoUsd::ZERO;
        lease.answers = lease.answers.max(round);
        (lease.is_giving, lease.is_dirty) = (true, true);
    }

    /// Says what this node has spent of a window, for others to see.
    pub fn has_spent(&mut self, key: &Key, spent: NanoUsd) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.need.spent = spent;
            lease.is_dirty = true;
        }
    }

    /// What is to be asked and said of the window anew, though nothing has changed here.
    pub fn ask_again(&mut self, key: &Key) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.is_dirty = true;
        }
    }

    /// Keeps windows no longer that have ended before `at`, in nanoseconds since 1970 UTC.
    pub fn forget_before(&mut self, at: u64) {
        self.leases.retain(|key, _| key.window.end > at);
    }

    /// Whether a message would say something.
    #[must_use]
    pub fn has_to_tell(&self) -> bool {
        !self.is_declared || self.leases.values().any(|lease| lease.is_dirty)
    }

    /// The next message. Without lines, it asks what is wanted.
    pub fn tell(&mut self) -> Tell {
        self.seq += 1;
        let generation = self.generation;
        let is_due = |lease: &Lease| lease.is_dirty || lease.declared != generation;
        let due = self.leases.iter().filter(|(_, lease)| is_due(lease));
        let lines: Vec<Line> = due.take(LINES_MAX).map(|(key, lease)| lease.line(key)).collect();
        let undeclared = self.leases.values().filter(|lease| lease.declared != generation);
        let said = lines.iter().filter(|line| self.leases[&line.key].declared != generation);
        let is_all_declared = undeclared.count() == said.count();
        let Self { id, epoch, seq, .. } = *self;
        Tell { node: id, epoch, seq, generation, is_all_declared, lines }
    }

    /// Takes the answer to a message.
    pub fn hear(&mut self, tell: &Tell, answer: &Answer) -> Heard {
        if (tell.epoch, tell.seq) != (self.epoch, self.seq) {
            return Heard::Stale;
        }
        let Answer::Told(told) = answer else { return Heard::Fenced };
        let is_current = told.generation == self.generation && tell.generation == self.generation;
        if is_current && tell.is_all_declared {
            self.is_declared = true;
        }
        self.turn(told.generation);
        let mut news = Vec::with_capacity(tell.lines.len());
        for (line, state) in tell.lines.iter().zip(&told.states) {
            let Some(lease) = self.leases.get_mut(&line.key) else { continue };
            lease.hear(line, state, is_current.then_some(told.is_frozen));
            if is_current {
                lease.declared = told.generation;
            }
            let is_unmet = line.need > lease.may_spend && line.need == lease.need.need;
            let is_asked = is_current && !told.is_frozen;
            let is_refused = is_unmet && is_asked && state.pending == 0 && {
                state.round > lease.asks_after.unwrap_or(0)
            };
            if is_asked {
                let after = lease.asks_after.unwrap_or(state.round.saturating_sub(1));
                lease.asks_after = (is_unmet && !is_refused).then_some(after);
            }
            news.push(News {
                key: line.key.clone(),
                may_spend: lease.may_spend,
                state: *state,
                free: line.free(state),
                is_refused,
                is_waiting: is_unmet && !is_refused,
            });
        }
        Heard::News { news, wanted: told.wanted.clone(), is_frozen: told.is_frozen }
    }

    /// Goes on with the generation.
    fn turn(&mut self, generation: u64) {
        if generation != self.generation {
            (self.generation, self.is_declared) = (generation, false);
        }
    }
}

impl Lease {
    fn line(&self, key: &Key) -> Line {
        Line {
            key: key.clone(),
            limit: self.need.limit,
            held: self.may_spend,
            need: self.need.need,
            want: self.need.want.max(self.need.need).max(self.may_spend),
            spent: self.need.spent,
            answers: self.answers,
            refused_in: self.asks_after.unwrap_or(u64::MAX),
        }
    }

    /// `is_frozen`: `None` where the message was of another generation.
    fn hear(&mut self, line: &Line, state: &State, is_frozen: Option<bool>) {
        let Some(is_frozen) = is_frozen else {
            self.is_dirty = true;
            return;
        };
        if !is_frozen && self.line(&line.key) == *line {
            (self.is_giving, self.is_dirty) = (false, false);
        }
        // What is being given back, or was since the message was made, is not taken up again.
        if !self.is_giving {
            self.may_spend = self.may_spend.max(state.total.min(line.want));
        }
    }
}
