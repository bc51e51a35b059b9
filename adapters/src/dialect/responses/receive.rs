//! Answers, read: streams event by event, and responses as a whole.
//!
//! In: events. Out: deltas. State: the items that have begun, what kind each is and whether anything of it was told, so
//! that a provider which leaves out the fragments and tells the whole at the end is read as well; at most [`ITEMS_MAX`] of
//! them. Events that are not known are left out, and so is `obfuscation`. An `error` is told when the stream goes on or
//! closes, because a `response.failed` behind it tells the usage.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{error, namespace::join, usage};
use crate::{
    chat::{Delta, Finish, Media, MediaKind, Source, Start},
    dialect::{BadAnswer, StreamReader, call_id},
};

/// The most items of one answer.
const ITEMS_MAX: usize = 4096;

/// Reads a stream, or a response as if it were one.
#[derive(Debug, Default)]
pub(super) struct Reader {
    seed: u64,
    has_started: bool,
    has_ended: bool,
    items: Vec<Item>,
    calls: u32,
    /// The data of an `error` event that is to be told.
    failed: Option<Vec<u8>>,
}

/// What is known of an item.
#[derive(Debug)]
struct Item {
    /// Its `output_index`.
    index: u64,
    /// The call that it is.
    call: Option<u32>,
    /// A piece of its text or its arguments was told.
    has_pieces: bool,
    /// All of it was told.
    is_done: bool,
}

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

impl StreamReader for Reader {
    fn event(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) -> Result<(), BadAnswer> {
        if self.has_ended || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let event = Json::new(data).filter(|event| event.is_object()).ok_or(BadAnswer)?;
        let kind = event.get_str("type");
        let kind = match &kind {
            Some(kind) => kind.as_bytes(),
            None if name.is_empty() && event.get("error").is_some() => b"error",
            None => name,
        };
        if kind == b"error" {
            self.start(None, sink);
            self.failed = Some(data.to_vec());
            return Ok(());
        }
        if self.failed.is_some() && kind != b"response.failed" {
            self.fail(sink);
            return Ok(());
        }
        self.told(kind, event, sink)
    }

    /// A stream is whole when its last event says so.
    fn close(&mut self, sink: Sink<'_>) {
        self.fail(sink);
    }
}

impl Reader {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Reads a response as a whole.
    pub(super) fn whole(mut self, body: &[u8], sink: Sink<'_>) -> Result<(), BadAnswer> {
        let response = Json::new(body).filter(|body| body.is_object()).ok_or(BadAnswer)?;
        let kind = match response.get_str("status").as_deref() {
            Some("failed" | "cancelled") => &b"response.failed"[..],
            Some("incomplete") => b"response.incomplete",
            Some("completed") => b"response.completed",
            // Some servers leave the status out; one that still works in the background has no answer yet.
            None if response.get("output").is_some() => b"response.completed",
            _ => return Err(BadAnswer),
        };
        self.end(kind, response, sink)
    }

    fn told(&mut self, kind: &[u8], event: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        match kind {
            b"response.output_text.delta" => self.text(event, sink),
            b"response.function_call_arguments.delta"
            | b"response.custom_tool_call_input.delta" => self.arguments(event, "delta", sink),
            b"response.reasoning_summary_text.delta" | b"response.reasoning_text.delta" => {
                let text = self.piece(event, sink)?;
                if let Some(text) = text {
                    sink(Delta::Reasoning { choice: 0, text });
                }
                Ok(())
            }
            b"response.refusal.delta" => {
                let text = self.piece(event, sink)?;
                if let Some(text) = text {
                    sink(Delta::Refusal { choice: 0, text });
                }
                Ok(())
            }
            b"response.created" | b"response.in_progress" | b"response.queued" => {
                self.start(event.get("response"), sink);
                Ok(())
            }
            b"response.output_item.added" => {
                let Some(item) = event.get("item") else { return Ok(()) };
                self.item(index_of(event), item, sink).map(|_| ())
            }
            b"response.output_item.done" => {
                let Some(item) = event.get("item") else { return Ok(()) };
                self.item_done(index_of(event), item, sink)
            }
            b"response.function_call_arguments.done" => self.rest(event, "arguments", sink),
            b"response.custom_tool_call_input.done" => self.rest(event, "input", sink),
            b"response.reasoning_summary_part.added" => {
                if event.get_u64("summary_index").is_some_and(|index| index > 0) {
                    sink(Delta::Reasoning { choice: 0, text: "\n\n".into() });
                }
                Ok(())
            }
            b"response.output_text.annotation.added" => {
                if let Some(annotation) = event.get("annotation") {
                    cite(annotation, sink);
                }
                Ok(())
            }
            b"response.completed" | b"response.incomplete" | b"response.failed" => {
                let response = event.get("response").ok_or(BadAnswer)?;
                self.end(kind, response, sink)
            }
            _ => Ok(()),
        }
    }

    /// Tells the error that came.
    fn fail(&mut self, sink: Sink<'_>) {
        let Some(data) = self.failed.take() else { return };
        self.has_ended = true;
        if let Some(event) = Json::new(&data) {
            sink(Delta::Error(error::read_object(event.get("error").unwrap_or(event))));
        }
    }

    fn start(&mut self, response: Option<Json<'_>>, sink: Sink<'_>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name| response.and_then(|response| response.get_str(name));
        let created = response.and_then(|response| response.get("created_at")?.f64());
        sink(Delta::Start(Start {
            id: text("id").unwrap_or_default(),
            model: text("model").unwrap_or_default(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds since 1970; what is out of range becomes the nearest"
            )]
            created: created.map(|seconds| seconds as u64),
            usage: None,
            tier: text("service_tier").filter(|tier| tier != "auto"),
        }));
    }

    fn text(&mut self, event: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        if let Some(text) = self.piece(event, sink)? {
            sink(Delta::Text { choice: 0, text });
        }
        if let Some(told) = event.get("logprobs").and_then(|list| Delta::logprobs(0, list)) {
            sink(told);
        }
        Ok(())
    }

    /// The piece that an event holds, if it is not empty; its item is noted to have some.
    fn piece<'e>(
        &mut self,
        event: Json<'e>,
        sink: Sink<'_>,
    ) -> Result<Option<Cow<'e, str>>, BadAnswer> {
        self.start(None, sink);
        let text = event.get_str("delta").filter(|text| !text.is_empty());
        if text.is_some() {
            let at = self.known(index_of(event))?;
            self.items[at].has_pieces = true;
        }
        Ok(text)
    }

    fn arguments(
        &mut self,
        event: Json<'_>,
        member: &str,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let at = self.known(index_of(event))?;
        let fragment = event.get_str(member).filter(|text| !text.is_empty());
        if let (Some(call), Some(fragment)) = (self.items[at].call, fragment) {
            self.items[at].has_pieces = true;
            sink(Delta::ToolArguments { choice: 0, call, fragment });
        }
        Ok(())
    }

    /// The arguments as a whole, for calls of which no piece came.
    fn rest(&mut self, event: Json<'_>, member: &str, sink: Sink<'_>) -> Result<(), BadAnswer> {
        let at = self.known(index_of(event))?;
        if self.items[at].has_pieces {
            return Ok(());
        }
        self.arguments(event, member, sink)
    }

    /// The place of what is known of an item.
    fn known(&mut self, index: u64) -> Result<usize, BadAnswer> {
        if let Some(at) = self.items.iter().rposition(|item| item.index == index) {
            return Ok(at);
        }
        if self.items.len() == ITEMS_MAX {
            return Err(BadAnswer);
        }
        self.items.push(Item { index, call: None, has_pieces: false, is_done: false });
        Ok(self.items.len() - 1)
    }

    /// Begins an item, if it has not.
    fn item(&mut self, index: u64, item: Json<'_>, sink: Sink<'_>) -> Result<usize, BadAnswer> {
        self.start(None, sink);
        let at = self.known(index)?;
        let custom = match item.get_str("type").as_deref() {
            Some("function_call") => false,
            Some("custom_tool_call") => true,
            _ => return Ok(at),
        };
        if self.items[at].call.is_none() {
            let call = self.calls;
            self.calls += 1;
            self.items[at].call = Some(call);
            let id = item.get_str("call_id").or_else(|| item.get_str("id"));
            let id = call_id(id, self.seed, call);
            let name = item.get_str("name").unwrap_or_default();
            let name = join(item.get_str("namespace").as_deref(), name);
            sink(Delta::ToolStart { choice: 0, call, id, name, custom, signature: None });
        }
        Ok(at)
    }

    /// Tells of an item what was not told before.
    fn item_done(&mut self, index: u64, item: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        let at = self.item(index, item, sink)?;
        if std::mem::replace(&mut self.items[at].is_done, true) {
            return Ok(());
        }
        let (has_pieces, call) = (self.items[at].has_pieces, self.items[at].call);
        match item.get_str("type").as_deref() {
            Some("message") if !has_pieces => message(item, sink),
            Some("reasoning") => thought(item, has_pieces, sink),
            Some("image_generation_call") => image(item, sink),
            _ => {}
        }
        if let Some(call) = call.filter(|_| !has_pieces) {
            let fragment = item.get_str("arguments").or_else(|| item.get_str("input"));
            if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
                sink(Delta::ToolArguments { choice: 0, call, fragment });
            }
        }
        self.items[at].has_pieces = true;
        Ok(())
    }

    fn end(&mut self, kind: &[u8], response: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        self.start(Some(response), sink);
        let has_failed = kind == b"response.failed";
        // What a failed response holds may be cut anywhere.
        let output = response.get("output").filter(|_| !has_failed);
        for (index, item) in output.into_iter().flat_map(Json::items).enumerate() {
            self.item_done(index as u64, item, sink)?;
        }
        self.has_ended = true;
        let usage = response.get("usage").and_then(|usage| usage::read(usage.raw()));
        if has_failed {
            usage.into_iter().for_each(|usage| sink(Delta::Usage(usage)));
            match self.failed {
                Some(_) => self.fail(sink),
                None => sink(Delta::Error(error::read_object(
                    response.get("error").unwrap_or(response),
                ))),
            }
            return Ok(());
        }
        let reason = match response.at(&["incomplete_details", "reason"]).and_then(Json::str) {
            Some(reason) if reason == "content_filter" => Finish::Refusal,
            _ if kind == b"response.incomplete" => Finish::Length,
            _ if self.calls > 0 => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        sink(Delta::Finish { choice: 0, reason, stop: None });
        usage.into_iter().for_each(|usage| sink(Delta::Usage(usage)));
        sink(Delta::Done);
        Ok(())
    }
}

fn index_of(event: Json<'_>) -> u64 {
    event.get_u64("output_index").unwrap_or(0)
}

/// A message of which no piece came.
fn message(item: Json<'_>, sink: Sink<'_>) {
    for part in item.get("content").into_iter().flat_map(Json::items) {
        if let Some(text) = part.get_str("text").filter(|text| !text.is_empty()) {
            sink(Delta::Text { choice: 0, text });
        }
        if let Some(text) = part.get_str("refusal").filter(|text| !text.is_empty()) {
            sink(Delta::Refusal { choice: 0, text });
        }
        if let Some(told) = part.get("logprobs").and_then(|list| Delta::logprobs(0, list)) {
            sink(told);
        }
        part.get("annotations").into_iter().flat_map(Json::items).for_each(|note| cite(note, sink));
    }
}

/// A thought, of which pieces may have come, and its signature.
fn thought(item: Json<'_>, has_pieces: bool, sink: Sink<'_>) {
    let parts = |name| item.get(name).into_iter().flat_map(Json::items);
    let is_shown = parts("summary").chain(parts("content")).next().is_some();
    if !has_pieces {
        let list = if parts("summary").next().is_some() { "summary" } else { "content" };
        for (index, part) in parts(list).enumerate() {
            if index > 0 {
                sink(Delta::Reasoning { choice: 0, text: "\n\n".into() });
            }
            if let Some(text) = part.get_str("text").filter(|text| !text.is_empty()) {
                sink(Delta::Reasoning { choice: 0, text });
            }
        }
    }
    if let Some(signature) = item.get_str("encrypted_content") {
        let redacted = !is_shown && !has_pieces;
        sink(Delta::Signature { choice: 0, signature, redacted });
    }
}

fn image(item: Json<'_>, sink: Sink<'_>) {
    let Some(data) = item.get_str("result").filter(|data| !data.is_empty()) else { return };
    let format = item.get_str("output_format").unwrap_or(Cow::Borrowed("png"));
    let media_type = Cow::Owned(format!("image/{format}"));
    let source = Source::Base64 { media_type, data };
    let media = Media { kind: MediaKind::Image, source, detail: None, name: None };
    sink(Delta::Media { choice: 0, media });
}

fn cite(annotation: Json<'_>, sink: Sink<'_>) {
    let url = annotation.get_str("url");
    let title = annotation.get_str("title").or_else(|| annotation.get_str("filename"));
    if url.is_some() || title.is_some() {
        sink(Delta::Citation { choice: 0, url, title, quote: None });
    }
}
