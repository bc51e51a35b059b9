//! Requests that are answered before they are read: the rest is read away or the connection ends, and no byte of a body
//! is ever taken for a request.

use faregate_tests::{Act, Driver, Gateway, Launch, Upstream, Wire, key, upstream};

use crate::once;

/// What would be answered with 200 if it were taken for a request.
fn smuggled() -> String {
    format!(
        "GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\r\n",
        key::named("one")
    )
}

/// Bodies of 10 bytes, 64 KiB and 10 MiB that are made of requests.
fn bodies() -> [String; 3] {
    let smuggled = smuggled();
    let sized = |bytes: usize| smuggled.repeat(bytes / smuggled.len() + 1)[..bytes].to_owned();
    [sized(10), sized(64 << 10), sized(10 << 20)]
}

/// A request line with fields that is refused by its head, and the status.
fn refused_by_head() -> Vec<(String, u16)> {
    let good = format!("authorization: Bearer {}\r\n", key::named("one"));
    let poor = format!("authorization: Bearer {}\r\n", key::named("poor"));
    let chat =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\n";
    vec![
        (chat.to_owned(), 401),
        (format!("{chat}authorization: Bearer wrong\r\n"), 401),
        (format!("POST /v2/x HTTP/1.1\r\nhost: g\r\n{good}"), 404),
        (format!("DELETE /v1/chat/completions HTTP/1.1\r\nhost: g\r\n{good}"), 405),
        (format!("{chat}{good}content-encoding: gzip\r\n"), 415),
        (format!("{chat}{poor}"), 429),
        (format!("POST /v1//x HTTP/1.1\r\nhost: g\r\n{good}"), 400),
    ]
}

/// Sends the head with the first part of the body, reads the answer, then sends the rest and one more request.
fn check_unread(gateway: &Gateway, head: &str, body: &[u8], first: usize, status: u16) {
    let case = format!("{head:?} with {} bytes, {first} at first", body.len());
    let mut wire = gateway.connect();
    let _ = wire.try_send(head.as_bytes());
    let _ = wire.try_send(&body[..first]);
    let answer = wire.try_answer().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    let closes = answer.header("connection") == Some("close");
    let _ = wire.try_send(&body[first..]);
    let _ = wire.try_send(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
    if closes {
        assert!(wire.rest().is_empty(), "{case}: something comes behind the last answer");
        return;
    }
    let next = wire.answer();
    assert!(next.text().contains("ready"), "{case}: the body was taken for a request: {next:?}");
}

#[test]
fn no_byte_of_an_unread_body_becomes_a_request() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|_| vec![Act::Send(upstream::json("{}"))]);
        let policy = format!(
            "{}{}{}",
            once(&upstream.base_url()),
            key::row("one", ""),
            key::row("poor", "limits = [\"1 requests/day\"]")
        );
        let gateway = Launch::new(policy).on(driver).server("body_bytes = \"1 MiB\"").start();
        let spent = gateway.client(&key::named("poor")).chat("m");
        assert_eq!(spent.status, 200, "{spent:?}");
        upstream.next();
        let good = format!("authorization: Bearer {}\r\n", key::named("one"));
        for body in bodies() {
            let sized = format!("content-length: {}\r\n\r\n", body.len());
            let framed = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            for (head, status) in refused_by_head() {
                for first in [0, body.len().min(5), body.len()] {
                    check_unread(
                        &gateway,
                        &format!("{head}{sized}"),
                        body.as_bytes(),
                        first,
                        status,
                    );
                }
                let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
                check_unread(&gateway, &chunked, framed.as_bytes(), 4, status);
            }
            if body.len() > 1 << 20 {
                let chat = format!(
                    "POST /v1/files HTTP/1.1\r\nhost: g\r\ncontent-type: text/plain\r\n{good}"
                );
                check_unread(&gateway, &format!("{chat}{sized}"), body.as_bytes(), 0, 413);
            }
        }
        assert!(upstream.take().is_empty());
    }
}

#[test]
fn a_local_answer_reads_its_body_away_too() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|_| vec![]);
        let gateway = crate::before(&upstream, driver);
        let mut wire: Wire = gateway.connect();
        let inner = "GET /v1/models HTTP/1.1\r\nhost: g\r\n\r\n";
        wire.send(format!(
            "GET /health HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{inner}HEAD / HTTP/1.1\r\nhost: g\r\n\r\n",
            inner.len()
        ));
        assert!(wire.answer().text().contains("ready"));
        let head = wire.head();
        assert_eq!(head.status, 200);
        wire.send("GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
        assert!(wire.answer().text().contains("ready"), "no body behind the answer to HEAD");
        assert_eq!(upstream.accepted(), 0);
    }
}
