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

use faregate_ledger::journal::{
    Balances, Grant, Window,
    writer::{Asked, Granted},
};
use faregate_policy::{
    Policy, Wall,
    budget::{self, Budget, Fund},
};
use faregate_price::NanoUsd;

use super::{Books, webhook};
use crate::{allowance, live::Live, worker::Shared};

/// How often budgets are looked at while nobody waits.
const LOOK: Duration = Duration::from_millis(20);

/// How often scopes are dropped that nobody draws on any more, in nanoseconds.
const SWEEP: u64 = 60_000_000_000;

/// How often at most when there is no room for another one.
const SWEEP_WANTED: u64 = 1_000_000_000;

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

/// A fund that is told what was spent of a window before it was made.
struct Told {
    books: Arc<Books>,
    fund: Arc<Fund>,
    window: budget::Window,
}

impl Asked for Told {
    fn spent(&self, spent: NanoUsd) {
        self.fund.add_spent(self.window, spent.0);
        self.books.hurry();
    }
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
        let mut swept = 0;
        let mut warned = Wall::default();
        while !stop.load(Ordering::Acquire) {
            let live = shared.live.load_full();
            let policy = Arc::clone(&live.policy);
            let now = shared.clock.wall();
            look(&books, &live, Wall(now));
            let since = now.saturating_sub(swept);
            if since >= SWEEP || since >= SWEEP_WANTED && policy.crowd.wants_room() {
                sweep(&books, &policy, Wall(now));
                swept = now;
            }
            // A clock that was set back does not silence it.
            if Wall(now) < warned || warned.until(Wall(now)) >= WARN {
                warned = Wall(now);
                warn(&books, &live, warned);
            }
            thread::park_timeout(LOOK);
        }
    })
}

/// Tells operators of budgets that have reached a share to warn at: of each share once a window.
fn warn(books: &Arc<Books>, live: &Live, now: Wall) {
    live.policy.budgets().for_each(|(scope, budget)| warn_of(books, live, (scope, budget), now));
}

fn warn_of(books: &Arc<Books>, live: &Live, (scope, budget): (&str, &Budget), now: Wall) {
    let Some(share) = budget.warns(now) else { return };
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
    if live.webhook.is_some() {
        webhook::tell(books, live.generation, (scope, budget), share, now);
    }
}

fn look(books: &Arc<Books>, live: &Live, now: Wall) {
    let policy = &live.policy;
    for (scope, budget) in policy.budgets().filter(|(_, budget)| !budget.fund.is_shared()) {
        look_at(books, scope, budget, now);
    }
    // Who stirs is told to one thread.
    if books.lender.get().is_none() {
        for drawn in policy.crowd.stirring() {
            drawn
                .budgets
                .iter()
                .for_each(|budget| look_closer(books, live, &drawn.name, budget, now));
        }
    }
}

/// Looks at a budget of a user and the like, which is not looked at otherwise.
pub(super) fn look_closer(
    books: &Arc<Books>,
    live: &Live,
    scope: &str,
    budget: &Budget,
    now: Wall,
) {
    if !budget.fund.is_shared() {
        look_at(books, scope, budget, now);
    }
    warn_of(books, live, (scope, budget), now);
}

fn look_at(books: &Arc<Books>, scope: &str, budget: &Budget, now: Wall) {
    if budget.fund.wants_telling() {
        ask_spent(books, scope, budget, now);
    } else if let Some(asked) = budget.asks(now) {
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

/// Asks what was spent before a fund was made: by a reload, or by the first request of a scope.
pub(super) fn ask_spent(books: &Arc<Books>, scope: &str, budget: &Budget, now: Wall) {
    let asked = budget.level(now).window;
    let (books, fund) = (Arc::clone(books), Arc::clone(&budget.fund));
    let told = Arc::new(Told { books: Arc::clone(&books), fund, window: asked });
    if books.inbox.ask_spent(scope_of(scope, budget), window(asked), told).is_err() {
        budget.fund.ask_again();
    }
}

/// Drops scopes that nobody draws on any more. What the journal has allowed them beyond their use is given back.
fn sweep(books: &Books, policy: &Policy, now: Wall) {
    policy.crowd.sweep(now, &mut |leaving| {
        if leaving.budget.fund.is_journaled() {
            let grant = used(leaving.scope, leaving.budget, leaving.level);
            // What finds no place in the queue is given back at the end of the process, or charged at its most.
            drop(books.inbox.give_back(grant));
        }
    });
}

/// A grant that is lowered to what has been used.
fn used(scope: &str, budget: &Budget, level: budget::Level) -> Grant {
    let total = NanoUsd(level.spent.saturating_add(level.held).saturating_sub(level.elsewhere));
    Grant { scope: scope_of(scope, budget), window: window(level.window), total }
}

/// What is given back at the end: grants are lowered to what has been used.
pub(super) fn returns(policy: &Policy, now: u64) -> Vec<Grant> {
    let crowd = policy.crowd.all();
    let crowd =
        crowd.iter().flat_map(|drawn| drawn.budgets.iter().map(|budget| (&*drawn.name, budget)));
    let kept = policy.budgets().chain(crowd).filter(|(_, budget)| budget.fund.is_journaled());
    kept.map(|(scope, budget)| used(scope, budget, budget.level(Wall(now)))).collect()
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
pub(super) fn scope_of(scope: &str, budget: &Budget) -> Arc<str> {
    match budget.unit {
        budget::Unit::Money => scope.into(),
        budget::Unit::Tokens | budget::Unit::Requests => {
            format!("{}:{scope}", budget.unit.as_str()).into()
        }
    }
}

pub(super) fn window(window: budget::Window) -> Window {
    Window { start: window.start.0, end: window.end.0 }
}
