//! One request that is taken and one that is refused for each rule of Google's generateContent.

use serde_json::{Value, json};

use super::super::answer;
use super::*;
use crate::provider::dialect::plan::{Plan, Spent};
use crate::provider::script::Script;

fn body(changes: &Value) -> Map<String, Value> {
    let mut body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.as_object().unwrap().clone()
}

#[track_caller]
fn good(changes: Value) {
    assert_eq!(check(Service::Answer, "gemini", &body(&changes)), Ok(()));
}

#[track_caller]
fn bad(changes: Value, reason: Reason, words: &str) {
    let refusal = check(Service::Answer, "gemini", &body(&changes)).unwrap_err();
    assert!(refusal.message.contains(words), "{}", refusal.message);
    assert_eq!((refusal.reason, refusal.dialect), (reason, Dialect::Gemini));
}

#[test]
fn members_in_either_spelling() {
    good(json!({"generationConfig": {"maxOutputTokens": 5, "topP": 0.5}}));
    good(json!({"generation_config": {"max_output_tokens": 5, "stop_sequences": ["a"]}}));
    good(json!({"contents": {"parts": {"text": "hi"}}}));
    bad(
        json!({"max_tokens": 1}),
        Reason::MemberUnknown,
        "Unknown name \"max_tokens\": Cannot find field.",
    );
    let inner = json!({"generationConfig": {"fooBar": 1}});
    bad(inner, Reason::MemberUnknown, "Unknown name \"fooBar\" at 'generation_config': Cannot");
    let part = json!({"contents": [{"parts": [{"text": "a", "foo": 1}]}]});
    bad(part, Reason::MemberUnknown, "Unknown name \"foo\" at 'contents[0].parts[0]': Cannot");
    let content = json!({"contents": [{"parts": [{"text": "a"}], "name": "x"}]});
    bad(content, Reason::MemberUnknown, "Unknown name \"name\" at 'contents[0]': Cannot");
    let config = |config: Value| json!({"generationConfig": config});
    bad(config(json!({"temperature": 3})), Reason::Value, "generation_config.temperature");
    bad(config(json!({"stopSequences": vec!["a"; 6]})), Reason::Value, "at most 5");
    bad(config(json!({"maxOutputTokens": "x"})), Reason::Type, "(TYPE_INT32), \"x\"");
    good(config(json!({"thinkingConfig": {"thinkingLevel": "LOW"}})));
    let both = json!({"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}});
    bad(config(both), Reason::Conflict, "only one of thinking budget and thinking level");
    good(config(
        json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}),
    ));
    bad(
        config(json!({"responseSchema": {"type": "OBJECT"}})),
        Reason::Conflict,
        "response_mime_type",
    );
}

#[test]
fn contents() {
    bad(json!({"contents": []}), Reason::Empty, "contents is not specified");
    bad(json!({"contents": null}), Reason::Missing, "contents is not specified");
    let said = |role: &str, parts: Value| json!({"contents": [{"role": role, "parts": parts}]});
    bad(
        said("system", json!([{"text": "a"}])),
        Reason::Value,
        "Please use a valid role: user, model.",
    );
    bad(said("user", json!([])), Reason::Empty, "contents.parts must not be empty");
    bad(said("user", json!([{}])), Reason::Empty, "parts[0].data: required oneof field 'data'");
    let two = json!([{"text": "a", "functionCall": {"name": "f"}}]);
    bad(said("user", two), Reason::Conflict, "oneof field 'data' is already set");
    good(said("user", json!([{"inlineData": {"mimeType": "image/png", "data": "aGk="}}])));
    let image = json!([{"inline_data": {"mime_type": "image/png", "data": "x"}}]);
    bad(said("user", image), Reason::Value, "Base64 decoding failed");
    bad(json!({"systemInstruction": {"parts": []}}), Reason::Empty, "system_instruction.parts");
}

fn declare(declaration: Value) -> Value {
    json!({"tools": [{"functionDeclarations": [declaration]}]})
}

#[test]
fn tools_and_schemas() {
    good(declare(
        json!({"name": "a.b:c-d", "parameters": {"type": "object", "properties": {"q": {"type": "STRING"}}}}),
    ));
    bad(declare(json!({"name": "1a"})), Reason::Name, "Invalid function name");
    bad(declare(json!({"name": "a".repeat(65)})), Reason::Name, "Invalid function name");
    let twice = json!({"tools": [{"functionDeclarations": [{"name": "a"}, {"name": "a"}]}]});
    bad(twice, Reason::Name, "Duplicate function declaration found: a");
    let place = "at 'tools[0].function_declarations[0].parameters";
    for word in ["$schema", "const", "oneOf", "exclusiveMinimum", "strict"] {
        let mut schema = json!({"type": "object"});
        schema[word] = json!(1);
        let words = format!("Unknown name \"{word}\" {place}'");
        bad(declare(json!({"name": "a", "parameters": schema})), Reason::MemberUnknown, &words);
        good(declare(json!({"name": "a", "parametersJsonSchema": schema})));
    }
    let list = json!({"type": "object", "properties": {"q": {"type": ["string", "null"]}}});
    bad(declare(json!({"name": "a", "parameters": list})), Reason::Type, "cannot start list");
    let missing = json!({"type": "object", "properties": {}, "required": ["q"]});
    bad(
        declare(json!({"name": "a", "parameters": missing})),
        Reason::Schema,
        "required[0]: property is not defined",
    );
    let both = json!({"name": "a", "parameters": {}, "parametersJsonSchema": {}});
    bad(declare(both), Reason::Conflict, "must not be set when parameters is set");
    bad(declare(json!({"name": "a", "input_schema": {}})), Reason::MemberUnknown, "input_schema");
    let mut choice = declare(json!({"name": "a"}));
    choice["toolConfig"] =
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}});
    good(choice.clone());
    choice["toolConfig"]["functionCallingConfig"]["mode"] = "AUTO".into();
    bad(
        choice.clone(),
        Reason::Conflict,
        "should only be set when the function calling mode is ANY",
    );
    choice["toolConfig"] =
        json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["b"]}});
    bad(choice, Reason::Value, "b is not among");
}

fn turns(calls: usize, responses: usize) -> Value {
    let call = json!({"functionCall": {"name": "a", "args": {}}});
    let response = json!({"functionResponse": {"name": "a", "response": {"r": 1}}});
    json!({"contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": vec![call; calls]},
        {"role": "user", "parts": vec![response; responses]},
    ]})
}

#[test]
fn calls_and_responses() {
    good(turns(2, 2));
    bad(turns(2, 1), Reason::Pairing, "number of function response parts is equal to the number");
    let mut odd = turns(1, 1);
    odd["contents"][1]["parts"] = json!([{"text": "no call"}]);
    bad(
        odd,
        Reason::Pairing,
        "function response turn comes immediately after a function call turn",
    );
    let mut first = turns(1, 1);
    first["contents"].as_array_mut().unwrap().remove(0);
    bad(first, Reason::Order, "function call turn comes immediately after a user turn");
    let mut nameless = turns(1, 1);
    nameless["contents"][2]["parts"][0]["functionResponse"]["name"] = "".into();
    bad(nameless, Reason::Name, "function_response.name: Name cannot be empty");
    let mut text = turns(1, 1);
    text["contents"][2]["parts"][0]["functionResponse"]["response"] = "r".into();
    bad(text, Reason::Type, "google.protobuf.Struct");
}

#[test]
fn signatures_come_back_unaltered() {
    let mut first = declare(json!({"name": "a"}));
    first["generationConfig"] = json!({"thinkingConfig": {"includeThoughts": true}});
    first["contents"] = json!([{"role": "user", "parts": [{"text": "call a and a"}]}]);
    let question = super::super::question("gemini", &body(&first));
    let plan = Plan::new(&question, &Script::default(), Spent::default(), 3);
    let parts = answer::whole(&question, &plan)["candidates"][0]["content"]["parts"].clone();
    let again = |parts: Value| {
        let mut next = turns(1, 2);
        next["generationConfig"] = first["generationConfig"].clone();
        next["contents"][1]["parts"] = parts;
        next
    };
    good(again(parts.clone()));
    let at = parts.as_array().unwrap().iter().position(|part| part["functionCall"].is_object());
    let (at, mut altered, mut missing) = (at.unwrap(), parts.clone(), parts.clone());
    altered[at]["thoughtSignature"] = "AAAA".into();
    bad(again(altered), Reason::Signature, "Corrupted thought signature.");
    missing[at].as_object_mut().unwrap().remove("thoughtSignature");
    bad(again(missing.clone()), Reason::Signature, "Function call is missing a thought_signature");
    let mut calm = again(missing.clone());
    calm["generationConfig"] = json!({});
    good(calm);
    let mut past = again(missing.clone());
    let later = json!({"role": "user", "parts": [{"text": "and then"}]});
    past["contents"].as_array_mut().unwrap().push(later);
    good(past);
    missing[at]["thoughtSignature"] = "skip_thought_signature_validator".into();
    good(again(missing));
}

#[test]
fn counts_and_vectors() {
    let judge = |service, body: Value| {
        check(service, "m", body.as_object().unwrap()).map_err(|refusal| refusal.reason)
    };
    let content = json!({"parts": [{"text": "a"}]});
    assert_eq!(judge(Service::Count, json!({"contents": [content]})), Ok(()));
    assert_eq!(judge(Service::Count, json!({})), Err(Reason::Conflict));
    assert_eq!(judge(Service::Embed, json!({"content": content})), Ok(()));
    assert_eq!(judge(Service::Embed, json!({"content": {"parts": []}})), Err(Reason::Empty));
    assert_eq!(judge(Service::Embed, json!({"contents": []})), Err(Reason::MemberUnknown));
    let batch = |model: &str| json!({"requests": [{"model": model, "content": content}]});
    assert_eq!(judge(Service::EmbedBatch, batch("models/m")), Ok(()));
    assert_eq!(judge(Service::EmbedBatch, batch("m")), Err(Reason::Conflict));
    assert_eq!(judge(Service::EmbedBatch, json!({"requests": []})), Err(Reason::Empty));
}
