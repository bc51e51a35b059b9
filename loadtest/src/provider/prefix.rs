//! The prefix cache of a model server: which front part of a prompt it has seen lately.
//!
//! In: the prompt's block hashes, each over everything before it. Out: how many blocks were known.
//! Remembered: the blocks used last, up to a limit.

use std::collections::{HashMap, VecDeque};

use super::text::hash;

/// Bytes of a block: 128 tokens of four bytes, the step in which the real API counts.
pub(crate) const BLOCK_BYTES: usize = 512;

/// Tokens of a block.
pub(crate) const BLOCK_TOKENS: u64 = 128;

/// Prompts shorter than so many blocks are never reported as cached.
pub(crate) const BLOCKS_MIN: usize = 8;

/// The chained hashes of the whole blocks of `prompt`.
pub(crate) fn blocks(prompt: &[u8]) -> Vec<u64> {
    let chain = |state: &mut u64, block: &[u8]| {
        *state = hash(*state, block);
        Some(*state)
    };
    prompt.chunks_exact(BLOCK_BYTES).scan(0, chain).collect()
}

/// Blocks in order of last use.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache {
    capacity: usize,
    used: HashMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
    tick: u64,
}

impl PrefixCache {
    /// A cache of `capacity` blocks; with none nothing is ever known.
    pub(crate) fn new(capacity: usize) -> PrefixCache {
        PrefixCache { capacity, ..PrefixCache::default() }
    }

    /// The tokens of the known front of a prompt; afterwards all its blocks are known.
    pub(crate) fn visit(&mut self, blocks: &[u64]) -> u64 {
        if self.capacity == 0 || blocks.len() < BLOCKS_MIN {
            return 0;
        }
        let known = blocks.iter().take_while(|block| self.used.contains_key(block)).count();
        // The front is used last, so that the tail of a prompt is forgotten first.
        for block in blocks.iter().rev() {
            self.tick += 1;
            self.used.insert(*block, self.tick);
            self.order.push_back((*block, self.tick));
        }
        self.forget();
        if known < BLOCKS_MIN { 0 } else { known as u64 * BLOCK_TOKENS }
    }

    /// Whether this hash was kept.
    pub(crate) fn knows(&self, hash: u64) -> bool {
        self.used.contains_key(&hash)
    }

    /// Keeps a hash.
    pub(crate) fn keep(&mut self, hash: u64) {
        if self.capacity > 0 {
            self.tick += 1;
            self.used.insert(hash, self.tick);
            self.order.push_back((hash, self.tick));
            self.forget();
        }
    }

    fn forget(&mut self) {
        let stale_max = self.capacity;
        while self.used.len() > self.capacity || self.order.len() > self.used.len() + stale_max {
            let Some((block, tick)) = self.order.pop_front() else { return };
            if self.used.get(&block) != Some(&tick) {
                continue;
            }
            if self.used.len() > self.capacity {
                self.used.remove(&block);
            } else {
                self.order.push_back((block, tick));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(seed: u8, count: usize) -> Vec<u64> {
        blocks(&vec![seed; count * BLOCK_BYTES])
    }

    #[test]
    fn a_prompt_seen_before_is_known_as_far_as_it_agrees() {
        let mut cache = PrefixCache::new(100);
        assert_eq!(cache.visit(&prompt(1, 20)), 0);
        assert_eq!(cache.visit(&prompt(1, 20)), 20 * BLOCK_TOKENS);
        assert_eq!(cache.visit(&prompt(1, 30)), 20 * BLOCK_TOKENS);
        assert_eq!(cache.visit(&prompt(2, 20)), 0);
    }

    #[test]
    fn short_prompts_are_not_reported() {
        let mut cache = PrefixCache::new(100);
        cache.visit(&prompt(1, 7));
        assert_eq!(cache.visit(&prompt(1, 7)), 0);
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten() {
        let mut cache = PrefixCache::new(40);
        cache.visit(&prompt(1, 20));
        cache.visit(&prompt(2, 20));
        cache.visit(&prompt(1, 20));
        cache.visit(&prompt(3, 20));
        assert_eq!(cache.visit(&prompt(1, 20)), 20 * BLOCK_TOKENS);
        assert_eq!(cache.visit(&prompt(2, 20)), 0);
        for _ in 0..1000 {
            cache.visit(&prompt(1, 20));
        }
        assert!(cache.order.len() <= 80);
    }
}
