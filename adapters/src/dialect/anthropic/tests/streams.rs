//! Streams and whole answers.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{AnswerPart, Finish, Start, Usage};
use check::check_stream;

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    for (name, stream) in cases("stream.txt") {
        let Some((_, answer)) = cases("answer.json").into_iter().find(|(case, _)| *case == name)
        else {
            continue;
        };
        let (mut assembler, mut streamed) = (Assembler::default(), assembled(&stream));
        MESSAGES.read_answer(answer.as_bytes(), &READ, &mut |delta| assembler.push(delta)).unwrap();
        let whole = assembler.finish();
        assert_eq!(streamed.error, whole.error, "{name}");
        if streamed.error.is_none() {
            // Which part of the cache was written for how long is not told at the end.
            streamed.usage = whole.usage.filter(|_| name == "usage_cache").or(streamed.usage);
            assert!(streamed.done && whole.done);
            assert_eq!(written(&streamed), written(&whole), "{name}");
        }
    }
}

#[test]
fn a_whole_answer_is_written_as_it_was_read() {
    for (name, answer) in cases("answer.json") {
        let mut assembler = Assembler::default();
        MESSAGES.read_answer(answer.as_bytes(), &READ, &mut |delta| assembler.push(delta)).unwrap();
        let (read, mut original) =
            (assembler.finish(), serde_json::from_str::<Value>(&answer).unwrap());
        if matches!(&*name, "error" | "images" | "refusal" | "server_tools") {
            continue; // sources and refusals are spelled anew, the provider's own tools are left out
        }
        let mut again = written(&read);
        for message in [&mut original, &mut again] {
            message.as_object_mut().unwrap().remove("stop_details");
            let usage = message["usage"].as_object_mut().unwrap();
            usage.remove("inference_geo");
            if usage["cache_creation_input_tokens"] == 0 {
                usage.remove("cache_creation");
            }
        }
        assert_eq!(again, original, "{name}");
    }
}

#[test]
fn every_prefix_of_every_stream_is_written_well_formed() {
    for (name, stream) in cases("stream.txt") {
        let events = events(stream.as_bytes());
        for count in 0..=events.len() {
            let mut out = Vec::new();
            let mut writer = MESSAGES.stream_writer(&ANSWER);
            writer.keep_alive(&mut out);
            read(&events[..count], &mut |delta| writer.write(&delta, &mut out));
            let ended = matches!(&*check_stream(&out), "message_stop" | "error");
            writer.fail(&FAILURE, &mut out);
            let last = check_stream(&out);
            assert!(ended || last == "error", "{name}: {count} events end with {last}");
        }
    }
}

#[test]
fn what_is_written_is_read_as_it_was() {
    for (name, stream) in cases("stream.txt") {
        let (mut out, mut writer) = (Vec::new(), MESSAGES.stream_writer(&ANSWER));
        read(&events(stream.as_bytes()), &mut |delta| writer.write(&delta, &mut out));
        let again = assembled(std::str::from_utf8(&out).unwrap());
        assert_eq!(written(&again)["content"], written(&assembled(&stream))["content"], "{name}");
        assert_eq!(again.choices[0].finish, assembled(&stream).choices[0].finish, "{name}");
        assert_eq!(again.usage, assembled(&stream).usage, "{name}");
    }
}

fn usage_of(name: &str) -> Usage {
    assembled(&case(name, "stream.txt")).usage.unwrap()
}

#[test]
fn odd_streams_say_what_they_mean() {
    let counted = usage_of("envoy_2352");
    assert_eq!((counted.input, counted.output), (31, 5));
    let counted = usage_of("envoy_2279");
    assert_eq!(
        (counted.input, counted.cache_read, counted.cache_write, counted.output),
        (7, 900, 60, 5)
    );
    let counted = usage_of("envoy_2290");
    assert_eq!((counted.input, counted.cache_read, counted.output), (7, 640, 5));
    let counted = usage_of("usage_cache");
    assert_eq!(
        (counted.cache_write, counted.cache_write_long, counted.total_input()),
        (1024, 2048, 23_563)
    );
    let counted = usage_of("thinking");
    assert_eq!((counted.reasoning, counted.total_output()), (52, 77));
    let answer = written(&assembled(&case("litellm_25836", "stream.txt")));
    assert_eq!(answer["content"][0]["input"], json!({}));
    assert_eq!(answer["content"][1]["input"], json!({"city": "Bonn"}));
    let answer = assembled(&case("nameless_events", "stream.txt"));
    assert_eq!(answer.choices[0].finish, Some(Finish::ToolCalls));
    assert!(answer.done);
    let answer = written(&answer);
    assert_eq!(answer["content"].as_array().unwrap().len(), 3);
    assert_eq!(answer["content"][2]["input"], json!({"city": "Ulm"}));
    let answer = assembled(&case("server_tools", "stream.txt"));
    assert_eq!(answer.choices[0].finish, Some(Finish::Pause));
    let [AnswerPart::Text { citations, .. }] = &answer.choices[0].parts[..] else {
        panic!("one text")
    };
    assert_eq!(citations[0].url.as_deref(), Some("https://example.com/a"));
    let answer = assembled(&case("refusal", "stream.txt"));
    assert_eq!(answer.choices[0].finish, Some(Finish::Refusal));
    let answer = assembled(&case("stop_sequence", "stream.txt"));
    assert_eq!(answer.choices[0].stop.as_deref(), Some("4"));
    let text =
        written(&assembled(&case("litellm_u2028", "stream.txt")))["content"][0]["text"].to_string();
    assert!(text.contains("one\u{2028}two\u{2029}three\u{85}four"), "{text}");
}

fn write_all(deltas: &[Delta<'_>], terms: &AnswerTerms<'_>) -> Vec<u8> {
    let (mut out, mut writer) = (Vec::new(), MESSAGES.stream_writer(terms));
    deltas.iter().for_each(|delta| writer.write(delta, &mut out));
    out
}

fn start(call: u32, name: &'static str) -> Delta<'static> {
    let id = format!("id{call}");
    Delta::ToolStart {
        choice: 0,
        call,
        id: id.into(),
        name: name.into(),
        custom: false,
        signature: None,
    }
}

fn arguments(call: u32, fragment: &'static str) -> Delta<'static> {
    Delta::ToolArguments { choice: 0, call, fragment: fragment.into() }
}

fn text(text: &'static str) -> Delta<'static> {
    Delta::Text { choice: 0, text: text.into() }
}

#[test]
fn interleaved_calls_come_one_after_the_other() {
    let out = write_all(
        &[
            text("a"),
            start(0, "f"),
            start(1, "g"),
            arguments(1, "{\"y\":\"}"),
            arguments(0, "{\"x\":"),
            text("between"),
            arguments(1, "\"}"),
            arguments(0, "1}"),
            start(2, "h"),
            Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None },
            Delta::Usage(Usage { input: 5, output: 3, ..Usage::default() }),
            Delta::Done,
        ],
        &ANSWER,
    );
    assert_eq!(check_stream(&out), "message_stop");
    let answer = written(&assembled(std::str::from_utf8(&out).unwrap()));
    assert_eq!(
        answer["content"],
        json!([{"type": "text", "text": "a"},
            {"type": "tool_use", "id": "id0", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "id1", "name": "g", "input": {"y": "}"}},
            {"type": "text", "text": "between"},
            {"type": "tool_use", "id": "id2", "name": "h", "input": {}}])
    );
    assert_eq!(answer["stop_reason"], "tool_use");
}

#[test]
fn calls_that_come_in_order_do_not_wait() {
    let out = write_all(
        &[start(0, "f"), arguments(0, "{}"), start(1, "g"), arguments(1, "{\"")],
        &ANSWER,
    );
    assert!(String::from_utf8(out).unwrap().contains("{\\\""));
}

#[test]
fn the_start_waits_for_the_input_tokens() {
    let known = Start { usage: Some(Usage { input: 9, ..Usage::default() }), ..Start::default() };
    for (deltas, estimate, expected) in [
        (vec![Delta::Start(known)], None, Some(9)),
        (vec![Delta::Start(Start::default())], Some(50), None),
        (vec![Delta::Start(Start::default()), text("a")], Some(50), Some(50)),
        (vec![Delta::Start(Start::default()), text("a")], None, Some(0)),
        (vec![Delta::Usage(Usage { input: 7, ..Usage::default() }), text("a")], Some(50), Some(7)),
    ] {
        let out = write_all(&deltas, &AnswerTerms { input_estimate: estimate, ..ANSWER });
        let told = events(&out).first().map(|(_, data)| {
            let data: Value = serde_json::from_str(data).unwrap();
            data["message"]["usage"]["input_tokens"].as_u64().unwrap()
        });
        assert_eq!(told, expected, "{deltas:?}");
    }
}

#[test]
fn what_waits_is_bounded() {
    let mut deltas = vec![start(0, "f"), start(1, "g")];
    let long: &'static str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    deltas.extend((0..5).map(|_| arguments(1, long)));
    deltas.push(Delta::Done);
    assert_eq!(check_stream(&write_all(&deltas, &ANSWER)), "error");
}

#[test]
fn a_call_that_is_cut_off_stays_open() {
    let (mut out, mut writer) = (Vec::new(), MESSAGES.stream_writer(&ANSWER));
    writer.write(&start(0, "f"), &mut out);
    writer.write(&arguments(0, "{\"a\":"), &mut out);
    writer.fail(&FAILURE, &mut out);
    writer.fail(&FAILURE, &mut out);
    writer.keep_alive(&mut out);
    assert_eq!(check_stream(&out), "error");
    assert!(!String::from_utf8(out).unwrap().contains("content_block_stop"));
}

#[test]
fn free_text_becomes_an_input() {
    let mut call = start(0, "patch");
    if let Delta::ToolStart { custom, .. } = &mut call {
        *custom = true;
    }
    let out = write_all(&[call, arguments(0, "a\"b\n"), arguments(0, "c"), Delta::Done], &ANSWER);
    let answer = written(&assembled(std::str::from_utf8(&out).unwrap()));
    assert_eq!(answer["content"][0]["input"], json!({"input": "a\"b\nc"}));
}

fn delta() -> impl Strategy<Value = Delta<'static>> {
    let choice = || 0..2_u32;
    prop_oneof![
        Just(Delta::Start(Start::default())),
        choice().prop_map(|choice| Delta::Text { choice, text: "t\u{2028}".into() }),
        choice().prop_map(|choice| Delta::Reasoning { choice, text: "r".into() }),
        (choice(), any::<bool>()).prop_map(|(choice, redacted)| Delta::Signature {
            choice,
            signature: "s".into(),
            redacted
        }),
        (choice(), 0..3_u32, any::<bool>()).prop_map(|(choice, call, custom)| Delta::ToolStart {
            choice,
            call,
            id: "i".into(),
            name: "n".into(),
            custom,
            signature: None
        }),
        (choice(), 0..3_u32, "[{}\"a\\\\]{1,3}").prop_map(|(choice, call, fragment)| {
            Delta::ToolArguments { choice, call, fragment: fragment.into() }
        }),
        choice().prop_map(|choice| Delta::Refusal { choice, text: "no".into() }),
        choice().prop_map(|choice| Delta::Citation { choice, url: None, title: None, quote: None }),
        choice().prop_map(|choice| Delta::Finish { choice, reason: Finish::Length, stop: None }),
        Just(Delta::Usage(Usage { input: 1, output: 2, ..Usage::default() })),
    ]
}

proptest! {
    #[test]
    fn any_deltas_are_written_well_formed(deltas in prop::collection::vec(delta(), 0..24), ends: bool) {
        let (mut out, mut writer) = (Vec::new(), MESSAGES.stream_writer(&ANSWER));
        for delta in &deltas {
            writer.write(delta, &mut out);
            check_stream(&out);
        }
        if ends {
            writer.write(&Delta::Done, &mut out);
        }
        writer.fail(&FAILURE, &mut out);
        prop_assert_eq!(check_stream(&out), if ends { "message_stop" } else { "error" });
    }

    #[test]
    fn any_event_is_survived(name in "[a-z_]{0,20}", data in "[{}\\[\\]\":,a-z_0-9 ]{0,60}") {
        let mut reader = MESSAGES.stream_reader(&READ);
        let _ = reader.event(name.as_bytes(), data.as_bytes(), &mut |_| {});
        let _ = MESSAGES.read_answer(data.as_bytes(), &READ, &mut |_| {});
        let _ = MESSAGES.read_error(400, data.as_bytes());
    }
}
