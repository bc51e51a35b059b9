//! Kill -9 at any time: the next process finds every row that was acknowledged, and charges what could have been spent.
//!
//! The test starts itself again as the process that dies. That one opens the journal, asks for grants, writes rows, and says
//! on its standard output what it was told is durable; the test kills it at some line, takes down what it said, and looks
//! into the journal itself. `FAREGATE_CYCLES` says how often, 100 times if it is not set; `.ci/run` says 500.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use faregate_ledger::{
    Row, RowId,
    journal::{
        Follow, Grant, Granted, Journal, Position, Record, Settings, Start, Window, Writer,
        WriterSettings, disk::Files,
    },
};
use faregate_price::NanoUsd;

const SCOPE: &str = "team/search";
const COST: u64 = 7;
const FOLDER: &str = "FAREGATE_KILLED_FOLDER";
const BOOT: &str = "FAREGATE_KILLED_BOOT";

/// Small segments, so that a life goes through several.
const SETTINGS: Settings = Settings { segment_bytes: 4_096, bytes_max: 1 << 30, spare_bytes: 0 };

/// What the process that dies does. Does nothing when it is run as a test.
#[test]
fn the_process_that_is_killed() {
    let (Ok(folder), Ok(boot)) = (env::var(FOLDER), env::var(BOOT)) else { return };
    let boot: u64 = boot.parse().expect("a number");
    let disk = Files::open(Path::new(&folder)).expect("the folder");
    let start = Start { node: 7, boot, at: boot };
    let (journal, recovery) = Journal::open(disk, SETTINGS, start).expect("the journal opens");
    let spent = journal.balances().spent(SCOPE, Window::ALL).0;
    say(&format!("opened {spent}"));
    let settings = WriterSettings { group: 16, ..WriterSettings::default() };
    let writer = Writer::start(journal, settings).expect("a thread");
    let inbox = writer.inbox();
    let granted = Arc::new(AtomicU64::new(spent));
    let (mut spent, mut asked, mut told, mut number) = (spent, spent, 0, recovery.first_row);
    loop {
        if asked < spent + 20 * COST {
            asked = spent + 100 * COST;
            let grant = Grant { scope: SCOPE.into(), window: Window::ALL, total: NanoUsd(asked) };
            drop(inbox.request_grant(grant, Arc::clone(&granted) as Arc<dyn Granted>));
        }
        if spent + COST <= granted.load(Ordering::Acquire) {
            // Said before: a request has been paid whether or not a row of it is found.
            spent += COST;
            say(&format!("spent {spent}"));
            let id = RowId { node: 7, boot, number };
            let (cost, scopes) = (NanoUsd(COST), [SCOPE.into()].into());
            let row = Box::new(Row { id, cost, reserved: cost, scopes, ..Row::default() });
            if number % 5 == 0 {
                drop(inbox.begin(row.clone()));
            }
            assert!(inbox.submit(row).is_ok(), "there is room");
            number += 1;
        }
        let durable = inbox.durable();
        if durable > told {
            told = durable;
            say(&format!("durable {durable}"));
        }
        thread::yield_now();
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "said {line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// What a killed process had said.
#[derive(Debug, Default)]
struct Said {
    opened: u64,
    spent: u64,
    durable: u64,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_and_no_budget_is_freed_by_a_kill() {
    let cycles = env::var("FAREGATE_CYCLES").map_or(100, |n| n.parse().expect("a number"));
    let folder = memory().join(format!("faregate-kill-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    let mut dice = 0x9e37_79b9_u64;
    let mut store = Store::default();
    let mut lives = 0;
    for boot in 1..=cycles {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let said = live_and_die(&folder, boot, dice >> 33);
        lives += u64::from(said.durable > 0);
        store.check(&folder, boot, &said);
    }
    assert!(lives * 2 > cycles, "most lives acknowledge something: {lives} of {cycles}");
    assert!(store.rows.len() as u64 > cycles, "only {} rows were found", store.rows.len());
    drop(fs::remove_dir_all(&folder));
}

/// A kill takes nothing that the system was given, synced or not; so memory is as good as a disk, and much faster.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.into() } else { env!("CARGO_TARGET_TMPDIR").into() }
}

/// Runs a process and kills it after some lines, or while it starts.
fn live_and_die(folder: &Path, boot: u64, dice: u64) -> Said {
    let this = env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .args(["--exact", "the_process_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(BOOT, boot.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program again");
    let mut said = Said::default();
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut left = dice % 300;
    for line in out.lines() {
        let line = line.expect("text");
        said.take_down(&line);
        if left == 0 {
            kill(&mut child);
        }
        left = left.saturating_sub(1);
    }
    kill(&mut child);
    assert!(child.wait().is_ok());
    said
}

fn kill(child: &mut Child) {
    // The second time it is dead already.
    drop(child.kill());
}

impl Said {
    fn take_down(&mut self, line: &str) {
        // The harness may have left a half line in front.
        let Some((_, line)) = line.split_once("said ") else { return };
        let Some((what, number)) = line.split_once(' ') else { return };
        let Ok(number) = number.parse() else { return };
        match what {
            "opened" => self.opened = number,
            "spent" => self.spent = number,
            _ => self.durable = number,
        }
    }
}

/// What has been read of the journal, as a store does.
#[derive(Default)]
struct Store {
    position: Position,
    rows: BTreeMap<RowId, NanoUsd>,
    /// What the journal said had been spent.
    charged: u64,
}

impl Store {
    /// Opens the journal after a death and holds it against what was said.
    fn check(&mut self, folder: &Path, boot: u64, said: &Said) {
        let disk = Files::open(folder).expect("the folder");
        let start = Start { node: 7, boot: 1_000_000 + boot, at: boot };
        let (mut journal, _) = Journal::open(disk, SETTINGS, start)
            .unwrap_or_else(|error| unreachable!("after the death of {boot}: {error}"));
        let spent = journal.balances().spent(SCOPE, Window::ALL).0;
        let before = self.charged;
        assert!(said.opened == 0 || said.opened >= before, "money came back: {said:?}");
        assert!(spent >= before.max(said.spent), "{said:?} and only {spent} are charged");
        // A grant goes 100 requests ahead, and the next one is asked for 20 before its end.
        assert!(spent <= said.spent.max(before) + 210 * COST, "{said:?}, {spent} are charged");
        assert!(journal.durable() >= said.durable, "records are lost: {said:?}");
        self.fold(folder);
        let sum: u64 = self.rows.values().map(|cost| cost.0).sum();
        assert_eq!(sum, spent, "the rows and the balance are not the same");
        // Each life is folded to its end; the journal keeps what it needs itself.
        journal.retain(self.position.segment - 1).expect("the disk works");
        journal.close(boot).expect("the disk works");
        self.charged = spent;
    }

    fn fold(&mut self, folder: &Path) {
        let disk = Files::open(folder).expect("the folder");
        let mut follow = Follow::new(disk, self.position);
        loop {
            let records = follow.read(u64::MAX).expect("it can be read");
            if records.is_empty() {
                break;
            }
            for record in records {
                if let Record::Row(row) | Record::Lost { row, .. } = record {
                    let id = row.id;
                    assert!(self.rows.insert(id, row.cost).is_none(), "{id:?} is there twice");
                }
            }
        }
        self.position = follow.position();
    }
}
