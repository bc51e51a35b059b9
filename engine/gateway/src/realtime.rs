//! A WebSocket between a client and a provider: bytes both ways, until one of them ends it.
//!
//! In: both connections, behind the answer that switched protocols. Out: how it ended, and the tokens that the provider's
//! messages told. Remembered: where the provider's frames end, and the text of its message as far as it may tell usage.
//! Where budgets hold, what it has used and may use next is set aside slice by slice; when no more is to be had, the client
//! is told in an event of the dialect, between two of the provider's messages, and the session is over.
//! Frames pass as they come, close codes in them; what the client says is not looked into. Each direction has one buffer,
//! and is read again when that has been sent: who does not read slows the other one down.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use faregate_adapters::{chat::Usage, dialect::openai};
use faregate_policy::exchange::{More, Session};
use faregate_wire::{FrameReader, Json, Opcode};

use crate::{attempt::Late, client::Client, forward::End, io::Stream, relay::Broken, worker::Core};

/// Bytes that pass at once in one direction.
const STEP_BYTES: usize = 16 * 1024;

/// A longer message of the provider is not searched for usage: those that tell it are short.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The close frame for a client whose gateway ends, or that was idle (1001, RFC 6455 section 7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// The close frame for a session whose budget is used up (1008).
const POLICY: [u8; 4] = [0x88, 2, 0x03, 0xf0];

/// How much of the provider still passes after that, until its message ends.
const REST_BYTES_MAX: u64 = 1 << 20;

/// How often a session looks again whether the journal has caught up, each time after [`LATER`].
const LATER_MAX: u32 = 1000;
const LATER: Duration = Duration::from_millis(1);

/// So many tokens before the end of a slice the next one is asked for.
const AHEAD_TOKENS: u64 = 64;

/// Bytes of an event with a piece of audio that are one token at least: a twentieth of a second at 8 kHz, in base64.
const AUDIO_BYTES: u64 = 533;

/// What an event with a piece of text has beside it.
const EVENT_BYTES: u64 = 200;

/// Sets more aside for a session: see [`faregate_policy::Exchange::hold_session`].
pub(crate) type Hold<'a> = &'a mut dyn FnMut(&Session) -> Result<u64, More>;

/// What became of a WebSocket.
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) end: End,
    /// All that the provider says was used.
    pub(crate) usage: Option<Usage>,
    /// What an answer took that has not told it, about.
    pub(crate) untold: Option<Usage>,
    /// Bytes that went to the client.
    pub(crate) bytes: u64,
}

/// Passes frames both ways until one side ends. `received` is what the provider has sent behind its answer.
pub(crate) async fn pass(
    core: &Core,
    client: &mut Client,
    stream: &mut Stream,
    received: Vec<u8>,
    idle: Duration,
    hold: Hold<'_>,
) -> Ended {
    client.consume(0);
    let mut meter = Meter::new();
    meter.follow(&received);
    let mut bytes = received.len() as u64;
    let mut down = Way::new(received);
    let mut up = Way::new(std::mem::take(&mut client.received));
    let mut slice = Slice::default();
    let mut spent_at = None;
    let end = loop {
        if spent_at.is_none() && meter.session.is_due(slice) {
            match slice.renew(&meter.session, hold).await {
                true => {}
                false => spent_at = Some(bytes),
            }
        }
        if let Some(at) = spent_at
            && (meter.is_between_messages() && down.is_sent() || bytes - at > REST_BYTES_MAX)
        {
            break End::Spent;
        }
        client.slot.arm(core.now().after(idle));
        let event = std::future::poll_fn(|cx| {
            let down_moved = poll_down(&mut down, client, stream, &mut meter, &mut bytes, cx);
            if let Poll::Ready(Err(end)) = down_moved {
                return Poll::Ready(Err(end));
            }
            let up_moved = poll_up(&mut up, client, stream, cx);
            match (down_moved, up_moved) {
                (_, Poll::Ready(Err(end))) => Poll::Ready(Err(end)),
                (Poll::Pending, Poll::Pending) => {
                    client.slot.poll_expired(cx).map(|()| Err(End::Late(Late::BetweenTokens)))
                }
                _ => Poll::Ready(Ok(())),
            }
        })
        .await;
        match event {
            Ok(()) => {}
            Err(End::Late(_)) if core.is_forced() => break End::Late(Late::Draining),
            Err(end) => break end,
        }
    };
    if matches!(end, End::Late(_)) && meter.frames.is_between_frames() && down.is_sent() {
        client.slot.arm(core.now().after(Duration::from_secs(1)));
        let _ = client.send(&[&GOING_AWAY]).await;
    }
    if end == End::Spent && meter.is_between_messages() && down.is_sent() {
        client.slot.arm(core.now().after(Duration::from_secs(1)));
        let _ = client.send(&[&spent_event(), &POLICY]).await;
    }
    Ended { end, usage: meter.told(), untold: meter.session.untold(), bytes }
}

/// The event that says why a session ends, in its frame.
fn spent_event() -> Vec<u8> {
    let text = b"{\"type\":\"error\",\"event_id\":\"event_faregate\",\"error\":{\"type\":\"insufficient_quota\",\
        \"code\":\"budget_exceeded\",\"message\":\"a budget of this caller has no more for this session\",\
        \"param\":null,\"event_id\":null}}";
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(text);
    frame
}

/// What is told and what is not, added up.
pub(crate) fn together(told: Option<Usage>, untold: Option<Usage>) -> Option<Usage> {
    match (told, untold) {
        (Some(told), Some(untold)) => Some(added(told, untold)),
        (one, other) => one.or(other),
    }
}

fn added(mut sum: Usage, more: Usage) -> Usage {
    for (sum, more) in [
        (&mut sum.input, more.input),
        (&mut sum.cache_read, more.cache_read),
        (&mut sum.cache_write, more.cache_write),
        (&mut sum.cache_write_long, more.cache_write_long),
        (&mut sum.audio_input, more.audio_input),
        (&mut sum.output, more.output),
        (&mut sum.reasoning, more.reasoning),
        (&mut sum.audio_output, more.audio_output),
    ] {
        *sum = sum.saturating_add(more);
    }
    sum
}

/// What is set aside of what may come.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Tokens of output behind which more must be asked for.
    until: u64,
    /// Answers that had told their usage when it was asked for.
    answers: u64,
    is_held: bool,
}

impl Slice {
    /// Asks for the next one; whether it is to be had.
    async fn renew(&mut self, session: &Spent, hold: Hold<'_>) -> bool {
        for _ in 0..LATER_MAX {
            match hold(&session.so_far) {
                Ok(tokens) => {
                    let until = session.so_far.output.saturating_add(tokens);
                    *self = Self { until, answers: session.answers, is_held: true };
                    return true;
                }
                Err(More::Later) => crate::io::sleep(LATER).await,
                Err(More::Nothing | More::Held) => return false,
            }
        }
        false
    }
}

/// What a session has used, as far as its messages say.
#[derive(Debug, Default)]
struct Spent {
    so_far: Session,
    /// Answers that have told their usage.
    answers: u64,
    /// One has begun and not told its usage.
    is_open: bool,
}

impl Spent {
    fn is_due(&self, slice: Slice) -> bool {
        let left = slice.until.saturating_sub(self.so_far.output);
        !slice.is_held || slice.answers != self.answers || left < AHEAD_TOKENS.min(slice.until / 2)
    }

    /// An answer took so much.
    fn answered(&mut self, more: Usage) {
        (self.answers, self.is_open) = (self.answers + 1, false);
        let used = added(self.so_far.used, more);
        self.so_far = Session { used, input: more.total(), output: 0 };
    }

    /// A piece of an answer came, of so many bytes.
    fn came(&mut self, is_audio: bool, bytes: usize) {
        let bytes = bytes as u64;
        let tokens = match is_audio {
            true => bytes.div_ceil(AUDIO_BYTES),
            false => 1 + bytes.saturating_sub(EVENT_BYTES) / 4,
        };
        self.is_open = true;
        self.so_far.output = self.so_far.output.saturating_add(tokens);
    }

    /// What an answer that has not told its usage took, about.
    fn untold(&self) -> Option<Usage> {
        let Session { input, output, .. } = self.so_far;
        self.is_open.then(|| Usage { input, audio_output: output, ..Usage::default() })
    }
}

/// From the provider to the client. Ready when something has moved.
fn poll_down(
    way: &mut Way,
    client: &mut Client,
    stream: &mut Stream,
    meter: &mut Meter,
    bytes: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(), End>> {
    if !way.is_sent() {
        return way.poll_send(&mut client.stream, cx).map_err(|_| End::ClientGone);
    }
    if !stream.is_receiving() {
        stream.begin(way.empty());
    }
    let (result, buf) = ready!(stream.poll(cx));
    match result {
        Ok(1..) => {}
        Ok(0) => return Poll::Ready(Err(End::Complete)),
        Err(_) => return Poll::Ready(Err(End::Broken(Broken::Cut))),
    }
    *bytes += buf.len() as u64;
    meter.follow(&buf);
    way.buf = buf;
    Poll::Ready(Ok(()))
}

/// From the client to the provider.
fn poll_up(
    way: &mut Way,
    client: &mut Client,
    stream: &mut Stream,
    cx: &mut Context<'_>,
) -> Poll<Result<(), End>> {
    if !way.is_sent() {
        return way.poll_send(stream, cx).map_err(|_| End::Broken(Broken::Cut));
    }
    match ready!(client.poll_more(cx, STEP_BYTES)) {
        Ok(()) => {
            way.empty();
            way.buf = std::mem::take(&mut client.received);
            Poll::Ready(Ok(()))
        }
        Err(_) => Poll::Ready(Err(End::ClientGone)),
    }
}

/// One direction.
struct Way {
    buf: Vec<u8>,
    sent: usize,
    room: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    /// Something of it may still lie in TLS.
    held: bool,
}

impl Way {
    fn new(buf: Vec<u8>) -> Self {
        Self { buf, sent: 0, room: None, held: false }
    }

    fn is_sent(&self) -> bool {
        self.sent == self.buf.len() && !self.held
    }

    /// Its buffer, to be filled again.
    fn empty(&mut self) -> Vec<u8> {
        self.sent = 0;
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        if buf.capacity() < STEP_BYTES {
            buf.reserve(STEP_BYTES);
        }
        buf
    }

    fn poll_send(&mut self, to: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(room) = &mut self.room {
                ready!(room.as_mut().poll(cx))?;
                self.room = None;
            }
            let (n, done) = to.send_some(&self.buf[self.sent..])?;
            self.sent += n;
            self.held = !done;
            if self.is_sent() {
                return Poll::Ready(Ok(()));
            }
            self.room = Some(Box::pin(to.writable()));
        }
    }
}

/// Counts what the provider's messages tell.
struct Meter {
    frames: FrameReader,
    /// The text message that is open; `None` when it is not searched.
    message: Option<Vec<u8>>,
    /// The text message that is open is too long to be searched.
    is_long: bool,
    session: Spent,
    /// The provider's frames are none: nothing more is read in them.
    broken: bool,
}

impl Meter {
    fn new() -> Self {
        Self {
            frames: FrameReader::new(false),
            message: None,
            is_long: false,
            session: Spent::default(),
            broken: false,
        }
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while !self.broken {
            match self.frames.next(&mut bytes) {
                Err(_) => self.broken = true,
                Ok(None) => return,
                Ok(Some(piece)) if piece.opcode.is_control() => {}
                Ok(Some(piece)) => {
                    if piece.opcode == Opcode::Text && self.message.is_none() && piece.starts {
                        self.message = Some(Vec::new());
                    }
                    let fits =
                        |message: &Vec<u8>| message.len() + piece.data.len() <= MESSAGE_BYTES_MAX;
                    let was_read = self.message.as_ref().map(Vec::len);
                    self.message = self.message.take().filter(fits);
                    match was_read {
                        // Nothing but audio is as long.
                        Some(length) if self.message.is_none() => {
                            self.is_long = true;
                            self.session.came(true, length + piece.data.len());
                        }
                        None if self.is_long => self.session.came(true, piece.data.len()),
                        _ => {}
                    }
                    self.is_long &= !piece.message_ends;
                    if let Some(message) = &mut self.message {
                        message.extend_from_slice(piece.data);
                    }
                    if piece.message_ends
                        && let Some(message) = self.message.take()
                    {
                        self.read(&message);
                    }
                }
            }
        }
    }

    fn read(&mut self, message: &[u8]) {
        let has = |word: &[u8]| memchr::memmem::find(message, word).is_some();
        if has(b".delta\"") {
            return self.session.came(has(b"audio.delta\""), message.len());
        }
        if has(b"\"response.created\"") {
            self.session.is_open = true;
        }
        if !has(b"response.done") {
            return;
        }
        let Some(event) = Json::new(message) else { return };
        if event.get_str("type").as_deref() != Some("response.done") {
            return;
        }
        let usage = event.at(&["response", "usage"]).and_then(|usage| openai::usage(usage.raw()));
        if let Some(more) = usage {
            self.session.answered(more);
        }
    }

    fn is_between_messages(&self) -> bool {
        !self.broken && self.frames.is_between_frames() && !self.frames.is_in_message()
    }

    /// What was used: nothing where no answer has begun, and `None` where nobody knows.
    fn told(&self) -> Option<Usage> {
        let knows = self.session.answers > 0 || !self.broken && !self.session.is_open;
        knows.then_some(self.session.so_far.used)
    }
}

/// The client's key among its subprotocols, where browsers put it.
pub(crate) fn key_in(protocols: &[u8]) -> Option<&[u8]> {
    let key = |protocol: &[u8]| protocol.trim_ascii().starts_with(KEY);
    let protocol = protocols.split(|b| *b == b',').find(|protocol| key(protocol))?;
    protocol.trim_ascii().strip_prefix(KEY).filter(|key| !key.is_empty())
}

/// The subprotocols that go on: none that says who pays.
pub(crate) fn without_key(protocols: &[u8]) -> Vec<u8> {
    let ours: [&[u8]; 3] = [KEY, b"openai-organization.", b"openai-project."];
    let kept: Vec<&[u8]> = protocols
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|protocol| !ours.iter().any(|own| protocol.starts_with(own)))
        .collect();
    kept.join(&b", "[..])
}

const KEY: &[u8] = b"openai-insecure-api-key.";
