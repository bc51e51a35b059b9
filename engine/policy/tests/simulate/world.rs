//! The world around the exchanges: a clock, providers with moods, clients, and the books that everything is checked by.

use std::{collections::BTreeMap, fmt::Write, rc::Rc, sync::Arc, time::Duration};

use faregate_policy::{
    CorePolicy, LimitKind, Nanos, Policy,
    exchange::Outcome,
    fault::Fault,
    health::Health,
    key,
    retry::{BUDGET_RESERVE, RETRY_AFTER_MAX},
};

pub(crate) const CORES: usize = 3;
pub(crate) const KEYS: [&[u8]; 2] = [b"sk-search", b"sk-ads"];
pub(crate) const MS: u64 = 1_000_000;

const POLICY: &str = r#"
[server]
listen = "127.0.0.1:0"
[providers.a]
base_url = "http://127.0.0.1:1"
[providers.b]
base_url = "http://127.0.0.1:2"
[providers.c]
base_url = "http://127.0.0.1:3"
[models.ordered]
targets = ["a/x", "b/x", "c/x"]
[models.split]
strategy = "weighted"
targets = [{ target = "b/x", weight = 3 }, { target = "c/x", weight = 1 }]
[models.quick]
strategy = "latency"
targets = ["a/x", "b/x"]
[models.calm]
strategy = "load"
targets = ["b/x", "c/x", "a/x"]
[models.auto]
route = [{ when = "not healthy('a/x')", use = "calm" }, { use = "quick" }]
[models.single]
targets = ["a/x"]
[organisation]
limits = [LIMITS_ALL]
[teams.search]
limits = [LIMITS_TEAM]
[teams.ads]
limits = [LIMITS_TEAM]
"#;

/// What goes wrong at one effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
}

/// A way in which an effect can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ClientGone,
    Panic,
    Refused,
    Reset,
    Timeout,
    Status(u16),
    Busy(u64),
    Cut,
    NoUsage,
}

impl Kind {
    pub(crate) const ALL: [Self; 13] = [
        Self::ClientGone,
        Self::Panic,
        Self::Refused,
        Self::Reset,
        Self::Timeout,
        Self::Status(500),
        Self::Status(503),
        Self::Status(401),
        Self::Status(400),
        Self::Busy(0),
        Self::Busy(2),
        Self::Busy(3600),
        Self::NoUsage,
    ];

    /// What an attempt that fails so is reported as.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        Some(match self {
            Self::Refused => Outcome::Failed(Fault::ConnectFailed),
            Self::Reset => Outcome::Failed(Fault::UpstreamReset),
            Self::Timeout => Outcome::Failed(Fault::FirstByteTimeout),
            Self::Status(status) => Outcome::Answered { status, retry_after: None },
            Self::Busy(0) => Outcome::Answered { status: 429, retry_after: None },
            Self::Busy(secs) => {
                Outcome::Answered { status: 429, retry_after: Some(Duration::from_secs(secs)) }
            }
            Self::ClientGone | Self::Panic | Self::Cut | Self::NoUsage => return None,
        })
    }
}

/// What one team has out, and has had.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Slots out.
    pub(crate) slots: u64,
    /// Tokens reserved.
    pub(crate) reserved: u64,
    /// When requests were admitted.
    pub(crate) admitted: Vec<u64>,
    /// Tokens charged, less what they were charged beyond their reservation.
    pub(crate) charged: u64,
}

/// Everything but the exchanges.
pub(crate) struct World {
    pub(crate) policy: Rc<CorePolicy>,
    pub(crate) now: u64,
    pub(crate) next_arrival: u64,
    /// Nanoseconds between arrivals, on average.
    pub(crate) arrivals: u64,
    pub(crate) books: [Book; 2],
    /// How requests ended.
    pub(crate) ends: BTreeMap<&'static str, u64>,
    pub(crate) effects: u64,
    pub(crate) struck: bool,
    pub(crate) always_failing: Option<usize>,
    pub(crate) models: &'static [&'static str],
    pub(crate) begun: u64,
    pub(crate) retries: u64,
    /// The moment each target asked to be left alone until.
    told: BTreeMap<usize, u64>,
    stormy: bool,
    strike: Option<Effect>,
    random: u64,
}

impl World {
    /// Everything goes wrong at times.
    pub(crate) fn stormy(seed: u64) -> Self {
        let limits = r#""90 requests/s", "40k tokens/s", "24 concurrent""#;
        let team = r#""60 requests/s", "30k tokens/s", "16 concurrent""#;
        Self { stormy: true, ..Self::new(seed, limits, team, 8 * MS) }
    }

    /// Nothing goes wrong but one effect.
    pub(crate) fn calm(seed: u64, strike: Option<Effect>) -> Self {
        let limits = r#""9M requests/min", "900M tokens/min", "5000 concurrent""#;
        Self { strike, ..Self::new(seed, limits, limits, 50 * MS) }
    }

    fn new(seed: u64, all: &str, team: &str, arrivals: u64) -> Self {
        let mut text = POLICY.replace("LIMITS_ALL", all).replace("LIMITS_TEAM", team);
        for (key, team) in KEYS.iter().zip(["search", "ads"]) {
            let _ =
                write!(text, "[[keys]]\nname = \"{team}-1\"\nteam = \"{team}\"\nhash = \"sha256:");
            key::hash(key).0.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
            text.push_str("\"\n");
        }
        let policy = Policy::compile(&text, "simulate.toml", CORES, None);
        let policy = policy.unwrap_or_else(|problems| panic!("{problems}"));
        Self {
            policy: CorePolicy::new(Arc::new(policy)),
            now: 0,
            next_arrival: 0,
            arrivals,
            books: Default::default(),
            ends: BTreeMap::new(),
            effects: 0,
            struck: false,
            always_failing: None,
            models: &["ordered", "ordered", "split", "single", "auto", "calm", "a/other"],
            begun: 0,
            retries: 0,
            told: BTreeMap::new(),
            stormy: false,
            strike: None,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random() % bound.max(1)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// Bursts and pauses.
    pub(crate) fn arrival_gap(&mut self) -> u64 {
        match self.below(40) {
            0 if self.stormy => self.arrivals * 60,
            1..=8 => 0,
            _ => self.below(self.arrivals * 2),
        }
    }

    /// What goes wrong at the next effect, if it concerns `target`.
    pub(crate) fn effect(&mut self, target: Option<usize>) -> Option<Kind> {
        let number = self.effects;
        self.effects += 1;
        if let Some(strike) = self.strike.filter(|strike| strike.number == number) {
            self.struck = true;
            return Some(strike.kind);
        }
        if let Some(target) = target {
            if self.always_failing == Some(self.policy.targets[target].provider) {
                return Some(Kind::Status(503));
            }
            if self.stormy {
                return self.mood(target);
            }
        }
        match self.below(400) {
            0..4 if self.stormy => Some(Kind::ClientGone),
            4..8 if self.stormy => Some(Kind::Panic),
            8..12 if self.stormy => Some(Kind::Cut),
            12..20 if self.stormy => Some(Kind::NoUsage),
            _ => None,
        }
    }

    /// Each provider is well, failing or busy for a second or two at a time.
    fn mood(&mut self, target: usize) -> Option<Kind> {
        let provider = self.policy.targets[target].provider as u64;
        let spell =
            (self.now / (1500 * MS)).wrapping_mul(2_654_435_761).wrapping_add(provider * 97);
        let rare = self.below(60);
        match (spell >> 3) % 7 {
            0 => Some(Kind::Refused),
            1 => Some(if rare < 30 { Kind::Reset } else { Kind::Timeout }),
            2 if rare < 30 => Some(Kind::Busy(rare % 4)),
            3 if rare < 20 => Some(Kind::Status(503)),
            _ => match rare {
                0 => Some(Kind::ClientGone),
                1 => Some(Kind::Panic),
                2 => Some(Kind::Status(400)),
                3 => Some(Kind::Status(401)),
                4 => Some(Kind::Busy(3600)),
                _ => None,
            },
        }
    }

    pub(crate) fn end(&mut self, name: &'static str) {
        *self.ends.entry(name).or_default() += 1;
    }

    /// Notes a request to be left alone, of which a minute counts.
    pub(crate) fn tell(&mut self, target: usize, outcome: Outcome) {
        if let Outcome::Answered { retry_after: Some(wait), .. } = outcome {
            let nanos = u64::try_from(wait.min(RETRY_AFTER_MAX).as_nanos()).unwrap_or(u64::MAX);
            let until = self.told.entry(target).or_default();
            *until = (*until).max(self.now + nanos);
        }
    }

    pub(crate) fn check_send(&self, target: usize) {
        let until = self.told.get(&target).copied().unwrap_or_default();
        assert!(self.now >= until, "target {target} was asked at {}, it said {until}", self.now);
    }

    fn amount(&self, scope: &str, kind: LimitKind) -> (u64, u64) {
        let scope = self.policy.scopes.iter().find(|found| found.name.starts_with(scope));
        let limit = scope.and_then(|scope| scope.limits.iter().find(|limit| limit.kind == kind));
        let limit = limit.unwrap_or_else(|| panic!("no limit of {kind}"));
        (limit.amount, u64::try_from(limit.period.as_nanos()).unwrap_or(u64::MAX))
    }

    /// No limit is exceeded now.
    pub(crate) fn check(&self) {
        let team = |kind| self.amount("team/search", kind).0;
        for book in &self.books {
            assert!(book.slots <= team(LimitKind::Concurrent), "{} slots", book.slots);
            assert!(book.reserved <= team(LimitKind::Tokens), "{} reserved", book.reserved);
        }
        let all = |of: fn(&Book) -> u64| self.books.iter().map(of).sum::<u64>();
        let whole = |kind| self.amount("org", kind).0;
        assert!(all(|book| book.slots) <= whole(LimitKind::Concurrent));
        assert!(all(|book| book.reserved) <= whole(LimitKind::Tokens));
    }

    /// No limit was exceeded over any interval, and everything is back.
    pub(crate) fn check_end(&self) {
        let mut both = Vec::new();
        for book in &self.books {
            assert_eq!((book.slots, book.reserved), (0, 0), "something is still out");
            check_rate(&book.admitted, self.amount("team/search", LimitKind::Requests));
            both.extend(&book.admitted);
            let (amount, period) = self.amount("team/search", LimitKind::Tokens);
            let bound = u128::from(amount) * (u128::from(period) + u128::from(self.now))
                / u128::from(period);
            assert!(u128::from(book.charged) <= bound, "{} tokens of {bound}", book.charged);
        }
        both.sort_unstable();
        check_rate(&both, self.amount("org", LimitKind::Requests));
        assert!(self.retries <= self.begun / 10 + BUDGET_RESERVE, "{} retries", self.retries);
        let much_later = Nanos(self.now + 1_000_000 * 1000 * MS);
        for limit in self.policy.scopes.iter().flat_map(|scope| &scope.limits) {
            let all = limit.pool.take(0, limit.amount, much_later);
            assert!(all.is_ok(), "{}: {all:?}", limit.text);
        }
        for target in &self.policy.targets {
            let health = target.breaker.health(much_later);
            assert_ne!(health, Health::Probing, "the probe of {} was lost", target.name);
            assert_eq!(target.gauge.under_way(), 0, "{} is busy with nothing", target.name);
        }
    }
}

/// The bound over every interval at once: what is not yet refilled never exceeds the amount.
fn check_rate(times: &[u64], (amount, period): (u64, u64)) {
    let (amount, period) = (u128::from(amount), u128::from(period));
    let (mut owed, mut before) = (0_u128, 0);
    for now in times {
        assert!(before <= *now, "time went back");
        owed = owed.saturating_sub(u128::from(now - before) * amount) + period;
        before = *now;
        assert!(owed <= amount * period, "more than {amount} in {period} ns, at {now}");
    }
}
