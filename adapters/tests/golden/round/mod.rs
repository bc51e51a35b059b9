//! A request that is read and written again in its own dialect says what it said; what it no longer says is named as lost.
//!
//! What may be spelled in two ways is brought to one first: [`same`] has each such rule and its reason.

mod made;
mod same;

use faregate_adapters::dialect::Form;
use proptest::prelude::*;
use serde_json::Value;

use super::{fixture::cases, relay};

#[test]
fn what_recorded_requests_say_is_said_again_or_named_as_lost() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in cases() {
        let Some(body) = case.request() else { continue };
        tried += 1;
        for place in silently_lost(case.form, &body) {
            wrong.push(format!("{}: {place}", case.label()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried >= 100, "{tried} requests");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_any_request_says_is_said_again_or_named_as_lost(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for form in Form::ALL {
            let body = made::request(form, &bytes);
            let lost = silently_lost(form, body.to_string().as_bytes());
            prop_assert!(lost.is_empty(), "{form:?}: {body}\n{lost:#?}");
        }
    }
}

/// Requests that once lost something, and what they are said to lose.
const MENDED: &[(Form, &str, &str)] = &[
    // A mark in the result of a tool.
    (
        Form::Chat,
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function",
            "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":[{"type":"text",
            "text":"b","prompt_cache_breakpoint":{"mode":"explicit","ttl":"12h"}}]}]}"#,
        "",
    ),
    (
        Form::Responses,
        r#"{"prompt_cache_options":{"mode":"explicit"},"input":[{"type":"function_call","call_id":"c","name":"f",
            "arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"b",
            "prompt_cache_breakpoint":{"mode":"explicit"}}]}]}"#,
        "",
    ),
    // A thought beside its summary.
    (
        Form::Responses,
        r#"{"input":[{"role":"user","content":"a"},{"type":"reasoning","id":"r","summary":[{"type":"summary_text",
            "text":"s"}],"content":[{"type":"reasoning_text","text":"long"}]},{"role":"assistant","content":"b"}]}"#,
        "input.content",
    ),
    // Sources of an answer that says what the user has said.
    (
        Form::Messages,
        r#"{"max_tokens":9,"messages":[{"role":"user","content":"Hi."},{"role":"assistant","content":[{"type":"text",
            "text":"Hi.","citations":[{"type":"char_location","cited_text":"x"}]}]},{"role":"user","content":"Hi."}]}"#,
        "",
    ),
    // More marks than the provider takes, and a long one behind a short one.
    (
        Form::Messages,
        r#"{"max_tokens":9,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[{
            "role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}"#,
        "cache_control",
    ),
    (
        Form::Converse,
        r#"{"messages":[{"role":"user","content":[{"text":"a"},{"cachePoint":{"type":"default"}},{"text":"b"},
            {"cachePoint":{"type":"default"}},{"text":"c"},{"cachePoint":{"type":"default"}},{"text":"d"},
            {"cachePoint":{"type":"default"}},{"text":"e"},{"cachePoint":{"type":"default"}}]}]}"#,
        "cachePoint",
    ),
    // What is said beside words.
    (
        Form::Converse,
        r#"{"messages":[{"role":"user","content":[{"guardContent":{"text":{"text":"a"}}},{"document":{"format":"txt",
            "name":"b","source":{"text":"c"},"context":"d","citations":{"enabled":true}}}]}]}"#,
        "document.citations,guardContent",
    ),
    (
        Form::Gemini,
        r#"{"contents":[{"parts":[{"text":"a"}]}],"store":false,"tools":[{"functionDeclarations":[{"name":"f"}]}],
            "toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}}"#,
        "",
    ),
    (
        Form::Gemini,
        r#"{"contents":[{"role":"user","parts":[{"fileData":{"mimeType":"application/pdf","fileUri":"gs://a/b.pdf",
            "displayName":"c"}}]}]}"#,
        "filename",
    ),
];

#[test]
fn what_was_lost_once_is_said_or_named() {
    for (form, body, expected) in MENDED {
        assert_eq!(silently_lost(*form, body.as_bytes()), [""; 0], "{body}");
        let (_, mut lost) = relay::request(*form, body.as_bytes(), *form).unwrap();
        let mut names: Vec<&str> = lost.split(',').collect();
        names.sort_unstable();
        lost = names.join(",");
        assert_eq!(lost, *expected, "{body}");
    }
}

/// What a request says and no longer says once it is read and written, unless that is named as lost.
fn silently_lost(form: Form, body: &[u8]) -> Vec<String> {
    let (written, lost) = match relay::request(form, body, form) {
        Ok(written) => written,
        Err(invalid) => return vec![format!("refused: {}", invalid.message)],
    };
    let mut before: Value = serde_json::from_slice(body).unwrap();
    let after = same::spelled(form, serde_json::from_slice(&written).unwrap());
    let lost: Vec<&str> = lost.split(',').filter(|name| !name.is_empty()).collect();
    let said = String::from_utf8(written).unwrap();
    let unsaid = |kind: &str| {
        let is_lost = lost.iter().any(|name| name.rsplit('.').next() == Some(kind));
        is_lost && !said.contains(&format!("\"type\":\"{kind}\""))
    };
    leave_out(&mut before, &unsaid);
    let before = same::spelled(form, before);
    let mut places = Vec::new();
    compare("", &before, &after, &mut |place, before, after| {
        if !lost.iter().any(|name| is_named(place, name)) {
            places.push(format!("{place}: {before} became {after}; lost {lost:?}"));
        }
    });
    places
}

/// Finds what is said before and not after. What is only said after is the provider's default, or its demand.
fn compare(
    place: &str,
    before: &Value,
    after: &Value,
    differs: &mut dyn FnMut(&str, &Value, &Value),
) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let dot = if place.is_empty() { "" } else { "." };
                let after = after.get(name).unwrap_or(&Value::Null);
                compare(&format!("{place}{dot}{name}"), value, after, differs);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (before, after) in before.iter().zip(after) {
                compare(place, before, after, differs);
            }
        }
        (Value::Object(before), Value::Null) if !before.is_empty() => {
            for (name, value) in before {
                compare(&format!("{place}.{name}"), value, after, differs);
            }
        }
        // A list of which nothing can be said.
        (Value::Array(before), Value::String(after)) if before.is_empty() && after.is_empty() => {}
        _ if before == after => {}
        _ => differs(place, before, after),
    }
}

/// Takes parts and tools out of lists, whose kind is named as lost.
fn leave_out(value: &mut Value, unsaid: &dyn Fn(&str) -> bool) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item["type"].as_str().is_some_and(unsaid));
            items.iter_mut().for_each(|item| leave_out(item, unsaid));
        }
        Value::Object(members) => {
            members.values_mut().for_each(|value| leave_out(value, unsaid));
        }
        _ => {}
    }
}

/// Whether a name in a loss means a place: the place itself, what it is in, or its last names. Some losses have the name
/// that most dialects have for it.
fn is_named(place: &str, name: &str) -> bool {
    let is_in = |name: &str| format!(".{place}.").contains(&format!(".{name}."));
    is_in(name) || ALIASES.iter().any(|(known, other)| *known == name && is_in(other))
}

/// Names of losses, and of the places that are lost with them.
const ALIASES: [(&str, &str); 4] = [
    ("filename", "displayName"),
    ("reasoning", "additionalModelRequestFields"),
    ("top_k", "additionalModelRequestFields"),
    ("top_p", "inferenceConfig.topP"),
];

#[test]
fn a_loss_names_a_place_by_any_of_its_members() {
    assert!(is_named("messages.content.cache_control.ttl", "cache_control"));
    assert!(is_named("messages.content.detail", "messages.content"));
    assert!(!is_named("messages.content", "messages.content.detail"));
    assert!(!is_named("metadata.team", "data"));
}

#[test]
fn what_is_missing_is_found() {
    let mut places = Vec::new();
    let before = serde_json::json!({"a": [{"b": 1, "c": {"d": 2}}], "e": [1, 2], "f": 1});
    let after = serde_json::json!({"a": [{"b": 2}], "e": [1], "f": 1, "g": 1});
    compare("", &before, &after, &mut |place, _, _| places.push(place.to_owned()));
    assert_eq!(places, ["a.b", "a.c.d", "e"]);
}
