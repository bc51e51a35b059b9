//! What providers answer, from plain to poisonous: what is whole arrives whole, what is broken is a 502, and what stands
//! behind an answer is never the answer to somebody else's request.

use faregate_tests::{Act, Answer, Driver, Gateway, Upstream, Wire, upstream, wait};

use crate::{CHAT, before, post};

/// A whole answer with these lines and this body.
fn answer(lines: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {lines}\r\n\r\n{body}").into_bytes()
}

/// Answers a provider may give, and what the client gets: status and body.
fn good() -> Vec<(Vec<u8>, u16, &'static str)> {
    vec![
        (answer("200 OK\r\ncontent-length: 0", ""), 200, ""),
        (answer("200 OK\r\ncontent-length: 5", "hello"), 200, "hello"),
        (answer("200 OK\r\ncontent-length: 5\r\ncontent-length: 5", "hello"), 200, "hello"),
        (answer("200\r\ncontent-length: 5", "hello"), 200, "hello"),
        (answer("200 \r\ncontent-length: 5", "hello"), 200, "hello"),
        (answer("299 Odd Enough\r\ncontent-length: 5", "hello"), 299, "hello"),
        (answer("404 Not Found\r\ncontent-length: 5", "hello"), 404, "hello"),
        (answer("204 No Content", ""), 204, ""),
        (answer("204 No Content\r\ncontent-length: 0", ""), 204, ""),
        (answer("304 Not Modified\r\ncontent-length: 10", ""), 304, ""),
        (answer("100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5", "hello"), 200, "hello"),
        (
            answer(
                "103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 5",
                "hello",
            ),
            200,
            "hello",
        ),
        (answer("200 OK\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), 200, "hello"),
        (
            answer(
                "200 OK\r\nTransfer-Encoding: Chunked\r\ntrailer: x",
                "0002;a=b;c=\"d\"\r\nhe\r\n3\r\nllo\r\n00;e\r\nx: y\r\ncontent-length: 9\r\n\r\n",
            ),
            200,
            "hello",
        ),
    ]
}

/// Answers that are none.
fn bad() -> Vec<Vec<u8>> {
    let mut all = vec![
        answer("101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade", ""),
        answer(
            "200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
        answer("200 OK\r\ncontent-length: 5\r\ncontent-length: 6", "hello!"),
        answer("200 OK\r\ncontent-length: -1", ""),
        answer("200 OK\r\ncontent-length: +5", "hello"),
        answer("200 OK\r\ncontent-length: 5, 6", "hello"),
        answer("200 OK\r\ncontent-length: 99999999999999999999", ""),
        answer("200 OK\r\ntransfer-encoding: gzip, chunked", "0\r\n\r\n"),
        answer("200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        answer("200 OK\r\ntransfer-encoding: identity", "hello"),
        answer("200 OK\r\ncontent-length : 5", "hello"),
        answer("200 OK\r\nx: y\r\n z", ""),
        answer("200 OK\r\nx: a\0b\r\ncontent-length: 0", ""),
        answer("200 OK\r\nx: a\rb\r\ncontent-length: 0", ""),
        answer("200 OK\r\nbad field: y\r\ncontent-length: 0", ""),
        answer("99 Low\r\ncontent-length: 0", ""),
        answer("600 High\r\ncontent-length: 0", ""),
        answer("2000 Long\r\ncontent-length: 0", ""),
        answer(&format!("200 OK\r\nx: {}\r\ncontent-length: 0", "y".repeat(80_000)), ""),
        answer(&format!("200 OK\r\n{}content-length: 0", "x: y\r\n".repeat(300)), ""),
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n".to_vec(),
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"ICY 200 OK\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\x15\x03\x01\x00\x02\x02\x46".to_vec(),
        b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        vec![0; 100],
    ];
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    all.push([interim.as_bytes(), &upstream::json("{}")].concat());
    all
}

/// A provider that answers case `n` with the `n`-th of these, and any other with `{}`.
fn provider(answers: Vec<Vec<Act>>) -> Upstream {
    Upstream::start(move |request| {
        answers
            .get(request.case())
            .cloned()
            .unwrap_or_else(|| vec![Act::Send(upstream::json("{}"))])
    })
}

/// The gateway still answers, on this connection or a new one, with the right answer.
fn check_next(gateway: &Gateway, wire: &mut Wire, closed: bool) {
    if closed {
        assert!(wire.is_closed());
        *wire = gateway.connect();
    }
    wire.send(post(usize::MAX, CHAT));
    assert_eq!(wire.answer().text(), "{}");
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection") == Some("close")
}

#[test]
fn answers_of_every_shape_arrive_whole() {
    for driver in Driver::ALL {
        for split in [usize::MAX, 1] {
            let acts = |(bytes, _, _): &(Vec<u8>, u16, &str)| -> Vec<Act> {
                bytes.chunks(split.min(bytes.len())).map(|part| Act::Send(part.to_vec())).collect()
            };
            let upstream = provider(good().iter().map(acts).collect());
            let gateway = before(&upstream, driver);
            let mut wire = gateway.connect();
            for (case, (bytes, status, body)) in good().into_iter().enumerate() {
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                wire.send(post(case, CHAT));
                let answer = wire.answer();
                assert_eq!((answer.status, answer.text()), (status, body), "{shown}: {answer:?}");
                if status == 204 {
                    assert_eq!(answer.header("content-length"), None, "{shown}: RFC 9110, 8.6");
                }
                for name in ["trailer", "link", "x"] {
                    assert_eq!(answer.header(name), None, "{shown}");
                }
                assert!(!closes(&answer), "{shown}");
                check_next(&gateway, &mut wire, false);
            }
            assert_eq!(upstream.accepted(), 1, "every connection goes back to the pool");
        }
    }
}

#[test]
fn answers_that_are_none_are_told_as_such() {
    for driver in Driver::ALL {
        let acts = |bytes: Vec<u8>| vec![Act::Send(bytes), Act::Hold];
        let upstream = provider(bad().into_iter().map(acts).collect());
        let gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        for (case, bytes) in bad().into_iter().enumerate() {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
            wire.send(post(case, CHAT));
            let answer = wire.answer();
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (502, "upstream_protocol"),
                "{shown:?}: {answer:?}"
            );
            check_next(&gateway, &mut wire, closes(&answer));
        }
        // Those that answer well are the only ones that are kept.
        wait::until_true("the bad ones are closed", || upstream.open() <= 1);
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_framed_anew() {
    for driver in Driver::ALL {
        let ends =
            |head: &str| vec![Act::Send(format!("{head}\r\n\r\nhello").into_bytes()), Act::Close];
        let upstream = provider(vec![
            ends("HTTP/1.1 200 OK"),
            ends("HTTP/1.1 200 OK\r\nconnection: close"),
            ends("HTTP/1.0 200 OK\r\ncontent-type: text/plain"),
            ends("HTTP/1.0 200 OK\r\ncontent-length: 5"),
        ]);
        let gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        for case in 0..4 {
            wire.send(post(case, CHAT));
            let answer = wire.answer();
            assert_eq!((answer.status, answer.text()), (200, "hello"), "case {case}");
            assert!(!closes(&answer));
        }
        check_next(&gateway, &mut wire, false);
        assert_eq!(upstream.accepted(), 5, "none of them is used again");
        let old = post(0, CHAT).replacen("HTTP/1.1", "HTTP/1.0", 1);
        let mut wire = gateway.connect();
        wire.send(old);
        let head = wire.head();
        assert_eq!(head.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
        assert_eq!(wire.try_body(head.framing).unwrap(), b"hello");
        assert!(wire.is_closed());
    }
}

#[test]
fn fields_of_the_providers_hop_stay_there() {
    for driver in Driver::ALL {
        let upstream = provider(vec![vec![Act::Send(answer(
            "200 OK\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
             proxy-authenticate: Basic\r\nset-cookie: a=b\r\nupgrade: h2c\r\nte: x\r\n\
             x-end: 1\r\ncontent-length: 2",
            "{}",
        ))]]);
        let gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        wire.send(post(0, CHAT));
        let answer = wire.answer();
        assert_eq!(answer.header("x-end"), Some("1"));
        for name in [
            "connection",
            "x-hop",
            "keep-alive",
            "proxy-authenticate",
            "set-cookie",
            "upgrade",
            "te",
        ] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_says() {
    for driver in Driver::ALL {
        let upstream = Upstream::start(|request| {
            vec![Act::Send(match request.case() {
                0 => answer("200 OK\r\ncontent-length: 5", ""),
                1 => answer("200 OK\r\ntransfer-encoding: chunked", ""),
                2 => answer("200 OK", ""),
                _ => upstream::json("{}"),
            })]
        });
        let gateway = before(&upstream, driver);
        for case in 0..3 {
            let mut wire = gateway.connect();
            wire.send(format!("HEAD /v1/files/f HTTP/1.1\r\nhost: g\r\nx-case: {case}\r\n\r\n"));
            let head = wire.head();
            assert_eq!(head.status, 200);
            let length = head.header("content-length");
            assert_eq!(length, (case == 0).then_some("5"), "case {case}: RFC 9110, 8.6");
            wire.send(post(9, CHAT));
            assert_eq!(wire.answer().text(), "{}", "case {case}");
        }
    }
}

#[test]
fn what_stands_behind_an_answer_is_nobodys_answer() {
    const POISON: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for driver in Driver::ALL {
        let first = [
            answer("200 OK\r\ncontent-length: 5", "hello"),
            answer("200 OK\r\ntransfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
            answer("200 OK\r\ncontent-length: 0", ""),
            answer("204 No Content", ""),
            answer("304 Not Modified", ""),
            answer(
                "200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked",
                "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
            ),
        ];
        let together = first.iter().map(|first| vec![Act::Send([first, POISON].concat())]);
        let apart =
            first.iter().map(|first| vec![Act::Send(first.clone()), Act::Send(POISON.to_vec())]);
        let upstream = provider(together.chain(apart).collect());
        let gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        for case in 0..2 * first.len() {
            let expected = String::from_utf8_lossy(&first[case % first.len()]).into_owned();
            for round in 0..8 {
                let before = upstream.sent();
                wire.send(post(case, CHAT));
                let answer = wire
                    .try_answer()
                    .unwrap_or_else(|error| panic!("{expected} in round {round}: {error}"));
                assert!(expected.starts_with(&format!("HTTP/1.1 {}", answer.status)), "{answer:?}");
                assert!(answer.body.is_empty() || expected.contains(answer.text()), "{answer:?}");
                let parts = 1 + case / first.len();
                wait::until_true("all is sent", || upstream.sent() >= before + parts);
                check_next(&gateway, &mut wire, closes(&answer));
            }
        }
        assert!(upstream.accepted() > 8 * first.len(), "none of them is used again");
    }
}

#[test]
fn a_provider_may_answer_before_it_has_read_the_request() {
    for driver in Driver::ALL {
        for act in [Act::Close, Act::Reset, Act::Hold] {
            let shown = format!("{act:?}");
            // Who does not close must say that the connection is of no more use.
            let last = if shown == "Hold" { "connection: close\r\n" } else { "" };
            let head = format!("413 Too Large\r\n{last}content-length: 5");
            let upstream =
                Upstream::start_early(move |request| match request.fields("x-case")[0] {
                    "0" => vec![Act::Send(answer(&head, "large")), act.clone()],
                    _ => vec![Act::Read, Act::Send(upstream::json("{}"))],
                });
            let gateway = before(&upstream, driver);
            for size in [10, 64 << 10, 16 << 20] {
                let long = format!(r#"{{"model":"m","messages":[],"x":"{}"}}"#, "y".repeat(size));
                let mut wire = gateway.connect();
                wire.send(post(0, &long));
                let answer = wire.answer();
                // A reset may overtake the answer; then there is none.
                let reset = shown == "Reset" && answer.status == 502;
                assert!(answer.status == 413 || reset, "{shown}, {size}: {answer:?}");
                check_next(&gateway, &mut wire, closes(&answer));
            }
        }
    }
}
