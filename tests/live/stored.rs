//! Responses that providers store: whose they are, and where.
//!
//! The provider keeps what it answers and refuses what it does not know, as the real one does; two of them are of one model,
//! by lot, so that a turn which went to the wrong one would fail.

use faregate_tests::{Answer, Client, Gateway, Launch, Provider, key, program, provider, wait};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// Two providers of a model `m`, by lot, a model of each alone, and further tables.
fn policy(a: &Provider, b: &Provider, rest: &str) -> String {
    let speaks = "speaks = [\"responses\"]";
    format!(
        "[providers.a]\nbase_url = \"{}\"\n{speaks}\n[providers.b]\nbase_url = \"{}\"\n{speaks}\n\
         [models.m]\nstrategy = \"weighted\"\ntargets = [\"a/one\", \"b/two\"]\n\
         [models.at-a]\ntargets = [\"a/one\"]\n[models.at-b]\ntargets = [\"b/two\"]\n\
         [retries]\nbackoff = \"1ms\"\n{rest}",
        a.base_url(),
        b.base_url(),
    )
}

/// The keys of two callers.
fn keys() -> String {
    key::row("one", "team = \"t\"") + &key::row("two", "team = \"t\"") + "[teams.t]\n"
}

struct World {
    a: Provider,
    b: Provider,
    gateway: Gateway,
}

/// Both providers, and a gateway for two keys; `server` are further lines of its table.
fn world(server: &str) -> World {
    let (a, b) = (provider(), provider());
    let gateway = Launch::new(policy(&a, &b, &keys())).server(server).start();
    World { a, b, gateway }
}

impl World {
    fn client(&self, name: &str) -> Client {
        self.gateway.client(&key::named(name))
    }

    fn reached(&self) -> u64 {
        self.a.counters().requests() + self.b.counters().requests()
    }
}

fn ask(client: &mut Client, body: Value) -> Answer {
    client.post("/v1/responses", &body)
}

fn first(client: &mut Client, model: &str) -> String {
    let answer = ask(client, json!({"model": model, "input": "hi"}));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/responses/{id}")
}

/// It is refused as one that is not known, and nothing of it has reached a provider.
#[track_caller]
fn check_unknown(world: &World, answer: &Answer, before: u64) {
    assert_eq!((answer.status, answer.code()), (404, "response_not_found".to_owned()));
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(world.reached(), before, "a provider was asked");
}

#[test]
fn a_stored_response_is_its_own_keys_alone() {
    let world = world("");
    let (mut one, mut two) = (world.client("one"), world.client("two"));
    for stream in [false, true] {
        let id = match stream {
            false => first(&mut one, "m"),
            true => {
                let answer = ask(&mut one, json!({"model": "m", "input": "hi", "stream": true}));
                let line = answer.text().lines().find_map(|line| line.strip_prefix("data: "));
                let event: Value = serde_json::from_str(line.unwrap()).unwrap();
                assert_eq!(event["type"], "response.created");
                event["response"]["id"].as_str().unwrap().to_owned()
            }
        };
        let before = world.reached();
        let missing = two.get(&path("resp_0")).text().replace("resp_0", &id);
        for (method, part) in [
            ("GET", ""),
            ("GET", "?stream=true"),
            ("DELETE", ""),
            ("GET", "/input_items"),
            ("POST", "/cancel"),
            ("POST", "/anything"),
            ("PUT", ""),
        ] {
            let body = (method == "POST").then_some(&b"{\"model\":\"at-a\"}"[..]);
            let answer = two.send(method, &(path(&id) + part), body);
            check_unknown(&world, &answer, before);
            if method == "GET" && part.is_empty() {
                let plain = |text: &str| {
                    let mut error: Value = serde_json::from_str(text).unwrap();
                    error["error"].as_object_mut().unwrap().retain(|name, _| name != "request_id");
                    error
                };
                assert_eq!(plain(answer.text()), plain(&missing), "it tells that there is one");
            }
        }
        let own = one.get(&path(&id));
        assert_eq!((own.status, own.json()["id"].as_str()), (200, Some(&*id)));
        let items = one.get(&format!("{}/input_items", path(&id)));
        assert_eq!(items.json()["data"][0]["content"][0]["text"], "hi");
        let cancelled = one.send("POST", &format!("{}/cancel", path(&id)), Some(b""));
        assert_eq!((cancelled.status, cancelled.code()), (400, "synchronous_response".to_owned()));
    }
}

#[test]
fn nobody_goes_on_from_what_another_key_stored() {
    let world = world("");
    let (mut one, mut two) = (world.client("one"), world.client("two"));
    let id = first(&mut one, "m");
    let before = world.reached();
    for (at, more) in [
        ("/v1/responses", json!({})),
        ("/v1/responses", json!({"stream": true, "store": false})),
        ("/v1/responses/input_tokens", json!({})),
        ("/v1/responses/compact", json!({})),
        ("/v1/Responses/Compact/", json!({})),
    ] {
        let mut body = json!({"model": "at-a", "input": "x", "previous_response_id": id});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        let answer = two.post(at, &body);
        let code = "previous_response_not_found".to_owned();
        assert_eq!((answer.status, answer.code()), (400, code), "{at}: {answer:?}");
        assert_eq!(answer.json()["error"]["param"], "previous_response_id", "{at}");
    }
    // Neither a body said to be something else, nor a name with escapes, nor one of two names, hides it.
    let id_with_escape = id.replacen('r', "\\u0072", 1);
    let bodies = [
        format!("{{\"model\":\"at-a\",\"input\":\"x\",\"previous_response_id\":\"{id}\"}}"),
        format!(
            "{{\"model\":\"at-a\",\"input\":\"x\",\"previous_response_id\":\"{id_with_escape}\"}}"
        ),
        format!("{{\"model\":\"at-a\",\"input\":\"x\",\"previous\\u005fresponse_id\":\"{id}\"}}"),
        format!(
            "{{\"model\":\"at-a\",\"input\":\"x\",\"previous_response_id\":null,\"previous_response_id\":\"{id}\"}}"
        ),
        format!("{{\"model\":\"at-a\",\"input\":\"x\",\"previous_response_id\":[\"{id}\"]}}"),
    ];
    for kind in ["application/json", "text/plain", "application/x-ndjson"] {
        let mut two = world.client("two").with("content-type", kind);
        for body in &bodies {
            for at in ["/v1/responses", "/v1/responses/input_tokens"] {
                let answer = two.send("POST", at, Some(body.as_bytes()));
                assert_eq!(answer.status, 400, "{kind} {at} {body}: {answer:?}");
            }
        }
    }
    assert_eq!(world.reached(), before, "a provider was asked");
}

#[test]
fn no_spelling_of_the_path_leads_to_what_another_key_stored() {
    // Unknown responses pass, so a spelling that is not taken for the known one would reach the provider.
    let world = world("unknown_responses = \"pass\"");
    let mut one = world.client("one");
    let id = first(&mut one, "at-a");
    let upper = id.to_ascii_uppercase();
    let encoded = id.replace('_', "%5F");
    let before = world.reached();
    for path in [
        format!("/v1/responses/{id}"),
        format!("/v1/responses/{id}/"),
        format!("/v1/responses/{id}?x=1"),
        format!("/v1/responses/{upper}"),
        format!("/v1/Responses/{id}"),
        format!("/v1/RESPONSES/{id}/input_items"),
        format!("/v1/responses/{encoded}"),
        format!("/v1/responses/%20{id}"),
        format!("/v1/responses//{id}"),
        format!("/v1//responses/{id}"),
        format!("/v1/./responses/{id}"),
        format!("/v1/files/../responses/{id}"),
        format!("/v1/responses/x/../{id}"),
        format!("/v1/responses/{id}/..;/{id}"),
        format!("/v1/responses%2F{id}"),
        format!("/v1/responses\\{id}"),
        format!("/v1/resp%6Fnses/{id}"),
        format!("/openai/v1/responses/{id}"),
        format!("/openai/responses/{id}?api-version=1"),
        format!("/openai/deployments/one/responses/{id}"),
        format!("/v1/v1/responses/{id}"),
        format!("/anthropic/v1/responses/{id}"),
        format!("/v1beta/responses/{id}"),
        format!("/v1beta/openai/responses/{id}"),
        format!("/gemini/v1/responses/{id}"),
        format!("/api/v1/responses/{id}"),
        format!("/responses/{id}"),
    ] {
        for provider in ["", "a", "b"] {
            let mut two = match provider {
                "" => world.client("two"),
                name => world.client("two").with("x-faregate-provider", name),
            };
            for method in ["GET", "DELETE", "POST"] {
                let body = (method == "POST").then_some(&b"{}"[..]);
                // A path with a backslash ends the connection.
                let Ok(answer) = two.try_send(method, &path, body) else { continue };
                assert!(matches!(answer.status, 400 | 404), "{method} {path}: {answer:?}");
            }
        }
    }
    assert_eq!(world.reached(), before, "a provider was asked");
    assert_eq!(one.get(&format!("/v1/responses/{id}")).status, 200, "it is still there");
}

#[test]
fn turns_stay_at_the_target_that_made_the_first() {
    let world = world("");
    let mut client = world.client("one");
    let mut routes = std::collections::BTreeSet::new();
    for conversation in 0..12 {
        let answer = ask(&mut client, json!({"model": "m", "input": "hi"}));
        let route = answer.header("x-faregate-route").unwrap().to_owned();
        let mut id = answer.json()["id"].as_str().unwrap().to_owned();
        for turn in 0..8 {
            let stream = turn % 2 == 1;
            let body = json!({
                "model": "m", "input": format!("turn {turn}"), "previous_response_id": id,
                "stream": stream,
            });
            let answer = ask(&mut client, body);
            assert_eq!(answer.status, 200, "{conversation}/{turn}: {answer:?}");
            assert_eq!(answer.header("x-faregate-route"), Some(&*route), "{conversation}/{turn}");
            let response = match stream {
                false => answer.json(),
                true => {
                    let lines = answer.text().lines();
                    let last = lines.filter_map(|line| line.strip_prefix("data: ")).next_back();
                    serde_json::from_str::<Value>(last.unwrap()).unwrap()["response"].clone()
                }
            };
            assert_eq!(response["previous_response_id"], *id);
            id = response["id"].as_str().unwrap().to_owned();
        }
        let got = client.get(&path(&id));
        assert_eq!(got.status, 200, "asked for where it is: {got:?}");
        routes.insert(route);
    }
    assert_eq!(routes.len(), 2, "both targets had conversations: {routes:?}");
    assert_eq!(world.a.counters().breached() + world.b.counters().breached(), 0);
}

#[test]
fn another_model_is_no_way_to_a_provider_that_cannot_know_the_response() {
    let world = world("");
    let mut client = world.client("one");
    let id = first(&mut client, "at-a");
    let before = world.b.counters().requests();
    let answer =
        ask(&mut client, json!({"model": "at-b", "input": "x", "previous_response_id": id}));
    assert_eq!((answer.status, answer.code()), (400, "previous_response_not_found".to_owned()));
    assert!(answer.text().contains("at-b"), "{answer:?}");
    // Where its target fails, the turn fails: nobody else can go on.
    world.a.set_script(&Script::parse("status=503").unwrap());
    let answer = ask(&mut client, json!({"model": "m", "input": "x", "previous_response_id": id}));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("x-faregate-route"), Some("a/one"));
    assert_eq!(world.b.counters().requests(), before);
}

#[test]
fn what_was_deleted_is_gone_for_its_own_key_too() {
    let world = world("");
    let mut client = world.client("one");
    let id = first(&mut client, "m");
    // To delete what is part of it is nothing that the provider does.
    assert_eq!(client.send("DELETE", &format!("{}/input_items", path(&id)), None).status, 405);
    assert_eq!(client.get(&path(&id)).status, 200);
    let deleted = client.send("DELETE", &path(&id), None);
    assert_eq!((deleted.status, &deleted.json()["deleted"]), (200, &json!(true)));
    let before = world.reached();
    check_unknown(&world, &client.get(&path(&id)), before);
    check_unknown(&world, &client.send("DELETE", &path(&id), None), before);
    let body = json!({"model": "m", "input": "x", "previous_response_id": id});
    assert_eq!(ask(&mut client, body).code(), "previous_response_not_found");
    assert_eq!(world.reached(), before);
}

#[test]
fn what_was_not_to_be_stored_is_not_known() {
    let world = world("");
    let mut client = world.client("one");
    let answer = ask(&mut client, json!({"model": "m", "input": "hi", "store": false}));
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let before = world.reached();
    check_unknown(&world, &client.get(&path(&id)), before);
}

#[test]
fn what_is_made_in_the_background_is_asked_for_and_cancelled_where_it_is() {
    let world = world("");
    let mut client = world.client("one");
    for model in ["at-a", "at-b"] {
        let answer = ask(&mut client, json!({"model": model, "input": "hi", "background": true}));
        assert_eq!(answer.json()["status"], "queued", "{answer:?}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(client.get(&path(&id)).json()["status"], "completed");
        let cancelled = client.send("POST", &format!("{}/cancel", path(&id)), Some(b""));
        assert_eq!(cancelled.json()["status"], "cancelled", "{cancelled:?}");
    }
}

#[test]
fn an_own_response_needs_no_leave_for_everything_else() {
    let (a, b) = (provider(), provider());
    let narrow = key::row("one", "models = [\"m\"]") + &key::row("two", "");
    let gateway = Launch::new(policy(&a, &b, &narrow)).server("passthrough = \"a\"").start();
    let mut client = gateway.client(&key::named("one"));
    let id = first(&mut client, "m");
    assert_eq!(client.get(&path(&id)).status, 200);
    assert_eq!(client.get("/v1/files").status, 403, "which other paths ask for");
    assert_eq!(client.send("DELETE", &path(&id), None).status, 200);
}

#[test]
fn unknown_responses_pass_as_the_policy_says() {
    for (server, keys, passes) in [
        ("", keys(), false),
        ("", String::new(), true),
        ("", key::row("one", ""), true),
        ("unknown_responses = \"pass\"", keys(), true),
        ("unknown_responses = \"refuse\"", String::new(), false),
    ] {
        let (a, b) = (provider(), provider());
        let rest = format!("passthrough = \"a\"\n{server}");
        // The first gateway has made the response; the second knows nothing of it.
        let policy = policy(&a, &b, &keys);
        let maker = Launch::new(policy.clone()).server(&rest).start();
        let id = first(&mut maker.client(&key::named("one")), "at-a");
        let gateway = Launch::new(policy).server(&rest).start();
        let mut client = gateway.client(&key::named("one"));
        let answer = client.get(&path(&id));
        let body = json!({"model": "at-a", "input": "x", "previous_response_id": id});
        let turn = ask(&mut client, body);
        let expected = if passes { (200, 200) } else { (404, 400) };
        assert_eq!((answer.status, turn.status), expected, "{server:?} {keys:?}: {answer:?}");
        if !passes {
            assert!(answer.text().contains("server.unknown_responses"), "{answer:?}");
        }
    }
}

/// Neither a clean end nor one by force costs a caller what is stored, and no other caller gains it.
#[test]
fn a_restart_keeps_what_is_stored() {
    let mut world = world("");
    let deleted = first(&mut world.client("one"), "at-a");
    assert_eq!(world.client("one").send("DELETE", &path(&deleted), None).status, 200);
    let mut ids = Vec::new();
    // Two lines of the one that is gone, then one of each that is made.
    for (is_killed, noted) in [(false, 4), (true, 7)] {
        ids.extend([
            first(&mut world.client("one"), "at-a"),
            first(&mut world.client("one"), "at-b"),
        ]);
        match is_killed {
            true => {
                let file = world.gateway.folder.join("data/responses");
                let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
                wait::until_true("all are noted", || lines() == noted);
                world.gateway.kill();
            }
            false => assert!(world.gateway.stop().success()),
        }
        world.gateway.start_again();
        for id in &ids {
            assert_eq!(world.client("one").get(&path(id)).status, 200);
            let before = world.reached();
            check_unknown(&world, &world.client("two").get(&path(id)), before);
        }
        let before = world.reached();
        check_unknown(&world, &world.client("one").get(&path(&deleted)), before);
        let turn = json!({"model": "m", "input": "x", "previous_response_id": ids[0]});
        assert_eq!(ask(&mut world.client("one"), turn).status, 200);
    }
    assert!(world.gateway.stop().success());
}

#[test]
fn stored_responses_are_noted_nowhere_where_the_policy_says_so() {
    let mut world = world("responses_file = \"off\"");
    let id = first(&mut world.client("one"), "at-a");
    assert!(world.gateway.stop().success());
    world.gateway.start_again();
    let before = world.reached();
    check_unknown(&world, &world.client("one").get(&path(&id)), before);
    assert!(!world.gateway.folder.join("data/responses").exists());
}

#[test]
fn a_policy_that_is_read_again_keeps_what_is_stored() {
    let world = world("");
    let mut client = world.client("one");
    let ids = [first(&mut client, "at-a"), first(&mut client, "at-b")];
    let before = world.gateway.generation();
    // The providers change their places in the file, and with them their numbers.
    let again = policy(&world.a, &world.b, &keys());
    let (start, rest) = again.split_at(again.find("[providers.b]").unwrap());
    let (of_b, rest) = rest.split_at(rest.find("[models.m]").unwrap());
    world.gateway.replace(&format!("{of_b}{start}{rest}"));
    world.gateway.wait_generation_after(before);
    for id in &ids {
        assert_eq!(client.get(&path(id)).status, 200);
    }
    assert_eq!(world.client("two").get(&path(&ids[0])).status, 404);
    // A provider that is gone takes its responses with it.
    let before = world.gateway.generation();
    let text = format!("{start}[models.at-a]\ntargets = [\"a/one\"]\n{}", keys());
    world.gateway.replace(&text);
    world.gateway.wait_generation_after(before);
    assert_eq!(client.get(&path(&ids[0])).status, 200);
    assert_eq!(client.get(&path(&ids[1])).code(), "response_not_found");
}

#[test]
fn a_place_of_several_keeps_its_own_responses() {
    let (a, b) = (provider(), provider());
    let text = format!(
        "[providers.p]\nreplicas = [\"{}\", \"{}\"]\nspeaks = [\"responses\"]\n\
         [models.m]\ntargets = [\"p/one\"]\n{}",
        a.base_url(),
        b.base_url(),
        keys()
    );
    let gateway = Launch::new(text).start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..12 {
        let mut id = first(&mut client, "m");
        for _ in 0..3 {
            assert_eq!(client.get(&path(&id)).status, 200);
            let body = json!({"model": "m", "input": "x", "previous_response_id": id});
            let answer = ask(&mut client, body);
            assert_eq!(answer.status, 200, "{answer:?}");
            id = answer.json()["id"].as_str().unwrap().to_owned();
        }
    }
    wait::until_true("both were asked", || {
        a.counters().requests() > 0 && b.counters().requests() > 0
    });
}

#[test]
fn a_provider_of_another_dialect_stores_nothing() {
    let a = provider();
    let text = format!(
        "[providers.a]\nbase_url = \"{}\"\n[models.m]\ntargets = [\"a/one\"]\n{}",
        a.base_url(),
        keys()
    );
    let gateway = Launch::new(text).start();
    let mut client = gateway.client(&key::named("one"));
    let answer = ask(&mut client, json!({"model": "m", "input": "hi"}));
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&path(&id)).code(), "response_not_found");
    let body = json!({"model": "m", "input": "x", "previous_response_id": id});
    let answer = ask(&mut client, body);
    assert_eq!((answer.status, answer.code()), (400, "previous_response_not_found".to_owned()));
}

/// A gateway for the SDKs: two keys, two providers by lot.
fn check_sdk(command: &mut std::process::Command) {
    let world = world("");
    let output = program::run(
        command
            .env("BASE_URL", format!("http://{}/v1", world.gateway.address))
            .env("KEY", key::named("one"))
            .env("OTHER_KEY", key::named("two")),
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.trim_end().ends_with("all good"), "{printed}");
    assert_eq!(world.a.counters().breached() + world.b.counters().breached(), 0);
}

#[test]
fn python() {
    let Some(mut command) = program::python("openai-python", "openai") else { return };
    check_sdk(command.arg(program::sdk_script("stored_python.py")));
}

#[test]
fn node() {
    let Some((mut command, modules)) = program::node("openai-node", "openai") else { return };
    let script = program::sdk_script("stored_node.mjs");
    check_sdk(command.arg(script).env("MODULES", modules));
}
