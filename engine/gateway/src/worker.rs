//! One core: its ring, its listener, its connections, its pools, its deadlines.
//!
//! A core owns everything a request needs. What it shares with the others is in [`Shared`]: atomics, and bounded queues.

use std::{
    cell::{Cell, RefCell},
    net::TcpListener,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;

use crate::{
    clock::{Clock, Instant},
    connection,
    io::{self, Accepted, Driver, Listener, Slot, Socket, Stream, Timers, Wake, Waker},
    live::{Live, View},
    log::{Lines, Sink},
    metrics::{CoreMetrics, Registry},
    pool::Pool,
    tls::Session,
    trace::Random,
};

/// Connections on their way from one core to another.
const INBOX: usize = 1024;

/// How often a core flushes its log lines and looks at its idle connections.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// How long accepting pauses when no descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// An idle connection may be used once more for so long when the process drains.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a draining core looks at what is left.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// A core accepts for another one when it has this many connections more than the mean.
const IMBALANCE_MIN: u32 = 2;

/// What the cores and the back office share.
pub(crate) struct Shared {
    /// The clock of the process.
    pub(crate) clock: Clock,
    /// The policy in force and what was made from it.
    pub(crate) live: ArcSwap<Live>,
    /// Its generation; a core that sees another one than its own takes `live` anew.
    pub(crate) generation: AtomicU64,
    /// Set once: accept no more, end idle connections, finish the rest.
    pub(crate) draining: AtomicBool,
    /// Set once: end what is still under way.
    pub(crate) forced: AtomicBool,
    /// How this process calls itself in `Via` (RFC 9110 section 7.6.3); a request that carries it is a loop.
    pub(crate) via: String,
    /// One for each core.
    pub(crate) cores: Vec<CachePadded<CoreDesk>>,
    /// The access log.
    pub(crate) log: Option<Arc<Sink>>,
    /// The metrics of all cores.
    pub(crate) metrics: Registry,
    /// How the cores wait for their sockets.
    pub(crate) driver: Driver,
    /// What clients of other dialects cannot carry from turn to turn.
    pub(crate) memory: crate::carry::Memory,
    /// Whose the responses are that providers store.
    pub(crate) stored: crate::stored::Stored,
    /// Writes down what requests cost.
    pub(crate) books: Option<Arc<crate::books::Books>>,
    /// Counts tokens.
    pub(crate) counter: crate::counter::Counter,
    /// Knows which questions are the same in other words.
    pub(crate) meaning: crate::semantic::Meaning,
}

/// What others may leave for a core, and read of it.
pub(crate) struct CoreDesk {
    /// Open client connections.
    pub(crate) connections: AtomicU32,
    /// Generation that the core serves new requests with.
    pub(crate) generation: AtomicU64,
    /// Set when the core has ended.
    pub(crate) done: AtomicBool,
    inbox: ArrayQueue<Accepted>,
    waker: Waker,
}

impl CoreDesk {
    /// A desk, and the receiving side of its waker for the core.
    ///
    /// # Errors
    ///
    /// When no descriptors are left.
    pub(crate) fn new() -> std::io::Result<(Self, Wake)> {
        let (waker, wake) = Wake::pair()?;
        let desk = Self {
            connections: AtomicU32::new(0),
            generation: AtomicU64::new(0),
            done: AtomicBool::new(false),
            inbox: ArrayQueue::new(INBOX),
            waker,
        };
        Ok((desk, wake))
    }

    /// Lets the core look at its inbox and at what is shared.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }
}

/// One core, as its connections see it.
pub(crate) struct Core {
    /// Which one.
    pub(crate) index: usize,
    /// What all cores share.
    pub(crate) shared: Arc<Shared>,
    /// Deadlines.
    pub(crate) timers: Rc<Timers>,
    /// Idle upstream connections.
    pub(crate) pool: Pool,
    /// Ids and jitter.
    pub(crate) random: Random,
    /// Access log lines.
    pub(crate) lines: Lines,
    /// Counters.
    pub(crate) metrics: CoreMetrics,
    /// Tasks that wait for another request's answer.
    pub(crate) parked: crate::cache::Parked,
    live: RefCell<Rc<View>>,
    accepting: Cell<bool>,
    woken: Cell<Instant>,
    wall_offset: Cell<u64>,
}

impl Core {
    /// The policy in force, taken once for each request: no reload changes it under way.
    pub(crate) fn live(&self) -> Rc<View> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let mut live = self.live.borrow_mut();
        if live.generation != generation {
            *live = View::new(self.shared.live.load_full());
            self.desk().generation.store(live.generation, Ordering::Release);
        }
        Rc::clone(&live)
    }

    /// When the task that runs now was woken: the clock is read once for each poll of a connection, and a poll is short.
    pub(crate) fn now(&self) -> Instant {
        self.woken.get()
    }

    /// The same moment on the wall clock, in nanoseconds since 1970; at most [`HOUSEKEEPING`] behind a clock that was set.
    pub(crate) fn wall(&self) -> u64 {
        self.woken.get().nanos().wrapping_add(self.wall_offset.get())
    }

    fn see_wall_clock(&self) {
        let clock = self.shared.clock;
        self.wall_offset.set(clock.wall().wrapping_sub(clock.now().nanos()));
    }

    /// Reads the clock for the polls that follow.
    pub(crate) fn wake_up(&self) -> Instant {
        let now = self.shared.clock.now();
        self.woken.set(now);
        now
    }

    /// Whether the process is ending.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Whether what is under way must end now.
    pub(crate) fn is_forced(&self) -> bool {
        self.shared.forced.load(Ordering::Acquire)
    }

    fn desk(&self) -> &CoreDesk {
        &self.shared.cores[self.index]
    }
}

/// Runs core `index` until the process has drained.
///
/// # Errors
///
/// When the driver cannot be built or the listeners cannot be registered.
pub(crate) fn run(
    shared: &Arc<Shared>,
    index: usize,
    listeners: Vec<TcpListener>,
    wake: Wake,
) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    io::run(shared.driver, async move {
        let generation = shared.generation.load(Ordering::Acquire);
        let core = Rc::new(Core {
            index,
            timers: Rc::default(),
            pool: Pool::default(),
            random: Random::new(),
            lines: Lines::new(shared.log.clone()),
            metrics: shared.metrics.core(),
            parked: crate::cache::Parked::default(),
            live: RefCell::new(View::new(shared.live.load_full())),
            accepting: Cell::new(true),
            woken: Cell::new(shared.clock.now()),
            wall_offset: Cell::new(0),
            shared,
        });
        core.see_wall_clock();
        core.desk().generation.store(generation, Ordering::Release);
        let listeners = listeners
            .into_iter()
            .map(Listener::adopt)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .map(Rc::new);
        let listeners: Vec<Rc<Listener>> = listeners.collect();
        io::spawn(Rc::clone(&core.timers).sweep(core.shared.clock));
        io::spawn(housekeeping(Rc::clone(&core)));
        for listener in &listeners {
            io::spawn(accept(Rc::clone(&core), Rc::clone(listener)));
        }
        attend(&core, &listeners, wake.stream()?).await;
        core.lines.flush();
        core.desk().done.store(true, Ordering::Release);
        Ok(())
    })?
}

async fn accept(core: Rc<Core>, listener: Rc<Listener>) {
    let mut reserve = std::fs::File::open("/dev/null").ok();
    while core.accepting.get() {
        match listener.accept().await {
            Ok(accepted) => place(&core, accepted),
            Err(_) if !core.accepting.get() => return,
            Err(error) if io::is_exhausted(&error) => {
                // Give one waiting client a clear answer with the descriptor kept for it, then wait for others to end.
                drop(reserve.take());
                if let Some(accepted) = listener.accept_now() {
                    connection::turn_away(accepted);
                }
                reserve = std::fs::File::open("/dev/null").ok();
                core.metrics.accept_errors.add(1);
                io::sleep(ACCEPT_PAUSE).await;
            }
            Err(_) => core.metrics.accept_errors.add(1),
        }
    }
}

/// Serves the connection here, or hands it to the core that has the fewest.
fn place(core: &Rc<Core>, accepted: Accepted) {
    let cores = &core.shared.cores;
    let open = |desk: &CoreDesk| desk.connections.load(Ordering::Relaxed);
    let total: u32 = cores.iter().map(|desk| open(desk)).sum();
    if total >= core.live().policy.server.connections {
        core.metrics.connections_refused.add(1);
        connection::turn_away(accepted);
        return;
    }
    let mine = open(core.desk());
    let mean = total / u32::try_from(cores.len()).unwrap_or(1);
    if mine > mean + (mean / 4).max(IMBALANCE_MIN)
        && !core.is_draining()
        && let Some(least) = cores.iter().min_by_key(|desk| open(desk))
    {
        // Counted before it is there: a burst must not see the same core as the emptiest again and again.
        least.connections.fetch_add(1, Ordering::Relaxed);
        match least.inbox.push(accepted) {
            Ok(()) => least.wake(),
            Err(accepted) => {
                least.connections.fetch_sub(1, Ordering::Relaxed);
                serve(core, accepted);
            }
        }
        return;
    }
    serve(core, accepted);
}

fn serve(core: &Rc<Core>, accepted: Accepted) {
    core.desk().connections.fetch_add(1, Ordering::Relaxed);
    serve_counted(core, accepted);
}

/// Serves a connection that is among this core's already.
fn serve_counted(core: &Rc<Core>, accepted: Accepted) {
    let open = Open(Rc::clone(core));
    let Ok(socket) = Socket::adopt(accepted.into_fd(), true) else {
        core.metrics.accept_errors.add(1);
        return;
    };
    io::spawn(async move {
        let core = &open.0;
        let slot = core.timers.slot();
        if let Some(stream) = secure(core, socket, &slot).await {
            connection::serve(Rc::clone(core), stream, slot).await;
        }
    });
}

async fn secure(core: &Core, socket: Socket, slot: &Slot) -> Option<Stream> {
    let live = core.live();
    let Some(config) = &live.server_tls else { return Some(Stream::plain(socket)) };
    slot.arm(core.wake_up().after(live.policy.server.deadlines.head));
    let mut stream = Stream::secured(socket, Session::server(config).ok()?);
    let mut handshake = Box::pin(stream.handshake());
    let done = std::future::poll_fn(|cx| {
        if slot.poll_expired(cx).is_ready() {
            return std::task::Poll::Ready(false);
        }
        handshake.as_mut().poll(cx).map(|result| result.is_ok())
    })
    .await;
    drop(handshake);
    if !done {
        core.metrics.tls_handshake_failures.add(1);
        return None;
    }
    Some(stream)
}

/// Counts a connection for as long as it lives.
struct Open(Rc<Core>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.desk().connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks at what others have left, until the core has drained.
async fn attend(core: &Rc<Core>, listeners: &[Rc<Listener>], mut wake: Stream) {
    wake.begin(Vec::with_capacity(64));
    loop {
        let (result, mut buf) = wake.received().await;
        take_inbox(core);
        core.parked.wake_all();
        core.live();
        if core.is_draining() || result.is_err() {
            return drain(core, listeners).await;
        }
        buf.clear();
        wake.begin(buf);
    }
}

fn take_inbox(core: &Rc<Core>) {
    while let Some(accepted) = core.desk().inbox.pop() {
        serve_counted(core, accepted);
    }
}

/// Stops accepting, ends idle connections, and waits for the rest. The main thread bounds the time.
///
/// A client that keeps its connection cannot know that it must not use it any more before an answer says so. Idle
/// connections are therefore given [`PATIENCE`] for one more request.
async fn drain(core: &Rc<Core>, listeners: &[Rc<Listener>]) {
    core.accepting.set(false);
    for listener in listeners {
        while let Some(accepted) = listener.accept_now() {
            serve(core, accepted);
        }
        listener.close();
    }
    let patience = PATIENCE.min(core.live().policy.server.deadlines.drain / 2);
    let idle_end = core.wake_up().after(patience);
    loop {
        // Another core may have handed a connection over before it knew.
        io::sleep(DRAIN_LOOK).await;
        take_inbox(core);
        if core.desk().connections.load(Ordering::Relaxed) == 0 {
            break;
        }
        if core.wake_up() >= idle_end {
            core.timers.expire_idle(core.wake_up());
        }
        if core.is_forced() {
            core.timers.expire_all(core.wake_up());
        }
    }
    core.pool.clear();
}

async fn housekeeping(core: Rc<Core>) {
    loop {
        io::sleep(HOUSEKEEPING).await;
        core.see_wall_clock();
        core.lines.flush();
        core.pool.sweep(core.wake_up(), core.live().policy.server.deadlines.upstream_idle);
        core.metrics.idle_upstream_connections.set(core.pool.len() as u64);
    }
}
