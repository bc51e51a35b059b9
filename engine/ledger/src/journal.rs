//! The journal: the append-only truth about money.
//!
//! In: records, in batches. Out: the sequence number up to which they are durable; after a crash, the balances. Remembered
//! between calls: the dictionary of the open segment and the balances so far. The format and the rules are in
//! `docs/journal.md`.

pub mod balances;
pub(crate) mod bytes;
#[cfg(any(test, feature = "check"))]
pub mod check;
pub(crate) mod decode;
pub(crate) mod dictionary;
pub mod disk;
pub(crate) mod encode;
pub mod error;
pub mod follow;
pub(crate) mod numbers;
pub mod record;
mod recover;
pub(crate) mod segment;
pub(crate) mod shelf;
pub mod writer;

use std::{io, sync::Arc};

use hashbrown::HashSet;

pub use balances::Balances;
pub use bytes::Malformed;
use dictionary::Dictionary;
use disk::{Disk, append_all};
pub use encode::{SCOPES_MAX, TAGS_MAX, TEXT_BYTES_MAX, fits};
pub use error::{AppendError, OpenError, Refused};
pub use follow::{Follow, Position};
pub use record::{Boot, Grant, Part, QUARTER_NS, Record, Unfit, Window};
pub use recover::{Recovery, Start};
use segment::{HEAD_BYTES, Head, Kind};
pub use writer::{Asked, Granted, Health, Inbox, Writer, WriterSettings};

/// The largest segment, whatever the settings say: a start reads it whole.
const SEGMENT_BYTES_MAX: u64 = 256 << 20;

// A last batch goes beyond it.
const _: () = assert!(
    SEGMENT_BYTES_MAX + (segment::BATCH_BYTES_MAX as u64) + 4096 < segment::FILE_BYTES_MAX as u64
);

/// How large a journal becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A segment of this size is followed by another one. At most 256 MiB.
    pub segment_bytes: u64,
    /// Beyond this size of all files nothing more is granted.
    pub bytes_max: u64,
    /// How much further it grows for rows of what was granted before. Beyond, rows are refused too.
    pub spare_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 32 << 20, bytes_max: 4 << 30, spare_bytes: 256 << 20 }
    }
}

/// What became of the start of a list of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many records were dealt with: the rest is for the next call.
    pub taken: usize,
    /// Those of them that were left out, by their place in the list.
    pub refused: Vec<(usize, Refused)>,
    /// The sequence number up to which everything is durable.
    pub durable: u64,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: D,
    _lock: D::Lock,
    settings: Settings,
    head: Head,
    file: D::File,
    /// What of the open segment is durable.
    length: u64,
    /// The sequence number of the next record.
    next: u64,
    /// The size of all other files.
    others: u64,
    dictionary: Dictionary,
    batch: Vec<u8>,
    /// Numbers of rows of the batch.
    numbers: HashSet<u64>,
    balances: Balances,
    process: (u64, u64),
    broken: Option<Arc<str>>,
}

impl<D: Disk> Journal<D> {
    /// Opens the journal on `disk`, or begins one. What a process that did not end as it should has left open is charged
    /// before this returns.
    ///
    /// # Errors
    ///
    /// When another process has the journal, when a file is damaged or missing, when the disk fails.
    pub fn open(disk: D, settings: Settings, start: Start) -> Result<(Self, Recovery), OpenError> {
        recover::open(disk, settings, start)
    }

    /// Appends records from the start of the list, as many as one batch takes, and makes them durable.
    ///
    /// # Errors
    ///
    /// Nothing of the list was written then; but see [`AppendError::Broken`].
    pub fn append(&mut self, records: &[Record]) -> Result<Appended, AppendError> {
        self.ready()?;
        self.rotate_if_long()?;
        let mark = self.dictionary.mark();
        let mut appended = Appended::default();
        let mut count = 0;
        segment::open_batch(&mut self.batch);
        self.numbers.clear();
        for (at, record) in records.iter().enumerate() {
            if self.batch.len() >= segment::BATCH_BYTES {
                break;
            }
            match self.admit(record) {
                Ok(()) => {
                    encode::encode(record, &mut self.dictionary, &mut self.batch);
                    count += 1;
                }
                Err(refused) => appended.refused.push((at, refused)),
            }
            appended.taken += 1;
        }
        if count > 0 {
            self.write(count, mark)?;
        }
        let mut left_out = appended.refused.iter().map(|(at, _)| *at).peekable();
        for (at, record) in records.iter().take(appended.taken).enumerate() {
            if left_out.next_if_eq(&at).is_none() {
                self.balances.apply(record);
            }
        }
        appended.durable = self.durable();
        Ok(appended)
    }

    /// Says that the process ends as it should: nothing is lost, and nothing will be charged for it.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the next start recovers then, as after a crash.
    pub fn close(mut self, at: u64) -> Result<(), AppendError> {
        self.ready()?;
        self.write_all(&[Record::Close { at }])
    }

    /// Removes segments up to the one of this number, as far as snapshots stand in for them. How many.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn retain(&mut self, folded: u64) -> Result<usize, AppendError> {
        self.ready()?;
        let removed = self.remove_old(folded);
        removed.map_err(|error| self.break_down("removing old segments", &error))
    }

    /// No longer keeps sums apart that lie before `at`, in nanoseconds since 1970 UTC: no window but [`Window::ALL`] that
    /// begins before it will be asked for.
    pub fn forget_before(&mut self, at: u64) {
        self.balances.forget_before(at);
    }

    /// What everybody has spent, up to the last record that is durable.
    #[must_use]
    pub const fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Whether a grant that was appended holds: it does not when it was given back in the same batch.
    #[must_use]
    pub fn is_in_force(&self, grant: &Grant) -> bool {
        self.balances.granted(&grant.scope, grant.window) >= grant.total
    }

    /// The sequence number up to which everything is durable.
    #[must_use]
    pub const fn durable(&self) -> u64 {
        self.next - 1
    }

    /// The size of all files, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.others + self.length
    }

    /// Whether it has reached its size: nothing more is granted.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes() >= self.settings.bytes_max
    }

    fn ready(&self) -> Result<(), AppendError> {
        match &self.broken {
            Some(why) => Err(AppendError::Broken(Arc::clone(why))),
            None => Ok(()),
        }
    }

    /// Whether a record from outside may be in this batch.
    fn admit(&mut self, record: &Record) -> Result<(), Refused> {
        fits(record).map_err(Refused::Unfit)?;
        let bytes = self.bytes() + self.batch.len() as u64;
        let max = match record {
            Record::Row(row) => {
                if (row.id.node, row.id.boot) != self.process {
                    return Err(Refused::Foreign);
                }
                if self.balances.has(row.id) || self.numbers.contains(&row.id.number) {
                    return Err(Refused::Twice);
                }
                self.settings.bytes_max + self.settings.spare_bytes
            }
            Record::Intent(row) if (row.id.node, row.id.boot) != self.process => {
                return Err(Refused::Foreign);
            }
            Record::Return(_) => u64::MAX,
            Record::Grant(_) | Record::Intent(_) => self.settings.bytes_max,
            Record::Lost { .. } | Record::Boot(_) | Record::Close { .. } | Record::Part(_) => {
                return Err(Refused::Unfit(Unfit::Reserved));
            }
        };
        if bytes >= max {
            return Err(Refused::Full);
        }
        if let Record::Row(row) = record {
            self.numbers.insert(row.id.number);
        }
        Ok(())
    }

    /// Writes records of the journal's own.
    fn write_all(&mut self, records: &[Record]) -> Result<(), AppendError> {
        let mut rest = records.iter().peekable();
        while rest.peek().is_some() {
            self.rotate_if_long()?;
            let mark = self.dictionary.mark();
            segment::open_batch(&mut self.batch);
            let mut count = 0;
            while let Some(record) = rest.next_if(|_| self.batch.len() < segment::BATCH_BYTES) {
                encode::encode(record, &mut self.dictionary, &mut self.batch);
                count += 1;
            }
            self.write(count, mark)?;
        }
        Ok(())
    }

    /// Writes the batch and makes it durable.
    fn write(&mut self, count: u32, mark: dictionary::Mark) -> Result<(), AppendError> {
        segment::seal(&mut self.batch, self.next, count);
        if let Err(error) = append_all(&self.disk, &mut self.file, &self.batch) {
            let error = self.no_space("appending", error)?;
            // What of it was appended must not stand before the next batch.
            return match self.disk.truncate(&mut self.file, self.length) {
                Ok(()) => {
                    self.dictionary.forget_since(mark);
                    Err(error)
                }
                Err(error) => Err(self.break_down("cutting off half a batch", &error)),
            };
        }
        if let Err(error) = self.disk.sync(&mut self.file) {
            return Err(self.break_down("sync", &error));
        }
        self.length += self.batch.len() as u64;
        self.next += u64::from(count);
        Ok(())
    }

    /// Begins the next segment when the present one is long enough.
    fn rotate_if_long(&mut self) -> Result<(), AppendError> {
        let length = self.settings.segment_bytes.clamp(HEAD_BYTES as u64 + 1, SEGMENT_BYTES_MAX);
        if self.length < length {
            return Ok(());
        }
        let head = Head { number: self.head.number + 1, first: self.next, ..self.head };
        let begun = recover::begin_segment(&self.disk, head);
        let file = match begun {
            Ok(file) => file,
            Err(error) => {
                let error = self.no_space("beginning a segment", error)?;
                return match self.remove_if_there(&head.name()) {
                    Ok(()) => Err(error),
                    Err(error) => Err(self.break_down("beginning a segment", &error)),
                };
            }
        };
        self.others += self.length;
        (self.file, self.head, self.length) = (file, head, HEAD_BYTES as u64);
        self.dictionary = Dictionary::default();
        self.snapshot()
    }

    /// Writes down the balances, as they are at the start of the open segment. One for which there is no room is left out.
    fn snapshot(&mut self) -> Result<(), AppendError> {
        let head = Head { kind: Kind::Snapshot, number: self.head.number - 1, ..self.head };
        let bytes = segment::whole_file(head, &self.balances.records());
        if bytes.len() > segment::FILE_BYTES_MAX {
            // Segments stay then, until the journal is full: better than a snapshot that nobody reads.
            return Ok(());
        }
        match recover::replace(&self.disk, &head.name(), &bytes) {
            Ok(()) => {
                self.others += bytes.len() as u64;
                Ok(())
            }
            Err(error) => self.no_space("writing a snapshot", error).map(drop),
        }
    }

    fn remove_if_there(&self, name: &str) -> io::Result<()> {
        match self.disk.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Keeps the two latest snapshots, and every segment that is newer than the older of them: should one snapshot rot, the
    /// other and the segments say the same.
    fn remove_old(&mut self, folded: u64) -> io::Result<usize> {
        let mut files: Vec<(Kind, u64)> =
            self.disk.list()?.iter().filter_map(|name| segment::parse_name(name)).collect();
        files.sort_unstable_by_key(|(_, number)| *number);
        let snapshots = files.iter().rev().filter(|(kind, _)| *kind == Kind::Snapshot);
        let Some((_, oldest_kept)) = snapshots.clone().nth(1) else { return Ok(0) };
        let is_old = |(kind, number): &&(Kind, u64)| match kind {
            Kind::Segment => *number <= folded.min(*oldest_kept),
            Kind::Snapshot => number < oldest_kept,
        };
        let mut removed = 0;
        for (kind, number) in files.iter().filter(is_old) {
            let name = segment::name(*kind, *number);
            self.others = self.others.saturating_sub(self.disk.length(&name)?);
            self.disk.remove(&name)?;
            removed += usize::from(*kind == Kind::Segment);
        }
        if removed > 0 {
            self.disk.sync_folder()?;
        }
        Ok(removed)
    }

    /// An error that says that there is no room, to be told and tried again; any other one ends the journal.
    fn no_space(&mut self, what: &str, error: io::Error) -> Result<AppendError, AppendError> {
        let is_room = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero
        );
        if is_room {
            Ok(AppendError::NoSpace(format!("{what}: {error}").into()))
        } else {
            Err(self.break_down(what, &error))
        }
    }

    fn break_down(&mut self, what: &str, error: &io::Error) -> AppendError {
        let why: Arc<str> = format!("{what}: {error}").into();
        self.broken = Some(Arc::clone(&why));
        AppendError::Broken(why)
    }
}

#[cfg(test)]
mod tests;
