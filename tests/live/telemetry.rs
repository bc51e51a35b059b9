//! What operators can see, and what nobody may.

use faregate_tests::{
    Gateway, Launch, Settings, client, gateway,
    key::{self, CANARY},
    provider, provider_with, wait,
};
use serde_json::{Value, json};

#[test]
fn requests_are_counted_under_their_labels() {
    let provider = provider();
    let policy = format!(
        "{}[teams.search]\n{}",
        gateway::sim(&provider),
        key::row("one", "team = \"search\"")
    );
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..5 {
        assert_eq!(client.chat("m").status, 200);
    }
    assert_eq!(gateway.client("wrong").chat("m").status, 401);
    let _ = gateway.client(&key::named("one")).stream(&client::streamed("m")).all();
    let count = |labels: &[&str]| gateway.metrics().sum("faregate_requests_total", labels);
    wait::until_true("all are counted", || count(&[]) >= 7.0);
    let labels = [
        "gen_ai_provider_name=\"sim\"",
        "gen_ai_request_model=\"*\"",
        "team=\"search\"",
        "target=\"sim/*\"",
        "status=\"200\"",
    ];
    let all = gateway.metrics();
    for label in labels {
        assert_eq!(all.sum("faregate_requests_total", &[label]), 6.0, "{label}\n{}", all.text);
    }
    assert_eq!(all.sum("faregate_requests_total", &["gen_ai_operation_name=\"chat\""]), 7.0);
    assert_eq!(count(&["status=\"401\"", "code=\"invalid_api_key\""]), 1.0);
    assert_eq!(all.sum("faregate_upstream_requests_total", &[]), 6.0);
    assert_eq!(all.sum("faregate_tokens_total", &["gen_ai_token_type=\"output\""]), 6.0 * 16.0);
    assert!(all.sum("faregate_tokens_total", &["gen_ai_token_type=\"input\""]) > 0.0);
}

#[test]
fn metrics_have_the_names_and_the_form_that_dashboards_know() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    assert_eq!(gateway.client("").chat("m").status, 200);
    let _ = gateway.client("").stream(&client::streamed("m")).all();
    wait::until_true("both are counted", || {
        gateway.metrics().sum("faregate_requests_total", &[]) == 2.0
    });
    let metrics = gateway.metrics();
    for name in [
        "faregate_requests_total",
        "faregate_upstream_requests_total",
        "faregate_tokens_total",
        "faregate_requests_in_flight",
        "faregate_connections",
        "faregate_build_info",
        "faregate_policy_generation",
        "faregate_policy_reloads_total",
        "faregate_policy_reloads_refused_total",
        "faregate_panics_total",
        "faregate_access_log_blocks_dropped_total",
        "gen_ai_server_request_duration_seconds_bucket",
        "gen_ai_server_time_to_first_token_seconds_count",
        "faregate_overhead_seconds_sum",
    ] {
        assert!(metrics.has(name), "{name} is not in\n{}", metrics.text);
    }
    for name in ["gen_ai_server_request_duration_seconds", "faregate_overhead_seconds"] {
        let all = metrics.sum(&format!("{name}_bucket"), &["le=\"+Inf\""]);
        assert_eq!(all, metrics.sum(&format!("{name}_count"), &[]), "{name}");
        assert_eq!(all, 2.0, "{name}");
        assert!(metrics.sum(&format!("{name}_sum"), &[]) > 0.0, "{name}");
    }
    assert_eq!(metrics.sum("gen_ai_server_time_to_first_token_seconds_count", &[]), 1.0);
    assert_eq!(metrics.sum("faregate_panics_total", &[]), 0.0);
    // Every family is declared once, with its type, before its series.
    let mut declared = Vec::new();
    for line in metrics.text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            assert!(!declared.contains(&name), "{name} is declared twice");
            declared.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = declared.last().copied().unwrap_or_default();
            assert!(
                name.strip_prefix(family)
                    .is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count")),
                "{line} under {family}"
            );
        }
    }
    let answer = faregate_tests::Client::new(gateway.admin, "").get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
}

#[test]
fn a_line_says_all_that_happened_to_a_request() {
    let provider = provider();
    let policy = format!(
        "[organisation]\nname = \"acme\"\n{}[teams.search.projects.ranking.agents.crawler]\n{}",
        gateway::sim(&provider),
        key::row("one", "team = \"search\"\nproject = \"ranking\"\nagent = \"crawler\"")
    );
    let gateway = Launch::new(policy).start();
    let answer = gateway.client(&key::named("one")).with("x-request-id", "mine-1").chat("gpt-5");
    let line = gateway.access_line("mine-1");
    for (field, value) in [
        ("method", json!("POST")),
        ("surface", json!("chat")),
        ("path", json!("/chat/completions")),
        ("key", json!("one")),
        ("team", json!("search")),
        ("project", json!("ranking")),
        ("agent", json!("crawler")),
        ("model", json!("gpt-5")),
        ("target", json!("sim/*")),
        ("status", json!(200)),
        ("attempts", json!(1)),
        ("stream", json!(false)),
        ("usage", json!("provider")),
        ("output_tokens", json!(16)),
        ("generation", json!(1)),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert_eq!(line["response_bytes"], answer.body.len());
    assert_eq!(line["request_bytes"], client::chat("gpt-5").to_string().len());
    assert!(line["time_unix_ms"].as_u64().unwrap() > 1_700_000_000_000);
    let micros = |name: &str| line[name].as_u64().unwrap();
    assert!(micros("sent_us") <= micros("answered_us"), "{line}");
    assert!(micros("answered_us") <= micros("duration_us"), "{line}");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
}

#[test]
fn a_refused_request_has_its_line_too() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let body = br#"{"model":"a","model":"b","messages":[]}"#;
    let answer = gateway.client("").send("POST", "/v1/chat/completions", Some(body));
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(
        answer.json()["error"]["request_id"],
        id,
        "the id in the body is the one in the head"
    );
    let line = gateway.access_line(&id);
    assert_eq!(line["status"], 400);
    assert_eq!(line["error_code"], "duplicate_field");
    let answer = gateway.client("").get("/nowhere");
    let line = gateway.access_line(answer.header("x-request-id").unwrap());
    assert_eq!((&line["status"], &line["error_code"]), (&json!(404), &json!("unknown_path")));
}

#[test]
fn request_ids_are_the_clients_or_new() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let answer = gateway.client("").with("x-request-id", "abc-123_DEF.4:5").chat("m");
    assert_eq!(answer.header("x-faregate-request-id"), Some("abc-123_DEF.4:5"));
    let provider_id = answer.header("x-request-id").unwrap();
    assert!(provider_id.starts_with("req_"), "the provider's own id is kept: {provider_id}");
    assert_eq!(provider.take_captured()[0].header("x-request-id"), Some("abc-123_DEF.4:5"));
    let mut seen = std::collections::HashSet::new();
    for given in ["", "bad id", "x\"y", &"z".repeat(500)] {
        let answer = gateway.client("").with("x-request-id", given).chat("m");
        let id = answer.header("x-faregate-request-id").unwrap().to_owned();
        assert_eq!((id.len(), &id[..4]), (36, "req_"), "{id}");
        assert!(seen.insert(id));
    }
}

#[test]
fn a_trace_is_continued_or_begun() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer =
        gateway.client("").with("traceparent", &given).with("tracestate", "vendor=1").chat("m");
    let captured = &provider.take_captured()[0];
    let sent = captured.header("traceparent").unwrap();
    let parts: Vec<&str> = sent.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", trace, "01"), "{sent}");
    assert!(parts[2] != "00f067aa0ba902b7" && parts[2].len() == 16, "a span of its own: {sent}");
    assert_eq!(captured.header("tracestate"), Some("vendor=1"));
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!(line["trace_id"], trace);
    for wrong in [
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ] {
        gateway.client("").with("traceparent", wrong).chat("m");
        let captured = provider.take_captured().remove(0);
        let sent = captured.header("traceparent").unwrap().to_owned();
        assert_eq!(sent.len(), 55, "{wrong:?}: {sent}");
        assert!(
            !sent.contains("000000000000000000000000") && !sent.to_lowercase().contains(trace),
            "{wrong:?}: {sent}"
        );
    }
}

/// Everything that the gateway says to a client in answer to these requests.
fn provoke(gateway: &Gateway, prompt: &str) -> String {
    let mut said = String::new();
    let known = key::named("one");
    let unknown = format!("{CANARY}unknown");
    let mut body = client::chat("m");
    body["messages"][0]["content"] = prompt.into();
    for key in [&known, &unknown] {
        for sim in [
            "",
            "status=400",
            "status=429",
            "status=500",
            "reset_at=head",
            "bad=head",
            "close_at=50",
        ] {
            body["sim"] = sim.into();
            let mut wire = gateway.connect();
            wire.send(gateway.client(key).request(
                "POST",
                "/v1/chat/completions?secret=query-canary",
                Some(body.to_string().as_bytes()),
            ));
            said.push_str(&format!("{:?}\n", wire.try_answer()));
        }
    }
    for raw in [
        format!("{{\"model\":\"m\",\"model\":\"m\",\"messages\":[\"{prompt}\"]}}"),
        format!("{{\"model\":\"{prompt}\""),
        format!("{{\"messages\":\"{prompt}\"}}"),
    ] {
        let answer =
            gateway.client(&known).send("POST", "/v1/chat/completions", Some(raw.as_bytes()));
        said.push_str(&format!("{answer:?}\n"));
    }
    let mut wire = gateway.connect();
    wire.send(format!(
        "POST /v1/{CANARY} HTTP/1.1\r\nhost : x\r\nauthorization: Bearer {known}\r\n\r\n{prompt}"
    ));
    said.push_str(&String::from_utf8_lossy(&wire.rest()));
    said
}

#[test]
fn keys_and_prompts_appear_nowhere() {
    let prompt = "prompt-canary tell me nothing";
    let settings =
        Settings { canaries: vec![CANARY.to_owned()], capture: 4096, ..Settings::default() };
    let provider = provider_with(settings);
    let policy = format!(
        "{}{}[retries]\nattempts = 2\nbackoff = \"1ms\"\n[breaker]\nfailures = 1000\n",
        gateway::sim(&provider).replace("[models", "api_key = \"env:PROVIDER_KEY\"\n[models"),
        key::row("one", "")
    );
    let mut gateway = Launch::new(policy)
        .server("log_level = \"trace\"")
        .variable("PROVIDER_KEY", "provider-key-canary")
        .start();
    let said = provoke(&gateway, prompt);
    let metrics = gateway.metrics().text;
    let policy = faregate_tests::Client::new(gateway.admin, "").get("/policy");
    gateway.stop();
    let written = gateway.everything_written();
    assert!(written.lines().count() > 15, "the logs were written: {written}");
    for (place, text) in [
        ("answers", said.as_str()),
        ("metrics", &metrics),
        ("policy", policy.text()),
        ("logs", &written),
    ] {
        for canary in [CANARY, "prompt-canary", "provider-key-canary", "query-canary"] {
            let allowed = place == "answers" && canary == "prompt-canary";
            assert!(allowed || !text.contains(canary), "{canary} in the {place}:\n{text}");
        }
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

#[test]
fn the_admin_listener_is_not_on_the_data_port_and_answers_no_strangers() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    assert_eq!(gateway.client("").get("/metrics").status, 404);
    let mut admin = faregate_tests::Client::new(gateway.admin, "");
    assert_eq!(admin.get("/health").status, 200);
    assert_eq!(admin.post("/v1/chat/completions", &client::chat("m")).status, 404);
    let mut wire = faregate_tests::Wire::connect(gateway.admin);
    wire.send("GET /metrics HTTP/1.1\r\nhost: evil.example.org\r\n\r\n");
    assert_eq!(wire.answer().status, 403, "a name that was rebound to us gets nothing");
}

#[test]
fn an_access_log_on_standard_output_is_lines_of_json_alone() {
    let provider = provider();
    let folder = faregate_tests::folder::Folder::new();
    let policy = folder.write(
        "faregate.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{}",
            gateway::sim(&provider)
        ),
    );
    let mut gateway = Launch::default().start_with(folder, policy);
    for _ in 0..20 {
        assert_eq!(gateway.client("").chat("m").status, 200);
    }
    gateway.stop();
    let out = std::fs::read_to_string(gateway.folder.join("stdout")).unwrap();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
}
