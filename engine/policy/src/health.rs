//! Whether a target is failing, and when it may be tried again. One [`Breaker`] a target, shared by all cores.
//!
//! In: what became of attempts, with the present. Out: a [`Pass`], or the moment until which there is none.
//! Remembered: whether it is open and until when, whether its probe is out, a tally of failures, a rest it was asked for.
//!
//! Closed, every request passes. A failure adds one to the tally and a success takes one off it, so it grows while more
//! than half of the requests fail; `failures` of them, none older than `window` before the next, open the breaker. So do
//! [`ROW_FEW`] in a row that span [`ROW_SPAN`]: a target with little traffic needs no long proof. Open, nothing passes for
//! `open`, doubled each time it fails again, up to `open_max`. Then one request passes at a time, the *probe*: its success
//! closes the breaker, its failure opens it for longer, its loss lets the next one try.
//!
//! A healthy target's success reads one word and writes none. Each word is changed by compare-and-swap with acquire and
//! release; the words are advice to each other only: the worst that a race between them can do is one failure miscounted.

use std::time::Duration;

use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering},
    time::nanos,
};

mod tally;

use tally::Tally;

/// So many failures in a row are enough when they span [`ROW_SPAN`].
pub const ROW_FEW: u32 = 5;

/// How long [`ROW_FEW`] failures in a row must go on to open a breaker.
pub const ROW_SPAN: Duration = Duration::from_millis(500);

/// The longest rest that a provider's `Retry-After` gives a target.
pub const REST_MAX: Duration = Duration::from_secs(60);

/// How often the time a breaker stays open may double.
const DOUBLINGS_MAX: u64 = 16;

/// When a target counts as failing, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures that open the breaker, successes in between taken off. At least 1.
    pub failures: u32,
    /// A failure is forgotten when so much time passes without another.
    pub window: Duration,
    /// How long it stays open at first.
    pub open: Duration,
    /// How long it stays open at most.
    pub open_max: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 10,
            window: Duration::from_secs(10),
            open: Duration::from_secs(1),
            open_max: Duration::from_secs(60),
        }
    }
}

/// Leave to send one request. Report what became of it, or [`Breaker::cancel`] it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a probe that is never reported keeps its target closed off"]
pub enum Pass {
    /// One of many.
    Free,
    /// The one request that finds out whether the target is back.
    Probe,
}

/// What a target is like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Requests pass.
    Closed,
    /// Nothing passes until then.
    Open(Nanos),
    /// The provider asked to be left alone until then.
    Resting(Nanos),
    /// The next request is the probe.
    HalfOpen,
    /// The probe is out.
    Probing,
}

impl Health {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open(_) => "open",
            Self::Resting(_) => "resting",
            Self::HalfOpen => "half_open",
            Self::Probing => "probing",
        }
    }
}

/// Whether one target is failing.
#[derive(Debug)]
pub struct Breaker {
    /// Zero: closed. Else twice the moment until which it is open, plus one while the probe is out.
    state: AtomicU64,
    tally: Tally,
    /// The provider asked to be left alone until then.
    rest: AtomicU64,
    /// How often it has opened since it was last well for long.
    trips: AtomicU64,
    /// When it was last closed by a probe.
    closed: AtomicU64,
    failures: AtomicU64,
    window: AtomicU64,
    open: AtomicU64,
    open_max: AtomicU64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let breaker = Self {
            state: AtomicU64::new(0),
            tally: Tally::default(),
            rest: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            window: AtomicU64::new(0),
            open: AtomicU64::new(0),
            open_max: AtomicU64::new(0),
        };
        breaker.set(settings);
        breaker
    }

    /// Other settings, for what happens from now on.
    pub fn set(&self, settings: BreakerSettings) {
        // Relaxed: each value is right by itself.
        self.failures.store(u64::from(settings.failures.max(1)), Ordering::Relaxed);
        self.window.store(nanos(settings.window), Ordering::Relaxed);
        self.open.store(nanos(settings.open), Ordering::Relaxed);
        self.open_max.store(nanos(settings.open_max.max(settings.open)), Ordering::Relaxed);
    }

    /// Leave to send a request at `now`.
    ///
    /// # Errors
    ///
    /// The moment at which it is worth asking again, later than `now`.
    pub fn pass(&self, now: Nanos) -> Result<Pass, Nanos> {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > now.0 {
            return Err(Nanos(rest));
        }
        let state = self.state.load(Ordering::Acquire);
        if state == 0 {
            return Ok(Pass::Free);
        }
        if until(state) > now {
            return Err(until(state));
        }
        let probing = state | 1;
        let claimed = state != probing
            && self
                .state
                .compare_exchange(state, probing, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if claimed { Ok(Pass::Probe) } else { Err(now.after(self.first_open())) }
    }

    /// What [`pass`](Self::pass) would say, without taking the probe.
    #[must_use]
    pub fn health(&self, now: Nanos) -> Health {
        let rest = self.rest.load(Ordering::Relaxed);
        let state = self.state.load(Ordering::Acquire);
        match state {
            _ if state != 0 && until(state) > now => Health::Open(until(state)),
            _ if rest > now.0 => Health::Resting(Nanos(rest)),
            0 => Health::Closed,
            _ if state & 1 == 1 => Health::Probing,
            _ => Health::HalfOpen,
        }
    }

    /// The target answered as it should.
    pub fn succeeded(&self, pass: Pass, now: Nanos) {
        match pass {
            Pass::Free => self.tally.success(),
            Pass::Probe => {
                self.tally.clear();
                self.closed.store(now.0, Ordering::Relaxed);
                self.state.store(0, Ordering::Release);
            }
        }
    }

    /// The target failed.
    pub fn failed(&self, pass: Pass, now: Nanos) {
        match pass {
            // What was sent while it was closed says nothing new once it is open.
            Pass::Free if self.state.load(Ordering::Acquire) != 0 => {}
            Pass::Free => {
                let failures = self.failures.load(Ordering::Relaxed);
                if self.tally.failure(now, self.window.load(Ordering::Relaxed)).opens(failures) {
                    self.trip(0, now);
                }
            }
            Pass::Probe => {
                let probing = self.state.load(Ordering::Acquire);
                debug_assert_eq!(probing & 1, 1, "a probe was reported that nobody sent");
                self.trip(probing, now);
            }
        }
    }

    /// Nothing was learned: the request was not sent, or ended for a reason of its own.
    pub fn cancel(&self, pass: Pass) {
        if pass == Pass::Probe {
            self.state.fetch_and(!1, Ordering::AcqRel);
        }
    }

    /// The provider asked to be left alone for `wait`, of which [`REST_MAX`] is granted.
    pub fn rest(&self, wait: Duration, now: Nanos) {
        self.rest.fetch_max(now.after(wait.min(REST_MAX)).0, Ordering::Relaxed);
    }

    /// Opens, if the state is still `from`.
    fn trip(&self, from: u64, now: Nanos) {
        let well = now.since(Nanos(self.closed.load(Ordering::Relaxed)));
        let before = self.trips.load(Ordering::Relaxed);
        let open_max = self.open_max.load(Ordering::Relaxed);
        let trips = if from == 0 && nanos(well) > open_max { 0 } else { before };
        let open = self.open.load(Ordering::Relaxed);
        let length = open.saturating_mul(1 << trips.min(DOUBLINGS_MAX)).min(open_max);
        let state = now.0.saturating_add(length).min(u64::MAX >> 1) << 1;
        let opened =
            self.state.compare_exchange(from, state.max(2), Ordering::AcqRel, Ordering::Relaxed);
        if opened.is_ok() {
            self.trips.store(trips + 1, Ordering::Relaxed);
            self.tally.clear();
        }
    }

    fn first_open(&self) -> Duration {
        Duration::from_nanos(self.open.load(Ordering::Relaxed).max(1))
    }
}

fn until(state: u64) -> Nanos {
    Nanos(state >> 1)
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
