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
        version_in_body: None,
    };

    /// Whether a member must not be sent.
    #[must_use]
    pub fn refuses(&self, name: &str) -> bool {
        self.refuses.contains(&name)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::NONE
    }
}
