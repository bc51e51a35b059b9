//! The thread that knows which questions are the same in other words.
//!
//! In: questions, vectors, answers that came. Out: a [`Looked`], a little later, without a lock. Remembered: a
//! [`Store`] of the floor below, which only this thread touches. A question is brought into its plain form here and not on
//! a core, and so are answers compared. A full queue is a miss, and what is to be learned is then lost and counted.

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

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use faregate_adapters::{dialect::Form, said};
use faregate_policy::cache::table;
use faregate_semantic::{
    Decision, Entry, Partition, Profile, Settings, Standing, Store, Vector, Verdict,
    learn::Seen,
    store::{Asked, Bare, EntryId},
};

use crate::{cache::Kept, trace::Random, worker::Core};

/// Bytes of questions and vectors that are remembered.
const MEMORY_BYTES: usize = 32 << 20;

/// Questions and answers that wait for the thread.
const WAITING_MAX: usize = 256;

/// Vectors that are made for one question: its own, and those of entries that have none yet.
pub(crate) const VECTORS_MAX: usize = 8;

/// How often a request that waits looks whether its answer is there.
const LOOK: Duration = Duration::from_millis(1);

/// How long a request waits for the thread.
const PATIENCE: Duration = Duration::from_millis(500);

/// A question, with all that it is compared by.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// All of the request but the question, as a digest.
    pub(crate) partition: Partition,
    /// The question.
    pub(crate) text: Box<str>,
    /// The workload's name.
    pub(crate) workload: Box<str>,
    /// What the policy says.
    pub(crate) settings: Settings,
    /// Vectors are made here, of letters.
    pub(crate) built_in: bool,
    /// The gateway's monotonic clock.
    pub(crate) now_ms: u64,
}

/// What is found.
#[derive(Clone, Debug)]
pub(crate) enum Looked {
    /// It cannot be compared: it is too long, or has no words.
    Unfit,
    /// Nothing may be the same.
    New,
    /// Vectors are needed first: of the question, and of these.
    Needs(Vec<Bare>),
    /// What is to be done, and the question's vector.
    Decided(Decision, Vector),
}

/// What became of a question whose answer is kept now.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The question.
    pub(crate) asking: Asking,
    /// Its vector, where one was made.
    pub(crate) vector: Option<Vector>,
    /// Its answer.
    pub(crate) answer: Arc<table::Entry<Kept>>,
    /// The name of its answer.
    pub(crate) key: [u8; 32],
    /// How long it may be given to other words.
    pub(crate) ttl_ms: u64,
    /// How the answer is spelled.
    pub(crate) form: Form,
    /// What it might have been answered with.
    pub(crate) tried: Option<Tried>,
}

/// An answer that was not given, so that it could be compared with the one that came.
#[derive(Debug)]
pub(crate) struct Tried {
    /// The entry it belongs to.
    pub(crate) entry: EntryId,
    /// How alike the two questions are.
    pub(crate) similarity: f64,
    /// The answer.
    pub(crate) answer: Arc<table::Entry<Kept>>,
    /// It would have been given: it is compared to know how often hits are wrong.
    pub(crate) is_hit: bool,
}

#[derive(Debug)]
enum Job {
    Look(Asking, Arc<Reply>),
    Decide(Asking, Vec<(Option<EntryId>, Vector)>, Arc<Reply>),
    Keep(Box<Answered>),
    Forget(EntryId),
    Reset(Box<str>),
}

type Reply = ArrayQueue<Looked>;

/// What the thread has done, for operators.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Questions that were looked up.
    pub(crate) looked: AtomicU64,
    /// Answers that might have been given, and were not, to learn from them.
    pub(crate) explored: AtomicU64,
    /// Hits that were compared with what the model says.
    pub(crate) compared: AtomicU64,
    /// Those whose answer was different.
    pub(crate) different: AtomicU64,
    /// Answers that were to be learned from, or kept, and were not: the queue was full.
    pub(crate) lost: AtomicU64,
    /// Entries.
    pub(crate) entries: AtomicU64,
    /// Their bytes.
    pub(crate) bytes: AtomicU64,
    /// Workloads whose cache has put itself off.
    pub(crate) off: AtomicU64,
}

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Meaning {
    desk: Arc<Desk>,
    thread: Thread,
}

#[derive(Debug)]
struct Desk {
    waiting: ArrayQueue<Job>,
    figures: Figures,
    standings: ArcSwap<Vec<(Box<str>, Standing)>>,
}

impl Meaning {
    /// Starts the thread. It remembers nothing until it is told something.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let desk = Arc::new(Desk {
            waiting: ArrayQueue::new(WAITING_MAX),
            figures: Figures::default(),
            standings: ArcSwap::default(),
        });
        let theirs = Arc::clone(&desk);
        let handle = thread::Builder::new().name("semantic".to_owned()).spawn(move || {
            let mut worker = Worker {
                store: Store::new(MEMORY_BYTES),
                workloads: Vec::new(),
                random: Random::new(),
                desk: theirs,
            };
            loop {
                while let Some(job) = worker.desk.waiting.pop() {
                    // A text that no rule was made for must not end the thread.
                    let done = catch_unwind(AssertUnwindSafe(|| worker.work(job)));
                    if done.is_err() {
                        tracing::error!("a question broke the semantic cache; it begins anew");
                        worker.store.forget_all();
                    }
                }
                thread::park();
            }
        })?;
        Ok(Self { desk, thread: handle.thread().clone() })
    }

    fn ask(&self, job: Job) -> bool {
        let is_taken = self.desk.waiting.push(job).is_ok();
        self.thread.unpark();
        is_taken
    }

    /// Looks for questions that may be the same.
    pub(crate) async fn look(&self, core: &Core, asking: Asking) -> Option<Looked> {
        let reply = Arc::new(Reply::new(1));
        let is_asked = self.ask(Job::Look(asking, Arc::clone(&reply)));
        if is_asked { wait(core, &reply).await } else { None }
    }

    /// Decides, with the question's vector first and those of entries behind it.
    pub(crate) async fn decide(
        &self,
        core: &Core,
        asking: Asking,
        vectors: Vec<(Option<EntryId>, Vector)>,
    ) -> Option<Looked> {
        let reply = Arc::new(Reply::new(1));
        let is_asked = self.ask(Job::Decide(asking, vectors, Arc::clone(&reply)));
        if is_asked { wait(core, &reply).await } else { None }
    }

    /// Keeps a question whose answer is kept, and learns from the answer.
    pub(crate) fn keep(&self, answered: Answered) {
        if !self.ask(Job::Keep(Box::new(answered))) {
            self.desk.figures.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives an entry up whose answer is gone.
    pub(crate) fn forget(&self, entry: EntryId) {
        self.ask(Job::Forget(entry));
    }

    /// Puts a workload's cache on again; whether that was noted.
    pub(crate) fn reset(&self, workload: &str) -> bool {
        self.ask(Job::Reset(workload.into()))
    }

    /// What was done.
    pub(crate) fn figures(&self) -> &Figures {
        &self.desk.figures
    }

    /// How the caches of workloads stand, of which hits were compared.
    pub(crate) fn standings(&self) -> Arc<Vec<(Box<str>, Standing)>> {
        self.desk.standings.load_full()
    }
}

/// Waits for the thread, not for ever.
async fn wait(core: &Core, reply: &Reply) -> Option<Looked> {
    let end = core.now().after(PATIENCE);
    loop {
        if let Some(looked) = reply.pop() {
            return Some(looked);
        }
        if core.now() >= end {
            return None;
        }
        crate::io::sleep(LOOK).await;
        core.wake_up();
    }
}

struct Worker {
    store: Store,
    /// Workloads of which hits were compared.
    workloads: Vec<Box<str>>,
    random: Random,
    desk: Arc<Desk>,
}

impl Worker {
    fn work(&mut self, job: Job) {
        match job {
            Job::Look(asking, reply) => {
                self.desk.figures.looked.fetch_add(1, Ordering::Relaxed);
                let looked = self.look(&asking);
                let _ = reply.push(looked);
            }
            Job::Decide(asking, vectors, reply) => {
                let looked = self.decide(&asking, vectors);
                let _ = reply.push(looked);
            }
            Job::Keep(answered) => self.keep(*answered),
            Job::Forget(entry) => self.store.forget(entry),
            Job::Reset(workload) => {
                self.store.reset(&workload);
                self.tell();
            }
        }
        let (entries, bytes) = self.store.size();
        self.desk.figures.entries.store(entries as u64, Ordering::Relaxed);
        self.desk.figures.bytes.store(bytes as u64, Ordering::Relaxed);
    }

    fn look(&mut self, asking: &Asking) -> Looked {
        let Ok(profile) = Profile::of(&asking.text) else { return Looked::Unfit };
        let candidates = self.store.candidates(asking.partition, &profile, asking.now_ms);
        let Some(mut bare) = candidates else { return Looked::New };
        if asking.built_in {
            for Bare { entry, text } in bare {
                if let Some(vector) = Vector::lexical(&text) {
                    self.store.give_vector(entry, vector);
                }
            }
            let Some(vector) = Vector::lexical(&asking.text) else { return Looked::Unfit };
            return self.decided(asking, &profile, vector);
        }
        bare.truncate(VECTORS_MAX - 1);
        Looked::Needs(bare)
    }

    fn decide(&mut self, asking: &Asking, vectors: Vec<(Option<EntryId>, Vector)>) -> Looked {
        let Ok(profile) = Profile::of(&asking.text) else { return Looked::Unfit };
        let mut own = None;
        for (entry, vector) in vectors {
            match entry {
                Some(entry) => self.store.give_vector(entry, vector),
                None => own = Some(vector),
            }
        }
        match own {
            Some(vector) => self.decided(asking, &profile, vector),
            None => Looked::Unfit,
        }
    }

    fn decided(&mut self, asking: &Asking, profile: &Profile, vector: Vector) -> Looked {
        let chance = [self.chance(), self.chance()];
        let asked = Asked {
            partition: asking.partition,
            profile,
            workload: &asking.workload,
            settings: asking.settings,
        };
        let decision = self.store.decide(&asked, &vector, chance, asking.now_ms);
        if matches!(decision, Decision::Explore(_)) {
            self.desk.figures.explored.fetch_add(1, Ordering::Relaxed);
        }
        Looked::Decided(decision, vector)
    }

    /// From 0 to 1, 1 not included.
    fn chance(&self) -> f64 {
        let bits = u32::try_from(self.random.next() >> 32).unwrap_or_default();
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    fn keep(&mut self, answered: Answered) {
        let Answered { asking, vector, answer, key, ttl_ms, form, tried } = answered;
        let mut is_known = false;
        if let Some(tried) = tried {
            is_known = is_same(form, &tried.answer.value, &answer.value);
            self.learn(&asking, &tried, is_known);
        }
        // Where the answer that is kept was right, it stays the one.
        let Some(profile) = Profile::of(&asking.text).ok().filter(|_| !is_known) else { return };
        let entry = Entry {
            profile,
            text: asking.text,
            vector,
            answer: key,
            since_ms: asking.now_ms,
            expires_ms: asking.now_ms.saturating_add(ttl_ms),
            seen: Seen::default(),
        };
        self.store.insert(asking.partition, entry);
    }

    fn learn(&mut self, asking: &Asking, tried: &Tried, is_right: bool) {
        let Tried { entry, similarity, is_hit, .. } = *tried;
        if !is_hit {
            return self.store.learn(entry, similarity, is_right);
        }
        let figures = &self.desk.figures;
        figures.compared.fetch_add(1, Ordering::Relaxed);
        figures.different.fetch_add(u64::from(!is_right), Ordering::Relaxed);
        let workload = &asking.workload;
        let bound = asking.settings.error;
        if self.store.compare(workload, entry, similarity, is_right, bound) {
            let Standing { compared, different, wrong_max, .. } = self.store.standing(workload);
            tracing::warn!(
                workload = &**workload,
                compared,
                different,
                wrong_max,
                bound,
                "the semantic cache of a workload has put itself off: its hits are wrong too often"
            );
        }
        if !self.workloads.contains(workload) {
            self.workloads.push(workload.clone());
        }
        self.tell();
    }

    /// Tells operators how things stand.
    fn tell(&self) {
        let workloads = self.workloads.iter();
        let standings: Vec<_> =
            workloads.map(|name| (name.clone(), self.store.standing(name))).collect();
        let off = standings.iter().filter(|(_, standing)| standing.is_off).count();
        self.desk.figures.off.store(off as u64, Ordering::Relaxed);
        self.desk.standings.store(Arc::new(standings));
    }
}

/// Whether two answers say the same; what cannot be read does not, unless it is the same to the last byte.
fn is_same(form: Form, one: &Kept, other: &Kept) -> bool {
    let text = |kept: &Kept| said::text(form, kept.shape, &kept.body);
    match (text(one), text(other)) {
        (Some(one), Some(other)) => Verdict::of(&one, &other).is_same(),
        _ => one.body == other.body,
    }
}
