//! A streamed answer whose events are known before the first is sent.
//!
//! In: events, the script, the time. Out: their bytes in the framing of their format, one HTTP chunk
//! each, at the time each is due. Remembered: which comes next.

use std::io::Write as _;

use super::dialect::frame;
use super::script::{Bad, Form, Script};
use super::stream::{self, Rest};
use crate::clock::Nanos;

/// How events become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `data: …`, with `event: …` where an event has a name.
    Sse,
    /// The same with the line ends that Google uses.
    SseCrLf,
    /// The elements of one JSON array.
    Array,
    /// Frames of an AWS event stream.
    Frames,
    /// A line of JSON each.
    Lines,
}

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Its name, in formats that have names.
    pub(crate) name: Option<&'static str>,
    /// Its payload.
    pub(crate) data: String,
    /// It reports a failure.
    pub(crate) is_error: bool,
}

impl Event {
    /// An event without a name.
    pub(crate) fn new(data: impl ToString) -> Event {
        Event { name: None, data: data.to_string(), is_error: false }
    }

    /// An event with one.
    pub(crate) fn named(name: &'static str, data: impl ToString) -> Event {
        Event { name: Some(name), ..Event::new(data) }
    }

    /// The same as a report of a failure.
    pub(crate) fn error(self) -> Event {
        Event { is_error: true, ..self }
    }
}

/// The state of one stream.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(crate) content_type: &'static str,
    pieces: Vec<Vec<u8>>,
    next: usize,
    first_at: Nanos,
}

impl Pieces {
    /// The stream of `events`. Where the script wants one, `failure` comes instead of the rest.
    pub(crate) fn new(
        format: Format,
        mut events: Vec<Event>,
        failure: Event,
        script: &Script,
        first_at: Nanos,
    ) -> Pieces {
        if let Some(at) = script.error_at {
            events.truncate(usize::try_from(at).unwrap_or(usize::MAX));
            events.push(failure.error());
        }
        let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(events.len() + 1);
        for (index, event) in events.iter_mut().enumerate() {
            if script.bad == Some(Bad::Json) {
                event.data = "{\"id\":<html>".to_owned();
            }
            pieces.push(encode(format, event, index, script));
        }
        if format == Format::Array {
            pieces.push(if events.is_empty() { b"[]".to_vec() } else { b"\n]\n".to_vec() });
        }
        let content_type = match format {
            Format::Sse => "text/event-stream; charset=utf-8",
            Format::SseCrLf => "text/event-stream",
            Format::Array => "application/json; charset=UTF-8",
            Format::Frames => "application/vnd.amazon.eventstream",
            Format::Lines => "application/x-ndjson",
        };
        Pieces { content_type, pieces, next: 0, first_at }
    }

    /// A stream that was recorded, in pieces of at most `most` bytes.
    pub(crate) fn recorded(
        bytes: &[u8],
        content_type: &'static str,
        most: usize,
        at: Nanos,
    ) -> Pieces {
        let pieces = bytes.chunks(most).map(<[u8]>::to_vec).collect();
        Pieces { content_type, pieces, next: 0, first_at: at }
    }

    /// Pieces written so far.
    pub(crate) fn count(&self) -> u64 {
        self.next as u64
    }

    /// Writes the next piece, and the end behind the last.
    pub(crate) fn advance(&mut self, script: &Script, out: &mut Vec<u8>) -> Rest {
        if let Some(piece) = self.pieces.get(self.next) {
            let broken = script.bad == Some(Bad::Chunk) && self.next == 1;
            self.next += 1;
            if script.framing == Some(Form::Close) {
                out.extend_from_slice(piece);
            } else {
                let parts = piece.chunks(script.chunk_bytes);
                parts.for_each(|part| stream::frame(out, part, broken));
            }
        }
        if self.next < self.pieces.len() {
            let place = u32::try_from(self.next).unwrap_or(u32::MAX);
            return Rest::At(self.first_at.after(script.chunk.saturating_mul(place)));
        }
        stream::finish_framing(script, out);
        Rest::Ended
    }
}

fn encode(format: Format, event: &Event, index: usize, script: &Script) -> Vec<u8> {
    let mut out = Vec::with_capacity(event.data.len() + 64);
    let line_end = match format {
        Format::SseCrLf if script.line_end == "\n" => "\r\n",
        _ => script.line_end,
    };
    match format {
        Format::Array => {
            out.extend_from_slice(if index == 0 { b"[" } else { b",\r\n" });
            out.extend_from_slice(event.data.as_bytes());
        }
        Format::Lines => {
            out.extend_from_slice(event.data.as_bytes());
            out.push(b'\n');
        }
        Format::Frames => {
            let name = event.name.unwrap_or("chunk");
            let write = if event.is_error { frame::exception } else { frame::event };
            out = write(name, event.data.as_bytes());
            if script.bad == Some(Bad::Frame) && index == 1 {
                let last = out.len() - 1;
                out[last] ^= 1;
            }
        }
        Format::Sse | Format::SseCrLf => {
            let mut line = |text: &str| {
                write!(out, "{text}{line_end}").expect("a vector takes every write");
            };
            if script.comments {
                line(": waiting");
                line("");
            }
            if let Some(name) = event.name {
                line(&format!("event: {name}"));
            }
            line(&format!("data: {}", event.data));
            line("");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(format: Format, script: &str) -> String {
        let script = Script::parse(&format!("framing=close; {script}")).unwrap();
        let events = vec![Event::named("a", "1"), Event::new("2")];
        let failure = Event::named("error", "3");
        let mut pieces = Pieces::new(format, events, failure, &script, Nanos(0));
        let mut out = Vec::new();
        while pieces.advance(&script, &mut out) != Rest::Ended {}
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn events_are_written_in_every_format() {
        assert_eq!(wire(Format::Sse, ""), "event: a\ndata: 1\n\ndata: 2\n\n");
        assert_eq!(
            wire(Format::SseCrLf, "comments=1"),
            ": waiting\r\n\r\nevent: a\r\ndata: 1\r\n\r\n: waiting\r\n\r\ndata: 2\r\n\r\n"
        );
        assert_eq!(wire(Format::Array, ""), "[1,\r\n2\n]\n");
        assert!(wire(Format::Frames, "").contains(":event-type\u{7}\0\u{1}a"));
        assert_eq!(wire(Format::Lines, ""), "1\n2\n");
    }

    #[test]
    fn a_failure_takes_the_place_of_the_rest() {
        assert_eq!(
            wire(Format::Sse, "error_at=1"),
            "event: a\ndata: 1\n\nevent: error\ndata: 3\n\n"
        );
        assert!(wire(Format::Frames, "error_at=0").contains(":exception-type"));
    }

    #[test]
    fn each_piece_has_its_time() {
        let script = Script::parse("chunk=2ms").unwrap();
        let events = vec![Event::new("1"), Event::new("2"), Event::new("3")];
        let mut pieces = Pieces::new(Format::Sse, events, Event::new(""), &script, Nanos(5));
        let mut out = Vec::new();
        assert_eq!(pieces.advance(&script, &mut out), Rest::At(Nanos(2_000_005)));
        assert_eq!(pieces.advance(&script, &mut out), Rest::At(Nanos(4_000_005)));
        assert_eq!(pieces.advance(&script, &mut out), Rest::Ended);
        assert!(out.ends_with(b"0\r\n\r\n"));
    }
}
