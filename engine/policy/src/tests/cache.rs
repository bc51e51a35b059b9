//! Tables `cache` of models and providers.

use super::{reasons, right};
use crate::cache::PromptCache;

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
    let text = "[providers.openai]\napi_key = \"env:K\"\n[models.m]\ntargets = [\"openai/x\"]\n";
    assert_eq!(right(text).prompt_cache("m", 0), None);
    assert_eq!(reasons(&format!("{text}cache = {{ ttl = \"1h\" }}\n")).len(), 1);
}
