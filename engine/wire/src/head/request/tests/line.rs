//! The request line, what it asks for, and the host.

use super::*;

#[test]
fn one_empty_line_in_front_is_skipped_and_counted() {
    with(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.len, 29));
    check_refused(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine, 400);
    check_refused(b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine, 400);
}

#[test]
fn the_request_line_has_one_space_between_its_parts() {
    for bad in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1 HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /",
        "GET",
        "GET / HTTP/11",
        "GET / HTTP/1.10",
        "GET / HTTP/01.1",
        "GET  HTTP/1.1",
        "GET / HTTQ/1.1",
        "GET / ",
        "(GET) / HTTP/1.1",
        "G@T / HTTP/1.1",
    ] {
        check_line(bad, HeadError::RequestLine, 400);
    }
    check_line("GET /\tHTTP/1.1", HeadError::Target, 400);
}

#[test]
fn other_versions_are_refused_by_name() {
    for line in
        ["GET / HTTP/0.9", "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / HTTP/3.0", "GET / HTTP/9.9"]
    {
        check_line(line, HeadError::Version, 505);
    }
    check_refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeadError::Version, 505);
}

#[test]
fn other_methods_are_refused_by_name() {
    check_line("CONNECT gate.test:443 HTTP/1.1", HeadError::MethodRefused, 405);
    check_line("TRACE / HTTP/1.1", HeadError::MethodRefused, 405);
    for line in [
        "get / HTTP/1.1",
        "PROPFIND / HTTP/1.1",
        "QUERY / HTTP/1.1",
        "G / HTTP/1.1",
        "GETT / HTTP/1.1",
    ] {
        check_line(line, HeadError::Method, 501);
    }
    check_line("ABCDEFGHIJKLMNOPQ / HTTP/1.1", HeadError::Method, 501);
}

#[test]
fn what_is_no_http_is_refused_by_its_first_bytes() {
    let at_once = |bytes: &[u8], error| {
        assert_eq!(outcome(bytes), Err(error), "{}", bytes.escape_ascii());
    };
    at_once(b"\x16", HeadError::Tls);
    at_once(b"\x16\x03\x01\x02\x00\x01\x00", HeadError::Tls);
    at_once(b"\x00", HeadError::RequestLine);
    at_once(b"\x80\x9e\x01", HeadError::RequestLine);
    at_once(b"\n", HeadError::RequestLine);
    at_once(b"{\"model\"", HeadError::RequestLine);
    at_once(b"PRI ", HeadError::Version);
    at_once(b"NOTAMETHODATALLATALL", HeadError::Method);
    at_once(b"GET /\x01", HeadError::Target);
    at_once(b"GET / HTTP/2.0", HeadError::Version);
    at_once(b"GET / SPDY", HeadError::RequestLine);
    assert_eq!(outcome(b"GET / HTTP/2"), Ok(None));
}

#[test]
fn a_target_is_a_path_or_an_http_url() {
    let check = |target: &str, path: &str, query: Option<&str>, host: &str| {
        let wire = format!("GET {target} HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        with(wire.as_bytes(), |head| {
            assert_eq!((head.path, head.query), (path, query), "{target}");
            assert_eq!(head.host, host.as_bytes(), "{target}");
        });
    };
    check("/", "/", None, "gate.test");
    check("/a/b?", "/a/b", Some(""), "gate.test");
    check("/a?b=c?d", "/a", Some("b=c?d"), "gate.test");
    check("/%09%0d%0a%20", "/%09%0d%0a%20", None, "gate.test");
    check("//evil.test/a", "//evil.test/a", None, "gate.test");
    check("/http://evil.test/", "/http://evil.test/", None, "gate.test");
    check("http://other.test", "/", None, "other.test");
    check("HTTP://other.test:81/a?b", "/a", Some("b"), "other.test:81");
    check("https://[::1]:443?b=/", "/", Some("b=/"), "[::1]:443");
    for bad in [
        "*",
        "gate.test:443",
        "gate.test",
        "v1/models",
        "?a",
        "ftp://gate.test/",
        "http:/a",
        "http:gate.test",
        "http://",
        "http:///a",
        "http://user@gate.test/",
        "http://user:secret@gate.test/",
        "http://a:x/",
        "http://a:/",
        "http://a\\b/",
        "javascript://a/",
        "://a/",
        "/a#b",
        "#",
        "http://a#b",
        "/\x7f",
        "/\u{e9}",
        "/a\x0bb",
    ] {
        check_line(&format!("GET {bad} HTTP/1.1"), HeadError::Target, 400);
    }
    check_line("OPTIONS * HTTP/1.1", HeadError::MethodRefused, 405);
}

#[test]
fn there_is_exactly_one_host() {
    check_refused(b"GET / HTTP/1.1\r\n\r\n", HeadError::Host, 400);
    check_refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::Host, 400);
    check_refused(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::Host, 400);
    check_refused(b"GET http://a/ HTTP/1.1\r\n\r\n", HeadError::Host, 400);
    check_refused(b"GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n", HeadError::Host, 400);
    with(b"GET / HTTP/1.0\r\n\r\n", |head| assert_eq!(head.host, b""));
}

#[test]
fn a_host_is_a_name_or_an_address_and_a_port() {
    for fine in [
        "a",
        "gate.test",
        "gate.test:8080",
        "127.0.0.1:1",
        "[::1]",
        "[2001:db8::1]:65535",
        "a_b.c-d~",
        "localhost",
    ] {
        assert!(is_host(fine.as_bytes()), "{fine}");
    }
    for bad in [
        "",
        ":80",
        "a:",
        "a:65536",
        "a:123456",
        "a:8 0",
        "a b",
        "a,b",
        "a/b",
        "x/#@y",
        "u@a",
        "a#b",
        "a?b",
        "a\\b",
        "[",
        "[]",
        "[::1",
        "::1",
        "[::1]x",
        "[::1]:",
        "[::1%25eth0]",
        "[zz]",
        "a:b:c",
        "%61",
        "a:80:80",
        "\u{e9}",
        "a\0",
        "[::1]]",
        "a]",
    ] {
        assert!(!is_host(bad.as_bytes()), "{bad}");
        if !bad.contains('\0') {
            check_refused(
                format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n").as_bytes(),
                HeadError::Host,
                400,
            );
        }
    }
}
