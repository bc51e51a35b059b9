//! Requests: read from clients, written for providers.

use serde_json::json;

use super::*;
use crate::chat::{
    CacheMark, Effort, Format, Message, Part, PartBody, Reasoning, ReasoningPart, Role, Tool,
    ToolChoice, ToolKind,
};
use faregate_wire::Json;

fn message(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, name: None, parts }
}

fn says(role: Role, text: &'static str) -> Message<'static> {
    message(role, vec![Part::text(text)])
}

fn call(id: &'static str, arguments: &'static str) -> Part<'static> {
    Part::new(PartBody::ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        kind: ToolKind::Function,
        signature: None,
    })
}

fn result(id: &'static str) -> Part<'static> {
    let content = vec![Part::text("r")];
    Part::new(PartBody::ToolResult { id: id.into(), name: None, content, is_error: false })
}

fn tool(schema: &'static str) -> Tool<'static> {
    Tool {
        kind: ToolKind::Function,
        name: "f".into(),
        description: None,
        parameters: Json::new(schema.as_bytes()),
        strict: None,
        cache: None,
    }
}

fn of(messages: Vec<Message<'static>>) -> Request<'static> {
    Request { messages, ..Request::default() }
}

#[test]
fn what_converse_says_survives_a_round_trip() {
    for (case, body) in [
        ("text", golden!("text", "request.json")),
        ("tools", golden!("tools", "request.json")),
        ("parallel_tools", golden!("parallel_tools", "request.json")),
        ("images", golden!("images", "request.json")),
        ("structured", golden!("structured", "request.json")),
        ("thinking", golden!("thinking", "request.json")),
        ("refusal", golden!("refusal", "request.json")),
        ("length", golden!("length", "request.json")),
        ("usage_cache", golden!("usage_cache", "request.json")),
    ] {
        let (mut again, lost) = written(&read(body), CLAUDE);
        let mut wanted = value(body);
        // What is said in other words: the default of a choice, JSON as text, and the bound that was not there.
        if wanted.get("inferenceConfig").is_none() {
            again.as_object_mut().unwrap().remove("inferenceConfig");
        }
        if let Some(config) = wanted.get_mut("toolConfig").and_then(Value::as_object_mut) {
            config.retain(|name, value| name != "toolChoice" || value.get("auto").is_none());
        }
        for message in wanted["messages"].as_array_mut().unwrap() {
            for block in message["content"].as_array_mut().unwrap() {
                if let Some(json) = block.pointer("/toolResult/content/0/json") {
                    assert_eq!(json["degrees"], 21.5);
                    block["toolResult"]["content"][0] = json!({"text": "{\n              \"sky\": \"clear\",\n              \"degrees\": 21.5\n            }"});
                }
            }
        }
        let text = |value: &Value| value.to_string().replace("\\n", "").replace(' ', "");
        assert_eq!(text(&again), text(&sorted(&wanted)), "{case}");
        assert_eq!(lost, "", "{case}");
    }
}

/// `serde_json` sorts members by name unless told otherwise; this makes sure.
fn sorted(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

#[test]
fn blank_answers_are_left_out_and_the_users_words_become_one_message() {
    let (body, lost) = written(&read(golden!("envoy_2191", "request.json")), CLAUDE);
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content":
            [{"text": "Hi"}, {"text": "Are you there?"}, {"text": "Hello?"}]}])
    );
    assert_eq!(lost, "");
}

#[test]
fn instructions_in_the_middle_become_words_of_the_user() {
    let (body, _) = written(&read(golden!("envoy_2189", "request.json")), CLAUDE);
    let text = "<system-reminder>\nBe brief.\n</system-reminder>";
    assert_eq!(
        body["messages"],
        json!([{"role": "user", "content": [{"text": "Hi"}, {"text": text}]},
            {"role": "assistant", "content": [{"text": "Hello."}]},
            {"role": "user", "content": [{"text": "Bye"}]}])
    );
}

#[test]
fn results_come_first_and_together() {
    let request = of(vec![
        says(Role::User, "go"),
        message(Role::Assistant, vec![call("a", "{\"x\":1.50}"), call("b!", "oops")]),
        says(Role::System, "mind"),
        message(Role::User, vec![result("a")]),
        message(Role::User, vec![Part::text("and"), result("b!")]),
    ]);
    let (body, lost) = written(&request, CLAUDE);
    assert_eq!(lost, "");
    let calls = &body["messages"][1]["content"];
    assert_eq!(calls[0]["toolUse"]["input"], json!({"x": 1.5}));
    assert_eq!(calls[1]["toolUse"]["input"], json!({"input": "oops"}));
    let last = body["messages"][2]["content"].as_array().unwrap();
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(last[0]["toolResult"]["toolUseId"], "a");
    assert_eq!(last[1]["toolResult"]["toolUseId"], calls[1]["toolUse"]["toolUseId"]);
    assert_eq!(last[2]["text"], "<system-reminder>\nmind\n</system-reminder>");
    assert_eq!(last[3]["text"], "and");
    // Nothing was declared, and calls without declarations are refused.
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
}

#[test]
fn a_conversation_begins_with_the_user() {
    let (body, _) = written(&of(vec![says(Role::System, "only this")]), CLAUDE);
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"text": "only this"}]}]));
    assert!(body.get("system").is_none());
    let (body, _) = written(&of(vec![says(Role::Assistant, "I begin. \n")]), CLAUDE);
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(body["messages"][1]["content"][0]["text"], "I begin.");
    let terms = Terms { model: CLAUDE, output_max: 1, quirks: &Quirks::NONE };
    for nothing in [vec![], vec![says(Role::User, " ")]] {
        let mut out = Vec::new();
        let refused = CONVERSE.write_request(&mut out, &of(nothing), &terms, &mut Loss::default());
        assert_eq!(refused.unwrap_err().param, "messages");
    }
}

#[test]
fn no_tool_may_be_called_only_where_none_was() {
    let mut request = of(vec![says(Role::User, "hi")]);
    request.tools = vec![tool("{}")];
    request.tool_choice = Some(ToolChoice::None);
    let (body, lost) = written(&request, CLAUDE);
    assert!(body.get("toolConfig").is_none());
    assert_eq!(lost, "");
    request.messages.push(message(Role::Assistant, vec![call("a", "")]));
    request.messages.push(message(Role::User, vec![result("a")]));
    let (body, lost) = written(&request, CLAUDE);
    assert_eq!(body["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    assert!(body["toolConfig"].get("toolChoice").is_none());
    assert_eq!(lost, "tool_choice");
}

#[test]
fn schemas_say_at_the_top_that_they_are_objects() {
    let mut request = of(vec![says(Role::User, "hi")]);
    for (schema, wanted, lost) in [
        ("{}", json!({"type": "object"}), ""),
        (
            r#"{"anyOf":[{"type":"object"}],"properties":{"anyOf":{}}}"#,
            json!({"type": "object", "properties": {"anyOf": {}}}),
            "parameters.anyOf",
        ),
        ("null", json!({"type": "object", "properties": {}}), ""),
    ] {
        request.tools = vec![tool(schema)];
        let (body, named) = written(&request, CLAUDE);
        let spec = &body["toolConfig"]["tools"][0]["toolSpec"];
        assert_eq!((&spec["inputSchema"]["json"], &*named), (&wanted, lost));
    }
    request.tools = vec![Tool { kind: ToolKind::Custom, ..tool("{}") }];
    let (body, lost) = written(&request, CLAUDE);
    assert!(body.get("toolConfig").is_none());
    assert_eq!(lost, "tools.f");
}

#[test]
fn thinking_is_said_as_the_family_says_it() {
    let mut request = of(vec![says(Role::User, "hi")]);
    request.output_max = Some(10_000);
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let budget = Reasoning { budget: Some(2000), enabled: Some(true), ..Reasoning::default() };
    let off = Reasoning { enabled: Some(false), ..Reasoning::default() };
    let new = "anthropic.claude-opus-5-5";
    for (model, reasoning, extra, said) in [
        (CLAUDE, budget, json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}), None),
        (
            CLAUDE,
            effort(Effort::XHigh),
            json!({"thinking": {"type": "enabled", "budget_tokens": 9999}}),
            None,
        ),
        (CLAUDE, off, json!({"thinking": {"type": "disabled"}}), None),
        (new, effort(Effort::High), json!({"thinking": {"type": "adaptive"}}), Some("high")),
        (new, budget, json!({"thinking": {"type": "adaptive"}}), Some("low")),
        (
            "amazon.nova-2-lite-v1:0",
            effort(Effort::High),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
            None,
        ),
        (
            "openai.gpt-oss-120b-1:0",
            effort(Effort::Medium),
            json!({"reasoning_effort": "medium"}),
            None,
        ),
        ("meta.llama3-70b-instruct-v1:0", off, Value::Null, None),
    ] {
        request.reasoning = reasoning;
        let (body, lost) = written(&request, model);
        assert_eq!(body["additionalModelRequestFields"], extra, "{model}");
        assert_eq!(body["outputConfig"]["effort"].as_str(), said, "{model}");
        assert_eq!(lost, "", "{model}");
    }
    request.reasoning = effort(Effort::High);
    let (body, lost) = written(&request, "meta.llama3-70b-instruct-v1:0");
    assert_eq!((body.get("additionalModelRequestFields"), &*lost), (None, "reasoning"));
    request.output_max = Some(1000);
    assert_eq!(written(&request, CLAUDE).1, "reasoning");
}

#[test]
fn what_cannot_be_said_is_named() {
    let number = |text: &'static str| Json::new(text.as_bytes());
    let mut request = of(vec![Message { name: Some("Al".into()), ..says(Role::User, "hi") }]);
    request.sampling.seed = number("1");
    request.sampling.top_k = number("40");
    request.sampling.choices = Some(2);
    request.parallel_tools = Some(false);
    request.tools = vec![tool("{}")];
    request.format = Some(Format::JsonObject);
    request.end_user = Some("a{b}".into());
    request.rest = vec![("logit_processor".into(), number("1").unwrap())];
    let (body, lost) = written(&request, "meta.llama3-70b-instruct-v1:0");
    assert_eq!(lost, "name,top_k,parallel_tool_calls,seed,n,logit_processor,response_format,user");
    assert!(body.get("additionalModelRequestFields").is_none());
    let (body, lost) = written(&request, CLAUDE);
    assert!(!lost.contains("top_k") && !lost.contains("parallel"));
    assert_eq!(
        body["additionalModelRequestFields"],
        json!({"top_k": 40, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})
    );
}

#[test]
fn thoughts_need_signatures_and_cache_marks_a_model_that_caches() {
    let thought = |signature: Option<&'static str>| {
        Part::new(PartBody::Reasoning(ReasoningPart {
            text: "hm".into(),
            signature: signature.map(Into::into),
            ..ReasoningPart::default()
        }))
    };
    let marked = Part { cache: Some(CacheMark { minutes: Some(60) }), ..Part::text("a") };
    let request = of(vec![
        message(Role::User, vec![marked]),
        message(Role::Assistant, vec![thought(None), thought(Some("s")), Part::text("b")]),
        says(Role::User, "c"),
    ]);
    let (body, lost) = written(&request, CLAUDE);
    assert_eq!(
        body["messages"][0]["content"][1],
        json!({"cachePoint": {"type": "default", "ttl": "1h"}})
    );
    let said = body["messages"][1]["content"].as_array().unwrap();
    assert_eq!(
        said[0],
        json!({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}})
    );
    assert_eq!((said.len(), &*lost), (2, ""));
    let (body, lost) = written(&request, "meta.llama3-70b-instruct-v1:0");
    assert_eq!((body["messages"][0]["content"].as_array().unwrap().len(), &*lost), (1, ""));
}

#[test]
fn a_longer_conversation_begins_with_the_same_bytes() {
    let mut request = of(vec![says(Role::System, "s"), says(Role::User, "a")]);
    request.tools = vec![tool("{}")];
    let bytes = |request: &Request<'_>| {
        let mut out = Vec::new();
        let terms = Terms { model: CLAUDE, output_max: 9, quirks: &Quirks::NONE };
        CONVERSE.write_request(&mut out, request, &terms, &mut Loss::default()).unwrap();
        String::from_utf8(out).unwrap()
    };
    let short = bytes(&request);
    request.messages.push(message(Role::Assistant, vec![call("x", "{\"b\":1,\"a\":2}")]));
    request.messages.push(message(Role::User, vec![result("x")]));
    let long = bytes(&request);
    let end = short.find(r#"],"inferenceConfig""#).unwrap();
    assert!(long.starts_with(&short[..end]));
}

#[test]
fn wrong_types_are_named() {
    for (body, param) in [
        (r#"{"messages":1}"#, "messages"),
        (r#"{"messages":[{"role":"tool"}]}"#, "messages[0].role"),
        (r#"{"messages":[{"role":"user","content":"hi"}]}"#, "messages[0].content"),
        (r#"{"messages":[{"role":"user","content":[{"text":1}]}]}"#, "messages[0].content[0].text"),
        (
            r#"{"messages":[{"role":"user","content":[{"image":{"format":"png"}}]}]}"#,
            "messages[0].content[0].image.source",
        ),
        (
            r#"{"messages":[{"role":"assistant","content":[{"toolUse":{"name":"f"}}]}]}"#,
            "messages[0].content[0].toolUse.toolUseId",
        ),
        (r#"{"inferenceConfig":{"maxTokens":"9"}}"#, "inferenceConfig.maxTokens"),
        (r#"{"inferenceConfig":{"stopSequences":[1]}}"#, "inferenceConfig.stopSequences"),
        (r#"{"toolConfig":{}}"#, "toolConfig.tools"),
        (r#"{"toolConfig":{"tools":[{"toolSpec":{}}]}}"#, "toolConfig.tools[0].toolSpec.name"),
    ] {
        let read = CONVERSE.read_request(body.as_bytes(), &Call::default());
        assert_eq!(read.unwrap_err().param, param);
    }
}

#[test]
fn results_are_given_the_names_of_their_tools() {
    let request = read(golden!("parallel_tools", "request.json"));
    let names: Vec<_> = request.messages[2]
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::ToolResult { name, is_error, .. } => Some((name.as_deref(), *is_error)),
            _ => None,
        })
        .collect();
    assert_eq!(
        names,
        [(Some("get_weather"), false), (Some("get_weather"), true), (Some("get_time"), false)]
    );
    assert_eq!(request.tool_choice, Some(ToolChoice::Any));
}
