//! Heads that the gateway writes itself: answers of its own, a provider's answer on its way to the client, and requests
//! on their way to a provider. Always from typed parts: a field that passes says its name, a colon, a space and its value.

use std::io::Write;

use faregate_adapters::{
    dialect::Form,
    ratelimit::{RateLimits, is_rate_limit},
};
use faregate_wire::{Framing, Known, RequestHead, ResponseHead};

use crate::{relay::Downstream, trace::Trace, upstream::Upstream};

/// Client fields that never reach a provider: they would pick whom we pay for, or carry state of another site.
const NOT_FORWARDED: [&[u8]; 11] = [
    b"sec-websocket-protocol",
    b"sec-websocket-extensions",
    b"cookie",
    b"openai-organization",
    b"openai-project",
    b"accept-encoding",
    b"x-goog-api-key",
    b"x-goog-user-project",
    b"x-amz-date",
    b"x-amz-security-token",
    b"x-amz-content-sha256",
];

/// Client fields that go on to a provider which speaks another dialect.
const FORWARDED_IN_TRANSLATION: [&[u8]; 3] = [b"user-agent", b"tracestate", b"baggage"];

/// Provider fields that never reach a client.
const NOT_RETURNED: [&[u8]; 3] = [b"set-cookie", b"alt-svc", b"strict-transport-security"];

/// Fields that describe a body byte for byte.
const OF_THE_BODY: [&[u8]; 6] =
    [b"content-type", b"content-encoding", b"content-md5", b"digest", b"etag", b"accept-ranges"];

/// Appends a status line.
pub(crate) fn write_status(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
    }
}

/// Appends `name: value` and CRLF. The value must hold no line ends: it is ours or was parsed.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(
        !value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)),
        "a field value is one line"
    );
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value` and CRLF.
pub(crate) fn write_number_field(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    crate::log::write_number(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends what a client's fields become on the way to any provider: end-to-end fields alone, without its keys. Out:
/// whether there are fields that are meant for the gateway.
pub(crate) fn write_forwarded(out: &mut Vec<u8>, head: &RequestHead<'_, '_>) -> bool {
    let mut has_ours = false;
    head.write_fields(out, |known, name| match known {
        Known::Traceparent | Known::XRequestId => false,
        Known::Other if is_ours(name) => {
            has_ours = true;
            false
        }
        Known::Other => !is_withheld(name),
        _ => true,
    });
    has_ours
}

fn is_withheld(name: &[u8]) -> bool {
    NOT_FORWARDED.iter().any(|withheld| name.eq_ignore_ascii_case(withheld))
}

/// Whether only the gateway may say this.
fn is_ours(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'x' | b'X'))
        && name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"x-faregate-"))
}

/// What the head of one request to a provider is made of.
pub(crate) struct Outgoing<'a> {
    /// The method, upper case.
    pub(crate) method: &'a str,
    /// The path on the provider, behind its prefix.
    pub(crate) path: &'a str,
    /// The path goes to the provider's root instead.
    pub(crate) from_root: bool,
    /// The query, without the question mark.
    pub(crate) query: Option<&'a str>,
    /// Fields that prove who pays, for this one request.
    pub(crate) proof: &'a [u8],
    /// What [`write_forwarded`] wrote.
    pub(crate) forwarded: &'a [u8],
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// How this process calls itself.
    pub(crate) via: &'a str,
    /// The gateways that the request has passed before.
    pub(crate) passed: Option<&'a str>,
    /// The request's place in its trace.
    pub(crate) trace: Trace,
    /// The request's id.
    pub(crate) request_id: &'a str,
}

/// Appends the head of a request to `upstream`, blank line included.
pub(crate) fn write_request(out: &mut Vec<u8>, upstream: &Upstream, request: &Outgoing<'_>) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    write_target(out, upstream, request);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_field(out, b"host", upstream.host.as_bytes());
    out.extend_from_slice(&upstream.fields);
    out.extend_from_slice(request.proof);
    match request.framing {
        Framing::Length(length) => write_number_field(out, b"content-length", length),
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    write_field(out, b"x-request-id", request.request_id.as_bytes());
    out.extend_from_slice(b"via: ");
    if let Some(passed) = request.passed {
        out.extend_from_slice(passed.as_bytes());
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(request.via.as_bytes());
    out.extend_from_slice(b"\r\ntraceparent: ");
    request.trace.write(out);
    out.extend_from_slice(b"\r\n");
    if upstream.field_names.is_empty() {
        out.extend_from_slice(request.forwarded);
    } else {
        write_all_but(out, request.forwarded, &upstream.field_names);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the path of a request as `upstream` gets it, and the query.
pub(crate) fn write_target(out: &mut Vec<u8>, upstream: &Upstream, request: &Outgoing<'_>) {
    if !request.from_root {
        out.extend_from_slice(upstream.path_prefix.as_bytes());
    }
    out.extend_from_slice(request.path.as_bytes());
    if let Some(query) = request.query {
        out.push(if request.path.contains('?') { b'&' } else { b'?' });
        out.extend_from_slice(query.as_bytes());
    }
}

/// The lines of `forwarded` that mean something to a provider of another dialect, and the type of a JSON body.
pub(crate) fn translated_fields(forwarded: &[u8]) -> Vec<u8> {
    let mut out = b"content-type: application/json\r\n".to_vec();
    for line in forwarded.split_inclusive(|b| *b == b'\n') {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        if FORWARDED_IN_TRANSLATION.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
            out.extend_from_slice(line);
        }
    }
    out
}

/// Appends the lines of `forwarded` whose names are not in `taken`.
pub(crate) fn write_all_but(out: &mut Vec<u8>, forwarded: &[u8], taken: &[String]) {
    for line in forwarded.split_inclusive(|b| *b == b'\n') {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        if !taken.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes())) {
            out.extend_from_slice(line);
        }
    }
}

/// How a provider's answer to this client is framed.
pub(crate) fn downstream(
    head: &ResponseHead<'_, '_>,
    client_is_http11: bool,
    rewrites: bool,
) -> Downstream {
    match head.framing {
        Framing::None => Downstream::Empty,
        Framing::Length(_) if !rewrites => Downstream::Length,
        _ if client_is_http11 => Downstream::Chunked,
        _ => Downstream::Close,
    }
}

/// Appends what a provider's fields become on the way to the client, and the framing.
pub(crate) fn write_returned(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    downstream: Downstream,
    content_type: Option<&str>,
) -> Returned {
    let mut returned = Returned::default();
    if let Some(content_type) = content_type {
        write_field(out, b"content-type", content_type.as_bytes());
    }
    let has_other_body = content_type.is_some();
    let among = |names: &[&[u8]], name: &[u8]| names.iter().any(|n| name.eq_ignore_ascii_case(n));
    head.write_fields(out, |known, name| {
        returned.request_id |= known == Known::XRequestId;
        let is_of_body = has_other_body && among(&OF_THE_BODY, name);
        let is_kept = known == Known::Other && (among(&NOT_RETURNED, name) || is_ours(name));
        // Of another dialect: what they say is said again in the client's.
        let is_foreign = has_other_body && known == Known::Other && is_rate_limit(name);
        !(is_of_body || is_kept || is_foreign)
    });
    match (downstream, head.framing) {
        (Downstream::Length, Framing::Length(length)) => {
            write_number_field(out, b"content-length", length)
        }
        (Downstream::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        (Downstream::Empty, _) => write_empty(out, head),
        _ => {}
    }
    returned
}

/// Appends what a provider says of its rate limits as a client of another dialect expects it.
pub(crate) fn write_rate_limits(
    out: &mut Vec<u8>,
    head: &ResponseHead<'_, '_>,
    (form, wall): (Form, u64),
) {
    let limits = rate_limits(head, wall);
    limits.write(form, wall, |name, value| write_field(out, name.as_bytes(), value.as_bytes()));
}

/// What a provider says of its rate limits; `wall` is the time since 1970 in nanoseconds.
pub(crate) fn rate_limits(head: &ResponseHead<'_, '_>, wall: u64) -> RateLimits {
    let mut limits = RateLimits::default();
    for (name, value) in head.forwardable() {
        limits.note(name, value, wall);
    }
    limits
}

/// The length of an answer without a body, where the provider gave one: 0, or what the answer to a GET would have. A 204
/// must not say any (RFC 9110 section 8.6).
fn write_empty(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>) {
    match (head.status, head.header(b"content-length")) {
        (100..200 | 204, _) | (_, None) => {}
        (_, Some(length)) => write_field(out, b"content-length", length),
    }
}

/// What was among a provider's fields.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    /// An `x-request-id` of its own.
    pub(crate) request_id: bool,
}

/// The reason phrase (RFC 9110 section 15).
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        529 => "Overloaded",
        _ => "Status",
    }
}
