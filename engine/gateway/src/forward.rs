//! The answer on its way to the client: the only streaming loop, for every dialect.
//!
//! In: an [`Answer`] whose head has been read. Out: how it ended and what was learned. One buffer travels between the two
//! sockets; the next receive is posted when the last bytes have been handed to the client, so a slow reader slows the
//! provider down and nothing piles up.

use std::{io, sync::Arc, time::Duration};

use faregate_adapters::surface::Family;
use faregate_policy::{
    exchange::{More, Refusal},
    fault::Fault,
};

use crate::{
    answer::{Telling, held_message, write_refusal},
    attempt::{Answer, Event, Late, poll_answer},
    buffer,
    carry::Carried,
    client::Client,
    clock::Instant,
    io::Stream,
    log::write_number,
    relay::{self, Broken, Downstream, Forward, Learned, Plan, Relay, translate::Translator},
    reply::write_number_field,
    stored::Maker,
    worker::Core,
};

/// Bytes received at once while a large body passes; half as many where they are copied into another framing, so that a
/// client that does not read costs less than 64 KiB either way.
const LARGE_BYTES: usize = 48 * 1024;

/// Bytes received at once from a stream of events that come one by one: every open stream keeps so many.
const EVENTS_BYTES: usize = 1024;

/// The same while events come faster than they are sent.
const MANY_EVENTS_BYTES: usize = 8 * 1024;

/// How long a stream waits for more to be set aside, and how often it asks meanwhile.
const MORE_PATIENCE: Duration = Duration::from_secs(2);
const MORE_LOOK: Duration = Duration::from_millis(1);
/// What the request cost, in nano-dollars.
pub(crate) const COST_FIELD: &[u8] = b"x-faregate-cost-nanousd";

/// Deadlines while an answer passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// From the head of the answer to the first content of a stream.
    pub(crate) first_token: Duration,
    /// Between two pieces of content.
    pub(crate) between_tokens: Duration,
    /// For a client that takes no bytes.
    pub(crate) stall: Duration,
    /// A comment is sent to the client after this much silence.
    pub(crate) keep_alive: Option<Duration>,
    /// For the whole request.
    pub(crate) end: Instant,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has everything.
    Complete,
    /// The client left, or took no more bytes.
    ClientGone,
    /// The provider broke off or broke the rules.
    Broken(Broken),
    /// A deadline passed.
    Late(Late),
    /// A budget has no more for the rest of the stream: it ends as if a bound of tokens had been reached.
    Spent,
}

impl End {
    /// What it counts as, unless all went well.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Complete => None,
            Self::ClientGone => Some(Fault::ClientGone),
            Self::Broken(_) => Some(Fault::UpstreamCut),
            Self::Late(late) => Some(crate::answer::late_fault(late)),
            Self::Spent => Some(Fault::BudgetExceeded),
        }
    }
}

/// What became of an answer.
pub(crate) struct Forwarded {
    /// How it ended.
    pub(crate) end: End,
    /// What was learned on the way.
    pub(crate) learned: Learned,
    /// When the first content passed.
    pub(crate) first_content: Option<Instant>,
    /// Whether the client's connection is still good for another request.
    pub(crate) reusable: bool,
    /// The provider's connection, when it is good for another request.
    pub(crate) upstream: Option<Stream>,
    /// The status that the client got instead of the provider's: an answer that could not be translated.
    pub(crate) refused: Option<u16>,
    /// What the next turn of the conversation will need, where the answer was translated.
    pub(crate) carried: Option<Carried>,
    /// The answer came to its own end, without an error in it, and nothing behind it.
    pub(crate) is_whole: bool,
}

/// What holds for one answer on its way.
pub(crate) struct Terms<'a> {
    /// What is done with the body.
    pub(crate) plan: Plan,
    /// Says it in the client's dialect, where that is not the provider's.
    pub(crate) translator: Option<Box<Translator>>,
    /// Deadlines.
    pub(crate) pace: Pace,
    /// The request's id, for an error event.
    pub(crate) request_id: &'a str,
    /// Whose API was called, for an error in place of the answer.
    pub(crate) family: Family,
    /// The policy's generation, for the same.
    pub(crate) generation: u64,
    /// Whether the connection ends with this answer.
    pub(crate) close: bool,
    /// Who had the response made whose id is in the answer, where its provider stores it.
    pub(crate) maker: Option<Arc<Maker>>,
    /// What the answer is paid from.
    pub(crate) till: &'a mut dyn Till,
    /// Whether a comment in the stream says what it has cost.
    pub(crate) tells_cost: bool,
    /// The model's name, for the end of a stream whose budget ends it.
    pub(crate) model: &'a str,
}

/// What was sent of a body, up to a bound.
pub(crate) struct Capture {
    sent: Vec<u8>,
    bytes_max: usize,
    is_over: bool,
}

impl Capture {
    /// Takes at most so many bytes, and nothing of a body that has more.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { sent: Vec::new(), bytes_max, is_over: false }
    }

    /// What was sent.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.sent
    }

    /// Takes more; whether there is room for all.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> bool {
        if self.is_over || self.sent.len() + bytes.len() > self.bytes_max {
            self.is_over = true;
            self.sent = Vec::new();
        } else {
            self.sent.extend_from_slice(bytes);
        }
        !self.is_over
    }
}

/// What an answer is paid from.
pub(crate) trait Till {
    /// Whether a stream of which so much has come may go on, or will know soon.
    fn may_go_on(&mut self, learned: &Learned) -> More;

    /// Settles the request: what was learned, and what ended it early. Called once, before the client can know that its
    /// answer is over: when it comes again at once, what it held is free.
    fn settle(&mut self, learned: &Learned, fault: Option<Fault>);

    /// Sees what is sent of the body, in the client's framing.
    fn see(&mut self, body: &[u8]);

    /// What it cost, in nano-dollars, once it is settled and where that is known.
    fn cost(&self) -> Option<u64>;
}

/// Passes `answer` on to the client.
pub(crate) async fn forward(
    core: &Core,
    client: &mut Client,
    answer: Box<Answer>,
    terms: Terms<'_>,
) -> Forwarded {
    let mut passage = Passage {
        core,
        client,
        pace: terms.pace,
        request_id: terms.request_id,
        family: terms.family,
        generation: terms.generation,
        close: terms.close,
        maker: terms.maker,
        head: Vec::new(),
        refused: None,
        till: terms.till,
        is_settled: false,
        tells_cost: terms.tells_cost,
        is_at_event: true,
        model: terms.model,
        stream: answer.stream,
        relay: Relay::new(terms.plan, terms.translator),
        scratch: Vec::new(),
        last_content: core.now(),
        last_sent: core.now(),
        first_content: None,
    };
    if passage.maker.is_some() {
        passage.relay.look_for_id();
    }
    let mut buf = answer.buf;
    let end = passage.run(answer.out, &mut buf, answer.info.len).await;
    buffer::give_back(buf);
    let whole = end == End::Complete && !passage.relay.has_surplus();
    let end = passage.conclude(end).await;
    let reusable = passage.finish(end).await;
    let Passage { stream, mut relay, first_content, refused, .. } = passage;
    let is_whole = whole && refused.is_none() && !relay.learned().error;
    let carried = relay.take_carried();
    let spent = !whole || !answer.info.keep_alive || answer.early;
    let upstream = (!spent).then_some(stream);
    let learned = relay.finish();
    Forwarded { end, learned, first_content, reusable, upstream, refused, carried, is_whole }
}

struct Passage<'a> {
    core: &'a Core,
    client: &'a mut Client,
    pace: Pace,
    request_id: &'a str,
    family: Family,
    generation: u64,
    close: bool,
    maker: Option<Arc<Maker>>,
    /// The head, until it is sent: with the first bytes of the body, or alone.
    head: Vec<u8>,
    refused: Option<u16>,
    till: &'a mut dyn Till,
    is_settled: bool,
    tells_cost: bool,
    /// What is sent next begins with an event.
    is_at_event: bool,
    model: &'a str,
    stream: Stream,
    relay: Relay,
    scratch: Vec<u8>,
    last_content: Instant,
    last_sent: Instant,
    first_content: Option<Instant>,
}

impl Passage<'_> {
    async fn run(&mut self, head: Vec<u8>, buf: &mut Vec<u8>, head_len: usize) -> End {
        self.head = head;
        let first = self.relay.push(&buf[head_len..], &mut self.scratch);
        if let Err(end) = self.send(&buf[head_len..], first).await {
            return end;
        }
        let events = self.relay.plan().events;
        let copies = self.relay.downstream() != Downstream::Length;
        let large = if copies { LARGE_BYTES / 2 } else { LARGE_BYTES };
        while !self.relay.is_ended() {
            let (full, len) = (buf.len() == buf.capacity(), buf.len());
            buf.clear();
            let wanted = match (events, full) {
                (true, true) => MANY_EVENTS_BYTES,
                (true, false) if len <= EVENTS_BYTES => EVENTS_BYTES,
                (false, true) => large.max(buf.capacity()),
                (_, false) => buf.capacity(),
            };
            if wanted != buf.capacity() {
                buffer::give_back(std::mem::replace(buf, Vec::with_capacity(wanted)));
            }
            if let Err(end) = self.step(buf, full).await {
                return end;
            }
        }
        End::Complete
    }

    /// Receives once and passes on what came.
    async fn step(&mut self, buf: &mut Vec<u8>, likely: bool) -> Result<(), End> {
        if likely {
            match self.stream.receive_now(buf, usize::MAX) {
                Ok(0) => return self.closed().await,
                Ok(_) => return self.pass(buf).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(End::Broken(Broken::Cut)),
            }
        }
        self.stream.begin(std::mem::take(buf));
        loop {
            self.arm();
            match std::future::poll_fn(|cx| poll_answer(self.client, &mut self.stream, cx)).await {
                Event::Received((Ok(0), _)) => return self.closed().await,
                Event::Received((Ok(_), received)) => {
                    *buf = received;
                    return self.pass(buf).await;
                }
                Event::Received((Err(_), _)) => return Err(End::Broken(Broken::Cut)),
                Event::ClientGone => return Err(End::ClientGone),
                Event::Late => self.late().await?,
            }
        }
    }

    async fn pass(&mut self, buf: &[u8]) -> Result<(), End> {
        self.is_at_event = self.relay.is_between_events();
        let forward = self.relay.push(buf, &mut self.scratch);
        self.send(buf, forward).await
    }

    async fn closed(&mut self) -> Result<(), End> {
        self.is_at_event = self.relay.is_between_events();
        let forward = self.relay.close(&mut self.scratch);
        self.send(&[], forward).await
    }

    async fn send(&mut self, input: &[u8], forward: Result<Forward, Broken>) -> Result<(), End> {
        let broken = forward.as_ref().err().copied().or_else(|| self.relay.take_broken());
        if self.relay.is_held() {
            self.last_content = self.core.now();
            return broken.map_or(Ok(()), |broken| Err(End::Broken(broken)));
        }
        if let Some(id) = self.relay.take_id()
            && let Some(maker) = self.maker.take()
        {
            self.core.shared.stored.keep(&id, maker); // before the client can know the id
        }
        let mut head = std::mem::take(&mut self.head);
        if forward.is_ok()
            && (self.relay.is_ended() || self.relay.learned().done)
            && !self.is_settled
        {
            self.settle(None);
            self.tell_cost(&mut head);
        }
        let body = match &forward {
            Ok(Forward::Nothing) | Err(_) => &[][..],
            Ok(Forward::Input(range)) => &input[range.clone()],
            Ok(Forward::Scratch) => &self.scratch[..],
        };
        self.till.see(body);
        if !(head.is_empty() && body.is_empty()) {
            self.client.slot.arm(self.core.now().after(self.pace.stall).min(self.pace.end));
            let parts = [&head[..], body];
            let parts = if head.is_empty() {
                &parts[1..]
            } else {
                &parts[..1 + usize::from(!body.is_empty())]
            };
            if self.client.send(parts).await.is_err() {
                return Err(End::ClientGone);
            }
            self.last_sent = self.core.now();
        }
        if self.relay.learned().content_now || !self.relay.plan().events {
            self.last_content = self.last_sent;
            self.first_content.get_or_insert(self.last_sent);
        }
        if let Some(broken) = broken {
            return Err(End::Broken(broken));
        }
        match self.relay.learned() {
            learned if learned.content_now && !learned.done => self.go_on().await,
            _ => Ok(()),
        }
    }

    /// Goes on if what the answer is paid from has enough, and waits where that is not known yet: the provider waits, too.
    async fn go_on(&mut self) -> Result<(), End> {
        let end = self.core.now().after(MORE_PATIENCE);
        loop {
            match self.till.may_go_on(self.relay.learned()) {
                More::Held => return Ok(()),
                More::Nothing => return Err(End::Spent),
                More::Later if self.core.now() >= end => return Err(End::Spent),
                More::Later => {
                    Box::pin(crate::io::sleep(MORE_LOOK)).await;
                    self.core.wake_up();
                }
            }
        }
    }

    /// The nearest of the deadlines that run now, and the next keep-alive.
    fn arm(&self) {
        let at = self.content_due().min(self.pace.end);
        self.client.slot.arm(self.comment_due().map_or(at, |due| due.min(at)));
    }

    /// When the client gets a sign of life, if this answer is one that has room for it.
    fn comment_due(&self) -> Option<Instant> {
        let silence = self.pace.keep_alive.filter(|_| self.relay.is_between_events())?;
        Some(self.last_sent.after(silence))
    }

    fn content_due(&self) -> Instant {
        let within = if self.first_content.is_some() {
            self.pace.between_tokens
        } else {
            self.pace.first_token
        };
        self.last_content.after(within)
    }

    /// Says which deadline has passed; when it was only time for a sign of life, gives one.
    async fn late(&mut self) -> Result<(), End> {
        let now = self.core.now();
        if self.core.is_forced() {
            return Err(End::Late(Late::Draining));
        }
        if now >= self.pace.end {
            return Err(End::Late(Late::Total));
        }
        if now >= self.content_due() {
            let late =
                if self.first_content.is_some() { Late::BetweenTokens } else { Late::FirstToken };
            return Err(End::Late(late));
        }
        if self.comment_due().is_none_or(|due| now < due) {
            return Ok(());
        }
        let mut comment = Vec::with_capacity(32);
        let mut framed = Vec::with_capacity(64);
        self.relay.write_keep_alive(&mut comment);
        relay::write_event(&mut framed, &comment, self.relay.downstream(), false);
        self.client.slot.arm(now.after(self.pace.stall).min(self.pace.end));
        if self.client.send(&[&framed]).await.is_err() {
            return Err(End::ClientGone);
        }
        self.last_sent = self.core.now();
        Ok(())
    }

    fn settle(&mut self, fault: Option<Fault>) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.till.settle(self.relay.learn_all(), fault);
        }
    }

    /// Says what the answer has cost before the end of it: in its head where that is not sent yet, in a comment where a stream
    /// is to say so.
    fn tell_cost(&self, head: &mut Vec<u8>) {
        let Some(cost) = self.till.cost() else { return };
        if self.relay.plan().events {
            if self.tells_cost && self.is_at_event && self.relay.downstream() != Downstream::Length
            {
                let comment = format!(": faregate-cost-nanousd={cost}\n\n");
                relay::write_event(head, comment.as_bytes(), self.relay.downstream(), false);
            }
        } else if head.ends_with(b"\r\n\r\n") {
            head.truncate(head.len() - 2);
            write_number_field(head, COST_FIELD, cost);
            head.extend_from_slice(b"\r\n");
        }
    }

    /// Answers with an error, since nothing has been sent yet. True when the client's connection is still in step.
    async fn refuse(&mut self, fault: Fault) -> bool {
        let refusal = Refusal::new(fault, held_message(fault));
        let telling = Telling {
            family: self.family,
            id: self.request_id,
            generation: self.generation,
            close: self.close,
            head_only: false,
        };
        let mut out = Vec::with_capacity(512);
        write_refusal(&mut out, &refusal, &telling);
        self.refused = Some(fault.status());
        self.client.slot.arm(self.core.now().after(self.pace.stall));
        self.client.send(&[&out]).await.is_ok()
    }

    /// A stream whose `[DONE]` has passed is whole, whatever became of its provider then.
    async fn conclude(&mut self, end: End) -> End {
        if !matches!(end, End::Broken(_) | End::Late(_)) || !self.relay.conclude(&mut self.scratch)
        {
            return end;
        }
        self.client.slot.arm(self.core.now().after(self.pace.stall));
        match self.client.send(&[&self.scratch]).await {
            Ok(()) => End::Complete,
            Err(_) => End::ClientGone,
        }
    }

    /// Ends a stream that did not end by itself with an error event, where the client can read one. True when the
    /// client's connection is still in step.
    async fn finish(&mut self, end: End) -> bool {
        self.settle(end.fault());
        let fault = match end.fault() {
            None => return self.relay.downstream() != Downstream::Close,
            Some(Fault::ClientGone) => return false,
            Some(fault) => fault,
        };
        if !self.head.is_empty() {
            return self.refuse(fault).await;
        }
        if !self.relay.is_between_events() || self.relay.is_ended() {
            return false;
        }
        let mut event = Vec::with_capacity(256);
        if end == End::Spent {
            let created = self.core.wall() / 1_000_000_000;
            self.relay.end_at_length((self.model, self.request_id, created), &mut event);
            return self.send_last(&event).await;
        }
        let refusal = Refusal::new(fault, crate::answer::stream_message(fault));
        let error = crate::answer::error_body(&refusal, self.request_id);
        self.relay.write_failure(&error, &mut event);
        self.send_last(&event).await
    }

    /// Sends the event that ends the stream. True when the client's connection is still in step.
    async fn send_last(&mut self, event: &[u8]) -> bool {
        let mut framed = Vec::with_capacity(event.len() + 32);
        relay::write_event(&mut framed, event, self.relay.downstream(), true);
        self.client.slot.arm(self.core.now().after(self.pace.stall));
        let sent = self.client.send(&[&framed]).await.is_ok();
        sent && self.relay.downstream() == Downstream::Chunked
    }
}

/// Appends the fields that every proxied answer carries, and the blank line.
pub(crate) fn write_own_fields(out: &mut Vec<u8>, own: &OwnFields<'_>) {
    if !own.has_request_id {
        out.extend_from_slice(b"x-request-id: ");
        out.extend_from_slice(own.id.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"x-faregate-request-id: ");
    out.extend_from_slice(own.id.as_bytes());
    out.extend_from_slice(b"\r\nx-faregate-route: ");
    out.extend_from_slice(own.route.as_bytes());
    out.extend_from_slice(b"\r\nx-faregate-route-reason: ");
    out.extend_from_slice(own.reason.as_bytes());
    out.extend_from_slice(b"\r\nx-faregate-generation: ");
    write_number(out, own.generation);
    out.extend_from_slice(b"\r\n");
    if let Some(lost) = own.lost {
        out.extend_from_slice(b"x-faregate-lost: ");
        out.extend_from_slice(lost.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(how) = own.count {
        out.extend_from_slice(b"x-faregate-count: ");
        out.extend_from_slice(how.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if own.is_marked {
        out.extend_from_slice(b"x-faregate-cache: injected\r\n");
    }
    if own.events {
        out.extend_from_slice(b"x-accel-buffering: no\r\n");
    }
    if own.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if own.is_http10 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// What [`write_own_fields`] writes.
pub(crate) struct OwnFields<'a> {
    /// The request's id.
    pub(crate) id: &'a str,
    /// The provider gave an id of its own, which stays.
    pub(crate) has_request_id: bool,
    /// `provider/model`.
    pub(crate) route: &'a str,
    /// Why there.
    pub(crate) reason: &'a str,
    /// The policy's generation.
    pub(crate) generation: u64,
    /// What could not be told to the provider.
    pub(crate) lost: Option<&'a str>,
    /// How the gateway has counted the input, where the client is told it before the provider has.
    pub(crate) count: Option<&'a str>,
    /// Whether the prompt was marked for the provider's cache.
    pub(crate) is_marked: bool,
    /// Whether the answer is a stream.
    pub(crate) events: bool,
    /// Whether the connection ends with this answer.
    pub(crate) close: bool,
    /// Whether the client must be told that it does not (RFC 9112 appendix C.2.2).
    pub(crate) is_http10: bool,
}
