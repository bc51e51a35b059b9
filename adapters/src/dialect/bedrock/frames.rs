//! A stream of Converse as clients read it, frame by frame.
//!
//! In: deltas. Out: frames. Remembered: which blocks are open; calls that wait, since calls are told one after the other
//! and a provider may interleave them: their arguments are kept, at most [`WAITING_BYTES_MAX`] bytes of all together,
//! until the call before them is whole. Text and thoughts are blocks of their own beside an open call. Usage comes in the
//! last event, behind `messageStop`.

use faregate_wire::{JsonWriter, write_event_frame, write_exception_frame};

use super::write;
use crate::{
    chat::{Delta, Error, ErrorKind, Finish, Usage},
    dialect::{ErrorBody, StreamWriter},
};

/// The most bytes of calls that wait.
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
    /// The block of text or thought that is open.
    prose: Option<(Prose, u64)>,
    /// The call that is being told.
    call: Option<Told>,
    waiting: Vec<Waiting>,
    tier: Option<String>,
    has_finished: bool,
    usage: Option<Usage>,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prose {
    Text,
    Thought,
}

/// A call whose block is open.
#[derive(Debug)]
struct Told {
    call: u32,
    index: u64,
    arguments: Progress,
}

/// A call that waits for the one before it.
#[derive(Debug)]
struct Waiting {
    call: u32,
    id: String,
    name: String,
    arguments: String,
}

/// How far the JSON text of arguments has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
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
                self.say(Prose::Text, out, |json| {
                    json.member_str("text", text);
                });
            }
            Delta::Reasoning { choice: 0, text } => self.think(out, "text", text),
            Delta::Signature { choice: 0, signature, redacted } => {
                self.sign(signature, *redacted, out);
            }
            Delta::ToolStart { choice: 0, call, id, name, .. } => {
                let (id, name) = (id.to_string(), name.to_string());
                let waiting = Waiting { call: *call, id, name, arguments: String::new() };
                self.wait(waiting, out);
            }
            Delta::ToolArguments { choice: 0, call, fragment } => {
                self.argue(*call, fragment, out);
            }
            Delta::Media { choice: 0, media } => self.show(write::image(media), out),
            Delta::Citation { choice: 0, url, title, quote } => {
                self.say(Prose::Text, out, |json| {
                    json.name("citation");
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

    /// Adds to the block of this kind of prose; opens it if need be.
    fn say(&mut self, prose: Prose, out: &mut Vec<u8>, delta: impl FnOnce(&mut JsonWriter<'_>)) {
        if self.has_finished {
            return;
        }
        self.start(out);
        self.tell_waiting(out);
        let index = match self.prose {
            Some((open, index)) if open == prose => index,
            _ => {
                self.stop_prose(out);
                let index = self.take_index();
                self.prose = Some((prose, index));
                index
            }
        };
        block_delta(index, out, delta);
    }

    fn think(&mut self, out: &mut Vec<u8>, member: &str, text: &str) {
        self.say(Prose::Thought, out, |json| {
            json.name("reasoningContent").object().member_str(member, text).end();
        });
    }

    fn sign(&mut self, signature: &str, redacted: bool, out: &mut Vec<u8>) {
        if redacted {
            self.stop_prose(out);
            self.think(out, "redactedContent", &super::opaque::to_blob(signature));
        } else {
            self.think(out, "signature", signature);
        }
        self.stop_prose(out);
    }

    fn show(&mut self, image: Option<(&str, &str)>, out: &mut Vec<u8>) {
        let Some((format, data)) = image.filter(|_| !self.has_finished) else { return };
        self.start(out);
        self.stop_prose(out);
        let index = self.take_index();
        event(out, "contentBlockStart", |json| {
            json.name("start").object().name("image").object();
            json.member_str("format", format).end().end().member_u64("contentBlockIndex", index);
        });
        block_delta(index, out, |json| {
            json.name("image").object().name("source").object();
            json.member_str("bytes", data).end().end();
        });
        block_stop(index, out);
    }

    fn wait(&mut self, waiting: Waiting, out: &mut Vec<u8>) {
        if self.has_finished {
            return;
        }
        self.start(out);
        self.stop_prose(out);
        self.waiting.push(waiting);
        self.tell_waiting(out);
        self.check_waiting(out);
    }

    fn argue(&mut self, call: u32, fragment: &str, out: &mut Vec<u8>) {
        if let Some(told) = self.call.as_mut().filter(|told| told.call == call) {
            told.arguments.take(fragment);
            arguments(told.index, fragment, out);
        } else if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.call == call) {
            waiting.arguments.push_str(fragment);
            self.check_waiting(out);
        }
    }

    /// Tells calls that wait as long as the one before them is whole.
    fn tell_waiting(&mut self, out: &mut Vec<u8>) {
        while self.call.as_ref().is_none_or(|told| told.arguments.is_whole()) {
            self.stop_call(out);
            if self.waiting.is_empty() {
                return;
            }
            let next = self.waiting.remove(0);
            self.tell(&next, out);
        }
    }

    fn tell(&mut self, next: &Waiting, out: &mut Vec<u8>) {
        let index = self.take_index();
        event(out, "contentBlockStart", |json| {
            json.name("start").object().name("toolUse").object();
            json.member_str("toolUseId", &next.id).member_str("name", &next.name).end().end();
            json.member_u64("contentBlockIndex", index);
        });
        let mut progress = Progress::default();
        if !next.arguments.is_empty() {
            progress.take(&next.arguments);
            arguments(index, &next.arguments, out);
        }
        self.call = Some(Told { call: next.call, index, arguments: progress });
    }

    /// Ends the stream when too much waits.
    fn check_waiting(&mut self, out: &mut Vec<u8>) {
        let of = |one: &Waiting| one.id.len() + one.name.len() + one.arguments.len() + 64;
        if self.waiting.iter().map(of).sum::<usize>() > WAITING_BYTES_MAX {
            let json = br#"{"message":"interleaved tool calls are too large"}"#;
            self.end_with("modelStreamErrorException", json, out);
        }
    }

    fn stop_prose(&mut self, out: &mut Vec<u8>) {
        if let Some((_, index)) = self.prose.take() {
            block_stop(index, out);
        }
    }

    fn stop_call(&mut self, out: &mut Vec<u8>) {
        if let Some(told) = self.call.take() {
            block_stop(told.index, out);
        }
    }

    fn stop_all(&mut self, out: &mut Vec<u8>) {
        self.stop_prose(out);
        self.stop_call(out);
        for waiting in std::mem::take(&mut self.waiting) {
            self.tell(&waiting, out);
            self.stop_call(out);
        }
    }

    fn finish(&mut self, reason: Option<Finish>, stop: Option<&str>, out: &mut Vec<u8>) {
        if self.has_finished {
            return;
        }
        self.start(out);
        self.stop_all(out);
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

    fn take_index(&mut self) -> u64 {
        self.next_index += 1;
        self.next_index - 1
    }
}

impl Progress {
    fn take(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.begun |= self.depth > 0;
        }
    }

    const fn is_whole(self) -> bool {
        self.begun && self.depth == 0
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

fn arguments(index: u64, fragment: &str, out: &mut Vec<u8>) {
    block_delta(index, out, |json| {
        json.name("toolUse").object().member_str("input", fragment).end();
    });
}

fn block_stop(index: u64, out: &mut Vec<u8>) {
    event(out, "contentBlockStop", |json| {
        json.member_u64("contentBlockIndex", index);
    });
}
