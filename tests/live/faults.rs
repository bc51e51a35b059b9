//! What goes wrong around the gateway: few descriptors, slow clients, dead machines, names that are not there.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use faregate_tests::{Gateway, Launch, Provider, Wire, client, gateway, provider, wait};
use loadtest::provider::Script;

fn health(gateway: &Gateway) -> Result<u16, String> {
    let mut wire = Wire::try_connect(gateway.address).map_err(|error| error.to_string())?;
    wire.patience(Duration::from_millis(200));
    wire.try_send(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n").map_err(|error| error.to_string())?;
    wire.try_answer().map(|answer| answer.status)
}

#[test]
fn without_descriptors_new_clients_are_told_and_the_rest_goes_on() {
    let provider = provider();
    let gateway = Launch::open(&provider).server("cores = 1").descriptors(96).start();
    let mut known = gateway.client("");
    assert_eq!(known.chat("m").status, 200);
    let mut crowd: Vec<Wire> = (0..150).map(|_| gateway.connect()).collect();
    let told = wait::until("some are told that there is no room", || {
        crowd.iter_mut().position(|wire| wire.arrived() > 0)
    });
    let answer = crowd[told].answer();
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!(known.get("/health").status, 200, "who is connected is served");
    let before = gateway.process().cpu_ticks();
    wait::pass(Duration::from_millis(500));
    let spent = gateway.process().cpu_ticks() - before;
    assert!(spent <= 15, "{spent} ticks of 10 ms in half a second: it spins");
    drop(crowd);
    wait::until_true("there is room again", || health(&gateway) == Ok(200));
    assert_eq!(known.chat("m").status, 200);
}

#[test]
fn a_request_may_come_byte_by_byte_and_so_may_its_answer() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut body = client::chat("m");
    body["sim"] = "split=1; split_wait=10us; framing=chunked; chunk_bytes=3".into();
    let request = gateway.client("").request(
        "POST",
        "/v1/chat/completions",
        Some(body.to_string().as_bytes()),
    );
    let mut wire = gateway.connect();
    for _ in 0..2 {
        wire.send_pieces(request.chunks(1));
        let answer = wire.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["usage"]["completion_tokens"], 16);
    }
    assert!(provider.take_captured().iter().all(|got| got.body == body.to_string().as_bytes()));
}

#[test]
fn a_crowd_of_slow_clients_keeps_nobody_else_waiting() {
    const CROWD: u64 = 500;
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    assert_eq!(gateway.client("").chat("m").status, 200);
    let before = gateway.process().rss_kib();
    let mut crowd: Vec<Wire> = (0..CROWD).map(|_| gateway.connect()).collect();
    for wire in &mut crowd {
        wire.send(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n",
        );
    }
    let mut healthy = gateway.client("");
    for _ in 0..50 {
        assert_eq!(healthy.chat("m").status, 200);
        for wire in crowd.iter_mut().take(20) {
            wire.send("x: y\r\n");
        }
    }
    let grown = gateway.process().rss_kib().saturating_sub(before);
    // Tasks are larger where nothing is optimised.
    assert!(grown <= CROWD * 16 + 1024, "{grown} KiB more for {CROWD} unfinished heads");
}

#[test]
fn slow_bodies_cost_what_has_arrived_and_not_what_was_promised() {
    const CROWD: u64 = 100;
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    assert_eq!(gateway.client("").chat("m").status, 200);
    let before = gateway.process().rss_kib();
    let mut crowd: Vec<Wire> = (0..CROWD).map(|_| gateway.connect()).collect();
    for wire in &mut crowd {
        wire.send(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n",
        );
        wire.send("content-length: 30000000\r\n\r\n{\"model\":\"m\",\"x\":\"");
    }
    assert_eq!(gateway.client("").chat("m").status, 200);
    let grown = gateway.process().rss_kib().saturating_sub(before);
    assert!(grown <= CROWD * 72 + 1024, "{grown} KiB more for {CROWD} bodies of a few bytes");
}

/// A gateway whose provider has these places.
fn replicas(urls: &[String]) -> Gateway {
    Launch::new(format!(
        "[providers.fleet]\nreplicas = {urls:?}\n[models.\"*\"]\ntargets = [\"fleet/*\"]\n"
    ))
    .start()
}

#[test]
fn the_places_of_a_provider_take_turns() {
    let places: Vec<Provider> = (0..3).map(|_| provider()).collect();
    let urls: Vec<String> = places.iter().map(Provider::base_url).collect();
    let gateway = replicas(&urls);
    let mut client = gateway.client("");
    for _ in 0..150 {
        assert_eq!(client.chat("m").status, 200);
    }
    for place in &places {
        let share = place.counters().requests();
        assert!((20..=90).contains(&share), "{share} of 150");
    }
}

/// With one of three places out of order, nobody notices.
fn check_one_of_three(broken: &str, script: Option<&str>) {
    let places: Vec<Provider> = (0..2).map(|_| provider()).collect();
    let mut urls: Vec<String> = places.iter().map(Provider::base_url).collect();
    urls.insert(1, broken.to_owned());
    let gateway = replicas(&urls);
    let mut client = gateway.client("");
    let failed = (0..300).filter(|_| client.chat("m").status != 200).count();
    assert_eq!(failed, 0, "of 300 requests with one of three places broken ({script:?})");
}

#[test]
fn a_place_that_is_not_there_is_avoided() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    check_one_of_three(&nobody, None);
}

#[test]
fn a_place_that_fails_is_avoided() {
    let failing = provider();
    failing.set_script(&Script::parse("status=500").unwrap());
    check_one_of_three(&failing.base_url(), Some("status=500"));
}

#[test]
fn a_name_that_is_not_there_is_said_and_keeps_nobody_waiting() {
    let there = provider();
    let gateway = Launch::new(format!(
        "{}[providers.gone]\nbase_url = \"http://does-not-exist.invalid:80/v1\"\n[models.gone]\ntargets = [\"gone/m\"]\n\
         [providers.gone.deadlines]\nconnect = \"3s\"\n[retries]\nattempts = 1\n",
        gateway::sim(&there)
    ))
    .start();
    thread::scope(|scope| {
        let gone = scope.spawn(|| gateway.client("").chat("gone"));
        let mut client = gateway.client("");
        for _ in 0..20 {
            let begun = Instant::now();
            assert_eq!(client.chat("m").status, 200);
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
        let answer = gone.join().unwrap();
        let code = answer.code();
        assert!(
            matches!(code.as_str(), "upstream_name_failed" | "upstream_connect_timeout"),
            "{answer:?}"
        );
    });
}

#[test]
fn connections_are_spread_over_the_cores() {
    let provider = provider();
    let gateway = Launch::open(&provider).server("cores = 2").start();
    let mut wires: Vec<Wire> = (0..64).map(|_| gateway.connect()).collect();
    for wire in &mut wires {
        wire.send("GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
        assert_eq!(wire.answer().status, 200);
    }
    let metrics = gateway.metrics();
    for core in ["core=\"0\"", "core=\"1\""] {
        let open = metrics.sum("faregate_connections", &[core]);
        assert!((16.0..=48.0).contains(&open), "{open} of 64 on {core}");
    }
}

#[test]
fn the_fields_of_a_provider_are_sent_with_every_request() {
    let provider = provider();
    let policy = gateway::sim(&provider).replace(
        "[models",
        "headers = { \"OpenAI-Organization\" = \"env:ORG\", \"X-Team\" = \"platform\" }\napi_key = \"env:THE_KEY\"\n[models",
    );
    let gateway =
        Launch::new(policy).variable("ORG", "org-1").variable("THE_KEY", "sk-theirs").start();
    let mut client = gateway.client("").with("openai-organization", "mine").with("x-team", "mine");
    assert_eq!(client.chat("m").status, 200);
    assert_eq!(client.get("/v1/batches").status, 200);
    for captured in provider.take_captured() {
        assert_eq!(captured.header("openai-organization"), Some("org-1"));
        assert_eq!(captured.header("x-team"), Some("platform"));
        assert_eq!(captured.header("authorization"), Some("Bearer sk-theirs"));
        let twice = captured.headers.iter().filter(|(name, _)| name == "x-team").count();
        assert_eq!(twice, 1, "the client's own field does not come beside it");
    }
}
