//! Streams: what each fixture says, and that every prefix of it is written as a stream that can be read.

use proptest::prelude::*;
use serde_json::Value;

use super::{ANSWER, CHAT, READ, events, golden, read_stream};
use crate::{
    chat::Delta,
    dialect::{AnswerTerms, ErrorBody, Inbound, Outbound},
};

/// Each stream, and what it says.
const STREAMS: &[(&str, &str, &str)] = &[
    (
        "text",
        golden!("text", "stream.txt"),
        "start\ntext0 Air scatters blue light more than red.\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "tools",
        golden!("tools", "stream.txt"),
        "start\ncall0.0 call_Lz5 get_weather\nargs0.0 {\"city\":\"Linz\",\"unit\":\"c\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "parallel_tools",
        golden!("parallel_tools", "stream.txt"),
        "start\ntext0 On it.\ncall0.0 call_a1 get_weather\ncall0.1 call_b2 get_time\nargs0.0 {\"city\":\"Gr\nargs0.1 {\"city\":\nargs0.0 az\",\"unit\":\"c\"}\nargs0.1 \"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "images",
        golden!("images", "stream.txt"),
        "start\ntext0 A dot and a cat.\nfinish0 Stop\ndone\nusage 1220/6",
    ),
    (
        "structured",
        golden!("structured", "stream.txt"),
        "start\ntext0 {\"name\":\"Ada\",\nlogprobs0 1\ntext0 \"age\":36}\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "thinking",
        golden!("thinking", "stream.txt"),
        "start\nthought0 Simple.\nsign0 sig-2== false\ntext0 4 degrees.\nfinish0 Stop\ndone\nusage 80/30",
    ),
    (
        "refusal",
        golden!("refusal", "stream.txt"),
        "start\nrefusal0 I'm sorry, I can't assist with that.\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "length",
        golden!("length", "stream.txt"),
        "start\ntext0 Once upon a time\nfinish0 Length\ndone\nusage 11/4",
    ),
    (
        "error",
        golden!("error", "stream.txt"),
        "start\ntext0 Hel\nerror Api The server had an error while processing your request",
    ),
    (
        "usage_cache",
        golden!("usage_cache", "stream.txt"),
        "start\ntext0 Done.\nfinish0 Stop\ndone\nusage 3000/10",
    ),
    ("azure_filters", golden!("azure_filters", "stream.txt"), HELLO),
    ("groq_x_groq", golden!("groq_x_groq", "stream.txt"), HELLO),
    (
        "openrouter_error",
        golden!("openrouter_error", "stream.txt"),
        "start\ntext0 Hel\nerror Api Provider disconnected",
    ),
    (
        "openrouter_error_bare",
        golden!("openrouter_error_bare", "stream.txt"),
        "start\ntext0 Hel\nerror Api the provider broke the answer off",
    ),
    (
        "litellm_18238",
        golden!("litellm_18238", "stream.txt"),
        "start\ntext0 Let me check.\ncall0.0 call_t1 get_weather\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "litellm_36262",
        golden!("litellm_36262", "stream.txt"),
        "start\nthought0 Need the tool.\ntext0 Checking.\ncall0.0 call_t1 get_weather\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    ("litellm_36168", golden!("litellm_36168", "stream.txt"), HELLO),
    ("litellm_28735", golden!("litellm_28735", "stream.txt"), HELLO),
    ("agentgateway_3455", golden!("agentgateway_3455", "stream.txt"), HELLO),
    ("req_llm_781", golden!("req_llm_781", "stream.txt"), HELLO),
    ("usage_before_finish", golden!("usage_before_finish", "stream.txt"), HELLO),
    ("vllm_continuous_usage", golden!("vllm_continuous_usage", "stream.txt"), HELLO),
    (
        "ollama_no_usage",
        golden!("ollama_no_usage", "stream.txt"),
        "start\ntext0 Hello\nfinish0 Stop\ndone",
    ),
    ("no_done", golden!("no_done", "stream.txt"), HELLO),
    ("no_finish", golden!("no_finish", "stream.txt"), HELLO),
    ("no_role", golden!("no_role", "stream.txt"), HELLO),
    ("finish_empty", golden!("finish_empty", "stream.txt"), HELLO),
    (
        "gemini_compat_indices",
        golden!("gemini_compat_indices", "stream.txt"),
        "start\ncall0.0 function-call-1 get_weather CsYB==\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\ncall0.1 function-call-2 get_time\nargs0.1 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/109",
    ),
    (
        "calls_without_index",
        golden!("calls_without_index", "stream.txt"),
        "start\ncall0.0 call_0000000000000001_0_0 get_weather\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\ncall0.1 call_0000000000000001_0_1 get_time\nargs0.1 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "ids_repeated",
        golden!("ids_repeated", "stream.txt"),
        "start\ncall0.0 call_0 get_weather\nargs0.0 {\"city\":\"Graz\",\"unit\":\"c\"}\ncall0.1 call_1 get_time\nargs0.1 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "legacy_function_call",
        golden!("legacy_function_call", "stream.txt"),
        "start\ncall0.0 call_0000000000000001_0_0 get_time\nargs0.0 {\"city\":\"Graz\"}\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "custom_tool",
        golden!("custom_tool", "stream.txt"),
        "start\ncall0.0 call_c1 run_sql custom\nargs0.0 select 1;\nfinish0 ToolCalls\ndone\nusage 24/9",
    ),
    (
        "line_separator",
        golden!("line_separator", "stream.txt"),
        "start\ntext0 a\u{2028}b\0\u{fffd}d\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "several_choices",
        golden!("several_choices", "stream.txt"),
        "start\ntext0 He\ntext1 Hi\ntext0 llo\nfinish0 Stop\nfinish1 Stop\ndone\nusage 24/9",
    ),
    (
        "url_citations",
        golden!("url_citations", "stream.txt"),
        "start\ntext0 Hello\ncites0 https://example.com Example\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "audio_output",
        golden!("audio_output", "stream.txt"),
        "start\ntext0 Hello\nmedia0 audio/pcm AAAA\nmedia0 audio/pcm BBBB\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "mistral_thinking",
        golden!("mistral_thinking", "stream.txt"),
        "start\nthought0 Hm.\ntext0 Hello\nfinish0 Stop\ndone\nusage 24/9",
    ),
    (
        "sglang_error_object",
        golden!("sglang_error_object", "stream.txt"),
        "start\ntext0 Hel\nerror Api out of memory",
    ),
];

const HELLO: &str = "start\ntext0 Hello\nfinish0 Stop\ndone\nusage 24/9";

const CUT: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "the stream was cut",
    kind: "server_error",
    code: "upstream_cut",
    param: None,
    request_id: "req_1",
    extra: None,
};

/// Reads the first `count` events of a stream and writes them; a stream that has no end then is ended with an error.
fn rewritten(stream: &str, count: usize, terms: &AnswerTerms<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = CHAT.stream_writer(terms);
    let mut reader = CHAT.stream_reader(&READ);
    let mut is_over = false;
    let all = events(stream.as_bytes());
    let mut sink = |delta: Delta<'_>| {
        assert!(!is_over, "{delta:?} behind the end");
        is_over = matches!(delta, Delta::Done | Delta::Error(_));
        writer.write(&delta, &mut out);
    };
    for (name, data) in all.iter().take(count) {
        reader.event(name, data, &mut sink).unwrap();
    }
    if count >= all.len() {
        reader.close(&mut sink);
    }
    writer.fail(&CUT, &mut out);
    out
}

/// Whether what was written is a stream as OpenAI writes it; gives back whether it is whole.
fn check_form(written: &[u8], has_usage: bool) -> bool {
    assert!(written.ends_with(b"\n\n"), "ends between events");
    let events = events(written);
    let (mut roles, mut finishes, mut is_done, mut is_failed) = (0_u64, 0_u64, false, false);
    for (name, data) in &events {
        assert!(name.is_empty() && !is_done && !is_failed);
        if data == b"[DONE]" {
            is_done = true;
            continue;
        }
        let chunk: Value = serde_json::from_slice(data).unwrap();
        if chunk["error"].is_object() {
            is_failed = true;
            continue;
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert!(chunk["id"].is_string() && chunk["model"].is_string());
        let choices = chunk["choices"].as_array().unwrap();
        assert_eq!(chunk.get("usage").is_some(), has_usage);
        assert_eq!(choices.is_empty(), chunk["usage"].is_object());
        for choice in choices {
            let bit = 1 << choice["index"].as_u64().unwrap();
            let has_role = choice["delta"]["role"] == "assistant";
            assert_eq!(has_role, roles & bit == 0, "the role comes first and once");
            assert_eq!(finishes & bit, 0, "nothing behind the finish");
            roles |= bit;
            if choice["finish_reason"].is_string() {
                finishes |= bit;
            }
        }
    }
    assert!(is_done != is_failed, "one end");
    assert!(!is_done || roles == finishes, "each choice has its finish");
    is_done
}

#[test]
fn each_stream_says_what_it_says() {
    for (case, stream, expected) in STREAMS {
        assert_eq!(read_stream(stream.as_bytes()), *expected, "{case}");
    }
}

#[test]
fn long_arguments_arrive_whole() {
    let said = read_stream(golden!("litellm_29491", "stream.txt").as_bytes());
    let arguments = said.lines().find_map(|line| line.strip_prefix("args0.0 ")).unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    assert_eq!(arguments["city"].as_str().unwrap().len(), 2000);
}

#[test]
fn what_was_written_says_the_same() {
    for (case, stream, expected) in STREAMS {
        let written = rewritten(stream, usize::MAX, &ANSWER);
        assert_eq!(read_stream(&written), *expected, "{case}");
    }
}

#[test]
fn every_prefix_is_written_as_a_stream() {
    for (_, stream, expected) in STREAMS {
        let count = events(stream.as_bytes()).len();
        for include_usage in [true, false] {
            let terms = AnswerTerms { include_usage, ..ANSWER };
            for prefix in 0..=count {
                let is_whole = check_form(&rewritten(stream, prefix, &terms), include_usage);
                assert!(!is_whole || expected.contains("done"), "an error is not a whole answer");
                assert!(is_whole || prefix < count || expected.contains("error"));
            }
        }
    }
}

#[test]
fn a_stream_that_was_cut_is_not_taken_for_whole() {
    let stream = golden!("text", "stream.txt");
    let half = &stream[..stream.len() / 2];
    assert!(!read_stream(half.as_bytes()).contains("done"));
}

#[test]
fn one_text_chunk_is_this_long() {
    let mut out = Vec::new();
    let mut writer = CHAT.stream_writer(&AnswerTerms { include_usage: false, ..ANSWER });
    writer.write(&Delta::Start(crate::chat::Start::default()), &mut out);
    out.clear();
    writer.write(&Delta::Text { choice: 0, text: "hi\n".into() }, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "data: {\"id\":\"chatcmpl-req_1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"gpt-5.5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\\n\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
    );
}

/// A delta of any kind, also where none could be.
fn delta() -> impl Strategy<Value = Delta<'static>> {
    let choice = 0..3_u32;
    (0..12_u8, choice, 0..3_u32, "[a-z\u{2028}\n\"]{1,4}").prop_map(|(kind, choice, call, text)| {
        let text = std::borrow::Cow::Owned(text);
        match kind {
            0 => Delta::Start(crate::chat::Start { id: text, ..Default::default() }),
            1 | 2 => Delta::Text { choice, text },
            3 => Delta::Reasoning { choice, text },
            4 => Delta::Signature { choice, signature: text, redacted: call == 0 },
            5 | 6 => Delta::ToolStart {
                choice,
                call,
                id: text.clone(),
                name: text,
                custom: call == 1,
                signature: None,
            },
            7 | 8 => Delta::ToolArguments { choice, call, fragment: text },
            9 => Delta::Refusal { choice, text },
            10 => Delta::Finish { choice, reason: crate::chat::Finish::Stop, stop: None },
            _ => Delta::Usage(crate::chat::Usage { input: 1, ..Default::default() }),
        }
    })
}

proptest! {
    #[test]
    fn any_deltas_are_written_as_a_stream(deltas in prop::collection::vec(delta(), 0..24), is_done: bool) {
        let mut out = Vec::new();
        let mut writer = CHAT.stream_writer(&ANSWER);
        for delta in &deltas {
            writer.write(delta, &mut out);
        }
        if is_done {
            writer.write(&Delta::Done, &mut out);
        }
        writer.fail(&CUT, &mut out);
        prop_assert_eq!(check_form(&out, true), is_done);
    }

    #[test]
    fn any_bytes_are_survived(at in 0..STREAMS.len(), place in 0..10_000_usize, byte: u8) {
        let mut stream = STREAMS[at].1.as_bytes().to_vec();
        let place = place % stream.len();
        stream[place] = byte;
        let mut reader = CHAT.stream_reader(&READ);
        let mut ends = 0;
        for (name, data) in events(&stream) {
            let mut sink = |delta: Delta<'_>| ends += u32::from(matches!(delta, Delta::Done | Delta::Error(_)));
            let _ = reader.event(&name, &data, &mut sink);
        }
        prop_assert!(ends <= 1);
    }
}

#[test]
fn an_error_does_not_hide_the_usage_beside_it() {
    let stream = "data: {\"error\":{\"message\":\"m\"},\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    assert_eq!(read_stream(stream.as_bytes()), "start\nerror Api m\nusage 3/1");
}

/// A chunk with a text, and what stands around it.
fn text_chunk(text: &str, padding: &str, more: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}{more}}}],\"usage\":null{padding}}}\n\n"
    )
}

#[test]
fn chunks_that_are_like_each_other_are_told_apart_from_those_that_are_not() {
    let pad = |text: &str| format!(",\"obfuscation\":\"{text}\"");
    let start = text_chunk("a", &pad("x1"), "");
    for (next, expected) in [
        (text_chunk("b", &pad("y"), ""), "text0 ab"),
        (text_chunk("", &pad("y"), ""), "text0 a"),
        (text_chunk("\\\"}\\n\\u00e9", &pad(""), ""), "text0 a\"}\n\u{e9}"),
        (
            text_chunk("b", &pad("y"), ",\"finish_reason\":\"length\""),
            "text0 ab\nfinish0 Length\ndone",
        ),
        (
            text_chunk("b", ",\"obfuscation\":\"y\",\"error\":{\"message\":\"m\"}", ""),
            "error Api m",
        ),
        (
            text_chunk("b\"},\"finish_reason\":\"stop\",\"x\":{\"y\":\"z", &pad("y"), ""),
            "text0 ab\nfinish0 Stop\ndone",
        ),
    ] {
        let said = read_stream([&*start, &next].concat().as_bytes());
        assert!(said.starts_with("start\n") && said.ends_with(expected), "{next}: {said}");
    }
}

proptest! {
    #[test]
    fn a_stream_says_the_same_whether_its_chunks_are_alike_or_not(
        texts in prop::collection::vec("[a-c\"\\\\\n\u{e9}]{0,5}", 1..12),
        pads in prop::collection::vec("[a-z]{0,4}", 12),
        is_padded: bool,
    ) {
        let (mut alike, mut unlike) = (String::new(), String::new());
        for (n, text) in texts.iter().enumerate() {
            let quoted = Value::from(&**text).to_string();
            let quoted = &quoted[1..quoted.len() - 1];
            let padding = if is_padded { format!(",\"obfuscation\":\"{}\"", pads[n]) } else { String::new() };
            alike.push_str(&text_chunk(quoted, &padding, ""));
            unlike.push_str(&text_chunk(quoted, &padding, &format!(",\"n\":{n}")));
        }
        for stream in [&mut alike, &mut unlike] {
            stream.push_str("data: [DONE]\n\n");
        }
        let said = read_stream(alike.as_bytes());
        prop_assert_eq!(&said, &read_stream(unlike.as_bytes()));
        let texts = texts.concat();
        prop_assert!(said.contains(texts.trim_end()));
    }
}
