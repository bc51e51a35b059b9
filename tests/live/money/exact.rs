//! What is written down is the price times what the provider counted, to the nano-dollar.

use faregate_tests::{Launch, key, provider, wait};
use serde_json::{Value, json};

use super::{INPUT, OUTPUT, billed, limited, logged, prices, sim, spent};
use crate::dialects::{
    TARGETS, policy, simulator,
    speak::{Ask, Tongue},
};

/// What a line of the access log must cost.
fn price(line: &Value) -> u64 {
    let of = |name: &str| line[name].as_u64().unwrap_or_else(|| panic!("no {name} in {line}"));
    (of("input_tokens") * INPUT * 100
        + of("cache_read_tokens") * INPUT * 10
        + of("cache_write_tokens") * INPUT * 125
        + (of("output_tokens") + of("reasoning_tokens")) * OUTPUT * 100)
        .div_ceil(100)
}

#[test]
fn every_dialect_at_every_provider_costs_its_usage_times_the_price() {
    let provider = simulator();
    let budget = key::row("one", "limits = [\"$100/day\"]");
    let gateway = Launch::new(format!(
        "{}{}{budget}",
        policy(&provider),
        prices(&TARGETS.map(|(name, _)| name))
    ))
    .variable("PROVIDER_KEY", "provider-key")
    .start();
    let mut client = gateway.client(&key::named("one"));
    let (mut rows, mut sum, mut told) = (0, 0, 0);
    for tongue in Tongue::ALL {
        for (target, _) in TARGETS {
            for stream in [false, true] {
                let said = "tell me of it ".repeat(1 + rows);
                let ask = Ask { turns: vec![tongue.user(&said, false)], stream, ..Ask::default() };
                let answer = tongue.send(&mut client, &format!("at-{target}"), &ask);
                let place = format!("{tongue:?} at {target}, stream {stream}");
                assert_eq!(answer.status, 200, "{place}: {answer:?}");
                let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
                rows += 1;
                let cost = line["cost_nanousd"].as_u64();
                if line["usage"] == "provider" {
                    assert_eq!(cost, Some(price(&line)), "{place}: {line}");
                    told += 1;
                }
                sum += cost.unwrap_or_else(|| panic!("{place}: {line}"));
                assert!(line["price"].as_str().is_some_and(|id| id.contains('*')), "{line}");
            }
        }
    }
    // Gemini's arrays pass unread.
    assert!(told >= rows - 1, "{told} of {rows} were told by the provider");
    assert_eq!(logged(&gateway), sum);
    assert_eq!(spent(&gateway, rows), sum, "the books are the access log");
}

#[test]
fn the_books_are_the_access_log_and_what_the_provider_counted() {
    let provider = provider();
    let gateway = Launch::new(limited(&provider, "\"$10/day\"")).start();
    let mut client = gateway.client(&key::named("one"));
    let mut rows = 0;
    for (tokens, max) in [(1, Some(1)), (16, None), (300, Some(40)), (7, Some(4000)), (900, None)] {
        for stream in [false, true] {
            // Each its own beginning, so that no cache of the provider has it.
            let mut body = json!({"model": "m", "sim": format!("tokens={tokens}"), "stream": stream,
                "messages": [{"role": "user", "content": format!("{rows} of them")}]});
            if let Some(max) = max {
                body["max_tokens"] = max.into();
            }
            if stream {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = client.post("/v1/chat/completions", &body);
            assert_eq!(answer.status, 200, "{answer:?}");
            rows += 1;
        }
    }
    let body = json!({"model": "m", "input": ["one two three", "four"]});
    assert_eq!(client.post("/v1/embeddings", &body).status, 200);
    rows += 1;
    assert_eq!(spent(&gateway, rows), billed(&provider));
    wait::until_true("the log has it all", || logged(&gateway) == billed(&provider));
    // Not wanted, they are not kept; the log has the cost.
    let plain = Launch::new(sim(&provider)).start();
    assert_eq!(plain.client("").chat("m").status, 200);
    assert!(!plain.folder.join("data").exists());
    wait::until_true("the log has it", || logged(&plain) > 0);
}

#[test]
fn what_comes_from_the_providers_cache_costs_less() {
    let provider = provider();
    let gateway = Launch::new(limited(&provider, "\"$10/day\"")).start();
    let mut client = gateway.client(&key::named("one"));
    let body = json!({"model": "m", "max_tokens": 5,
        "messages": [{"role": "user", "content": "word ".repeat(4000)}]});
    let mut costs = Vec::new();
    for _ in 0..2 {
        let answer = client.post("/v1/chat/completions", &body);
        let usage = answer.json()["usage"].clone();
        let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
        let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
        assert_eq!(line["cache_read_tokens"], cached);
        assert_eq!(line["cost_nanousd"], price(&line), "{line}");
        costs.push(line["cost_nanousd"].as_u64().unwrap());
    }
    assert!(costs[1] * 2 < costs[0], "the second one was cached: {costs:?}");
    assert_eq!(spent(&gateway, 2), costs.iter().sum::<u64>());
}

#[test]
fn without_a_budget_the_books_are_kept_where_they_are_wanted() {
    let provider = provider();
    let gateway = Launch::new(format!("{}[ledger]\n", sim(&provider))).start();
    let mut client = gateway.client("");
    for _ in 0..3 {
        assert_eq!(client.chat("m").status, 200);
    }
    assert_eq!(spent(&gateway, 3), billed(&provider));
    assert!(billed(&provider) > 0);
    wait::until_true("the log has it all", || logged(&gateway) == billed(&provider));
}
