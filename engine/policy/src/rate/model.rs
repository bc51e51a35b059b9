//! Every interleaving of a few threads at a pool, by loom.

use loom::{sync::Arc, thread};

use super::*;

const NOW: Nanos = Nanos(0);

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // All interleavings with up to three forced switches: what finds ordering mistakes, in seconds rather than days.
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn count(pool: &Pool, core: usize) -> u64 {
    (0..).take_while(|_| pool.take(core, 1, NOW).is_ok()).count() as u64
}

/// A lease for one core (the amount is large enough for leases) against a taker on the other.
#[test]
fn loom_two_cores_never_take_more_than_there_is() {
    check(|| {
        let pool = Arc::new(Pool::new(LimitKind::Tokens, 100, 1000, 2));
        // 98 are used up: what is left is two units, one of which may lie in core 0's cell.
        assert!(pool.take(0, 97, NOW).is_ok());
        pool.spend(0, 97, 97, NOW);
        let other = Arc::clone(&pool);
        let thread = thread::spawn(move || u64::from(other.take(1, 2, NOW).is_ok()) * 2);
        let mine = u64::from(pool.take(0, 2, NOW).is_ok()) * 2;
        let taken = mine + thread.join().unwrap();
        assert!(taken <= 3, "{taken} of 3");
        assert_eq!(taken + count(&pool, 0), 3, "units were lost or made");
    });
}

/// A use moves from `held` to `spent` while another core looks: the moment between must not count it as free.
#[test]
fn loom_a_use_on_its_way_is_not_free() {
    check(|| {
        let pool = Arc::new(Pool::new(LimitKind::Requests, 2, 1000, 2));
        assert!(pool.take(0, 1, NOW).is_ok());
        let other = Arc::clone(&pool);
        let thread = thread::spawn(move || {
            let taken = other.take(1, 1, NOW).is_ok();
            if taken {
                other.spend(1, 1, 1, NOW);
            }
            u64::from(taken) + u64::from(other.take(1, 1, NOW).is_ok())
        });
        pool.spend(0, 1, 1, NOW);
        let mine = u64::from(pool.take(0, 1, NOW).is_ok());
        let taken = 1 + mine + thread.join().unwrap();
        assert!(taken <= 2, "{taken} of 2");
        assert_eq!(taken + count(&pool, 1), 2, "units were lost or made");
    });
}

/// What lies in another core's cell is recalled before a refusal, while its owner takes and returns.
#[test]
fn loom_recall_takes_what_the_owner_does_not_and_loses_nothing() {
    check(|| {
        let pool = Arc::new(Pool::new(LimitKind::Concurrent, 100, 0, 2));
        assert!(pool.take(1, 90, NOW).is_ok());
        assert!(pool.take(0, 1, NOW).is_ok());
        let other = Arc::clone(&pool);
        let thread = thread::spawn(move || {
            let taken = other.take(1, 9, NOW).is_ok();
            // Once more, so that something lies in this core's cell at the end.
            if other.take(1, 1, NOW).is_ok() {
                other.give_back(1, 1);
            }
            u64::from(taken) * 9
        });
        pool.give_back(0, 1);
        let mine = u64::from(pool.take(0, 1, NOW).is_ok());
        let taken = 90 + mine + thread.join().unwrap();
        assert!(taken <= 100, "{taken} of 100");
        assert_eq!(taken + count(&pool, 0), 100, "units were lost or made");
    });
}

/// Slots go from hand to hand between cores.
#[test]
fn loom_concurrency_is_exact_at_every_instant() {
    use loom::sync::atomic::{AtomicU64, Ordering};
    check(|| {
        let pool = Arc::new(Pool::new(LimitKind::Concurrent, 1, 0, 2));
        let out = Arc::new(AtomicU64::new(0));
        let (other, others_out) = (Arc::clone(&pool), Arc::clone(&out));
        let turn = |pool: &Pool, out: &AtomicU64, core| {
            if pool.take(core, 1, NOW).is_ok() {
                assert_eq!(out.fetch_add(1, Ordering::Relaxed), 0, "two slots of one");
                out.fetch_sub(1, Ordering::Relaxed);
                pool.release(core, 1);
            }
        };
        let thread = thread::spawn(move || turn(&other, &others_out, 1));
        turn(&pool, &out, 0);
        thread.join().unwrap();
        assert_eq!(count(&pool, 0), 1, "a slot was lost");
    });
}

/// A reader of the rate sees one of them, never a mixture.
///
/// The writer reads nothing here: loom looks for other orders of an access only where the latest one before it was another
/// thread's.
#[test]
fn loom_a_rate_is_read_whole() {
    check(|| {
        let pace = Arc::new(Pace::new(1, 1000));
        let other = Arc::clone(&pace);
        let thread = thread::spawn(move || {
            other.publish(1, &Rate::new(2, 2000));
            other.publish(2, &Rate::new(3, 3000));
        });
        let rate = pace.read();
        let period = rate.wait(rate.amount, rate.cost(rate.amount), 0, NOW);
        assert_eq!(period, Some(rate.amount * 1000), "{rate:?}");
        thread.join().unwrap();
        assert_eq!(pace.read().amount, 3);
    });
}
