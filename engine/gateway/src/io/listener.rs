//! A core's own listening socket.
//!
//! Every core binds the same address with `SO_REUSEPORT`. A process that is restarted binds beside the old one and
//! steers new connections to itself ([`steer_to_newest`]), so that the old one's queues run dry before it closes them
//! and no connection is refused.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use monoio::net::TcpListener;

use super::{
    socket::{disown, own},
    sys,
};

/// Connections that may wait for a core to accept them.
const BACKLOG: i32 = 4096;

/// A connection that was accepted, on its way to a core.
#[derive(Debug)]
pub(crate) struct Accepted {
    fd: RawFd,
}

impl Accepted {
    /// The descriptor; the claim passes to the caller.
    pub(crate) fn into_fd(self) -> OwnedFd {
        let fd = self.fd;
        std::mem::forget(self);
        own(fd)
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        drop(own(self.fd));
    }
}

/// A listening socket of one core.
pub(crate) struct Listener {
    inner: TcpListener,
    fd: RawFd,
}

impl Listener {
    /// Binds and listens; made by the main thread so that a taken port is reported before any core starts.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `PermissionDenied` and their like.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }

    /// Whether somebody listens on `address` already. Nothing can connect to what asks: it is bound and never listens.
    pub(crate) fn is_taken(address: SocketAddr) -> bool {
        let ask = || -> io::Result<()> {
            let domain = socket2::Domain::for_address(address);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())
        };
        ask().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }

    /// Takes a bound socket over, on the core that calls.
    ///
    /// # Errors
    ///
    /// When the driver cannot register it.
    pub(crate) fn adopt(socket: std::net::TcpListener) -> io::Result<Self> {
        let fd = socket.as_raw_fd();
        Ok(Self { inner: TcpListener::from_std(socket)?, fd })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// `EMFILE` and its like; after [`close`](Self::close), every time.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        let (stream, _) = self.inner.accept().await?;
        use std::os::fd::IntoRawFd;
        Ok(Accepted { fd: stream.into_raw_fd() })
    }

    /// Takes a connection that waits already, if there is one.
    pub(crate) fn accept_now(&self) -> Option<Accepted> {
        sys::accept_now(self.fd).ok().map(|fd| Accepted { fd })
    }

    /// Stops listening; a pending [`accept`](Self::accept) ends with an error.
    pub(crate) fn close(&self) {
        sys::shutdown(self.fd, libc::SHUT_RDWR);
    }
}

/// Directs every new connection for `address` to the first of `ours`, which must be the sockets bound to it last.
///
/// One socket, not all: when the old process closes a socket, the kernel moves the group's last one into its place. So
/// ours lose their places from the last to the first, and as long as there are no more old ones than ours, the first keeps
/// its place until the last old one is gone; then the place is empty and the kernel's hash spreads connections over ours.
/// Until then the cores share out what that socket accepts.
///
/// Does nothing when no other socket listens there.
///
/// # Errors
///
/// When the kernel refuses the program; connections are then spread over old and new alike.
pub(crate) fn steer_to_newest(
    address: SocketAddr,
    ours: &[std::net::TcpListener],
) -> io::Result<bool> {
    let all = listening(address)?;
    let (Some(first), Some(socket)) = (all.checked_sub(ours.len()), ours.first()) else {
        return Ok(false);
    };
    if first == 0 {
        return Ok(false);
    }
    sys::steer_reuseport(socket.as_raw_fd(), u32::try_from(first).map_err(io::Error::other)?)?;
    Ok(true)
}

/// How many sockets of this machine listen on `address`, by `/proc/net/tcp`.
fn listening(address: SocketAddr) -> io::Result<usize> {
    let file = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let table = std::fs::read_to_string(file)?;
    let wanted = hex_address(address);
    Ok(table
        .lines()
        .skip(1)
        .filter(|line| {
            let mut columns = line.split_ascii_whitespace().skip(1);
            columns.next() == Some(wanted.as_str()) && columns.nth(1) == Some("0A")
        })
        .count())
}

/// The kernel's spelling: the address as native-endian words in hex, a colon, the port in hex.
fn hex_address(address: SocketAddr) -> String {
    use std::fmt::Write;
    let octets = match address {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let mut text = String::with_capacity(40);
    for word in octets.chunks_exact(4) {
        let _ = write!(text, "{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    }
    let _ = write!(text, ":{:04X}", address.port());
    text
}

/// Passes an accepted connection on as a bare number.
impl From<OwnedFd> for Accepted {
    fn from(fd: OwnedFd) -> Self {
        Self { fd: disown(fd) }
    }
}
