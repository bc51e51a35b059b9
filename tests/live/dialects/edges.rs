//! What goes wrong, what is lost, who may call, and what passes as it is.

use faregate_tests::{Client, Launch, key};
use serde_json::{Value, json};

use super::{
    Cell, TARGETS, each, launch, policy, simulator,
    speak::{Ask, Tongue},
};

/// Status, and the error as the dialect spells it.
fn check_error(tongue: Tongue, error: &Value, header: Option<&str>) {
    let spelled = match tongue {
        Tongue::Chat | Tongue::Responses => error["error"]["message"].is_string(),
        Tongue::Messages => error["type"] == "error" && error["error"]["type"].is_string(),
        Tongue::Gemini | Tongue::GeminiArray => {
            error["error"]["status"].is_string() && error["error"]["code"].is_u64()
        }
        Tongue::Converse => {
            error["message"].is_string() && (header.is_some() || error["__type"].is_string())
        }
    };
    assert!(spelled, "{error}");
}

#[test]
fn errors_are_told_in_the_clients_dialect() {
    each(errors);
}

pub(super) fn errors(cell: &mut Cell<'_>, stream: bool) {
    for status in [400_u16, 429, 500] {
        let model = format!("{}-status={status}", cell.target);
        let ask = Ask { stream, ..cell.said("hi") };
        let answer = cell.tongue.send(&mut cell.client, &model, &ask);
        assert_eq!(answer.status, status, "{answer:?}");
        let mut error = answer.json();
        if error.is_array() {
            error = error[0].take();
        }
        check_error(cell.tongue, &error, answer.header("x-amzn-errortype"));
    }
}

#[test]
fn streams_that_break_end_with_an_error() {
    each(breaks);
}

pub(super) fn breaks(cell: &mut Cell<'_>, stream: bool) {
    if !stream {
        return;
    }
    for fault in ["error_at=6", "tokens=400-close_at=3000", "tokens=400-reset_at=3000"] {
        // An array that passes as it is can only be broken off.
        if cell.tongue == Tongue::GeminiArray
            && matches!(cell.target, "gemini" | "vertex")
            && fault != "error_at=6"
        {
            continue;
        }
        let model = format!("{}-{fault}", cell.target);
        let ask = Ask { stream, ..cell.said("hi") };
        let answer = cell.tongue.send(&mut cell.client, &model, &ask);
        assert_eq!(answer.status, 200, "{answer:?}");
        let heard = cell.tongue.hear(&answer, true);
        let shown = String::from_utf8_lossy(&answer.body);
        assert!(heard.error.is_some(), "{fault}: {shown}");
    }
}

#[test]
fn a_whole_answer_that_breaks_is_an_error_from_its_head_on_where_it_is_translated() {
    each(|cell, stream| {
        if stream || cell.is_own() {
            return;
        }
        for fault in ["tokens=400-close_at=900", "tokens=400-reset_at=900"] {
            let model = format!("{}-{fault}", cell.target);
            let ask = cell.said("hi");
            let answer = cell.tongue.send(&mut cell.client, &model, &ask);
            assert_eq!(answer.status, 502, "{fault}: {answer:?}");
            check_error(cell.tongue, &answer.json(), answer.header("x-amzn-errortype"));
        }
    });
}

#[test]
fn tokens_are_counted_in_every_dialect() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let mut client = gateway.client("");
    for (target, _) in TARGETS {
        let body = json!({"model": format!("at-{target}"),
            "messages": [{"role": "user", "content": "hi there"}]});
        let answer = client.post("/v1/messages/count_tokens", &body);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(answer.json()["input_tokens"].as_u64() > Some(0), "{target}: {answer:?}");
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi there"}]}]});
        let answer = client.post(&format!("/v1beta/models/at-{target}:countTokens"), &body);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(answer.json()["totalTokens"].as_u64() > Some(0), "{target}: {answer:?}");
    }
}

#[test]
fn vectors_are_had_across_dialects() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let mut client = gateway.client("");
    let body = json!({"model": "at-gemini", "input": ["one", "two"]});
    let answer = client.post("/v1/embeddings", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["data"].as_array().unwrap().len(), 2, "{answer}");
    assert!(answer["data"][1]["embedding"].as_array().unwrap().len() > 1, "{answer}");
    assert_eq!(answer["data"][1]["index"], 1, "{answer}");
    let packed = json!({"model": "at-gemini", "input": "one", "encoding_format": "base64"});
    let answer = client.post("/v1/embeddings", &packed).json();
    assert!(answer["data"][0]["embedding"].is_string(), "{answer}");
    let content = json!({"parts": [{"text": "one"}]});
    let answer = client.post("/v1beta/models/at-chat:embedContent", &json!({"content": content}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json()["embedding"]["values"].is_array(), "{answer:?}");
    let batch = json!({"requests": [{"model": "models/at-chat", "content": content}]});
    let answer = client.post("/v1beta/models/at-chat:batchEmbedContents", &batch);
    assert!(answer.json()["embeddings"][0]["values"].is_array(), "{answer:?}");
    let refused = client.post("/v1/embeddings", &json!({"model": "at-anthropic", "input": "a"}));
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (400, Some("untranslatable"))
    );
}

#[test]
fn models_are_listed_in_the_dialect_that_asks() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let openai = gateway.client("").get("/v1/models").json();
    assert_eq!(openai["object"], "list");
    let anthropic =
        gateway.client("").with("anthropic-version", "2023-06-01").get("/v1/models").json();
    assert!(anthropic["first_id"].is_string(), "{anthropic}");
    let google = gateway.client("").get("/v1beta/models").json();
    let named = |list: &Value, member: &str, name: &str| {
        list.as_array().unwrap().iter().any(|model| model[member] == name)
    };
    for (target, _) in TARGETS {
        assert!(named(&openai["data"], "id", &format!("at-{target}")), "{openai}");
        assert!(named(&anthropic["data"], "id", &format!("at-{target}")), "{anthropic}");
        assert!(named(&google["models"], "name", &format!("models/at-{target}")), "{google}");
    }
}

/// A gateway with keys.
fn keyed(policy: &str) -> Launch {
    Launch::new(format!("{policy}{}", key::row("one", ""))).variable("PROVIDER_KEY", "provider-key")
}

#[test]
fn keys_are_taken_as_each_dialect_shows_them() {
    let provider = simulator();
    let gateway = keyed(&policy(&provider)).start();
    let key = key::named("one");
    let bearer = format!("Bearer {key}");
    for tongue in Tongue::ALL {
        for (field, value) in [
            ("authorization", &bearer),
            ("x-api-key", &key),
            ("api-key", &key),
            ("x-goog-api-key", &key),
        ] {
            let mut client = gateway.client("").with(field, value);
            let ask = Ask { turns: vec![tongue.user("hi", false)], ..Ask::default() };
            for (target, _) in TARGETS {
                let answer = tongue.send(&mut client, &format!("at-{target}"), &ask);
                assert_eq!(answer.status, 200, "{tongue:?} by {field} at {target}: {answer:?}");
            }
        }
        let ask = Ask { turns: vec![tongue.user("hi", false)], ..Ask::default() };
        for wrong in ["", "sk-wrong"] {
            let answer = tongue.send(&mut Client::new(gateway.address, wrong), "at-chat", &ask);
            assert_eq!(answer.status, 401, "{tongue:?}: {answer:?}");
            check_error(tongue, &answer.json(), answer.header("x-amzn-errortype"));
        }
    }
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (target, _) in TARGETS {
        let path = format!("/v1beta/models/at-{target}:streamGenerateContent?key={key}&alt=sse");
        let answer = gateway.client("").post(&path, &body);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
    let canary = key::CANARY;
    assert!(!gateway.everything_written().contains(canary), "a key is in a log");
    for captured in provider.take_captured() {
        assert!(!format!("{captured:?}").contains(canary), "a key has passed on: {captured:?}");
    }
}

#[test]
fn rate_limits_are_told_in_the_clients_dialect() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let ask = json!({"max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
    let asked = |path: &str, target: &str| {
        let mut body = ask.clone();
        body["model"] = json!(format!("at-{target}"));
        let answer = gateway.client("").with("anthropic-version", "2023-06-01").post(path, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    let anthropic = "anthropic-ratelimit-requests-";
    let translated = asked("/v1/messages", "chat");
    assert_eq!(translated.header(&format!("{anthropic}limit")), Some("10000"));
    assert_eq!(translated.header(&format!("{anthropic}remaining")), Some("9999"));
    let reset = translated.header(&format!("{anthropic}reset")).unwrap();
    assert!(reset.starts_with("20") && reset.ends_with('Z'), "a date: {reset}");
    assert_eq!(translated.header("x-ratelimit-limit-requests"), None);
    let translated = asked("/v1/chat/completions", "anthropic");
    assert_eq!(translated.header("x-ratelimit-limit-requests"), Some("4000"));
    assert_eq!(translated.header("x-ratelimit-reset-requests"), Some("0ms"), "a date in the past");
    assert_eq!(translated.header(&format!("{anthropic}limit")), None);
    let passed = asked("/v1/messages", "anthropic");
    assert_eq!(passed.header(&format!("{anthropic}reset")), Some("2026-11-24T00:00:00Z"));
    let passed = asked("/v1/chat/completions", "chat");
    assert_eq!(passed.header("x-ratelimit-reset-requests"), Some("6ms"));
}

#[test]
fn a_delay_in_the_body_of_an_error_becomes_a_head_field_and_is_kept() {
    for tongue in [Tongue::Gemini, Tongue::Messages, Tongue::Chat] {
        let provider = simulator();
        let gateway = launch(&provider).start();
        let mut client = gateway.client("");
        let ask = Ask { turns: vec![tongue.user("hi", false)], ..Ask::default() };
        let model = "gemini-status=429-retry_after=7";
        let answer = tongue.send(&mut client, model, &ask);
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")), "{answer:?}");
        assert_eq!(answer.header("retry-after-ms"), Some("7000"));
        let again = tongue.send(&mut client, model, &ask);
        assert_eq!(again.status, 503, "{again:?}");
        assert_eq!(provider.counters().requests(), 1, "it asked to be left alone");
    }
}

#[test]
fn what_is_lost_is_named_or_refused() {
    let provider = simulator();
    let chat = json!({"model": "at-anthropic", "seed": 7, "logit_bias": {"5": 1},
        "messages": [{"role": "user", "content": "hi"}]});
    let gateway = launch(&provider).start();
    let answer = gateway.client("").post("/v1/chat/completions", &chat);
    assert_eq!(answer.status, 200, "{answer:?}");
    let lost = answer.header("x-faregate-lost").unwrap();
    assert!(lost.contains("seed") && lost.contains("logit_bias"), "{lost}");
    let strict = launch(&provider).server("strict_translation = true").start();
    let answer = strict.client("").post("/v1/chat/completions", &chat);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("seed"), "{answer:?}");
    let mut plain = chat;
    plain.as_object_mut().unwrap().retain(|name, _| name == "model" || name == "messages");
    assert_eq!(strict.client("").post("/v1/chat/completions", &plain).status, 200);
}

#[test]
fn a_thread_that_another_provider_keeps_is_refused() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let mut client = gateway.client("");
    for target in ["chat", "responses", "gemini", "bedrock"] {
        let mut body = json!({"model": format!("at-{target}"), "max_tokens": 20, "thread": {"id": "thread_1"},
            "messages": [{"role": "user", "content": "go on"}]});
        let answer = client.post("/v1/messages", &body);
        assert_eq!(answer.status, 400, "{target}: {answer:?}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error", "{target}: {answer:?}");
        assert!(answer.text().contains("thread refers to"), "{target}: {answer:?}");
        body["thread"] = json!(null);
        assert_eq!(client.post("/v1/messages", &body).status, 200, "{target}: null is absent");
    }
}

#[test]
fn a_body_of_the_providers_dialect_passes_byte_for_byte() {
    let provider = simulator();
    let gateway = launch(&provider).start();
    let messages = "{ \"max_tokens\" : 20,\n \"model\":\"MODEL\", \"metadata\":{\"user_id\":\"\\u00e9\\/x\"},\t\
        \"messages\":[{\"content\":[{\"text\":\"hi \u{2028}\",\"type\":\"text\"}],\"role\":\"user\"}] }";
    let responses = "{ \"input\" : \"h\\u0069\",\n\"model\" :\"MODEL\" , \"max_output_tokens\":20.0e0 ,\"store\":false}";
    let responses = responses.replace("20.0e0", "20");
    let gemini = "{ \"contents\" : [ {\"parts\":[{\"text\":\"h\\u0069\"}], \"role\":\"user\"} ] ,\n \"generationConfig\":{\"temperature\":1.0}}";
    let check = |path: &str, body: &str, target: &str, sent: &str| {
        let answer = gateway.client("").with("anthropic-version", "2023-06-01").send(
            "POST",
            path,
            Some(body.as_bytes()),
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        let captured = provider.take_captured().pop().unwrap();
        assert_eq!(captured.target, target);
        assert_eq!(String::from_utf8_lossy(&captured.body), sent);
    };
    let named = |body: &str, name: &str| body.replace("MODEL", name);
    check(
        "/v1/messages",
        &named(messages, "at-anthropic"),
        "/v1/messages",
        &named(messages, "claude-sonnet-4-5"),
    );
    check(
        "/v1/responses",
        &named(&responses, "at-responses"),
        "/v1/responses",
        &named(&responses, "gpt-5.5"),
    );
    let path = "/v1beta/models/gemini-3-pro:generateContent";
    check("/v1beta/models/at-gemini:generateContent", gemini, path, gemini);
    let path = "/v1beta/models/gemini-3-pro:streamGenerateContent";
    check(
        "/v1/models/at-gemini:streamGenerateContent?alt=sse",
        gemini,
        &format!("{path}?alt=sse"),
        gemini,
    );
    check("/v1beta/models/at-gemini:streamGenerateContent", gemini, path, gemini);
}
