//! Rows that are older than the policy keeps them: their month is closed, then they go, in small steps.
//!
//! In: the store, how long rows are kept, the present. Out: fewer rows, the same sums. Remembered: when to look again.
//!
//! What is old is measured from the newest row at most, so that a clock that runs ahead deletes nothing by itself.

use std::time::Duration;

use faregate_ledger::store::{Store, StoreError};

/// How often it is looked at.
const LOOK: u64 = 3_600_000_000_000;

/// Rows that go at once: some tens of milliseconds, while which nothing is folded.
const STEP: usize = 5_000;

/// What the journal keeps of budgets apart: the longest window is a year.
const WINDOWS: u64 = 400 * 86_400_000_000_000;

/// When to look again.
#[derive(Debug, Default)]
pub(super) struct Retention {
    due: u64,
    deleted: usize,
}

impl Retention {
    /// Does one step, if there is one to do. The moment before which the journal need not keep windows apart, now and then.
    pub(super) fn step(
        &mut self,
        store: &mut Store,
        keep: Option<Duration>,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        // A clock that was set back is no reason to wait for longer.
        if now < self.due && self.due - now <= LOOK {
            return Ok(None);
        }
        let newest = store.newest()?.min(now);
        if let Some(keep) = keep {
            let nanos = u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX);
            let moment = newest.saturating_sub(nanos);
            if let Some(month) = store.oldest_open(moment)? {
                let closed = store.close(month, now)?;
                tracing::info!(
                    %month,
                    rows = closed.entries,
                    sha256 = closed.entries_sha256,
                    "a month is closed, because its rows are older than ledger.keep"
                );
                return Ok(None);
            }
            let deleted = store.compact_some(moment, STEP)?;
            self.deleted += deleted;
            if deleted > 0 {
                return Ok(None);
            }
            if self.deleted > 0 {
                tracing::info!(
                    rows = self.deleted,
                    "rows older than ledger.keep are deleted; their sums stay"
                );
                self.deleted = 0;
            }
        }
        self.due = now.saturating_add(LOOK);
        Ok(Some(newest.saturating_sub(WINDOWS)))
    }
}

#[cfg(test)]
mod tests {
    use faregate_ledger::{Row, RowId};

    use super::*;

    const DAY: u64 = 86_400_000_000_000;
    const NOVEMBER: u64 = 1_793_491_200_000_000_000;

    fn rows(count: u64, apart: u64) -> Vec<Row> {
        let row = |number| {
            let at = NOVEMBER + number * apart;
            let id = RowId { node: 1, boot: 1, number };
            Row { id, reserved_at: at, settled_at: at, ..Row::default() }
        };
        (1..=count).map(row).collect()
    }

    #[test]
    fn old_months_are_closed_and_their_rows_go_in_small_steps() {
        let mut store = Store::in_memory().unwrap();
        let rows = rows(30_000, DAY / 400);
        store.fold(&rows, None).unwrap();
        let newest = store.newest().unwrap();
        assert!(newest > NOVEMBER + 70 * DAY, "it begins in November and reaches into January");
        let (mut retention, keep) = (Retention::default(), Some(Duration::from_secs(31 * 86_400)));
        // A clock that runs ahead by years closes and deletes what the rows themselves say is old.
        let now = newest + 4000 * DAY;
        let mut steps = 0;
        let since = loop {
            steps += 1;
            assert!(steps < 20, "it does not come to an end");
            if let Some(since) = retention.step(&mut store, keep, now).unwrap() {
                break since;
            }
        };
        assert_eq!(since, newest.saturating_sub(WINDOWS));
        let closed: Vec<_> = store.closed().iter().map(ToString::to_string).collect();
        assert_eq!(closed, ["2026-11"]);
        assert_eq!(store.compacted_before(), store.closed()[0].end());
        assert!(steps >= 3, "in steps of {STEP}: {steps}");
        assert_eq!(retention.step(&mut store, keep, now + 1).unwrap(), None, "not again at once");
        assert_eq!(store.closed().len(), 1);
    }

    #[test]
    fn without_a_word_of_the_policy_every_row_stays() {
        let mut store = Store::in_memory().unwrap();
        store.fold(&rows(100, DAY), None).unwrap();
        assert!(Retention::default().step(&mut store, None, u64::MAX / 2).unwrap().is_some());
        assert_eq!((store.closed().len(), store.compacted_before()), (0, 0));
    }
}
