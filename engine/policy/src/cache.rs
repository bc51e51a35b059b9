//! What is done about providers' prompt caches, as the policy says; and, in the files below, caches of whole answers.
//!
//! In: the model and the provider of a request. Out: a [`PromptCache`], where marks are wanted. Nothing is remembered.

pub mod answers;
pub mod flight;
pub mod key;
pub mod semantic;
pub mod table;

use crate::Policy;

/// Marks that are put into prompts for a provider's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptCache {
    /// Whether any are.
    pub is_on: bool,
    /// What is cached is kept for an hour, instead of five minutes.
    pub is_long: bool,
    /// Tokens that a prefix must have; `None`: as many as the model needs, as far as that is known.
    pub tokens_min: Option<u64>,
}

impl Policy {
    /// What is done for a request for `model`, the policy's name, at a provider: what the model says, or else what the
    /// provider says; `None` where no marks are wanted.
    #[must_use]
    pub fn prompt_cache(&self, model: &str, provider: usize) -> Option<PromptCache> {
        let of_model = self.models.named(model).and_then(|model| model.cache);
        let of_provider = || self.providers.get(provider).and_then(|provider| provider.cache);
        of_model.or_else(of_provider).filter(|cache| cache.is_on)
    }
}
