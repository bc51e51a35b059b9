//! How a provider differs from the dialect it speaks, as data.
//!
//! Writers of requests read these; nothing else knows that providers differ. The table is [`ALL`]; a policy may set the
//! same fields by hand for a provider that is not in it.

use crate::chat::IdRule;

/// How a provider differs from its dialect. The default is the dialect's own provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The member that bounds output, where it is not the dialect's newest name (`max_tokens` of OpenAI's).
    pub output_max_name: Option<&'static str>,
    /// Members that the provider refuses or that mean something else there; they are reported as lost. `allowed_tools`,
    /// `custom` (tools), `file`, `name` and `refusal` (in messages), `strict` and `prompt_cache_breakpoint` stand for what they are
    /// members of.
    pub refuses: &'static [&'static str],
    /// What ids of tool calls must look like.
    pub id_rule: Option<IdRule>,
    /// The role `developer` is not known.
    pub no_developer: bool,
    /// Where thoughts stand in messages and deltas (`reasoning_content`, `reasoning`).
    pub reasoning_name: &'static str,
    /// Earlier thoughts are taken back in messages, under [`reasoning_name`](Self::reasoning_name).
    pub takes_reasoning: bool,
    /// A user's message may not follow a tool's result directly (Mistral).
    pub no_user_after_tool: bool,
    /// `response_format` of type `json_schema` is not known: the schema goes into the instructions, `json_object` stays.
    pub no_json_schema: bool,
    /// Members beyond the dialect's own that the provider takes, such as `top_k`; and what stands for a spelling as a whole:
    /// `video_url` and `cache_control` on parts, `reasoning_details` on messages, `extra_content` on calls, `reasoning` and
    /// `thinking` for how the model shall think, `max_effort` for that name of an effort, and types of tools that the
    /// provider runs by itself.
    pub takes: &'static [&'static str],
    /// The path alone says that a stream is wanted: `stream` in the body is refused (Anthropic's dialect on Bedrock).
    pub stream_in_path: bool,
    /// Where documents are ranked, from the provider's root: beside the API that its base URL leads to.
    pub rerank_path: Option<&'static str>,
    /// Messages go through a chat template, which may demand that instructions are one message at the start, and that what
    /// the user says in a row is one message.
    pub templated: bool,
    /// Texts of one message are joined to one string: lists of parts are not known, or not everywhere.
    pub joins_text: bool,
    /// Calls of tools are refused without a thought beside them: an empty one is sent where there is none.
    pub reasoning_with_calls: bool,
    /// Put into the body in place of the model's name (Anthropic's dialect on Vertex and Bedrock).
    pub version_in_body: Option<&'static str>,
    /// Models that have names of OpenAI's are OpenAI's: their tokens can be counted.
    pub runs_openai_models: bool,
}

impl Quirks {
    /// None at all.
    pub const NONE: Self = Self {
        output_max_name: None,
        refuses: &[],
        id_rule: None,
        no_developer: false,
        reasoning_name: "reasoning_content",
        takes_reasoning: false,
        no_user_after_tool: false,
        no_json_schema: false,
        takes: &[],
        stream_in_path: false,
        rerank_path: None,
        templated: false,
        joins_text: false,
        reasoning_with_calls: false,
        version_in_body: None,
        runs_openai_models: false,
    };

    /// Whether a member must not be sent.
    #[must_use]
    pub fn refuses(&self, name: &str) -> bool {
        self.refuses.contains(&name)
    }

    /// Whether a member beyond the dialect's own may be sent.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.takes.contains(&name) && !self.refuses(name)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::NONE
    }
}

/// The quirks of the provider of this name; none of one that is not in the table.
#[must_use]
pub fn find(name: &str) -> Quirks {
    let named = ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    named.map_or(Quirks::NONE, |(_, quirks)| *quirks)
}

/// OpenAI itself.
pub(crate) const OPENAI: Quirks = Quirks { runs_openai_models: true, ..Quirks::NONE };

/// Members that only OpenAI itself has, and others.
macro_rules! openais_and {
    ($($name:literal),*) => {
        &[
            "metadata", "store", "service_tier", "verbosity", "prompt_cache_key", "prompt_cache_breakpoint",
            "prompt_cache_retention", "prompt_cache_options", "allowed_tools", "custom", "refusal", "modalities", "audio",
            "prediction", "web_search_options", "moderation", "safety_identifier", "file", $($name),*
        ]
    };
}

/// A provider that knows what OpenAI's dialect was in 2024, which is what most servers grew from.
const PLAIN: Quirks = Quirks {
    output_max_name: Some("max_tokens"),
    refuses: openais_and!(),
    no_developer: true, // the roles of chat templates
    templated: true, // of Qwen, Gemma, Mistral: "System message must be at the beginning", "roles must alternate"
    ..Quirks::NONE
};

/// Engines that run open weights, and take what their samplers have.
const ENGINE: Quirks = Quirks {
    takes: &["top_k", "min_p", "repetition_penalty", "chat_template_kwargs", "video_url"],
    takes_reasoning: true, // templates drop what they do not want
    ..PLAIN
};

/// The providers that are known by name. A reason stands behind what is not plain.
pub const ALL: &[(&str, Quirks)] = &[
    ("openai", OPENAI),
    (
        "azure",
        Quirks {
            // comes later there; the rest is OpenAI's own
            refuses: &["prompt_cache_breakpoint", "prompt_cache_options", "moderation"],
            ..OPENAI
        },
    ),
    (
        "mistral",
        Quirks {
            // answers 422 extra_forbidden to every member that it does not know, in messages too; seed is random_seed
            refuses: openais_and!(
                "seed",
                "user",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "name",
                "stream_options",
                "reasoning_effort"
            ),
            id_rule: Some(IdRule { bytes_max: 9, exact_alphanumeric: true }), // any other id is a 400
            no_user_after_tool: true, // "Unexpected role 'user' after role 'tool'"
            ..PLAIN
        },
    ),
    (
        "deepseek",
        Quirks {
            // not in its API, and passed over in silence
            refuses: openais_and!(
                "n",
                "seed",
                "user",
                "logit_bias",
                "parallel_tool_calls",
                "strict"
            ),
            takes: &["thinking", "max_effort"], // thinking is on unless it is disabled; efforts end with max
            takes_reasoning: true,
            reasoning_with_calls: true, // "Missing reasoning_content field in the assistant message": 400
            no_json_schema: true,       // response_format is text or json_object
            ..PLAIN
        },
    ),
    (
        "groq",
        Quirks {
            output_max_name: None, // max_tokens is deprecated there too
            // these are 400 by its own documents
            refuses: openais_and!("logprobs", "top_logprobs", "logit_bias", "name", "n"),
            takes: &["browser_search", "code_interpreter", "search_settings", "reasoning_format"],
            reasoning_name: "reasoning", // with reasoning_format parsed, which is what gpt-oss has
            ..PLAIN
        },
    ),
    (
        "xai",
        Quirks {
            output_max_name: None,
            // models that reason answer 400 to these, and all that are served do
            refuses: openais_and!(
                "presence_penalty",
                "frequency_penalty",
                "stop",
                "logit_bias",
                "reasoning_effort"
            ),
            takes: &["search_parameters", "deferred"],
            ..PLAIN
        },
    ),
    (
        "openrouter",
        Quirks {
            // routes to everybody: what a model does not know is dropped there
            refuses: &[
                "metadata",
                "store",
                "service_tier",
                "prompt_cache_breakpoint",
                "allowed_tools",
                "custom",
                "refusal",
                "moderation",
            ],
            takes: &[
                "reasoning",
                "reasoning_details",
                "cache_control",
                "video_url",
                "top_k",
                "min_p",
                "top_a",
                "repetition_penalty",
                "provider",
                "models",
                "route",
                "transforms",
                "plugins",
            ],
            output_max_name: Some("max_tokens"),
            reasoning_name: "reasoning",
            takes_reasoning: true,
            ..OPENAI // under openai/
        },
    ),
    (
        "together",
        Quirks {
            takes: &["top_k", "min_p", "repetition_penalty", "chat_template_kwargs", "video_url"],
            reasoning_name: "reasoning",
            ..PLAIN
        },
    ),
    (
        "fireworks",
        Quirks {
            takes: &["top_k", "min_p", "typical_p", "repetition_penalty", "reasoning_history"],
            takes_reasoning: true, // kept or dropped by reasoning_history
            ..PLAIN
        },
    ),
    (
        "cohere",
        Quirks {
            // its compatibility API names these as not supported; of efforts it has none and high
            refuses: openais_and!(
                "n",
                "logit_bias",
                "top_logprobs",
                "parallel_tool_calls",
                "reasoning_effort",
                "user"
            ),
            no_developer: false,
            rerank_path: Some("/v2/rerank"), // the compatibility API has none
            ..PLAIN
        },
    ),
    (
        "ollama",
        Quirks {
            // passed over in silence
            refuses: openais_and!("n", "user", "logit_bias", "tool_choice", "parallel_tool_calls"),
            takes: &[],
            reasoning_name: "reasoning",
            ..ENGINE
        },
    ),
    (
        "vllm",
        Quirks {
            takes: &[
                "top_k",
                "min_p",
                "repetition_penalty",
                "chat_template_kwargs",
                "video_url",
                "structured_outputs",
                "guided_json",
                "guided_regex",
                "guided_choice",
                "guided_grammar",
                "stop_token_ids",
                "include_stop_str_in_output",
                "ignore_eos",
                "min_tokens",
                "length_penalty",
                "skip_special_tokens",
                "bad_words",
                "priority",
                "cache_salt",
                "kv_transfer_params",
                "mm_processor_kwargs",
                "documents",
            ],
            reasoning_name: "reasoning", // reasoning_content before 0.12: readers take both
            ..ENGINE
        },
    ),
    (
        "sglang",
        Quirks {
            takes: &[
                "top_k",
                "min_p",
                "repetition_penalty",
                "chat_template_kwargs",
                "video_url",
                "regex",
                "ebnf",
                "min_tokens",
                "stop_token_ids",
                "ignore_eos",
                "skip_special_tokens",
                "separate_reasoning",
                "stream_reasoning",
                "lora_path",
                "session_params",
            ],
            ..ENGINE
        },
    ),
    (
        "llamacpp",
        Quirks {
            refuses: openais_and!("n", "user"), // one slot, one answer
            takes: &[
                "top_k",
                "min_p",
                "typical_p",
                "repeat_penalty",
                "repeat_last_n",
                "mirostat",
                "mirostat_tau",
                "mirostat_eta",
                "grammar",
                "json_schema",
                "cache_prompt",
                "id_slot",
                "n_probs",
                "samplers",
                "chat_template_kwargs",
                "reasoning_format",
            ],
            ..ENGINE
        },
    ),
    (
        "tgi",
        Quirks {
            refuses: openais_and!("user", "parallel_tool_calls", "reasoning_effort", "strict"),
            takes: &[],
            takes_reasoning: false,
            joins_text: true, // many templates there know strings only
            ..ENGINE
        },
    ),
    (
        "cerebras",
        Quirks {
            output_max_name: None, // max_completion_tokens is its own name
            // these are 400 by its own documents
            refuses: openais_and!("frequency_penalty", "presence_penalty", "logit_bias", "n"),
            joins_text: true, // lists of parts are for models that see
            reasoning_name: "reasoning",
            ..PLAIN
        },
    ),
    (
        "nvidia",
        Quirks {
            // hosted NIMs refuse what their schema lacks
            refuses: openais_and!(
                "user",
                "n",
                "logit_bias",
                "parallel_tool_calls",
                "reasoning_effort"
            ),
            takes: &["top_k", "min_p", "chat_template_kwargs", "nvext"],
            ..PLAIN
        },
    ),
    (
        "moonshot",
        Quirks {
            refuses: openais_and!(
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "reasoning_effort",
                "user"
            ),
            takes: &["thinking", "builtin_function", "video_url"],
            takes_reasoning: true,
            reasoning_with_calls: true, // thinking models refuse a call whose thought is missing
            no_json_schema: true,       // json_object alone is documented for all models
            ..PLAIN
        },
    ),
    (
        "zai",
        Quirks {
            // tool_choice is auto only; end users are user_id
            refuses: openais_and!(
                "n",
                "seed",
                "user",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "presence_penalty",
                "frequency_penalty",
                "tool_choice",
                "parallel_tool_calls",
                "reasoning_effort"
            ),
            takes: &["thinking", "web_search", "retrieval", "video_url"],
            takes_reasoning: true,
            no_json_schema: true, // response_format is text or json_object
            ..PLAIN
        },
    ),
    (
        "dashscope",
        Quirks {
            refuses: openais_and!("logit_bias", "user", "reasoning_effort", "frequency_penalty"),
            takes: &["top_k", "enable_thinking", "thinking_budget", "enable_search", "video_url"],
            ..PLAIN
        },
    ),
    (
        "gemini",
        Quirks {
            // "Unknown name: Cannot find field" is a 400
            refuses: openais_and!(
                "seed",
                "user",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "frequency_penalty",
                "presence_penalty",
                "parallel_tool_calls",
                "name",
                "strict"
            ),
            takes: &["extra_content"], // calls without their signature are refused by Gemini 3
            ..PLAIN
        },
    ),
    ("deepinfra", ENGINE),
    ("lmstudio", Quirks { takes: &["top_k", "min_p", "repeat_penalty"], ..ENGINE }),
    ("huggingface", PLAIN), // a router to the others
    (
        "litellm",
        Quirks {
            // drops or refuses by itself what its targets do not know
            refuses: &["prompt_cache_breakpoint", "allowed_tools"],
            takes: &["top_k", "min_p", "cache_control", "thinking", "video_url", "extra_content"],
            takes_reasoning: true,
            ..Quirks::NONE
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_found_by_their_names_once_each() {
        for (index, (name, _)) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|(other, _)| other != name), "{name} twice");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
        }
        assert!(find("Mistral").no_user_after_tool);
        assert!(find("somebody").refuses.is_empty());
    }

    #[test]
    fn nothing_is_both_taken_and_refused() {
        for (name, quirks) in ALL {
            assert!(quirks.takes.iter().all(|taken| !quirks.refuses(taken)), "{name}");
        }
    }
}
