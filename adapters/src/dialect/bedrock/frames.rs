//! A stream of Converse as clients read it, frame by frame.
//!
//! In: deltas. Out: frames. Remembered: the block that is open, and those that wait: blocks are told one after the other,
//! so what comes while a call is unfinished waits for it, at most [`WAITING_BYTES_MAX`] bytes. A call is finished when its
//! arguments are a whole object, or when everything has come. Usage comes in the last event, behind `messageStop`.

use std::collections::VecDeque;

use faregate_wire::{JsonWriter, write_event_frame, write_exception_frame};

use super::{
    block::{Block, Kind, Piece},
    write,
};
use crate::{
    chat::{Delta, Error, ErrorKind, Finish, Progress, Usage},
    dialect::{ErrorBody, StreamWriter},
};

/// The most bytes of what waits.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// An event that no client knows, and all step over.
pub(super) const KEEP_ALIVE: &[u8] = b"\
    \x00\x00\x00\x5c\x00\x00\x00\x4a\x0e\xc8\x55\x2d\
    \x0b:event-type\x07\0\x04ping\
    \x0d:content-type\x07\0\x10application/json\
    \x0d:message-type\x07\0\x05event\
    {}\x51\xc5\xa6\xfd";

/// Writes a stream.
#[derive(Debug, Default)]
pub(super) struct Writer {
    has_started: bool,
    next_index: u64,
    open: Option<(u64, Kind)>,
    waiting: VecDeque<Block>,
    waiting_bytes: usize,
    tier: Option<String>,
    has_finished: bool,
    usage: Option<Usage>,
    is_over: bool,
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match delta {
            Delta::Start(start) => {
                self.tier = start.tier.as_deref().map(str::to_owned);
                self.usage = start.usage.or(self.usage);
                self.start(out);
            }
            Delta::Text { choice: 0, text } | Delta::Refusal { choice: 0, text } => {
                self.add_text(Kind::Text, text, out);
            }
            Delta::Reasoning { choice: 0, text } => self.add_text(Kind::Thought, text, out),
            Delta::Signature { choice: 0, signature, redacted } => {
                self.sign(signature, *redacted, out);
            }
            Delta::ToolStart { choice: 0, call, id, name, .. } => {
                let (id, name) = (id.to_string(), name.to_string());
                self.begin(
                    Kind::Call { call: *call, id, name, progress: Progress::default() },
                    out,
                );
            }
            Delta::ToolArguments { choice: 0, call, fragment } => {
                self.argue(*call, fragment, out);
            }
            Delta::Media { choice: 0, media } => self.show(write::image(media), out),
            Delta::Citation { choice: 0, url, title, quote } => {
                self.add_other(Kind::Text, "citation", out, |json| {
                    write::write_citation(json, url.as_deref(), title.as_deref(), quote.as_deref());
                });
            }
            Delta::Finish { choice: 0, reason, stop } => {
                self.finish(Some(*reason), stop.as_deref(), out);
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Error(error) => self.err(error, out),
            Delta::Done => self.done(out),
            _ => {} // another choice, or what Converse has no word for
        }
        self.check_waiting(out);
    }

    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        let kind = ErrorKind::of_status(error.status);
        let mut json = Vec::new();
        write::write_error(&mut json, error);
        self.end_with(exception_of(kind), &json, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.is_over {
            write_event_frame(out, "ping", b"{}");
        }
    }
}

impl Writer {
    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.has_started {
            self.has_started = true;
            write_event_frame(out, "messageStart", br#"{"role":"assistant"}"#);
        }
    }

    /// Makes a block of this kind the last, unless it is.
    fn turn_to(&mut self, kind: Kind, out: &mut Vec<u8>) {
        let is_last = match (self.waiting.back(), &self.open) {
            (Some(last), _) => !last.is_sealed && last.kind.takes(&kind),
            (None, Some((_, last))) => last.takes(&kind),
            (None, None) => false,
        };
        if !is_last {
            self.begin(kind, out);
        }
    }

    fn add_text(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        if self.has_finished {
            return;
        }
        self.turn_to(kind, out);
        match (self.waiting.back_mut(), &self.open) {
            (Some(block), _) => self.waiting_bytes += block.add_text(text),
            (None, Some((index, kind))) => {
                block_delta(*index, out, |json| kind.write_text(json, text));
            }
            (None, None) => {}
        }
    }

    fn add_other(
        &mut self,
        kind: Kind,
        name: &'static str,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut JsonWriter<'_>),
    ) {
        if self.has_finished {
            return;
        }
        self.turn_to(kind, out);
        match (self.waiting.back_mut(), &self.open) {
            (Some(block), _) => self.waiting_bytes += block.add_other(name, write),
            (None, Some((index, _))) => block_delta(*index, out, |json| write(json.name(name))),
            (None, None) => {}
        }
    }

    fn sign(&mut self, signature: &str, redacted: bool, out: &mut Vec<u8>) {
        let blob;
        let (kind, member, value) = if redacted {
            blob = super::opaque::to_blob(signature);
            (Kind::Redacted, "redactedContent", &*blob)
        } else {
            (Kind::Thought, "signature", signature)
        };
        self.add_other(kind, "reasoningContent", out, |json| {
            json.object().member_str(member, value).end();
        });
        self.seal(out);
    }

    fn show(&mut self, image: Option<(&'static str, &str)>, out: &mut Vec<u8>) {
        let Some((format, data)) = image else { return };
        self.add_other(Kind::Image { format }, "image", out, |json| {
            json.object().name("source").object().member_str("bytes", data).end().end();
        });
        self.seal(out);
    }

    /// Nothing more goes into the last block.
    fn seal(&mut self, out: &mut Vec<u8>) {
        match self.waiting.back_mut() {
            Some(block) => block.is_sealed = true,
            None => self.stop_open(out),
        }
    }

    /// Opens a block, or lets it wait for the call that is open.
    fn begin(&mut self, kind: Kind, out: &mut Vec<u8>) {
        if self.has_finished {
            return;
        }
        self.start(out);
        let block = Block::new(kind);
        self.waiting_bytes += block.bytes();
        self.waiting.push_back(block);
        self.advance(false, out);
    }

    fn argue(&mut self, call: u32, fragment: &str, out: &mut Vec<u8>) {
        if let Some((index, kind)) = self.open.as_mut().filter(|(_, kind)| kind.is_call(call)) {
            kind.feed(fragment);
            block_delta(*index, out, |json| kind.write_text(json, fragment));
            self.advance(false, out);
        } else if let Some(block) = self.waiting.iter_mut().find(|block| block.kind.is_call(call)) {
            block.kind.feed(fragment);
            self.waiting_bytes += block.add_text(fragment);
        }
    }

    /// Tells what waits, one block after the other, until a call is unfinished; `all` when nothing more comes.
    fn advance(&mut self, all: bool, out: &mut Vec<u8>) {
        while all || self.open.as_ref().is_none_or(|(_, kind)| kind.is_done()) {
            let Some(block) = self.waiting.pop_front() else { break };
            self.stop_open(out);
            self.tell(block, out);
        }
        if self.waiting.is_empty() {
            self.waiting_bytes = 0;
        }
    }

    fn tell(&mut self, block: Block, out: &mut Vec<u8>) {
        let index = self.next_index;
        self.next_index += 1;
        if block.kind.is_announced() {
            event(out, "contentBlockStart", |json| {
                block.kind.write_start(json.name("start").object());
                json.end().member_u64("contentBlockIndex", index);
            });
        }
        for piece in &block.pieces {
            block_delta(index, out, |json| match piece {
                Piece::Text(text) => block.kind.write_text(json, text),
                Piece::Other(name, value) => _ = json.name(name).raw(value),
            });
        }
        self.open = Some((index, block.kind));
        if block.is_sealed {
            self.stop_open(out);
        }
    }

    /// Ends the stream when too much waits.
    fn check_waiting(&mut self, out: &mut Vec<u8>) {
        if !self.is_over && self.waiting_bytes > WAITING_BYTES_MAX {
            let json = br#"{"message":"what waits for an unfinished tool call is too large"}"#;
            self.end_with("modelStreamErrorException", json, out);
        }
    }

    fn stop_open(&mut self, out: &mut Vec<u8>) {
        let Some((index, _)) = self.open.take() else { return };
        event(out, "contentBlockStop", |json| {
            json.member_u64("contentBlockIndex", index);
        });
    }

    fn finish(&mut self, reason: Option<Finish>, stop: Option<&str>, out: &mut Vec<u8>) {
        if self.has_finished {
            return;
        }
        self.start(out);
        self.advance(true, out);
        self.stop_open(out);
        self.has_finished = true;
        event(out, "messageStop", |json| {
            json.member_str("stopReason", write::stop_reason(reason, stop.is_some()));
            write::stop_text(json, stop);
        });
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.finish(None, None, out);
        self.is_over = true;
        let Some(usage) = self.usage else { return };
        event(out, "metadata", |json| {
            json.name("usage");
            write::write_usage(json, &usage);
            json.name("metrics").object().member_u64("latencyMs", 0).end();
            write::tier(json, self.tier.as_deref());
        });
    }

    fn err(&mut self, error: &Error<'_>, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        let mut json = JsonWriter::new(&mut text);
        json.object().member_str("message", &error.message);
        if let Some(code) = &error.code {
            json.member_str("errorCode", code);
        }
        json.end();
        self.end_with(exception_of(error.kind), &text, out);
    }

    /// Ends the stream with an exception. Blocks stay open, as Bedrock itself leaves them: nobody may take a call for whole
    /// that is not.
    fn end_with(&mut self, exception: &str, json: &[u8], out: &mut Vec<u8>) {
        self.waiting.clear();
        self.is_over = true;
        write_exception_frame(out, exception, json);
    }
}

/// The exception of a stream for a kind of error.
const fn exception_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::RateLimit | ErrorKind::Billing => "throttlingException",
        ErrorKind::Overloaded => "serviceUnavailableException",
        ErrorKind::InvalidRequest
        | ErrorKind::TooLarge
        | ErrorKind::NotFound
        | ErrorKind::Authentication
        | ErrorKind::Permission => "validationException",
        ErrorKind::Api => "internalServerException",
        ErrorKind::Timeout => "modelStreamErrorException",
    }
}

fn event(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut JsonWriter<'_>)) {
    let mut text = Vec::with_capacity(128);
    let mut json = JsonWriter::new(&mut text);
    json.object();
    members(&mut json);
    json.end();
    write_event_frame(out, name, &text);
}

fn block_delta(index: u64, out: &mut Vec<u8>, delta: impl FnOnce(&mut JsonWriter<'_>)) {
    event(out, "contentBlockDelta", |json| {
        json.name("delta").object();
        delta(json);
        json.end().member_u64("contentBlockIndex", index);
    });
}
