//! One answer on its way out: its head, its body, its waits and its faults.
//!
//! In: the time, and room in the connection's buffer. Out: bytes in that buffer and what comes next.
//! Remembered: how much of the body is written, since faults strike at a byte of it.

use std::io::Write as _;
use std::rc::Rc;

use super::dialect::{Dialect, words};
use super::pieces::Pieces;
use super::plain::Identity;
use super::script::{Bad, Fault, Form, Place, Script};
use super::stream::{self, Rest, Stream};
use super::text;
use crate::clock::Nanos;

/// Events are written ahead only while less than this waits to be sent.
const OUT_BYTES_MAX: usize = 64 << 10;

/// An answer being written.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) script: Rc<Script>,
    head: Vec<u8>,
    source: Source,
    stage: Stage,
    due: Nanos,
    body_bytes: u64,
    /// The connection ends with this answer.
    pub(crate) closes: bool,
    /// Tokens this answer carries, for the counters.
    pub(crate) tokens: u64,
    /// Tokens of the prompt it answers.
    pub(crate) prompt: u64,
    /// The `x-request-id` of the request.
    pub(crate) request_id: Option<String>,
    /// What the counters know of it already.
    pub(crate) settled: Option<Outcome>,
    /// The answer is to a HEAD request.
    pub(crate) bodiless: bool,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Whole,
    /// By a fault, or by the peer.
    Cut,
}

#[derive(Debug)]
enum Source {
    Whole(Vec<u8>),
    Stream(Box<Stream>),
    Pieces(Pieces),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    Ended,
}

/// What comes after the bytes just written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// More at this time.
    At(Nanos),
    /// More as soon as what is written has been sent.
    Sent,
    /// The fault, once what is written has been sent.
    Fault(Fault),
    /// Nothing.
    Ended,
}

impl Reply {
    /// An answer whose whole body is known.
    pub(crate) fn whole(
        script: Rc<Script>,
        identity: Identity,
        body: Vec<u8>,
        now: Nanos,
    ) -> Reply {
        let is_json = matches!(body.first(), Some(b'{' | b'['));
        let mut head = Vec::with_capacity(512);
        first_line(&mut head, &script);
        let kind = match script.bad {
            Some(Bad::Type) => "text/html; charset=utf-8",
            _ if is_json => "application/json",
            _ => "text/plain; charset=utf-8",
        };
        fields(&mut head, &script, identity, kind);
        let mut body = body;
        if script.bad == Some(Bad::Json) {
            body.truncate(body.len() / 2);
        }
        let closes = whole_framing(&mut head, &mut body, &script);
        Reply::new(script, head, Source::Whole(body), now, closes)
    }

    /// An answer that comes token by token.
    pub(crate) fn stream(
        script: Rc<Script>,
        identity: Identity,
        stream: Stream,
        now: Nanos,
    ) -> Reply {
        let kind = "text/event-stream; charset=utf-8";
        let (head, closes) = stream_head(&script, identity, kind);
        Reply::new(script, head, Source::Stream(Box::new(stream)), now, closes)
    }

    /// An answer that comes in pieces which are known already.
    pub(crate) fn pieces(
        script: Rc<Script>,
        identity: Identity,
        pieces: Pieces,
        now: Nanos,
    ) -> Reply {
        let (head, closes) = stream_head(&script, identity, pieces.content_type);
        Reply::new(script, head, Source::Pieces(pieces), now, closes)
    }

    /// Ends the connection with this answer, and says so in its head.
    pub(crate) fn close(&mut self) {
        if !self.closes {
            self.head.truncate(self.head.len() - 2);
            self.head.extend_from_slice(b"connection: close\r\n\r\n");
        }
        self.closes = true;
    }

    /// When the body of an answer begun at `now` is due.
    pub(crate) fn first_at(script: &Script, now: Nanos) -> Nanos {
        now.after(script.delay).after(script.first)
    }

    fn new(script: Rc<Script>, head: Vec<u8>, source: Source, now: Nanos, closes: bool) -> Reply {
        Reply {
            due: now.after(script.delay),
            script,
            head,
            source,
            stage: Stage::Head,
            body_bytes: 0,
            closes,
            tokens: 0,
            prompt: 0,
            request_id: None,
            settled: None,
            bodiless: false,
        }
    }

    /// Bytes of the body written so far, framing included.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Tokens that are made before anything is written.
    pub(crate) fn made_at_once(&self) -> u64 {
        if matches!(self.source, Source::Whole(_)) { self.tokens } else { 0 }
    }

    /// Tokens that are made as it is written, and how many are.
    pub(crate) fn made_by_and_by(&self, outcome: Outcome) -> u64 {
        match (&self.source, outcome) {
            (Source::Whole(_), _) => 0,
            (_, Outcome::Whole) => self.tokens,
            (_, Outcome::Cut) => self.chunks().min(self.tokens),
        }
    }

    /// Chunks of a stream written so far.
    pub(crate) fn chunks(&self) -> u64 {
        match &self.source {
            Source::Whole(_) => 0,
            Source::Stream(stream) => stream.chunks(),
            Source::Pieces(pieces) => pieces.count(),
        }
    }

    /// Writes what is due at `now` into `out`.
    pub(crate) fn produce(&mut self, now: Nanos, out: &mut Vec<u8>) -> Next {
        if self.stage == Stage::Head {
            if self.due > now {
                return Next::At(self.due);
            }
            if let Some((fault, Place::Head)) = self.script.fault {
                return Next::Fault(fault);
            }
            out.extend_from_slice(&self.head);
            self.stage = if self.bodiless { Stage::Ended } else { Stage::Body };
            self.due = self.due.after(self.script.first);
            if let Some(fault) = self.fault_struck(out, out.len()) {
                return Next::Fault(fault);
            }
        }
        while self.stage == Stage::Body {
            if self.due > now {
                return Next::At(self.due);
            }
            if out.len() > OUT_BYTES_MAX {
                return Next::Sent;
            }
            let before = out.len();
            self.body_part(now, out);
            if let Some(fault) = self.fault_struck(out, before) {
                return Next::Fault(fault);
            }
        }
        Next::Ended
    }

    fn body_part(&mut self, now: Nanos, out: &mut Vec<u8>) {
        let rest = match &mut self.source {
            Source::Whole(body) if out.is_empty() => {
                std::mem::swap(out, body);
                Rest::Ended
            }
            Source::Whole(body) => {
                out.append(body);
                Rest::Ended
            }
            Source::Stream(stream) => stream.advance(&self.script, now, out),
            Source::Pieces(pieces) => pieces.advance(&self.script, out),
        };
        match rest {
            Rest::At(due) => self.due = due,
            Rest::Ended => self.stage = Stage::Ended,
        }
    }

    /// Counts what was added behind `before`, and cuts it where the fault strikes.
    fn fault_struck(&mut self, out: &mut Vec<u8>, before: usize) -> Option<Fault> {
        let added = (out.len() - before) as u64;
        self.body_bytes += added;
        let Some((fault, Place::Body(at))) = self.script.fault else { return None };
        if self.body_bytes < at {
            return None;
        }
        let excess = self.body_bytes - at;
        out.truncate(out.len() - usize::try_from(excess).unwrap_or(0));
        self.body_bytes = at;
        Some(fault)
    }
}

/// Adds the field that tells the length, puts the body into its framing, ends the head. Returns
/// whether the connection must close behind it.
fn whole_framing(head: &mut Vec<u8>, body: &mut Vec<u8>, script: &Script) -> bool {
    let (form, length) = match script.bad {
        Some(Bad::Both) => (Form::Chunked, Some(body.len())),
        Some(Bad::Long) => (Form::Length, Some(body.len() + 100)),
        Some(Bad::Short) => (Form::Length, Some(body.len().saturating_sub(10))),
        Some(Bad::Chunk) => (Form::Chunked, None),
        _ => (script.framing.unwrap_or(Form::Length), None),
    };
    let has_body = !matches!(script.status, 204 | 304);
    if !has_body {
        body.clear();
    } else if form == Form::Length || length.is_some() {
        let length = length.unwrap_or(body.len());
        write!(head, "content-length: {length}\r\n").expect("a vector takes every write");
    }
    if has_body && form == Form::Chunked {
        head.extend_from_slice(b"transfer-encoding: chunked\r\n");
        let mut framed = Vec::with_capacity(body.len() + 64);
        for (place, part) in body.chunks(script.chunk_bytes.min(16 << 10)).enumerate() {
            stream::frame(&mut framed, part, script.bad == Some(Bad::Chunk) && place == 0);
        }
        framed.extend_from_slice(b"0\r\n\r\n");
        *body = framed;
    }
    let closes = form == Form::Close || matches!(script.bad, Some(Bad::Long | Bad::Short));
    if form == Form::Close {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    closes
}

fn first_line(head: &mut Vec<u8>, script: &Script) {
    if script.bad == Some(Bad::Head) {
        head.extend_from_slice(b"HTTP/1.1 2oo OK\r\nbad field : x\r\n");
        return;
    }
    write!(head, "HTTP/1.1 {} {}\r\n", script.status, phrase(script.status))
        .expect("a vector takes every write");
}

/// The head of a stream, and whether the connection ends behind it.
fn stream_head(script: &Script, identity: Identity, kind: &str) -> (Vec<u8>, bool) {
    let mut head = Vec::with_capacity(512);
    first_line(&mut head, script);
    let kind = match script.bad {
        Some(Bad::Type) => "text/html; charset=utf-8",
        _ => kind,
    };
    fields(&mut head, script, identity, kind);
    head.extend_from_slice(b"cache-control: no-cache\r\n");
    let closes = script.framing == Some(Form::Close);
    if !closes {
        head.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if script.bad == Some(Bad::Both) {
        head.extend_from_slice(b"content-length: 100\r\n");
    }
    if closes {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    (head, closes)
}

/// The fields by which the servers of a dialect are known.
fn native_fields(head: &mut Vec<u8>, script: &Script, identity: Identity) {
    let name: &[u8] = match identity.dialect {
        Dialect::OpenAi | Dialect::Responses => b"x-request-id: req_",
        Dialect::Anthropic | Dialect::RawPredict => b"request-id: req_",
        Dialect::Gemini => b"server: scaffolding on HTTPServer2\r\nx-sim-request-id: ",
        Dialect::Converse | Dialect::Invoke => b"x-amzn-requestid: ",
    };
    head.extend_from_slice(name);
    text::letters(head, !identity.serial, 32);
    let fields: &[u8] = match identity.dialect {
        Dialect::OpenAi | Dialect::Responses => {
            b"openai-version: 2020-10-01\r\nopenai-processing-ms: 7\r\n\
              x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n\
              x-ratelimit-reset-requests: 6ms\r\n"
        }
        Dialect::Anthropic => {
            b"anthropic-ratelimit-requests-limit: 4000\r\n\
              anthropic-ratelimit-requests-remaining: 3999\r\n\
              anthropic-ratelimit-requests-reset: 2026-11-24T00:00:00Z\r\n"
        }
        Dialect::Gemini | Dialect::Converse | Dialect::Invoke | Dialect::RawPredict => b"",
    };
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(fields);
    if matches!(identity.dialect, Dialect::Converse | Dialect::Invoke) && script.status >= 400 {
        let kind = words::aws_type(script.status);
        write!(head, "x-amzn-errortype: {kind}\r\n").expect("a vector takes every write");
    }
}

fn fields(head: &mut Vec<u8>, script: &Script, identity: Identity, kind: &str) {
    head.extend_from_slice(b"content-type: ");
    head.extend_from_slice(kind.as_bytes());
    head.extend_from_slice(b"\r\n");
    native_fields(head, script, identity);
    let mut field = |name: &str, value: &str| {
        write!(head, "{name}: {value}\r\n").expect("a vector takes every write");
    };
    // Gemini says it in the error's body instead.
    if let Some(value) = script.retry_after.as_ref().filter(|_| identity.dialect != Dialect::Gemini)
    {
        field("retry-after", value);
    }
    if let Some(value) = &script.retry_after_ms {
        field("retry-after-ms", value);
    }
    if let Some(value) = script.should_retry {
        field("x-should-retry", if value { "true" } else { "false" });
    }
    if script.head_bytes > 0 {
        field("x-padding", &"p".repeat(script.head_bytes));
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        529 => "Overloaded",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { serial: 1, created: 0, dialect: Dialect::OpenAi };

    fn reply(script: &str) -> Reply {
        let script = Rc::new(Script::parse(script).unwrap());
        Reply::whole(script, IDENTITY, b"{\"a\":\"0123456789\"}".to_vec(), Nanos(0))
    }

    fn text(script: &str) -> (String, Next) {
        let mut out = Vec::new();
        let next = reply(script).produce(Nanos(0), &mut out);
        (String::from_utf8(out).unwrap(), next)
    }

    #[test]
    fn waits_come_before_head_and_body() {
        let mut reply = reply("delay=1ms; first=2ms");
        let mut out = Vec::new();
        assert_eq!(reply.produce(Nanos(0), &mut out), Next::At(Nanos(1_000_000)));
        assert!(out.is_empty());
        assert_eq!(reply.produce(Nanos(1_500_000), &mut out), Next::At(Nanos(3_000_000)));
        assert!(out.ends_with(b"\r\n\r\n"));
        assert_eq!(reply.produce(Nanos(3_000_000), &mut out), Next::Ended);
        assert!(out.ends_with(b"9\"}"));
    }

    #[test]
    fn a_fault_strikes_at_its_byte() {
        let (wire, next) = text("reset_at=5");
        assert!(wire.ends_with("\r\n\r\n{\"a\":"), "{wire}");
        assert_eq!(next, Next::Fault(Fault::Reset));
        let (wire, next) = text("close_at=0");
        assert!(wire.ends_with("\r\n\r\n"));
        assert_eq!(next, Next::Fault(Fault::Close));
        assert_eq!(text("stall_at=head"), (String::new(), Next::Fault(Fault::Stall)));
        assert_eq!(text("stall_at=1000").1, Next::Ended);
    }

    #[test]
    fn framing_is_as_scripted() {
        assert!(text("").0.contains("content-length: 18\r\n"));
        assert!(text("bad=long").0.contains("content-length: 118\r\n"));
        let chunked = text("framing=chunked; chunk_bytes=10").0;
        assert!(
            chunked.ends_with("a\r\n{\"a\":\"0123\r\n8\r\n456789\"}\r\n0\r\n\r\n"),
            "{chunked}"
        );
        assert!(!text("framing=close").0.contains("content-length"));
        assert!(!text("status=204").0.contains("content-length"));
        assert!(text("status=429; retry_after=2").0.contains("retry-after: 2\r\n"));
    }
}
