//! A provider's answer reaches the client as it is, whatever the provider is like.

use faregate_tests::{
    Gateway, Launch, Wire, client, provider, random::Random, server::Server, wait, wire::Framing,
};
use serde_json::{Value, json};

/// A gateway in front of a server that gives this answer.
fn start(server: &Server) -> Gateway {
    Launch::new(format!(
        "[providers.odd]\nbase_url = \"http://{}/v1\"\n[models.\"*\"]\ntargets = [\"odd/*\"]\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n",
        server.address
    ))
    .start()
}

/// `body` in chunks of random sizes, extensions and spellings of the size.
fn chunked(random: &mut Random, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(1 + random.below(rest.len().min(400)));
        // Extensions are bounded: 4 KiB of them in an answer, here far from that.
        let size = match random.below(40) {
            0 => format!("00{:x};note=\"a;b\"", chunk.len()),
            1..20 => format!("{:X}", chunk.len()),
            _ => format!("{:x}", chunk.len()),
        };
        out.extend_from_slice(size.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
        rest = behind;
    }
    out.extend_from_slice(
        random.one_of(&["0\r\n\r\n", "000\r\nx-trailer: dropped\r\n\r\n"]).as_bytes(),
    );
    out
}

/// The whole answer of a server: a head of this type and the body, framed somehow. Whether it ends by closing.
fn framed(random: &mut Random, kind: &str, body: &[u8]) -> (Vec<u8>, bool) {
    let form = random.below(3);
    let framing = match form {
        0 => format!("Content-Length: {}\r\n", body.len()),
        1 => "transfer-encoding:chunked\r\n".to_owned(),
        _ => String::new(),
    };
    let mut out = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{framing}\r\n").into_bytes();
    match form {
        1 => out.extend(chunked(random, body)),
        _ => out.extend_from_slice(body),
    }
    (out, form == 2)
}

/// Lines of a stream that a careless reader would cut or drop, and ends of lines.
fn stream(random: &mut Random) -> String {
    const EVENTS: &[&str] = &[
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
        "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\u{2028}\u{2029}\u{85}\u{b}\u{c}\"}}]}",
        "event: message\ndata: {\"choices\":[]}\nid: 7\nretry: 10",
        ": OPENROUTER PROCESSING",
        ":",
        "data",
        "data:",
        "data: {\"a\":1,\ndata: \"b\":2}",
        "data:  two blanks",
        "data: {\"choices\":[],\"x\":\"usage\"}",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"[DONE]\"}}]}",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":9}\"}}]}",
        "unknown: field",
    ];
    let end = random.one_of(&["\n", "\n", "\r\n", "\r"]);
    let mut out = String::new();
    if random.once_in(8) {
        out.push_str(&format!("\u{feff}: a mark before the first event{end}{end}"));
    }
    for _ in 0..random.below(12) {
        out.push_str(&random.one_of(EVENTS).replace('\n', end));
        out.push_str(end);
        out.push_str(end);
    }
    out.push_str(&format!(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}}}{end}{end}"
    ));
    out.push_str(&format!("data: [DONE]{end}{end}"));
    out
}

fn ask(gateway: &Gateway, body: &Value) -> Wire {
    let mut wire = gateway.connect();
    wire.send(gateway.client("").request(
        "POST",
        "/v1/chat/completions",
        Some(body.to_string().as_bytes()),
    ));
    wire
}

/// Waits until the four tokens of the answer are counted.
fn wait_tokens(gateway: &Gateway) {
    let output = "gen_ai_token_type=\"output\"";
    wait::until_true("four tokens are counted", || {
        gateway.metrics().sum("faregate_tokens_total", &[output]) == 4.0
    });
}

#[test]
fn a_stream_reaches_the_client_byte_for_byte() {
    let random = &mut Random::new();
    for round in 0..30 {
        let body = stream(random);
        let (answer, closes) = framed(random, "text/event-stream", body.as_bytes());
        let pieces = 1 + random.below(200);
        let server = Server::canned(answer, pieces, closes);
        let gateway = start(&server);
        let mut asked = client::streamed("m");
        asked["stream_options"] = json!({"include_usage": true});
        let got = ask(&gateway, &asked).answer();
        assert_eq!(got.status, 200);
        assert_eq!(got.text(), body, "round {round}, {pieces} bytes at a time");
        wait_tokens(&gateway);

        // When the client has not asked for usage, the event that has nothing else is all that is missing.
        let got = ask(&gateway, &client::streamed("m")).answer();
        let mut wanted = events(&body);
        wanted.remove(wanted.len() - 2);
        assert_eq!(events(got.text()), wanted, "round {round}");
    }
}

/// The lines of each event, whatever ends them.
fn events(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let events = lines.split(|line| line.is_empty());
    events.filter(|event| !event.is_empty()).map(<[String]>::to_vec).collect()
}

#[test]
fn a_plain_answer_reaches_the_client_byte_for_byte() {
    let random = &mut Random::new();
    for round in 0..20 {
        let scale = random.below(20);
        let size = 1 + random.below(1 << scale);
        let text: String =
            (0..size).map(|_| random.one_of(&["a", "é", "🙂", " ", "\\n", "\\\""])).collect();
        let body = format!(
            "{{ \"choices\":[{{\"message\":{{\"content\":\"{text}\"}}}}],\r\n\"usage\" : {{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}} }}\n"
        );
        let (answer, closes) = framed(random, "application/json", body.as_bytes());
        let pieces = 1 + random.below(size + 100);
        let server = Server::canned(answer, pieces.max(size / 50), closes);
        let gateway = start(&server);
        let got = ask(&gateway, &client::chat("m")).answer();
        assert_eq!(got.status, 200);
        assert!(got.body == body.as_bytes(), "round {round}: {size} bytes, {pieces} at a time");
        wait_tokens(&gateway);
    }
}

#[test]
fn an_answer_of_8_mib_reaches_the_client_whole() {
    let provider = provider();
    let gateway = Launch::open(&provider).start();
    let mut body = client::chat("m");
    body["sim"] = "bytes=8388608".into();
    let text =
        |answer: Value| answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let direct =
        faregate_tests::Client::new(provider.address(), "").post("/v1/chat/completions", &body);
    let through = gateway.client("").post("/v1/chat/completions", &body);
    assert_eq!(text(direct.json()).len(), 8 << 20);
    assert!(text(direct.json()) == text(through.json()), "the same text comes through");
}

/// What the client gets of a server with this answer.
fn check(answer: &str, closes: bool, look: impl Fn(Result<faregate_tests::Answer, String>)) {
    let server = Server::canned(answer.as_bytes().to_vec(), usize::MAX, closes);
    let gateway = start(&server);
    look(ask(&gateway, &client::chat("m")).try_answer());
}

const OK: &str = "content-type: application/json\r\ncontent-length: 2\r\n";

#[test]
fn odd_but_lawful_answers_pass() {
    let ok = |answer: String| {
        check(&answer, false, |got| {
            let got = got.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
            assert_eq!((got.status, got.text()), (200, "{}"), "{answer:?}");
        });
    };
    ok(format!("HTTP/1.1 200 \r\n{OK}\r\n{{}}"));
    ok(format!("HTTP/1.1 200\r\n{OK}\r\n{{}}"));
    ok(format!("HTTP/1.1 200 A Strange Reason\r\n{OK}\r\n{{}}"));
    ok(format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n{OK}\r\n{{}}"));
    ok(format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n{OK}\r\n{{}}"));
    check("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{}", true, |got| {
        assert_eq!(got.unwrap().text(), "{}");
    });
    check(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{}",
        true,
        |got| {
            let got = got.unwrap();
            assert_eq!((got.text(), got.header("connection")), ("{}", None));
        },
    );
}

#[test]
fn fields_of_a_provider_are_passed_on_but_for_those_of_the_hop() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\n{OK}x-request-id: theirs\r\nopenai-processing-ms: 7\r\nx-ratelimit-remaining-tokens: 5\r\n\
         set-cookie: a=b\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-faregate-route: forged\r\n\r\n{{}}"
    );
    check(&answer, false, |got| {
        let got = got.unwrap();
        for (name, value) in [
            ("x-request-id", "theirs"),
            ("openai-processing-ms", "7"),
            ("x-ratelimit-remaining-tokens", "5"),
        ] {
            assert_eq!(got.header(name), Some(value));
        }
        for name in ["set-cookie", "x-hop", "keep-alive", "connection"] {
            assert_eq!(got.header(name), None, "{name}");
        }
        assert_eq!(
            got.header("x-faregate-route"),
            Some("odd/*"),
            "a provider cannot forge our fields"
        );
    });
}

#[test]
fn answers_with_two_readings_are_the_providers_fault() {
    let refused = |answer: &str| {
        check(answer, false, |got| {
            let got = got.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
            assert_eq!((got.status, got.code().as_str()), (502, "upstream_protocol"), "{answer:?}");
        });
    };
    refused("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ");
    refused(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    );
    refused("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    refused("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}");
    refused("HTTP/1.1 200 OK\r\nx : y\r\ncontent-length: 2\r\n\r\n{}");
    refused("HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 2\r\n\r\n{}");
    refused("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    refused("HTTP/2 200\r\ncontent-length: 2\r\n\r\n{}");
    refused("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    refused("{\"error\":\"no HTTP at all\"}\r\n\r\n");
}

#[test]
fn what_a_provider_sends_unasked_is_nobodys_answer() {
    let extra =
        format!("HTTP/1.1 200 OK\r\n{OK}\r\n{{}}HTTP/1.1 200 OK\r\n{OK}x-smuggled: 1\r\n\r\n[]");
    let server = Server::canned(extra.into_bytes(), usize::MAX, false);
    let gateway = start(&server);
    for round in 0..10 {
        let mut wire = ask(&gateway, &client::chat("m"));
        let head = wire.head();
        assert_eq!(head.header("x-smuggled"), None, "round {round}");
        if head.framing != Framing::None {
            let body = wire.try_body(head.framing);
            assert!(body.is_err() || body.unwrap() != b"[]", "round {round}");
        }
    }
}
