//! An answer's body on its way from the provider's dialect into the client's.
//!
//! In: the body's bytes, without framing, split anywhere. Out: the client's bytes. State between calls: an event that is
//! not complete, what the dialects remember, and, of an answer that is not a stream, all that has come
//! ([`HELD_BYTES_MAX`] at most).
//!
//! One translator serves every pair of dialects: the provider's reader says what came as deltas, the client's writer says
//! them again. A stream that the client asked for stays one when the provider answers whole, and the other way round.

use faregate_adapters::{
    aside::Aside,
    chat::{Assembler, Customs, Delta, Finish, IdRule, Names, Usage},
    dialect::{
        AnswerTerms, ErrorBody, Form, Inbound, ReadTerms, StreamFraming, StreamReader,
        StreamWriter, bedrock,
    },
    embed::{self, Encoding},
    quirks::Quirks,
    tokens,
};
use faregate_wire::{Cutter, Frame, FrameCutter};

mod unwrap;

use super::{Broken, Learned};
use crate::carry::{Carried, Tag};

/// The most bytes that are held of an answer which is not a stream, and of an event that is not complete.
pub(crate) const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most bytes of a provider's error that are read.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What a translator is made of.
pub(crate) struct Pair<'a> {
    /// What the provider speaks.
    pub(crate) target: Form,
    /// What the client speaks.
    pub(crate) client: Form,
    /// How the provider differs from its dialect.
    pub(crate) quirks: &'a Quirks,
    /// Events of the dialect are wrapped in frames.
    pub(crate) wrapped: bool,
    /// Both speak the same: events pass as they are, out of their frames.
    pub(crate) unwraps: bool,
    /// Whether the client asked for a stream.
    pub(crate) streams: bool,
    /// The answer is no chat but vectors.
    pub(crate) vectors: Option<Vectors>,
    /// Names of tools that were replaced.
    pub(crate) names: Names,
    /// Custom tools that became functions, where the provider has none.
    pub(crate) customs: Option<Customs>,
    /// Different for every request.
    pub(crate) seed: u64,
    /// The input tokens, for a client whose dialect tells usage in any case: said with an estimate of the output where the
    /// provider tells nothing.
    pub(crate) input: Option<u64>,
    /// What the client's writer is told.
    pub(crate) terms: AnswerTerms<'a>,
}

/// How a client wants the vectors of an embedding that another dialect made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vectors {
    /// As OpenAI tells them.
    OpenAi(Encoding),
    /// As Gemini tells them: of a batch, or one.
    Gemini {
        /// Whether a batch was asked for.
        is_batch: bool,
    },
}

/// How the provider's body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coming {
    /// As a stream.
    Stream,
    /// As a whole.
    Whole,
    /// As an error with this status.
    Error(u16),
}

/// Translates one answer.
pub(crate) struct Translator {
    source: Source,
    sink: Sink,
    /// The part of the body that has not been read.
    held: Vec<u8>,
    told: Told,
    model: Box<str>,
    request_id: Box<str>,
    created: u64,
}

enum Source {
    Events { cutter: Cutter, reader: Box<dyn StreamReader> },
    Frames { cutter: FrameCutter, reader: Box<dyn StreamReader>, wrapped: bool },
    Unwrapped { cutter: FrameCutter, form: Form },
    Lines { reader: Box<dyn StreamReader> },
    Whole { quirks: Quirks, seed: u64, form: Form },
    Vectors(Vectors),
    Error { status: u16, form: Form },
}

enum Sink {
    Stream(Box<dyn StreamWriter>),
    Whole { assembler: Box<Assembler>, form: Form, include_usage: bool, json_array: bool },
}

/// What is kept of the deltas that have passed.
struct Told {
    names: Names,
    customs: Option<Customs>,
    id_rule: IdRule,
    tag: Tag,
    usage: Option<Usage>,
    aside: Aside,
    input: Option<u64>,
    content: u64,
    content_bytes: u64,
    done: bool,
    failed: bool,
    carried: Carried,
}

impl Translator {
    /// A translator at the start of a body.
    pub(crate) fn new(pair: Pair<'_>, coming: Coming) -> Self {
        let outbound = pair.target.outbound();
        let terms = ReadTerms { seed: pair.seed, quirks: pair.quirks };
        let source = match (coming, pair.vectors) {
            (Coming::Error(status), _) => Source::Error { status, form: pair.target },
            (_, Some(vectors)) => Source::Vectors(vectors),
            (Coming::Whole, None) => {
                Source::Whole { quirks: *pair.quirks, seed: pair.seed, form: pair.target }
            }
            (Coming::Stream, None) if pair.unwraps => {
                Source::Unwrapped { cutter: FrameCutter::default(), form: pair.target }
            }
            (Coming::Stream, None) => {
                let reader = outbound.stream_reader(&terms);
                match outbound.stream_framing() {
                    _ if pair.wrapped => {
                        Source::Frames { cutter: FrameCutter::default(), reader, wrapped: true }
                    }
                    StreamFraming::Events => Source::Events { cutter: Cutter::default(), reader },
                    StreamFraming::Frames => {
                        Source::Frames { cutter: FrameCutter::default(), reader, wrapped: false }
                    }
                    StreamFraming::Lines => Source::Lines { reader },
                }
            }
        };
        let streams = pair.streams && !matches!(coming, Coming::Error(_));
        let sink = match streams {
            true => Sink::Stream(pair.client.inbound().stream_writer(&pair.terms)),
            false => Sink::Whole {
                assembler: Box::default(),
                form: pair.client,
                include_usage: pair.terms.include_usage,
                json_array: pair.terms.json_array,
            },
        };
        Self {
            source,
            sink,
            held: Vec::new(),
            told: Told {
                names: pair.names,
                customs: pair.customs,
                id_rule: pair.client.outbound().id_rule(),
                tag: Tag::of(pair.target),
                usage: None,
                aside: Aside::default(),
                input: pair.input,
                content: 0,
                content_bytes: 0,
                done: false,
                failed: false,
                carried: Carried::default(),
            },
            model: pair.terms.model.into(),
            request_id: pair.terms.request_id.into(),
            created: pair.terms.created,
        }
    }

    /// Whether the client gets a stream, into which an error can be put.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.sink, Sink::Stream(_))
    }

    /// What the next turn will need of this one.
    pub(crate) fn take_carried(&mut self) -> Carried {
        std::mem::take(&mut self.told.carried)
    }

    /// Takes in more of the body and appends what the client gets.
    ///
    /// # Errors
    ///
    /// [`Broken::Malformed`] when the body is not what the dialect sends.
    pub(crate) fn push(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
        learned: &mut Learned,
    ) -> Result<(), Broken> {
        let max = match self.source {
            Source::Error { .. } => {
                let room = ERROR_BYTES_MAX.saturating_sub(self.held.len());
                self.held.extend_from_slice(&data[..data.len().min(room)]);
                return Ok(());
            }
            _ => HELD_BYTES_MAX,
        };
        if self.held.len() + data.len() > max {
            return Err(Broken::Malformed);
        }
        if matches!(self.source, Source::Whole { .. } | Source::Vectors(_)) {
            self.held.extend_from_slice(data);
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        let used = if held.is_empty() {
            let used = self.read(data, out)?;
            held.extend_from_slice(&data[used..]);
            0
        } else {
            held.extend_from_slice(data);
            self.read(&held, out)?
        };
        held.drain(..used);
        if held.is_empty() {
            held = Vec::new();
        }
        self.held = held;
        self.told.teach(learned);
        Ok(())
    }

    /// The body has come to its end: appends the rest.
    ///
    /// # Errors
    ///
    /// [`Broken`] when the answer is not whole.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>, learned: &mut Learned) -> Result<(), Broken> {
        let held = std::mem::take(&mut self.held);
        let Self { source, sink, told, .. } = self;
        match source {
            Source::Error { status, form } => {
                let (status, form) = (*status, *form);
                self.write_error(out, status, form, &held);
                learned.error = true;
                return Ok(());
            }
            Source::Vectors(vectors) => {
                let vectors = *vectors;
                let tokens = self.write_vectors(&held, vectors, out).ok_or(Broken::Malformed)?;
                let usage = tokens.map(|input| Usage { input, ..Usage::default() });
                learned.usage = usage.or(learned.usage);
                learned.done = true;
                return Ok(());
            }
            Source::Whole { quirks, seed, form } => {
                let terms = ReadTerms { seed: *seed, quirks };
                let mut tell = |delta: Delta<'_>| told.tell(sink, delta, out);
                form.outbound()
                    .read_answer(&held, &terms, &mut tell)
                    .map_err(|_| Broken::Malformed)?;
            }
            Source::Events { reader, .. }
            | Source::Frames { reader, .. }
            | Source::Lines { reader } => {
                let mut tell = |delta: Delta<'_>| told.tell(sink, delta, out);
                if let [b'{', ..] = held.trim_ascii() {
                    // The last line of a stream of lines need not be ended.
                    reader.event(b"", &held, &mut tell).map_err(|_| Broken::Malformed)?;
                }
                reader.close(&mut tell);
            }
            Source::Unwrapped { .. } => {}
        }
        self.told.teach(learned);
        if !(self.told.done || self.told.failed) {
            return Err(Broken::Cut);
        }
        self.write_whole(out);
        Ok(())
    }

    /// Appends the end of a stream that breaks off.
    pub(crate) fn fail(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        match &mut self.sink {
            Sink::Stream(writer) => writer.fail(error, out),
            Sink::Whole { form, .. } => form.inbound().write_error(out, error),
        }
    }

    /// Appends the end of a stream whose bound of tokens is reached; about so many have come.
    pub(crate) fn end_at_length(&mut self, output: u64, out: &mut Vec<u8>) {
        let input = self.told.usage.map_or(self.told.input, |usage| Some(usage.input));
        if let Sink::Stream(writer) = &mut self.sink {
            writer.write(&Delta::Finish { choice: 0, reason: Finish::Length, stop: None }, out);
            if let Some(input) = input {
                let usage = self.told.usage.unwrap_or_default();
                writer.write(&Delta::Usage(Usage { input, output, ..usage }), out);
            }
            writer.write(&Delta::Done, out);
        }
    }

    /// Appends what keeps a silent stream alive.
    pub(crate) fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if let Sink::Stream(writer) = &mut self.sink {
            writer.keep_alive(out);
        }
    }

    /// Reads the whole events that `pending` begins with; how many bytes they have.
    fn read(&mut self, pending: &[u8], out: &mut Vec<u8>) -> Result<usize, Broken> {
        let Self { source, sink, told, .. } = self;
        if let Source::Unwrapped { cutter, form } = source {
            return unwrap::read(cutter, *form, pending, told, sink, out);
        }
        let mut tell = |delta: Delta<'_>| told.tell(sink, delta, out);
        let mut used = 0;
        match source {
            Source::Events { cutter, reader } => {
                while let Some(event) =
                    cutter.cut(&pending[used..]).map_err(|_| Broken::Malformed)?
                {
                    used += event.raw.len();
                    if let Some(data) = event.data_joined() {
                        let name = event.event().unwrap_or_default();
                        reader.event(name, &data, &mut tell).map_err(|_| Broken::Malformed)?;
                    }
                }
            }
            Source::Frames { cutter, reader, wrapped } => {
                while let Some(frame) =
                    cutter.cut(&pending[used..]).map_err(|_| Broken::Malformed)?
                {
                    used += frame.raw.len();
                    frame_event(&frame, *wrapped, reader.as_mut(), &mut tell)?;
                }
            }
            Source::Lines { reader } => {
                while let Some(at) = memchr::memchr(b'\n', &pending[used..]) {
                    let line = pending[used..used + at].trim_ascii();
                    used += at + 1;
                    if !line.is_empty() {
                        reader.event(b"", line, &mut tell).map_err(|_| Broken::Malformed)?;
                    }
                }
            }
            Source::Unwrapped { .. }
            | Source::Whole { .. }
            | Source::Vectors(_)
            | Source::Error { .. } => {}
        }
        Ok(used)
    }

    fn terms(&self, include_usage: bool, json_array: bool) -> AnswerTerms<'_> {
        AnswerTerms {
            model: &self.model,
            include_usage,
            request_id: &self.request_id,
            created: self.created,
            input_estimate: None,
            json_array,
        }
    }

    /// Says vectors again; gives back the tokens that they took, where those are told. `None` when there are none.
    fn write_vectors(
        &self,
        body: &[u8],
        vectors: Vectors,
        out: &mut Vec<u8>,
    ) -> Option<Option<u64>> {
        let answer = match vectors {
            Vectors::OpenAi(_) => embed::gemini::read_answer(body),
            Vectors::Gemini { .. } => embed::openai::read_answer(body),
        };
        let answer = answer.ok()?;
        let tokens = answer.input_tokens;
        match vectors {
            Vectors::OpenAi(encoding) => {
                let told = tokens.unwrap_or_default();
                embed::openai::write_answer(out, &answer, encoding, &self.model, told);
            }
            Vectors::Gemini { is_batch } => embed::gemini::write_answer(out, &answer, is_batch),
        }
        Some(tokens)
    }

    /// Writes an answer that was put together.
    fn write_whole(&mut self, out: &mut Vec<u8>) {
        let Sink::Whole { assembler, form, include_usage, json_array } = &mut self.sink else {
            return;
        };
        let answer = std::mem::take(&mut **assembler).finish();
        let (form, include_usage, json_array) = (*form, *include_usage, *json_array);
        match &answer.error {
            Some(error) => write_told_error(out, form.inbound(), 502, error, &self.request_id),
            None => {
                let terms = self.terms(include_usage, json_array);
                form.inbound().write_answer(out, &answer, &terms);
            }
        }
    }

    fn write_error(&self, out: &mut Vec<u8>, status: u16, form: Form, body: &[u8]) {
        let error = form.outbound().read_error(status, body);
        if let Sink::Whole { form, .. } = &self.sink {
            write_told_error(out, form.inbound(), status, &error, &self.request_id);
        }
    }
}

/// Says a provider's error again.
fn write_told_error(
    out: &mut Vec<u8>,
    inbound: &dyn Inbound,
    status: u16,
    error: &faregate_adapters::chat::Error<'_>,
    request_id: &str,
) {
    let code = error.code.as_deref().unwrap_or("upstream_status");
    let param = error.param.as_deref();
    let kind = kind_of(status);
    let body =
        ErrorBody { status, message: &error.message, kind, code, param, request_id, extra: None };
    inbound.write_error(out, &body);
}

/// OpenAI's `type` for a status.
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 | 429 => "rate_limit_error",
        403 => "permission_error",
        404 => "not_found_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn frame_event(
    frame: &Frame<'_>,
    wrapped: bool,
    reader: &mut dyn StreamReader,
    tell: &mut dyn FnMut(Delta<'_>),
) -> Result<(), Broken> {
    let name = frame.event();
    let payload = frame.data();
    if !wrapped {
        return reader.event(&name, &payload, tell).map_err(|_| Broken::Malformed);
    }
    match bedrock::invoke::unwrap_chunk(&name, &payload).map_err(|_| Broken::Malformed)? {
        Some(event) if event.is_exception() => {
            unwrap::exception(&event, tell);
            Ok(())
        }
        Some(event) => reader.event(&event.name, &event.data, tell).map_err(|_| Broken::Malformed),
        None => Ok(()),
    }
}

impl Sink {
    fn take(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Stream(writer) => writer.write(&delta, out),
            Self::Whole { assembler, .. } => assembler.push(delta),
        }
    }
}

impl Told {
    /// Passes a delta on, and keeps what is wanted of it.
    fn tell(&mut self, sink: &mut Sink, mut delta: Delta<'_>, out: &mut Vec<u8>) {
        if self.failed || (self.done && !matches!(delta, Delta::Usage(_))) {
            return;
        }
        self.names.restore_in(&mut delta);
        if let Some(customs) = &mut self.customs {
            let Some(restored) = customs.restore(delta) else { return };
            delta = restored;
        }
        self.carried.note(&delta, &self.id_rule);
        self.tag.put_on(&mut delta);
        match &delta {
            Delta::Start(start) => {
                self.usage = start.usage.or(self.usage);
                self.aside = Aside::of_tier(start.tier.as_deref()).over(self.aside);
            }
            Delta::Usage(usage) => self.usage = Some(*usage),
            Delta::Done => self.done = true,
            Delta::Error(_) => self.failed = true,
            Delta::Finish { .. }
            | Delta::Signature { .. }
            | Delta::Citation { .. }
            | Delta::Logprobs { .. } => {}
            Delta::Text { text, .. }
            | Delta::Reasoning { text, .. }
            | Delta::Refusal { text, .. }
            | Delta::ToolStart { name: text, .. }
            | Delta::ToolArguments { fragment: text, .. } => {
                self.content += 1;
                self.content_bytes += text.len() as u64;
            }
            Delta::Media { .. } => self.content += 1,
        }
        if self.done && self.usage.is_none() {
            self.tell_estimate(sink, out);
        }
        sink.take(delta, out);
    }

    /// Says what the answer took, about, before it ends without the provider's word.
    fn tell_estimate(&mut self, sink: &mut Sink, out: &mut Vec<u8>) {
        if let Some(input) = self.input.take() {
            let output = tokens::estimated_output(self.content, self.content_bytes);
            sink.take(Delta::Usage(Usage { input, output, ..Usage::default() }), out);
        }
    }

    fn teach(&self, learned: &mut Learned) {
        learned.usage = self.usage.or(learned.usage);
        learned.aside = self.aside.over(learned.aside);
        learned.content_now |= self.content > learned.content_events;
        learned.content |= self.content > 0;
        learned.content_events = self.content;
        learned.content_bytes = self.content_bytes;
        learned.done |= self.done;
        learned.error |= self.failed;
    }
}
