//! Pools against an obvious twin, at their edges, and under threads.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

fn pool(kind: LimitKind, amount: u64, cores: usize) -> Pool {
    Pool::new(kind, amount, MINUTE, cores)
}

fn take_all(pool: &Pool, core: usize, now: Nanos) -> u64 {
    (0..).take_while(|_| pool.take(core, 1, now).is_ok()).count() as u64
}

/// The obvious pool: a list of what is held and a list of what was used and when.
#[derive(Debug)]
struct Twin {
    amount: u128,
    period: u128,
    /// Refilled and not used or held, in units times period.
    owed: u128,
    held: u128,
    now: u64,
}

impl Twin {
    fn new(amount: u64, period: u64) -> Self {
        Self { amount: amount.into(), period: period.into(), owed: 0, held: 0, now: 0 }
    }

    fn see(&mut self, now: u64) {
        let refilled = u128::from(now.saturating_sub(self.now)) * self.amount;
        self.owed = self.owed.saturating_sub(refilled);
        self.now = self.now.max(now);
    }

    fn left(&self) -> u128 {
        self.left_owing(self.owed)
    }

    /// A nanosecond later.
    fn left_soon(&self) -> u128 {
        self.left_owing(self.owed.saturating_sub(self.amount))
    }

    fn left_owing(&self, owed: u128) -> u128 {
        self.amount.saturating_sub(owed.div_ceil(self.period)).saturating_sub(self.held)
    }

    fn take(&mut self, n: u64) {
        self.held += u128::from(n);
    }

    fn spend(&mut self, held: u64, used: u64) {
        self.held -= u128::from(held);
        self.owed += u128::from(used) * self.period;
    }
}

#[derive(Clone, Debug)]
enum Op {
    Take { core: usize, n: u64 },
    Spend { core: usize, which: usize, used: u64 },
    GiveBack { core: usize, which: usize },
    Pass(u64),
}

fn ops(cores: usize, amount: u64, period: u64) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0..cores, 1..=amount.div_ceil(3)).prop_map(|(core, n)| Op::Take { core, n }),
        3 => (0..cores, any::<usize>(), 0..=amount.div_ceil(2))
            .prop_map(|(core, which, used)| Op::Spend { core, which, used }),
        1 => (0..cores, any::<usize>()).prop_map(|(core, which)| Op::GiveBack { core, which }),
        2 => (0..=period / 8).prop_map(Op::Pass),
        1 => (0..=period * 2).prop_map(Op::Pass),
    ];
    proptest::collection::vec(op, 1..120)
}

fn case() -> impl Strategy<Value = (usize, u64, u64, Vec<Op>)> {
    let shape = (
        1..5_usize,
        prop_oneof![1..20_u64, 100..5000_u64],
        prop_oneof![Just(MINUTE), 7..1_000_003_u64],
    );
    shape.prop_flat_map(|(cores, amount, period)| {
        (Just(cores), Just(amount), Just(period), ops(cores, amount, period))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Never more than the twin allows; never less either, but for the share of the period over which uses are merged.
    #[test]
    fn a_pool_equals_its_naive_twin((cores, amount, period, ops) in case()) {
        let pool = Pool::new(LimitKind::Tokens, amount, period, cores);
        let mut twin = Twin::new(amount, period);
        let mut held: Vec<u64> = Vec::new();
        let mut now = 0;
        for op in ops {
            match op {
                Op::Pass(nanos) => {
                    now += nanos;
                    twin.see(now);
                }
                Op::Take { core, n } => match pool.take(core, n, Nanos(now)) {
                    Ok(()) => {
                        prop_assert!(u128::from(n) <= twin.left_soon(), "{n} of {}", twin.left());
                        twin.take(n);
                        held.push(n);
                    }
                    Err(empty) => {
                        let early = u128::from(amount / 1000 + 1) + 1;
                        prop_assert!(
                            u128::from(n) + early > twin.left() || u128::from(empty.available) >= u128::from(n),
                            "refused {n} of {} ({empty:?})", twin.left()
                        );
                        prop_assert!(u128::from(empty.available) <= twin.left_soon());
                        prop_assert_eq!(empty.never, n > amount);
                    }
                },
                Op::Spend { core, which, used } if !held.is_empty() => {
                    let had = held.swap_remove(which % held.len());
                    pool.spend(core, had, used, Nanos(now));
                    twin.spend(had, used);
                }
                Op::GiveBack { core, which } if !held.is_empty() => {
                    let had = held.swap_remove(which % held.len());
                    pool.give_back(core, had);
                    twin.spend(had, 0);
                }
                Op::Spend { .. } | Op::GiveBack { .. } => {}
            }
        }
        for had in held {
            pool.give_back(0, had);
        }
        now += period * 1000;
        prop_assert_eq!(take_all(&pool, cores - 1, Nanos(now)), amount, "units were lost or made");
    }

    /// The stated bound, over every interval between two takes.
    #[test]
    fn no_interval_sees_more_than_its_bound(
        amount in 1..60_u64,
        cores in 1..4_usize,
        period in prop_oneof![Just(MINUTE), 7..1_000_003_u64],
        steps in proptest::collection::vec((0..4_usize, 0..100_u64), 1..200),
    ) {
        let pool = Pool::new(LimitKind::Requests, amount, period, cores);
        let (mut now, mut taken) = (0, Vec::new());
        for (core, step) in steps {
            now += step * period / (amount * 40);
            if pool.take(core % cores, 1, Nanos(now)).is_ok() {
                pool.spend(core % cores, 1, 1, Nanos(now));
                taken.push(now);
            }
        }
        for (index, from) in taken.iter().enumerate() {
            for (count, to) in taken[index..].iter().enumerate() {
                let nanos = u128::from(to - from) + u128::from(period) + 1;
                let bound = u128::from(amount) * nanos / u128::from(period);
                prop_assert!((count as u128) < bound, "{} in {} ns", count + 1, to - from);
            }
        }
    }
}

#[test]
fn the_last_unit_can_be_had_from_any_core() {
    for amount in [1, 7, 600, 100_000] {
        let pool = pool(LimitKind::Requests, amount, 4);
        let mut taken = 0;
        while (0..4).any(|core| pool.take((core + taken) % 4, 1, Nanos(0)).is_ok()) {
            taken += 1;
        }
        assert_eq!(taken as u64, amount);
        assert_eq!(pool.left(Nanos(0)), 0);
    }
}

#[test]
fn a_refusal_says_when_there_is_more() {
    let pool = pool(LimitKind::Requests, 600, 2);
    assert!(pool.take(0, 600, Nanos(0)).is_ok());
    pool.spend(0, 600, 600, Nanos(0));
    let empty = pool.take(1, 120, Nanos(0)).unwrap_err();
    assert_eq!(empty, Empty { available: 0, ready_in: Duration::from_secs(12), never: false });
    let almost = Nanos(12 * SECOND - 1);
    assert_eq!(pool.take(1, 120, almost).unwrap_err().available, 119);
    assert!(pool.take(1, 120, Nanos(12 * SECOND)).is_ok());
}

#[test]
fn more_than_the_limit_is_never_ready() {
    let pool = pool(LimitKind::Tokens, 1000, 2);
    let empty = pool.take(0, 1001, Nanos(0)).unwrap_err();
    assert!(empty.never);
    assert_eq!(empty.available, 1000);
}

#[test]
fn an_earlier_moment_refills_nothing() {
    let pool = pool(LimitKind::Requests, 10, 1);
    assert_eq!(take_all(&pool, 0, Nanos(MINUTE)), 10);
    pool.spend(0, 10, 10, Nanos(MINUTE));
    for now in [0, MINUTE / 2, MINUTE, MINUTE + MINUTE / 10 - 1] {
        assert!(pool.take(0, 1, Nanos(now)).is_err(), "at {now}");
    }
    assert!(pool.take(0, 1, Nanos(MINUTE + MINUTE / 10)).is_ok());
}

#[test]
fn what_is_used_beyond_what_was_held_is_owed() {
    let pool = pool(LimitKind::Tokens, 100, 2);
    assert!(pool.take(0, 10, Nanos(0)).is_ok());
    pool.spend(0, 10, 250, Nanos(0));
    assert_eq!(pool.left(Nanos(0)), 0);
    let empty = pool.take(1, 1, Nanos(0)).unwrap_err();
    assert_eq!(empty.ready_in, Duration::from_nanos(MINUTE * 151 / 100));
    assert_eq!(pool.left(Nanos(MINUTE * 2)), 50);
}

#[test]
fn a_held_unit_takes_the_place_of_a_refill() {
    let pool = pool(LimitKind::Tokens, 100, 2);
    assert!(pool.take(0, 60, Nanos(0)).is_ok());
    assert_eq!(take_all(&pool, 1, Nanos(MINUTE * 10)), 40);
    pool.spend(0, 60, 20, Nanos(MINUTE * 10));
    assert_eq!(take_all(&pool, 1, Nanos(MINUTE * 10)), 40);
    assert_eq!(take_all(&pool, 1, Nanos(MINUTE * 11)), 20);
}

#[test]
fn concurrent_slots_come_back_by_release_alone() {
    let pool = pool(LimitKind::Concurrent, 8, 4);
    assert_eq!(take_all(&pool, 2, Nanos(0)), 8);
    let empty = pool.take(0, 1, Nanos(u64::MAX)).unwrap_err();
    assert_eq!((empty.available, empty.ready_in), (0, Duration::from_secs(1)));
    pool.release(3, 1);
    assert!(pool.take(0, 1, Nanos(0)).is_ok());
}

#[test]
fn a_resized_pool_keeps_what_is_in_use() {
    let slots = pool(LimitKind::Concurrent, 8, 2);
    assert!((0..6).all(|_| slots.take(0, 1, Nanos(0)).is_ok()));
    assert!(slots.resize(4, 0));
    assert!(slots.take(1, 1, Nanos(0)).is_err());
    (0..3).for_each(|_| slots.release(0, 1));
    assert!(slots.take(1, 1, Nanos(0)).is_ok());
    assert!(slots.take(1, 1, Nanos(0)).is_err());

    let tokens = pool(LimitKind::Tokens, 100, 2);
    assert!(tokens.take(0, 100, Nanos(SECOND)).is_ok());
    tokens.spend(0, 100, 100, Nanos(SECOND));
    assert!(tokens.resize(1000, MINUTE));
    assert_eq!(tokens.left(Nanos(SECOND)), 900);
    assert!(tokens.resize(60, MINUTE));
    assert_eq!(tokens.left(Nanos(SECOND)), 0);
    assert_eq!(tokens.left(Nanos(SECOND + MINUTE)), 20);
}

#[test]
fn levels_say_what_headers_need() {
    let pool = pool(LimitKind::Tokens, 600, 2);
    assert!(pool.take(0, 60, Nanos(0)).is_ok());
    pool.spend(0, 60, 60, Nanos(0));
    let level = pool.level(Nanos(0));
    assert_eq!(level, Level { amount: 600, left: 540, full_in: Duration::from_secs(6) });
}

/// Threads take and use as fast as they can while one resizes; nothing is lost, nothing is made.
#[test]
fn threads_never_exceed_the_limit_and_lose_nothing() {
    const THREADS: usize = 4;
    let kinds = [LimitKind::Concurrent, LimitKind::Tokens];
    for (kind, amount) in kinds.into_iter().flat_map(|kind| [(kind, 7), (kind, 3000)]) {
        let pool = Arc::new(Pool::new(kind, amount, MINUTE, THREADS));
        let (out, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let start = Arc::new(Barrier::new(THREADS));
        let work = |core: usize| {
            let (pool, start) = (Arc::clone(&pool), Arc::clone(&start));
            let (out, taken) = (Arc::clone(&out), Arc::clone(&taken));
            move || {
                start.wait();
                for turn in 0..20_000_u64 {
                    let n = 1 + turn % (amount / 3).max(1);
                    if pool.take(core, n, Nanos(0)).is_err() {
                        continue;
                    }
                    let total = out.fetch_add(n, Ordering::SeqCst) + n;
                    assert!(total <= amount, "{total} out of {amount}");
                    out.fetch_sub(n, Ordering::SeqCst);
                    if kind == LimitKind::Tokens && turn % 64 == 0 {
                        pool.spend(core, n, 1, Nanos(0));
                        taken.fetch_add(1, Ordering::SeqCst);
                    } else {
                        pool.give_back(core, n);
                    }
                    if core == 0 && turn % 100 == 0 {
                        pool.resize(amount, MINUTE + turn);
                    }
                }
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|core| thread::spawn(work(core))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let used = taken.load(Ordering::SeqCst);
        assert_eq!(take_all(&pool, 1, Nanos(0)), amount - used, "{kind} {amount}");
    }
}
