//! The id of a response, found in an answer that passes.
//!
//! In: the bytes of a whole answer, split anywhere, or the data of one event. Out: the id, once. Remembered: how deep the
//! bytes are nested, and the string that is being read. Nothing is kept of what is not an id.
//! Format: <https://platform.openai.com/docs/api-reference/responses/object>

/// An id longer than this is none.
const ID_BYTES_MAX: usize = 256;

/// Looks for the member `id` of a response.
#[derive(Debug, Default)]
pub struct IdFinder {
    /// The response is the member `response` of what is read.
    is_event: bool,
    /// Objects and arrays that are open.
    depth: u32,
    /// Within the member `response` of an event.
    is_inside: bool,
    expects_key: bool,
    key: Key,
    string: Option<Text>,
    found: Option<Box<str>>,
    is_done: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    Id,
    Response,
}

/// A string whose end has not come.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    is_escaped: bool,
    /// It is no id and no name of one: too long, or with escapes.
    is_other: bool,
}

impl IdFinder {
    /// For a response by itself.
    #[must_use]
    pub fn of_answer() -> Self {
        Self::default()
    }

    /// For a response within an event.
    #[must_use]
    pub fn of_event() -> Self {
        Self { is_event: true, ..Self::default() }
    }

    /// The id in one event's data.
    #[must_use]
    pub fn in_event(data: &[u8]) -> Option<Box<str>> {
        let mut finder = Self::of_event();
        finder.feed(data);
        finder.take()
    }

    /// Reads on.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_done {
                return;
            }
            self.read(*byte);
        }
    }

    /// The id, once it has been read to its end.
    pub fn take(&mut self) -> Option<Box<str>> {
        self.found.take()
    }

    /// Whether there is nothing more to be found.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    fn read(&mut self, byte: u8) {
        if let Some(text) = &mut self.string {
            if text.is_at_end(byte) {
                let text = self.string.take().unwrap_or_default();
                self.close(text);
            }
            return;
        }
        match byte {
            b'"' => self.string = Some(Text::default()),
            b'{' | b'[' => self.open(byte == b'{'),
            b'}' | b']' => self.leave(),
            b',' => self.expects_key = self.is_member(),
            _ => {}
        }
    }

    /// Whether what is read is a member of the object that matters, or of the event around it.
    fn is_member(&self) -> bool {
        self.depth == 1 || self.depth == 2 && self.is_inside
    }

    /// Whether what is read is a member of the response.
    fn is_of_response(&self) -> bool {
        if self.is_event { self.depth == 2 && self.is_inside } else { self.depth == 1 }
    }

    fn open(&mut self, is_object: bool) {
        self.is_inside |= self.is_event && self.depth == 1 && self.key == Key::Response;
        self.depth += 1;
        self.expects_key = self.is_member();
        self.is_done |= self.expects_key && !is_object;
    }

    fn leave(&mut self) {
        self.is_done |= self.is_of_response() || self.depth <= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    fn close(&mut self, text: Text) {
        if !self.is_member() {
            return;
        }
        if std::mem::take(&mut self.expects_key) {
            self.key = match &*text.bytes {
                _ if text.is_other => Key::Other,
                b"id" => Key::Id,
                b"response" => Key::Response,
                _ => Key::Other,
            };
        } else if self.key == Key::Id && self.is_of_response() {
            self.is_done = true;
            self.found = text.id();
        }
    }
}

impl Text {
    /// Takes one byte in; true when it was the last quote.
    fn is_at_end(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.is_escaped) {
            return false;
        }
        match byte {
            b'"' => return true,
            b'\\' => (self.is_escaped, self.is_other) = (true, true),
            _ if self.bytes.len() == ID_BYTES_MAX => self.is_other = true,
            _ if !self.is_other => self.bytes.push(byte),
            _ => {}
        }
        false
    }

    fn id(self) -> Option<Box<str>> {
        let text = String::from_utf8(self.bytes).ok()?;
        (!self.is_other && !text.is_empty()).then(|| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id, and that it is the same wherever the network cut the bytes.
    fn check(is_event: bool, json: &str, expected: Option<&str>) {
        for piece in 1..=json.len() {
            let mut finder = IdFinder { is_event, ..IdFinder::default() };
            json.as_bytes().chunks(piece).for_each(|bytes| finder.feed(bytes));
            assert_eq!(finder.take().as_deref(), expected, "{json} in pieces of {piece}");
        }
    }

    #[test]
    fn the_id_of_a_response_is_found_wherever_it_is() {
        check(false, r#"{"id":"resp_1","object":"response"}"#, Some("resp_1"));
        check(
            false,
            r#" { "output" : [{"id":"msg_1","x":{"id":"a"}}], "id" : "resp_1" }"#,
            Some("resp_1"),
        );
        check(false, r#"{"metadata":{"id":"no"},"a":"id","b":"\"id\":","id":"y"}"#, Some("y"));
        check(
            true,
            r#"{"type":"response.created","response":{"tools":[{"id":"t"}],"id":"resp_1"}}"#,
            Some("resp_1"),
        );
        check(
            true,
            r#"{"id":"no","x":{"id":"no"},"response":{"a":["id","b"],"id":"r"}}"#,
            Some("r"),
        );
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        for json in [
            "",
            "[]",
            "{}",
            "nothing",
            r#"[{"id":"x"}]"#,
            r#"{"id":1,"x":"y"}"#,
            r#"{"id":""}"#,
            r#"{"id":"a\u0041"}"#,
            r#"{"error":{"id":"x"}}"#,
            r#"{"id":"resp_1"#,
            r#"{"x":1}{"id":"x"}"#,
        ] {
            check(false, json, None);
        }
        for json in [
            r#"{"id":"x"}"#,
            r#"{"response":["id","x"]}"#,
            r#"{"response":{"x":1},"id":"y"}"#,
            r#"{"item":{"response":{"id":"x"}}}"#,
            r#"{"response":"id","id":"x"}"#,
        ] {
            check(true, json, None);
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(ID_BYTES_MAX + 1));
        let mut finder = IdFinder::of_answer();
        finder.feed(long.as_bytes());
        assert!(finder.is_done() && finder.take().is_none());
    }
}
