//! Who stored a response, and where it is.
//!
//! A provider that speaks Responses keeps what it answered, and gives it out to whoever has its account and knows the id.
//! The account is the gateway's, so the gateway must know whose each one is. In: the id in an answer that passes, before
//! the client learns it, and a [`Maker`]. Out: for an id that comes back, the maker, if the caller is the same.
//!
//! The owner is the key, not its team: what is stored are whole conversations, and a team that wants to share them can
//! share a key. It is the key's name in the policy, so that a key can be replaced by a new one without losing them. All
//! callers without a key are one.
//!
//! Memory is bounded: sets of a few places, in which the oldest entry gives way. Ids are hashed and not kept. What has given
//! way is unknown, and so is after a restart what is not in the file (`stored/file.rs`): `server.unknown_responses`.

mod file;

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};

pub(crate) use self::file::Writing;
use self::file::{Note, Notes};
use crate::{live::Target, upstream::Upstream};

/// Responses that are known at a time.
pub(crate) const RESPONSES_MAX: usize = SETS * WAYS;

/// Places that an id may be kept at.
const WAYS: usize = 8;

const SETS: usize = 16 * 1024;

/// How often a place is looked for, where other cores take it at the same moment.
const TRIES_MAX: usize = 16;

/// Who had a response made, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Maker {
    /// The caller's key, by its name in the policy.
    pub(crate) owner: Box<str>,
    /// The provider's name.
    pub(crate) provider: Box<str>,
    /// The target's name.
    pub(crate) target: Box<str>,
    /// Which of the target's places: a URL.
    pub(crate) place: Box<str>,
}

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is the caller's own.
    Own(Arc<Maker>),
    /// It is another caller's.
    Another,
    /// Nothing.
    Unknown,
}

/// The responses that are known.
pub(crate) struct Stored {
    places: Box<[ArcSwapOption<Entry>]>,
    /// Counts entries, so that the oldest can be told.
    kept: AtomicU64,
    notes: Option<Arc<Notes>>,
}

struct Entry {
    id: Id,
    maker: Arc<Maker>,
    number: u64,
}

/// The hash of an id.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Id(u128);

impl Maker {
    /// Names a place by what stays when the policy is read again, by this process or a later one.
    pub(crate) fn place(upstream: &Upstream) -> Box<str> {
        upstream.url().into()
    }

    /// Which of a target's places it is, if it is still among them.
    pub(crate) fn place_in(&self, target: &Target) -> Option<usize> {
        let is_it = |upstream: &Arc<Upstream>| Self::place(upstream) == self.place;
        target.upstreams.iter().position(is_it)
    }
}

impl Stored {
    /// Nothing is known.
    pub(crate) fn new() -> Self {
        Self {
            places: (0..RESPONSES_MAX).map(|_| ArcSwapOption::empty()).collect(),
            kept: AtomicU64::new(0),
            notes: None,
        }
    }

    /// What the file at `path` says is known; what comes is written there.
    ///
    /// # Errors
    ///
    /// When it cannot be read; then nothing is written.
    pub(crate) fn remember(&mut self, path: &Path) -> io::Result<Writing> {
        file::open(self, path)
    }

    /// Notes who had a response made. An id that is there already is the latest maker's: a provider that gives one out
    /// twice has nothing left of the first.
    pub(crate) fn keep(&self, id: &str, maker: Arc<Maker>) {
        let id = Id::of(id);
        if let Some(notes) = &self.notes {
            notes.write(Note::Kept(id, Arc::clone(&maker)));
        }
        self.place(id, maker);
    }

    fn place(&self, id: Id, maker: Arc<Maker>) {
        let number = self.kept.fetch_add(1, Ordering::Relaxed);
        let entry = Some(Arc::new(Entry { id, maker, number }));
        let set = self.set(id);
        for _ in 0..TRIES_MAX {
            let places = set.iter().map(|place| (place, place.load()));
            let Some((place, seen)) = places.min_by_key(|(_, known)| rank(known, id)) else {
                return;
            };
            let before = place.compare_and_swap(&*seen, entry.clone());
            if is_same(&before, &seen) {
                return;
            }
        }
        set[0].store(entry);
    }

    /// What is known of an id, for the caller who shows this key.
    pub(crate) fn find(&self, id: &str, owner: &str) -> Found {
        let id = Id::of(id);
        for place in self.set(id) {
            if let Some(entry) = &*place.load()
                && entry.id == id
            {
                let is_own = *entry.maker.owner == *owner;
                return if is_own { Found::Own(Arc::clone(&entry.maker)) } else { Found::Another };
            }
        }
        Found::Unknown
    }

    /// Forgets a response that its provider has deleted.
    pub(crate) fn forget(&self, id: &str) {
        let id = Id::of(id);
        if let Some(notes) = &self.notes {
            notes.write(Note::Forgotten(id));
        }
        self.clear(id);
    }

    fn clear(&self, id: Id) {
        for place in self.set(id) {
            let known = place.load();
            if known.as_ref().is_some_and(|entry| entry.id == id) {
                place.compare_and_swap(&*known, None);
            }
        }
    }

    fn set(&self, id: Id) -> &[ArcSwapOption<Entry>] {
        let index = usize::try_from(id.0 % SETS as u128).unwrap_or(0);
        &self.places[index * WAYS..][..WAYS]
    }
}

impl Id {
    /// Ids that a server could take for the same are the same.
    fn of(id: &str) -> Self {
        let digest = Sha256::digest(id.trim().to_ascii_lowercase());
        Self(digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    fn hex(self) -> String {
        format!("{:032x}", self.0)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

/// What gives way to an entry for `id`: the same id first, then an empty place, then the oldest.
fn rank(known: &Option<Arc<Entry>>, id: Id) -> u64 {
    match known {
        Some(known) if known.id == id => 0,
        None => 1,
        Some(known) => known.number.saturating_add(2),
    }
}

fn is_same(a: &Option<Arc<Entry>>, b: &Option<Arc<Entry>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(owner: &str) -> Arc<Maker> {
        Arc::new(Maker {
            owner: owner.into(),
            provider: "p".into(),
            target: "p/m".into(),
            place: "http://h:80/v1".into(),
        })
    }

    #[test]
    fn a_response_is_its_makers_alone() {
        let stored = Stored::new();
        stored.keep("resp_1", maker("a"));
        assert_eq!(stored.find("resp_1", "a"), Found::Own(maker("a")));
        assert_eq!(stored.find("resp_1", "b"), Found::Another);
        assert_eq!(stored.find("resp_1", ""), Found::Another);
        assert_eq!(stored.find("resp_2", "a"), Found::Unknown);
        stored.keep("resp_1", maker("b"));
        assert_eq!(stored.find("resp_1", "a"), Found::Another);
        assert_eq!(stored.find("resp_1", "b"), Found::Own(maker("b")));
    }

    #[test]
    fn an_id_in_another_spelling_is_the_same() {
        let stored = Stored::new();
        stored.keep("resp_Ab", maker("a"));
        for id in ["RESP_AB", "resp_ab", " resp_Ab", "resp_Ab\n"] {
            assert_eq!(stored.find(id, "b"), Found::Another, "{id:?}");
        }
        assert_eq!(stored.find("resp_Abc", "b"), Found::Unknown);
    }

    #[test]
    fn what_was_deleted_is_forgotten() {
        let stored = Stored::new();
        stored.keep("resp_1", maker("a"));
        stored.keep("resp_2", maker("a"));
        stored.forget("resp_1");
        assert_eq!(stored.find("resp_1", "a"), Found::Unknown);
        assert_eq!(stored.find("resp_2", "a"), Found::Own(maker("a")));
    }

    /// The ids that fall on one set, as many as asked for.
    fn of_one_set(count: usize) -> Vec<String> {
        let set = |id: &str| Id::of(id).0 % SETS as u128;
        let wanted = set("0");
        let ids = (0_u32..).map(|n| n.to_string());
        ids.filter(|id| set(id) == wanted).take(count).collect()
    }

    #[test]
    fn the_oldest_gives_way_where_there_is_no_room() {
        let stored = Stored::new();
        let ids = of_one_set(WAYS + 2);
        for id in &ids {
            stored.keep(id, maker("a"));
        }
        let known = |id: &String| stored.find(id, "a") != Found::Unknown;
        assert_eq!(ids.iter().filter(|id| known(id)).count(), WAYS);
        assert!(!known(&ids[0]) && !known(&ids[1]) && known(&ids[2]));
        // One that is made again takes its own place, and nobody else's.
        stored.keep(&ids[5], maker("b"));
        assert_eq!(ids.iter().filter(|id| known(id)).count(), WAYS);
        assert_eq!(stored.find(&ids[5], "a"), Found::Another);
    }

    #[test]
    fn cores_that_keep_at_once_lose_no_more_than_there_is_no_room_for() {
        let stored = Stored::new();
        let ids = of_one_set(WAYS);
        std::thread::scope(|scope| {
            for ids in ids.chunks(2) {
                let stored = &stored;
                scope.spawn(move || ids.iter().for_each(|id| stored.keep(id, maker("a"))));
            }
        });
        for id in &ids {
            assert_eq!(stored.find(id, "a"), Found::Own(maker("a")), "{id}");
        }
    }
}
