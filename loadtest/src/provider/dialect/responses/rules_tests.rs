//! One request that is taken and one that is refused for each rule of OpenAI's responses.

use serde_json::{Value, json};

use super::super::{answer, read};
use super::*;
use crate::provider::dialect::plan::{Plan, Spent};
use crate::provider::script::Script;

fn body(changes: &Value) -> Map<String, Value> {
    let mut body = json!({"model": "gpt", "input": "hi"});
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
    assert_eq!((refusal.reason, refusal.dialect), (reason, Dialect::Responses));
}

#[test]
fn members() {
    good(json!({"temperature": 1, "max_output_tokens": 16, "metadata": {"a": "b"}}));
    bad(json!({"messages": []}), Reason::MemberUnknown, "Unknown parameter: 'messages'.");
    bad(json!({"max_tokens": 5}), Reason::MemberUnknown, "Unknown parameter: 'max_tokens'.");
    bad(
        json!({"max_output_tokens": 15}),
        Reason::Value,
        "integer below minimum value. Expected a value >= 16",
    );
    bad(json!({"temperature": 2.5}), Reason::Value, "decimal above maximum value");
    bad(json!({"input": null}), Reason::Missing, "Missing required parameter: 'input'.");
    bad(json!({"input": 5}), Reason::Type, "Invalid type for 'input'");
    bad(json!({"reasoning": {"effort": "huge"}}), Reason::Value, "Invalid value: 'huge'");
    bad(json!({"include": ["everything"]}), Reason::Value, "Invalid value: 'everything'");
    bad(json!({"metadata": {"a": 1}}), Reason::Type, "metadata.a");
    bad(json!({"stream_options": {}}), Reason::OptionsWithoutStream, "only allowed when 'stream'");
}

#[test]
fn formats() {
    let format = |format: Value| json!({"text": {"format": format}});
    good(format(json!({"type": "json_schema", "name": "a", "schema": {}})));
    let unnamed = format(json!({"type": "json_schema", "schema": {}}));
    bad(unnamed, Reason::Missing, "'text.format.name'");
    let odd = format(json!({"type": "json_schema", "name": "a b", "schema": {}}));
    bad(odd, Reason::Name, "does not match pattern");
    bad(format(json!({"type": "json_object"})), Reason::Value, "must contain the word 'json'");
    good(json!({"text": {"format": {"type": "json_object"}}, "input": "answer in JSON"}));
}

#[test]
fn tools_and_choices() {
    let tool = |tool: Value| json!({"tools": [tool]});
    good(tool(json!({"type": "function", "name": "a", "parameters": {"type": "object"}})));
    good(tool(json!({"type": "web_search"})));
    bad(tool(json!({"name": "a"})), Reason::Missing, "'tools[0].type'");
    bad(
        tool(json!({"type": "function", "function": {"name": "a"}})),
        Reason::MemberUnknown,
        "'tools[0].function'",
    );
    bad(tool(json!({"type": "function", "name": "a.b"})), Reason::Name, "tools[0].name");
    let long = json!({"type": "function", "name": "a".repeat(65)});
    bad(tool(long), Reason::Id, "maximum length 64, but got a string with length 65");
    let kind = json!({"type": "function", "name": "a", "parameters": {"type": "string"}});
    bad(tool(kind), Reason::Schema, "got 'type: \"string\"'");
    let strict =
        json!({"type": "function", "name": "a", "strict": true, "parameters": {"type": "object"}});
    bad(tool(strict), Reason::Schema, "'additionalProperties' is required to be supplied");
    let mut named = tool(json!({"type": "function", "name": "a"}));
    named["tool_choice"] = json!({"type": "function", "name": "a"});
    good(named.clone());
    named["tool_choice"]["name"] = "b".into();
    bad(named, Reason::Value, "not found in 'tools'");
    bad(json!({"tool_choice": "required"}), Reason::Value, "'required' must be specified with");
    bad(json!({"tool_choice": "any"}), Reason::Value, "Invalid value: 'any'");
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "a", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "r"})
}

#[test]
fn items() {
    let input = |items: Value| json!({"input": items});
    let said = |role: &str, kind: &str| json!({"input": [{"role": role, "content": [{"type": kind, "text": "a"}]}]});
    good(said("user", "input_text"));
    good(said("assistant", "output_text"));
    bad(
        said("assistant", "input_text"),
        Reason::Value,
        "Supported values are: 'output_text' and 'refusal'",
    );
    bad(said("user", "text"), Reason::Value, "Invalid value: 'text'");
    bad(said("tool", "input_text"), Reason::Value, "Invalid value: 'tool'");
    good(input(json!([call("x"), call("y"), output("y"), output("x")])));
    bad(
        input(json!([output("x")])),
        Reason::Pairing,
        "No tool call found for function call output with call_id x.",
    );
    bad(input(json!([call("x")])), Reason::Pairing, "No tool output found for function call x.");
    let long = "x".repeat(65);
    bad(
        input(json!([call(&long), output(&long)])),
        Reason::Id,
        "input[0].call_id': string too long",
    );
    let mut foreign = call("x");
    foreign["id"] = "call_x".into();
    bad(input(json!([foreign, output("x")])), Reason::Id, "Expected an ID that begins with 'fc'");
    let mut object = call("x");
    object["arguments"] = json!({});
    bad(input(json!([object, output("x")])), Reason::Type, "'input[0].arguments'");
    bad(input(json!([{"type": "tool_result"}])), Reason::Value, "Invalid value: 'tool_result'");
    let image = |url: &str| json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]});
    good(image("data:image/png;base64,aGk="));
    bad(image("aGk="), Reason::Value, "Expected a valid URL");
}

#[test]
fn sealed_thoughts_come_back_unaltered() {
    let first = json!({
        "store": false, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "a"}], "input": [{"role": "user", "content": "call a"}],
    });
    let question = super::super::question(&body(&first));
    let plan = Plan::new(&question, &Script::default(), Spent::default(), 3);
    let items = answer::whole(&question, &plan)["output"].as_array().unwrap().clone();
    let again = |items: &[Value]| {
        let mut next = first.clone();
        let input = next["input"].as_array_mut().unwrap();
        input.extend_from_slice(items);
        input.push(output(items.last().unwrap()["call_id"].as_str().unwrap()));
        next
    };
    good(again(&items));
    bad(
        again(&items[1..]),
        Reason::Signature,
        "was provided without its required 'reasoning' item",
    );
    let mut altered = items.clone();
    altered[0]["encrypted_content"] = "gAAA".into();
    bad(again(&altered), Reason::Signature, "could not be verified");
    let mut open = items.clone();
    open[0].as_object_mut().unwrap().remove("encrypted_content");
    bad(again(&open), Reason::ItemUnknown, "Items are not persisted when `store` is set to false");
    let mut alone = first.clone();
    alone["input"].as_array_mut().unwrap().push(items[0].clone());
    bad(alone, Reason::Order, "without its required following item");
}
