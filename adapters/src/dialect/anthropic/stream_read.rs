//! A provider's stream, read event by event.
//!
//! In: events. Out: deltas in the canonical order, also where a provider leaves out the start, the ends of blocks or the
//! input of a call. State between events: the blocks that are open ([`OPEN_MAX`] at most), with the signature or the input
//! that one event of theirs told, and the counts of usage.
//!
//! Blocks that the provider's own tools fill (`server_tool_use` and its results) have no canonical form and are passed
//! over.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    error::{read_error_object, unknown_error},
    usage::Counts,
};
use crate::{
    chat::{Delta, Finish, Start},
    dialect::{BadAnswer, StreamReader, call_id},
};

/// The most blocks that are open at a time; the format has one.
const OPEN_MAX: usize = 64;

/// The status that an error within a stream has by default.
const ERROR_STATUS: u16 = 500;

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Made into ids of calls where the provider gives none.
    seed: u64,
    has_started: bool,
    has_finished: bool,
    is_over: bool,
    counts: Counts,
    /// Calls so far.
    calls: u32,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking {
        signature: Option<String>,
    },
    Call {
        call: u32,
        /// The input that the start of the block told.
        input: Option<String>,
        /// A fragment has come.
        has_fragments: bool,
    },
    /// Nothing in it is for us.
    Hidden,
}

impl StreamReader for Reader {
    fn event(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) -> Result<(), BadAnswer> {
        if self.is_over || data.trim_ascii().is_empty() || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let event = Json::new(data).filter(|event| event.is_object()).ok_or(BadAnswer)?;
        let kind = event.get_str("type");
        let kind = kind.as_deref().unwrap_or_else(|| std::str::from_utf8(name).unwrap_or_default());
        match kind {
            "message_start" => self.start(event.get("message").ok_or(BadAnswer)?, sink),
            "content_block_start" => {
                let block = event.get("content_block").ok_or(BadAnswer)?;
                self.open_block(event.get_u64("index").unwrap_or(0), block, sink);
            }
            "content_block_delta" => {
                let delta = event.get("delta").ok_or(BadAnswer)?;
                self.block_delta(event.get_u64("index").unwrap_or(0), delta, sink);
            }
            "content_block_stop" => self.close_block(event.get_u64("index").unwrap_or(0), sink),
            "message_delta" => {
                if let Some(delta) = event.get("delta") {
                    self.end(delta, sink);
                }
                self.usage(event.get("usage"), sink);
            }
            "message_stop" => self.stop(sink),
            "error" => self.fail(event, sink),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, _sink: Sink<'_>) {}
}

impl Reader {
    /// A reader at the start of an answer.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The answer begins: `message` is its head.
    pub(super) fn start(&mut self, message: Json<'_>, sink: Sink<'_>) {
        if self.has_started {
            return;
        }
        self.has_started = true;
        let usage = message.get("usage");
        if let Some(usage) = usage {
            self.counts.merge(Counts::of(usage));
        }
        sink(Delta::Start(Start {
            id: message.get_str("id").unwrap_or_default(),
            model: message.get_str("model").unwrap_or_default(),
            created: None,
            usage: self.counts.usage(),
            tier: usage.and_then(|usage| usage.get_str("service_tier")),
        }));
    }

    /// A block begins. What its start tells is told.
    pub(super) fn open_block(&mut self, index: u64, block: Json<'_>, sink: Sink<'_>) {
        self.started(sink);
        if self.open.len() == OPEN_MAX || self.open.iter().any(|open| open.index == index) {
            self.close_all(sink);
        }
        self.close_thoughts(sink);
        let kind = block.get_str("type");
        let kind = match kind.as_deref() {
            Some("text") => {
                tell_text(block.get_str("text"), sink);
                let citations = block.get("citations").into_iter().flat_map(Json::items);
                citations.for_each(|citation| tell_citation(citation, sink));
                Kind::Text
            }
            Some("thinking") => {
                tell_thought(block.get_str("thinking"), sink);
                Kind::Thinking { signature: signature(block) }
            }
            Some("redacted_thinking") => {
                if let Some(data) = block.get_str("data").filter(|data| !data.is_empty()) {
                    sink(Delta::Signature { choice: 0, signature: data, redacted: true });
                }
                Kind::Hidden
            }
            Some("tool_use") => self.open_call(block, sink),
            _ => Kind::Hidden,
        };
        self.open.push(Open { index, kind });
    }

    fn open_call(&mut self, block: Json<'_>, sink: Sink<'_>) -> Kind {
        let call = self.calls;
        self.calls += 1;
        sink(Delta::ToolStart {
            choice: 0,
            call,
            id: call_id(block.get_str("id"), self.seed, call),
            name: block.get_str("name").unwrap_or_default(),
            custom: false,
            signature: None,
        });
        let input = block.get("input").filter(|input| input.members().next().is_some());
        let input = input.map(|input| String::from_utf8_lossy(input.raw()).into_owned());
        Kind::Call { call, input, has_fragments: false }
    }

    fn block_delta(&mut self, index: u64, delta: Json<'_>, sink: Sink<'_>) {
        self.started(sink);
        let kind = delta.get_str("type");
        let open = self.open.iter_mut().find(|open| open.index == index);
        let open = open.map(|open| &mut open.kind);
        match (kind.as_deref(), open) {
            (Some("text_delta"), _) => tell_text(delta.get_str("text"), sink),
            (Some("citations_delta"), _) => {
                if let Some(citation) = delta.get("citation") {
                    tell_citation(citation, sink);
                }
            }
            (Some("thinking_delta"), _) => tell_thought(delta.get_str("thinking"), sink),
            (Some("signature_delta"), Some(Kind::Thinking { signature: told })) => {
                *told = signature(delta).or(told.take());
            }
            (Some("signature_delta"), None) => {
                if let Some(signature) = delta.get_str("signature").filter(|s| !s.is_empty()) {
                    sink(Delta::Signature { choice: 0, signature, redacted: false });
                }
            }
            (Some("input_json_delta"), Some(Kind::Call { call, has_fragments, .. })) => {
                let fragment = delta.get_str("partial_json").filter(|text| !text.is_empty());
                if let Some(fragment) = fragment {
                    *has_fragments = true;
                    sink(Delta::ToolArguments { choice: 0, call: *call, fragment });
                }
            }
            _ => {}
        }
    }

    /// A block ends. What it must have told by now is told.
    pub(super) fn close_block(&mut self, index: u64, sink: Sink<'_>) {
        if let Some(at) = self.open.iter().position(|open| open.index == index) {
            close(self.open.remove(at), sink);
        }
    }

    /// A thought ends when something else begins, whether that is said or not.
    fn close_thoughts(&mut self, sink: Sink<'_>) {
        let is_thought = |open: &mut Open| matches!(open.kind, Kind::Thinking { .. });
        self.open.extract_if(.., is_thought).for_each(|open| close(open, sink));
    }

    fn close_all(&mut self, sink: Sink<'_>) {
        self.open.drain(..).for_each(|open| close(open, sink));
    }

    /// The answer ends, if `delta` says why.
    pub(super) fn end(&mut self, delta: Json<'_>, sink: Sink<'_>) {
        let Some(reason) = delta.get_str("stop_reason") else { return };
        self.started(sink);
        self.close_all(sink);
        if self.has_finished {
            return;
        }
        self.has_finished = true;
        let explanation = delta.at(&["stop_details", "explanation"]).and_then(Json::str);
        if let Some(text) = explanation.filter(|text| reason == "refusal" && !text.is_empty()) {
            sink(Delta::Refusal { choice: 0, text });
        }
        let stop = delta.get_str("stop_sequence").filter(|_| reason == "stop_sequence");
        sink(Delta::Finish { choice: 0, reason: self.finish(&reason), stop });
    }

    /// Counts come, on top of those before.
    pub(super) fn usage(&mut self, usage: Option<Json<'_>>, sink: Sink<'_>) {
        let Some(usage) = usage else { return };
        self.started(sink);
        self.counts.merge(Counts::of(usage));
        if let Some(usage) = self.counts.usage() {
            sink(Delta::Usage(usage));
        }
    }

    /// Everything has come.
    pub(super) fn stop(&mut self, sink: Sink<'_>) {
        self.started(sink);
        self.close_all(sink);
        if !self.has_finished {
            self.has_finished = true;
            sink(Delta::Finish { choice: 0, reason: self.finish("end_turn"), stop: None });
        }
        self.is_over = true;
        sink(Delta::Done);
    }

    /// The provider reports an error.
    pub(super) fn fail(&mut self, event: Json<'_>, sink: Sink<'_>) {
        self.is_over = true;
        let error = event.get("error").unwrap_or(event);
        sink(Delta::Error(read_error_object(error, ERROR_STATUS).unwrap_or_else(unknown_error)));
    }

    fn started(&mut self, sink: Sink<'_>) {
        if !self.has_started {
            self.has_started = true;
            sink(Delta::Start(Start::default()));
        }
    }

    fn finish(&self, reason: &str) -> Finish {
        match reason {
            "max_tokens" => Finish::Length,
            "model_context_window_exceeded" => Finish::ContextFull,
            "tool_use" => Finish::ToolCalls,
            "refusal" => Finish::Refusal,
            "pause_turn" | "compaction" => Finish::Pause,
            "stop_sequence" => Finish::Stop,
            _ if self.calls > 0 => Finish::ToolCalls,
            _ => Finish::Stop,
        }
    }
}

fn close(open: Open, sink: Sink<'_>) {
    match open.kind {
        Kind::Thinking { signature: Some(signature) } => {
            sink(Delta::Signature { choice: 0, signature: signature.into(), redacted: false });
        }
        Kind::Call { call, input, has_fragments: false } => {
            let fragment = input.map_or(Cow::Borrowed("{}"), Cow::Owned);
            sink(Delta::ToolArguments { choice: 0, call, fragment });
        }
        Kind::Text | Kind::Thinking { .. } | Kind::Call { .. } | Kind::Hidden => {}
    }
}

fn signature(json: Json<'_>) -> Option<String> {
    json.get_str("signature").filter(|text| !text.is_empty()).map(Cow::into_owned)
}

fn tell_text(text: Option<Cow<'_, str>>, sink: Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink(Delta::Text { choice: 0, text });
    }
}

fn tell_thought(text: Option<Cow<'_, str>>, sink: Sink<'_>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        sink(Delta::Reasoning { choice: 0, text });
    }
}

fn tell_citation(citation: Json<'_>, sink: Sink<'_>) {
    sink(Delta::Citation {
        choice: 0,
        url: citation.get_str("url").or_else(|| citation.get_str("source")),
        title: citation.get_str("title").or_else(|| citation.get_str("document_title")),
        quote: citation.get_str("cited_text"),
    });
}
