//! Tests of response heads.

use proptest::prelude::*;

use super::*;
use crate::{
    check,
    limits::{HEAD_BYTES_MAX, HEADERS_MAX},
};

/// Reads a whole head, in answer to `method`, and shows it to `see`.
fn with_method<T>(wire: &[u8], method: Method, see: impl FnOnce(ResponseHead<'_, '_>) -> T) -> T {
    check::response(wire);
    let mut slots = Slots::new();
    match parse_response(wire, &mut slots, &HeadLimits::default(), method) {
        Ok(Some(head)) => see(head),
        other => panic!("{other:?}: {}", wire.escape_ascii()),
    }
}

fn with<T>(wire: &str, see: impl FnOnce(ResponseHead<'_, '_>) -> T) -> T {
    with_method(wire.as_bytes(), Method::Post, see)
}

fn outcome(wire: &[u8]) -> Result<Option<Framing>, HeadError> {
    check::response(wire);
    let mut slots = Slots::new();
    parse_response(wire, &mut slots, &HeadLimits::default(), Method::Post)
        .map(|head| head.map(|head| head.framing))
}

fn check_framing(line: &str, fields: &str, framing: Framing, keep_alive: bool) {
    with(&format!("{line}\r\n{fields}\r\n"), |head| {
        assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{line} {fields}");
    });
}

fn check_refused(wire: &str, error: HeadError) {
    assert_eq!(outcome(wire.as_bytes()), Err(error), "{}", wire.escape_debug());
}

#[test]
fn an_event_stream_is_read() {
    let wire = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\
        x-request-id: r1\r\nretry-after-ms: 10\r\nRetry-After: 1\r\nVia: 1.1 cdn\r\nKeep-Alive: timeout=5\r\n\r\n";
    with(&format!("{wire}5\r\n"), |head| {
        assert_eq!((head.status, head.version, head.len), (200, Version::Http11, wire.len()));
        assert_eq!(
            (head.framing, head.keep_alive, head.is_event_stream),
            (Framing::Chunked, true, true)
        );
        assert_eq!((head.retry_after, head.retry_after_ms), (Some(&b"1"[..]), Some(&b"10"[..])));
        assert_eq!(
            (head.request_id, head.header(b"VIA")),
            (Some(&b"r1"[..]), Some(&b"1.1 cdn"[..]))
        );
        let names: Vec<_> = head.forwardable().map(|(name, _)| name).collect();
        let expected = ["Content-Type", "x-request-id", "retry-after-ms", "Retry-After", "Via"];
        assert_eq!(names, expected.map(str::as_bytes));
    });
}

#[test]
fn a_stream_is_told_by_its_media_type_alone() {
    let check = |content_type: &str, expected: bool| {
        let wire = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n");
        with(&wire, |head| assert_eq!(head.is_event_stream, expected, "{content_type}"));
    };
    for fine in [
        "text/event-stream",
        "Text/Event-Stream",
        "text/event-stream;charset=utf-8",
        "text/event-stream ; a=b",
    ] {
        check(fine, true);
    }
    for other in ["application/json", "text/event-streams", "text/event", "", "a;text/event-stream"]
    {
        check(other, false);
    }
}

#[test]
fn the_fields_frame_a_body_where_there_may_be_one() {
    check_framing("HTTP/1.1 200 OK", "Content-Length: 5\r\n", Framing::Length(5), true);
    check_framing("HTTP/1.1 200 OK", "Content-Length: 0\r\n", Framing::None, true);
    check_framing("HTTP/1.1 500 Oops", "transfer-encoding: Chunked\r\n", Framing::Chunked, true);
    check_framing("HTTP/1.1 200 OK", "", Framing::UntilClose, false);
    check_framing("HTTP/1.1 200 OK", "Connection: keep-alive\r\n", Framing::UntilClose, false);
    check_framing(
        "HTTP/1.1 200 OK",
        "Connection: close\r\nContent-Length: 5\r\n",
        Framing::Length(5),
        false,
    );
}

#[test]
fn http_1_0_is_kept_alive_only_if_it_says_so() {
    check_framing("HTTP/1.0 200 OK", "Content-Length: 5\r\n", Framing::Length(5), false);
    check_framing(
        "HTTP/1.0 200 OK",
        "Content-Length: 5\r\nConnection: Keep-Alive\r\n",
        Framing::Length(5),
        true,
    );
    check_framing("HTTP/1.0 200 OK", "", Framing::UntilClose, false);
}

#[test]
fn some_statuses_have_no_body_whatever_their_fields_say() {
    check_framing("HTTP/1.1 204 No Content", "", Framing::None, true);
    check_framing("HTTP/1.1 204 No Content", "Content-Length: 0\r\n", Framing::None, true);
    check_framing("HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", Framing::None, true);
    check_framing("HTTP/1.1 100 Continue", "", Framing::None, true);
    check_framing("HTTP/1.1 103 Early Hints", "Link: a\r\n", Framing::None, true);
}

#[test]
fn a_body_that_should_not_be_there_ends_the_connection() {
    check_framing("HTTP/1.1 204 No Content", "Content-Length: 5\r\n", Framing::None, false);
    check_framing(
        "HTTP/1.1 204 No Content",
        "Transfer-Encoding: chunked\r\n",
        Framing::None,
        false,
    );
    check_framing("HTTP/1.1 100 Continue", "Content-Length: 5\r\n", Framing::None, false);
}

#[test]
fn the_answer_to_head_has_no_body() {
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let wire = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        with_method(wire.as_bytes(), Method::Head, |head| {
            assert_eq!((head.framing, head.keep_alive), (Framing::None, true));
        });
    }
}

#[test]
fn framing_with_two_readings_is_refused() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    check_refused(
        &ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        HeadError::BothFramings,
    );
    check_refused(&ok("Content-Length: 5\r\nContent-Length: 6\r\n"), HeadError::Length);
    check_refused(&ok("Content-Length: 5, 5\r\n"), HeadError::Length);
    check_refused(&ok("Content-Length: +5\r\n"), HeadError::Length);
    check_refused(&ok("Content-Length: 5\r\nContent-Length: five\r\n"), HeadError::Length);
    check_refused(
        &ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        HeadError::Coding,
    );
    check_refused(&ok("Transfer-Encoding: gzip, chunked\r\n"), HeadError::CodingUnknown);
    check_refused(&ok("Transfer-Encoding: identity\r\n"), HeadError::Coding);
    check_refused(&ok("Transfer_Encoding: chunked\r\n"), HeadError::LookAlike);
    check_refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::Coding);
    check_framing(
        "HTTP/1.1 200 OK",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        Framing::Length(5),
        true,
    );
}

#[test]
fn protocols_are_not_switched_unasked() {
    check_refused(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        HeadError::Switched,
    );
}

#[test]
fn a_switch_that_was_asked_for_must_be_to_a_websocket() {
    for (fields, is_fine) in [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", true),
        ("upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n", true),
        ("Upgrade: websocket\r\n", false),
        ("Connection: Upgrade\r\n", false),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\n", false),
        ("Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", false),
    ] {
        let wire = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
        let mut slots = Slots::new();
        let head = parse_switch(wire.as_bytes(), &mut slots, &HeadLimits::default());
        match head {
            Ok(Some(head)) => {
                assert!(is_fine, "{fields}");
                assert_eq!((head.len, head.framing), (wire.len(), Framing::None));
            }
            other => assert!(!is_fine && other.is_err(), "{fields}"),
        }
    }
}

#[test]
fn a_status_line_is_version_status_and_reason() {
    with("HTTP/1.1 200\r\n\r\n", |head| assert_eq!(head.status, 200));
    with("HTTP/1.1 200 \r\n\r\n", |head| assert_eq!(head.status, 200));
    with("HTTP/1.1 599 \u{e9}\t x\r\n\r\n", |head| assert_eq!(head.status, 599));
    for bad in [
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 No",
        "HTTP/1.1 600 No",
        "HTTP/1.1 2x0 OK",
        "http/1.1 200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1\t200 OK",
        "ICY 200 OK",
        "200 OK",
        "HTTP/11 200 OK",
    ] {
        check_refused(&format!("{bad}\r\n\r\n"), HeadError::StatusLine);
    }
    check_refused("\r\nHTTP/1.1 200 OK\r\n\r\n", HeadError::StatusLine);
    check_refused("HTTP/1.1 200 a\0b\r\n\r\n", HeadError::StatusLine);
    check_refused("HTTP/1.1 200 a\rb\r\n\r\n", HeadError::StatusLine);
    for other in ["HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.2 200 OK"] {
        check_refused(&format!("{other}\r\n\r\n"), HeadError::Version);
    }
}

#[test]
fn lines_and_fields_are_as_strict_as_in_requests() {
    check_refused("HTTP/1.1 200 OK\n\r\n", HeadError::LineEnd);
    check_refused("HTTP/1.1 200\n\r\n", HeadError::StatusLine);
    check_refused("HTTP/1.1 200 OK\r\nA: b\n\r\n", HeadError::LineEnd);
    check_refused("HTTP/1.1 200 OK\r\nA: b\r\n\n", HeadError::LineEnd);
    for bad in [
        "A : b\r\n",
        " A: b\r\n",
        "A: b\r\n c\r\n",
        "A\r\n",
        ": b\r\n",
        "A: \0\r\n",
        "A: b\rc\r\n",
        "A\u{e9}: b\r\n",
    ] {
        check_refused(&format!("HTTP/1.1 200 OK\r\n{bad}\r\n"), HeadError::Field);
    }
}

#[test]
fn a_limit_is_an_error_as_soon_as_it_is_passed() {
    let endless = format!("HTTP/1.1 200 {}", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(outcome(&endless.as_bytes()[..HEAD_BYTES_MAX - 1]), Ok(None));
    assert_eq!(outcome(&endless.as_bytes()[..HEAD_BYTES_MAX]), Err(HeadError::TooLong));
    let fields = |count: usize| format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(count));
    assert_eq!(outcome((fields(HEADERS_MAX) + "\r\n").as_bytes()), Ok(Some(Framing::UntilClose)));
    check_refused(&fields(HEADERS_MAX + 1), HeadError::TooManyFields);
}

#[test]
fn fields_of_the_connection_do_not_go_on_and_connection_may_name_more() {
    let wire = "HTTP/1.1 200 OK\r\nConnection: close, X-Hop, Content-Type\r\nX-Hop: 1\r\nContent-Type: a\r\n\
        Keep-Alive: x\r\nProxy-Authenticate: x\r\nTrailer: x\r\nTE: x\r\nUpgrade: h2c\r\nContent-Length: 5\r\nX_End: 1\r\n\r\n";
    with(wire, |head| {
        let names: Vec<_> = head.forwardable().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"Content-Type"[..], b"X_End"]);
    });
}

#[test]
fn the_first_coding_that_changes_the_content_is_the_one_that_counts() {
    let check = |fields: &str, expected: Option<&str>| {
        let wire = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        with(&wire, |head| assert_eq!(head.content_encoding, expected.map(str::as_bytes)));
    };
    check("", None);
    check("Content-Encoding: gzip\r\n", Some("gzip"));
    check("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", Some("gzip"));
    check("Content-Encoding: gzip\r\nContent-Encoding: identity\r\n", Some("gzip"));
}

/// A response out of parts that are right, nearly right and wrong.
fn nearly_a_response() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404 \r\n",
        "HTTP/1.1 204\r\n",
        "HTTP/1.1 101 a\r\n",
        "HTTP/1.1 200\n",
        "",
    ]);
    let lines = prop::sample::select(vec![
        "Content-Length: 5\r\n",
        "Content-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Type: text/event-stream\r\n",
        "Connection: close, x-a\r\n",
        "X-A: b\r\n",
        "x: y\n",
        " x: y\r\n",
        "\r\n",
        "\r",
    ]);
    (line, prop::collection::vec(lines, 0..6), prop::sample::select(vec!["\r\n", "\r\nx", ""]))
        .prop_map(|(line, rest, end)| [line, &rest.concat(), end].concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn responses_are_read_the_same_wherever_they_are_cut(wire in nearly_a_response()) {
        check::response(&wire);
    }

    #[test]
    fn a_changed_byte_never_makes_two_readings(mut wire in nearly_a_response(), at: prop::sample::Index, byte: u8) {
        if !wire.is_empty() {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        check::response(&wire);
    }

    #[test]
    fn random_bytes_are_refused_and_nothing_worse(wire in prop::collection::vec(any::<u8>(), 0..400)) {
        check::response(&wire);
    }
}
