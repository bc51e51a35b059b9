//! The recorded conversations.

use std::{fs, path::PathBuf};

use faregate_adapters::dialect::{Form, StreamFraming};
use faregate_wire::{Cutter, FrameCutter};

/// What every dialect must have a recording of.
pub(crate) const DEMANDED: [&str; 10] = [
    "text",
    "tools",
    "parallel_tools",
    "images",
    "structured",
    "thinking",
    "refusal",
    "length",
    "error",
    "usage_cache",
];

/// One recorded conversation.
pub(crate) struct Case {
    /// Its dialect.
    pub(crate) form: Form,
    /// Its folder.
    pub(crate) name: String,
    /// Where that is.
    pub(crate) path: PathBuf,
}

/// One event of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Its name, perhaps empty.
    pub(crate) name: Vec<u8>,
    /// Its data.
    pub(crate) data: Vec<u8>,
}

impl Case {
    /// The request, as a client sends it.
    pub(crate) fn request(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("request.json")).ok()
    }

    /// The whole answer, as a provider sends it.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("answer.json")).ok()
    }

    /// The stream's bytes, as a provider sends them.
    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        let file = if self.form == Form::Converse { "stream.bin" } else { "stream.txt" };
        fs::read(self.path.join(file)).ok()
    }

    /// The events of the stream.
    pub(crate) fn events(&self) -> Option<Vec<Event>> {
        Some(cut(self.form, &self.stream()?))
    }

    /// How it is told apart in a message.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", folder(self.form), self.name)
    }
}

/// The folder of a dialect's recordings.
pub(crate) const fn folder(form: Form) -> &'static str {
    match form {
        Form::Chat => "openai",
        Form::Responses => "responses",
        Form::Messages => "anthropic",
        Form::Gemini => "gemini",
        Form::Converse => "bedrock",
    }
}

/// The recordings of all dialects, in order.
pub(crate) fn cases() -> Vec<Case> {
    Form::ALL.into_iter().flat_map(cases_of).collect()
}

/// The recordings of a dialect, in order.
pub(crate) fn cases_of(form: Form) -> Vec<Case> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden"));
    let folders = fs::read_dir(root.join(folder(form))).unwrap();
    let mut cases: Vec<Case> = folders
        .map(|entry| entry.unwrap())
        .map(|entry| Case {
            form,
            name: entry.file_name().into_string().unwrap(),
            path: entry.path(),
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// The whole events that a stream's bytes hold.
pub(crate) fn cut(form: Form, stream: &[u8]) -> Vec<Event> {
    let (mut events, mut rest) = (Vec::new(), stream);
    match form.outbound().stream_framing() {
        StreamFraming::Frames => {
            let mut cutter = FrameCutter::default();
            while let Some(frame) = cutter.cut(rest).unwrap() {
                let (name, data) = (frame.event().into_owned(), frame.data().into_owned());
                events.push(Event { name, data });
                rest = &rest[frame.raw.len()..];
            }
        }
        StreamFraming::Events | StreamFraming::Lines => {
            let mut cutter = Cutter::default();
            while let Some(event) = cutter.cut(rest).unwrap() {
                if let Some(data) = event.data_joined() {
                    let name = event.event().unwrap_or_default().to_vec();
                    events.push(Event { name, data: data.into_owned() });
                }
                rest = &rest[event.raw.len()..];
            }
        }
    }
    events
}

/// What a client reads of a stream that was written for it: all of it are whole events.
pub(crate) fn cut_all(form: Form, stream: &[u8]) -> Vec<Event> {
    let ends: [&[u8]; 2] = [b"\n\n", b"\r\n\r\n"];
    let is_ended = ends.into_iter().any(|end| stream.ends_with(end));
    let is_ended = is_ended || stream.is_empty() || form == Form::Converse;
    assert!(is_ended, "the last event is whole: {}", stream.escape_ascii());
    cut(form, stream)
}
