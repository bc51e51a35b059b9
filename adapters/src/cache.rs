//! Marks for providers' prompt caches, put into requests whose client has put none.
//!
//! In: a request, as its client wrote it or in the gateway's own terms, and a [`Wish`]. Out: the same request with marks:
//! behind the tools, behind the instructions, and behind the last two turns of the user, never more than a request may
//! have. A client that marks anything knows better: then nothing is done. Nothing is remembered between calls.
//!
//! A conversation that grows keeps its bytes up to each mark, since a mark changes nothing but itself: the second last turn
//! of a request was the last one of the request before, so what was written then is read now, however much lies between.
//! OpenAI has no marks by default but a key that keeps the requests of one conversation together; it is a digest, so that it says
//! nothing of whose it is, and no caller can ask for what another caller's key would find.
//! Rules: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>,
//! <https://platform.openai.com/docs/guides/prompt-caching>

use sha2::{Digest, Sha256};

use crate::{dialect::bedrock, quirks::Quirks};

mod edit;
mod keeps;
mod mark;
#[cfg(test)]
mod tests;

pub use edit::edit;
pub use keeps::{Kept, keeps};
pub use mark::mark;

/// The most marks in a request, in Anthropic's dialect and in Converse alike.
const MARKS_MAX: usize = 4;

/// Marks of a conversation, beside those of tools and instructions.
const TURNS_MAX: usize = MARKS_MAX - 2;

/// Tokens that a prefix must have where nothing else is known of the model.
const TOKENS_MIN: u64 = 1024;

/// Bytes that are taken for a token: few, since a mark that comes too early has no effect and no price.
const TOKEN_BYTES: u64 = 3;

/// Models whose prefixes must be longer: part of the name, and tokens.
const LONGER: &[(&str, u64)] = &[
    ("opus-4-5", 4096),
    ("opus-4-6", 4096),
    ("haiku-4-5", 4096),
    ("3-5-haiku", 2048),
    ("3-haiku", 2048),
];

/// Bytes of a conversation's beginning that its key is made of.
const BEGINNING_BYTES_MAX: usize = 16 * 1024;

/// Hex digits of a key behind its prefix.
const KEY_DIGITS: usize = 32;

/// What is wanted for a request.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// For an hour, instead of five minutes.
    pub is_long: bool,
    /// Tokens that a prefix must have; `None`: as many as the model needs, as far as that is known.
    pub tokens_min: Option<u64>,
    /// Who asks: callers of different names never share a key.
    pub tenant: &'a str,
    /// The session, where the client names one; empty: its beginning stands for it.
    pub session: &'a str,
    /// The provider's name for the model.
    pub model: &'a str,
    /// How the provider differs from its dialect.
    pub quirks: &'a Quirks,
}

impl Wish<'_> {
    /// Bytes that a prefix must have.
    fn bytes_min(&self) -> u64 {
        let longer = LONGER.iter().find(|(part, _)| self.model.contains(part));
        let known = longer.map_or(TOKENS_MIN, |(_, tokens)| *tokens);
        self.tokens_min.unwrap_or(known).saturating_mul(TOKEN_BYTES)
    }

    /// Whether Anthropic's dialect may be marked.
    fn marks_messages(&self) -> bool {
        let is_on_bedrock =
            self.quirks.version_in_body.is_some_and(|version| version.starts_with("bedrock"));
        !self.quirks.refuses("cache_control")
            && (!is_on_bedrock || bedrock::known_to_cache(self.model).tools)
    }

    /// Whether a request may have a key.
    fn has_key(&self) -> bool {
        !self.quirks.refuses("prompt_cache_key")
    }

    /// The key of a conversation that begins with `beginning`; `None` where neither session nor beginning is told.
    fn key<'b>(&self, beginning: impl Iterator<Item = &'b [u8]>) -> Option<String> {
        let mut digest = Sha256::new();
        for name in [self.tenant, self.session] {
            digest.update((name.len() as u64).to_le_bytes());
            digest.update(name);
        }
        let mut left = BEGINNING_BYTES_MAX;
        for part in beginning.take_while(|_| self.session.is_empty()) {
            let part = &part[..part.len().min(left)];
            left -= part.len();
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        if self.session.is_empty() && left == BEGINNING_BYTES_MAX {
            return None;
        }
        let mut key = "fg-".to_owned();
        for byte in digest.finalize().iter().take(KEY_DIGITS / 2) {
            key.push_str(&format!("{byte:02x}"));
        }
        Some(key)
    }
}
