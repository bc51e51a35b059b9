//! One event of text read in the provider's dialect and written in the client's, beside the look at an event that passes.

use std::hint::black_box;

use faregate_adapters::{
    dialect::{Form, StreamReader, StreamWriter},
    quirks::Quirks,
};

use super::{Group, Operation, Ready, translate};
use crate::input::sse;

pub(super) const GROUP: Group = Group {
    name: "translate_chunk",
    operations: &[
        Operation::ours("messages, passed", || passed(Form::Messages)),
        Operation::ours("messages to chat", || across(Form::Messages, Form::Chat)),
        Operation::ours("messages to responses", || across(Form::Messages, Form::Responses)),
        Operation::ours("chat, passed", || passed(Form::Chat)),
        Operation::ours("chat to messages", || across(Form::Chat, Form::Messages)),
        Operation::ours("gemini, passed", || passed(Form::Gemini)),
        Operation::ours("gemini to chat", || across(Form::Gemini, Form::Chat)),
    ],
};

/// The text of every event.
const TEXT: &str = "then we look for another ";

/// What stands before the first event of text.
fn opening(form: Form) -> &'static [(&'static [u8], &'static [u8])] {
    match form {
        Form::Messages => &[
            (
                b"message_start",
                b"{\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\
                \"role\":\"assistant\",\"model\":\"claude-sonnet-5\",\"content\":[],\
                \"stop_reason\":null,\"usage\":{\"input_tokens\":21,\"output_tokens\":1}}}",
            ),
            (
                b"content_block_start",
                b"{\"type\":\"content_block_start\",\"index\":0,\
                \"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
            ),
        ],
        Form::Chat | Form::Responses | Form::Gemini | Form::Converse => &[],
    }
}

/// An event of [`TEXT`]: its name and its data.
fn event(form: Form) -> (&'static [u8], Vec<u8>) {
    match form {
        Form::Messages => (
            b"content_block_delta",
            format!(
                "{{\"type\":\"content_block_delta\",\"index\":0,\
                 \"delta\":{{\"type\":\"text_delta\",\"text\":\"{TEXT}\"}}}}"
            )
            .into_bytes(),
        ),
        Form::Gemini => (
            b"",
            format!(
                "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{TEXT}\"}}],\
                 \"role\":\"model\"}},\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":21,\
                 \"candidatesTokenCount\":7,\"totalTokenCount\":28}},\
                 \"modelVersion\":\"gemini-3-pro\",\"responseId\":\"r1\"}}"
            )
            .into_bytes(),
        ),
        Form::Chat | Form::Responses | Form::Converse => (b"", sse::delta_of(TEXT)),
    }
}

/// The event as a client of the same dialect gets it: looked at, never written.
fn passed(form: Form) -> Ready {
    let passage = form.passage();
    let (name, data) = event(form);
    Ready::new(data.len(), 1, move || {
        u64::from(passage.inspect(black_box(name), black_box(&data)).content)
    })
}

fn across(from: Form, to: Form) -> Ready {
    let mut pair = Pair::new(from, to);
    let (name, data) = event(from);
    // The first event may open what the later ones only add to.
    pair.push(name, &data);
    pair.push(name, &data);
    assert!(translate::holds(&pair.out, TEXT), "the text is in what the client gets");
    Ready::new(data.len(), 1, move || {
        pair.push(black_box(name), black_box(&data));
        u64::from(translate::holds(black_box(&pair.out), TEXT))
    })
}

/// A reader, a writer, and what was written last.
struct Pair {
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    out: Vec<u8>,
}

impl Pair {
    /// Behind the opening of a stream.
    fn new(from: Form, to: Form) -> Self {
        let reader = from.outbound().stream_reader(&translate::read_terms(&Quirks::NONE));
        let writer = to.inbound().stream_writer(&translate::ANSWER_TERMS);
        let mut pair = Self { reader, writer, out: Vec::with_capacity(4096) };
        opening(from).iter().for_each(|(name, data)| pair.push(name, data));
        pair
    }

    fn push(&mut self, name: &[u8], data: &[u8]) {
        self.out.clear();
        let Self { reader, writer, out } = self;
        if reader.event(name, data, &mut |delta| writer.write(&delta, out)).is_err() {
            out.clear();
        }
    }
}

/// Translates a stream of so many events of text and gives the bytes that the client gets of them.
#[must_use]
pub fn stream(from: Form, to: Form, events: usize) -> u64 {
    let mut pair = Pair::new(from, to);
    let (name, data) = event(from);
    (0..events).fold(0, |sum, _| {
        pair.push(name, &data);
        sum + pair.out.len() as u64
    })
}
