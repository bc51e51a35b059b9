//! A journal opened: its files checked, a torn end cut off, what a dead process left open charged.
//!
//! In: the files, as a power cut left them. Out: an open journal with a fresh segment. In this order: the newest snapshot
//! that can be read, the segments after it, each checked against the one before; the last segment is written anew without
//! its torn end; then a new segment begins with what is charged, and with the new process.
//!
//! **Why the last segment is written anew.** When its process ended because a sync had failed, the last batch may be seen by
//! every reader and be on no disk. Cutting the file would keep it so. A copy that is synced and renamed over it is on the disk
//! before anything that builds on it.

use std::io;

use super::{
    Balances, Journal, Settings,
    disk::{Disk, append_all},
    error::{AppendError, OpenError},
    record::{Boot, Record},
    segment::{self, HEAD_BYTES, Head, Kind, Scan},
};

/// A file that is being written and has no name of its own yet.
const UNFINISHED: &str = "unfinished.tmp";

/// So many segments are read at a start before it writes a snapshot for the next one.
const SEGMENTS_READ: usize = 8;

/// Who opens a journal, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The node's name, if the journal is new: random.
    pub node: u64,
    /// The process's name: random.
    pub boot: u64,
    /// Nanoseconds since 1970 UTC.
    pub at: u64,
}

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The node, which all rows are named after.
    pub node: u64,
    /// The number of the first row of this process.
    pub first_row: u64,
    /// Whether the last process ended as it should; also when there was none.
    pub was_closed: bool,
    /// Segments that were read.
    pub segments: usize,
    /// Bytes of a batch that was not whole, and was not acknowledged.
    pub torn: u64,
    /// What was charged: rows of kind `Unsettled`, and rows of lost money with their windows.
    pub charged: Vec<Record>,
}

/// What the files say.
#[derive(Default)]
struct Found {
    balances: Balances,
    /// The last segment that holds a batch, or the snapshot that stands for it.
    last: Option<Head>,
    next: u64,
    segments: usize,
    torn: u64,
}

/// See [`Journal::open`].
pub(super) fn open<D: Disk>(
    disk: D,
    settings: Settings,
    start: Start,
) -> Result<(Journal<D>, Recovery), OpenError> {
    let lock = disk.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::Io { what: "lock", file: "lock".into(), error },
    })?;
    let mut found = read(&disk)?;
    let was_closed = found.last.is_none() || found.balances.is_closed();
    let node = found.last.map_or(start.node, |head| head.node);
    let number = found.last.map_or(0, |head| head.number) + 1;
    let head = Head { kind: Kind::Segment, number, first: found.next, node };
    let name = head.name();
    let file = begin_segment(&disk, head).map_err(OpenError::io("begin", &name))?;
    let others = size(&disk, &name)?;
    let boot = Boot { node, boot: start.boot, at: start.at, taken: 0 };
    let before = found.balances.clone();
    let charged = found.balances.recover(boot);
    let mut journal = Journal {
        disk,
        _lock: lock,
        settings,
        head,
        file,
        length: HEAD_BYTES as u64,
        next: found.next,
        others,
        dictionary: super::Dictionary::default(),
        batch: Vec::new(),
        numbers: super::HashSet::new(),
        balances: before,
        process: (node, start.boot),
        broken: None,
    };
    let append = |error: AppendError| match error {
        AppendError::NoSpace(why) | AppendError::Broken(why) => OpenError::Io {
            what: "write to",
            file: name.clone(),
            error: io::Error::other(String::from(&*why)),
        },
    };
    if found.segments >= SEGMENTS_READ {
        journal.snapshot().map_err(append)?;
    }
    journal.write_all(&charged).map_err(append)?;
    journal.balances = found.balances;
    Ok((journal, recovery(node, was_closed, found.segments, found.torn, charged)))
}

fn recovery(
    node: u64,
    was_closed: bool,
    segments: usize,
    torn: u64,
    mut charged: Vec<Record>,
) -> Recovery {
    let taken = match charged.pop() {
        Some(Record::Boot(boot)) => boot.taken,
        _ => 0,
    };
    Recovery { node, first_row: taken + 1, was_closed, segments, torn, charged }
}

/// Reads everything there is, and repairs the end.
fn read<D: Disk>(disk: &D) -> Result<Found, OpenError> {
    let names = disk.list().map_err(OpenError::io("list", "the folder"))?;
    let mut files: Vec<(Kind, u64)> =
        names.iter().filter_map(|name| segment::parse_name(name)).collect();
    files.sort_unstable_by_key(|(_, number)| *number);
    let of = |wanted: Kind| {
        files.iter().filter(move |(kind, _)| *kind == wanted).map(|(_, number)| *number)
    };
    let segments: Vec<u64> = of(Kind::Segment).collect();
    let mut refused = None;
    for snapshot in of(Kind::Snapshot).collect::<Vec<_>>().into_iter().rev() {
        match read_snapshot(disk, snapshot) {
            Ok(found) if is_next(&segments, snapshot) => return replay(disk, found, &segments),
            Ok(_) => {}
            Err(error @ OpenError::Damage { .. }) => refused = refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    // From the first segment on, if it is there.
    if is_next(&segments, 0) && segments.first().is_none_or(|first| *first == 1) {
        if let (Some(error), true) = (refused, segments.is_empty()) {
            return Err(error);
        }
        return replay(disk, Found { next: 1, ..Found::default() }, &segments);
    }
    let first = segments.first().map_or(1, |first| first - 1);
    Err(refused.unwrap_or(OpenError::Missing { file: segment::name(Kind::Segment, first) }))
}

/// Whether the segments after `number` begin with the next one, or there are none.
fn is_next(segments: &[u64], number: u64) -> bool {
    segments.iter().find(|segment| **segment > number).is_none_or(|next| *next == number + 1)
}

fn read_snapshot<D: Disk>(disk: &D, number: u64) -> Result<Found, OpenError> {
    let file = segment::name(Kind::Snapshot, number);
    let bytes = segment::load(disk, &file)?;
    let mut balances = Balances::default();
    let scan = segment::scan(&file, &bytes, |record| balances.apply(&record))?;
    if scan.torn > 0 || (scan.head.kind, scan.head.number) != (Kind::Snapshot, number) {
        return Err(OpenError::damage(&file, 0, None, "it is no whole snapshot of this name"));
    }
    let last = Some(Head { kind: Kind::Segment, ..scan.head });
    Ok(Found { balances, last, next: scan.head.first, ..Found::default() })
}

/// Reads the segments after what was `found` in a snapshot.
fn replay<D: Disk>(disk: &D, mut found: Found, segments: &[u64]) -> Result<Found, OpenError> {
    let after = found.last.map_or(0, |head| head.number);
    let segments: Vec<u64> = segments.iter().copied().filter(|number| *number > after).collect();
    for (at, number) in segments.iter().enumerate() {
        let file = segment::name(Kind::Segment, *number);
        let expected = after + 1 + at as u64;
        if *number != expected {
            return Err(OpenError::Missing { file: segment::name(Kind::Segment, expected) });
        }
        let bytes = segment::load(disk, &file)?;
        let is_last = at + 1 == segments.len();
        if is_last && is_unbegun(&bytes) {
            remove(disk, &file)?;
            break;
        }
        let scan = segment::scan(&file, &bytes, |record| found.balances.apply(&record))?;
        check(&file, &scan, *number, &found, is_last)?;
        found.segments += 1;
        found.torn = scan.torn as u64;
        (found.last, found.next) = (Some(scan.head), scan.next);
        if is_last {
            replace(disk, &file, &bytes[..scan.length]).map_err(OpenError::io("repair", &file))?;
        }
    }
    Ok(found)
}

/// Whether the file holds nothing that could have been acknowledged.
fn is_unbegun(bytes: &[u8]) -> bool {
    match Head::read(bytes) {
        Ok(_) => bytes.len() == HEAD_BYTES,
        Err(_) if Head::is_of_another_version(bytes) => false,
        Err(_) => segment::whole_batch_in(bytes).is_none(),
    }
}

/// Whether the segment is the one that follows what was `found`.
fn check(
    file: &str,
    scan: &Scan,
    number: u64,
    found: &Found,
    is_last: bool,
) -> Result<(), OpenError> {
    let head = scan.head;
    if (head.kind, head.number) != (Kind::Segment, number) {
        return Err(OpenError::damage(file, 0, None, "it is another file of the journal, renamed"));
    }
    if found.last.is_some_and(|last| last.node != head.node) {
        return Err(OpenError::damage(file, 0, None, "it belongs to another node's journal"));
    }
    if head.first != found.next {
        let what = format!("it begins with record {} instead of {}", head.first, found.next);
        return Err(OpenError::damage(file, 0, Some(found.next), &what));
    }
    if scan.torn > 0 && !is_last {
        let what = "a batch is not whole, and it is not the last segment";
        return Err(OpenError::damage(file, scan.length, Some(scan.next), what));
    }
    Ok(())
}

fn remove<D: Disk>(disk: &D, file: &str) -> Result<(), OpenError> {
    disk.remove(file).map_err(OpenError::io("remove", file))?;
    disk.sync_folder().map_err(OpenError::io("sync", "the folder"))
}

/// The size of all files of the journal but one.
fn size<D: Disk>(disk: &D, but: &str) -> Result<u64, OpenError> {
    let names = disk.list().map_err(OpenError::io("list", "the folder"))?;
    let mut bytes = 0;
    for name in names.iter().filter(|name| *name != but && segment::parse_name(name).is_some()) {
        bytes += disk.length(name).map_err(OpenError::io("measure", name))?;
    }
    Ok(bytes)
}

/// Creates a segment that is durable, but for its first batch.
pub(super) fn begin_segment<D: Disk>(disk: &D, head: Head) -> io::Result<D::File> {
    let mut file = disk.create(&head.name())?;
    append_all(disk, &mut file, &head.to_bytes())?;
    disk.sync(&mut file)?;
    disk.sync_folder()?;
    Ok(file)
}

/// Gives a file new contents: durable, or as it was.
pub(super) fn replace<D: Disk>(disk: &D, name: &str, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = disk.remove(UNFINISHED)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = disk.create(UNFINISHED)?;
    append_all(disk, &mut file, bytes)?;
    disk.sync(&mut file)?;
    disk.rename(UNFINISHED, name)?;
    disk.sync_folder()
}
