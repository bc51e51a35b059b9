//! Request and response heads, and what they decide: the framing, whether the connection goes on,
//! whose request it is.
//!
//! In: everything that has been received, from the first byte of the message on. Out: a head that
//! borrows from it, `None` until the head is complete, or an error as soon as a byte breaks a rule.
//! Nothing is remembered between calls: an incomplete head is looked at again from its start, which
//! is bounded by [`HeadLimits`] and finds no more than a line end in each line.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112>
//!
//! Of two readings of a message, a gateway in front of a provider can only afford one. Where the
//! specification leaves a choice this parser refuses: bare LF, folded lines, both framings at once,
//! repeated lengths, lists of codings.
//! `httparse` cuts lines into names and values; nothing about framing is left to it.

mod fields;
mod request;
mod response;
mod scan;

use std::{error::Error, fmt, mem::MaybeUninit};

use httparse::Header;

pub use fields::Known;
pub(crate) use fields::is_token_byte;
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response, parse_switch};

use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The methods that are served at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// Its name, as on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// How much a head may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, blank line included.
    pub head_bytes: usize,
    /// Fields; [`HEADERS_MAX`] is the most that is ever taken.
    pub headers: usize,
    /// Bytes of a request's target.
    pub target_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes: HEAD_BYTES_MAX, headers: HEADERS_MAX, target_bytes: TARGET_BYTES_MAX }
    }
}

/// Room for the fields of one head, on the caller's stack.
pub struct Slots<'b> {
    fields: [MaybeUninit<Header<'b>>; HEADERS_MAX],
    /// What each of them is: a name is looked at once.
    known: [Known; HEADERS_MAX],
}

impl Slots<'_> {
    /// Empty room. The fields are not written before they are used.
    #[must_use]
    pub fn new() -> Self {
        Self {
            fields: [const { MaybeUninit::uninit() }; HEADERS_MAX],
            known: [Known::Other; HEADERS_MAX],
        }
    }
}

impl Default for Slots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Slots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

/// Which rule a head broke. The connection it came on is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The start of a TLS handshake.
    Tls,
    /// The request line is not a method, a target and a version with one space between them.
    RequestLine,
    /// The status line is not a version, a status and a reason.
    StatusLine,
    /// A method that is not known.
    Method,
    /// A method, or a form of it, that is known and refused: CONNECT, TRACE, `OPTIONS *`.
    MethodRefused,
    /// A target that is neither a path nor an http or https URL, or holds a control byte, a byte
    /// beyond ASCII or `#`.
    Target,
    /// A target beyond [`HeadLimits::target_bytes`].
    TargetTooLong,
    /// A version other than HTTP/1.0 and HTTP/1.1, or the preface of HTTP/2.
    Version,
    /// LF without CR, or CR without LF, between fields.
    LineEnd,
    /// A line that is no field: bad name, space in front of the colon, folded, or a control byte.
    Field,
    /// More than [`HeadLimits::headers`] fields.
    TooManyFields,
    /// More than [`HeadLimits::head_bytes`] bytes.
    TooLong,
    /// A `Content-Length` that is no length, or more than one.
    Length,
    /// A `Transfer-Encoding` that is not exactly `chunked`, or more than one, or in HTTP/1.0.
    Coding,
    /// Transfer codings in front of `chunked`.
    CodingUnknown,
    /// `Content-Length` and `Transfer-Encoding`.
    BothFramings,
    /// A name that another recipient may take for `Content-Length` or `Transfer-Encoding`.
    LookAlike,
    /// No `Host`, more than one, or one that is no host and port.
    Host,
    /// An expectation other than `100-continue`.
    Expectation,
    /// More than one credential.
    Credentials,
    /// More than [`crate::limits::CONNECTION_OPTIONS_MAX`] options in `Connection`.
    ConnectionOptions,
    /// A response that switches protocols; no request asks for that.
    Switched,
}

impl HeadError {
    /// The status to answer a request with. What a provider broke is for the caller to name.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::MethodRefused => 405,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::TooManyFields | Self::TooLong => 431,
            Self::Method | Self::CodingUnknown => 501,
            Self::Version => 505,
            Self::Tls
            | Self::RequestLine
            | Self::StatusLine
            | Self::Target
            | Self::LineEnd
            | Self::Field
            | Self::Length
            | Self::Coding
            | Self::BothFramings
            | Self::LookAlike
            | Self::Host
            | Self::Credentials
            | Self::ConnectionOptions
            | Self::Switched => 400,
        }
    }

    /// What is wrong, as a lowercase sentence for whoever sent it. Holds nothing of what was sent.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Tls => "a tls handshake came where plain http is spoken",
            Self::RequestLine => {
                "the request line is not method, target and version with one space between them"
            }
            Self::StatusLine => "the status line is not version, status and reason",
            Self::Method => "the method is not implemented",
            Self::MethodRefused => "the method is not allowed",
            Self::Target => {
                "the request target is not a path or an http url of printable ascii without a fragment"
            }
            Self::TargetTooLong => "the request target is too long",
            Self::Version => "the version is neither HTTP/1.1 nor HTTP/1.0",
            Self::LineEnd => "a line of the head does not end with CRLF",
            Self::Field => "a line of the head is not name, colon and value",
            Self::TooManyFields => "the head has too many fields",
            Self::TooLong => "the head is too long",
            Self::Length => "content-length is not one decimal number of at most 19 digits",
            Self::Coding => "transfer-encoding is not exactly chunked",
            Self::CodingUnknown => "no transfer coding but chunked is implemented",
            Self::BothFramings => "the head has both content-length and transfer-encoding",
            Self::LookAlike => "a field name looks like content-length or transfer-encoding",
            Self::Host => "host is not exactly one host name or address with an optional port",
            Self::Expectation => "the only expectation that is met is 100-continue",
            Self::Credentials => "the request carries more than one credential",
            Self::ConnectionOptions => "connection lists too many options",
            Self::Switched => "the response switches protocols unasked",
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Error for HeadError {}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::Status => Self::StatusLine,
            httparse::Error::HeaderName
            | httparse::Error::HeaderValue
            | httparse::Error::NewLine
            | httparse::Error::Token
            | httparse::Error::Version => Self::Field,
        }
    }
}
