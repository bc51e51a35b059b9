//! Where rows are kept for questions: one SQLite file.
//!
//! In: rows, as the journal gives them, each with the place behind it. Out: rows and sums for reports. What a row changes is
//! written in one transaction with the journal's place, so a fold that was cut short starts again where the last whole one
//! ended. A row that comes again is known by its name and changes nothing.
//!
//! Writers are one, readers any number: the file is in WAL mode. Where it is lost, folding the journal from its start makes
//! the same rows and sums; only the closing of months has to be repeated.

mod close;
mod compact;
pub(crate) mod crowd;
mod fold;
mod names;
mod stored;
#[cfg(test)]
mod tests;

use std::{fmt, fs, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

pub use close::{Closed, Verdict};
pub use compact::Compacted;
pub use fold::Folded;
pub(crate) use fold::SUMS;
pub use stored::canonical;
pub(crate) use stored::tags_of;

use crate::{month::Month, row::RowId};
use names::Names;

/// The file's name in the data directory.
pub const FILE: &str = "ledger.sqlite";

/// The tables, one text for each version of the schema.
const MIGRATIONS: [&str; 2] = [include_str!("store/schema.sql"), include_str!("store/crowd.sql")];

/// The version of the schema that this program knows.
const VERSION: i64 = 2;

const _: () = assert!(MIGRATIONS.len() == 2, "one text for each version");

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

/// How far a journal has been folded: rows before this place are in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The journal, by its node.
    pub node: u64,
    /// The file of the journal.
    pub segment: u64,
    /// The byte in that file behind the last folded row.
    pub offset: u64,
}

/// The books as tables.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    names: Names,
    /// Months that are closed, in order.
    closed: Vec<Month>,
    /// Rows of closed months before this moment may have been deleted.
    compacted: u64,
}

impl Store {
    /// Opens the store in the folder `data`, which is made where there is none, to write and to read.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, is no store, or was made by a later version.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(data)
            .map_err(|error| StoreError::Folder(data.display().to_string(), error.to_string()))?;
        Self::with(Connection::open(data.join(FILE))?)
    }

    /// Opens the store in the folder `data` to read it; nothing is made or changed.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or its version is not this one's.
    pub fn read(data: &Path) -> Result<Self, StoreError> {
        let file = data.join(FILE);
        if !file.exists() {
            return Err(StoreError::Missing(file.display().to_string()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(BUSY)?;
        tune_reads(&connection)?;
        match version(&connection)? {
            VERSION => Self::over(connection),
            // Its tables are being made, or who was making them has ended: there are no rows.
            0 if is_empty(&connection)? => Self::in_memory(),
            found => Err(StoreError::Version(found, VERSION)),
        }
    }

    /// A store in memory, without rows.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::with(Connection::open_in_memory()?)
    }

    fn with(mut connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(BUSY)?;
        // A fold that a power cut takes back is repeated from the journal, so NORMAL is enough.
        connection.pragma_update(None, "page_size", 8_192)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // Pages that many rows change are then written back once, and not at each thousand pages of the log.
        connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        tune_reads(&connection)?;
        migrate(&mut connection)?;
        Self::over(connection)
    }

    fn over(connection: Connection) -> Result<Self, StoreError> {
        let closed = close::months(&connection)?;
        let compacted = compact::before(&connection)?;
        Ok(Self { connection, names: Names::default(), closed, compacted })
    }

    /// How far the journal of `node` has been folded; `None` when nothing of it has.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn position(&self, node: u64) -> Result<Option<Position>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT segment, at FROM folded WHERE node = ?1")?;
        let found = statement
            .query_row(params![node.cast_signed()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        Ok(found.map(|(segment, offset)| Position {
            node,
            segment: segment.cast_unsigned(),
            offset: offset.cast_unsigned(),
        }))
    }

    /// The months that are closed, in order.
    #[must_use]
    pub fn closed(&self) -> &[Month] {
        &self.closed
    }

    /// Rows of closed months that were booked before this moment, in nanoseconds since 1970 UTC, may have been deleted;
    /// their sums are there.
    #[must_use]
    pub const fn compacted_before(&self) -> u64 {
        self.compacted
    }

    /// How many rows are kept aside, because no request can cost what they say.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn aside(&self) -> Result<u64, StoreError> {
        let count: i64 =
            self.connection.query_row("SELECT count(*) FROM aside", [], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    /// For the reports of this crate.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// What the reports' scans want: a cache of 64 MiB, and the file in the address space.
fn tune_reads(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 32)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// Applies the versions of the schema that the file does not have yet.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found > VERSION {
        return Err(StoreError::Version(found, VERSION));
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if found < VERSION {
        transaction.execute("DELETE FROM schema", [])?;
        transaction.execute("INSERT INTO schema (version) VALUES (?1)", params![VERSION])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Whether nothing has been made in a file.
fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let made: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(made == 0)
}

/// The version of the schema that a file has; 0 when it is empty.
fn version(connection: &Connection) -> Result<i64, StoreError> {
    let known: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema'",
        [],
        |row| row.get(0),
    )?;
    if known == 0 {
        return Ok(0);
    }
    Ok(connection.query_row("SELECT version FROM schema", [], |row| row.get(0))?)
}

/// What went wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The folder (first) cannot be made, and why.
    Folder(String, String),
    /// There is no store at this path.
    Missing(String),
    /// The file's version of the schema, and the one of this program.
    Version(i64, i64),
    /// Two different rows have this name.
    Conflict(RowId),
    /// The row of this name has an amount that no request can cost.
    Amount(RowId),
    /// What SQLite says.
    Sqlite(String),
    /// What is in a column cannot be there.
    Damaged(String),
    /// The month cannot be closed, and why.
    Close(String),
    /// The question cannot be answered, and why.
    Question(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder, why) => write!(f, "{folder}: {why}"),
            Self::Missing(file) => write!(f, "there is no ledger at {file}"),
            Self::Version(found, known) => write!(
                f,
                "the ledger's schema is version {found}, this program knows {known}: use the program that wrote it, or a later one"
            ),
            Self::Conflict(id) => write!(f, "two different rows are called {id}"),
            Self::Amount(id) => write!(f, "row {id} has an amount that cannot be kept"),
            Self::Sqlite(why) => write!(f, "ledger: {why}"),
            Self::Damaged(what) => write!(f, "the ledger is damaged: {what}"),
            Self::Close(why) | Self::Question(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.to_string())
    }
}
