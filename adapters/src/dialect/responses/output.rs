//! The items of an answer, and the response that holds them.
//!
//! An item is written the same way whether it has just begun, is done, or is repeated in the response.

use faregate_wire::{Json, JsonWriter};

use super::{namespace, usage};
use crate::{
    chat::{Finish, Start, Usage},
    dialect::AnswerTerms,
};

/// The most bytes of the response's id that are in those of its items: they may have 64 in all.
const BASE_BYTES_MAX: usize = 48;

/// An item of the output.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) body: Body,
}

/// How far an item or a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Body {
    Message(Vec<Content>),
    Reasoning {
        text: String,
        /// There is a summary; of a signature whose thought is not shown it is one of no text.
        has_summary: bool,
        signature: Option<String>,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        custom: bool,
    },
    Image {
        /// The bytes in base64.
        data: String,
    },
}

/// A part of a message.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    /// Characters in `text`.
    chars: u64,
    /// How many citations there are.
    pub(super) citations: u64,
    /// The citations as JSON, with commas between.
    annotations: Vec<u8>,
    /// What is told of the tokens as JSON, with commas between.
    pub(super) logprobs: Vec<u8>,
}

impl Status {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

impl Body {
    pub(super) const fn reasoning() -> Self {
        Self::Reasoning { text: String::new(), has_summary: false, signature: None }
    }

    const fn prefix(&self) -> &'static str {
        match self {
            Self::Message(_) => "msg_",
            Self::Reasoning { .. } => "rs_",
            Self::Call { custom: false, .. } => "fc_",
            Self::Call { custom: true, .. } => "ctc_",
            Self::Image { .. } => "ig_",
        }
    }
}

impl Content {
    pub(super) fn new(is_refusal: bool) -> Self {
        Self { is_refusal, ..Self::default() }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count() as u64;
    }

    /// Adds a citation of all the text so far: its place in the list's bytes.
    pub(super) fn cite(&mut self, url: Option<&str>, title: Option<&str>) -> &[u8] {
        if self.citations > 0 {
            self.annotations.push(b',');
        }
        let start = self.annotations.len();
        let mut json = JsonWriter::new(&mut self.annotations);
        json.object();
        match url {
            Some(url) => {
                json.member_str("type", "url_citation").member_str("url", url);
                json.member_str("title", title.unwrap_or(url));
                json.member_u64("start_index", 0).member_u64("end_index", self.chars);
            }
            None => {
                json.member_str("type", "file_citation").member_str("file_id", "");
                json.member_str("filename", title.unwrap_or_default());
                json.member_u64("index", self.chars);
            }
        }
        json.end();
        self.citations += 1;
        &self.annotations[start..]
    }

    /// Adds what is told of tokens: the items of an array.
    pub(super) fn add_logprobs(&mut self, content: Json<'_>) {
        for item in content.items() {
            if !self.logprobs.is_empty() {
                self.logprobs.push(b',');
            }
            // A line end would end the event's data; outside of strings, where alone it can be, a space says the same.
            let plain = item.raw().iter().map(|byte| match byte {
                b'\n' | b'\r' => b' ',
                byte => *byte,
            });
            self.logprobs.extend(plain);
        }
    }

    /// Writes the part.
    pub(super) fn write(&self, json: &mut JsonWriter<'_>) {
        json.object();
        if self.is_refusal {
            json.member_str("type", "refusal").member_str("refusal", &self.text).end();
            return;
        }
        json.member_str("type", "output_text").member_str("text", &self.text);
        list(json.name("annotations"), &self.annotations);
        list(json.name("logprobs"), &self.logprobs);
        json.end();
    }
}

/// Writes an array of items that have their commas.
pub(super) fn list(json: &mut JsonWriter<'_>, items: &[u8]) {
    json.array();
    if !items.is_empty() {
        json.raw(items);
    }
    json.end();
}

impl Item {
    /// Writes the item.
    pub(super) fn write(&self, json: &mut JsonWriter<'_>) {
        json.object().member_str("id", &self.id);
        match &self.body {
            Body::Message(parts) => {
                json.member_str("type", "message").member_str("status", self.status.name());
                json.name("content").array();
                parts.iter().for_each(|part| part.write(json));
                json.end().member_str("role", "assistant");
            }
            Body::Reasoning { text, has_summary, signature } => {
                json.member_str("type", "reasoning").name("summary").array();
                if *has_summary {
                    write_summary(json, text);
                }
                json.end();
                if let Some(signature) = signature {
                    json.member_str("encrypted_content", signature);
                }
            }
            Body::Call { id, name, arguments, custom } => {
                let (kind, member) = match custom {
                    true => ("custom_tool_call", "input"),
                    false => ("function_call", "arguments"),
                };
                json.member_str("type", kind).member_str("status", self.status.name());
                json.member_str("call_id", id);
                let (namespace, name) = namespace::split(name);
                if let Some(namespace) = namespace {
                    json.member_str("namespace", namespace);
                }
                json.member_str("name", name).member_str(member, arguments);
            }
            Body::Image { data } => {
                json.member_str("type", "image_generation_call");
                json.member_str("status", self.status.name());
                match data.is_empty() {
                    true => json.name("result").null(),
                    false => json.member_str("result", data),
                };
            }
        }
        json.end();
    }
}

/// Writes the part of a summary.
pub(super) fn write_summary(json: &mut JsonWriter<'_>, text: &str) {
    json.object().member_str("type", "summary_text").member_str("text", text).end();
}

/// What a response tells of itself, whatever is in it.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    id: String,
    model: String,
    created: u64,
    tier: Option<String>,
}

/// How a response ended, or that it has not.
pub(super) struct Ending<'e> {
    pub(super) status: Status,
    /// Why it is not complete.
    pub(super) reason: Option<&'static str>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<Fault<'e>>,
}

/// The error in a response that failed.
pub(super) struct Fault<'e> {
    pub(super) code: &'e str,
    pub(super) kind: &'e str,
    pub(super) message: &'e str,
    pub(super) param: Option<&'e str>,
}

impl Fault<'_> {
    /// Writes its members.
    pub(super) fn write(&self, json: &mut JsonWriter<'_>) {
        json.member_str("code", self.code).member_str("message", self.message);
        json.member_str("type", self.kind).name("param");
        match self.param {
            Some(param) => json.str(param),
            None => json.null(),
        };
    }
}

impl Envelope {
    pub(super) fn new(start: &Start<'_>, terms: &AnswerTerms<'_>) -> Self {
        let id = if start.id.is_empty() { terms.request_id } else { &*start.id };
        let model = if start.model.is_empty() { terms.model } else { &*start.model };
        Self {
            id: if id.starts_with("resp_") { id.to_owned() } else { format!("resp_{id}") },
            model: model.to_owned(),
            created: start.created.unwrap_or(terms.created),
            tier: start.tier.as_deref().map(str::to_owned),
        }
    }

    /// The item that stands at `index`.
    pub(super) fn item(&self, index: usize, body: Body) -> Item {
        let base = self.id.strip_prefix("resp_").unwrap_or(&self.id);
        let plain = base.chars().filter(char::is_ascii_alphanumeric).take(BASE_BYTES_MAX);
        let mut id = body.prefix().to_owned();
        id.extend(plain);
        id.push_str(&format!("_{index}"));
        Item { id, status: Status::InProgress, body }
    }

    /// Writes the response.
    pub(super) fn write(&self, json: &mut JsonWriter<'_>, output: &[Item], ending: &Ending<'_>) {
        json.object().member_str("id", &self.id).member_str("object", "response");
        json.member_u64("created_at", self.created).member_str("status", ending.status.name());
        json.member_bool("background", false).name("error");
        match &ending.error {
            Some(error) => {
                json.object();
                error.write(json);
                json.end();
            }
            None => {
                json.null();
            }
        }
        json.name("incomplete_details");
        match ending.reason {
            Some(reason) => json.object().member_str("reason", reason).end(),
            None => json.null(),
        };
        json.name("instructions").null().name("max_output_tokens").null();
        json.name("max_tool_calls").null().member_str("model", &self.model);
        json.name("output").array();
        output.iter().for_each(|item| item.write(json));
        json.end().member_bool("parallel_tool_calls", true).name("previous_response_id").null();
        json.name("reasoning").object().name("effort").null().name("summary").null().end();
        json.member_str("service_tier", self.tier.as_deref().unwrap_or("default"));
        json.member_bool("store", false).name("temperature").null();
        json.name("text").object().name("format").object().member_str("type", "text").end().end();
        json.member_str("tool_choice", "auto").name("tools").array().end();
        json.member_u64("top_logprobs", 0).name("top_p").null();
        json.member_str("truncation", "disabled").name("usage");
        match &ending.usage {
            Some(usage) => usage::write(json, usage),
            None => {
                json.null();
            }
        }
        json.name("user").null().name("metadata").object().end().end();
    }
}

/// What a finish makes of a response: its status, and why it is not complete.
pub(super) fn ending_of(finish: Option<Finish>, items: &[Item]) -> (Status, Option<&'static str>) {
    let has_refusal = || {
        items.iter().any(|item| match &item.body {
            Body::Message(parts) => parts.iter().any(|part| part.is_refusal),
            _ => false,
        })
    };
    match finish {
        // A paused turn goes on when it is sent back, as one that met the limit does.
        Some(Finish::Length | Finish::ContextFull | Finish::Pause) => {
            (Status::Incomplete, Some("max_output_tokens"))
        }
        Some(Finish::Refusal) if !has_refusal() => (Status::Incomplete, Some("content_filter")),
        Some(Finish::Stop | Finish::ToolCalls | Finish::Refusal) | None => {
            (Status::Completed, None)
        }
    }
}
