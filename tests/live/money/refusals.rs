//! What a budget says when it refuses, and what is never refused.

use faregate_tests::{Answer, Client, Launch, Provider, key, provider, wait};
use serde_json::{Value, json};

use super::{
    INPUT, OUTPUT, asking, billed, dollars, level, level_of, limited, prices, spent, spent_of,
};
use crate::dialects::{
    TARGETS, policy, simulator,
    speak::{Ask, Tongue},
};

/// Where a dialect has the members of a refusal.
fn data(tongue: Tongue, answer: &Answer) -> Value {
    let json = answer.json();
    match tongue {
        Tongue::GeminiArray if json.is_array() => json[0]["error"].clone(),
        Tongue::Converse if json["error"].is_null() => json,
        _ => json["error"].clone(),
    }
}

#[test]
fn each_dialect_is_told_what_is_left() {
    for (limit, status) in [("\"$0.001/day\"", 429), ("\"$0.001 total\"", 402)] {
        let provider = simulator();
        let budget = key::row("one", &format!("limits = [{limit}]"));
        let gateway = Launch::new(format!(
            "{}{}{budget}",
            policy(&provider),
            prices(&TARGETS.map(|(name, _)| name))
        ))
        .variable("PROVIDER_KEY", "provider-key")
        .start();
        let mut client = gateway.client(&key::named("one"));
        for tongue in Tongue::ALL {
            let ask =
                Ask { turns: vec![tongue.user(&"word ".repeat(2000), false)], ..Ask::default() };
            let answer = tongue.send(&mut client, "at-chat", &ask);
            let text = answer.text().to_owned();
            assert_eq!(answer.status, status, "{tongue:?}: {text}");
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{tongue:?}");
            assert_eq!(answer.header("retry-after").is_some(), status == 429, "{tongue:?}");
            let error = data(tongue, &answer);
            assert_eq!(error["scope"], "key/one", "{tongue:?}: {text}");
            assert_eq!(error["unit"], "nanousd", "{tongue:?}: {text}");
            assert_eq!(error["limit_units"], 1_000_000, "{tongue:?}: {text}");
            assert_eq!((&error["spent"], &error["held"]), (&json!(0), &json!(0)), "{text}");
            assert_eq!(error["left"], 1_000_000, "{text}");
            assert!(error["asked"].as_u64() > Some(1_000_000), "{text}");
            assert_eq!(error["resets_in_ms"].is_u64(), status == 429, "{text}");
        }
        assert_eq!(provider.counters().billed_in(), 0, "nobody was asked");
    }
}

/// Asks until a budget refuses; the refusal.
fn exhaust(client: &mut Client, body: &Value) -> Answer {
    wait::until("a refusal", || {
        Some(client.post("/v1/chat/completions", body)).filter(|answer| answer.status != 200)
    })
}

#[test]
fn the_smaller_answer_that_a_refusal_names_fits_and_a_greater_one_does_not() {
    let provider = provider();
    let gateway = Launch::new(limited(&provider, "\"$0.05/day\"")).start();
    let mut client = gateway.client(&key::named("one"));
    let refused = exhaust(&mut client, &asking(10_000));
    assert_eq!((refused.status, refused.code()), (429, "budget_exceeded".to_owned()));
    let error = refused.json()["error"].clone();
    assert_eq!(error["spent"], billed(&provider), "{error}");
    assert_eq!(error["held"], 0, "{error}");
    let fits = error["max_tokens_that_fits"].as_u64().unwrap();
    assert_eq!(client.post("/v1/chat/completions", &asking(fits + 1)).status, 429, "{error}");
    let answer = client.post("/v1/chat/completions", &asking(fits));
    assert_eq!(answer.status, 200, "{error}: {answer:?}");
}

#[test]
fn all_of_a_budget_can_be_had_and_not_a_token_more() {
    let provider = provider();
    provider.set_script(&loadtest::provider::Script::parse("tokens=100000").unwrap());
    let gateway = Launch::new(limited(&provider, "\"$0.02/day\"")).start();
    let mut client = gateway.client(&key::named("one"));
    let mut rows = 0;
    // Each takes all that the one before has named.
    let left = loop {
        let refused = client.post("/v1/chat/completions", &asking(100_000));
        let error = refused.json()["error"].clone();
        assert_eq!(refused.status, 429, "{refused:?}");
        assert_eq!(error["spent"], billed(&provider));
        let Some(fits) = error["max_tokens_that_fits"].as_u64() else {
            break error["left"].clone();
        };
        assert_eq!(client.post("/v1/chat/completions", &asking(fits)).status, 200, "{error}");
        rows += 1;
    };
    let body = asking(1).to_string().len() as u64;
    assert!(left.as_u64() < Some((body + 20) * INPUT + OUTPUT), "{left} is left");
    assert!(spent(&gateway, rows) <= 20_000_000);
}

#[test]
fn what_has_no_price_is_refused_with_the_lines_that_give_it_one() {
    let provider = provider();
    let sim = faregate_tests::gateway::sim(&provider);
    let policy = format!("{sim}{}", key::row("one", "limits = [\"$1/day\"]"));
    let gateway = Launch::new(policy.clone()).start();
    let mut client = gateway.client(&key::named("one"));
    let refused = client.chat("nobodys-model");
    assert_eq!((refused.status, refused.code()), (403, "unpriced_model".to_owned()), "{refused:?}");
    assert_eq!(provider.counters().requests(), 0);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let toml = &message[message.find("[prices.").unwrap_or_else(|| panic!("{message}"))..];
    let before = gateway.generation();
    gateway.write(&format!("{policy}\n{}\n", lines(toml)));
    gateway.wait_generation_after(before);
    let answer = client.chat("nobodys-model");
    assert_eq!(answer.status, 200, "{toml}: {answer:?}");
}

/// The TOML, up to the blank line behind it.
fn lines(toml: &str) -> &str {
    let (lines, _) = toml.split_once("\n\n").unwrap_or_else(|| panic!("{toml}"));
    assert!(lines.contains("\ninput = ") && lines.contains("\noutput = "), "{toml}");
    lines
}

#[test]
fn a_soft_limit_counts_and_never_refuses() {
    let provider = provider();
    let limit = "{ limit = \"$0.0001/day\", soft = true }";
    let gateway = Launch::new(limited(&provider, limit)).start();
    let mut client = gateway.client(&key::named("one"));
    for request in 0..20 {
        assert_eq!(client.post("/v1/chat/completions", &asking(50)).status, 200, "{request}");
    }
    assert!(billed(&provider) > 100_000);
    assert_eq!(spent(&gateway, 20), billed(&provider));
}

#[test]
fn the_scope_that_has_least_refuses_and_the_others_keep_theirs() {
    let provider = provider();
    let policy = format!(
        "{}[organisation]\nlimits = [\"$10/day\"]\n[teams.search]\nlimits = [\"$0.01/day\"]\n{}{}",
        super::sim(&provider),
        key::row("one", "team = \"search\"\nlimits = [\"$1/day\"]"),
        key::row("two", "limits = [\"$1/day\"]"),
    );
    let gateway = Launch::new(policy).start();
    let refused = exhaust(&mut gateway.client(&key::named("one")), &asking(1000));
    assert_eq!(refused.json()["error"]["scope"], "team/search", "{refused:?}");
    assert_eq!(spent_of(&level_of(&gateway, "two")), 0, "a refusal took nothing");
    assert_eq!(spent_of(&level(&gateway)), billed(&provider));
    // What would fit is what fits everywhere, whoever refuses first.
    let mut client = gateway.client(&key::named("one"));
    let refused = client.post("/v1/chat/completions", &asking(1_000_000_000));
    assert_eq!(refused.json()["error"]["scope"], "key/one", "{refused:?}");
    let fits = refused.json()["error"]["max_tokens_that_fits"].as_u64().unwrap();
    assert!(fits < 10_000_000 / OUTPUT, "{fits} do not fit into the team's budget");
    assert_eq!(client.post("/v1/chat/completions", &asking(fits)).status, 200);
}

#[test]
fn dollars_are_written_as_the_policy_reads_them() {
    assert_eq!(dollars(1_020_000_003), "$1.020000003");
    let provider: Provider = provider();
    let limit = format!("\"{}/day\"", dollars(123_456_789));
    let gateway = Launch::new(limited(&provider, &limit)).start();
    assert_eq!(level(&gateway)["limit_units"], 123_456_789);
}
