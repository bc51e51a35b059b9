//! Where marks go, that nothing else changes, and that a conversation keeps its bytes up to each of them.

use faregate_wire::{Patch, Scanner};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    chat::Loss,
    dialect::{Call, Form, Terms},
};

const NONE: &Quirks = &Quirks::NONE;

fn wish(model: &str) -> Wish<'_> {
    Wish { is_long: false, tokens_min: Some(0), tenant: "t", session: "", model, quirks: NONE }
}

/// The body as a provider of the same dialect gets it, and whether marks were put in.
fn passed(form: Form, body: &str, wish: &Wish<'_>) -> (String, bool) {
    let mut patch = Patch::new();
    let peek = Scanner::new(form.passage().fields()).finish(body.as_bytes()).unwrap();
    let is_marked = edit(form, body.as_bytes(), &peek, wish, &mut patch);
    let mut out = Vec::new();
    patch.write(body.as_bytes(), &mut out);
    (String::from_utf8(out).unwrap(), is_marked)
}

/// The body as a provider of another dialect gets it, and whether marks were put in.
fn crossed(client: Form, target: Form, body: &str, wish: &Wish<'_>) -> (String, bool) {
    let mut request = client.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
    let is_marked = mark(target, &mut request, wish);
    let terms = Terms { model: wish.model, output_max: 100, quirks: wish.quirks };
    let mut out = Vec::new();
    target.outbound().write_request(&mut out, &request, &terms, &mut Loss::default()).unwrap();
    (String::from_utf8(out).unwrap(), is_marked)
}

fn check(form: Form, body: &str, expected: &str) {
    let (out, is_marked) = passed(form, body, &wish("anthropic.claude-sonnet-4-5"));
    assert_eq!(out, expected);
    assert_eq!(is_marked, out != body);
}

#[test]
fn tools_instructions_and_the_last_two_turns_are_marked() {
    check(
        Form::Messages,
        r#"{ "tools":[{"name":"a"}, {"name":"b" } ],"system":"Be \"brief\".","messages":[{"role":"user","content":"1"},
            {"role":"assistant","content":[{"type":"text","text":"2"}]}, {"role":"user","content":[{"type":"text","text":"3"}]},
            {"role":"assistant","content":"4"},{"role":"user","content":"5"}],"model":"m"}"#,
        r#"{ "tools":[{"name":"a"}, {"name":"b" ,"cache_control":{"type":"ephemeral"}} ],"system":[{"type":"text","text":"Be \"brief\".","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"1"},
            {"role":"assistant","content":[{"type":"text","text":"2"}]}, {"role":"user","content":[{"type":"text","text":"3","cache_control":{"type":"ephemeral"}}]},
            {"role":"assistant","content":"4"},{"role":"user","content":[{"type":"text","text":"5","cache_control":{"type":"ephemeral"}}]}],"model":"m"}"#,
    );
    check(
        Form::Converse,
        r#"{"messages":[{"role":"user","content":[{"text":"1"}]},{"role":"assistant","content":[{"text":"2"}]},
            {"role":"user","content":[ {"text":"3"} ]}],"system":[{"text":"s"}],"toolConfig":{"tools":[{"toolSpec":{}}]}}"#,
        r#"{"messages":[{"role":"user","content":[{"text":"1"},{"cachePoint":{"type":"default"}}]},{"role":"assistant","content":[{"text":"2"}]},
            {"role":"user","content":[ {"text":"3"},{"cachePoint":{"type":"default"}} ]}],"system":[{"text":"s"},{"cachePoint":{"type":"default"}}],"toolConfig":{"tools":[{"toolSpec":{}},{"cachePoint":{"type":"default"}}]}}"#,
    );
}

#[test]
fn an_hour_is_said_where_it_is_wanted() {
    let long = Wish { is_long: true, ..wish("claude") };
    let body = r#"{"messages":[{"role":"user","content":"1"}]}"#;
    let said = r#""cache_control":{"type":"ephemeral","ttl":"1h"}"#;
    assert!(passed(Form::Messages, body, &long).0.contains(said));
    assert!(crossed(Form::Chat, Form::Messages, body, &long).0.contains(said));
    let long = Wish { model: "anthropic.claude-opus-5-5", ..long };
    let body = r#"{"messages":[{"role":"user","content":[{"text":"1"}]}]}"#;
    let said = r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#;
    assert!(passed(Form::Converse, body, &long).0.contains(said));
    let nova = Wish { model: "us.amazon.nova-pro-v1:0", ..long };
    assert!(!passed(Form::Converse, body, &nova).0.contains("ttl"));
    assert!(passed(Form::Converse, body, &nova).1);
}

#[test]
fn what_cannot_be_marked_is_not() {
    for body in [
        r#"{"messages":[{"role":"user","content":""}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":""},{"type":"thinking","thinking":"x"}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":"1"}],"system":"","tools":[]}"#,
        r#"{"messages":7,"system":{},"tools":"x"}"#,
    ] {
        check(Form::Messages, body, body);
    }
    check(
        Form::Messages,
        r#"{"tools":[{"name":"a"},{"name":"b","defer_loading":true}],"messages":[]}"#,
        r#"{"tools":[{"name":"a","cache_control":{"type":"ephemeral"}},{"name":"b","defer_loading":true}],"messages":[]}"#,
    );
    let body = r#"{"messages":[{"role":"user","content":[{"text":"1"}]}]}"#;
    for model in ["anthropic.claude-v2:1", "meta.llama3-70b-instruct-v1:0", "arn:aws:x/y"] {
        assert!(!passed(Form::Converse, body, &wish(model)).1, "{model}");
    }
}

#[test]
fn a_client_that_marks_anything_is_left_alone() {
    for body in [
        r#"{"cache_control":{"type":"ephemeral"},"messages":[{"role":"user","content":"1"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"1","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"2"}]}"#,
    ] {
        check(Form::Messages, body, body);
        assert!(
            !crossed(Form::Messages, Form::Converse, body, &wish("anthropic.claude-opus-5-5")).1
        );
    }
    let said = r#"{"messages":[{"role":"user","content":"is \"cache_control\" a member?"}]}"#;
    assert!(passed(Form::Messages, said, &wish("m")).1, "a text is no mark");
    let body = r#"{"messages":[{"role":"user","content":[{"text":"1"},{"cachePoint":{"type":"default"}}]}],"system":[{"text":"s"}]}"#;
    check(Form::Converse, body, body);
    let body = r#"{"prompt_cache_key":"mine","messages":[{"role":"user","content":"1"}]}"#;
    check(Form::Chat, body, body);
    assert!(!crossed(Form::Chat, Form::Responses, body, &wish("m")).1);
}

#[test]
fn short_prefixes_are_not_marked() {
    let text = "x".repeat(2500);
    let body = json!({"system": "short", "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text},
        {"role": "user", "content": "more"}]});
    let known = Wish { tokens_min: None, ..wish("claude-sonnet-5-5") };
    let (out, _) = passed(Form::Messages, &body.to_string(), &known);
    assert_eq!(out.matches("cache_control").count(), 1, "{out}");
    let (out, _) = crossed(Form::Chat, Form::Messages, &body.to_string(), &known);
    assert_eq!(out.matches("cache_control").count(), 1, "{out}");
    let longer = Wish { model: "claude-haiku-4-5-20251001", ..known };
    assert!(!passed(Form::Messages, &body.to_string(), &longer).1);
    assert!(passed(Form::Messages, &body.to_string(), &Wish { tokens_min: Some(10), ..longer }).1);
}

#[test]
fn keys_are_of_the_conversation_and_of_the_caller() {
    let key = |form, body: &str, wish: &Wish<'_>| {
        let (out, is_marked) = passed(form, body, wish);
        let value: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(is_marked, value.get("prompt_cache_key").is_some());
        value["prompt_cache_key"].as_str().map(str::to_owned)
    };
    let first = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"1"}],"model":"m"}"#;
    let second = r#"{"temperature":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"1"},{"role":"assistant","content":"2"},{"role":"user","content":"3"}]}"#;
    let other = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}]}"#;
    let a = wish("m");
    let known = key(Form::Chat, first, &a);
    assert_eq!(known.as_ref().map(String::len), Some(3 + KEY_DIGITS));
    assert_eq!(key(Form::Chat, second, &a), known);
    assert_ne!(key(Form::Chat, other, &a), known);
    assert_ne!(key(Form::Chat, first, &Wish { tenant: "u", ..a }), known);
    let named = Wish { session: "s1", ..a };
    assert_eq!(key(Form::Chat, first, &named), key(Form::Chat, other, &named));
    assert_ne!(key(Form::Chat, first, &named), known);
    assert_ne!(
        key(Form::Chat, first, &Wish { tenant: "ts", session: "1", ..a }),
        key(Form::Chat, first, &named)
    );
    let refuses = Quirks { refuses: &["prompt_cache_key"], ..Quirks::NONE };
    assert_eq!(key(Form::Chat, first, &Wish { quirks: &refuses, ..a }), None);

    let text = r#"{"input":"hello","instructions":"be brief"}"#;
    assert!(key(Form::Responses, text, &a).is_some());
    let goes_on = r#"{"input":"hello","previous_response_id":"resp_1"}"#;
    assert_eq!(key(Form::Responses, goes_on, &a), None);
    assert!(key(Form::Responses, goes_on, &named).is_some());
    for nothing in ["{}", r#"{"messages":[]}"#, r#"{"input":[]}"#, r#"{"messages":null}"#] {
        assert_eq!(key(Form::Chat, nothing, &a), None, "{nothing}");
        assert_eq!(key(Form::Responses, nothing, &a), None, "{nothing}");
    }
    let told = |body| crossed(Form::Chat, Form::Responses, body, &a);
    let of = |out: &str| serde_json::from_str::<Value>(out).unwrap()["prompt_cache_key"].clone();
    assert!(told(first).1);
    assert_eq!(of(&told(first).0), of(&told(second).0));
    assert_ne!(of(&told(first).0), of(&told(other).0));
}

/// The blocks of a prompt as its provider sees them, without marks; and how many lie before the last mark.
fn seen(form: Form, body: &str) -> (Vec<Value>, usize) {
    let value: Value = serde_json::from_str(body).unwrap();
    let (mut blocks, mut marked, mut marks) = (Vec::new(), 0, 0);
    let mut put = |place: String, value: &Value| {
        let list = match value {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            Value::Array(list) => list.clone(),
            _ => Vec::new(),
        };
        for mut block in list {
            let is_point = block.get("cachePoint").is_some();
            let is_mark =
                block.as_object_mut().is_some_and(|b| b.remove("cache_control").is_some());
            if !is_point {
                blocks.push(json!([place, block]));
            }
            if is_point || is_mark {
                marks += 1;
                marked = blocks.len();
            }
        }
    };
    let tools =
        if form == Form::Converse { &value["toolConfig"]["tools"] } else { &value["tools"] };
    put("tools".into(), tools);
    put("system".into(), &value["system"]);
    for (index, message) in value["messages"].as_array().unwrap().iter().enumerate() {
        put(format!("{index} {}", message["role"]), &message["content"]);
    }
    assert!(marks <= MARKS_MAX, "{body}");
    (blocks, marked)
}

#[derive(Clone, Debug)]
struct Talk {
    tools: usize,
    system: Option<String>,
    /// Texts of a turn: the user's, then the model's.
    turns: Vec<(Vec<String>, String)>,
}

impl Talk {
    /// The request of a turn, in a dialect.
    fn request(&self, form: Form, turn: usize) -> String {
        let converse = form == Form::Converse;
        let block = |text: &String| match converse {
            true => json!({"text": text}),
            false => json!({"type": "text", "text": text}),
        };
        let content = |texts: &[String]| match texts {
            [one] if !converse => json!(one),
            many => many.iter().map(block).collect(),
        };
        let mut messages = Vec::new();
        for (index, (user, model)) in self.turns.iter().enumerate().take(turn + 1) {
            messages.push(json!({"role": "user", "content": content(user)}));
            if index < turn {
                messages.push(
                    json!({"role": "assistant", "content": content(std::slice::from_ref(model))}),
                );
            }
        }
        let mut body = json!({"messages": messages});
        let schema = json!({"type": "object"});
        let name = |index| format!("tool{index}");
        match (self.tools, form) {
            (0, _) => {}
            (count, Form::Converse) => {
                let tool =
                    |n| json!({"toolSpec": {"name": name(n), "inputSchema": {"json": schema}}});
                body["toolConfig"] = json!({"tools": (0..count).map(tool).collect::<Vec<_>>()});
            }
            (count, Form::Chat) => {
                let tool = |n| json!({"type": "function", "function": {"name": name(n), "parameters": schema}});
                body["tools"] = (0..count).map(tool).collect();
            }
            (count, _) => {
                let tool = |n| json!({"name": name(n), "input_schema": schema});
                body["tools"] = (0..count).map(tool).collect();
            }
        }
        if let Some(system) = &self.system {
            match form {
                Form::Chat => {
                    if let Some(list) = body["messages"].as_array_mut() {
                        list.insert(0, json!({"role": "system", "content": system}));
                    }
                }
                Form::Converse => body["system"] = json!([{"text": system}]),
                _ => body["system"] = json!(system),
            }
        }
        body.to_string()
    }
}

fn talk() -> impl Strategy<Value = Talk> {
    let text = || "[a-z\"\\\\\n]{1,30}x";
    let turn = (prop::collection::vec(text(), 1..4), text());
    (0..4_usize, prop::option::of(text()), prop::collection::vec(turn, 2..7))
        .prop_map(|(tools, system, turns)| Talk { tools, system, turns })
}

proptest! {
    #[test]
    fn what_was_cached_by_a_turn_begins_the_next_one(talk in talk(), tokens_min in 0..60_u64) {
        let wish = Wish { tokens_min: Some(tokens_min), ..wish("anthropic.claude-opus-5-5") };
        let ways: [(Form, Option<Form>); 5] = [
            (Form::Messages, None),
            (Form::Converse, None),
            (Form::Chat, Some(Form::Messages)),
            (Form::Chat, Some(Form::Converse)),
            (Form::Messages, Some(Form::Converse)),
        ];
        for (client, target) in ways {
            let mut before: Option<(Vec<Value>, usize)> = None;
            for turn in 0..talk.turns.len() {
                let body = talk.request(client, turn);
                let (out, is_marked) = match target {
                    None => passed(client, &body, &wish),
                    Some(target) => crossed(client, target, &body, &wish),
                };
                let (blocks, marked) = seen(target.unwrap_or(client), &out);
                prop_assert_eq!(is_marked, marked > 0, "{}", out);
                prop_assert!(tokens_min > 0 || marked == blocks.len(), "the last turn is marked: {}", out);
                if target.is_none() {
                    prop_assert_eq!(&blocks, &seen(client, &body).0, "nothing but marks is put in");
                }
                if let Some((old, end)) = &before {
                    prop_assert!(marked >= *end);
                    prop_assert_eq!(&old[..*end], &blocks[..*end], "{}", out);
                }
                before = Some((blocks, marked));
            }
        }
    }
}
