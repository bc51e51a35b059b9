//! A changed policy file takes effect.
//!
//! In: changes of the file's folder and of the folders of what it names (inotify), SIGHUP. Out: a new [`Live`](crate::live::Live) for every
//! core, or a report of what is wrong with the file and nothing else. Folders are watched, not files: editors rename over
//! them, and Kubernetes swaps a symlink beside them. What counts is the content: the same bytes are no change.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};
use sha2::{Digest, Sha256};

use faregate_policy::Nanos;

use crate::{live::Builder, worker::Shared};

/// Changes that come closer together than this are one.
const SETTLE: Duration = Duration::from_millis(3);

/// How often the content is looked at when no event comes: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks that may be asked for before the thread takes one.
const BELLS_MAX: usize = 64;

/// How the reloads went; read by the admin listener.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    /// Policies that took effect.
    pub(crate) applied: AtomicU64,
    /// Files that were refused.
    pub(crate) refused: AtomicU64,
    /// From the change's discovery until every core had it, last time, in microseconds.
    pub(crate) last_micros: AtomicU64,
}

/// Something that asks for a look at the file. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    thread: thread::Thread,
    rung: Arc<ArrayQueue<bool>>,
}

impl Bell {
    /// Asks for a look; `forced` applies the file even if its bytes are the same.
    pub(crate) fn ring(&self, forced: bool) {
        let _ = self.rung.push(forced);
        self.thread.unpark();
    }
}

/// Starts the thread that watches `file`, whose content `text` is in force.
///
/// # Errors
///
/// When no thread can be started.
pub(crate) fn start(
    file: PathBuf,
    text: String,
    builder: Builder,
    shared: Arc<Shared>,
    reloads: Arc<Reloads>,
) -> std::io::Result<Bell> {
    let rung = Arc::new(ArrayQueue::new(BELLS_MAX));
    let theirs = Arc::clone(&rung);
    // Before anybody can change a file and be missed.
    let files = fingerprint(&shared);
    let handle = thread::Builder::new().name("reload".to_owned()).spawn(move || {
        let bell = Bell { thread: thread::current(), rung: theirs };
        Watch { file, last: text, builder, shared, reloads }.run(&bell, files);
    })?;
    Ok(Bell { thread: handle.thread().clone(), rung })
}

struct Watch {
    file: PathBuf,
    last: String,
    builder: Builder,
    shared: Arc<Shared>,
    reloads: Arc<Reloads>,
}

impl Watch {
    fn run(mut self, bell: &Bell, mut files: [u8; 32]) {
        self.builder.tell(bell.clone());
        let mut folders = Folders::new(bell.clone());
        folders.watch(&self.file, &self.shared.live.load().files);
        loop {
            let forced = wait(&bell.rung);
            if let Some(cache) = &self.shared.live.load().cache {
                cache.answers.sweep(Nanos(self.shared.clock.now().nanos()));
            }
            let Ok(text) = std::fs::read_to_string(&self.file) else {
                tracing::warn!(
                    file = %self.file.display(),
                    "policy file cannot be read; the policy in force stays"
                );
                continue;
            };
            let now = fingerprint(&self.shared);
            if forced || text != self.last || now != files {
                self.apply(&text);
                self.last = text;
                files = fingerprint(&self.shared);
                folders.watch(&self.file, &self.shared.live.load().files);
            }
        }
    }

    fn apply(&self, text: &str) {
        let begun = self.shared.clock.now();
        let before = self.shared.live.load_full();
        match self.builder.build(text, &self.file.display().to_string(), Some(&before)) {
            Ok(live) => {
                let generation = live.generation;
                note_what_needs_a_restart(&before.policy.server, &live.policy.server);
                for warning in &live.policy.warnings {
                    tracing::warn!("{warning}");
                }
                live.policy.take_effect();
                if let Some(cache) = &live.cache {
                    let now = Nanos(self.shared.clock.now().nanos());
                    cache.answers.set_bytes_max(live.policy.answers.memory_bytes, now);
                }
                self.shared.live.store(Arc::new(live));
                self.shared.generation.store(generation, Ordering::Release);
                for desk in &self.shared.cores {
                    desk.wake();
                }
                let everywhere = self.wait_for_cores(generation);
                let micros = self.shared.clock.now().since(begun) / 1000;
                self.reloads.last_micros.store(micros, Ordering::Relaxed);
                self.reloads.applied.fetch_add(1, Ordering::Relaxed);
                tracing::info!(generation, micros, everywhere, "policy in force");
            }
            Err(report) => {
                self.reloads.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!("the changed policy is refused, the one in force stays:\n{report}");
            }
        }
    }

    /// Whether every core has seen `generation`, waiting for a bounded time.
    fn wait_for_cores(&self, generation: u64) -> bool {
        let cores = &self.shared.cores;
        let seen =
            || cores.iter().all(|desk| desk.generation.load(Ordering::Acquire) >= generation);
        for _ in 0..1000 {
            if seen() {
                return true;
            }
            thread::sleep(Duration::from_micros(50));
        }
        seen()
    }
}

/// A hash over the secrets, certificates and places in use.
fn fingerprint(shared: &Shared) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in &shared.live.load().files {
        hash.update(std::fs::read(file).unwrap_or_default());
        hash.update([0xff]);
    }
    hash.finalize().into()
}

fn note_what_needs_a_restart(
    before: &faregate_policy::policy::Server,
    now: &faregate_policy::policy::Server,
) {
    let fixed = |s: &faregate_policy::policy::Server| {
        (s.listen.clone(), s.admin, s.cores, s.pin, s.driver, s.access_log.clone(), s.log_level)
    };
    if fixed(before) != fixed(now) {
        tracing::warn!(
            "server.listen, admin, cores, pin, driver, access_log and log_level change at the next start only"
        );
    }
}

/// Waits for a bell or for the time to look; true when the file must be applied even if it is the same.
fn wait(rung: &ArrayQueue<bool>) -> bool {
    if rung.is_empty() {
        thread::park_timeout(LOOK_EVERY);
    }
    let mut forced = false;
    while !rung.is_empty() {
        while let Some(ring) = rung.pop() {
            forced |= ring;
        }
        thread::sleep(SETTLE); // an editor writes more than once
    }
    forced
}

/// Whether an event may have changed what a watched file holds. Files come and go by renames and symbolic links under any
/// name; what is merely written to counts for the names in use alone: a log may lie in the same folder.
fn concerns(event: &notify::Event, names: &BTreeSet<OsString>) -> bool {
    let in_use = |path: &PathBuf| path.file_name().is_some_and(|name| names.contains(name));
    match event.kind {
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
            true
        }
        EventKind::Modify(_) => event.paths.iter().any(in_use),
        EventKind::Any | EventKind::Other => true,
    }
}

/// The folders that are watched.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    names: Arc<ArcSwap<BTreeSet<OsString>>>,
}

impl Folders {
    fn new(bell: Bell) -> Self {
        let names: Arc<ArcSwap<BTreeSet<OsString>>> = Arc::default();
        let theirs = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| concerns(&event, &theirs.load())) {
                bell.ring(false);
            }
        })
        .inspect_err(|error| {
            tracing::warn!(%error, "changes of the policy are only seen every two seconds");
        })
        .ok();
        Self { watcher, watched: BTreeSet::new(), names }
    }

    /// Watches the folders of these files beside those that are watched already.
    fn watch(&mut self, policy: &Path, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let all = std::iter::once(policy).chain(files.iter().map(PathBuf::as_path));
        let names = all.filter_map(|file| file.file_name().map(OsString::from)).collect();
        self.names.store(Arc::new(names));
        for file in std::iter::once(policy).chain(files.iter().map(PathBuf::as_path)) {
            let folder =
                file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if self.watched.contains(folder) {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.to_owned());
                }
                Err(error) => tracing::warn!(folder = %folder.display(), %error, "not watched"),
            }
        }
    }
}
