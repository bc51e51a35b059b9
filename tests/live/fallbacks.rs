//! Models that stand in for others: where one is down, too small, or does not allow what is asked.

use faregate_tests::{
    Gateway, Launch, client, provider,
    upstream::{Act, Upstream},
};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// An error as it is sent, its body in two pieces.
fn error(status: u16, body: &str, chunked: bool) -> Vec<Act> {
    let (first, rest) = body.split_at(body.len() / 2);
    let head = format!("HTTP/1.1 {status} Bad Request\r\ncontent-type: application/json\r\n");
    if !chunked {
        let length = format!("content-length: {}\r\n\r\n", body.len());
        return vec![Act::Send((head + &length + first).into_bytes()), Act::Send(rest.into())];
    }
    let first = format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n", first.len());
    let rest = format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
    vec![Act::Send((head + &first).into_bytes()), Act::Send(rest.into())]
}

/// A gateway with a small model at `small`, of this dialect, and a large one at `large`.
fn start(small: &Upstream, dialect: &str, large: &faregate_tests::Provider) -> Gateway {
    Launch::new(format!(
        "[providers.small]\nbase_url = \"{}\"\ndialect = \"{dialect}\"\n[providers.large]\nbase_url = \"{}\"\n\
         [models.m]\ntargets = [\"small/m\"]\non_context_window = \"long\"\non_content_policy = \"free\"\n\
         [models.long]\ntargets = [\"large/long\"]\n[models.free]\ntargets = [\"large/free\"]\n",
        small.base_url(),
        large.base_url()
    ))
    .start()
}

/// What the small model's provider says in this dialect leads to the large model.
fn check(dialect: &str, status: u16, said: &'static str, leads_to: &str) {
    for chunked in [false, true] {
        let small = Upstream::start(move |_| error(status, said, chunked));
        let large = provider();
        let gateway = start(&small, dialect, &large);
        let plain = gateway.client("").chat("m");
        assert_eq!(plain.status, 200, "{dialect}: {said}: {plain:?}");
        assert_eq!(plain.json()["model"], leads_to, "{dialect}: {said}");
        let reason = plain.header("x-faregate-route-reason").unwrap_or_default();
        assert!(reason.starts_with("m context_window > long; ") || leads_to != "long", "{reason}");
        let events = gateway.client("").stream(&client::streamed("m"));
        assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"), "{dialect}: {said}");
        assert_eq!(small.take().len(), 2, "it is asked once by each request");
    }
}

#[test]
fn what_is_too_long_for_a_model_goes_to_the_larger_one_in_every_dialect() {
    check(
        "openai",
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
        "long",
    );
    check(
        "anthropic",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        "long",
    );
    check(
        "gemini",
        400,
        r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
        "long",
    );
}

#[test]
fn what_a_provider_does_not_allow_goes_where_the_policy_says() {
    check(
        "openai",
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter"}}"#,
        "free",
    );
    check(
        "anthropic",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
        "free",
    );
}

#[test]
fn another_mistake_is_answered_as_it_came_whole() {
    const SAID: &str = r#"{"error":{"message":"max_tokens is too large","type":"invalid_request_error","code":"invalid_value"}}"#;
    for chunked in [false, true] {
        let small = Upstream::start(move |_| error(400, SAID, chunked));
        let large = provider();
        let gateway = start(&small, "openai", &large);
        let mut client = gateway.client("");
        for _ in 0..2 {
            let answer = client.chat("m");
            assert_eq!((answer.status, answer.text()), (400, SAID));
        }
        assert_eq!(large.counters().requests(), 0);
    }
}

#[test]
fn an_error_that_never_ends_is_no_answer_and_one_that_breaks_off_is_passed_on_as_far_as_it_came() {
    let small = Upstream::start(|_| {
        vec![
            Act::Send(b"HTTP/1.1 400 No\r\ncontent-length: 100\r\n\r\n{\"error\"".to_vec()),
            Act::Close,
        ]
    });
    let large = provider();
    let gateway = start(&small, "openai", &large);
    let mut wire = gateway.connect();
    let body = client::chat("m").to_string();
    wire.send(gateway.client("").request("POST", "/v1/chat/completions", Some(body.as_bytes())));
    assert!(wire.try_answer().is_err(), "the client sees that it broke off");
    assert_eq!(gateway.client("").get("/health").status, 200);
}

#[test]
fn a_model_that_is_down_has_another_one_in_its_place() {
    let (a, b) = (provider(), provider());
    a.set_script(&Script::parse("status=500").unwrap());
    let gateway = Launch::new(format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n\
         [models.m]\ntargets = [\"a/one\"]\nfallbacks = [\"spare\"]\n[models.spare]\ntargets = [\"b/two\"]\n\
         [retries]\nattempts = 1\n",
        a.base_url(),
        b.base_url()
    ))
    .start();
    let mut client = gateway.client("");
    for _ in 0..40 {
        let answer = client.chat("m");
        assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("two")));
        let reason = answer.header("x-faregate-route-reason").unwrap_or_default();
        assert!(reason.starts_with("m down > spare; "), "{reason}");
    }
    let asked = a.counters().requests();
    assert!((1..=20).contains(&asked), "{asked}: once its breaker is open it is not asked");
}

#[test]
fn the_model_that_answers_is_the_one_whose_budget_pays() {
    let (a, b) = (provider(), provider());
    a.set_script(&Script::parse("status=500").unwrap());
    let gateway = Launch::new(format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n\
         [models.m]\ntargets = [\"a/one\"]\nfallbacks = [\"spare\"]\nlimits = [\"1000 requests/week\"]\n\
         [models.spare]\ntargets = [\"b/two\"]\nlimits = [\"3 requests/week\"]\n[retries]\nattempts = 1\n",
        a.base_url(),
        b.base_url()
    ))
    .start();
    let mut client = gateway.client("");
    let statuses: Vec<u16> = (0..5).map(|_| client.chat("m").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let metrics = gateway.metrics();
    let spent = |scope: &str| metrics.sum("faregate_budget_spent", &[scope]);
    assert_eq!(spent("scope=\"model/spare\""), 3.0);
    assert_eq!(spent("scope=\"model/m\""), 0.0);
    let held = metrics.sum("faregate_budget_held", &[]);
    assert_eq!(held, 0.0);
}

#[test]
fn what_is_longer_than_the_window_is_not_sent_to_the_small_model() {
    let (a, b) = (provider(), provider());
    let gateway = Launch::new(format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n\
         [models.m]\ntargets = [\"a/one\"]\ncontext_tokens = 100\non_context_window = \"long\"\n\
         [models.long]\ntargets = [\"b/two\"]\n",
        a.base_url(),
        b.base_url()
    ))
    .start();
    let mut client = gateway.client("");
    assert_eq!(client.chat("m").json()["model"], "one");
    let long: Value =
        json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(200)}]});
    assert_eq!(client.post("/v1/chat/completions", &long).json()["model"], "two");
    assert_eq!((a.counters().requests(), b.counters().requests()), (1, 1));
}
