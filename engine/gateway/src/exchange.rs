//! One request, performed: the walk of `policy::Phase`, with sockets.
//!
//! What is decided is decided by [`faregate_policy::exchange::Exchange`]; this file reads, sends and waits, and tells it
//! what happened. Every way out settles the exchange, or drops it, which gives back what it holds.

use std::{ops::Range, rc::Rc, sync::Arc, time::Duration};

use faregate_adapters::{dialect::openai, surface::Surface, tokens};
use faregate_policy::{
    exchange::{Outcome, Refusal, Step, Verdict, Wanted},
    fault::Fault,
};
use faregate_wire::{BodyReader, Framing, Method, Patch, Peek, Scanner, Slots, Version, parse_request};

use crate::{
    attempt::{self, Answer, Deadlines, Failure, Late, Order},
    clock::Instant,
    connection::{Connection, Next},
    forward,
    live::{Live, Target},
    local::{self, Local},
    record::{self, Timeline},
    refusal,
    reply::{self, Outgoing},
    trace::Trace,
};

/// Bytes of a request that are copied into one buffer with its head; larger bodies are sent from where they lie.
const COPY_BYTES_MAX: usize = 16 * 1024;

/// A request whose head has been read.
pub(crate) enum Opened {
    /// It is refused; with `close` nothing more is read from the connection.
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// Bytes of the head.
        head_len: usize,
        /// What its body is framed as.
        framing: Framing,
        /// Whether the connection can go on.
        close: bool,
        /// What it is called in answers and logs.
        id: RequestId,
    },
    /// The gateway answers it by itself.
    Local(Local),
    /// It goes on its walk.
    Walk(Box<Walk>),
}

/// `req_` and 32 hex digits, or what the client called it.
pub(crate) type RequestId = Box<str>;

/// A request on its walk.
pub(crate) struct Walk {
    /// The policy it sees from its first byte to its settlement.
    pub(crate) live: Rc<Arc<Live>>,
    /// The decisions.
    pub(crate) exchange: faregate_policy::exchange::Exchange,
    /// Bytes of the head.
    pub(crate) head_len: usize,
    /// The method.
    pub(crate) method: Method,
    /// What is called.
    pub(crate) surface: Surface,
    /// The path as it goes to a provider.
    pub(crate) path: Box<str>,
    /// Where the query is in the received bytes.
    pub(crate) query: Option<Range<usize>>,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// Whether the client wants to go on.
    pub(crate) keep_alive: bool,
    /// Whether the client speaks HTTP/1.1.
    pub(crate) http11: bool,
    /// Whether the client waits for a 100.
    pub(crate) expects: bool,
    /// Whether the body says it is JSON.
    pub(crate) json: bool,
    /// The client's end-to-end fields.
    pub(crate) forwarded: Vec<u8>,
    /// Its place in a trace.
    pub(crate) trace: Trace,
    /// Its id.
    pub(crate) id: RequestId,
    /// When its head was complete, and what followed.
    pub(crate) times: Timeline,
    /// The model asked for.
    pub(crate) model: Option<Box<str>>,
    /// Whether a stream was asked for.
    pub(crate) streams: bool,
    /// Bytes of the request's body.
    pub(crate) body_bytes: u64,
}

/// Reads the head of a request from what has been received. `None` when it is not complete.
pub(crate) fn open(connection: &Connection) -> Option<Opened> {
    let core = &connection.core;
    let received = &connection.client.received;
    if received.is_empty() {
        return None;
    }
    let live = core.live();
    let mut slots = Slots::new();
    let head = match parse_request(received, &mut slots, &live.head_limits) {
        Ok(Some(head)) => head,
        Ok(None) => return None,
        Err(error) => return Some(malformed(error, core.random.next())),
    };
    let started = core.now();
    let id = request_id(head.request_id, &core.random);
    let refused = |fault: Fault, message: &str| {
        Some(Opened::Refused {
            refusal: Box::new(Refusal::new(fault, message)),
            head_len: head.len,
            framing: head.framing,
            close: !head.keep_alive,
            id: id.clone(),
        })
    };
    if let Some(local) = local::route(&head, core) {
        return Some(Opened::Local(local));
    }
    let (surface, path) = match Surface::of(head.method, head.path) {
        Ok(found) => found,
        Err(error) => return refused(error.fault(), error.message()),
    };
    let mut exchange = live.policy.open(core.index, started.nanos());
    let admitted =
        exchange.identify(head.bearer(), core.shared.clock.wall()).and_then(|()| exchange.admit(started.nanos()));
    if let Err(refusal) = admitted {
        return Some(Opened::Refused {
            refusal: Box::new(refusal),
            head_len: head.len,
            framing: head.framing,
            close: !head.keep_alive,
            id,
        });
    }
    let mut forwarded = Vec::with_capacity(head.len);
    reply::write_forwarded(&mut forwarded, &head);
    let trace = Trace::continue_from(head.traceparent, &core.random);
    Some(Opened::Walk(Box::new(Walk {
        exchange,
        head_len: head.len,
        method: head.method,
        surface,
        path,
        query: head.query.map(|query| range_in(received, query)),
        framing: head.framing,
        keep_alive: head.keep_alive,
        http11: head.version == Version::Http11,
        expects: head.expect_continue,
        json: head.content_type.is_none_or(|t| t.len() >= 16 && t[..16].eq_ignore_ascii_case(b"application/json")),
        forwarded,
        trace,
        id,
        times: Timeline::new(started),
        model: None,
        streams: false,
        body_bytes: 0,
        live,
    })))
}

fn range_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// The client's own id when it is a plain token, else a new one.
fn request_id(given: Option<&[u8]>, random: &crate::trace::Random) -> RequestId {
    const GIVEN_BYTES_MAX: usize = 128;
    if let Some(given) = given
        && (1..=GIVEN_BYTES_MAX).contains(&given.len())
        && given.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        && let Ok(text) = std::str::from_utf8(given)
    {
        return text.into();
    }
    let mut id = Vec::with_capacity(36);
    id.extend_from_slice(b"req_");
    crate::trace::write_hex(&mut id, (u128::from(random.next()) << 64) | u128::from(random.next()), 32);
    String::from_utf8(id).unwrap_or_default().into_boxed_str()
}

/// Serves what [`open`] has read, to the end of its answer.
pub(crate) async fn serve(connection: &mut Connection, opened: Opened) -> Next {
    match opened {
        Opened::Refused { refusal, head_len, framing, close, id } => {
            refuse_head(connection, &refusal, head_len, framing, close, &id).await
        }
        Opened::Local(local) => local::serve(connection, local).await,
        Opened::Walk(walk) => {
            let core = Rc::clone(&connection.core);
            core.metrics.in_flight.add(1);
            let next = walk.run(connection).await;
            core.metrics.in_flight.sub(1);
            next
        }
    }
}

impl Walk {
    async fn run(mut self: Box<Self>, connection: &mut Connection) -> Next {
        let core = Rc::clone(&connection.core);
        let mut body = match self.read(connection).await {
            Ok(body) => body,
            Err(stop) => return self.stop(connection, stop).await,
        };
        self.times.read = core.now();
        if let Err(refusal) = self.decide(connection, &mut body) {
            return self.refuse(connection, refusal, &body).await;
        }
        let end = core.now().max(self.times.started).after(self.live.total_deadline);
        let answer = match self.obtain(connection, &body, end).await {
            Ok(answer) => answer,
            Err(Stop::Refused(refusal)) => return self.refuse(connection, refusal, &body).await,
            Err(stop) => return self.stop(connection, stop).await,
        };
        self.relay(connection, answer, &body, end).await
    }
}
