//! A stream, written.
//!
//! In: [`Delta`]s. Out: chunks as `data:` events, the first of each choice with the role alone, `[DONE]` behind a whole
//! answer only. State: the members that all chunks share, what is known of each choice and call, and the usage, which
//! is told in a chunk of its own behind the last. Nothing that grows with the length of an answer.
//!
//! A thought is written twice: in `reasoning_content`, which most clients show, and in `reasoning_details`, which those
//! that send thoughts back keep, since it alone has a place for signatures.

use faregate_wire::{JsonWriter, quote};

use super::{media, words};
use crate::{
    chat::{Delta, Finish, Media, MediaKind, Source, Start, Usage},
    dialect::{AnswerTerms, ErrorBody, StreamWriter, openai},
};

/// The most choices and calls of one choice that are kept track of.
const TRACKED_MAX: usize = 1024;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct Writer {
    model: String,
    request_id: String,
    created: u64,
    include_usage: bool,
    /// What every chunk begins with, up to its choices; empty until the first is written.
    head: Vec<u8>,
    id: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    is_ended: bool,
}

/// What has been said of a choice.
#[derive(Debug, Default)]
struct Choice {
    is_open: bool,
    is_finished: bool,
    /// Which thought is open, from 0.
    thought: u64,
    images: u64,
    /// Characters of text.
    chars: u64,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Call {
    is_custom: bool,
    has_arguments: bool,
}

impl Writer {
    pub(super) fn new(terms: &AnswerTerms<'_>) -> Self {
        Self {
            model: terms.model.to_owned(),
            request_id: terms.request_id.to_owned(),
            created: terms.created,
            include_usage: terms.include_usage,
            head: Vec::new(),
            id: words::id("", terms),
            choices: Vec::new(),
            usage: None,
            is_ended: false,
        }
    }

    /// Makes the head, unless it is.
    fn begin(&mut self, start: &Start<'_>) {
        if !self.head.is_empty() {
            return;
        }
        if !start.id.is_empty() {
            self.id = start.id.clone().into_owned();
        }
        let model = if start.model.is_empty() { &*self.model } else { &*start.model };
        self.head.extend_from_slice(b"data: ");
        let mut json = JsonWriter::new(&mut self.head);
        json.object().member_str("id", &self.id).member_str("object", "chat.completion.chunk");
        json.member_u64("created", start.created.unwrap_or(self.created));
        json.member_str("model", model);
        if let Some(tier) = &start.tier {
            json.member_str("service_tier", tier);
        }
        json.name("choices");
    }

    /// Opens a choice with its role, unless it is open; `None` when nothing more may be said of it.
    fn open(&mut self, index: u32, out: &mut Vec<u8>) -> Option<&mut Choice> {
        let place = index as usize;
        if place >= TRACKED_MAX {
            return None;
        }
        self.begin(&Start::default());
        if self.choices.len() <= place {
            self.choices.resize_with(place + 1, Choice::default);
        }
        if !self.choices.get(place)?.is_open {
            self.chunk(out, index, |out| {
                out.extend_from_slice(br#"{"role":"assistant","content":"","refusal":null}"#);
            });
        }
        let choice = self.choices.get_mut(place)?;
        choice.is_open = true;
        (!choice.is_finished).then_some(choice)
    }

    /// Writes a chunk with a delta.
    fn chunk(&self, out: &mut Vec<u8>, index: u32, delta: impl FnOnce(&mut Vec<u8>)) {
        self.choice_head(out, index);
        delta(out);
        out.extend_from_slice(br#","logprobs":null,"finish_reason":null}]"#);
        self.chunk_end(out);
    }

    /// Writes a chunk whose delta has one member.
    fn member_chunk(
        &self,
        out: &mut Vec<u8>,
        index: u32,
        name: &str,
        value: impl FnOnce(&mut JsonWriter<'_>),
    ) {
        self.chunk(out, index, |out| {
            let mut json = JsonWriter::new(out);
            json.object().name(name);
            value(&mut json);
            json.end();
        });
    }

    fn choice_head(&self, out: &mut Vec<u8>, index: u32) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"[{"index":"#);
        JsonWriter::new(out).u64(u64::from(index));
        out.extend_from_slice(br#","delta":"#);
    }

    fn chunk_end(&self, out: &mut Vec<u8>) {
        let end: &[u8] = if self.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" };
        out.extend_from_slice(end);
    }

    fn text(&mut self, index: u32, name: &[u8], text: &str, out: &mut Vec<u8>) {
        if self.open(index, out).is_none() {
            return;
        }
        self.chunk(out, index, |out| {
            out.extend_from_slice(name);
            quote(out, text);
            out.push(b'}');
        });
    }

    fn reasoning(&mut self, index: u32, text: &str, out: &mut Vec<u8>) {
        let Some(thought) = self.open(index, out).map(|choice| choice.thought) else { return };
        self.member_chunk(out, index, "reasoning_content", |json| {
            json.str(text).name("reasoning_details").array();
            super::write_thought(json, text, None, false, Some(thought));
            json.end();
        });
    }

    fn signature(&mut self, index: u32, signature: &str, is_redacted: bool, out: &mut Vec<u8>) {
        let Some(choice) = self.open(index, out) else { return };
        let thought = choice.thought;
        choice.thought += 1;
        self.member_chunk(out, index, "reasoning_details", |json| {
            json.array();
            super::write_thought(json, "", Some(signature), is_redacted, Some(thought));
            json.end();
        });
    }

    fn tool_start(
        &mut self,
        index: u32,
        call: u32,
        is_custom: bool,
        out: &mut Vec<u8>,
        names: Names<'_>,
    ) {
        let Some(choice) = self.open(index, out) else { return };
        let place = call as usize;
        if place >= TRACKED_MAX {
            return;
        }
        if choice.calls.len() <= place {
            choice.calls.resize_with(place + 1, Call::default);
        }
        if let Some(call) = choice.calls.get_mut(place) {
            call.is_custom = is_custom;
        }
        let (kind, input) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        self.member_chunk(out, index, "tool_calls", |json| {
            json.array().object().member_u64("index", u64::from(call)).member_str("id", names.id);
            json.member_str("type", kind).name(kind).object().member_str("name", names.name);
            json.member_str(input, "").end();
            if let Some(signature) = names.signature {
                super::write_extra_content(json, signature);
            }
            json.end().end();
        });
    }

    fn tool_arguments(&mut self, index: u32, call: u32, fragment: &str, out: &mut Vec<u8>) {
        let Some(choice) = self.open(index, out) else { return };
        let Some(known) = choice.calls.get_mut(call as usize) else { return };
        known.has_arguments = true;
        let name: &[u8] = match known.is_custom {
            true => br#","custom":{"input":"#,
            false => br#","function":{"arguments":"#,
        };
        self.chunk(out, index, |out| {
            out.extend_from_slice(br#"{"tool_calls":[{"index":"#);
            JsonWriter::new(out).u64(u64::from(call));
            out.extend_from_slice(name);
            quote(out, fragment);
            out.extend_from_slice(b"}}]}");
        });
    }

    fn media(&mut self, index: u32, media: &Media<'_>, out: &mut Vec<u8>) {
        let Some(choice) = self.open(index, out) else { return };
        match (media.kind, &media.source) {
            (MediaKind::Image, source) => {
                let Some(url) = media::url_of(source) else { return };
                let number = choice.images;
                choice.images += 1;
                self.member_chunk(out, index, "images", |json| {
                    json.array();
                    words::write_image(json, &url, number);
                    json.end();
                });
            }
            (MediaKind::Audio, Source::Base64 { data, .. }) => {
                self.member_chunk(out, index, "audio", |json| {
                    json.object().member_str("id", &self.id).member_str("data", data).end();
                });
            }
            _ => {}
        }
    }

    fn citation(
        &mut self,
        index: u32,
        cited: (Option<&str>, Option<&str>, Option<&str>),
        out: &mut Vec<u8>,
    ) {
        let Some(chars) = self.open(index, out).map(|choice| choice.chars) else { return };
        self.member_chunk(out, index, "annotations", |json| {
            json.array();
            words::write_citation(json, cited, chars);
            json.end();
        });
    }

    fn logprobs(&mut self, index: u32, content: &[u8], out: &mut Vec<u8>) {
        if self.open(index, out).is_none() {
            return;
        }
        self.choice_head(out, index);
        out.extend_from_slice(br#"{},"logprobs":{"content":"#);
        let from = out.len();
        out.extend_from_slice(content);
        // A line end would end the event; outside of strings, where alone it can be, a space says the same.
        for byte in out.iter_mut().skip(from).filter(|byte| matches!(**byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        out.extend_from_slice(br#","refusal":null},"finish_reason":null}]"#);
        self.chunk_end(out);
    }

    fn finish(&mut self, index: u32, reason: Finish, out: &mut Vec<u8>) {
        let Some(choice) = self.open(index, out) else { return };
        choice.is_finished = true;
        let calls = std::mem::take(&mut choice.calls);
        for (call, known) in (0_u64..).zip(&calls) {
            if !known.has_arguments && !known.is_custom {
                self.member_chunk(out, index, "tool_calls", |json| {
                    json.array().object().member_u64("index", call).name("function").object();
                    json.member_str("arguments", "{}").end().end().end();
                });
            }
        }
        self.choice_head(out, index);
        out.extend_from_slice(br#"{},"logprobs":null,"finish_reason":"#);
        quote(out, words::finish_name(reason));
        out.extend_from_slice(b"}]");
        self.chunk_end(out);
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        for index in 0..u32::try_from(self.choices.len().max(1)).unwrap_or(u32::MAX) {
            if let Some(choice) = self.open(index, out) {
                let has_calls = !choice.calls.is_empty();
                self.finish(index, if has_calls { Finish::ToolCalls } else { Finish::Stop }, out);
            }
        }
        if let Some(usage) = self.usage.filter(|_| self.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(b"[],\"usage\":");
            words::write_usage(&mut JsonWriter::new(out), &usage);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.is_ended = true;
    }
}

/// What a call is known by.
struct Names<'n> {
    id: &'n str,
    name: &'n str,
    signature: Option<&'n str>,
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        match delta {
            Delta::Start(start) => {
                self.begin(start);
                self.usage = self.usage.or(start.usage);
                self.open(0, out);
            }
            Delta::Text { choice, text } => {
                self.text(*choice, br#"{"content":"#, text, out);
                if let Some(choice) = self.choices.get_mut(*choice as usize) {
                    let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                    choice.chars = choice.chars.saturating_add(chars);
                }
            }
            Delta::Refusal { choice, text } => self.text(*choice, br#"{"refusal":"#, text, out),
            Delta::Reasoning { choice, text } => self.reasoning(*choice, text, out),
            Delta::Signature { choice, signature, redacted } => {
                self.signature(*choice, signature, *redacted, out);
            }
            Delta::ToolStart { choice, call, id, name, custom, signature } => {
                let names = Names { id, name, signature: signature.as_deref() };
                self.tool_start(*choice, *call, *custom, out, names);
            }
            Delta::ToolArguments { choice, call, fragment } => {
                self.tool_arguments(*choice, *call, fragment, out);
            }
            Delta::Media { choice, media } => self.media(*choice, media, out),
            Delta::Citation { choice, url, title, quote } => {
                let cited = (url.as_deref(), title.as_deref(), quote.as_deref());
                self.citation(*choice, cited, out);
            }
            Delta::Logprobs { choice, content } => self.logprobs(*choice, content.raw(), out),
            Delta::Finish { choice, reason, .. } => self.finish(*choice, *reason, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Error(error) => {
                openai::write_error_event(out, &words::error_body(error, &self.request_id));
                self.is_ended = true;
            }
            Delta::Done => self.done(out),
        }
    }

    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_ended, true) {
            openai::write_error_event(out, error);
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}
