//! Any bytes as a provider's stream: what a client reads of it is well-formed, wherever the network cut it.

use faregate_wire::{Cutter, FrameCutter, write_event_frame, write_exception_frame};
use serde_json::Value;

use super::{
    BROKEN, answer_terms,
    grammar::{End, follow, follow_values},
};
use crate::{
    chat::{Assembler, Delta, Usage},
    dialect::{
        AnswerTerms, BadAnswer, Form, ReadTerms, StreamFraming, StreamReader, StreamWriter,
        bedrock::invoke::unwrap_chunk,
    },
    kind,
    quirks::Quirks,
};

/// A provider's stream and a client's.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// What the provider speaks.
    pub target: Form,
    /// Its events are wrapped in frames (`InvokeModel`).
    pub wrapped: bool,
    /// How it differs from its dialect.
    pub quirks: &'static Quirks,
    /// What the client speaks.
    pub client: Form,
    /// The client reads one JSON array (Gemini without `alt=sse`).
    pub json_array: bool,
}

/// What a client got of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relayed {
    /// The bytes.
    pub out: Vec<u8>,
    /// The provider has said everything.
    pub done: bool,
    /// The provider has told an error.
    pub failed: bool,
    /// What the client's writer was told of usage last.
    pub usage: Option<Usage>,
}

impl Ends {
    /// A provider and a client without peculiarities.
    #[must_use]
    pub const fn plain(target: Form, client: Form) -> Self {
        Self { target, wrapped: false, quirks: &Quirks::NONE, client, json_array: false }
    }

    /// Asserts that the client reads a well-formed stream, which ends in order when the provider's did, else with an error.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn follows(&self, relayed: &Relayed) {
        let end = if self.json_array {
            let chunks: Vec<Value> = serde_json::from_slice(&relayed.out).unwrap();
            follow_values(
                self.client,
                &chunks.into_iter().map(|c| (String::new(), c)).collect::<Vec<_>>(),
            )
        } else {
            follow(self.client, &relayed.out)
        };
        let is_whole = relayed.done && !relayed.failed;
        assert_eq!(end, if is_whole { End::Whole } else { End::Error }, "{self:?}");
    }

    /// Says a stream that arrives in pieces of these sizes in the client's dialect, as the gateway does. A stream that is
    /// not whole is broken off; `closes` says that the provider ended its body in order.
    #[must_use]
    pub fn relay(&self, wire: &[u8], sizes: &[u8], closes: bool) -> Relayed {
        let mut relay = Relay::new(self);
        let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
        let (mut start, mut end) = (0, 0);
        let mut read = Ok(());
        while read.is_ok() && end < wire.len() {
            end = wire.len().min(end + sizes.next().unwrap_or(wire.len()));
            read = relay.read(&wire[start..end]).map(|used| start += used);
        }
        if read.is_ok() && closes {
            let _ = relay.close(&wire[start..]);
        }
        relay.end()
    }
}

/// A stream on its way.
struct Relay {
    source: Source,
    wrapped: bool,
    reader: Box<dyn StreamReader>,
    told: Told,
}

enum Source {
    Events(Cutter),
    Frames(FrameCutter),
    Lines,
}

struct Told {
    writer: Box<dyn StreamWriter>,
    relayed: Relayed,
}

impl Relay {
    fn new(ends: &Ends) -> Self {
        let outbound = ends.target.outbound();
        let terms = AnswerTerms { json_array: ends.json_array, ..answer_terms(ends.client) };
        let source = match outbound.stream_framing() {
            _ if ends.wrapped => Source::Frames(FrameCutter::default()),
            StreamFraming::Events => Source::Events(Cutter::default()),
            StreamFraming::Frames => Source::Frames(FrameCutter::default()),
            StreamFraming::Lines => Source::Lines,
        };
        Self {
            source,
            wrapped: ends.wrapped,
            reader: outbound.stream_reader(&ReadTerms { seed: 1, quirks: ends.quirks }),
            told: Told {
                writer: ends.client.inbound().stream_writer(&terms),
                relayed: Relayed::default(),
            },
        }
    }

    /// Reads the whole events that `pending` begins with; how many bytes they have.
    fn read(&mut self, pending: &[u8]) -> Result<usize, BadAnswer> {
        let Self { source, wrapped, reader, told } = self;
        let mut tell = |delta: Delta<'_>| told.tell(&delta);
        let mut used = 0;
        match source {
            Source::Events(cutter) => {
                while let Some(event) = cutter.cut(&pending[used..]).map_err(|_| BadAnswer)? {
                    used += event.raw.len();
                    if let Some(data) = event.data_joined() {
                        reader.event(event.event().unwrap_or_default(), &data, &mut tell)?;
                    }
                }
            }
            Source::Frames(cutter) => {
                while let Some(frame) = cutter.cut(&pending[used..]).map_err(|_| BadAnswer)? {
                    used += frame.raw.len();
                    let (name, data) = (frame.event(), frame.data());
                    if !*wrapped {
                        reader.event(&name, &data, &mut tell)?;
                    } else if let Some(event) = unwrap_chunk(&name, &data)? {
                        reader.event(&event.name, &event.data, &mut tell)?;
                    }
                }
            }
            Source::Lines => {
                while let Some(at) = memchr::memchr(b'\n', &pending[used..]) {
                    let line = pending[used..used + at].trim_ascii();
                    used += at + 1;
                    if !line.is_empty() {
                        reader.event(b"", line, &mut tell)?;
                    }
                }
            }
        }
        Ok(used)
    }

    fn close(&mut self, rest: &[u8]) -> Result<(), BadAnswer> {
        let Self { reader, told, .. } = self;
        let mut tell = |delta: Delta<'_>| told.tell(&delta);
        if let [b'{', ..] = rest.trim_ascii() {
            reader.event(b"", rest, &mut tell)?;
        }
        reader.close(&mut tell);
        Ok(())
    }

    fn end(self) -> Relayed {
        let Told { mut writer, mut relayed } = self.told;
        if !(relayed.done || relayed.failed) {
            writer.fail(&BROKEN, &mut relayed.out);
        }
        relayed
    }
}

impl Told {
    fn tell(&mut self, delta: &Delta<'_>) {
        let Relayed { out, done, failed, usage } = &mut self.relayed;
        if *failed || (*done && !matches!(delta, Delta::Usage(_))) {
            return;
        }
        match delta {
            Delta::Start(start) => *usage = start.usage.or(*usage),
            Delta::Usage(told) => *usage = Some(*told),
            Delta::Done => *done = true,
            Delta::Error(_) => *failed = true,
            _ => {}
        }
        self.writer.write(delta, out);
    }
}

/// The names and the data of the events of a stream that was written for a client. All of it are whole events.
///
/// # Panics
///
/// When it is cut.
#[must_use]
pub fn read_all(form: Form, stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut events, mut rest) = (Vec::new(), stream);
    if form.outbound().stream_framing() == StreamFraming::Frames {
        let mut cutter = FrameCutter::default();
        while let Some(frame) = cutter.cut(rest).unwrap() {
            events.push((frame.event().into_owned(), frame.data().into_owned()));
            rest = &rest[frame.raw.len()..];
        }
    } else {
        let mut cutter = Cutter::default();
        while let Some(event) = cutter.cut(rest).unwrap() {
            if let Some(data) = event.data_joined() {
                events.push((event.event().unwrap_or_default().to_vec(), data.into_owned()));
            }
            rest = &rest[event.raw.len()..];
        }
    }
    assert!(rest.is_empty(), "the last event is whole: {}", stream.escape_ascii());
    events
}

/// Asserts that any bytes, taken for a provider's stream or whole answer, are well-formed for every client. The first byte
/// says what the provider speaks, the second how the stream is cut, what follows is the stream.
///
/// # Panics
///
/// When they are not.
pub fn any_bytes_as_a_stream(bytes: &[u8]) {
    let [choice, size, wire @ ..] = bytes else { return };
    let kinds = kind::ALL.len();
    let kind = &kind::ALL[usize::from(*choice) % kinds];
    let is_framed = usize::from(*choice) / kinds % 2 == 1;
    let closes = usize::from(*choice) / kinds / 2 % 2 == 1;
    for target in kind.forms {
        let is_frames = target.outbound().stream_framing() == StreamFraming::Frames;
        let frames = (is_framed && is_frames).then(|| framed(wire));
        let wire = frames.as_deref().unwrap_or(wire);
        for client in Form::ALL {
            let ends = Ends {
                wrapped: kind.wraps_events(),
                quirks: &kind.quirks,
                json_array: client == Form::Gemini && is_framed,
                ..Ends::plain(*target, client)
            };
            let relayed = ends.relay(wire, &[], closes);
            ends.follows(&relayed);
            assert_eq!(relayed, ends.relay(wire, &[*size], closes), "{ends:?}, pieces of {size}");
            answer(&ends, wire);
        }
        inspect(*target, wire);
    }
}

/// Checksums are hard to guess: each line becomes a frame, named by its first word.
fn framed(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let (name, data) = line.split_at(line.iter().position(|b| *b == b' ').unwrap_or(0));
        let name: String = String::from_utf8_lossy(name).chars().take(64).collect();
        match name.strip_prefix("exception:") {
            Some(name) => write_exception_frame(&mut out, name, data.trim_ascii()),
            None => write_event_frame(&mut out, &name, data.trim_ascii()),
        }
    }
    out
}

/// Bytes that are a whole answer are one for every client.
fn answer(ends: &Ends, body: &[u8]) {
    let outbound = ends.target.outbound();
    let (mut assembler, mut out) = (Assembler::default(), Vec::new());
    let terms = ReadTerms { seed: 1, quirks: ends.quirks };
    let read = outbound.read_answer(body, &terms, &mut |delta| assembler.push(delta));
    let answer = assembler.finish();
    if read.is_ok() && answer.error.is_none() {
        ends.client.inbound().write_answer(&mut out, &answer, &answer_terms(ends.client));
        let _: Value = serde_json::from_slice(&out).unwrap();
    }
    let error = outbound.read_error(400, body);
    let mut out = Vec::new();
    let told = crate::dialect::ErrorBody { message: &error.message, ..BROKEN };
    ends.client.inbound().write_error(&mut out, &told);
    let _: Value = serde_json::from_slice(&out).unwrap();
}

/// Events that pass as they are can be looked into, whatever they are.
fn inspect(form: Form, wire: &[u8]) {
    let _ = form.passage().inspect(b"", wire);
    let mut cutter = Cutter::default();
    let mut rest = wire;
    while let Ok(Some(event)) = cutter.cut(rest) {
        let data = event.data_joined().unwrap_or_default();
        let _ = form.passage().inspect(event.event().unwrap_or_default(), &data);
        rest = &rest[event.raw.len()..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_in_order_is_followed_and_one_out_of_order_is_not() {
        let ends = Ends::plain(Form::Chat, Form::Messages);
        let wire: &[u8] =
            b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\
            \"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let relayed = ends.relay(wire, &[3], true);
        assert!(relayed.done && !relayed.failed);
        ends.follows(&relayed);
        let cut = Relayed { done: false, ..relayed.clone() };
        assert!(std::panic::catch_unwind(|| ends.follows(&cut)).is_err());
        let twice = Relayed { out: [&*relayed.out, &*relayed.out].concat(), ..relayed };
        assert!(std::panic::catch_unwind(|| ends.follows(&twice)).is_err());
    }

    #[test]
    fn probabilities_that_are_no_json_are_none() {
        for (choice, event) in [
            (0, r#"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[F]}}]}"#),
            (1, r#"{"type":"response.output_text.delta","delta":"a","logprobs":[F]}"#),
        ] {
            let stream = [&[choice, 7][..], b"data: ", event.as_bytes(), b"\n\n"].concat();
            any_bytes_as_a_stream(&stream);
            let target = Form::ALL[usize::from(choice)];
            let client = Form::ALL[1 - usize::from(choice)];
            let relayed = Ends::plain(target, client).relay(&stream[2..], &[], true);
            let out = String::from_utf8(relayed.out).unwrap();
            assert!(out.contains("\"a\"") && !out.contains("[F]"), "{out}");
        }
    }

    #[test]
    fn calls_that_a_provider_leaves_nameless_have_ids_of_their_own() {
        let messages = "data: {\"type\":\"message_start\",\"message\":{}}\n\ndata: {\"type\":\"content_block_start\",\
            \"index\":0,\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}}\n\n";
        any_bytes_as_a_stream(&[b"\x02\x07", messages.as_bytes()].concat());
        let converse = "contentBlockStart {\"start\":{\"toolUse\":{\"name\":\"f\"}}}";
        any_bytes_as_a_stream(&[b"\x0e\x07", converse.as_bytes()].concat());
        let relayed = Ends::plain(Form::Messages, Form::Chat).relay(messages.as_bytes(), &[], true);
        assert!(String::from_utf8(relayed.out).unwrap().contains("\"call_00000000000000010\""));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_a_well_formed_stream(bytes: Vec<u8>) {
            any_bytes_as_a_stream(&bytes);
        }
    }
}
