//! The dialect over its golden folders: streams, whole answers and requests.

mod check;
mod requests;
mod streams;

use std::path::PathBuf;

use faregate_wire::Cutter;

use crate::{
    chat::{Answer, Assembler, Delta},
    dialect::{AnswerTerms, ErrorBody, Inbound, Outbound, ReadTerms, Terms},
    quirks::Quirks,
};

use super::MESSAGES;

const QUIRKS: Quirks = Quirks::NONE;

const READ: ReadTerms<'_> = ReadTerms { seed: 1, quirks: &QUIRKS };

const TERMS: Terms<'_> = Terms { model: "claude-sonnet-5-5", output_max: 4096, quirks: &QUIRKS };

const ANSWER: AnswerTerms<'_> = AnswerTerms {
    model: "asked",
    include_usage: true,
    request_id: "r1",
    created: 0,
    input_estimate: None,
    json_array: false,
};

const FAILURE: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "cut",
    kind: "api_error",
    code: "upstream_cut",
    param: None,
    request_id: "r1",
    extra: None,
};

/// The golden cases that have this file, with what is in it.
#[expect(clippy::disallowed_methods, reason = "tests read their golden files")]
fn cases(file: &str) -> Vec<(String, String)> {
    let root: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "tests/golden/anthropic"].iter().collect();
    let mut cases = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if let Ok(text) = std::fs::read_to_string(folder.join(file)) {
            cases.push((folder.file_name().unwrap().to_string_lossy().into_owned(), text));
        }
    }
    cases.sort();
    assert!(cases.len() > 5, "the golden folders are there");
    cases
}

fn case(name: &str, file: &str) -> String {
    cases(file).into_iter().find(|(case, _)| case == name).unwrap().1
}

/// The events of a stream: names and data.
fn events(stream: &[u8]) -> Vec<(String, String)> {
    let (mut cutter, mut rest, mut events) = (Cutter::default(), stream, Vec::new());
    while let Some(event) = cutter.cut(rest).unwrap() {
        let len = event.raw.len();
        if let Some(data) = event.data() {
            let name = String::from_utf8_lossy(event_line(event.raw)).into_owned();
            events.push((name, String::from_utf8(data.to_vec()).unwrap()));
        }
        rest = &rest[len..];
    }
    assert_eq!(rest, b"", "every event is whole");
    events
}

fn event_line(raw: &[u8]) -> &[u8] {
    let mut lines = raw.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"event: ")).unwrap_or_default()
}

/// Reads the first `count` events.
fn read(events: &[(String, String)], sink: &mut dyn FnMut(Delta<'_>)) {
    let mut reader = MESSAGES.stream_reader(&READ);
    for (name, data) in events {
        reader.event(name.as_bytes(), data.as_bytes(), sink).unwrap();
    }
}

fn assembled(stream: &str) -> Answer<'static> {
    let mut assembler = Assembler::default();
    read(&events(stream.as_bytes()), &mut |delta| assembler.push(delta));
    assembler.finish()
}

fn written(answer: &Answer<'_>) -> serde_json::Value {
    let mut out = Vec::new();
    MESSAGES.write_answer(&mut out, answer, &ANSWER);
    serde_json::from_slice(&out).unwrap()
}
