//! Answers by their keys: one table for all cores, bounded in bytes, and nobody waits for anybody.
//!
//! A fixed number of places, each with a list of the few entries whose keys fall on it. A list is never changed: whoever adds
//! or drops an entry makes another list and exchanges the two, or finds that somebody was faster and looks again. Readers see
//! a list as it was at one moment.
//!
//! Bytes are counted before an entry is added and given back when it is dropped by whoever dropped it, so the count is never
//! less than what is there. Room is made by a hand that goes round over the places (CLOCK): what has expired goes, and what
//! has not been asked for since the hand passed the last time.

use std::sync::Arc;

use super::key::CacheKey;
use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering, Place},
};

/// Bytes that an entry takes beside what is in it.
pub const ENTRY_BYTES: u64 = 512;

/// Entries that fall on one place: those of a client that has looked for such keys drop each other.
const LIST_MAX: usize = 64;

/// Bytes of memory for each place.
const BYTES_PER_PLACE: u64 = 8 * 1024;

/// Times that the hand goes round before it gives up: once to take back that an entry was asked for, once to drop it.
const ROUNDS: u64 = 2;

type List<T> = Vec<Arc<Entry<T>>>;

/// What is kept under one key.
#[derive(Debug)]
pub struct Entry<T> {
    key: CacheKey,
    /// What is kept.
    pub value: T,
    /// When it was made.
    pub made: Nanos,
    expires: Nanos,
    bytes: u64,
    asked: AtomicU64,
}

impl<T> Entry<T> {
    /// `value` of so many bytes, made at `made`, for as long as `expires` has not come.
    pub fn new(key: CacheKey, value: T, bytes: usize, made: Nanos, expires: Nanos) -> Self {
        let bytes = (bytes as u64).saturating_add(ENTRY_BYTES);
        Self { key, value, made, expires, bytes, asked: AtomicU64::new(0) }
    }

    /// Whether it may still be given.
    #[must_use]
    pub fn is_fresh(&self, now: Nanos) -> bool {
        now < self.expires
    }
}

/// All entries.
#[derive(Debug)]
pub struct Table<T> {
    places: Box<[Place<List<T>>]>,
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    entries: AtomicU64,
    hand: AtomicU64,
    evicted: AtomicU64,
    expired: AtomicU64,
}

/// What the table holds and what became of what it held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes, what entries take beside their content included.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Entries that were dropped to make room.
    pub evicted: u64,
    /// Entries that were dropped because their time was over.
    pub expired: u64,
}

impl<T> Table<T> {
    /// A table for at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let places = if cfg!(loom) { 1 } else { bytes_max / BYTES_PER_PLACE };
        let places = usize::try_from(places).unwrap_or(usize::MAX).clamp(1, 1 << 18);
        Self {
            places: (0..places).map(|_| Place::default()).collect(),
            bytes: AtomicU64::new(0),
            bytes_max: AtomicU64::new(bytes_max),
            entries: AtomicU64::new(0),
            hand: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }

    /// Changes how many bytes there may be; what is too much goes.
    pub fn set_bytes_max(&self, bytes_max: u64, now: Nanos) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
        self.make_room(now);
    }

    /// What is kept under `key`.
    pub fn find(&self, key: &CacheKey, now: Nanos) -> Option<Arc<Entry<T>>> {
        self.place(key).look(|list| {
            let entry = list?.iter().find(|entry| entry.key == *key && entry.is_fresh(now))?;
            if entry.asked.load(Ordering::Relaxed) == 0 {
                entry.asked.store(1, Ordering::Relaxed);
            }
            Some(Arc::clone(entry))
        })
    }

    /// Keeps `entry`, in place of one under the same key; false where it does not fit.
    pub fn keep(&self, entry: Arc<Entry<T>>, now: Nanos) -> bool {
        let bytes = entry.bytes;
        if bytes > self.bytes_max.load(Ordering::Relaxed) {
            return false;
        }
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.entries.fetch_add(1, Ordering::Relaxed);
        if !self.make_room(now) {
            self.bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.entries.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let place = self.place(&entry.key);
        loop {
            let before = place.get();
            let own = before.as_ref().map_or(&[][..], |list| list);
            let stays = |own: &&Arc<Entry<T>>| own.key != entry.key && own.is_fresh(now);
            let mut next: List<T> = own.iter().filter(stays).cloned().collect();
            if next.len() >= LIST_MAX {
                next.remove(0);
            }
            let kept = next.len();
            next.push(Arc::clone(&entry));
            let gone = gone(own, &next[..kept]);
            if place.exchange(before.as_ref(), Arc::new(next)) {
                self.give_back(gone);
                return true;
            }
        }
    }

    /// Drops what `is_meant`. How many entries that were.
    pub fn drop_all(&self, is_meant: impl Fn(&T) -> bool) -> u64 {
        let drops = |place| self.drop_from(place, |entry| is_meant(&entry.value));
        self.places.iter().map(drops).sum()
    }

    /// Drops what has expired.
    pub fn sweep(&self, now: Nanos) {
        for place in &self.places {
            let expired = self.drop_from(place, |entry| !entry.is_fresh(now));
            self.expired.fetch_add(expired, Ordering::Relaxed);
        }
    }

    /// What the table holds now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            bytes: self.bytes.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
        }
    }

    /// Drops entries until there are no more bytes than there may be; false where that cannot be reached.
    fn make_room(&self, now: Nanos) -> bool {
        let is_full =
            || self.bytes.load(Ordering::Acquire) > self.bytes_max.load(Ordering::Relaxed);
        for _ in 0..self.places.len() as u64 * ROUNDS {
            if !is_full() {
                return true;
            }
            let hand = self.hand.fetch_add(1, Ordering::Relaxed) % self.places.len() as u64;
            let Some(place) = usize::try_from(hand).ok().and_then(|at| self.places.get(at)) else {
                return false;
            };
            if place.look(|list| list.is_none_or(|list| list.is_empty())) {
                continue;
            }
            let expired = self.drop_from(place, |entry| !entry.is_fresh(now));
            self.expired.fetch_add(expired, Ordering::Relaxed);
            let evicted =
                self.drop_from(place, |entry| entry.asked.swap(0, Ordering::Relaxed) == 0);
            self.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
        !is_full()
    }

    /// Drops entries of one place. How many that were.
    fn drop_from(&self, place: &Place<List<T>>, is_meant: impl Fn(&Entry<T>) -> bool) -> u64 {
        loop {
            let Some(before) = place.get() else { return 0 };
            let next: List<T> = before.iter().filter(|entry| !is_meant(entry)).cloned().collect();
            let gone = gone(&before, &next);
            if gone.1 == 0 {
                return 0;
            }
            if place.exchange(Some(&before), Arc::new(next)) {
                self.give_back(gone);
                return gone.1;
            }
        }
    }

    fn give_back(&self, (bytes, count): (u64, u64)) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.entries.fetch_sub(count, Ordering::Relaxed);
    }

    fn place(&self, key: &CacheKey) -> &Place<List<T>> {
        &self.places[key.place(self.places.len())]
    }
}

/// Bytes and number of the entries of one list that are not in another.
fn gone<T>(before: &[Arc<Entry<T>>], after: &[Arc<Entry<T>>]) -> (u64, u64) {
    let bytes = |list: &[Arc<Entry<T>>]| list.iter().map(|entry| entry.bytes).sum::<u64>();
    (bytes(before) - bytes(after), (before.len() - after.len()) as u64)
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of two cores at one place.

    use loom::thread;

    use super::*;

    fn entry(key: u8, bytes: usize) -> Arc<Entry<u8>> {
        Arc::new(Entry::new(CacheKey::from_bytes([key; 32]), key, bytes, Nanos(0), Nanos(100)))
    }

    fn held(table: &Table<u8>) -> Figures {
        let list = table.places[0].get();
        let list = list.as_ref().map_or(&[][..], |list| list);
        Figures {
            bytes: list.iter().map(|entry| entry.bytes).sum(),
            entries: list.len() as u64,
            ..Figures::default()
        }
    }

    fn check(bytes_max: u64, keys: [u8; 2]) {
        loom::model(move || {
            let table = Arc::new(Table::new(bytes_max));
            let others = Arc::clone(&table);
            let thread = thread::spawn(move || {
                others.keep(entry(keys[0], 100), Nanos(1));
            });
            table.keep(entry(keys[1], 100), Nanos(1));
            let found = table.find(&CacheKey::from_bytes([keys[1]; 32]), Nanos(2));
            assert!(found.is_none_or(|entry| entry.value == keys[1]), "another key's answer");
            thread.join().unwrap();
            let (held, told) = (held(&table), table.figures());
            assert_eq!(
                (held.bytes, held.entries),
                (told.bytes, told.entries),
                "the count is right"
            );
            assert!(told.bytes <= bytes_max, "more is kept than there may be");
        });
    }

    #[test]
    fn loom_cache_two_answers_are_counted() {
        check(10_000, [1, 2]);
    }

    #[test]
    fn loom_cache_the_same_answer_is_there_once() {
        check(10_000, [1, 1]);
    }

    #[test]
    fn loom_cache_room_for_one_holds_one() {
        check(700, [1, 2]);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn key(number: u64) -> CacheKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        CacheKey::from_bytes(bytes)
    }

    fn keep(table: &Table<u64>, number: u64, bytes: usize, now: u64, expires: u64) -> bool {
        let entry = Entry::new(key(number), number, bytes, Nanos(now), Nanos(expires));
        table.keep(Arc::new(entry), Nanos(now))
    }

    fn has(table: &Table<u64>, number: u64, now: u64) -> bool {
        let found = table.find(&key(number), Nanos(now));
        assert!(found.as_ref().is_none_or(|entry| entry.value == number));
        found.is_some()
    }

    #[test]
    fn an_answer_is_given_until_its_time_is_over() {
        let table = Table::new(1 << 20);
        assert!(keep(&table, 1, 10, 5, 100));
        assert!(has(&table, 1, 5) && has(&table, 1, 99));
        assert!(!has(&table, 1, 100) && !has(&table, 2, 5));
        table.sweep(Nanos(99));
        assert_eq!(table.figures().entries, 1);
        table.sweep(Nanos(100));
        assert_eq!(table.figures(), Figures { expired: 1, ..Figures::default() });
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_an_older_one() {
        let table = Table::new(1 << 20);
        assert!(keep(&table, 1, 10, 0, 100) && keep(&table, 1, 20, 50, 150));
        assert!(has(&table, 1, 149));
        assert_eq!((table.figures().entries, table.figures().bytes), (1, 20 + ENTRY_BYTES));
    }

    #[test]
    fn what_nobody_asks_for_goes_first() {
        let entry = 1000 + ENTRY_BYTES;
        let table = Table::new(entry * 100);
        for number in 0..100 {
            assert!(keep(&table, number, 1000, 0, 100));
        }
        (0..50).for_each(|number| assert!(has(&table, number, 1)));
        for number in 100..150 {
            assert!(keep(&table, number, 1000, 1, 100));
            assert!(table.figures().bytes <= entry * 100);
        }
        let asked = (0..50).filter(|number| has(&table, *number, 2)).count();
        let unasked = (50..100).filter(|number| has(&table, *number, 2)).count();
        assert!(asked > unasked + 20, "{asked} that were asked for, {unasked} that were not");
        assert!(table.figures().evicted >= 50);
    }

    #[test]
    fn what_is_larger_than_all_is_not_kept() {
        let table = Table::new(10_000);
        assert!(keep(&table, 1, 100, 0, 100));
        assert!(!keep(&table, 2, 10_000, 0, 100));
        assert!(has(&table, 1, 0) && table.figures().entries == 1);
    }

    #[test]
    fn less_memory_drops_what_is_too_much() {
        let table = Table::new(1 << 20);
        (0..100).for_each(|number| assert!(keep(&table, number, 1000, 0, 100)));
        table.set_bytes_max(10_000, Nanos(1));
        let figures = table.figures();
        assert!(figures.bytes <= 10_000 && figures.entries > 0, "{figures:?}");
    }

    #[test]
    fn what_is_meant_is_dropped() {
        let table = Table::new(1 << 20);
        (0..10).for_each(|number| assert!(keep(&table, number, 10, 0, 100)));
        assert_eq!(table.drop_all(|number| number % 2 == 0), 5);
        assert!(!has(&table, 2, 1) && has(&table, 3, 1));
        assert_eq!(table.drop_all(|_| true), 5);
        assert_eq!((table.figures().bytes, table.figures().entries), (0, 0));
    }

    #[test]
    fn keys_that_fall_on_one_place_drop_each_other() {
        let table = Table::new(1 << 30);
        let places = table.places.len() as u64;
        (0..200).for_each(|n| assert!(keep(&table, n * places, 10, 0, 100)));
        assert_eq!(table.figures().entries, LIST_MAX as u64);
        assert!(has(&table, 199 * places, 1) && !has(&table, 0, 1));
    }

    /// The obvious version: a list of keys, with no bound.
    #[test]
    fn it_never_gives_what_was_not_kept_and_counts_what_it_has() {
        let table = Table::new(40_000);
        let mut kept = std::collections::BTreeMap::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for now in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let number = random % 97;
            if random & 1 << 40 == 0 {
                let expires = now + 1 + (random >> 44) % 200;
                let bytes = usize::try_from((random >> 20) % 900).unwrap();
                assert!(keep(&table, number, bytes, now, expires));
                kept.insert(number, expires);
            } else if has(&table, number, now) {
                assert!(kept.get(&number).is_some_and(|expires| now < *expires), "{number} {now}");
            }
            let lists = table.places.iter().filter_map(Place::get);
            let held: u64 = lists.flat_map(|l| l.iter().map(|e| e.bytes).collect::<Vec<_>>()).sum();
            assert_eq!(held, table.figures().bytes);
            assert!(held <= 40_000);
        }
        assert!(table.figures().evicted > 0);
    }
}
