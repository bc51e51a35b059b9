//! The scopes by their names: a fixed number of places, each with the few scopes whose names fall on it.
//!
//! A list of scopes is never changed: whoever adds or drops one makes another list and exchanges the two, or finds that
//! somebody was faster and looks again. Nobody waits for anybody.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::entry::{Drawn, Entry, Leaving, Making, Pin};
use crate::{
    atomic::{AtomicU64, Ordering, Place},
    budget::Budget,
    time::Wall,
};

/// Places: some four scopes fall on each when there are 65,536.
const PLACES: usize = if cfg!(loom) { 1 } else { 1 << 14 };

const WORD_BITS: usize = 64;

/// Scopes that fall on one place.
type List = Vec<Arc<Entry>>;

/// Every scope that was seen.
#[derive(Debug)]
pub(crate) struct Table {
    places: Box<[Place<List>]>,
    /// A bit for each place: one of its scopes was pinned.
    stirred: Box<[AtomicU64]>,
    hasher: RandomState,
    count: AtomicU64,
    wants_room: AtomicU64,
    cores: usize,
    is_journaled: AtomicU64,
    is_shared: AtomicU64,
}

impl Table {
    /// A table for `cores` cores.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            stirred: (0..PLACES.div_ceil(WORD_BITS)).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            count: AtomicU64::new(0),
            wants_room: AtomicU64::new(0),
            cores,
            is_journaled: AtomicU64::new(0),
            is_shared: AtomicU64::new(0),
        }
    }

    pub(super) fn keep_in_journal(&self) {
        self.is_journaled.store(1, Ordering::Relaxed);
    }

    pub(super) fn share(&self) {
        self.is_shared.store(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn wants_room(&self) -> bool {
        self.wants_room.load(Ordering::Relaxed) != 0
            && self.wants_room.swap(0, Ordering::Relaxed) != 0
    }

    /// Pins the scope of this name, made now if nobody has seen it; `None` when it would have to be and there are `room` or
    /// more. Its budgets are those of `rule`, which is of the policy with this number.
    pub(super) fn pin(
        &self,
        name: &str,
        (generation, rule): (u64, &[Budget]),
        room: u64,
        now: Wall,
    ) -> Option<Pin> {
        let index = self.index(name);
        let place = &self.places[index];
        let known = place.look(|list| {
            let entry = list?.iter().find(|entry| *entry.name == *name)?;
            entry.pin().then(|| Arc::clone(entry))
        });
        let entry = match known {
            Some(entry) => entry,
            None => self.add(place, name, room)?,
        };
        let is_journaled = self.is_journaled.load(Ordering::Relaxed) != 0;
        let is_shared = self.is_shared.load(Ordering::Relaxed) != 0;
        let making = Making { cores: self.cores, is_journaled, is_shared };
        let pin = entry.hold(generation, rule, making, now);
        self.stir(index);
        Some(pin)
    }

    /// The scope of this name, if somebody has seen it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Drawn>> {
        let entry = self.places[self.index(name)]
            .look(|list| list?.iter().find(|entry| *entry.name == *name).cloned())?;
        entry.drawn()
    }

    #[cold]
    fn add(&self, place: &Place<List>, name: &str, room: u64) -> Option<Arc<Entry>> {
        let entry = Arc::new(Entry::pinned(name));
        loop {
            let list = place.get();
            let own = list.as_ref().map_or(&[][..], |list| list);
            let mut next: List = own.iter().filter(|own| !own.is_closed()).cloned().collect();
            if let Some(known) = next.iter().find(|own| *own.name == *name) {
                match known.pin() {
                    true => return Some(Arc::clone(known)),
                    false => continue,
                }
            }
            let gone = (own.len() - next.len()) as u64;
            if self.count.fetch_add(1, Ordering::AcqRel) >= room.saturating_add(gone) {
                self.count.fetch_sub(1, Ordering::AcqRel);
                // Somebody may have made it, and taken the last room, since we looked.
                if place.get().map(|list| Arc::as_ptr(&list)) != list.as_ref().map(Arc::as_ptr) {
                    continue;
                }
                self.wants_room.store(1, Ordering::Relaxed);
                return None;
            }
            next.push(Arc::clone(&entry));
            let is_added = place.exchange(list.as_ref(), Arc::new(next));
            self.count.fetch_sub(if is_added { gone } else { 1 }, Ordering::AcqRel);
            if is_added {
                return Some(entry);
            }
        }
    }

    /// Scopes at places that were stirred since the last time. Those that are pinned stay stirred.
    pub(super) fn stirring(&self) -> Vec<Arc<Drawn>> {
        let mut found = Vec::new();
        for (word, bits) in self.stirred.iter().enumerate() {
            if bits.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = bits.swap(0, Ordering::AcqRel);
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let index = word * WORD_BITS + bit;
                let Some(list) = self.places.get(index).and_then(Place::get) else { continue };
                if list.iter().any(|entry| entry.is_pinned()) {
                    self.stir(index);
                }
                found.extend(list.iter().filter_map(|entry| entry.drawn()));
            }
        }
        found
    }

    pub(super) fn all(&self) -> Vec<Arc<Drawn>> {
        let mut found = Vec::new();
        for list in self.places.iter().filter_map(Place::get) {
            found.extend(list.iter().filter_map(|entry| entry.drawn()));
        }
        found
    }

    pub(super) fn sweep(&self, now: Wall, leave: &mut dyn FnMut(&Leaving<'_>)) {
        for place in &self.places {
            let Some(mut list) = place.get().filter(|list| !list.is_empty()) else { continue };
            list.iter().for_each(|entry| entry.leave(now, leave));
            loop {
                let next: List = list.iter().filter(|own| !own.is_closed()).cloned().collect();
                let gone = (list.len() - next.len()) as u64;
                if gone == 0 {
                    break;
                }
                if place.exchange(Some(&list), Arc::new(next)) {
                    self.count.fetch_sub(gone, Ordering::AcqRel);
                    break;
                }
                let Some(latest) = place.get() else { break };
                list = latest;
            }
        }
    }

    fn stir(&self, index: usize) {
        let (word, bit) = (&self.stirred[index / WORD_BITS], 1 << (index % WORD_BITS));
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }

    fn index(&self, name: &str) -> usize {
        let hash = self.hasher.hash_one(name) % PLACES as u64;
        usize::try_from(hash).unwrap_or(0)
    }
}
