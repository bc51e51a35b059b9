//! The request's body, read once, as it arrives.
//!
//! In: the connection. Out: a [`Body`], and what the scan of a JSON body found. The scan runs over what has arrived while
//! the rest is still on its way.

use faregate_adapters::{dialect::openai, tokens::Count};
use faregate_policy::{exchange::Refusal, fault::Fault};
use faregate_wire::{BodyReader, FormField, Framing, Json, Method, Peek, Scanner, json::JsonError};

use super::{Walk, look_up::Found};
use crate::{
    client::NoMore,
    connection::Connection,
    upload::{START_BYTES_MAX, Upload, too_large},
};

/// Decoded bytes that are asked for at once while a chunked body arrives.
const CHUNKED_STEP_BYTES: usize = 64 * 1024;

/// A whole request body, or the start of one that passes as it arrives, and what was found in it.
pub(super) struct Body {
    buf: Vec<u8>,
    start: usize,
    /// What the scan found, when there was one.
    pub(super) peek: Option<Peek>,
    /// The model that a form names.
    pub(super) model: Option<FormField>,
}

impl Body {
    /// A body that the gateway has made; `None` where it is no JSON object.
    pub(super) fn made(buf: Vec<u8>, fields: &'static [&'static str]) -> Option<Self> {
        let mut scanner = Scanner::new(fields);
        scanner.feed(&buf).ok()?;
        let peek = scanner.finish(&buf).ok()?;
        Some(Self { buf, start: 0, peek: Some(peek), model: None })
    }

    /// The body's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Gives the memory back: no attempt will need it again.
    pub(super) fn release(self) {
        crate::buffer::give_back(self.buf);
    }
}

/// Why a walk ends before an answer of a provider.
pub(super) enum Stop {
    /// It is refused; the request was read to its end.
    Refused(Refusal),
    /// Only its tokens were to be counted.
    Counted(Count),
    /// Where it would go was to be told, and no more.
    Quoted,
    /// Its answer is kept.
    Found(Box<Found>),
    /// It is refused while some of the body is unread.
    Unread(Refusal),
    /// The client has gone.
    ClientGone,
}

impl Walk {
    /// Reads the whole body; of one that nobody looks into, its start.
    pub(super) async fn read(&mut self, connection: &mut Connection) -> Result<Body, Stop> {
        if self.coded && self.scans() {
            return Err(Stop::Unread(Refusal::new(
                Fault::UnsupportedMedia,
                "a compressed request body cannot be read here; send it without content-encoding",
            )));
        }
        if matches!(self.framing, Framing::Length(_) | Framing::Chunked) && !self.scans() {
            return Box::pin(self.read_start(connection)).await;
        }
        match self.framing {
            Framing::None => self.read_nothing(connection),
            Framing::Length(length) => self.read_length(connection, length).await,
            Framing::Chunked => Box::pin(self.read_chunked(connection)).await,
            Framing::UntilClose => Err(Stop::Unread(Refusal::new(
                Fault::MalformedRequest,
                "a request body needs content-length or transfer-encoding: chunked",
            ))),
        }
    }

    fn read_nothing(&mut self, connection: &mut Connection) -> Result<Body, Stop> {
        connection.client.consume(self.head_len);
        if self.surface.has_model() && self.scans() {
            return Err(Stop::Refused(Refusal::new(
                Fault::BodyMalformed,
                "the request has no body",
            )));
        }
        Ok(Body { buf: Vec::new(), start: 0, peek: None, model: None })
    }

    async fn read_length(
        &mut self,
        connection: &mut Connection,
        length: u64,
    ) -> Result<Body, Stop> {
        let max = self.live.policy.server.body_bytes;
        if length > max {
            return Err(Stop::Unread(too_large(max)));
        }
        let Some(total) = usize::try_from(length).ok().and_then(|n| n.checked_add(self.head_len))
        else {
            return Err(Stop::Unread(too_large(max)));
        };
        let fields = self.fields();
        let mut scanner = self.scanner();
        if connection.client.received.len() < total {
            self.expect_body(connection).await?;
            connection.client.make_room(total);
        }
        while connection.client.received.len() < total {
            if !connection.client.fill_now(total).map_err(gone)? {
                let missing = total - connection.client.received.len();
                connection.client.fill(missing).await.map_err(no_more)?;
            }
            if let Some(scanner) = &mut scanner {
                let arrived = &connection.client.received;
                let end = arrived.len().min(total);
                scanner
                    .feed(&arrived[self.head_len..end])
                    .map_err(|e| Stop::Unread(bad_json(e, fields)))?;
            }
        }
        let mut buf = std::mem::take(&mut connection.client.received);
        if buf.len() > total {
            connection.client.received = buf.split_off(total);
        }
        self.finish_body(Body { buf, start: self.head_len, peek: None, model: None }, scanner)
    }

    async fn read_chunked(&mut self, connection: &mut Connection) -> Result<Body, Stop> {
        let max = self.live.policy.server.body_bytes;
        let fields = self.fields();
        let mut scanner = self.scanner();
        let mut reader = BodyReader::new(Framing::Chunked);
        let mut buf = Vec::new();
        connection.client.consume(self.head_len);
        if connection.client.received.is_empty() {
            self.expect_body(connection).await?;
        } else {
            connection.arm(self.live.policy.server.deadlines.body);
        }
        loop {
            let received = &mut connection.client.received;
            let mut at = 0;
            while at < received.len() && !reader.is_ended() {
                let piece = reader.next(&received[at..]).map_err(|_| bad_chunk())?;
                buf.extend_from_slice(piece.data);
                at += piece.consumed;
                if buf.len() as u64 > max {
                    return Err(Stop::Unread(too_large(max)));
                }
            }
            received.drain(..at);
            if reader.is_ended() {
                return self.finish_body(Body { buf, start: 0, peek: None, model: None }, scanner);
            }
            if let Some(scanner) = &mut scanner {
                scanner.feed(&buf).map_err(|e| Stop::Unread(bad_json(e, fields)))?;
            }
            connection.client.fill(CHUNKED_STEP_BYTES).await.map_err(no_more)?;
        }
    }

    /// Reads the start of a body that is not looked into: all of a short one, and of a form as much as names its model.
    async fn read_start(&mut self, connection: &mut Connection) -> Result<Body, Stop> {
        let max = self.live.policy.server.body_bytes;
        if matches!(self.framing, Framing::Length(length) if length > max) {
            return Err(Stop::Unread(too_large(max)));
        }
        let time = self.live.policy.server.deadlines.body;
        let form = self.form_field.take();
        let mut upload = Upload::new(self.framing, form, max, time);
        let (mut buf, mut due) = (Vec::new(), None);
        let keep_alive = std::mem::replace(&mut self.keep_alive, false); // until the body has been read
        connection.client.consume(self.head_len);
        while !upload.start(&mut connection.client.received, &mut buf).map_err(Stop::Refused)? {
            if due.is_none() {
                due = Some(connection.core.now().after(time));
                self.expect_body(connection).await?;
            }
            connection.client.fill(START_BYTES_MAX).await.map_err(|reason| {
                match no_more(reason) {
                    Stop::Unread(refusal) => Stop::Refused(refusal),
                    stop => stop,
                }
            })?;
        }
        let strict = self.exchange.caller().is_some_and(|caller| !caller.models.is_empty());
        let model = upload.decide(strict, std::mem::take(&mut self.expects), due);
        self.body_bytes = upload.bytes();
        self.keep_alive = keep_alive;
        self.upload = Some(upload).filter(|upload| !upload.is_ended());
        Ok(Body { buf, start: 0, peek: None, model })
    }

    fn finish_body(&mut self, mut body: Body, scanner: Option<Scanner>) -> Result<Body, Stop> {
        self.body_bytes = body.bytes().len() as u64;
        let fields = self.fields();
        if let Some(scanner) =
            scanner.filter(|_| !body.bytes().is_empty() || self.surface.has_model())
        {
            let peek =
                scanner.finish(body.bytes()).map_err(|e| Stop::Refused(bad_json(e, fields)))?;
            body.peek = Some(peek);
        }
        Ok(body)
    }

    /// Arms the deadline of the body, and tells a client that waits for it to go on.
    async fn expect_body(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        connection.arm(self.live.policy.server.deadlines.body);
        if self.expects {
            let sent = connection.client.send(&[b"HTTP/1.1 100 Continue\r\n\r\n"]).await;
            sent.map_err(|_| Stop::ClientGone)?;
            self.expects = false;
        }
        Ok(())
    }

    fn scanner(&self) -> Option<Scanner> {
        self.scans().then(|| Scanner::new(self.fields()))
    }

    /// The members that are looked for in the body.
    pub(super) fn fields(&self) -> &'static [&'static str] {
        match self.surface.form() {
            Some(form) => form.passage().fields(),
            None => openai::FIELDS,
        }
    }

    /// A member of the body that is looked for and not null.
    pub(super) fn member<'b>(&self, body: &'b Body, name: &str) -> Option<Json<'b>> {
        let index = self.fields().iter().position(|field| *field == name)?;
        let span = body.peek.as_ref()?.span(index)?;
        Json::new(body.bytes().get(span)?).filter(|value| !value.is_null())
    }

    /// Takes what the body says of whom and what the request is for.
    pub(super) fn hear_labels(&mut self, body: &Body) {
        if body.peek.is_some() {
            let mut labels = std::mem::take(&mut self.labels);
            let attribution = &self.live.policy.attribution;
            attribution.add_body(&mut labels, |name| self.member(body, name));
            self.labels = labels;
        }
    }

    /// Whether the body is looked into.
    fn scans(&self) -> bool {
        self.method == Method::Post && (self.json || self.surface.has_model())
    }
}

fn no_more(reason: NoMore) -> Stop {
    match reason {
        NoMore::Closed | NoMore::Broken => Stop::ClientGone,
        NoMore::Deadline => Stop::Unread(Refusal::new(
            Fault::BodyTimeout,
            "the body of the request did not arrive within server.deadlines.body",
        )),
    }
}

fn gone(_: NoMore) -> Stop {
    Stop::ClientGone
}

fn bad_chunk() -> Stop {
    Stop::Unread(Refusal::new(
        Fault::MalformedRequest,
        "the chunked coding of the body is malformed",
    ))
}

fn bad_json(error: JsonError, fields: &'static [&'static str]) -> Refusal {
    let name = error.name_index().and_then(|n| fields.get(n).copied());
    let fault = if name.is_some() { Fault::DuplicateField } else { Fault::BodyMalformed };
    let mut refusal = Refusal::new(
        fault,
        match name {
            Some(name) => format!("field \"{name}\": {error}"),
            None => format!("the body is not one well-formed JSON object: {error}"),
        },
    );
    refusal.param = name.map(Into::into);
    refusal
}
