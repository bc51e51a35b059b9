//! What each scope has spent, as the records say.
//!
//! In: records, from the first to the last. Out: what is spent in any window, what is granted, which requests are under way;
//! after a crash, the records that charge what the dead process left open. Remembered: sums by scope and quarter of an hour,
//! so that a window that nobody knew of can be answered as well.
//!
//! **Why a crash costs no budget its limit.** A [`Grant`] is durable before it is used, and names the whole amount that may
//! have been spent in a window. Whatever became of the process, no more than that was. So after a crash the window is charged
//! the difference between the grant and what is known to have been spent. Being a difference, it is not charged twice when
//! the recovery itself is cut short.

use std::{collections::BTreeMap, sync::Arc};

use faregate_price::NanoUsd;
use hashbrown::HashMap;

use super::{
    numbers::Numbers,
    record::{Boot, Grant, Part, QUARTER_NS, Record, Window},
};
use crate::row::{Row, RowId, RowKind};

/// What the names of scopes begin with whose units are no money: `tokens:team/search`. Rows do not say what such a scope has
/// used, so its grants do: what was granted and not given back counts as used when the next process begins. The last is of
/// shares of budgets that somebody was told of.
pub const COUNTED: [&str; 3] = ["tokens:", "requests:", TOLD];

/// What the names of scopes begin with that say which share of a budget somebody was told of.
pub const TOLD: &str = "told:";

/// Sums of all rows, and what is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    scopes: HashMap<Arc<str>, Scope>,
    /// Requests under way, by the name of the row to come.
    intents: HashMap<RowId, Box<Row>>,
    /// The window that a row of lost money was charged to.
    lost: HashMap<RowId, Window>,
    process: (u64, u64),
    /// Numbers of rows of `process`.
    settled: Numbers,
    /// Quarters before this one are no longer kept apart.
    since: u32,
    is_closed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Scope {
    /// What was spent before [`Balances::since`].
    before: i128,
    /// By quarter of an hour, in order.
    quarters: Vec<(u32, i128)>,
    windows: BTreeMap<Window, Held>,
}

/// What is special to one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    charged: i128,
    granted: u64,
}

impl Balances {
    /// What the scope has spent in the window, credits taken off: requests, and money that was lost.
    ///
    /// A window that is not [aligned](Window::is_aligned), or begins before what is kept apart, is answered from above.
    #[must_use]
    pub fn spent(&self, scope: &str, window: Window) -> NanoUsd {
        let sum = self.scopes.get(scope).map_or(0, |scope| scope.spent(window, self.since));
        let granted = if is_counted(scope) { self.granted(scope, window).0 } else { 0 };
        let sum = sum.max(i128::from(granted));
        NanoUsd(u64::try_from(sum.max(0)).unwrap_or(u64::MAX))
    }

    /// How far the present process may spend the scope in the window.
    #[must_use]
    pub fn granted(&self, scope: &str, window: Window) -> NanoUsd {
        let held = self.scopes.get(scope).and_then(|scope| scope.windows.get(&window));
        NanoUsd(held.map_or(0, |held| held.granted))
    }

    /// The rows that would be charged if the process died now, in no order.
    pub fn intents(&self) -> impl Iterator<Item = &Row> {
        self.intents.values().map(|row| &**row)
    }

    /// The names of all scopes, in no order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.keys().map(|scope| &**scope)
    }

    /// Whether the last process ended as it should.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whether the present process has written a row of this name.
    pub(crate) fn has(&self, id: RowId) -> bool {
        (id.node, id.boot) == self.process && self.settled.contains(id.number)
    }

    /// Takes a record into account.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.is_closed = matches!(record, Record::Close { .. });
        match record {
            Record::Row(row) => self.settle(row),
            Record::Grant(grant) => {
                let granted = &mut self.window(&grant.scope, grant.window).granted;
                *granted = grant.total.0.max(*granted);
            }
            Record::Intent(row) => {
                if !self.has(row.id) {
                    self.intents.insert(row.id, row.clone());
                }
            }
            Record::Return(grant) => self.lower(grant),
            Record::Lost { row, window } => self.lose(row, *window),
            Record::Boot(boot) => self.begin(*boot),
            Record::Close { .. } => {}
            Record::Part(part) => self.take_over(part),
        }
    }

    fn settle(&mut self, row: &Row) {
        if (row.id.node, row.id.boot) == self.process && !self.settled.insert(row.id.number) {
            return;
        }
        self.intents.remove(&row.id);
        let sum = i128::from(row.cost.0) * if row.is_credit { -1 } else { 1 };
        let window = row.corrects.and_then(|id| self.lost.get(&id).copied());
        for scope in &*row.scopes {
            match window {
                Some(window) => add(&mut self.window(scope, window).charged, sum),
                None => {
                    let since = self.since;
                    self.scope(scope).add(quarter_of(row.reserved_at), sum, since);
                }
            }
        }
    }

    fn lower(&mut self, grant: &Grant) {
        let Some(scope) = self.scopes.get_mut(&grant.scope) else { return };
        if let Some(held) = scope.windows.get_mut(&grant.window) {
            held.granted = grant.total.0;
            if grant.total.0 == 0 && held.charged == 0 {
                scope.windows.remove(&grant.window);
            }
        }
    }

    fn lose(&mut self, row: &Row, window: Window) {
        // What is no money is never put right by a correction.
        if !row.scopes.iter().all(|scope| is_counted(scope)) {
            self.lost.insert(row.id, window);
        }
        for scope in &*row.scopes {
            add(&mut self.window(scope, window).charged, i128::from(row.cost.0));
        }
    }

    /// What was open has been charged.
    fn begin(&mut self, boot: Boot) {
        self.intents.clear();
        for scope in self.scopes.values_mut() {
            scope.windows.retain(|_, held| held.charged != 0);
            scope.windows.values_mut().for_each(|held| held.granted = 0);
        }
        self.process = (boot.node, boot.boot);
        self.settled = Numbers::default();
        if boot.taken > 0 {
            self.settled.insert_run(1, boot.taken);
        }
    }

    fn take_over(&mut self, part: &Part) {
        match part {
            Part::Since(quarter) => self.since = *quarter,
            Part::Quarter { scope, quarter: Some(quarter), sum } => {
                let since = self.since;
                self.scope(scope).add(*quarter, *sum, since);
            }
            Part::Quarter { scope, quarter: None, sum } => add(&mut self.scope(scope).before, *sum),
            Part::Charged { scope, window, sum } => {
                add(&mut self.window(scope, *window).charged, *sum);
            }
            Part::LostRow { id, window } => {
                self.lost.insert(*id, *window);
            }
            Part::Settled { first, last } => self.settled.insert_run(*first, *last),
        }
    }

    /// Charges what the dead process left open to the scopes that it was granted for, and begins the next process. The
    /// records say so; they have been applied.
    pub(crate) fn recover(&mut self, start: Boot) -> Vec<Record> {
        let mut records = Vec::new();
        let mut open: Vec<Box<Row>> = self.intents.values().cloned().collect();
        open.sort_unstable_by_key(|row| row.id);
        for mut row in open {
            row.kind = RowKind::Unsettled;
            row.cost = row.reserved;
            row.settled_at = start.at;
            self.settle(&row);
            records.push(Record::Row(row));
        }
        let mut taken = 0;
        for (scope, window, lost) in self.missing(start.at) {
            taken += 1;
            let id = RowId { node: start.node, boot: start.boot, number: taken };
            let row = Box::new(lost_row(id, &scope, window, lost, start.at));
            self.lose(&row, window);
            records.push(Record::Lost { row, window });
        }
        let boot = Boot { taken, ..start };
        self.begin(boot);
        self.is_closed = false;
        records.push(Record::Boot(boot));
        records
    }

    /// What was granted and is not known to have been spent, in the order of scopes and windows. Of what is no money, windows
    /// that are over at `at` are left out.
    fn missing(&self, at: u64) -> Vec<(Arc<str>, Window, NanoUsd)> {
        let mut missing = Vec::new();
        for (name, scope) in &self.scopes {
            let is_counted = is_counted(name);
            for (window, held) in scope.windows.iter().filter(|(_, held)| held.granted > 0) {
                if is_counted && window.end <= at {
                    continue;
                }
                // With its sign: more may have been given back than was spent.
                let rest =
                    i128::from(held.granted).saturating_sub(scope.spent(*window, self.since));
                let rest = NanoUsd(u64::try_from(rest.max(0)).unwrap_or(u64::MAX));
                if rest > NanoUsd::ZERO {
                    missing.push((Arc::clone(name), *window, rest));
                }
            }
        }
        missing.sort_unstable_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        missing
    }

    /// No longer keeps apart what lies before `at`, in nanoseconds since 1970 UTC: no window that begins before it and is
    /// not [`Window::ALL`] will be asked for.
    pub(crate) fn forget_before(&mut self, at: u64) {
        let since = quarter_of(at);
        if since <= self.since {
            return;
        }
        self.since = since;
        for scope in self.scopes.values_mut() {
            let old = scope.quarters.partition_point(|(quarter, _)| *quarter < since);
            scope.quarters.drain(..old).for_each(|(_, sum)| add(&mut scope.before, sum));
            scope.windows.retain(|window, held| window.end > at || held.granted > 0);
        }
        self.lost.retain(|_, window| window.end > at);
    }

    /// The records that give these balances when they are applied to none.
    pub(crate) fn records(&self) -> Vec<Record> {
        let (node, boot) = self.process;
        let mut records = vec![Record::Boot(Boot { node, boot, at: 0, taken: 0 })];
        let mut part = |part| records.push(Record::Part(part));
        part(Part::Since(self.since));
        self.settled.runs().for_each(|(first, last)| part(Part::Settled { first, last }));
        self.lost.iter().for_each(|(id, window)| part(Part::LostRow { id: *id, window: *window }));
        for (name, scope) in &self.scopes {
            let quarters = scope.quarters.iter().map(|(at, sum)| (Some(*at), *sum));
            for (quarter, sum) in quarters.chain([(None, scope.before)]) {
                part(Part::Quarter { scope: Arc::clone(name), quarter, sum });
            }
            for (window, held) in &scope.windows {
                part(Part::Charged { scope: Arc::clone(name), window: *window, sum: held.charged });
            }
        }
        for (name, scope) in &self.scopes {
            for (window, held) in &scope.windows {
                let (scope, total) = (Arc::clone(name), NanoUsd(held.granted));
                records.push(Record::Grant(Grant { scope, window: *window, total }));
            }
        }
        records.extend(self.intents.values().cloned().map(Record::Intent));
        if self.is_closed {
            records.push(Record::Close { at: 0 });
        }
        records
    }

    fn scope(&mut self, name: &str) -> &mut Scope {
        self.scopes.entry_ref(name).or_default()
    }

    fn window(&mut self, scope: &str, window: Window) -> &mut Held {
        self.scope(scope).windows.entry(window).or_default()
    }
}

impl Scope {
    fn add(&mut self, quarter: u32, sum: i128, since: u32) {
        if quarter < since {
            add(&mut self.before, sum);
            return;
        }
        match self.quarters.last_mut() {
            Some((last, total)) if *last == quarter => add(total, sum),
            Some((last, _)) if *last > quarter => {
                match self.quarters.binary_search_by_key(&quarter, |(at, _)| *at) {
                    Ok(at) => add(&mut self.quarters[at].1, sum),
                    Err(at) => self.quarters.insert(at, (quarter, sum)),
                }
            }
            _ => self.quarters.push((quarter, sum)),
        }
    }

    fn spent(&self, window: Window, since: u32) -> i128 {
        let first = quarter_of(window.start);
        let end = quarter_of(window.end.saturating_add(QUARTER_NS - 1));
        let from = self.quarters.partition_point(|(quarter, _)| *quarter < first);
        let inside = self.quarters[from..].iter().take_while(|(quarter, _)| *quarter < end);
        let before = if first < since { self.before } else { 0 };
        let charged = self.windows.get(&window).map_or(0, |held| held.charged);
        let sums = inside.map(|(_, sum)| *sum).chain([charged]);
        sums.fold(before, i128::saturating_add)
    }
}

/// Adds to a sum. Of costs, all that a journal can hold stay far below the limit; but a sum that was read from a file can be
/// any number.
fn add(sum: &mut i128, more: i128) {
    *sum = sum.saturating_add(more);
}

/// Whether the scope's units are no money.
fn is_counted(scope: &str) -> bool {
    COUNTED.iter().any(|start| scope.starts_with(start))
}

fn lost_row(id: RowId, scope: &str, window: Window, lost: NanoUsd, at: u64) -> Row {
    Row {
        id,
        kind: RowKind::LostLease,
        reserved_at: at.min(window.end - 1).max(window.start),
        settled_at: at,
        cost: lost,
        reserved: lost,
        scopes: [scope.into()].into(),
        ..Row::default()
    }
}

/// Quarters of an hour since 1970 UTC. All of 64 bits of nanoseconds are some twenty million.
fn quarter_of(at: u64) -> u32 {
    u32::try_from(at / QUARTER_NS).unwrap_or(u32::MAX)
}
