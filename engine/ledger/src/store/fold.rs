//! Rows taken into the store, with the sums of their hours and days and the journal's place, in one transaction.

use hashbrown::HashMap;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    Position, Store, StoreError, compact, crowd,
    names::Names,
    stored::{self, Place, canonical, int},
};
use crate::{
    month::{DAY, HOUR, Month},
    row::{Row, RowKind},
};

/// The columns of sums, in order.
pub(crate) const SUMS: [&str; 16] = [
    "requests",
    "errors",
    "cache_hits",
    "input",
    "cache_read",
    "cache_write",
    "cache_write_long",
    "audio_input",
    "output",
    "reasoning",
    "audio_output",
    "cost",
    "saved_by_cache",
    "saved_by_routing",
    "wasted",
    "entries",
];

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Rows that are new.
    pub new: usize,
    /// Rows that were there.
    pub known: usize,
    /// New rows whose month was closed: they are booked at the start of the first open one.
    pub late: usize,
    /// Rows with an amount that no request can cost: kept aside, in no sum.
    pub aside: usize,
}

/// Sums of rows, in the order of [`SUMS`].
pub(super) type Sums = [i64; SUMS.len()];

/// A span of time, who, what.
pub(super) type Cell = (u64, i64, i64);

impl Store {
    /// Takes rows in and notes how far the journal has been read, all of it or nothing.
    ///
    /// # Errors
    ///
    /// A row has the name of a different one, or the file cannot be written.
    pub fn fold(&mut self, rows: &[Row], position: Option<Position>) -> Result<Folded, StoreError> {
        let folded = self.try_fold(rows, position);
        if folded.is_err() {
            self.names.forget();
        }
        folded
    }

    fn try_fold(&mut self, rows: &[Row], position: Option<Position>) -> Result<Folded, StoreError> {
        let Self { connection, names, closed, compacted } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut folded = Folded::default();
        let mut hours: HashMap<Cell, Sums> = HashMap::new();
        {
            let mut insert = transaction.prepare(stored::INSERT)?;
            for row in rows {
                let place = place(&transaction, names, closed, row)?;
                if compact::is_gone(&transaction, *compacted, place.source, row)? {
                    folded.known += 1;
                } else if !stored::is_sane(row) {
                    folded.aside += set_aside(&transaction, row, place)?;
                } else if stored::insert(&mut insert, row, place)? {
                    folded.new += 1;
                    folded.late += usize::from(place.booked_at != row.settled_at);
                    let cell = (place.booked_at / HOUR, place.payer, place.work);
                    add(hours.entry(cell).or_default(), &sums(row), row)?;
                } else {
                    same(&transaction, row, place)?;
                    folded.known += 1;
                }
            }
        }
        write_sums(&transaction, "hour", &hours)?;
        write_sums(&transaction, "day", &days(&hours)?)?;
        let crowds = crowd::sums(&transaction, names.crowds(), &hours)?;
        write_sums(&transaction, "crowd_hour", &crowds)?;
        if let Some(position) = position {
            write_position(&transaction, position)?;
        }
        transaction.commit()?;
        Ok(folded)
    }
}

fn place(
    db: &Connection,
    names: &mut Names,
    closed: &[Month],
    row: &Row,
) -> Result<Place, StoreError> {
    Ok(Place {
        source: names.source(db, row)?,
        payer: names.payer(db, row)?,
        work: names.work(db, row)?,
        booked_at: booked_at(closed, row.settled_at),
    })
}

/// When a row is booked that was settled at a moment: then, or at the start of the first open month behind a closed one.
fn booked_at(closed: &[Month], settled_at: u64) -> u64 {
    if closed.is_empty() {
        return settled_at.min(i64::MAX.cast_unsigned());
    }
    let mut month = Month::of(settled_at);
    if closed.binary_search(&month).is_err() {
        return settled_at.min(i64::MAX.cast_unsigned());
    }
    while closed.binary_search(&month).is_ok() {
        month = month.next();
    }
    month.start()
}

/// Fails unless the row that has this name says the same.
fn same(db: &Connection, row: &Row, place: Place) -> Result<(), StoreError> {
    let kept = stored::find(db, place.source, row.id.number)?;
    if canonical(&kept) == canonical(row) { Ok(()) } else { Err(StoreError::Conflict(row.id)) }
}

fn set_aside(db: &Connection, row: &Row, place: Place) -> Result<usize, StoreError> {
    let text = canonical(row);
    let values = params![place.source, int(row.id.number), text];
    Ok(db.execute(
        "INSERT INTO aside (source, number, entry) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        values,
    )?)
}

/// What a row adds to sums. Tokens and savings are added as the row says them; only what was paid has a sign.
fn sums(row: &Row) -> Sums {
    let usage = stored::tokens(&row.usage);
    let is_request = matches!(row.kind, RowKind::Request | RowKind::Unsettled);
    let is_error = is_request && (row.work.status >= 400 || !row.work.fault.is_empty());
    [
        i64::from(is_request),
        i64::from(is_error),
        i64::from(is_request && row.work.cache_hit),
        int(usage.input),
        int(usage.cache_read),
        int(usage.cache_write),
        int(usage.cache_write_long),
        int(usage.audio_input),
        int(usage.output),
        int(usage.reasoning),
        int(usage.audio_output),
        stored::signed(row, row.cost),
        int(row.saved_by_cache.0),
        int(row.saved_by_routing.0),
        stored::signed(row, row.wasted),
        1,
    ]
}

fn add(to: &mut Sums, more: &Sums, row: &Row) -> Result<(), StoreError> {
    for (sum, more) in to.iter_mut().zip(more) {
        *sum = sum.checked_add(*more).ok_or(StoreError::Amount(row.id))?;
    }
    Ok(())
}

/// The sums of hours as sums of days.
fn days(hours: &HashMap<Cell, Sums>) -> Result<HashMap<Cell, Sums>, StoreError> {
    let mut days: HashMap<Cell, Sums> = HashMap::new();
    for (&(hour, payer, work), sums) in hours {
        let day = days.entry((hour / (DAY / HOUR), payer, work)).or_default();
        for (sum, more) in day.iter_mut().zip(sums) {
            let full = || StoreError::Damaged("a day's sum does not fit".into());
            *sum = sum.checked_add(*more).ok_or_else(full)?;
        }
    }
    Ok(days)
}

/// Adds sums to those in a table. A sum that does not fit its column fails the statement and with it the fold.
fn write_sums(db: &Connection, table: &str, cells: &HashMap<Cell, Sums>) -> Result<(), StoreError> {
    let marks: Vec<String> = (0..SUMS.len()).map(|at| format!("?{}", at + 4)).collect();
    let added: Vec<String> =
        SUMS.iter().map(|name| format!("{name} = {table}.{name} + excluded.{name}")).collect();
    let mut statement = db.prepare(&format!(
        "INSERT INTO {table} (span, payer, work, {}) VALUES (?1, ?2, ?3, {}) \
         ON CONFLICT (span, payer, work) DO UPDATE SET {}",
        SUMS.join(", "),
        marks.join(", "),
        added.join(", ")
    ))?;
    let mut cells: Vec<_> = cells.iter().collect();
    cells.sort_unstable_by_key(|(cell, _)| **cell);
    for ((span, payer, work), sums) in cells {
        let keys = [int(*span), *payer, *work];
        statement.execute(rusqlite::params_from_iter(keys.iter().chain(sums)))?;
    }
    Ok(())
}

fn write_position(db: &Connection, position: Position) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO folded (node, segment, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (node) DO UPDATE SET segment = excluded.segment, at = excluded.at",
        params![
            position.node.cast_signed(),
            position.segment.cast_signed(),
            position.offset.cast_signed()
        ],
    )?;
    Ok(())
}
