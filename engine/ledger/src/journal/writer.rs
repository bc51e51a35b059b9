//! The thread that writes, and the queue that leads to it.
//!
//! In: rows, requests under way, requests for grants, from any thread, without waiting. Out: grants, told once they are
//! durable. Rows are gathered for [`WriterSettings::linger`] at most, then written and synced together; what was asked for
//! while a sync ran goes with the next. A grant that is asked for does not linger.
//!
//! Remembered between calls: the queue. When it is full the caller is told, and decides. After a second without work the
//! thread sleeps until it is woken, so that an idle gateway wakes nobody.

mod pen;

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use faregate_price::NanoUsd;
use pen::Pen;

use super::{AppendError, Grant, Journal, Record, Window, disk::Disk};
use crate::row::Row;

/// How the thread works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterSettings {
    /// How many messages can wait.
    pub queue: usize,
    /// How long a row waits for others.
    pub linger: Duration,
    /// How many records are written together, at most.
    pub group: usize,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self { queue: 32_768, linger: Duration::from_millis(5), group: 8_192 }
    }
}

/// How the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// It writes.
    Running = 0,
    /// It has reached its size, and grants nothing until the store has folded it.
    Full = 1,
    /// The disk has no room; it tries again.
    NoSpace = 2,
    /// The disk has failed; nothing is written until a restart.
    Broken = 3,
    /// It was stopped.
    Stopped = 4,
}

/// Who is told what became of a grant.
pub trait Granted: Send + Sync {
    /// The grant is durable: so much may be spent since the start of the window.
    fn granted(&self, total: NanoUsd);

    /// It is not granted, and will not be: the journal is full or broken, or the window cannot be granted.
    fn refused(&self);
}

/// The highest total that was granted. A refusal leaves it as it is.
impl Granted for AtomicU64 {
    fn granted(&self, total: NanoUsd) {
        // Whoever reads the total sees what was written before it.
        self.fetch_max(total.0, Ordering::Release);
    }

    fn refused(&self) {}
}

/// Who is told what a scope has spent.
pub trait Asked: Send + Sync {
    /// So much, by everything that was put in before the question.
    fn spent(&self, spent: NanoUsd);
}

/// What a scope has spent in a window.
struct Question {
    scope: Arc<str>,
    window: Window,
    asked: Arc<dyn Asked>,
}

/// The journal could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unasked;

enum Message {
    Record(Record),
    Grant(Grant, Arc<dyn Granted>),
    Question(Question),
}

/// How the process ends.
struct Last {
    returns: Vec<Grant>,
    at: u64,
}

struct Shared {
    queue: ArrayQueue<Message>,
    thread: OnceLock<Thread>,
    /// Something must not wait for others.
    is_urgent: AtomicBool,
    is_asleep: AtomicBool,
    health: AtomicU8,
    trouble: OnceLock<Arc<str>>,
    durable: AtomicU64,
    refused: AtomicU64,
    folded: AtomicU64,
    since: AtomicU64,
    last: OnceLock<Last>,
}

/// The way to the journal, for any thread.
#[derive(Clone)]
pub struct Inbox {
    shared: Arc<Shared>,
}

impl Inbox {
    /// Hands a settled row over. Never waits.
    ///
    /// # Errors
    ///
    /// Gives the row back when the queue is full, or nothing is written any more.
    pub fn submit(&self, row: Box<Row>) -> Result<(), Box<Row>> {
        self.send(Message::Record(Record::Row(row)), false).map_err(row_of)
    }

    /// Says that a request is under way, so that it can be charged by name after a crash: the row is the one that stands
    /// then, at its `reserved`. Never waits.
    ///
    /// A row of this name must follow, if only one that costs nothing: else the next start charges it.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub fn begin(&self, row: Box<Row>) -> Result<(), Box<Row>> {
        self.send(Message::Record(Record::Intent(row)), false).map_err(row_of)
    }

    /// Asks for a grant; `told` is told once it is durable, by the journal's thread. Never waits.
    ///
    /// # Errors
    ///
    /// Gives the grant back when the queue is full, or nothing is written any more; nobody is told then.
    pub fn request_grant(&self, grant: Grant, told: Arc<dyn Granted>) -> Result<(), Grant> {
        self.send(Message::Grant(grant, told), true).map_err(grant_of)
    }

    /// Asks what a scope has spent in a window; `asked` is told by the journal's thread, once all that was put in before is
    /// durable. Never waits. Nobody is told when the disk fails in between.
    ///
    /// # Errors
    ///
    /// When the queue is full, or nothing is written any more.
    pub fn ask_spent(
        &self,
        scope: Arc<str>,
        window: Window,
        asked: Arc<dyn Asked>,
    ) -> Result<(), Unasked> {
        let question = Question { scope, window, asked };
        self.send(Message::Question(question), true).map_err(|_| Unasked)
    }

    /// Lowers a grant to what is spent and held: no more of it may be used from here on, until it is granted again. Never
    /// waits.
    ///
    /// Not while a grant of the same scope and window has been asked for and not been told: it would be told afterwards, and
    /// not be in force.
    ///
    /// # Errors
    ///
    /// As [`request_grant`](Self::request_grant).
    pub fn give_back(&self, grant: Grant) -> Result<(), Grant> {
        let message = Message::Record(Record::Return(grant));
        self.send(message, false).map_err(grant_of)
    }

    /// Says that the store has everything up to this segment: it may go.
    pub fn folded(&self, segment: u64) {
        self.shared.folded.fetch_max(segment, Ordering::Relaxed);
    }

    /// See [`Journal::forget_before`].
    pub fn forget_before(&self, at: u64) {
        self.shared.since.fetch_max(at, Ordering::Relaxed);
    }

    /// The sequence number up to which everything is durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// How the journal is.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.shared.health.load(Ordering::Relaxed) {
            0 => Health::Running,
            1 => Health::Full,
            2 => Health::NoSpace,
            3 => Health::Broken,
            _ => Health::Stopped,
        }
    }

    /// Why it is broken, if it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.shared.trouble.get().map(|why| &**why)
    }

    /// How many records were taken and are not in the journal: it was full or broken, or they could not be written.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many messages wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    fn send(&self, message: Message, is_urgent: bool) -> Result<(), Message> {
        let shared = &*self.shared;
        if shared.health.load(Ordering::Relaxed) >= Health::Broken as u8 {
            return Err(message);
        }
        shared.queue.push(message)?;
        // The thread says that it sleeps, then looks; we put in, then look whether it sleeps: one of both sees the other.
        fence(Ordering::SeqCst);
        let is_asleep = shared.is_asleep.load(Ordering::Relaxed);
        let is_long = shared.queue.len() >= shared.queue.capacity() / 2;
        if (is_urgent || is_long) && !shared.is_urgent.swap(true, Ordering::Relaxed) || is_asleep {
            shared.wake();
        }
        Ok(())
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn is(&self, health: Health) {
        self.health.store(health as u8, Ordering::Relaxed);
    }
}

/// The thread that writes.
#[must_use = "a journal that is not stopped charges its grants at the next start"]
pub struct Writer {
    inbox: Inbox,
    thread: JoinHandle<Result<(), AppendError>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start<D>(journal: Journal<D>, settings: WriterSettings) -> io::Result<Self>
    where
        D: Disk + Send + 'static,
        D::File: Send,
        D::Lock: Send,
    {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(settings.queue.max(2)),
            thread: OnceLock::new(),
            is_urgent: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
            health: AtomicU8::new(Health::Running as u8),
            trouble: OnceLock::new(),
            durable: AtomicU64::new(journal.durable()),
            refused: AtomicU64::new(0),
            folded: AtomicU64::new(0),
            since: AtomicU64::new(0),
            last: OnceLock::new(),
        });
        let pen = Pen::new(journal, settings, Arc::clone(&shared));
        let thread = thread::Builder::new().name("journal".into()).spawn(|| pen.run())?;
        // Before this, nobody has an inbox to wake it by.
        drop(shared.thread.set(thread.thread().clone()));
        Ok(Self { inbox: Inbox { shared }, thread })
    }

    /// A way to the journal.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Writes everything that waits, gives grants back, and ends. Whoever could still put something in must have ended
    /// before: it would be lost.
    ///
    /// # Errors
    ///
    /// When not everything could be written; the next start charges what is open.
    pub fn stop(self, returns: Vec<Grant>, at: u64) -> Result<(), AppendError> {
        drop(self.inbox.shared.last.set(Last { returns, at }));
        self.inbox.shared.is_urgent.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let ended = self.thread.join();
        self.inbox.shared.is(Health::Stopped);
        ended.unwrap_or_else(|_| Err(AppendError::Broken("the journal's thread panicked".into())))
    }
}

fn row_of(message: Message) -> Box<Row> {
    match message {
        Message::Record(Record::Row(row) | Record::Intent(row)) => row,
        Message::Record(_) | Message::Grant(..) | Message::Question(_) => {
            unreachable!("what was put in comes back")
        }
    }
}

fn grant_of(message: Message) -> Grant {
    match message {
        Message::Record(Record::Return(grant)) | Message::Grant(grant, _) => grant,
        Message::Record(_) | Message::Question(_) => unreachable!("what was put in comes back"),
    }
}
