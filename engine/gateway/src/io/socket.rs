//! A connected TCP or Unix socket with at most one receive pending.
//!
//! In: buffers to fill. Out: the same buffers, longer. The pending receive is a future that owns its buffer and its half
//! of the socket; it lives until it has completed or the socket is closed, so no received byte can be lost.

use std::{
    cell::UnsafeCell,
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use monoio::{
    buf::IoBufMut,
    io::{AsyncReadRent, OwnedReadHalf},
    net::{TcpStream, UnixStream},
};

use super::sys;

/// Where a target listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

enum Kind {
    Tcp(Rc<UnsafeCell<TcpStream>>),
    Unix(Rc<UnsafeCell<UnixStream>>),
}

type Received = (io::Result<usize>, Vec<u8>);

/// A connected socket. Dropping it closes the connection at once, also while a receive is pending.
pub(crate) struct Socket {
    fd: RawFd,
    pending: Option<Pin<Box<dyn Future<Output = Received>>>>,
    kind: Kind,
}

impl Socket {
    /// Takes over a descriptor that was accepted or connected, on the core that calls.
    ///
    /// # Errors
    ///
    /// When the driver cannot register it.
    pub(crate) fn adopt(fd: OwnedFd, tcp: bool) -> io::Result<Self> {
        let raw = fd.as_raw_fd();
        let kind = if tcp {
            let stream = TcpStream::from_std(std::net::TcpStream::from(fd))?;
            let _ = stream.set_nodelay(true);
            Kind::Tcp(Rc::new(UnsafeCell::new(stream)))
        } else {
            let stream = UnixStream::from_std(std::os::unix::net::UnixStream::from(fd))?;
            Kind::Unix(Rc::new(UnsafeCell::new(stream)))
        };
        Ok(Self { fd: raw, pending: None, kind })
    }

    /// Connects; the caller bounds the time by dropping the future.
    ///
    /// # Errors
    ///
    /// The error of the connect, `ConnectionRefused` and its like.
    pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let (domain, address, tcp) = match endpoint {
            Endpoint::Tcp(address) => {
                (socket2::Domain::for_address(*address), socket2::SockAddr::from(*address), true)
            }
            Endpoint::Unix(path) => (socket2::Domain::UNIX, socket2::SockAddr::unix(path)?, false),
        };
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let begun = socket.connect(&address);
        let socket = Self::adopt(OwnedFd::from(socket), tcp)?;
        match begun {
            Ok(()) => Ok(socket),
            Err(error) if in_progress(&error) => {
                socket.writable().await?;
                sys::take_error(socket.fd)?;
                Ok(socket)
            }
            Err(error) => Err(error),
        }
    }

    /// Starts receiving into the room behind the bytes of `buf`.
    ///
    /// # Panics
    ///
    /// When a receive is pending already: its bytes would have two owners.
    pub(super) fn begin(&mut self, buf: Vec<u8>) {
        assert!(self.pending.is_none(), "one receive at a time");
        let range = buf.len()..buf.capacity();
        debug_assert!(!range.is_empty(), "a receive needs room");
        self.pending = Some(match &self.kind {
            Kind::Tcp(stream) => {
                let mut half = OwnedReadHalf(Rc::clone(stream));
                Box::pin(async move {
                    let (result, slice) = half.read(buf.slice_mut(range)).await;
                    (result, slice.into_inner())
                })
            }
            Kind::Unix(stream) => {
                let mut half = OwnedReadHalf(Rc::clone(stream));
                Box::pin(async move {
                    let (result, slice) = half.read(buf.slice_mut(range)).await;
                    (result, slice.into_inner())
                })
            }
        });
    }

    /// Whether a receive is pending.
    pub(super) fn is_receiving(&self) -> bool {
        self.pending.is_some()
    }

    /// The end of the pending receive: how many bytes, and the buffer back. Pending for ever when none was begun.
    pub(super) fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let Some(pending) = &mut self.pending else { return Poll::Pending };
        let received = std::task::ready!(pending.as_mut().poll(cx));
        self.pending = None;
        Poll::Ready(received)
    }

    /// Receives what is there without waiting, behind the bytes of `buf`.
    pub(super) fn receive_now(&mut self, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        debug_assert!(self.pending.is_none(), "the ring may hold the bytes that come first");
        sys::receive_now(self.fd, buf, max)
    }

    /// Sends what fits without waiting.
    pub(super) fn send_now(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        sys::send_now(self.fd, parts)
    }

    /// Waits until there is room to send; may be dropped at any time, and borrows nothing.
    pub(super) fn writable(&self) -> impl Future<Output = io::Result<()>> + use<> {
        let kind = match &self.kind {
            Kind::Tcp(stream) => Kind::Tcp(Rc::clone(stream)),
            Kind::Unix(stream) => Kind::Unix(Rc::clone(stream)),
        };
        async move {
            match &kind {
                Kind::Tcp(stream) => shared(stream).writable(false).await,
                Kind::Unix(stream) => shared(stream).writable(false).await,
            }
        }
    }

    /// Says that nothing more will be sent; receiving goes on.
    pub(crate) fn finish(&self) {
        sys::shutdown(self.fd, libc::SHUT_WR);
    }

    /// Whether the peer may have taken all that was sent: false where it is known that it has not.
    pub(crate) fn may_have_been_taken(&self) -> bool {
        sys::has_been_taken(self.fd).unwrap_or(true)
    }

    /// The descriptor, for the duration of a call.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A pending ring receive keeps the descriptor open until its cancel has completed; the peer is told now.
        if self.pending.is_some() {
            sys::shutdown(self.fd, libc::SHUT_RDWR);
        }
    }
}

#[expect(unsafe_code, reason = "shared view of the cell that monoio's own split halves use")]
fn shared<T>(cell: &Rc<UnsafeCell<T>>) -> &T {
    // SAFETY: nothing ever holds a `&mut` to the stream across an await: monoio's read half makes one only to start the
    // operation, on this same thread.
    unsafe { &*cell.get() }
}

fn in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Wraps a raw descriptor that the caller owns.
#[expect(unsafe_code, reason = "descriptors cross cores as numbers")]
pub(super) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller got the number from accept or `into_raw_fd` and gives up its claim here.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Gives up a descriptor as a number, to be taken over by [`own`].
pub(super) fn disown(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}
