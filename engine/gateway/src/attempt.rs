//! One attempt at one upstream: connect, send the request, read the head of the answer.
//!
//! Every wait also watches the client and the deadline. Whatever happens is returned as a value; what to do next is the
//! exchange's decision.

use std::{
    fmt,
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll},
};

use faregate_adapters::{declined::DECLINED_BYTES_MAX, dialect::Form, ratelimit::RateLimits};
use faregate_policy::exchange::Refusal;
use faregate_wire::{BodyReader, Framing, HeadLimits, Method, Slots, parse_response, parse_switch};

use crate::{
    buffer::{self, LANDING_BYTES},
    client::{Client, News},
    clock::Instant,
    io::{Left, Stream},
    relay::Downstream,
    reply,
    upload::Upload,
    upstream::{DialError, Upstream},
    worker::Core,
};

/// Bytes of a provider's head.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Interim (1xx) answers before the final one.
pub(crate) const INTERIM_MAX: usize = 8;

/// Deadlines of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For the connection, TLS included.
    pub(crate) connect: std::time::Duration,
    /// From the request to the first byte of the answer.
    pub(crate) first_byte: std::time::Duration,
    /// For a peer that takes no bytes.
    pub(crate) stall: std::time::Duration,
    /// For the whole request, over all attempts.
    pub(crate) end: Instant,
}

/// Which deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// No connection.
    Connect,
    /// The upstream took no more of the request.
    Send,
    /// No answer.
    FirstByte,
    /// No content.
    FirstToken,
    /// No more content.
    BetweenTokens,
    /// The whole request.
    Total,
    /// The process ends.
    Draining,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection.
    Dial(DialError),
    /// Nothing to prove with who pays.
    Credentials,
    /// The connection broke; `reused` when it was an idle one and no byte had come.
    Reset {
        /// Whether the connection had served before.
        reused: bool,
    },
    /// The same of an idle one, when money is held and the provider may have taken the whole request: it may bill that, too.
    Taken,
    /// What came was no answer.
    Protocol,
    /// A deadline passed.
    Late(Late),
    /// The client has gone.
    ClientGone,
    /// The rest of the request's body is refused.
    Body(Box<Refusal>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Credentials => f.write_str("there are no credentials"),
            Self::Reset { reused: true } => f.write_str("an idle connection was closed"),
            Self::Reset { reused: false } | Self::Taken => {
                f.write_str("the connection was closed before an answer")
            }
            Self::Protocol => f.write_str("what came is no HTTP answer"),
            Self::Late(late) => write!(f, "deadline: {late:?}"),
            Self::ClientGone => f.write_str("the client has gone"),
            Self::Body(refusal) => f.write_str(&refusal.message),
        }
    }
}

/// The head of an answer, and what has arrived with it.
pub(crate) struct Answer {
    /// The connection it comes on.
    pub(crate) stream: Stream,
    /// What has arrived: the head, and the start of the body.
    pub(crate) buf: Vec<u8>,
    /// The status line and fields for the client.
    pub(crate) out: Vec<u8>,
    /// What the head says.
    pub(crate) info: Info,
    /// The request was not sent to its end: the connection is of no more use.
    pub(crate) early: bool,
}

/// What the head of an answer says.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// Bytes of the head.
    pub(crate) len: usize,
    /// The status.
    pub(crate) status: u16,
    /// Whether the connection may serve again.
    pub(crate) keep_alive: bool,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// How the client gets it.
    pub(crate) downstream: Downstream,
    /// Whether the body is a stream of events.
    pub(crate) events: bool,
    /// Whether the body is a stream of AWS's frames.
    pub(crate) frames: bool,
    /// Whether the body is in a content coding, so that nothing can be read in it.
    pub(crate) coded: bool,
    /// `Retry-After`, as sent.
    pub(crate) retry_after: Option<Box<str>>,
    /// `retry-after-ms`, as sent.
    pub(crate) retry_after_ms: Option<Box<str>>,
    /// The provider gave the answer an id of its own.
    pub(crate) has_request_id: bool,
    /// What it says of rate limits, where that is asked for.
    pub(crate) limits: Option<Box<RateLimits>>,
}

/// What an attempt sends.
pub(crate) struct Order<'a> {
    /// The head and the body, in order.
    pub(crate) parts: &'a [&'a [u8]],
    /// The rest of the body, which has not arrived yet.
    pub(crate) upload: Option<&'a mut Upload>,
    /// Money is held for it: it is looked whether the provider may have taken what is sent once more.
    pub(crate) is_paid: bool,
    /// The client's method; the answer to HEAD has no body.
    pub(crate) method: Method,
    /// Whether the client speaks HTTP/1.1.
    pub(crate) client_is_http11: bool,
    /// Whether events may have to be taken out of the answer.
    pub(crate) rewrites: bool,
    /// Whether a stream was asked for.
    pub(crate) streams: bool,
    /// Whether it was asked to go on with WebSocket frames.
    pub(crate) switches: bool,
    /// The content type of a translated answer that is no error; `None` when bytes pass as they are.
    pub(crate) translated: Option<&'static str>,
    /// The client's dialect and the time since 1970 in nanoseconds, to tell rate limits by when it is not the provider's.
    pub(crate) tells: (Form, u64),
    /// Whether anybody wants to know what it says of rate limits.
    pub(crate) hears_limits: bool,
}

/// Takes an idle connection or makes one. True when it is an idle one.
///
/// # Errors
///
/// [`Failure::Dial`], [`Failure::Late`] or [`Failure::ClientGone`].
pub(crate) async fn connect(
    core: &Core,
    client: &mut Client,
    upstream: &Upstream,
    deadlines: &Deadlines,
    fresh: bool,
) -> Result<(Stream, bool), Failure> {
    if !fresh && let Some(stream) = core.pool.take(upstream.id) {
        return Ok((stream, true));
    }
    let own = core.timers.slot();
    own.arm(core.now().after(deadlines.connect).min(deadlines.end));
    let mut dial = Box::pin(upstream.dial(&own)); // rare, and large: TLS is in it
    let dialled = std::future::poll_fn(|cx| {
        if let Poll::Ready(dialled) = dial.as_mut().poll(cx) {
            return Poll::Ready(Some(dialled));
        }
        match client.poll_news(cx) {
            Poll::Ready(News::Gone) => Poll::Ready(None),
            _ => Poll::Pending,
        }
    })
    .await;
    match dialled {
        None => Err(Failure::ClientGone),
        Some(Ok(stream)) => Ok((stream, false)),
        Some(Err(DialError::Timeout)) if core.now() >= deadlines.end => {
            Err(Failure::Late(Late::Total))
        }
        Some(Err(DialError::Timeout)) => Err(Failure::Late(Late::Connect)),
        Some(Err(error)) => Err(Failure::Dial(error)),
    }
}

/// Sends the order and reads the head of the answer.
///
/// # Errors
///
/// Why there is no answer. `reused` says whether `stream` was an idle connection.
pub(crate) async fn ask(
    core: &Core,
    client: &mut Client,
    mut stream: Stream,
    reused: bool,
    order: &mut Order<'_>,
    deadlines: &Deadlines,
) -> Result<Answer, Failure> {
    arm(core, client, deadlines.stall, deadlines.end);
    let mut first = None;
    let mut early = false;
    let mut sending = send(client, &mut stream, order).await;
    if let (Sending::Sent, Some(upload)) = (&sending, &mut order.upload) {
        // Not every request has one, and its state is large.
        let passed = Box::pin(upload.pass(core, client, &mut stream, deadlines)).await;
        sending = passed.map_err(|refusal| Failure::Body(Box::new(refusal)))?;
    }
    match sending {
        Sending::Sent => {}
        Sending::Answered(received) => {
            first = Some(received);
            early = true;
        }
        // The provider may have answered before it closed: what it said comes first.
        Sending::Broken => early = true,
        Sending::ClientGone => return Err(Failure::ClientGone),
        Sending::Late => return Err(late(core, deadlines, Late::Send)),
    }
    client.watch(order.streams);
    arm(core, client, deadlines.first_byte, deadlines.end);
    let mut buf = match first {
        Some(received) => settle_receive(received, reused)?,
        None => {
            if !stream.is_receiving() {
                stream.begin(buffer::landing());
            }
            let received = receive(core, client, &mut stream, reused, deadlines).await;
            let is_whole = !early && order.is_paid;
            match received {
                Err(Failure::Reset { reused: true })
                    if is_whole && stream.socket().may_have_been_taken() =>
                {
                    return Err(Failure::Taken);
                }
                received => received?,
            }
        }
    };
    let mut out = Vec::with_capacity(1024);
    for _ in 0..INTERIM_MAX {
        let info = loop {
            if let Some(info) = read_head(&buf, &mut out, order)? {
                break info;
            }
            if buf.len() >= HEAD_BYTES_MAX {
                return Err(Failure::Protocol);
            }
            buf.reserve(LANDING_BYTES);
            stream.begin(buf);
            buf = receive(core, client, &mut stream, false, deadlines).await?;
        };
        if info.status >= 200 || info.status == 101 {
            return Ok(Answer { stream, buf, out, info, early });
        }
        buf.drain(..info.len);
        out.clear();
    }
    Err(Failure::Protocol)
}

/// How the sending of a request ended.
pub(crate) enum Sending {
    /// All of it has been handed over.
    Sent,
    /// The provider said something before that, or closed its side.
    Answered((io::Result<usize>, Vec<u8>)),
    /// The upstream connection broke.
    Broken,
    /// The client has gone.
    ClientGone,
    /// The armed deadline passed.
    Late,
}

async fn send(client: &mut Client, stream: &mut Stream, order: &Order<'_>) -> Sending {
    let mut left = Left::new(order.parts);
    if stream.send_left(&mut left).is_err() {
        return Sending::Broken;
    }
    if left.is_done() {
        return Sending::Sent;
    }
    if order.upload.is_none() {
        client.watch(true);
    }
    if !stream.is_receiving() {
        stream.begin(buffer::landing());
    }
    while !left.is_done() {
        let mut room = pin!(stream.writable());
        let event = std::future::poll_fn(|cx| {
            if client.slot.poll_expired(cx).is_ready() {
                return Poll::Ready(Some(Sending::Late));
            }
            if let Poll::Ready(received) = stream.poll(cx) {
                return Poll::Ready(Some(Sending::Answered(received)));
            }
            if let Poll::Ready(News::Gone) = client.poll_news(cx) {
                return Poll::Ready(Some(Sending::ClientGone));
            }
            match room.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(None),
                Poll::Ready(Err(_)) => Poll::Ready(Some(Sending::Broken)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if let Some(end) = event {
            return end;
        }
        if stream.send_left(&mut left).is_err() {
            return Sending::Broken;
        }
    }
    Sending::Sent
}

async fn receive(
    core: &Core,
    client: &mut Client,
    stream: &mut Stream,
    reused: bool,
    deadlines: &Deadlines,
) -> Result<Vec<u8>, Failure> {
    let received = std::future::poll_fn(|cx| poll_answer(client, stream, cx)).await;
    match received {
        Event::Received(received) => settle_receive(received, reused),
        Event::ClientGone => Err(Failure::ClientGone),
        Event::Late => Err(late(core, deadlines, Late::FirstByte)),
    }
}

/// Reads the body of a short answer to its end and gives it without its framing; `None` where it breaks off or is longer than
/// [`DECLINED_BYTES_MAX`]. What has arrived stays in the answer.
///
/// # Errors
///
/// [`Failure::Late`] and [`Failure::ClientGone`]: then there is no answer any more.
pub(crate) async fn whole(
    core: &Core,
    client: &mut Client,
    answer: &mut Answer,
    deadlines: &Deadlines,
) -> Result<Option<Vec<u8>>, Failure> {
    arm(core, client, deadlines.first_byte, deadlines.end);
    loop {
        let mut body = Vec::new();
        let mut reader = BodyReader::new(answer.info.framing);
        let mut rest = &answer.buf[answer.info.len..];
        while !reader.is_ended() {
            let Ok(piece) = reader.next(rest) else { return Ok(None) };
            body.extend_from_slice(piece.data);
            rest = &rest[piece.consumed..];
            if piece.consumed == 0 {
                break;
            }
        }
        if reader.is_ended() || body.len() > DECLINED_BYTES_MAX {
            return Ok(reader.is_ended().then_some(body));
        }
        let mut buf = std::mem::take(&mut answer.buf);
        buf.reserve(LANDING_BYTES);
        answer.stream.begin(buf);
        match std::future::poll_fn(|cx| poll_answer(client, &mut answer.stream, cx)).await {
            Event::Received((received, buf)) => {
                answer.buf = buf;
                if matches!(received, Ok(0)) && answer.info.framing == Framing::UntilClose {
                    return Ok(Some(body));
                }
                if !matches!(received, Ok(n) if n > 0) {
                    return Ok(None);
                }
            }
            Event::ClientGone => return Err(Failure::ClientGone),
            Event::Late => return Err(late(core, deadlines, Late::FirstByte)),
        }
    }
}

fn settle_receive(
    received: (io::Result<usize>, Vec<u8>),
    reused: bool,
) -> Result<Vec<u8>, Failure> {
    match received {
        (Ok(n), buf) if n > 0 => Ok(buf),
        _ => Err(Failure::Reset { reused }),
    }
}

/// What ended a wait for the provider.
pub(crate) enum Event {
    /// Bytes, the end, or an error of the upstream connection.
    Received((io::Result<usize>, Vec<u8>)),
    /// The client has gone.
    ClientGone,
    /// The armed deadline has passed.
    Late,
}

/// The first of: the upstream, the client's leaving, the deadline.
pub(crate) fn poll_answer(
    client: &mut Client,
    stream: &mut Stream,
    cx: &mut Context<'_>,
) -> Poll<Event> {
    if let Poll::Ready(received) = stream.poll(cx) {
        return Poll::Ready(Event::Received(received));
    }
    if let Poll::Ready(News::Gone) = client.poll_news(cx) {
        return Poll::Ready(Event::ClientGone);
    }
    client.slot.poll_expired(cx).map(|()| Event::Late)
}

/// Reads the head of an answer, once it is whole, and writes what the client gets of it.
///
/// # Errors
///
/// [`Failure::Protocol`] where it is none.
pub(crate) fn read_head(
    buf: &[u8],
    out: &mut Vec<u8>,
    order: &Order<'_>,
) -> Result<Option<Info>, Failure> {
    let mut slots = Slots::new();
    let limits = HeadLimits::default();
    let parsed = match order.switches {
        true => parse_switch(buf, &mut slots, &limits),
        false => parse_response(buf, &mut slots, &limits, order.method),
    };
    let Some(head) = parsed.map_err(|_| Failure::Protocol)? else {
        return Ok(None);
    };
    let events = head.is_event_stream;
    let rewrites = (order.rewrites && events) || order.translated.is_some();
    let downstream = reply::downstream(&head, order.client_is_http11, rewrites);
    reply::write_status(out, head.status);
    let content_type = order.translated.map(|stream| match head.status {
        200..300 => stream,
        _ => "application/json",
    });
    let returned = reply::write_returned(out, &head, downstream, content_type);
    if order.translated.is_some() {
        reply::write_rate_limits(out, &head, order.tells);
    }
    let content_type = head.header(b"content-type").unwrap_or_default();
    let text =
        |value: Option<&[u8]>| value.and_then(|v| std::str::from_utf8(v).ok()).map(Box::from);
    Ok(Some(Info {
        len: head.len,
        status: head.status,
        keep_alive: head.keep_alive,
        framing: head.framing,
        downstream,
        events,
        frames: content_type.starts_with(b"application/vnd.amazon.eventstream"),
        coded: head
            .content_encoding
            .is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")),
        retry_after: text(head.retry_after),
        retry_after_ms: text(head.retry_after_ms),
        has_request_id: returned.request_id,
        limits: order.hears_limits.then(|| Box::new(reply::rate_limits(&head, order.tells.1))),
    }))
}

/// Arms the client's deadline: `within` from now, but never behind `end`.
pub(crate) fn arm(core: &Core, client: &Client, within: std::time::Duration, end: Instant) {
    client.slot.arm(core.now().after(within).min(end));
}

/// Names the deadline that has passed.
pub(crate) fn late(core: &Core, deadlines: &Deadlines, phase: Late) -> Failure {
    Failure::Late(match (core.is_forced(), core.now() >= deadlines.end) {
        (true, _) => Late::Draining,
        (false, true) => Late::Total,
        (false, false) => phase,
    })
}
