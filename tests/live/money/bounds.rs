//! Requests without a bound get one that their budget can pay, in the provider's words; what was never answered costs nothing.

use faregate_tests::{Launch, client, gateway, key, provider};
use serde_json::{Value, json};

use super::{level, limited, prices, spent_of};
use crate::dialects::{
    TARGETS, policy, simulator,
    speak::{Ask, Tongue},
};

/// The bound of output that a provider's request has.
fn bound(sent: &Value) -> Option<u64> {
    let places = [
        "/max_completion_tokens",
        "/max_tokens",
        "/max_output_tokens",
        "/generationConfig/maxOutputTokens",
        "/inferenceConfig/maxTokens",
    ];
    places.iter().find_map(|place| sent.pointer(place)?.as_u64())
}

#[test]
fn every_dialect_at_every_provider_is_given_a_bound_that_the_budget_pays() {
    let provider = simulator();
    // 2,048 tokens of output cost $0.008192; as much as is spent later leaves 1,024.
    let budget = key::row("one", "limits = [\"$0.0098/day\"]");
    let gateway = Launch::new(format!(
        "{}{}{budget}",
        policy(&provider),
        prices(&TARGETS.map(|(name, _)| name))
    ))
    .variable("PROVIDER_KEY", "provider-key")
    .start();
    let mut client = gateway.client(&key::named("one"));
    for tongue in [Tongue::Chat, Tongue::Responses, Tongue::Gemini, Tongue::Converse] {
        for (target, _) in TARGETS {
            let ask = Ask { turns: vec![tongue.user("hi", false)], ..Ask::default() };
            let model = format!("at-{target}");
            let mut body = tongue.body(&model, &ask);
            if tongue == Tongue::Converse {
                body["inferenceConfig"] = json!({"temperature": 0.5});
            }
            let answer = client.post(&tongue.path(&model, false), &body);
            let place = format!("{tongue:?} at {target}");
            assert_eq!(answer.status, 200, "{place}: {answer:?}");
            let captured = provider.take_captured().pop().unwrap();
            let sent: Value = serde_json::from_slice(&captured.body).unwrap();
            assert!(matches!(bound(&sent), Some(1024 | 2048)), "{place}: {sent}");
        }
    }
}

#[test]
fn two_answers_in_one_stream_are_bounded_by_the_provider() {
    let provider = provider();
    let gateway = Launch::new(limited(&provider, "\"$0.02/day\"")).start();
    let mut body = client::streamed("m");
    body["n"] = 2.into();
    let events = gateway.client(&key::named("one")).stream(&body).all();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let captured = provider.take_captured().pop().unwrap();
    let sent: Value = serde_json::from_slice(&captured.body).unwrap();
    assert_eq!(bound(&sent), Some(2048), "{sent}");
}

#[test]
fn a_price_by_the_request_is_paid_for_answers_alone() {
    let provider = provider();
    let policy = format!(
        "{}[prices.\"sim/*\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$0.10/request\"\n[retries]\nattempts = 1\n\
         [breaker]\nfailures = 10000\n{}",
        gateway::sim(&provider),
        key::row("one", "limits = [\"$1/day\"]")
    );
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client(&key::named("one"));
    for (status, spent) in [(500, 0), (429, 0), (200, 100_000_000)] {
        let mut body = client::chat("m");
        body["sim"] = format!("status={status}").into();
        assert_eq!(client.post("/v1/chat/completions", &body).status, status);
        let told = client.get("/v1/faregate/me").json();
        assert_eq!(told["scopes"][0]["budgets"][0]["spent"], spent, "{told}");
    }
}

#[test]
fn budgets_of_tokens_are_charged_where_nothing_is_told() {
    let provider = provider();
    let mut gateway = Launch::new(limited(&provider, "\"$1/day\", \"50000 tokens/month\"")).start();
    let mut body = client::chat("m");
    body["sim"] = "usage=none; tokens=16".into();
    body["max_tokens"] = 1000.into();
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.post("/v1/chat/completions", &body).status, 200);
    let told = client.get("/v1/faregate/me").json();
    let budgets = told["scopes"][0]["budgets"].as_array().unwrap().clone();
    let tokens = budgets.iter().find(|budget| budget["unit"] == "tokens").unwrap();
    assert!(tokens["spent"].as_u64().unwrap() >= 1000, "{tokens}");
    assert_eq!(tokens["held"], 0, "{tokens}");
    assert!(spent_of(&level(&gateway)) >= 1000 * 4000);
    assert!(gateway.stop().success());
}
