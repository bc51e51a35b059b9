//! The dialects, one a folder, and what each can do.
//!
//! A dialect can be a client's ([`Inbound`]), a provider's ([`Outbound`]), or both. Where both ends speak the same one,
//! bytes pass as they are and [`Passage`] says what to look for in them. All of it is bytes in, bytes and values out.

use std::borrow::Cow;

use faregate_wire::Peek;

use crate::{
    chat::{Answer, Delta, Error, IdRule, Loss, NameRule, Request, Usage},
    quirks::Quirks,
};

pub mod anthropic;
pub mod bedrock;
pub mod gemini;
pub mod openai;
pub mod responses;

/// The ways in which a chat is spelled on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// OpenAI's Chat Completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Gemini's `generateContent`.
    Gemini,
    /// Bedrock's Converse.
    Converse,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Responses, Self::Messages, Self::Gemini, Self::Converse];

    /// The dialect, as clients speak it.
    #[must_use]
    pub fn inbound(self) -> &'static dyn Inbound {
        self.dialect()
    }

    /// The dialect, as providers speak it.
    #[must_use]
    pub fn outbound(self) -> &'static dyn Outbound {
        self.dialect()
    }

    /// What is looked for in its bytes that pass.
    #[must_use]
    pub fn passage(self) -> &'static dyn Passage {
        self.dialect()
    }

    fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Chat => &openai::CHAT,
            Self::Responses => &responses::RESPONSES,
            Self::Messages => &anthropic::MESSAGES,
            Self::Gemini => &gemini::GEMINI,
            Self::Converse => &bedrock::CONVERSE,
        }
    }

    /// Its name in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Converse => "converse",
        }
    }
}

/// A dialect in all its roles.
trait Dialect: Inbound + Outbound + Passage {}

impl<D: Inbound + Outbound + Passage> Dialect for D {}

/// A dialect that clients speak.
pub trait Inbound: Sync {
    /// The body as [`read_request`](Self::read_request) is to read it, where it says something in a form that a request
    /// cannot borrow (Gemini's `Schema`); `None` where it can be read as it is, which is all that most dialects know.
    fn prepare(&self, body: &[u8]) -> Option<Vec<u8>> {
        let _ = body;
        None
    }

    /// Reads a request. `body` is one well-formed JSON object.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a member has the wrong type or a value that has no meaning. Members that are not known go into
    /// [`Request::rest`].
    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid>;

    /// Appends a whole answer.
    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>);

    /// Writes a stream.
    fn stream_writer(&self, terms: &AnswerTerms<'_>) -> Box<dyn StreamWriter>;

    /// Appends the body of an error answer.
    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>);
}

/// A dialect that providers speak.
pub trait Outbound: Sync {
    /// What names of tools may look like. Names in a request have been fitted when it is written.
    fn name_rule(&self) -> NameRule;

    /// What ids of calls may look like. The writer fits them.
    fn id_rule(&self) -> IdRule;

    /// Appends the body of a request. What cannot be said is noted in `loss`, by its name in the client's dialect.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when nothing sensible can be sent.
    fn write_request(
        &self,
        out: &mut Vec<u8>,
        request: &Request<'_>,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Result<(), Invalid>;

    /// The path of a request, behind the provider's base URL, with its query: `/chat/completions`. `model` is the
    /// provider's name for it.
    fn path(&self, model: &str, stream: bool) -> Cow<'static, str>;

    /// Reads a whole answer, delta by delta, [`Delta::Start`] to [`Delta::Done`].
    ///
    /// # Errors
    ///
    /// [`BadAnswer`] when it is not one of this dialect.
    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer>;

    /// How a stream is cut into events.
    fn stream_framing(&self) -> StreamFraming {
        StreamFraming::Events
    }

    /// Reads a stream.
    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader>;

    /// Reads the body of an answer whose status is not 2xx. Whatever the body is, what it says is kept: a body that is not
    /// of this dialect becomes the message.
    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a>;
}

/// What is looked for in a dialect's bytes that pass as they are.
pub trait Passage: Sync {
    /// The top-level members of a request that are looked for; their order is the dialect's own.
    fn fields(&self) -> &'static [&'static str];

    /// Tells what a request asks, as far as policy depends on it.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when such a member has the wrong type.
    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid>;

    /// Looks into one event of a stream: its name (empty when it has none) and its data.
    fn inspect(&self, name: &[u8], data: &[u8]) -> Seen;

    /// The member of a whole answer that holds its usage, and how that is read.
    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>);

    /// The comment or event that shows a silent stream is alive.
    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }
}

/// What the path, the query and the head say of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// The model, where the path names it (Gemini, Azure, Bedrock).
    pub model: Option<&'a str>,
    /// Whether the path asks for a stream; `None` where the body does.
    pub stream: Option<bool>,
}

/// What a request asks, as far as policy depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The model, decoded.
    pub model: Option<Cow<'a, str>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// The most output tokens of one choice, where that was said.
    pub output_max: Option<u64>,
    /// How many answers are made.
    pub choices: u64,
    /// Whether the stream tells usage by itself.
    pub tells_usage: bool,
}

/// What a target's provider needs beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// The bound of output where the client gave none and the dialect needs one.
    pub output_max: u64,
    /// How the provider differs from its dialect.
    pub quirks: &'a Quirks,
}

/// What a reader of answers needs.
#[derive(Clone, Copy, Debug)]
pub struct ReadTerms<'a> {
    /// Made into ids of calls where the provider gives none: different for every request.
    pub seed: u64,
    /// How the provider differs from its dialect.
    pub quirks: &'a Quirks,
}

/// The id of a call: the provider's; where it gives none, one that is made of `seed` and differs from call to call.
fn call_id<'a>(given: Option<Cow<'a, str>>, seed: u64, call: u32) -> Cow<'a, str> {
    let given = given.filter(|id| !id.is_empty());
    given.unwrap_or_else(|| Cow::Owned(format!("call_{seed:016x}{call}")))
}

/// What a writer of answers needs.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTerms<'a> {
    /// The model that the client asked for: told where the provider does not say.
    pub model: &'a str,
    /// Whether the client wants usage in a stream, where it can choose.
    pub include_usage: bool,
    /// The gateway's id for the request, made into ids where the provider gives none.
    pub request_id: &'a str,
    /// Now, in seconds since 1970.
    pub created: u64,
    /// The input tokens as the gateway counts or estimates them, for dialects that tell the input before a provider has:
    /// replaced by the provider's count at the end.
    pub input_estimate: Option<u64>,
    /// Whether the stream is one JSON array instead of events (Gemini without `alt=sse`).
    pub json_array: bool,
}

/// How a provider's stream is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFraming {
    /// Server-sent events.
    Events,
    /// AWS event-stream frames.
    Frames,
    /// One JSON object a line.
    Lines,
}

/// Reads a provider's stream.
pub trait StreamReader {
    /// Takes one event: its name (the `event:` field, or `:event-type` of a frame, with `exception:` before it when the
    /// frame is an exception; empty when it has none) and its data.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`] when the data is not what this dialect sends.
    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer>;

    /// The provider has closed the stream in order. A dialect whose streams have no last event says [`Delta::Done`] here
    /// when its last finish has come. Nothing is said when the stream was cut: the caller knows by the missing `Done`.
    fn close(&mut self, sink: &mut dyn FnMut(Delta<'_>));
}

/// Writes a client's stream, framed as the client reads it.
pub trait StreamWriter {
    /// Appends what one delta becomes; [`Delta::Done`] and [`Delta::Error`] end the stream.
    fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>);

    /// Ends a stream that was broken off, with an error in it, so that it is well-formed and cannot be taken for whole.
    fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>);

    /// Appends what keeps a silent stream alive.
    fn keep_alive(&mut self, out: &mut Vec<u8>);
}

/// What an error of the gateway's own, or a provider's told again, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// The status of the answer, or what it would have been.
    pub status: u16,
    /// For a human.
    pub message: &'a str,
    /// OpenAI's `type`, such as `invalid_request_error`; other dialects go by the status.
    pub kind: &'a str,
    /// Stable, for a program.
    pub code: &'a str,
    /// The parameter that is wrong, if it is one.
    pub param: Option<&'a str>,
    /// Names the request in the logs.
    pub request_id: &'a str,
    /// More members as raw JSON, without braces: `"limit":5,"left":2`.
    pub extra: Option<&'a str>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The member that is wrong.
    pub param: Cow<'static, str>,
    /// Says so.
    pub message: String,
}

/// What came is no answer of the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAnswer;

/// What was seen in one event of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It is the last event: the answer is whole.
    pub done: bool,
    /// It reports an error.
    pub error: bool,
    /// It carries a piece of the answer: text, reasoning, a refusal, a tool call or audio.
    pub content: bool,
    /// The usage that it tells.
    pub usage: Option<UsageReport>,
    /// It tells usage and nothing else: the chunk that `include_usage` adds.
    pub extra_chunk: bool,
}

/// One report of usage in a stream: cumulative, perhaps of one side alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageReport {
    /// The counts.
    pub usage: Usage,
    /// It counts the input.
    pub has_input: bool,
    /// It counts the output.
    pub has_output: bool,
}

impl UsageReport {
    /// A report of both sides.
    #[must_use]
    pub const fn whole(usage: Usage) -> Self {
        Self { usage, has_input: true, has_output: true }
    }

    /// What is known after this report: a side that it counts replaces what was known of that side. A class of input that it
    /// counts as zero does not: some providers tell new and cached input in different reports.
    #[must_use]
    pub fn over(self, before: Option<Usage>) -> Usage {
        let before = before.unwrap_or_default();
        let later = |now: u64, before: u64| if now > 0 && self.has_input { now } else { before };
        let output = if self.has_output { self.usage } else { before };
        // A later report may count all that was written without saying for how long, as Anthropic's do.
        let written = later(self.usage.total_cache_write(), before.total_cache_write());
        let long = later(self.usage.cache_write_long, before.cache_write_long).min(written);
        Usage {
            input: later(self.usage.input, before.input),
            cache_read: later(self.usage.cache_read, before.cache_read),
            cache_write: written - long,
            cache_write_long: long,
            audio_input: later(self.usage.audio_input, before.audio_input),
            output: output.output,
            reasoning: output.reasoning,
            audio_output: output.audio_output,
        }
    }
}

impl Invalid {
    /// `param` is not `wanted`.
    #[must_use]
    pub fn type_of(param: impl Into<Cow<'static, str>>, wanted: &str) -> Self {
        let param = param.into();
        Self { message: format!("{param} must be {wanted}"), param }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_cache_tokens_are_counted_once_when_a_later_report_does_not_say_for_how_long() {
        let first = Usage { input: 5, cache_write: 100, cache_write_long: 40, ..Usage::default() };
        let later = Usage { input: 5, cache_write: 140, output: 9, ..Usage::default() };
        let known = UsageReport::whole(later).over(Some(first));
        assert_eq!(known, Usage { output: 9, ..first });
        assert_eq!(UsageReport::whole(first).over(None), first);
    }
}
