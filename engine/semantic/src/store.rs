//! Entries by partition and plain form, and the decision what is done with a question.
//!
//! In: partitions, profiles, vectors, the present, chance. Out: a [`Decision`]. Remembered: entries, up to a number of bytes,
//! the least used of them given up first; and a [`Watch`] for each workload. Answers are kept elsewhere, under a name of 32 bytes.
//!
//! Candidates are those of the same partition whose plain form is the same, found by hash, and never more than
//! [`CANDIDATES_MAX`]: so the search among vectors is over all of them, exact, and takes microseconds.
//! An entry needs a vector only once somebody asks the same in other words, and is given one then.

mod slots;

use hashbrown::HashMap;

use self::slots::Slots;
pub use self::slots::{Entry, EntryId};
use crate::{Profile, Vector, Watch, learn, watch::Standing};

/// Entries of one partition and plain form; a further one takes the place of the oldest.
pub const CANDIDATES_MAX: usize = 16;

/// Workloads that are watched; policies have fewer.
pub const WORKLOADS_MAX: usize = 4_096;

/// What must be the same to the last bit: tenant, workload, model, all that shapes an answer, the conversation so far; as a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition(pub [u8; 32]);

/// What the policy says of a workload's cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How often an answer may be wrong: the bound.
    pub error: f64,
    /// The share of hits that is compared with what the model says.
    pub compare: f64,
    /// Below, two questions are not the same whatever was learned.
    pub similarity_min: f64,
}

/// What is done with a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// Nothing like it is known.
    Miss,
    /// The workload's cache has been put off.
    Off,
    /// There is an answer, of which there is doubt: the model is asked, and [`Store::learn`] is told.
    Explore(Match),
    /// The answer is given. With `compare`, the model is asked as well, and [`Store::compare`] is told.
    Hit {
        /// What it is the answer to.
        found: Match,
        /// Whether it is compared.
        compare: bool,
    },
}

/// An entry that a question is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The entry.
    pub entry: EntryId,
    /// Its answer's name.
    pub answer: [u8; 32],
    /// How alike the two are.
    pub similarity: f64,
    /// Milliseconds since the answer was given first.
    pub age_ms: u64,
}

/// A candidate that has no vector yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bare {
    /// The entry.
    pub entry: EntryId,
    /// What is to be made into a vector.
    pub text: Box<str>,
}

/// Entries, and how the caches of workloads stand.
#[derive(Debug)]
pub struct Store {
    slots: Slots,
    places: HashMap<Place, Vec<EntryId>>,
    watches: HashMap<Box<str>, Watch>,
}

/// Where entries are that may be the same.
pub(crate) type Place = (Partition, [u8; 16]);

impl Store {
    /// A store of at most so many bytes, as [`Entry::bytes`] counts them.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { slots: Slots::new(bytes_max), places: HashMap::new(), watches: HashMap::new() }
    }

    /// The entries that a question may be like, and those of them that need a vector first; `None` where there are none, so that
    /// nobody need make one of the question.
    pub fn candidates(
        &mut self,
        partition: Partition,
        profile: &Profile,
        now_ms: u64,
    ) -> Option<Vec<Bare>> {
        let place = (partition, profile.key);
        let ids = self.places.get(&place)?.clone();
        let mut is_any = false;
        let mut bare = Vec::new();
        for id in ids {
            let Some(entry) = self.slots.get(id) else { continue };
            if entry.expires_ms <= now_ms {
                self.forget(id);
                continue;
            }
            if !entry.profile.is_of_like_length(profile) {
                continue;
            }
            is_any = true;
            if entry.vector.is_none() {
                bare.push(Bare { entry: id, text: entry.text.clone() });
            }
        }
        is_any.then_some(bare)
    }

    /// Keeps a question and its answer's name; those that had to go for it are given up.
    pub fn insert(&mut self, partition: Partition, entry: Entry) -> Option<EntryId> {
        let place = (partition, entry.profile.key);
        let ids = self.places.get(&place).map_or(&[][..], Vec::as_slice);
        if ids.len() >= CANDIDATES_MAX
            && let Some(oldest) = ids.first().copied()
        {
            self.forget(oldest);
        }
        let (id, gone) = self.slots.insert(place, entry)?;
        for (place, id) in gone {
            self.leave(place, id);
        }
        self.places.entry(place).or_default().push(id);
        Some(id)
    }

    /// Gives an entry its vector.
    pub fn give_vector(&mut self, id: EntryId, vector: Vector) {
        for (place, id) in self.slots.give_vector(id, vector) {
            self.leave(place, id);
        }
    }

    /// Decides what is done with a question; `chance` are two numbers from 0 to 1 that nobody can foresee.
    pub fn decide(
        &mut self,
        asked: &Asked<'_>,
        vector: &Vector,
        chance: [f64; 2],
        now_ms: u64,
    ) -> Decision {
        let watch = self.watches.get(asked.workload).copied().unwrap_or_default();
        if watch.is_off() {
            return Decision::Off;
        }
        let Some(found) = self.nearest(asked, vector, now_ms) else { return Decision::Miss };
        if found.similarity < asked.settings.similarity_min {
            return Decision::Miss;
        }
        let Some(entry) = self.slots.used(found.entry) else { return Decision::Miss };
        let give = entry.seen.chance(found.similarity, asked.settings.error);
        if chance[0] >= give {
            return Decision::Explore(found);
        }
        Decision::Hit { found, compare: chance[1] < watch.share(asked.settings.compare) }
    }

    fn nearest(&self, asked: &Asked<'_>, vector: &Vector, now_ms: u64) -> Option<Match> {
        let ids = self.places.get(&(asked.partition, asked.profile.key))?;
        let matches = ids.iter().filter_map(|id| {
            let entry = self.slots.get(*id)?;
            let is_alive = entry.expires_ms > now_ms;
            let is_like = is_alive && entry.profile.is_of_like_length(asked.profile);
            let similarity = entry.vector.as_ref().filter(|_| is_like)?.cosine(vector)?;
            let age_ms = now_ms.saturating_sub(entry.since_ms);
            Some(Match { entry: *id, answer: entry.answer, similarity, age_ms })
        });
        matches.max_by(|one, other| one.similarity.total_cmp(&other.similarity))
    }

    /// Tells an entry whether its answer would have been right.
    pub fn learn(&mut self, id: EntryId, similarity: f64, is_right: bool) {
        if let Some(entry) = self.slots.used(id) {
            entry.seen.add(similarity, is_right);
        }
    }

    /// Tells what became of a hit that was compared; says whether the workload's cache has been put off by it.
    pub fn compare(
        &mut self,
        workload: &str,
        id: EntryId,
        similarity: f64,
        is_right: bool,
        bound: f64,
    ) -> bool {
        self.learn(id, similarity, is_right);
        if !self.watches.contains_key(workload) && self.watches.len() >= WORKLOADS_MAX {
            return false;
        }
        self.watches.entry_ref(workload).or_default().add(is_right, bound)
    }

    /// Gives an entry up: its answer is gone.
    pub fn forget(&mut self, id: EntryId) {
        if let Some(place) = self.slots.remove(id) {
            self.leave(place, id);
        }
    }

    fn leave(&mut self, place: Place, id: EntryId) {
        if let Some(ids) = self.places.get_mut(&place) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.places.remove(&place);
            }
        }
    }

    /// Gives all entries up, and keeps what is known of workloads: what is off stays off.
    pub fn forget_all(&mut self) {
        self.slots = self.slots.emptied();
        self.places = HashMap::new();
    }

    /// How a workload's cache stands.
    #[must_use]
    pub fn standing(&self, workload: &str) -> Standing {
        self.watches.get(workload).copied().unwrap_or_default().standing()
    }

    /// Puts a workload's cache on again, and forgets how often it was wrong.
    pub fn reset(&mut self, workload: &str) {
        self.watches.remove(workload);
    }

    /// How many entries there are, and the bytes they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.slots.size()
    }

    /// What was seen of an entry.
    #[must_use]
    pub fn seen(&self, id: EntryId) -> Option<&learn::Seen> {
        self.slots.get(id).map(|entry| &entry.seen)
    }
}

/// A question, as it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What must be the same to the last bit.
    pub partition: Partition,
    /// What it is compared by.
    pub profile: &'a Profile,
    /// The workload's name.
    pub workload: &'a str,
    /// What the policy says of its cache.
    pub settings: Settings,
}

#[cfg(test)]
mod tests;
