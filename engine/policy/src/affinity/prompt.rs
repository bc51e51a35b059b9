//! A prompt as the hashes of its beginnings.
//!
//! In: whose prompt it is, then its parts in the order in which a model reads them: tools, instructions, the conversation.
//! They are the spans of the body as its client wrote it: nothing is decoded or copied, since a client spells the beginning
//! of a conversation the same in every turn. Out: anchors. The hash is keyed by a secret of the process and by the scope of
//! the caller, so that nobody can find out what somebody else has asked. It is quick and not cryptographic: two prompts of
//! the same hash share a replica, which does neither any harm.

use super::fold;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 256;

/// Every depth up to so many blocks is an anchor.
const DENSE_BLOCKS: u32 = 16;

/// Behind those, anchors are this part of the depth apart.
const STEP_PART: u32 = 8;

/// Lanes of a block that are hashed beside each other.
const LANES: usize = 4;

/// Bytes that all lanes take at once.
const STRIDE: usize = LANES * 16;

const _: () = assert!(BLOCK_BYTES.is_multiple_of(STRIDE), "a block is hashed in whole strides");

/// A secret of the process.
#[derive(Clone, Copy)]
pub struct Seed([u64; LANES]);

impl Seed {
    /// A seed of random numbers.
    #[must_use]
    pub const fn new(random: [u64; LANES]) -> Self {
        Self(random)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// The beginnings of a prompt.
#[derive(Clone, Debug)]
pub struct Prompt {
    seed: [u64; LANES],
    scope: u64,
    state: u64,
    blocks: u32,
    next: u32,
    anchors: Vec<Anchor>,
    /// The hash of all up to each block, where ends of turns are looked for.
    keys: Option<Vec<u64>>,
    session: Option<u64>,
}

/// A beginning that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The hash of all up to here.
    pub(super) key: u64,
    /// Blocks up to here.
    pub(super) depth: u32,
}

impl Prompt {
    /// An empty prompt. Only prompts of the same scope have the same hashes: the caller's, the provider's, the model's.
    #[must_use]
    pub fn new(seed: &Seed, scope: &[&str]) -> Self {
        let mut of = seed.0[0];
        for name in scope {
            of = fold(of ^ name.len() as u64 ^ seed.0[1], hash(&seed.0, name.as_bytes()));
        }
        let anchors = Vec::with_capacity(40);
        let (keys, session) = (None, None);
        Self { seed: seed.0, scope: of, state: of, blocks: 0, next: 1, anchors, keys, session }
    }

    /// Its turns are followed, each to its last block: before any part is added.
    #[must_use]
    pub fn followed(self) -> Self {
        Self { keys: Some(Vec::with_capacity(64)), ..self }
    }

    /// Adds a part that is there whole in every turn: its last block may be a short one.
    pub fn add_whole(&mut self, part: &[u8]) {
        self.add(part);
        let rest = part.len() % BLOCK_BYTES;
        if rest > 0 {
            self.block(&part[part.len() - rest..]);
        }
    }

    /// Adds a part that grows from turn to turn: what does not fill a block is left out.
    pub fn add(&mut self, part: &[u8]) {
        part.chunks_exact(BLOCK_BYTES).for_each(|block| self.block(block));
    }

    /// The client's own name for the conversation.
    pub fn name(&mut self, session: &str) {
        let named = hash(&self.seed, session.as_bytes());
        self.session = (!session.is_empty()).then(|| fold(self.scope ^ self.seed[2], named));
    }

    /// Blocks of the prompt.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Says the same for prompts that begin the same, and something else for others: for choices that must not differ between
    /// two of them.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.session.or(self.anchors.first().map(|anchor| anchor.key)).unwrap_or(self.scope)
    }

    /// The anchors, the shortest beginning first.
    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// What stands for the conversation as a whole.
    pub(super) fn session(&self) -> Option<u64> {
        self.session
    }

    /// What stands for a turn whose prompt ends behind so many blocks, where turns are followed.
    pub(super) fn end(&self, blocks: u32) -> Option<u64> {
        let at = usize::try_from(blocks).ok()?.checked_sub(1)?;
        self.keys.as_ref()?.get(at).map(|key| fold(key ^ self.seed[1], self.seed[2] | 1))
    }

    fn block(&mut self, bytes: &[u8]) {
        self.state = fold(self.state ^ hash(&self.seed, bytes), self.seed[3] | 1);
        if let Some(keys) = &mut self.keys {
            keys.push(self.state);
        }
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks == self.next {
            self.anchors.push(Anchor { key: self.state, depth: self.blocks });
            let step = if self.blocks < DENSE_BLOCKS { 1 } else { self.blocks / STEP_PART };
            self.next = self.next.saturating_add(step);
        }
    }
}

/// The hash of some bytes. It does not depend on those before them, so that blocks are hashed beside each other.
fn hash(seed: &[u64; LANES], bytes: &[u8]) -> u64 {
    let mut lanes = *seed;
    let mut strides = bytes.chunks_exact(STRIDE);
    for stride in &mut strides {
        for (lane, pair) in lanes.iter_mut().zip(stride.chunks_exact(16)) {
            *lane = fold(word(pair, 0) ^ *lane, word(pair, 8) ^ SALT);
        }
    }
    let mut rest = [0; STRIDE];
    let left = strides.remainder();
    if !left.is_empty() {
        rest[..left.len()].copy_from_slice(left);
        for (lane, pair) in lanes.iter_mut().zip(rest.chunks_exact(16)) {
            *lane = fold(word(pair, 0) ^ *lane, word(pair, 8) ^ SALT);
        }
    }
    let [a, b, c, d] = lanes;
    fold(fold(a ^ seed[1], b ^ seed[2]) ^ bytes.len() as u64, fold(c ^ seed[3], d ^ seed[0]) | 1)
}

/// Digits of pi's fraction: so that a zero in the input is no zero in the product.
const SALT: u64 = 0x243f_6a88_85a3_08d3;

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}
