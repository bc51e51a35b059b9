//! Providers that need no address: where they listen, which environment variable holds their key,
//! and what their models are called, and what they speak.

use faregate_adapters::dialect::Form;

/// A provider that is known by name.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name in the policy.
    pub name: &'static str,
    /// What kind of provider it is: the value of `dialect`.
    pub dialect: &'static str,
    /// The chats that it speaks where these are not the kind's own.
    pub forms: &'static [Form],
    /// Where it listens; empty where that depends on a region.
    pub base_url: &'static str,
    /// The environment variables that usually hold its key, the preferred one first; none: it takes
    /// no key.
    pub key_vars: &'static [&'static str],
    /// The environment variable that usually moves it elsewhere.
    pub url_var: Option<&'static str>,
    /// Names of its models by which it is found without being named.
    pub prefixes: &'static [&'static str],
}

/// All of them; the first one present takes names that no other one has.
pub const ALL: &[Known] = &[
    Known {
        name: "openai",
        dialect: "openai",
        forms: &[Form::Chat, Form::Responses],
        base_url: "https://api.openai.com/v1",
        key_vars: &["OPENAI_API_KEY"],
        url_var: Some("OPENAI_BASE_URL"),
        prefixes: &[
            "gpt-*",
            "chatgpt-*",
            "o1*",
            "o3*",
            "o4*",
            "text-embedding-*",
            "whisper-*",
            "dall-e-*",
            "tts-*",
            "omni-moderation-*",
            "codex-*",
            "davinci-*",
            "babbage-*",
        ],
    },
    Known {
        dialect: "azure",
        url_var: Some("AZURE_OPENAI_ENDPOINT"),
        ..remote("azure", "", &["AZURE_OPENAI_API_KEY"], &[])
    },
    Known { dialect: "bedrock", ..remote("bedrock", "", &["AWS_BEARER_TOKEN_BEDROCK"], &[]) },
    Known { dialect: "vertex", ..remote("vertex", "", &[], &[]) },
    remote("openrouter", "https://openrouter.ai/api/v1", &["OPENROUTER_API_KEY"], &[]),
    remote("groq", "https://api.groq.com/openai/v1", &["GROQ_API_KEY"], &[]),
    remote(
        "mistral",
        "https://api.mistral.ai/v1",
        &["MISTRAL_API_KEY"],
        &[
            "mistral-*",
            "ministral-*",
            "magistral-*",
            "codestral-*",
            "devstral-*",
            "pixtral-*",
            "open-mistral-*",
            "open-mixtral-*",
        ],
    ),
    remote("deepseek", "https://api.deepseek.com/v1", &["DEEPSEEK_API_KEY"], &["deepseek-*"]),
    remote("xai", "https://api.x.ai/v1", &["XAI_API_KEY"], &["grok-*"]),
    Known {
        dialect: "gemini",
        url_var: Some("GOOGLE_GEMINI_BASE_URL"),
        ..remote(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta",
            &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            &["gemini-*", "gemma-*"],
        )
    },
    Known {
        dialect: "anthropic",
        url_var: Some("ANTHROPIC_BASE_URL"),
        ..remote("anthropic", "https://api.anthropic.com/v1", &["ANTHROPIC_API_KEY"], &["claude-*"])
    },
    remote(
        "together",
        "https://api.together.xyz/v1",
        &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
        &[],
    ),
    remote(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        &["accounts/fireworks/*"],
    ),
    remote(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        &["COHERE_API_KEY", "CO_API_KEY"],
        &["command-*", "embed-*", "c4ai-*"],
    ),
    remote("cerebras", "https://api.cerebras.ai/v1", &["CEREBRAS_API_KEY"], &[]),
    remote("nvidia", "https://integrate.api.nvidia.com/v1", &["NVIDIA_API_KEY"], &[]),
    remote(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        &["DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"],
        &[],
    ),
    remote(
        "moonshot",
        "https://api.moonshot.ai/v1",
        &["MOONSHOT_API_KEY"],
        &["kimi-*", "moonshot-*"],
    ),
    local("ollama", "http://127.0.0.1:11434/v1", Some("OLLAMA_HOST")),
    local("vllm", "http://127.0.0.1:8000/v1", Some("VLLM_BASE_URL")),
    local("sglang", "http://127.0.0.1:30000/v1", Some("SGLANG_BASE_URL")),
    local("llamacpp", "http://127.0.0.1:8080/v1", Some("LLAMACPP_BASE_URL")),
    local("lmstudio", "http://127.0.0.1:1234/v1", Some("LMSTUDIO_BASE_URL")),
];

/// The known provider with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.name == name)
}

const fn remote(
    name: &'static str,
    base_url: &'static str,
    key_vars: &'static [&'static str],
    prefixes: &'static [&'static str],
) -> Known {
    Known { name, dialect: "openai", forms: &[], base_url, key_vars, url_var: None, prefixes }
}

const fn local(name: &'static str, base_url: &'static str, url_var: Option<&'static str>) -> Known {
    Known { url_var, ..remote(name, base_url, &[], &[]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_share_a_name_a_variable_or_a_prefix() {
        let mut seen = HashSet::new();
        for known in ALL {
            let words = [known.name].into_iter().chain(known.url_var);
            let words = words.chain(known.key_vars.iter().chain(known.prefixes).copied());
            for word in words {
                assert!(seen.insert(word), "{word} is there twice");
            }
        }
    }

    #[test]
    fn every_one_is_a_right_provider() {
        for known in ALL.iter().filter(|known| !known.base_url.is_empty()) {
            let text = format!("[providers.{}]\napi_key = \"env:K\"\n", known.name);
            let policy = crate::Policy::compile(&text, "p", 1, None).unwrap();
            let local = known.key_vars.is_empty();
            let url = &policy.providers[0].replicas[0];
            assert_eq!(url.host == "127.0.0.1", local, "{}", known.name);
        }
    }
}
