//! A stream, written as a client of this dialect reads it.
//!
//! In: deltas. Out: events. Blocks are opened and closed one after the other, so what comes while a call is unfinished
//! waits for it: pieces of other calls, text between them. A call is finished when its arguments are a whole object, or
//! when everything has come. State between deltas: the block that is open, and what waits ([`WAITING_BYTES_MAX`] at most;
//! a stream that needs more is broken off with an error).
//!
//! The first event tells the input tokens, so it is held back until they are known or the answer begins. The last but one
//! tells why the answer ended and what it took, and comes when everything has.

use std::{borrow::Cow, collections::VecDeque};

use faregate_wire::JsonWriter;

use super::{
    ID_RULE,
    error::{write_error_event, write_told_event},
    events::{citation, escaped, event, message_id, stop_reason},
    open::{Block, Kind},
    passage::KEEP_ALIVE,
    usage::write_usage,
};
use crate::{
    chat::{Delta, Error, ErrorKind, Finish, Progress, Start, Usage, fit_id},
    dialect::{AnswerTerms, ErrorBody, StreamWriter},
};

/// The most bytes that wait for a call before them to end.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The bytes that a block takes up while it waits, its text aside.
const BLOCK_BYTES: usize = 128;

/// Writes a stream.
#[derive(Debug)]
pub(super) struct Writer {
    model: String,
    request_id: String,
    input_estimate: Option<u64>,
    tier: Option<String>,
    /// What the start told; `None` once it is written.
    head: Option<(String, String)>,
    usage: Option<Usage>,
    /// The index of the next block.
    next: u64,
    open: Option<Block>,
    /// A signature behind a text, until something follows it.
    proof: Option<String>,
    waiting: VecDeque<Block>,
    waiting_bytes: usize,
    has_calls: bool,
    has_refusal: bool,
    finish: Option<(Finish, Option<String>)>,
    is_over: bool,
}

impl StreamWriter for Writer {
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match delta {
            Delta::Start(start) => self.start(start, out),
            Delta::Usage(usage) => {
                self.usage = Some(*usage);
                self.write_head(out);
            }
            Delta::Error(error) => self.fail_told(error, out),
            Delta::Done => self.stop(out),
            Delta::Finish { choice: 0, reason, stop } => {
                self.finish = Some((*reason, stop.as_deref().map(str::to_owned)));
                self.advance(true, out);
                self.close(out);
            }
            Delta::Text { choice: 0, text } => self.text(Kind::Text, text, out),
            Delta::Refusal { choice: 0, text } => {
                self.has_refusal = true;
                self.text(Kind::Text, text, out);
            }
            Delta::Reasoning { choice: 0, text } => self.text(Kind::Thinking, text, out),
            Delta::Signature { choice: 0, signature, redacted } => {
                self.sign(signature, *redacted, out);
            }
            Delta::ToolStart { choice: 0, call, id, name, custom, .. } => {
                self.has_calls = true;
                let (id, name) = (fit_id(id, &ID_RULE).into_owned(), name.to_string());
                let progress = Progress::default();
                self.add(
                    Block::new(Kind::Call { call: *call, id, name, is_free: *custom, progress }),
                    out,
                );
            }
            Delta::ToolArguments { choice: 0, call, fragment } => {
                self.arguments(*call, fragment, out);
            }
            Delta::Citation { choice: 0, url, title, quote } => {
                let mut source = Vec::new();
                let json = &mut JsonWriter::new(&mut source);
                citation(json, url.as_deref(), title.as_deref(), quote.as_deref());
                self.cite(source, out);
            }
            // Of several answers this dialect says the first; media and probabilities it does not say.
            Delta::Finish { .. }
            | Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Reasoning { .. }
            | Delta::Signature { .. }
            | Delta::ToolStart { .. }
            | Delta::ToolArguments { .. }
            | Delta::Citation { .. }
            | Delta::Media { .. }
            | Delta::Logprobs { .. } => {}
        }
        self.check_waiting(out);
    }

    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        if !self.is_over {
            self.break_off(out);
            write_error_event(out, error);
        }
    }

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if !self.is_over {
            out.extend_from_slice(KEEP_ALIVE);
        }
    }
}

impl Writer {
    pub(super) fn new(terms: &AnswerTerms<'_>) -> Self {
        Self {
            model: terms.model.to_owned(),
            request_id: terms.request_id.to_owned(),
            input_estimate: terms.input_estimate,
            tier: None,
            head: Some((String::new(), String::new())),
            usage: None,
            next: 0,
            open: None,
            proof: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            has_calls: false,
            has_refusal: false,
            finish: None,
            is_over: false,
        }
    }

    fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        if self.head.is_none() {
            return;
        }
        self.head = Some((start.id.to_string(), start.model.to_string()));
        self.tier = start.tier.as_deref().map(str::to_owned);
        self.usage = start.usage.or(self.usage);
        if start.usage.is_some_and(|usage| usage.total_input() > 0) {
            self.write_head(out);
        }
    }

    fn write_head(&mut self, out: &mut Vec<u8>) {
        let Some((id, model)) = self.head.take() else { return };
        let usage = self.known_usage();
        event(out, "message_start", |json| {
            json.name("message").object();
            json.member_str("id", &message_id(&id, &self.request_id));
            json.member_str("type", "message").member_str("role", "assistant");
            json.member_str("model", if model.is_empty() { &self.model } else { &model });
            json.name("content").array().end();
            json.name("stop_reason").null().name("stop_sequence").null().name("usage");
            write_usage(json, &usage, self.tier.as_deref());
            json.end();
        });
    }

    /// What is known of the usage: an estimate of the input until a provider tells it.
    fn known_usage(&self) -> Usage {
        let usage = self.usage.unwrap_or_default();
        match self.input_estimate {
            Some(input) if usage.total_input() == 0 => Usage { input, ..usage },
            _ => usage,
        }
    }

    fn text(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let Some(block) = self.block_for(kind, out) else {
            return self.wait(text);
        };
        let (name, member) = match block.kind {
            Kind::Thinking => ("thinking_delta", "thinking"),
            Kind::Text | Kind::Redacted | Kind::Call { .. } => ("text_delta", "text"),
        };
        self.delta(out, name, |json| _ = json.member_str(member, text));
    }

    /// The open block, if it takes `kind` now. If it cannot, the block that takes it is the last that waits.
    fn block_for(&mut self, kind: Kind, out: &mut Vec<u8>) -> Option<&Block> {
        let last = self.waiting.back().or(self.open.as_ref());
        if !last.is_some_and(|block| block.takes(&kind)) {
            self.add(Block::new(kind), out);
        }
        self.open.as_ref().filter(|_| self.waiting.is_empty())
    }

    /// Opens a block, or lets it wait for the open one; a proof that waits for something to follow comes first.
    fn add(&mut self, block: Block, out: &mut Vec<u8>) {
        if let Some(proof) = self.proof.take() {
            self.waiting_bytes += proof.len();
            self.push(Block { signature: Some(proof), ..Block::new(Kind::Thinking) }, out);
        }
        self.push(block, out);
    }

    fn push(&mut self, block: Block, out: &mut Vec<u8>) {
        self.waiting_bytes += BLOCK_BYTES;
        self.waiting.push_back(block);
        if self.open.as_ref().is_none_or(Block::is_done) {
            self.advance(false, out);
        }
    }

    fn wait(&mut self, text: &str) {
        if let Some(block) = self.waiting.back_mut() {
            self.waiting_bytes += text.len();
            block.text.push_str(text);
        }
    }

    fn sign(&mut self, signature: &str, redacted: bool, out: &mut Vec<u8>) {
        if redacted {
            let signature = Some(signature.to_owned());
            self.add(Block { signature, ..Block::new(Kind::Redacted) }, out);
            return;
        }
        // A proof of nothing that is shown is not the last block: clients take that for the answer.
        let last = self.waiting.back().or(self.open.as_ref());
        if last.is_some_and(|block| matches!(block.kind, Kind::Text)) {
            self.proof = Some(signature.to_owned());
            return;
        }
        match self.block_for(Kind::Thinking, out) {
            Some(_) => {
                self.write_signature(signature, out);
                self.close(out);
            }
            None => {
                if let Some(block) = self.waiting.back_mut() {
                    self.waiting_bytes += signature.len();
                    block.signature = Some(signature.to_owned());
                }
            }
        }
    }

    fn cite(&mut self, source: Vec<u8>, out: &mut Vec<u8>) {
        match self.block_for(Kind::Text, out) {
            Some(_) => self.write_citation(&source, out),
            None => {
                if let Some(block) = self.waiting.back_mut() {
                    self.waiting_bytes += source.len();
                    block.citations.push(source);
                }
            }
        }
    }

    fn arguments(&mut self, call: u32, fragment: &str, out: &mut Vec<u8>) {
        if let Some(Block { kind: Kind::Call { call: open, is_free, progress, .. }, .. }) =
            &mut self.open
            && *open == call
        {
            progress.feed(fragment);
            let is_free = *is_free;
            self.write_arguments(fragment, is_free, out);
            if self.open.as_ref().is_some_and(Block::is_done) {
                self.advance(false, out);
            }
        } else if let Some(block) = self.waiting.iter_mut().find(|block| block.is_call(call)) {
            self.waiting_bytes += fragment.len();
            block.text.push_str(fragment);
            if let Kind::Call { progress, .. } = &mut block.kind {
                progress.feed(fragment);
            }
        }
    }

    /// Opens what waits, one block after the other, until one is unfinished. If `all`, that too is closed for the next.
    fn advance(&mut self, all: bool, out: &mut Vec<u8>) {
        while let Some(block) = self.waiting.pop_front() {
            self.close(out);
            self.open(block, out);
            if !all && self.open.as_ref().is_some_and(|block| !block.is_done()) {
                break;
            }
        }
        if self.waiting.is_empty() {
            self.waiting_bytes = 0;
        }
    }

    fn open(&mut self, mut block: Block, out: &mut Vec<u8>) {
        self.write_head(out);
        let text = std::mem::take(&mut block.text);
        let signature = block.signature.take();
        let citations = std::mem::take(&mut block.citations);
        self.begin(&block, signature.as_deref(), out);
        let kind = &block.kind;
        let (is_thought, is_free) =
            (matches!(kind, Kind::Thinking), matches!(kind, Kind::Call { is_free: true, .. }));
        let is_call = matches!(kind, Kind::Call { .. });
        let is_redacted = matches!(kind, Kind::Redacted);
        self.open = Some(block);
        if is_call {
            if is_free {
                self.write_arguments("{\"input\":\"", false, out);
            }
            if !text.is_empty() {
                self.write_arguments(&text, is_free, out);
            }
        } else if !text.is_empty() {
            let (name, member) =
                if is_thought { ("thinking_delta", "thinking") } else { ("text_delta", "text") };
            self.delta(out, name, |json| _ = json.member_str(member, &text));
        }
        citations.iter().for_each(|source| self.write_citation(source, out));
        if let Some(signature) = signature.filter(|_| is_thought) {
            self.write_signature(&signature, out);
            self.close(out);
        } else if is_redacted {
            self.close(out);
        }
    }

    fn begin(&self, block: &Block, signature: Option<&str>, out: &mut Vec<u8>) {
        event(out, "content_block_start", |json| {
            json.member_u64("index", self.next).name("content_block").object();
            match &block.kind {
                Kind::Text => json.member_str("type", "text").member_str("text", ""),
                Kind::Thinking => {
                    json.member_str("type", "thinking").member_str("thinking", "");
                    json.member_str("signature", "")
                }
                Kind::Redacted => {
                    json.member_str("type", "redacted_thinking");
                    json.member_str("data", signature.unwrap_or_default())
                }
                Kind::Call { id, name, .. } => {
                    json.member_str("type", "tool_use").member_str("id", id);
                    json.member_str("name", name).name("input").object().end()
                }
            };
            json.end();
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(block) = &self.open else { return };
        if matches!(block.kind, Kind::Call { is_free: true, .. }) {
            self.write_arguments("\"}", false, out);
        }
        self.open = None;
        event(out, "content_block_stop", |json| _ = json.member_u64("index", self.next));
        self.next += 1;
    }

    fn write_arguments(&self, fragment: &str, is_free: bool, out: &mut Vec<u8>) {
        let fragment = if is_free { Cow::Owned(escaped(fragment)) } else { fragment.into() };
        self.delta(out, "input_json_delta", |json| _ = json.member_str("partial_json", &fragment));
    }

    fn write_signature(&self, signature: &str, out: &mut Vec<u8>) {
        self.delta(out, "signature_delta", |json| _ = json.member_str("signature", signature));
    }

    fn write_citation(&self, source: &[u8], out: &mut Vec<u8>) {
        self.delta(out, "citations_delta", |json| _ = json.name("citation").raw(source));
    }

    fn delta(&self, out: &mut Vec<u8>, kind: &str, write: impl FnOnce(&mut JsonWriter<'_>)) {
        event(out, "content_block_delta", |json| {
            json.member_u64("index", self.next).name("delta").object().member_str("type", kind);
            write(json);
            json.end();
        });
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        self.write_head(out);
        self.advance(true, out);
        self.close(out);
        let usage = self.known_usage();
        let (finish, stop) = self.finish.take().unwrap_or((Finish::Stop, None));
        let finish = match finish {
            Finish::Stop if self.has_calls => Finish::ToolCalls,
            Finish::Stop if self.has_refusal => Finish::Refusal,
            finish => finish,
        };
        event(out, "message_delta", |json| {
            json.name("delta").object();
            json.member_str("stop_reason", stop_reason(finish, stop.is_some()));
            match &stop {
                Some(stop) => json.member_str("stop_sequence", stop),
                None => json.name("stop_sequence").null(),
            };
            json.end().name("usage");
            write_usage(json, &usage, None);
        });
        event(out, "message_stop", |_| {});
        self.is_over = true;
    }

    /// Nothing follows but an error. A call that is cut off stays open, so that nobody takes it for whole.
    fn break_off(&mut self, out: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(Block::is_done) {
            self.close(out);
        }
        self.waiting.clear();
        self.is_over = true;
    }

    fn fail_told(&mut self, error: &Error<'_>, out: &mut Vec<u8>) {
        self.break_off(out);
        write_told_event(out, error, &self.request_id);
    }

    fn check_waiting(&mut self, out: &mut Vec<u8>) {
        if self.waiting_bytes > WAITING_BYTES_MAX && !self.is_over {
            let message = "calls of tools are interleaved too widely to be put in order";
            let kind = ErrorKind::Api;
            let message = Cow::Borrowed(message);
            self.fail_told(
                &Error { kind, message, code: None, param: None, retry_after: None },
                out,
            );
        }
    }
}
