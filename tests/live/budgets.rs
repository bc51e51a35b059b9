//! Budgets as callers and operators see them: how much is spent and left, in words and numbers that agree.

use faregate_tests::{Client, Gateway, Launch, Provider, client, gateway, key, provider};
use serde_json::{Value, json};

/// What the provider's models cost: $1 for a million tokens of input, $2 for a million of output.
const PRICE: &str = "[prices.\"sim/*\"]\ninput = \"$1/M\"\noutput = \"$2/M\"\n";

/// One team with these limits and one key, `one`, with those.
fn policy(provider: &Provider, team: &str, own: &str) -> String {
    let row = key::row("one", &format!("team = \"search\"\nlimits = [{own}]"));
    format!("{}{PRICE}[teams.search]\nlimits = [{team}]\n{row}", gateway::sim(provider))
}

fn of_one(gateway: &Gateway) -> Client {
    gateway.client(&key::named("one"))
}

/// What the operators are shown.
fn budgets(gateway: &Gateway) -> Value {
    let answer = Client::new(gateway.admin, "").get("/budgets");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The scope of this name in what was shown.
fn scope<'v>(shown: &'v Value, name: &str) -> &'v Value {
    let mut scopes = shown["scopes"].as_array().unwrap().iter();
    scopes.find(|scope| scope["scope"] == name).unwrap_or_else(|| panic!("no {name} in {shown}"))
}

#[test]
fn a_caller_sees_its_own_budgets_and_rates_and_an_operator_all() {
    let provider = provider();
    let team =
        "\"$500/month\", { limit = \"1000 requests/week\", soft = true, warn_at = [\"80%\"] }";
    let gateway = Launch::new(policy(&provider, team, "\"$5 total\", \"2 requests/day\"")).start();
    let mut client = of_one(&gateway);
    let before = client.get("/v1/faregate/me");
    assert_eq!(before.status, 200, "{before:?}");
    assert_eq!(before.header("cache-control"), Some("no-store"));
    let before = before.json();
    assert_eq!(before["caller"]["key"], "one");
    assert_eq!(before["caller"]["team"], "search");
    assert_eq!(before["caller"]["agent"], Value::Null);
    assert_eq!(before["scopes"].as_array().unwrap().len(), 2, "{before}");
    let month = &scope(&before, "team/search")["budgets"][0];
    assert_eq!(month["limit"], "$500/month");
    assert_eq!((&month["unit"], &month["period"]), (&"nanousd".into(), &"month".into()));
    assert_eq!(month["limit_units"], 500_000_000_000_u64);
    assert_eq!((month["spent"].as_u64(), month["soft"].as_bool()), (Some(0), Some(false)));
    assert_eq!(month["overshoot_bound"], 0);
    assert!(month["window"]["start"].as_str().unwrap().ends_with("-01T00:00:00Z"), "{month}");
    assert!(month["resets_in_ms"].as_u64().unwrap() <= 31 * 24 * 3_600_000, "{month}");
    let week = &scope(&before, "team/search")["budgets"][1];
    assert_eq!((&week["unit"], &week["soft"]), (&"requests".into(), &true.into()));
    assert_eq!((&week["overshoot_bound"], &week["warn_at"][0]), (&Value::Null, &80.into()));

    assert_eq!(client.chat("m").status, 200);
    assert_eq!(client.chat("m").status, 200);
    assert_eq!(client.chat("m").status, 429, "two requests a day");
    // Who has used up its requests can still look.
    let after = client.get("/v1/faregate/me").json();
    let own = scope(&after, "key/one");
    let total = &own["budgets"][0];
    let spent = total["spent"].as_u64().unwrap();
    assert!(spent > 0, "{own}");
    assert_eq!(total["held"], 0, "{own}");
    assert_eq!(total["left"], 5_000_000_000_u64 - spent);
    assert_eq!((&total["resets_in_ms"], &total["window"]["end"]), (&Value::Null, &Value::Null));
    assert_eq!((&own["rates"][0]["limit_units"], &own["rates"][0]["left"]), (&2.into(), &0.into()));
    assert_eq!(scope(&after, "team/search")["budgets"][1]["spent"], 2);

    let shown = budgets(&gateway);
    assert_eq!(shown["trouble"], Value::Null);
    assert_eq!(scope(&shown, "key/one")["budgets"][0]["spent"], spent);
    assert_eq!(scope(&shown, "team/search")["budgets"][0]["spent"], spent);
}

#[test]
fn what_is_left_is_told_to_nobody_else() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "\"$500/month\"", "\"$5/day\"")).start();
    let stranger = gateway.client("fg-nobody").get("/v1/faregate/me");
    assert_eq!(stranger.status, 401, "{stranger:?}");
    assert_eq!(gateway.client("").get("/v1/faregate/me").status, 401);
    let posted = of_one(&gateway).post("/v1/faregate/me", &Value::Null);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET")));
    // The operators' list is no path of the data port.
    assert_eq!(of_one(&gateway).get("/budgets").status, 404);
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn money_is_among_the_metrics() {
    let provider = provider();
    let team = "\"$500/month\", \"1 requests/month\"";
    let gateway = Launch::new(policy(&provider, team, "\"$5/day\"")).start();
    let mut client = of_one(&gateway);
    assert_eq!(client.chat("m").status, 200);
    assert_eq!((client.chat("m").status, client.chat("m").status), (429, 429));
    let shown = client.get("/v1/faregate/me").json();
    #[expect(clippy::cast_precision_loss, reason = "fractions of a cent")]
    let spent = scope(&shown, "key/one")["budgets"][0]["spent"].as_u64().unwrap() as f64;
    let metrics = gateway.metrics();
    let of = |name: &str, scope: &str| metrics.sum(name, &[scope, "unit=\"nanousd\""]);
    assert_eq!(of("faregate_budget_limit", "scope=\"team/search\""), 5e11);
    assert_eq!(of("faregate_budget_limit", "scope=\"key/one\""), 5e9);
    assert_eq!(of("faregate_budget_spent", "scope=\"team/search\""), spent);
    assert_eq!(of("faregate_budget_held", "scope=\"team/search\""), 0.0);
    let by_request =
        metrics.sum("faregate_budget_spent", &["unit=\"requests\"", "period=\"month\""]);
    assert_eq!(by_request, 1.0);
    let cost = metrics.sum("faregate_cost_nanousd_total", &["team=\"search\"", "target=\"sim/*\""]);
    assert!(spent > 0.0);
    assert_eq!(cost, spent);
    let refused = metrics.sum("faregate_requests_total", &["code=\"budget_exceeded\""]);
    assert_eq!(refused, 2.0);
    assert_eq!(metrics.sum("faregate_journal_writes", &[]), 1.0);
    assert!(metrics.has("faregate_journal_rows_waiting"));
    assert_eq!(metrics.sum("faregate_journal_rows_lost_total", &[]), 0.0);
    assert_eq!(metrics.sum("faregate_budgets_unlisted", &[]), 0.0);
}

#[test]
fn rules_turn_to_a_cheaper_model_before_the_budget_is_gone() {
    let provider = provider();
    let models = "[models.auto]\nroute = [{ when = \"budget_left < 0.5\", use = \"cheap\" }, { use = \"dear\" }]\n\
                  [models.cheap]\ntargets = [\"sim/small\"]\n[models.dear]\ntargets = [\"sim/large\"]\n";
    let policy = policy(&provider, "\"$500/month\"", "\"4 requests total\"");
    let gateway = Launch::new(format!("{models}{policy}")).start();
    let mut client = of_one(&gateway);
    let routes: Vec<_> = (0..4)
        .map(|_| {
            let answer = client.chat("auto");
            let field = |name| answer.header(name).unwrap().to_owned();
            (answer.status, field("x-faregate-route"), field("x-faregate-route-reason"))
        })
        .collect();
    let dear = (200, "sim/large".to_owned(), "auto rule 2 > dear; order 1/1".to_owned());
    let cheap = (200, "sim/small".to_owned(), "auto rule 1 > cheap; order 1/1".to_owned());
    // Four, three and two of four are half or more; one is not.
    assert_eq!(routes, [dear.clone(), dear.clone(), dear, cheap]);
}

#[test]
fn the_cheapest_target_is_chosen_by_its_price() {
    let provider = provider();
    let models = "[models.m]\ntargets = [\"sim/dear\", \"sim/cheap\"]\nstrategy = \"cost\"\n\
                  [prices.\"sim/dear\"]\ninput = \"$3/M\"\noutput = \"$15/M\"\n\
                  [prices.\"sim/cheap\"]\ninput = \"$0.25/M\"\noutput = \"$2/M\"\n";
    let policy = policy(&provider, "\"$500/month\"", "\"$5 total\"");
    let gateway = Launch::new(format!("{models}{policy}")).start();
    let answer = of_one(&gateway).chat("m");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-faregate-route"), Some("sim/cheap"));
    let reason = answer.header("x-faregate-route-reason").unwrap();
    assert!(reason.starts_with("cost 2/2 $0.00065"), "{reason}");
}

#[test]
fn budgets_that_are_nearly_used_up_are_warned_of_once_in_the_log_and_in_every_answer() {
    const FIELD: &str = "x-faregate-budget-warning";
    let provider = provider();
    let team = "{ limit = \"4 requests/month\", warn_at = [\"50%\", \"75%\"] }, \
                { limit = \"3 requests total\", soft = true }";
    let gateway = Launch::new(policy(&provider, team, "\"$5/day\"")).start();
    let mut client = of_one(&gateway);
    // A request is counted when it has ended: what its own answer says is what was before it.
    let told: Vec<_> = (0..4)
        .map(|_| {
            let answer = client.chat("m");
            assert_eq!(answer.status, 200, "{answer:?}");
            let fields = answer.headers.iter().filter(|(name, _)| name == FIELD);
            fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(told[0], Vec::<String>::new());
    assert_eq!(told[1], Vec::<String>::new());
    assert_eq!(told[2], ["team/search 4 requests/month 50%"]);
    let both = ["team/search 4 requests/month 75%", "team/search 3 requests total 100%"];
    assert_eq!(told[3], both);
    gateway.wait_log("share=100%");
    gateway.wait_log("share=75%");
    // It has been looked at more than once since.
    faregate_tests::wait::pass(std::time::Duration::from_millis(2500));
    let log = gateway.log();
    assert_eq!(log.matches("share=75%").count(), 1, "{log}");
    assert!(log.matches("share=100%").count() == 1, "{log}");
}

#[test]
fn nobody_is_warned_without_reason() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "\"$500/month\"", "\"2 requests total\"")).start();
    let mut client = of_one(&gateway);
    for _ in 0..2 {
        let answer = client.chat("m");
        assert_eq!((answer.status, answer.header("x-faregate-budget-warning")), (200, None));
    }
}

/// What the caller's key has spent.
fn spent(client: &mut Client) -> u64 {
    scope(&client.get("/v1/faregate/me").json(), "key/one")["budgets"][0]["spent"].as_u64().unwrap()
}

#[test]
fn a_whole_answer_says_what_it_cost() {
    const FIELD: &str = "x-faregate-cost-nanousd";
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "\"$500/month\"", "\"$5 total\"")).start();
    let mut client = of_one(&gateway);
    let cost = |answer: &faregate_tests::Answer| {
        answer.header(FIELD).map(|cost| cost.parse::<u64>().unwrap())
    };
    let first = client.chat("m");
    let usage = &first.json()["usage"];
    let tokens = |name: &str| usage[name].as_u64().unwrap();
    // $1 and $2 for a million tokens.
    let expected = tokens("prompt_tokens") * 1000 + tokens("completion_tokens") * 2000;
    assert_eq!(cost(&first), Some(expected), "{first:?}");
    assert_eq!(spent(&mut client), expected);
    // Translated: the client speaks Anthropic's dialect, the provider OpenAI's.
    let body =
        json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]});
    let second = client.post("/v1/messages", &body);
    assert_eq!(second.status, 200, "{second:?}");
    let translated = cost(&second).unwrap();
    assert!(translated > 0);
    assert_eq!(spent(&mut client), expected + translated);
    // What the gateway answers by itself costs nothing.
    assert_eq!(cost(&client.get("/v1/models")), Some(0));
    let refused = client.post("/v1/chat/completions", &json!({"model": "m"}));
    assert!(refused.status >= 400 && cost(&refused).is_none_or(|cost| cost == 0), "{refused:?}");
}

#[test]
fn a_stream_says_what_it_cost_if_it_is_asked_and_never_otherwise() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "\"$500/month\"", "\"$5 total\"")).start();
    for sim in ["", "cr=crlf", "chunk_bytes=1", "framing=close", "comments=1"] {
        for (path, end) in
            [("/v1/chat/completions", "data: [DONE]"), ("/v1/messages", "event: message_stop")]
        {
            let mut body = client::streamed("m");
            body["max_tokens"] = 50.into();
            if path == "/v1/chat/completions" {
                body["sim"] = sim.into();
            }
            let plain = of_one(&gateway).post(path, &body);
            assert_eq!(plain.status, 200, "{plain:?}");
            let text =
                |answer: &faregate_tests::Answer| String::from_utf8(answer.body.clone()).unwrap();
            assert!(!text(&plain).contains("faregate-cost"), "{sim}: {}", text(&plain));
            let before = spent(&mut of_one(&gateway));
            let asked = of_one(&gateway).with("x-faregate-cost", "true").post(path, &body);
            let cost = spent(&mut of_one(&gateway)) - before;
            assert!(cost > 0, "{sim} {path}");
            let asked = text(&asked);
            let comment = format!(": faregate-cost-nanousd={cost}\n\n");
            assert_eq!(asked.matches(&comment).count(), 1, "{sim} {path}: {asked}");
            let (start, rest) = asked.split_once(&comment).unwrap();
            assert!(rest.contains(end) || start.contains(end), "{sim} {path}: {asked}");
            // It stands between two events.
            assert!(
                start.ends_with("\n\n") || start.ends_with("\r\n\r\n") || start.is_empty(),
                "{asked}"
            );
        }
    }
    let wrong = of_one(&gateway).with("x-faregate-cost", "please").chat("m");
    assert_eq!(wrong.status, 400, "{wrong:?}");
}

#[test]
fn a_quote_says_what_a_request_may_cost_and_whether_budgets_suffice() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "\"3 requests total\"", "\"$0.01 total\"")).start();
    let mut client = of_one(&gateway);
    let quote = |client: &mut Client, body: &Value| {
        let answer = client.post("/v1/faregate/quote", body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let mut body = client::chat("m");
    body["max_tokens"] = 1000.into();
    let told = quote(&mut client, &body);
    let cost = &told["candidates"][0]["cost"];
    assert_eq!((&cost["price"], &cost["output_tokens"]), (&"policy/sim/*".into(), &1000.into()));
    let (worst, typical) = (cost["worst_nanousd"].as_u64(), cost["typical_nanousd"].as_u64());
    // 1000 tokens at $2 for a million, 200 of them in a usual answer, and the few of the input.
    assert!((2_000_001..2_500_000).contains(&worst.unwrap()), "{told}");
    assert!((400_001..500_000).contains(&typical.unwrap()), "{told}");
    let (own, team) = (&told["budgets"][0], &told["budgets"][1]);
    assert_eq!(
        (&own["scope"], &own["unit"], &own["asked"]),
        (&"key/one".into(), &"nanousd".into(), &cost["worst_nanousd"])
    );
    assert_eq!((&own["left"], &own["suffices"]), (&10_000_000.into(), &true.into()));
    assert_eq!(
        (&team["scope"], &team["asked"], &team["left"]),
        (&"team/search".into(), &1.into(), &3.into())
    );
    assert_eq!(told["budgets_suffice"], true);

    // More than there is: said so, and so is the request itself told.
    body["max_tokens"] = 100_000.into();
    let told = quote(&mut client, &body);
    assert_eq!(
        (&told["budgets_suffice"], &told["budgets"][0]["suffices"]),
        (&false.into(), &false.into())
    );
    assert_eq!(client.post("/v1/chat/completions", &body).status, 402);
    // Without a bound the answer is given one that fits.
    let told = quote(&mut client, &client::chat("m"));
    assert_eq!(told["candidates"][0]["cost"]["output_tokens"], 4096);
    assert_eq!(told["budgets_suffice"], true);
    assert_eq!(spent(&mut client), 0);
    assert_eq!(provider.counters().requests(), 0);
}
