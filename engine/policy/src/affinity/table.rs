//! Where beginnings of prompts have been sent: a table that all cores read and write without locks.
//!
//! In: a prompt and a replica that has read it. Out: which replicas are warm for how much of a prompt. Remembered: for each
//! anchor the two replicas that had it last and when, in 16 bytes. The table never grows: an anchor lies in one of two
//! buckets, and a new one takes the place of the oldest there.
//!
//! A slot is two words, the second being the data and the first the key XOR the data. Both are read and written relaxed and
//! one after the other: a reader that sees the words of two writes finds that they do not make up its key, and takes the slot
//! for another one's. So a race costs a beginning that is not found, and never a wrong replica.
//! The method is that of chess programs: <https://www.chessprogramming.org/Shared_Hash_Table#Lock-less>

use std::cmp::Ordering;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{Prompt, Replica};

/// Slots of a bucket: a line of the cache.
const SLOTS: usize = 4;

/// Bytes of a bucket.
const BUCKET_BYTES: usize = 64;

/// Buckets of a page of memory: both of a key lie in one, since finding a page may take as long as reading it.
const PAGE_BUCKETS: u64 = 64;

/// Replicas that one look-up tells apart.
const WARM_MAX: usize = 8;

/// Blocks behind the last anchor that is known where the turn before is looked for.
const ENDS_MAX: usize = 256;

/// The least number of buckets.
const BUCKETS_MIN: usize = 2;

/// Where beginnings of prompts have been sent.
#[derive(Debug)]
pub struct Table {
    /// A power of two.
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([Slot; SLOTS]);

#[derive(Debug)]
struct Slot {
    /// Key XOR data.
    check: AtomicU64,
    /// The latest replica, the one before it, 16 bits each; seconds in the lower half. Zero: empty.
    data: AtomicU64,
}

impl Default for Slot {
    fn default() -> Self {
        Self { check: AtomicU64::new(0), data: AtomicU64::new(0) }
    }
}

/// A replica that has read the beginning of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The replica.
    pub replica: Replica,
    /// Blocks of the prompt that it has read.
    pub depth: u32,
    /// Seconds since it has.
    pub age: u32,
}

/// The turn before, and who answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Who answered it, and up to where the prompt is the same.
    pub warm: Warm,
    /// Which turn it was, the first one being 0.
    pub turn: u16,
}

/// The replicas that are warm for a prompt, the one that has read most of it first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Warmth {
    found: [Option<Warm>; WARM_MAX],
    count: usize,
}

impl Warmth {
    /// The replicas.
    pub fn iter(&self) -> impl Iterator<Item = Warm> + '_ {
        self.found[..self.count].iter().copied().flatten()
    }

    /// How far one replica is warm.
    #[must_use]
    pub fn of(&self, replica: Replica) -> Option<Warm> {
        self.iter().find(|warm| warm.replica == replica)
    }

    fn add(&mut self, warm: Warm) {
        if self.count < WARM_MAX && self.of(warm.replica).is_none() {
            self.found[self.count] = Some(warm);
            self.count += 1;
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy)]
struct Entry {
    latest: u16,
    before: u16,
    seconds: u32,
}

impl Entry {
    fn of(data: u64) -> Self {
        let part = |shift: u32| u16::try_from(data >> shift & 0xffff).unwrap_or(0);
        let seconds = u32::try_from(data & 0xffff_ffff).unwrap_or(0);
        Self { latest: part(48), before: part(32), seconds }
    }

    fn data(self) -> u64 {
        u64::from(self.latest) << 48 | u64::from(self.before) << 32 | u64::from(self.seconds)
    }

    /// The same, `replica` having come last.
    fn with(self, replica: u16, seconds: u32) -> Self {
        let before = if self.latest == replica { self.before } else { self.latest };
        Self { latest: replica, before, seconds }
    }

    /// The same without a replica; `None` when no other is left.
    fn without(self, replica: u16) -> Option<Self> {
        let kept =
            [self.latest, self.before].into_iter().filter(|own| *own != replica && *own != 0);
        let mut kept = kept.fuse();
        let latest = kept.next()?;
        Some(Self { latest, before: kept.next().unwrap_or(0), ..self })
    }
}

impl Table {
    /// A table of about so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let buckets = (bytes / BUCKET_BYTES).max(BUCKETS_MIN);
        let buckets =
            if buckets.is_power_of_two() { buckets } else { buckets.next_power_of_two() / 2 };
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect() }
    }

    /// Which replicas are warm for how much of a prompt.
    ///
    /// The replica that has its conversation, by the client's own name for it, counts as warm for all of it when none is known
    /// to have read more.
    #[must_use]
    pub fn look_up(&self, prompt: &Prompt, now: Nanos) -> Warmth {
        let seconds = seconds(now);
        let mut warmth = Warmth::default();
        let mut add = |entry: Entry, depth: u32| {
            let age = seconds.saturating_sub(entry.seconds);
            for number in [entry.latest, entry.before].into_iter().filter(|number| *number != 0) {
                warmth.add(Warm { replica: Replica(number), depth, age });
            }
        };
        if let Some(entry) = prompt.session().and_then(|key| self.get(key)) {
            add(Entry { before: 0, ..entry }, prompt.blocks());
        }
        for anchor in prompt.anchors().iter().rev() {
            if let Some(entry) = self.get(anchor.key) {
                add(entry, anchor.depth);
            }
        }
        warmth
    }

    /// What [`look_up`](Self::look_up) finds without the conversation's name, and who answered its turn before: known by its
    /// name or by where its prompt ended, and warm up to there.
    #[must_use]
    pub fn recall(&self, prompt: &Prompt, now: Nanos) -> (Warmth, Option<Last>) {
        let seconds = seconds(now);
        let warm = |number: u16, depth: u32, entry: Entry| {
            let age = seconds.saturating_sub(entry.seconds);
            Warm { replica: Replica(number), depth, age }
        };
        let mut warmth = Warmth::default();
        let mut behind = 0;
        for anchor in prompt.anchors().iter().rev() {
            let Some(entry) = self.get(anchor.key) else { continue };
            behind = behind.max(anchor.depth);
            for number in [entry.latest, entry.before].into_iter().filter(|number| *number != 0) {
                warmth.add(warm(number, anchor.depth, entry));
            }
        }
        let next = prompt.anchors().iter().map(|anchor| anchor.depth).find(|depth| *depth > behind);
        let until = next.map_or(prompt.blocks(), |depth| depth - 1);
        let depths = (behind..=until).rev().take(ENDS_MAX);
        let mut ends = depths.filter_map(|depth| Some((depth, self.get(prompt.end(depth)?)?)));
        let last = |entry: Entry, depth| Last {
            warm: warm(entry.latest, depth, entry),
            turn: entry.before,
        };
        let end = ends.next().map(|(depth, entry)| last(entry, depth));
        let named = prompt.session().and_then(|key| self.get(key)).map(|entry| {
            let found = end.map(|end| end.warm).filter(|end| end.replica.0 == entry.latest);
            let found = found.or_else(|| warmth.of(Replica(entry.latest)));
            last(entry, found.map_or(0, |found| found.depth))
        });
        (warmth, named.or(end))
    }

    /// A replica has read a prompt, which is this turn of a conversation, the first one being 0.
    pub fn keep(&self, prompt: &Prompt, replica: Replica, turn: u16, now: Nanos) {
        let seconds = seconds(now);
        for anchor in prompt.anchors() {
            self.put(anchor.key, replica.0, seconds);
        }
        // Of a turn one replica is kept, and the turn's number in the place of another.
        let entry = Entry { latest: replica.0, before: turn, seconds };
        for key in prompt.end(prompt.blocks()).into_iter().chain(prompt.session()) {
            self.replace(key, entry);
        }
    }

    /// A replica has read a prompt, or is about to.
    pub fn note(&self, prompt: &Prompt, replica: Replica, now: Nanos) {
        let seconds = seconds(now);
        let keys = prompt.anchors().iter().map(|anchor| anchor.key);
        for key in keys.chain(prompt.session()) {
            self.put(key, replica.0, seconds);
        }
    }

    /// A replica has turned out to know nothing of a prompt behind `depth` blocks.
    pub fn forget(&self, prompt: &Prompt, replica: Replica, depth: u32) {
        let deeper = prompt.anchors().iter().filter(|anchor| anchor.depth > depth);
        for key in deeper.map(|anchor| anchor.key) {
            let Some((slot, entry)) = self.find(key) else { continue };
            if entry.latest == replica.0 || entry.before == replica.0 {
                slot.set(key, entry.without(replica.0).map_or(0, Entry::data));
            }
        }
    }

    /// The two buckets of a key.
    fn buckets(&self, key: u64) -> [&Bucket; 2] {
        let mask = self.buckets.len() as u64 - 1;
        let within = mask.min(PAGE_BUCKETS - 1);
        let at = |hash: u64| usize::try_from(hash & mask).unwrap_or(0);
        let first = at(key);
        let second = at(key & !within | key >> 32 & within);
        // Two choices even where both halves of the key agree.
        let second = if first == second { first ^ 1 } else { second };
        [&self.buckets[first], &self.buckets[second]]
    }

    fn get(&self, key: u64) -> Option<Entry> {
        self.find(key).map(|(_, entry)| entry)
    }

    fn find(&self, key: u64) -> Option<(&Slot, Entry)> {
        let slots = self.buckets(key).into_iter().flat_map(|bucket| &bucket.0);
        slots.map(|slot| (slot, slot.get(key))).find_map(|(slot, entry)| Some((slot, entry?)))
    }

    fn put(&self, key: u64, replica: u16, seconds: u32) {
        match self.find(key) {
            Some((slot, entry)) => slot.set(key, entry.with(replica, seconds).data()),
            None => self.insert(key, Entry { latest: replica, before: 0, seconds }),
        }
    }

    fn replace(&self, key: u64, entry: Entry) {
        match self.find(key) {
            Some((slot, _)) => slot.set(key, entry.data()),
            None => self.insert(key, entry),
        }
    }

    /// A key that is not there takes the place of the oldest.
    fn insert(&self, key: u64, entry: Entry) {
        let [one, two] = self.buckets(key);
        // While there is room, the emptier bucket: so both are full before anything has to go.
        let slots = match one.room().cmp(&two.room()) {
            Ordering::Greater => one.0.iter().chain(&[]),
            Ordering::Less => two.0.iter().chain(&[]),
            Ordering::Equal => one.0.iter().chain(&two.0),
        };
        if let Some(slot) = slots.min_by_key(|slot| slot.age()) {
            slot.set(key, entry.data());
        }
    }
}

impl Bucket {
    /// Empty slots.
    fn room(&self) -> usize {
        self.0.iter().filter(|slot| slot.age() == 0).count()
    }
}

impl Slot {
    fn get(&self, key: u64) -> Option<Entry> {
        let data = self.data.load(Relaxed);
        let check = self.check.load(Relaxed);
        (data != 0 && check ^ data == key).then(|| Entry::of(data))
    }

    fn set(&self, key: u64, data: u64) {
        self.data.store(data, Relaxed);
        self.check.store(key ^ data, Relaxed);
    }

    /// The second in which it was written; 0 of an empty one.
    fn age(&self) -> u32 {
        Entry::of(self.data.load(Relaxed)).seconds
    }
}

/// Seconds from 1 on, so that what is written in the first one is no empty slot.
fn seconds(now: Nanos) -> u32 {
    u32::try_from(now.0 / 1_000_000_000).unwrap_or(u32::MAX).saturating_add(1)
}
