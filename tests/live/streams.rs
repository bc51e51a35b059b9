//! Streams: passed on as they arrive, metered without a trace, and never ended as if nothing had happened.

use std::time::Duration;

use faregate_tests::{
    Gateway, Launch, client,
    client::Events,
    gateway, provider,
    upstream::{Act, Upstream},
    wait,
};
use serde_json::{Value, json};

fn asked(sim: &str, options: Value) -> Value {
    let mut body = client::streamed("m");
    body["sim"] = sim.into();
    if !options.is_null() {
        body["stream_options"] = options;
    }
    body
}

fn parsed(data: &[String]) -> Vec<Value> {
    data.iter()
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn tokens(gateway: &Gateway) -> f64 {
    gateway.metrics().sum("faregate_tokens_total", &["gen_ai_token_type=\"output\""])
}

/// Runs a stream with this script; the client sees usage only if it asked, the meter sees it always.
fn check_metered(sim: &str) {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let client = gateway.client("");
    for (options, wanted) in [
        (Value::Null, false),
        (json!({"include_usage": false}), false),
        (json!({"include_usage": true}), true),
    ] {
        let before = tokens(&gateway);
        let data = client.stream(&asked(sim, options.clone())).all();
        assert_eq!(data.last().map(String::as_str), Some("[DONE]"), "{sim} {options}");
        let chunks = parsed(&data);
        let extra = chunks.iter().filter(|chunk| chunk["choices"] == json!([])).count();
        assert_eq!(
            extra,
            usize::from(wanted),
            "{sim} {options}: chunks with usage alone\n{data:#?}"
        );
        let text: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(text.split_whitespace().count(), 16, "{sim}: {text}");
        wait::until_true(&format!("{sim} {options}: 16 tokens are counted"), || {
            (tokens(&gateway) - before - 16.0).abs() < 0.5
        });
    }
    assert_eq!(provider.counters().breached(), 0);
}

#[test]
fn the_chunk_with_usage_comes_only_when_asked_for() {
    check_metered("");
    check_metered("cr=crlf");
    check_metered("cr=cr");
    check_metered("comments=1");
    check_metered("pad=300");
    check_metered("framing=close");
}

#[test]
fn a_stream_does_not_depend_on_where_it_is_cut() {
    check_metered("chunk_bytes=1");
    check_metered("chunk_bytes=7; cr=crlf; comments=1");
    check_metered("split=1; split_wait=20us");
    check_metered("split=13; split_wait=20us; cr=cr");
}

#[test]
fn usage_is_found_wherever_a_provider_puts_it() {
    // The first chunk's report knows of one token.
    for (sim, wanted) in [("usage=every", 16.0), ("usage=merged", 16.0), ("usage=first", 1.0)] {
        let provider = provider();
        let gateway = Launch::open(&provider).start();
        let data = gateway.client("").stream(&asked(sim, Value::Null)).all();
        assert_eq!(data.last().map(String::as_str), Some("[DONE]"), "{sim}");
        wait::until_true(&format!("{sim}: tokens are counted"), || tokens(&gateway) > 0.5);
        assert_eq!(tokens(&gateway), wanted, "{sim}: the last report counts, not their sum");
    }
}

#[test]
fn a_stream_without_usage_is_counted_as_unmetered() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let data = gateway.client("").stream(&asked("usage=none", Value::Null)).all();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    wait::until_true("it is counted", || {
        gateway.metrics().sum("faregate_unmetered_requests_total", &[]) == 1.0
    });
}

#[test]
fn an_event_arrives_when_it_is_sent_and_not_later() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    // The provider sends the first events and then nothing: they must not wait for company.
    let mut events = gateway.client("").stream(&asked("tokens=100; stall_at=2000", Value::Null));
    let first: Value = serde_json::from_str(&events.next_data().unwrap()).unwrap();
    assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
    let second: Value = serde_json::from_str(&events.next_data().unwrap()).unwrap();
    assert!(second["choices"][0]["delta"]["content"].is_string());
}

#[test]
fn legacy_completions_stream_too() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let body = json!({"model": "m", "prompt": "hi", "stream": true});
    let mut wire = gateway.connect();
    wire.send(gateway.client("").request(
        "POST",
        "/v1/completions",
        Some(body.to_string().as_bytes()),
    ));
    let data = Events::read(wire).all();
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    assert!(parsed(&data).iter().all(|chunk| chunk["choices"] != json!([])), "{data:#?}");
    wait::until_true("tokens are counted", || tokens(&gateway) > 15.5);
}

/// What became of a stream that its provider broke at a byte.
fn check_cut(gateway: &Gateway, fault: &str, at: usize) {
    let mut events = gateway.client("").stream(&asked(&format!("{fault}_at={at}"), Value::Null));
    if events.head.status != 200 {
        assert_eq!(events.head.status, 502, "{fault} at {at}");
        return;
    }
    let mut data = Vec::new();
    while let Some(next) = events
        .try_next()
        .unwrap_or_else(|error| panic!("{fault} at {at}: the stream itself broke: {error}"))
    {
        data.push(next);
    }
    let last = data.last().unwrap_or_else(|| panic!("{fault} at {at}: nothing came"));
    if last == "[DONE]" {
        return;
    }
    let error: Value = serde_json::from_str(last).unwrap();
    assert_eq!(error["error"]["code"], "upstream_cut", "{fault} at {at}: {error}");
    assert!(!data.iter().any(|data| data == "[DONE]"), "{fault} at {at}: a false end");
    let whole = parsed(&data[..data.len() - 1]);
    assert!(whole.iter().all(|chunk| chunk["error"].is_null()), "{fault} at {at}: one error");
}

#[test]
fn a_stream_that_is_broken_off_says_so_at_every_byte() {
    let provider = provider();
    let policy = format!("{}[breaker]\nfailures = 10000\n", gateway::sim(&provider));
    let gateway = Launch::new(policy).start();
    let length = {
        let mut events = gateway.client("").stream(&asked("", Value::Null));
        let mut bytes = 0;
        while let Ok(Some(data)) = events.try_next() {
            bytes += data.len() + 15;
        }
        bytes
    };
    // Every byte of the first events and of the last, every 23rd in between.
    let dense = (0..400).chain(length.saturating_sub(200)..length + 200);
    for at in dense.chain((400..length).step_by(23)) {
        check_cut(&gateway, if at % 2 == 0 { "reset" } else { "close" }, at);
    }
    wait::until_true("no request is left", || {
        gateway.metrics().sum("faregate_requests_in_flight", &[]) == 0.0
    });
}

#[test]
fn a_stream_with_an_error_of_the_provider_gets_no_end_that_is_not_there() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let data = gateway.client("").stream(&asked("error_at=3", Value::Null)).all();
    let error: Value = serde_json::from_str(data.last().unwrap()).unwrap();
    assert!(error["error"]["message"].as_str().unwrap().contains("server had an error"), "{error}");
}

#[test]
fn a_plain_answer_that_is_broken_off_never_looks_whole() {
    let provider = provider();
    let policy = format!("{}[breaker]\nfailures = 10000\n", gateway::sim(&provider));
    let gateway = Launch::new(policy).start();
    for sim in [
        "reset_at=1",
        "reset_at=100",
        "close_at=100",
        "close_at=300",
        "bad=long",
        "close_at=200; framing=chunked",
        "bad=chunk; framing=chunked",
    ] {
        let mut body = client::chat("m");
        body["sim"] = sim.into();
        let mut wire = gateway.connect();
        wire.send(gateway.client("").request(
            "POST",
            "/v1/chat/completions",
            Some(body.to_string().as_bytes()),
        ));
        match wire.try_answer() {
            Err(error) => assert!(error.starts_with("closed"), "{sim}: {error}"),
            Ok(answer) => assert_eq!(answer.status, 502, "{sim}: {answer:?}"),
        }
    }
}

#[test]
fn when_the_client_leaves_the_provider_is_let_go_within_5_ms() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut delays = Vec::new();
    for round in 0..30 {
        let sim =
            if round % 2 == 0 { "tokens=100000; chunk=1ms" } else { "tokens=100; stall_at=3000" };
        let mut events = gateway.client("").stream(&asked(sim, Value::Null));
        for _ in 0..3 {
            events.next_data().unwrap();
        }
        let before = provider.counters().aborted();
        let left = loadtest::clock::Nanos::now();
        drop(events);
        wait::until_true("the provider notices", || provider.counters().aborted() > before);
        delays.push(provider.counters().aborted_at_ns().saturating_sub(left.0));
    }
    delays.sort_unstable();
    // The machine may be busy with other tests: the better half shows what the gateway does.
    let median = Duration::from_nanos(delays[delays.len() / 2]);
    assert!(median <= Duration::from_millis(5), "median {median:?} of {delays:?} ns");
}

#[test]
fn when_the_client_leaves_before_the_answer_the_provider_is_let_go() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for reset in [false, true] {
        let before = provider.counters().aborted();
        let mut body = client::chat("m");
        body["sim"] = "stall_at=head".into();
        let mut wire = gateway.connect();
        wire.send(gateway.client("").request(
            "POST",
            "/v1/chat/completions",
            Some(body.to_string().as_bytes()),
        ));
        wait::until_true("the provider has it", || provider.counters().in_flight() == 1);
        if reset {
            wire.reset()
        } else {
            drop(wire)
        }
        wait::until_true("the provider notices", || provider.counters().aborted() > before);
        wait::until_true("it is counted as 499", || {
            gateway.metrics().sum("faregate_requests_total", &["status=\"499\""]) > 0.0
        });
    }
}

#[test]
fn a_reader_that_does_not_read_holds_the_provider_back() {
    const STREAMS: u64 = 16;
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let warm = gateway.client("").stream(&asked("", Value::Null)).all();
    assert!(!warm.is_empty());
    let before = gateway.process().rss_kib();
    // Each of them would be 200 MB.
    let idle: Vec<_> = (0..STREAMS)
        .map(|_| gateway.client("").stream(&asked("tokens=50000; pad=4000", Value::Null)))
        .collect();
    let mut last = 0;
    wait::until_true("the provider is held back", || {
        let sent = provider.counters().bytes_out();
        let still =
            wait::stays(Duration::from_millis(300), || provider.counters().bytes_out() == sent);
        last = sent;
        still
    });
    // What the kernel's socket buffers hold does not count as memory of the process.
    let grown = gateway.process().rss_kib().saturating_sub(before);
    assert!(
        grown <= STREAMS * 64 + 1024,
        "{grown} KiB more with {STREAMS} streams that nobody reads"
    );
    assert!(last > 1 << 20, "the streams had begun: {last} bytes");
    drop(idle);
}

#[test]
fn a_silent_stream_is_kept_alive_by_comments() {
    let provider = provider();
    let gateway =
        Launch::open(&provider).server("[server.deadlines]\nkeep_alive_comment = \"1s\"").start();
    let mut wire = gateway.connect();
    let body = asked("first=1500ms", Value::Null).to_string();
    wire.send(gateway.client("").request("POST", "/v1/chat/completions", Some(body.as_bytes())));
    let answer = wire.answer();
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let comments = text.split("\n\n").filter(|event| event.starts_with(':')).count();
    assert!(comments >= 1, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[test]
fn a_stream_that_was_not_asked_for_is_passed_on_all_the_same() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut client = gateway.client("");
    let answer =
        client.send("POST", "/v1/audio/speech", Some(br#"{"model":"m","input":"hi","voice":"v"}"#));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["object"], "echo");
}

const ARRAY: &str = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a]}\\\"\"}]}}]}\n,\r\n\
    {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3}}\n]\n";

/// A provider of Gemini's dialect that breaks its array off behind as many bytes as the model's name says.
fn array_provider(is_chunked: bool) -> Upstream {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=UTF-8\r\n";
    let framing = if is_chunked { "transfer-encoding: chunked" } else { "connection: close" };
    Upstream::start(move |request| {
        let model = request.head.split("/models/m").nth(1).unwrap().split(':').next().unwrap();
        let end = model.parse::<usize>().unwrap();
        let mut wire = format!("{head}{framing}\r\n\r\n").into_bytes();
        for piece in ARRAY.as_bytes()[..end].chunks(11) {
            if is_chunked {
                wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            wire.extend_from_slice(piece);
            if is_chunked {
                wire.extend_from_slice(b"\r\n");
            }
        }
        vec![Act::Send(wire), Act::Close]
    })
}

#[test]
fn an_array_that_is_broken_off_is_json_all_the_same() {
    for is_chunked in [true, false] {
        let provider = array_provider(is_chunked);
        let policy = format!(
            "[providers.g]\ndialect = \"gemini\"\nbase_url = \"{}\"\n[models.\"m*\"]\ntargets = [\"g/*\"]\n\
             [breaker]\nfailures = 10000\n[retries]\nattempts = 1\n",
            provider.base_url()
        );
        let gateway = Launch::new(policy).start();
        for cut in 1..=ARRAY.len() {
            let path = format!("/v1beta/models/m{cut}:streamGenerateContent");
            let body = json!({"contents": [{"parts": [{"text": "hi"}]}]}).to_string();
            let answer = gateway.client("").send("POST", &path, Some(body.as_bytes()));
            assert_eq!(answer.status, 200, "{cut}: {answer:?}");
            let list = answer.json();
            let list = list.as_array().unwrap();
            let (last, before) = list.split_last().unwrap();
            assert!(before.iter().all(|entry| entry["error"].is_null()), "{cut}: {list:?}");
            let is_whole = !last["usageMetadata"].is_null();
            assert_eq!(last["error"].is_null(), is_whole, "{cut}: {list:?}");
            assert_eq!(is_whole, cut > ARRAY.rfind(']').unwrap(), "{cut}: {list:?}");
            if !is_whole {
                assert_eq!(last["error"]["code"], 502, "{cut}: {list:?}");
            }
        }
    }
}
