//! Attempts of which the first token counts: the one that has it goes on, whatever else is under way.
//!
//! In: a request as it is to be sent, a place. Out: the head of an answer and all up to its first content, or why there is
//! none. A second attempt has no client to watch: its deadlines are in a slot of its own, and dropped it is over, its
//! connection closed.

use std::{
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use faregate_adapters::dialect::Form;

use crate::{
    attempt::{
        Answer, Deadlines, Event, Failure, HEAD_BYTES_MAX, INTERIM_MAX, Late, Order, late,
        poll_answer, read_head,
    },
    buffer::{self, LANDING_BYTES},
    client::Client,
    clock::Instant,
    io::{Left, Slot, Stream},
    relay::{Downstream, Plan, Relay},
    upstream::{DialError, Upstream},
    worker::Core,
};

/// Bytes of an answer that may come before its first content.
const SILENT_BYTES_MAX: usize = 64 * 1024;

/// Who listens to an answer: the client is watched meanwhile, or there is a deadline alone.
pub(crate) enum Ear<'a> {
    /// The client that waits.
    Client(&'a mut Client),
    /// A deadline.
    Alone(&'a Slot),
}

impl Ear<'_> {
    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<Event> {
        match self {
            Self::Client(client) => poll_answer(client, stream, cx),
            Self::Alone(slot) => match stream.poll(cx) {
                Poll::Ready(received) => Poll::Ready(Event::Received(received)),
                Poll::Pending => slot.poll_expired(cx).map(|()| Event::Late),
            },
        }
    }

    fn arm(&self, at: Instant) {
        match self {
            Self::Client(client) => client.slot.arm(at),
            Self::Alone(slot) => slot.arm(at),
        }
    }
}

/// Reads an answer up to its first content: of a stream the first event that has some, of another answer its head.
///
/// # Errors
///
/// [`Failure::Late`], [`Failure::ClientGone`], and [`Failure::Reset`] where it broke off before that.
pub(crate) async fn first_token(
    core: &Core,
    mut ear: Ear<'_>,
    mut answer: Answer,
    form: Form,
    (within, deadlines): (Duration, &Deadlines),
) -> Result<Answer, Failure> {
    ear.arm(core.now().after(within).min(deadlines.end));
    while !has_content(&answer, form) {
        let mut buf = std::mem::take(&mut answer.buf);
        buf.reserve(LANDING_BYTES);
        answer.stream.begin(buf);
        match std::future::poll_fn(|cx| ear.poll(&mut answer.stream, cx)).await {
            Event::Received((Ok(n), buf)) if n > 0 => answer.buf = buf,
            Event::Received(_) => return Err(Failure::Reset { reused: false }),
            Event::ClientGone => return Err(Failure::ClientGone),
            Event::Late => return Err(late(core, deadlines, Late::FirstToken)),
        }
    }
    Ok(answer)
}

/// Whether what has come of an answer is worth passing on: content, an end, or so much that it must be something.
fn has_content(answer: &Answer, form: Form) -> bool {
    let info = &answer.info;
    let body = answer.buf.get(info.len..).unwrap_or_default();
    let is_stream = (200..300).contains(&info.status) && (info.events || info.frames);
    if !is_stream || body.len() > SILENT_BYTES_MAX {
        return true;
    }
    if info.coded || (info.frames && form != Form::Converse) {
        return !body.is_empty();
    }
    let plan = Plan {
        upstream: info.framing,
        downstream: Downstream::Chunked,
        events: true,
        array: false,
        drop_usage_chunk: false,
        metered: true,
        form,
    };
    let mut relay = Relay::new(plan, None);
    let pushed = relay.push(body, &mut Vec::new());
    let learned = relay.learned();
    pushed.is_err() || relay.is_ended() || learned.content || learned.done || learned.error
}

/// Connects, sends and reads the head of the answer, with nobody to watch.
///
/// # Errors
///
/// Why there is no answer.
pub(crate) async fn ask_alone(
    core: &Core,
    slot: &Slot,
    upstream: &Upstream,
    order: &Order<'_>,
    deadlines: &Deadlines,
) -> Result<Answer, Failure> {
    let mut fresh = false;
    loop {
        let (stream, reused) = connect(core, slot, upstream, deadlines, fresh).await?;
        match ask(core, slot, (stream, reused), order, deadlines).await {
            Err(Failure::Reset { reused: true }) => fresh = true,
            answered => return answered,
        }
    }
}

async fn connect(
    core: &Core,
    slot: &Slot,
    upstream: &Upstream,
    deadlines: &Deadlines,
    fresh: bool,
) -> Result<(Stream, bool), Failure> {
    if !fresh && let Some(stream) = core.pool.take(upstream.id) {
        return Ok((stream, true));
    }
    slot.arm(core.now().after(deadlines.connect).min(deadlines.end));
    match Box::pin(upstream.dial(slot)).await {
        Ok(stream) => Ok((stream, false)),
        Err(DialError::Timeout) => Err(late(core, deadlines, Late::Connect)),
        Err(error) => Err(Failure::Dial(error)),
    }
}

async fn ask(
    core: &Core,
    slot: &Slot,
    (mut stream, reused): (Stream, bool),
    order: &Order<'_>,
    deadlines: &Deadlines,
) -> Result<Answer, Failure> {
    slot.arm(core.now().after(deadlines.stall).min(deadlines.end));
    let mut left = Left::new(order.parts);
    loop {
        if stream.send_left(&mut left).is_err() {
            return Err(Failure::Reset { reused });
        }
        if left.is_done() {
            break;
        }
        let mut room = pin!(stream.writable());
        let has_room = std::future::poll_fn(|cx| match room.as_mut().poll(cx) {
            Poll::Ready(room) => Poll::Ready(Some(room.is_ok())),
            Poll::Pending => slot.poll_expired(cx).map(|()| None),
        });
        match has_room.await {
            Some(true) => {}
            Some(false) => return Err(Failure::Reset { reused }),
            None => return Err(late(core, deadlines, Late::Send)),
        }
    }
    slot.arm(core.now().after(deadlines.first_byte).min(deadlines.end));
    if !stream.is_receiving() {
        stream.begin(buffer::landing());
    }
    let mut buf = hear(core, slot, &mut stream, reused, deadlines).await?;
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
            buf = hear(core, slot, &mut stream, false, deadlines).await?;
        };
        if info.status >= 200 {
            return Ok(Answer { stream, buf, out, info, early: false });
        }
        buf.drain(..info.len);
        out.clear();
    }
    Err(Failure::Protocol)
}

async fn hear(
    core: &Core,
    slot: &Slot,
    stream: &mut Stream,
    reused: bool,
    deadlines: &Deadlines,
) -> Result<Vec<u8>, Failure> {
    let mut ear = Ear::Alone(slot);
    match std::future::poll_fn(|cx| ear.poll(stream, cx)).await {
        Event::Received((Ok(n), buf)) if n > 0 => Ok(buf),
        Event::Received(_) => Err(Failure::Reset { reused }),
        Event::ClientGone => Err(Failure::ClientGone),
        Event::Late => Err(late(core, deadlines, Late::FirstByte)),
    }
}
