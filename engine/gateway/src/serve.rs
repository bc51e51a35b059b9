//! The process: from a policy to running cores, and from a signal to a clean end.
//!
//! Everything that can fail at the start fails before the first connection is accepted, with a sentence that says where
//! and how to mend it.

use std::{
    collections::HashSet,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use faregate_policy::{
    Policy,
    policy::{AccessLog, DriverWish, Ledger, ResponsesFile},
};

use crate::{
    admin,
    books::{self, Books, Keeping},
    clock::Clock,
    counter::Counter,
    credentials::Keeper,
    io::{self, Driver, Listener, Wake},
    live::{Builder, Live},
    log::{self, Sink, Target},
    metrics::Registry,
    reload::{self, Bell, Reloads},
    semantic::Meaning,
    stored::{Stored, Writing},
    trace::{Random, write_hex},
    upstream::Resolver,
    worker::{self, CoreDesk, Shared},
};

/// How often the end of the cores is looked at while the process drains.
const DRAIN_LOOK: Duration = Duration::from_millis(2);

/// What is cut at the deadline of a drain gets this long to be told so.
const FORCED_GRACE: Duration = Duration::from_millis(500);

/// Where a policy comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file, watched for changes.
    File(PathBuf),
    /// The usual variables of providers.
    Environment,
}

/// A gateway that runs.
pub(crate) struct Running {
    shared: Arc<Shared>,
    bell: Option<Bell>,
    log: Option<(Arc<Sink>, thread::JoinHandle<()>)>,
    keeping: Option<Keeping>,
    noting: Option<Writing>,
    /// Where clients connect.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where operators connect.
    pub(crate) admin: Option<SocketAddr>,
    /// What was refused on the way to the driver.
    pub(crate) refused_drivers: Vec<String>,
}

/// Processors this process may use.
pub(crate) fn cores_available() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads and compiles the policy of `source` for the cores it asks for.
///
/// # Errors
///
/// A report for a person.
pub(crate) fn load(source: &Source, cores: usize) -> Result<(Policy, String), String> {
    match source {
        Source::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                format!("{}: {e}; `faregate init` writes a first policy", path.display())
            })?;
            let name = path.display().to_string();
            let policy = Policy::compile(&text, &name, cores, None).map_err(|p| p.to_string())?;
            match policy.server.cores {
                Some(wanted) if wanted > cores => load(source, wanted),
                _ => Ok((policy, text)),
            }
        }
        Source::Environment => {
            let policy =
                Policy::from_environment(std::env::vars(), cores).map_err(|p| p.to_string())?;
            Ok((policy, String::new()))
        }
    }
}

/// Starts everything; returns once clients can connect.
///
/// # Errors
///
/// What could not be started, and how to mend it.
pub(crate) fn start(source: Source) -> Result<Running, String> {
    let (policy, text) = load(&source, cores_available())?;
    let cores = policy.server.cores.unwrap_or_else(cores_available).max(1);
    let cells = cores.max(cores_available());
    log::init(policy.server.log_level.as_str());
    let (driver, refused_drivers) = io::probe(wants_epoll(&policy));
    for warning in &policy.warnings {
        tracing::warn!("{warning}");
    }
    let resolver = Resolver::start().map_err(|e| format!("resolver: {e}"))?;
    let keeper = Keeper::start().map_err(|e| format!("credentials: {e}"))?;
    let builder = Builder::new(resolver, keeper, cells);
    let mut books = open_books(&policy)?;
    let mut builder = if books.is_some() { builder.with_books() } else { builder };
    if let Some(store) = &policy.budget_store {
        let Some(books) = &mut books else {
            return Err("budgets.store: there are no books; say ledger.dir".to_owned());
        };
        books.lend(store)?;
        builder = builder.with_store();
    }
    let live = builder.make(policy, None)?;
    if let Some(books) = &books {
        books.restore(&live.policy);
    }
    live.policy.take_effect();
    let server = live.policy.server.clone();

    let mut bound = Bound::new(&server.listen, cores)?;
    let mut wakes = Vec::with_capacity(cores);
    let mut desks = Vec::with_capacity(cores);
    for _ in 0..cores {
        let (desk, wake) =
            CoreDesk::new().map_err(|e| format!("descriptors: {e}; raise `ulimit -n`"))?;
        desks.push(CachePadded::new(desk));
        wakes.push(wake);
    }
    let log = open_log(&server.access_log)?;
    let counter = Counter::start().map_err(|e| format!("counter: {e}"))?;
    let meaning = Meaning::start().map_err(|e| format!("semantic: {e}"))?;
    let sink = log.as_ref().map(|(sink, _)| Arc::clone(sink));
    let way = books.as_ref().map(|opened| Arc::clone(&opened.books));
    let mut shared = Shared { books: way, ..shared(live, desks, driver, sink, (counter, meaning)) };
    let noting = remember_responses(&mut shared.stored, &server.responses_file);
    let shared = Arc::new(shared);
    let keeping = books.map(|opened| opened.keep(&shared)).transpose()?;
    let reloads = Arc::new(Reloads::default());
    let admin = server
        .admin
        .map(|address| admin::start(address, Arc::clone(&shared), Arc::clone(&reloads)))
        .transpose()
        .map_err(|e| e.to_string())?;
    bound.take_over();
    spawn_cores(&shared, &mut bound, wakes, server.pin)?;
    let bell = match source {
        Source::Environment => None,
        Source::File(file) => Some(
            reload::start(file, text, builder, Arc::clone(&shared), reloads)
                .map_err(|e| format!("reload: {e}"))?,
        ),
    };
    Ok(Running {
        shared,
        bell,
        log,
        keeping,
        noting,
        listen: bound.addresses,
        admin,
        refused_drivers,
    })
}

fn wants_epoll(policy: &Policy) -> bool {
    let forced = std::env::var_os("FAREGATE_DRIVER").is_some_and(|v| v == "epoll");
    forced || policy.server.driver == DriverWish::Epoll
}

/// A name that no other process has.
fn via() -> String {
    let mut name = b"1.1 faregate-".to_vec();
    write_hex(&mut name, u128::from(Random::new().next()), 16);
    String::from_utf8(name).unwrap_or_default()
}

fn shared(
    live: Live,
    cores: Vec<CachePadded<CoreDesk>>,
    driver: Driver,
    log: Option<Arc<Sink>>,
    (counter, meaning): (Counter, Meaning),
) -> Shared {
    Shared {
        clock: Clock::start(),
        generation: AtomicU64::new(live.generation),
        live: ArcSwap::from_pointee(live),
        draining: AtomicBool::new(false),
        forced: AtomicBool::new(false),
        via: via(),
        cores,
        log,
        metrics: Registry::default(),
        driver,
        memory: crate::carry::Memory::new(),
        stored: Stored::new(),
        books: None,
        counter,
        meaning,
    }
}

/// The listening sockets: one for each core and address.
struct Bound {
    addresses: Vec<SocketAddr>,
    sockets: Vec<Vec<TcpListener>>,
    /// Those where another process listens too.
    shared: Vec<bool>,
}

impl Bound {
    fn new(wanted: &[SocketAddr], cores: usize) -> Result<Self, String> {
        let mut bound = Self { addresses: Vec::new(), sockets: Vec::new(), shared: Vec::new() };
        for address in wanted {
            let mut address = *address;
            // The table of all sockets is long on a busy machine: it is read only where that is of use.
            bound.shared.push(Listener::is_taken(address));
            let mut sockets = Vec::with_capacity(cores);
            for _ in 0..cores {
                let socket = Listener::bind(address).map_err(|e| cannot_listen(address, &e))?;
                // Port 0 asks for any port; the other cores must get the same one.
                address = socket.local_addr().map_err(|e| cannot_listen(address, &e))?;
                sockets.push(socket);
            }
            bound.addresses.push(address);
            bound.sockets.push(sockets);
        }
        Ok(bound)
    }

    /// Hands out the sockets of one more core.
    fn next_core(&mut self) -> Vec<TcpListener> {
        self.sockets.iter_mut().filter_map(Vec::pop).collect()
    }

    /// New connections come to this process, not to one that is about to end.
    fn take_over(&self) {
        let bound = self.addresses.iter().zip(&self.sockets).zip(&self.shared);
        for ((address, sockets), _) in bound.filter(|(_, shared)| **shared) {
            match io::steer_to_newest(*address, sockets) {
                Ok(true) => {
                    tracing::info!(%address, "another process listens here too; new connections come to us")
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%address, %error, "new connections are shared with another process")
                }
            }
        }
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> String {
    format!("cannot listen on {address}: {error}; change server.listen, or stop what listens there")
}

/// How long a start waits for the books, which an earlier process may have still.
const BOOKS_PATIENCE: Duration = Duration::from_secs(10);

/// Opens the books, if they are to be kept.
fn open_books(policy: &Policy) -> Result<Option<books::Opened>, String> {
    let needed = policy.budgets().next().is_some()
        || !policy.crowd.is_empty()
        || policy.budget_store.is_some();
    let (folder, is_said) = match &policy.ledger {
        Ledger::Off => return Ok(None),
        Ledger::WithBudgets if !needed => return Ok(None),
        Ledger::At(folder) => (folder.clone(), true),
        Ledger::Auto | Ledger::WithBudgets => match books::default_folder() {
            Some(folder) => (folder, needed),
            None if needed => {
                return Err(
                    "there are budgets, and no folder for the books: say ledger.dir".to_owned()
                );
            }
            None => return Ok(None),
        },
    };
    // One that drains lets go of them soon.
    let patience = if is_said { BOOKS_PATIENCE } else { Duration::ZERO };
    match Books::open(&folder, patience) {
        Ok(opened) => {
            tracing::info!(folder = %folder.display(), "what requests cost is written down here");
            Ok(Some(opened))
        }
        Err(error) if is_said => Err(error),
        Err(error) => {
            tracing::warn!("{error}; what requests cost is not written down");
            Ok(None)
        }
    }
}

/// Reads whose responses providers have stored, and has further ones noted. Without that, they are unknown after a restart.
fn remember_responses(stored: &mut Stored, wanted: &ResponsesFile) -> Option<Writing> {
    let file = match wanted {
        ResponsesFile::Off => return None,
        ResponsesFile::At(file) => file.clone(),
        ResponsesFile::Auto => books::default_folder()?.join("responses"),
    };
    match stored.remember(&file) {
        Ok(writing) => Some(writing),
        Err(error) => {
            let file = file.display();
            tracing::warn!(%file, %error, "stored responses are not noted; those of earlier processes are unknown");
            None
        }
    }
}

fn open_log(wanted: &AccessLog) -> Result<Option<(Arc<Sink>, thread::JoinHandle<()>)>, String> {
    let target = match wanted {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Target::Stdout,
        AccessLog::Stderr => Target::Stderr,
        AccessLog::File(path) => Target::File(path.clone()),
    };
    let sink = Sink::new();
    let writer = sink.start(&target).map_err(|e| e.to_string())?;
    Ok(Some((sink, writer)))
}

fn spawn_cores(
    shared: &Arc<Shared>,
    bound: &mut Bound,
    wakes: Vec<Wake>,
    pin: bool,
) -> Result<(), String> {
    for (index, wake) in wakes.into_iter().enumerate() {
        let listeners = bound.next_core();
        let shared = Arc::clone(shared);
        let run = move || {
            if pin && let Err(error) = io::pin_to_cpu(index) {
                tracing::warn!(core = index, %error, "not pinned");
            }
            if let Err(error) = worker::run(&shared, index, listeners, wake) {
                tracing::error!(core = index, %error, "core does not run");
                shared.cores[index].done.store(true, Ordering::Release);
            }
        };
        thread::Builder::new()
            .name(format!("core-{index}"))
            .spawn(run)
            .map_err(|e| format!("core: {e}"))?;
    }
    Ok(())
}

impl Running {
    /// Waits for signals until one says to end, then drains. True when nothing had to be cut.
    pub(crate) fn until_signal(self) -> bool {
        loop {
            match io::wait_signal() {
                Ok(libc::SIGHUP) => {
                    if let Some(bell) = &self.bell {
                        bell.ring(true);
                    }
                }
                Ok(signal) => {
                    tracing::info!(signal, "draining; a second signal ends at once");
                    return self.drain_unless_signalled();
                }
                Err(error) => tracing::error!(%error, "signals"),
            }
        }
    }

    fn drain_unless_signalled(self) -> bool {
        let forced = Arc::clone(&self.shared);
        let watcher = thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = io::wait_signal() {
                if signal != libc::SIGHUP {
                    forced.forced.store(true, Ordering::Release);
                    return;
                }
            }
        });
        drop(watcher);
        self.drain()
    }

    /// Accepts no more, lets what is under way finish up to the deadline, then ends. True when nothing had to be cut.
    pub(crate) fn drain(self) -> bool {
        let deadline = self.shared.live.load().policy.server.deadlines.drain;
        self.shared.draining.store(true, Ordering::Release);
        self.wake_all();
        let clock = self.shared.clock;
        let end = clock.now().after(deadline);
        while !self.is_done() && clock.now() < end && !self.shared.forced.load(Ordering::Acquire) {
            thread::sleep(DRAIN_LOOK);
        }
        let finished = self.is_done();
        if !finished {
            self.shared.forced.store(true, Ordering::Release);
            tracing::warn!("what is still under way is cut");
            let end = clock.now().after(FORCED_GRACE);
            while !self.is_done() && clock.now() < end {
                thread::sleep(DRAIN_LOOK);
            }
        }
        if let Some((sink, writer)) = self.log {
            sink.stop(writer);
        }
        if let Some(noting) = self.noting {
            noting.stop();
        }
        if let Some(keeping) = self.keeping {
            keeping.stop(&self.shared);
        }
        finished
    }

    fn is_done(&self) -> bool {
        self.shared.cores.iter().all(|desk| desk.done.load(Ordering::Acquire))
    }

    fn wake_all(&self) {
        for desk in &self.shared.cores {
            desk.wake();
        }
    }
}

/// The start's report for an operator: one line a fact.
pub(crate) fn announce(running: &Running) {
    let live = running.shared.live.load();
    let names: HashSet<&str> = live.policy.providers.iter().map(|p| &*p.name).collect();
    let driver = running.shared.driver;
    if driver == Driver::Epoll {
        tracing::info!(refused = running.refused_drivers.join("; "), "io_uring is not used");
    }
    let listen: Vec<String> = running.listen.iter().map(ToString::to_string).collect();
    tracing::info!(
        listen = listen.join(","),
        admin = running.admin.map(|a| a.to_string()).unwrap_or_default(),
        driver = driver.name(),
        cores = running.shared.cores.len(),
        providers = names.len(),
        keys = live.policy.keys.len(),
        generation = live.generation,
        "ready"
    );
}
