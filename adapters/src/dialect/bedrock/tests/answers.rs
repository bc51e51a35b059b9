//! Whole answers and errors.

use serde_json::json;

use super::*;

fn deltas(body: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    CONVERSE.read_answer(body, &READ, &mut |delta| all.push(shown(&delta))).unwrap();
    all
}

fn answer(body: &[u8]) -> Answer<'static> {
    let mut assembler = Assembler::default();
    CONVERSE.read_answer(body, &READ, &mut |delta| assembler.push(delta)).unwrap();
    assembler.finish()
}

#[test]
fn answers_are_read() {
    assert_eq!(
        deltas(golden!("tools", "answer.json"))[1..],
        [
            "text Looking at Paris.",
            "call 0 tooluse_b2 get_weather",
            "arguments 0 {\n              \"city\": \"Paris\",\n              \"days\": 2\n            }",
            "finish ToolCalls None",
            "usage 312 58",
            "done"
        ]
    );
    assert_eq!(
        deltas(golden!("malformed_tool_use", "answer.json"))[1..],
        ["usage 90 30", "error Api the model called a tool in a form that cannot be read"]
    );
    assert_eq!(
        deltas(golden!("server_tools", "answer.json"))[1..3],
        ["text It rains.", "text  In Rome."]
    );
    for (body, finish) in [
        (golden!("refusal", "answer.json"), Finish::Refusal),
        (golden!("length", "answer.json"), Finish::Length),
        (golden!("text", "answer.json"), Finish::Stop),
    ] {
        assert_eq!(answer(body).choices[0].finish, Some(finish));
    }
    assert_eq!(CONVERSE.read_answer(b"{}", &READ, &mut |_| ()), Err(BadAnswer));
}

#[test]
fn every_stop_reason_has_a_meaning() {
    for (reason, meaning) in [
        ("end_turn", "finish Stop None"),
        ("stop_sequence", "finish Stop None"),
        ("tool_use", "finish ToolCalls None"),
        ("max_tokens", "finish Length None"),
        ("guardrail_intervened", "finish Refusal None"),
        ("content_filtered", "finish Refusal None"),
        ("model_context_window_exceeded", "finish ContextFull None"),
        ("malformed_model_output", "error Api the model answered in a form that cannot be read"),
        ("malformed_tool_use", "error Api the model called a tool in a form that cannot be read"),
        ("something_new", "finish Stop None"),
    ] {
        let body = json!({"output": {"message": {"role": "assistant", "content": []}},
            "stopReason": reason});
        assert_eq!(deltas(body.to_string().as_bytes())[1], meaning);
    }
}

#[test]
fn classes_of_usage_add_up_to_what_was_said() {
    let usage = answer(golden!("usage_cache", "answer.json")).usage.unwrap();
    assert_eq!(
        usage,
        Usage {
            input: 12,
            cache_read: 2048,
            cache_write: 500,
            cache_write_long: 200,
            output: 40,
            ..Usage::default()
        }
    );
    let said = value(golden!("usage_cache", "answer.json"));
    assert_eq!(said["usage"]["totalTokens"], usage.total());
}

#[test]
fn answers_survive_a_round_trip() {
    for (case, body) in [
        ("text", golden!("text", "answer.json")),
        ("tools", golden!("tools", "answer.json")),
        ("parallel_tools", golden!("parallel_tools", "answer.json")),
        ("thinking", golden!("thinking", "answer.json")),
        ("length", golden!("length", "answer.json")),
    ] {
        let mut out = Vec::new();
        CONVERSE.write_answer(&mut out, &answer(body), &TERMS);
        let (mut again, mut wanted) = (value(&out), value(body));
        again["metrics"] = Value::Null;
        wanted["metrics"] = Value::Null;
        assert_eq!(again, wanted, "{case}");
    }
    let mut out = Vec::new();
    CONVERSE.write_answer(&mut out, &answer(golden!("server_tools", "answer.json")), &TERMS);
    let cited = &value(&out)["output"]["message"]["content"][0]["citationsContent"];
    assert_eq!(cited["citations"][0]["location"]["web"]["url"], "https://a.example/x");
    assert_eq!(cited["content"][0]["text"], "It rains. In Rome.");
}

#[test]
fn errors_are_what_the_sdks_read() {
    let error = ErrorBody {
        status: 429,
        message: "none \"left\"",
        kind: "k",
        code: "c",
        param: None,
        request_id: "r",
        extra: Some("\"left\":0"),
    };
    let mut out = Vec::new();
    CONVERSE.write_error(&mut out, &error);
    assert_eq!(
        value(&out),
        json!({"__type": "ThrottlingException", "message": "none \"left\"", "errorCode": "c",
            "requestId": "r", "left": 0})
    );
    let read = CONVERSE.read_error(429, golden!("error", "answer.json"));
    assert_eq!(read.message, "Too many requests, please wait before trying again.");
}
