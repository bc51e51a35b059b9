//! Response heads.

use httparse::Header;

use super::{
    HeadError, HeadLimits, Method, Slots, Version,
    fields::{ConnectionOptions, FramingFields, Known, first, is_nominated, write},
    scan,
};
use crate::body::Framing;

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead<'b, 's> {
    /// Bytes of the head, blank line included.
    pub len: usize,
    /// The status, 100 to 599 but for 101.
    pub status: u16,
    /// The version.
    pub version: Version,
    /// Whether the connection may serve again once the body has been read.
    pub keep_alive: bool,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the body is a stream of server-sent events.
    pub is_event_stream: bool,
    /// `Content-Type`
    pub content_type: Option<&'b [u8]>,
    /// `Content-Encoding`; of several, the first that is not `identity`.
    pub content_encoding: Option<&'b [u8]>,
    /// `Retry-After`
    pub retry_after: Option<&'b [u8]>,
    /// `retry-after-ms`
    pub retry_after_ms: Option<&'b [u8]>,
    /// `X-Request-Id`
    pub request_id: Option<&'b [u8]>,
    nominates: bool,
    bytes: &'b [u8],
    fields: &'s [Header<'b>],
    known: &'s [Known],
}

/// Reads the head of the response to a request of `request_method`. `None` while it is not
/// complete.
///
/// Interim (1xx) heads are given back like others; 101 is an error, for no request asks to switch
/// protocols.
///
/// # Errors
///
/// [`HeadError`], as soon as a byte of the status line or a line end breaks a rule or a limit is
/// passed; for rules about fields once the head is complete.
pub fn parse_response<'b, 's>(
    bytes: &'b [u8],
    slots: &'s mut Slots<'b>,
    limits: &HeadLimits,
    request_method: Method,
) -> Result<Option<ResponseHead<'b, 's>>, HeadError> {
    parse(bytes, slots, limits, Some(request_method))
}

/// Reads the head of the response to a request that asked to go on with WebSocket frames: a 101 that says nothing else is
/// given back too. What follows it are frames.
///
/// # Errors
///
/// As [`parse_response`].
pub fn parse_switch<'b, 's>(
    bytes: &'b [u8],
    slots: &'s mut Slots<'b>,
    limits: &HeadLimits,
) -> Result<Option<ResponseHead<'b, 's>>, HeadError> {
    parse(bytes, slots, limits, None)
}

/// `None` is the method of a request that asked for WebSocket frames.
fn parse<'b, 's>(
    bytes: &'b [u8],
    slots: &'s mut Slots<'b>,
    limits: &HeadLimits,
    request_method: Option<Method>,
) -> Result<Option<ResponseHead<'b, 's>>, HeadError> {
    let window = scan::window(bytes, limits);
    let Some(line) = Line::read(window)? else {
        return scan::incomplete(window, limits);
    };
    let Some(len) = scan::fields_end(window, line.end, limits)? else {
        return scan::incomplete(window, limits);
    };
    let mut cut = httparse::Response::new(&mut []);
    let room = slots.fields.len().min(limits.headers);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(
        &mut cut,
        &window[..len],
        &mut slots.fields[..room],
    )?;
    if status != httparse::Status::Complete(len) {
        return Err(HeadError::Field);
    }
    line.head(&window[..len], (cut.headers, &mut slots.known), request_method).map(Some)
}

impl<'b> ResponseHead<'b, '_> {
    /// The value of the first field with this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<&'b [u8]> {
        first(self.fields, name)
    }

    /// The fields that may go on to the client: names and values, in order. Left out are those of
    /// this connection, those that `Connection` names, and the framing.
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
            Known::Other => !(self.nominates && is_nominated(self.fields, name)),
            known => !known.is_hop_by_hop(),
        }
    }
}

/// A status line.
struct Line {
    version: Version,
    status: u16,
    /// Where the fields start.
    end: usize,
}

impl Line {
    /// Reads the line from left to right: a rule is checked as soon as its bytes are there.
    fn read(window: &[u8]) -> Result<Option<Self>, HeadError> {
        /// Bytes of version, space and status.
        const BYTES: usize = 12;
        for (at, byte) in window.iter().take(BYTES + 1).enumerate() {
            let fits = match at {
                0..5 => *byte == b"HTTP/"[at],
                5 | 7 | 10 | 11 => byte.is_ascii_digit(),
                6 => *byte == b'.',
                8 => *byte == b' ',
                9 => matches!(byte, b'1'..=b'5'),
                _ => matches!(byte, b' ' | b'\r'),
            };
            if !fits {
                return Err(HeadError::StatusLine);
            }
            if at == 7 && !matches!(&window[5..8], b"1.0" | b"1.1") {
                return Err(HeadError::Version);
            }
        }
        let Some(lf) = window.get(BYTES..).and_then(|rest| memchr::memchr(b'\n', rest)) else {
            return Ok(None);
        };
        let end = BYTES + lf + 1;
        if lf == 0 || window[end - 2] != b'\r' {
            return Err(HeadError::LineEnd);
        }
        let status =
            window[9..BYTES].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        let version = if window[7] == b'0' { Version::Http10 } else { Version::Http11 };
        Ok(Some(Self { version, status, end }))
    }

    fn head<'b, 's>(
        self,
        head: &'b [u8],
        (fields, known): (&'s [Header<'b>], &'s mut [Known]),
        request_method: Option<Method>,
    ) -> Result<ResponseHead<'b, 's>, HeadError> {
        let mut seen = Seen::default();
        for (field, known) in fields.iter().zip(&mut *known) {
            *known = Known::of(field.name.as_bytes());
            seen.field(*known, field)?;
        }
        let switches = request_method.is_none() && seen.connection.upgrade;
        if self.status == 101 && !(switches && seen.upgrade == Some(true)) {
            return Err(HeadError::Switched);
        }
        let framing = seen.framing(&self, request_method.unwrap_or(Method::Get))?;
        Ok(ResponseHead {
            len: head.len(),
            status: self.status,
            version: self.version,
            keep_alive: seen.keep_alive(&self, framing),
            framing,
            is_event_stream: seen.content_type.is_some_and(is_event_stream),
            content_type: seen.content_type,
            content_encoding: seen.content_encoding,
            retry_after: seen.retry_after,
            retry_after_ms: seen.retry_after_ms,
            request_id: seen.request_id,
            nominates: seen.connection.nominates,
            bytes: head,
            fields,
            known,
        })
    }

    /// Whether the status alone says that there is no body.
    fn has_no_body(&self) -> bool {
        matches!(self.status, 100..200 | 204 | 304)
    }
}

/// What the fields say.
#[derive(Default)]
struct Seen<'b> {
    framing: FramingFields,
    connection: ConnectionOptions,
    upgrade: Option<bool>,
    content_type: Option<&'b [u8]>,
    content_encoding: Option<&'b [u8]>,
    retry_after: Option<&'b [u8]>,
    retry_after_ms: Option<&'b [u8]>,
    request_id: Option<&'b [u8]>,
}

impl<'b> Seen<'b> {
    fn field(&mut self, known: Known, field: &Header<'b>) -> Result<(), HeadError> {
        let value = field.value;
        match known {
            Known::ContentLength => self.framing.length_again(value)?,
            Known::TransferEncoding => self.framing.coding(value)?,
            Known::Connection => self.connection.add(value)?,
            Known::ContentType => _ = self.content_type.get_or_insert(value),
            Known::ContentEncoding => {
                let kept = self.content_encoding.get_or_insert(value);
                if kept.eq_ignore_ascii_case(b"identity") {
                    *kept = value;
                }
            }
            Known::RetryAfter => _ = self.retry_after.get_or_insert(value),
            Known::RetryAfterMs => _ = self.retry_after_ms.get_or_insert(value),
            Known::XRequestId => _ = self.request_id.get_or_insert(value),
            Known::Upgrade => {
                let is_websocket = value.eq_ignore_ascii_case(b"websocket");
                self.upgrade = Some(is_websocket && self.upgrade.is_none());
            }
            Known::Other => FramingFields::other(field.name.as_bytes())?,
            Known::ApiKey
            | Known::Authorization
            | Known::Expect
            | Known::Forwarded
            | Known::Host
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::Proxy
            | Known::Te
            | Known::Traceparent
            | Known::Tracestate
            | Known::Trailer
            | Known::Via
            | Known::XApiKey
            | Known::XForwarded
            | Known::XGoogApiKey
            | Known::XRealIp => {}
        }
        Ok(())
    }

    fn framing(&self, line: &Line, request_method: Method) -> Result<Framing, HeadError> {
        self.framing.check()?;
        if self.framing.chunked && line.version == Version::Http10 {
            return Err(HeadError::Coding);
        }
        if request_method == Method::Head || line.has_no_body() {
            return Ok(Framing::None);
        }
        Ok(match (self.framing.chunked, self.framing.length) {
            (true, _) => Framing::Chunked,
            (false, None) => Framing::UntilClose,
            (false, Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
        })
    }

    /// Whether another response may follow. Not behind an interim or 204 head that announces a
    /// body: its sender may send one.
    fn keep_alive(&self, line: &Line, framing: Framing) -> bool {
        let announced =
            self.framing.chunked || self.framing.length.is_some_and(|length| length > 0);
        if framing == Framing::UntilClose || (line.has_no_body() && line.status != 304 && announced)
        {
            return false;
        }
        match line.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }
}

/// Whether a media type is that of server-sent events, whatever its parameters.
fn is_event_stream(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|b| *b == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

#[cfg(test)]
mod tests;
