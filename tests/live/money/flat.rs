//! Budgets of users, sessions, tags and models, where rules, quotes and callers look at what is left; models that would fit.

use faregate_tests::{Answer, Gateway, Launch, client, gateway, key, provider};
use serde_json::Value;

/// A dollar for a request at the dear model, ten cents at the cheap one.
const MODELS: &str = "[models.dear]\ntargets = [\"sim/dear\"]\n[models.cheap]\ntargets = [\"sim/cheap\"]\nlimits = \"$2/day\"\n\
     [models.hidden]\ntargets = [\"sim/middle\"]\n[models.auto]\nroute = [{ when = \"budget_left < 0.5\", use = \"cheap\" }, { use = \"dear\" }]\n\
     [prices.\"sim/dear\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$1/request\"\n\
     [prices.\"sim/middle\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$0.50/request\"\n\
     [prices.\"sim/cheap\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$0.10/request\"\n";

fn launch(provider: &faregate_tests::Provider) -> Gateway {
    let row = key::row("one", "models = [\"dear\", \"cheap\", \"auto\"]");
    let sim = gateway::sim(provider).replace("[models.\"*\"]", "[models.\"other-*\"]");
    Launch::new(format!("{sim}{MODELS}[users.default]\nlimits = \"$3.50/day\"\n{row}")).start()
}

fn ask(gateway: &Gateway, model: &str, fields: &[(&str, &str)]) -> Answer {
    let mut client = gateway.client(&key::named("one")).with("x-faregate-user", "bob");
    for (name, value) in fields {
        client = client.with(name, value);
    }
    let mut body = client::chat(model);
    body["max_tokens"] = 8.into();
    client.post("/v1/chat/completions", &body)
}

fn spent(scopes: &Value, name: &str) -> Option<u64> {
    let scopes = scopes.as_array().unwrap();
    let scope = scopes.iter().find(|scope| scope["scope"] == name)?;
    scope["budgets"][0]["spent"].as_u64()
}

#[test]
fn rules_quotes_and_callers_see_what_a_user_has_left_and_a_refusal_names_a_model_that_fits() {
    let provider = provider();
    let gateway = launch(&provider);
    let routed = |answer: &Answer| answer.json()["routed_model"].clone();
    let quote = |model: &str| ask(&gateway, model, &[("x-faregate-dry-run", "true")]);
    assert_eq!(routed(&quote("auto")), "dear");
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "auto", &[]).status, 200);
    }
    // $1.50 of $3.50 is less than half of it.
    let told = quote("auto");
    assert_eq!(routed(&told), "cheap", "{told:?}");
    let json = told.json();
    let scopes: Vec<_> = json["budgets"].as_array().unwrap().iter().collect();
    let of = |name: &str| {
        scopes.iter().find(|one| one["scope"] == name).unwrap_or_else(|| panic!("{json}"))
    };
    assert_eq!(
        (&of("user/bob")["left"], &of("user/bob")["suffices"]),
        (&1_500_000_000_u64.into(), &true.into())
    );
    assert_eq!(of("model/cheap")["left"], 2_000_000_000_u64);

    assert_eq!(ask(&gateway, "dear", &[]).status, 200);
    let told = quote("dear").json();
    assert_eq!(
        (&told["budgets_suffice"], &told["budgets"][0]["scope"]),
        (&false.into(), &"user/bob".into())
    );
    let refused = ask(&gateway, "dear", &[]);
    assert_eq!(refused.status, 429, "{refused:?}");
    let error = refused.json()["error"].clone();
    assert_eq!(
        (&error["scope"], &error["model_that_fits"]),
        (&"user/bob".into(), &"cheap".into()),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().contains("the model cheap would fit"), "{error}");
    assert_eq!(ask(&gateway, "cheap", &[]).status, 200);

    let me = |user: &str| {
        let mut client = gateway.client(&key::named("one")).with("x-faregate-user", user);
        client.get("/v1/faregate/me").json()["scopes"].clone()
    };
    assert_eq!(spent(&me("bob"), "user/bob"), Some(3_100_000_000));
    assert_eq!(spent(&me("bob"), "model/cheap"), Some(100_000_000));
    assert_eq!(spent(&me("eve"), "user/eve"), Some(0), "nobody has seen her");
    for _ in 0..4 {
        assert_eq!(ask(&gateway, "cheap", &[]).status, 200);
    }
    let refused = ask(&gateway, "cheap", &[]);
    assert_eq!(refused.json()["error"]["model_that_fits"], Value::Null, "{refused:?}");
}
