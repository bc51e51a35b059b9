//! Field names that mean something here, and the fields that frame a message.

use httparse::Header;

use super::HeadError;
use crate::limits::{CONNECTION_OPTIONS_MAX, CONTENT_LENGTH_DIGITS_MAX};

/// A field name that means something to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `api-key`
    ApiKey,
    /// `authorization`
    Authorization,
    /// `connection`
    Connection,
    /// `content-encoding`
    ContentEncoding,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `expect`
    Expect,
    /// `forwarded`
    Forwarded,
    /// `host`
    Host,
    /// `http2-settings`
    Http2Settings,
    /// `keep-alive`
    KeepAlive,
    /// Any name that starts with `proxy-`.
    Proxy,
    /// `retry-after`
    RetryAfter,
    /// `retry-after-ms`
    RetryAfterMs,
    /// `te`
    Te,
    /// `traceparent`
    Traceparent,
    /// `tracestate`
    Tracestate,
    /// `trailer`
    Trailer,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `via`
    Via,
    /// `x-api-key`
    XApiKey,
    /// Any name that starts with `x-forwarded-`.
    XForwarded,
    /// `x-goog-api-key`
    XGoogApiKey,
    /// `x-real-ip`
    XRealIp,
    /// `x-request-id`
    XRequestId,
    /// None of them.
    Other,
}

impl Known {
    /// What `name` is, in whatever case.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let Some(first) = name.first().map(u8::to_ascii_lowercase) else { return Self::Other };
        let is = |known: &str| {
            known.as_bytes()[0] == first && name.eq_ignore_ascii_case(known.as_bytes())
        };
        match name.len() {
            2 if is("te") => Self::Te,
            3 if is("via") => Self::Via,
            4 if is("host") => Self::Host,
            6 if is("expect") => Self::Expect,
            7 if is("api-key") => Self::ApiKey,
            7 if is("upgrade") => Self::Upgrade,
            7 if is("trailer") => Self::Trailer,
            9 if is("x-api-key") => Self::XApiKey,
            9 if is("x-real-ip") => Self::XRealIp,
            9 if is("forwarded") => Self::Forwarded,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            10 if is("tracestate") => Self::Tracestate,
            11 if is("traceparent") => Self::Traceparent,
            11 if is("retry-after") => Self::RetryAfter,
            12 if is("content-type") => Self::ContentType,
            12 if is("x-request-id") => Self::XRequestId,
            13 if is("authorization") => Self::Authorization,
            14 if is("content-length") => Self::ContentLength,
            14 if is("retry-after-ms") => Self::RetryAfterMs,
            14 if is("x-goog-api-key") => Self::XGoogApiKey,
            14 if is("http2-settings") => Self::Http2Settings,
            16 if is("content-encoding") => Self::ContentEncoding,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            _ if first == b'x' && starts_with(name, b"x-forwarded-") => Self::XForwarded,
            _ if first == b'p' && starts_with(name, b"proxy-") => Self::Proxy,
            _ => Self::Other,
        }
    }

    /// Whether a field of this name concerns one connection and never the next (RFC 9110 section
    /// 7.6.1), or is written anew for each message.
    pub(super) fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::ContentLength
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::Proxy
                | Self::Te
                | Self::Trailer
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// Whether a request field of this name is between the client and this gateway: its credential,
    /// its way here.
    pub(super) fn is_for_the_gateway(self) -> bool {
        matches!(
            self,
            Self::ApiKey
                | Self::Authorization
                | Self::Expect
                | Self::Forwarded
                | Self::Host
                | Self::Via
                | Self::XApiKey
                | Self::XForwarded
                | Self::XGoogApiKey
                | Self::XRealIp
        )
    }
}

/// Whether `name` starts with `prefix`, which is lower case, in whatever case.
fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether `byte` may be part of a token (RFC 9110 section 5.6.2): of a method, a field name, a
/// coding.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// The fields that frame a message, as they are read.
#[derive(Debug, Default)]
pub(super) struct FramingFields {
    /// `Content-Length`.
    pub(super) length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub(super) chunked: bool,
}

impl FramingFields {
    /// Takes in a `Content-Length`.
    pub(super) fn length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.length.is_some() {
            return Err(HeadError::Length);
        }
        self.length = Some(decimal(value).ok_or(HeadError::Length)?);
        Ok(())
    }

    /// Takes in a `Content-Length` of a response, where copies that say the same are one.
    pub(super) fn length_again(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let before = self.length.take();
        self.length(value)?;
        if before.is_some_and(|before| self.length != Some(before)) {
            Err(HeadError::Length)
        } else {
            Ok(())
        }
    }

    /// Takes in a `Transfer-Encoding`.
    pub(super) fn coding(&mut self, value: &[u8]) -> Result<(), HeadError> {
        if self.chunked {
            return Err(HeadError::Coding);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(coding_error(value));
        }
        self.chunked = true;
        Ok(())
    }

    /// Refuses a name that some recipients take for one of the two.
    pub(super) fn other(name: &[u8]) -> Result<(), HeadError> {
        if is_squeezed(name, b"contentlength") || is_squeezed(name, b"transferencoding") {
            return Err(HeadError::LookAlike);
        }
        Ok(())
    }

    /// Refuses both at once.
    pub(super) fn check(&self) -> Result<(), HeadError> {
        if self.chunked && self.length.is_some() { Err(HeadError::BothFramings) } else { Ok(()) }
    }
}

/// `chunked` behind other codings is well-formed and not implemented (RFC 9112 section 6.1);
/// everything else is malformed.
fn coding_error(value: &[u8]) -> HeadError {
    let mut codings = value.rsplit(|b| *b == b',').map(<[u8]>::trim_ascii);
    let last_is_chunked =
        codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let plain = |coding: &[u8]| {
        !coding.is_empty()
            && coding.iter().all(|b| is_token_byte(*b))
            && !coding.eq_ignore_ascii_case(b"chunked")
    };
    if last_is_chunked && codings.all(plain) { HeadError::CodingUnknown } else { HeadError::Coding }
}

/// Whether `name` without its punctuation is `letters`, which are lower case.
fn is_squeezed(name: &[u8], letters: &[u8]) -> bool {
    let mut left = letters;
    for byte in name.iter().filter(|b| b.is_ascii_alphanumeric()) {
        match left.split_first() {
            Some((letter, rest)) if byte.to_ascii_lowercase() == *letter => left = rest,
            _ => return false,
        }
    }
    left.is_empty()
}

/// One to nineteen digits and nothing else.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > CONTENT_LENGTH_DIGITS_MAX {
        return None;
    }
    value.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// The options of all `Connection` fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnectionOptions {
    /// `close`
    pub(super) close: bool,
    /// `keep-alive`
    pub(super) keep_alive: bool,
    /// `upgrade`
    pub(super) upgrade: bool,
    /// There are others: names of fields.
    pub(super) nominates: bool,
    count: usize,
}

impl ConnectionOptions {
    /// Takes in a `Connection`.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for option in options(value) {
            self.count += 1;
            if self.count > CONNECTION_OPTIONS_MAX {
                return Err(HeadError::ConnectionOptions);
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.nominates = true;
            }
        }
        Ok(())
    }
}

fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Whether a `Connection` among `fields` names `name`.
pub(super) fn is_nominated(fields: &[Header<'_>], name: &[u8]) -> bool {
    fields
        .iter()
        .filter(|field| Known::of(field.name.as_bytes()) == Known::Connection)
        .any(|field| options(field.value).any(|option| option.eq_ignore_ascii_case(name)))
}

/// The value of the first field with this name, in whatever case.
pub(super) fn first<'b>(fields: &[Header<'b>], name: &[u8]) -> Option<&'b [u8]> {
    fields
        .iter()
        .find(|field| field.name.as_bytes().eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_nothing_near_them_is() {
        assert_eq!(Known::of(b"CoNtEnT-LeNgTh"), Known::ContentLength);
        assert_eq!(Known::of(b"transfer-encoding"), Known::TransferEncoding);
        assert_eq!(Known::of(b"X-Request-ID"), Known::XRequestId);
        assert_eq!(Known::of(b"X-Forwarded-For"), Known::XForwarded);
        assert_eq!(Known::of(b"Proxy-Authorization"), Known::Proxy);
        assert_eq!(Known::of(b"Proxy-Connection"), Known::Proxy);
        for other in
            [&b""[..], b"x", b"content_length", b"x-forwarded", b"proxy", b"content-lengthy"]
        {
            assert_eq!(Known::of(other), Known::Other);
        }
    }

    #[test]
    fn a_length_is_digits_alone() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for bad in [
            &b""[..],
            b"+1",
            b"-1",
            b"0x10",
            b"1_0",
            b"1 0",
            b"1,1",
            b"1.0",
            b"00000000000000000001",
            b"\xb2",
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_plain_list_that_ends_in_chunked_is_merely_not_implemented() {
        assert_eq!(coding_error(b"gzip, chunked"), HeadError::CodingUnknown);
        assert_eq!(coding_error(b"gzip ,\tbr, Chunked"), HeadError::CodingUnknown);
        for bad in [
            &b"xchunked"[..],
            b"gzip",
            b"identity",
            b"",
            b"chunked, chunked",
            b"chunked, gzip",
            b"chunked, identity, chunked",
            b", chunked",
            b"chunked,",
            b"\"chunked\"",
            b"chunked;q=1",
            b"gzip;q=1, chunked",
            b"chunked\x80",
            b"\xa0chunked",
        ] {
            assert_eq!(coding_error(bad), HeadError::Coding, "{bad:?}");
        }
    }

    #[test]
    fn look_alikes_of_the_framing_fields_are_refused() {
        for bad in [
            &b"Content_Length"[..],
            b"transfer_encoding",
            b"Transfer---Encoding",
            b"TransferEncoding",
            b"content-length.",
        ] {
            assert_eq!(FramingFields::other(bad), Err(HeadError::LookAlike), "{bad:?}");
        }
        for fine in [
            &b"content"[..],
            b"content-lengths",
            b"x-content-length",
            b"openai-transfer-encoding",
            b"",
            b"-",
        ] {
            assert_eq!(FramingFields::other(fine), Ok(()), "{fine:?}");
        }
    }

    #[test]
    fn token_bytes_are_those_of_the_specification() {
        let punctuation = b"!#$%&'*+-.^_`|~";
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || punctuation.contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "{byte:#x}");
        }
    }
}
