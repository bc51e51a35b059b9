//! The head of an answer, and how its body ends.
//!
//! In: the bytes received so far. Out: status, framing, and the few fields that a measurement asks
//! for. Nothing is remembered between calls.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>

use memchr::memchr_iter;

/// Header fields that an answer may carry.
const FIELDS_MAX: usize = 64;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// After so many bytes; zero when there is no body.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// When the connection closes.
    Close,
}

/// What was said about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// Bytes of the head, the empty line included.
    pub len: usize,
    /// The status code.
    pub status: u16,
    /// How the body ends.
    pub ends: Ends,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// Whether the body is a stream of events.
    pub is_event_stream: bool,
}

/// The head is not one that a client can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadAnswer(
    /// What is wrong, for a log line.
    pub &'static str,
);

impl AnswerHead {
    /// Reads a head from the front of `bytes`; `None` until it is complete.
    ///
    /// # Errors
    ///
    /// [`BadAnswer`] when the head is malformed, ambiguous about its length, or too long.
    pub fn read(bytes: &[u8]) -> Result<Option<AnswerHead>, BadAnswer> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let len = match response.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(BadAnswer("head too long")),
            Err(_) => return Err(BadAnswer("malformed head")),
        };
        if memchr_iter(b'\n', &bytes[..len]).any(|at| at == 0 || bytes[at - 1] != b'\r') {
            return Err(BadAnswer("bare line feed in the head"));
        }
        let status = response.code.unwrap_or(0);
        let mut head = AnswerHead {
            len,
            status,
            ends: Ends::Close,
            keep_alive: response.version == Some(1),
            is_event_stream: false,
        };
        let mut length = None;
        let mut chunked = false;
        for field in response.headers.iter() {
            head.note(field, &mut length, &mut chunked)?;
        }
        head.ends = match (length, chunked) {
            (Some(_), true) => return Err(BadAnswer("both a length and a transfer coding")),
            _ if status < 200 || status == 204 || status == 304 => Ends::Length(0),
            (Some(length), false) => Ends::Length(length),
            (None, true) => Ends::Chunked,
            (None, false) => Ends::Close,
        };
        head.keep_alive &= head.ends != Ends::Close;
        Ok(Some(head))
    }

    fn note(
        &mut self,
        field: &httparse::Header<'_>,
        length: &mut Option<u64>,
        chunked: &mut bool,
    ) -> Result<(), BadAnswer> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let value = std::str::from_utf8(field.value).ok().filter(|text| is_decimal(text));
            let value = value.and_then(|text| text.parse().ok());
            let value = value.ok_or(BadAnswer("length is not a number"))?;
            if length.replace(value).is_some() {
                return Err(BadAnswer("two lengths"));
            }
        } else if is("transfer-encoding") {
            if *chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(BadAnswer("transfer coding other than chunked"));
            }
            *chunked = true;
        } else if is("connection") {
            self.keep_alive &= !field.value.eq_ignore_ascii_case(b"close");
        } else if is("content-type") {
            self.is_event_stream = field.value.starts_with(b"text/event-stream");
        }
        Ok(())
    }
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &str, expected: Result<(u16, Ends, bool), &str>) {
        let head = AnswerHead::read(wire.as_bytes());
        let seen = head
            .map(|head| head.map(|head| (head.status, head.ends, head.keep_alive)).unwrap())
            .map_err(|BadAnswer(reason)| reason);
        assert_eq!(seen, expected, "{wire:?}");
    }

    #[test]
    fn the_framing_is_what_the_head_says() {
        let length = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        check(length, Ok((200, Ends::Length(5), true)));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(chunked, Ok((200, Ends::Chunked, true)));
        check("HTTP/1.1 200 OK\r\n\r\n", Ok((200, Ends::Close, false)));
        check("HTTP/1.1 204 No\r\n\r\n", Ok((204, Ends::Length(0), true)));
        let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        check(close, Ok((200, Ends::Length(0), false)));
    }

    #[test]
    fn an_ambiguous_head_is_refused() {
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(both, Err("both a length and a transfer coding"));
        let two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n";
        check(two, Err("two lengths"));
        check("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", Err("length is not a number"));
        check("HTTP/1.1 200 OK\nContent-Length: 5\n\n", Err("bare line feed in the head"));
    }
}
