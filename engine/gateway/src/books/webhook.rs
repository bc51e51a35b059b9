//! Tells operators' webhook of budgets that have reached a share to warn at.
//!
//! In: a budget and the share that it has reached, from the keeper. Out: one POST for each share, budget and window, signed; the
//! journal knows which were taken, so that a restart tells nothing again.
//!
//! **What holds.** A share that was told is written down after the webhook has taken it. So a crash in between tells it a second
//! time, under the same `id`; it is never forgotten because of one. What finds the queue full, or is not taken after
//! [`ATTEMPTS`], is said in the log, and told by the next process if the window is still open then.
//!
//! It runs in a thread of its own, which nobody waits for, also not at the end of the process.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use faregate_adapters::auth::sigv4::hmac_sha256_hex;
use faregate_ledger::journal::{Asked, Grant, balances::TOLD};
use faregate_policy::{Wall, budget::Budget};
use faregate_price::NanoUsd;
use faregate_wire::{JsonWriter, Method};
use sha2::{Digest, Sha256};

use super::{Books, keeper::window};
use crate::{
    allowance::{self, At},
    clock::Clock,
    credentials::fetch::{Ask, CA_VARIABLE, Fetcher},
    worker::Shared,
};

/// Shares that may wait to be told.
const WAITING_MAX: usize = 256;

/// How often one is sent at most.
const ATTEMPTS: u32 = 10;

/// The pause after a first failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where POSTs go, as the policy in force has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// Its URL.
    pub(crate) url: Box<str>,
    /// What bodies are signed with.
    pub(crate) secret: String,
    /// Who may vouch for it.
    pub(crate) ca_file: Option<PathBuf>,
}

/// What is to be told.
pub(super) struct News {
    queue: ArrayQueue<Item>,
    thread: OnceLock<Thread>,
}

/// One share of one budget.
struct Item {
    id: String,
    body: String,
    /// What the journal is told when it was taken.
    told: Grant,
}

/// An item that is told unless the journal says that it was.
struct Question {
    books: Arc<Books>,
    item: ArrayQueue<Item>,
}

impl Default for News {
    fn default() -> Self {
        Self { queue: ArrayQueue::new(WAITING_MAX), thread: OnceLock::new() }
    }
}

impl News {
    fn add(&self, item: Item) {
        if let Err(item) = self.queue.push(item) {
            tracing::error!(id = item.id, "too many budgets wait to be told of: this one is not");
        }
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Asked for Question {
    fn spent(&self, spent: NanoUsd) {
        if let Some(item) = self.item.pop()
            && spent < item.told.total
        {
            self.books.news.add(item);
        }
    }
}

/// Has a share told that the budget has reached, if none as high was told of its window.
pub(super) fn tell(
    books: &Arc<Books>,
    generation: u64,
    (scope, budget): (&str, &Budget),
    share: u64,
    now: Wall,
) {
    let level = budget.level(now);
    let window = window(level.window);
    let name: Arc<str> = format!("{TOLD}{}:{scope}", budget.unit.as_str()).into();
    let of = format!("{:x}/{name}/{}/{}/{share}", books.node, window.start, window.end);
    let id: String = Sha256::digest(of).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut body = Vec::with_capacity(512);
    let mut json = JsonWriter::new(&mut body);
    json.object().member_str("object", "faregate.budget_warning").member_str("id", &id);
    json.member_str("time", &now.to_string()).member_str("scope", scope);
    json.member_u64("share_percent", share).name("budget");
    allowance::write_budget(
        &mut json,
        budget,
        At { wall: now, now: Default::default(), generation, overdraft: 0 },
    );
    json.end();
    let body = String::from_utf8(body).unwrap_or_default();
    let told = Grant { scope: Arc::clone(&name), window, total: NanoUsd(share) };
    let item = ArrayQueue::new(1);
    drop(item.push(Item { id, body, told }));
    let question = Arc::new(Question { books: Arc::clone(books), item });
    if books.inbox.ask_spent(name, window, Arc::clone(&question) as Arc<dyn Asked>).is_err() {
        // A journal that is down silences nothing.
        question.spent(NanoUsd::ZERO);
    }
}

/// Starts the thread.
///
/// # Errors
///
/// When the system gives none.
pub(super) fn start(
    books: Arc<Books>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
) -> io::Result<()> {
    let handle = thread::Builder::new().name("webhook".to_owned()).spawn({
        let books = Arc::clone(&books);
        move || {
            let mut teller = Teller { books, shared, stop, fetcher: None };
            while !teller.stop.load(Ordering::Acquire) {
                match teller.books.news.queue.pop() {
                    Some(item) => teller.tell(item),
                    None => thread::park_timeout(LOOK),
                }
            }
        }
    })?;
    drop(books.news.thread.set(handle.thread().clone()));
    Ok(())
}

struct Teller {
    books: Arc<Books>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    /// What sends, for one file of authorities.
    fetcher: Option<(Option<PathBuf>, Fetcher)>,
}

impl Teller {
    /// Sends an item until it is taken, the process ends, or it was sent too often.
    fn tell(&mut self, item: Item) {
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let Some(hook) = self.shared.live.load().webhook.clone() else { return };
            let error = match self.send(&hook, &item) {
                Ok(()) => {
                    tracing::info!(id = item.id, attempt, "the webhook was told of a budget");
                    // Without room for it, a restart tells it again.
                    let told: Arc<AtomicU64> = Arc::default();
                    drop(self.books.inbox.request_grant(item.told, told));
                    return;
                }
                Err(error) => error,
            };
            if attempt == ATTEMPTS {
                tracing::error!(
                    id = item.id,
                    error,
                    "the webhook does not take it: it is not told of a budget"
                );
                return;
            }
            tracing::warn!(
                id = item.id,
                attempt,
                error,
                "the webhook does not take it; it is tried again"
            );
            if !self.rest(pause) {
                return;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn send(&mut self, hook: &Hook, item: &Item) -> Result<(), String> {
        let signature = format!("sha256={}", hmac_sha256_hex(hook.secret.as_bytes(), &item.body));
        let fields = [
            ("content-type", "application/json"),
            ("x-faregate-event", "budget.warning"),
            ("x-faregate-delivery", &item.id),
            ("x-faregate-signature", &signature),
        ];
        let ask = Ask {
            method: Method::Post,
            url: &hook.url,
            fields: &fields,
            body: item.body.as_bytes(),
        };
        match self.fetcher(hook).ask(&ask)?.status {
            200..=299 => Ok(()),
            status => Err(format!("it answers {status}")),
        }
    }

    fn fetcher(&mut self, hook: &Hook) -> &Fetcher {
        let is_same = self.fetcher.as_ref().is_some_and(|(ca_file, _)| *ca_file == hook.ca_file);
        if !is_same {
            self.fetcher = None;
        }
        let (_, fetcher) = self.fetcher.get_or_insert_with(|| {
            let file = hook.ca_file.as_ref().map(|file| file.display().to_string());
            let variable = move |name: &str| file.clone().filter(|_| name == CA_VARIABLE);
            (hook.ca_file.clone(), Fetcher::new(Clock::start(), variable))
        });
        fetcher
    }

    /// Waits; whether the process goes on.
    fn rest(&self, pause: Duration) -> bool {
        let end = self.shared.clock.now().after(pause);
        loop {
            let left = Duration::from_nanos(end.since(self.shared.clock.now()));
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            thread::park_timeout(left.min(LOOK));
        }
    }
}
