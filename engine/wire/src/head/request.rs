//! Request heads.

use httparse::Header;

use super::{
    HeadError, HeadLimits, Method, Slots, Version,
    fields::{ConnectionOptions, FramingFields, Known, first, is_nominated, is_token_byte, write},
    scan,
};
use crate::{body::Framing, limits::METHOD_BYTES_MAX};

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead<'b, 's> {
    /// The method.
    pub method: Method,
    /// The path, with its leading slash, as sent: nothing is decoded. Of an absolute URL, its path.
    pub path: &'b str,
    /// What follows the question mark.
    pub query: Option<&'b str>,
    /// The version.
    pub version: Version,
    /// Bytes of the head, blank line included.
    pub len: usize,
    /// How the body is framed; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the client wants to send another request on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body.
    pub expect_continue: bool,
    /// Host and port: of an absolute URL, else of `Host`. Empty only when an HTTP/1.0 request named
    /// none.
    pub host: &'b [u8],
    /// `Authorization`, scheme and all.
    pub authorization: Option<&'b [u8]>,
    /// `Content-Type`
    pub content_type: Option<&'b [u8]>,
    /// `Content-Encoding`
    pub content_encoding: Option<&'b [u8]>,
    /// `X-Request-Id`
    pub request_id: Option<&'b [u8]>,
    /// `traceparent`
    pub traceparent: Option<&'b [u8]>,
    /// `tracestate`
    pub tracestate: Option<&'b [u8]>,
    x_api_key: Option<&'b [u8]>,
    api_key: Option<&'b [u8]>,
    /// Whether the client wants to go on with WebSocket frames: a GET without a body whose one `Upgrade` says so.
    pub websocket: bool,
    nominates: bool,
    bytes: &'b [u8],
    fields: &'s [Header<'b>],
    known: &'s [Known],
}

/// Reads the head of a request from everything that has been received. `None` while it is not
/// complete.
///
/// One CRLF in front of the request line is skipped (RFC 9112 section 2.2). What comes out, an
/// error too, does not depend on how many times it was asked before with less.
///
/// # Errors
///
/// [`HeadError`], as soon as a byte of the request line or a line end breaks a rule or a limit is
/// passed; for rules about fields once the head is complete.
pub fn parse_request<'b, 's>(
    bytes: &'b [u8],
    slots: &'s mut Slots<'b>,
    limits: &HeadLimits,
) -> Result<Option<RequestHead<'b, 's>>, HeadError> {
    let window = scan::window(bytes, limits);
    let start = match window {
        [b'\r', b'\n', ..] => 2,
        [b'\r'] => return scan::incomplete(window, limits),
        _ => 0,
    };
    let Some(line) = Line::read(window, start, limits)? else {
        return scan::incomplete(window, limits);
    };
    let Some(len) = scan::fields_end(window, line.end, limits)? else {
        return scan::incomplete(window, limits);
    };
    let mut cut = httparse::Request::new(&mut []);
    let room = slots.fields.len().min(limits.headers);
    let status = cut.parse_with_uninit_headers(&window[start..len], &mut slots.fields[..room])?;
    if status != httparse::Status::Complete(len - start) {
        return Err(HeadError::Field);
    }
    line.head(&window[..len], cut.headers, &mut slots.known).map(Some)
}

impl<'b, 's> RequestHead<'b, 's> {
    /// The client's credential: of `Authorization: Bearer`, else `x-api-key`, else `api-key`.
    ///
    /// There is only one. A head with any of the credential fields twice, or with several
    /// (`x-goog-api-key` is another) that do not say the same, was refused: two recipients may see
    /// two callers in it. Empty ones do not count.
    #[must_use]
    pub fn bearer(&self) -> Option<&'b [u8]> {
        let filled = |value: &&[u8]| !value.is_empty();
        self.authorization
            .and_then(bearer)
            .or(self.x_api_key.filter(filled))
            .or(self.api_key.filter(filled))
    }

    /// The value of the first field with this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<&'b [u8]> {
        first(self.fields, name)
    }

    /// All fields, in order, those of this connection included.
    pub fn all_fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.fields.iter().map(|field| (field.name.as_bytes(), field.value))
    }

    /// The fields that may go on to a provider: names and values, in order.
    ///
    /// Left out are those of this connection, those that `Connection` names, the framing, the
    /// credentials, and those that say which way the request came. Also left out is every name with
    /// an underscore: what turns names into variables reads `x_api_key` as `x-api-key`. A field
    /// with a meaning of its own here stays or goes by its own rule, whatever `Connection` says.
    pub fn forwardable(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.known_fields().map(|(_, name, value)| (name, value))
    }

    /// [`forwardable`](Self::forwardable), and what each name is.
    pub fn known_fields(&self) -> impl Iterator<Item = (Known, &'b [u8], &'b [u8])> {
        let fields = self.known.iter().zip(self.fields);
        let kept =
            fields.filter(|(known, field)| self.is_forwardable(**known, field.name.as_bytes()));
        kept.map(|(known, field)| (*known, field.name.as_bytes(), field.value))
    }

    /// Appends those of the [`known_fields`](Self::known_fields) that `keeps` wants, each as `name: value` and CRLF.
    pub fn write_fields(&self, out: &mut Vec<u8>, keeps: impl FnMut(Known, &[u8]) -> bool) {
        write(out, self.bytes, self.known_fields(), keeps);
    }

    fn is_forwardable(&self, known: Known, name: &[u8]) -> bool {
        match known {
            Known::Other => {
                let is_dropped =
                    name.contains(&b'_') || self.nominates && is_nominated(self.fields, name);
                !is_dropped
            }
            known => !known.is_hop_by_hop() && !known.is_for_the_gateway(),
        }
    }
}

/// The token of a `Bearer` credential.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = authorization.split_at_checked(SCHEME.len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

/// A request line.
struct Line<'b> {
    method: Method,
    target: Target<'b>,
    version: Version,
    /// Where the fields start.
    end: usize,
}

impl<'b> Line<'b> {
    /// Reads the line at `start` from left to right: a rule is checked as soon as its bytes are
    /// there.
    fn read(
        window: &'b [u8],
        start: usize,
        limits: &HeadLimits,
    ) -> Result<Option<Self>, HeadError> {
        let rest = &window[start..];
        let Some((method, rest)) = method(rest)? else { return Ok(None) };
        let Some((target, rest)) = target(rest, limits.target_bytes)? else { return Ok(None) };
        let target = Target::of(method, target)?;
        let Some(version) = version(rest)? else { return Ok(None) };
        let end = window.len() - rest.len() + VERSION_BYTES;
        Ok(Some(Self { method, target, version, end }))
    }

    fn head<'s>(
        self,
        head: &'b [u8],
        fields: &'s [Header<'b>],
        known: &'s mut [Known],
    ) -> Result<RequestHead<'b, 's>, HeadError> {
        let mut seen = Seen::default();
        for (field, known) in fields.iter().zip(&mut *known) {
            *known = Known::of(field.name.as_bytes());
            seen.field(*known, field)?;
        }
        let framing = seen.framing(self.version)?;
        let expects = seen.expectation(self.version)?;
        seen.check_credentials()?;
        if seen.host.is_none() && self.version == Version::Http11 {
            return Err(HeadError::Host);
        }
        let keep_alive = match self.version {
            Version::Http11 => !seen.connection.close,
            Version::Http10 => seen.connection.keep_alive && !seen.connection.close,
        };
        Ok(RequestHead {
            method: self.method,
            path: self.target.path,
            query: self.target.query,
            version: self.version,
            len: head.len(),
            framing,
            keep_alive,
            expect_continue: expects && framing != Framing::None,
            host: self.target.authority.or(seen.host).unwrap_or_default(),
            authorization: seen.authorization,
            content_type: seen.content_type,
            content_encoding: seen.content_encoding,
            request_id: seen.request_id,
            traceparent: seen.traceparent,
            tracestate: seen.tracestate,
            x_api_key: seen.x_api_key,
            api_key: seen.api_key,
            websocket: self.method == Method::Get
                && self.version == Version::Http11
                && framing == Framing::None
                && seen.connection.upgrade
                && seen.upgrade == Some(true),
            nominates: seen.connection.nominates,
            bytes: head,
            fields,
            known,
        })
    }
}

/// The method, and what follows the space behind it.
fn method(bytes: &[u8]) -> Result<Option<(Method, &[u8])>, HeadError> {
    const TLS_HANDSHAKE: u8 = 0x16;
    let start = &bytes[..bytes.len().min(METHOD_BYTES_MAX + 1)];
    let Some(end) = start.iter().position(|b| !is_token_byte(*b)) else {
        return if start.len() > METHOD_BYTES_MAX { Err(HeadError::Method) } else { Ok(None) };
    };
    match (bytes[end], end) {
        (b' ', 1..) => {}
        (TLS_HANDSHAKE, 0) => return Err(HeadError::Tls),
        _ => return Err(HeadError::RequestLine),
    }
    let method = match &bytes[..end] {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"PATCH" => Method::Patch,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"CONNECT" | b"TRACE" => return Err(HeadError::MethodRefused),
        b"PRI" => return Err(HeadError::Version),
        _ => return Err(HeadError::Method),
    };
    Ok(Some((method, &bytes[end + 1..])))
}

/// The target, and what follows the space behind it.
fn target(bytes: &[u8], bytes_max: usize) -> Result<Option<(&str, &[u8])>, HeadError> {
    let start = &bytes[..bytes.len().min(bytes_max.saturating_add(1))];
    let Some(end) = start.iter().position(|b| !is_target_byte(*b)) else {
        return if start.len() > bytes_max { Err(HeadError::TargetTooLong) } else { Ok(None) };
    };
    match (bytes[end], end) {
        (b' ', 1..) => {}
        (b' ' | b'\r' | b'\n', _) => return Err(HeadError::RequestLine),
        _ => return Err(HeadError::Target),
    }
    let target = std::str::from_utf8(&bytes[..end]).map_err(|_| HeadError::Target)?;
    Ok(Some((target, &bytes[end + 1..])))
}

/// Printable ASCII but for `#`, which starts a fragment and is never sent.
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// Bytes of `HTTP/1.1` and CRLF.
const VERSION_BYTES: usize = 10;

fn version(bytes: &[u8]) -> Result<Option<Version>, HeadError> {
    for (at, byte) in bytes.iter().take(VERSION_BYTES).enumerate() {
        let fits = match at {
            0..5 => *byte == b"HTTP/"[at],
            5 | 7 => byte.is_ascii_digit(),
            6 => *byte == b'.',
            8 => *byte == b'\r',
            _ => *byte == b'\n',
        };
        if !fits {
            return Err(HeadError::RequestLine);
        }
        if at == 7 && !matches!(&bytes[5..8], b"1.0" | b"1.1") {
            return Err(HeadError::Version);
        }
    }
    Ok(match bytes.get(7) {
        _ if bytes.len() < VERSION_BYTES => None,
        Some(b'0') => Some(Version::Http10),
        _ => Some(Version::Http11),
    })
}

/// A request target, taken apart.
struct Target<'b> {
    authority: Option<&'b [u8]>,
    path: &'b str,
    query: Option<&'b str>,
}

impl<'b> Target<'b> {
    fn of(method: Method, target: &'b str) -> Result<Self, HeadError> {
        if target.starts_with('/') {
            return Ok(Self::from_path(None, target));
        }
        if target == "*" && method == Method::Options {
            return Err(HeadError::MethodRefused);
        }
        let (scheme, rest) = target.split_once("://").ok_or(HeadError::Target)?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(HeadError::Target);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !is_host(authority.as_bytes()) {
            return Err(HeadError::Target);
        }
        Ok(Self::from_path(Some(authority.as_bytes()), path))
    }

    fn from_path(authority: Option<&'b [u8]>, path: &'b str) -> Self {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        Self { authority, path: if path.is_empty() { "/" } else { path }, query }
    }
}

/// Whether `host` is a host name or address, and perhaps a port.
///
/// Stricter than RFC 3986: no percent encoding and no delimiters in a name, no user, no port
/// without digits.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host.iter().rposition(|b| *b == b':') {
        Some(colon) if host.last() != Some(&b']') => (&host[..colon], Some(&host[colon + 1..])),
        _ => (host, None),
    };
    let name_is_fine = match name {
        [b'[', address @ .., b']'] => std::str::from_utf8(address)
            .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
        name => {
            !name.is_empty()
                && name
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
        }
    };
    name_is_fine && port.is_none_or(is_port)
}

fn is_port(port: &[u8]) -> bool {
    (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0u32, |sum, b| sum * 10 + u32::from(b - b'0')) <= u32::from(u16::MAX)
}

/// What the fields say.
#[derive(Default)]
struct Seen<'b> {
    framing: FramingFields,
    connection: ConnectionOptions,
    host: Option<&'b [u8]>,
    expect: Option<bool>,
    upgrade: Option<bool>,
    authorization: Option<&'b [u8]>,
    x_api_key: Option<&'b [u8]>,
    api_key: Option<&'b [u8]>,
    x_goog_api_key: Option<&'b [u8]>,
    content_type: Option<&'b [u8]>,
    content_encoding: Option<&'b [u8]>,
    request_id: Option<&'b [u8]>,
    traceparent: Option<&'b [u8]>,
    tracestate: Option<&'b [u8]>,
}

impl<'b> Seen<'b> {
    fn field(&mut self, known: Known, field: &Header<'b>) -> Result<(), HeadError> {
        let value = field.value;
        match known {
            Known::ContentLength => self.framing.length(value)?,
            Known::TransferEncoding => self.framing.coding(value)?,
            Known::Connection => self.connection.add(value)?,
            Known::Host if !is_host(value) => return Err(HeadError::Host),
            Known::Host => once(&mut self.host, value, HeadError::Host)?,
            Known::Expect => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expect = Some(known && self.expect != Some(false));
            }
            Known::Authorization => once(&mut self.authorization, value, HeadError::Credentials)?,
            Known::XApiKey => once(&mut self.x_api_key, value, HeadError::Credentials)?,
            Known::ApiKey => once(&mut self.api_key, value, HeadError::Credentials)?,
            Known::XGoogApiKey => once(&mut self.x_goog_api_key, value, HeadError::Credentials)?,
            Known::ContentType => _ = self.content_type.get_or_insert(value),
            Known::ContentEncoding => _ = self.content_encoding.get_or_insert(value),
            Known::XRequestId => _ = self.request_id.get_or_insert(value),
            Known::Traceparent => _ = self.traceparent.get_or_insert(value),
            Known::Tracestate => _ = self.tracestate.get_or_insert(value),
            Known::Upgrade => {
                let is_websocket = value.eq_ignore_ascii_case(b"websocket");
                self.upgrade = Some(is_websocket && self.upgrade.is_none());
            }
            Known::Other => FramingFields::other(field.name.as_bytes())?,
            Known::Forwarded
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::Proxy
            | Known::RetryAfter
            | Known::RetryAfterMs
            | Known::Te
            | Known::Trailer
            | Known::Via
            | Known::XForwarded
            | Known::XRealIp => {}
        }
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, HeadError> {
        self.framing.check()?;
        match (self.framing.chunked, self.framing.length) {
            (true, _) if version == Version::Http10 => Err(HeadError::Coding),
            (true, _) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }

    /// Whether a 100 is expected; HTTP/1.0 knows no expectations.
    fn expectation(&self, version: Version) -> Result<bool, HeadError> {
        match (version, self.expect) {
            (Version::Http10, _) | (Version::Http11, None) => Ok(false),
            (Version::Http11, Some(true)) => Ok(true),
            (Version::Http11, Some(false)) => Err(HeadError::Expectation),
        }
    }

    /// Refuses credentials that do not all say the same.
    fn check_credentials(&self) -> Result<(), HeadError> {
        let authorization = self.authorization.map(|value| bearer(value).unwrap_or(value));
        let is_empty_bearer =
            self.authorization.is_some_and(|value| value.eq_ignore_ascii_case(b"bearer"));
        let authorization = if is_empty_bearer { None } else { authorization };
        let mut all = [authorization, self.x_api_key, self.api_key, self.x_goog_api_key]
            .into_iter()
            .flatten()
            .filter(|value| !value.is_empty());
        let Some(one) = all.next() else { return Ok(()) };
        if all.all(|other| other == one) { Ok(()) } else { Err(HeadError::Credentials) }
    }
}

/// Keeps the value of a field that may come only once.
fn once<'b>(
    kept: &mut Option<&'b [u8]>,
    value: &'b [u8],
    twice: HeadError,
) -> Result<(), HeadError> {
    if kept.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
