//! Providers that have several keys: which one a request shows, and which of them rest.

use faregate_tests::{
    Gateway, Launch, client,
    upstream::{Act, Request, Upstream, json},
};

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

/// The key that a request shows, without what stands before it.
fn key_of(request: &Request) -> String {
    let shown = [request.fields("authorization"), request.fields("x-api-key")].concat();
    assert_eq!(shown.len(), 1, "one key is shown: {}", request.head);
    shown[0].trim_start_matches("Bearer ").to_owned()
}

/// A gateway whose provider has the keys `a`, `b`, `c`, and does what `says` for each: a status, and further fields.
fn start(keys: &str, says: fn(&str) -> (u16, &'static str)) -> (Gateway, Upstream) {
    let upstream = Upstream::start(move |request| {
        let (status, fields) = says(&key_of(request));
        let answer = String::from_utf8(json(ANSWER)).unwrap();
        let head = format!("HTTP/1.1 {status} Told\r\n{fields}");
        vec![Act::Send(answer.replace("HTTP/1.1 200 OK\r\n", &head).into_bytes())]
    });
    let policy = format!(
        "[providers.many]\nbase_url = \"{}\"\nkeys = {keys}\n[models.m]\ntargets = [\"many/m\"]\n",
        upstream.base_url()
    );
    let launch = Launch::new(policy);
    let named = ["a", "b", "c"].map(|name| (name.to_uppercase(), format!("sk-secret-{name}")));
    let launch = named.iter().fold(launch, |launch, (name, key)| launch.variable(name, key));
    (launch.start(), upstream)
}

fn count(upstream: &Upstream, key: &str) -> usize {
    upstream.take().iter().filter(|request| key_of(request) == key).count()
}

#[test]
fn keys_that_are_limited_or_refused_rest_alone_and_nobody_notices() {
    let keys = r#"["env:A", { name = "batch", key = "env:B" }, "env:C"]"#;
    let (gateway, upstream) = start(keys, |key| match key {
        "sk-secret-a" => (429, "retry-after: 30\r\n"),
        "sk-secret-b" => (401, ""),
        _ => (200, ""),
    });
    let mut client = gateway.client("");
    let mut last = String::new();
    for _ in 0..60 {
        let answer = client.chat("m");
        assert_eq!(answer.status, 200, "{answer:?}");
        last = answer.header("x-faregate-request-id").unwrap().to_owned();
    }
    let seen = upstream.take();
    let shown = |key: &str| seen.iter().filter(|request| key_of(request) == key).count();
    assert_eq!((shown("sk-secret-a"), shown("sk-secret-b")), (1, 1), "each is asked once");
    assert_eq!(shown("sk-secret-c"), 60);
    assert_eq!(gateway.access_line(&last)["provider_key"], "C");
    let metrics = gateway.metrics();
    let of = |name: &str, key: &str| metrics.sum(name, &["target=\"many/m\"", key]);
    assert_eq!(of("faregate_provider_key_limited_total", "key=\"A\""), 1.0);
    assert_eq!(of("faregate_provider_key_refused_total", "key=\"batch\""), 1.0);
    assert_eq!(of("faregate_provider_key_rests", "key=\"A\""), 1.0);
    assert_eq!(of("faregate_provider_key_rests", "key=\"C\""), 0.0);
    assert!(!gateway.everything_written().contains("sk-secret"), "a key is nowhere but its name");
    assert!(!metrics.text.contains("sk-secret"));
}

#[test]
fn keys_are_shown_as_often_as_what_they_may_still_do_says() {
    let (gateway, upstream) = start(r#"["env:A", "env:B"]"#, |key| match key {
        "sk-secret-a" => (
            200,
            "x-ratelimit-limit-tokens: 1000\r\nx-ratelimit-remaining-tokens: 900\r\nx-ratelimit-reset-tokens: 1m\r\n",
        ),
        _ => (
            200,
            "x-ratelimit-limit-tokens: 1000\r\nx-ratelimit-remaining-tokens: 100\r\nx-ratelimit-reset-tokens: 1m\r\n",
        ),
    });
    let mut client = gateway.client("");
    // Once both have been shown, what they have told counts.
    for _ in 0..40 {
        assert_eq!(client.chat("m").status, 200);
    }
    upstream.take();
    for _ in 0..200 {
        assert_eq!(client.chat("m").status, 200);
    }
    let b = count(&upstream, "sk-secret-b");
    assert!((3..=45).contains(&b), "{b} of 200, where 20 are expected");
}

#[test]
fn when_all_keys_rest_the_target_does_until_the_first_one_wakes() {
    let (gateway, upstream) = start(r#"["env:A", "env:B"]"#, |key| match key {
        "sk-secret-a" => (429, "retry-after: 40\r\n"),
        _ => (429, "retry-after: 20\r\n"),
    });
    let mut client = gateway.client("");
    assert_eq!(client.chat("m").status, 429);
    assert_eq!(upstream.take().len(), 2, "both were asked once");
    let answer = client.chat("m");
    assert_eq!((answer.status, answer.code().as_str()), (503, "no_target"), "{answer:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((15..=20).contains(&wait), "the one that wakes first counts: {wait}");
    assert_eq!(upstream.take().len(), 0);
}

#[test]
fn anthropic_s_keys_and_limits_are_known_too() {
    let upstream = Upstream::start(|request| {
        let left = if key_of(request) == "sk-secret-a" { 0 } else { 400_000 };
        let fields = format!(
            "HTTP/1.1 200 OK\r\nanthropic-ratelimit-input-tokens-limit: 400000\r\n\
             anthropic-ratelimit-input-tokens-remaining: {left}\r\n\
             anthropic-ratelimit-input-tokens-reset: 2099-01-01T00:00:00Z\r\n"
        );
        let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
        let answer = String::from_utf8(json(body)).unwrap();
        vec![Act::Send(answer.replace("HTTP/1.1 200 OK\r\n", &fields).into_bytes())]
    });
    let gateway = Launch::new(format!(
        "[providers.many]\ndialect = \"anthropic\"\nbase_url = \"{}\"\nkeys = [\"env:A\", \"env:B\"]\n\
         [models.m]\ntargets = [\"many/c\"]\n",
        upstream.base_url()
    ))
    .variable("A", "sk-secret-a")
    .variable("B", "sk-secret-b")
    .start();
    let mut client = gateway.client("").with("x-api-key", "mine");
    let mut body = client::chat("m");
    body["max_tokens"] = 16.into();
    for _ in 0..40 {
        assert_eq!(client.post("/v1/messages", &body).status, 200);
    }
    assert!(count(&upstream, "sk-secret-a") <= 1, "what is used up is not shown again");
}
