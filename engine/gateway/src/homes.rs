//! Conversations and the targets that have answered them, as requests see them.
//!
//! In: a request's prompt, what targets answer. Out: what is known of it, for rules and routes. What is decided, and what is
//! remembered, is in [`faregate_policy::affinity`].

use std::sync::Arc;

use faregate_adapters::chat::Usage;
use faregate_policy::{
    Nanos,
    affinity::{Belief, Homes, Keeps, ONE, Prompt, Replica, Seed, Seen},
};

use crate::{clock::Instant, trace::Random};

/// Bytes of the table of conversations: for about 20,000 of 16 KiB.
const TABLE_BYTES: usize = 8 * 1024 * 1024;

/// What rules are told of a cache of which nothing else is known.
const USUAL: Keeps = Keeps { seconds: 300, tokens_min: 0 };

/// What all cores know of conversations.
pub(crate) struct Followed {
    homes: Homes,
    seed: Seed,
}

/// One request's place in its conversation.
pub(crate) struct Follow {
    followed: Arc<Followed>,
    prompt: Prompt,
    seen: Seen,
    raw_tokens: u64,
    /// The target that is asked, what was believed of it, and since when.
    asked: Option<(Replica, Belief, Instant)>,
}

impl Followed {
    /// Nothing is known yet.
    pub(crate) fn new() -> Self {
        let random = || Random::new().next();
        let seed = Seed::new([random(), random(), random(), random()]);
        Self { homes: Homes::new(TABLE_BYTES), seed }
    }

    /// An empty prompt of a scope.
    pub(crate) fn prompt(&self, scope: &[&str]) -> Prompt {
        Prompt::new(&self.seed, scope).followed()
    }
}

impl Follow {
    /// Looks for the turn before.
    pub(crate) fn new(
        followed: &Arc<Followed>,
        prompt: Prompt,
        raw_tokens: u64,
        now: Nanos,
    ) -> Self {
        let seen = followed.homes.see(&prompt, now);
        Self { followed: Arc::clone(followed), prompt, seen, raw_tokens, asked: None }
    }

    /// What routes are told.
    pub(crate) fn known(&self) -> (&Homes, &Seen) {
        (&self.followed.homes, &self.seen)
    }

    /// The share of the prompt that some target likely has, from 0 to 1.
    pub(crate) fn warm(&self) -> f64 {
        let homes = &self.followed.homes;
        let blocks = u64::from(self.seen.blocks().max(1));
        let share = |warm: faregate_policy::affinity::Warm| {
            u64::from(warm.depth) * homes.odds(warm.replica, warm.age, &USUAL) / blocks
        };
        let most = self.seen.warm().map(share).max().unwrap_or(0).min(ONE);
        u32::try_from(most).map_or(1.0, |most| f64::from(most) / ONE as f64)
    }

    /// The request is a turn of a conversation with `model`.
    pub(crate) fn came(&self, model: &str) {
        self.followed.homes.came(model, &self.seen);
    }

    /// A target is asked.
    pub(crate) fn ask(&mut self, target: Replica, now: Instant) {
        let blocks = u64::from(self.seen.blocks().max(1));
        let warm = self.seen.of(target);
        let belief = Belief {
            raw_tokens: self.raw_tokens,
            warm: warm.map_or(0, |warm| u64::from(warm.depth) * ONE / blocks),
            age: warm.map_or(0, |warm| warm.age),
        };
        self.asked = Some((target, belief, now));
    }

    /// The target that was asked has begun to answer.
    pub(crate) fn answered(&self, now: Instant) {
        if let Some((target, _, began)) = &self.asked {
            let took = now.since(*began) / 1000;
            let now = Nanos(now.nanos());
            self.followed.homes.answered(&self.prompt, &self.seen, *target, took, now);
        }
    }

    /// The target has told what it used.
    pub(crate) fn told(&self, model: &str, usage: &Usage) {
        let Some((target, belief, _)) = &self.asked else { return };
        let told = [usage.total_input(), usage.cache_read, usage.total_cache_write()];
        self.followed.homes.told(*target, belief, told);
        self.followed.homes.made(model, usage.output + usage.reasoning);
    }
}
