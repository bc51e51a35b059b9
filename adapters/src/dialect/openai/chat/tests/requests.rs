//! Requests: what each fixture asks, and what becomes of it when it is written.

use serde_json::{Value, json};

use super::{CHAT, TERMS, golden};
use crate::{
    chat::{
        CacheMark, Effort, Format, Loss, MediaKind, PartBody, Request, Role, Source, Tier, Tool,
        ToolChoice, ToolKind,
    },
    dialect::{Call, Inbound, Invalid, Outbound, Terms},
    quirks::{self, Quirks},
};

fn read(body: &str) -> Request<'_> {
    CHAT.read_request(body.as_bytes(), &Call::default()).unwrap()
}

fn written(request: &Request<'_>, quirks: &Quirks) -> (Value, String) {
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    CHAT.write_request(&mut out, request, &Terms { quirks, ..TERMS }, &mut loss).unwrap();
    (serde_json::from_slice(&out).unwrap(), loss.list())
}

/// What becomes of a request for a provider.
fn sent(body: &Value, provider: &str) -> (Value, String) {
    let text = body.to_string();
    written(&read(&text), &quirks::find(provider))
}

fn remove(value: &mut Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name).unwrap_or_default()
}

/// A request comes out as it went in, but for what `spelled` spells in another way.
fn check(case: &str, body: &str, spelled: impl Fn(&mut Value)) {
    let mut expected: Value = serde_json::from_str(body).unwrap();
    spelled(&mut expected);
    let (found, lost) = written(&read(body), &Quirks::NONE);
    assert_eq!(found, expected, "{case}");
    let thoughts = "reasoning_content,reasoning_details,extra_content";
    assert_eq!(lost, if case == "thinking" { thoughts } else { "" }, "{case}");
}

#[test]
fn a_request_comes_out_as_it_went_in() {
    let same = |_: &mut Value| {};
    check("text", golden!("text", "request.json"), |body| {
        body["user"] = remove(body, "safety_identifier");
        remove(body, "n");
    });
    check("tools", golden!("tools", "request.json"), same);
    check("parallel_tools", golden!("parallel_tools", "request.json"), same);
    check("images", golden!("images", "request.json"), same);
    check("structured", golden!("structured", "request.json"), same);
    check("length", golden!("length", "request.json"), |body| {
        body["max_completion_tokens"] = remove(body, "max_tokens");
    });
    check("usage_cache", golden!("usage_cache", "request.json"), same);
    check("custom_tool", golden!("custom_tool", "request.json"), |body| {
        body["messages"][1]["content"] = Value::Null;
    });
    check("several_choices", golden!("several_choices", "request.json"), same);
    check("url_citations", golden!("url_citations", "request.json"), same);
    check("audio_output", golden!("audio_output", "request.json"), same);
    check("refusal", golden!("refusal", "request.json"), |body| {
        body["messages"][1] = json!({"role": "assistant", "content": null,
            "refusal": "I can't help with that."});
    });
    check("thinking", golden!("thinking", "request.json"), |body| {
        let message = &mut body["messages"][1];
        for name in ["reasoning_content", "reasoning_details"] {
            remove(message, name);
        }
        remove(&mut message["tool_calls"][0], "extra_content");
    });
    check("legacy_function_call", golden!("legacy_function_call", "request.json"), |body| {
        let function = remove(body, "functions")[0].take();
        body["tools"] = json!([{"type": "function", "function": function}]);
        body["tool_choice"] = remove(body, "function_call");
        body["messages"][1] = json!({"role": "assistant", "content": null, "tool_calls": [{
            "id": "call_function_1", "type": "function",
            "function": {"name": "get_time", "arguments": "{\"city\":\"Wien\"}"}}]});
        body["messages"][2] =
            json!({"role": "tool", "tool_call_id": "call_function_1", "content": "09:12"});
    });
}

#[test]
fn everything_finds_its_place() {
    let request = read(golden!("text", "request.json"));
    assert_eq!((&*request.model, request.stream, request.include_usage), ("gpt-5.5", true, true));
    assert_eq!(request.messages[0].role, Role::Developer);
    assert_eq!(request.messages[1].name.as_deref(), Some("ada"));
    assert_eq!(request.sampling.temperature.unwrap().raw(), b"0.7");
    assert_eq!((request.output_max, request.tier), (Some(256), Some(Tier::Flex)));
    assert_eq!(request.stop, ["\n\n", "END"]);
    assert_eq!(request.end_user.as_deref(), Some("user-8f2c"));
    assert_eq!((request.cache_key.as_deref(), request.store), (Some("thread-17"), Some(false)));
    assert!(request.rest.is_empty());

    let request = read(golden!("structured", "request.json"));
    let Some(Format::JsonSchema { name, strict, .. }) = &request.format else { panic!("format") };
    assert_eq!((name.as_deref(), *strict), (Some("person"), Some(true)));

    let request = read(golden!("parallel_tools", "request.json"));
    let Some(ToolChoice::Allowed { required: true, names }) = &request.tool_choice else {
        panic!("{:?}", request.tool_choice)
    };
    assert_eq!(names, &["get_weather", "get_time"]);
    let PartBody::ToolResult { name, content, .. } = &request.messages[2].parts[0].body else {
        panic!("no result")
    };
    assert_eq!((name.as_deref(), content.len()), (Some("get_weather"), 2));
    assert_eq!(request.messages[2].role, Role::User);

    let request = read(golden!("usage_cache", "request.json"));
    assert_eq!(request.messages[0].parts[0].cache, Some(CacheMark { minutes: Some(720) }));
}

#[test]
fn media_are_told_apart() {
    let request = read(golden!("images", "request.json"));
    let kinds: Vec<_> = request.messages[0]
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::Media(media) => Some((media.kind, &media.source)),
            _ => None,
        })
        .collect();
    assert!(matches!(
        kinds[..],
        [
            (MediaKind::Image, Source::Base64 { .. }),
            (MediaKind::Image, Source::Url(_)),
            (MediaKind::Audio, Source::Base64 { .. }),
            (MediaKind::Document, Source::Base64 { .. }),
            (MediaKind::Document, Source::File(_)),
        ]
    ));
}

#[test]
fn thoughts_keep_their_signatures() {
    let body = golden!("thinking", "request.json");
    let request = read(body);
    assert_eq!(request.reasoning.effort, Some(Effort::High));
    let thoughts: Vec<_> = request.messages[1]
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            PartBody::Reasoning(thought) => Some(thought),
            _ => None,
        })
        .collect();
    assert_eq!(thoughts.len(), 2);
    assert_eq!(thoughts[0].text, "The user wants the weather.");
    assert_eq!(thoughts[0].signature.as_deref(), Some("EqQBCgIYAhIkOWZj=="));
    assert!(thoughts[1].redacted);
    let (found, _) = written(&request, &quirks::find("openrouter"));
    let message = &found["messages"][1];
    assert_eq!(message["reasoning"], "The user wants the weather.");
    assert_eq!(message["reasoning_details"].as_array().unwrap().len(), 3);
    assert_eq!(message["reasoning_details"][2]["id"], "call_Xr1vTq9LbN");
    let (found, _) = written(&request, &quirks::find("gemini"));
    let signature = &found["messages"][1]["tool_calls"][0]["extra_content"]["google"];
    assert_eq!(signature["thought_signature"], "CsYBAVSoXO7q==");
    let (found, _) = written(&request, &quirks::find("deepseek"));
    assert_eq!(found["messages"][1]["reasoning_content"], "The user wants the weather.");
}

#[test]
fn fragments_of_thoughts_come_together() {
    let body = json!({"model": "m", "messages": [{"role": "assistant", "content": "x",
        "reasoning_content": "ab", "reasoning_details": [
            {"type": "reasoning.text", "text": "a", "index": 0},
            {"type": "reasoning.text", "text": "b", "index": 0},
            {"type": "reasoning.text", "text": "", "signature": "s", "index": 0},
            {"type": "reasoning.text", "text": "c", "index": 1},
            {"type": "reasoning.encrypted", "data": "e", "id": "call_1"}],
        "tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "f", "arguments": ""}}]}]});
    let body = body.to_string();
    let request = read(&body);
    let parts = &request.messages[0].parts;
    let PartBody::Reasoning(first) = &parts[0].body else { panic!("{:?}", parts[0]) };
    assert_eq!((&*first.text, first.signature.as_deref()), ("ab", Some("s")));
    let PartBody::Reasoning(second) = &parts[1].body else { panic!("{:?}", parts[1]) };
    assert_eq!((&*second.text, second.signature.as_deref()), ("c", None));
    let PartBody::ToolCall { arguments, signature, .. } = &parts[3].body else {
        panic!("{:?}", parts[3])
    };
    assert_eq!((&**arguments, signature.as_deref()), ("{}", Some("e")));
}

#[test]
fn wrong_types_are_named() {
    let message =
        |message: &str| format!(r#"{{"messages":[{{"role":"user","content":"x"}},{message}]}}"#);
    for (body, param) in [
        ("[]".to_owned(), "body"),
        (r#"{"model":1}"#.to_owned(), "model"),
        (r#"{"messages":{}}"#.to_owned(), "messages"),
        (r#"{"n":"2"}"#.to_owned(), "n"),
        (r#"{"temperature":"1"}"#.to_owned(), "temperature"),
        (r#"{"stop":[1]}"#.to_owned(), "stop[0]"),
        (r#"{"stream_options":{"include_usage":1}}"#.to_owned(), "stream_options.include_usage"),
        (r#"{"tool_choice":"maybe"}"#.to_owned(), "tool_choice"),
        (r#"{"tools":[{"type":"function","function":{}}]}"#.to_owned(), "tools[0].function.name"),
        (
            r#"{"response_format":{"type":"json_schema","json_schema":{}}}"#.to_owned(),
            "response_format.json_schema.schema",
        ),
        (message("7"), "messages[1]"),
        (message("{}"), "messages[1].role"),
        (message(r#"{"role":"wizard"}"#), "messages[1].role"),
        (message(r#"{"role":"user"}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":7}"#), "messages[1].content"),
        (message(r#"{"role":"user","content":[{"type":"text"}]}"#), "messages[1].content[0].text"),
        (
            message(r#"{"role":"user","content":[{"type":"image_url","image_url":{}}]}"#),
            "messages[1].content[0].image_url.url",
        ),
        (message(r#"{"role":"tool","content":"x"}"#), "messages[1].tool_call_id"),
        (
            message(r#"{"role":"assistant","tool_calls":[{"id":"a"}]}"#),
            "messages[1].tool_calls[0].function",
        ),
        (
            message(
                r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":7}}]}"#,
            ),
            "messages[1].tool_calls[0].function.arguments",
        ),
    ] {
        let invalid = CHAT.read_request(body.as_bytes(), &Call::default()).unwrap_err();
        assert_eq!(invalid.param, param, "{body}");
        assert!(invalid.message.starts_with(param), "{}", invalid.message);
    }
}

#[test]
fn what_is_not_known_is_kept_and_reported() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x", "prefix": true},
        {"role": "user", "content": [{"type": "hologram", "x": 1}]}],
        "top_k": 5, "fancy": {"a": 1}, "service_tier": "fast", "web_search_options": {},
        "tools": [{"type": "web_search"}], "stream_options": {"continuous_usage_stats": true}});
    let (found, lost) = sent(&body, "openai");
    assert_eq!(lost, "tools.web_search,messages.hologram,top_k,fancy,messages.prefix");
    assert_eq!(found["service_tier"], "fast");
    assert_eq!(found["web_search_options"], json!({}));
    let (found, lost) = sent(&body, "openrouter");
    assert_eq!(found["top_k"], 5);
    assert!(lost.contains("service_tier"));
}

#[test]
fn arguments_that_are_no_object_become_one() {
    for (spelled, expected) in [
        (json!("{\"a\": 1.50}"), "{\"a\": 1.50}"),
        (json!(" "), "{}"),
        (json!({"a": 1}), "{\"a\":1}"),
        (json!("{\"a\":"), "{\"input\":\"{\\\"a\\\":\"}"),
        (json!("[1]"), "{\"input\":\"[1]\"}"),
    ] {
        let body = json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a",
            "type": "function", "function": {"name": "f", "arguments": spelled}}]}]});
        let body = body.to_string();
        let request = read(&body);
        let PartBody::ToolCall { arguments, .. } = &request.messages[0].parts[0].body else {
            panic!("no call")
        };
        assert_eq!(arguments, expected);
    }
}

#[test]
fn results_follow_their_calls_and_media_come_behind() {
    use crate::chat::{Media, Message, Part};
    let call = |id: &'static str| {
        Part::new(PartBody::ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: "{}".into(),
            kind: ToolKind::Function,
            signature: None,
        })
    };
    let image = PartBody::Media(Media {
        kind: MediaKind::Image,
        source: Source::Url("https://a.b/c.png".into()),
        detail: None,
        name: None,
    });
    let result = |id: &'static str, content: Vec<Part<'static>>, is_error: bool| {
        Part::new(PartBody::ToolResult { id: id.into(), name: None, content, is_error })
    };
    let message = |role, parts| Message { role, name: None, parts };
    let request = Request {
        messages: vec![
            message(Role::Assistant, vec![call("a")]),
            message(Role::Assistant, vec![call("b")]),
            message(Role::System, vec![Part::text("Be brief.")]),
            message(
                Role::User,
                vec![
                    Part::text("Look."),
                    result("a", vec![Part::new(image)], false),
                    result("b", vec![Part::text("no")], true),
                ],
            ),
        ],
        ..Request::default()
    };
    let (found, lost) = written(&request, &Quirks::NONE);
    let said: Vec<String> = found["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| format!("{} {}", m["role"].as_str().unwrap(), m["content"]))
        .collect();
    assert_eq!(found["messages"][0]["tool_calls"].as_array().unwrap().len(), 2);
    assert_eq!(
        said,
        [
            "assistant null",
            "tool \"The result is in the next message of the user.\"",
            "tool \"Error: no\"",
            r#"user [{"image_url":{"url":"https://a.b/c.png"},"type":"image_url"}]"#,
            "system \"Be brief.\"",
            "user \"Look.\"",
        ]
    );
    assert_eq!(lost, "");
    let (found, _) = written(&request, &quirks::find("mistral"));
    let roles: Vec<&str> =
        found["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "assistant", "user"]);
    let content = &found["messages"][4]["content"];
    assert_eq!(content[1]["text"], "<system-reminder>\nBe brief.\n</system-reminder>");
    assert_eq!(content[2]["text"], "Look.");
    assert_eq!(found["messages"][1]["tool_call_id"].as_str().unwrap().len(), 9);
}

#[test]
fn providers_get_what_they_take() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let body = json!({"model": "m", "max_tokens": 9, "seed": 1, "reasoning_effort": "high", "logprobs": true,
        "messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": "x"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}});
    let (found, lost) = sent(&body, "mistral");
    assert_eq!(
        (&found["max_tokens"], &found["messages"][0]["role"]),
        (&json!(9), &json!("system"))
    );
    assert_eq!(lost, "seed,logprobs,reasoning_effort");
    let (found, _) = sent(&body, "deepseek");
    assert_eq!(found["response_format"], json!({"type": "json_object"}));
    assert_eq!(found["thinking"], json!({"type": "enabled"}));
    assert!(found["messages"][0]["content"].as_str().unwrap().contains("additionalProperties"));
    let (found, lost) = sent(&body, "tgi");
    assert_eq!(found["messages"][0]["content"], "a\n\nb");
    assert_eq!(lost, "reasoning_effort");
    let (found, _) = sent(&body, "openrouter");
    assert_eq!(found["reasoning"], json!({"effort": "high"}));
    assert!(found.get("reasoning_effort").is_none());
}

#[test]
fn allowed_tools_are_the_only_ones_where_they_cannot_be_named() {
    let body: Value = serde_json::from_str(golden!("parallel_tools", "request.json")).unwrap();
    let mut body = body;
    body["tool_choice"]["allowed_tools"]["tools"].as_array_mut().unwrap().truncate(1);
    let (found, lost) = sent(&body, "groq");
    assert_eq!(found["tools"].as_array().unwrap().len(), 1);
    assert_eq!((found["tool_choice"].as_str(), &*lost), (Some("required"), ""));
}

#[test]
fn a_strict_schema_that_is_open_is_not_sent_as_strict() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function",
        "function": {"name": "f", "strict": true, "parameters": {"type": "object", "properties": {}}}}]});
    let (found, lost) = sent(&body, "openai");
    assert!(found["tools"][0]["function"].get("strict").is_none());
    assert_eq!(lost, "strict");
}

#[test]
fn a_conversation_keeps_its_beginning() {
    let body = golden!("tools", "request.json");
    let mut request = read(body);
    let bytes = |request: &Request<'_>| {
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        CHAT.write_request(&mut out, request, &TERMS, &mut loss).unwrap();
        out
    };
    let long = bytes(&request);
    request.messages.truncate(4);
    let short = bytes(&request);
    let common = short.iter().zip(&long).take_while(|(a, b)| a == b).count();
    let end = short.windows(2).position(|pair| pair == b"}]").unwrap();
    assert!(common > end, "the bytes of the first messages are the same");
}

#[test]
fn long_ids_and_users_are_fitted() {
    let body = json!({"model": "m", "user": "u".repeat(90), "messages": [
        {"role": "assistant", "tool_calls": [{"id": "x".repeat(90), "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "x".repeat(90), "content": "1"}]});
    let (found, _) = sent(&body, "openai");
    assert_eq!(found["user"].as_str().unwrap().len(), 64);
    let id = found["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() <= 40);
    assert_eq!(found["messages"][1]["tool_call_id"], id);
}

#[test]
fn tools_of_other_dialects_are_written() {
    let body = r#"{"type":"grammar","syntax":"lark","definition":"start: /x/"}"#;
    let mut request = read(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#);
    request.tools.push(Tool {
        kind: ToolKind::Custom,
        name: "sql".into(),
        description: None,
        parameters: faregate_wire::Json::new(body.as_bytes()),
        strict: None,
        cache: None,
    });
    let (found, _) = written(&request, &Quirks::NONE);
    assert_eq!(
        found["tools"][0]["custom"]["format"],
        json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /x/"}})
    );
    let (found, lost) = written(&request, &quirks::find("vllm"));
    assert_eq!((found.get("tools"), &*lost), (None, "tools.custom"));
}

#[test]
fn nothing_to_say_is_invalid() {
    let mut out = Vec::new();
    let sent = CHAT.write_request(&mut out, &Request::default(), &TERMS, &mut Loss::default());
    assert!(matches!(sent, Err(Invalid { param, .. }) if param == "messages"));
}
