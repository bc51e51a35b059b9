//! Prompts and the replicas that have read them, as requests see them.
//!
//! In: the spans of a request's body that make up its prompt, the places of its target. Out: the place that takes it, and a
//! [`Stay`] there, which ends with the request. What is decided, and what is remembered, is in
//! [`faregate_policy::affinity`].

use std::{fmt, sync::Arc};

use faregate_adapters::chat::Usage;
use faregate_policy::{
    Nanos,
    affinity::{Bid, Load, Prompt, Replica, Seed, Table, choose},
};

use crate::{live::Target, trace::Random, upstream::Upstream};

/// Bytes of the table of prompts: for about 30,000 of 16 KiB, or more that share a beginning.
const TABLE_BYTES: usize = 16 * 1024 * 1024;

/// What all cores know of prompts.
pub(crate) struct Affinity {
    table: Table,
    seed: Seed,
}

/// A request's prompt, and where it has been.
pub(crate) struct Asked<'a> {
    /// What is known of prompts.
    pub(crate) affinity: &'a Affinity,
    /// The prompt.
    pub(crate) prompt: &'a Prompt,
}

/// A request at one replica. Dropped, it has ended.
pub(crate) struct Stay {
    load: Arc<Load>,
    replica: Replica,
    /// Which of how many places it is.
    place: (usize, usize),
    /// Blocks that the replica has yet to read.
    unread: u32,
    /// Blocks of the prompt.
    blocks: u32,
    /// Blocks that it was believed to know, read so many seconds ago.
    believed: u32,
    age: u32,
}

impl Affinity {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        let random = || Random::new().next();
        let seed = Seed::new([random(), random(), random(), random()]);
        Self { table: Table::new(TABLE_BYTES), seed }
    }

    /// An empty prompt of a scope.
    pub(crate) fn prompt(&self, scope: &[&str]) -> Prompt {
        Prompt::new(&self.seed, scope)
    }
}

impl Asked<'_> {
    /// The place of `target` that takes the prompt, one of `open`.
    pub(crate) fn choose(
        &self,
        target: &Target,
        open: &dyn Fn(usize) -> bool,
        now: Nanos,
    ) -> Option<usize> {
        let warmth = self.affinity.table.look_up(self.prompt, now);
        let bid = |(index, upstream): (usize, &Arc<Upstream>)| {
            let warm = warmth.of(replica(upstream)).filter(|warm| upstream.load.keeps(warm.age));
            let known = warm.map_or(0, |warm| warm.depth);
            Bid {
                cold: self.prompt.blocks().saturating_sub(known),
                pending: upstream.load.pending(),
                in_flight: upstream.load.in_flight(),
                name: upstream.id.0,
                is_open: open(index),
            }
        };
        let bids: Vec<Bid> = target.upstreams.iter().enumerate().map(bid).collect();
        choose(&bids, self.prompt.first())
    }

    /// The request goes to a place of `target`: who asks the same is to go there, too.
    pub(crate) fn stay(&self, target: &Target, index: usize, now: Nanos) -> Stay {
        let upstream = &target.upstreams[index];
        let replica = replica(upstream);
        let table = &self.affinity.table;
        let warm = table.look_up(self.prompt, now).of(replica);
        let (believed, age) = warm
            .filter(|warm| upstream.load.keeps(warm.age))
            .map_or((0, 0), |warm| (warm.depth.min(self.prompt.blocks()), warm.age));
        table.note(self.prompt, replica, now);
        let blocks = self.prompt.blocks();
        let unread = blocks - believed;
        upstream.load.begin(unread);
        let place = (index + 1, target.upstreams.len());
        Stay { load: Arc::clone(&upstream.load), replica, place, unread, blocks, believed, age }
    }

    /// The replica has read nothing behind what it knew, or has gone with all that it knew.
    pub(crate) fn failed(&self, stay: &Stay, has_gone: bool) {
        let depth = if has_gone { 0 } else { stay.believed };
        self.affinity.table.forget(self.prompt, stay.replica, depth);
    }
}

impl Stay {
    /// The replica has begun to answer: it has read the prompt.
    pub(crate) fn read(&mut self) {
        self.load.read(std::mem::take(&mut self.unread));
    }

    /// The replica has told what it used.
    pub(crate) fn learn(&self, usage: &Usage) {
        let input = usage.input + usage.cache_read + usage.total_cache_write();
        let told = u64::from(self.blocks) * usage.cache_read.min(input) / input.max(1);
        let told = u32::try_from(told).unwrap_or(u32::MAX);
        let has_forgotten = self.load.learn(self.believed, self.age, told);
        if has_forgotten {
            tracing::debug!(stay = %self, told, "a replica has forgotten a prompt");
        }
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, of) = self.place;
        write!(f, "replica {place} of {of}, warm for {} of {} blocks", self.believed, self.blocks)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.read();
        self.load.end();
    }
}

fn replica(upstream: &Upstream) -> Replica {
    Replica::of(upstream.id.0)
}
