//! Checks that tests and fuzz targets share.

use super::{
    Boot, Follow, Journal, Position, Record, Settings, Start,
    disk::simulated::Simulated,
    segment::{self, Head, Kind},
};

const HEAD: Head = Head { kind: Kind::Segment, number: 1, first: 1, node: 7 };

/// Takes any bytes for a segment, and for the records of a batch. What can be read of them can be written and read again; a
/// journal that opens at all opens again without losing anything.
///
/// # Panics
///
/// When that is not so.
pub fn segment(bytes: &[u8]) {
    opens_twice(bytes);
    let [count, payload @ ..] = bytes else { return };
    let mut batch = Vec::new();
    segment::open_batch(&mut batch);
    batch.extend_from_slice(payload);
    segment::seal(&mut batch, 1, u32::from(*count));
    let file = [&HEAD.to_bytes()[..], &batch].concat();
    let mut records = Vec::new();
    let read = segment::scan("it", &file, |record| records.push(record));
    if read.is_ok() {
        writes_the_same(&records);
    }
    opens_twice(&file);
}

fn writes_the_same(records: &[Record]) {
    let mut again = Vec::new();
    let file = segment::whole_file(HEAD, records);
    let scan = segment::scan("it", &file, |record| again.push(record));
    assert_eq!(scan.ok().map(|scan| scan.torn), Some(0), "what was written cannot be read");
    assert_eq!(again, records, "what was written is not what is read");
}

#[expect(clippy::expect_used, reason = "a journal that was opened must open again")]
fn opens_twice(bytes: &[u8]) {
    let disk = Simulated::default();
    disk.overwrite(&HEAD.name(), bytes);
    let start = Start { node: 7, boot: 1, at: 1 };
    let Ok((journal, _)) = Journal::open(disk.clone(), Settings::default(), start) else { return };
    let balances = journal.balances().clone();
    let durable = journal.durable();
    drop(journal);
    let records = everything(&disk, durable);
    assert_eq!(records.len() as u64, durable, "records are missing");
    let again = Journal::open(disk, Settings::default(), Start { boot: 2, ..start });
    let (journal, recovery) = again.expect("a journal that was opened once opens again");
    assert!(recovery.charged.is_empty(), "something was charged twice");
    let mut expected = balances;
    expected.apply(&Record::Boot(Boot { node: recovery.node, boot: 2, at: 1, taken: 0 }));
    assert_eq!(*journal.balances(), expected, "the balances changed");
}

/// All records on the disk up to `durable`.
///
/// # Panics
///
/// When they cannot be read.
#[must_use]
#[expect(clippy::expect_used, reason = "for tests: what cannot be read is a failure")]
pub fn everything(disk: &Simulated, durable: u64) -> Vec<Record> {
    let mut follow = Follow::new(disk.clone(), Position::default());
    let mut all = Vec::new();
    loop {
        let records = follow.read(durable).expect("the journal can be read");
        if records.is_empty() {
            return all;
        }
        all.extend(records);
    }
}
