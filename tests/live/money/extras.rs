//! What has a price beside tokens: images that are read, searches, the tier that an answer was served in.

use faregate_tests::{Answer, Gateway, Launch, key, server::Server};
use serde_json::{Value, json};

/// $1 a million tokens of input, $4 of output; priority costs twice that.
const PRICES: &str = "[prices.\"sim/*\"]\ninput = \"$1/M\"\noutput = \"$4/M\"\ncache_read = \"$1/M\"\n\
     cache_write = \"$1/M\"\ncache_write_1h = \"$1/M\"\nimage_input = \"$0.50/image\"\nsearch = \"$100/1K searches\"\n\
     tiers = [{ service = \"priority\", input = \"$2/M\", output = \"$8/M\" }]\n";

fn launch(answer: &Value, limit: &str) -> (Server, Gateway) {
    let body = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let server = Server::canned(format!("{head}{body}").into_bytes(), 1 << 20, false);
    let policy = format!(
        "[providers.sim]\nbase_url = \"http://{}/v1\"\nspeaks = [\"chat\", \"responses\"]\n[models.m]\ntargets = [\"sim/m\"]\n\
         {PRICES}[retries]\nattempts = 1\n{}",
        server.address,
        key::row("one", &format!("limits = [\"{limit}\"]"))
    );
    (server, Launch::new(policy).start())
}

fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    gateway.client(&key::named("one")).post(path, body)
}

fn cost(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-faregate-cost-nanousd").unwrap().parse().unwrap()
}

fn chat(rest: &Value) -> Value {
    json!({"id": "x", "object": "chat.completion", "choices": [],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}, "service_tier": rest})
}

fn asking(parts: usize) -> Value {
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/i.png"}});
    let content: Vec<Value> = (0..parts).map(|_| image.clone()).collect();
    json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": content}]})
}

#[test]
fn images_are_reserved_and_charged_and_what_they_take_is_bounded() {
    let (_server, gateway) = launch(&chat(&"default".into()), "$0.90/day");
    // One fits, with the most tokens that it can take; two do not.
    let refused = post(&gateway, "/v1/chat/completions", &asking(2));
    let error = refused.json()["error"].clone();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(error["asked"].as_u64().unwrap() >= 2 * (500_000_000 + 16_384_000), "{error}");
    let one = post(&gateway, "/v1/chat/completions", &asking(1));
    assert_eq!(cost(&one), 500_000_000 + 100 * 1000 + 10 * 4000);
    let me = gateway.client(&key::named("one")).get("/v1/faregate/me").json();
    let budget = &me["scopes"][0]["budgets"][0];
    assert_eq!((&budget["held"], &budget["overrun"]), (&0.into(), &0.into()), "{budget}");
    assert_eq!(budget["spent"], cost(&one));
}

#[test]
fn a_request_is_charged_for_the_tier_that_the_answer_names() {
    let mut body = asking(0);
    body["service_tier"] = "priority".into();
    let standard = 100 * 1000 + 10 * 4000;
    for (told, expected) in [
        (json!("priority"), 2 * standard),
        (json!("default"), standard),
        // Where it names none, or one without a price, the one that was asked for.
        (Value::Null, 2 * standard),
        (json!("fast"), 2 * standard),
    ] {
        let (_server, gateway) = launch(&chat(&told), "$1/day");
        assert_eq!(cost(&post(&gateway, "/v1/chat/completions", &body)), expected, "{told}");
    }
}

#[test]
fn searches_are_reserved_as_far_as_they_are_bounded_and_charged_as_they_were_made() {
    let item = json!({"type": "web_search_call", "id": "ws", "status": "completed"});
    let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "output": [item, item],
        "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}});
    let body = |calls: u64| {
        json!({"model": "m", "input": "hi", "max_output_tokens": 10, "max_tool_calls": calls,
            "tools": [{"type": "web_search"}], "store": false})
    };
    let (_server, gateway) = launch(&answer, "$0.50/day");
    let refused = post(&gateway, "/v1/responses", &body(5));
    let asked = refused.json()["error"]["asked"].as_u64();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(asked.is_some_and(|asked| asked > 500_000_000), "{refused:?}");
    let made = post(&gateway, "/v1/responses", &body(3));
    assert_eq!(cost(&made), 2 * 100_000_000 + 100 * 1000 + 10 * 4000);
}
