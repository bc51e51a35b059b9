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
        let mut compacted = Compacted::default();
        loop {
            let deleted = self.compact_some(moment, STEP)?;
            compacted.deleted += deleted;
            if deleted == 0 {
                break;
            }
        }
        let open: i64 = self.connection.query_row(
            "SELECT count(*) FROM entry WHERE booked_at < ?1",
            params![int(moment)],
            |row| row.get(0),
        )?;
        compacted.open = usize::try_from(open).unwrap_or(usize::MAX);
        Ok(compacted)
    }

    /// The same for some of the rows, the oldest first: `most`, and those that were booked at the same moment as the last of
    /// them. How many were deleted; when it is none, there is nothing left to do.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn compact_some(&mut self, moment: u64, most: usize) -> Result<usize, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for month in &self.closed {
            let (from, end) = (month.start(), month.end().min(moment));
            let Some(to) = step(&transaction, from, end, most)? else { continue };
            let deleted = delete(&transaction, from, to)?;
            let reached = self.compacted.max(to);
            transaction.execute("DELETE FROM compacted", [])?;
            transaction
                .execute("INSERT INTO compacted (before) VALUES (?1)", params![int(reached)])?;
            transaction.commit()?;
            self.compacted = reached;
            return Ok(deleted);
        }
        Ok(0)
    }

    /// The oldest open month of which there are rows and which has ended by `moment`, in nanoseconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn oldest_open(&self, moment: u64) -> Result<Option<Month>, StoreError> {
        let mut from = 0;
        loop {
            let oldest: Option<i64> = self.connection.query_row(
                "SELECT min(booked_at) FROM entry WHERE booked_at >= ?1",
                params![int(from)],
                |row| row.get(0),
            )?;
            let Some(oldest) = oldest else { return Ok(None) };
            let month = Month::of(oldest.cast_unsigned());
            if month.end() > moment {
                return Ok(None);
            }
            if !self.closed.contains(&month) {
                return Ok(Some(month));
            }
            from = month.end();
        }
    }

    /// When the newest row was booked, in nanoseconds since 1970 UTC; 0 where there is none.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn newest(&self) -> Result<u64, StoreError> {
        let newest: Option<i64> =
            self.connection.query_row("SELECT max(booked_at) FROM entry", [], |row| row.get(0))?;
        Ok(newest.map_or(0, i64::cast_unsigned))
    }
}

/// Rows of one transaction of [`Store::compact`].
const STEP: usize = 10_000;

/// The end of the next rows of a period that are to go, `most` of them or a few more; `None` where there are none.
fn step(db: &Connection, from: u64, end: u64, most: usize) -> Result<Option<u64>, StoreError> {
    if from >= end {
        return Ok(None);
    }
    let mut last = db.prepare(
        "SELECT booked_at FROM entry WHERE booked_at >= ?1 AND booked_at < ?2 \
         ORDER BY booked_at LIMIT 1 OFFSET ?3",
    )?;
    let mut at = |skip: usize| -> Result<Option<i64>, StoreError> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let found = last.query_row(params![int(from), int(end), skip], |row| row.get(0));
        Ok(found.optional()?)
    };
    if let Some(last) = at(most.saturating_sub(1))? {
        return Ok(Some(last.cast_unsigned().saturating_add(1)));
    }
    Ok(at(0)?.map(|_| end))
}

fn delete(db: &Connection, from: u64, to: u64) -> Result<usize, StoreError> {
    let period = params![int(from), int(to)];
    for (source, first, last) in ranges(db, period)? {
        // Steps leave ranges that touch: they become one.
        let (first, last) = joined(db, source, first, last)?;
        db.execute(
            "INSERT INTO gone (source, first, last) VALUES (?1, ?2, ?3)",
            params![source, first, last],
        )?;
    }
    Ok(db.execute("DELETE FROM entry WHERE booked_at >= ?1 AND booked_at < ?2", period)?)
}

/// A range with those that touch it, which are taken out.
fn joined(db: &Connection, source: i64, first: i64, last: i64) -> Result<(i64, i64), StoreError> {
    let before: Option<(i64, i64)> = db
        .prepare(
            "SELECT first, last FROM gone WHERE source = ?1 AND first < ?2 ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![source, first], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let after: Option<i64> = db
        .prepare("SELECT last FROM gone WHERE source = ?1 AND first = ?2")?
        .query_row(params![source, last.saturating_add(1)], |row| row.get(0))
        .optional()?;
    let mut range = (first, last);
    if let Some((start, _)) = before.filter(|(_, end)| end.checked_add(1) == Some(first)) {
        range.0 = start;
        db.execute("DELETE FROM gone WHERE source = ?1 AND first = ?2", params![source, start])?;
    }
    if let Some(end) = after {
        range.1 = end;
        let next = last.saturating_add(1);
        db.execute("DELETE FROM gone WHERE source = ?1 AND first = ?2", params![source, next])?;
    }
    Ok(range)
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
