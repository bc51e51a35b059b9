//! The golden cases, through both readers and both writers.

mod follow;

use faregate_wire::Cutter;
use proptest::prelude::*;
use serde_json::{Value, json};

use follow::{check_response, follow};

use super::{HELD_BYTES_MAX, RESPONSES};
use crate::{
    chat::{Answer, Assembler, Delta, ErrorKind, Finish, Loss, NameRule, Names, Start, Usage},
    dialect::{AnswerTerms, Call, ErrorBody, Inbound, Outbound, ReadTerms, Terms},
    quirks::Quirks,
};

struct Case {
    name: &'static str,
    request: &'static str,
    answer: &'static str,
    stream: &'static str,
}

macro_rules! golden {
    ($name:literal, $file:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/responses/",
            $name,
            "/",
            $file
        ))
    };
}

macro_rules! cases {
    ($($name:literal)*) => {
        [$(Case {
            name: $name,
            request: golden!($name, "request.json"),
            answer: golden!($name, "answer.json"),
            stream: golden!($name, "stream.txt"),
        }),*]
    };
}

const CASES: [Case; 19] = cases![
    "text" "tools" "parallel_tools" "images" "structured" "thinking" "refusal" "length" "error" "usage_cache"
    "citations" "codex" "completed_only" "envoy_2184_failed" "envoy_2184_incomplete" "error_nested" "line_separator"
    "litellm_29491" "no_event_names"
];

const READ_TERMS: ReadTerms<'_> = ReadTerms { seed: 7, quirks: &Quirks::NONE };

const TERMS: AnswerTerms<'_> = AnswerTerms {
    model: "asked-for",
    include_usage: true,
    request_id: "req_1",
    created: 1_795_500_000,
    input_estimate: None,
    json_array: false,
};

const BROKEN: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "the provider's stream broke off",
    kind: "server_error",
    code: "upstream_broken",
    param: None,
    request_id: "req_1",
    extra: None,
};

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap()
}

/// The events of a stream: name and data.
fn cut(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut cutter, mut rest, mut events) = (Cutter::default(), stream, Vec::new());
    while let Some(event) = cutter.cut(rest).unwrap() {
        if let Some(data) = event.data_joined() {
            events.push((event.event().unwrap_or_default().to_vec(), data.into_owned()));
        }
        rest = &rest[event.raw.len()..];
    }
    assert!(rest.is_empty(), "an event is not complete");
    events
}

/// Reads the first events of a stream.
fn read(events: &[(Vec<u8>, Vec<u8>)], sink: &mut dyn FnMut(Delta<'_>)) {
    let mut reader = RESPONSES.stream_reader(&READ_TERMS);
    for (name, data) in events {
        reader.event(name, data, sink).unwrap();
    }
    reader.close(sink);
}

fn assembled(stream: &[u8]) -> Answer<'static> {
    let mut assembler = Assembler::default();
    read(&cut(stream), &mut |delta| assembler.push(delta));
    assembler.finish()
}

fn whole(body: &[u8]) -> Answer<'static> {
    let mut assembler = Assembler::default();
    RESPONSES.read_answer(body, &READ_TERMS, &mut |delta| assembler.push(delta)).unwrap();
    assembler.finish()
}

/// What an answer says, without what names it.
fn said(answer: &Answer<'_>) -> String {
    format!("{:#?} {:?} {:?} {}", answer.choices, answer.usage, answer.error, answer.done)
}

fn written(request: &str) -> (String, Loss) {
    let mut request = RESPONSES.read_request(request.as_bytes(), &Call::default()).unwrap();
    Names::fit(&mut request, &RESPONSES.name_rule());
    let terms = Terms { model: "gpt-5.5", output_max: 100, quirks: &Quirks::NONE };
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    RESPONSES.write_request(&mut out, &request, &terms, &mut loss).unwrap();
    (String::from_utf8(out).unwrap(), loss)
}

#[test]
fn a_request_is_written_as_it_was_read() {
    for case in &CASES {
        let (once, loss) = written(case.request);
        let (twice, again) = written(&once);
        assert_eq!(once, twice, "{}", case.name);
        if case.name != "codex" {
            assert!(loss.is_empty() && again.is_empty(), "{}: {}", case.name, loss.list());
        }
        let body: Value = serde_json::from_str(&once).unwrap();
        let given: Value = serde_json::from_str(case.request).unwrap();
        for name in ["temperature", "metadata", "text", "reasoning", "tool_choice", "include"] {
            assert_eq!(body[name], given[name], "{} {name}", case.name);
        }
    }
}

#[test]
fn parts_and_results_are_written_as_they_were_read() {
    let body: Value = serde_json::from_str(&written(case("images").request).0).unwrap();
    let given: Value = serde_json::from_str(case("images").request).unwrap();
    assert_eq!(body["input"][0]["content"], given["input"][0]["content"]);
    assert_eq!(body["input"][1]["arguments"], "{}");
    assert_eq!(body["input"][2]["output"][1]["type"], "input_image");
    let body: Value = serde_json::from_str(&written(case("thinking").request).0).unwrap();
    let given: Value = serde_json::from_str(case("thinking").request).unwrap();
    assert_eq!(body["input"][1], given["input"][1]);
    let body: Value = serde_json::from_str(&written(case("usage_cache").request).0).unwrap();
    let given: Value = serde_json::from_str(case("usage_cache").request).unwrap();
    assert_eq!(body["input"][0]["content"], given["input"][0]["content"]);
}

#[test]
fn what_codex_asks_is_told_apart() {
    let (body, loss) = written(case("codex").request);
    assert_eq!(loss.list(), "tools.collaboration.description,input.phase");
    let body: Value = serde_json::from_str(&body).unwrap();
    let names: Vec<_> =
        body["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(
        names,
        [
            &json!("exec_command"),
            &json!("apply_patch"),
            &json!(NameRule::fit(&RESPONSES.name_rule(), "collaboration::spawn_agent")),
            &json!(null)
        ]
    );
    let outputs: Vec<_> =
        body["input"].as_array().unwrap().iter().map(|item| &item["call_id"]).collect();
    assert!(outputs.contains(&&json!("call_orphan")));
}

#[test]
fn streams_and_whole_answers_say_the_same() {
    for case in CASES.iter().filter(|case| !case.name.starts_with("error")) {
        let (streamed, whole) = (assembled(case.stream.as_bytes()), whole(case.answer.as_bytes()));
        assert_eq!(said(&streamed), said(&whole), "{}", case.name);
        assert_eq!(streamed.start.id, whole.start.id);
        let told: Value = serde_json::from_str(case.answer).unwrap();
        let usage = streamed.usage.unwrap();
        assert_eq!(told["usage"]["input_tokens"], usage.total_input(), "{}", case.name);
        assert_eq!(told["usage"]["output_tokens"], usage.total_output(), "{}", case.name);
    }
}

#[test]
fn answers_end_as_the_provider_says() {
    let finish = |name: &str| whole(case(name).answer.as_bytes()).choices[0].finish;
    assert_eq!(finish("text"), Some(Finish::Stop));
    assert_eq!(finish("refusal"), Some(Finish::Stop));
    assert_eq!(finish("parallel_tools"), Some(Finish::ToolCalls));
    assert_eq!(finish("length"), Some(Finish::Length));
    assert_eq!(finish("envoy_2184_incomplete"), Some(Finish::Refusal));
    let usage = whole(case("usage_cache").answer.as_bytes()).usage.unwrap();
    let expected = Usage {
        input: 440,
        cache_read: 1024,
        cache_write: 1024,
        cache_write_long: 512,
        output: 10,
        ..Usage::default()
    };
    assert_eq!(usage, expected);
    for (name, kind) in [
        ("error", ErrorKind::RateLimit),
        ("error_nested", ErrorKind::Billing),
        ("envoy_2184_failed", ErrorKind::Api),
    ] {
        let answer = assembled(case(name).stream.as_bytes());
        assert_eq!(answer.error.unwrap().kind, kind, "{name}");
        assert!(!answer.done);
    }
}

/// What a writer makes of the first events of a stream; it fails when they are not all.
fn translated(events: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut writer = RESPONSES.stream_writer(&TERMS);
    let (mut out, mut is_over) = (Vec::new(), false);
    read(events, &mut |delta| {
        is_over |= matches!(delta, Delta::Done | Delta::Error(_));
        writer.write(&delta, &mut out);
    });
    if !is_over {
        writer.fail(&BROKEN, &mut out);
    }
    out
}

#[test]
fn every_prefix_of_every_stream_ends_well() {
    for case in &CASES {
        let events = cut(case.stream.as_bytes());
        for len in 0..=events.len() {
            let out = translated(&events[..len]);
            let end = follow(&out);
            if len < events.len() - 1 {
                assert_eq!(end, "response.failed", "{} {len}", case.name);
            }
        }
    }
}

#[test]
fn what_is_written_is_read_as_the_same() {
    for case in CASES.iter().filter(|case| !case.name.starts_with("error")) {
        let given = assembled(case.stream.as_bytes());
        let out = translated(&cut(case.stream.as_bytes()));
        let mut again = assembled(&out);
        // Citations span all the text before them when they are told again, and failures keep their words.
        if case.name == "citations" {
            again.choices = given.choices.clone();
        }
        assert_eq!(said(&again), said(&given), "{}", case.name);
        let mut body = Vec::new();
        RESPONSES.write_answer(&mut body, &given, &TERMS);
        if given.error.is_none() && case.name != "citations" {
            assert_eq!(said(&whole(&body)), said(&given), "{}", case.name);
        }
        let body: Value = serde_json::from_slice(&body).unwrap();
        let kind = format!("response.{}", body["status"].as_str().unwrap());
        check_response(&body, &kind);
        assert_eq!(follow(&out), kind);
    }
}

#[test]
fn calls_of_a_namespace_come_back_as_such() {
    let out = translated(&cut(case("codex").stream.as_bytes()));
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains(r#""call_id":"call_s","namespace":"collaboration","name":"spawn_agent""#)
    );
}

#[test]
fn a_stream_that_breaks_in_a_call_does_not_end_the_call() {
    let mut writer = RESPONSES.stream_writer(&TERMS);
    let mut out = Vec::new();
    writer.write(&tool(0, true), &mut out);
    writer.write(
        &Delta::ToolArguments { choice: 0, call: 0, fragment: "rm -r /tmp".into() },
        &mut out,
    );
    writer.fail(&BROKEN, &mut out);
    writer.write(&Delta::Done, &mut out);
    writer.fail(&BROKEN, &mut out);
    assert_eq!(follow(&out), "response.failed");
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("output_item.done") && !text.contains(r#""status":"completed""#));
}

#[test]
fn interleaved_calls_come_one_after_the_other() {
    let mut writer = RESPONSES.stream_writer(&TERMS);
    let mut out = Vec::new();
    let more = |call, fragment: &'static str| Delta::ToolArguments {
        choice: 0,
        call,
        fragment: fragment.into(),
    };
    for delta in [
        tool(0, false),
        tool(1, false),
        more(1, "{\"y\":"),
        more(0, "{\"x\":"),
        tool(2, false),
        more(1, "2}"),
        more(0, "1}"),
        more(2, "{}"),
        Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None },
        Delta::Done,
    ] {
        writer.write(&delta, &mut out);
    }
    assert_eq!(follow(&out), "response.completed");
    let text = String::from_utf8(out).unwrap();
    let told: Vec<(u64, bool)> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|event| {
            let is_piece = event["type"] == "response.function_call_arguments.delta";
            let is_done = event["type"] == "response.output_item.done";
            (is_piece || is_done).then(|| (event["output_index"].as_u64().unwrap(), is_done))
        })
        .collect();
    let expected =
        [(0, false), (0, false), (0, true), (1, false), (1, true), (2, false), (2, true)];
    assert_eq!(told, expected);
    assert!(text.contains(r#""arguments":"{\"y\":2}""#), "{text}");
}

#[test]
fn what_is_held_is_bounded() {
    let mut writer = RESPONSES.stream_writer(&TERMS);
    let (text, mut out) = ("x".repeat(64 * 1024), Vec::new());
    for _ in 0..HELD_BYTES_MAX / text.len() {
        writer.write(&Delta::Text { choice: 0, text: (&*text).into() }, &mut out);
    }
    assert!(out.len() < HELD_BYTES_MAX * 5 / 2);
    let len = out.len();
    writer.write(&Delta::Text { choice: 0, text: "more".into() }, &mut out);
    writer.write(&Delta::Done, &mut out);
    assert_eq!(follow(&out), "response.failed");
    assert!(out.len() < len + 2 * HELD_BYTES_MAX);
}

fn tool(call: u32, custom: bool) -> Delta<'static> {
    let (id, name) = (format!("call_{call}").into(), "f".into());
    Delta::ToolStart { choice: 0, call, id, name, custom, signature: None }
}

fn delta() -> impl Strategy<Value = Delta<'static>> {
    let text = "[a\\\\\"\n\u{2028}]{1,3}";
    prop_oneof![
        Just(Delta::Start(Start {
            id: "chatcmpl-1".into(),
            model: "m".into(),
            ..Start::default()
        })),
        (0..2_u32, text).prop_map(|(choice, text)| Delta::Text { choice, text: text.into() }),
        text.prop_map(|text| Delta::Reasoning { choice: 0, text: text.into() }),
        any::<bool>().prop_map(|redacted| Delta::Signature {
            choice: 0,
            signature: "s".into(),
            redacted
        }),
        (0..3_u32, any::<bool>()).prop_map(|(call, custom)| tool(call, custom)),
        (0..4_u32, text).prop_map(|(call, text)| Delta::ToolArguments {
            choice: 0,
            call,
            fragment: text.into()
        }),
        text.prop_map(|text| Delta::Refusal { choice: 0, text: text.into() }),
        text.prop_map(|text| Delta::Citation {
            choice: 0,
            url: Some(text.into()),
            title: None,
            quote: None
        }),
        Just(Delta::Usage(Usage { input: 1, ..Usage::default() })),
    ]
}

fn ending() -> impl Strategy<Value = Vec<Delta<'static>>> {
    let finish = prop::sample::select(vec![
        Finish::Stop,
        Finish::Length,
        Finish::ContextFull,
        Finish::ToolCalls,
        Finish::Refusal,
        Finish::Pause,
    ]);
    prop::option::of(finish).prop_map(|reason| {
        let finish = reason.map(|reason| Delta::Finish { choice: 0, reason, stop: None });
        finish.into_iter().chain([Delta::Done]).collect()
    })
}

proptest! {
    #[test]
    fn any_deltas_make_a_well_formed_stream(deltas in prop::collection::vec(delta(), 0..24), ending in ending(), fails: bool) {
        let mut writer = RESPONSES.stream_writer(&TERMS);
        let mut out = Vec::new();
        deltas.iter().for_each(|delta| writer.write(delta, &mut out));
        if fails {
            writer.fail(&BROKEN, &mut out);
        } else {
            ending.iter().for_each(|delta| writer.write(delta, &mut out));
        }
        prop_assert_eq!(follow(&out) == "response.failed", fails);
    }

    #[test]
    fn any_events_are_survived(
        case in 0..CASES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut stream = CASES[case].stream.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut writer = RESPONSES.stream_writer(&TERMS);
        let mut reader = RESPONSES.stream_reader(&READ_TERMS);
        let mut out = Vec::new();
        let mut cutter = Cutter::default();
        let mut rest = &stream[..];
        while let Ok(Some(event)) = cutter.cut(rest) {
            let data = event.data_joined().unwrap_or_default();
            let name = event.event().unwrap_or_default();
            if reader.event(name, &data, &mut |delta| writer.write(&delta, &mut out)).is_err() {
                break;
            }
            rest = &rest[event.raw.len()..];
        }
        writer.fail(&BROKEN, &mut out);
        prop_assert!(!follow(&out).is_empty());
    }
}
