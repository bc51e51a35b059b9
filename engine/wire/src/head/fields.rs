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
        let found = match name.len() {
            2 => find(name, [(b"te", Self::Te)]),
            3 => find(name, [(b"via", Self::Via)]),
            4 => find(name, [(b"host", Self::Host)]),
            6 => find(name, [(b"expect", Self::Expect)]),
            7 => find(
                name,
                [
                    (b"api-key", Self::ApiKey),
                    (b"upgrade", Self::Upgrade),
                    (b"trailer", Self::Trailer),
                ],
            ),
            9 => find(
                name,
                [
                    (b"x-api-key", Self::XApiKey),
                    (b"x-real-ip", Self::XRealIp),
                    (b"forwarded", Self::Forwarded),
                ],
            ),
            10 => find(
                name,
                [
                    (b"connection", Self::Connection),
                    (b"keep-alive", Self::KeepAlive),
                    (b"tracestate", Self::Tracestate),
                ],
            ),
            11 => find(
                name,
                [(b"traceparent", Self::Traceparent), (b"retry-after", Self::RetryAfter)],
            ),
            12 => find(
                name,
                [(b"content-type", Self::ContentType), (b"x-request-id", Self::XRequestId)],
            ),
            13 => find(name, [(b"authorization", Self::Authorization)]),
            14 => find(
                name,
                [
                    (b"content-length", Self::ContentLength),
                    (b"retry-after-ms", Self::RetryAfterMs),
                    (b"x-goog-api-key", Self::XGoogApiKey),
                    (b"http2-settings", Self::Http2Settings),
                ],
            ),
            16 => find(name, [(b"content-encoding", Self::ContentEncoding)]),
            17 => find(name, [(b"transfer-encoding", Self::TransferEncoding)]),
            _ => None,
        };
        match (found, name.first()) {
            (Some(known), _) => known,
            (None, Some(b'x' | b'X')) if starts_with(name, b"x-forwarded-") => Self::XForwarded,
            (None, Some(b'p' | b'P')) if starts_with(name, b"proxy-") => Self::Proxy,
            (None, _) => Self::Other,
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

/// Which of these names of `N` bytes, all lower case, `name` is.
#[inline(always)]
fn find<const N: usize, const M: usize>(name: &[u8], all: [(&[u8; N], Known); M]) -> Option<Known> {
    let name: &[u8; N] = name.try_into().ok()?;
    all.into_iter().find(|(known, _)| is(name, known)).map(|(_, known)| known)
}

/// Whether `name` is `known`, which is lower case, in whatever case: compared in one to three words, which may overlap.
#[inline(always)]
fn is<const N: usize>(name: &[u8; N], known: &[u8; N]) -> bool {
    let at = |from: usize| {
        let word =
            |bytes: &[u8; N]| bytes[from..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        is_word(word(name), word(known))
    };
    let half = |from: usize| {
        let word =
            |bytes: &[u8; N]| bytes[from..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        is_word(u64::from(word(name)), u64::from(word(known)))
    };
    match N {
        8.. => at(0) && at(N - 8) && (N <= 16 || at(8)),
        4.. => half(0) && half(N - 4),
        _ => name.eq_ignore_ascii_case(known),
    }
}

/// Whether the bytes of `word` are those of `known`: lower-case letters, of which capitals count as well, digits and `-`.
#[inline(always)]
const fn is_word(word: u64, known: u64) -> bool {
    // Of these, letters alone have the bit 0x40. A capital lacks the bit 0x20 of its letter.
    word | ((known & 0x4040_4040_4040_4040) >> 1) == known
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
    #[inline]
    pub(super) fn other(name: &[u8]) -> Result<(), HeadError> {
        // The first letter tells nearly all of them apart.
        if let Some(first) = name.first()
            && first.is_ascii_alphanumeric()
            && !matches!(first, b'c' | b'C' | b't' | b'T')
        {
            return Ok(());
        }
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

/// Appends each of `fields` that `keeps` wants as `name: value` and CRLF. Those that were sent like that in `head`, and lie
/// next to each other there, are copied at once.
pub(super) fn write<'b>(
    out: &mut Vec<u8>,
    head: &[u8],
    fields: impl Iterator<Item = (Known, &'b [u8], &'b [u8])>,
    mut keeps: impl FnMut(Known, &[u8]) -> bool,
) {
    let mut run = 0..0;
    for (known, name, value) in fields {
        if !keeps(known, name) {
            continue;
        }
        // Where it is in the head; anywhere else is no place in it.
        let start = name.as_ptr().addr().wrapping_sub(head.as_ptr().addr());
        let colon = start.wrapping_add(name.len());
        let is_next =
            value.as_ptr().addr().wrapping_sub(head.as_ptr().addr()) == colon.wrapping_add(2);
        let end = colon.wrapping_add(value.len()).wrapping_add(4);
        let is_plain = is_next
            && head
                .get(colon..end)
                .is_some_and(|line| line.starts_with(b": ") && line.ends_with(b"\r\n"));
        if is_plain && start == run.end {
            run.end = end;
            continue;
        }
        out.extend_from_slice(&head[run]);
        run = 0..0;
        if is_plain {
            run = start..end;
        } else {
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    out.extend_from_slice(&head[run]);
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
    fn a_name_is_known_by_every_one_of_its_bytes() {
        for name in [
            "te",
            "via",
            "host",
            "expect",
            "api-key",
            "upgrade",
            "trailer",
            "x-api-key",
            "x-real-ip",
            "forwarded",
            "connection",
            "keep-alive",
            "tracestate",
            "traceparent",
            "retry-after",
            "content-type",
            "x-request-id",
            "authorization",
            "content-length",
            "retry-after-ms",
            "x-goog-api-key",
            "http2-settings",
            "content-encoding",
            "transfer-encoding",
        ] {
            let known = Known::of(name.as_bytes());
            assert_ne!(known, Known::Other, "{name}");
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), known, "{name}");
            for at in 0..name.len() {
                for byte in 0..=u8::MAX {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let is_same = other.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(Known::of(&other) == known, is_same, "{name} {at} {byte}");
                }
            }
        }
    }

    #[test]
    fn fields_are_written_alike_however_they_were_sent() {
        let head = b"GET / HTTP/1.1\r\na: 1\r\nb:2\r\nc:  3\r\nd: 4 \r\ne: 5\r\nf:\r\ng: 7\r\nh: \r\ni: 9\r\n\r\n";
        let mut room = [httparse::EMPTY_HEADER; 16];
        let mut cut = httparse::Request::new(&mut room);
        assert!(cut.parse(head).unwrap().is_complete());
        for kept in 0..1_u32 << cut.headers.len() {
            let all = || (0..).zip(cut.headers.iter().map(|f| (f.name.as_bytes(), f.value)));
            let mut expected = Vec::new();
            for (_, (name, value)) in all().filter(|(at, _)| kept >> at & 1 == 1) {
                expected.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
            }
            let mut at = 0;
            let mut written = Vec::new();
            let fields = all().map(|(_, (name, value))| (Known::Other, name, value));
            write(&mut written, head, fields, |_, _| {
                at += 1;
                kept >> (at - 1) & 1 == 1
            });
            assert_eq!(written, expected, "{kept:b}");
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
