//! A streamed answer, event by event.
//!
//! In: what was asked, the script, the time. Out: events, already in the chunked coding when that is
//! asked for. Remembered: which event comes next and when it is due; the due times are laid out from
//! the first one, so a late event does not delay those behind it.
//! Format: <https://platform.openai.com/docs/api-reference/chat-streaming>

use std::io::Write as _;
use std::rc::Rc;

use super::ask::{Ask, Surface};
use super::plain::{self, Identity, Used};
use super::refusal::error_body;
use super::script::{Bad, Form, Script, UsageForm};
use super::text;
use crate::clock::Nanos;

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Stream {
    ask: Rc<Ask>,
    identity: Identity,
    used: Used,
    /// The members every chunk begins with.
    prefix: Vec<u8>,
    event: Vec<u8>,
    choice: Vec<u8>,
    tokens: u64,
    next: u64,
    chunks: u64,
    first_at: Nanos,
}

/// What remains of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The next event is due then.
    At(Nanos),
    /// Nothing: the end is written.
    Ended,
}

impl Stream {
    /// A stream whose first token is due at `first_at`.
    pub(crate) fn new(ask: Rc<Ask>, identity: Identity, used: Used, first_at: Nanos) -> Stream {
        let mut prefix = b"data: ".to_vec();
        plain::members(&mut prefix, &ask, identity, true);
        prefix.extend_from_slice(b"\"choices\":[");
        let tokens = used.completion / ask.choices.max(1);
        let event = Vec::with_capacity(512);
        let choice = Vec::new();
        Stream { ask, identity, used, prefix, event, choice, tokens, next: 0, chunks: 0, first_at }
    }

    /// Chunks written so far.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Writes the next token, with the opening before the first and the end behind the last.
    pub(crate) fn advance(&mut self, script: &Script, now: Nanos, out: &mut Vec<u8>) -> Rest {
        if script.error_at == Some(self.next) {
            self.error(script, out);
            return Rest::Ended;
        }
        if self.next == 0 && self.ask.surface == Surface::Chat {
            self.tokens_of(
                script,
                now,
                out,
                &[br#"{"role":"assistant","content":"","refusal":null}"#],
            );
        }
        if self.next < self.tokens {
            let word = text::word(self.ask.seed, self.next).as_bytes();
            let blank: &[u8] = if self.next == 0 { b"" } else { b" " };
            match self.ask.surface {
                Surface::Chat => {
                    self.tokens_of(script, now, out, &[b"{\"content\":\"", blank, word, b"\"}"]);
                }
                _ => self.tokens_of(script, now, out, &[blank, word]),
            }
            self.next += 1;
        }
        if self.next < self.tokens || script.error_at == Some(self.next) {
            return Rest::At(self.due(script));
        }
        self.end(script, now, out);
        Rest::Ended
    }

    fn due(&self, script: &Script) -> Nanos {
        self.first_at.after(script.chunk.saturating_mul(u32::try_from(self.next).unwrap_or(0)))
    }

    /// One chunk for each choice, with the delta that `parts` make up.
    fn tokens_of(&mut self, script: &Script, now: Nanos, out: &mut Vec<u8>, parts: &[&[u8]]) {
        const REST: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}";
        for choice in 0..self.ask.choices {
            let mut text = std::mem::take(&mut self.choice);
            text.clear();
            let is_chat = self.ask.surface == Surface::Chat;
            if is_chat {
                write!(text, r#"{{"index":{choice},"delta":"#).expect("a vector takes every write");
            } else {
                text.extend_from_slice(b"{\"text\":\"");
            }
            parts.iter().for_each(|part| text.extend_from_slice(part));
            if !is_chat {
                write!(text, r#"","index":{choice}"#).expect("a vector takes every write");
            }
            text.extend_from_slice(REST);
            self.chunk(script, now, out, &text, UsageForm::Every);
            self.choice = text;
        }
    }

    fn end(&mut self, script: &Script, now: Nanos, out: &mut Vec<u8>) {
        let finish = plain::finish_reason(&self.ask, script);
        for choice in 0..self.ask.choices {
            let delta = match self.ask.surface {
                Surface::Chat => r#""delta":{}"#,
                _ => r#""text":"""#,
            };
            let choice = format!(
                r#"{{"index":{choice},{delta},"logprobs":null,"finish_reason":"{finish}"}}"#
            );
            self.chunk(script, now, out, choice.as_bytes(), UsageForm::Merged);
        }
        if self.ask.include_usage && script.usage == UsageForm::Asked {
            self.chunk(script, now, out, b"", UsageForm::Asked);
        }
        if script.done {
            self.event.clear();
            self.event.extend_from_slice(b"data: [DONE]");
            self.send(script, out);
        }
        finish_framing(script, out);
    }

    fn error(&mut self, script: &Script, out: &mut Vec<u8>) {
        let message = "The server had an error while processing your request. Sorry about that!";
        self.event.clear();
        self.event.extend_from_slice(b"data: ");
        self.event.extend(error_body(message, "server_error", None, None));
        self.send(script, out);
        finish_framing(script, out);
    }

    /// One chunk; `place` says which form of usage report it is the place for.
    fn chunk(
        &mut self,
        script: &Script,
        now: Nanos,
        out: &mut Vec<u8>,
        choice: &[u8],
        place: UsageForm,
    ) {
        self.event.clear();
        if script.bad == Some(Bad::Json) {
            self.event.extend_from_slice(b"data: {\"id\":<html>");
            return self.send(script, out);
        }
        self.event.extend_from_slice(&self.prefix);
        self.event.extend_from_slice(choice);
        self.event.push(b']');
        self.usage(script, place);
        if script.stamp {
            write!(self.event, ",\"sim_ns\":\"{:020}\"", now.0)
                .expect("a vector takes every write");
        }
        if script.pad > 0 {
            self.event.extend_from_slice(b",\"obfuscation\":\"");
            text::letters(&mut self.event, self.identity.serial ^ self.chunks, script.pad);
            self.event.push(b'"');
        }
        self.event.push(b'}');
        self.chunks += 1;
        self.send(script, out);
    }

    fn usage(&mut self, script: &Script, place: UsageForm) {
        let here = match script.usage {
            UsageForm::Every => true,
            UsageForm::First => self.chunks == 0,
            form => form == place && (form != UsageForm::Asked || self.ask.include_usage),
        };
        let so_far = match place {
            UsageForm::Every => (self.next + 1).min(self.tokens) * self.ask.choices,
            _ => self.used.completion,
        };
        if here && script.usage != UsageForm::Never {
            self.event.extend_from_slice(b",\"usage\":");
            plain::usage(&mut self.event, Used { completion: so_far, ..self.used });
        } else if self.ask.include_usage && script.usage != UsageForm::Never {
            self.event.extend_from_slice(b",\"usage\":null");
        }
    }

    /// Ends the event's line and puts the event into `out`.
    fn send(&mut self, script: &Script, out: &mut Vec<u8>) {
        let line_end = script.line_end.as_bytes();
        if script.comments {
            let comment = [b": waiting".as_slice(), line_end, line_end].concat();
            self.event.splice(0..0, comment);
        }
        self.event.extend_from_slice(line_end);
        self.event.extend_from_slice(line_end);
        if script.framing == Some(Form::Close) {
            out.extend_from_slice(&self.event);
            return;
        }
        let broken = script.bad == Some(Bad::Chunk) && self.chunks == 2;
        for part in self.event.chunks(script.chunk_bytes) {
            frame(out, part, broken);
        }
    }
}

/// One chunk of the chunked coding.
pub(crate) fn frame(out: &mut Vec<u8>, part: &[u8], broken: bool) {
    if broken {
        out.extend_from_slice(b"zz\r\n");
    } else {
        write!(out, "{:x}\r\n", part.len()).expect("a vector takes every write");
    }
    out.extend_from_slice(part);
    out.extend_from_slice(b"\r\n");
}

/// The last chunk, if the script has chunks.
pub(crate) fn finish_framing(script: &Script, out: &mut Vec<u8>) {
    if script.framing != Some(Form::Close) {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}
