//! The journal's thread, on a real disk.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use faregate_ledger::{
    Row, RowId, RowKind,
    journal::{
        Asked, Follow, Grant, Granted, Health, Inbox, Journal, OpenError, Position, Record,
        Settings, Start, Window, Writer, WriterSettings,
        disk::{Disk, Files},
    },
};
use faregate_price::NanoUsd;

const SCOPE: &str = "team/search";

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A folder whose disk can break down, or be full.
struct Frail {
    files: Files,
    is_broken: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
}

impl Disk for Frail {
    type File = fs::File;
    type Lock = fs::File;

    fn lock(&self) -> io::Result<fs::File> {
        self.files.lock()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }
    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        self.files.read(name, offset, limit)
    }
    fn length(&self, name: &str) -> io::Result<u64> {
        self.files.length(name)
    }
    fn create(&self, name: &str) -> io::Result<fs::File> {
        self.files.create(name)
    }
    fn append(&self, file: &mut fs::File, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files.append(file, bytes)
    }
    fn truncate(&self, file: &mut fs::File, length: u64) -> io::Result<()> {
        self.files.truncate(file, length)
    }
    fn sync(&self, file: &mut fs::File) -> io::Result<()> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("input/output error"));
        }
        self.files.sync(file)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.files.sync_folder()
    }
}

fn start(boot: u64) -> Start {
    Start { node: 7, boot, at: 1_000 + boot }
}

fn open(folder: &Folder, boot: u64) -> Journal<Files> {
    let disk = Files::open(&folder.0).unwrap();
    Journal::open(disk, Settings::default(), start(boot)).unwrap().0
}

fn row(boot: u64, number: u64) -> Box<Row> {
    let id = RowId { node: 7, boot, number };
    let (cost, reserved) = (NanoUsd(3), NanoUsd(5));
    Box::new(Row { id, cost, reserved, scopes: [SCOPE.into()].into(), ..Row::default() })
}

fn grant(total: u64) -> Grant {
    Grant { scope: SCOPE.into(), window: Window::ALL, total: NanoUsd(total) }
}

/// Puts a row in; waits where there is no room for it.
fn put(inbox: &Inbox, row: Box<Row>) {
    let mut row = row;
    while let Err(back) = inbox.submit(row) {
        row = back;
        thread::yield_now();
    }
}

fn until(what: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if what() {
            return;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    unreachable!("it did not happen within ten seconds");
}

fn rows_in(folder: &Folder) -> Vec<RowId> {
    let mut follow = Follow::new(Files::open(&folder.0).unwrap(), Position::default());
    let mut ids = Vec::new();
    loop {
        let records = follow.read(u64::MAX).unwrap();
        if records.is_empty() {
            ids.sort_unstable();
            return ids;
        }
        for record in records {
            if let Record::Row(row) | Record::Lost { row, .. } = record {
                ids.push(row.id);
            }
        }
    }
}

#[test]
fn every_row_of_every_thread_is_there_once_after_a_stop() {
    let folder = Folder::new("every_row");
    let settings = WriterSettings { queue: 64, group: 100, ..WriterSettings::default() };
    let writer = Writer::start(open(&folder, 1), settings).unwrap();
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let inbox = writer.inbox();
            thread::spawn(move || (1..=500).for_each(|n| put(&inbox, row(1, thread * 500 + n))))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    writer.stop(Vec::new(), 2).unwrap();
    let expected: Vec<RowId> =
        (1..=2_000).map(|number| RowId { node: 7, boot: 1, number }).collect();
    assert_eq!(rows_in(&folder), expected);
    assert_eq!(open(&folder, 2).balances().spent(SCOPE, Window::ALL), NanoUsd(6_000));
}

/// Who has asked what was spent.
struct Heard(AtomicU64);

impl Asked for Heard {
    fn spent(&self, spent: NanoUsd) {
        self.0.store(spent.0, Ordering::Release);
    }
}

#[test]
fn what_was_spent_is_told_once_all_that_came_before_is_durable() {
    let folder = Folder::new("asked");
    let settings = WriterSettings { group: 7, ..WriterSettings::default() };
    let writer = Writer::start(open(&folder, 1), settings).unwrap();
    let inbox = writer.inbox();
    for rows in [0, 3, 100] {
        let durable = inbox.durable();
        (0..rows).for_each(|number| put(&inbox, row(1, 1 + number + rows)));
        let heard = Arc::new(Heard(AtomicU64::new(u64::MAX)));
        let asked = Arc::clone(&heard) as Arc<dyn Asked>;
        inbox.ask_spent(SCOPE.into(), Window::ALL, asked).unwrap();
        until(|| heard.0.load(Ordering::Acquire) != u64::MAX);
        let rows_before = if rows == 100 { 103 } else { rows };
        assert_eq!(heard.0.load(Ordering::Acquire), 3 * rows_before);
        assert!(inbox.durable() >= durable + rows);
        let other = Arc::new(Heard(AtomicU64::new(u64::MAX)));
        let asked = Arc::clone(&other) as Arc<dyn Asked>;
        inbox.ask_spent("team/other".into(), Window::ALL, asked).unwrap();
        until(|| other.0.load(Ordering::Acquire) == 0);
    }
    writer.stop(Vec::new(), 2).unwrap();
    let late = Arc::new(Heard(AtomicU64::new(0)));
    assert!(inbox.ask_spent(SCOPE.into(), Window::ALL, late).is_err(), "nobody answers any more");
}

/// Keeps the journal's thread until it is opened.
#[derive(Default)]
struct Gate {
    is_reached: AtomicBool,
    is_open: AtomicBool,
}

impl Granted for Gate {
    fn granted(&self, _: NanoUsd) {
        self.is_reached.store(true, Ordering::Release);
        until(|| self.is_open.load(Ordering::Acquire));
    }

    fn refused(&self) {}
}

#[test]
fn a_request_that_is_over_before_it_could_be_written_down_is_written_once() {
    let folder = Folder::new("written_once");
    let writer = Writer::start(open(&folder, 1), WriterSettings::default()).unwrap();
    let (inbox, gate) = (writer.inbox(), Arc::new(Gate::default()));
    inbox.request_grant(grant(100), Arc::clone(&gate) as Arc<dyn Granted>).unwrap();
    until(|| gate.is_reached.load(Ordering::Acquire));
    let told = Arc::new(AtomicU64::new(0));
    for number in [1, 2, 3] {
        inbox.begin(row(1, number)).unwrap();
    }
    inbox.begin(row(1, 2)).unwrap();
    put(&inbox, row(1, 1));
    put(&inbox, row(1, 3));
    inbox.request_grant(grant(200), Arc::clone(&told) as Arc<dyn Granted>).unwrap();
    gate.is_open.store(true, Ordering::Release);
    until(|| told.load(Ordering::Acquire) == 200);
    let mut follow = Follow::new(Files::open(&folder.0).unwrap(), Position::default());
    let mut records = Vec::new();
    loop {
        let read = follow.read(u64::MAX).unwrap();
        if read.is_empty() {
            break;
        }
        records.extend(read);
    }
    let [Record::Boot(_), Record::Grant(_), rest @ ..] = &records[..] else { unreachable!() };
    let expected = [
        Record::Intent(row(1, 2)),
        Record::Row(row(1, 1)),
        Record::Row(row(1, 3)),
        Record::Grant(grant(200)),
    ];
    assert_eq!(rest, expected);
    writer.stop(Vec::new(), 2).unwrap();
}

#[test]
fn a_grant_is_told_when_it_is_durable_and_what_is_given_back_is_not_charged() {
    let folder = Folder::new("a_grant");
    let writer = Writer::start(open(&folder, 1), WriterSettings::default()).unwrap();
    let inbox = writer.inbox();
    let total = Arc::new(AtomicU64::new(0));
    inbox.request_grant(grant(100), Arc::clone(&total) as Arc<dyn Granted>).unwrap();
    until(|| total.load(Ordering::Acquire) == 100);
    assert!(inbox.durable() >= 2, "a grant behind the start of the process");
    put(&inbox, row(1, 1));
    writer.stop(vec![grant(3)], 2).unwrap();
    assert_eq!(inbox.health(), Health::Stopped);
    assert_eq!(inbox.submit(row(1, 2)), Err(row(1, 2)), "nobody writes any more");
    let journal = open(&folder, 2);
    assert_eq!(journal.balances().spent(SCOPE, Window::ALL), NanoUsd(3));
}

#[test]
fn what_a_dead_process_left_open_is_charged_by_name_and_the_rest_to_the_scope() {
    let folder = Folder::new("left_open");
    let mut journal = open(&folder, 1);
    let intents = [1, 2].map(|number| Record::Intent(row(1, number)));
    let records = [&[Record::Grant(grant(100))], &intents[..], &[Record::Row(row(1, 2))]].concat();
    journal.append(&records).unwrap();
    drop(journal);
    let disk = Files::open(&folder.0).unwrap();
    let (journal, recovery) = Journal::open(disk, Settings::default(), start(2)).unwrap();
    assert!(!recovery.was_closed);
    let [Record::Row(unsettled), Record::Lost { row: lost, window }] = &recovery.charged[..] else {
        unreachable!("{:?}", recovery.charged)
    };
    assert_eq!(unsettled.kind, RowKind::Unsettled);
    assert_eq!((unsettled.id, unsettled.cost), (row(1, 1).id, NanoUsd(5)));
    assert_eq!((lost.kind, lost.cost, *window), (RowKind::LostLease, NanoUsd(92), Window::ALL));
    assert_eq!(lost.id, RowId { node: 7, boot: 2, number: 1 });
    assert_eq!(recovery.first_row, 2, "the first number is taken by lost money");
    assert_eq!(journal.balances().spent(SCOPE, Window::ALL), NanoUsd(100));
    drop(journal);
    // What an operator knows better is given back, and stays given back.
    let mut journal = open(&folder, 3);
    let correction = Row {
        kind: RowKind::Correction,
        is_credit: true,
        corrects: Some(lost.id),
        cost: NanoUsd(90),
        ..*row(3, 1)
    };
    journal.append(&[Record::Row(Box::new(correction))]).unwrap();
    drop(journal);
    assert_eq!(open(&folder, 4).balances().spent(SCOPE, Window::ALL), NanoUsd(10));
}

#[test]
fn a_second_process_is_told_that_there_is_a_first() {
    let folder = Folder::new("a_second");
    let journal = open(&folder, 1);
    let second = Journal::open(Files::open(&folder.0).unwrap(), Settings::default(), start(2));
    assert!(matches!(second, Err(OpenError::Locked)));
    drop(journal);
    drop(open(&folder, 2));
}

fn frail(folder: &Folder) -> (Writer, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (is_broken, is_full) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let files = Files::open(&folder.0).unwrap();
    let disk = Frail { files, is_broken: Arc::clone(&is_broken), is_full: Arc::clone(&is_full) };
    let (journal, _) = Journal::open(disk, Settings::default(), start(1)).unwrap();
    (Writer::start(journal, WriterSettings::default()).unwrap(), is_broken, is_full)
}

#[test]
fn a_sync_that_failed_once_ends_all_writing() {
    let folder = Folder::new("a_sync");
    let (writer, is_broken, _) = frail(&folder);
    let inbox = writer.inbox();
    put(&inbox, row(1, 1));
    until(|| inbox.durable() == 2);
    is_broken.store(true, Ordering::SeqCst);
    put(&inbox, row(1, 2));
    until(|| inbox.health() == Health::Broken);
    // The disk is well again, but nobody knows what it has: nothing is acknowledged.
    is_broken.store(false, Ordering::SeqCst);
    assert_eq!(inbox.submit(row(1, 3)), Err(row(1, 3)));
    assert!(inbox.request_grant(grant(5), Arc::new(AtomicU64::new(0))).is_err());
    assert!(inbox.trouble().is_some_and(|why| why.contains("input/output error")));
    assert_eq!((inbox.durable(), inbox.refused()), (2, 1));
    assert!(writer.stop(Vec::new(), 2).is_err());
    assert!(rows_in(&folder).contains(&row(1, 1).id));
}

#[test]
fn a_disk_that_has_room_again_is_written_to_again() {
    let folder = Folder::new("room_again");
    let (writer, _, is_full) = frail(&folder);
    let inbox = writer.inbox();
    is_full.store(true, Ordering::SeqCst);
    put(&inbox, row(1, 1));
    until(|| inbox.health() == Health::NoSpace);
    is_full.store(false, Ordering::SeqCst);
    until(|| inbox.health() == Health::Running);
    writer.stop(Vec::new(), 2).unwrap();
    assert_eq!(rows_in(&folder), [row(1, 1).id]);
}

#[test]
fn what_the_store_has_goes_and_the_journal_grants_again() {
    let folder = Folder::new("goes");
    let settings = Settings { segment_bytes: 1_000, bytes_max: 8_000, spare_bytes: 1 << 20 };
    let (journal, _) = Journal::open(Files::open(&folder.0).unwrap(), settings, start(1)).unwrap();
    let group = WriterSettings { group: 10, ..WriterSettings::default() };
    let writer = Writer::start(journal, group).unwrap();
    let inbox = writer.inbox();
    (1..=400).for_each(|number| put(&inbox, row(1, number)));
    until(|| inbox.waiting() == 0 && inbox.health() == Health::Full);
    let mut follow = Follow::new(Files::open(&folder.0).unwrap(), Position::default());
    while !follow.read(inbox.durable()).unwrap().is_empty() {}
    inbox.folded(follow.position().segment - 1);
    until(|| inbox.health() == Health::Running);
    let mut late = Follow::new(Files::open(&folder.0).unwrap(), Position { segment: 1, offset: 0 });
    assert!(matches!(late.read(inbox.durable()), Err(OpenError::Missing { .. })));
    let total = Arc::new(AtomicU64::new(0));
    inbox.request_grant(grant(2_000), Arc::clone(&total) as Arc<dyn Granted>).unwrap();
    until(|| total.load(Ordering::Acquire) == 2_000);
    writer.stop(vec![grant(1_200)], 2).unwrap();
    assert_eq!(open(&folder, 2).balances().spent(SCOPE, Window::ALL), NanoUsd(1_200));
}

#[test]
fn a_journal_that_is_full_grants_nothing_and_still_takes_rows() {
    let folder = Folder::new("full");
    let settings = Settings { bytes_max: 150, ..Settings::default() };
    let (journal, _) = Journal::open(Files::open(&folder.0).unwrap(), settings, start(1)).unwrap();
    let writer = Writer::start(journal, WriterSettings::default()).unwrap();
    let inbox = writer.inbox();
    (1..=3).for_each(|number| put(&inbox, row(1, number)));
    until(|| inbox.health() == Health::Full);
    let total = Arc::new(AtomicU64::new(0));
    inbox.request_grant(grant(5), Arc::clone(&total) as Arc<dyn Granted>).unwrap();
    until(|| inbox.refused() == 1);
    put(&inbox, row(1, 4));
    writer.stop(Vec::new(), 2).unwrap();
    assert_eq!(total.load(Ordering::Acquire), 0);
    assert_eq!(rows_in(&folder).len(), 4);
}
