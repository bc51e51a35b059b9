//! Rows that are older than they have to be kept, deleted; their sums stay.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Store, StoreError, stored::int};
use crate::{month::Month, row::Row};

/// What was deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Rows that are gone.
    pub deleted: usize,
    /// Rows before the moment that stay, because their month is open.
    pub open: usize,
}

impl Store {
    /// Deletes the rows of closed months that were booked before `moment`, in nanoseconds since 1970 UTC. Sums of hours and
    /// days stay, and a deleted row that comes again is still known.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn compact(&mut self, moment: u64) -> Result<Compacted, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut compacted = Compacted::default();
        let mut reached = self.compacted;
        for month in &self.closed {
            let (from, to) = (month.start(), month.end().min(moment));
            if from < to {
                compacted.deleted += delete(&transaction, *month, to)?;
                reached = reached.max(to);
            }
        }
        let open: i64 = transaction.query_row(
            "SELECT count(*) FROM entry WHERE booked_at < ?1",
            params![int(moment)],
            |row| row.get(0),
        )?;
        compacted.open = usize::try_from(open).unwrap_or(usize::MAX);
        transaction.execute("DELETE FROM compacted", [])?;
        transaction.execute("INSERT INTO compacted (before) VALUES (?1)", params![int(reached)])?;
        transaction.commit()?;
        self.compacted = reached;
        Ok(compacted)
    }
}

fn delete(db: &Connection, month: Month, to: u64) -> Result<usize, StoreError> {
    let period = params![int(month.start()), int(to)];
    for (source, first, last) in ranges(db, period)? {
        db.execute(
            "INSERT INTO gone (source, first, last) VALUES (?1, ?2, ?3)",
            params![source, first, last],
        )?;
    }
    Ok(db.execute("DELETE FROM entry WHERE booked_at >= ?1 AND booked_at < ?2", period)?)
}

/// The names of the rows of a period, as ranges of numbers without a gap.
fn ranges(
    db: &Connection,
    period: &[&dyn rusqlite::ToSql],
) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let mut statement = db.prepare(
        "SELECT source, number FROM entry WHERE booked_at >= ?1 AND booked_at < ?2 \
         ORDER BY source, number",
    )?;
    let mut rows = statement.query(period)?;
    let mut ranges: Vec<(i64, i64, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (source, number): (i64, i64) = (row.get(0)?, row.get(1)?);
        match ranges.last_mut() {
            Some((of, _, last)) if *of == source && last.checked_add(1) == Some(number) => {
                *last = number;
            }
            _ => ranges.push((source, number, number)),
        }
    }
    Ok(ranges)
}

/// The moment before which rows of closed months may have been deleted.
pub(super) fn before(db: &Connection) -> Result<u64, StoreError> {
    let found: Option<i64> =
        db.query_row("SELECT before FROM compacted", [], |row| row.get(0)).optional()?;
    Ok(found.map_or(0, i64::cast_unsigned))
}

/// Whether the row was in the store and has been deleted.
pub(super) fn is_gone(
    db: &Connection,
    compacted: u64,
    source: i64,
    row: &Row,
) -> Result<bool, StoreError> {
    if row.settled_at >= compacted {
        return Ok(false);
    }
    let found: Option<i64> = db
        .query_row(
            "SELECT 1 FROM gone WHERE source = ?1 AND first <= ?2 AND last >= ?2",
            params![source, int(row.id.number)],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.is_some())
}
