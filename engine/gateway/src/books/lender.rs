//! The lender: leases budgets of money from the store that other gateways use, too, ahead of need.
//!
//! In: what the funds of shared budgets wish, what other gateways need. Out: grants, once they are leased and the journal has
//! them; refusals, once nobody has anything idle; what lies idle here, given back when others need it. One thread, which
//! waits for the store; no core waits for it.
//!
//! A lease is journaled as it is, so that after a crash all of it counts as used until the journal's rows say otherwise. See
//! [`faregate_ledger::lease`] for what is said to the store, and why it is safe.

mod connect;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use faregate_ledger::{
    journal::writer::Asked,
    lease::{Heard, Join, Key, LeaseStore, Need, Node, NodeId, StoreError},
};
use faregate_policy::{
    Policy, Wall,
    budget::{Budget, LIMIT_MAX},
};
use faregate_price::NanoUsd;
use hashbrown::HashMap;

use super::{Books, keeper};
use crate::{clock::Instant, worker::Shared};
pub(super) use connect::connect;
use watch::Watch;

/// How often the store is asked what is wanted, and budgets are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long at least lies between two messages.
const PACE: Duration = Duration::from_millis(2);

/// The same while somebody waits.
const WAITING: Duration = Duration::from_millis(4);

/// How often a store that cannot be asked is tried.
const RETRY: Duration = Duration::from_millis(100);

/// So long requests wait for a store that cannot be asked; then they are refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// How old what is known of other gateways becomes.
const REFRESH: Duration = Duration::from_secs(1);

/// How old a refusal becomes: then it is found out anew whether it is still true.
const REFUSED: Duration = Duration::from_millis(100);

/// So long nothing is leased ahead of a window that others need.
const QUIET: Duration = Duration::from_millis(500);

/// Windows that the journal has answered for and nobody has looked at.
const SETTLED_MAX: usize = 1024;

/// How the store is, for others to see.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_away: AtomicBool,
    is_fenced: AtomicBool,
    /// Calls that failed.
    pub(crate) failures: AtomicU64,
    /// Calls that did not.
    pub(crate) answers: AtomicU64,
    /// Messages that asked for leases and were refused, with everything recalled.
    pub(crate) refusals: AtomicU64,
    /// Times that something was given back because others needed it.
    pub(crate) recalls: AtomicU64,
    /// The store's generation.
    pub(crate) generation: AtomicU64,
}

impl Health {
    /// Why not.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        if self.is_fenced.load(Ordering::Relaxed) {
            return Some("another process leases budgets with a copy of this journal");
        }
        self.is_away
            .load(Ordering::Relaxed)
            .then_some("the store of shared budgets cannot be asked")
    }
}

/// What the thread is started with.
pub(super) struct Lending {
    pub(super) store: Box<dyn LeaseStore>,
    pub(super) name: String,
    /// What this gateway may spend of each window beyond its leases, while the store cannot be asked.
    pub(super) overdraft: u64,
}

/// A window that nobody draws on here, and what the journal says was spent of it.
struct Settled {
    key: Key,
    round: u64,
    spent: NanoUsd,
}

/// Who waits for the journal to say that.
struct Asking {
    key: Key,
    round: u64,
    answers: Arc<ArrayQueue<Settled>>,
}

impl Asked for Asking {
    fn spent(&self, spent: NanoUsd) {
        // Where there is no room, it is wanted again soon.
        drop(self.answers.push(Settled { key: self.key.clone(), round: self.round, spent }));
    }
}

/// Starts the thread.
///
/// # Errors
///
/// When the system gives none.
pub(super) fn start(
    lending: Lending,
    books: Arc<Books>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
) -> std::io::Result<JoinHandle<()>> {
    let mut lender = Lender {
        lending,
        books,
        shared,
        node: None,
        watches: HashMap::new(),
        settled: Arc::new(ArrayQueue::new(SETTLED_MAX)),
        failing_since: None,
        is_away: false,
        swept: 0,
    };
    thread::Builder::new().name("lender".to_owned()).spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let pause = lender.work();
            thread::sleep(PACE);
            thread::park_timeout(pause.saturating_sub(PACE));
        }
        lender.leave();
    })
}

struct Lender {
    lending: Lending,
    books: Arc<Books>,
    shared: Arc<Shared>,
    /// `None`: not joined yet.
    node: Option<Node>,
    watches: HashMap<Key, Watch>,
    settled: Arc<ArrayQueue<Settled>>,
    failing_since: Option<Instant>,
    is_away: bool,
    swept: u64,
}

impl Lender {
    /// One round. How long the next one can wait.
    fn work(&mut self) -> Duration {
        let policy = Arc::clone(&self.shared.live.load().policy);
        let now = Wall(self.shared.clock.wall());
        if self.books.lending.is_fenced.load(Ordering::Relaxed) {
            each(&policy, &mut |_, budget| budget.fund.set_away(true));
            return RETRY;
        }
        if self.node.is_none() {
            match self.join() {
                Ok(node) => self.node = Some(node),
                Err(error) => {
                    self.ask_spent(&policy, now);
                    return self.failed(&policy, &error, now);
                }
            }
        }
        self.tend_all(&policy, now);
        self.take_settled();
        match self.tell(&policy, now) {
            Ok(is_waiting) => {
                if is_waiting {
                    WAITING
                } else {
                    LOOK
                }
            }
            Err(error) => self.failed(&policy, &error, now),
        }
    }

    fn join(&mut self) -> Result<Node, StoreError> {
        let node = NodeId(self.books.node);
        let joined = self.lending.store.join(&Join { node, name: self.lending.name.clone() })?;
        Ok(Node::new(node, joined))
    }

    /// What was spent before is found out also while the store cannot be asked.
    fn ask_spent(&self, policy: &Policy, now: Wall) {
        each(policy, &mut |scope, budget| {
            if budget.fund.wants_telling() {
                keeper::ask_spent(&self.books, scope, budget, now);
            }
        });
    }

    fn tend_all(&mut self, policy: &Policy, now: Wall) {
        let live = self.shared.live.load_full();
        for (scope, budget) in policy.budgets().filter(|(_, budget)| budget.fund.is_shared()) {
            self.tend(scope, budget, now);
        }
        for drawn in policy.crowd.stirring() {
            for budget in &drawn.budgets {
                keeper::look_closer(&self.books, &live, &drawn.name, budget, now);
                if budget.fund.is_shared() {
                    self.tend(&drawn.name, budget, now);
                }
            }
        }
        if now.0.saturating_sub(self.swept) > 60_000_000_000 {
            self.swept = now.0;
            let minute_ago = now.0.saturating_sub(60_000_000_000);
            self.watches.retain(|key, _| key.window.end > minute_ago);
            if let Some(node) = &mut self.node {
                node.forget_before(minute_ago);
            }
        }
    }

    /// Looks at what one budget wishes.
    fn tend(&mut self, scope: &str, budget: &Budget, now: Wall) {
        if budget.fund.wants_telling() {
            return keeper::ask_spent(&self.books, scope, budget, now);
        }
        let (Some(node), Some(wish)) = (&mut self.node, budget.fund.wish(now, &budget.calendar))
        else {
            return;
        };
        let key = key_of(scope, budget, &wish.grant);
        // All that was claimed before the first lease is what earlier processes have spent.
        node.open(&key, NanoUsd(wish.claimed.max(wish.granted)));
        let at = self.shared.clock.now();
        let watch =
            self.watches.entry(key.clone()).or_insert_with(|| Watch::new(budget, wish.grant));
        watch.is_of(budget, wish.grant);
        watch.budget_is_soft = budget.is_soft;
        budget.fund.set_away(self.is_away);
        let need = watch.need(wish.need, at);
        let may_spend = node.may_spend(&key).0;
        let half_ahead = wish.claimed.midpoint(wish.grant.up_to);
        let want = match wish.grant.up_to {
            _ if watch.is_quiet(at) || budget.is_soft => wish.claimed,
            // There is enough for now.
            _ if may_spend >= half_ahead => may_spend,
            up_to => up_to,
        };
        node.need(
            &key,
            Need {
                limit: NanoUsd(wish.limit.min(LIMIT_MAX)),
                spent: NanoUsd(wish.spent),
                need: NanoUsd(need),
                want: NanoUsd(want.max(need)),
            },
        );
        if watch.is_old(at, REFRESH) {
            node.ask_again(&key);
        }
        watch.grant_up_to(&self.books, &key, node.may_spend(&key).0);
    }

    /// Says that what lies idle of a window that nobody draws on here is free.
    fn take_settled(&mut self) {
        let Some(node) = &mut self.node else { return };
        while let Some(Settled { key, round, spent }) = self.settled.pop() {
            if !self.watches.contains_key(&key) {
                node.open(&key, spent);
                node.give_back(&key, spent, round);
            }
        }
    }

    /// Says what there is to say, and hears what there is to hear. Whether somebody waits.
    fn tell(&mut self, policy: &Policy, now: Wall) -> Result<bool, StoreError> {
        let mut is_waiting = false;
        // What is wanted of us is given back at once, and said in another message.
        for _ in 0..4 {
            let Some(node) = &mut self.node else { return Ok(false) };
            let tell = node.tell();
            let answer = self.lending.store.tell(&tell)?;
            self.books.lending.answers.fetch_add(1, Ordering::Relaxed);
            self.books.lending.generation.store(node.generation(), Ordering::Relaxed);
            match node.hear(&tell, &answer) {
                Heard::Fenced => {
                    self.fence(policy);
                    return Ok(false);
                }
                Heard::Stale => {}
                Heard::News { news, wanted, .. } => {
                    is_waiting = news.iter().any(|news| news.is_waiting);
                    self.heed(&news, now);
                    self.give_back(&wanted);
                }
            }
            self.back(policy);
            let Some(node) = &self.node else { return Ok(false) };
            if !node.is_giving() {
                break;
            }
        }
        Ok(is_waiting)
    }

    fn heed(&mut self, news: &[faregate_ledger::lease::News], now: Wall) {
        let at = self.shared.clock.now();
        for one in news {
            let Some(watch) = self.watches.get_mut(&one.key) else { continue };
            watch.heed(one, at);
            if one.is_refused {
                self.books.lending.refusals.fetch_add(1, Ordering::Relaxed);
                let until = now.0.saturating_add(nanos(REFUSED));
                watch.refuse(
                    one.may_spend.0.saturating_add(one.free.0),
                    Wall(until),
                    at.after(QUIET),
                );
            }
            watch.grant_up_to(&self.books, &one.key, one.may_spend.0);
        }
    }

    /// Gives back what lies idle of windows that others need.
    fn give_back(&mut self, wanted: &[(Key, u64)]) {
        let quiet = self.shared.clock.now().after(QUIET);
        let Some(node) = &mut self.node else { return };
        for (key, round) in wanted {
            let Some(watch) = self.watches.get_mut(key) else {
                // Nobody draws on it here; the journal knows what was spent.
                let (answers, round) = (Arc::clone(&self.settled), *round);
                let asking = Asking { key: key.clone(), round, answers };
                let inbox = &self.books.inbox;
                // A queue that is full is asked again when this is wanted again, in a moment.
                let _ = inbox.ask_spent(Arc::clone(&key.scope), key.window, Arc::new(asking));
                continue;
            };
            if let Some(keep) = watch.lower(&self.books, key, quiet) {
                node.give_back(key, NanoUsd(keep), *round);
                self.books.lending.recalls.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn failed(&mut self, policy: &Policy, error: &StoreError, now: Wall) -> Duration {
        self.books.lending.failures.fetch_add(1, Ordering::Relaxed);
        let at = self.shared.clock.now();
        let since = *self.failing_since.get_or_insert(at);
        if at.since(since) >= nanos(PATIENCE) {
            if !std::mem::replace(&mut self.is_away, true) {
                tracing::error!(%error, "the store of shared budgets cannot be asked; what was leased can be spent, and no more");
                self.books.lending.is_away.store(true, Ordering::Relaxed);
                self.overdraw(now);
            }
            each(policy, &mut |_, budget| budget.fund.set_away(true));
        }
        RETRY
    }

    /// The store has answered.
    fn back(&mut self, policy: &Policy) {
        self.failing_since = None;
        if std::mem::replace(&mut self.is_away, false) {
            tracing::info!("the store of shared budgets answers again");
            self.books.lending.is_away.store(false, Ordering::Relaxed);
            each(policy, &mut |_, budget| budget.fund.set_away(false));
            let quiet = self.shared.clock.now();
            let Some(node) = &mut self.node else { return };
            for (key, watch) in self.watches.iter_mut().filter(|(_, watch)| watch.is_overdrawn) {
                if let Some(keep) = watch.lower(&self.books, key, quiet) {
                    node.give_back(key, NanoUsd(keep), 0);
                    watch.is_overdrawn = false;
                }
            }
        }
    }

    /// Lets every window be spent beyond its lease, once, by this gateway's part of the overdraft.
    fn overdraw(&mut self, _: Wall) {
        let (Some(node), more @ 1..) = (&mut self.node, self.lending.overdraft) else { return };
        for (key, watch) in &mut self.watches {
            if watch.may_overdraw() {
                node.overdraw(key, NanoUsd(more));
                tracing::warn!(
                    scope = &*key.scope,
                    nanousd = more,
                    "a budget may be overdrawn while its store cannot be asked"
                );
            }
        }
    }

    /// Another process speaks for this journal: what is not spent yet is not spent by this one.
    fn fence(&mut self, policy: &Policy) {
        self.books.lending.is_fenced.store(true, Ordering::Relaxed);
        tracing::error!(
            "another process has joined the store of shared budgets with this journal's name: nothing more is leased here; \
             two gateways must not have copies of one data folder"
        );
        for watch in self.watches.values_mut() {
            watch.stop();
        }
        each(policy, &mut |_, budget| budget.fund.set_away(true));
    }

    /// Gives everything back that was not spent. No core is at work any more.
    fn leave(&mut self) {
        let Some(node) = &mut self.node else { return };
        let quiet = self.shared.clock.now();
        for (key, watch) in &mut self.watches {
            if let Some(keep) = watch.lower(&self.books, key, quiet) {
                node.give_back(key, NanoUsd(keep), 0);
                // Nothing is held any more.
                node.has_spent(key, NanoUsd(keep));
            }
        }
        let mut left = Ok(());
        while node.has_to_tell() && left.is_ok() {
            let tell = node.tell();
            left = self.lending.store.tell(&tell).map(|answer| drop(node.hear(&tell, &answer)));
            if tell.lines.is_empty() {
                break;
            }
        }
        let left =
            left.and_then(|()| self.lending.store.leave(NodeId(self.books.node), node.epoch()));
        if let Err(error) = left {
            tracing::warn!(%error, "what was leased and not spent is given back at the next start");
        }
    }
}

/// Every budget that is shared.
fn each(policy: &Policy, with: &mut dyn FnMut(&str, &Budget)) {
    let mut look = |scope: &str, budget: &Budget| {
        if budget.fund.is_shared() {
            with(scope, budget);
        }
    };
    policy.budgets().for_each(|(scope, budget)| look(scope, budget));
    for drawn in policy.crowd.stirring() {
        drawn.budgets.iter().for_each(|budget| look(&drawn.name, budget));
    }
}

/// A soft budget leases nothing: it only tells what is spent, and so has a name of its own.
fn key_of(scope: &str, budget: &Budget, grant: &faregate_policy::budget::Grant) -> Key {
    let scope = if budget.is_soft {
        format!("soft:{scope}").into()
    } else {
        keeper::scope_of(scope, budget)
    };
    Key { scope, window: keeper::window(grant.window) }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
