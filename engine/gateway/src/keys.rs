//! The keys of providers that have several, as requests show them.
//!
//! In: the head of an answer. Out: the key for an attempt, and whether another one may do. What is decided, and what is
//! remembered of each key, is in [`faregate_policy::keyring`]. A key has a name; its value is in a line of a head and
//! nowhere else.

use std::{sync::Arc, time::Duration};

use faregate_adapters::ratelimit::{Level, RateLimits};
use faregate_policy::{
    Nanos,
    keyring::{self, Quota, Told},
};

use crate::live::Target;

/// One of several keys, as one target knows it.
#[derive(Clone)]
pub(crate) struct Key {
    /// What it is called.
    pub(crate) name: Arc<str>,
    /// The field of a head that shows it, ended by CRLF.
    pub(crate) line: Arc<[u8]>,
    /// What it may still do.
    pub(crate) quota: Arc<Quota>,
}

/// The keys of a target that a request has shown; another target begins anew.
#[derive(Default)]
pub(crate) struct Shown {
    target: usize,
    keys: u64,
}

impl Target {
    /// The key to show at this target, whose index is `at`; `None` where it has none to choose from.
    pub(crate) fn key(
        &self,
        at: usize,
        shown: &mut Shown,
        now: Nanos,
        random: u64,
    ) -> Option<&Key> {
        if shown.target != at {
            *shown = Shown { target: at, keys: 0 };
        }
        let index = keyring::pick(self.quotas(), shown.keys, now, random)
            .or_else(|| keyring::pick(self.quotas(), 0, now, random))?;
        shown.keys |= 1 << index;
        self.keys.get(index)
    }

    /// Whether this target has a key that is awake and was not shown.
    pub(crate) fn has_other_key(&self, shown: &Shown, now: Nanos) -> bool {
        let mut keys = self.keys.iter().enumerate();
        keys.any(|(index, key)| shown.keys & (1 << index) == 0 && key.quota.rest(now).is_none())
    }

    /// How long until the first of its keys is awake, where all of them rest.
    pub(crate) fn keys_rest(&self, now: Nanos) -> Option<Duration> {
        let until = keyring::all_rest(self.quotas(), now);
        until.filter(|_| !self.keys.is_empty()).map(|until| until.since(now))
    }

    fn quotas(&self) -> impl Iterator<Item = &Quota> + Clone {
        self.keys.iter().map(|key| &*key.quota)
    }
}

impl Key {
    /// An answer with this status came, with what it says of limits.
    pub(crate) fn hear(
        &self,
        status: u16,
        limits: Option<&RateLimits>,
        wait: Option<Duration>,
        now: Nanos,
    ) {
        if let Some(limits) = limits {
            self.quota.told(told(limits.requests()), told(limits.tokens()), now);
        }
        match status {
            429 => self.quota.limited(wait, now),
            401 | 403 => self.quota.refused(now),
            200..300 => self.quota.served(),
            _ => {}
        }
    }
}

fn told(level: Level) -> Told {
    Told { limit: level.limit, remaining: level.remaining, reset: level.reset }
}
