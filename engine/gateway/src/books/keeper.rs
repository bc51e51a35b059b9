//! The keeper: has the journal allow what budgets will need, before they need it.
//!
//! In: the budgets of the policy in force. Out: grants, asked of the journal and given to the funds once they are durable.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use faregate_ledger::journal::{Balances, Grant, Window, writer::Granted};
use faregate_policy::{
    Policy, Wall,
    budget::{self, Budget, Fund},
};
use faregate_price::NanoUsd;

use super::Books;
use crate::{allowance, worker::Shared};

/// How often budgets are looked at while nobody waits.
const LOOK: Duration = Duration::from_millis(20);

/// How often budgets are looked at for what is to be warned of.
const WARN: Duration = Duration::from_secs(1);

/// A fund that is told what the journal allows.
struct Allowed {
    fund: Arc<Fund>,
    grant: budget::Grant,
}

impl Granted for Allowed {
    fn granted(&self, _: NanoUsd) {
        self.fund.grant(&self.grant);
    }

    fn refused(&self) {}
}

/// Starts the thread.
///
/// # Errors
///
/// When the system gives none.
pub(super) fn start(
    books: Arc<Books>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("keeper".to_owned()).spawn(move || {
        let mut warned = Wall::default();
        while !stop.load(Ordering::Acquire) {
            let policy = Arc::clone(&shared.live.load().policy);
            let now = Wall(shared.clock.wall());
            look(&books, &policy, now);
            // A clock that was set back does not silence it.
            if now < warned || warned.until(now) >= WARN {
                warned = now;
                warn(&policy, now);
            }
            thread::park_timeout(LOOK);
        }
    })
}

/// Tells operators of budgets that have reached a share to warn at: of each share once a window.
fn warn(policy: &Policy, now: Wall) {
    for (scope, budget) in policy.budgets() {
        let Some(share) = budget.warns(now) else { continue };
        let level = budget.level(now);
        tracing::warn!(
            scope,
            budget = &*budget.text,
            share = format_args!("{share}%"),
            used = format_args!("{}%", level.percent()),
            left = level.left(),
            unit = allowance::unit_of(budget.unit),
            soft = budget.is_soft,
            "a budget has reached a share to warn at"
        );
    }
}

fn look(books: &Books, policy: &Policy, now: Wall) {
    for (scope, budget) in policy.budgets() {
        let Some(asked) = budget.asks(now) else { continue };
        let grant = Grant {
            scope: scope_of(scope, budget),
            window: window(asked.window),
            total: NanoUsd(asked.up_to),
        };
        let allowed = Allowed { fund: Arc::clone(&budget.fund), grant: asked };
        // A queue that is full is asked again in the next round.
        drop(books.inbox.request_grant(grant, Arc::new(allowed)));
    }
}

/// What is given back at the end: grants are lowered to what has been used.
pub(super) fn returns(policy: &Policy, now: u64) -> Vec<Grant> {
    let used = |(scope, budget): (&str, &Budget)| {
        let level = budget.level(Wall(now));
        let total = NanoUsd(level.spent.saturating_add(level.held));
        Grant { scope: scope_of(scope, budget), window: window(level.window), total }
    };
    policy.budgets().filter(|(_, budget)| budget.fund.is_journaled()).map(used).collect()
}

/// Tells a budget's fund what was spent of its window before.
pub(super) fn restore(scope: &str, budget: &Budget, balances: &Balances, now: u64) {
    if !budget.fund.is_journaled() {
        return;
    }
    let level = budget.level(Wall(now));
    let spent = balances.spent(&scope_of(scope, budget), window(level.window));
    budget.fund.restore(level.window, spent.0);
}

/// What the journal calls the scope. Rows carry money alone, so budgets of other units are scopes of their own there.
fn scope_of(scope: &str, budget: &Budget) -> Arc<str> {
    match budget.unit {
        budget::Unit::Money => scope.into(),
        budget::Unit::Tokens | budget::Unit::Requests => {
            format!("{}:{scope}", budget.unit.as_str()).into()
        }
    }
}

fn window(window: budget::Window) -> Window {
    Window { start: window.start.0, end: window.end.0 }
}
