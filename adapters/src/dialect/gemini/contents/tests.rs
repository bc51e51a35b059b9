//! Contents as clients send them.

use super::*;

/// The parts of all messages, a line each.
fn check(body: &str, expected: &[&str]) {
    let mut request = Request::default();
    read(Json::new(body.as_bytes()).unwrap(), &mut request).unwrap();
    let lines: Vec<String> = request
        .messages
        .iter()
        .flat_map(|message| message.parts.iter().map(move |part| line(message.role, part)))
        .collect();
    assert_eq!(lines, expected);
}

fn line(role: Role, part: &Part<'_>) -> String {
    let said = match &part.body {
        PartBody::Text(text) => format!("text {text}"),
        PartBody::Media(media) => format!("{:?} {:?}", media.kind, media.source),
        PartBody::Reasoning(thought) => {
            format!("thought {} {:?} {}", thought.text, thought.signature, thought.redacted)
        }
        PartBody::ToolCall { id, name, arguments, signature, .. } => {
            format!("call {id} {name} {arguments} {signature:?}")
        }
        PartBody::ToolResult { id, name, content, is_error } => {
            let content: Vec<String> = content.iter().map(|part| line(role, part)).collect();
            format!("result {id} {name:?} {} {is_error}", content.join("+"))
        }
        PartBody::Refusal(text) => format!("refusal {text}"),
        PartBody::Other { kind, .. } => format!("other {kind}"),
    };
    format!("{role:?}: {said}")
}

#[test]
fn calls_without_ids_are_matched_by_name_and_order() {
    check(
        r#"[{"role":"user","parts":[{"text":"go"}]},
            {"role":"model","parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"},
                {"functionCall":{"name":"g"}},{"function_call":{"name":"f","args":{ }}}]},
            {"role":"function","parts":[{"functionResponse":{"name":"g","response":{"output":"G"}}},
                {"functionResponse":{"name":"f","response":{"result":"one"}}},
                {"functionResponse":{"name":"f","response":{"error":"two"}}},
                {"functionResponse":{"name":"h","response":{"x":1,"y":2}}}]}]"#,
        &[
            "User: text go",
            "Assistant: call call_1_0 f {\"a\":1} Some(\"c2ln\")",
            "Assistant: call call_1_1 g {} None",
            "Assistant: call call_1_2 f { } None",
            "User: result call_1_1 Some(\"g\") User: text G false",
            "User: result call_1_0 Some(\"f\") User: text one false",
            "User: result call_1_2 Some(\"f\") User: text two true",
            "User: result call_2_3 Some(\"h\") User: text {\"x\":1,\"y\":2} false",
        ],
    );
}

#[test]
fn ids_are_kept_and_tell_the_name() {
    check(
        r#"[{"role":"model","parts":[{"functionCall":{"id":"x","name":"f"}},{"functionCall":{"id":"y","name":"f"}}]},
            {"parts":[{"functionResponse":{"id":"y","response":{"result":{"deep":true}},
                "parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}},
                {"functionResponse":{"id":"other","name":"f","response":{}}}]}]"#,
        &[
            "Assistant: call x f {} None",
            "Assistant: call y f {} None",
            "User: result y Some(\"f\") User: text {\"result\":{\"deep\":true}}+User: Image Base64 { media_type: \"image/png\", data: \"AAAA\" } false",
            "User: result x Some(\"f\") User: text {} false",
        ],
    );
}

#[test]
fn pieces_of_a_stream_are_one_part_each() {
    check(
        r#"[{"role":"model","parts":[{"text":"I ","thought":true}]},
            {"role":"model","parts":[{"text":"think","thought":true}]},
            {"role":"model","parts":[{"text":"","thought":true,"thoughtSignature":"c2ln"}]},
            {"role":"model","parts":[{"text":"an"}]},{"role":"model","parts":[{"text":"swer"}]},
            {"role":"model","parts":[{"text":"","thoughtSignature":"ZW5k"}]},
            {"role":"user","parts":[{"text":"a"},{"text":"b"}]}]"#,
        &[
            "Assistant: thought I think Some(\"c2ln\") false",
            "Assistant: text answer",
            "Assistant: thought  Some(\"ZW5k\") false",
            "User: text a",
            "User: text b",
        ],
    );
}

#[test]
fn signatures_of_others_are_unwrapped() {
    let hidden = signature::wrap("opaque", true);
    let shown = signature::wrap("sig+/=", false);
    check(
        &format!(
            r#"[{{"role":"model","parts":[{{"text":"","thought":true,"thoughtSignature":"{hidden}"}},
                {{"text":"hm","thought":true,"thoughtSignature":"{shown}"}}]}}]"#
        ),
        &[
            "Assistant: thought  Some(\"opaque\") true",
            "Assistant: thought hm Some(\"sig+/=\") false",
        ],
    );
}

#[test]
fn media_and_what_nobody_else_says() {
    check(
        r#"[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":"JVBE"}},
            {"file_data":{"mime_type":"video/mp4","file_uri":"https://youtu.be/x"},"videoMetadata":{"fps":1}},
            {"fileData":{"mimeType":"audio/wav","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/abc"}},
            {"executableCode":{"language":"PYTHON","code":"1"}},{}]}]"#,
        &[
            "User: Document Base64 { media_type: \"application/pdf\", data: \"JVBE\" }",
            "User: Video Url(\"https://youtu.be/x\")",
            "User: Audio File(\"https://generativelanguage.googleapis.com/v1beta/files/abc\")",
            "User: other executableCode",
        ],
    );
}
