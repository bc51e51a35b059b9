//! A body that goes to the provider as it arrives, because nothing in it decides anything that is not known already.
//!
//! In: the client, from behind what was read for the decision. Out: how the sending ended. Remembered: the framing, the
//! deadline, and the search for a second name of a model in a form. At most one step of the body is in memory on its way
//! ([`STEP_BYTES`]) and one that has arrived behind it: a provider that takes no more slows the client down.

use std::{future::Future, io, pin::pin, task::Poll, time::Duration};

use faregate_policy::{exchange::Refusal, fault::Fault};
use faregate_wire::{
    BodyReader, FormError, FormField, FormScanner, Framing,
    chunk::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK},
    write_chunk_head,
};

use crate::{
    attempt::{Deadlines, Sending, arm},
    buffer,
    client::Client,
    clock::Instant,
    io::{Left, Stream},
    worker::Core,
};

/// Bytes of a body that are read before it is decided where it goes; one that is no longer can be sent again.
pub(crate) const START_BYTES_MAX: usize = 16 * 1024;

/// Bytes that pass at once.
const STEP_BYTES: usize = 16 * 1024;

/// Steps that are taken while more has arrived already, before others of the core get their turn.
const STEPS_MAX: u32 = 16;

/// Interim answers of the provider while the body passes.
const INTERIM_MAX: u32 = 8;

/// A body on its way.
pub(crate) struct Upload {
    reader: BodyReader,
    bytes: u64,
    bytes_max: u64,
    form: Option<FormScanner>,
    /// The caller may not use everything: a form must have one reading.
    strict: bool,
    /// The client waits to be told to go on.
    expects: bool,
    time: Duration,
    due: Option<Instant>,
    begun: bool,
    steps: u32,
    interim: u32,
}

impl Upload {
    /// A body at its start, of which `bytes_max` may come within `time`.
    pub(crate) fn new(
        framing: Framing,
        form: Option<FormScanner>,
        bytes_max: u64,
        time: Duration,
    ) -> Self {
        Self {
            reader: BodyReader::new(framing),
            bytes: 0,
            bytes_max,
            form,
            strict: false,
            expects: false,
            time,
            due: None,
            begun: false,
            steps: 0,
            interim: 0,
        }
    }

    /// Takes the start of the body out of what was received. True when nothing more of it need be waited for.
    ///
    /// # Errors
    ///
    /// Why the body is refused.
    pub(crate) fn start(
        &mut self,
        received: &mut Vec<u8>,
        start: &mut Vec<u8>,
    ) -> Result<bool, Refusal> {
        self.take(received, start, START_BYTES_MAX)?;
        let is_short = matches!(self.reader, BodyReader::Length(left)
            if left + start.len() as u64 <= START_BYTES_MAX as u64);
        let looks = self.form.as_ref().is_some_and(|form| form.found().is_none());
        Ok(self.is_ended() || start.len() >= START_BYTES_MAX || !(is_short || looks))
    }

    /// Ends the start: what the form says of the model, which from now on it must not say again.
    pub(crate) fn decide(
        &mut self,
        strict: bool,
        expects: bool,
        due: Option<Instant>,
    ) -> Option<FormField> {
        self.strict = strict;
        self.expects = expects;
        self.due = due;
        let found = self.form.as_ref().and_then(|form| form.found().cloned());
        self.form = self.form.take().filter(|_| found.is_some());
        found
    }

    /// Whether all of it has passed.
    pub(crate) fn is_ended(&self) -> bool {
        self.reader.is_ended()
    }

    /// Whether bytes have passed that cannot be sent again.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Bytes of the body so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How the provider is told where the body ends, when `start` bytes stand for its start.
    pub(crate) fn framing(&self, start: u64) -> Framing {
        match self.reader {
            BodyReader::Length(left) => Framing::Length(start + left),
            _ => Framing::Chunked,
        }
    }

    /// Passes the rest on. The start has been sent.
    ///
    /// # Errors
    ///
    /// Why the body is refused in its middle.
    pub(crate) async fn pass(
        &mut self,
        core: &Core,
        client: &mut Client,
        stream: &mut Stream,
        deadlines: &Deadlines,
    ) -> Result<Sending, Refusal> {
        client.consume(0);
        if !stream.is_receiving() {
            stream.begin(buffer::landing());
        }
        let mut data = Vec::with_capacity(STEP_BYTES);
        while !self.is_ended() {
            data.clear();
            self.take(&mut client.received, &mut data, STEP_BYTES)?;
            if data.is_empty() && !self.is_ended() {
                if let Some(end) = self.wait(core, client, stream, deadlines).await? {
                    return Ok(end);
                }
                continue;
            }
            self.begun = true;
            let mut size = [0; CHUNK_HEAD_BYTES_MAX];
            let parts = self.framed(&data, &mut size);
            let began = core.now();
            if let Some(end) = self.send(core, client, stream, &parts, deadlines).await {
                return Ok(end);
            }
            // The time that the provider takes is not the client's.
            let taken = Duration::from_nanos(core.now().since(began));
            self.due = self.due.map(|due| due.after(taken));
        }
        Ok(Sending::Sent)
    }

    fn framed<'a>(
        &self,
        data: &'a [u8],
        size: &'a mut [u8; CHUNK_HEAD_BYTES_MAX],
    ) -> [&'a [u8]; 4] {
        if !matches!(self.reader, BodyReader::Chunked(_)) {
            return [data, &[], &[], &[]];
        }
        let last: &[u8] = if self.is_ended() { LAST_CHUNK } else { &[] };
        if data.is_empty() {
            return [last, &[], &[], &[]];
        }
        let n = write_chunk_head(size, data.len());
        [&size[..n], data, b"\r\n", last]
    }

    /// Moves body bytes from `received` to `out`, which gets no longer than `max`.
    fn take(
        &mut self,
        received: &mut Vec<u8>,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Refusal> {
        let mut at = 0;
        while at < received.len() && out.len() < max && !self.reader.is_ended() {
            let end = received.len().min(at + max - out.len());
            let piece = self.reader.next(&received[at..end]).map_err(|_| {
                Refusal::new(Fault::MalformedRequest, "the chunked coding of the body is malformed")
            })?;
            at += piece.consumed;
            self.bytes += piece.data.len() as u64;
            if self.bytes > self.bytes_max {
                return Err(too_large(self.bytes_max));
            }
            out.extend_from_slice(piece.data);
            let data = piece.data;
            look(&mut self.form, data, self.reader.is_ended(), self.strict)?;
        }
        received.drain(..at);
        Ok(())
    }

    /// Waits for more of the body, and for what the provider may say meanwhile.
    async fn wait(
        &mut self,
        core: &Core,
        client: &mut Client,
        stream: &mut Stream,
        deadlines: &Deadlines,
    ) -> Result<Option<Sending>, Refusal> {
        self.steps += 1;
        if !self.steps.is_multiple_of(STEPS_MAX) {
            match client.fill_now(client.received.len() + STEP_BYTES) {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                Err(_) => return Ok(Some(Sending::ClientGone)),
            }
        }
        let due = *self.due.get_or_insert(core.now().after(self.time));
        client.slot.arm(due.min(deadlines.end));
        if std::mem::take(&mut self.expects)
            && client.send(&[b"HTTP/1.1 100 Continue\r\n\r\n"]).await.is_err()
        {
            return Ok(Some(Sending::ClientGone));
        }
        loop {
            let event = std::future::poll_fn(|cx| {
                if let Poll::Ready(received) = stream.poll(cx) {
                    return Poll::Ready(Some(Sending::Answered(received)));
                }
                match client.poll_more(cx, STEP_BYTES) {
                    Poll::Ready(Ok(())) => return Poll::Ready(None),
                    Poll::Ready(Err(_)) => return Poll::Ready(Some(Sending::ClientGone)),
                    Poll::Pending => {}
                }
                client.slot.poll_expired(cx).map(|()| Some(Sending::Late))
            })
            .await;
            return match event {
                Some(Sending::Answered(received)) if self.is_interim(&received) => {
                    stream.begin(buffer::landing());
                    continue;
                }
                Some(Sending::Late) if !core.is_forced() && core.now() < deadlines.end => {
                    Err(Refusal::new(
                        Fault::BodyTimeout,
                        "the body of the request did not arrive within server.deadlines.body",
                    ))
                }
                event => Ok(event),
            };
        }
    }

    /// Sends one step. `None` when it has been handed over.
    async fn send(
        &mut self,
        core: &Core,
        client: &mut Client,
        stream: &mut Stream,
        parts: &[&[u8]],
        deadlines: &Deadlines,
    ) -> Option<Sending> {
        let mut left = Left::new(parts);
        loop {
            if stream.send_left(&mut left).is_err() {
                return Some(Sending::Broken);
            }
            if left.is_done() {
                return None;
            }
            arm(core, client, deadlines.stall, deadlines.end);
            let mut room = pin!(stream.writable());
            let event = std::future::poll_fn(|cx| {
                if client.slot.poll_expired(cx).is_ready() {
                    return Poll::Ready(Some(Sending::Late));
                }
                if let Poll::Ready(received) = stream.poll(cx) {
                    return Poll::Ready(Some(Sending::Answered(received)));
                }
                if client.received.is_empty()
                    && let Poll::Ready(Err(_)) = client.poll_more(cx, STEP_BYTES)
                {
                    return Poll::Ready(Some(Sending::ClientGone));
                }
                match room.as_mut().poll(cx) {
                    Poll::Ready(Ok(())) => Poll::Ready(None),
                    Poll::Ready(Err(_)) => Poll::Ready(Some(Sending::Broken)),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            match event {
                None => {}
                Some(Sending::Answered(received)) if self.is_interim(&received) => {
                    stream.begin(buffer::landing());
                }
                Some(end) => return Some(end),
            }
        }
    }

    /// Whether the provider has only said that it is there.
    fn is_interim(&mut self, (result, bytes): &(io::Result<usize>, Vec<u8>)) -> bool {
        let is_whole =
            bytes.windows(4).position(|w| w == b"\r\n\r\n") == bytes.len().checked_sub(4);
        let is_interim = result.is_ok() && is_whole && bytes.starts_with(b"HTTP/1.1 10");
        self.interim += u32::from(is_interim);
        is_interim && self.interim <= INTERIM_MAX
    }
}

/// Looks through the next bytes of a form.
fn look(
    form: &mut Option<FormScanner>,
    data: &[u8],
    ended: bool,
    strict: bool,
) -> Result<(), Refusal> {
    let Some(scanner) = form else { return Ok(()) };
    let looked = scanner.feed(data).and_then(|()| if ended { scanner.finish() } else { Ok(()) });
    match looked {
        Ok(()) => Ok(()),
        Err(FormError::Twice) => {
            Err(Refusal::new(Fault::DuplicateField, "field \"model\" stands in the form twice")
                .about("model"))
        }
        Err(FormError::Unclear) if strict => Err(Refusal::new(
            Fault::BodyMalformed,
            "the form could be read in two ways, and this key may not use every model",
        )),
        Err(FormError::Unclear) => {
            *form = None;
            Ok(())
        }
    }
}

/// The refusal of a body beyond `max`.
pub(crate) fn too_large(max: u64) -> Refusal {
    Refusal::new(
        Fault::BodyTooLarge,
        format!("the body is larger than server.body_bytes allows ({max} bytes)"),
    )
}
