//! One place a target listens: its address, its TLS, and the head fields that every request to it carries.
//!
//! Names are resolved by a thread of their own (`resolve`), never on a core; the last good answer stays in use.

use std::{
    collections::BTreeMap,
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

use arc_swap::{ArcSwap, ArcSwapOption};
use faregate_policy::{Nanos, affinity::Load, health::Breaker};
use rustls::{ClientConfig, pki_types::ServerName};

use crate::{
    credentials::Credential,
    io::{Endpoint, Slot, Socket, Stream},
    reload::Bell,
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
    /// How warm it is, where it was added to others.
    pub(crate) warmth: Arc<Warmth>,
}

/// How long a place that was added to others takes until it has its whole share.
const WARM_UP: Duration = Duration::from_secs(30);

/// How warm a place is: one that was added to others gets a tenth of its share at first, and all of it after [`WARM_UP`].
#[derive(Debug, Default)]
pub(crate) struct Warmth {
    /// Zero: it is warm; one: it is new, and nobody has asked yet; else the moment when somebody first did.
    since: AtomicU64,
}

impl Warmth {
    /// It is new.
    pub(crate) fn begin(&self) {
        self.since.store(1, Ordering::Relaxed);
    }

    /// Whether a request may go there, by this lot.
    pub(crate) fn lets(&self, now: Nanos, lot: u64) -> bool {
        let since = match self.since.load(Ordering::Relaxed) {
            0 => return true,
            1 => {
                let now = now.0.max(2);
                let first =
                    self.since.compare_exchange(1, now, Ordering::Relaxed, Ordering::Relaxed);
                first.map_or_else(|since| since, |_| now)
            }
            since => since,
        };
        let passed = u128::from(now.0.saturating_sub(since));
        let whole = WARM_UP.as_nanos();
        if passed >= whole {
            self.since.store(0, Ordering::Relaxed);
            return true;
        }
        u128::from(lot >> 32) * whole < (whole / 10 + passed * 9 / 10) << 32
    }
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

    /// What it is the place of.
    #[cfg(test)]
    pub(crate) fn place(&self) -> &Place {
        &self.place
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

/// The addresses of names whose every address is a place.
pub(crate) type Found = BTreeMap<(String, u16), Vec<IpAddr>>;

/// The addresses of a name, in order.
fn addresses_of(host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    use std::net::ToSocketAddrs;
    let mut found: Vec<IpAddr> =
        (host, port).to_socket_addrs()?.map(|address| address.ip()).take(PLACES_MAX).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Places that one name may have.
const PLACES_MAX: usize = 256;

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Watched {
    names: ArcSwap<Vec<Arc<Name>>>,
    found: ArcSwap<Found>,
    bell: ArcSwapOption<Bell>,
    round: AtomicU64,
}

impl Watched {
    /// Looks for other addresses of the names whose every address is a place. What cannot be resolved stays as it was.
    fn look(&self) {
        let before = self.found.load_full();
        let mut now = Found::clone(&before);
        for ((host, port), known) in &mut now {
            if let Ok(found) = addresses_of(host, *port).inspect_err(|error| {
                tracing::warn!(host, %error, "name not resolved; its places stay");
            }) && !found.is_empty()
            {
                *known = found;
            }
        }
        if now != *before {
            self.found.store(Arc::new(now));
            if let Some(bell) = &*self.bell.load() {
                bell.ring(true);
            }
        }
    }
}

/// The thread that resolves names: all of the current ones, again and again.
#[derive(Debug)]
pub(crate) struct Resolver {
    watched: Arc<Watched>,
    thread: Thread,
}

impl Resolver {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let watched = Arc::<Watched>::default();
        let theirs = Arc::clone(&watched);
        let handle = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            loop {
                let seen = theirs.round.load(Ordering::Acquire);
                for name in theirs.names.load().iter() {
                    name.resolve();
                }
                theirs.look();
                if theirs.round.load(Ordering::Acquire) == seen {
                    thread::park_timeout(RESOLVE_EVERY);
                }
            }
        })?;
        Ok(Self { watched, thread: handle.thread().clone() })
    }

    /// Resolves these names from now on, at once and then periodically; of the names whose every address is a place those in
    /// `found`.
    pub(crate) fn watch(&self, names: Vec<Arc<Name>>, found: Found) {
        self.watched.names.store(Arc::new(names));
        self.watched.found.store(Arc::new(found));
        self.watched.round.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }

    /// Rings this bell when a name has other addresses.
    pub(crate) fn tell(&self, bell: Bell) {
        self.watched.bell.store(Some(Arc::new(bell)));
    }

    /// The addresses of a name whose every address is a place: those that are known, or else those that it has now. None where
    /// it cannot be resolved.
    pub(crate) fn places(&self, host: &str, port: u16) -> Vec<IpAddr> {
        let known = self.watched.found.load().get(&(host.to_owned(), port)).cloned();
        known.filter(|known| !known.is_empty()).unwrap_or_else(|| {
            addresses_of(host, port)
                .inspect_err(|error| tracing::warn!(host, %error, "name not resolved"))
                .unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_new_gets_a_tenth_at_first_and_all_in_the_end() {
        let warmth = Warmth::default();
        assert!(warmth.lets(Nanos(5), u64::MAX), "what was there from the start is warm");
        warmth.begin();
        let begun = Nanos(1_000_000_000);
        let share = |seconds: u64| {
            let now = begun.after(Duration::from_secs(seconds));
            (0..1000_u64).filter(|lot| warmth.lets(now, lot * (u64::MAX / 1000))).count()
        };
        for (seconds, expected) in [(0, 100), (10, 400), (20, 700), (29, 970), (30, 1000)] {
            let found = share(seconds);
            assert!(found.abs_diff(expected) <= 2, "{found} of 1000 after {seconds} s");
        }
        assert!(warmth.lets(Nanos(0), u64::MAX), "warm is warm");
    }
}
