//! Which vocabulary a model has.
//!
//! In: a provider's name for a model. Out: its [`Tokenizer`], if it is one of those that come with the binary. The table is
//! OpenAI's own: <https://github.com/openai/tiktoken/blob/main/tiktoken/model.py>.

use tiktoken_rs::CoreBPE;

/// A vocabulary, and how chats are framed for the models that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tokenizer {
    encoding: Encoding,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Encoding {
    Cl100k,
    O200k,
}

/// How the messages of a chat become one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Framing {
    /// As OpenAI's cookbook says, and its API bears out: 3 tokens a message, 1 a name, 3 for the answer's start.
    Published,
    /// Nobody has said: it can only be bounded.
    Unpublished,
}

/// Names of models by how they begin; the first that fits counts.
const TABLE: &[(&str, Encoding, Framing)] = &[
    ("chatgpt-4o", Encoding::O200k, Framing::Published),
    ("gpt-4o", Encoding::O200k, Framing::Published),
    ("gpt-4.1", Encoding::O200k, Framing::Unpublished),
    ("gpt-4.5", Encoding::O200k, Framing::Unpublished),
    ("gpt-4", Encoding::Cl100k, Framing::Published),
    ("gpt-3.5-turbo", Encoding::Cl100k, Framing::Published),
    ("gpt-35-turbo", Encoding::Cl100k, Framing::Published), // Azure's spelling
    // One token less a request than the rule says, as gpt-oss, whose framing is known, has it.
    ("gpt-5", Encoding::O200k, Framing::Unpublished),
    ("gpt-oss", Encoding::O200k, Framing::Unpublished), // o200k_harmony: more control tokens, the same merges
    ("o1", Encoding::O200k, Framing::Unpublished),
    ("o3", Encoding::O200k, Framing::Unpublished),
    ("o4-mini", Encoding::O200k, Framing::Unpublished),
    ("codex-mini", Encoding::O200k, Framing::Unpublished),
    ("text-embedding-3", Encoding::Cl100k, Framing::Unpublished),
    ("text-embedding-ada-002", Encoding::Cl100k, Framing::Unpublished),
];

impl Tokenizer {
    /// The tokenizer of the model that a provider calls so, or `None` when it is not one of OpenAI's that are known.
    ///
    /// Whether the provider runs OpenAI's models under OpenAI's names is for the caller to know
    /// ([`runs_openai_models`](crate::quirks::Quirks::runs_openai_models)).
    #[must_use]
    pub fn of(model: &str) -> Option<Self> {
        let name = model.strip_prefix("openai/").unwrap_or(model); // as OpenRouter spells it
        let tuned = name.strip_prefix("ft:").and_then(|rest| rest.split(':').next());
        let name = tuned.unwrap_or(name);
        let row = TABLE.iter().find(|(start, ..)| is_of(name, start));
        row.map(|&(_, encoding, framing)| Self { encoding, framing })
    }

    /// Loads the vocabulary, unless it is there already. The first call takes a few hundred milliseconds.
    pub fn load(self) {
        let _ = self.vocabulary();
    }

    /// Whether both count a text alike.
    #[must_use]
    pub fn counts_like(self, other: Self) -> bool {
        self.encoding == other.encoding
    }

    pub(super) fn vocabulary(self) -> &'static CoreBPE {
        match self.encoding {
            Encoding::Cl100k => tiktoken_rs::cl100k_base_singleton(),
            Encoding::O200k => tiktoken_rs::o200k_base_singleton(),
        }
    }

    pub(super) const fn framing(self) -> Framing {
        self.framing
    }
}

/// Whether `name` is the model `start`, or a version or size of it: `gpt-4-0613` is `gpt-4`, `gpt-4.7` is not.
fn is_of(name: &str, start: &str) -> bool {
    let versions = start == "gpt-5"; // every gpt-5.x so far is one of these
    match name.strip_prefix(start) {
        Some(rest) => {
            rest.is_empty()
                || rest.starts_with(['-', ':', '@'])
                || versions && rest.starts_with('.')
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_the_vocabulary_that_openai_says() {
        let check = |model: &str, expected: Option<Encoding>| {
            assert_eq!(Tokenizer::of(model).map(|t| t.encoding), expected, "{model}");
        };
        for model in ["gpt-4o", "gpt-4o-mini-2024-07-18", "chatgpt-4o-latest", "gpt-4.1-nano"] {
            check(model, Some(Encoding::O200k));
        }
        for model in ["gpt-5", "gpt-5.2-codex", "o1", "o3-pro", "o4-mini", "openai/gpt-oss-120b"] {
            check(model, Some(Encoding::O200k));
        }
        for model in ["gpt-4", "gpt-4-0613", "gpt-4-turbo", "gpt-3.5-turbo-0125", "gpt-35-turbo"] {
            check(model, Some(Encoding::Cl100k));
        }
        check("text-embedding-3-large", Some(Encoding::Cl100k));
        check("ft:gpt-4o-mini-2024-07-18:org::id", Some(Encoding::O200k));
        for model in
            ["", "claude-opus-5", "gemini-3-pro", "gpt-4.7", "gpt-6", "o1x", "o4", "x/gpt-4o"]
        {
            check(model, None);
        }
    }

    #[test]
    fn no_row_hides_a_later_one() {
        for (index, (start, ..)) in TABLE.iter().enumerate() {
            let first = TABLE.iter().position(|(other, ..)| is_of(start, other));
            assert_eq!(first, Some(index), "{start}");
        }
    }
}
