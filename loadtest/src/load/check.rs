//! Whether an answer is what it should be.
//!
//! In: the bytes of an answer as they arrive. Out: marks of time as events complete, and at the end a
//! verdict. Remembered: the unfinished head, chunk and event.
//! Only what costs little is checked: framing, form, and the number of chunks.

use memchr::memmem;

use super::plan::{Expected, ExpectedStream};
use crate::clock::Nanos;
use crate::http::{AnswerHead, BadAnswer, Chunks, Ends};

/// Bytes of one unfinished event.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A reader of one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    head: Vec<u8>,
    stage: Stage,
    keep_alive: bool,
    stream: Option<StreamCheck>,
    /// Body bytes received.
    pub(crate) body_bytes: u64,
    last_byte: u8,
}

#[derive(Debug)]
enum Stage {
    Head,
    Length(u64),
    Chunked(Chunks),
    Close,
}

/// What an answer did wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No connection.
    Connect,
    /// The connection was reset.
    Reset,
    /// The connection ended in the middle.
    Cut,
    /// No answer in time.
    Timeout,
    /// Another status than the right one.
    Status(u16),
    /// A head or framing that cannot be relied on.
    Malformed(&'static str),
    /// A body that is not what was asked for.
    Content(&'static str),
}

impl Fault {
    /// What reports call it.
    pub fn name(&self) -> String {
        match self {
            Fault::Connect => "connect".into(),
            Fault::Reset => "reset".into(),
            Fault::Cut => "cut".into(),
            Fault::Timeout => "timeout".into(),
            Fault::Status(status) => format!("status {status}"),
            Fault::Malformed(what) => format!("malformed: {what}"),
            Fault::Content(what) => format!("content: {what}"),
        }
    }
}

/// What the bytes just read have brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The answer goes on.
    More,
    /// It is whole; whether the connection may be used again.
    Whole { keep_alive: bool },
}

/// Told of each event that carries a piece of text.
pub(crate) trait Marks {
    /// An event came; `sent` is when the provider says it sent it.
    fn event(&mut self, sent: Option<Nanos>);
}

impl Reader {
    /// A reader of the answer to one request.
    pub(crate) fn new(expected: &Expected) -> Reader {
        Reader {
            head: Vec::new(),
            stage: Stage::Head,
            keep_alive: false,
            stream: expected.stream.as_ref().map(|_| StreamCheck::default()),
            body_bytes: 0,
            last_byte: 0,
        }
    }

    /// Whether nothing of the answer has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.head.is_empty() && matches!(self.stage, Stage::Head)
    }

    /// Reads on.
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        expected: &Expected,
        marks: &mut impl Marks,
    ) -> Result<Progress, Fault> {
        if !matches!(self.stage, Stage::Head) {
            return self.body(input, expected, marks);
        }
        if self.head.is_empty() {
            // The whole head in one piece is the rule: no copy.
            if let Some(len) = self.take_head(input, expected)? {
                return self.body(&input[len..], expected, marks);
            }
        }
        let before = self.head.len();
        self.head.extend_from_slice(input);
        let head = std::mem::take(&mut self.head);
        match self.take_head(&head, expected)? {
            Some(len) => self.body(&input[len - before..], expected, marks),
            None => {
                self.head = head;
                Ok(Progress::More)
            }
        }
    }

    /// The connection ended: is that the end of the answer?
    pub(crate) fn ended(&mut self, expected: &Expected) -> Result<Progress, Fault> {
        match self.stage {
            Stage::Close => self.verdict(expected),
            _ => Err(Fault::Cut),
        }
    }

    fn take_head(&mut self, bytes: &[u8], expected: &Expected) -> Result<Option<usize>, Fault> {
        let head = AnswerHead::read(bytes).map_err(|BadAnswer(what)| Fault::Malformed(what))?;
        let Some(head) = head else { return Ok(None) };
        if head.status < 200 {
            return Err(Fault::Malformed("interim answer"));
        }
        if head.status != expected.status {
            return Err(Fault::Status(head.status));
        }
        if expected.stream.is_some() != head.is_event_stream {
            return Err(Fault::Content("kind of body"));
        }
        self.keep_alive = head.keep_alive;
        self.stage = match head.ends {
            Ends::Length(length) => Stage::Length(length),
            Ends::Chunked => Stage::Chunked(Chunks::default()),
            Ends::Close => Stage::Close,
        };
        Ok(Some(head.len))
    }

    fn body(
        &mut self,
        input: &[u8],
        expected: &Expected,
        marks: &mut impl Marks,
    ) -> Result<Progress, Fault> {
        let mut run = Run {
            stream: self.stream.as_mut(),
            bytes: &mut self.body_bytes,
            last_byte: &mut self.last_byte,
            marks,
            outcome: Ok(()),
        };
        let ended = match &mut self.stage {
            Stage::Head => return Err(Fault::Malformed("body before its head")),
            Stage::Close => {
                run.take(input);
                false
            }
            Stage::Length(left) => {
                let extra = (input.len() as u64).saturating_sub(*left);
                if extra > 0 {
                    return Err(Fault::Malformed("bytes behind the answer"));
                }
                *left -= input.len() as u64;
                run.take(input);
                *left == 0
            }
            Stage::Chunked(chunks) => {
                let read = chunks.read(input, |part| run.take(part));
                let read = read.map_err(|error| Fault::Malformed(error.0))?;
                if read < input.len() {
                    return Err(Fault::Malformed("bytes behind the answer"));
                }
                chunks.is_ended()
            }
        };
        run.outcome?;
        if ended { self.verdict(expected) } else { Ok(Progress::More) }
    }

    fn verdict(&self, expected: &Expected) -> Result<Progress, Fault> {
        match (&self.stream, &expected.stream) {
            (Some(seen), Some(expected)) => seen.verdict(expected)?,
            _ if self.last_byte == b'}' => {}
            _ => return Err(Fault::Content("not an object")),
        }
        Ok(Progress::Whole { keep_alive: self.keep_alive })
    }
}

/// One run of body bytes on its way to the checks.
struct Run<'a, M> {
    stream: Option<&'a mut StreamCheck>,
    bytes: &'a mut u64,
    last_byte: &'a mut u8,
    marks: &'a mut M,
    outcome: Result<(), Fault>,
}

impl<M: Marks> Run<'_, M> {
    fn take(&mut self, part: &[u8]) {
        *self.bytes += part.len() as u64;
        if let Some(last) = part.last() {
            *self.last_byte = *last;
        }
        if let (Some(stream), Ok(())) = (self.stream.as_deref_mut(), &self.outcome) {
            self.outcome = stream.take(part, self.marks);
        }
    }
}

/// The events of a stream.
#[derive(Debug, Default)]
struct StreamCheck {
    partial: Vec<u8>,
    chunks: u64,
    finishes: u64,
    usages: u64,
    done: bool,
}

impl StreamCheck {
    fn take(&mut self, part: &[u8], marks: &mut impl Marks) -> Result<(), Fault> {
        if self.partial.is_empty() {
            let used = self.events(part, marks)?;
            self.partial.extend_from_slice(&part[used..]);
            return Ok(());
        }
        self.partial.extend_from_slice(part);
        let partial = std::mem::take(&mut self.partial);
        let used = self.events(&partial, marks)?;
        self.partial = partial;
        self.partial.drain(..used);
        if self.partial.len() > EVENT_BYTES_MAX {
            return Err(Fault::Content("event without end"));
        }
        Ok(())
    }

    /// Reads the whole events at the front of `bytes`, returns their length.
    fn events(&mut self, bytes: &[u8], marks: &mut impl Marks) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(len) = memmem::find(&bytes[at..], b"\n\n") {
            self.event(&bytes[at..at + len], marks)?;
            at += len + 2;
        }
        Ok(at)
    }

    fn event(&mut self, event: &[u8], marks: &mut impl Marks) -> Result<(), Fault> {
        if event.starts_with(b":") {
            return Ok(());
        }
        if self.done {
            return Err(Fault::Content("event behind [DONE]"));
        }
        let data = event.strip_prefix(b"data: ").ok_or(Fault::Content("event without data"))?;
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if !(data.starts_with(b"{\"id\"") && data.ends_with(b"}")) {
            return Err(Fault::Content("event is not a chunk"));
        }
        if memmem::find(data, b"\"finish_reason\":null").is_some() {
            self.chunks += 1;
            marks.event(sent(data));
        } else if memmem::find(data, b"\"choices\":[]").is_some() {
            self.usages += 1;
        } else {
            self.finishes += 1;
        }
        Ok(())
    }

    fn verdict(&self, expected: &ExpectedStream) -> Result<(), Fault> {
        if !self.done || !self.partial.is_empty() {
            return Err(Fault::Content("stream without [DONE]"));
        }
        if self.chunks != expected.chunks || self.finishes != 1 {
            return Err(Fault::Content("number of chunks"));
        }
        if self.usages != u64::from(expected.usage) {
            return Err(Fault::Content("usage chunk"));
        }
        Ok(())
    }
}

/// When the provider sent this chunk, if it says so.
fn sent(data: &[u8]) -> Option<Nanos> {
    const NAME: &[u8] = b"\"sim_ns\":\"";
    let start = memmem::rfind(data, NAME)? + NAME.len();
    let digits = std::str::from_utf8(data.get(start..start + 20)?).ok()?;
    digits.parse().ok().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(Vec<Option<Nanos>>);

    impl Marks for Count {
        fn event(&mut self, sent: Option<Nanos>) {
            self.0.push(sent);
        }
    }

    const PLAIN: Expected = Expected { status: 200, stream: None };

    fn stream(chunks: u64) -> Expected {
        Expected { status: 200, stream: Some(ExpectedStream { chunks, usage: false }) }
    }

    /// Reads `wire` in pieces of every size; the outcome must not depend on them.
    #[track_caller]
    fn check(
        wire: &str,
        expected: &Expected,
        outcome: Result<Progress, Fault>,
    ) -> Vec<Option<Nanos>> {
        let mut marks = Vec::new();
        for piece in 1..=wire.len() {
            let mut reader = Reader::new(expected);
            let mut count = Count::default();
            let seen = wire.as_bytes().chunks(piece).try_fold(Progress::More, |before, part| {
                assert_eq!(before, Progress::More);
                reader.read(part, expected, &mut count)
            });
            assert_eq!(seen, outcome, "pieces of {piece}");
            marks = count.0;
        }
        marks
    }

    fn events(data: &[&str]) -> String {
        let body: String = data.iter().map(|data| format!("data: {data}\n\n")).collect();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    }

    const TEXT: &str =
        r#"{"id":"x","choices":[{"finish_reason":null}],"sim_ns":"00000000000000000042"}"#;
    const FINISH: &str = r#"{"id":"x","choices":[{"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"{"id":"x","choices":[],"usage":{}}"#;

    #[test]
    fn a_whole_answer_is_whole_however_it_was_cut() {
        let whole = Ok(Progress::Whole { keep_alive: true });
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", &PLAIN, whole.clone());
        let marks = check(&events(&[TEXT, TEXT, FINISH, "[DONE]"]), &stream(2), whole);
        assert_eq!(marks, [Some(Nanos(42)), Some(Nanos(42))]);
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let status = "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}";
        check(status, &PLAIN, Err(Fault::Status(503)));
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
        check(text, &PLAIN, Err(Fault::Content("not an object")));
        let missing = events(&[TEXT, FINISH, "[DONE]"]);
        check(&missing, &stream(2), Err(Fault::Content("number of chunks")));
        let undone = events(&[TEXT, FINISH]);
        check(&undone, &stream(1), Err(Fault::Content("stream without [DONE]")));
        let usage = events(&[TEXT, FINISH, USAGE, "[DONE]"]);
        check(&usage, &stream(1), Err(Fault::Content("usage chunk")));
        let late = events(&[TEXT, FINISH, "[DONE]", TEXT]);
        check(&late, &stream(1), Err(Fault::Content("event behind [DONE]")));
    }
}
