//! Requests.

use faregate_wire::Json;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    chat::{
        CacheMark, Effort, Loss, Media, MediaKind, Message, Part, PartBody, ReasoningPart, Request,
        Role, Source, ToolKind,
    },
    dialect::{Call, Invalid},
};
use check::check_request;

fn read_text(body: &str) -> Result<Request<'_>, Invalid> {
    MESSAGES.read_request(body.as_bytes(), &Call::default())
}

fn written_with(request: &Request<'_>, terms: &Terms<'_>) -> (Value, String) {
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    MESSAGES.write_request(&mut out, request, terms, &mut loss).unwrap();
    let value = serde_json::from_slice(&out).unwrap();
    check_request(&value);
    (value, loss.list())
}

/// Reads a body of this dialect and writes it again.
fn again(body: &str) -> (Value, String) {
    written_with(&read_text(body).unwrap(), &TERMS)
}

/// The long spelling of content.
fn long(value: &mut Value) {
    if let Value::String(text) = value {
        *value = json!([{"type": "text", "text": text}]);
    }
}

fn long_request(mut request: Value) -> Value {
    if let Some(system) = request.get_mut("system") {
        long(system);
    }
    for message in request["messages"].as_array_mut().unwrap() {
        long(&mut message["content"]);
        for block in message["content"].as_array_mut().unwrap() {
            if let Some(content) = block.get_mut("content").filter(|c| c.is_string()) {
                long(content);
            }
        }
    }
    request
}

#[test]
fn what_this_dialect_can_say_is_said_again() {
    for (name, body) in cases("request.json") {
        let (written, loss) = again(&body);
        // More marks, or later long ones, than the provider takes.
        let is_marked = matches!(&*name, "envoy_2358" | "usage_cache");
        assert_eq!(loss, if is_marked { "cache_control" } else { "" }, "{name}");
        // What is put in order on purpose is looked at below.
        if matches!(&*name, "envoy_2191" | "envoy_2358" | "images" | "usage_cache" | "length") {
            continue;
        }
        let original = long_request(serde_json::from_str(&body).unwrap());
        assert_eq!(written, original, "{name}");
    }
}

#[test]
fn writing_is_stable() {
    for (name, body) in cases("request.json") {
        let once = again(&body).0.to_string();
        assert_eq!(again(&once).0.to_string(), once, "{name}");
    }
}

#[test]
fn a_document_keeps_its_context_and_the_wish_for_sources() {
    let (written, _) = again(&case("images", "request.json"));
    let content = &written["messages"][0]["content"];
    assert_eq!(content[3], json!({"type": "text", "text": "The report of May."}));
    assert_eq!(content[4]["title"], "report.pdf");
    assert_eq!(content[4]["citations"], json!({"enabled": true}));
}

#[test]
fn empty_messages_and_blanks_at_the_end_are_left_out() {
    let (written, _) = again(&case("envoy_2191", "request.json"));
    let texts = written["messages"][0]["content"].as_array().unwrap();
    assert_eq!((written["messages"].as_array().unwrap().len(), texts.len()), (1, 3));
    let (written, _) = again(&case("length", "request.json"));
    assert_eq!(written["messages"][1]["content"][0]["text"], "One, two, three,");
}

#[test]
fn requests_are_read_into_their_places() {
    let body = case("thinking", "request.json");
    let read = read_text(&body).unwrap();
    assert_eq!((read.reasoning.enabled, read.reasoning.budget), (Some(true), Some(8000)));
    assert_eq!(read.reasoning.shown, Some(true));
    let PartBody::ToolResult { name, .. } = &read.messages[2].parts[0].body else {
        panic!("a result")
    };
    assert_eq!(name.as_deref(), Some("get_weather"));
    let PartBody::Reasoning(hidden) = &read.messages[1].parts[1].body else { panic!("a thought") };
    assert!(hidden.redacted && hidden.signature.is_some());
    let body = case("adk_5437", "request.json");
    let read = read_text(&body).unwrap();
    assert_eq!((read.reasoning.effort, read.reasoning.shown), (Some(Effort::Max), Some(false)));
    let body = case("structured", "request.json");
    let read = read_text(&body).unwrap();
    assert!(read.format.is_some() && read.rest.is_empty());
    let older = r#"{"model":"c","max_tokens":5,"messages":[],"output_format":{"type":"json_schema","schema":{"type":"object"}}}"#;
    assert!(read_text(older).unwrap().format.is_some());
    let body = case("envoy_2467", "request.json");
    let read = read_text(&body).unwrap();
    assert!(read.tools.iter().all(|tool| tool.kind == ToolKind::Other));
    let names: Vec<_> = read.rest.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["mcp_servers", "container"]);
    let body = case("server_tools", "request.json");
    let names: Vec<_> =
        read_text(&body).unwrap().rest.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["tools.defer_loading", "tools.input_examples", "messages.citations"]);
}

#[test]
fn wrong_types_are_named() {
    for (body, param) in [
        (r#"{"model":5}"#, "model"),
        (r#"{"messages":{}}"#, "messages"),
        (r#"{"messages":[{"role":"robot","content":""}]}"#, "messages[0].role"),
        (r#"{"messages":[{"role":"user","content":5}]}"#, "messages[0].content"),
        (r#"{"messages":[{"role":"user"}]}"#, "messages[0].content"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            "messages[0].content[0].text",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{}]}]}]}"#,
            "messages[0].content[0].content[0].type",
        ),
        (r#"{"system":5}"#, "system"),
        (r#"{"system":[{"type":"text","text":1}]}"#, "system[0].text"),
        (r#"{"tools":[{"name":"a"}]}"#, "tools[0].input_schema"),
        (r#"{"tool_choice":{"type":"tool"}}"#, "tool_choice.name"),
        (r#"{"thinking":{"type":"enabled"}}"#, "thinking.budget_tokens"),
        (r#"{"output_config":{"effort":"much"}}"#, "output_config.effort"),
        (r#"{"temperature":"hot"}"#, "temperature"),
        (r#"{"max_tokens":-1}"#, "max_tokens"),
    ] {
        assert_eq!(read_text(body).unwrap_err().param, param, "{body}");
    }
}

fn call(id: &'static str) -> Part<'static> {
    Part::new(PartBody::ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: "{}".into(),
        kind: ToolKind::Function,
        signature: None,
    })
}

fn result(id: &'static str, text: &'static str) -> Part<'static> {
    let content = vec![Part::text(text)];
    Part::new(PartBody::ToolResult { id: id.into(), name: None, content, is_error: false })
}

fn message(role: Role, parts: Vec<Part<'static>>) -> Message<'static> {
    Message { role, name: None, parts }
}

fn request(messages: Vec<Message<'static>>) -> Request<'static> {
    Request { messages, ..Request::default() }
}

#[test]
fn calls_and_results_are_brought_together() {
    let (written, loss) = written_with(
        &request(vec![
            message(Role::Assistant, vec![call("call_1"), call("call_2"), call("a.b")]),
            message(Role::Developer, vec![Part::text("Be quick.")]),
            message(Role::User, vec![Part::text("Wait.")]),
            message(Role::User, vec![result("a.b", "3")]),
            message(Role::User, vec![result("nobody", "4")]),
            message(Role::User, vec![result("call_1", "1")]),
        ]),
        &TERMS,
    );
    assert_eq!(loss, "");
    assert_eq!(written["messages"][0]["role"], "user");
    let content = &written["messages"][2]["content"];
    assert_eq!(content[0]["tool_use_id"], "call_1");
    assert_eq!(
        (&content[1]["tool_use_id"], &content[1]["is_error"]),
        (&json!("call_2"), &json!(true))
    );
    assert_eq!(content[2]["tool_use_id"], written["messages"][1]["content"][2]["id"]);
    assert_eq!(content[3]["text"], "<system-reminder>\nBe quick.\n</system-reminder>");
    assert_eq!(content[4]["text"], "Wait.");
    assert_eq!(content[6]["text"], "4");
    assert_eq!(
        (&written["tools"][0]["name"], &written["tool_choice"]["type"]),
        (&json!("f"), &json!("none"))
    );
}

#[test]
fn thinking_is_off_where_its_thoughts_are_missing() {
    let thought = |signature: Option<&'static str>| {
        Part::new(PartBody::Reasoning(ReasoningPart {
            text: "hm".into(),
            signature: signature.map(Into::into),
            ..Default::default()
        }))
    };
    for (signature, expected) in [(Some("s"), "enabled"), (None, "disabled")] {
        let mut asked = request(vec![
            message(Role::User, vec![Part::text("Go.")]),
            message(Role::Assistant, vec![thought(signature), call("c")]),
            message(Role::User, vec![result("c", "1")]),
        ]);
        asked.reasoning.enabled = Some(true);
        asked.reasoning.budget = Some(9000);
        let (written, _) = written_with(&asked, &TERMS);
        assert_eq!(written["thinking"]["type"], expected);
        asked.reasoning.budget = None;
        assert_eq!(written_with(&asked, &TERMS).0["thinking"]["type"], "adaptive");
        asked.messages.push(message(Role::Assistant, vec![Part::text("Done.")]));
        asked.messages.push(message(Role::User, vec![Part::text("More.")]));
        asked.reasoning.budget = Some(9000);
        let (written, loss) = written_with(&asked, &TERMS);
        assert_eq!(
            (&written["thinking"]["budget_tokens"], &*loss),
            (&json!(3072), "thinking.budget_tokens")
        );
    }
}

#[test]
fn sampling_is_kept_within_what_is_allowed() {
    let number = |text: &'static str| Json::new(text.as_bytes());
    let mut asked = request(vec![message(Role::User, vec![Part::text("Go.")])]);
    asked.sampling.temperature = number("1.5");
    asked.sampling.top_k = number("40");
    asked.sampling.seed = number("7");
    asked.sampling.choices = Some(2);
    let (written, loss) = written_with(&asked, &TERMS);
    assert_eq!((&written["temperature"], &written["top_k"]), (&json!(1), &json!(40)));
    assert_eq!((&written["max_tokens"], &*loss), (&json!(4096), "temperature,seed,n"));
    for (temperature, top_p, expected) in
        [("1", "0.5", (false, true)), ("0.2", "1.0", (true, false)), ("1", "1", (true, false))]
    {
        let mut both = asked.clone();
        (both.sampling.temperature, both.sampling.top_p) = (number(temperature), number(top_p));
        let (written, _) = written_with(&both, &TERMS);
        assert_eq!((written["temperature"].is_number(), written["top_p"].is_number()), expected);
    }
    asked.reasoning.effort = Some(Effort::High);
    let (written, loss) = written_with(&asked, &TERMS);
    assert_eq!(written["thinking"]["type"], "adaptive");
    assert_eq!(
        (&written["output_config"]["effort"], &*loss),
        (&json!("high"), "temperature,top_k,seed,n")
    );
    let quirks = Quirks { refuses: &["temperature", "effort"], ..Quirks::NONE };
    let (written, loss) = written_with(&asked, &Terms { quirks: &quirks, ..TERMS });
    assert!(written["output_config"].is_null());
    assert_eq!(loss, "effort,temperature,top_k,seed,n");
}

#[test]
fn other_clouds_name_the_version_and_not_the_model() {
    let quirks = Quirks { version_in_body: Some("vertex-2023-10-16"), ..Quirks::NONE };
    let body = case("envoy_2189", "request.json");
    let mut read = read_text(&body).unwrap();
    read.stream = true;
    let (written, _) = written_with(&read, &Terms { quirks: &quirks, ..TERMS });
    assert_eq!(written["anthropic_version"], "vertex-2023-10-16");
    // Vertex passes the body to Anthropic's servers, which look there, whatever the method was.
    assert!(written.get("model").is_none() && written["stream"] == true);
    let quirks = Quirks { stream_in_path: true, ..quirks };
    let (written, _) = written_with(&read, &Terms { quirks: &quirks, ..TERMS });
    assert!(written.get("stream").is_none());
    let texts = written["messages"].to_string();
    assert!(texts.contains("<system-reminder>") && !texts.contains("\"system\""));
}

#[test]
fn parts_of_other_dialects_are_reported() {
    let body = r#"{"type":"web_search"}"#;
    let other = Json::new(body.as_bytes()).unwrap();
    let mut asked = request(vec![message(
        Role::User,
        vec![Part::new(PartBody::Other { kind: "input_widget".into(), json: other })],
    )]);
    asked.rest.push(("logit_mask".into(), other));
    let (written, loss) = written_with(&asked, &TERMS);
    assert_eq!(loss, "input_widget,logit_mask");
    assert!(written["messages"][0]["content"][0]["text"].is_string());
    let none = Request::default();
    let refused = MESSAGES.write_request(&mut Vec::new(), &none, &TERMS, &mut Loss::default());
    assert_eq!(refused.unwrap_err().param, "messages");
}

fn any_part() -> impl Strategy<Value = Part<'static>> {
    let id = || prop_oneof![Just("a"), Just("b"), Just("c.d")];
    let thought = |signature: bool, redacted| {
        let signature = signature.then(|| "s".into());
        let thought = ReasoningPart { text: "t".into(), signature, redacted, id: None };
        Part::new(PartBody::Reasoning(thought))
    };
    let body = prop_oneof![
        prop_oneof![Just("text"), Just(" \n"), Just(""), Just("end ")].prop_map(Part::text),
        id().prop_map(call),
        (id(), prop_oneof![Just("1"), Just("")]).prop_map(|(id, text)| result(id, text)),
        (any::<bool>(), any::<bool>())
            .prop_map(move |(signed, redacted)| thought(signed, redacted)),
        Just(Part::new(PartBody::Refusal("no".into()))),
        Just(Part::new(PartBody::Media(Media {
            kind: MediaKind::Audio,
            source: Source::Url("u".into()),
            detail: None,
            name: None,
        }))),
    ];
    (body, any::<bool>())
        .prop_map(|(part, marked)| Part { cache: marked.then(CacheMark::default), ..part })
}

fn any_message() -> impl Strategy<Value = Message<'static>> {
    let role =
        prop_oneof![Just(Role::System), Just(Role::User), Just(Role::User), Just(Role::Assistant)];
    (role, prop::collection::vec(any_part(), 0..4)).prop_map(|(role, parts)| message(role, parts))
}

proptest! {
    #[test]
    fn any_conversation_is_put_in_order(
        messages in prop::collection::vec(any_message(), 1..8), thinks: bool, names_version: bool,
    ) {
        let mut asked = request(messages);
        asked.reasoning.budget = thinks.then_some(2000);
        let version_in_body = names_version.then_some("v");
        let quirks = Quirks { version_in_body, ..Quirks::NONE };
        let (written, _) = written_with(&asked, &Terms { quirks: &quirks, ..TERMS });
        // What has been put in order once stays as it is.
        let text = written.to_string();
        let twice = written_with(&read_text(&text).unwrap(), &Terms { quirks: &quirks, ..TERMS }).0;
        prop_assert_eq!(&twice["messages"], &written["messages"]);
    }
}
