//! The thread that counts tokens: vocabularies take a third of a second to load, and a long prompt milliseconds to count,
//! neither of which a core has.
//!
//! In: a request's body, the dialect it is in, the model's tokenizer. Out: a [`Count`], a little later, without a lock.
//! Remembered: the vocabularies, once a request has needed them. Whoever asks has something to fall back on: a full queue, a
//! body that is too long and a count that comes too late are all `None`.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use faregate_adapters::{
    chat::Request,
    dialect::{Call, Form, Invalid, gemini},
    surface::Surface,
    tokens::{self, Count, How, Tokenizer},
};

use crate::worker::Core;

/// The longest body that is counted; it takes half a second at worst, a twentieth of that where it is prose.
pub(crate) const COUNTED_BYTES_MAX: usize = 1024 * 1024;

/// Bodies that wait to be counted, and their bytes.
const WAITING_MAX: usize = 64;
const WAITING_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How often a request that waits for its count looks whether it is there.
const LOOK: Duration = Duration::from_millis(1);

/// How long a request waits for its count, the loading of a vocabulary included.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is wanted of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What a request to count tokens is answered.
    Count,
    /// What can be set aside for it.
    Bound,
    /// What is shown before the provider has told.
    Display,
}

/// What is to be counted.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is wanted.
    pub(crate) wish: Wish,
    /// What was called.
    pub(crate) surface: Surface,
    /// The dialect of the body.
    pub(crate) form: Form,
    /// The model's tokenizer.
    pub(crate) tokenizer: Tokenizer,
    /// The body, as the client sent it.
    pub(crate) body: Box<[u8]>,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Counter {
    desk: Arc<Desk>,
    thread: Thread,
}

#[derive(Debug)]
struct Desk {
    waiting: ArrayQueue<(Job, Arc<Place>)>,
    bytes: AtomicU64,
}

/// Where a count is put: [`PENDING`], [`FAILED`], or the count and how it was come by.
#[derive(Debug, Default)]
struct Place(AtomicU64);

const PENDING: u64 = 0;
const FAILED: u64 = 1;

/// A count that is on its way.
#[derive(Debug)]
pub(crate) struct Pending(Arc<Place>);

impl Counter {
    /// Starts the thread. It loads nothing until it is asked.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let desk =
            Arc::new(Desk { waiting: ArrayQueue::new(WAITING_MAX), bytes: AtomicU64::new(0) });
        let theirs = Arc::clone(&desk);
        let handle = thread::Builder::new().name("counter".to_owned()).spawn(move || {
            loop {
                while let Some((job, place)) = theirs.waiting.pop() {
                    theirs.bytes.fetch_sub(job.body.len() as u64, Ordering::Relaxed);
                    // A tokenizer that panics must not leave the next one waiting.
                    let count = catch_unwind(AssertUnwindSafe(|| job.count())).ok().flatten();
                    place.put(count);
                }
                thread::park();
            }
        })?;
        Ok(Self { desk, thread: handle.thread().clone() })
    }

    /// Has a body counted; `None` when it is too long, or too much waits already.
    pub(crate) fn ask(&self, job: Job) -> Option<Pending> {
        let bytes = job.body.len() as u64;
        if job.body.len() > COUNTED_BYTES_MAX {
            return None;
        }
        let before = self.desk.bytes.fetch_add(bytes, Ordering::Relaxed);
        let place = Arc::new(Place::default());
        let fits = before.saturating_add(bytes) <= WAITING_BYTES_MAX;
        if !fits || self.desk.waiting.push((job, Arc::clone(&place))).is_err() {
            self.desk.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return None;
        }
        self.thread.unpark();
        Some(Pending(place))
    }
}

impl Pending {
    /// The count, if it is there.
    pub(crate) fn now(&self) -> Option<Count> {
        self.0.get().ok().flatten()
    }

    /// Waits for the count, not for ever.
    pub(crate) async fn wait(self, core: &Core) -> Option<Count> {
        let end = core.now().after(PATIENCE);
        loop {
            match self.0.get() {
                Ok(count) => return count,
                Err(Unknown) if core.now() >= end => return None,
                Err(Unknown) => {
                    crate::io::sleep(LOOK).await;
                    core.wake_up();
                }
            }
        }
    }
}

/// The count is not there yet.
struct Unknown;

impl Place {
    fn put(&self, count: Option<Count>) {
        let value = count.map_or(FAILED, |Count { tokens, how }| {
            let how = match how {
                How::Exact => 1,
                How::UpperBound => 2,
                How::Estimate => 3,
            };
            tokens.min(u64::MAX >> 2) << 2 | how
        });
        // An exact count is never 0, so no count looks like `FAILED`.
        self.0.store(value, Ordering::Release);
    }

    fn get(&self) -> Result<Option<Count>, Unknown> {
        let value = self.0.load(Ordering::Acquire);
        let how = match value {
            PENDING => return Err(Unknown),
            FAILED => return Ok(None),
            value if value & 3 == 1 => How::Exact,
            value if value & 3 == 2 => How::UpperBound,
            _ => How::Estimate,
        };
        Ok(Some(Count { tokens: value >> 2, how }))
    }
}

impl Job {
    fn count(&self) -> Option<Count> {
        let prepared = self.form.inbound().prepare(&self.body);
        let body = prepared.as_deref().unwrap_or(&self.body);
        let request = read(self.surface, self.form, body).ok()?;
        Some(match self.wish {
            Wish::Count => {
                let count = tokens::count(self.tokenizer, &request);
                let most = tokens::refine(self.tokenizer, &request, self.body.len() as u64);
                let is_looser = count.how == How::UpperBound && most.how == How::UpperBound;
                if is_looser && most.tokens < count.tokens { most } else { count }
            }
            Wish::Bound => tokens::refine(self.tokenizer, &request, self.body.len() as u64),
            Wish::Display => tokens::estimate(Some(self.tokenizer), &request),
        })
    }
}

/// The request that a body holds, as far as tokens go.
///
/// # Errors
///
/// [`Invalid`] when it is none of the dialect.
pub(crate) fn read(surface: Surface, form: Form, body: &[u8]) -> Result<Request<'_>, Invalid> {
    // Where the model and the stream stand in the path, they are of no weight here.
    let call = Call { model: Some(""), stream: Some(false) };
    match surface {
        Surface::CountContent => gemini::read_count_request(body, &call),
        _ => form.inbound().read_request(body, &call),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(body: &str) -> Job {
        Job {
            wish: Wish::Count,
            surface: Surface::CountTokens,
            form: Form::Messages,
            tokenizer: Tokenizer::of("gpt-4o").expect("it is in the table"),
            body: body.as_bytes().into(),
        }
    }

    fn wait(pending: &Pending) -> Option<Count> {
        loop {
            match pending.0.get() {
                Ok(count) => return count,
                Err(Unknown) => thread::yield_now(),
            }
        }
    }

    #[test]
    fn what_is_asked_is_counted_in_turn() {
        let counter = Counter::start().unwrap();
        let said = r#"{"model":"m","messages":[{"role":"user","content":"tiktoken is great!"}]}"#;
        let [first, bad, last] =
            [said, r#"{"messages":7}"#, said].map(|b| counter.ask(job(b)).unwrap());
        assert_eq!(wait(&first), Some(Count { tokens: 13, how: How::Exact }));
        assert_eq!(wait(&bad), None);
        assert_eq!(wait(&last), first.now());
        assert_eq!(counter.desk.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_too_much_is_refused_and_holds_nothing() {
        let desk = Arc::new(Desk { waiting: ArrayQueue::new(1), bytes: AtomicU64::new(0) });
        let counter = Counter { desk, thread: thread::current() };
        assert!(counter.ask(job(&" ".repeat(COUNTED_BYTES_MAX + 1))).is_none());
        assert!(counter.ask(job("{}")).is_some());
        assert!(counter.ask(job("{}")).is_none());
        assert_eq!(counter.desk.bytes.load(Ordering::Relaxed), 2);
        counter.desk.bytes.store(WAITING_BYTES_MAX, Ordering::Relaxed);
        assert!(counter.ask(job("{}")).is_none());
    }

    #[test]
    fn a_count_survives_its_place() {
        let place = Place::default();
        assert!(place.get().is_err());
        for how in [How::Exact, How::UpperBound, How::Estimate] {
            for tokens in [1, 200_000, u64::MAX >> 2] {
                place.put(Some(Count { tokens, how }));
                assert_eq!(place.get().ok(), Some(Some(Count { tokens, how })));
            }
        }
        place.put(None);
        assert_eq!(place.get().ok(), Some(None));
    }
}
