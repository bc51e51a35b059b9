//! Months that are closed, with a hash over what is in them.
//!
//! A closed month stays as it is: a row that comes later is booked in the first open month, a mistake is put right by a
//! correction. The hash is SHA-256 over [`canonical`](super::canonical) of each row and a line end, in the order of the
//! rows' names; a second one is over the sums of the month's hours, for when rows have been deleted.

use std::fmt::Write;

use faregate_wire::JsonWriter;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::{
    Store, StoreError,
    fold::SUMS,
    stored::{self, canonical, int},
};
use crate::month::{HOUR, Month};

/// A month that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The month.
    pub month: Month,
    /// When it was closed, in nanoseconds since 1970 UTC.
    pub closed_at: u64,
    /// Rows in it.
    pub entries: u64,
    /// What it cost, in nano-dollars.
    pub cost: i64,
    /// The hash over its rows, in hexadecimal digits.
    pub entries_sha256: String,
    /// The hash over the sums of its hours.
    pub sums_sha256: String,
}

/// What a closed month is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Rows and sums are those that were closed.
    Good(Closed),
    /// Rows have been deleted as retention says; the sums are those that were closed.
    SumsGood(Closed),
    /// What is there now (second) is not what was closed (first).
    Changed(Closed, Closed),
}

impl Store {
    /// Closes a month at the moment `now`, in nanoseconds since 1970 UTC.
    ///
    /// # Errors
    ///
    /// It is closed already, has not ended, or the file cannot be written.
    pub fn close(&mut self, month: Month, now: u64) -> Result<Closed, StoreError> {
        if self.closed.contains(&month) {
            return Err(StoreError::Close(format!(
                "{month} is closed already; --verify compares it with its hash"
            )));
        }
        if now < month.end() {
            return Err(StoreError::Close(format!(
                "{month} has not ended: months end at midnight UTC"
            )));
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let closed = measure(&transaction, month, now)?;
        transaction.execute(
            "INSERT INTO closed_month (month, closed_at, entries, cost, entries_sha256, sums_sha256) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                month.to_string(),
                int(now),
                int(closed.entries),
                closed.cost,
                closed.entries_sha256,
                closed.sums_sha256
            ],
        )?;
        transaction.commit()?;
        self.closed.push(month);
        self.closed.sort_unstable();
        Ok(closed)
    }

    /// What was noted when the month was closed; `None` when it is open.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn closing(&self, month: Month) -> Result<Option<Closed>, StoreError> {
        find(&self.connection, month)
    }

    /// Compares a closed month with what was closed; `None` when it is open.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn verify(&self, month: Month) -> Result<Option<Verdict>, StoreError> {
        let Some(then) = find(&self.connection, month)? else { return Ok(None) };
        let now = measure(&self.connection, month, then.closed_at)?;
        let are_sums_good = now.sums_sha256 == then.sums_sha256 && now.cost == then.cost;
        Ok(Some(if now == then {
            Verdict::Good(then)
        } else if are_sums_good && month.start() < self.compacted {
            Verdict::SumsGood(then)
        } else {
            Verdict::Changed(then, now)
        }))
    }
}

/// The months that are closed, in order.
pub(super) fn months(db: &Connection) -> Result<Vec<Month>, StoreError> {
    let mut statement = db.prepare("SELECT month FROM closed_month ORDER BY month")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?;
    found
        .map(|text| {
            let text = text?;
            text.parse().map_err(|_| StoreError::Damaged(format!("a month called {text}")))
        })
        .collect()
}

fn find(db: &Connection, month: Month) -> Result<Option<Closed>, StoreError> {
    let mut statement = db.prepare(
        "SELECT closed_at, entries, cost, entries_sha256, sums_sha256 FROM closed_month \
         WHERE month = ?1",
    )?;
    Ok(statement
        .query_row(params![month.to_string()], |row| {
            Ok(Closed {
                month,
                closed_at: row.get::<_, i64>(0)?.cast_unsigned(),
                entries: row.get::<_, i64>(1)?.cast_unsigned(),
                cost: row.get(2)?,
                entries_sha256: row.get(3)?,
                sums_sha256: row.get(4)?,
            })
        })
        .optional()?)
}

/// What is in a month now.
fn measure(db: &Connection, month: Month, closed_at: u64) -> Result<Closed, StoreError> {
    let (entries, entries_sha256) = hash_entries(db, month)?;
    let (cost, sums_sha256) = hash_sums(db, month)?;
    Ok(Closed { month, closed_at, entries, cost, entries_sha256, sums_sha256 })
}

fn hash_entries(db: &Connection, month: Month) -> Result<(u64, String), StoreError> {
    let mut statement = db.prepare(&format!(
        "{} WHERE entry.source = ?1 AND entry.booked_at >= ?2 AND entry.booked_at < ?3 \
         ORDER BY entry.number",
        stored::SELECT
    ))?;
    let (mut hash, mut count) = (Sha256::new(), 0);
    for source in sources(db)? {
        let mut rows = statement.query(params![source, int(month.start()), int(month.end())])?;
        while let Some(row) = rows.next()? {
            hash.update(canonical(&stored::read(row)?.0));
            hash.update(b"\n");
            count += 1;
        }
    }
    Ok((count, hex(&hash.finalize())))
}

/// The processes that have written rows, by node and process.
fn sources(db: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut statement = db.prepare("SELECT node, boot, id FROM source")?;
    let found = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?)))?;
    let mut sources = found.collect::<Result<Vec<(i64, i64, i64)>, _>>()?;
    sources.sort_unstable_by_key(|(node, boot, _)| (node.cast_unsigned(), boot.cast_unsigned()));
    Ok(sources.into_iter().map(|(.., id)| id).collect())
}

fn hash_sums(db: &Connection, month: Month) -> Result<(i64, String), StoreError> {
    let names = "payer.organisation, payer.team, payer.project, payer.agent, payer.key_name, \
        payer.user_name, payer.tags, work.surface, work.model_asked, work.provider, work.model, work.region, \
        work.price_id, work.usage_source, work.kind";
    let mut statement = db.prepare(&format!(
        "SELECT hour.span, {names}, {} FROM hour JOIN payer ON payer.id = hour.payer \
         JOIN work ON work.id = hour.work WHERE hour.span >= ?1 AND hour.span < ?2 \
         ORDER BY hour.span, {names}",
        SUMS.map(|name| format!("hour.{name}")).join(", ")
    ))?;
    const TEXTS: usize = 13;
    let cost_at = 16 + SUMS.iter().position(|name| *name == "cost").unwrap_or_default();
    let mut rows = statement.query(params![int(month.start() / HOUR), int(month.end() / HOUR)])?;
    let (mut hash, mut cost, mut line) = (Sha256::new(), 0_i64, Vec::new());
    while let Some(row) = rows.next()? {
        line.clear();
        let mut json = JsonWriter::new(&mut line);
        json.array();
        for at in 0..16 + SUMS.len() {
            if (1..=TEXTS).contains(&at) {
                json.str(&row.get::<_, String>(at)?);
            } else {
                json.raw(row.get::<_, i64>(at)?.to_string().as_bytes());
            }
        }
        json.end();
        line.push(b'\n');
        hash.update(&line);
        let full = || StoreError::Damaged(format!("the sum of {month} does not fit"));
        cost = cost.checked_add(row.get(cost_at)?).ok_or_else(full)?;
    }
    Ok((cost, hex(&hash.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
