//! A store of leases without a server: the rules, as plain as they can be written.
//!
//! In: messages, with the present in milliseconds. Out: answers. What other stores do is held against this one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use faregate_price::NanoUsd;

use super::{
    ALIVE, Answer, Join, Joined, Key, LINES_MAX, Line, NodeId, SETTLE, State, Tell, Told, WANTED,
    next_total,
};

/// All that a store keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Book {
    generation: u64,
    /// When the generation began.
    since: u64,
    /// The server that the generation is of.
    server: u64,
    /// It began without knowing anybody.
    began_empty: bool,
    nodes: BTreeMap<NodeId, Known>,
    windows: BTreeMap<Key, Lent>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Known {
    name: Arc<str>,
    epoch: u64,
    seq: u64,
    heard: u64,
    owes: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lent {
    totals: BTreeMap<NodeId, Held>,
    round: u64,
    /// When the round was opened.
    opened: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    total: NanoUsd,
    spent: NanoUsd,
    answered: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Book {
    /// See [`LeaseStore::join`](super::LeaseStore::join). `server` is who answers, `now` its time.
    pub fn join(&mut self, join: &Join, server: u64, now: u64) -> Joined {
        self.turn(server, now);
        let known = self.nodes.entry(join.node).or_default();
        known.epoch = (known.epoch + 1).max(now);
        (known.seq, known.heard, known.name) = (0, now, join.name.as_str().into());
        Joined { epoch: known.epoch, generation: self.generation }
    }

    /// See [`LeaseStore::tell`](super::LeaseStore::tell).
    pub fn tell(&mut self, tell: &Tell, server: u64, now: u64) -> Answer {
        self.turn(server, now);
        let owes = self.nodes.get(&tell.node).is_none_or(|known| known.owes);
        let known = self.nodes.entry(tell.node).or_default();
        if tell.epoch < known.epoch {
            return Answer::Fenced;
        }
        known.heard = now;
        let is_new = (tell.epoch, tell.seq) > (known.epoch, known.seq);
        let is_current = tell.generation == self.generation;
        if is_new {
            (known.epoch, known.seq) = (tell.epoch, tell.seq);
            known.owes = owes && !(is_current && tell.is_all_declared);
        }
        let is_frozen = self.is_frozen(now);
        if is_new {
            for line in &tell.lines {
                self.take(tell.node, line, is_current && !is_frozen, now);
            }
        }
        Answer::Told(Told {
            generation: self.generation,
            is_frozen: is_frozen || !is_current,
            wanted: self.wanted(tell.node, now),
            states: tell.lines.iter().map(|line| self.state(tell.node, &line.key, now)).collect(),
        })
    }

    /// See [`LeaseStore::leave`](super::LeaseStore::leave).
    pub fn leave(&mut self, node: NodeId, epoch: u64) {
        if let Some(known) = self.nodes.get_mut(&node).filter(|known| known.epoch == epoch) {
            (known.owes, known.heard) = (false, 0);
        }
    }

    /// See [`LeaseStore::settle_for`](super::LeaseStore::settle_for).
    pub fn settle_for(&mut self, node: NodeId, unknown: NanoUsd) -> u64 {
        let mut changed = 0;
        for lent in self.windows.values_mut() {
            let Some(held) = lent.totals.get_mut(&node) else { continue };
            let settled = held.spent.saturating_add(unknown).min(held.total);
            changed += u64::from(settled != held.total);
            held.total = settled;
        }
        if let Some(known) = self.nodes.get_mut(&node) {
            (known.epoch, known.seq, known.owes) = (known.epoch + 1, 0, false);
        }
        changed
    }

    /// What no store may do: what a node has not told that it has spent comes back.
    #[cfg(test)]
    pub(super) fn return_unspent(&mut self) {
        for held in self.windows.values_mut().flat_map(|lent| lent.totals.values_mut()) {
            held.total = held.total.min(held.spent);
        }
    }

    /// What no store may do: a message is taken though it was taken before, or its process is over.
    #[cfg(test)]
    pub(super) fn take_out_of_turn(&mut self, tell: &Tell, server: u64, now: u64) -> Answer {
        let turn = |book: &mut Self, (epoch, seq)| {
            let known = book.nodes.entry(tell.node).or_default();
            (known.epoch, known.seq) = (epoch, seq);
        };
        let before = self.nodes.get(&tell.node).map_or((0, 0), |known| (known.epoch, known.seq));
        turn(self, (0, 0));
        let answer = self.tell(tell, server, now);
        turn(self, before);
        answer
    }

    /// The epoch of a node.
    #[cfg(test)]
    pub(super) fn epoch_of(&self, node: NodeId) -> u64 {
        self.nodes.get(&node).map_or(0, |known| known.epoch)
    }

    /// The sum of all totals of a window.
    #[must_use]
    pub fn leased(&self, key: &Key) -> NanoUsd {
        let totals = self.windows.get(key).into_iter().flat_map(|lent| lent.totals.values());
        totals.fold(NanoUsd::ZERO, |sum, held| sum.saturating_add(held.total))
    }

    /// Begins the next generation when another server answers.
    fn turn(&mut self, server: u64, now: u64) {
        if self.generation != 0 && self.server == server {
            return;
        }
        self.began_empty = self.generation == 0;
        self.generation = (self.generation + 1).max(now);
        (self.server, self.since) = (server, now);
        self.nodes.values_mut().for_each(|known| known.owes = true);
    }

    fn is_frozen(&self, now: u64) -> bool {
        let is_waiting = self.began_empty || self.nodes.values().any(|known| known.owes);
        is_waiting && now < self.since.saturating_add(millis(SETTLE))
    }

    fn take(&mut self, node: NodeId, line: &Line, may_lease: bool, now: u64) {
        let leased = self.leased(&line.key);
        let is_open = self.state(node, &line.key, now).pending > 0;
        let lent = self.windows.entry(line.key.clone()).or_default();
        let held = lent.totals.entry(node).or_default();
        let others = NanoUsd(leased.0.saturating_sub(held.total.0));
        held.total = next_total(line, held.total, others, may_lease);
        held.spent = line.spent;
        held.answered = held.answered.max(line.answers);
        if may_lease && line.need > held.total {
            let opens = line.refused_in >= lent.round && !is_open;
            if opens {
                (lent.round, lent.opened) = (lent.round + 1, now);
            }
            held.answered = lent.round;
        }
    }

    fn state(&self, node: NodeId, key: &Key, now: u64) -> State {
        let Some(lent) = self.windows.get(key) else { return State::default() };
        let others = || lent.totals.iter().filter(|(id, _)| **id != node);
        let pending = others().filter(|(id, held)| {
            held.answered < lent.round && held.total > NanoUsd::ZERO && self.is_alive(**id, now)
        });
        State {
            total: lent.totals.get(&node).map_or(NanoUsd::ZERO, |held| held.total),
            leased: self.leased(key),
            others_spent: others()
                .fold(NanoUsd::ZERO, |sum, (_, held)| sum.saturating_add(held.spent)),
            round: lent.round,
            pending: u32::try_from(pending.count()).unwrap_or(u32::MAX),
        }
    }

    fn is_alive(&self, node: NodeId, now: u64) -> bool {
        self.nodes.get(&node).is_some_and(|known| now < known.heard.saturating_add(millis(ALIVE)))
    }

    fn wanted(&self, node: NodeId, now: u64) -> Vec<(Key, u64)> {
        let is_wanted = |lent: &&Lent| {
            let held = lent.totals.get(&node).copied().unwrap_or_default();
            held.total > NanoUsd::ZERO
                && held.answered < lent.round
                && now < lent.opened.saturating_add(millis(WANTED))
        };
        let wanted = self.windows.iter().filter(|(_, lent)| is_wanted(lent));
        wanted.map(|(key, lent)| (key.clone(), lent.round)).take(LINES_MAX).collect()
    }
}
