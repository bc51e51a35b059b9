//! Units of a limit taken and used: what each limit on a caller's path costs a request.
//!
//! One core, nobody else: what two cores cost each other shows in time and not in instructions. The rival knows no holding,
//! no giving back and no cells: it is one compare-and-swap, which two cores would share.

use std::{hint::black_box, num::NonZeroU32, time::Duration};

use faregate_policy::{LimitKind, Nanos, rate::Pool};
use governor::{Quota, RateLimiter, clock::FakeRelativeClock};

use super::{Group, Operation, Ready};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// Cores that share a pool.
const CORES: usize = 2;

/// Between two requests of a busy core.
const STEP: u64 = 100_000;

/// Units in each period of the pool that is nearly empty.
const FEW: u32 = 40;

pub(super) const GROUP: Group = Group {
    name: "bucket_take",
    operations: &[
        Operation::ours("one limit, far away", || far(1)),
        Operation::by("governor", "one limit, far away", || by_governor(1)),
        Operation::ours("eight limits, far away", || far(8)),
        Operation::by("governor", "eight limits, far away", || by_governor(8)),
        Operation::ours("near empty, granted", || near(SECOND / u64::from(FEW), true)),
        Operation::by("governor", "near empty, granted", || {
            near_governor(SECOND / u64::from(FEW), true)
        }),
        Operation::ours("empty, refused", || near(0, false)),
        Operation::by("governor", "empty, refused", || near_governor(0, false)),
    ],
};

/// Every second limit counts tokens; 1,000 are set aside and 350 used.
fn far(limits: usize) -> Ready {
    let pools: Vec<(Pool, u64, u64)> = (0..limits)
        .map(|number| match number % 2 {
            0 => (Pool::new(LimitKind::Requests, 60_000_000, MINUTE, CORES), 1, 1),
            _ => (Pool::new(LimitKind::Tokens, 6_000_000_000, MINUTE, CORES), 1_000, 350),
        })
        .collect();
    let mut now = Nanos(0);
    Ready::new(0, limits as u64, move || {
        now.0 += STEP;
        let mut granted = 0;
        for (pool, held, used) in &pools {
            if pool.take(0, black_box(*held), now).is_ok() {
                pool.spend(0, *held, black_box(*used), now);
                granted += 1;
            }
        }
        granted
    })
}

/// A pool that has just been emptied; `step` passes before each take.
fn near(step: u64, granted: bool) -> Ready {
    let pool = Pool::new(LimitKind::Requests, u64::from(FEW), SECOND, CORES);
    let mut now = Nanos(SECOND);
    while pool.take(0, 1, now).is_ok() {
        pool.spend(0, 1, 1, now);
    }
    Ready::new(0, u64::from(granted), move || {
        now.0 += step;
        let taken = pool.take(0, black_box(1), now).is_ok();
        if taken {
            pool.spend(0, 1, 1, now);
        }
        u64::from(taken)
    })
}

fn by_governor(limits: usize) -> Ready {
    let clock = FakeRelativeClock::default();
    let limiters: Vec<_> = (0..limits)
        .map(|_| RateLimiter::direct_with_clock(Quota::per_minute(NonZeroU32::MAX), clock.clone()))
        .collect();
    Ready::new(0, limits as u64, move || {
        clock.advance(Duration::from_nanos(STEP));
        limiters.iter().map(|limiter| u64::from(limiter.check().is_ok())).sum()
    })
}

fn near_governor(step: u64, granted: bool) -> Ready {
    let clock = FakeRelativeClock::default();
    let quota = Quota::per_second(NonZeroU32::MIN.saturating_add(FEW - 1));
    let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
    while limiter.check().is_ok() {}
    Ready::new(0, u64::from(granted), move || {
        clock.advance(Duration::from_nanos(step));
        u64::from(limiter.check().is_ok())
    })
}
