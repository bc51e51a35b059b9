//! A hold on the budgets that a request is paid from: reserved and settled, what money costs a request.
//!
//! One core, nobody else: what two cores cost each other shows in time and not in instructions.

use std::{hint::black_box, rc::Rc};

use faregate_policy::{
    Wall,
    budget::{Budget, Cost, Hold, Period, Unit},
};
use faregate_price::NanoUsd;

use super::{Group, Operation, Ready};

const DOLLAR: u64 = NanoUsd::DOLLAR.0;

/// Cores that share a fund.
const CORES: usize = 2;

/// What a request may cost, and what it costs.
const WORST: Cost = Cost { money: NanoUsd(3_000_000), tokens: 1_000, requests: 1 };
const USED: Cost = Cost { money: NanoUsd(900_000), tokens: 350, requests: 1 };

pub(super) const GROUP: Group = Group {
    name: "budget_hold",
    operations: &[
        Operation::ours("one scope, far away", || far(1)),
        Operation::ours("five scopes, far away", || far(5)),
        Operation::ours("five scopes, exhausted", exhausted),
    ],
};

fn purse(scopes: usize, limit: u64) -> Rc<[Budget]> {
    (0..scopes).map(|_| Budget::new(Unit::Money, Period::Month, limit, CORES)).collect()
}

/// So much that no run of a bench comes near the limit.
fn far(scopes: usize) -> Ready {
    let purse = purse(scopes, 900_000_000 * DOLLAR);
    let now = Wall(1);
    Ready::new(0, 1, move || match Hold::reserve(Rc::clone(&purse), 0, black_box(WORST), now) {
        Ok(mut hold) => {
            hold.sent();
            hold.settle(black_box(USED), now);
            1
        }
        Err(_) => 0,
    })
}

/// The last of the scopes has nothing left.
fn exhausted() -> Ready {
    let mut budgets = purse(4, 900_000_000 * DOLLAR).to_vec();
    budgets.push(Budget::new(Unit::Money, Period::Month, 1, CORES));
    let purse: Rc<[Budget]> = budgets.into();
    Ready::new(0, 0, move || {
        u64::from(Hold::reserve(Rc::clone(&purse), 0, black_box(WORST), Wall(1)).is_ok())
    })
}
