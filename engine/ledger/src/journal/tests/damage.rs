//! Files that are not as they were written.

use faregate_price::NanoUsd;
use proptest::prelude::*;

use super::rows::{self, HOUR};
use crate::journal::{
    Boot, Grant, Journal, OpenError, QUARTER_NS, Record, Settings, Start,
    check::{everything, segment as check_segment},
    disk::{Disk, simulated::Simulated},
    segment::{self, Head, Kind},
};

const START: Start = Start { node: 7, boot: 1, at: 5 };

/// A journal of one segment with three batches behind its first. The disk, and where each batch ends.
fn three_batches() -> (Simulated, Vec<usize>) {
    let disk = Simulated::default();
    let (mut journal, _) =
        Journal::open(disk.clone(), Settings::default(), START).expect("a journal");
    let mut ends = vec![length(&journal)];
    for number in 1..=3 {
        let mut row = rows::typical(number);
        (row.id.node, row.id.boot) = (7, 1);
        journal.append(&[Record::Row(Box::new(row))]).expect("the disk works");
        ends.push(length(&journal));
    }
    (disk, ends)
}

fn length(journal: &Journal<Simulated>) -> usize {
    usize::try_from(journal.bytes()).expect("a short file")
}

fn first_segment() -> String {
    segment::name(Kind::Segment, 1)
}

fn bytes_of(disk: &Simulated) -> Vec<u8> {
    disk.read(&first_segment(), 0, 1 << 20).expect("it is there")
}

/// Opens a journal whose first segment has these bytes.
fn open(bytes: &[u8]) -> Result<(Simulated, u64), OpenError> {
    let disk = Simulated::default();
    disk.overwrite(&first_segment(), bytes);
    let start = Start { boot: 2, ..START };
    let (journal, _) = Journal::open(disk.clone(), Settings::default(), start)?;
    let durable = journal.durable();
    drop(journal);
    Ok((disk, durable))
}

#[test]
fn every_byte_that_changes_in_the_middle_is_noticed_with_its_place() {
    let (disk, ends) = three_batches();
    let whole = bytes_of(&disk);
    for at in 0..ends[2] {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let batch = ends.iter().position(|end| at < *end).expect("inside");
        let start = if batch == 0 && at >= segment::HEAD_BYTES { segment::HEAD_BYTES } else { 0 };
        let start = if batch > 0 { ends[batch - 1] } else { start };
        match open(&changed) {
            Err(OpenError::Damage { file, offset, .. }) => {
                assert_eq!((file, offset), (first_segment(), start as u64), "byte {at}");
            }
            Err(error) => unreachable!("byte {at}: {error}"),
            Ok(_) => unreachable!("byte {at} was not noticed"),
        }
    }
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_torn_and_what_is_before_stays() {
    let (disk, ends) = three_batches();
    let whole = bytes_of(&disk);
    for end in ends[2]..whole.len() {
        let (disk, durable) = open(&whole[..end]).unwrap_or_else(|error| unreachable!("{error}"));
        let rows = everything(&disk, durable);
        let rows = rows.iter().filter(|record| matches!(record, Record::Row(_))).count();
        assert_eq!(rows, 2, "torn at {end}");
    }
    let mut zeroed = whole;
    zeroed[ends[2] + 10..].fill(0);
    assert!(open(&zeroed).is_ok(), "a file may be longer than what was written of it");
}

#[test]
fn the_message_says_where_and_what_to_do() {
    let (disk, ends) = three_batches();
    let mut changed = bytes_of(&disk);
    changed[ends[0] + 30] ^= 1;
    let message = open(&changed).expect_err("it is damaged").to_string();
    let place = format!("segment-000000000001.journal is damaged at byte {} (record 2)", ends[0]);
    assert!(message.starts_with(&place), "{message}");
    assert!(message.contains(&format!("truncate -s {}", ends[0])), "{message}");
}

#[test]
fn a_segment_of_another_version_is_not_taken_for_a_torn_one() {
    let (disk, _) = three_batches();
    let mut changed = bytes_of(&disk);
    changed[8] = 1;
    let message = open(&changed[..100]).expect_err("it cannot be read").to_string();
    assert!(message.contains("another version"), "{message}");
}

#[test]
fn a_missing_segment_is_named() {
    let disk = Simulated::default();
    for boot in 1..=3 {
        let start = Start { boot, ..START };
        Journal::open(disk.clone(), Settings::default(), start).expect("a journal");
    }
    disk.remove(&segment::name(Kind::Segment, 2)).expect("it was there");
    let opened = Journal::open(disk, Settings::default(), Start { boot: 4, ..START });
    let message = opened.expect_err("one is missing").to_string();
    assert!(message.contains("segment-000000000002.journal is missing"), "{message}");
}

#[test]
fn a_rotten_snapshot_is_replaced_by_the_one_before_it() {
    let disk = Simulated::default();
    let settings = Settings { segment_bytes: 100, ..Settings::default() };
    let (mut journal, _) = Journal::open(disk.clone(), settings, START).expect("a journal");
    for total in 1..=9 {
        let grant = Grant { scope: "team/a".into(), window: HOUR, total: NanoUsd(total) };
        journal.append(&[Record::Grant(grant)]).expect("the disk works");
        journal.retain(u64::MAX).expect("the disk works");
    }
    drop(journal);
    let mut names = disk.list().expect("names");
    names.retain(|name| name.starts_with("snapshot"));
    assert_eq!(names.len(), 2, "two are kept");
    let newest = names.iter().max().expect("two");
    let mut bytes = disk.read(newest, 0, 1 << 20).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    disk.overwrite(newest, &bytes);
    let start = Start { boot: 2, ..START };
    let (journal, _) = Journal::open(disk, settings, start).expect("the older one stands in");
    assert_eq!(journal.balances().spent("team/a", HOUR), NanoUsd(9));
}

#[test]
fn balances_are_the_same_when_they_come_from_a_snapshot() {
    let mut balances = crate::journal::Balances::default();
    let records = rows::one_of_each();
    let in_segments = records.iter().filter(|record| !matches!(record, Record::Part(_)));
    in_segments.for_each(|record| balances.apply(record));
    balances.forget_before(HOUR.start - QUARTER_NS);
    let boot = Boot { node: 7, boot: 9, at: 5, taken: 3 };
    balances.apply(&Record::Boot(boot));
    let mut open = rows::typical(40);
    (open.id.node, open.id.boot) = (7, 9);
    balances.apply(&Record::Intent(Box::new(open.clone())));
    open.id.number = 41;
    balances.apply(&Record::Row(Box::new(open)));
    let mut again = crate::journal::Balances::default();
    balances.records().iter().for_each(|record| again.apply(record));
    assert_eq!(again, balances);
}

#[test]
fn any_record_at_all_can_be_in_a_segment_that_is_read() {
    let head = Head { kind: Kind::Segment, number: 1, first: 1, node: 7 };
    let file = segment::whole_file(head, &rows::one_of_each());
    check_segment(&file);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] = changed[at].wrapping_add(1);
        check_segment(&changed);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_segment(&bytes);
    }

    /// Bytes that begin like records go further than dice would.
    #[test]
    fn bytes_that_look_like_records_are_read_or_refused(
        at in any::<prop::sample::Index>(),
        put in proptest::collection::vec(any::<u8>(), 1..6),
    ) {
        let head = Head { kind: Kind::Segment, number: 1, first: 1, node: 7 };
        let file = segment::whole_file(head, &rows::one_of_each());
        let mut payload = file[segment::HEAD_BYTES + segment::BATCH_HEAD_BYTES - 1..].to_vec();
        payload[0] = 17;
        let at = at.index(payload.len());
        payload.splice(at..(at + put.len()).min(payload.len()), put);
        check_segment(&payload);
    }
}
