//! The journal, read while it is written: for the store that folds it.
//!
//! In: a position, and the sequence number up to which everything is durable. Out: records with the position after them. What
//! is not durable is not read, so that the store never knows more than the journal after a power cut. Remembered between
//! calls: the dictionary of the segment.

use std::io;

use super::{
    OpenError,
    dictionary::Dictionary,
    disk::Disk,
    record::Record,
    segment::{self, BATCH_HEAD_BYTES, Batch, HEAD_BYTES, Head, Kind},
};

/// How far a reader has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment; 0 for the start of the journal.
    pub segment: u64,
    /// Bytes of it.
    pub offset: u64,
}

/// A reader of the journal.
#[derive(Debug)]
pub struct Follow<D> {
    disk: D,
    position: Position,
    dictionary: Dictionary,
    /// The sequence number of the next record, once the segment has been opened.
    next: Option<u64>,
}

impl<D: Disk> Follow<D> {
    /// Reads from `position` on, which an earlier reader gave, or from the start.
    #[must_use]
    pub fn new(disk: D, position: Position) -> Self {
        Self { disk, position, dictionary: Dictionary::default(), next: None }
    }

    /// Where it stands: everything before has been given out.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Reads some whole batches whose records are durable, that is, not after record `durable`; none when there are none.
    ///
    /// # Errors
    ///
    /// When the segment is missing, because it was removed before it was read, or is damaged.
    pub fn read(&mut self, durable: u64) -> Result<Vec<Record>, OpenError> {
        if self.position.segment == 0 {
            self.position = Position { segment: self.first_segment()?, offset: 0 };
        }
        loop {
            let has_next = self.exists(self.position.segment + 1)?;
            if !self.exists(self.position.segment)? {
                let is_gone = has_next || self.first_segment()? > self.position.segment;
                return if is_gone { Err(self.missing()) } else { Ok(Vec::new()) };
            }
            if self.next.is_none() && !self.enter()? {
                return Ok(Vec::new());
            }
            let records = self.read_here(durable)?;
            if !records.is_empty() || !has_next || self.is_behind(durable)? {
                return Ok(records);
            }
            self.position = Position { segment: self.position.segment + 1, offset: 0 };
            self.next = None;
        }
    }

    fn missing(&self) -> OpenError {
        OpenError::Missing { file: segment::name(Kind::Segment, self.position.segment) }
    }

    fn first_segment(&self) -> Result<u64, OpenError> {
        let names = self.disk.list().map_err(OpenError::io("list", "the folder"))?;
        let segments = names.iter().filter_map(|name| segment::parse_name(name));
        let segments = segments.filter(|(kind, _)| *kind == Kind::Segment);
        Ok(segments.map(|(_, number)| number).min().unwrap_or(1))
    }

    fn exists(&self, number: u64) -> Result<bool, OpenError> {
        let name = segment::name(Kind::Segment, number);
        match self.disk.length(&name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OpenError::Io { what: "measure", file: name, error }),
        }
    }

    /// Whether the segment has more than has been read although another one follows: it is being read up to `durable`.
    fn is_behind(&self, durable: u64) -> Result<bool, OpenError> {
        let name = segment::name(Kind::Segment, self.position.segment);
        let length = self.disk.length(&name).map_err(OpenError::io("measure", &name))?;
        if length <= self.position.offset {
            return Ok(false);
        }
        if self.next.is_some_and(|next| next > durable) {
            return Ok(true);
        }
        let offset = usize::try_from(self.position.offset).unwrap_or(usize::MAX);
        Err(OpenError::damage(&name, offset, self.next, "a batch is not whole"))
    }

    /// Reads the head, and up to the position for the dictionary. Whether there is a head yet.
    fn enter(&mut self) -> Result<bool, OpenError> {
        let name = segment::name(Kind::Segment, self.position.segment);
        let read = self.disk.read(&name, 0, HEAD_BYTES).map_err(OpenError::io("read", &name))?;
        if read.len() < HEAD_BYTES {
            return Ok(false);
        }
        let head = Head::read(&read).map_err(|what| OpenError::damage(&name, 0, None, what))?;
        self.dictionary = Dictionary::default();
        self.next = Some(head.first);
        let wanted = self.position.offset;
        self.position.offset = HEAD_BYTES as u64;
        while self.position.offset < wanted {
            if self.read_here(u64::MAX)?.is_empty() {
                let offset = usize::try_from(self.position.offset).unwrap_or(usize::MAX);
                let what = "it ends before what was read of it";
                return Err(OpenError::damage(&name, offset, self.next, what));
            }
        }
        Ok(true)
    }

    /// Reads one batch, if it is whole and durable.
    fn read_here(&mut self, durable: u64) -> Result<Vec<Record>, OpenError> {
        let name = segment::name(Kind::Segment, self.position.segment);
        let read = |limit| {
            self.disk.read(&name, self.position.offset, limit).map_err(OpenError::io("read", &name))
        };
        let bytes = match Batch::length_in(&read(BATCH_HEAD_BYTES)?) {
            Some(length) => read(length)?,
            None => return Ok(Vec::new()),
        };
        let mut records = Vec::new();
        let Some(batch) = Batch::read(&bytes) else { return Ok(records) };
        if batch.next() > durable.saturating_add(1) {
            return Ok(records);
        }
        let offset = usize::try_from(self.position.offset).unwrap_or(usize::MAX);
        let damage = |what: &str| OpenError::damage(&name, offset, self.next, what);
        if Some(batch.first) != self.next {
            return Err(damage("its records are not in order"));
        }
        batch
            .records(&mut self.dictionary, |record| records.push(record))
            .map_err(|what| damage(&what))?;
        self.position.offset += batch.length() as u64;
        self.next = Some(batch.next());
        Ok(records)
    }
}
