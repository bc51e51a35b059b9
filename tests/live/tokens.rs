//! Tokens that the gateway counts by itself: how many, and how it says that it knows.

use faregate_tests::{Act, Answer, Client, Launch, Provider, Upstream, key, upstream, wait};
use serde_json::{Value, json};

use crate::dialects::{
    each, simulator,
    speak::{Ask, Tongue},
};

const SAID: &str = "tiktoken is great!";

/// One simulated provider as OpenAI, and as somebody who has models of the same names.
fn policy(provider: &Provider) -> String {
    let root = format!("http://{}/v1", provider.address());
    format!(
        "[providers.openai]\nbase_url = \"{root}\"\nspeaks = [\"chat\"]\n\
         [providers.other]\nbase_url = \"{root}\"\n\
         [retries]\nattempts = 1\n"
    )
}

fn messages(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": SAID}]})
}

fn gemini() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": SAID}]}]})
}

fn responses(model: &str) -> Value {
    json!({"model": model, "input": SAID})
}

/// Asks for a count in each dialect; what was told, and how it was come by.
fn counts(client: &mut Client, model: &str) -> Vec<(u64, String)> {
    let gemini_path = format!("/v1beta/models/{model}:countTokens");
    let told = |answer: &Answer, member: &str| {
        assert_eq!(answer.status, 200, "{answer:?}");
        let how = answer.header("x-faregate-count").unwrap_or_default().to_owned();
        (answer.json()[member].as_u64().unwrap(), how)
    };
    let answer = client.post("/v1/responses/input_tokens", &responses(model));
    assert_eq!(answer.json()["object"], "response.input_tokens", "{answer:?}");
    vec![
        told(&answer, "input_tokens"),
        told(&client.post("/v1/messages/count_tokens", &messages(model)), "input_tokens"),
        told(&client.post(&gemini_path, &gemini()), "totalTokens"),
    ]
}

#[test]
fn a_count_says_whether_it_is_exact() {
    let provider = simulator();
    let gateway = Launch::new(policy(&provider)).start();
    let mut client = gateway.client("");
    for (tokens, how) in counts(&mut client, "openai/gpt-4o") {
        assert_eq!((tokens, &*how), (3 + 1 + 6 + 3, "exact"));
    }
    for (tokens, how) in counts(&mut client, "openai/gpt-5") {
        assert!(how == "upper-bound" && (13..40).contains(&tokens), "{tokens} {how}");
    }
    // Whoever calls a model like OpenAI's need not have OpenAI's.
    let bytes = [
        responses("other/gpt-4o").to_string().len(),
        messages("other/gpt-4o").to_string().len(),
        gemini().to_string().len(),
    ];
    for ((tokens, how), bytes) in counts(&mut client, "other/gpt-4o").iter().zip(bytes) {
        assert_eq!((*tokens, &**how), (bytes as u64, "upper-bound"));
    }
    assert_eq!(provider.counters().requests(), 0, "nobody was asked");
}

#[test]
fn what_no_size_bounds_is_an_estimate() {
    let provider = simulator();
    let gateway = Launch::new(policy(&provider)).start();
    for model in ["openai/gpt-4o", "other/m"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "url", "url": "https://example.com/i.png"}}]}]});
        let answer = gateway.client("").post("/v1/messages/count_tokens", &body);
        assert_eq!(answer.header("x-faregate-count"), Some("estimate"), "{answer:?}");
        assert!(answer.json()["input_tokens"].as_u64() > Some(500), "{answer:?}");
    }
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let provider = simulator();
    let gateway = Launch::new(policy(&provider)).start();
    let mut client = gateway.client("");
    let body = json!({"model": "openai/gpt-4o", "input": "hi", "previous_response_id": "resp_1"});
    let answer = client.post("/v1/responses/input_tokens", &body);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains("previous_response_id"), "{answer:?}");
    let body = json!({"model": "openai/gpt-4o", "messages": 7});
    assert_eq!(client.post("/v1/messages/count_tokens", &body).status, 400);
}

#[test]
fn a_long_prompt_is_counted_and_a_longer_one_bounded() {
    let provider = simulator();
    let gateway = Launch::new(policy(&provider)).start();
    let mut client = gateway.client("");
    let mut count = |words: usize| {
        let content = "word ".repeat(words);
        let body =
            json!({"model": "openai/gpt-4o", "messages": [{"role": "user", "content": content}]});
        let answer = client.post("/v1/messages/count_tokens", &body);
        let how = answer.header("x-faregate-count").unwrap().to_owned();
        (answer.json()["input_tokens"].as_u64().unwrap(), how)
    };
    assert_eq!(count(100_000), (100_000 + 1 + 7, "exact".to_owned()));
    let (tokens, how) = count(300_000);
    assert!(how == "upper-bound" && tokens > 1_500_000, "{tokens} {how}");
}

/// A key that may use 4,000 tokens a day, and models of one vocabulary and of several.
fn limited(provider: &Provider) -> Launch {
    let models = "[models.known]\ntargets = [\"openai/gpt-4o\", \"openai/gpt-5\"]\n\
        [models.mixed]\ntargets = [\"openai/gpt-4o\", \"openai/gpt-4\"]\n\
        [models.unknown]\ntargets = [\"openai/gpt-4o\", \"other/gpt-4o\"]\n";
    let key = key::row("one", "limits = [\"4000 tokens/day\"]");
    Launch::new(format!("{}{models}{key}", policy(provider)))
}

fn long(model: &str) -> Value {
    // 8,000 bytes and 2,000 tokens.
    json!({"model": model, "max_tokens": 10,
        "messages": [{"role": "user", "content": "word word word wo".repeat(470)}]})
}

#[test]
fn what_bytes_say_does_not_fit_is_counted_before_it_is_refused() {
    let provider = simulator();
    let gateway = limited(&provider).start();
    let mut client = gateway.client(&key::named("one"));
    for model in ["mixed", "unknown"] {
        let answer = client.post("/v1/chat/completions", &long(model));
        assert_eq!(answer.code(), "request_exceeds_limit", "{model}: {answer:?}");
        assert!(answer.json()["error"]["asked"].as_u64() > Some(7990), "{answer:?}");
    }
    let answer = client.post("/v1/chat/completions", &long("known"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let used = answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    let mut again = long("known");
    again["max_tokens"] = 3500.into();
    let refused = client.post("/v1/chat/completions", &again);
    assert_eq!(refused.code(), "request_exceeds_limit", "{refused:?}");
    let asked = refused.json()["error"]["asked"].as_u64().unwrap();
    assert!((3500 + 1500..3500 + 2500).contains(&asked), "{asked} where {used} were used");
}

#[test]
fn a_picture_is_not_counted_as_text() {
    let provider = simulator();
    let gateway = limited(&provider).start();
    let mut body = long("known");
    body["messages"][0]["content"] = json!([
        {"type": "text", "text": "word ".repeat(1500)},
        {"type": "image_url", "image_url": {"url": "https://example.com/i.png"}}]);
    let refused = gateway.client(&key::named("one")).post("/v1/chat/completions", &body);
    assert_eq!(refused.code(), "request_exceeds_limit", "{refused:?}");
    assert!(refused.json()["error"]["asked"].as_u64() > Some(7500), "{refused:?}");
}

/// The data of a stream's events, by their type.
fn streamed(client: &mut Client, model: &str) -> (Answer, Value, Value) {
    let mut body = messages(model);
    body["messages"][0]["content"] = "word ".repeat(40).into();
    body["max_tokens"] = 100.into();
    body["stream"] = true.into();
    let answer = client.post("/v1/messages", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = answer.text();
    let event = |kind: &str| -> Value {
        let mut data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let found = data.find(|data| data.contains(&format!("\"type\":\"{kind}\"")));
        serde_json::from_str(found.unwrap_or_else(|| panic!("no {kind} in {text}"))).unwrap()
    };
    let (start, delta) = (event("message_start"), event("message_delta"));
    (answer, start["message"]["usage"].clone(), delta["usage"].clone())
}

#[test]
fn a_stream_begins_with_its_input_tokens_where_the_provider_tells_them_last() {
    let provider = simulator();
    let gateway = Launch::new(policy(&provider)).start();
    let mut client = gateway.client("");
    let (answer, start, end) = streamed(&mut client, "other/gpt-4o");
    assert_eq!(answer.header("x-faregate-count"), Some("estimate"));
    // Two hundred bytes of text, four of a role, and what frames them.
    assert_eq!(start["input_tokens"], 50 + 1 + 3 + 3);
    let told = end["input_tokens"].as_u64().unwrap();
    assert!(told > 0 && told != 3 + 1 + 41 + 3, "the provider's count is another: {end}");
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!((&line["usage"], &line["input_tokens"]), (&json!("provider"), &json!(told)));
    assert!(end["output_tokens"].as_u64() > Some(0), "{end}");
    // The vocabulary is loaded beside the first requests, which need not wait for it.
    let counted = wait::until("an exact count", || {
        let (answer, start, end) = streamed(&mut client, "openai/gpt-4o");
        assert_eq!(end["input_tokens"], told);
        (answer.header("x-faregate-count") == Some("exact")).then_some(start)
    });
    assert_eq!(counted["input_tokens"], 3 + 1 + 41 + 3);
}

#[test]
fn what_the_provider_tells_first_is_not_counted() {
    let provider = simulator();
    let gateway = Launch::new(crate::dialects::policy(&provider))
        .variable("PROVIDER_KEY", "provider-key")
        .start();
    let (answer, start, end) = streamed(&mut gateway.client(""), "at-anthropic");
    assert_eq!(answer.header("x-faregate-count"), None);
    assert_eq!(start["input_tokens"], end["input_tokens"]);
}

#[test]
fn what_no_provider_tells_is_estimated_and_marked() {
    each(|cell, stream| {
        let model = format!("{}-usage=none-tokens=40", cell.target);
        let ask = Ask { stream, ..cell.said(&"hi ".repeat(40)) };
        let answer = cell.tongue.send(&mut cell.client, &model, &ask);
        assert_eq!(answer.status, 200, "{answer:?}");
        let heard = cell.tongue.hear(&answer, stream);
        let line = cell.gateway.access_line(answer.header("x-faregate-request-id").unwrap());
        if cell.tongue == Tongue::GeminiArray && cell.is_own() && stream {
            return assert_eq!(line["usage"], "absent", "{line}");
        }
        assert_eq!(line["usage"], "estimated", "{line}");
        let [input, output] = ["input_tokens", "output_tokens"].map(|n| line[n].as_u64().unwrap());
        assert!((30..300).contains(&input), "{line}");
        assert!((40..400).contains(&output), "{line}");
        let told = (heard.input, heard.output);
        if cell.is_own() {
            assert_eq!(told, (0, 0), "what passes stays as it is: {heard:?}");
        } else if cell.tongue == Tongue::Chat && !stream {
            assert_eq!(told, (0, 0), "nothing asks for it: {heard:?}");
        } else {
            assert_eq!(told, (input, output), "{heard:?}");
        }
    });
}

#[test]
fn audio_is_a_class_of_its_own_in_log_and_metrics() {
    let answer = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50,
        "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":25},
        "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":16}}}"#;
    let upstream = Upstream::start(move |_| vec![Act::Send(upstream::json(answer))]);
    let policy = format!("[providers.p]\nbase_url = \"{}/v1\"\n", upstream.base_url());
    let gateway = Launch::new(policy).start();
    let body = json!({"model": "p/m", "messages": [{"role": "user", "content": "hi"}]});
    let answer = gateway.client("").post("/v1/chat/completions", &body);
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    let classes = ["input_tokens", "audio_input_tokens", "output_tokens", "audio_output_tokens"];
    assert_eq!(classes.map(|name| line[name].as_u64()), [Some(5), Some(25), Some(4), Some(16)]);
    let metrics = wait::until("the request is counted", || {
        let metrics = gateway.metrics();
        (metrics.sum("faregate_tokens_total", &[]) == 50.0).then_some(metrics)
    });
    let of = |class: &str| {
        metrics.sum("faregate_tokens_total", &[&format!("gen_ai_token_type=\"{class}\"")])
    };
    assert_eq!(["input", "audio_input", "output", "audio_output"].map(of), [5.0, 25.0, 4.0, 16.0]);
}

#[test]
fn estimates_are_no_tokens_in_the_metrics() {
    let provider = simulator();
    let gateway = crate::dialects::launch(&provider).start();
    let body = json!({"model": "chat-usage=none", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(gateway.client("").post("/v1/chat/completions", &body).status, 200);
    let metrics = wait::until("the request is counted", || {
        let metrics = gateway.metrics();
        (metrics.sum("faregate_unmetered_requests_total", &[]) == 1.0).then_some(metrics)
    });
    assert_eq!(metrics.sum("faregate_tokens_total", &[]), 0.0);
}
