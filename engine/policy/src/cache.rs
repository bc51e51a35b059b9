//! What is done about providers' prompt caches, as the policy says.
//!
//! In: the model and the provider of a request. Out: a [`PromptCache`], where marks are wanted. Nothing is remembered.

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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tests::{reasons, right};

    #[test]
    fn a_model_goes_before_its_provider() {
        let policy = right(
            "[providers.openai]\napi_key = \"env:K\"\ncache = { prompt = \"auto\", tokens_min = 7 }\n\
             [models.plain]\ntargets = [\"openai/x\"]\n\
             [models.off]\ntargets = [\"openai/x\"]\ncache = { prompt = \"off\" }\n\
             [models.\"long-*\"]\ntargets = [\"openai/x\"]\ncache = { prompt = \"auto\", ttl = \"1h\" }\n",
        );
        let of_provider = PromptCache { is_on: true, is_long: false, tokens_min: Some(7) };
        for (model, expected) in [
            ("plain", Some(of_provider)),
            ("", Some(of_provider)),
            ("off", None),
            ("long-*", Some(PromptCache { is_long: true, tokens_min: None, ..of_provider })),
        ] {
            assert_eq!(policy.prompt_cache(model, 0), expected, "{model}");
        }
    }

    #[test]
    fn nothing_is_marked_unless_the_policy_says_so() {
        let text =
            "[providers.openai]\napi_key = \"env:K\"\n[models.m]\ntargets = [\"openai/x\"]\n";
        assert_eq!(right(text).prompt_cache("m", 0), None);
        assert_eq!(reasons(&format!("{text}cache = {{ ttl = \"1h\" }}\n")).len(), 1);
    }
}
