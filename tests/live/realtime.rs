//! `/v1/realtime`: a WebSocket through the gateway, metered by what the provider's messages say.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use faregate_tests::{
    Driver, Gateway, Launch, Wire, key,
    wait::{self, LONG},
    wire::find,
};

const CLIENT_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A provider that accepts each WebSocket strictly and gives the head and the connection to the test.
fn provider() -> (String, Receiver<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut head = Vec::new();
            while find(&head, b"\r\n\r\n").is_none() {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            for field in [
                "connection: Upgrade",
                "upgrade: websocket",
                "sec-websocket-version: 13",
                &format!("sec-websocket-key: {CLIENT_KEY}"),
                "authorization: Bearer provider-key",
            ] {
                let lines = head.split("\r\n").filter(|line| line.eq_ignore_ascii_case(field));
                assert_eq!(lines.count(), 1, "{field} in {head}");
            }
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: realtime\r\n\r\n";
            let first = text("{\"type\":\"session.created\"}");
            stream.write_all(&[answer.as_bytes(), &first].concat()).unwrap();
            let _ = tell.send((head, stream));
        }
    });
    (url, told)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u8::try_from(payload.len()) {
        Ok(len @ 0..126) => out.push(len),
        _ => {
            out.push(126);
            out.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

fn start(url: &str, driver: Driver, server: &str) -> Gateway {
    Launch::new(format!(
        "[providers.sim]\nbase_url = \"{url}\"\napi_key = \"env:SIM_KEY\"\n\
         [models.voice]\ntargets = [\"sim/gpt-realtime/v1\"]\n{}",
        key::row("one", "models = [\"voice\"]")
    ))
    .on(driver)
    .variable("SIM_KEY", "provider-key")
    .server(server)
    .start()
}

fn open(gateway: &Gateway, model: &str, fields: &str) -> Wire {
    let mut wire = gateway.connect();
    wire.send(format!(
        "GET /v1/realtime?model={model}&x=1 HTTP/1.1\r\nhost: g\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {CLIENT_KEY}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n{fields}\r\n"
    ));
    wire
}

fn by_protocol() -> String {
    format!(
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{}, openai-beta.realtime-v1\r\n",
        key::named("one")
    )
}

#[track_caller]
fn expect(wire: &mut Wire, bytes: &[u8]) {
    let got = wire.try_body(faregate_tests::wire::Framing::Length(bytes.len())).unwrap();
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
}

#[test]
fn frames_pass_both_ways_and_usage_is_metered() {
    for driver in Driver::ALL {
        let (url, told) = provider();
        let gateway = start(&url, driver, "");
        let mut wire = open(&gateway, "voice", &by_protocol());
        let head = wire.head();
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(head.header("upgrade"), Some("websocket"));
        assert_eq!(head.header("connection"), Some("Upgrade"));
        assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(head.header("sec-websocket-protocol"), Some("realtime"));
        let id = head.header("x-faregate-request-id").unwrap().to_owned();
        let (seen, mut upstream) = told.recv_timeout(LONG).unwrap();
        assert!(
            seen.starts_with("GET /v1/realtime?model=gpt-realtime%2Fv1&x=1 HTTP/1.1\r\n"),
            "{seen}"
        );
        assert!(
            seen.contains("sec-websocket-protocol: realtime, openai-beta.realtime-v1\r\n"),
            "{seen}"
        );
        assert!(!seen.contains(key::CANARY) && !seen.contains("permessage-deflate"), "{seen}");
        expect(&mut wire, &text("{\"type\":\"session.created\"}"));

        let masked = [0x81, 0x82, 1, 2, 3, 4, b'h', b'i'];
        wire.send(masked);
        let mut got = [0; 8];
        upstream.read_exact(&mut got).unwrap();
        assert_eq!(got, masked);

        let done = "{\"type\":\"response.done\",\"response\":{\"usage\":{\"total_tokens\":30,\"input_tokens\":20,\
            \"output_tokens\":10,\"input_token_details\":{\"cached_tokens\":5}}}}";
        let (one, two) = done.as_bytes().split_at(40);
        let frames = [text(done), frame(0x01, one), frame(0x89, b"?"), frame(0x80, two)].concat();
        for piece in frames.chunks(7) {
            upstream.write_all(piece).unwrap();
        }
        expect(&mut wire, &frames);
        let large = frame(0x82, &vec![b'x'; 60_000]);
        upstream.write_all(&large).unwrap();
        expect(&mut wire, &large);

        let close = frame(0x88, &[0x03, 0xe8]);
        upstream.write_all(&close).unwrap();
        drop(upstream);
        assert_eq!(wire.rest(), close);
        drop(wire);
        let line = gateway.access_line(&id);
        assert_eq!(line["status"], 101);
        assert_eq!(
            (&line["input_tokens"], &line["cache_read_tokens"]),
            (&30.into(), &10.into()),
            "{line}"
        );
        assert_eq!(line["output_tokens"], 20, "{line}");
        assert!(!line.to_string().contains(key::CANARY) && !gateway.log().contains(key::CANARY));
    }
}

#[test]
fn who_leaves_ends_the_other_side() {
    let (url, told) = provider();
    let gateway = start(&url, Driver::Auto, "");
    let mut wire = open(&gateway, "voice", &by_protocol());
    assert_eq!(wire.head().status, 101);
    let (_, mut upstream) = told.recv_timeout(LONG).unwrap();
    drop(wire);
    assert_eq!(upstream.read(&mut [0; 16]).unwrap_or(0), 0);
    wait::until_true("it is recorded", || {
        gateway.access().iter().any(|line| line["error_code"] == "client_gone")
    });
}

#[test]
fn silence_ends_it() {
    let (url, told) = provider();
    let gateway = start(&url, Driver::Auto, "[server.deadlines]\nidle = \"300ms\"");
    let mut wire = open(&gateway, "voice", &by_protocol());
    assert_eq!(wire.head().status, 101);
    let (_, mut upstream) = told.recv_timeout(LONG).unwrap();
    let rest = wire.rest();
    assert!(rest.ends_with(&[0x88, 2, 0x03, 0xe9]), "{rest:?}");
    assert_eq!(upstream.read(&mut [0; 16]).unwrap_or(0), 0);
}

#[test]
fn what_is_no_websocket_or_no_model_of_the_key_is_refused() {
    let (url, _told) = provider();
    let gateway = start(&url, Driver::Auto, "");
    let bearer = format!("authorization: Bearer {}\r\n", key::named("one"));
    for (model, fields, status) in [
        ("other", &*bearer, 403),
        ("voice", "", 401),
        ("voice", "Sec-WebSocket-Protocol: openai-insecure-api-key.wrong\r\n", 401),
        ("voice", "Upgrade: h2c\r\n", 400),
        ("voice", "content-length: 1\r\n", 400),
    ] {
        assert_eq!(open(&gateway, model, fields).answer().status, status, "{model} {fields}");
    }
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.get("/v1/realtime?model=voice").status, 400);
}

/// A gateway whose key has so much, where a token costs $1 a million, of output $4.
fn paid(url: &str, limit: &str) -> Gateway {
    let rate = "input = \"$1/M\"\noutput = \"$4/M\"\ncache_read = \"$1/M\"\ncache_write = \"$1/M\"\ncache_write_1h = \"$1/M\"\n\
                audio_input = \"$1/M\"\naudio_output = \"$4/M\"\nreasoning = \"$4/M\"\n";
    Launch::new(format!(
        "[providers.sim]\nbase_url = \"{url}\"\napi_key = \"env:SIM_KEY\"\n[models.voice]\ntargets = [\"sim/gpt-realtime/v1\"]\n\
         [prices.\"sim/*\"]\n{rate}{}",
        key::row("one", &format!("models = [\"voice\"]\nlimits = [\"{limit}\"]"))
    ))
    .variable("SIM_KEY", "provider-key")
    .start()
}

fn level(gateway: &Gateway) -> serde_json::Value {
    let me = gateway.client(&key::named("one")).get("/v1/faregate/me").json();
    me["scopes"][0]["budgets"][0].clone()
}

fn done(input: u64, output: u64) -> Vec<u8> {
    let total = input + output;
    text(&format!(
        "{{\"type\":\"response.done\",\"response\":{{\"usage\":{{\"total_tokens\":{total},\"input_tokens\":{input},\"output_tokens\":{output}}}}}}}"
    ))
}

#[test]
fn a_session_ends_with_an_error_event_when_its_budget_has_no_more() {
    let (url, told) = provider();
    // A slice of 8192 and 8192 tokens is $0.041: there is one, and not another one behind a few answers.
    let gateway = paid(&url, "$0.05/day");
    let mut wire = open(&gateway, "voice", &by_protocol());
    assert_eq!(wire.head().status, 101);
    let (_, mut upstream) = told.recv_timeout(LONG).unwrap();
    expect(&mut wire, &text("{\"type\":\"session.created\"}"));
    let mut answers = 0_u64;
    while answers < 100 && upstream.write_all(&done(1000, 1000)).is_ok() {
        answers += 1;
        // Sooner or later the gateway says the last word; until then each answer passes.
        let got = wire.try_body(faregate_tests::wire::Framing::Length(2)).unwrap();
        let length = match got[1] {
            126 => {
                let length = wire.try_body(faregate_tests::wire::Framing::Length(2)).unwrap();
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            short => usize::from(short),
        };
        let event = wire.try_body(faregate_tests::wire::Framing::Length(length)).unwrap();
        let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
        if event["type"] == "error" {
            assert_eq!(event["error"]["code"], "budget_exceeded", "{event}");
            break;
        }
        assert_eq!(event["type"], "response.done", "{event}");
    }
    assert!((5..=11).contains(&answers), "{answers} answers of half a cent");
    assert_eq!(wire.rest(), [0x88, 2, 0x03, 0xf0], "policy violation");
    assert_eq!(upstream.read(&mut [0; 16]).unwrap_or(0), 0, "the provider is let go");
    wait::until_true("it is settled", || level(&gateway)["held"] == 0);
    let level = level(&gateway);
    let spent = level["spent"].as_u64().unwrap();
    assert!((25_000_000..=50_000_000).contains(&spent), "{level}");
    assert_eq!((spent % 5_000_000, &level["overrun"]), (0, &0.into()), "{level}");
}

#[test]
fn an_answer_that_is_cut_in_the_middle_of_a_session_is_paid_for_and_silence_is_not() {
    let (url, told) = provider();
    let gateway = paid(&url, "$1/day");
    let mut wire = open(&gateway, "voice", &by_protocol());
    assert_eq!(wire.head().status, 101);
    let (_, mut upstream) = told.recv_timeout(LONG).unwrap();
    let first = text("{\"type\":\"session.created\"}");
    expect(&mut wire, &first);
    assert!(level(&gateway)["held"].as_u64().unwrap() > 0);
    drop((wire, upstream));
    wait::until_true("it is settled", || level(&gateway)["held"] == 0);
    assert_eq!(level(&gateway)["spent"], 0, "nothing was said");

    let mut wire = open(&gateway, "voice", &by_protocol());
    assert_eq!(wire.head().status, 101);
    (_, upstream) = told.recv_timeout(LONG).unwrap();
    expect(&mut wire, &first);
    let delta = text("{\"type\":\"response.output_text.delta\",\"delta\":\"word\"}");
    upstream.write_all(&delta.repeat(50)).unwrap();
    expect(&mut wire, &delta.repeat(50));
    drop((wire, upstream));
    wait::until_true("it is settled", || level(&gateway)["held"] == 0);
    let spent = level(&gateway)["spent"].as_u64().unwrap();
    assert!((50 * 4000..100 * 4000).contains(&spent), "{spent}");
}
