//! Providers' prompt caches: conversations whose client marks nothing are marked on their way, and read from the cache.

use faregate_tests::{Answer, Client, Gateway, Launch, Provider, key};
use serde_json::{Value, json};

use crate::dialects::{TARGETS, policy, simulator};

const TURNS: usize = 5;

/// How a client spells a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tongue {
    Chat,
    Messages,
    Converse,
    Responses,
}

/// The ways of a conversation to a provider that must be told what to cache.
const MARKED: [(Tongue, &str); 6] = [
    (Tongue::Messages, "anthropic"),
    (Tongue::Chat, "anthropic"),
    (Tongue::Responses, "anthropic"),
    (Tongue::Converse, "bedrock"),
    (Tongue::Chat, "bedrock"),
    (Tongue::Messages, "bedrock"),
];

fn long(text: &str) -> String {
    text.repeat(6000 / text.len())
}

impl Tongue {
    /// The request of a turn, the first one being 0.
    fn body(self, turn: usize) -> Value {
        let text = |text: String| match self {
            Self::Converse => json!([{"text": text}]),
            _ => json!(text),
        };
        let mut talk = Vec::new();
        for at in 0..=turn {
            talk.push(json!({"role": "user", "content": text(long(&format!("question {at} ")))}));
            if at < turn {
                talk.push(json!({"role": "assistant", "content": text(format!("answer {at}"))}));
            }
        }
        let system = long("Be brief. ");
        match self {
            Self::Chat => {
                talk.insert(0, json!({"role": "system", "content": system}));
                json!({"messages": talk})
            }
            Self::Messages => json!({"system": system, "max_tokens": 50, "messages": talk}),
            Self::Converse => json!({"system": [{"text": system}], "messages": talk}),
            Self::Responses => json!({"instructions": system, "input": talk}),
        }
    }

    fn send(self, client: &mut Client, model: &str, turn: usize) -> Answer {
        let mut body = self.body(turn);
        let path = match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Messages => "/v1/messages".to_owned(),
            Self::Responses => "/v1/responses".to_owned(),
            Self::Converse => format!("/model/{model}/converse"),
        };
        if self != Self::Converse {
            body["model"] = json!(model);
        }
        let answer = client.post(&path, &body);
        assert_eq!(answer.status, 200, "{self:?} {model}: {answer:?}");
        answer
    }

    /// Tokens of the input, and those of them that came from a cache, as the client is told.
    fn usage(self, answer: &Answer) -> (u64, u64) {
        let usage = &answer.json()["usage"];
        let number = |at: &Value| at.as_u64().unwrap_or(0);
        match self {
            Self::Chat => (
                number(&usage["prompt_tokens"]),
                number(&usage["prompt_tokens_details"]["cached_tokens"]),
            ),
            Self::Responses => (
                number(&usage["input_tokens"]),
                number(&usage["input_tokens_details"]["cached_tokens"]),
            ),
            Self::Messages => {
                let read = number(&usage["cache_read_input_tokens"]);
                let written = number(&usage["cache_creation_input_tokens"]);
                (number(&usage["input_tokens"]) + read + written, read)
            }
            Self::Converse => {
                let read = number(&usage["cacheReadInputTokens"]);
                let written = number(&usage["cacheWriteInputTokens"]);
                (number(&usage["inputTokens"]) + read + written, read)
            }
        }
    }
}

/// The policy of the dialects' tests; models `marked-NAME` are marked.
fn marked_policy(provider: &Provider, cache: &str) -> String {
    let mut text = policy(provider);
    for (name, model) in TARGETS {
        text.push_str(&format!(
            "[models.marked-{name}]\ntargets = [\"{name}/{model}\"]\n{cache}\n"
        ));
    }
    text
}

fn gateway(provider: &Provider, cache: &str) -> Gateway {
    Launch::new(marked_policy(provider, cache)).variable("PROVIDER_KEY", "provider-key").start()
}

fn logged(gateway: &Gateway, answer: &Answer) -> Value {
    gateway.access_line(answer.header("x-faregate-request-id").unwrap())
}

#[test]
fn a_conversation_that_is_marked_is_read_from_the_cache() {
    for (tongue, name) in MARKED {
        let provider = simulator();
        let gateway = gateway(&provider, "cache = { prompt = \"auto\" }");
        let mut client = gateway.client("");
        let mut before = 0;
        for turn in 0..TURNS {
            let answer = tongue.send(&mut client, &format!("marked-{name}"), turn);
            assert_eq!(answer.header("x-faregate-cache"), Some("injected"), "{tongue:?} {name}");
            let (input, cached) = tongue.usage(&answer);
            // All that the turn before has said was cached by it.
            assert!(cached.abs_diff(before) <= 2, "{tongue:?} {name} {turn}: {cached} of {before}");
            assert!(input >= before + 1500, "{tongue:?} {name} {turn}: {input}");
            before = input;
            let line = logged(&gateway, &answer);
            assert_eq!(line["cache"], "injected", "{line}");
            assert_eq!(line["cache_read_tokens"], cached, "{line}");
        }
    }
}

#[test]
fn without_marks_nothing_is_cached() {
    for (tongue, name) in MARKED {
        let provider = simulator();
        let gateway = gateway(&provider, "cache = { prompt = \"off\" }");
        let mut client = gateway.client("");
        for turn in 0..TURNS {
            let model = format!("{}-{name}", if turn % 2 == 0 { "at" } else { "marked" });
            let answer = tongue.send(&mut client, &model, turn);
            assert_eq!(answer.header("x-faregate-cache"), None, "{tongue:?} {name}");
            assert_eq!(tongue.usage(&answer).1, 0, "{tongue:?} {name} {turn}");
            assert!(logged(&gateway, &answer).get("cache").is_none());
        }
    }
}

#[test]
fn what_passes_is_the_clients_but_for_the_marks() {
    let provider = simulator();
    let gateway = gateway(&provider, "cache = { prompt = \"auto\", ttl = \"1h\" }");
    let mut client = gateway.client("");
    Tongue::Messages.send(&mut client, "marked-anthropic", 2);
    let sent = provider.take_captured().pop().unwrap();
    let sent = String::from_utf8(sent.body).unwrap();
    let mark = r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#;
    assert_eq!(sent.matches(mark).count(), 3, "instructions and two turns");
    let opened = r#"[{"type":"text","text":"#;
    let bare = sent.replace(&format!("{mark}}}]"), "").replace(opened, "");
    let mut expected = Tongue::Messages.body(2);
    expected["model"] = json!("claude-sonnet-4-5");
    assert_eq!(bare, expected.to_string());

    let mut body = Tongue::Messages.body(2);
    body["model"] = json!("marked-anthropic");
    body["cache_control"] = json!({"type": "ephemeral"});
    let answer = client.post("/v1/messages", &body);
    assert_eq!((answer.status, answer.header("x-faregate-cache")), (200, None), "{answer:?}");
    let sent = String::from_utf8(provider.take_captured().pop().unwrap().body).unwrap();
    assert_eq!(sent.matches("cache_control").count(), 1, "the client's own alone");
}

#[test]
fn keys_for_openais_cache_are_kept_apart_by_caller() {
    let provider = simulator();
    let keys = [key::row("alice", ""), key::row("bob", "")].concat();
    let text = marked_policy(&provider, "cache = { prompt = \"auto\" }") + &keys;
    let gateway = Launch::new(text).variable("PROVIDER_KEY", "provider-key").start();
    let sent = |tongue: Tongue, model: &str, who: &str, turn| {
        let answer = tongue.send(&mut gateway.client(&key::named(who)), model, turn);
        let body = provider.take_captured().pop().unwrap().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let key = body["prompt_cache_key"].as_str().map(str::to_owned);
        assert_eq!(answer.header("x-faregate-cache").is_some(), key.is_some());
        key
    };
    for (tongue, model) in [
        (Tongue::Chat, "marked-chat"),
        (Tongue::Responses, "marked-responses"),
        (Tongue::Messages, "marked-chat"),
    ] {
        let first = sent(tongue, model, "alice", 0);
        assert!(first.is_some(), "{tongue:?} {model}");
        assert_eq!(sent(tongue, model, "alice", 1), first, "{tongue:?} {model}");
        assert_ne!(sent(tongue, model, "bob", 0), first, "{tongue:?} {model}");
    }
    assert_eq!(sent(Tongue::Chat, "at-chat", "alice", 0), None);
}
