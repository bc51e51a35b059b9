//! Which family a model is of, as far as its id tells, and what that changes in a request.
//!
//! Converse is one form for many models, but thinking, `top_k` and caching are spelled by family. An id is
//! `anthropic.claude-…`, with a region before it (`us.anthropic.…`) or inside of an ARN; an ARN of an application's own
//! profile does not tell.

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Claude that thinks as much as it likes, or by effort (from 4.6 on).
    ClaudeAdaptive,
    /// Claude that thinks within a number of tokens.
    ClaudeCounted,
    /// Claude before 3.7, which does not think.
    ClaudePlain,
    /// Amazon Nova without thinking.
    Nova,
    /// Amazon Nova from 2 on.
    NovaThinking,
    /// OpenAI's open models.
    GptOss,
    /// Mistral.
    Mistral,
    /// Cohere.
    Cohere,
    /// Another one that is known by name.
    Other,
    /// The id does not tell.
    Unknown,
}

/// Where a model takes cache points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// In messages and instructions.
    pub messages: bool,
    /// Between tools, and for longer than five minutes.
    pub tools: bool,
}

impl Family {
    /// The family of a model's id or ARN.
    pub(super) fn of(model: &str) -> Self {
        let id = model.rsplit('/').next().unwrap_or(model);
        if let Some((_, claude)) = id.split_once("claude-") {
            return match version(claude) {
                Some(version) if version < (3, 7) => Self::ClaudePlain,
                Some(version) if version < (4, 6) => Self::ClaudeCounted,
                _ => Self::ClaudeAdaptive,
            };
        }
        let has = |maker: &str| id.starts_with(maker) || id.contains(&format!(".{maker}"));
        match () {
            () if has("anthropic.") => Self::ClaudeAdaptive,
            () if has("amazon.nova-2") => Self::NovaThinking,
            () if has("amazon.nova") => Self::Nova,
            () if has("openai.") => Self::GptOss,
            () if has("mistral.") => Self::Mistral,
            () if has("cohere.") => Self::Cohere,
            () if id.contains('.') => Self::Other,
            () => Self::Unknown,
        }
    }

    /// Whether it is one of Anthropic's.
    pub(super) const fn is_claude(self) -> bool {
        matches!(self, Self::ClaudeAdaptive | Self::ClaudeCounted | Self::ClaudePlain)
    }

    /// Whether cache points may stand in messages and instructions. A model that does not know them refuses the request.
    pub(super) const fn caches(self) -> bool {
        self.caches_tools() || matches!(self, Self::Nova | Self::NovaThinking)
    }

    /// Where cache points are known to be understood; nowhere if the id does not tell.
    pub(super) const fn known_to_cache(self) -> Caches {
        let is_known = !matches!(self, Self::Unknown);
        Caches { messages: is_known && self.caches(), tools: is_known && self.caches_tools() }
    }

    /// Whether cache points may stand between tools and say for how long.
    pub(super) const fn caches_tools(self) -> bool {
        matches!(self, Self::ClaudeAdaptive | Self::ClaudeCounted | Self::Unknown)
    }
}

/// The version in `sonnet-4-5-20250929-v1:0` or `3-7-sonnet-…`, if there is one.
fn version(name: &str) -> Option<(u32, u32)> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let mut numbers = name
        .split(['-', ':', '@'])
        .skip_while(|part| !part.starts_with(|first: char| first.is_ascii_digit()))
        .map_while(|part| part.parse::<u32>().ok().filter(|number| *number < 100));
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_by_id() {
        for (model, family) in [
            ("anthropic.claude-3-7-sonnet-20250219-v1:0", Family::ClaudeCounted),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Family::ClaudeCounted),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::ClaudeCounted),
            ("global.anthropic.claude-opus-4-6-v1", Family::ClaudeAdaptive),
            ("anthropic.claude-opus-5-5", Family::ClaudeAdaptive),
            ("anthropic.claude-v2:1", Family::ClaudePlain),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-3-haiku-2024-v1:0",
                Family::ClaudePlain,
            ),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc", Family::Unknown),
            ("us.amazon.nova-pro-v1:0", Family::Nova),
            ("amazon.nova-2-lite-v1:0", Family::NovaThinking),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("mistral.mistral-large-2407-v1:0", Family::Mistral),
            ("meta.llama3-70b-instruct-v1:0", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
