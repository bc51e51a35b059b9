//! One place a target listens: its address, its TLS, and the head fields that every request to it carries.
//!
//! Names are resolved by a thread of their own (`resolve`), never on a core; the last good answer stays in use.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use arc_swap::ArcSwap;
use faregate_policy::{affinity::Load, health::Breaker};
use rustls::{ClientConfig, pki_types::ServerName};

use crate::{
    credentials::Credential,
    io::{Endpoint, Slot, Socket, Stream},
    tls::Session,
};

/// Upstreams with the same id share idle connections: same address, same TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UpstreamId(pub(crate) u64);

/// How often names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// How often a connect that waits for a name looks whether it is there.
const NAME_PAUSE: Duration = Duration::from_millis(2);

/// Where an upstream listens, as configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A Unix socket.
    Unix(PathBuf),
    /// A host and port; the host may be an address.
    Host(String, u16),
}

/// One place a target listens.
pub(crate) struct Upstream {
    /// Key of the idle connections.
    pub(crate) id: UpstreamId,
    /// The `Host` field.
    pub(crate) host: String,
    /// Put before every path, without a slash at its end.
    pub(crate) path_prefix: String,
    /// Head fields of our own, each ended by CRLF: the provider's key, extra headers.
    pub(crate) fields: Vec<u8>,
    /// The names in `fields`, lower case: a client's field of the same name does not pass.
    pub(crate) field_names: Vec<String>,
    /// What proves who pays, where that is not among `fields`.
    pub(crate) credential: Option<Arc<Credential>>,
    /// TLS, unless the provider is spoken to in the clear.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// Addresses.
    pub(crate) name: Arc<Name>,
    /// Whether this place is failing, where a target has several.
    pub(crate) breaker: Arc<Breaker>,
    /// How busy it is, where replicas are chosen by prompts.
    pub(crate) load: Arc<Load>,
}

/// A place and the addresses it has at the moment.
#[derive(Debug)]
pub(crate) struct Name {
    place: Place,
    addresses: ArcSwap<Vec<SocketAddr>>,
    failed: AtomicBool,
    next: AtomicUsize,
}

/// Why a connection could not be made.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The name has no address.
    Name,
    /// Nobody answered in time.
    Timeout,
    /// Refused, unreachable and the like.
    Connect(io::Error),
    /// The TLS handshake failed.
    Tls(io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name has no address"),
            Self::Timeout => f.write_str("no connection in time"),
            Self::Connect(error) => write!(f, "connect: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

impl Upstream {
    /// Where it is, as a policy would say it.
    pub(crate) fn url(&self) -> String {
        let prefix = &self.path_prefix;
        match &self.name.place {
            Place::Unix(path) => format!("unix:{}:{prefix}", path.display()),
            Place::Host(host, port) => {
                let scheme = if self.tls.is_some() { "https" } else { "http" };
                format!("{scheme}://{host}:{port}{prefix}")
            }
        }
    }

    /// Connects, TLS handshake included, before `slot` expires.
    ///
    /// # Errors
    ///
    /// Which step failed, and why.
    pub(crate) async fn dial(&self, slot: &Slot) -> Result<Stream, DialError> {
        let socket = within(slot, self.connect()).await.ok_or(DialError::Timeout)??;
        let Some((config, name)) = &self.tls else { return Ok(Stream::plain(socket)) };
        let session = Session::client(config, name.clone()).map_err(DialError::Tls)?;
        let mut stream = Stream::secured(socket, session);
        within(slot, stream.handshake())
            .await
            .ok_or(DialError::Timeout)?
            .map_err(DialError::Tls)?;
        Ok(stream)
    }

    async fn connect(&self) -> Result<Socket, DialError> {
        if let Place::Unix(path) = &self.name.place {
            return Socket::connect(&Endpoint::Unix(path.clone()))
                .await
                .map_err(DialError::Connect);
        }
        let addresses = self.name.addresses().await.ok_or(DialError::Name)?;
        let first = self.name.next.fetch_add(1, Ordering::Relaxed);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for n in 0..addresses.len() {
            let address = addresses[(first + n) % addresses.len()];
            match Socket::connect(&Endpoint::Tcp(address)).await {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(DialError::Connect(last))
    }
}

/// Awaits `future` unless `slot` expires first. Only for futures that may be dropped at any time.
async fn within<F: Future>(slot: &Slot, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(output));
        }
        slot.poll_expired(cx).map(|()| None)
    })
    .await
}

impl Name {
    /// A place; an address needs no resolving.
    pub(crate) fn new(place: Place) -> Arc<Self> {
        let known = match &place {
            Place::Host(host, port) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                bare.parse::<IpAddr>()
                    .map(|ip| vec![SocketAddr::new(ip, *port)])
                    .unwrap_or_default()
            }
            Place::Unix(_) => Vec::new(),
        };
        Arc::new(Self {
            place,
            addresses: ArcSwap::from_pointee(known),
            failed: AtomicBool::new(false),
            next: AtomicUsize::new(0),
        })
    }

    /// The addresses; waits for the first answer of the resolver, `None` when that was a failure.
    async fn addresses(&self) -> Option<Arc<Vec<SocketAddr>>> {
        loop {
            let known = self.addresses.load_full();
            if !known.is_empty() {
                return Some(known);
            }
            if self.failed.load(Ordering::Acquire) {
                return None;
            }
            crate::io::sleep(NAME_PAUSE).await;
        }
    }

    fn resolve(&self) {
        use std::net::ToSocketAddrs;
        let Place::Host(host, port) = &self.place else { return };
        if host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
            return;
        }
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(found) => {
                let found: Vec<_> = found.collect();
                self.failed.store(found.is_empty(), Ordering::Release);
                if !found.is_empty() {
                    self.addresses.store(Arc::new(found));
                }
            }
            Err(error) => {
                tracing::warn!(host, %error, "name not resolved");
                self.failed.store(true, Ordering::Release);
            }
        }
    }
}

/// The thread that resolves names: all of the current ones, again and again.
#[derive(Debug)]
pub(crate) struct Resolver {
    names: Arc<ArcSwap<Vec<Arc<Name>>>>,
    round: Arc<AtomicU64>,
    thread: Thread,
}

impl Resolver {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let names: Arc<ArcSwap<Vec<Arc<Name>>>> = Arc::default();
        let round = Arc::new(AtomicU64::new(0));
        let theirs = (Arc::clone(&names), Arc::clone(&round));
        let handle = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            loop {
                let seen = theirs.1.load(Ordering::Acquire);
                for name in theirs.0.load().iter() {
                    name.resolve();
                }
                if theirs.1.load(Ordering::Acquire) == seen {
                    thread::park_timeout(RESOLVE_EVERY);
                }
            }
        })?;
        Ok(Self { names, round, thread: handle.thread().clone() })
    }

    /// Resolves these names from now on, at once and then periodically.
    pub(crate) fn watch(&self, names: Vec<Arc<Name>>) {
        self.names.store(Arc::new(names));
        self.round.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}
