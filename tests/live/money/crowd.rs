//! A crowd of clients against budgets that are too small for it: some ask whole, some by streams, some leave at any byte.
//!
//! `FAREGATE_ROUNDS` says how many rounds; each is a gateway of its own with 1, 2 or 4 cores in turn.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{Gateway, Launch, Provider, Wire, key, provider, random::Random, wait};
use loadtest::provider::Script;
use serde_json::{Value, json};

use super::{billed, dollars, logged, nanos, sim, spend};

/// The provider takes its time between two tokens, so that whoever leaves saves some.
const SCRIPT: &str = "tokens=40; chunk=2ms";

/// The keys, each with a team.
const KEYS: [(&str, &str); 4] = [("one", "a"), ("two", "a"), ("three", "b"), ("four", "b")];

/// How the budgets of a round are cut.
#[derive(Clone, Copy, Debug)]
struct Limits {
    organisation: u64,
    team: u64,
    key: u64,
}

impl Limits {
    fn policy(self, provider: &Provider) -> String {
        let Self { organisation, team, key } = self;
        let limit = |nanos| format!("limits = [\"{}/day\"]\n", dollars(nanos));
        let mut policy = format!("{}[organisation]\n{}", sim(provider), limit(organisation));
        for name in ["a", "b"] {
            policy.push_str(&format!("[teams.{name}]\n{}", limit(team)));
        }
        for (name, of) in KEYS {
            policy.push_str(&key::row(name, &format!("team = \"{of}\"\n{}", limit(key))));
        }
        policy
    }

    /// The most that all the keys together can spend.
    fn most(self) -> u64 {
        self.organisation.min(2 * self.team.min(2 * self.key))
    }
}

/// What became of a crowd.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    refused: AtomicU64,
    left: AtomicU64,
}

fn body(random: &mut Random, stream: bool, open: bool) -> Value {
    let mut body = json!({"model": "m", "stream": stream,
        "messages": [{"role": "user", "content": format!("number {}", random.number())}]});
    if !open {
        body["max_tokens"] = (1 + random.below(60)).into();
    }
    body
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Waits for the end of every answer.
    Patient,
    /// Leaves one in four at any byte.
    Hasty,
}

fn client(gateway: &Gateway, name: &str, asks: usize, manners: Manners, tally: &Tally) {
    let mut random = Random::new();
    let mut refusals = 0;
    for _ in 0..asks {
        let stream = random.once_in(2);
        let open = random.once_in(4);
        let request = gateway.client(&key::named(name)).request(
            "POST",
            "/v1/chat/completions",
            Some(body(&mut random, stream, open).to_string().as_bytes()),
        );
        let mut wire = gateway.connect();
        wire.send(&request);
        if manners == Manners::Hasty && random.once_in(4) {
            leave(wire, &mut random);
            tally.left.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let answer = wire.answer();
        match answer.status {
            200 => tally.answered.fetch_add(1, Ordering::Relaxed),
            429 => {
                assert_eq!(answer.code(), "budget_exceeded", "{answer:?}");
                refusals += 1;
                tally.refused.fetch_add(1, Ordering::Relaxed)
            }
            _ => panic!("{answer:?}"),
        };
        if refusals == 3 {
            return;
        }
    }
}

/// Reads some of an answer and goes, by FIN or by RST.
fn leave(mut wire: Wire, random: &mut Random) {
    let bytes = random.below(6000);
    let ends = std::time::Instant::now() + Duration::from_millis(random.below(60) as u64);
    while wire.arrived() < bytes && std::time::Instant::now() < ends {
        thread::yield_now();
    }
    if random.once_in(2) {
        wire.reset();
    }
}

fn crowd(gateway: &Gateway, clients: usize, asks: usize, manners: Manners) -> Tally {
    let tally = Tally::default();
    thread::scope(|scope| {
        for number in 0..clients {
            let (name, tally) = (KEYS[number % KEYS.len()].0, &tally);
            scope.spawn(move || client(gateway, name, asks, manners, tally));
        }
    });
    tally
}

/// Waits until nothing is under way anywhere.
fn rest(gateway: &Gateway, provider: &Provider) {
    wait::until_true("all is quiet", || {
        provider.counters().in_flight() == 0
            && gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
    });
}

/// What a key's narrowest full budget says when it refuses what can never fit.
fn told(gateway: &Gateway, name: &str) -> Value {
    let body = json!({"model": "m", "max_tokens": 100_000_000,
        "messages": [{"role": "user", "content": "hi"}]});
    let refused = gateway.client(&key::named(name)).post("/v1/chat/completions", &body);
    assert_eq!(refused.status, 429, "{refused:?}");
    refused.json()["error"].clone()
}

/// Uses up what is left, one request at a time, each as great as the refusal before it says that it may be.
/// The last refusals, for what a test says when it fails.
fn use_up(gateway: &Gateway) -> Vec<Value> {
    let mut last = Vec::new();
    for (name, _) in KEYS {
        let mut client = gateway.client(&key::named(name));
        let mut max = 100_000_000;
        for turn in 0.. {
            let body = json!({"model": "m", "max_tokens": max,
                "messages": [{"role": "user", "content": "hi"}]});
            let answer = client.post("/v1/chat/completions", &body);
            if answer.status == 200 {
                max = 100_000_000;
                continue;
            }
            let error = answer.json()["error"].clone();
            assert_eq!((answer.status, &error["held"]), (429, &json!(0)), "{error}");
            // One that was refused as too great is told what fits, and that must pass.
            assert!(max == 100_000_000, "{name}, turn {turn}: {max} was said to fit: {error}");
            match error["max_tokens_that_fits"].as_u64() {
                Some(fits) => max = fits,
                None => {
                    last.push(error);
                    break;
                }
            }
        }
    }
    last
}

fn rounds(default: usize) -> usize {
    let rounds = std::env::var("FAREGATE_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

fn launch(policy: String, cores: usize) -> Gateway {
    Launch::new(policy).server(&format!("cores = {cores}")).start()
}

/// One round; what was billed and what was spent of the most that may be.
fn round(number: usize, clients: usize, manners: Manners) {
    let cores = [1, 2, 4][number % 3];
    let limits = match number % 4 {
        0 => Limits { organisation: 40_000_000, team: 90_000_000, key: 90_000_000 },
        1 => Limits { organisation: 190_000_000, team: 21_000_000, key: 90_000_000 },
        2 => Limits { organisation: 190_000_000, team: 90_000_000, key: 20_000_000 },
        _ => Limits { organisation: 41_000_000, team: 21_000_000, key: 20_000_000 },
    };
    let provider = provider();
    provider.set_script(&Script::parse(SCRIPT).unwrap());
    let mut gateway = launch(limits.policy(&provider), cores);
    let tally = crowd(&gateway, clients, 40, manners);
    rest(&gateway, &provider);
    let place = format!("round {number}, {cores} cores, {limits:?}, {tally:?}");
    let refused = tally.refused.load(Ordering::Relaxed);
    assert!(refused > 0, "{place}: there was more than enough");
    for (name, _) in KEYS {
        assert_eq!(told(&gateway, name)["held"], 0, "{place}: {name}");
    }
    provider.set_script(&Script::parse("tokens=1000000").unwrap());
    let last = use_up(&gateway);
    rest(&gateway, &provider);
    let (billed, most) = (billed(&provider), limits.most());
    assert!(billed <= most, "{place}: {billed} were billed of {most}");
    gateway.stop();
    let books = spend(gateway.folder.path());
    let spent = nanos(&books["total"]);
    assert!(spent <= most, "{place}: {spent} were spent of {most}");
    assert!(spent * 1000 >= most * 995, "{place}: only {spent} were spent of {most}: {last:?}");
    assert_eq!(spent, logged(&gateway), "{place}: the books and the access log");
    if manners == Manners::Patient {
        assert_eq!(spent, billed, "{place}: what is written down and what was billed");
    } else {
        assert!(billed <= spent, "{place}: {billed} were billed, {spent} are written down");
    }
    for (name, _) in KEYS {
        let groups = books["groups"].as_array().unwrap();
        let of: u64 = groups.iter().filter(|group| group["key"] == name).map(nanos).sum();
        assert!(of <= limits.key, "{place}: {name} spent {of}");
    }
}

#[test]
fn a_crowd_spends_all_of_its_budgets_and_no_more() {
    for number in 0..rounds(6) {
        round(number, 32 + 224 * usize::from(number % 3 == 1), Manners::Patient);
    }
}

#[test]
fn a_crowd_that_leaves_at_any_byte_spends_all_of_its_budgets_and_no_more() {
    for number in 0..rounds(6) {
        round(number, 32 + 224 * usize::from(number % 3 == 1), Manners::Hasty);
    }
}
