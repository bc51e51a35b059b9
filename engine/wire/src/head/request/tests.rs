//! Tests of request heads: the rules of the strict profile, one by one.

use proptest::prelude::*;

use super::*;
use crate::{
    check,
    limits::{CONNECTION_OPTIONS_MAX, HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX},
};

mod line;
mod passage;

/// Reads a whole head and shows it to `see`.
fn with<T>(wire: &[u8], see: impl FnOnce(RequestHead<'_, '_>) -> T) -> T {
    check::request(wire);
    let mut slots = Slots::new();
    match parse_request(wire, &mut slots, &HeadLimits::default()) {
        Ok(Some(head)) => see(head),
        other => panic!("{other:?}: {}", wire.escape_ascii()),
    }
}

fn outcome(wire: &[u8]) -> Result<Option<Framing>, HeadError> {
    check::request(wire);
    let mut slots = Slots::new();
    parse_request(wire, &mut slots, &HeadLimits::default())
        .map(|head| head.map(|head| head.framing))
}

/// A POST with these field lines behind `Host`.
fn post(fields: &str) -> Vec<u8> {
    format!("POST /v1/chat/completions HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n").into_bytes()
}

fn check_fields(fields: &str, expected: Result<Framing, HeadError>) {
    assert_eq!(outcome(&post(fields)), expected.map(Some), "{}", fields.escape_debug());
}

fn check_refused(wire: &[u8], error: HeadError, status: u16) {
    assert_eq!(outcome(wire), Err(error), "{}", wire.escape_ascii());
    assert_eq!(error.status(), status);
}

fn check_line(line: &str, error: HeadError, status: u16) {
    check_refused(format!("{line}\r\nHost: gate.test\r\n\r\n").as_bytes(), error, status);
}

fn check_field_refused(fields: &str, error: HeadError, status: u16) {
    check_refused(&post(fields), error, status);
}

#[test]
fn a_chat_request_is_read() {
    let wire = b"POST /v1/chat/completions?api-version=1 HTTP/1.1\r\nhost: gate.test:8080\r\n\
        authorization: Bearer sk-1 \r\nContent-Type: application/json\r\ncontent-length: 42\r\n\
        x-request-id: r1\r\ntraceparent: 00-a\r\ntracestate: v=1\r\nContent-Encoding: identity\r\nx-empty:\r\n\r\n{";
    with(wire, |head| {
        assert_eq!(head.method, Method::Post);
        assert_eq!((head.path, head.query), ("/v1/chat/completions", Some("api-version=1")));
        assert_eq!((head.version, head.len), (Version::Http11, wire.len() - 1));
        assert_eq!(
            (head.framing, head.keep_alive, head.expect_continue),
            (Framing::Length(42), true, false)
        );
        assert_eq!(head.host, b"gate.test:8080");
        assert_eq!(
            (head.authorization, head.bearer()),
            (Some(&b"Bearer sk-1"[..]), Some(&b"sk-1"[..]))
        );
        assert_eq!(head.content_type, Some(&b"application/json"[..]));
        assert_eq!(head.content_encoding, Some(&b"identity"[..]));
        assert_eq!(head.request_id, Some(&b"r1"[..]));
        assert_eq!((head.traceparent, head.tracestate), (Some(&b"00-a"[..]), Some(&b"v=1"[..])));
        assert_eq!(head.header(b"X-EMPTY"), Some(&b""[..]));
        assert_eq!(head.header(b"x-absent"), None);
    });
}

#[test]
fn every_method_that_is_served_has_its_name() {
    use Method::{Delete, Get, Head, Options, Patch, Post, Put};
    for method in [Get, Head, Post, Put, Patch, Delete, Options] {
        let wire = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", method.as_str());
        with(wire.as_bytes(), |head| assert_eq!(head.method, method));
    }
}

#[test]
fn length_and_chunks_together_are_refused() {
    check_field_refused(
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        HeadError::BothFramings,
        400,
    );
    check_field_refused(
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        HeadError::BothFramings,
        400,
    );
    check_field_refused(
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        HeadError::BothFramings,
        400,
    );
}

#[test]
fn the_only_transfer_encoding_is_chunked() {
    check_fields("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked));
    check_fields("transfer-encoding:\t CHUNKED \t\r\n", Ok(Framing::Chunked));
    for bad in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n", // netty CVE-2026-89044: chunked is not final
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: \r\n",
        "Transfer-Encoding: ,\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: 'chunked'\r\n",
        "Transfer-Encoding: chunked;q=1\r\n", // tiny-http CVE-2026-66752
        "Transfer-Encoding: chun ked\r\n",
        "Transfer-Encoding: chunked\u{a0}\r\n",
        "Transfer-Encoding: \u{212a}chunked\r\n",
        "Transfer-Encoding: chun\u{212a}ed\r\n", // KELVIN SIGN folds to k
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        check_field_refused(bad, HeadError::Coding, 400);
    }
    for unknown in ["gzip, chunked", "deflate, identity, chunked", "x-own , Chunked"] {
        check_field_refused(
            &format!("Transfer-Encoding: {unknown}\r\n"),
            HeadError::CodingUnknown,
            501,
        );
    }
    for bad in [
        "\x0bchunked",
        "chunked\x0b",
        "chunked\x0c",
        "chunked\x00",
        "\x00chunked",
        "chunked\x7f",
        "chunked\x08",
    ] {
        check_field_refused(&format!("Transfer-Encoding: {bad}\r\n"), HeadError::Field, 400);
    }
}

#[test]
fn chunks_are_unknown_to_http_1_0() {
    let wire = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_refused(wire, HeadError::Coding, 400);
}

#[test]
fn the_length_is_one_plain_number() {
    check_fields("Content-Length: 5\r\n", Ok(Framing::Length(5)));
    check_fields("content-length:5\t \r\n", Ok(Framing::Length(5)));
    check_fields("Content-Length: 0005\r\n", Ok(Framing::Length(5)));
    check_fields("Content-Length: 0\r\n", Ok(Framing::None));
    check_fields(
        "Content-Length: 9999999999999999999\r\n",
        Ok(Framing::Length(9_999_999_999_999_999_999)),
    );
    for bad in [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5 5",
        "5;a",
        "0x5",
        "5_0",
        "5.0",
        "1e3",
        "18446744073709551616",
        "00000000000000000005",
        "\u{a0}5",
        "five",
    ] {
        check_field_refused(&format!("Content-Length: {bad}\r\n"), HeadError::Length, 400);
    }
}

#[test]
fn a_second_length_is_refused_even_if_it_says_the_same() {
    check_field_refused("Content-Length: 5\r\nContent-Length: 5\r\n", HeadError::Length, 400);
    check_field_refused("Content-Length: 5\r\ncontent-length: 6\r\n", HeadError::Length, 400);
    check_field_refused("Content-Length: 0\r\nContent-Length: 0\r\n", HeadError::Length, 400);
}

#[test]
fn names_that_may_be_taken_for_framing_are_refused() {
    for name in ["Content_Length", "Transfer_Encoding", "Transfer---Encoding", "contentlength"] {
        check_field_refused(&format!("{name}: 5\r\n"), HeadError::LookAlike, 400);
    }
}

#[test]
fn a_name_is_a_token_right_before_its_colon() {
    for bad in [
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding\u{b}: chunked\r\n",
        "Transfer Encoding: chunked\r\n",
        "Transfer-Encod\u{131}ng: chunked\r\n",
        "Tran\u{17f}fer-Encoding: chunked\r\n",
        "\u{a0}Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding\0: chunked\r\n",
        ": chunked\r\n",
        "no-colon\r\n",
        "\"quoted\": x\r\n",
        "a(b): x\r\n",
    ] {
        check_field_refused(bad, HeadError::Field, 400);
    }
}

#[test]
fn folded_lines_are_refused() {
    check_field_refused("X-A: b\r\n c\r\n", HeadError::Field, 400);
    check_field_refused("X-A: b\r\n\tTransfer-Encoding: chunked\r\n", HeadError::Field, 400);
    check_field_refused("X-A:\r\n b\r\n", HeadError::Field, 400);
    check_field_refused("Transfer-Encoding:\r\n chunked\r\n", HeadError::Field, 400);
    let wire = b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n";
    check_refused(wire, HeadError::Field, 400);
}

#[test]
fn a_bare_lf_is_refused_everywhere() {
    check_refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n", HeadError::RequestLine, 400);
    check_refused(b"GET / HTTP/1.1\r\nHost: a\n\r\n", HeadError::LineEnd, 400);
    check_refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n", HeadError::LineEnd, 400);
    check_refused(
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\n",
        HeadError::LineEnd,
        400,
    );
    check_refused(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine, 400);
}

#[test]
fn a_bare_cr_and_nul_are_refused_everywhere() {
    check_refused(b"GET / HTTP/1.1\rHost: a\r\n\r\n", HeadError::RequestLine, 400);
    check_refused(b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine, 400);
    for bad in [
        "X: a\rb\r\n",
        "X: a\r\r\n",
        "X\r: a\r\n",
        "\rX: a\r\n",
        "X:\ra\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "X: \0\r\n",
    ] {
        check_field_refused(bad, HeadError::Field, 400);
    }
    check_line("GET /\0 HTTP/1.1", HeadError::Target, 400);
    check_line("GE\0T / HTTP/1.1", HeadError::RequestLine, 400);
}

#[test]
fn every_control_byte_in_a_value_is_refused_and_no_other() {
    for byte in 0..=255u8 {
        let wire = [&b"GET / HTTP/1.1\r\nHost: a\r\nX: a"[..], &[byte], b"b\r\n\r\n"].concat();
        let refused = byte == 0x7f || (byte < b' ' && byte != b'\t');
        assert_eq!(outcome(&wire).is_err(), refused, "{byte:#x}");
    }
}

#[test]
fn every_byte_beyond_tokens_in_a_name_is_refused() {
    for byte in 0..=255u8 {
        let wire = [&b"GET / HTTP/1.1\r\nHost: a\r\nX"[..], &[byte], b"b: c\r\n\r\n"].concat();
        let accepted = is_token_byte(byte) || byte == b':';
        assert_eq!(outcome(&wire).is_ok(), accepted, "{byte:#x}");
    }
}

#[test]
fn a_limit_is_an_error_as_soon_as_it_is_passed() {
    let long = "a".repeat(HEAD_BYTES_MAX);
    let endless_target = format!("GET /{}", &long[..TARGET_BYTES_MAX]);
    check_refused(endless_target.as_bytes(), HeadError::TargetTooLong, 414);
    assert_eq!(outcome(&endless_target.as_bytes()[..endless_target.len() - 1]), Ok(None));
    let longest = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..TARGET_BYTES_MAX - 1]);
    with(longest.as_bytes(), |head| assert_eq!(head.path.len(), TARGET_BYTES_MAX));

    let endless_line = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}");
    check_refused(&endless_line.as_bytes()[..HEAD_BYTES_MAX], HeadError::TooLong, 431);
    assert_eq!(outcome(&endless_line.as_bytes()[..HEAD_BYTES_MAX - 1]), Ok(None));
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let fitting = format!("{start}{}\r\n\r\n", &long[..HEAD_BYTES_MAX - start.len() - 4]);
    assert_eq!(outcome(fitting.as_bytes()), Ok(Some(Framing::None)));
    let one_more = format!("{start}{}\r\n\r\n", &long[..HEAD_BYTES_MAX - start.len() - 3]);
    check_refused(one_more.as_bytes(), HeadError::TooLong, 431);

    let fields =
        |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "x: y\r\n".repeat(count - 1));
    assert_eq!(outcome((fields(HEADERS_MAX) + "\r\n").as_bytes()), Ok(Some(Framing::None)));
    check_refused(fields(HEADERS_MAX + 1).as_bytes(), HeadError::TooManyFields, 431);
}

#[test]
fn limits_can_be_lowered_and_not_raised() {
    let wire = b"GET /abc HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n";
    let read = |limits: HeadLimits| {
        let mut slots = Slots::new();
        parse_request(wire, &mut slots, &limits).map(|head| head.is_some())
    };
    let limits = HeadLimits::default();
    assert_eq!(read(HeadLimits { headers: 2, ..limits }), Ok(true));
    assert_eq!(read(HeadLimits { headers: 1, ..limits }), Err(HeadError::TooManyFields));
    assert_eq!(read(HeadLimits { target_bytes: 4, ..limits }), Ok(true));
    assert_eq!(read(HeadLimits { target_bytes: 3, ..limits }), Err(HeadError::TargetTooLong));
    assert_eq!(read(HeadLimits { head_bytes: wire.len(), ..limits }), Ok(true));
    assert_eq!(read(HeadLimits { head_bytes: wire.len() - 1, ..limits }), Err(HeadError::TooLong));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(HEADERS_MAX + 1));
    let mut slots = Slots::new();
    let raised =
        HeadLimits { headers: usize::MAX, target_bytes: usize::MAX, head_bytes: usize::MAX };
    assert_eq!(
        parse_request(many.as_bytes(), &mut slots, &raised).err(),
        Some(HeadError::TooManyFields)
    );
}

#[test]
fn the_only_expectation_is_100_continue() {
    let expects = |fields: &str| with(&post(fields), |head| head.expect_continue);
    assert!(expects("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    assert!(expects("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"));
    assert!(!expects("Expect: 100-continue\r\n"), "there is no body to wait with");
    for bad in ["200-ok", "", "100-continue, x", "100-continue;a=b"] {
        check_field_refused(
            &format!("Expect: {bad}\r\nContent-Length: 5\r\n"),
            HeadError::Expectation,
            417,
        );
    }
    check_field_refused("Expect: x\r\nExpect: 100-continue\r\n", HeadError::Expectation, 417);
    check_field_refused("Expect: 100-continue\r\nExpect: x\r\n", HeadError::Expectation, 417);
    let old = b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: x\r\n\r\n";
    with(old, |head| assert!(!head.expect_continue));
}

#[test]
fn a_connection_goes_on_as_its_version_and_options_say() {
    let check = |version: &str, fields: &str, expected: bool| {
        let wire = format!("GET / {version}\r\nHost: a\r\n{fields}\r\n");
        with(wire.as_bytes(), |head| assert_eq!(head.keep_alive, expected, "{version} {fields}"));
    };
    check("HTTP/1.1", "", true);
    check("HTTP/1.1", "Connection: keep-alive\r\n", true);
    check("HTTP/1.1", "Connection: Close\r\n", false);
    check("HTTP/1.1", "Connection: x, close\r\n", false);
    check("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false);
    check("HTTP/1.1", "Connection: closed, not-close\r\n", true);
    check("HTTP/1.0", "", false);
    check("HTTP/1.0", "Connection: Keep-Alive\r\n", true);
    check("HTTP/1.0", "Connection: keep-alive, close\r\n", false);
    check("HTTP/1.0", "Proxy-Connection: keep-alive\r\n", false);
    let options = "x,".repeat(CONNECTION_OPTIONS_MAX);
    check("HTTP/1.1", &format!("Connection: {options}\r\n"), true);
    check_field_refused(&format!("Connection: {options} y\r\n"), HeadError::ConnectionOptions, 400);
}

#[test]
fn a_body_is_framed_the_same_for_every_method() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let wire = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(outcome(wire.as_bytes()), Ok(Some(Framing::Length(5))));
        let wire = format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(outcome(wire.as_bytes()), Ok(Some(Framing::Chunked)));
    }
    // RFC 9112 section 6.3: a request that says nothing has no body, in HTTP/1.0 too (Pingora
    // CVE-2026-2835).
    assert_eq!(outcome(b"POST / HTTP/1.0\r\nHost: a\r\n\r\n"), Ok(Some(Framing::None)));
}

#[test]
fn what_follows_a_head_is_left_alone() {
    let first = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = [&first[..], b"\x16\0\n\n GET /b HTTP/1.1\r\n\r\n"].concat();
    with(&both, |head| assert_eq!((head.path, head.len), ("/a", first.len())));
}

#[test]
fn reasons_are_lowercase_sentences_without_a_full_stop() {
    for error in [
        HeadError::Tls,
        HeadError::Coding,
        HeadError::Credentials,
        HeadError::TooLong,
        HeadError::Host,
    ] {
        assert!(
            !error.reason().ends_with('.')
                && error.reason().starts_with(|c: char| c.is_ascii_lowercase())
        );
        assert_eq!(error.to_string(), error.reason());
    }
}

/// A request out of parts that are right, nearly right and wrong.
fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "GET",
        "POST",
        "HEAD",
        "PRI",
        " ",
        "\t",
        "/",
        "*",
        "http://a",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/2.0",
        "\r\n",
        "\n",
        "\r",
        "\0",
        ":",
        ": ",
        "Host",
        "a",
        "a:1",
        "Content-Length",
        "Transfer-Encoding",
        "chunked",
        "CHUNKED",
        "gzip",
        ",",
        "0",
        "5",
        "Connection",
        "close",
        "Upgrade",
        "Expect",
        "100-continue",
        "Authorization",
        "Bearer k",
        "x_y",
        "Content_Length",
    ];
    let line = prop::sample::select(vec![
        "POST / HTTP/1.1\r\nHost: a\r\n",
        "GET /a?b HTTP/1.0\r\n",
        "HEAD http://a/ HTTP/1.1\r\nHost: b\r\n",
        "\r\nPUT / HTTP/1.1\r\nhost:a\r\n",
        "",
    ]);
    let lines = prop::sample::select(vec![
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x-a\r\n",
        "X-A: b\r\n",
        "Authorization: Bearer k\r\n",
        "x: y\r\n",
        "\r\n",
    ]);
    (
        line,
        prop::collection::vec(
            prop_oneof![3 => lines, 1 => prop::sample::select(parts.to_vec())],
            0..8,
        ),
        prop::sample::select(vec!["\r\n", "\r\n\r\n", ""]),
    )
        .prop_map(|(line, rest, end)| [line, &rest.concat(), end].concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn requests_are_read_the_same_wherever_they_are_cut(wire in nearly_a_request()) {
        check::request(&wire);
    }

    #[test]
    fn a_changed_byte_never_makes_two_readings(mut wire in nearly_a_request(), at: prop::sample::Index, byte: u8) {
        if !wire.is_empty() {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        check::request(&wire);
    }

    #[test]
    fn random_bytes_are_refused_and_nothing_worse(wire in prop::collection::vec(any::<u8>(), 0..400)) {
        check::request(&wire);
    }
}

#[test]
fn a_websocket_is_asked_for_in_one_way() {
    let fields = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    for (wire, is_websocket) in [
        (format!("GET / HTTP/1.1\r\n{fields}\r\n"), true),
        (format!("GET / HTTP/1.0\r\n{fields}\r\n"), false),
        (format!("POST / HTTP/1.1\r\n{fields}\r\n"), false),
        (format!("GET / HTTP/1.1\r\n{fields}Content-Length: 1\r\n\r\n"), false),
        (format!("GET / HTTP/1.1\r\n{fields}Upgrade: websocket\r\n\r\n"), false),
        (format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("websocket", "h2c")), false),
        (format!("GET / HTTP/1.1\r\n{}\r\n", fields.replace("Connection: Upgrade", "A: b")), false),
    ] {
        with(wire.as_bytes(), |head| {
            assert_eq!(head.websocket, is_websocket, "{wire}");
            let mut forwarded = head.forwardable();
            assert!(forwarded.all(|(name, _)| !name.eq_ignore_ascii_case(b"upgrade")));
        });
    }
}
