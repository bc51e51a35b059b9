//! The script in the server does what the rules say: the same messages to both, and the same answers.

use faregate_ledger::{
    journal::Window,
    lease::{
        Answer, Book, Join, Joined, Key, LeaseStore, Line, NodeId, State, Tell, Told,
        redis::{Address, RedisStore},
    },
};
use faregate_price::NanoUsd;
use faregate_tests::{random::Random, redis::Redis, wait};
use std::time::Duration;

const NODES: usize = 3;

/// When the plain store lives: long after it began.
const NOW: u64 = 1_000_000;

/// A node, as each of the stores knows it.
struct Twin {
    id: NodeId,
    real: Joined,
    plain: Joined,
    seq: u64,
}

struct Both {
    real: RedisStore,
    plain: Book,
    twins: Vec<Twin>,
}

fn key(name: usize) -> Key {
    Key { scope: format!("team/{name} \"x\":y").into(), window: Window::ALL }
}

impl Both {
    fn new(redis: &Redis) -> Self {
        let address = Address::parse(&redis.url()).unwrap();
        let mut both = Self {
            real: RedisStore::new(address, "twin", 0),
            plain: Book::default(),
            twins: Vec::new(),
        };
        for n in 1..=NODES as u64 {
            let join = Join { node: NodeId(n), name: format!("node-{n}") };
            let real = both.real.join(&join).unwrap();
            let plain = both.plain.join(&join, 7, 1);
            both.twins.push(Twin { id: NodeId(n), real, plain, seq: 0 });
        }
        both
    }

    /// Joins once more.
    fn rejoin(&mut self, at: usize) {
        let twin = &mut self.twins[at];
        let join = Join { node: twin.id, name: String::new() };
        twin.real = self.real.join(&join).unwrap();
        twin.plain = self.plain.join(&join, 7, NOW);
        twin.seq = 0;
    }

    #[track_caller]
    fn tell(&mut self, at: usize, seq: u64, lines: &[Line], is_late: bool) -> Vec<State> {
        let twin = &self.twins[at];
        // The script counts in thousands of nano-dollars, so the plain one is given those as if they were its own.
        let plain_lines: Vec<Line> = lines.iter().map(in_thousands).collect();
        let of = |joined: Joined, lines: &[Line]| Tell {
            node: twin.id,
            epoch: joined.epoch - u64::from(is_late),
            seq,
            generation: joined.generation,
            is_all_declared: true,
            lines: lines.to_vec(),
        };
        let real = self.real.tell(&of(twin.real, lines)).unwrap();
        let plain = self.plain.tell(&of(twin.plain, &plain_lines), 7, NOW);
        let strip = |answer: Answer| match answer {
            Answer::Fenced => None,
            Answer::Told(Told { mut wanted, states, is_frozen, .. }) => {
                wanted.sort_unstable();
                Some((is_frozen, wanted, states))
            }
        };
        let (real, mut plain) = (strip(real), strip(plain));
        for state in plain.iter_mut().flat_map(|(_, _, states)| states) {
            let amounts = [&mut state.total, &mut state.leased, &mut state.others_spent];
            amounts.into_iter().for_each(|amount| amount.0 *= 1000);
        }
        assert_eq!(real, plain, "{lines:?}");
        assert_eq!(real.is_none(), is_late);
        real.map_or_else(Vec::new, |(_, _, states)| states)
    }
}

#[test]
fn the_script_does_what_the_rules_say() {
    let Some(redis) = Redis::start(&[]) else { return };
    let mut random = Random::new();
    let mut both = Both::new(&redis);
    // The server has nothing, and waits for whoever may hold something.
    wait::pass(Duration::from_millis(1100));
    let mut leased = 0;
    for _ in 0..800 {
        let at = random.below(NODES);
        if random.once_in(40) {
            both.rejoin(at);
        }
        let lines: Vec<Line> = (0..2).map(|name| line(&mut random, key(name))).collect();
        let lines = &lines[random.below(2)..];
        both.twins[at].seq += 1;
        let seq = both.twins[at].seq - u64::from(random.once_in(5));
        let states = both.tell(at, seq, lines, random.once_in(20));
        leased += states.iter().filter(|state| state.leased.0 > 0).count();
    }
    assert!(leased > 300, "{leased}");
    let all = both.real.look(&key(0)).unwrap();
    assert_eq!(
        all.shares.iter().map(|share| share.leased.0).sum::<u64>(),
        both.plain.leased(&key(0)).0 * 1000
    );
    assert_eq!(all.shares.len(), NODES);
    // An operator says that a node is gone.
    let unknown = NanoUsd(3000);
    assert_eq!(
        both.real.settle_for(NodeId(1), unknown).unwrap(),
        both.plain.settle_for(NodeId(1), NanoUsd(3))
    );
    let (real, plain) = (both.real.look(&key(0)).unwrap(), both.plain.leased(&key(0)).0 * 1000);
    assert_eq!(real.shares.iter().map(|share| share.leased.0).sum::<u64>(), plain);
}

fn in_thousands(line: &Line) -> Line {
    let less = |amount: NanoUsd| NanoUsd(amount.0 / 1000);
    let Line { limit, held, need, want, spent, .. } = *line;
    Line {
        limit: less(limit),
        held: less(held),
        need: less(need),
        want: less(want),
        spent: less(spent),
        ..line.clone()
    }
}

fn line(random: &mut Random, key: Key) -> Line {
    let mut amount = || NanoUsd(random.below(30) as u64 * 1000);
    let (held, need, want, spent) = (amount(), amount(), amount(), amount());
    let need = if need.0 > 20_000 { need } else { NanoUsd(0) };
    Line {
        key,
        limit: NanoUsd(60_000),
        held: NanoUsd(held.0 / 2000 * 1000),
        need,
        want: want.max(need).max(held),
        spent,
        answers: random.below(4) as u64,
        refused_in: if random.once_in(2) { u64::MAX } else { random.below(4) as u64 },
    }
}
