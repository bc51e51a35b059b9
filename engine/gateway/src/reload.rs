//! A changed policy file takes effect.
//!
//! In: changes of the file's folder (inotify), SIGHUP. Out: a new [`Live`] for every core, or a report of what is wrong
//! with the file and nothing else. The folder is watched, not the file: editors rename over it, and Kubernetes swaps a
//! symlink beside it. What counts is the content: the same bytes are no change.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use notify::{RecursiveMode, Watcher};

use crate::{live::Builder, worker::Shared};

/// Changes that come closer together than this are one.
const SETTLE: Duration = Duration::from_millis(3);

/// How often the content is looked at when no event comes: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    /// Asks for a look; `forced` applies the file even if its bytes are the same (secrets, certificates).
    pub(crate) fn ring(&self, forced: bool) {
        let _ = self.rung.push(forced);
        self.thread.unpark();
    }
}

/// Starts the thread that watches `file`.
///
/// # Errors
///
/// When no thread can be started.
pub(crate) fn start(
    file: PathBuf,
    builder: Builder,
    shared: Arc<Shared>,
    reloads: Arc<Reloads>,
) -> std::io::Result<Bell> {
    let rung = Arc::new(ArrayQueue::new(64));
    let theirs = Arc::clone(&rung);
    let handle = thread::Builder::new().name("reload".to_owned()).spawn(move || {
        let bell = Bell { thread: thread::current(), rung: Arc::clone(&theirs) };
        let _watcher = watch(&file, bell);
        let mut last = std::fs::read_to_string(&file).unwrap_or_default();
        loop {
            let forced = wait(&theirs);
            let Ok(text) = std::fs::read_to_string(&file) else {
                tracing::warn!(file = %file.display(), "policy file cannot be read; the policy in force stays");
                continue;
            };
            if text != last || forced {
                apply(&file, &text, &builder, &shared, &reloads);
                last = text;
            }
        }
    })?;
    Ok(Bell { thread: handle.thread().clone(), rung })
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

fn watch(file: &Path, bell: Bell) -> Option<notify::RecommendedWatcher> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            bell.ring(false);
        }
    })
    .inspect_err(|error| tracing::warn!(%error, "changes of the policy are only seen every two seconds"))
    .ok()?;
    watcher.watch(&folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

fn apply(file: &Path, text: &str, builder: &Builder, shared: &Shared, reloads: &Reloads) {
    let begun = shared.clock.now();
    let before = shared.live.load_full();
    match builder.build(text, &file.display().to_string(), Some(&before)) {
        Ok(live) => {
            let generation = live.generation;
            shared.live.store(Arc::new(live));
            shared.generation.store(generation, Ordering::Release);
            for desk in &shared.cores {
                desk.wake();
            }
            let all = wait_for_cores(shared, generation);
            let micros = shared.clock.now().since(begun) / 1000;
            reloads.last_micros.store(micros, Ordering::Relaxed);
            reloads.applied.fetch_add(1, Ordering::Relaxed);
            tracing::info!(generation, micros, all, "policy in force");
        }
        Err(report) => {
            reloads.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the changed policy is refused, the one in force stays:\n{report}");
        }
    }
}

/// Whether every core has seen `generation`, waiting for a bounded time.
fn wait_for_cores(shared: &Shared, generation: u64) -> bool {
    let seen = |()| shared.cores.iter().all(|desk| desk.generation.load(Ordering::Acquire) >= generation);
    for _ in 0..1000 {
        if seen(()) {
            return true;
        }
        thread::sleep(Duration::from_micros(50));
    }
    seen(())
}
