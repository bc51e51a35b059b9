//! The clerk: folds the journal into the store.
//!
//! In: the journal's records, as far as they are durable. Out: rows and sums in the store, and word to the journal which
//! segments it need not keep; rows that are old go. A store that is down stops nothing: it is tried again.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use faregate_ledger::{
    Row,
    journal::{Follow, Position, Record, disk::Files, writer::Inbox},
    store::{self, Store},
};

use super::{JOURNAL, retention::Retention};
use crate::worker::Shared;

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long a store that is down is left alone.
const REST: Duration = Duration::from_secs(2);

/// Rows of one fold, about: it is one transaction of the store.
const ROWS: usize = 8192;

/// Starts the thread.
///
/// # Errors
///
/// When the system gives no thread.
pub(super) fn start(
    data: &Path,
    (node, inbox): (u64, Inbox),
    shared: &Arc<Shared>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, String> {
    let (shared, retention) = (Arc::clone(shared), Retention::default());
    let mut clerk = Clerk { data: data.to_owned(), node, desk: None, retention, shared };
    thread::Builder::new()
        .name("clerk".to_owned())
        .spawn(move || {
            loop {
                let is_last = stop.load(Ordering::Acquire);
                let pause = match clerk.work(&inbox) {
                    Ok(()) => LOOK,
                    Err(error) => {
                        let data = clerk.data.display();
                        tracing::warn!(%data, %error, "the store of the books cannot be written; it is tried again");
                        REST
                    }
                };
                if is_last {
                    return;
                }
                thread::park_timeout(pause);
            }
        })
        .map_err(|error| format!("clerk: {error}"))
}

struct Clerk {
    data: PathBuf,
    node: u64,
    /// `None`: to be opened where the store stands.
    desk: Option<Desk>,
    retention: Retention,
    shared: Arc<Shared>,
}

/// The store, and the journal read up to where it stands.
struct Desk {
    store: Store,
    follow: Follow<Files>,
}

impl Clerk {
    /// Folds everything that is durable. What failed is begun anew where the store stands, so that nothing is left out.
    fn work(&mut self, inbox: &Inbox) -> Result<(), String> {
        let mut desk = match self.desk.take() {
            Some(desk) => desk,
            None => Desk::open(&self.data, self.node)?,
        };
        desk.fold(self.node, inbox)?;
        let (keep, now) = (self.shared.live.load().policy.keep, self.shared.clock.wall());
        let old = self.retention.step(&mut desk.store, keep, now);
        if let Some(old) = old.map_err(|error| error.to_string())? {
            inbox.forget_before(old);
        }
        self.desk = Some(desk);
        Ok(())
    }
}

impl Desk {
    fn open(data: &Path, node: u64) -> Result<Self, String> {
        let store = Store::open(data).map_err(|error| error.to_string())?;
        let folded = store.position(node).map_err(|error| error.to_string())?;
        let position = folded
            .map_or(Position::default(), |at| Position { segment: at.segment, offset: at.offset });
        let files = Files::open(&data.join(JOURNAL)).map_err(|error| error.to_string())?;
        Ok(Self { follow: Follow::new(files, position), store })
    }

    fn fold(&mut self, node: u64, inbox: &Inbox) -> Result<(), String> {
        loop {
            let before = self.follow.position();
            let (mut rows, mut position) = (Vec::new(), before);
            // What the journal wrote at once is little; what a fold costs, it costs once.
            let ended = loop {
                match self.follow.read(inbox.durable()) {
                    Ok(records) => {
                        let is_end = records.is_empty();
                        rows.extend(records.into_iter().filter_map(row_of));
                        position = self.follow.position();
                        if is_end || rows.len() >= ROWS {
                            break Ok(is_end);
                        }
                    }
                    // What stands before it is folded all the same.
                    Err(error) => break Err(error.to_string()),
                }
            };
            if position != before {
                let Position { segment, offset } = position;
                let at = store::Position { node, segment, offset };
                self.store.fold(&rows, Some(at)).map_err(|error| error.to_string())?;
                inbox.folded(segment.saturating_sub(1));
            }
            if ended? {
                return Ok(());
            }
        }
    }
}

fn row_of(record: Record) -> Option<Row> {
    match record {
        Record::Row(row) => Some(*row),
        // What a dead process was allowed and nobody can account for counts against budgets, each for itself: several may mean
        // the same money, which no report could add up.
        Record::Lost { .. }
        | Record::Grant(_)
        | Record::Intent(_)
        | Record::Return(_)
        | Record::Boot(_)
        | Record::Close { .. }
        | Record::Part(_) => None,
    }
}
