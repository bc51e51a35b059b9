//! The fixtures of `tests/golden/openai`, read and written.

mod answers;
mod requests;
mod streams;

use faregate_wire::Cutter;

use super::CHAT;
use crate::{
    chat::{Delta, Source},
    dialect::{AnswerTerms, Outbound, ReadTerms, Terms},
    quirks::Quirks,
};

/// The text of a fixture.
macro_rules! golden {
    ($case:literal, $file:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/openai/",
            $case,
            "/",
            $file
        ))
    };
}
use golden;

const READ: ReadTerms<'_> = ReadTerms { seed: 1, quirks: &Quirks::NONE };

const TERMS: Terms<'_> = Terms { model: "gpt-5.5", output_max: 4096, quirks: &Quirks::NONE };

const ANSWER: AnswerTerms<'_> = AnswerTerms {
    model: "gpt-5.5",
    include_usage: true,
    request_id: "req_1",
    created: 7,
    input_estimate: None,
    json_array: false,
};

/// Deltas in short. Pieces of the same kind that follow each other are one; of several usages the last is shown, at the
/// end, since its place in the order is free.
#[derive(Default)]
struct Shown {
    lines: Vec<(String, String)>,
    usage: Option<String>,
}

impl Shown {
    fn push(&mut self, delta: &Delta<'_>) {
        let (what, text) = match delta {
            Delta::Start(_) => ("start".into(), String::new()),
            Delta::Text { choice, text } => (format!("text{choice}"), text.to_string()),
            Delta::Reasoning { choice, text } => (format!("thought{choice}"), text.to_string()),
            Delta::Signature { choice, signature, redacted } => {
                self.lines.push((format!("sign{choice}"), format!("{signature} {redacted}")));
                return;
            }
            Delta::ToolStart { choice, call, id, name, custom, signature } => {
                let custom = if *custom { " custom" } else { "" };
                let signature = signature.as_deref().map(|s| format!(" {s}")).unwrap_or_default();
                let text = format!("{id} {name}{custom}{signature}");
                (format!("call{choice}.{call}"), text)
            }
            Delta::ToolArguments { choice, call, fragment } => {
                (format!("args{choice}.{call}"), fragment.to_string())
            }
            Delta::Refusal { choice, text } => (format!("refusal{choice}"), text.to_string()),
            Delta::Media { choice, media } => {
                let Source::Base64 { media_type, data } = &media.source else {
                    panic!("{media:?}")
                };
                self.lines.push((format!("media{choice}"), format!("{media_type} {data}")));
                return;
            }
            Delta::Citation { choice, url, title, .. } => {
                let text = [url.as_deref(), title.as_deref()].map(Option::unwrap_or_default);
                (format!("cites{choice}"), text.join(" "))
            }
            Delta::Logprobs { choice, content } => {
                (format!("logprobs{choice}"), content.items().count().to_string())
            }
            Delta::Finish { choice, reason, .. } => {
                (format!("finish{choice}"), format!("{reason:?}"))
            }
            Delta::Usage(usage) => {
                self.usage = Some(format!("{}/{}", usage.total_input(), usage.total_output()));
                return;
            }
            Delta::Error(error) => ("error".into(), format!("{:?} {}", error.kind, error.message)),
            Delta::Done => ("done".into(), String::new()),
        };
        match self.lines.last_mut() {
            Some((last, before)) if *last == what => before.push_str(&text),
            _ => self.lines.push((what, text)),
        }
    }

    fn text(&self) -> String {
        let line = |(what, text): &(String, String)| format!("{what} {text}").trim_end().to_owned();
        let mut lines: Vec<String> = self.lines.iter().map(line).collect();
        lines.extend(self.usage.iter().map(|usage| format!("usage {usage}")));
        lines.join("\n")
    }
}

/// The events of a stream: their names and data.
fn events(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut cutter, mut events, mut rest) = (Cutter::default(), Vec::new(), stream);
    while let Some(event) = cutter.cut(rest).unwrap() {
        if let Some(data) = event.data_joined() {
            events.push((event.event().unwrap_or_default().to_vec(), data.into_owned()));
        }
        rest = &rest[event.raw.len()..];
    }
    events
}

/// What a stream says that ends here in order.
fn read_stream(stream: &[u8]) -> String {
    let mut shown = Shown::default();
    let mut reader = CHAT.stream_reader(&READ);
    let mut sink = |delta: Delta<'_>| shown.push(&delta);
    for (name, data) in events(stream) {
        reader.event(&name, &data, &mut sink).unwrap();
    }
    reader.close(&mut sink);
    shown.text()
}
