//! Server-sent events, cut out of a byte stream without copying a payload.
//!
//! In: bytes as they arrived, split anywhere. Out: one [`Event`] per blank line.
//! State between calls: how far into the unfinished event we have already looked.
//! Format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>
//!
//! Lines end with LF, CR or CRLF and with nothing else: U+2028, U+2029 and U+0085 are text. The raw bytes of all events,
//! one after the other, are the input. A blank line that follows a blank line is an event of its own, without data.
//!
//! A CR that ends an event may be half a CRLF. The event is given back at once all the same, since the LF may be long in
//! coming: when it has arrived with the CR it belongs to the same event, otherwise it is an event of its own, without
//! data. So where the input was split decides where that one LF is counted, and nothing else: payloads are the same.

use std::borrow::Cow;

use memchr::memchr2;

/// The most bytes that one event may have, its last line end not counted.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// UTF-8 for U+FEFF, which may stand at the very beginning of a stream and is ignored there.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Cuts a stream of bytes into events.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    /// Bytes of the unfinished event that need not be looked at again.
    looked: usize,
    /// Where the line starts that `looked` is in.
    line: usize,
    /// Where the first line ends, its line end not counted, once that is known.
    first_end: Option<usize>,
    /// Where the event starts: behind the byte order mark, if there was one.
    start: usize,
    /// Whether the stream has got past the place for a byte order mark.
    begun: bool,
}

/// One event: the bytes up to and with a blank line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Everything the event consists of, line ends and comments too.
    pub raw: &'a [u8],
    start: usize,
    first_end: usize,
}

/// An event has more than [`EVENT_BYTES_MAX`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Cutter {
    /// Returns the next whole event in `pending`, or `None` until more bytes arrive.
    ///
    /// The caller drops `event.raw.len()` bytes from the front before calling again.
    ///
    /// # Errors
    ///
    /// [`TooLong`] once an event is longer than [`EVENT_BYTES_MAX`]; there is no way on from there.
    pub fn cut<'a>(&mut self, pending: &'a [u8]) -> Result<Option<Event<'a>>, TooLong> {
        if !self.begun && !self.begin(pending) {
            return Ok(None);
        }
        while let Some(found) = memchr2(b'\n', b'\r', &pending[self.looked..]) {
            let end = self.looked + found;
            let is_blank = end == self.line;
            let next = match pending.get(end + 1) {
                Some(b'\n') if pending[end] == b'\r' => end + 2,
                None if pending[end] == b'\r' && !is_blank => {
                    self.looked = end; // the other half of a CRLF may follow: look at it again
                    return unfinished(pending);
                }
                _ => end + 1,
            };
            if is_blank {
                return self.whole(pending, end, next);
            }
            self.first_end.get_or_insert(end);
            self.looked = next;
            self.line = next;
        }
        self.looked = pending.len();
        unfinished(pending)
    }

    /// Whether the last call of [`Cutter::cut`] left no part of an event behind.
    #[must_use]
    pub fn at_event_start(&self) -> bool {
        self.looked == 0
    }

    /// Steps over a byte order mark; false while it cannot be told whether there is one.
    fn begin(&mut self, pending: &[u8]) -> bool {
        let same = BOM.iter().zip(pending).take_while(|(a, b)| a == b).count();
        if same == pending.len() && same < BOM.len() {
            self.looked = same;
            return false;
        }
        self.start = if same == BOM.len() { same } else { 0 };
        self.looked = self.start;
        self.line = self.start;
        self.begun = true;
        true
    }

    /// The event whose blank line has its first end byte at `end`; the next event begins at `next`.
    fn whole<'a>(
        &mut self,
        pending: &'a [u8],
        end: usize,
        next: usize,
    ) -> Result<Option<Event<'a>>, TooLong> {
        if end >= EVENT_BYTES_MAX {
            return Err(TooLong);
        }
        let first_end = self.first_end.unwrap_or(end);
        let event = Event { raw: &pending[..next], start: self.start, first_end };
        *self = Self { begun: true, ..Self::default() };
        Ok(Some(event))
    }
}

fn unfinished<'a>(pending: &[u8]) -> Result<Option<Event<'a>>, TooLong> {
    if pending.len() > EVENT_BYTES_MAX { Err(TooLong) } else { Ok(None) }
}

impl<'a> Event<'a> {
    /// The payload of the first `data` line, without one leading space. `None` for comments and other events without
    /// data.
    #[must_use]
    pub fn data(&self) -> Option<&'a [u8]> {
        if let Some(data) = value(&self.raw[self.start..self.first_end], b"data") {
            return Some(data);
        }
        self.values(b"data").next()
    }

    /// The payloads of all `data` lines with an LF between any two, as a client reads them. Copies only when there are
    /// several.
    #[must_use]
    pub fn data_joined(&self) -> Option<Cow<'a, [u8]>> {
        let mut values = self.values(b"data");
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = first.to_vec();
        for data in std::iter::once(second).chain(values) {
            joined.push(b'\n');
            joined.extend_from_slice(data);
        }
        Some(Cow::Owned(joined))
    }

    /// What the event is called: the last `event` line counts.
    #[must_use]
    pub fn event(&self) -> Option<&'a [u8]> {
        self.values(b"event").last()
    }

    fn values(&self, field: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let rest = &self.raw[self.start..];
        rest.split(|&b| b == b'\n' || b == b'\r').filter_map(move |line| value(line, field))
    }
}

/// What `line` says about `field`.
fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(field)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "event longer than {EVENT_BYTES_MAX} bytes")
    }
}

impl std::error::Error for TooLong {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::sse::{does_not_depend_on_pieces, in_pieces};

    /// The payloads of `wire`, however it is cut.
    fn check(wire: &str, expected: &[&str]) {
        let wire = wire.as_bytes();
        let (events, _) = in_pieces(wire, std::iter::once(wire.len()));
        let data: Vec<_> = events
            .into_iter()
            .filter_map(|(data, _)| data)
            .map(|data| String::from_utf8(data).unwrap())
            .collect();
        assert_eq!(data, expected, "{}", wire.escape_ascii());
        for size in 1..=u8::try_from(wire.len().clamp(1, 64)).unwrap() {
            does_not_depend_on_pieces(wire, &[size; 70]);
        }
        for first in 1..=u8::try_from(wire.len().min(200)).unwrap() {
            does_not_depend_on_pieces(wire, &[first, 255, 255]);
        }
    }

    fn only(wire: &[u8]) -> Event<'_> {
        let event = Cutter::default().cut(wire).unwrap().unwrap();
        assert_eq!(event.raw.len(), wire.len());
        event
    }

    #[test]
    fn events_do_not_depend_on_where_the_network_cut_them() {
        check("data: one\n\ndata: two\nid: 7\n\n\n\ndata: three\n\n", &["one", "two", "three"]);
        check(
            "data: one\r\n\r\ndata: two\r\nid: 7\r\n\r\n\r\n\r\ndata: three\r\n\r\n",
            &["one", "two", "three"],
        );
        check("data: one\r\rdata: two\rid: 7\r\r\r\rdata: three\r\r", &["one", "two", "three"]);
        check(
            "data: one\n\r\ndata: two\r\n\ndata: three\r\n\rdata: four\n\r",
            &["one", "two", "three", "four"],
        );
        check("data: one\r\r\ndata: two\r\n\r\n", &["one", "two"]);
        check("data: unfinished\n", &[]);
        check("", &[]);
    }

    #[test]
    fn lines_end_with_lf_cr_or_crlf_and_nothing_else() {
        let text = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\0g";
        check(&format!("data: {text}\n\n"), &[text]);
        check("data: a\u{2028}\u{2028}data: b\n\n", &["a\u{2028}\u{2028}data: b"]);
    }

    #[test]
    fn fields_are_read_as_the_format_says() {
        for (wire, data) in [
            ("data: x\n\n", Some("x")),
            ("data:x\n\n", Some("x")),
            ("data:  x \n\n", Some(" x ")),
            ("data:\n\n", Some("")),
            ("data\n\n", Some("")),
            ("data: \n\n", Some("")),
            ("data : x\n\n", None),
            (" data: x\n\n", None),
            ("dataset: x\n\n", None),
            ("Data: x\n\n", None),
            (": OPENROUTER PROCESSING\n\n", None),
            (":\n\n", None),
            ("event: ping\n\n", None),
            ("\n", None),
            (": c\nevent: message\ndata: x\nid: 1\n\n", Some("x")),
            ("data: a\ndata:\ndata: b\n\n", Some("a\n\nb")),
            ("data: a\r\ndata: b\r\n\r\n", Some("a\nb")),
        ] {
            let event = only(wire.as_bytes());
            let joined =
                event.data_joined().map(|data| String::from_utf8(data.into_owned()).unwrap());
            assert_eq!(joined.as_deref(), data, "{wire:?}");
        }
        assert_eq!(only(b"data: x\n\n").event(), None);
        assert_eq!(only(b"event: a\ndata: x\nevent: b\n\n").event(), Some(&b"b"[..]));
        assert!(matches!(only(b"data: x\n\n").data_joined(), Some(Cow::Borrowed(b"x"))));
    }

    #[test]
    fn a_byte_order_mark_counts_only_at_the_very_beginning() {
        check("\u{feff}data: x\n\n", &["x"]);
        check("\u{feff}\u{feff}data: x\n\n", &[]);
        check("\u{feff}\n\u{feff}data: x\n\ndata: y\n\n", &["y"]);
        check("\u{feff}", &[]);
    }

    #[test]
    fn an_event_that_ends_with_cr_does_not_wait_for_its_lf() {
        let mut cutter = Cutter::default();
        let event = cutter.cut(b"data: x\r\n\r").unwrap().unwrap();
        assert_eq!((event.raw, event.data()), (&b"data: x\r\n\r"[..], Some(&b"x"[..])));
        assert!(cutter.at_event_start());
        let event = cutter.cut(b"\ndata: y\r\n\r\n").unwrap().unwrap();
        assert_eq!((event.raw, event.data()), (&b"\n"[..], None));
    }

    #[test]
    fn an_event_has_a_limit() {
        let longest = |line_end: &str| {
            let fill = EVENT_BYTES_MAX - "data: ".len() - line_end.len() - 1;
            format!("data: {}{line_end}{line_end}", "x".repeat(fill)).into_bytes()
        };
        for line_end in ["\n", "\r"] {
            let mut wire = longest(line_end);
            assert!(Cutter::default().cut(&wire).unwrap().is_some());
            wire.insert(6, b'x');
            assert_eq!(Cutter::default().cut(&wire), Err(TooLong));
            does_not_depend_on_pieces(&wire, &[255; 5000]);
            wire.pop();
            assert_eq!(Cutter::default().cut(&wire), Ok(None));
            wire.push(b'x');
            assert_eq!(Cutter::default().cut(&wire), Err(TooLong));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_alike_in_any_pieces(
            wire in "(\u{feff})?([a\r\n: ]|data|data: x|event: |\u{2028}|\r\n){0,24}",
            sizes in prop::collection::vec(1..9_u8, 0..30),
        ) {
            does_not_depend_on_pieces(wire.as_bytes(), &sizes);
        }
    }
}
