//! A WebSocket between a client and a provider: bytes both ways, until one of them ends it.
//!
//! In: both connections, behind the answer that switched protocols. Out: how it ended, and the tokens that the provider's
//! messages told. Remembered: where the provider's frames end, and the text of its message as far as it may tell usage.
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
use faregate_wire::{FrameReader, Json, Opcode};

use crate::{attempt::Late, client::Client, forward::End, io::Stream, relay::Broken, worker::Core};

/// Bytes that pass at once in one direction.
const STEP_BYTES: usize = 16 * 1024;

/// A longer message of the provider is not searched for usage: those that tell it are short.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The close frame for a client whose gateway ends, or that was idle (1001, RFC 6455 section 7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// What became of a WebSocket.
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) end: End,
    /// All that the provider says was used.
    pub(crate) usage: Option<Usage>,
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
) -> Ended {
    client.consume(0);
    let mut meter = Meter::new();
    meter.follow(&received);
    let mut bytes = received.len() as u64;
    let mut down = Way::new(received);
    let mut up = Way::new(std::mem::take(&mut client.received));
    let end = loop {
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
    Ended { end, usage: meter.usage, bytes }
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
    usage: Option<Usage>,
    /// The provider's frames are none: nothing more is read in them.
    broken: bool,
}

impl Meter {
    fn new() -> Self {
        Self { frames: FrameReader::new(false), message: None, usage: None, broken: false }
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
                    self.message = self.message.take().filter(fits);
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
        if memchr::memmem::find(message, b"response.done").is_none() {
            return;
        }
        let Some(event) = Json::new(message) else { return };
        if event.get_str("type").as_deref() != Some("response.done") {
            return;
        }
        let usage = event.at(&["response", "usage"]).and_then(|usage| openai::usage(usage.raw()));
        let Some(more) = usage else { return };
        let sum = self.usage.get_or_insert_default();
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
