//! Readiness of sockets, level-triggered, with a wake-up from other threads.
//!
//! In: sockets under a token, and a deadline. Out: which tokens are ready. Level-triggered saves
//! the extra read that an edge asks for: a request costs one `recv`, one `send` and a share of an
//! `epoll_pwait2`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

use crate::clock::Nanos;

/// The token of the wake-up; no socket may use it.
pub(crate) const WAKE: u64 = u64::MAX;

/// Readiness events taken from the kernel at once.
const EVENTS_MAX: usize = 256;

/// What a socket waits for. A hang-up by the peer shows as readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Interest = Interest { read: true, write: false };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// One ready socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The connection is gone in both directions or has failed.
    pub(crate) broken: bool,
}

/// An epoll instance and the buffer of its events.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// A new instance that listens to `waker`.
    pub(crate) fn new(waker: &Waker) -> io::Result<Poll> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &waker.event, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Poll { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Watches `socket`.
    pub(crate) fn add(&self, socket: impl AsFd, token: u64, wish: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(token), wish.flags())?)
    }

    /// Changes what `socket` waits for.
    pub(crate) fn change(&self, socket: impl AsFd, token: u64, wish: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(token), wish.flags())?)
    }

    /// Waits until something is ready or `until` has come, and adds what is ready to `ready`.
    pub(crate) fn wait(&mut self, until: Option<Nanos>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = until.map(|until| {
            let left = until.since(Nanos::now());
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            Ready {
                token: data.u64(),
                read: flags.contains(EventFlags::IN),
                write: flags.contains(EventFlags::OUT),
                broken,
            }
        }));
        Ok(())
    }
}

/// Wakes one [`Poll`] from any thread.
#[derive(Debug)]
pub(crate) struct Waker {
    event: OwnedFd,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Waker> {
        Ok(Waker { event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the poll return. A wake-up that is not yet taken absorbs further ones.
    pub(crate) fn wake(&self) {
        // The only failure of this write is a full counter, which wakes just as well.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Takes the wake-up.
    pub(crate) fn take(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.event, &mut count);
    }
}
