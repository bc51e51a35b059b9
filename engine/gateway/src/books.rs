//! The books: what every request cost, written down by threads of their own.
//!
//! In: one row for each request that a provider may charge for, from any core, without waiting. Out: a journal and a store in
//! the data folder; budgets as they were before a restart; leave for budgets to be spent, ahead of need. Three threads: the
//! journal's writer, the *keeper*, who has the journal allow what budgets will need, and the *clerk*, who folds the journal
//! into the store. None of them is waited for but by a request whose budget the journal has not caught up with.

mod clerk;
mod folder;
mod keeper;
mod lender;
mod parts;
mod retention;
mod row;
mod webhook;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{JoinHandle, Thread},
    time::Duration,
};

use faregate_ledger::{
    Row, RowId,
    journal::{
        Journal, OpenError, Settings, Start,
        disk::Files,
        writer::{Health, Inbox, Writer, WriterSettings},
    },
};
use faregate_policy::{Policy, policy::BudgetStore};

pub(crate) use folder::default_folder;
pub(crate) use parts::Parts;
pub(crate) use row::{row, under_way};
pub(crate) use webhook::Hook;

use crate::{clock::Clock, trace::Random, worker::Shared};

/// The journal's folder in the data folder.
const JOURNAL: &str = "journal";

/// How often a process that waits for another one's books looks.
const LOCK_LOOK: Duration = Duration::from_millis(50);

/// Messages that may wait for the journal before budgets are no longer drawn on.
const WAITING_MAX: usize = 24 * 1024;

/// The way to the books, for every core.
pub(crate) struct Books {
    inbox: Inbox,
    node: u64,
    boot: u64,
    /// The number of the next row.
    next: AtomicU64,
    /// Rows that nobody took.
    lost: AtomicU64,
    keeper: OnceLock<Thread>,
    /// What operators are to be told of budgets.
    news: webhook::News,
    /// There where budgets are leased from a store.
    lender: OnceLock<Thread>,
    /// How the store of shared budgets is.
    pub(crate) lending: lender::Health,
}

/// The books, opened; no thread but the writer's runs yet.
pub(crate) struct Opened {
    pub(crate) books: Arc<Books>,
    writer: Writer,
    data: PathBuf,
    lending: Option<lender::Lending>,
    /// What budgets have spent before, told to each of them.
    balances: faregate_ledger::journal::Balances,
}

/// Why the books are not open.
enum NotOpened {
    Locked,
    Failed(String),
}

impl NotOpened {
    fn text(&self, data: &Path) -> String {
        let why = match self {
            Self::Locked => {
                "another process has them open; give this one a folder of its own in ledger.dir or FAREGATE_DATA"
            }
            Self::Failed(why) => why,
        };
        format!("the books in {}: {why}", data.display())
    }
}

/// The threads of the books.
pub(crate) struct Keeping {
    books: Arc<Books>,
    writer: Writer,
    stop: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
    lender: Option<JoinHandle<()>>,
    clerk: JoinHandle<()>,
}

impl Books {
    /// Opens the books in the folder `data`, or begins them. What a process that died left open is charged before this returns.
    /// A process that has them is waited for, as long as `patience` says.
    ///
    /// # Errors
    ///
    /// A report for a person.
    pub(crate) fn open(data: &Path, patience: Duration) -> Result<Opened, String> {
        let clock = Clock::start();
        let end = clock.now().after(patience);
        let mut has_said = false;
        loop {
            match Self::open_now(data) {
                Err(NotOpened::Locked) if clock.now() < end => {
                    if !std::mem::replace(&mut has_said, true) {
                        tracing::info!("another process has the books; it is waited for");
                    }
                    std::thread::sleep(LOCK_LOOK);
                }
                opened => return opened.map_err(|error| error.text(data)),
            }
        }
    }

    fn open_now(data: &Path) -> Result<Opened, NotOpened> {
        let failed = |error: &dyn std::fmt::Display| NotOpened::Failed(error.to_string());
        let disk = Files::open(&data.join(JOURNAL)).map_err(|error| failed(&error))?;
        let random = Random::new();
        let boot = random.next();
        let start = Start { node: random.next(), boot, at: Clock::start().wall() };
        let opened = Journal::open(disk, Settings::default(), start);
        let (journal, recovery) = opened.map_err(|error| match error {
            OpenError::Locked => NotOpened::Locked,
            error => failed(&error),
        })?;
        if !recovery.was_closed {
            tracing::warn!(
                charged = recovery.charged.len(),
                torn_bytes = recovery.torn,
                "the last process did not end as it should; what it left open is charged at its most"
            );
        }
        let balances = journal.balances().clone();
        let writer =
            Writer::start(journal, WriterSettings::default()).map_err(|error| failed(&error))?;
        let books = Self {
            inbox: writer.inbox(),
            node: recovery.node,
            boot,
            next: AtomicU64::new(recovery.first_row),
            lost: AtomicU64::new(0),
            keeper: OnceLock::new(),
            news: webhook::News::default(),
            lender: OnceLock::new(),
            lending: lender::Health::default(),
        };
        Ok(Opened {
            books: Arc::new(books),
            writer,
            data: data.to_owned(),
            lending: None,
            balances,
        })
    }

    /// A name for one row.
    pub(crate) fn name(&self) -> RowId {
        RowId {
            node: self.node,
            boot: self.boot,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Writes a row down, soon.
    pub(crate) fn submit(&self, row: Box<Row>) {
        if self.inbox.submit(row).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(
                "the journal does not take rows any more: what requests cost is no longer written down"
            );
        }
    }

    /// Says that a request is under way: should the process die, it is charged by its name.
    pub(crate) fn begin(&self, row: Box<Row>) {
        // Where there is no room for it, the lease that it is paid from is charged instead.
        drop(self.inbox.begin(row));
    }

    /// Whether nothing may be spent that must be written down.
    pub(crate) fn is_behind(&self) -> bool {
        self.inbox.health() != Health::Running || self.inbox.waiting() > WAITING_MAX
    }

    /// Whether budgets are leased from a store.
    pub(crate) fn lends(&self) -> bool {
        self.lender.get().is_some()
    }

    /// Somebody waits for the journal.
    pub(crate) fn hurry(&self) {
        // Where there is a lender, it does what the keeper does elsewhere.
        if let Some(thread) = self.lender.get().or(self.keeper.get()) {
            thread.unpark();
        }
    }

    /// Rows that are in no books.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed).saturating_add(self.inbox.refused())
    }

    /// Rows and grants that are not written down yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.inbox.waiting() as u64
    }

    /// Why nothing is written down any more, if nothing is.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.inbox.health() {
            Health::Running | Health::Stopped => None,
            Health::Full => Some("the journal has reached its size".to_owned()),
            Health::NoSpace => Some("the disk has no room".to_owned()),
            Health::Broken => {
                Some(self.inbox.trouble().unwrap_or("the disk has failed").to_owned())
            }
        }
    }
}

impl Opened {
    /// Has budgets of money leased from a store that other gateways use, too.
    ///
    /// # Errors
    ///
    /// What is missing, for a person.
    pub(crate) fn lend(&mut self, store: &BudgetStore) -> Result<(), String> {
        let name = store.node.clone().unwrap_or_else(|| format!("{:016x}", self.books.node));
        let overdraft = store.overdraft.map_or(0, |(amount, gateways)| amount / gateways.max(1));
        self.lending = Some(lender::Lending { store: lender::connect(store)?, name, overdraft });
        Ok(())
    }

    /// Tells the budgets of the first policy what has been spent before.
    pub(crate) fn restore(&self, policy: &Policy) {
        let now = Clock::start().wall();
        for (scope, budget) in policy.budgets() {
            keeper::restore(scope, budget, &self.balances, now);
        }
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn keep(self, shared: &Arc<Shared>) -> Result<Keeping, String> {
        let Self { books, writer, data, lending, .. } = self;
        let stop = Arc::new(AtomicBool::new(false));
        let lender = match lending {
            Some(lending) => {
                let (books, shared, stop) =
                    (Arc::clone(&books), Arc::clone(shared), Arc::clone(&stop));
                let started = lender::start(lending, books, shared, stop);
                Some(started.map_err(|error| format!("lender: {error}"))?)
            }
            None => None,
        };
        if let Some(lender) = &lender {
            drop(books.lender.set(lender.thread().clone()));
        }
        let keeper = keeper::start(Arc::clone(&books), Arc::clone(shared), Arc::clone(&stop))
            .map_err(|error| format!("keeper: {error}"))?;
        drop(books.keeper.set(keeper.thread().clone()));
        webhook::start(Arc::clone(&books), Arc::clone(shared), Arc::clone(&stop))
            .map_err(|error| format!("webhook: {error}"))?;
        let clerk =
            clerk::start(&data, (books.node, books.inbox.clone()), shared, Arc::clone(&stop))?;
        Ok(Keeping { books, writer, stop, keeper, lender, clerk })
    }
}

impl Keeping {
    /// Writes everything down, gives back what was not spent, and ends. No core may be at work any more.
    pub(crate) fn stop(self, shared: &Shared) {
        self.stop.store(true, Ordering::Release);
        self.keeper.thread().unpark();
        drop(self.keeper.join());
        if let Some(lender) = self.lender {
            lender.thread().unpark();
            drop(lender.join());
        }
        let now = shared.clock.wall();
        let returns = keeper::returns(&shared.live.load().policy, now);
        if let Err(error) = self.writer.stop(returns, now) {
            tracing::error!(%error, "the journal did not end as it should; the next start charges what is open");
        }
        self.clerk.thread().unpark();
        drop(self.clerk.join());
        if self.books.lost() > 0 {
            tracing::error!(rows = self.books.lost(), "rows that are in no books");
        }
    }
}
