//! Sessions, and the replicas that serve them.
//!
//! Four kinds of sessions: chats with one of 24 system prompts (55 %), loops of agents with long heads (20 %), questions about
//! one of 60 documents (10 %), single questions (15 %). A session sends its next request some time after its answer. A replica
//! reads prompts one after the other, 9,000 tokens a second of what it has not cached, and keeps 400,000 tokens, those used
//! last. The numbers are those of a model of some 30 billion parameters on one card, roughly.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
};

use faregate_policy::Nanos;

use super::{
    choice::{Asked, Chooser, Chosen, Way},
    random::{Random, mix},
};

/// Replicas of the fleet.
pub(super) const REPLICAS: usize = 8;

/// Tokens of a block.
const BLOCK_TOKENS: u64 = 64;
/// Tokens that a replica reads in a second.
const READ_RATE: f64 = 9000.0;
/// Seconds for a token that it writes when it is alone.
const TOKEN_SECONDS: f64 = 0.012;
/// Blocks that it keeps.
const KEPT_BLOCKS: usize = 400_000 / 64;
/// Seconds of a run.
const END: f64 = 900.0;
/// Seconds that do not count.
const WARM_UP: f64 = 150.0;

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Cached tokens, as a share of what a cache without limit would have given.
    pub(super) hits: f64,
    /// Tokens read by the busiest replica, by the mean.
    pub(super) imbalance: f64,
    /// Milliseconds to the first token.
    pub(super) ttft_p50_ms: f64,
    /// The same, of one in a hundred.
    pub(super) ttft_p99_ms: f64,
    /// Sessions that came to their end.
    pub(super) finished: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Chat,
    Agent,
    Document,
    Single,
}

struct Session {
    kind: Kind,
    blocks: Vec<u64>,
    last: u64,
    tokens: u64,
    left: u64,
    name: u64,
    random: Random,
}

/// What happens next: when, in nanoseconds, what, to whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Asks(usize),
    IsRead(usize),
    IsAnswered(usize),
}

struct Request {
    session: usize,
    chosen: Chosen,
    cached: usize,
}

/// One run.
pub(super) struct World {
    random: Random,
    rate: f64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    sessions: Vec<Session>,
    requests: Vec<Request>,
    caches: Vec<Cache>,
    free: [f64; REPLICAS],
    in_flight: [u64; REPLICAS],
    seen: HashSet<u64>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    ttft: Vec<f64>,
    read: [f64; REPLICAS],
    cached: usize,
    possible: usize,
    finished: u32,
}

impl World {
    /// A run that is the same for the same seed and rate, whatever is chosen, as far as sessions go.
    pub(super) fn new(seed: u64, rate: f64) -> Self {
        Self {
            random: Random::new(seed),
            rate,
            events: BinaryHeap::from([Reverse((0, Event::Arrives))]),
            sessions: Vec::new(),
            requests: Vec::new(),
            caches: (0..REPLICAS).map(|_| Cache::default()).collect(),
            free: [0.0; REPLICAS],
            in_flight: [0; REPLICAS],
            seen: HashSet::new(),
            tally: Tally::default(),
        }
    }

    /// Runs to the end.
    pub(super) fn run(mut self, way: Way) -> Outcome {
        let mut chooser = Chooser::new(way);
        while let Some(Reverse((nanos, event))) = self.events.pop() {
            let now = nanos as f64 / 1e9;
            if now > END {
                break;
            }
            match event {
                Event::Arrives => self.arrive(now),
                Event::Asks(session) => self.ask(session, now, &mut chooser),
                Event::IsRead(request) => self.is_read(request, now, &chooser),
                Event::IsAnswered(request) => self.is_answered(request, now, &chooser),
            }
        }
        self.tally.outcome()
    }

    fn after(&mut self, now: f64, seconds: f64, event: Event) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some minutes in nanoseconds"
        )]
        let at = ((now + seconds) * 1e9) as u64;
        self.events.push(Reverse((at, event)));
    }

    fn arrive(&mut self, now: f64) {
        let session = Session::new(&mut self.random);
        self.sessions.push(session);
        let pause = self.random.exponential(1.0 / self.rate);
        self.after(now, 0.0, Event::Asks(self.sessions.len() - 1));
        self.after(now, pause, Event::Arrives);
    }

    fn ask(&mut self, index: usize, now: f64, chooser: &mut Chooser) {
        let session = &mut self.sessions[index];
        session.ask();
        let blocks = &session.blocks;
        let known = |cache: &Cache| blocks.iter().take_while(|block| cache.knows(**block)).count();
        let cached: [usize; REPLICAS] = std::array::from_fn(|at| known(&self.caches[at]));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some minutes in nanoseconds"
        )]
        let nanos = Nanos((now * 1e9) as u64);
        let in_flight = self.in_flight;
        let asked = Asked { session: session.name, blocks, cached, in_flight, now: nanos };
        let chosen = chooser.choose(&asked);
        let (at, cached) = (chosen.replica, cached[chosen.replica]);
        self.caches[at].touch(blocks);
        let unread = session.tokens - (cached as u64 * BLOCK_TOKENS).min(session.tokens);
        let possible = blocks.iter().take_while(|block| self.seen.contains(block)).count();
        self.seen.extend(blocks.iter().copied());
        let reading = unread as f64 / READ_RATE;
        self.free[at] = self.free[at].max(now) + reading + 0.004;
        if now > WARM_UP {
            self.tally.ttft.push(self.free[at] - now);
            self.tally.read[at] += reading;
            self.tally.cached += cached;
            self.tally.possible += possible;
        }
        self.in_flight[at] += 1;
        let wait = self.free[at] - now;
        self.requests.push(Request { session: index, chosen, cached });
        self.after(now, wait, Event::IsRead(self.requests.len() - 1));
    }

    fn is_read(&mut self, index: usize, now: f64, chooser: &Chooser) {
        let Request { session, chosen, .. } = &self.requests[index];
        chooser.read(chosen);
        let tokens = self.sessions[*session].answer();
        let crowd = 1.0 + self.in_flight[chosen.replica] as f64 / 24.0;
        self.after(now, tokens as f64 * TOKEN_SECONDS * crowd, Event::IsAnswered(index));
    }

    fn is_answered(&mut self, index: usize, now: f64, chooser: &Chooser) {
        let Request { session, chosen, cached } = &self.requests[index];
        chooser.end(chosen, *cached);
        self.in_flight[chosen.replica] -= 1;
        let session = *session;
        match self.sessions[session].pause() {
            Some(pause) => self.after(now, pause, Event::Asks(session)),
            None => self.tally.finished += 1,
        }
    }
}

impl Tally {
    fn outcome(mut self) -> Outcome {
        self.ttft.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = (self.ttft.len().saturating_sub(1)) * percent / 100;
            self.ttft.get(index).copied().unwrap_or(0.0) * 1000.0
        };
        let mean = self.read.iter().sum::<f64>() / REPLICAS as f64;
        let most = self.read.iter().copied().fold(0.0, f64::max);
        Outcome {
            hits: self.cached as f64 / self.possible.max(1) as f64,
            imbalance: most / mean.max(f64::MIN_POSITIVE),
            ttft_p50_ms: at(50),
            ttft_p99_ms: at(99),
            finished: f64::from(self.finished),
        }
    }
}

impl Session {
    fn new(random: &mut Random) -> Self {
        let (name, seed) = (random.next(), random.next());
        let (blocks, own) = (Vec::new(), Random::new(seed));
        let mut session =
            Self { kind: Kind::Single, blocks, last: 7, tokens: 0, left: 1, name, random: own };
        let kind = session.random.unit();
        if kind < 0.55 {
            let head = session.random.zipf(24);
            session.begin(Kind::Chat, head, 400 + 120 * head, [2, 9]);
        } else if kind < 0.75 {
            let head = session.random.zipf(6);
            session.begin(Kind::Agent, 1000 + head, 6000 + 500 * head, [8, 30]);
        } else if kind < 0.85 {
            let head = session.random.within(0, 59);
            session.begin(Kind::Document, 5000 + head, 8000 + 400 * head, [2, 6]);
        } else {
            let tokens = session.random.within(200, 6000);
            session.grow(tokens);
        }
        session
    }

    /// Begins with what others begin with, too.
    fn begin(&mut self, kind: Kind, head: u64, tokens: u64, [least, most]: [u64; 2]) {
        self.kind = kind;
        self.tokens = tokens;
        for block in 0..tokens / BLOCK_TOKENS {
            self.last = mix(self.last, mix(head, block));
            self.blocks.push(self.last);
        }
        self.left = self.random.within(least, most);
    }

    fn grow(&mut self, tokens: u64) {
        self.tokens += tokens;
        while (self.blocks.len() as u64 + 1) * BLOCK_TOKENS <= self.tokens {
            self.last = mix(self.last, self.random.next());
            self.blocks.push(self.last);
        }
    }

    fn ask(&mut self) {
        let tokens = match self.kind {
            Kind::Chat => self.random.within(20, 300),
            Kind::Agent => self.random.within(150, 1500),
            Kind::Document => self.random.within(20, 80),
            Kind::Single => 0,
        };
        self.grow(tokens);
    }

    fn answer(&mut self) -> u64 {
        let tokens = match self.kind {
            Kind::Chat => self.random.within(60, 500),
            Kind::Agent => self.random.within(40, 250),
            Kind::Document => self.random.within(50, 300),
            Kind::Single => self.random.within(20, 300),
        };
        self.grow(tokens);
        tokens
    }

    /// Seconds to its next request, if there is one.
    fn pause(&mut self) -> Option<f64> {
        self.left -= 1;
        let pause = match self.kind {
            Kind::Chat => self.random.exponential(18.0),
            Kind::Agent => 0.3 + self.random.exponential(1.5),
            Kind::Document | Kind::Single => self.random.exponential(25.0),
        };
        (self.left > 0).then_some(pause)
    }
}

/// Blocks that a replica keeps, in order of last use.
#[derive(Default)]
struct Cache {
    used: HashMap<u64, u64>,
    order: VecDeque<(u64, u64)>,
    tick: u64,
}

impl Cache {
    fn knows(&self, block: u64) -> bool {
        self.used.contains_key(&block)
    }

    /// Uses a prompt, its end first: so a beginning outlives what follows it.
    fn touch(&mut self, blocks: &[u64]) {
        for block in blocks.iter().rev() {
            self.tick += 1;
            self.used.insert(*block, self.tick);
            self.order.push_back((*block, self.tick));
        }
        while self.used.len() > KEPT_BLOCKS {
            let Some((block, tick)) = self.order.pop_front() else { return };
            if self.used.get(&block) == Some(&tick) {
                self.used.remove(&block);
            }
        }
        if self.order.len() > 8 * KEPT_BLOCKS {
            let used = &self.used;
            self.order.retain(|(block, tick)| used.get(block) == Some(tick));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choosing_by_prompts_reads_less_than_by_sessions_and_in_balance() {
        let run = |way| World::new(11, 1.5).run(way);
        let (ours, session, robin) = (run(Way::Faregate), run(Way::Session), run(Way::RoundRobin));
        assert!(ours.hits > 0.97 && ours.hits > session.hits, "{ours:?} {session:?}");
        assert!(ours.hits > robin.hits + 0.3, "{ours:?} {robin:?}");
        assert!(ours.imbalance < 2.0, "{ours:?}");
        assert!(ours.ttft_p99_ms < session.ttft_p99_ms, "{ours:?} {session:?}");
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        let run = |seed| format!("{:?}", World::new(seed, 0.3).run(Way::Faregate));
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
