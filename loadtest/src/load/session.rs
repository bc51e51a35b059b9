//! One connection of the generator: a request out, its answer in.
//!
//! In: a planned request with its intended time, readiness of the socket. Out: marks of time and the
//! end of the exchange. Remembered: how much is sent and read.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};

use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use super::check::{Fault, Marks, Progress, Reader};
use super::plan::Planned;
use super::report::Times;
use crate::clock::Nanos;
use crate::poll::Interest;
use crate::provider::plain_congestion;

/// A connection, made or not yet made.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) socket: Option<TcpStream>,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) interest: Option<Interest>,
    /// Exchanges made on the present connection.
    uses: u64,
}

/// A request that is not yet answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: usize,
    pub(crate) intended: Nanos,
    pub(crate) is_retry: bool,
    sent: usize,
    reader: Reader,
    first_at: Option<Nanos>,
    last_at: Option<Nanos>,
}

/// What has become of an exchange.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes on.
    Wait,
    /// It is answered.
    Answered,
    /// It failed; the connection is of no more use.
    Failed(Fault),
    /// The kept connection was closed before a byte of the answer: send again on a new one.
    Stale,
}

/// Where the times of events go.
#[derive(Debug)]
pub(crate) struct StreamTimes {
    pub(crate) first: Times,
    pub(crate) gap: Times,
    pub(crate) travel: Times,
    /// Events in the measured time.
    pub(crate) chunks: u64,
    /// Streams that have begun.
    pub(crate) begun: u64,
    /// Whether the present lies in the measured time.
    pub(crate) is_measured: bool,
}

impl Exchange {
    pub(crate) fn new(kind: usize, planned: &Planned, intended: Nanos) -> Exchange {
        Exchange {
            kind,
            intended,
            is_retry: false,
            sent: 0,
            reader: Reader::new(&planned.expected),
            first_at: None,
            last_at: None,
        }
    }

    /// Whether a piece of text has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.first_at.is_some()
    }
}

impl Session {
    /// Makes the connection if there is none; true if it is a new one.
    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<bool> {
        if self.socket.is_some() {
            return Ok(false);
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        plain_congestion(&socket);
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
            _ => {}
        }
        self.socket = Some(socket.into());
        self.uses = 0;
        Ok(true)
    }

    /// Gives the connection up.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.interest = None;
    }

    /// Sends what is left of the request.
    pub(crate) fn send(&mut self, plan: &[Planned]) -> Turn {
        let (Some(socket), Some(exchange)) = (&mut self.socket, &mut self.exchange) else {
            return Turn::Wait;
        };
        let wire = &plan[exchange.kind].wire;
        while exchange.sent < wire.len() {
            match socket.write(&wire[exchange.sent..]) {
                Ok(sent) => exchange.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Wait,
                // The connection is not made yet: the poll will say when it is.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Turn::Wait,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Turn::Failed(Fault::Connect);
                }
                Err(_) => return self.broken(Fault::Reset),
            }
        }
        Turn::Wait
    }

    /// What the socket should wait for now.
    pub(crate) fn wish(&self, plan: &[Planned]) -> Interest {
        let unsent = self
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.sent < plan[exchange.kind].wire.len());
        Interest { read: true, write: unsent }
    }

    /// Reads what has come.
    pub(crate) fn receive(
        &mut self,
        plan: &[Planned],
        scratch: &mut [u8],
        times: &mut StreamTimes,
    ) -> Turn {
        loop {
            let Some(socket) = &self.socket else { return Turn::Wait };
            let read = match recv(socket, &mut *scratch, RecvFlags::empty()) {
                Ok((read, _)) => read,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Turn::Wait,
                Err(rustix::io::Errno::CONNREFUSED) => return Turn::Failed(Fault::Connect),
                Err(_) => return self.broken(Fault::Reset),
            };
            if read == 0 {
                return self.ended(plan);
            }
            let Some(exchange) = &mut self.exchange else {
                return Turn::Failed(Fault::Malformed("bytes nobody asked for"));
            };
            let expected = &plan[exchange.kind].expected;
            let mut marks = EventMarks {
                now: Nanos::now(),
                intended: exchange.intended,
                first_at: &mut exchange.first_at,
                last_at: &mut exchange.last_at,
                times,
            };
            match exchange.reader.read(&scratch[..read], expected, &mut marks) {
                Err(fault) => return Turn::Failed(fault),
                Ok(Progress::Whole { keep_alive }) => return self.answered(keep_alive),
                Ok(Progress::More) if read < scratch.len() => return Turn::Wait,
                Ok(Progress::More) => {}
            }
        }
    }

    fn answered(&mut self, keep_alive: bool) -> Turn {
        self.uses += 1;
        if !keep_alive {
            self.close();
        }
        Turn::Answered
    }

    fn ended(&mut self, plan: &[Planned]) -> Turn {
        let Some(exchange) = &mut self.exchange else {
            // Nothing was under way: the server is free to close.
            self.close();
            return Turn::Wait;
        };
        match exchange.reader.ended(&plan[exchange.kind].expected) {
            Ok(_) => self.answered(false),
            Err(fault) => self.broken(fault),
        }
    }

    /// The connection failed; on a kept one, before any answer, that may be mere coincidence.
    fn broken(&mut self, fault: Fault) -> Turn {
        let untouched = |exchange: &Exchange| exchange.reader.is_untouched() && !exchange.is_retry;
        if self.uses > 0 && self.exchange.as_ref().is_some_and(untouched) {
            return Turn::Stale;
        }
        Turn::Failed(fault)
    }
}

/// The error of a connection that is being made; the constant is the same on all Linux targets.
const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

struct EventMarks<'a> {
    now: Nanos,
    intended: Nanos,
    first_at: &'a mut Option<Nanos>,
    last_at: &'a mut Option<Nanos>,
    times: &'a mut StreamTimes,
}

impl Marks for EventMarks<'_> {
    fn event(&mut self, sent: Option<Nanos>) {
        let before = self.last_at.replace(self.now);
        if self.first_at.is_none() {
            *self.first_at = Some(self.now);
            self.times.begun += 1;
            if self.times.is_measured {
                self.times.first.add(self.now.since(self.intended));
            }
        }
        if !self.times.is_measured {
            return;
        }
        self.times.chunks += 1;
        if let Some(before) = before {
            self.times.gap.add(self.now.since(before));
        }
        if let Some(sent) = sent {
            self.times.travel.add(self.now.since(sent));
        }
    }
}
