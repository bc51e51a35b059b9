//! Requests that are alike and under way at once: one goes, the others wait for its answer.
//!
//! In: keys. Out: a [`Lead`] for the one that goes, a [`Follow`] for each that waits. Whoever leads lands the answer, sets the
//! others free when what came cannot be shared, or fails by letting its `Lead` go: then one of those who wait leads instead.
//! Who waits is woken by its core: what ends a lead gives back which cores those are, a bit for each of 64.
//!
//! Whoever waits marks its core first and looks at the state then; whoever changes the state does that first and looks at the
//! cores then. Both are read-modify-write in one total order, so that one of the two sees the other.

use std::sync::Arc;

use super::key::CacheKey;
use crate::atomic::{AtomicU64, Ordering, Place};

/// Requests that wait for one answer; one more goes by itself.
pub const WAITERS_MAX: u64 = 1024;

/// Leaders of one flight that may fail before those who wait are set free.
pub const FAILURES_MAX: u64 = 3;

const PLACES: usize = if cfg!(loom) { 1 } else { 1 << 10 };

const VACANT: u64 = 0;
const LED: u64 = 1;
const LANDED: u64 = 2;
const FREE: u64 = 3;

/// Flights under way.
#[derive(Debug)]
pub struct Flights<T> {
    places: Box<[Place<Vec<Arc<Flight<T>>>>]>,
}

/// One request under way, and those who wait for its answer.
#[derive(Debug)]
pub struct Flight<T> {
    key: CacheKey,
    state: AtomicU64,
    waiting: AtomicU64,
    failures: AtomicU64,
    cores: AtomicU64,
    answer: Place<T>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Join<T> {
    /// It goes, and others may wait for it.
    Lead(Lead<T>),
    /// It waits.
    Follow(Follow<T>),
    /// It goes by itself.
    Alone,
}

/// What a request that waits sees.
#[derive(Debug)]
pub enum Look<T> {
    /// The answer is not there yet.
    Wait,
    /// Here it is.
    Landed(Arc<T>),
    /// It goes instead of the one that has failed.
    Lead(Lead<T>),
    /// It goes by itself: what came cannot be shared.
    Alone,
}

/// The right and the duty to land the answer. Letting it go is failing.
#[derive(Debug)]
#[must_use = "a lead that is let go fails those who wait"]
pub struct Lead<T> {
    flights: Arc<Flights<T>>,
    flight: Arc<Flight<T>>,
    is_done: bool,
}

/// A place among those who wait.
#[derive(Debug)]
pub struct Follow<T> {
    flights: Arc<Flights<T>>,
    flight: Arc<Flight<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| Place::default()).collect() }
    }
}

impl<T> Flights<T> {
    /// Joins those who want what is kept under `key`.
    pub fn join(self: &Arc<Self>, key: CacheKey) -> Join<T> {
        let place = &self.places[key.place(self.places.len())];
        loop {
            let before = place.get();
            let own = before.as_ref().map_or(&[][..], |list| list);
            if let Some(flight) = own.iter().find(|flight| flight.key == key) {
                return self.join_known(flight);
            }
            let flight = Arc::new(Flight {
                key,
                state: AtomicU64::new(LED),
                waiting: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                cores: AtomicU64::new(0),
                answer: Place::default(),
            });
            let mut next = own.to_vec();
            next.push(Arc::clone(&flight));
            if place.exchange(before.as_ref(), Arc::new(next)) {
                return Join::Lead(self.lead(flight));
            }
        }
    }

    /// Requests that are waited for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.places.iter().map(|place| place.look(|list| list.map_or(0, |l| l.len() as u64))).sum()
    }

    fn join_known(self: &Arc<Self>, flight: &Arc<Flight<T>>) -> Join<T> {
        if flight.take_over() {
            return Join::Lead(self.lead(Arc::clone(flight)));
        }
        if flight.waiting.fetch_add(1, Ordering::SeqCst) >= WAITERS_MAX {
            flight.waiting.fetch_sub(1, Ordering::SeqCst);
            return Join::Alone;
        }
        Join::Follow(Follow { flights: Arc::clone(self), flight: Arc::clone(flight) })
    }

    fn lead(self: &Arc<Self>, flight: Arc<Flight<T>>) -> Lead<T> {
        Lead { flights: Arc::clone(self), flight, is_done: false }
    }

    fn remove(&self, flight: &Arc<Flight<T>>) {
        let place = &self.places[flight.key.place(self.places.len())];
        loop {
            let Some(before) = place.get() else { return };
            let is_other = |own: &&Arc<Flight<T>>| !Arc::ptr_eq(own, flight);
            let next: Vec<_> = before.iter().filter(is_other).cloned().collect();
            if next.len() == before.len() || place.exchange(Some(&before), Arc::new(next)) {
                return;
            }
        }
    }
}

impl<T> Flight<T> {
    fn is_followed(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Leads from now on, if nobody does.
    fn take_over(&self) -> bool {
        let taken = self.state.compare_exchange(VACANT, LED, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok()
    }
}

impl<T> Lead<T> {
    /// Whether others wait for the answer.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.flight.is_followed()
    }

    /// Says the same later.
    pub fn followers(&self) -> impl Fn() -> bool + use<T> {
        let flight = Arc::clone(&self.flight);
        move || flight.is_followed()
    }

    /// Gives the answer to those who wait. Their cores must be woken.
    pub fn land(mut self, answer: Arc<T>) -> u64 {
        self.flight.answer.exchange(None, answer);
        self.end(LANDED)
    }

    /// Lets those who wait go by themselves. Their cores must be woken.
    pub fn free(mut self) -> u64 {
        self.end(FREE)
    }

    /// Fails: one of those who wait leads instead, unless too many have failed already. Their cores must be woken.
    pub fn fail(mut self) -> u64 {
        self.give_up()
    }

    fn give_up(&mut self) -> u64 {
        let failures = self.flight.failures.fetch_add(1, Ordering::SeqCst) + 1;
        self.end(if failures < FAILURES_MAX { VACANT } else { FREE })
    }

    fn end(&mut self, state: u64) -> u64 {
        self.is_done = true;
        let flight = &self.flight;
        flight.state.swap(state, Ordering::SeqCst);
        // Behind the state: who leaves last looks at the two the other way round.
        if state != VACANT || flight.waiting.fetch_add(0, Ordering::SeqCst) == 0 {
            self.flights.remove(flight);
        }
        flight.cores.swap(0, Ordering::SeqCst)
    }
}

impl<T> Drop for Lead<T> {
    fn drop(&mut self) {
        if !self.is_done {
            self.give_up();
        }
    }
}

impl<T> Follow<T> {
    /// Has this core woken when something changes. To be called before [`look`](Self::look), each time.
    pub fn watch(&self, core: usize) {
        self.flight.cores.fetch_or(1 << (core % 64), Ordering::SeqCst);
    }

    /// What has become of the answer.
    #[must_use]
    pub fn look(&self) -> Look<T> {
        // Read by writing: a plain load could be from before the core was marked.
        match self.flight.state.fetch_add(0, Ordering::SeqCst) {
            LANDED => self.flight.answer.get().map_or(Look::Alone, Look::Landed),
            FREE => Look::Alone,
            VACANT if self.flight.take_over() => {
                Look::Lead(self.flights.lead(Arc::clone(&self.flight)))
            }
            _ => Look::Wait,
        }
    }
}

impl<T> Drop for Follow<T> {
    fn drop(&mut self) {
        let was_last = self.flight.waiting.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && self.flight.state.fetch_add(0, Ordering::SeqCst) == VACANT {
            self.flights.remove(&self.flight);
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of one that leads and one that waits.

    use loom::thread;

    use super::*;

    fn key() -> CacheKey {
        CacheKey::from_bytes([7; 32])
    }

    fn check(end: fn(Lead<u8>) -> u64, expected: fn(&Look<u8>) -> bool) {
        loom::model(move || {
            let flights: Arc<Flights<u8>> = Arc::default();
            let Join::Lead(lead) = flights.join(key()) else { panic!("the first leads") };
            let Join::Follow(follow) = flights.join(key()) else { panic!("the second waits") };
            let thread = thread::spawn(move || end(lead));
            follow.watch(0);
            let look = follow.look();
            let is_waiting = matches!(look, Look::Wait);
            assert!(is_waiting || expected(&look), "{look:?}");
            let woken = thread.join().unwrap();
            assert!(!is_waiting || woken == 1, "one that waits is never forgotten");
            if is_waiting {
                let look = follow.look();
                assert!(expected(&look), "what it is woken for is there: {look:?}");
            }
            drop((look, follow));
            assert_eq!(flights.count(), 0, "nothing is left behind");
        });
    }

    #[test]
    fn loom_cache_an_answer_reaches_who_waits() {
        check(
            |lead| lead.land(Arc::new(5)),
            |look| matches!(look, Look::Landed(five) if **five == 5),
        );
    }

    #[test]
    fn loom_cache_who_waits_leads_when_the_leader_fails() {
        check(Lead::fail, |look| matches!(look, Look::Lead(_)));
    }

    #[test]
    fn loom_cache_who_waits_is_set_free() {
        check(Lead::free, |look| matches!(look, Look::Alone));
    }

    #[test]
    fn loom_cache_nothing_is_left_when_all_leave_at_once() {
        loom::model(|| {
            let flights: Arc<Flights<u8>> = Arc::default();
            let Join::Lead(lead) = flights.join(key()) else { panic!("the first leads") };
            let Join::Follow(follow) = flights.join(key()) else { panic!("the second waits") };
            let thread = thread::spawn(move || drop(follow));
            lead.fail();
            thread.join().unwrap();
            assert_eq!(flights.count(), 0);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn key(number: u8) -> CacheKey {
        CacheKey::from_bytes([number; 32])
    }

    fn lead(flights: &Arc<Flights<u8>>) -> Lead<u8> {
        match flights.join(key(1)) {
            Join::Lead(lead) => lead,
            other => panic!("{other:?}"),
        }
    }

    fn follow(flights: &Arc<Flights<u8>>) -> Follow<u8> {
        match flights.join(key(1)) {
            Join::Follow(follow) => follow,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_goes_and_the_others_get_its_answer() {
        let flights = Arc::default();
        let first = lead(&flights);
        assert!(!first.is_followed());
        assert!(matches!(flights.join(key(2)), Join::Lead(_)), "another key is another flight");
        let others = [follow(&flights), follow(&flights)];
        assert!(first.is_followed());
        others.iter().zip([3, 66]).for_each(|(one, core)| {
            one.watch(core);
            assert!(matches!(one.look(), Look::Wait));
        });
        assert_eq!(first.land(Arc::new(9)), 0b1100, "cores 3 and 66");
        for one in &others {
            assert!(matches!(one.look(), Look::Landed(nine) if *nine == 9));
        }
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn when_the_leader_fails_one_goes_instead_and_then_all_are_free() {
        let flights = Arc::default();
        let mut leader = lead(&flights);
        let waiting = [follow(&flights), follow(&flights)];
        for _ in 1..FAILURES_MAX {
            drop(leader);
            let Look::Lead(next) = waiting[0].look() else { panic!("it goes instead") };
            assert!(matches!(waiting[1].look(), Look::Wait), "only one goes");
            leader = next;
        }
        leader.fail();
        assert!(waiting.iter().all(|one| matches!(one.look(), Look::Alone)));
        assert_eq!(flights.count(), 0);
    }

    #[test]
    fn who_comes_when_nobody_leads_any_more_leads() {
        let flights = Arc::default();
        let first = lead(&flights);
        let waiting = follow(&flights);
        drop(first);
        let again = lead(&flights);
        assert!(matches!(waiting.look(), Look::Wait));
        again.land(Arc::new(1));
        assert!(matches!(waiting.look(), Look::Landed(_)));
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let flights = Arc::default();
        let _lead = lead(&flights);
        let waiting: Vec<_> = (0..WAITERS_MAX).map(|_| follow(&flights)).collect();
        assert!(matches!(flights.join(key(1)), Join::Alone));
        drop(waiting);
        drop(follow(&flights));
    }
}
