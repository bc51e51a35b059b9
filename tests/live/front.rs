//! The front door: HTTP/1.1 as strict as it must be, so that no two parties see two different requests.
//!
//! Rules: <https://www.rfc-editor.org/rfc/rfc9112>, <https://www.rfc-editor.org/rfc/rfc9110>.

use std::time::Duration;

use faregate_tests::{Gateway, Launch, Provider, Wire, client, gateway, key, provider, wait};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const HOST: &str = "host: g\r\ncontent-type: application/json\r\n";

/// A chat whose head has these lines and whose body, framing included, is this.
fn post(lines: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\n{HOST}{lines}\r\n{body}")
}

fn whole() -> String {
    post(&format!("content-length: {}\r\n", BODY.len()), BODY)
}

/// The request is refused with one of these statuses, the connection ends, and what stood behind it is no request.
fn check_refused(gateway: &Gateway, provider: &Provider, request: &str, statuses: &[u16]) {
    let before = provider.counters().requests();
    let mut wire = gateway.connect();
    let _ = wire.try_send(request.as_bytes());
    let _ = wire.try_send(b"GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n");
    let shown = &request[..request.len().min(200)];
    let answer = wire.try_answer().unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert!(statuses.contains(&answer.status), "{shown:?}: {answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
    assert!(wire.is_closed(), "{shown:?}: nothing more is answered");
    assert_eq!(provider.counters().requests(), before, "{shown:?} reached the provider");
    let error = &answer.json()["error"];
    assert!(error["message"].is_string() && error["code"].is_string(), "{shown:?}: {error}");
}

#[test]
fn what_has_two_readings_is_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let length = format!("content-length: {}\r\n", BODY.len());
    let chunked = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let te = |value: &str| format!("transfer-encoding: {value}\r\n");
    let refused = |request: String| check_refused(&gateway, &provider, &request, &[400]);

    refused(post(&format!("{length}{}", te("chunked")), &chunked));
    refused(post(&format!("{}{length}", te("chunked")), &chunked));
    refused(post(&format!("{length}{length}"), BODY));
    refused(post(&format!("{length}content-length: 5\r\n"), BODY));
    for value in [
        "+5",
        "-5",
        "0x5",
        "5_0",
        "5, 5",
        "5,6",
        "",
        "99999999999999999999999",
        "5 5",
        "5\t5",
        "5;x",
    ] {
        refused(post(&format!("content-length: {value}\r\n"), "hello"));
    }
    for name in
        ["transfer-encoding ", "transfer-encoding\t", " transfer-encoding", "content-length "]
    {
        refused(post(&format!("{name}: chunked\r\n"), &chunked));
    }
    refused(post("x: 1\r\n folded\r\n", ""));
    refused(post("x: a\nb: c\r\n", ""));
    refused(post("x: a\rb\r\n", ""));
    refused(post("x: a\0b\r\n", ""));
    refused("GET /v1/models HTTP/1.1\nhost: g\n\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\n\r\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\nhost: g\r\nhost: g\r\n\r\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\nhost: g\r\nhost: h\r\n\r\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\nhost: x/#@y\r\n\r\n".to_owned());
    refused("GET  /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned());
    refused("GET /v1/mo dels HTTP/1.1\r\nhost: g\r\n\r\n".to_owned());
    refused("G@T /v1/models HTTP/1.1\r\nhost: g\r\n\r\n".to_owned());
    refused("GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n".to_owned());
    refused("POST /v1/chat/completions HTTP/1.0\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned());
}

#[test]
fn transfer_codings_other_than_one_chunked_are_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let chunked = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    for value in [
        "xchunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "\"chunked\"",
        "chunked;q=1",
        "chunked,",
        "\u{b}chunked",
        "chunke\u{17f}",
        "",
    ] {
        let request = post(&format!("transfer-encoding: {value}\r\n"), &chunked);
        check_refused(&gateway, &provider, &request, &[400, 501]);
    }
    let twice = post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", &chunked);
    check_refused(&gateway, &provider, &twice, &[400]);
    let mut wire = gateway.connect();
    wire.send(post("Transfer-Encoding: CHUNKED\r\n", &chunked));
    assert_eq!(wire.answer().status, 200, "the name of the coding has no case");
}

#[test]
fn broken_chunks_are_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for body in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nx",
        "g\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nx: a\nb\r\n\r\n",
    ] {
        check_refused(&gateway, &provider, &post("transfer-encoding: chunked\r\n", body), &[400]);
    }
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5000));
    check_refused(&gateway, &provider, &post("transfer-encoding: chunked\r\n", &long), &[400]);
    let trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "x: y\r\n".repeat(2000));
    check_refused(
        &gateway,
        &provider,
        &post("transfer-encoding: chunked\r\n", &trailers),
        &[400, 431],
    );
}

#[test]
fn chunks_with_extensions_and_trailers_pass_without_them() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let (a, b) = BODY.split_at(7);
    let body = format!(
        "{:X};name=value\r\n{a}\r\n000{:x} \r\n{b}\r\n0;last\r\nContent-Length: 5\r\nAuthorization: Bearer x\r\nx-trailer: 1\r\n\r\n",
        a.len(),
        b.len()
    )
    .replace(" \r\n", "\r\n");
    let mut wire = gateway.connect();
    wire.send(post("transfer-encoding: chunked\r\ntrailer: x-trailer\r\n", &body));
    assert_eq!(wire.answer().status, 200);
    let captured = &provider.take_captured()[0];
    assert_eq!(captured.body, BODY.as_bytes());
    assert!(captured.header("authorization").is_none() && captured.header("x-trailer").is_none());
    assert!(captured.header("trailer").is_none());
    assert_eq!(provider.counters().breached(), 0);
    wire.send(whole());
    assert_eq!(wire.answer().status, 200, "the next request begins where the trailers end");
}

#[test]
fn heads_have_limits() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let get = |path: &str, lines: &str| format!("GET {path} HTTP/1.1\r\nhost: g\r\n{lines}\r\n");
    check_refused(
        &gateway,
        &provider,
        &get("/v1/models", &format!("x: {}\r\n", "y".repeat(70_000))),
        &[431],
    );
    check_refused(&gateway, &provider, &get("/v1/models", &"x: y\r\n".repeat(300)), &[431]);
    check_refused(&gateway, &provider, &get(&format!("/v1/{}", "y".repeat(20_000)), ""), &[414]);
    // A line that never ends is refused when it is too long, not when it ends.
    let mut wire = gateway.connect();
    let _ = wire.try_send(format!("GET /{}", "y".repeat(100_000)).as_bytes());
    let answer = wire.answer();
    assert!(matches!(answer.status, 414 | 431), "{answer:?}");
    let mut wire = gateway.connect();
    wire.send(get("/health", &format!("x: {}\r\n", "y".repeat(50_000))));
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn methods_and_versions_that_are_not_served() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let line = |line: &str| format!("{line}\r\nhost: g\r\n\r\n");
    check_refused(&gateway, &provider, &line("CONNECT example.org:443 HTTP/1.1"), &[400, 405, 501]);
    check_refused(&gateway, &provider, &line("TRACE /v1/models HTTP/1.1"), &[405, 501]);
    check_refused(&gateway, &provider, &line("BREW /v1/models HTTP/1.1"), &[501]);
    check_refused(&gateway, &provider, &line("GET /v1/models HTTP/2.0"), &[400, 505]);
    check_refused(&gateway, &provider, &line("GET /v1/models HTTP/1.2"), &[400, 505]);
    check_refused(&gateway, &provider, &line("GET /v1/models"), &[400, 505]);
    check_refused(&gateway, &provider, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]);
    let mut wire = gateway.connect();
    wire.send([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    wire.send([0; 600]);
    let rest = wire.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "TLS on the plain port");
    let mut client = gateway.client("");
    let answer = client.send("DELETE", "/v1/chat/completions", None);
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    assert!(answer.header("allow").unwrap().contains("POST"));
    assert_eq!(client.get("/v2/anything").status, 404);
}

#[test]
fn paths_that_could_mean_another_are_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for path in [
        "/v1/../admin",
        "/v1/./models",
        "/v1//models",
        "//v1/models",
        "/v1/%2e%2e/x",
        "/v1/a%2fb",
        "/v1/a%5cb",
        "/v1/a\\b",
        "/v1/a;b",
        "/v1/files/..%2f..",
        "/v1/%00",
        "/v1/..",
    ] {
        let answer = gateway.client("").get(path);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
    }
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn the_authority_of_a_target_never_says_where_to_connect() {
    let provider = provider();
    let policy = format!("{}{}", gateway::sim(&provider), key::row("one", ""));
    let gateway = Launch::new(policy).start();
    let mut wire = gateway.connect();
    let lines = format!(
        "host: other\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        key::named("one")
    );
    wire.send(format!(
        "POST http://evil.example.org:1/v1/chat/completions?a=b HTTP/1.1\r\n{lines}content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    ));
    assert_eq!(wire.answer().status, 200);
    let captured = &provider.take_captured()[0];
    assert_eq!(captured.target, "/v1/chat/completions?a=b");
    assert_eq!(captured.header("host"), Some(provider.address().to_string().as_str()));
}

#[test]
fn pages_of_other_sites_get_nothing_where_no_key_is_asked_for() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for lines in
        ["host: evil.example.org\r\n", "host: localhost\r\norigin: https://evil.example.org\r\n"]
    {
        let mut wire = gateway.connect();
        wire.send(format!("GET /v1/models HTTP/1.1\r\n{lines}\r\n"));
        assert_eq!(wire.answer().status, 403, "{lines}");
    }
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let ask = |path: &str, sim: &str| {
        format!("GET /v1/{path} HTTP/1.1\r\nhost: g\r\nx-sim: {sim}\r\n\r\n")
    };
    let mut wire = gateway.connect();
    wire.send(format!(
        "{}{}GET /health HTTP/1.1\r\nhost: g\r\n\r\n{}{}",
        ask("first", "delay=100ms"),
        ask("second", "delay=1ms"),
        whole(),
        ask("last", "delay=0")
    ));
    assert!(wire.answer().text().contains("/v1/first"));
    assert!(wire.answer().text().contains("/v1/second"));
    assert!(wire.answer().text().contains("ready"));
    assert_eq!(wire.answer().json()["object"], "chat.completion");
    assert!(wire.answer().text().contains("/v1/last"));
}

#[test]
fn a_client_that_waits_is_told_to_go_on_or_not_to() {
    let provider = provider();
    let policy = format!("{}{}", gateway::sim(&provider), key::row("one", ""));
    let gateway = Launch::new(policy).server("body_bytes = \"1 KiB\"").start();
    let expect = |lines: &str, length: usize| {
        post(&format!("expect: 100-continue\r\ncontent-length: {length}\r\n{lines}"), "")
    };
    let bearer = format!("authorization: Bearer {}\r\n", key::named("one"));

    let mut wire = gateway.connect();
    wire.send(expect(&bearer, BODY.len()));
    assert_eq!(wire.head().status, 100);
    wire.send(BODY);
    assert_eq!(wire.answer().status, 200);
    assert_eq!(provider.take_captured()[0].header("expect"), None);

    let mut wire = gateway.connect();
    wire.send(expect("", BODY.len()));
    assert_eq!(wire.head().status, 401, "no 100 for a request that is refused");
    let mut wire = gateway.connect();
    wire.send(expect(&bearer, 4096));
    assert_eq!(wire.head().status, 413, "no 100 for a body that is too large");
    let mut wire = gateway.connect();
    wire.send(post("expect: miracles\r\ncontent-length: 2\r\n", "{}"));
    assert_eq!(wire.head().status, 417);
}

#[test]
fn a_body_that_is_not_wanted_is_never_read_as_a_request() {
    let provider = provider();
    let gateway =
        Launch::new(format!("{}{}", gateway::sim(&provider), key::row("one", ""))).start();
    let smuggled = "GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n";
    // Small: it is read away and the connection goes on.
    let mut wire = gateway.connect();
    wire.send(post(&format!("content-length: {}\r\n", smuggled.len()), smuggled));
    assert_eq!(wire.answer().status, 401);
    wire.send("GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
    let next = wire.try_answer();
    assert!(next.is_err() || next.unwrap().text().contains("ready"), "not an answer to the body");
    // Large: the connection ends, and the client gets its answer all the same.
    let mut wire = gateway.connect();
    let large = smuggled.repeat(20_000);
    let sent = post(&format!("content-length: {}\r\n", large.len()), &large);
    let _ = wire.try_send(sent.as_bytes());
    assert_eq!(wire.answer().status, 401);
    assert!(wire.is_closed());
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn head_requests_get_no_body() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut wire = gateway.connect();
    for path in ["/", "/health", "/health/liveliness", "/health/readiness", "/v1/models"] {
        wire.send(format!("HEAD {path} HTTP/1.1\r\nhost: g\r\n\r\n"));
        let head = wire.head();
        assert_eq!(head.status, 200, "{path}");
        assert!(head.header("content-length").is_some_and(|length| length != "0"), "{path}");
    }
    wire.send("GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
    assert!(wire.answer().text().contains("ready"), "no body lay in between");
    for path in ["/health", "/health/liveliness", "/health/readiness"] {
        assert_eq!(gateway.client("").get(path).status, 200, "{path}");
    }
}

#[test]
fn answers_without_a_body_end_with_their_heads() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut wire = gateway.connect();
    for status in ["204", "304", "200"] {
        wire.send(format!(
            "HEAD /v1/files/x HTTP/1.1\r\nhost: g\r\nx-sim: status={status}\r\n\r\n"
        ));
        assert_eq!(wire.head().status.to_string(), status);
        wire.send(format!("GET /v1/files/x HTTP/1.1\r\nhost: g\r\nx-sim: status={status}\r\n\r\n"));
        let answer = wire.answer();
        assert_eq!(answer.status.to_string(), status);
        assert_eq!(answer.body.is_empty(), status != "200", "{answer:?}");
        assert!(status != "204" || answer.header("content-length").is_none(), "{answer:?}");
    }
    // What follows is one exchange on the same connection to the provider.
    assert_eq!(provider.counters().accepted(), 1);
}

#[test]
fn upgrades_are_not_taken_up() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for protocol in ["websocket", "h2c", "foo"] {
        let mut wire = gateway.connect();
        wire.send(format!(
            "GET /v1/files HTTP/1.1\r\nhost: g\r\nconnection: upgrade\r\nupgrade: {protocol}\r\nhttp2-settings: x\r\n\r\n\
             GET /health HTTP/1.1\r\nhost: g\r\n\r\n"
        ));
        assert_eq!(wire.answer().status, 200);
        assert!(wire.answer().text().contains("ready"));
        let captured = &provider.take_captured()[0];
        assert!(captured.header("upgrade").is_none() && captured.header("connection").is_none());
    }
}

#[test]
fn an_old_client_gets_an_answer_that_ends_with_the_connection() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut wire = gateway.connect();
    wire.send(format!(
        "POST /v1/chat/completions HTTP/1.0\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    ));
    let head = wire.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    let body = wire.try_body(head.framing).unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    assert!(wire.is_closed());
}

#[test]
fn a_client_without_room_is_told_so() {
    let provider = provider();
    let gateway = Launch::open(&provider).server("connections = 4\ncores = 1").start();
    let mut kept: Vec<Wire> = (0..4).map(|_| gateway.connect()).collect();
    for wire in &mut kept {
        wire.send("GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
        assert_eq!(wire.answer().status, 200);
    }
    let mut wire = gateway.connect();
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert!(answer.header("retry-after").is_some());
    assert!(wire.is_closed());
    drop(kept);
    wait::until_true("there is room again", || {
        let mut wire = gateway.connect();
        wire.try_send(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n").is_ok()
            && wire.try_answer().is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn answers_that_break_http_are_not_passed_on() {
    let provider = provider();
    let policy =
        format!("{}[retries]\nattempts = 1\n[breaker]\nfailures = 1000\n", gateway::sim(&provider));
    let gateway = Launch::new(policy).start();
    for sim in ["bad=head", "bad=both", "head_bytes=200000"] {
        let mut body = client::chat("m");
        body["sim"] = sim.into();
        let answer = gateway.client("").post("/v1/chat/completions", &body);
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_protocol"), "{sim}");
    }
    // More than was promised: the excess is nobody's answer.
    let mut client = gateway.client("");
    let mut body = client::chat("m");
    body["sim"] = "bad=short".into();
    let _ = client.try_send("POST", "/v1/chat/completions", Some(body.to_string().as_bytes()));
    for _ in 0..4 {
        assert_eq!(client.chat("m").json()["object"], "chat.completion");
    }
}

#[test]
fn descriptors_and_memory_come_back() {
    let provider = provider();
    let gateway =
        Launch::open(&provider).server("[server.deadlines]\nupstream_idle = \"100ms\"").start();
    let round = || {
        let mut wires: Vec<Wire> = (0..200).map(|_| gateway.connect()).collect();
        for wire in &mut wires {
            wire.send(whole());
        }
        for wire in &mut wires {
            assert_eq!(wire.answer().status, 200);
        }
    };
    round();
    wait::until_true("nothing is open", || {
        let metrics = gateway.metrics();
        metrics.sum("faregate_connections", &[]) == 0.0
            && metrics.sum("faregate_upstream_idle_connections", &[]) == 0.0
    });
    // The connection of a scrape may or may not be among them.
    let before = gateway.process().fds();
    let all_are_back = || {
        wait::until_true("all descriptors are back", || gateway.process().fds() <= before + 1);
    };
    for _ in 0..2 {
        round();
        all_are_back();
    }
    let rss = gateway.process().rss_kib();
    for _ in 0..5 {
        round();
        all_are_back();
    }
    let now = gateway.process().rss_kib();
    assert!(now <= rss + 4096, "{rss} KiB, then {now} KiB");
}

#[test]
fn the_epoll_driver_serves_as_well() {
    let provider = provider();
    let gateway = Launch::open(&provider).server("driver = \"epoll\"").start();
    assert!(
        gateway.log().contains("driver=\"epoll\"") || gateway.log().contains("driver=epoll"),
        "{}",
        gateway.log()
    );
    let mut client = gateway.client("");
    for _ in 0..10 {
        assert_eq!(client.chat("m").status, 200);
    }
    let events = gateway.client("").stream(&client::streamed("m"));
    assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"));
    let stalled = {
        let mut body = client::streamed("m");
        body["sim"] = "tokens=10; stall_at=1000".into();
        gateway.client("").stream(&body)
    };
    drop(stalled);
    wait::until_true("the provider is let go", || provider.counters().aborted() == 1);
    let idle = gateway.process().cpu_ticks();
    wait::pass(Duration::from_millis(500));
    let spent = gateway.process().cpu_ticks() - idle;
    assert!(spent <= 10, "{spent} ticks of 10 ms in half a second with nothing to do");
}
