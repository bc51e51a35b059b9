//! What reaches a provider: one framing field, one Host, canonical lines, nothing of this hop and nothing of the client's
//! key, whatever the client sent.

use faregate_tests::{Act, Driver, Launch, Upstream, key, upstream, upstream::Request};

use crate::{CHAT, once};

/// Fields that belong to one hop, and those that carry a client's credentials.
const NEVER: [&str; 14] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-hop",
];

/// Holds the three invariants against a request as it arrived.
fn check_clean(request: &Request, host: &str, case: &str) {
    let head = &request.head;
    assert!(!head.contains(key::CANARY), "{case}: the client's key in {head}");
    assert!(!String::from_utf8_lossy(&request.body).contains(key::CANARY), "{case}");
    let lines: Vec<&str> = head.strip_suffix("\r\n\r\n").unwrap().split("\r\n").collect();
    let first: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!((first.len(), first[2]), (3, "HTTP/1.1"), "{case}: {head}");
    assert!(first[1].starts_with("/v1/"), "{case}: {head}");
    for line in &lines[1..] {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{case}: {line:?}"));
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        assert!(!name.is_empty() && name.bytes().all(token), "{case}: {line:?}");
        assert_eq!(value.trim(), value, "{case}: {line:?}");
        assert!(!value.contains(['\r', '\n', '\0']), "{case}: {line:?}");
        assert!(!NEVER.contains(&name.to_ascii_lowercase().as_str()), "{case}: {line:?}");
    }
    assert_eq!(request.fields("host"), [host], "{case}");
    let (lengths, codings) =
        (request.fields("content-length"), request.fields("transfer-encoding"));
    let bodiless = matches!(first[0], "GET" | "HEAD" | "DELETE" | "OPTIONS");
    assert!(codings.is_empty(), "{case}: bodies are read whole, so their length is known");
    assert!(lengths.len() == 1 || (bodiless && lengths.is_empty()), "{case}: {head}");
    let length: usize = lengths.first().map_or(0, |length| length.parse().unwrap());
    assert_eq!(request.body.len(), length, "{case}");
    assert_eq!(request.behind, 0, "{case}: bytes behind the request");
}

/// Requests that are good, in every spelling; `{key}` stands for the client's key and `{len}` for the body's length.
const GOOD: &[(&str, &str)] = &[
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nHOST:g\r\nAUTHORIZATION:   bearer {key}\t \r\nCONTENT-LENGTH:  {len} \r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nx-api-key: {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\napi-key: {key}\r\nx_api_key: {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST http://other:1/v1/chat/completions?a=b HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\nconnection: x-hop, close\r\n\
      x-hop: 1\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\
      connection: content-length, host, authorization, content-type, transfer-encoding\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\nconnection: te, upgrade, http2-settings\r\n\
      te: trailers\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQ\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\nkeep-alive: timeout=5\r\n\
      proxy-connection: keep-alive\r\nproxy-authorization: Basic {key}\r\ntrailer: x\r\nx-empty:\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\nexpect: 100-continue\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncookie: {key}\r\ncontent-length: {len}\r\n\r\n",
        CHAT,
    ),
    (
        "POST /v1/batches/b_1/cancel HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\ncontent-length: 0\r\n\r\n",
        "",
    ),
    ("POST /v1/batches/b_1/cancel HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\r\n", ""),
    (
        "GET /v1/files?limit=2&after=x HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\r\n",
        "",
    ),
    ("DELETE /v1/files/f_1 HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\r\n", ""),
    ("HEAD /v1/files/f_1 HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\r\n", ""),
    ("\r\nGET /v1/files HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {key}\r\n\r\n", ""),
];

/// The same body in chunks of every kind.
fn in_chunks() -> Vec<String> {
    let bytes = CHAT.as_bytes().chunks(1);
    let single: String =
        bytes.map(|byte| format!("1\r\n{}\r\n", std::str::from_utf8(byte).unwrap())).collect();
    vec![
        format!("{:x}\r\n{CHAT}\r\n0\r\n\r\n", CHAT.len()),
        format!("{single}0\r\n\r\n"),
        format!("0000{:X};name=\"va lue\";x\r\n{CHAT}\r\n000;end\r\n\r\n", CHAT.len()),
        format!(
            "{:x}\r\n{CHAT}\r\n0\r\nContent-Length: 4\r\nTransfer-Encoding: x\r\nAuthorization: Bearer {}\r\nx-hop: 1\r\n\r\n",
            CHAT.len(),
            key::named("one")
        ),
    ]
}

#[test]
fn every_good_request_arrives_in_one_spelling() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|_| vec![Act::Send(upstream::json("{}"))]);
        let policy = format!(
            "{}api_key = \"env:PROVIDER\"\npassthrough = true\n{}",
            once(&upstream.base_url()),
            key::row("one", "")
        );
        let gateway = Launch::new(policy).on(driver).variable("PROVIDER", "sk-provider").start();
        let host = upstream.address.to_string();
        let mut all: Vec<String> = GOOD
            .iter()
            .map(|(head, body)| {
                let head = head.replace("{key}", &key::named("one"));
                head.replace("{len}", &body.len().to_string()) + body
            })
            .collect();
        all.extend(in_chunks().iter().map(|body| {
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\
                 Transfer-Encoding: Chunked\r\n\r\n{body}",
                key::named("one")
            )
        }));
        for sent in &all {
            let mut wire = gateway.connect();
            wire.send(sent);
            let mut head = wire.head();
            if head.status == 100 {
                head = wire.head();
            }
            assert_eq!(head.status, 200, "{sent}");
            let seen = upstream.next();
            check_clean(&seen, &host, sent);
            assert_eq!(seen.fields("authorization"), ["Bearer sk-provider"], "{sent}");
            if sent.contains("/chat/") {
                assert_eq!(seen.body, CHAT.as_bytes(), "{sent}");
                assert!(seen.fields("content-type").len() <= 1, "{sent}");
            }
        }
        assert!(upstream.take().is_empty(), "each request arrives once");
        assert!(!gateway.everything_written().contains(key::CANARY), "the key is written nowhere");
    }
}
