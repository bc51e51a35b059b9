//! Streams as clients read them.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    chat::{Error, ErrorKind},
    dialect::{
        ReadTerms, StreamReader,
        gemini::{answer::Reader, member::list},
    },
    quirks::Quirks,
};

fn terms(json_array: bool) -> AnswerTerms<'static> {
    AnswerTerms {
        model: "asked",
        include_usage: true,
        request_id: "req-1",
        created: 0,
        input_estimate: None,
        json_array,
    }
}

fn error() -> ErrorBody<'static> {
    ErrorBody {
        status: 502,
        message: "cut",
        kind: "api_error",
        code: "cut",
        param: None,
        request_id: "req-1",
        extra: None,
    }
}

/// The chunks of a stream that is well-formed in its framing.
fn chunks(out: &[u8], is_array: bool) -> Vec<Value> {
    if is_array {
        let Value::Array(chunks) = serde_json::from_slice(out).unwrap() else { panic!("a list") };
        return chunks;
    }
    let text = std::str::from_utf8(out).unwrap();
    let events = text.split("\r\n").filter(|line| !line.is_empty());
    events.map(|line| serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

fn written(deltas: &[Delta<'_>], is_array: bool) -> Vec<Value> {
    let (mut writer, mut out) = (Writer::new(&terms(is_array)), Vec::new());
    for delta in deltas {
        writer.keep_alive(&mut out);
        writer.write(delta, &mut out);
    }
    chunks(&out, is_array)
}

fn text(text: &'static str) -> Delta<'static> {
    Delta::Text { choice: 0, text: text.into() }
}

fn call(call: u32) -> Delta<'static> {
    let (id, name) = (format!("c{call}").into(), "f".into());
    Delta::ToolStart { choice: 0, call, id, name, custom: false, signature: Some("c2ln".into()) }
}

fn arguments(call: u32, fragment: &'static str) -> Delta<'static> {
    Delta::ToolArguments { choice: 0, call, fragment: fragment.into() }
}

const STOP: Delta<'static> = Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None };

#[test]
fn interleaved_calls_are_written_whole_and_in_order() {
    let deltas = [
        text("a"),
        call(0),
        call(1),
        arguments(0, "{\"x\":"),
        arguments(1, "{}"),
        text("b"),
        arguments(0, "1}"),
        text("c"),
        call(2),
        STOP,
        Delta::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
        Delta::Done,
    ];
    for is_array in [true, false] {
        let chunks = written(&deltas, is_array);
        let shown: Vec<String> = chunks
            .iter()
            .flat_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array().unwrap())
            .map(|part| match part.get("functionCall") {
                Some(call) => format!("{}{}", call["id"], call["args"]).replace('"', ""),
                None => part["text"].as_str().unwrap().to_owned(),
            })
            .collect();
        assert_eq!(shown, ["a", "b", "c0{x:1}", "c1{}", "c", "c2{}", ""]);
        let last = chunks.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
        assert_eq!(last["usageMetadata"]["totalTokenCount"], 7);
        assert_eq!(
            (&last["responseId"], &last["modelVersion"]),
            (&"req-1".into(), &"asked".into())
        );
    }
}

#[test]
fn a_broken_stream_is_well_formed_and_has_no_finish() {
    let deltas = [text("a"), call(0), arguments(0, "{\"x"), STOP];
    for is_array in [true, false] {
        for len in 0..=deltas.len() {
            let (mut writer, mut out) = (Writer::new(&terms(is_array)), Vec::new());
            deltas[..len].iter().for_each(|delta| writer.write(delta, &mut out));
            writer.keep_alive(&mut out);
            writer.fail(&error(), &mut out);
            writer.write(&Delta::Done, &mut out);
            writer.fail(&error(), &mut out);
            let chunks = chunks(&out, is_array);
            assert_eq!(chunks.last().unwrap()["error"]["status"], "UNAVAILABLE");
            assert!(!String::from_utf8(out).unwrap().contains("finishReason"));
        }
        let told = Error {
            kind: ErrorKind::Overloaded,
            message: "busy".into(),
            code: None,
            param: None,
            retry_after: None,
        };
        let chunks = written(&[text("a"), Delta::Error(told), Delta::Done], is_array);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[1]["error"]["code"], 503);
    }
}

#[test]
fn an_empty_answer_ends_too() {
    for is_array in [true, false] {
        let chunks = written(&[Delta::Done], is_array);
        assert_eq!(chunks[0]["candidates"][0]["finishReason"], "STOP");
    }
}

#[test]
fn arguments_are_held_back_up_to_a_limit() {
    let (mut writer, mut out) = (Writer::new(&terms(false)), Vec::new());
    writer.write(&call(0), &mut out);
    let fragment = "x".repeat(CALL_BYTES_MAX / 4 + 1);
    for _ in 0..4 {
        let delta = Delta::ToolArguments { choice: 0, call: 0, fragment: fragment.clone().into() };
        writer.write(&delta, &mut out);
    }
    writer.write(&Delta::Done, &mut out);
    let chunks = chunks(&out, false);
    assert_eq!((chunks.len(), &chunks[0]["error"]["code"]), (1, &502.into()));
}

/// Every prefix of every stream in the golden folder comes out well-formed, broken off or not.
#[test]
fn every_prefix_of_every_fixture_is_well_formed() {
    let quirks = Quirks::NONE;
    for (name, stream) in crate::dialect::gemini::answer::streams() {
        for is_array in [true, false] {
            for len in 0..=stream.len() {
                let mut reader = Reader::new(&ReadTerms { seed: 1, quirks: &quirks });
                let (mut writer, mut out) = (Writer::new(&terms(is_array)), Vec::new());
                let mut is_done = false;
                for data in &stream[..len] {
                    let mut sink = |delta: Delta<'_>| writer.write(&delta, &mut out);
                    reader.event(b"", data.as_bytes(), &mut sink).unwrap();
                }
                reader.close(&mut |delta: Delta<'_>| {
                    is_done |= matches!(delta, Delta::Done);
                    writer.write(&delta, &mut out);
                });
                writer.fail(&error(), &mut out);
                let chunks = chunks(&out, is_array);
                let has_error = chunks.last().unwrap().get("error").is_some();
                assert_eq!(has_error, !is_done, "{name} {len}");
                for chunk in chunks.iter().filter(|chunk| chunk.get("error").is_none()) {
                    let bytes = chunk.to_string();
                    let json = faregate_wire::Json::new(bytes.as_bytes()).unwrap();
                    assert!(list(json.get("candidates").unwrap()).next().is_some());
                }
            }
        }
    }
}

proptest! {
    /// Whatever a provider sends, a client reads a well-formed stream.
    #[test]
    fn mangled_events_do_no_harm(
        case in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        is_array: bool,
    ) {
        let streams = crate::dialect::gemini::answer::streams();
        let (_, events) = case.get(&streams);
        let mut reader = Reader::new(&ReadTerms { seed: 1, quirks: &Quirks::NONE });
        let (mut writer, mut out) = (Writer::new(&terms(is_array)), Vec::new());
        for data in events {
            let mut data = data.clone().into_bytes();
            for (at, byte) in &changes {
                let at = at.index(data.len());
                data[at] = *byte;
            }
            let mut sink = |delta: Delta<'_>| writer.write(&delta, &mut out);
            if reader.event(b"", &data, &mut sink).is_err() {
                break;
            }
        }
        reader.close(&mut |delta| writer.write(&delta, &mut out));
        writer.fail(&error(), &mut out);
        prop_assert!(!chunks(&out, is_array).is_empty());
    }
}
