//! Prompts whose marks say what is cached, as Anthropic's and Bedrock's do.
//!
//! In: the blocks of a prompt in the order in which they are read, and behind which of them the client has put a mark. Out:
//! what is known and what is put into the cache. What is cached is the prompt to a mark, whole; found again it is at a
//! mark, or within so many blocks before one. A string is the same as one block of text.

use serde_json::{Value, json};

use super::plan::{Question, Spent};
use crate::provider::prefix::PrefixCache;
use crate::provider::script::Script;
use crate::provider::text::hash;

/// Tokens that a prompt must have up to a mark.
const TOKENS_MIN: u64 = 1024;

/// Blocks before a mark that are looked at.
const LOOK_BACK: usize = 20;

/// The end of a block of a prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Bytes of the prompt.
    bytes: usize,
    is_marked: bool,
}

impl Question {
    /// Adds what says whose the next blocks are.
    pub(super) fn add_place(&mut self, place: &str) {
        self.prompt.extend_from_slice(place.as_bytes());
    }

    /// Adds a block, which is without its marks.
    pub(super) fn add_block(&mut self, block: &Value) {
        self.prompt.extend(block.to_string().into_bytes());
        self.ends.push(End { bytes: self.prompt.len(), is_marked: false });
    }

    /// Adds a text, which is the same as one block of it.
    pub(super) fn add_text(&mut self, text: &str) {
        self.add_block(&json!({"type": "text", "text": text}));
    }

    /// Puts a mark behind the last block.
    pub(super) fn mark_block(&mut self) {
        if let Some(end) = self.ends.last_mut() {
            end.is_marked = true;
        }
    }

    /// What of the prompt is known, and what is cached of it now.
    pub(crate) fn look_up_marked(&self, cache: &mut PrefixCache, script: &Script) -> Spent {
        let all = self.prompt_tokens();
        let tokens = |end: &End| (end.bytes as u64 / 4).min(all);
        let long = |end: &&End| tokens(end) >= TOKENS_MIN;
        let key = |end: &End| hash(end.bytes as u64, &self.prompt[..end.bytes]);
        let marks = (0..self.ends.len()).filter(|at| self.ends[*at].is_marked);
        let seen = marks.flat_map(|at| &self.ends[at.saturating_sub(LOOK_BACK)..=at]);
        let known = seen.filter(long).filter(|end| cache.knows(key(end))).map(tokens).max();
        let cached = script.cached.unwrap_or_else(|| known.unwrap_or(0)).min(all);
        let marked = self.ends.iter().filter(|end| end.is_marked).filter(long);
        marked.clone().for_each(|end| cache.keep(key(end)));
        let written = marked.map(tokens).max().unwrap_or(0).saturating_sub(cached);
        Spent { fresh: all - cached - written, cached, written, ..Spent::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation whose blocks of 600 tokens are marked where `marks` says.
    fn question(blocks: usize, marks: &[usize]) -> Question {
        let mut question = Question::default();
        for block in 0..blocks {
            question.add_text(&format!("{block}{}", "x".repeat(2400)));
            if marks.contains(&block) {
                question.mark_block();
            }
        }
        question
    }

    fn check(cache: &mut PrefixCache, blocks: usize, marks: &[usize], known: usize, kept: usize) {
        let spent = question(blocks, marks).look_up_marked(cache, &Script::default());
        let size = |blocks: usize| question(blocks, &[]).prompt_tokens();
        let near = |tokens: u64, blocks: usize| {
            tokens.abs_diff(if blocks == 0 { 0 } else { size(blocks) }) <= 2
        };
        assert!(near(spent.cached, known), "{spent:?}");
        assert!(near(spent.cached + spent.written, kept), "{spent:?}");
        assert_eq!(spent.input(), size(blocks));
    }

    #[test]
    fn what_was_cached_to_a_mark_is_known_near_one() {
        let cache = &mut PrefixCache::new(1000);
        check(cache, 4, &[], 0, 0);
        check(cache, 4, &[0], 0, 0); // too short
        check(cache, 4, &[3], 0, 4);
        check(cache, 5, &[], 0, 0);
        check(cache, 6, &[5], 4, 6);
        check(cache, 40, &[39], 0, 40); // too far back
        check(cache, 60, &[39, 59], 40, 60);
        check(cache, 6, &[4], 4, 5);
    }

    #[test]
    fn a_string_is_a_block() {
        let mut block = Question::default();
        block.add_block(&json!({"text": "x", "type": "text"}));
        let mut text = Question::default();
        text.add_text("x");
        assert_eq!(text.prompt, block.prompt);
    }
}
