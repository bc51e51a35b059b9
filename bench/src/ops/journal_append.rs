//! Rows made durable: what the journal takes for a thousand of them, with a disk and without.
//!
//! A call appends rows as a busy gateway writes them, in one batch. With the disk there is one sync a call, so the time is
//! mostly the disk's; without it, it is the checks, the bytes, their checksum and the balances.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use faregate_adapters::chat::Usage;
use faregate_ledger::{
    Row, RowId,
    journal::{
        Journal, Record, Settings, Start,
        disk::{Disk, Files},
    },
    row::{Payer, Work},
};
use faregate_price::NanoUsd;

use super::{Group, Operation, Ready};

const START: Start = Start { node: 1, boot: 1, at: 0 };

pub(super) const GROUP: Group = Group {
    name: "journal_append",
    operations: &[
        Operation::ours("a thousand rows, no disk", || {
            ready(Journal::open(Nowhere, ENDLESS, START).ok(), 1_000)
        }),
        Operation::ours("a thousand rows, one sync", || on_disk(1_000)),
        // What the journal's thread gathers at most, and what one batch takes.
        Operation::ours("six thousand rows, one sync", || on_disk(6_000)),
    ],
};

/// Never full: the bench is not about that.
const ENDLESS: Settings =
    Settings { segment_bytes: 32 << 20, bytes_max: u64::MAX / 4, spare_bytes: 0 };

fn on_disk(rows: u64) -> Ready {
    let folder = Folder(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("out/journal_append").join(rows.to_string()),
    );
    drop(fs::remove_dir_all(&folder.0));
    let journal = Files::open(&folder.0).ok();
    let journal = journal.and_then(|disk| Journal::open(disk, ENDLESS, START).ok());
    let mut ready = ready(journal, rows);
    Ready::new(0, rows, move || {
        // The folder goes with the operation.
        let _kept = &folder;
        ready.call()
    })
}

/// Appends rows with ever new numbers. No journal answers with none, which is not what is expected.
fn ready<D: Disk + 'static>(
    journal: Option<(Journal<D>, faregate_ledger::journal::Recovery)>,
    rows: u64,
) -> Ready
where
    D::File: 'static,
    D::Lock: 'static,
{
    let mut journal = journal.map(|(journal, _)| journal);
    let mut records: Vec<Record> = (0..rows).map(|at| Record::Row(Box::new(row(at)))).collect();
    let mut next = 1;
    Ready::new(0, rows, move || {
        for record in &mut records {
            if let Record::Row(row) = record {
                row.id.number = next;
                row.reserved_at += 5_000;
                next += 1;
            }
        }
        let Some(journal) = &mut journal else { return 0 };
        match journal.append(&records) {
            Ok(appended) => (appended.taken - appended.refused.len()) as u64,
            Err(_) => 0,
        }
    })
}

fn row(at: u64) -> Row {
    Row {
        id: RowId { node: START.node, boot: START.boot, number: 0 },
        reserved_at: 1_795_608_000_000_000_000,
        settled_at: 1_795_608_002_345_678_901,
        request_id: format!("req_{at:024x}").into(),
        payer: Arc::new(Payer {
            organisation: "acme".into(),
            team: "search".into(),
            project: "ranking".into(),
            agent: "indexer".into(),
            key: "search-ci".into(),
            user: format!("user-{}", at % 50),
            tags: vec![("cost_centre".into(), "4711".into())],
        }),
        session: format!("session-{}", at % 200).into(),
        work: Arc::new(Work {
            surface: "chat".into(),
            model_asked: "fast".into(),
            provider: "openai".into(),
            model: "gpt-5-mini".into(),
            route_reason: "first healthy".into(),
            status: 200,
            attempts: 1,
            ..Work::default()
        }),
        usage: Usage { input: 1234, cache_read: 40_960, output: 321, ..Usage::default() },
        price_id: "catalogue/2026-11-20/openai/gpt-5-mini".into(),
        cost: NanoUsd(1_234_567),
        reserved: NanoUsd(9_876_543),
        saved_by_cache: NanoUsd(456_789),
        scopes: ["organisation/acme", "team/search", "project/ranking", "key/search-ci", "user/7"]
            .map(Into::into)
            .into(),
        duration_us: 2_345_678,
        ttft_us: 345_678,
        generation: 17,
        ..Row::default()
    }
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A disk that keeps nothing.
struct Nowhere;

impl Disk for Nowhere {
    type File = ();
    type Lock = ();

    fn lock(&self) -> io::Result<()> {
        Ok(())
    }
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn read(&self, _: &str, _: u64, _: usize) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn length(&self, _: &str) -> io::Result<u64> {
        Ok(0)
    }
    fn create(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn append(&self, (): &mut (), bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn truncate(&self, (): &mut (), _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&self, (): &mut ()) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }
}
