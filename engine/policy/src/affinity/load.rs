//! How busy one replica is, and for how long it keeps what it has read, as this process has seen it. Shared by all cores.
//!
//! All words are relaxed: each is right by itself, and a choice may be made on what was true a moment ago.

use crate::atomic::{AtomicU64, Ordering};

/// What is read is kept for so long until something else is learned, in seconds.
const LIFE_SECONDS: u64 = 3600;

/// The shortest life that is learned.
const LIFE_SECONDS_MIN: u64 = 5;

/// How busy one replica is.
#[derive(Debug)]
pub struct Load {
    in_flight: AtomicU64,
    /// Blocks that it has to read before those under way are answered.
    pending: AtomicU64,
    /// Seconds.
    life: AtomicU64,
    /// It has told of tokens that came from its cache. One that never has may not tell at all.
    tells: AtomicU64,
}

impl Default for Load {
    fn default() -> Self {
        let word = AtomicU64::new;
        Self { in_flight: word(0), pending: word(0), life: word(LIFE_SECONDS), tells: word(0) }
    }
}

impl Load {
    /// A request begins, of which so many blocks must be read.
    pub fn begin(&self, blocks: u32) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.pending.fetch_add(blocks.into(), Ordering::Relaxed);
    }

    /// So many blocks have been read.
    pub fn read(&self, blocks: u32) {
        self.pending.fetch_sub(blocks.into(), Ordering::Relaxed);
    }

    /// A request that began has ended, its blocks having been read.
    pub fn end(&self) {
        let before = self.in_flight.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a request ends that has not begun");
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Blocks that are yet to be read.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Whether what was read so many seconds ago is likely to be there yet.
    #[must_use]
    pub fn keeps(&self, age: u32) -> bool {
        u64::from(age) <= self.life.load(Ordering::Relaxed)
    }

    /// The replica said how many blocks of a prompt came from its cache. It was believed to know `believed`, read `age` seconds
    /// ago. Tells whether it has forgotten some of that: a replica that never tells is believed.
    pub fn learn(&self, believed: u32, age: u32, told: u32) -> bool {
        if told > 0 {
            self.tells.store(1, Ordering::Relaxed);
        } else if self.tells.load(Ordering::Relaxed) == 0 {
            return false; // nothing told is not zero
        }
        let life = self.life.load(Ordering::Relaxed);
        // An anchor is up to an eighth off, and engines count in blocks of their own.
        let has_forgotten = told < believed - believed / 4 - (believed / 4).min(4);
        if has_forgotten {
            let lived = u64::from(age).min(life);
            let shorter = (life - (life - lived) / 8).max(LIFE_SECONDS_MIN);
            self.life.store(shorter, Ordering::Relaxed);
        } else if believed > 0 && u64::from(age) * 2 > life {
            self.life.store((life + life / 16 + 1).min(LIFE_SECONDS), Ordering::Relaxed);
        }
        has_forgotten
    }
}
