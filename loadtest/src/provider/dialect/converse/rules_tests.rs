//! One request that is taken and one that is refused for each rule of Bedrock's Converse.

use serde_json::{Value, json};

use super::super::{answer, read};
use super::*;
use crate::provider::dialect::plan::{Plan, Spent};
use crate::provider::script::Script;

fn body(changes: &Value) -> Map<String, Value> {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object().unwrap().clone()
}

#[track_caller]
fn good(changes: Value) {
    assert_eq!(read(&body(&changes)).map(|_| ()), Ok(()));
}

#[track_caller]
fn bad(changes: Value, reason: Reason, words: &str) {
    let refusal = read(&body(&changes)).unwrap_err();
    assert!(refusal.message.contains(words), "{}", refusal.message);
    assert_eq!((refusal.reason, refusal.dialect), (reason, Dialect::Converse));
}

#[test]
fn members() {
    good(json!({"inferenceConfig": {"maxTokens": 5, "temperature": 1, "topP": 0.5}}));
    bad(
        json!({"max_tokens": 5}),
        Reason::MemberUnknown,
        "#: extraneous key [max_tokens] is not permitted",
    );
    bad(
        json!({"inferenceConfig": {"topK": 5}}),
        Reason::MemberUnknown,
        "#/inferenceConfig: extraneous key [topK]",
    );
    bad(json!({"inferenceConfig": {"temperature": 1.5}}), Reason::Value, "less than or equal to 1");
    bad(json!({"messages": null}), Reason::Missing, "Value null at 'messages'");
    good(json!({"system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]}));
    bad(json!({"system": "s"}), Reason::Type, "Unexpected type");
    bad(json!({"system": [{"text": ""}]}), Reason::Empty, "system.1.member.text");
    let points =
        |count: usize| json!({"system": vec![json!({"cachePoint": {"type": "default"}}); count]});
    good(points(4));
    bad(points(5), Reason::Marks, "Found 5");
    let format = |schema: &str| json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema}}}}});
    good(format("{}"));
    bad(format("no"), Reason::Schema, "not a valid JSON schema");
}

#[test]
fn roles_and_contents() {
    let said = |role: &str, text: &str| json!({"role": role, "content": [{"text": text}]});
    let all = |messages: Value| json!({"messages": messages});
    good(all(json!([said("user", "a"), said("assistant", "b"), said("user", "c")])));
    bad(all(json!([])), Reason::Order, "must start with a user message");
    bad(all(json!([said("assistant", "a")])), Reason::Order, "must start with a user message");
    let twice = all(json!([said("user", "a"), said("user", "b")]));
    bad(twice, Reason::Order, "must alternate between user and assistant roles");
    bad(all(json!([said("system", "a")])), Reason::Value, "enum value set: [user, assistant]");
    bad(all(json!([said("user", " ")])), Reason::Empty, "messages.0.content.0 is blank");
    bad(all(json!([{"role": "user", "content": []}])), Reason::Empty, "at messages.0 is empty");
    let content = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    bad(content(json!({})), Reason::Empty, "messages.0.content.0");
    bad(
        content(json!({"text": "a", "image": {"format": "png", "source": {}}})),
        Reason::Conflict,
        "union",
    );
    let image = |format: &str, bytes: &str| {
        content(json!({"image": {"format": format, "source": {"bytes": bytes}}}))
    };
    good(image("png", "aGk="));
    bad(image("image/png", "aGk="), Reason::Value, "enum value set: [png, jpeg, gif, webp]");
    bad(image("png", "x"), Reason::Value, "Invalid base64");
    let document = |name: &str| {
        let document = json!({"format": "pdf", "name": name, "source": {"bytes": "aGk="}});
        json!({"messages": [{"role": "user", "content": [{"text": "a"}, {"document": document}]}]})
    };
    good(document("a file (1)"));
    bad(document("a.pdf"), Reason::Name, "The document file name can only contain");
}

fn tool(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}})
}

#[test]
fn tools_and_choices() {
    let tools = |tools: Value| json!({"toolConfig": {"tools": tools}});
    good(tools(json!([tool("a"), {"cachePoint": {"type": "default"}}])));
    bad(tools(json!([])), Reason::Empty, "'toolConfig.tools'");
    bad(tools(json!([tool("a.b")])), Reason::Name, "regular expression pattern: [a-zA-Z0-9_-]+");
    bad(tools(json!([tool(&"a".repeat(65))])), Reason::Name, "length less than or equal to 64");
    bad(tools(json!([tool("a"), tool("a")])), Reason::Name, "already defined");
    let schema = json!([{"toolSpec": {"name": "a", "inputSchema": {"json": {}}}}]);
    bad(tools(schema), Reason::Schema, "must be one of the following: object");
    let choose =
        |choice: Value| json!({"toolConfig": {"tools": [tool("a")], "toolChoice": choice}});
    good(choose(json!({"tool": {"name": "a"}})));
    bad(choose(json!({"tool": {"name": "b"}})), Reason::Value, "The tool b at");
    bad(choose(json!({"none": {}})), Reason::MemberUnknown, "extraneous key [none]");
    bad(choose(json!({"any": {}, "auto": {}})), Reason::Conflict, "union");
}

fn call(id: &str) -> Value {
    json!({"toolUse": {"toolUseId": id, "name": "a", "input": {}}})
}

fn result(id: &str) -> Value {
    json!({"toolResult": {"toolUseId": id, "content": [{"text": "r"}]}})
}

fn turns(calls: Value, results: Value) -> Value {
    json!({"toolConfig": {"tools": [tool("a")]}, "messages": [
        {"role": "user", "content": [{"text": "call a"}]},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": results},
    ]})
}

#[test]
fn calls_and_results() {
    good(turns(json!([call("x"), call("y")]), json!([result("y"), result("x")])));
    let missing = turns(json!([call("x"), call("y")]), json!([result("x")]));
    bad(
        missing,
        Reason::Pairing,
        "Expected toolResult blocks at messages.2.content for the following Ids: y",
    );
    let orphan = turns(json!([{"text": "no"}]), json!([result("x")]));
    bad(orphan, Reason::Pairing, "exceeds the number of toolUse blocks of previous turn");
    let same = turns(json!([call("x"), call("x")]), json!([result("x")]));
    bad(same, Reason::Id, "messages.1.content contains duplicate Ids: x");
    bad(turns(json!([call("x:1")]), json!([result("x:1")])), Reason::Id, "regular expression");
    let mut bare = turns(json!([call("x")]), json!([result("x")]));
    bare.as_object_mut().unwrap().remove("toolConfig");
    bad(bare, Reason::Pairing, "The toolConfig field must be defined");
    let text = json!([{"toolUse": {"toolUseId": "x", "name": "a", "input": "{}"}}]);
    bad(turns(text, json!([result("x")])), Reason::Type, "Provide a json object");
    let mut odd = result("x");
    odd["toolResult"]["content"][0] = json!({"text": "a", "json": {}});
    bad(turns(json!([call("x")]), json!([odd])), Reason::Conflict, "union");
}

#[test]
fn thoughts_come_back_unaltered() {
    let on = |budget: u64| json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
    let think = |budget: u64, config: Value| json!({"additionalModelRequestFields": on(budget), "inferenceConfig": config});
    good(think(1024, json!({"maxTokens": 2000})));
    bad(think(1000, json!({})), Reason::Value, "greater than or equal to 1024");
    bad(think(1024, json!({"maxTokens": 1024})), Reason::Conflict, "`max_tokens` must be greater");
    bad(think(1024, json!({"temperature": 0.5})), Reason::Conflict, "`temperature` may only");
    let mut first = turns(json!([]), json!([]));
    first["additionalModelRequestFields"] = on(1024);
    first["messages"].as_array_mut().unwrap().truncate(1);
    let question = super::super::question(&body(&first));
    let plan = Plan::new(&question, &Script::default(), Spent::default(), 3);
    let content = answer::whole(&question, &plan)["output"]["message"]["content"].clone();
    let again = |content: Value| {
        let id = content.as_array().unwrap().last().unwrap()["toolUse"]["toolUseId"].clone();
        let mut next = turns(content, json!([result(id.as_str().unwrap())]));
        next["additionalModelRequestFields"] = on(1024);
        next
    };
    good(again(content.clone()));
    let mut altered = content.clone();
    altered[0]["reasoningContent"]["reasoningText"]["signature"] = "AAAA".into();
    bad(again(altered), Reason::Signature, "Invalid `signature` in `thinking` block");
    let bare: Value = content.as_array().unwrap()[1..].to_vec().into();
    bad(again(bare), Reason::Signature, "Expected `thinking` or `redacted_thinking`");
    let mut unsigned = content.clone();
    let thought = unsigned[0]["reasoningContent"]["reasoningText"].as_object_mut().unwrap();
    thought.remove("signature");
    bad(again(unsigned), Reason::Signature, "thinking.signature: Field required");
}
