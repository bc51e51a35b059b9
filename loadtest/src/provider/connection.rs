//! One connection: requests in, replies out, one after the other.
//!
//! In: readiness and the time. Out: bytes on the socket, counters, and whether the connection lives
//! on. Remembered: the unfinished request or reply. Buffers go back to the thread's pool while
//! nothing waits in them, so thousands of slow streams cost little memory.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use socket2::SockRef;

use super::counters::Abort;
use super::dialect::Dialect;
use super::head::{Framing, Head};
use super::refusal::{Reason, Refusal};
use super::reply::{Next, Outcome, Reply};
use super::script::{Fault, Script};
use super::surface::{Desk, Request};
use crate::clock::Nanos;
use crate::http::Chunks;
use crate::poll::{Interest, Ready};

/// Room made in a buffer before reading into it.
const READ_BYTES: usize = 16 << 10;

/// How long an ended connection waits for the peer to end it too.
const CLOSING: Duration = Duration::from_secs(2);

/// A connection of the provider.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    inbox: Vec<u8>,
    out: Vec<u8>,
    out_at: usize,
    stage: Stage,
    requests: u64,
    /// When to be driven although nothing is ready.
    pub(crate) wake: Option<Nanos>,
    /// What the socket waits for.
    pub(crate) interest: Interest,
}

#[derive(Debug)]
enum Stage {
    Head,
    Body(Box<Incoming>),
    Reply(Box<Reply>, Option<Next>),
    Stalled(Box<Reply>),
    /// FIN is sent; what still arrives is thrown away until then.
    Closing(Nanos),
}

/// A request whose head is read.
#[derive(Debug)]
struct Incoming {
    head: Head,
    chunked: Option<Chunked>,
    slow: Option<(usize, Duration)>,
}

#[derive(Debug, Default)]
struct Chunked {
    chunks: Chunks,
    body: Vec<u8>,
    read: usize,
}

/// Whether a connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Drop,
}

impl Connection {
    pub(crate) fn new(socket: TcpStream) -> Connection {
        Connection {
            socket,
            inbox: Vec::new(),
            out: Vec::new(),
            out_at: 0,
            stage: Stage::Head,
            requests: 0,
            wake: None,
            interest: Interest::READ,
        }
    }

    /// Whether no request has begun.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Head) && self.inbox.is_empty()
    }

    /// Takes what the socket is ready for as far as it goes.
    pub(crate) fn ready(&mut self, ready: Ready, desk: &mut Desk) -> Fate {
        if ready.read || ready.broken {
            match self.receive(desk) {
                Ok(true) => {}
                Ok(false) | Err(_) => return self.left(desk),
            }
        }
        self.drive(desk, Nanos::now())
    }

    /// Goes on because the connection is new or its time has come.
    pub(crate) fn woken(&mut self, desk: &mut Desk) -> Fate {
        let due = self.wake.take();
        if due.is_some() && self.is_idle() {
            return Fate::Drop;
        }
        // Timers fire a little early; what was waited for is due all the same.
        self.drive(desk, Nanos::now().max(due.unwrap_or_default()))
    }

    fn drive(&mut self, desk: &mut Desk, now: Nanos) -> Fate {
        self.wake = None;
        loop {
            let step = match self.stage {
                Stage::Head => self.read_head(desk, now),
                Stage::Body(_) => self.read_body(desk, now),
                Stage::Reply(..) => self.reply(desk, now),
                Stage::Stalled(_) => return Fate::Keep,
                Stage::Closing(until) if until <= now => return Fate::Drop,
                Stage::Closing(until) => {
                    self.wake = Some(until);
                    return Fate::Keep;
                }
            };
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Wait) => return Fate::Keep,
                Ok(Step::Drop) => return Fate::Drop,
                Err(_) => return self.left(desk),
            }
        }
    }

    /// Reads once; false at the end of the stream.
    fn receive(&mut self, desk: &mut Desk) -> io::Result<bool> {
        if self.inbox.capacity() == 0 {
            self.inbox = desk.pool.take();
        }
        let before = self.inbox.len();
        let outcome = match &self.stage {
            Stage::Body(incoming) if incoming.slow.is_some() => {
                let (bytes, _) = incoming.slow.unwrap_or_default();
                self.inbox.resize(before + bytes, 0);
                let outcome = recv(&self.socket, &mut self.inbox[before..], RecvFlags::empty());
                let read = outcome.map_or(0, |(read, _)| read);
                self.inbox.truncate(before + read);
                outcome.map(|(read, _)| read)
            }
            _ => {
                if self.inbox.capacity() - before < READ_BYTES / 4 {
                    self.inbox.reserve(READ_BYTES);
                }
                let spare = rustix::buffer::spare_capacity(&mut self.inbox);
                recv(&self.socket, spare, RecvFlags::empty()).map(|(read, _)| read)
            }
        };
        match outcome {
            Ok(0) => Ok(false),
            Ok(read) => {
                desk.counters().bytes_in.add(read as u64);
                let unwanted = match &self.stage {
                    Stage::Closing(_) => true,
                    Stage::Reply(reply, _) => reply.closes,
                    _ => false,
                };
                if unwanted {
                    self.inbox.clear();
                }
                Ok(true)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The peer has gone; an unfinished exchange is an abort.
    fn left(&mut self, desk: &mut Desk) -> Fate {
        let (request_id, sent_bytes) = match &self.stage {
            Stage::Head | Stage::Closing(_) => return Fate::Drop,
            Stage::Body(incoming) => {
                let request = Request { head: &incoming.head, bytes: &self.inbox, body: &[] };
                (request.request_id(), 0)
            }
            Stage::Reply(reply, _) | Stage::Stalled(reply) => {
                match reply.settled {
                    Some(Outcome::Cut) => return Fate::Drop,
                    Some(Outcome::Whole) => unsettle(desk, reply),
                    None => note_sent(desk, reply, Outcome::Cut),
                }
                (reply.request_id.clone(), reply.body_bytes())
            }
        };
        let counters = desk.counters();
        counters.in_flight.sub(1);
        counters.note_abort(Abort { at: Nanos::now(), request_id, sent_bytes });
        Fate::Drop
    }

    fn read_head(&mut self, desk: &mut Desk, now: Nanos) -> io::Result<Step> {
        if self.inbox.is_empty() {
            self.rest(desk, now);
            return Ok(Step::Wait);
        }
        let head = Head::read(&self.inbox, desk.settings());
        if matches!(head, Ok(None)) {
            return Ok(Step::Wait);
        }
        let counters = desk.counters();
        counters.requests.add(1);
        counters.in_flight.add(1);
        self.requests += 1;
        match head {
            Err(refusal) => self.refuse(desk, &refusal, now),
            Ok(head) => self.begin(head.expect("an incomplete head waits"), desk, now),
        }
    }

    fn begin(&mut self, head: Head, desk: &mut Desk, now: Nanos) -> io::Result<Step> {
        let request = Request { head: &head, bytes: &self.inbox, body: &[] };
        let mut slow = None;
        match desk.reading_script(request) {
            Ok(None) => {}
            Ok(Some(script)) if script.early => {
                return Ok(self.answer_early(desk, head.dialect, script, now));
            }
            Ok(Some(script)) => slow = script.read_bytes.map(|bytes| (bytes, script.read_wait)),
            Err(refusal) => return self.refuse(desk, &refusal, now),
        }
        let arrived = self.inbox.len() - head.len;
        let chunked = match head.framing {
            Framing::Chunked => Some(Chunked { read: head.len, ..Chunked::default() }),
            Framing::Length(bytes) if bytes > desk.settings().body_bytes_max => {
                let message = format!("a body of {bytes} bytes");
                let refusal = Refusal::new(Reason::BodyTooLarge, message);
                return self.refuse(desk, &refusal, now);
            }
            Framing::Length(bytes) => {
                desk.pool.grow(&mut self.inbox, head.len + bytes);
                None
            }
        };
        if head.expects_continue && arrived == 0 {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.stage = Stage::Body(Box::new(Incoming { head, chunked, slow }));
        Ok(Step::Again)
    }

    fn read_body(&mut self, desk: &mut Desk, now: Nanos) -> io::Result<Step> {
        self.flush(None, desk, now)?;
        let Stage::Body(incoming) = &mut self.stage else { return Ok(Step::Again) };
        let end = match incoming.end(&self.inbox, desk.settings().body_bytes_max) {
            Ok(end) => end,
            Err(refusal) => return self.refuse(desk, &refusal, now),
        };
        let Some(end) = end else {
            // A slow reader looks away until it is woken.
            if let Some((_, wait)) = incoming.slow {
                self.interest.read = !self.interest.read;
                self.wake = (!self.interest.read).then(|| now.after(wait));
            }
            return Ok(Step::Wait);
        };
        self.interest.read = true;
        let head = &incoming.head;
        let body = match &incoming.chunked {
            Some(chunked) => &chunked.body,
            None => &self.inbox[head.len..end],
        };
        let request = Request { head, bytes: &self.inbox, body };
        let mut reply = desk.answer(request, now);
        reply.request_id = request.request_id();
        reply.bodiless = &self.inbox[head.method.clone()] == b"HEAD";
        let last = desk.settings().requests_max == Some(self.requests);
        if head.closes || last {
            reply.close();
        }
        if end == self.inbox.len() {
            self.inbox.clear();
        } else {
            self.inbox.drain(..end);
            desk.counters().pipelined.add(1);
        }
        let counters = desk.counters();
        counters.billed_in.add(reply.prompt);
        counters.billed_out.add(reply.made_at_once());
        self.stage = Stage::Reply(Box::new(reply), None);
        Ok(Step::Again)
    }

    fn reply(&mut self, desk: &mut Desk, now: Nanos) -> io::Result<Step> {
        let Stage::Reply(reply, after) = &mut self.stage else { return Ok(Step::Again) };
        let next = match after.take() {
            Some(next) => next,
            None => reply.produce(now, &mut self.out),
        };
        settle(desk, reply, next);
        let split = reply.script.split.map(|bytes| (bytes, reply.script.split_wait));
        if !self.flush(split, desk, now)? {
            if let Stage::Reply(_, after) = &mut self.stage {
                *after = matches!(next, Next::Fault(_) | Next::Ended).then_some(next);
            }
            return Ok(Step::Wait);
        }
        match next {
            Next::Sent => Ok(Step::Again),
            Next::At(due) => {
                self.recycle(desk);
                self.wake = Some(due);
                Ok(Step::Wait)
            }
            Next::Fault(fault) => self.strike(fault, desk, now),
            Next::Ended => self.conclude(now),
        }
    }

    fn conclude(&mut self, now: Nanos) -> io::Result<Step> {
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Reply(reply, _) if reply.closes => self.end(now),
            _ => Ok(Step::Again),
        }
    }

    fn strike(&mut self, fault: Fault, desk: &Desk, now: Nanos) -> io::Result<Step> {
        let stage = std::mem::replace(&mut self.stage, Stage::Closing(now));
        let Stage::Reply(reply, _) = stage else { return Ok(Step::Drop) };
        match fault {
            Fault::Stall => {
                desk.counters().faults.add(1);
                self.stage = Stage::Stalled(reply);
                Ok(Step::Wait)
            }
            Fault::Reset => {
                SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
                Ok(Step::Drop)
            }
            Fault::Close => self.end(now),
        }
    }

    /// Sends FIN and waits for the peer's, so that the kernel does not make a RST of it.
    fn end(&mut self, now: Nanos) -> io::Result<Step> {
        self.socket.shutdown(Shutdown::Write)?;
        self.stage = Stage::Closing(now.after(CLOSING));
        Ok(Step::Again)
    }

    fn refuse(&mut self, desk: &mut Desk, refusal: &Refusal, now: Nanos) -> io::Result<Step> {
        let mut reply = desk.refuse(refusal, now);
        reply.close();
        self.inbox.clear();
        self.stage = Stage::Reply(Box::new(reply), None);
        Ok(Step::Again)
    }

    fn answer_early(
        &mut self,
        desk: &mut Desk,
        dialect: Dialect,
        script: Script,
        now: Nanos,
    ) -> Step {
        let mut reply = desk.early(dialect, script, now);
        reply.close();
        self.inbox.clear();
        self.stage = Stage::Reply(Box::new(reply), None);
        Step::Again
    }

    /// Sends what is written; true when all of it is gone.
    fn flush(
        &mut self,
        split: Option<(usize, Duration)>,
        desk: &Desk,
        now: Nanos,
    ) -> io::Result<bool> {
        while self.out_at < self.out.len() {
            let left = &self.out[self.out_at..];
            let most = split.map_or(left.len(), |(bytes, _)| bytes.min(left.len()));
            match self.socket.write(&left[..most]) {
                Ok(sent) => {
                    self.out_at += sent;
                    desk.counters().bytes_out.add(sent as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.interest.write = true;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            if let Some((_, wait)) = split.filter(|_| self.out_at < self.out.len()) {
                self.wake = Some(now.after(wait));
                self.interest.write = false;
                return Ok(false);
            }
        }
        self.out.clear();
        self.out_at = 0;
        self.interest.write = false;
        Ok(true)
    }

    /// Nothing has begun: give the buffers back, look at the limits of an idle connection.
    fn rest(&mut self, desk: &mut Desk, now: Nanos) {
        self.recycle(desk);
        self.wake = desk.settings().idle_max.map(|wait| now.after(wait));
    }

    fn recycle(&mut self, desk: &mut Desk) {
        for buffer in [&mut self.inbox, &mut self.out] {
            if buffer.is_empty() {
                desk.pool.give(std::mem::take(buffer));
            }
        }
    }
}

/// What to do after one step.
enum Step {
    Again,
    Wait,
    Drop,
}

impl Incoming {
    /// Where in `inbox` the request ends, once it is all there.
    fn end(&mut self, inbox: &[u8], most: usize) -> Result<Option<usize>, Refusal> {
        let Framing::Length(bytes) = self.head.framing else {
            let chunked = self.chunked.get_or_insert_default();
            let body = &mut chunked.body;
            let read = chunked
                .chunks
                .read(&inbox[chunked.read..], |part| body.extend_from_slice(part))
                .map_err(|error| Refusal::new(Reason::ChunkMalformed, error.0))?;
            chunked.read += read;
            if chunked.body.len() > most {
                return Err(Refusal::new(Reason::BodyTooLarge, "a chunked body"));
            }
            return Ok(chunked.chunks.is_ended().then_some(chunked.read));
        };
        let end = self.head.len + bytes;
        Ok((inbox.len() >= end).then_some(end))
    }
}

/// Brings the counters up to date before the last bytes leave, so that whoever has received an
/// answer finds it counted.
fn settle(desk: &Desk, reply: &mut Reply, next: Next) {
    let outcome = match next {
        _ if reply.settled.is_some() => return,
        Next::At(_) | Next::Sent | Next::Fault(Fault::Stall) => return,
        Next::Fault(Fault::Reset | Fault::Close) => Outcome::Cut,
        Next::Ended => Outcome::Whole,
    };
    note_sent(desk, reply, outcome);
    let counters = desk.counters();
    counters.in_flight.sub(1);
    if outcome == Outcome::Cut {
        counters.faults.add(1);
    }
    reply.settled = Some(outcome);
}

/// The peer left before the last bytes did: the answer was not sent whole after all.
fn unsettle(desk: &Desk, reply: &Reply) {
    let counters = desk.counters();
    counters.answered.sub(1);
    counters.tokens_out.sub(reply.tokens);
    counters.in_flight.add(1);
}

fn note_sent(desk: &Desk, reply: &Reply, outcome: Outcome) {
    let counters = desk.counters();
    let chunks = reply.chunks();
    counters.chunks_out.add(chunks);
    counters.billed_out.add(reply.made_by_and_by(outcome));
    if outcome == Outcome::Whole {
        counters.answered.add(1);
        counters.tokens_out.add(reply.tokens);
    } else {
        counters.tokens_out.add(chunks.min(reply.tokens));
    }
}
