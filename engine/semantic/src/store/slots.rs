//! Places for entries, bounded in bytes.
//!
//! In: entries. Out: a name for each, and which were given up for it. Remembered: entries, and whether each has been used since
//! the hand came by. What is given up is what the hand finds unused first (the *clock* of page replacement).

use super::Place;
use crate::{Profile, Vector, learn::Seen};

/// Bytes of an entry beside its text and vector: itself, its place in the tables, what was seen of it.
const ENTRY_BYTES: usize = 400;

/// The name of an entry; one that was given up has no namesake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    slot: u32,
    generation: u32,
}

/// A question that was answered.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is compared by.
    pub profile: Profile,
    /// Itself, for the vector.
    pub text: Box<str>,
    /// Its vector, once it was needed.
    pub vector: Option<Vector>,
    /// The name of its answer.
    pub answer: [u8; 32],
    /// When it was answered.
    pub since_ms: u64,
    /// When that is too long ago.
    pub expires_ms: u64,
    /// What was seen of it.
    pub seen: Seen,
}

impl Entry {
    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        ENTRY_BYTES + self.text.len() + self.vector.as_ref().map_or(0, Vector::bytes)
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    held: Option<(Place, Entry)>,
    is_used: bool,
}

/// Entries by slot.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    hand: usize,
    bytes: usize,
    bytes_max: usize,
}

impl Slots {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), hand: 0, bytes: 0, bytes_max }
    }

    /// As many bytes, and nothing in them.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.bytes_max)
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.slots.len() - self.free.len(), self.bytes)
    }

    fn index(id: EntryId) -> usize {
        usize::try_from(id.slot).unwrap_or(usize::MAX)
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&Entry> {
        let slot = self.slots.get(Self::index(id))?;
        let held = slot.held.as_ref().filter(|_| slot.generation == id.generation);
        held.map(|(_, entry)| entry)
    }

    /// The entry, which is used by that.
    pub(super) fn used(&mut self, id: EntryId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(Self::index(id))?;
        if slot.generation != id.generation {
            return None;
        }
        slot.is_used = true;
        slot.held.as_mut().map(|(_, entry)| entry)
    }

    /// Keeps an entry; `None` where it is larger than all that may be kept.
    pub(super) fn insert(
        &mut self,
        place: Place,
        entry: Entry,
    ) -> Option<(EntryId, Vec<(Place, EntryId)>)> {
        let bytes = entry.bytes();
        if bytes > self.bytes_max {
            return None;
        }
        let gone = self.make_room(bytes, None);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Slot { generation: 0, held: None, is_used: false });
                slot
            }
        };
        let held = &mut self.slots[usize::try_from(slot).ok()?];
        // The hand has just been here, and comes last to a new one.
        held.is_used = false;
        held.held = Some((place, entry));
        self.bytes += bytes;
        Some((EntryId { slot, generation: held.generation }, gone))
    }

    /// Gives an entry its vector; says what was given up for it.
    pub(super) fn give_vector(&mut self, id: EntryId, vector: Vector) -> Vec<(Place, EntryId)> {
        let Some(before) = self.get(id).map(Entry::bytes) else { return Vec::new() };
        let Some(entry) = self.used(id) else { return Vec::new() };
        entry.vector = Some(vector);
        let after = entry.bytes();
        self.bytes = self.bytes - before + after;
        self.make_room(0, Some(id))
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<Place> {
        let slot = self.slots.get_mut(Self::index(id))?;
        if slot.generation != id.generation {
            return None;
        }
        let (place, entry) = slot.held.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.bytes -= entry.bytes();
        Some(place)
    }

    /// Gives entries up until there is room for `bytes`, `but` not this one.
    fn make_room(&mut self, bytes: usize, but: Option<EntryId>) -> Vec<(Place, EntryId)> {
        let mut gone = Vec::new();
        // Twice around: once to take the marks of use away, once to find one without.
        let mut steps = self.slots.len().saturating_mul(2);
        while self.bytes + bytes > self.bytes_max && steps > 0 {
            steps -= 1;
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let slot = &mut self.slots[self.hand];
            let Ok(number) = u32::try_from(self.hand) else { break };
            let id = EntryId { slot: number, generation: slot.generation };
            if slot.held.is_none() || but == Some(id) {
                continue;
            }
            if std::mem::take(&mut slot.is_used) {
                continue;
            }
            if let Some(place) = self.remove(id) {
                gone.push((place, id));
            }
        }
        gone
    }
}
