//! A stream, written for a client: events, or one JSON array.
//!
//! In: deltas. Out: chunks, each a `GenerateContentResponse`. Clients take a `finishReason` for the end, so it is written
//! when all has come, with the usage; a stream that was broken off has none. Every chunk has a part: `google-genai` drops
//! the history of a chat when one has not. Calls are written whole, as the API does: their arguments are held back, at
//! most [`CALL_BYTES_MAX`] bytes of them, and so are the sources, at most [`SOURCES_MAX`] of them.
//!
//! A silent stream is kept alive by an empty line, not by a comment: `google-genai` for Python takes a comment for data.

use std::collections::VecDeque;

use faregate_wire::JsonWriter;

use super::{
    error,
    parts::{self, Call, Cited},
    turns::is_object,
    usage,
};
use crate::{
    chat::{Delta, Finish, Start, Usage},
    dialect::{AnswerTerms, ErrorBody, StreamWriter},
};

/// The most bytes of arguments that are held back.
const CALL_BYTES_MAX: usize = 8 << 20;

/// The most sources that are held back; further ones are not told.
const SOURCES_MAX: usize = 512;

/// The most choices that are told apart.
const CHOICES_MAX: usize = 128;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    is_array: bool,
    has_begun: bool,
    has_ended: bool,
    id: String,
    model: String,
    usage: Option<Usage>,
    choices: Vec<Choice>,
    /// Bytes of arguments held back.
    held: usize,
}

#[derive(Debug, Default)]
struct Choice {
    calls: VecDeque<HeldCall>,
    sources: Vec<Source>,
    finish: Option<Finish>,
}

#[derive(Debug)]
struct HeldCall {
    call: u32,
    id: String,
    name: String,
    arguments: String,
    custom: bool,
    signature: Option<String>,
}

#[derive(Debug)]
struct Source {
    url: Option<String>,
    title: Option<String>,
    quote: Option<String>,
}

impl Writer {
    pub(super) fn new(terms: &AnswerTerms<'_>) -> Self {
        Self {
            is_array: terms.json_array,
            has_begun: false,
            has_ended: false,
            id: terms.request_id.to_owned(),
            model: terms.model.to_owned(),
            usage: None,
            choices: Vec::new(),
            held: 0,
        }
    }

    fn begin(&mut self, start: &Start<'_>) {
        if !start.id.is_empty() {
            self.id = start.id.clone().into_owned();
        }
        if !start.model.is_empty() {
            self.model = start.model.clone().into_owned();
        }
        self.usage = start.usage.or(self.usage);
    }

    fn choice(&mut self, index: u32) -> Option<&mut Choice> {
        let index = usize::try_from(index).ok().filter(|index| *index < CHOICES_MAX)?;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        self.choices.get_mut(index)
    }

    /// Writes a chunk with one part, behind the calls that are complete.
    fn part(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut JsonWriter<'_>)) {
        self.release(choice, false, out);
        self.content(choice, out, write);
    }

    fn content(&mut self, choice: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut JsonWriter<'_>)) {
        if self.choice(choice).is_some() {
            self.chunk(out, |json, _| {
                json.object().name("content").object().name("parts").array();
                write(json);
                json.end().member_str("role", "model").end();
                json.member_u64("index", u64::from(choice)).end();
            });
        }
    }

    /// Writes a chunk; `candidates` writes what is in the list.
    fn chunk(&mut self, out: &mut Vec<u8>, candidates: impl FnOnce(&mut JsonWriter<'_>, &Self)) {
        self.open(out);
        let mut json = JsonWriter::new(out);
        json.object().name("candidates").array();
        candidates(&mut json, self);
        json.end();
        if let Some(usage) = self.usage.filter(|_| self.has_ended) {
            usage::write(json.name("usageMetadata"), &usage);
        }
        json.member_str("modelVersion", &self.model).member_str("responseId", &self.id).end();
        self.close(out);
    }

    /// What stands before a chunk.
    fn open(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.is_array, self.has_begun) {
            (true, false) => b"[",
            (true, true) => b",\r\n",
            (false, _) => b"data: ",
        });
        self.has_begun = true;
    }

    /// What stands behind a chunk.
    fn close(&self, out: &mut Vec<u8>) {
        match (self.is_array, self.has_ended) {
            (true, true) => out.push(b']'),
            (true, false) => {}
            (false, _) => out.extend_from_slice(b"\r\n\r\n"),
        }
    }

    /// Writes the calls of a choice that are complete, up to the first that is not; all of them at the end.
    fn release(&mut self, choice: u32, is_end: bool, out: &mut Vec<u8>) {
        let Some(held) = self.choice(choice).map(|choice| &mut choice.calls) else { return };
        let is_complete = |call: &HeldCall| is_end || (!call.custom && is_object(&call.arguments));
        let count = held.iter().take_while(|call| is_complete(call)).count();
        if count == 0 {
            return;
        }
        let calls: Vec<HeldCall> = held.drain(..count).collect();
        self.held -= calls.iter().map(|call| call.arguments.len()).sum::<usize>();
        self.content(choice, out, |json| {
            for call in &calls {
                parts::write_call(
                    json,
                    &Call {
                        id: &call.id,
                        name: &call.name,
                        arguments: &call.arguments,
                        custom: call.custom,
                        signature: call.signature.as_deref(),
                    },
                );
            }
        });
    }

    fn hold(&mut self, choice: u32, call: u32, fragment: &str, out: &mut Vec<u8>) {
        if self.held + fragment.len() > CALL_BYTES_MAX {
            let request_id = self.id.clone();
            let error = ErrorBody {
                status: 502,
                message: "the arguments of a tool call are too long",
                kind: "api_error",
                code: "upstream_answer_too_large",
                param: None,
                request_id: &request_id,
                extra: None,
            };
            self.fail(&error, out);
            return;
        }
        let calls = self.choice(choice).map(|choice| &mut choice.calls);
        let held = calls.and_then(|calls| calls.iter_mut().rev().find(|held| held.call == call));
        if let Some(held) = held {
            held.arguments.push_str(fragment);
            self.held += fragment.len();
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let _ = self.choice(0);
        for choice in (0..).take(self.choices.len()) {
            self.release(choice, true, out);
        }
        self.has_ended = true;
        self.chunk(out, |json, writer| {
            for (index, choice) in (0..).zip(&writer.choices) {
                json.object().name("content").object().name("parts").array();
                parts::write_text(json, "", false);
                json.end().member_str("role", "model").end();
                parts::write_finish(json, choice.finish);
                json.member_u64("index", index);
                let sources = choice.sources.iter().map(|source| Cited {
                    url: source.url.as_deref(),
                    title: source.title.as_deref(),
                    quote: source.quote.as_deref(),
                });
                parts::write_sources(json, &sources.collect::<Vec<_>>());
                json.end();
            }
        });
    }

    /// Ends the stream with what `write` appends.
    fn end_with(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.has_ended {
            self.open(out);
            write(out);
            self.has_ended = true;
            self.close(out);
        }
    }
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.has_ended {
            return;
        }
        match delta {
            Delta::Start(start) => self.begin(start),
            Delta::Text { choice, text } | Delta::Refusal { choice, text } => {
                self.part(*choice, out, |json| parts::write_text(json, text, false));
            }
            Delta::Reasoning { choice, text } => {
                self.part(*choice, out, |json| parts::write_text(json, text, true));
            }
            Delta::Signature { choice, signature, redacted } => {
                self.part(*choice, out, |json| parts::write_signed(json, "", signature, *redacted));
            }
            Delta::Media { choice, media } => {
                self.part(*choice, out, |json| parts::write_media(json, media));
            }
            Delta::ToolStart { choice, call, id, name, custom, signature } => {
                self.release(*choice, false, out);
                let held = HeldCall {
                    call: *call,
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    arguments: String::new(),
                    custom: *custom,
                    signature: signature.as_deref().map(str::to_owned),
                };
                if let Some(choice) = self.choice(*choice) {
                    choice.calls.push_back(held);
                }
            }
            Delta::ToolArguments { choice, call, fragment } => {
                self.hold(*choice, *call, fragment, out);
            }
            Delta::Citation { choice, url, title, quote } => {
                let owned = |text: &Option<_>| text.as_ref().map(ToString::to_string);
                let source = Source { url: owned(url), title: owned(title), quote: owned(quote) };
                let sources = self.choice(*choice).map(|choice| &mut choice.sources);
                if let Some(sources) = sources.filter(|sources| sources.len() < SOURCES_MAX) {
                    sources.push(source);
                }
            }
            Delta::Logprobs { choice, content } if self.choice(*choice).is_some() => {
                let array = [content.raw().to_vec()];
                self.chunk(out, |json, _| {
                    json.object().name("content").object().name("parts").array();
                    parts::write_text(json, "", false);
                    json.end().member_str("role", "model").end();
                    json.member_u64("index", u64::from(*choice));
                    parts::write_logprobs(json, &array);
                    json.end();
                });
            }
            Delta::Logprobs { .. } => {}
            Delta::Finish { choice, reason, .. } => {
                if let Some(choice) = self.choice(*choice) {
                    choice.finish = Some(*reason);
                }
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Error(error) => self.end_with(out, |out| error::write_told(out, error)),
            Delta::Done => self.end(out),
        }
    }

    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        self.end_with(out, |out| error::write(out, error));
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match (self.has_ended, self.is_array) {
            (true, _) => {}
            (false, true) => out.push(b' '),
            (false, false) => out.extend_from_slice(KEEP_ALIVE),
        }
    }
}

/// An empty line: no event.
pub(super) const KEEP_ALIVE: &[u8] = b"\r\n";

#[cfg(test)]
mod tests;
