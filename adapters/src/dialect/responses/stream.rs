//! Streams, written.
//!
//! In: deltas. Out: events, each with its `sequence_number`. State: the items so far, with their text, because the API
//! repeats every text when its part is done, when its item is done, and once more in the response at the end; at most
//! [`HELD_BYTES_MAX`] bytes of it, then the stream fails. Texts and thoughts are done when something else begins; a call of a
//! tool when the next one begins, or at the end. Where a provider interleaves calls, those behind the first wait for it:
//! clients mix up the fragments of two calls (LangChain does).
//!
//! A stream that fails ends with `error` (where the SDKs raise) and `response.failed` (where Codex looks). What was open
//! then is not declared done: a client must not run half a call.

mod ending;

use std::collections::VecDeque;

use ending::place;

use super::{
    answer::image_data,
    error,
    output::{Body, Content, Ending, Envelope, Fault, Item, Status, write_summary},
};
use crate::{
    chat::{Delta, ErrorKind, Finish, Progress, Source, Start, Usage},
    dialect::{AnswerTerms, ErrorBody, StreamWriter},
};

/// The most bytes of text, arguments and images that are held for the end.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What an item counts beside its text, so that many small ones are bounded too.
const ITEM_BYTES: usize = 256;

/// Writes a stream.
#[derive(Debug)]
pub(super) struct Writer {
    /// The model that the client asked for.
    model: String,
    request_id: String,
    created: u64,
    envelope: Envelope,
    phase: Phase,
    sequence: u64,
    items: Vec<Item>,
    /// The message or the thought that is open.
    prose: Option<usize>,
    /// The call that is open.
    call: Option<Call>,
    /// The calls that wait for it to be whole, with their fragments so far.
    waiting: VecDeque<Waiting>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    held: usize,
}

/// A call whose fragments are passed on.
#[derive(Debug)]
struct Call {
    number: u32,
    /// Its place among the items.
    index: usize,
    progress: Progress,
}

/// A call that is not yet told of.
#[derive(Debug)]
struct Waiting {
    number: u32,
    body: Body,
    fragments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing was written.
    Before,
    /// The response is told of.
    Open,
    /// The choice has finished: nothing is open.
    Finished,
    /// The last event is written.
    Ended,
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            _ if self.phase == Phase::Ended => {}
            Delta::Start(start) => self.start(start, out),
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Error(told) => self.end_failed(
                told.kind,
                &Fault {
                    kind: error::type_for(told.kind),
                    code: told.code.as_deref().unwrap_or(error::type_for(told.kind)),
                    message: &told.message,
                    param: told.param.as_deref(),
                },
                out,
            ),
            Delta::Done => self.end(out),
            _ if self.phase == Phase::Finished => {}
            content => {
                self.start(&Start::default(), out);
                self.content(content, out);
            }
        }
    }

    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        let kind = ErrorKind::of_status(error.status);
        let fault = Fault {
            kind: error.kind,
            code: error.code,
            message: error.message,
            param: error.param,
        };
        self.end_failed(kind, &fault, out);
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl Writer {
    pub(super) fn new(terms: &AnswerTerms<'_>) -> Self {
        Self {
            model: terms.model.to_owned(),
            request_id: terms.request_id.to_owned(),
            created: terms.created,
            envelope: Envelope::default(),
            phase: Phase::Before,
            sequence: 0,
            items: Vec::new(),
            prose: None,
            call: None,
            waiting: VecDeque::new(),
            finish: None,
            usage: None,
            held: 0,
        }
    }

    /// A writer behind `events` events that somebody else has written.
    pub(super) fn behind(events: u64, request_id: &str) -> Self {
        let terms = AnswerTerms {
            model: "",
            include_usage: false,
            request_id,
            created: 0,
            input_estimate: None,
            json_array: false,
        };
        Self { phase: Phase::Open, sequence: events, ..Self::new(&terms) }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        if self.phase != Phase::Before {
            return;
        }
        let terms = AnswerTerms {
            model: &self.model,
            include_usage: true,
            request_id: &self.request_id,
            created: self.created,
            input_estimate: None,
            json_array: false,
        };
        self.envelope = Envelope::new(start, &terms);
        self.usage = self.usage.or(start.usage);
        self.phase = Phase::Open;
        let ending = Ending { status: Status::InProgress, reason: None, usage: None, error: None };
        self.response("response.created", &ending, out);
        self.response("response.in_progress", &ending, out);
    }

    fn content(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match delta {
            Delta::Text { choice: 0, text } => self.text(text, false, out),
            Delta::Refusal { choice: 0, text } => self.text(text, true, out),
            Delta::Reasoning { choice: 0, text } => self.thought(text, out),
            Delta::Signature { choice: 0, signature, redacted } => {
                self.sign(signature, *redacted, out);
            }
            Delta::ToolStart { choice: 0, call, id, name, custom, .. } => {
                let body = Body::Call {
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    arguments: String::new(),
                    custom: *custom,
                };
                self.call(*call, body, out);
            }
            Delta::ToolArguments { choice: 0, call, fragment } => {
                self.arguments(*call, fragment, out);
            }
            Delta::Media { choice: 0, media } => match (image_data(media), &media.source) {
                (Some(data), _) => self.image(data, out),
                (None, Source::Url(url)) => self.text(url, false, out),
                (None, _) => {}
            },
            Delta::Citation { choice: 0, url, title, .. } => {
                self.cite(url.as_deref(), title.as_deref(), out);
            }
            Delta::Logprobs { choice: 0, content } => {
                if self.hold(content.raw().len(), out)
                    && let Some((_, _, part)) = self.open_part()
                {
                    part.add_logprobs(*content);
                }
            }
            Delta::Finish { choice: 0, reason, .. } => self.finish(Some(*reason), out),
            // One choice is all there is.
            _ => {}
        }
    }

    fn text(&mut self, text: &str, is_refusal: bool, out: &mut Vec<u8>) {
        if !self.hold(text.len(), out) || !self.open_message(is_refusal, out) {
            return;
        }
        let Some((index, content_index, part)) = self.open_part() else { return };
        part.push(text);
        let kind = match is_refusal {
            true => "response.refusal.delta",
            false => "response.output_text.delta",
        };
        self.piece(out, kind, index, Some(("content_index", content_index)), text);
    }

    /// Opens a message, and a part of it for text or for a refusal, unless they are open. `false` when the stream failed.
    fn open_message(&mut self, is_refusal: bool, out: &mut Vec<u8>) -> bool {
        let is_message = |item: &Item| matches!(item.body, Body::Message(_));
        match self.prose {
            Some(index) if is_message(&self.items[index]) => {}
            _ => {
                self.close_prose(Status::Completed, out);
                let Some(index) = self.begin(Body::Message(Vec::new()), out) else { return false };
                self.prose = Some(index);
            }
        }
        match self.open_part() {
            Some((.., part)) if part.is_refusal == is_refusal => return true,
            Some(_) => self.close_part(out),
            None => {}
        }
        let Some(index) = self.prose else { return false };
        let Body::Message(parts) = &mut self.items[index].body else { return false };
        parts.push(Content::new(is_refusal));
        self.part_event("response.content_part.added", index, out);
        true
    }

    /// The part of a message that takes text: the places of the item and of the part.
    fn open_part(&mut self) -> Option<(usize, usize, &mut Content)> {
        let index = self.prose?;
        let Body::Message(parts) = &mut self.items[index].body else { return None };
        let last = parts.len().checked_sub(1)?;
        Some((index, last, &mut parts[last]))
    }

    fn thought(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.hold(text.len(), out) {
            return;
        }
        let is_thought = |item: &Item| matches!(item.body, Body::Reasoning { .. });
        let index = match self.prose {
            Some(index) if is_thought(&self.items[index]) => index,
            _ => match self.open_thought(out) {
                Some(index) => index,
                None => return,
            },
        };
        if let Body::Reasoning { text: held, .. } = &mut self.items[index].body {
            held.push_str(text);
        }
        let kind = "response.reasoning_summary_text.delta";
        self.piece(out, kind, index, Some(("summary_index", 0)), text);
    }

    /// Opens a thought that is shown.
    fn open_thought(&mut self, out: &mut Vec<u8>) -> Option<usize> {
        self.close_prose(Status::Completed, out);
        let index = self.begin(Body::reasoning(), out)?;
        self.prose = Some(index);
        if let Body::Reasoning { has_summary, .. } = &mut self.items[index].body {
            *has_summary = true;
        }
        self.event(out, "response.reasoning_summary_part.added", |json, items| {
            place(json, &items[index], index).member_u64("summary_index", 0);
            write_summary(json.name("part"), "");
        });
        Some(index)
    }

    /// Signs the thought that is open, or one that is not shown.
    fn sign(&mut self, sign: &str, redacted: bool, out: &mut Vec<u8>) {
        if !self.hold(sign.len(), out) {
            return;
        }
        let is_thought = |item: &Item| matches!(item.body, Body::Reasoning { .. });
        let index = match self.prose {
            Some(index) if !redacted && is_thought(&self.items[index]) => index,
            _ if redacted => {
                self.close_prose(Status::Completed, out);
                let Some(index) = self.begin(Body::reasoning(), out) else { return };
                self.prose = Some(index);
                index
            }
            _ => match self.open_thought(out) {
                Some(index) => index,
                None => return,
            },
        };
        if let Body::Reasoning { signature, .. } = &mut self.items[index].body {
            *signature = Some(sign.to_owned());
        }
        self.close_prose(Status::Completed, out);
    }

    fn call(&mut self, number: u32, body: Body, out: &mut Vec<u8>) {
        if let Body::Call { id, name, .. } = &body
            && !self.hold(id.len() + name.len(), out)
        {
            return;
        }
        self.waiting.push_back(Waiting { number, body, fragments: String::new() });
        self.advance(false, out);
    }

    /// Begins the calls that wait, as long as the one before them is whole; or all, because nothing more comes.
    fn advance(&mut self, all: bool, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() && (all || self.call.as_ref().is_none_or(is_whole)) {
            if let Some(Call { index, .. }) = self.call.take() {
                self.close_call(index, Status::Completed, out);
            }
            let Some(Waiting { number, body, fragments }) = self.waiting.pop_front() else {
                return;
            };
            self.close_prose(Status::Completed, out);
            let Some(index) = self.begin(body, out) else { return };
            self.call = Some(Call { number, index, progress: Progress::default() });
            if !fragments.is_empty() {
                self.pass_arguments(&fragments, out);
            }
        }
    }

    fn arguments(&mut self, number: u32, fragment: &str, out: &mut Vec<u8>) {
        if !self.hold(fragment.len(), out) {
            return;
        }
        if self.call.as_ref().is_some_and(|call| call.number == number) {
            self.pass_arguments(fragment, out);
            self.advance(false, out);
        } else if let Some(call) = self.waiting.iter_mut().find(|call| call.number == number) {
            call.fragments.push_str(fragment);
        }
    }

    /// More arguments of the open call.
    fn pass_arguments(&mut self, fragment: &str, out: &mut Vec<u8>) {
        let Some(Call { index, progress, .. }) = &mut self.call else { return };
        let index = *index;
        let Body::Call { arguments, custom, .. } = &mut self.items[index].body else { return };
        arguments.push_str(fragment);
        let kind = match custom {
            // Free text has no end of its own.
            true => "response.custom_tool_call_input.delta",
            false => {
                progress.feed(fragment);
                "response.function_call_arguments.delta"
            }
        };
        self.piece(out, kind, index, None, fragment);
    }

    fn image(&mut self, data: &str, out: &mut Vec<u8>) {
        self.close_prose(Status::Completed, out);
        if !self.hold(data.len(), out) {
            return;
        }
        let Some(index) = self.begin(Body::Image { data: String::new() }, out) else { return };
        self.items[index].body = Body::Image { data: data.to_owned() };
        self.item_done(index, Status::Completed, out);
    }

    fn cite(&mut self, url: Option<&str>, title: Option<&str>, out: &mut Vec<u8>) {
        let bytes = 2 * url.map_or(0, str::len) + title.map_or(0, str::len) + ITEM_BYTES;
        if !self.hold(bytes, out) || !self.open_message(false, out) {
            return;
        }
        let Some((index, content_index, part)) = self.open_part() else { return };
        let number = part.citations;
        let annotation = part.cite(url, title).to_vec();
        self.event(out, "response.output_text.annotation.added", |json, items| {
            place(json, &items[index], index).member_u64("content_index", content_index as u64);
            json.member_u64("annotation_index", number).name("annotation").raw(&annotation);
        });
    }

    /// Begins an item. `None` when the stream failed.
    fn begin(&mut self, body: Body, out: &mut Vec<u8>) -> Option<usize> {
        if !self.hold(ITEM_BYTES, out) {
            return None;
        }
        let index = self.items.len();
        self.items.push(self.envelope.item(index, body));
        self.event(out, "response.output_item.added", |json, items| {
            json.member_u64("output_index", index as u64);
            items[index].write(json.name("item"));
        });
        Some(index)
    }

    /// Counts what is held. `false` when it is too much, and the stream has failed, or had before.
    fn hold(&mut self, bytes: usize, out: &mut Vec<u8>) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        self.held = self.held.saturating_add(bytes);
        if self.held <= HELD_BYTES_MAX {
            return true;
        }
        let fault = Fault {
            kind: "server_error",
            code: "response_too_large",
            message: "the answer is longer than a stream of this dialect can repeat at its end",
            param: None,
        };
        self.end_failed(ErrorKind::Api, &fault, out);
        false
    }
}

fn is_whole(call: &Call) -> bool {
    call.progress.is_whole()
}
