//! How a provider differs from the dialect it speaks, as data.
//!
//! Writers of requests read these; nothing else knows that providers differ. The table is [`ALL`]; a policy may set the
//! same fields by hand for a provider that is not in it.

use crate::chat::IdRule;

/// How a provider differs from its dialect. The default is the dialect's own provider.
#[derive(Clone, Copy, Debug)]
pub struct Quirks {
    /// The member that bounds output, where it is not the dialect's newest name (`max_tokens` of OpenAI's).
    pub output_max_name: Option<&'static str>,
    /// Members that the provider refuses or that mean something else there; they are reported as lost.
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
    /// `thinking` for how the model shall think, and types of tools that the provider runs by itself.
    pub takes: &'static [&'static str],
    /// Texts of one message are joined to one string: lists of parts are not known, or not everywhere.
    pub joins_text: bool,
    /// Of earlier thoughts only those behind the last words of the user are taken: within a loop of tools.
    pub reasoning_in_loop: bool,
    /// Put into the body in place of the model's name (Anthropic's dialect on Vertex and Bedrock).
    pub version_in_body: Option<&'static str>,
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
        joins_text: false,
        reasoning_in_loop: false,
        version_in_body: None,
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
