//! Where rules, strategies and clients' own words send a request, and what is told of it.

use std::thread;

use faregate_tests::{
    Answer, Client, Gateway, Launch, Provider, binary, client, folder::Folder, key, provider, wait,
};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// A gateway with the providers `a` and `b`, the models `cheap` (at `a`) and `dear` (at `b`), and more.
struct World {
    a: Provider,
    b: Provider,
    gateway: Gateway,
}

fn world(models: &str) -> World {
    let (a, b) = (provider(), provider());
    let policy = format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n\
         [models.cheap]\ntargets = [\"a/small\"]\n[models.dear]\ntargets = [\"b/big\"]\n{models}",
        a.base_url(),
        b.base_url()
    );
    let gateway = Launch::new(policy).start();
    World { a, b, gateway }
}

impl World {
    fn requests(&self) -> (u64, u64) {
        (self.a.counters().requests(), self.b.counters().requests())
    }
}

fn asking(model: &str, question: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": question}]})
}

fn with_tools(model: &str) -> Value {
    let mut body = asking(model, "hi");
    body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    body
}

/// Asks, and says where the answer came from and why.
#[track_caller]
fn routed(client: &mut Client, body: &Value) -> (String, String) {
    let answer = client.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let header = |name| answer.header(name).unwrap_or_default().to_owned();
    (header("x-faregate-route"), header("x-faregate-route-reason"))
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{answer:?}");
}

const AUTO: &str = "[models.auto]\nroute = [\n\
    { when = \"difficulty > 0.6 or tools\", use = \"dear\" },\n\
    { when = \"header['x-tier'] == 'gold'\", use = \"dear\" },\n\
    { when = \"tag['job'] == 'nightly' and not stream\", use = \"cheap\" },\n\
    { use = \"cheap\" },\n]\n";

#[test]
fn rules_send_easy_work_to_the_cheap_model_and_hard_work_to_the_dear_one() {
    let world = world(AUTO);
    let mut client = world.gateway.client("");
    let (route, reason) = routed(&mut client, &asking("auto", "hi"));
    assert_eq!(route, "a/small");
    assert!(reason.starts_with("auto rule 4 > cheap (difficulty 0.0"), "{reason}");
    assert!(reason.ends_with("; order 1/1"), "{reason}");
    let hard = "Prove the theorem, derive the equation, and analyze the algorithm rigorously.";
    let (route, reason) = routed(&mut client, &asking("auto", hard));
    assert_eq!(route, "b/big");
    assert!(reason.starts_with("auto rule 1 > dear (difficulty 0.8"), "{reason}");
    assert_eq!(routed(&mut client, &with_tools("auto")).0, "b/big");
    let mut gold = world.gateway.client("").with("X-Tier", "gold");
    let (route, reason) = routed(&mut gold, &asking("auto", "hi"));
    assert_eq!(route, "b/big");
    assert!(reason.starts_with("auto rule 2 > dear"), "{reason}");
    let mut nightly = world.gateway.client("").with("x-faregate-tags", "a, job = nightly");
    assert!(routed(&mut nightly, &asking("auto", "hi")).1.starts_with("auto rule 3 > "));
    assert_eq!(world.requests(), (2, 3));
    // The provider gets its own name for the model, whatever the rules did.
    let model = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap()["model"].clone();
    let names: Vec<_> = world.b.take_captured().iter().map(|seen| model(&seen.body)).collect();
    assert_eq!(names, ["big", "big", "big"]);
}

#[test]
fn other_dialects_meet_the_same_rules() {
    let world = world(AUTO);
    let mut client = world.gateway.client("");
    let messages = json!({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let answer = client.post("/v1/messages", &messages);
    assert_eq!(
        (answer.status, answer.header("x-faregate-route")),
        (200, Some("b/big")),
        "{answer:?}"
    );
    let plain = json!({"model": "auto", "input": "hi"});
    let answer = client.post("/v1/responses", &plain);
    assert_eq!(
        (answer.status, answer.header("x-faregate-route")),
        (200, Some("a/small")),
        "{answer:?}"
    );
}

#[test]
fn the_reason_stands_in_the_access_log() {
    let world = world(AUTO);
    let answer = world.gateway.client("").post("/v1/chat/completions", &with_tools("auto"));
    let line = world.gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!(line["route_reason"], answer.header("x-faregate-route-reason").unwrap());
    assert_eq!((line["model"].as_str(), line["target"].as_str()), (Some("auto"), Some("b/big")));
}

#[test]
fn a_user_and_a_session_stick_to_their_target() {
    let canary = |sticky: &str| {
        format!(
            "[models.canary]\nstrategy = \"weight\"\nsticky = \"{sticky}\"\n\
             targets = [{{ target = \"a/x\", weight = 3 }}, {{ target = \"b/x\" }}]\n"
        )
    };
    let world = world(&canary("user"));
    let mut client = world.gateway.client("");
    let mut at_b = 0;
    for user in 0..120 {
        let mut body = asking("canary", "hi");
        body["user"] = format!("user-{user}").into();
        let (home, reason) = routed(&mut client, &body);
        assert!(reason.contains("sticky"), "{reason}");
        assert_eq!(routed(&mut client, &body).0, home, "user {user}");
        at_b += u64::from(home == "b/x");
    }
    // One of four: 30 of 120, with a standard deviation of 5.
    assert!((12..=48).contains(&at_b), "{at_b} of 120 users");
    assert!(!routed(&mut client, &asking("canary", "hi")).1.contains("sticky"), "nobody sticks");

    let sessions = world_of_sessions(&canary("session"));
    assert_eq!(sessions.len(), 2, "sessions are spread: {sessions:?}");
}

/// The targets of thirty sessions, each of which stays at its own.
fn world_of_sessions(models: &str) -> Vec<String> {
    let world = world(models);
    let mut homes = Vec::new();
    for session in 0..30 {
        let mut client = world.gateway.client("").with("x-session-id", &format!("s{session}"));
        let home = routed(&mut client, &asking("canary", "hi")).0;
        for _ in 0..3 {
            assert_eq!(routed(&mut client, &asking("canary", "other")).0, home);
        }
        if !homes.contains(&home) {
            homes.push(home);
        }
    }
    homes
}

fn both(strategy: &str) -> World {
    world(&format!("[models.m]\nstrategy = \"{strategy}\"\ntargets = [\"a/x\", \"b/x\"]\n"))
}

#[test]
fn a_slow_target_is_avoided() {
    let world = both("latency");
    world.a.set_script(&Script::parse("delay=200ms").unwrap());
    let mut client = world.gateway.client("");
    for _ in 0..40 {
        assert_eq!(client.chat("m").status, 200);
    }
    let (slow, quick) = world.requests();
    assert!(slow >= 1, "what is not known is tried");
    assert!(slow <= 4 && slow + quick == 40, "{slow} of 40 went to the slow one");
    let (route, reason) = routed(&mut client, &asking("m", "hi"));
    assert_eq!(route, "b/x");
    assert!(reason.starts_with("latency 2/2 ") && reason.ends_with(" ms"), "{reason}");
}

#[test]
fn the_busy_target_is_avoided() {
    let world = both("load");
    // Three requests hang at `a`, and as many at `b` would make it even.
    world.a.set_script(&Script::parse("stall_at=head").unwrap());
    world.b.set_script(&Script::parse("stall_at=head").unwrap());
    let hang = || {
        let mut wire = world.gateway.connect();
        let body = client::chat("m").to_string();
        wire.send(world.gateway.client("").request(
            "POST",
            "/v1/chat/completions",
            Some(body.as_bytes()),
        ));
        wire
    };
    let mut hanging = Vec::new();
    for count in 1..=6 {
        hanging.push(hang());
        wait::until_true("it has arrived", || world.requests().0 + world.requests().1 == count);
    }
    assert_eq!(world.requests(), (3, 3), "they are shared evenly");
    drop(hanging);
}

#[test]
fn requests_that_have_ended_are_no_load() {
    let world = both("load");
    let ask = |_| {
        let mut client = world.gateway.client("");
        (0..20).for_each(|_| assert_eq!(client.chat("m").status, 200));
    };
    thread::scope(|scope| {
        let crowd: Vec<_> = (0..4).map(|n| scope.spawn(move || ask(n))).collect();
        crowd.into_iter().for_each(|client| client.join().unwrap());
    });
    let quote = world.gateway.client("").post("/v1/faregate/quote", &asking("m", "hi")).json();
    for candidate in quote["candidates"].as_array().unwrap() {
        assert_eq!(candidate["under_way"], 0, "{quote}");
    }
}

#[test]
fn a_client_overrides_where_the_policy_lets_it() {
    let allowed = AUTO.replace("[models.auto]", "[models.auto]\nallow_override = true");
    let world = world(&allowed);
    let with = |name, value| world.gateway.client("").with(name, value);
    let (route, reason) = routed(&mut with("x-faregate-model", "dear"), &asking("auto", "hi"));
    assert_eq!((&*route, &*reason), ("b/big", "x-faregate-model > dear; order 1/1"));
    let (route, reason) = routed(&mut with("x-faregate-difficulty", "0.95"), &asking("auto", "hi"));
    assert_eq!(route, "b/big");
    assert!(reason.contains("(difficulty 0.95, told)"), "{reason}");
    let answer = with("x-faregate-model", "dear").chat("cheap");
    refused(&answer, 403, "model_override_not_allowed");
    assert!(answer.text().contains("allow_override"), "{answer:?}");
    refused(&with("x-faregate-model", "none").chat("auto"), 404, "model_not_found");
    refused(&with("x-faregate-difficulty", "very").chat("auto"), 400, "malformed_request");
    assert_eq!(world.requests(), (0, 2), "what is refused goes nowhere");
}

#[test]
fn rules_and_overrides_keep_within_what_a_key_may_use() {
    let rows = key::row("strict", "team = \"t\"") + &key::row("free", "");
    let world = world(&format!(
        "{}[teams.t]\nmodels = [\"auto\", \"cheap\"]\ndefault_model = \"cheap\"\n{rows}",
        AUTO.replace("[models.auto]", "[models.auto]\nallow_override = true")
    ));
    let strict = || world.gateway.client(&key::named("strict"));
    assert_eq!(
        routed(&mut strict(), &with_tools("auto")).0,
        "b/big",
        "rules are the policy's word"
    );
    refused(&strict().chat("dear"), 403, "model_not_allowed");
    refused(&strict().with("x-faregate-model", "dear").chat("auto"), 403, "model_not_allowed");
    // Unknown names and `default` mean the team's default; other callers have none.
    for name in ["default", "claude-opus-77"] {
        let (route, reason) = routed(&mut strict(), &asking(name, "hi"));
        assert_eq!((&*route, &*reason), ("a/small", "default > cheap; order 1/1"));
        refused(&world.gateway.client(&key::named("free")).chat(name), 404, "model_not_found");
    }
}

#[test]
fn a_quote_tells_the_route_and_calls_nobody() {
    let rows = key::row("k", "limits = [\"100k tokens/hour\"]");
    let world = world(&format!("{AUTO}{rows}"));
    let mut client = world.gateway.client(&key::named("k"));
    let mut body = with_tools("auto");
    body["max_tokens"] = 500.into();
    let answer = client.post("/v1/faregate/quote", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let quote = answer.json();
    assert_eq!(quote["object"], "faregate.quote");
    assert_eq!((&quote["model"], &quote["routed_model"]), (&json!("auto"), &json!("dear")));
    assert_eq!(
        quote["rules"],
        json!([{"model": "auto", "rule": 1, "when": "difficulty > 0.6 or tools", "use": "dear"}])
    );
    assert_eq!(quote["winner"], "b/big");
    assert_eq!(quote["strategy"], "order");
    assert!(quote["reason"].as_str().unwrap().starts_with("auto rule 1 > dear"), "{quote}");
    let candidate = &quote["candidates"][0];
    assert_eq!((&candidate["target"], &candidate["health"]), (&json!("b/big"), &json!("closed")));
    assert_eq!((&candidate["provider"], &candidate["model"]), (&json!("b"), &json!("big")));
    // Each feature's part, and the bias, make the difficulty.
    let difficulty = &quote["difficulty"];
    let odds: f64 =
        difficulty["log_odds"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
    let value = difficulty["value"].as_f64().unwrap();
    assert!((1.0 / (1.0 + (-odds).exp()) - value).abs() < 0.01, "{quote}");
    assert!(difficulty["log_odds"]["tools"].as_f64().unwrap() > 0.0, "{quote}");
    assert!(quote["tokens_reserved"].as_u64().unwrap() >= 500, "{quote}");
    // The header does the same on any path, and what was set aside comes back.
    let mut dry = world.gateway.client(&key::named("k")).with("x-faregate-dry-run", "true");
    let messages = json!({"model": "auto", "max_tokens": 90_000, "messages": [{"role": "user", "content": "hi"}]});
    for _ in 0..5 {
        let quote = dry.post("/v1/messages", &messages);
        assert_eq!((quote.status, &quote.json()["winner"]), (200, &json!("a/small")), "{quote:?}");
    }
    assert_eq!(world.requests(), (0, 0), "nobody was called");
    let line = world.gateway.access_line(answer.header("x-request-id").unwrap());
    assert_eq!((&line["dry_run"], &line["attempts"]), (&json!(true), &json!(0)));
}

#[test]
fn a_quote_is_refused_as_its_request_would_be() {
    let rows = key::row("k", "models = [\"cheap\"]\nlimits = [\"1k tokens/hour\"]");
    let world = world(&rows);
    let quote =
        |key: &str, body: &Value| world.gateway.client(key).post("/v1/faregate/quote", body);
    refused(&quote("", &asking("cheap", "hi")), 401, "missing_api_key");
    let key = key::named("k");
    refused(&quote(&key, &asking("dear", "hi")), 403, "model_not_allowed");
    refused(
        &quote(&key, &json!({"model": "cheap", "messages": [], "max_tokens": 5000})),
        400,
        "request_exceeds_limit",
    );
    refused(
        &world.gateway.client(&key).with("x-faregate-dry-run", "yes").chat("cheap"),
        400,
        "malformed_request",
    );
    assert_eq!(world.requests(), (0, 0));
}

#[test]
fn a_quote_names_the_target_that_stands_in() {
    let world = world(
        "[models.m]\ntargets = [\"a/x\", \"b/x\"]\n[retries]\nattempts = 1\n[breaker]\nfailures = 2\nopen = \"60s\"\n",
    );
    world.a.set_script(&Script::parse("status=500").unwrap());
    let mut client = world.gateway.client("");
    (0..2).for_each(|_| assert_eq!(client.chat("m").status, 500));
    let quote = client.post("/v1/faregate/quote", &asking("m", "hi")).json();
    assert_eq!(
        (&quote["winner"], &quote["candidates"][0]["health"]),
        (&json!("b/x"), &json!("open"))
    );
    assert_eq!(quote["reason"], "order 2/2: a/x open");
    let (route, reason) = routed(&mut client, &asking("m", "hi"));
    assert_eq!((&*route, &*reason), ("b/x", "order 2/2: a/x open"), "and that is where it goes");
}

#[test]
fn what_a_rule_says_of_health_holds_while_it_is_so() {
    let world = world(
        "[models.m]\nroute = [{ when = \"healthy('a/small')\", use = \"cheap\" }, { use = \"dear\" }]\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 2\nopen = \"300ms\"\n",
    );
    let mut client = world.gateway.client("");
    assert_eq!(routed(&mut client, &asking("m", "hi")).0, "a/small");
    world.a.set_script(&Script::parse("status=500").unwrap());
    (0..2).for_each(|_| assert_eq!(client.chat("cheap").status, 500));
    assert_eq!(routed(&mut client, &asking("m", "hi")).0, "b/big");
    world.a.set_script(&Script::default());
    wait::until_true("it is back", || routed(&mut client, &asking("m", "hi")).0 == "a/small");
}

#[test]
fn a_reload_changes_rules_and_keeps_what_is_known_of_targets() {
    let world = both("latency");
    world.a.set_script(&Script::parse("delay=300ms").unwrap());
    let mut client = world.gateway.client("");
    for _ in 0..4 {
        assert_eq!(client.chat("m").status, 200);
    }
    let before = (world.gateway.generation(), world.requests().0);
    assert!(before.1 >= 1);
    world.gateway.write(&format!(
        "[providers.a]\nbase_url = \"{}\"\n[providers.b]\nbase_url = \"{}\"\n\
         [models.n]\nstrategy = \"latency\"\ntargets = [\"a/x\", \"b/x\"]\n[models.m]\nroute = [{{ use = \"n\" }}]\n",
        world.a.base_url(),
        world.b.base_url()
    ));
    world.gateway.wait_generation_after(before.0);
    for _ in 0..10 {
        let (route, reason) = routed(&mut client, &asking("m", "hi"));
        assert_eq!(route, "b/x", "the slow one is still known to be slow");
        assert!(reason.starts_with("m rule 1 > n; latency 2/2"), "{reason}");
    }
    assert_eq!(world.requests().0, before.1);
}

#[test]
fn check_shows_what_is_wrong_with_a_rule_with_carets() {
    let folder = Folder::new();
    folder.write(
        "faregate.toml",
        "[providers.a]\nbase_url = \"http://127.0.0.1:1\"\n[models.cheap]\ntargets = [\"a/x\"]\n[models.auto]\n\
         route = [\n  { when = \"tools and dificulty > 0.7\", use = \"cheap\" },\n  \
         { when = \"team > 'a'\", use = \"cheep\" },\n  { use = \"cheap\" },\n]\n",
    );
    let output =
        binary::command(&["check", "faregate.toml"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = report.lines().collect();
    let at = lines.iter().position(|line| line.contains("there is no `dificulty`")).unwrap();
    assert!(lines[at].contains("faregate.toml:7:23:"), "{report}");
    assert_eq!(lines[at + 2].find("dificulty"), lines[at + 3].find("^^^^^^^^^"), "{report}");
    for words in
        ["did you mean `difficulty`?", "`>` compares numbers", "nothing answers to model `cheep`"]
    {
        assert!(report.contains(words), "{words} in\n{report}");
    }
}
