//! Whole answers: what each fixture says, and that it says the same when it is written again.

use serde_json::Value;

use super::{ANSWER, CHAT, READ, Shown, golden};
use crate::{
    chat::{Answer, Assembler, Delta, ErrorKind},
    dialect::{BadAnswer, Inbound, Outbound},
};

const ANSWERS: &[(&str, &str, &str)] = &[
    (
        "text",
        golden!("text", "answer.json"),
        "start\ntext0 Air scatters blue light more than red.\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "tools",
        golden!("tools", "answer.json"),
        "start\ncall0.0 call_Lz5 get_weather\nargs0.0 {\"city\":\"Linz\",\"unit\":\"c\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "parallel_tools",
        golden!("parallel_tools", "answer.json"),
        "start\ncall0.0 call_a1 get_weather\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\ncall0.1 call_b2 get_time\nargs0.1 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "images",
        golden!("images", "answer.json"),
        "start\ntext0 A dot and a cat.\nfinish0 Stop\ndone\nusage 1220/6",
    ),
    (
        "structured",
        golden!("structured", "answer.json"),
        "start\ntext0 {\"name\":\"Ada\",\"age\":36}\nlogprobs0 1\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "thinking",
        golden!("thinking", "answer.json"),
        "start\nthought0 Simple.\nsign0 sig-2== false\ntext0 4 degrees.\nfinish0 Stop\ndone\nusage 80/30",
    ),
    (
        "refusal",
        golden!("refusal", "answer.json"),
        "start\nrefusal0 I'm sorry, I can't assist with that.\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "length",
        golden!("length", "answer.json"),
        "start\ntext0 Once upon a time\nfinish0 Length\ndone\nusage 11/4",
    ),
    (
        "usage_cache",
        golden!("usage_cache", "answer.json"),
        "start\ntext0 Done.\nfinish0 Stop\ndone\nusage 3000/10",
    ),
    (
        "legacy_function_call",
        golden!("legacy_function_call", "answer.json"),
        "start\ncall0.0 call_0000000000000001_0_0 get_time\nargs0.0 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "custom_tool",
        golden!("custom_tool", "answer.json"),
        "start\ncall0.0 call_c1 run_sql custom\nargs0.0 select 1;\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "url_citations",
        golden!("url_citations", "answer.json"),
        "start\ntext0 Hello\ncites0 https://example.com Example\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "audio_output",
        golden!("audio_output", "answer.json"),
        "start\ntext0 Hello\nmedia0 audio/wav UklGRiQAAABXQVZF\nfinish0 Stop\ndone\nusage 24/9",
    ),
];

fn read(body: &[u8]) -> (String, Answer<'static>) {
    let (mut shown, mut assembler) = (Shown::default(), Assembler::default());
    let mut sink = |delta: Delta<'_>| {
        shown.push(&delta);
        assembler.push(delta);
    };
    CHAT.read_answer(body, &READ, &mut sink).unwrap();
    (shown.text(), assembler.finish())
}

fn written(answer: &Answer<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    CHAT.write_answer(&mut out, answer, &ANSWER);
    out
}

#[test]
fn each_answer_says_what_it_says_also_when_it_is_written_again() {
    for (case, body, expected) in ANSWERS {
        let (said, answer) = read(body.as_bytes());
        assert_eq!(said, *expected, "{case}");
        let (said, _) = read(&written(&answer));
        assert_eq!(said, *expected, "{case} written again");
    }
}

#[test]
fn an_answer_keeps_what_openai_says() {
    for (case, body, _) in ANSWERS {
        if matches!(*case, "legacy_function_call" | "audio_output" | "thinking") {
            continue; // said in another way
        }
        let (_, answer) = read(body.as_bytes());
        let mut expected: Value = serde_json::from_str(body).unwrap();
        let mut found: Value = serde_json::from_slice(&written(&answer)).unwrap();
        expected.as_object_mut().unwrap().remove("system_fingerprint");
        let no_citations = expected["choices"][0]["message"]["annotations"] == Value::Array(vec![]);
        if no_citations {
            expected["choices"][0]["message"].as_object_mut().unwrap().remove("annotations");
        }
        found["choices"].as_array_mut().unwrap().truncate(1);
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn cache_classes_are_kept_apart() {
    let (_, answer) = read(golden!("usage_cache", "answer.json").as_bytes());
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.cache_write), (440, 1024, 1536));
    assert_eq!((usage.output, usage.reasoning), (8, 2));
}

#[test]
fn an_error_in_place_of_an_answer_is_told() {
    let mut said = Shown::default();
    let body = br#"{"error":{"message":"no credits","code":402}}"#;
    CHAT.read_answer(body, &READ, &mut |delta| said.push(&delta)).unwrap();
    assert_eq!(said.text(), "error Billing no credits");
    let error = CHAT.read_error(400, golden!("error", "answer.json").as_bytes());
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
    assert_eq!(error.param.as_deref(), Some("messages"));
}

#[test]
fn what_is_no_answer_is_bad() {
    for body in ["", "[]", "{}", "<html>", r#"{"choices":[]}"#, r#"{"id":"x"}"#] {
        let mut said = Shown::default();
        let read = CHAT.read_answer(body.as_bytes(), &READ, &mut |delta| said.push(&delta));
        assert_eq!(read, Err(BadAnswer), "{body}");
        assert!(!said.text().contains("done"));
    }
}
