//! Where a request may go: the targets of its model, and which of them is next.
//!
//! In: the targets of a model in the order of the policy, what became of earlier attempts, the present, a random number.
//! Out: a [`Pick`], and the [`RouteReason`] behind it. Remembered: which targets this request has tried, and which it must
//! not try again.
//!
//! A target that failed comes after all that did not. Among those that may be tried and whose breakers let them pass, the
//! model's [`Strategy`] says which is taken: the first one, one drawn by weight, the quickest, the least busy, the cheapest.
//! A draw may be tied to a user or a session ([`Route::stick`]): then the same one is drawn for them every time.

use std::time::Duration;

use crate::{
    Nanos,
    affinity::Even,
    health::{Breaker, Health, Pass},
    models::Strategy,
    policy::Target,
};

mod difficulty;
mod gauge;
mod reason;
pub mod train;

pub use difficulty::{BIAS, Difficulty, FEATURES, FEATURES_COUNT, Feature, Weights, features};
pub use gauge::{FADE, Gauge};
pub use reason::{Cause, RouteReason, Score, Why};

/// Targets of one model that a request considers; those behind are not used.
pub const CANDIDATES_MAX: usize = 64;

/// How soon a target without room is worth asking again.
pub const ROOM_LOOK: Duration = Duration::from_millis(100);

/// The way of one request.
#[derive(Clone, Debug, Default)]
pub struct Route {
    strategy: Strategy,
    /// What is drawn with instead of a random number.
    stuck: Option<u64>,
    /// Indices into the policy's targets.
    candidates: Vec<usize>,
    /// What the candidates cost from here on, where they are chosen by that.
    even: Option<Box<Even>>,
    /// One bit a candidate: failed once in this round.
    tried: u64,
    /// One bit a candidate: of no use for this request.
    barred: u64,
    /// How often all that may be tried have been.
    round: u32,
    /// The wait before a target is tried again has been made.
    waited: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Send to this candidate.
    Take {
        /// Its place among the candidates.
        place: usize,
        /// Leave of its breaker, to be reported.
        pass: Pass,
        /// The first candidate that was passed over because its breaker is open, if any was.
        skipped: Option<usize>,
    },
    /// Only targets that have failed already are left: wait as long as this round's backoff says, then ask again.
    BackOff(u32),
    /// No target may be used before this moment.
    Later(Nanos),
    /// No target is of use.
    Nothing,
}

impl Route {
    /// A way over `targets`, of which the first [`CANDIDATES_MAX`] count.
    #[must_use]
    pub fn new(strategy: Strategy, targets: &[usize]) -> Self {
        let considered = targets.len().min(CANDIDATES_MAX);
        Self { strategy, candidates: targets[..considered].to_vec(), ..Self::default() }
    }

    /// Draws with this number instead of random ones: who sticks to a target has one that stays.
    #[must_use]
    pub fn stick(self, number: Option<u64>) -> Self {
        Self { stuck: number, ..self }
    }

    /// Chooses by what the candidates cost from here on.
    #[must_use]
    pub fn weighing(self, even: Option<Even>) -> Self {
        Self { even: even.map(Box::new), ..self }
    }

    /// What the candidates cost from here on, where they are chosen by that.
    #[must_use]
    pub fn even(&self) -> Option<&Even> {
        self.even.as_deref()
    }

    /// Whether what is drawn stays.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// The next target. With `again`, targets that have failed may be tried once more.
    pub fn pick(&mut self, targets: &[Target], again: bool, now: Nanos, random: u64) -> Pick {
        let allowed = self.all() & !self.barred;
        let random = self.stuck.unwrap_or(random);
        let pass = |breaker: &Breaker| breaker.pass(now);
        let soonest = match self.draw(targets, allowed & !self.tried, (now, random), &pass) {
            Ok(pick) => return self.taken(pick),
            Err(soonest) => soonest,
        };
        let failed = if again { allowed & self.tried } else { 0 };
        if failed != 0 && !self.waited {
            self.waited = true;
            self.round += 1;
            return Pick::BackOff(self.round);
        }
        let later = match self.draw(targets, failed, (now, random), &pass) {
            Ok(pick) => return self.taken(pick),
            Err(later) => later,
        };
        match soonest.into_iter().chain(later).min() {
            Some(until) => Pick::Later(until),
            None => Pick::Nothing,
        }
    }

    /// Another candidate beside the one at `place`, that has not failed and whose breaker lets it pass.
    pub(crate) fn beside(
        &self,
        targets: &[Target],
        place: usize,
        present: (Nanos, u64),
    ) -> Option<(usize, Pass)> {
        let allowed = self.all() & !self.barred & !self.tried & !bit(place);
        let pass = |breaker: &Breaker| breaker.pass(present.0);
        match self.draw(targets, allowed, present, &pass) {
            Ok(Pick::Take { place, pass, .. }) => Some((place, pass)),
            Ok(Pick::BackOff(_) | Pick::Later(_) | Pick::Nothing) | Err(_) => None,
        }
    }

    /// What [`pick`](Self::pick) would take first, without taking it.
    #[must_use]
    pub fn foresee(&self, targets: &[Target], now: Nanos, random: u64) -> Option<usize> {
        let pass = |breaker: &Breaker| match breaker.health(now) {
            Health::Closed | Health::HalfOpen => Ok(Pass::Free),
            Health::Open(until) | Health::Resting(until) => Err(until),
            Health::Probing => Err(now),
        };
        let present = (now, self.stuck.unwrap_or(random));
        match self.draw(targets, self.all() & !self.barred, present, &pass) {
            Ok(Pick::Take { place, .. }) => Some(place),
            Ok(Pick::BackOff(_) | Pick::Later(_) | Pick::Nothing) | Err(_) => None,
        }
    }

    /// What the candidate is chosen by, where that is more than its place; smaller is better.
    #[must_use]
    pub fn score(&self, targets: &[Target], place: usize, now: Nanos) -> Option<Score> {
        let target = &targets[self.candidates[place]];
        match self.strategy {
            Strategy::Order => None,
            Strategy::Weighted => self.is_stuck().then_some(Score::Stuck),
            Strategy::Latency => Some(Score::Delay(target.gauge.delay_us(now))),
            Strategy::Load => Some(Score::UnderWay(target.gauge.under_way())),
            Strategy::Cost => target.cost.map(Score::Cost),
            Strategy::BreakEven => self.even().map(|even| Score::Even {
                nanos: u64::try_from(even.sum(place) / 1000).unwrap_or(u64::MAX),
                home: even.turn.home.map(|home| home == place),
            }),
        }
    }

    /// Whether a candidate is well, and has no room.
    #[must_use]
    pub fn is_full(&self, targets: &[Target], now: Nanos) -> bool {
        let is_well = |target: &Target| {
            matches!(target.breaker.health(now), Health::Closed | Health::HalfOpen)
        };
        let mut candidates = self.candidates.iter().map(|index| &targets[*index]);
        candidates.any(|target| is_well(target) && !target.gauge.has_room())
    }

    /// The candidate failed: others first.
    pub fn exclude(&mut self, place: usize) {
        self.tried |= bit(place);
        self.waited = false;
    }

    /// The candidate is of no more use to this request.
    pub fn bar(&mut self, place: usize) {
        self.barred |= bit(place);
    }

    /// When the next attempt could be made, if that is no later than `latest`. `backed_off` is the earliest moment for a
    /// target that has failed already.
    #[must_use]
    pub fn next_within(
        &self,
        targets: &[Target],
        now: Nanos,
        backed_off: Nanos,
        latest: Nanos,
    ) -> Option<Nanos> {
        let allowed = self.all() & !self.barred;
        let moment = |place: usize| {
            let earliest = if self.tried & bit(place) == 0 { now } else { backed_off };
            match targets[self.candidates[place]].breaker.health(now) {
                Health::Closed | Health::HalfOpen => Some(earliest),
                Health::Open(until) | Health::Resting(until) => Some(until.max(earliest)),
                Health::Probing => None,
            }
        };
        let places = (0..self.candidates.len()).filter(|place| allowed & bit(*place) != 0);
        places.filter_map(moment).min().filter(|moment| *moment <= latest)
    }

    /// The target at a place: index into the policy's targets.
    #[must_use]
    pub fn target(&self, place: usize) -> usize {
        self.candidates[place]
    }

    /// How many candidates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Whether there is no candidate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// The candidates: indices into the policy's targets.
    #[must_use]
    pub fn candidates(&self) -> &[usize] {
        &self.candidates
    }

    /// How the candidates share the requests.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// The rounds of backoff so far.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    fn taken(&mut self, pick: Pick) -> Pick {
        self.waited = false;
        pick
    }

    /// One of the candidates in `set`, or when the first of them can be asked again.
    fn draw(
        &self,
        targets: &[Target],
        mut set: u64,
        (now, mut random): (Nanos, u64),
        pass: &dyn Fn(&Breaker) -> Result<Pass, Nanos>,
    ) -> Result<Pick, Option<Nanos>> {
        let (mut soonest, mut skipped): (Option<Nanos>, Option<usize>) = (None, None);
        while set != 0 {
            let first = set.trailing_zeros() as usize;
            let place = match self.strategy {
                Strategy::Order => first,
                Strategy::Weighted => self.weigh(targets, set, random),
                Strategy::Latency => self.least(set, random, |t| t.gauge.strain(now), targets),
                Strategy::Load => self.least(set, random, |t| t.gauge.under_way(), targets),
                Strategy::Cost => self.least(set, 0, |t| t.cost.unwrap_or(u64::MAX), targets),
                Strategy::BreakEven => {
                    self.even().and_then(|even| even.choose(set)).unwrap_or(first)
                }
            };
            let target = &targets[self.candidates[place]];
            let passed = match target.gauge.has_room() {
                true => pass(&target.breaker),
                false => Err(now.after(ROOM_LOOK)),
            };
            match passed {
                Ok(pass) => {
                    if let Some(even) = &self.even {
                        even.weigh(set);
                    }
                    return Ok(Pick::Take { place, pass, skipped });
                }
                Err(until) => soonest = Some(soonest.map_or(until, |at| at.min(until))),
            }
            skipped = skipped.or(Some(place));
            set &= !bit(place);
            random = random.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Err(soonest)
    }

    fn weigh(&self, targets: &[Target], set: u64, random: u64) -> usize {
        let weight = |place: usize| u64::from(targets[self.candidates[place]].weight);
        let places = || (0..self.candidates.len()).filter(|place| set & bit(*place) != 0);
        let total: u64 = places().map(weight).sum();
        let drawn = u64::try_from((u128::from(random) * u128::from(total)) >> 64).unwrap_or(0);
        let mut below = 0;
        let hit = places().find(|place| {
            below += weight(*place);
            drawn < below
        });
        hit.unwrap_or(set.trailing_zeros() as usize)
    }

    /// The candidate of the least score; of several one by lot, or with a random number of zero the first.
    fn least(
        &self,
        set: u64,
        random: u64,
        score: impl Fn(&Target) -> u64,
        targets: &[Target],
    ) -> usize {
        let (mut best, mut ties) = (u64::MAX, 0_u64);
        for place in places(set) {
            let score = score(&targets[self.candidates[place]]);
            if ties == 0 || score < best {
                (best, ties) = (score, bit(place));
            } else if score == best {
                ties |= bit(place);
            }
        }
        let count = u64::from(ties.count_ones());
        let drawn = usize::try_from((u128::from(random) * u128::from(count)) >> 64).unwrap_or(0);
        places(ties).nth(drawn).unwrap_or(0)
    }

    fn all(&self) -> u64 {
        match self.candidates.len() {
            CANDIDATES_MAX => u64::MAX,
            count => (1 << count) - 1,
        }
    }
}

const _: () = assert!(CANDIDATES_MAX == u64::BITS as usize, "one bit a candidate");

/// The places whose bits are set, in order.
fn places(set: u64) -> impl Iterator<Item = usize> {
    (0..CANDIDATES_MAX).filter(move |place| set & bit(*place) != 0)
}

fn bit(place: usize) -> u64 {
    1 << place
}

#[cfg(all(test, not(loom)))]
mod tests;
