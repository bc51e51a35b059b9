//! What goes on to a provider, and whose request it is.

use super::*;

#[test]
fn an_upgrade_is_ignored_and_does_not_go_on() {
    // nghttpx CVE-2026-58055, Pingora CVE-2026-2833
    for protocol in ["websocket", "h2c", "foo", "TLS/1.0"] {
        let fields = format!(
            "Upgrade: {protocol}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n"
        );
        with(&post(&fields), |head| {
            assert_eq!((head.framing, head.keep_alive), (Framing::Length(5), true));
            assert_eq!(head.forwardable().count(), 0);
        });
    }
}

fn forwarded(fields: &str) -> Vec<String> {
    with(&post(fields), |head| {
        head.forwardable().map(|(name, _)| String::from_utf8_lossy(name).to_lowercase()).collect()
    })
}

#[test]
fn fields_between_the_client_and_us_do_not_go_on() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "Proxy-Anything",
        "TE",
        "Trailer",
        "Upgrade",
        "HTTP2-Settings",
        "Authorization",
        "X-Api-Key",
        "Api-Key",
        "X-Goog-Api-Key",
        "Via",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "x_api_key",
        "X_Forwarded_For",
    ] {
        assert_eq!(forwarded(&format!("{name}: x\r\nAccept: */*\r\n")), ["accept"], "{name}");
    }
    assert_eq!(forwarded("Content-Length: 5\r\nExpect: 100-continue\r\n"), [""; 0]);
    assert_eq!(forwarded("Transfer-Encoding: chunked\r\n"), [""; 0]);
}

#[test]
fn end_to_end_fields_go_on_in_their_order() {
    let fields = "Accept: a\r\nx-stainless-os: Linux\r\nContent-Type: b\r\nAccept: c\r\nTraceparent: d\r\nX-Forward: e\r\n";
    assert_eq!(
        forwarded(fields),
        ["accept", "x-stainless-os", "content-type", "accept", "traceparent", "x-forward"]
    );
}

#[test]
fn what_connection_names_does_not_go_on() {
    let fields =
        "X-Hop: 1\r\nConnection: close, x-hop\r\nConnection: X-Other\r\nx-other: 2\r\nX-End: 3\r\n";
    assert_eq!(forwarded(fields), ["x-end"]);
}

#[test]
fn connection_cannot_take_away_what_has_a_meaning_here() {
    let fields = "Connection: Content-Length, Host, Authorization, Content-Type, x-request-id\r\nContent-Length: 5\r\n\
        Authorization: Bearer k\r\nContent-Type: a\r\nX-Request-Id: b\r\n";
    with(&post(fields), |head| {
        assert_eq!(
            (head.framing, head.host, head.bearer()),
            (Framing::Length(5), &b"gate.test"[..], Some(&b"k"[..]))
        );
    });
    assert_eq!(forwarded(fields), ["content-type", "x-request-id"]);
}

#[test]
fn the_credential_is_found_wherever_it_is_usual() {
    let check = |fields: &str, expected: Option<&str>| {
        with(&post(fields), |head| {
            assert_eq!(head.bearer(), expected.map(str::as_bytes), "{fields}")
        });
    };
    check("", None);
    check("Authorization: Bearer k\r\n", Some("k"));
    check("Authorization: bEARER   k  \r\n", Some("k"));
    check("X-Api-Key: k\r\n", Some("k"));
    check("Api-Key: k\r\n", Some("k"));
    check(
        "X-Api-Key: k\r\nAuthorization: Bearer k\r\nApi-Key: k\r\nx-goog-api-key: k\r\n",
        Some("k"),
    );
    check("X-Api-Key: k\r\nAuthorization:\r\n", Some("k"));
    check("X-Api-Key: k\r\nAuthorization: Bearer\r\n", Some("k"));
    check("X-Api-Key:\r\nApi-Key: k\r\n", Some("k"));
    for none in ["", "Bearer", "Bearerk", "Basic dTpw", "k", "Bearer\tk"] {
        check(&format!("Authorization: {none}\r\n"), None);
    }
}

#[test]
fn two_credentials_are_refused() {
    for bad in [
        "Authorization: Bearer k\r\nAuthorization: Bearer k\r\n",
        "Authorization: Bearer k\r\nauthorization: Bearer l\r\n",
        "Authorization:\r\nAuthorization: Bearer k\r\n",
        "X-Api-Key: k\r\nX-Api-Key: k\r\n",
        "Api-Key: k\r\nApi-Key: k\r\n",
        "X-Goog-Api-Key: k\r\nX-Goog-Api-Key: k\r\n",
        "Authorization: Bearer k\r\nX-Api-Key: l\r\n",
        "Authorization: Basic dTpw\r\nX-Api-Key: k\r\n",
        "X-Api-Key: k\r\nApi-Key: l\r\n",
        "Authorization: Bearer k\r\nX-Goog-Api-Key: l\r\n",
    ] {
        check_field_refused(bad, HeadError::Credentials, 400);
    }
}
