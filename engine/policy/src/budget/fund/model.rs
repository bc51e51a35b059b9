//! Every interleaving of a few threads at a fund, by loom.

use loom::{sync::Arc, thread};

use super::*;

const HOUR: u64 = 3_600_000_000_000;
const NOW: Wall = Wall(1);
const NEXT: Wall = Wall(HOUR);

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // All interleavings with up to two forced switches: what finds ordering mistakes, in seconds rather than days.
    builder.preemption_bound = Some(2);
    builder.check(model);
}

fn fund(limit: u64) -> Arc<Fund> {
    Arc::new(Fund::new(Period::Hour, limit, 2, false))
}

fn take(fund: &Fund, core: usize, n: u64, now: Wall) -> Option<Lot> {
    fund.take(core, n, now, &Calendar::default()).ok()
}

/// Units that can still be had one by one, at most `max`.
fn count(fund: &Fund, core: usize, now: Wall, max: u64) -> u64 {
    (0..max).take_while(|_| take(fund, core, 1, now).is_some()).count() as u64
}

/// Uses all but `left` units, and leaves some of those in the cell of `core`.
fn use_all_but(fund: &Fund, core: usize, left: u64) {
    let limit = fund.limit(NOW);
    let lot = take(fund, core, limit - left, NOW).unwrap();
    fund.settle(core, lot, limit - left, NOW);
    // Leases are smaller than what a test needs: the rest of a lot lies in the cell.
    let lot = take(fund, core, 1, NOW).unwrap();
    fund.settle(core, lot, 0, NOW);
}

#[test]
fn loom_fund_gives_all_that_it_has_and_no_more() {
    check(|| {
        let fund = fund(640);
        use_all_but(&fund, 0, 3);
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || take(&other, 1, 2, NOW).map_or(0, |lot| lot.amount));
        let mine = take(&fund, 0, 2, NOW).map_or(0, |lot| lot.amount);
        let taken = mine + thread.join().unwrap();
        assert!(taken <= 3, "{taken} of 3");
        assert_eq!(taken + count(&fund, 0, NOW, 4), 3, "units were lost or made");
    });
}

/// While one core takes and returns, the other asks for all that is there, which lies in the first one's cell.
#[test]
fn loom_fund_recall_loses_nothing() {
    check(|| {
        let fund = fund(640);
        use_all_but(&fund, 0, 2);
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || take(&other, 1, 2, NOW).map_or(0, |lot| lot.amount));
        if let Some(lot) = take(&fund, 0, 1, NOW) {
            fund.settle(0, lot, 0, NOW);
        }
        let taken = thread.join().unwrap();
        assert_eq!(taken + count(&fund, 1, NOW, 3), 2, "units were lost or made");
    });
}

/// A refusal is true: here one of the two gets the unit, whatever the other does.
#[test]
fn loom_fund_one_of_two_gets_the_last_unit() {
    check(|| {
        let fund = fund(640);
        use_all_but(&fund, 0, 1);
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || take(&other, 1, 1, NOW).is_some());
        let mine = take(&fund, 0, 1, NOW).is_some();
        assert!(mine != thread.join().unwrap(), "one unit is had by one");
    });
}

/// The end of a window between a settlement and a reservation in the next.
#[test]
fn loom_fund_settle_of_an_old_window_leaves_the_new_one_alone() {
    check(|| {
        let fund = fund(640);
        let old = take(&fund, 0, 630, NOW).unwrap();
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || take(&other, 1, 640, NEXT).is_some());
        fund.settle(0, old, 10, NOW);
        assert!(thread.join().unwrap(), "a new window has all its units");
        assert_eq!(count(&fund, 0, NEXT, 1), 0, "units of the old window came into the new one");
    });
}

/// Two cores open a window, while one of them still takes in the old.
#[test]
fn loom_fund_is_opened_anew_by_one() {
    check(|| {
        let fund = fund(640);
        let lot = take(&fund, 0, 600, NOW).unwrap();
        fund.settle(0, lot, 600, NOW);
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || {
            let old = take(&other, 1, 10, NOW).is_some();
            let new = take(&other, 1, 330, NEXT).map_or(0, |lot| lot.amount);
            (old, new)
        });
        let mine = take(&fund, 0, 330, NEXT).map_or(0, |lot| lot.amount);
        let (_, others) = thread.join().unwrap();
        // Whoever came first has 330, the other one finds 310; what was taken at the old moment may be of either window.
        assert_eq!(mine + others, 330);
        let left = fund.left(NEXT, &Calendar::default());
        assert!(left == 310 || left == 300, "{left}");
        assert!(take(&fund, 0, left, NEXT).is_some() && take(&fund, 1, 1, NEXT).is_none());
    });
}

/// What one core uses beyond its lot, while the other puts units back into its cell.
#[test]
fn loom_fund_overrun_leaves_nothing_in_cells() {
    check(|| {
        let fund = fund(640);
        let (a, b) = (take(&fund, 0, 310, NOW).unwrap(), take(&fund, 1, 310, NOW).unwrap());
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || other.settle(1, b, 305, NOW));
        fund.settle(0, a, 400, NOW);
        thread.join().unwrap();
        // 705 are used.
        assert_eq!(
            count(&fund, 0, NOW, 1) + count(&fund, 1, NOW, 1),
            0,
            "an overdrawn fund gave units"
        );
        assert_eq!(
            CLAIMS.amount(fund.claimed.load(Ordering::Acquire)),
            705,
            "units were lost or made"
        );
    });
}

/// A limit is lowered while a core takes.
#[test]
fn loom_fund_lowered_limit_leaves_nothing_in_cells() {
    check(|| {
        let fund = fund(6400);
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || take(&other, 1, 10, NOW).map_or(0, |lot| lot.amount));
        fund.set(10, None, false);
        let taken = thread.join().unwrap();
        assert_eq!(count(&fund, 1, NOW, 11), 10 - taken, "more than the limit, or less");
    });
}

/// A fund of whose 640 units 100 are asked for, and what the journal is to grant.
fn ungranted() -> (Arc<Fund>, Grant) {
    let fund = Arc::new(Fund::new(Period::Hour, 640, 2, true));
    let calendar = Calendar::default();
    fund.add_spent(Window::ALWAYS, 0);
    assert_eq!(fund.take(0, 100, NOW, &calendar), Err(Short::Ungranted));
    let grant = fund.asks(NOW, &calendar).unwrap();
    (fund, grant)
}

/// The journal tells what was spent before, while a core takes; it grants nothing before that.
#[test]
fn loom_fund_is_told_what_was_spent_before() {
    check(|| {
        let fund = Arc::new(Fund::new(Period::Hour, 640, 2, true));
        let calendar = Calendar::default();
        let window = fund.level(NOW, &calendar).window;
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || {
            other.add_spent(window, 600);
            other.asks(NOW, &Calendar::default()).map(|grant| other.grant(&grant))
        });
        let early = take(&fund, 0, 41, NOW).is_some();
        thread.join().unwrap();
        assert!(!early && take(&fund, 1, 41, NOW).is_none(), "40 are left");
        assert_eq!(fund.level(NOW, &calendar).spent, 600);
    });
}

/// The journal grants while a core takes.
#[test]
fn loom_fund_takes_no_more_than_is_granted() {
    check(|| {
        let (fund, grant) = ungranted();
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || other.grant(&grant));
        let before = take(&fund, 0, grant.up_to, NOW).is_some();
        thread.join().unwrap();
        assert_ne!(take(&fund, 0, grant.up_to, NOW).is_some(), before, "a grant is used once");
    });
}

/// The window ends while the journal grants.
#[test]
fn loom_fund_takes_nothing_by_a_grant_of_the_window_before() {
    check(|| {
        let (fund, grant) = ungranted();
        let other = Arc::clone(&fund);
        let thread = thread::spawn(move || other.grant(&grant));
        assert_eq!(take(&fund, 0, 1, NEXT), None);
        thread.join().unwrap();
        assert_eq!(take(&fund, 1, 1, NEXT), None);
    });
}
