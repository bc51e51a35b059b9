//! The keys of a provider: which of them a request shows, and which of them rest. One [`Quota`] for each key at each target,
//! shared by all cores.
//!
//! In: what answers say of rate limits, refusals, the present, a random number. Out: the key to show. Remembered: what is
//! left of each key's limits and until when that holds, and until when it rests.
//!
//! A key is drawn by lot, as what is left of its limits says: where the limit is known, by its units, so that a key that may
//! do ten times as much is shown ten times as often, and less and less as it is used up. One of which nothing is known counts
//! as the mean of those that are. One that a provider has limited (429) rests until it may come again; one that it refused
//! (401, 403) rests for [`REFUSED_FIRST`], twice as long each further time, up to [`REFUSED_MAX`]. Other keys go on meanwhile.
//!
//! All words are relaxed: each is right by itself, and what a race of two answers loses is one of two things that were told
//! at the same moment.

use std::time::Duration;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
    health::REST_MAX,
    time::nanos,
};

/// Keys of one provider.
pub const KEYS_MAX: usize = 64;

/// How long a key rests that was refused for the first time.
pub const REFUSED_FIRST: Duration = Duration::from_secs(30);

/// How long a key rests at most that was refused again and again.
pub const REFUSED_MAX: Duration = Duration::from_secs(15 * 60);

/// How long a key rests that was limited, where nobody says until when.
pub const LIMITED_UNTOLD: Duration = Duration::from_secs(1);

/// All of a limit is left.
const WHOLE: u64 = 1 << 20;

/// How long the word of a provider on what is left holds where it does not say.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// One limit, as an answer tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Units that it allows.
    pub limit: Option<u64>,
    /// Units that are left.
    pub remaining: Option<u64>,
    /// Until it is whole again.
    pub reset: Option<Duration>,
}

/// What is known of one limit of a key.
#[derive(Debug)]
struct Level {
    limit: AtomicU64,
    /// The share that is left, of [`WHOLE`].
    share: AtomicU64,
    /// That holds until then.
    until: AtomicU64,
}

impl Default for Level {
    fn default() -> Self {
        let word = AtomicU64::new;
        Self { limit: word(0), share: word(WHOLE), until: word(0) }
    }
}

impl Level {
    fn note(&self, told: Told, now: Nanos) {
        if let Some(limit) = told.limit {
            self.limit.store(limit, Ordering::Relaxed);
        }
        let Some(remaining) = told.remaining else { return };
        let limit = self.limit.load(Ordering::Relaxed);
        let share = match limit {
            0 => WHOLE * u64::from(remaining > 0),
            limit => {
                let share = u128::from(remaining) * u128::from(WHOLE) / u128::from(limit);
                u64::try_from(share).unwrap_or(WHOLE).min(WHOLE)
            }
        };
        self.share.store(share, Ordering::Relaxed);
        self.until.store(now.after(told.reset.unwrap_or(TOLD_FOR)).0, Ordering::Relaxed);
    }

    fn share(&self, now: Nanos) -> u64 {
        match self.until.load(Ordering::Relaxed) > now.0 {
            true => self.share.load(Ordering::Relaxed),
            false => WHOLE,
        }
    }

    /// Until it is whole again, where nothing of it is left.
    fn empty_for(&self, now: Nanos) -> Option<Duration> {
        let until = Nanos(self.until.load(Ordering::Relaxed));
        (self.share(now) == 0).then(|| until.since(now))
    }
}

/// Why a key is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It has used up what it may.
    Limited,
    /// The provider does not take it.
    Refused,
}

/// What one key may still do at one target.
#[derive(Debug)]
pub struct Quota {
    requests: Level,
    tokens: Level,
    limited_until: AtomicU64,
    refused_until: AtomicU64,
    /// Refusals in a row.
    in_a_row: AtomicU64,
    limited: AtomicU64,
    refused: AtomicU64,
}

impl Default for Quota {
    fn default() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            requests: Level::default(),
            tokens: Level::default(),
            limited_until: word(),
            refused_until: word(),
            in_a_row: word(),
            limited: word(),
            refused: word(),
        }
    }
}

impl Quota {
    /// An answer says what is left of the limits on requests and on tokens.
    pub fn told(&self, requests: Told, tokens: Told, now: Nanos) {
        self.requests.note(requests, now);
        self.tokens.note(tokens, now);
    }

    /// The provider took the key.
    pub fn served(&self) {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// The provider wants no more with this key, for as long as it says.
    pub fn limited(&self, wait: Option<Duration>, now: Nanos) {
        let untold = || {
            let empty = self.requests.empty_for(now).max(self.tokens.empty_for(now));
            empty.unwrap_or(LIMITED_UNTOLD)
        };
        let wait = wait.unwrap_or_else(untold).min(REST_MAX);
        self.limited_until.fetch_max(now.after(wait).0, Ordering::Relaxed);
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// The provider does not take the key.
    pub fn refused(&self, now: Nanos) {
        const DOUBLINGS_MAX: u64 = 16;
        let before = self.in_a_row.fetch_add(1, Ordering::Relaxed).min(DOUBLINGS_MAX);
        let rest = nanos(REFUSED_FIRST).saturating_mul(1 << before).min(nanos(REFUSED_MAX));
        // Answers to what was sent together count once.
        if self.refused_until.load(Ordering::Relaxed) <= now.0 {
            self.refused_until.store(now.after(Duration::from_nanos(rest)).0, Ordering::Relaxed);
        } else {
            self.in_a_row.fetch_sub(1, Ordering::Relaxed);
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Why it is not shown now, if it is not, and until when.
    #[must_use]
    pub fn rest(&self, now: Nanos) -> Option<(Rest, Nanos)> {
        let refused = self.refused_until.load(Ordering::Relaxed);
        let limited = self.limited_until.load(Ordering::Relaxed);
        match (refused > now.0, limited > now.0) {
            (true, _) => Some((Rest::Refused, Nanos(refused.max(limited)))),
            (false, true) => Some((Rest::Limited, Nanos(limited))),
            (false, false) => None,
        }
    }

    /// How often it was limited and refused.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.limited.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// The share that is left of its tightest limit, in millionths; all of it where nothing is known.
    #[must_use]
    pub fn left_ppm(&self, now: Nanos) -> u64 {
        self.share(now) * 1_000_000 / WHOLE
    }

    fn share(&self, now: Nanos) -> u64 {
        self.requests.share(now).min(self.tokens.share(now))
    }

    /// What it may still do, in units of its limit; `None` where its limit is not known.
    fn weight(&self, now: Nanos) -> Option<u64> {
        let limit = match self.tokens.limit.load(Ordering::Relaxed) {
            0 => self.requests.limit.load(Ordering::Relaxed),
            tokens => tokens,
        };
        let left = u128::from(limit) * u128::from(self.share(now)) / u128::from(WHOLE);
        (limit != 0).then(|| u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// The key to show: index into `quotas`, of which those whose bit is set in `tried` are out; `None` when no other is left.
///
/// Keys that rest come last: of them the one whose rest ends first is taken, and only if this request has shown none yet.
#[must_use]
pub fn pick<'a>(
    quotas: impl Iterator<Item = &'a Quota> + Clone,
    tried: u64,
    now: Nanos,
    random: u64,
) -> Option<usize> {
    let open = || {
        let all = quotas.clone().take(KEYS_MAX).enumerate();
        all.filter(move |(index, _)| tried & (1 << index) == 0)
    };
    let awake = || open().filter(|(_, quota)| quota.rest(now).is_none());
    let known: Vec<u64> = awake().filter_map(|(_, quota)| quota.weight(now)).collect();
    let sum: u128 = known.iter().map(|weight| u128::from(*weight)).sum();
    let mean = match known.len() as u128 {
        0 => u128::from(WHOLE),
        count => (sum / count).max(1),
    };
    let weight = |quota: &Quota| quota.weight(now).map_or(mean, u128::from);
    let total: u128 = awake().map(|(_, quota)| weight(quota)).sum();
    if total > 0 {
        let drawn = (total.min(u128::from(u64::MAX)) * u128::from(random)) >> 64;
        let mut below = 0;
        let hit = awake().find(|(_, quota)| {
            below += weight(quota);
            drawn < below
        });
        return hit.map(|(index, _)| index);
    }
    // All that are awake have used up what they may, as far as was told: any of them may know better.
    let count = awake().count();
    if count > 0 {
        let nth = usize::try_from(random % count as u64).unwrap_or(0);
        return awake().nth(nth).map(|(index, _)| index);
    }
    if tried != 0 {
        return None;
    }
    let until = |quota: &Quota| quota.rest(now).map(|(_, until)| until);
    open().min_by_key(|(_, quota)| until(quota)).map(|(index, _)| index)
}

/// When the first of `quotas` is awake again; `None` where one is awake now.
#[must_use]
pub fn all_rest<'a>(quotas: impl Iterator<Item = &'a Quota>, now: Nanos) -> Option<Nanos> {
    let mut soonest = Nanos(u64::MAX);
    for quota in quotas {
        soonest = soonest.min(quota.rest(now)?.1);
    }
    Some(soonest)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOW: Nanos = Nanos(1_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn left(limit: u64, remaining: u64) -> Told {
        Told { limit: Some(limit), remaining: Some(remaining), reset: Some(SECOND) }
    }

    fn shares(quotas: &[Quota], now: Nanos) -> Vec<u64> {
        let mut counts = vec![0; quotas.len()];
        for n in 0..1000_u64 {
            let random = n * (u64::MAX / 1000) + u64::MAX / 2000;
            counts[pick(quotas.iter(), 0, now, random).unwrap()] += 1;
        }
        counts
    }

    fn quotas<const N: usize>() -> [Quota; N] {
        std::array::from_fn(|_| Quota::default())
    }

    #[test]
    fn keys_of_which_nothing_is_known_share_alike() {
        assert_eq!(shares(&quotas::<4>(), NOW), [250; 4]);
    }

    #[test]
    fn a_key_is_shown_as_often_as_what_is_left_of_its_limit_says() {
        let keys = quotas::<3>();
        keys[0].told(Told::default(), left(900, 900), NOW);
        keys[1].told(Told::default(), left(900, 100), NOW);
        // Of the third nothing is known: it counts as the mean of the others.
        let near = |found: Vec<u64>, expected: [u64; 3]| {
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.abs_diff(expected) <= 2, "{found} and not {expected}");
            }
        };
        near(shares(&keys, NOW), [600, 67, 333]);
        // The tighter of two limits counts.
        keys[0].told(left(100, 0), Told::default(), NOW);
        near(shares(&keys, NOW), [0, 667, 333]);
        // When its limit is whole again it is shown again, by its size.
        near(shares(&keys, NOW.after(SECOND)), [333, 333, 333]);
    }

    #[test]
    fn a_key_that_is_limited_rests_alone_and_as_long_as_it_was_told() {
        let keys = quotas::<2>();
        keys[0].limited(Some(SECOND * 5), NOW);
        assert_eq!(shares(&keys, NOW), [0, 1000]);
        assert_eq!(keys[0].rest(NOW), Some((Rest::Limited, NOW.after(SECOND * 5))));
        assert_eq!(shares(&keys, NOW.after(SECOND * 5)), [500, 500]);
        keys[0].limited(Some(SECOND * 100_000), NOW);
        assert_eq!(keys[0].rest(NOW), Some((Rest::Limited, NOW.after(REST_MAX))));
    }

    #[test]
    fn a_limit_that_is_used_up_says_how_long_to_rest_where_nothing_else_does() {
        let key = Quota::default();
        key.limited(None, NOW);
        assert_eq!(key.rest(NOW), Some((Rest::Limited, NOW.after(LIMITED_UNTOLD))));
        let key = Quota::default();
        key.told(Told { reset: Some(SECOND * 7), ..left(10, 0) }, left(10, 10), NOW);
        key.limited(None, NOW);
        assert_eq!(key.rest(NOW), Some((Rest::Limited, NOW.after(SECOND * 7))));
    }

    #[test]
    fn a_key_that_is_refused_rests_longer_each_time_until_it_is_taken() {
        let key = Quota::default();
        let mut now = NOW;
        let mut rested = Vec::new();
        for _ in 0..7 {
            key.refused(now);
            key.refused(now);
            let (why, until) = key.rest(now).unwrap();
            assert_eq!(why, Rest::Refused);
            rested.push(until.since(now).as_secs());
            now = until;
        }
        assert_eq!(rested, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(key.counts(), (0, 14));
        key.served();
        key.refused(now);
        assert_eq!(key.rest(now).unwrap().1, now.after(REFUSED_FIRST));
    }

    #[test]
    fn no_key_is_shown_twice_and_one_that_rests_only_where_there_is_no_other() {
        let keys = quotas::<3>();
        keys[0].refused(NOW);
        keys[1].limited(Some(SECOND), NOW);
        assert_eq!(pick(keys.iter(), 0, NOW, 7), Some(2));
        assert_eq!(pick(keys.iter(), 0b100, NOW, 7), None);
        assert_eq!(all_rest(keys.iter(), NOW), None);
        keys[2].limited(Some(SECOND * 2), NOW);
        assert_eq!(pick(keys.iter(), 0, NOW, 7), Some(1), "its rest ends first");
        assert_eq!(all_rest(keys.iter(), NOW), Some(NOW.after(SECOND)));
    }

    #[test]
    fn keys_that_have_nothing_left_as_far_as_was_told_may_know_better() {
        let keys = quotas::<2>();
        keys.iter().for_each(|key| key.told(left(10, 0), left(10, 0), NOW));
        assert_eq!([0, 1].map(|random| pick(keys.iter(), 0, NOW, random)), [Some(0), Some(1)]);
    }
}
