//! Answers as the provider sends them: the golden folder `tests/golden/gemini`.

use std::fs;

use super::*;
use crate::{chat::Assembler, quirks::Quirks};

type Golden = Vec<(String, Vec<String>)>;

#[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
fn file(case: &str, name: &str) -> Option<String> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/gemini");
    fs::read(format!("{golden}/{case}/{name}")).ok().map(|bytes| String::from_utf8(bytes).unwrap())
}

/// The data of the events of every stream in the folder.
pub(in crate::dialect::gemini) fn streams() -> Golden {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/gemini");
    let cases = fs::read_dir(golden).unwrap().map(|case| case.unwrap().file_name());
    let mut streams: Golden = cases
        .filter_map(|case| {
            let case = case.into_string().unwrap();
            let stream = file(&case, "stream.txt")?;
            Some((case, events(&stream)))
        })
        .collect();
    streams.sort();
    assert!(streams.len() >= 15);
    streams
}

fn events(stream: &str) -> Vec<String> {
    let lines = stream.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

/// A delta in a line.
fn line(delta: &Delta<'_>) -> String {
    match delta {
        Delta::Start(start) => format!("start {}", start.model),
        Delta::Text { choice, text } => format!("text{choice} {text}"),
        Delta::Reasoning { text, .. } => format!("thought {text}"),
        Delta::Signature { signature, .. } => format!("sign {signature}"),
        Delta::ToolStart { choice, call, id, name, signature, .. } => {
            format!("call{choice} {call} {id} {name} {}", signature.as_deref().unwrap_or("-"))
        }
        Delta::ToolArguments { call, fragment, .. } => format!("args {call} {fragment}"),
        Delta::Refusal { text, .. } => format!("refusal {text}"),
        Delta::Media { media, .. } => format!("media {:?}", media.kind),
        Delta::Citation { url, title, quote, .. } => format!("cite {url:?} {title:?} {quote:?}"),
        Delta::Logprobs { content, .. } => format!("logprobs {content:?}"),
        Delta::Finish { choice, reason, .. } => format!("finish{choice} {reason:?}"),
        Delta::Usage(usage) => format!(
            "usage {} {} {} {} {} {}",
            usage.input,
            usage.cache_read,
            usage.audio_input,
            usage.output,
            usage.reasoning,
            usage.audio_output
        ),
        Delta::Error(error) => format!("error {:?} {}", error.kind, error.message),
        Delta::Done => "done".to_owned(),
    }
}

fn whole(case: &str) -> Vec<String> {
    let (mut lines, body) = (Vec::new(), file(case, "answer.json").unwrap());
    let terms = ReadTerms { seed: 0xab, quirks: &Quirks::NONE };
    read(body.as_bytes(), &terms, &mut |delta| lines.push(line(&delta))).unwrap();
    lines
}

fn streamed(case: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut reader = Reader::new(&ReadTerms { seed: 0xab, quirks: &Quirks::NONE });
    for data in events(&file(case, "stream.txt").unwrap()) {
        reader.event(b"", data.as_bytes(), &mut |delta| lines.push(line(&delta))).unwrap();
    }
    reader.close(&mut |delta| lines.push(line(&delta)));
    lines
}

#[test]
fn whole_answers_are_read() {
    for (case, expected) in [
        (
            "text",
            &[
                "start gemini-3.5-flash",
                "usage 9 0 0 12 0 0",
                "text0 Hello there!",
                "finish0 Stop",
                "done",
            ][..],
        ),
        (
            "parallel_tools",
            &[
                "start gemini-3-pro-preview",
                "usage 120 0 0 40 85 0",
                "call0 0 call_00000000000000ab_0 get_weather c2lnbmF0dXJlLXBhcmFsbGVs",
                "args 0 {\"city\":\"Paris\"}",
                "call0 1 call_00000000000000ab_1 get_weather -",
                "args 1 {\"city\":\"London\"}",
                "finish0 ToolCalls",
                "done",
            ],
        ),
        (
            "thinking",
            &[
                "start gemini-3-pro-preview",
                "usage 210 0 0 15 64 0",
                "thought **Adding up**\n\nThe sum is easy.",
                "text0 The answer is 42.",
                "sign c2lnbmF0dXJlLXR3bw==",
                "finish0 Stop",
                "done",
            ],
        ),
        (
            "refusal",
            &[
                "start gemini-3.5-flash",
                "usage 11 0 0 0 0 0",
                "refusal PROHIBITED_CONTENT",
                "finish0 Refusal",
                "done",
            ],
        ),
        (
            "length",
            &[
                "start gemini-3.5-flash",
                "usage 8 0 0 16 0 0",
                "text0 Once upon a time",
                "finish0 Length",
                "done",
            ],
        ),
        (
            "malformed_function_call",
            &[
                "start gemini-2.5-flash",
                "usage 90 0 0 0 0 0",
                "error Api Malformed function call: print(default_api.f(",
            ],
        ),
    ] {
        assert_eq!(whole(case), expected, "{case}");
    }
}

#[test]
fn streams_are_read() {
    for (case, expected) in [
        (
            "litellm_18238",
            &[
                "start gemini-3-pro-preview",
                "usage 88 0 0 5 0 0",
                "text0 Let me look.",
                "call0 0 fc-1 read_file c2lnLTE=",
                "args 0 {\"path\":\"a.txt\"}",
                "usage 88 0 0 21 0 0",
                "finish0 ToolCalls",
                "done",
            ][..],
        ),
        (
            "envoy_2259",
            &[
                "start gemini-2.5-pro",
                "usage 12 0 0 0 40 0",
                "thought Hm.",
                "usage 12 0 0 3 55 0",
                "text0 Yes.",
                "finish0 Stop",
                "done",
            ],
        ),
        (
            "vertex_partial_args",
            &[
                "start gemini-3-pro-preview",
                "call0 0 call_00000000000000ab_0 send_mail c2lnLXBhcnRpYWw=",
                "args 0 {\"to\":\"a@example.com",
                "args 0 \",\"body\":\"Dear ",
                "args 0 \\\"Ann\\\"\",\"cc\":[\"b\"",
                "args 0 ]}",
                "usage 70 0 0 33 0 0",
                "finish0 ToolCalls",
                "done",
            ],
        ),
        (
            "error",
            &[
                "start gemini-3.5-flash",
                "usage 9 0 0 1 0 0",
                "text0 Hel",
                "error Overloaded The model is overloaded. Please try again later.",
            ],
        ),
        (
            "usage_cache",
            &[
                "start gemini-3.5-flash",
                "usage 176 4000 30 1 0 0",
                "text0 Cached",
                "usage 176 4000 30 6 20 0",
                "text0  answer.",
                "finish0 Stop",
                "done",
            ],
        ),
    ] {
        assert_eq!(streamed(case), expected, "{case}");
    }
}

#[test]
fn sources_and_probabilities_are_told_once() {
    let lines = streamed("citations");
    let cited: Vec<&String> = lines.iter().filter(|line| line.starts_with("cite")).collect();
    assert_eq!(
        cited,
        [
            "cite Some(\"https://example.com/a\") Some(\"A\") Some(\"It rains.\")",
            "cite Some(\"https://example.com/b\") Some(\"B\") None"
        ]
    );
    let probable = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","logprobsResult":{
        "chosenCandidates":[{"token":"a","tokenId":1,"logProbability":-0.5}],
        "topCandidates":[{"candidates":[{"token":"b","logProbability":-1}]}]}}]}"#;
    let mut told = Vec::new();
    let terms = ReadTerms { seed: 0, quirks: &Quirks::NONE };
    read(probable.as_bytes(), &terms, &mut |delta| told.push(line(&delta))).unwrap();
    let expected = r#"logprobs [{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}]"#;
    assert!(told.contains(&expected.to_owned()), "{told:?}");
}

#[test]
fn a_cut_stream_is_not_done() {
    for (case, events) in streams() {
        let mut is_done = false;
        let mut reader = Reader::new(&ReadTerms { seed: 0, quirks: &Quirks::NONE });
        for data in &events[..events.len() - 1] {
            reader.event(b"", data.as_bytes(), &mut |_| {}).unwrap();
        }
        reader.close(&mut |delta| is_done |= matches!(delta, Delta::Done));
        // There the last event is usage alone.
        assert!(!is_done || case == "envoy_2399", "{case}");
    }
}

#[test]
fn each_stream_says_what_the_whole_answer_says() {
    for (case, events) in streams() {
        let Some(body) = file(&case, "answer.json").filter(|body| !body.contains("\"error\""))
        else {
            continue;
        };
        let terms = ReadTerms { seed: 0, quirks: &Quirks::NONE };
        let (mut one, mut other) = (Assembler::default(), Assembler::default());
        read(body.as_bytes(), &terms, &mut |delta| one.push(delta)).unwrap();
        let mut reader = Reader::new(&terms);
        for data in events {
            reader.event(b"", data.as_bytes(), &mut |delta| other.push(delta)).unwrap();
        }
        reader.close(&mut |delta| other.push(delta));
        let (one, other) = (one.finish(), other.finish());
        assert_eq!(format!("{:?}", one.usage), format!("{:?}", other.usage), "{case}");
        assert_eq!(format!("{:?}", one.choices), format!("{:?}", other.choices), "{case}");
        assert_eq!(one.error, other.error, "{case}");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let terms = ReadTerms { seed: 0, quirks: &Quirks::NONE };
    for body in ["", "{}", "[]", "<html>", r#"{"choices":[]}"#] {
        assert_eq!(read(body.as_bytes(), &terms, &mut |_| {}), Err(BadAnswer), "{body}");
    }
    let mut reader = Reader::new(&terms);
    assert_eq!(reader.event(b"", b"[DONE", &mut |_| {}), Err(BadAnswer));
    assert_eq!(reader.event(b"", b" ", &mut |_| {}), Ok(()));
}
