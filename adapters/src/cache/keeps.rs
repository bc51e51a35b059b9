//! What providers say of their prompt caches, as data: for how long, and from which length on.
//!
//! In: a dialect, a model's name. Out: [`Kept`]. What is learned of a target goes before it, so that a table that is out of
//! date costs a few turns. Anthropic:
//! <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>, OpenAI: <https://platform.openai.com/docs/guides/prompt-caching>,
//! Gemini: <https://ai.google.dev/gemini-api/docs/caching>.

use super::{LONGER, TOKENS_MIN};
use crate::dialect::Form;

/// For how long a provider keeps what it has read of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Seconds since it was used last.
    pub seconds: u32,
    /// Tokens that a prompt must have.
    pub tokens_min: u64,
}

/// By dialect: seconds, and tokens that a prompt must have where the model is not among those that need more.
const KEPT: [(Form, u32); 5] = [
    (Form::Messages, 300),
    (Form::Converse, 300),
    (Form::Chat, 600),
    (Form::Responses, 600),
    (Form::Gemini, 300),
];

/// Seconds, where a prompt was marked to be kept for long.
const LONG: u32 = 3600;

/// What is known of a model of a provider that speaks `form`.
#[must_use]
pub fn keeps(form: Form, model: &str, is_long: bool) -> Kept {
    let is_marked = matches!(form, Form::Messages | Form::Converse);
    let seconds = match is_long && is_marked {
        true => LONG,
        false => KEPT.iter().find(|(own, _)| *own == form).map_or(300, |(_, seconds)| *seconds),
    };
    let longer = LONGER.iter().find(|(part, _)| model.contains(part));
    Kept { seconds, tokens_min: longer.map_or(TOKENS_MIN, |(_, tokens)| *tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_length_depend_on_dialect_model_and_mark() {
        let kept = |form, model, is_long| {
            let Kept { seconds, tokens_min } = keeps(form, model, is_long);
            (seconds, tokens_min)
        };
        assert_eq!(kept(Form::Messages, "claude-sonnet-5-5", false), (300, 1024));
        assert_eq!(kept(Form::Messages, "claude-haiku-4-5", true), (3600, 4096));
        assert_eq!(kept(Form::Chat, "gpt-5.5", true), (600, 1024), "nothing is marked there");
    }
}
