//! One request that is taken and one that is refused for each rule of OpenAI's chat about tools,
//! parts and formats. The others are tested where they are, in `ask`.

use serde_json::{Value, json};

use super::*;

fn judge(changes: &Value) -> Result<bool, Refusal> {
    let mut body = json!({"model": "gpt", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    let members = Members::read(body.to_string().as_bytes()).unwrap();
    let messages = body["messages"].as_array().unwrap();
    super::super::read(&members, messages).map(|question| question.is_some())
}

#[track_caller]
fn good(changes: Value) {
    assert!(judge(&changes).is_ok(), "{:?}", judge(&changes));
}

#[track_caller]
fn bad(changes: Value, reason: Reason, words: &str) {
    let refusal = judge(&changes).unwrap_err();
    assert!(refusal.message.contains(words), "{}", refusal.message);
    assert_eq!(refusal.reason, reason);
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
}

#[test]
fn tools_and_choices() {
    good(json!({"tools": [tool("a"), {"type": "custom", "custom": {"name": "b"}}]}));
    bad(json!({"tools": []}), Reason::Value, "Invalid 'tools': empty array");
    bad(
        json!({"tools": [tool("a.b")]}),
        Reason::Name,
        "'tools[0].function.name': string does not match",
    );
    bad(json!({"tools": [tool(&"a".repeat(65))]}), Reason::Id, "maximum length 64");
    bad(
        json!({"tools": [{"type": "function", "name": "a"}]}),
        Reason::Missing,
        "'tools[0].function'",
    );
    bad(json!({"tools": [{"name": "a"}]}), Reason::Missing, "'tools[0].type'");
    let schema =
        json!({"type": "function", "function": {"name": "a", "parameters": {"type": "array"}}});
    bad(json!({"tools": [schema]}), Reason::Schema, "Invalid schema for function 'a'");
    let named = |name: &str| json!({"tools": [tool("a")], "tool_choice": {"type": "function", "function": {"name": name}}});
    good(named("a"));
    bad(named("b"), Reason::Value, "Tool choice 'b' not found");
    bad(
        json!({"tool_choice": "auto"}),
        Reason::Conflict,
        "only allowed when 'tools' are specified",
    );
    bad(json!({"parallel_tool_calls": false}), Reason::Conflict, "only allowed when 'tools'");
    bad(json!({"tools": [tool("a")], "tool_choice": "any"}), Reason::Value, "'any'");
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "a", "arguments": "{}"}})
}

fn turns(calls: Value, ids: &[&str]) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": "hi"}),
        json!({"role": "assistant", "content": null, "tool_calls": calls}),
    ];
    messages
        .extend(ids.iter().map(|id| json!({"role": "tool", "tool_call_id": id, "content": "r"})));
    json!({"messages": messages})
}

#[test]
fn calls_and_results() {
    good(turns(json!([call("x"), call("y")]), &["y", "x"]));
    let open = turns(json!([call("x"), call("y")]), &["y"]);
    bad(open, Reason::Pairing, "did not have response messages: x");
    bad(turns(json!([call("x")]), &["x", "z"]), Reason::Pairing, "'tool_call_id' of 'z' not found");
    let orphan = json!({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "x", "content": "r"}]});
    bad(orphan, Reason::Pairing, "messages with role 'tool' must be a response to a preceeding");
    let mut late = turns(json!([call("x")]), &[]);
    let user = json!({"role": "user", "content": "and"});
    late["messages"].as_array_mut().unwrap().push(user);
    bad(late, Reason::Pairing, "must be followed by tool messages");
    bad(turns(json!([]), &[]), Reason::Empty, "tool_calls': empty array");
    bad(turns(json!([call(&"x".repeat(65))]), &[]), Reason::Id, "maximum length 64");
    let mut object = call("x");
    object["function"]["arguments"] = json!({});
    bad(turns(json!([object]), &["x"]), Reason::Type, "function.arguments");
    bad(turns(Value::Null, &[]), Reason::Empty, "expected a string, got null");
    let nameless = json!({"messages": [{"role": "tool", "content": "r"}]});
    bad(nameless, Reason::Missing, "messages[0].tool_call_id");
}

#[test]
fn parts_and_formats() {
    let said = |role: &str, part: Value| json!({"messages": [{"role": role, "content": [part]}]});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    good(said("user", image("data:image/png;base64,aGk=")));
    bad(said("user", image("aGk=")), Reason::Value, "Expected a valid URL");
    bad(said("assistant", image("http://a")), Reason::Value, "'text', 'refusal'");
    bad(
        said("user", json!({"type": "tool_result"})),
        Reason::Value,
        "Invalid value: 'tool_result'",
    );
    bad(json!({"messages": [{"role": "user", "content": []}]}), Reason::Empty, "empty array");
    let format = |format: Value| json!({"response_format": format});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}});
    good(format(schema));
    bad(
        format(json!({"type": "json_schema", "json_schema": {}})),
        Reason::Missing,
        "json_schema.name",
    );
    bad(format(json!({"type": "json_object"})), Reason::Value, "must contain the word 'json'");
    bad(format(json!({"type": "xml"})), Reason::Value, "Invalid value: 'xml'");
    good(json!({"reasoning_effort": "low"}));
    bad(json!({"reasoning_effort": "huge"}), Reason::Value, "Invalid value: 'huge'");
}

#[test]
fn plain_requests_stay_plain() {
    let tools = json!({"tools": [tool("a")]});
    assert_eq!(judge(&tools), Ok(false));
    let mut calls = tools.clone();
    calls["messages"] = json!([{"role": "user", "content": "call a"}]);
    assert_eq!(judge(&calls), Ok(true));
    assert_eq!(judge(&turns(json!([call("x")]), &["x"])), Ok(true));
}
