//! The client's side of a connection: what it has sent, whether it is still there, and answering it.
//!
//! In: bytes from the client. Out: the bytes of one request at a time. While a request is served, one receive stays
//! pending: it brings the news that the client has left, or the first bytes of its next request.

use std::{
    io,
    task::{Context, Poll},
};

use crate::{
    buffer::{self, LANDING_BYTES},
    clock::Instant,
    io::{Slot, Stream},
};

/// Room for the watch during a stream: a client that streams rarely sends more before the end.
pub(crate) const WATCH_BYTES: usize = 256;

/// Bytes of later requests that are taken while one is served; behind them a client's leaving is seen by a failed send.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

/// Bytes asked for at once while a body arrives.
const BODY_STEP_BYTES: usize = 64 * 1024;

/// What the client did while it was being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has closed its side, or the connection broke.
    Gone,
    /// It has sent the start of its next request.
    Ahead,
}

/// Why no more bytes came.
#[derive(Debug)]
pub(crate) enum NoMore {
    /// The client has closed its side.
    Closed,
    /// The connection broke.
    Broken,
    /// The deadline passed.
    Deadline,
}

/// The client's side of a connection.
pub(crate) struct Client {
    /// The connection.
    pub(crate) stream: Stream,
    /// Its deadline.
    pub(crate) slot: Slot,
    /// What has arrived and is not consumed: the request being served first.
    pub(crate) received: Vec<u8>,
    /// What arrived while a request was served.
    ahead: Vec<u8>,
    gone: bool,
    /// Whether others wait for the answer, so that it is made though this client leaves; while a request is served.
    pub(crate) others: Option<Box<Others>>,
}

/// Those who wait for a client's answer.
pub(crate) struct Others {
    are_there: Box<dyn Fn() -> bool>,
    /// The client has left the answer to them.
    has_left: bool,
}

impl Others {
    /// `are_there` says whether there are any.
    pub(crate) fn new(are_there: Box<dyn Fn() -> bool>) -> Box<Self> {
        Box::new(Self { are_there, has_left: false })
    }
}

impl Client {
    /// A connection at its start.
    pub(crate) fn new(stream: Stream, slot: Slot) -> Self {
        let (received, ahead) = (Vec::new(), Vec::new());
        Self { stream, slot, received, ahead, gone: false, others: None }
    }

    /// Receives more behind what is there already, with room for `wanted` bytes more.
    ///
    /// # Errors
    ///
    /// Why there is no more, once the armed deadline has passed or the client has gone.
    pub(crate) async fn fill(&mut self, wanted: usize) -> Result<(), NoMore> {
        if self.gone {
            return Err(NoMore::Closed);
        }
        if !self.stream.is_receiving() {
            let mut buf = std::mem::take(&mut self.received);
            if buf.capacity() == 0 && wanted <= LANDING_BYTES {
                buf = buffer::landing();
            }
            let room = wanted.clamp(LANDING_BYTES, BODY_STEP_BYTES);
            if buf.capacity() - buf.len() < room.min(wanted) {
                buf.reserve(room);
            }
            self.stream.begin(buf);
        }
        let (result, buf) = std::future::poll_fn(|cx| {
            if let Poll::Ready(received) = self.stream.poll(cx) {
                return Poll::Ready(Ok(received));
            }
            self.slot.poll_expired(cx).map(|()| Err(NoMore::Deadline))
        })
        .await?;
        self.keep(buf);
        match result {
            Ok(0) => {
                self.gone = true;
                Err(NoMore::Closed)
            }
            Ok(_) => Ok(()),
            Err(_) => {
                self.gone = true;
                Err(NoMore::Broken)
            }
        }
    }

    /// Moves what has arrived into a buffer with room for `total` bytes.
    pub(crate) fn make_room(&mut self, total: usize) {
        if total > self.received.capacity() {
            let mut large = buffer::large(total);
            large.extend_from_slice(&self.received);
            buffer::give_back(std::mem::replace(&mut self.received, large));
        }
    }

    /// Receives some more of a body of which `received` holds `total` bytes in the end, if there is more already. True when
    /// something came; small steps, so that it is looked at while it is in the cache.
    ///
    /// # Errors
    ///
    /// When the connection broke or ended.
    pub(crate) fn fill_now(&mut self, total: usize) -> Result<bool, NoMore> {
        if self.stream.is_receiving() || self.received.len() >= total {
            return Ok(false);
        }
        self.received.reserve((total - self.received.len()).min(BODY_STEP_BYTES));
        match self.stream.receive_now(&mut self.received, BODY_STEP_BYTES) {
            Ok(0) => {
                self.gone = true;
                Err(NoMore::Closed)
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(_) => Err(NoMore::Broken),
        }
    }

    /// Receives more behind what has arrived, with `room` for it. Ready when something came.
    ///
    /// # Errors
    ///
    /// When the client has gone.
    pub(crate) fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
    ) -> Poll<Result<(), NoMore>> {
        if self.gone {
            return Poll::Ready(Err(NoMore::Closed));
        }
        if !self.stream.is_receiving() {
            let mut buf = std::mem::take(&mut self.received);
            if buf.capacity() - buf.len() < room / 2 {
                buf.reserve(room);
            }
            self.stream.begin(buf);
        }
        let (result, buf) = std::task::ready!(self.stream.poll(cx));
        self.keep(buf);
        self.gone = !matches!(result, Ok(1..));
        Poll::Ready(match result {
            Ok(1..) => Ok(()),
            Ok(0) => Err(NoMore::Closed),
            Err(_) => Err(NoMore::Broken),
        })
    }

    /// Starts watching: `streams` says whether the next bytes are far away.
    pub(crate) fn watch(&mut self, streams: bool) {
        if !self.gone && !self.stream.is_receiving() && self.ahead.is_empty() {
            let room = if streams { Vec::with_capacity(WATCH_BYTES) } else { buffer::landing() };
            self.stream.begin(room);
        }
    }

    /// Whether it has left an answer behind that others have waited for.
    pub(crate) fn has_left(&self) -> bool {
        self.others.as_ref().is_some_and(|others| others.has_left)
    }

    /// Its leaving is no news while others wait for the answer.
    fn leave(&mut self) -> bool {
        let Some(others) = &mut self.others else { return false };
        others.has_left |= (others.are_there)();
        others.has_left
    }

    /// News from the client, if there is any.
    pub(crate) fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        match self.has_left() {
            true => Poll::Pending,
            false => match self.poll_own_news(cx) {
                Poll::Ready(News::Gone) if self.leave() => Poll::Pending,
                news => news,
            },
        }
    }

    fn poll_own_news(&mut self, cx: &mut Context<'_>) -> Poll<News> {
        if self.gone {
            return Poll::Ready(News::Gone);
        }
        loop {
            let (result, mut buf) = std::task::ready!(self.stream.poll(cx));
            if !result.is_ok_and(|n| n > 0) {
                self.gone = true;
                return Poll::Ready(News::Gone);
            }
            if self.ahead.is_empty() {
                self.ahead = buf;
            } else {
                self.ahead.append(&mut buf);
            }
            if self.ahead.len() >= AHEAD_BYTES_MAX {
                return Poll::Ready(News::Ahead);
            }
            // It may still leave: whoever sends ahead is watched on.
            self.stream.begin(Vec::with_capacity(WATCH_BYTES));
        }
    }

    /// Forgets the first `used` bytes: the request is served. What arrived meanwhile comes next.
    pub(crate) fn consume(&mut self, used: usize) {
        if used >= self.received.len() {
            self.received = std::mem::take(&mut self.ahead);
        } else {
            self.received.drain(..used);
            self.received.append(&mut self.ahead);
        }
    }

    /// Sends all of `parts`, waiting for room until the deadline that is armed.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline, else the error of the connection.
    pub(crate) async fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.has_left() {
            return Ok(());
        }
        let result = self.stream.send(parts, &self.slot).await;
        self.gone |= result.is_err();
        if result.is_err() && self.leave() { Ok(()) } else { result }
    }

    /// Ends the connection so that the last answer arrives: finish, then read away a bounded rest.
    pub(crate) async fn linger(&mut self, until: Instant) {
        const REST_BYTES_MAX: usize = 64 * 1024;
        self.stream.finish();
        self.slot.arm(until);
        let mut rest = 0;
        while !self.gone && rest < REST_BYTES_MAX {
            self.received.clear();
            if self.fill(LANDING_BYTES).await.is_err() {
                return;
            }
            rest += self.received.len();
        }
    }

    fn keep(&mut self, mut buf: Vec<u8>) {
        if self.received.is_empty() {
            self.received = buf;
        } else {
            self.received.append(&mut buf);
        }
    }
}
