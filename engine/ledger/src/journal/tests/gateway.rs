//! A gateway that spends as it was granted, and remembers what it was told.
//!
//! In: steps, and a disk that fails. Out: whether what a journal says after it agrees with what was acknowledged before.

use std::collections::BTreeMap;

use faregate_price::NanoUsd;

use super::rows::{HOUR, NOON};
use crate::{
    journal::{
        AppendError, Grant, Journal, OpenError, Record, Settings, Start, Window, check::everything,
        disk::simulated::Simulated,
    },
    row::{Row, RowId, RowKind},
};

pub(super) const DAY: Window =
    Window { start: NOON - 12 * 3_600_000_000_000, end: NOON + 43_200_000_000_000 };
pub(super) const LIMIT: u64 = 1_000;
pub(super) const SCOPES: [&str; 2] = ["team/a", "key/b"];

/// One step of a gateway.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Raises what scope and window may spend.
    Grant(usize, bool, u64),
    /// Settles a request of both scopes, as far as they may.
    Row(u64),
    /// Begins a request of both scopes that lasts.
    Begin(u64),
    /// Settles the oldest of those.
    Finish,
    /// Gives back a part of the first row.
    Credit(u64),
    /// Lowers the grant to what is spent or held.
    Return(usize, bool),
    /// Makes everything so far durable.
    Commit,
    /// Lets the journal remove what it can.
    Retain,
    /// Ends as it should, and starts again.
    Restart,
}

/// A window of a scope, as the gateway knows it.
#[derive(Clone, Debug, Default)]
struct Pool {
    /// What rows, sent or not, and requests under way have taken since the start of the window.
    spent: u64,
    /// What is durable of the grants: the gateway spends no more.
    granted: u64,
    /// The least that may be found charged after a crash: all that could have been spent.
    floor: u64,
    /// The most: all that was ever asked for.
    ceiling: u64,
}

/// A gateway, and what it remembers of what it was told.
#[derive(Default)]
pub(super) struct Gateway {
    pools: BTreeMap<(usize, bool), Pool>,
    pending: Vec<Record>,
    under_way: Vec<(RowId, u64)>,
    sent: BTreeMap<RowId, Row>,
    acknowledged: BTreeMap<RowId, Row>,
    folded: BTreeMap<RowId, Row>,
    boot: u64,
    number: u64,
}

fn window(is_day: bool) -> Window {
    if is_day { DAY } else { HOUR }
}

pub(super) fn settings() -> Settings {
    // A segment holds two or three batches, so that a short script begins several.
    Settings { segment_bytes: 400, ..Settings::default() }
}

impl Gateway {
    fn start(&mut self, disk: &Simulated) -> Option<Journal<Simulated>> {
        self.boot += 1;
        let start = Start { node: 7, boot: self.boot, at: NOON + self.boot };
        let (journal, recovery) = match Journal::open(disk.clone(), settings(), start) {
            Ok(opened) => opened,
            Err(OpenError::Io { .. }) => return None,
            Err(error) => unreachable!("no disk that fails does this: {error}"),
        };
        self.check(disk, &journal);
        self.number = recovery.first_row - 1;
        for (scope, is_day) in [(0, false), (0, true), (1, false), (1, true)] {
            let spent = journal.balances().spent(SCOPES[scope], window(is_day)).0;
            let pool = self.pools.entry((scope, is_day)).or_default();
            *pool = Pool { spent, granted: 0, floor: spent, ceiling: pool.ceiling };
        }
        Some(journal)
    }

    fn name(&mut self) -> RowId {
        self.number += 1;
        RowId { node: 7, boot: self.boot, number: self.number }
    }

    /// Runs the script until the disk stops it. The journal, if it is still open.
    pub(super) fn run(&mut self, disk: &Simulated, script: &[Step]) -> Option<Journal<Simulated>> {
        let mut journal = self.start(disk)?;
        for step in script {
            match *step {
                Step::Grant(scope, is_day, more) => self.grant(scope, is_day, more),
                Step::Row(cost) => {
                    let id = self.name();
                    if self.take(cost) {
                        self.settle(id, cost);
                    }
                }
                Step::Begin(reserved) => self.begin(reserved),
                Step::Finish if self.under_way.is_empty() => {}
                Step::Finish => {
                    let (id, reserved) = self.under_way.remove(0);
                    self.give_back(reserved / 2);
                    self.settle(id, reserved - reserved / 2);
                }
                Step::Credit(cost) => self.credit(cost),
                Step::Return(scope, is_day) => self.lower(scope, is_day),
                Step::Commit => self.commit(&mut journal)?,
                Step::Retain => self.retain(disk, &mut journal)?,
                Step::Restart => {
                    self.commit(&mut journal)?;
                    for (scope, is_day) in [(0, false), (0, true), (1, false), (1, true)] {
                        self.lower(scope, is_day);
                    }
                    self.commit(&mut journal)?;
                    journal.close(NOON).ok()?;
                    journal = self.start(disk)?;
                    self.under_way.clear();
                }
            }
        }
        Some(journal)
    }

    fn grant(&mut self, scope: usize, is_day: bool, more: u64) {
        let pool = self.pools.entry((scope, is_day)).or_default();
        let total = (pool.spent.max(pool.granted) + more).min(LIMIT);
        pool.ceiling = pool.ceiling.max(total);
        let (scope, window, total) = (SCOPES[scope].into(), window(is_day), NanoUsd(total));
        self.pending.push(Record::Grant(Grant { scope, window, total }));
    }

    fn lower(&mut self, scope: usize, is_day: bool) {
        let pool = self.pools.entry((scope, is_day)).or_default();
        pool.granted = pool.granted.min(pool.spent);
        // From here on the gateway spends no more than it says now.
        pool.floor = pool.floor.min(pool.spent);
        let total = NanoUsd(pool.spent);
        let grant = Grant { scope: SCOPES[scope].into(), window: window(is_day), total };
        self.pending.push(Record::Return(grant));
    }

    /// Takes money in every window that is limited, or in none.
    fn take(&mut self, cost: u64) -> bool {
        let fits = |pool: &Pool| pool.spent + cost <= pool.granted;
        let may = self.pools.iter().filter(|((_, is_day), _)| !is_day).all(|(_, pool)| fits(pool));
        if may {
            for pool in self.pools.values_mut() {
                pool.spent += cost;
                pool.ceiling = pool.ceiling.max(pool.spent);
            }
        }
        may
    }

    fn give_back(&mut self, cost: u64) {
        self.pools.values_mut().for_each(|pool| pool.spent = pool.spent.saturating_sub(cost));
    }

    fn row(id: RowId, cost: u64) -> Row {
        Row {
            id,
            cost: NanoUsd(cost),
            reserved: NanoUsd(cost),
            reserved_at: NOON + 5,
            scopes: SCOPES.map(Into::into).into(),
            ..Row::default()
        }
    }

    fn settle(&mut self, id: RowId, cost: u64) {
        let row = Self::row(id, cost);
        self.sent.insert(id, row.clone());
        self.pending.push(Record::Row(Box::new(row)));
    }

    fn begin(&mut self, reserved: u64) {
        let id = self.name();
        if self.take(reserved) {
            self.under_way.push((id, reserved));
            self.pending.push(Record::Intent(Box::new(Self::row(id, reserved))));
        }
    }

    fn credit(&mut self, cost: u64) {
        let Some(corrects) = self.sent.keys().next().copied() else { return };
        let id = self.name();
        let row = Row {
            kind: RowKind::Correction,
            corrects: Some(corrects),
            is_credit: true,
            ..Self::row(id, cost)
        };
        self.give_back(cost);
        // Where nothing is granted, less may be found from here on; where something is, that could still be spent.
        for pool in self.pools.values_mut().filter(|pool| pool.granted == 0) {
            pool.floor = pool.floor.saturating_sub(cost);
        }
        self.sent.insert(id, row.clone());
        self.pending.push(Record::Row(Box::new(row)));
    }

    /// Appends what is pending. `None` when the disk has had enough.
    fn commit(&mut self, journal: &mut Journal<Simulated>) -> Option<()> {
        while !self.pending.is_empty() {
            let appended = match journal.append(&self.pending) {
                Ok(appended) => appended,
                // One failure a run: the second attempt finds room.
                Err(AppendError::NoSpace(_)) => journal.append(&self.pending).ok()?,
                Err(AppendError::Broken(_)) => return None,
            };
            assert_eq!(appended.refused, []);
            for record in self.pending.drain(..appended.taken) {
                match record {
                    Record::Row(row) => {
                        self.acknowledged.insert(row.id, *row);
                    }
                    // As the journal's thread tells it: one that is given back in the same batch is none.
                    Record::Grant(grant) if journal.is_in_force(&grant) => {
                        let scope = SCOPES.iter().position(|name| **name == *grant.scope);
                        let key = (scope.expect("a scope of ours"), grant.window == DAY);
                        let pool = self.pools.entry(key).or_default();
                        pool.granted = grant.total.0.max(pool.granted);
                        // Everything that is granted could have been spent, without a trace.
                        pool.floor = grant.total.0.max(pool.floor);
                    }
                    _ => {}
                }
            }
        }
        Some(())
    }

    /// A store reads everything, then what it has read may go.
    fn retain(&mut self, disk: &Simulated, journal: &mut Journal<Simulated>) -> Option<()> {
        self.commit(journal)?;
        for record in everything(disk, journal.durable()) {
            if let Record::Row(row) | Record::Lost { row, .. } = record {
                self.folded.insert(row.id, *row);
            }
        }
        journal.retain(u64::MAX).ok().map(drop)
    }

    /// Holds a recovered journal against what was acknowledged.
    pub(super) fn check(&self, disk: &Simulated, journal: &Journal<Simulated>) {
        let mut found = BTreeMap::new();
        for record in everything(disk, journal.durable()) {
            if let Record::Row(row) | Record::Lost { row, .. } = record {
                let id = row.id;
                assert_eq!(found.insert(id, *row), None, "{id:?} is there twice");
            }
        }
        for (id, row) in &self.acknowledged {
            let there = found.get(id).or_else(|| self.folded.get(id));
            assert_eq!(there, Some(row), "a row that was acknowledged");
        }
        for (id, row) in found.iter().filter(|(_, row)| row.kind == RowKind::Request) {
            assert_eq!(self.sent.get(id), Some(row), "a row that nobody sent");
        }
        for ((scope, is_day), pool) in &self.pools {
            let spent = journal.balances().spent(SCOPES[*scope], window(*is_day)).0;
            let (name, floor, ceiling) = (SCOPES[*scope], pool.floor, pool.ceiling);
            assert!(spent >= floor, "{name}, day {is_day}: {spent} of {floor} are charged");
            assert!(spent <= ceiling, "{name}, day {is_day}: {spent} are charged, of {ceiling}");
            assert!(ceiling <= LIMIT, "the gateway itself keeps to the limit");
        }
        assert_eq!(journal.balances().intents().count(), 0, "a request is still under way");
    }
}
