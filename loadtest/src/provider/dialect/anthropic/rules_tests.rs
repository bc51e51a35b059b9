//! One request that is taken and one that is refused for each rule of Anthropic's messages.

use serde_json::{Value, json};

use super::super::answer;
use super::*;
use crate::provider::dialect::plan::Plan;
use crate::provider::script::Script;

fn body(changes: Value) -> Map<String, Value> {
    let mut body = json!({
        "model": "claude", "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object().unwrap().clone()
}

#[track_caller]
fn good(changes: Value) {
    assert_eq!(check(Service::Answer, &body(changes)), Ok(()));
}

#[track_caller]
fn bad(changes: Value, reason: Reason, words: &str) {
    let refusal = check(Service::Answer, &body(changes)).unwrap_err();
    assert!(refusal.message.contains(words), "{}", refusal.message);
    assert_eq!((refusal.reason, refusal.dialect), (reason, Dialect::Anthropic));
}

#[test]
fn versions_and_betas() {
    let judge = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        head(&Fields(&fields)).map_err(|refusal| refusal.reason)
    };
    let version = ("anthropic-version", "2023-06-01");
    assert_eq!(judge(&[version]), Ok(()));
    assert_eq!(judge(&[]), Err(Reason::VersionMissing));
    assert_eq!(judge(&[("anthropic-version", "2024-06-01")]), Err(Reason::VersionMissing));
    assert_eq!(judge(&[version, ("anthropic-beta", "a-b-2025-05-14, c-2025-01-01")]), Ok(()));
    assert_eq!(judge(&[version, ("anthropic-beta", "tomorrow")]), Err(Reason::Value));
}

#[test]
fn members() {
    good(json!({"temperature": 1, "top_p": 0.5, "system": "s", "metadata": {"user_id": "u"}}));
    bad(json!({"seed": 1}), Reason::MemberUnknown, "seed: Extra inputs are not permitted");
    bad(json!({"max_tokens": null}), Reason::Missing, "max_tokens: Field required");
    bad(json!({"max_tokens": 0}), Reason::Value, "greater than or equal to 1");
    bad(json!({"temperature": 1.5}), Reason::Value, "less than or equal to 1");
    bad(json!({"stream": "yes"}), Reason::Type, "stream: Input should be a valid boolean");
    good(json!({"stop_sequences": ["a"]}));
    bad(json!({"stop_sequences": [" "]}), Reason::Value, "non-whitespace");
    good(json!({"output_config": {"format": {"type": "json_schema", "schema": {}}}}));
    bad(json!({"output_config": {"format": {"type": "xml"}}}), Reason::Value, "Input tag 'xml'");
    bad(json!({"metadata": {"user_id": "u".repeat(257)}}), Reason::Value, "at most 256");
}

#[test]
fn roles_and_contents() {
    let user = json!({"role": "user", "content": "hi"});
    let said = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    good(json!({"messages": [user, user, {"role": "system", "content": "s"}]}));
    good(json!({"messages": [user, {"role": "assistant", "content": ""}]}));
    bad(json!({"messages": []}), Reason::Empty, "at least one message");
    let first = json!({"messages": [{"role": "assistant", "content": "a"}]});
    bad(first, Reason::Order, "first message must use the \"user\" role");
    bad(json!({"messages": [{"role": "tool", "content": "a"}]}), Reason::Value, "messages.0.role");
    bad(said(json!("")), Reason::Empty, "non-empty content except");
    bad(said(json!([])), Reason::Empty, "non-empty content except");
    good(said(json!([{"type": "text", "text": "a"}])));
    bad(said(json!([{"type": "text", "text": ""}])), Reason::Empty, "must be non-empty");
    bad(said(json!([{"type": "text", "text": " \n"}])), Reason::Empty, "non-whitespace text");
    bad(said(json!([{"type": "audio"}])), Reason::Value, "Input tag 'audio' found using 'type'");
    good(json!({"messages": [user, {"role": "assistant", "content": "a"}]}));
    let trailing = json!({"messages": [user, {"role": "assistant", "content": "a "}]});
    bad(trailing, Reason::Value, "trailing whitespace");
    bad(json!({"system": [{"type": "text", "text": ""}]}), Reason::Empty, "system: text content");
}

#[test]
fn images() {
    let image = |kind: &str, data: &str| {
        let source = json!({"type": "base64", "media_type": kind, "data": data});
        json!({"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]})
    };
    good(image("image/png", "aGk="));
    bad(image("image/tiff", "aGk="), Reason::Value, "image.source.base64.media_type");
    bad(image("image/png", "data:xx"), Reason::Value, "Invalid base64 data");
}

#[test]
fn caching() {
    let text = json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}});
    let long =
        json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}});
    let said = |list: Vec<&Value>| json!({"messages": [{"role": "user", "content": list}]});
    good(said(vec![&text; 4]));
    bad(said(vec![&text; 5]), Reason::Marks, "A maximum of 4 blocks with cache_control");
    good(said(vec![&long, &text]));
    bad(said(vec![&text, &long]), Reason::Marks, "must not come after a ttl='5m'");
}

fn tool(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object"}})
}

#[test]
fn tools_and_choices() {
    good(json!({"tools": [tool("a"), {"type": "web_search_20250305", "name": "web_search"}]}));
    bad(json!({"tools": [tool("a.b")]}), Reason::Name, "tools.0.custom.name: String should match");
    bad(json!({"tools": [tool("a"), tool("a")]}), Reason::Name, "Tool names must be unique");
    bad(json!({"tools": [{"name": "a"}]}), Reason::Missing, "input_schema: Field required");
    let schema = |schema: Value| json!({"tools": [{"name": "a", "input_schema": schema}]});
    bad(schema(json!({})), Reason::Schema, "input_schema.type: Field required");
    bad(schema(json!({"type": "string"})), Reason::Schema, "Input should be 'object'");
    let union = json!({"type": "object", "anyOf": []});
    bad(schema(union), Reason::Schema, "does not support oneOf, allOf, or anyOf");
    let function = json!({"tools": [{"type": "function", "name": "a"}]});
    bad(function, Reason::Value, "Input tag 'function'");
    let extra =
        json!({"tools": [{"name": "a", "parameters": {}, "input_schema": {"type": "object"}}]});
    bad(extra, Reason::MemberUnknown, "tools.0.custom.parameters");
    good(json!({"tools": [tool("a")], "tool_choice": {"type": "tool", "name": "a"}}));
    let other = json!({"tools": [tool("a")], "tool_choice": {"type": "tool", "name": "b"}});
    bad(other, Reason::Value, "Tool 'b' not found");
    bad(json!({"tool_choice": {"type": "auto"}}), Reason::Conflict, "while providing tools");
    bad(json!({"tools": [tool("a")], "tool_choice": "auto"}), Reason::Type, "tool_choice");
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "a", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "r"})
}

fn turns(calls: Value, results: Value) -> Value {
    json!({"tools": [tool("a")], "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]})
}

#[test]
fn calls_and_results() {
    let text = json!({"type": "text", "text": "t"});
    good(turns(json!([call("x"), call("y")]), json!([result("y"), result("x"), text])));
    bad(turns(json!([call("x")]), json!("no")), Reason::Pairing, "without `tool_result` blocks");
    let late = turns(json!([call("x")]), json!([text, result("x")]));
    bad(late, Reason::Pairing, "messages.1: `tool_use` ids were found without `tool_result`");
    bad(
        turns(json!("text"), json!([result("x")])),
        Reason::Pairing,
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: x.",
    );
    let twice = turns(json!([call("x")]), json!([result("x"), result("x")]));
    bad(twice, Reason::Pairing, "must have a single result");
    let same = turns(json!([call("x"), call("x")]), json!([result("x")]));
    bad(same, Reason::Id, "ids must be unique");
    let odd = turns(json!([call("x:1")]), json!([result("x:1")]));
    bad(odd, Reason::Id, "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
    let open = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [call("x")]}]});
    bad(open, Reason::Pairing, "without `tool_result` blocks");
    let input = json!([{"type": "tool_use", "id": "x", "name": "a", "input": "{}"}]);
    bad(turns(input, json!([result("x")])), Reason::Type, "tool_use.input");
}

#[test]
fn thinking() {
    let on = |budget: u64, more: Value| {
        let mut body =
            json!({"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": budget}});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    good(on(1024, json!({"temperature": 1})));
    bad(
        on(1000, json!({})),
        Reason::Value,
        "thinking.enabled.budget_tokens: Input should be greater",
    );
    bad(on(3000, json!({})), Reason::Conflict, "`max_tokens` must be greater than");
    bad(
        on(1024, json!({"temperature": 0.5})),
        Reason::Conflict,
        "`temperature` may only be set to 1",
    );
    bad(on(1024, json!({"top_k": 5})), Reason::Conflict, "`top_k` must be unset");
    bad(on(1024, json!({"top_p": 0.5})), Reason::Conflict, "`top_p`");
    let forced = json!({"tools": [tool("a")], "tool_choice": {"type": "any"}});
    bad(on(1024, forced), Reason::Conflict, "forces tool use");
}

#[test]
fn signatures_come_back_unaltered() {
    let first = json!({
        "max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [tool("a")], "messages": [{"role": "user", "content": "call a"}],
    });
    let question = super::super::question(&body(first.clone()));
    let plan = Plan::new(&question, &Script::default(), Default::default(), 3);
    let content = answer::whole(&question, &plan)["content"].clone();
    let again = |content: Value| {
        let id = content.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        let mut body = first.clone();
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": content}));
        messages.push(json!({"role": "user", "content": [result(&id)]}));
        body
    };
    good(again(content.clone()));
    let mut altered = content.clone();
    altered[0]["thinking"] = "something else".into();
    bad(
        again(altered),
        Reason::Signature,
        "messages.1.content.0: Invalid `signature` in `thinking`",
    );
    let bare: Value = content.as_array().unwrap()[1..].to_vec().into();
    bad(again(bare.clone()), Reason::Signature, "Expected `thinking` or `redacted_thinking`");
    let mut adaptive = again(bare);
    adaptive["thinking"] = json!({"type": "adaptive"});
    good(adaptive);
    let mut unsigned = content.clone();
    unsigned[0].as_object_mut().unwrap().remove("signature");
    bad(again(unsigned), Reason::Missing, "thinking.signature: Field required");
}
