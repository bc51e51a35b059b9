//! Who is calling: a key, and the agent, project, team and organisation it belongs to.

use crate::{key::KeyHash, pattern::Pattern};
use hashbrown::HashMap;

/// Index into [`Policy::scopes`](crate::Policy::scopes).
pub type ScopeIndex = usize;

/// The name of the caller that shows no key.
pub const ANONYMOUS: &str = "anonymous";

/// Who pays for a request and what they may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key's name in the policy; [`ANONYMOUS`] for the caller without one.
    pub key: Box<str>,
    /// The agent that uses the key.
    pub agent: Option<Box<str>>,
    /// The project of the agent.
    pub project: Option<Box<str>>,
    /// The team of the project.
    pub team: Option<Box<str>>,
    /// The organisation, when the policy names it.
    pub organisation: Option<Box<str>>,
    /// The scopes that have limits, from the organisation down to the key.
    pub scopes: Vec<ScopeIndex>,
    /// The models that each level allows; all levels must allow a model. Empty: every model.
    pub models: Vec<Vec<Pattern>>,
    /// The model for requests that ask for `default`, or for one that nothing answers to.
    pub default_model: Option<Box<str>>,
    /// When the key ceases to be valid, in nanoseconds since 1970 UTC.
    pub expires: Option<u64>,
    /// Whether the key is switched off.
    pub disabled: bool,
}

impl Caller {
    /// Whether the caller may ask for `model`, spelled as in the request.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.iter().all(|level| level.iter().any(|pattern| pattern.matches(model)))
    }

    /// Whether the caller may use everything `provider` has, and so the paths of it that name no
    /// model.
    #[must_use]
    pub fn may_use_all_of(&self, provider: &str) -> bool {
        let prefix = format!("{provider}/");
        self.models.iter().all(|level| level.iter().any(|pattern| pattern.covers_prefix(&prefix)))
    }

    /// Whether the key has expired at `wall_nanos` since 1970 UTC.
    #[must_use]
    pub fn is_expired(&self, wall_nanos: u64) -> bool {
        self.expires.is_some_and(|expires| wall_nanos >= expires)
    }
}

/// The callers of a policy, found by the hash of the key they show.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Every caller.
    pub callers: Vec<Caller>,
    /// The one who shows no key, if that is allowed: index into `callers`.
    pub anonymous: Option<usize>,
    by_hash: HashMap<KeyHash, usize>,
}

impl Keys {
    /// Adds a caller under the hash of its key; false when the hash is taken.
    pub fn add(&mut self, hash: KeyHash, caller: Caller) -> bool {
        if self.by_hash.contains_key(&hash) {
            return false;
        }
        self.by_hash.insert(hash, self.callers.len());
        self.callers.push(caller);
        true
    }

    /// Serves callers without a key as this one.
    pub fn admit_anonymous(&mut self, caller: Caller) {
        self.anonymous = Some(self.callers.len());
        self.callers.push(caller);
    }

    /// The caller whose key has this hash: index into `callers`.
    #[must_use]
    pub fn find(&self, hash: &KeyHash) -> Option<usize> {
        self.by_hash.get(hash).copied()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }
}
