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
            let records = self.follow.read(inbox.durable()).map_err(|error| error.to_string())?;
            let position = self.follow.position();
            if records.is_empty() && position == before {
                return Ok(());
            }
            let rows: Vec<Row> = records.into_iter().filter_map(row_of).collect();
            let at = store::Position { node, segment: position.segment, offset: position.offset };
            self.store.fold(&rows, Some(at)).map_err(|error| error.to_string())?;
            inbox.folded(position.segment.saturating_sub(1));
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
