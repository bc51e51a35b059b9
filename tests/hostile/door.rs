//! The front door: a request that two parties could read as two requests is refused, its connection ends, and nothing of
//! it reaches a provider, however the network cuts it.
//!
//! Rules: <https://www.rfc-editor.org/rfc/rfc9112>.

use faregate_tests::{
    Act, Driver, Gateway, Launch, Upstream, key, upstream,
    wire::{Answer, Wire},
};

use crate::{CHAT, once};

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: g\r\n\r\n";

/// A gateway that wants a key, and the provider behind it.
fn keyed(driver: Driver) -> (Gateway, Upstream) {
    let upstream = Upstream::start(|_| vec![Act::Send(upstream::json("{}"))]);
    let policy = format!("{}{}", once(&upstream.base_url()), key::row("one", ""));
    (Launch::new(policy).on(driver).start(), upstream)
}

/// A chat with a good key and these further lines; the body is given with its framing.
fn chat(lines: &str, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\n{lines}\r\n{body}",
        key::named("one")
    )
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Heads and bodies with two readings, and the statuses that may answer them.
fn ambiguous() -> Vec<(String, &'static [u16])> {
    let bad: &[u16] = &[400];
    let coding: &[u16] = &[400, 501];
    let length = format!("content-length: {}\r\n", CHAT.len());
    let body = chunked(CHAT);
    let te = "transfer-encoding: chunked\r\n";
    let mut all = vec![
        (chat(&format!("{length}{te}"), &body), bad),
        (chat(&format!("{te}{length}"), &body), bad),
        (chat(&format!("content-length: 0\r\n{te}"), &body), bad),
        (chat(&format!("{length}{length}"), CHAT), bad),
        (chat(&format!("{length}content-length: 4\r\n"), CHAT), bad),
        (chat(&format!("{te}{te}"), &body), coding),
        (chat("Transfer-Encoding\u{a0}: chunked\r\n", &body), bad),
        (chat("Transfer_Encoding: chunked\r\n", &body), bad),
        (chat("Content_Length: 4\r\n", CHAT), bad),
        (chat("transfer-encoding:\r\n chunked\r\n", &body), bad),
        (chat("x: y\r\n\ttransfer-encoding: chunked\r\n", &body), bad),
        (chat(&format!("{length}\u{0}x: y\r\n"), CHAT), bad),
        (chat("x\r: y\r\n", ""), bad),
        (chat(": y\r\n", ""), bad),
        (chat("x\r\n", ""), bad),
        (chat("x: a\r\r\n", ""), bad),
        (chat("authorization: Bearer other\r\n", ""), bad),
        (chat("x-api-key: other\r\n", ""), bad),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g\r\n\n".to_owned(), bad),
        ("GET / HTTP/1.1\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\rhost: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1 \r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET\t/ HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        (" GET / HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET / http/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\n host: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g\r\nHost: g\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g, h\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g@h\r\n\r\n".to_owned(), bad),
        ("GET / HTTP/1.1\r\nhost: g h\r\n\r\n".to_owned(), bad),
        ("GET /#x HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET http:///x HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET http://u@h/x HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("GET x HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), bad),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".to_owned() + &"\0".repeat(300), bad),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\u{12}\u{4}\0".to_owned(), &[400, 505]),
        ("CONNECT g:443 HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), &[400, 405, 501]),
        ("TRACE / HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), &[405, 501]),
        ("OPTIONS * HTTP/1.1\r\nhost: g\r\n\r\n".to_owned(), &[400, 405, 501]),
        (format!("POST /v1/chat/completions HTTP/1.0\r\n{te}\r\n{body}"), bad),
        (chat(&format!("x: {}\r\n", "y".repeat(70_000)), ""), &[431]),
        (chat(&"x: y\r\n".repeat(257), ""), &[431]),
        (format!("GET /{} HTTP/1.1\r\nhost: g\r\n\r\n", "y".repeat(17_000)), &[414]),
        ("G".repeat(70_000), &[501]),
    ];
    for value in [
        "xchunked",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "gzip",
        "identity",
        "\"chunked\"",
        "chunked;q=1",
        "chunked;",
        "chunked x",
        "\u{b}chunked",
        "chunked\u{c}",
        "'chunked'",
        "chunke\u{17f}",
        "\u{a0}chunked",
        "",
    ] {
        all.push((chat(&format!("transfer-encoding: {value}\r\n"), &body), coding));
    }
    for value in [
        "+5",
        "-5",
        "0x5",
        "5_0",
        "5,5",
        "5, 6",
        "",
        "5 5",
        "5;",
        "\u{b}5",
        "5\u{a0}",
        "five",
        "18446744073709551621",
        "99999999999999999999999",
        "٥",
    ] {
        all.push((chat(&format!("content-length: {value}\r\n"), "hello"), bad));
    }
    for (name, ends) in [("transfer-encoding", "chunked"), ("content-length", "5"), ("host", "g")] {
        all.push((chat(&format!("{name} : {ends}\r\n"), &body), bad));
        all.push((chat(&format!("{name}\t: {ends}\r\n"), &body), bad));
    }
    for framed in [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nx\r\n\r\n",
        "5\r\nhello\r\n0\r\nx : y\r\n\r\n",
        "5\r\nhello\r\n0\r\n x: y\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
    ] {
        all.push((chat(te, framed), bad));
    }
    all.push((chat(te, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5_000))), bad));
    all.push((chat(te, &"1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n \r\n".repeat(2_000)), bad));
    all.push((chat(te, &format!("0\r\nx: {}\r\n\r\n", "y".repeat(9_000))), &[400, 431]));
    all
}

/// Sends `request` and one more behind it, in pieces of so many bytes; the answer, behind which nothing may come.
fn refusal(gateway: &Gateway, request: &str, piece: usize) -> Answer {
    let mut wire = gateway.connect();
    let shown: String =
        request.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect();
    let all = format!("{request}{HEALTH}");
    for part in all.as_bytes().chunks(piece) {
        if wire.try_send(part).is_err() {
            break;
        }
    }
    let answer = wire.try_answer().unwrap_or_else(|error| panic!("…{shown:?}: {error}"));
    assert_eq!(answer.header("connection"), Some("close"), "…{shown:?}: {answer:?}");
    assert!(wire.is_closed(), "…{shown:?}: something comes behind the refusal");
    answer
}

#[test]
fn what_has_two_readings_reaches_nobody() {
    for driver in Driver::ALL {
        let (gateway, upstream) = keyed(driver);
        for (request, statuses) in ambiguous() {
            let pieces = if request.len() < 2_000 { vec![usize::MAX, 7] } else { vec![usize::MAX] };
            for piece in pieces {
                let answer = refusal(&gateway, &request, piece);
                assert!(statuses.contains(&answer.status), "{request:.400?}: {answer:?}");
                let error = &answer.json()["error"];
                assert!(error["message"].is_string() && error["code"].is_string(), "{error}");
            }
        }
        assert!(upstream.take().is_empty(), "something reached the provider");
        assert_eq!(upstream.accepted(), 0);
        assert_eq!(gateway.metrics().sum("faregate_panics_total", &[]), 0.0);
    }
}

#[test]
fn a_limit_is_told_before_what_breaks_it_ends() {
    for driver in Driver::ALL {
        let (gateway, upstream) = keyed(driver);
        for (begun, status) in [
            (format!("GET /{}", "y".repeat(17_000)), 414),
            (format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(66_000)), 431),
            ("GET / HTTP/1.1\r\n".to_owned() + &"x: y\r\n".repeat(20_000), 431),
            ("M".repeat(17), 501),
            (chat("content-length: 99999999999\r\n", ""), 413),
        ] {
            let mut wire = gateway.connect();
            let _ = wire.try_send(begun.as_bytes());
            let answer = wire.answer();
            assert_eq!(answer.status, status, "{begun:.80?}: {answer:?}");
            assert_eq!(answer.header("connection"), Some("close"));
            assert!(wire.is_closed());
        }
        assert_eq!(upstream.accepted(), 0);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_up_to_the_first_that_is_refused() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| {
            vec![Act::Send(upstream::json(&format!("{{\"case\":{}}}", request.case())))]
        });
        let gateway = crate::before(&upstream, driver);
        let mut wire = gateway.connect();
        let many: String = (0..100).map(|case| crate::post(case, CHAT)).collect();
        wire.send(&many);
        for case in 0..100 {
            assert_eq!(wire.answer().json()["case"], case);
        }
        let good: String = (100..103).map(|case| crate::post(case, CHAT)).collect();
        let bad = "GET / HTTP/1.1\r\nhost: g\r\nhost: h\r\n\r\n";
        wire.send(format!("{good}{bad}{}", crate::post(103, CHAT)));
        for case in 100..103 {
            assert_eq!(wire.answer().json()["case"], case);
        }
        assert_eq!(wire.answer().status, 400);
        assert!(wire.is_closed(), "nothing is parsed behind a refused request");
        assert_eq!(upstream.take().len(), 103);
    }
}

#[test]
fn pipelined_requests_that_arrive_byte_by_byte_are_told_apart() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| {
            vec![Act::Send(upstream::json(&format!("{{\"case\":{}}}", request.case())))]
        });
        let gateway = crate::before(&upstream, driver);
        let mut wire = gateway.connect();
        let all: String = (0..4).map(|case| crate::post(case, CHAT)).collect();
        wire.send_pieces(all.as_bytes().chunks(1));
        for case in 0..4 {
            assert_eq!(wire.answer().json()["case"], case);
        }
    }
}

/// A client that waits for leave to send its body; the head that it gets first.
fn expecting(gateway: &Gateway, bearer: &str, length: &str) -> (Wire, u16) {
    let mut wire = gateway.connect();
    wire.send(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n{bearer}content-type: application/json\r\n\
         expect: 100-continue\r\n{length}\r\n"
    ));
    let head = wire.head();
    assert_eq!(head.status < 200, head.header("connection").is_none(), "{head:?}");
    let status = head.status;
    if status >= 200 {
        wire.try_body(head.framing).unwrap();
    }
    (wire, status)
}

#[test]
fn leave_to_go_on_is_given_before_the_body_or_not_at_all() {
    for driver in Driver::ALL {
        let (gateway, upstream) = keyed(driver);
        let bearer = format!("authorization: Bearer {}\r\n", key::named("one"));
        let length = format!("content-length: {}\r\n", CHAT.len());
        for (framing, body) in
            [(length.as_str(), CHAT.to_owned()), ("transfer-encoding: chunked\r\n", chunked(CHAT))]
        {
            let (mut wire, status) = expecting(&gateway, &bearer, framing);
            assert_eq!(status, 100);
            wire.send(&body);
            assert_eq!(wire.answer().status, 200);
            wire.send(HEALTH);
            assert!(wire.answer().text().contains("ready"), "the connection goes on");
        }
        assert_eq!(upstream.take().len(), 2);
        for (bearer, framing, expected) in [
            ("", length.as_str(), 401),
            ("authorization: Bearer wrong\r\n", length.as_str(), 401),
            (bearer.as_str(), "content-length: 99999999999\r\n", 413),
        ] {
            let (mut wire, status) = expecting(&gateway, bearer, framing);
            assert_eq!(status, expected);
            // The client may send its body all the same: it is never a request.
            let _ = wire.try_send(HEALTH.as_bytes());
            assert!(wire.is_closed());
        }
        assert!(upstream.take().is_empty());
    }
}
