//! A body reaches the provider as the client wrote it, but for the edited spans; what two parsers could read differently is
//! refused.

use faregate_tests::{
    Gateway, Launch, Provider, Settings, gateway, provider, provider_with, random::Random,
    wire::Framing,
};
use serde_json::Value;

const MIB: usize = 1 << 20;

fn start(provider: &Provider, policy: &str) -> Gateway {
    Launch::new(format!("[providers.sim]\nbase_url = \"{}\"\n{policy}", provider.base_url()))
        .start()
}

/// A blank, or several, or none.
fn blank(random: &mut Random) -> &'static str {
    random.one_of(&["", "", "", " ", "  ", "\n", "\r\n", "\t", " \n\t "])
}

/// A JSON string, quotes included, that tries to look like something else.
fn string(random: &mut Random) -> String {
    const PIECES: &[&str] = &[
        "hello",
        " ",
        "\\\"model\\\":\\\"x\\\"",
        "\\u0041",
        "\\n",
        "\\\\",
        "{\\\"stream\\\":true}",
        "\\/",
        "é",
        "漢字",
        "🙂",
        "\\ud83d\\ude42",
        "\u{2028}",
        "]",
        "}",
        ",",
        ":",
        "null",
        "model",
        "\\t",
    ];
    let text: String = (0..random.below(8)).map(|_| random.one_of(PIECES)).collect();
    format!("\"{text}\"")
}

/// Any JSON value.
fn value(random: &mut Random, depth: usize) -> String {
    let kinds = if depth == 0 { 4 } else { 6 };
    match random.below(kinds) {
        0 => string(random),
        1 => random
            .one_of(&["0", "-1", "1.50", "1e9", "-0.25E-3", "12345678901234567890", "1.0"])
            .to_owned(),
        2 => random.one_of(&["true", "false", "null"]).to_owned(),
        3 => random.one_of(&["[]", "{}", "\"\""]).to_owned(),
        4 => list(random, |random| value(random, depth - 1), "[", "]"),
        _ => list(
            random,
            |random| {
                // Below the top level, fields may be called as they like, twice and with escapes.
                let name = random.one_of(&[
                    "\"model\"",
                    "\"mod\\u0065l\"",
                    "\"stream\"",
                    "\"a\"",
                    "\"a\"",
                    "\"\"",
                ]);
                format!("{name}{}:{}{}", blank(random), blank(random), value(random, depth - 1))
            },
            "{",
            "}",
        ),
    }
}

fn list(
    random: &mut Random,
    mut item: impl FnMut(&mut Random) -> String,
    open: &str,
    close: &str,
) -> String {
    let mut out = open.to_owned();
    for index in 0..random.below(4) {
        if index > 0 {
            out.push(',');
        }
        out.push_str(blank(random));
        out.push_str(&item(random));
        out.push_str(blank(random));
    }
    out.push_str(close);
    out
}

/// The members of a chat in some order: unknown ones, repeated, nested, escaped; `model` anywhere.
fn chat(random: &mut Random, model: &str, stream: bool) -> Vec<u8> {
    let mut members = vec![format!(
        "\"messages\"{}:{}[{{\"role\":\"user\",\"content\":{}}}]",
        blank(random),
        blank(random),
        string(random)
    )];
    if stream {
        members.push(format!("\"stream\"{}:{}true", blank(random), blank(random)));
    }
    for _ in 0..random.below(7) {
        let name = random.one_of(&[
            "\"x\"",
            "\"x\"",
            "\"meta_data\"",
            "\"models\"",
            "\"Model\"",
            "\"model \"",
            "\"x\\u006d\"",
            "\"tools_\"",
            "\"\"",
        ]);
        let at = random.below(members.len() + 1);
        members
            .insert(at, format!("{name}{}:{}{}", blank(random), blank(random), value(random, 3)));
    }
    let model = format!("\"model\"{}:{}\"{model}\"", blank(random), blank(random));
    let at = match random.below(3) {
        0 => 0,
        1 => members.len(),
        _ => random.below(members.len() + 1),
    };
    members.insert(at, model);
    let separator = |random: &mut Random| format!("{},{}", blank(random), blank(random));
    let mut out = format!("{}{{{}", blank(random), blank(random));
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator(random));
        }
        out.push_str(member);
    }
    out.push_str(&format!("{}}}{}", blank(random), blank(random)));
    out.into_bytes()
}

/// Sends a body in random pieces, with a length or in random chunks.
fn send(gateway: &Gateway, random: &mut Random, path: &str, kind: &str, body: &[u8]) -> u16 {
    let chunked = random.once_in(2);
    let framing = match chunked {
        true => "transfer-encoding: chunked".to_owned(),
        false => format!("content-length: {}", body.len()),
    };
    let mut wire = gateway.connect();
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n"
    )
    .into_bytes();
    if chunked {
        for chunk in pieces(random, body) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(body);
    }
    wire.send_pieces(pieces(random, &bytes));
    let head = wire.head();
    if head.framing != Framing::None {
        wire.try_body(head.framing).unwrap();
    }
    head.status
}

/// `bytes` cut at a few random places, none empty.
fn pieces<'a>(random: &mut Random, bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> =
        (0..random.below(8)).map(|_| random.below(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}

fn only_body(provider: &Provider) -> Vec<u8> {
    let mut captured = provider.take_captured();
    assert_eq!(captured.len(), 1, "one request reaches the provider");
    captured.remove(0).body
}

#[test]
fn a_body_reaches_the_provider_as_it_is() {
    let provider = provider();
    let gateway = start(&provider, "[models.\"*\"]\ntargets = [\"sim/*\"]\n");
    let random = &mut Random::new();
    for _ in 0..400 {
        let body = chat(random, "gpt-5", false);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let status = send(&gateway, random, "/v1/chat/completions", "application/json", &body);
        assert_eq!(status, 200, "{shown}");
        assert_eq!(String::from_utf8_lossy(&only_body(&provider)), shown);
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

#[test]
fn only_the_name_of_the_model_is_changed() {
    let provider = provider();
    let gateway = start(&provider, "[models.mine]\ntargets = [\"sim/org/näme-7b.v2\"]\n");
    let random = &mut Random::new();
    for _ in 0..200 {
        let body = chat(random, "mine", false);
        let shown = String::from_utf8_lossy(&body).into_owned();
        let status = send(&gateway, random, "/v1/chat/completions", "application/json", &body);
        assert_eq!(status, 200, "{shown}");
        let seen = only_body(&provider);
        let (before, after) = edited(&body, &seen);
        assert_eq!(String::from_utf8_lossy(before), "\"mine\"", "{shown}");
        let name: String = serde_json::from_slice(after).unwrap();
        assert_eq!(name, "org/näme-7b.v2", "{shown}");
    }
}

/// What was replaced, and by what, when one span was; widened to the quotes of the model's name.
fn edited<'a>(before: &'a [u8], after: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before_rest, after_rest) = (&before[head..], &after[head..]);
    let tail =
        before_rest.iter().rev().zip(after_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let start = before[..head].iter().rposition(|b| *b == b'"').unwrap();
    let quoted = |whole: &'a [u8]| {
        let end = whole.len() - tail;
        let close = whole[end..].iter().position(|b| *b == b'"').unwrap();
        &whole[start..=end + close]
    };
    (quoted(before), quoted(after))
}

#[test]
fn usage_is_asked_for_by_one_edit() {
    let provider = provider();
    let gateway = start(&provider, "[models.\"*\"]\ntargets = [\"sim/*\"]\n");
    let random = &mut Random::new();
    for round in 0..200 {
        let mut body = chat(random, "gpt-5", true);
        let options = random.one_of(&[
            "",
            "{}",
            "{ }",
            "null",
            "{\"include_usage\":false}",
            "{\"include_usage\": null }",
            "{\"x\":[1],\"include_usage\":false,\"y\":0}",
            "{\"include_obfuscation\":true}",
            "{\"include_usage\":true}",
        ]);
        if !options.is_empty() {
            let close = body.iter().rposition(|b| *b == b'}').unwrap();
            body.splice(close..close, format!(",\"stream_options\" :{options}").into_bytes());
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        let status = send(&gateway, random, "/v1/chat/completions", "application/json", &body);
        assert_eq!(status, 200, "round {round}: {shown}");
        let seen = only_body(&provider);
        let parsed: Value = serde_json::from_slice(&seen).unwrap();
        assert_eq!(parsed["stream_options"]["include_usage"], true, "{shown}");
        if options == "{\"include_usage\":true}" {
            assert_eq!(seen, body, "there was nothing to edit");
        }
        // One span was edited, and it is no longer than what it had to say.
        let head = body.iter().zip(&seen).take_while(|(a, b)| a == b).count();
        let tail = body[head..]
            .iter()
            .rev()
            .zip(seen[head..].iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let inserted = String::from_utf8_lossy(&seen[head..seen.len() - tail]).into_owned();
        assert!(
            inserted.len() <= ",\"stream_options\":{\"include_usage\":true}".len(),
            "{inserted} in {shown}"
        );
        assert!(
            body.len() - head - tail <= "false".len(),
            "{shown}\n{}",
            String::from_utf8_lossy(&seen)
        );
    }
}

#[test]
fn bodies_of_every_size_pass_untouched() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let random = &mut Random::new();
    let mut sizes = vec![1, 2, 100, 4095, 4096, 16 * 1024, 64 * 1024 + 1, MIB, 8 * MIB];
    sizes.extend((0..12).map(|n| random.below(1 << (n + 8)) + 1));
    for size in sizes {
        let body: Vec<u8> =
            (0..size.div_ceil(8)).flat_map(|_| random.number().to_le_bytes()).take(size).collect();
        let status = send(&gateway, random, "/v1/files/upload", "application/octet-stream", &body);
        assert_eq!(status, 200, "{size} bytes");
        assert!(only_body(&provider) == body, "{size} bytes arrive as they are");
    }
}

#[test]
fn a_chat_of_8_mib_passes_untouched() {
    let provider = provider_with(Settings { capture: 4, ..Settings::default() });
    let gateway = Launch::open(&provider).start();
    let random = &mut Random::new();
    for size in [300 * 1024, 8 * MIB] {
        let long = "The \\\"model\\\" is {not} here. ".repeat(size / 28);
        let body = format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"{long}\"}}],\"x\":1,\"x\":2,\"model\":\"gpt-5\"}}"
        );
        let status =
            send(&gateway, random, "/v1/chat/completions", "application/json", body.as_bytes());
        assert_eq!(status, 200);
        assert!(only_body(&provider) == body.as_bytes(), "{size} bytes arrive as they are");
    }
}

#[test]
fn a_body_larger_than_allowed_is_refused_early() {
    let provider = provider();
    let gateway = Launch::open(&provider).server("body_bytes = \"64 KiB\"").start();
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n";
    let mut wire = gateway.connect();
    wire.send(format!("{head}content-length: 65537\r\n\r\n"));
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));

    let mut wire = gateway.connect();
    wire.send(format!("{head}transfer-encoding: chunked\r\n\r\n10001\r\n"));
    let _ = wire.try_send(&vec![b' '; 0x10001]);
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));
    assert_eq!(provider.counters().requests(), 0);
}

/// The body is refused with this code and parameter, and never reaches the provider.
fn check_refused(gateway: &Gateway, body: &str, code: &str, param: Option<&str>) {
    let answer = gateway.client("").send("POST", "/v1/chat/completions", Some(body.as_bytes()));
    assert_eq!(answer.status, 400, "{body}: {answer:?}");
    assert_eq!(answer.code(), code, "{body}: {answer:?}");
    assert_eq!(answer.json()["error"]["param"].as_str(), param, "{body}");
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error", "{body}");
}

#[test]
fn what_another_parser_could_read_otherwise_is_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let duplicate = |extra: &str, param| {
        check_refused(&gateway, &format!("{{{extra},{messages}}}"), "duplicate_field", Some(param));
    };
    duplicate(r#""model":"a","model":"b""#, "model");
    duplicate(r#""model":"a","model":"a""#, "model");
    duplicate(r#""mod\u0065l":"a""#, "model");
    duplicate(r#""model":"a","\u006dodel":"b""#, "model");
    duplicate(r#""model":"a","\u006D\u006F\u0064\u0065\u006C":null"#, "model");
    duplicate(r#""model":"a","stream":true,"stream":false"#, "stream");
    duplicate(r#""model":"a","str\u0065am":true"#, "stream");
    duplicate(r#""model":"a","max_tokens":1,"max_tokens":2"#, "max_tokens");
    duplicate(
        r#""model":"a","max_completion_tokens":1,"max_completion_tokens":2"#,
        "max_completion_tokens",
    );
    duplicate(r#""model":"a","n":1,"n":2"#, "n");
    duplicate(
        r#""model":"a","stream":true,"stream_options":{},"stream_options":{}"#,
        "stream_options",
    );

    for body in [
        "",
        "x",
        "[]",
        "null",
        "\"model\"",
        "{",
        "{}}",
        "{\"model\":\"a\"",
        "{\"model\":\"a\"]",
        "{\"model\":\"a\",}",
        "{\"model\":\"a\"}{\"model\":\"b\"}",
        "{\"model\":\"a\"} x",
        "{model:\"a\"}",
        "{'model':'a'}",
        "{\"model\" \"a\"}",
        "{\"model\":\"a\",\"x\":[1,2}",
        "{\"model\":\"a\",\"x\":{\"y\":[}]}",
        "{\"model\":\"a\",\"x\":\"\n\"}",
        "{\"model\":\"a\",\"x\":01}",
        "{\"model\":\"a\",\"x\":nul}",
        "{\"model\":\"a\",\"x\":\"\\x\"}",
        "\u{feff}{\"model\":\"a\"}",
    ] {
        check_refused(&gateway, body, "invalid_json", None);
    }
    let deep = format!("{{\"model\":\"a\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check_refused(&gateway, &deep, "invalid_json", None);
    check_refused(&gateway, &format!("{{\"model\":7,{messages}}}"), "invalid_json", Some("model"));
    check_refused(&gateway, &format!("{{{messages}}}"), "missing_model", Some("model"));
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn a_usage_option_that_two_parsers_read_differently_is_refused() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    for options in [
        r#"{"include_usage":true,"include_usage":false}"#,
        r#"{"include_us\u0061ge":true}"#,
        r#"{"include_usage":"yes"}"#,
        "[]",
        "7",
    ] {
        let body = format!(
            r#"{{"model":"a","stream":true,"messages":[{{"role":"user","content":"hi"}}],"stream_options":{options}}}"#
        );
        let answer = gateway.client("").send("POST", "/v1/chat/completions", Some(body.as_bytes()));
        assert_eq!(answer.status, 400, "{options}: {answer:?}");
        let param = answer.json()["error"]["param"].as_str().unwrap_or_default().to_owned();
        assert!(param.starts_with("stream_options"), "{options}: {param}");
    }
    assert_eq!(provider.counters().requests(), 0);
}

#[test]
fn the_provider_gets_the_clients_fields_and_nothing_that_is_for_this_hop() {
    let provider = provider();
    let gateway = Launch::new(gateway::sim(&provider)).start();
    let answer = gateway
        .client("")
        .with("OpenAI-Beta", "assistants=v2")
        .with("x-stainless-lang", "python")
        .with("user-agent", "OpenAI/Python 3.57.0")
        .with("connection", "keep-alive, x-hop")
        .with("x-hop", "1")
        .with("keep-alive", "timeout=5")
        .with("te", "trailers")
        .with("proxy-authorization", "Basic eA==")
        .with("x-forwarded-for", "10.0.0.1")
        .with("forwarded", "for=10.0.0.1")
        .with("cookie", "a=b")
        .chat("m");
    assert_eq!(answer.status, 200, "{answer:?}");
    let captured = &provider.take_captured()[0];
    for (name, value) in [
        ("openai-beta", "assistants=v2"),
        ("x-stainless-lang", "python"),
        ("user-agent", "OpenAI/Python 3.57.0"),
    ] {
        assert_eq!(captured.header(name), Some(value));
    }
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "te",
        "proxy-authorization",
        "x-forwarded-for",
        "forwarded",
        "cookie",
    ] {
        assert_eq!(captured.header(name), None, "{name}");
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}
