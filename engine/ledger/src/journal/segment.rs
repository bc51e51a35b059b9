//! Files of the journal, as bytes.
//!
//! A file is a head and batches. A batch is what one write wrote and one sync made durable: it is there as a whole or it is
//! not there. So behind a batch that is not whole nothing whole can follow, unless somebody changed the file: that is how a
//! torn end is told from damage. The layout is in `docs/journal.md`.

use crc32c::{crc32c, crc32c_append};

use super::{
    bytes::Reader, decode::decode, dictionary::Dictionary, disk::Disk, encode::encode,
    error::OpenError, record::Record,
};

/// The version of the format, in each head.
pub(crate) const VERSION: u16 = 2;

/// The length of a file's head.
pub(crate) const HEAD_BYTES: usize = 48;

/// The length of a batch's head.
pub(crate) const BATCH_HEAD_BYTES: usize = 24;

/// A batch that has become this long takes no further record.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// The longest batch that is read.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 22;

/// The longest file that is read.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 30;

// The longest record, with every text at its longest, still fits.
const _: () = assert!(
    BATCH_BYTES_MAX
        > BATCH_BYTES
            + 4096
            + super::TEXT_BYTES_MAX * (super::SCOPES_MAX + 2 * super::TAGS_MAX + 16)
);

const MAGIC: &[u8; 8] = b"FAREJRNL";
const BATCH_MAGIC: &[u8; 4] = b"\xfaBt\n";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Records as they came.
    Segment,
    /// The balances behind the segment of the same number.
    Snapshot,
}

/// What stands at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    /// The sequence number of the first record; of a snapshot, of the first record that it does not contain.
    pub(crate) first: u64,
    pub(crate) node: u64,
}

impl Head {
    /// The file's name.
    pub(crate) fn name(&self) -> String {
        name(self.kind, self.number)
    }

    pub(crate) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = u8::from(self.kind == Kind::Snapshot);
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.node.to_le_bytes());
        let sum = crc32c(&bytes[..44]);
        bytes[44..48].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Whether the bytes begin like a file of another version.
    pub(crate) fn is_of_another_version(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC) && bytes.get(8..10).is_some_and(|v| v != VERSION.to_le_bytes())
    }

    /// Reads a head; says what is wrong with it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk().ok_or("its head is cut short")?;
        if !head.starts_with(MAGIC) {
            return Err("it does not begin like a journal");
        }
        if head[8..10] != VERSION.to_le_bytes() {
            return Err("it is of another version of the format than this program's");
        }
        if crc32c(&head[..44]).to_le_bytes() != head[44..48] {
            return Err("the checksum of its head does not fit");
        }
        let kind = if head[10] == 0 { Kind::Segment } else { Kind::Snapshot };
        Ok(Self { kind, number: word(head, 16), first: word(head, 24), node: word(head, 32) })
    }
}

/// The name of a file.
pub(crate) fn name(kind: Kind, number: u64) -> String {
    match kind {
        Kind::Segment => format!("segment-{number:012}.journal"),
        Kind::Snapshot => format!("snapshot-{number:012}.journal"),
    }
}

/// What a file of this name is, if it is one of the journal's.
pub(crate) fn parse_name(text: &str) -> Option<(Kind, u64)> {
    let stem = text.strip_suffix(".journal")?;
    let (kind, digits) = match stem.strip_prefix("segment-") {
        Some(digits) => (Kind::Segment, digits),
        None => (Kind::Snapshot, stem.strip_prefix("snapshot-")?),
    };
    let number = digits.parse().ok()?;
    (name(kind, number) == text).then_some((kind, number))
}

/// Starts a batch in `out`: its head, to be filled in by [`seal`].
pub(crate) fn open_batch(out: &mut Vec<u8>) {
    out.clear();
    out.resize(BATCH_HEAD_BYTES, 0);
}

/// Completes a batch of `count` records, the first of which has the sequence number `first`.
pub(crate) fn seal(batch: &mut [u8], first: u64, count: u32) {
    let Some((head, payload)) = batch.split_first_chunk_mut::<BATCH_HEAD_BYTES>() else { return };
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(BATCH_MAGIC);
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[12..16].copy_from_slice(&count.to_le_bytes());
    head[16..24].copy_from_slice(&first.to_le_bytes());
    let sum = checksum(head, payload);
    head[8..12].copy_from_slice(&sum.to_le_bytes());
}

/// All of a batch but its first word and the checksum itself.
fn checksum(head: &[u8; BATCH_HEAD_BYTES], payload: &[u8]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&head[4..8]), &head[12..24]), payload)
}

/// A batch whose checksum fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a> {
    /// The sequence number of its first record.
    pub(crate) first: u64,
    pub(crate) count: u32,
    payload: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, if a whole one is there.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let length = Self::length_in(bytes)?;
        let (head, payload) = bytes.get(..length)?.split_first_chunk::<BATCH_HEAD_BYTES>()?;
        let fits = checksum(head, payload) == half(head, 8);
        fits.then_some(Self { first: word(head, 16), count: half(head, 12), payload })
    }

    /// The length of the batch whose head is at the start of `bytes`.
    pub(crate) fn length_in(bytes: &[u8]) -> Option<usize> {
        let head: &[u8; BATCH_HEAD_BYTES] = bytes.first_chunk()?;
        let length = usize::try_from(half(head, 4)).ok()?;
        let is_one = head.starts_with(BATCH_MAGIC) && length <= BATCH_BYTES_MAX;
        is_one.then_some(BATCH_HEAD_BYTES + length)
    }

    /// Its length with its head.
    pub(crate) const fn length(&self) -> usize {
        BATCH_HEAD_BYTES + self.payload.len()
    }

    /// The sequence number after its last record.
    pub(crate) const fn next(&self) -> u64 {
        self.first.saturating_add(self.count as u64)
    }

    /// Its records, in order; says what cannot be read.
    pub(crate) fn records(
        &self,
        dictionary: &mut Dictionary,
        mut visit: impl FnMut(Record),
    ) -> Result<(), String> {
        let mut reader = Reader::new(self.payload);
        for at in 0..u64::from(self.count) {
            let record = decode(&mut reader, dictionary).map_err(|malformed| {
                format!("record {} was written by another program: {malformed}", self.first + at)
            })?;
            visit(record);
        }
        if reader.is_empty() { Ok(()) } else { Err("a batch goes on behind its records".into()) }
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub(crate) head: Head,
    /// The length of head and whole batches.
    pub(crate) length: usize,
    /// The sequence number after its last record.
    pub(crate) next: u64,
    /// Bytes behind the last whole batch.
    pub(crate) torn: usize,
}

/// Reads a file; shows each record to `visit`.
///
/// Bytes behind the last whole batch are no error here.
pub(crate) fn scan(
    file: &str,
    bytes: &[u8],
    mut visit: impl FnMut(Record),
) -> Result<Scan, OpenError> {
    let head = Head::read(bytes).map_err(|what| OpenError::damage(file, 0, None, what))?;
    let mut dictionary = Dictionary::default();
    let (mut length, mut next) = (HEAD_BYTES, head.first);
    // The records of a snapshot are not in the sequence: they are counted for themselves.
    if head.kind == Kind::Snapshot {
        next = 1;
    }
    while let Some(batch) = Batch::read(&bytes[length..]) {
        if batch.first != next {
            let what = format!("record {} follows where {next} should", batch.first);
            return Err(OpenError::damage(file, length, Some(next), &what));
        }
        batch
            .records(&mut dictionary, &mut visit)
            .map_err(|what| OpenError::damage(file, length, Some(next), &what))?;
        (length, next) = (length + batch.length(), batch.next());
    }
    let torn = bytes.len() - length;
    if let Some(later) = whole_batch_in(&bytes[length..]) {
        let what = format!("a batch is not whole, and another one follows {later} bytes behind it");
        return Err(OpenError::damage(file, length, Some(next), &what));
    }
    Ok(Scan { head, length, next, torn })
}

/// Where in `bytes` a whole batch begins.
pub(crate) fn whole_batch_in(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, BATCH_MAGIC).find(|at| Batch::read(&bytes[*at..]).is_some())
}

/// Reads a whole file.
pub(crate) fn load<D: Disk>(disk: &D, file: &str) -> Result<Vec<u8>, OpenError> {
    let bytes = disk.read(file, 0, FILE_BYTES_MAX + 1).map_err(OpenError::io("read", file))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(OpenError::damage(file, FILE_BYTES_MAX, None, "it is longer than any"));
    }
    Ok(bytes)
}

/// A whole file of `records`, in batches.
pub(crate) fn whole_file(head: Head, records: &[Record]) -> Vec<u8> {
    let mut file = head.to_bytes().to_vec();
    let (mut dictionary, mut batch, mut next) = (Dictionary::default(), Vec::new(), 1);
    let mut rest = records;
    while !rest.is_empty() {
        open_batch(&mut batch);
        let count = fill(&mut batch, rest.iter(), &mut dictionary);
        seal(&mut batch, next, count);
        file.extend_from_slice(&batch);
        next += u64::from(count);
        rest = &rest[usize::try_from(count).unwrap_or(rest.len())..];
    }
    file
}

/// Encodes records until the batch is full; how many.
fn fill<'a>(
    batch: &mut Vec<u8>,
    records: impl Iterator<Item = &'a Record>,
    dictionary: &mut Dictionary,
) -> u32 {
    let mut count = 0;
    for record in records {
        if batch.len() >= BATCH_BYTES {
            break;
        }
        encode(record, dictionary, batch);
        count += 1;
    }
    count
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |half| u32::from_le_bytes(*half))
}
