//! Waking a core from another thread: a byte through a socket pair that one resident task of the core reads.
//!
//! monoio's own cross-thread wakers are left off (feature `sync`): a socket works the same on both drivers.

use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    os::unix::net::UnixStream,
    sync::Arc,
};

use super::{Stream, socket::Socket};

/// The sending side; clone it into as many threads as need it.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    pair: Arc<UnixStream>,
}

/// The receiving side, not yet on its core.
#[derive(Debug)]
pub(crate) struct Wake {
    pair: UnixStream,
}

impl Wake {
    /// A connected pair.
    ///
    /// # Errors
    ///
    /// When no descriptors are left.
    pub(crate) fn pair() -> io::Result<(Waker, Self)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        Ok((Waker { pair: Arc::new(ours) }, Self { pair: theirs }))
    }

    /// Moves the receiving side onto the core that calls.
    ///
    /// # Errors
    ///
    /// When the driver cannot register the socket.
    pub(crate) fn stream(self) -> io::Result<Stream> {
        Ok(Stream::plain(Socket::adopt(OwnedFd::from(self.pair), false)?))
    }
}

impl Waker {
    /// Wakes the core. A full socket means that it is about to wake already.
    pub(crate) fn wake(&self) {
        let _ = (&*self.pair).write(&[1]);
    }
}
