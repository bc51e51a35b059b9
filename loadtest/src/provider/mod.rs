//! A provider of many dialects that does what it is told and forgives nothing.
//!
//! It answers OpenAI's chat completions, responses, legacy completions and embeddings, Anthropic's
//! messages, Google's generateContent and Bedrock's Converse, plain and streamed, the same on Azure, on
//! Vertex AI and in InvokeModel, what servers of models offer beside, and lists its models; any other
//! path is echoed. The path tells the dialect ([`Dialect`]). What no correct gateway would send is refused and counted as a
//! breach ([`Reason::is_breach`]). How a request is answered is scripted by the request itself
//! ([`script`]), by the provider's settings, or by the owner while it runs
//! ([`Provider::set_script`], [`Provider::queue`]).
//!
//! From outside, `GET /sim/counters` shows the [`Counters`] as JSON, the request itself included;
//! `POST /sim/queue` with a script as its body is [`Provider::queue`], and `POST /sim/script` sets the
//! script of requests that bring none, for the thread that happens to serve it.

mod ask;
mod connection;
mod counters;
mod credential;
mod dialect;
mod head;
mod native;
mod pieces;
mod plain;
mod pool;
mod prefix;
mod refusal;
mod replay;
mod reply;
pub mod script;
mod stored;
mod stream;
mod surface;
mod text;
mod worker;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use crossbeam_queue::ArrayQueue;
use socket2::{Domain, Protocol, Socket, Type};

pub use self::counters::{Abort, Breach, Counters};
pub use self::dialect::Dialect;
pub use self::refusal::{Reason, Refusal};
pub use self::script::Script;
use self::worker::{Command, Worker};
use crate::clock::Nanos;
use crate::poll::Waker;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Scripts that wait for a request.
const QUEUED_MAX: usize = 4096;

/// How a provider behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads, each with connections of its own. The prefix cache is each thread's own.
    pub threads: usize,
    /// Models on offer; empty takes any name.
    pub models: Vec<String>,
    /// Keys that are accepted; empty asks for none.
    pub keys: Vec<String>,
    /// Values of Host that are accepted; empty takes any.
    pub hosts: Vec<String>,
    /// Beginnings of clients' keys, which must never arrive.
    pub canaries: Vec<String>,
    /// The script of a request that brings none.
    pub script: Script,
    /// Blocks of 128 tokens that the prefix cache holds; 0 for no cache.
    pub prefix_blocks: usize,
    /// Tokens a prompt may have.
    pub context_tokens: Option<u64>,
    /// The folder of recorded answers.
    pub replay_dir: Option<std::path::PathBuf>,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Requests kept to be looked at; the oldest give way. 0 keeps none.
    pub capture: usize,
    /// Close a connection, announced, after so many requests.
    pub requests_max: Option<u64>,
    /// Close a connection, unannounced, when nothing has happened on it for so long.
    pub idle_max: Option<std::time::Duration>,
    /// Size of each connection's receive buffer in the kernel.
    pub receive_buffer: Option<usize>,
    /// With false, connections are made by the kernel but never served.
    pub accept: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            threads: 1,
            models: Vec::new(),
            keys: Vec::new(),
            hosts: Vec::new(),
            canaries: Vec::new(),
            script: Script::default(),
            prefix_blocks: 1 << 16,
            context_tokens: None,
            replay_dir: None,
            body_bytes_max: 64 << 20,
            capture: 0,
            requests_max: None,
            idle_max: None,
            receive_buffer: None,
            accept: true,
        }
    }
}

/// One request, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When it was complete.
    pub at: Nanos,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Captured {
    /// The first field of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the threads of a provider and its owner share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    counters: Counters,
    captured: ArrayQueue<Captured>,
    queued: ArrayQueue<Script>,
    stored: stored::Stored,
}

/// A running provider. It stops when dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<Thread>,
}

#[derive(Debug)]
struct Thread {
    commands: Sender<Command>,
    waker: Arc<Waker>,
    join: Option<JoinHandle<io::Result<Stop>>>,
}

/// A thread ended because it was told to.
#[derive(Debug)]
struct Stop;

impl Provider {
    /// Starts a provider on threads of its own; it serves when this returns.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened to or a thread cannot be started.
    pub fn start(settings: Settings) -> io::Result<Provider> {
        let capture = settings.capture.max(1);
        let shared = Arc::new(Shared {
            counters: Counters::new(),
            captured: ArrayQueue::new(capture),
            queued: ArrayQueue::new(QUEUED_MAX),
            stored: stored::Stored::new(),
            settings,
        });
        let mut address = shared.settings.listen;
        let mut threads = Vec::new();
        for index in 0..shared.settings.threads.max(1) {
            let listener = listen(address, &shared.settings)?;
            address = listener.local_addr()?;
            let (commands, receiver) = channel();
            let waker = Arc::new(Waker::new()?);
            let shared = Arc::clone(&shared);
            let alarm = Arc::clone(&waker);
            let run = move || Worker::new(listener, alarm, receiver, shared, index)?.run();
            let join = std::thread::Builder::new().name("provider".into()).spawn(run)?;
            threads.push(Thread { commands, waker, join: Some(join) });
        }
        Ok(Provider { address, shared, threads })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL a gateway or SDK is given.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has seen.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Takes the requests captured since the last call, oldest first.
    pub fn take_captured(&self) -> Vec<Captured> {
        std::iter::from_fn(|| self.shared.captured.pop()).collect()
    }

    /// From now on, requests that bring no script follow this one.
    pub fn set_script(&self, script: &Script) {
        self.tell(&|| Command::Script(Box::new(script.clone())));
    }

    /// The next request of a judged surface follows this script; several queue up. Scripts that the
    /// request brings itself are laid over it. False when the queue is full.
    pub fn queue(&self, script: Script) -> bool {
        self.shared.queued.push(script).is_ok()
    }

    /// Closes the connections on which nothing happens, as a server that restarts does.
    pub fn close_idle(&self) {
        self.tell(&|| Command::CloseIdle);
    }

    /// Stops and waits for the threads. Open connections are closed.
    ///
    /// # Errors
    ///
    /// What ended a thread before its time.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    /// Waits until the provider ends by itself, which only an error makes it do.
    ///
    /// # Errors
    ///
    /// That error.
    pub fn wait(mut self) -> io::Result<()> {
        self.threads.iter_mut().try_for_each(Thread::join)
    }

    fn tell(&self, command: &dyn Fn() -> Command) {
        for thread in &self.threads {
            // A thread that has failed takes no commands; `stop` reports why.
            let _ = thread.commands.send(command());
            thread.waker.wake();
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.tell(&|| Command::Stop);
        self.threads.iter_mut().try_for_each(Thread::join)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        let _ = self.end();
    }
}

impl Thread {
    fn join(&mut self) -> io::Result<()> {
        let Some(join) = self.join.take() else { return Ok(()) };
        match join.join() {
            Ok(outcome) => outcome.map(|Stop| ()),
            Err(_) => Err(io::Error::other("a thread of the provider panicked")),
        }
    }
}

fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(settings.threads > 1)?;
    socket.set_nonblocking(true)?;
    plain_congestion(&socket);
    if let Some(bytes) = settings.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes the simplest congestion control: on loopback there is none, and BBR, the default of some
/// machines, paces what it sends by timers.
pub(crate) fn plain_congestion(socket: &Socket) {
    // Where it is missing, the default does as well.
    let _ = socket.set_tcp_congestion(b"reno");
}
