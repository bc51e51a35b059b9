//! The usage of an answer that is not a stream, found as the answer passes.
//!
//! In: the bytes of the body, split anywhere. Out: the usage object of the outermost object, read.
//! State between calls: how many braces are open, whether a string is, and the usage object as far as it has come
//! ([`CAPTURE_BYTES_MAX`] at most). Nothing else is kept, however large the answer.
//!
//! What a model writes cannot pass for usage: in a string its quotes are escaped, and in an object of its own (some
//! servers give tool arguments as objects) it is not a member of the outermost object.

use std::sync::LazyLock;

use memchr::{memchr, memchr2, memchr3, memmem::Finder};

use super::usage::{ends_here, read, usage};
use crate::chat::Usage;

/// The most bytes of a usage object that are kept; a longer one is not read.
const CAPTURE_BYTES_MAX: usize = 2 * 1024;

/// The member that holds usage, and how it is read.
pub type UsageMember = (&'static str, fn(&[u8]) -> Option<Usage>);

/// OpenAI's.
const OPENAI: UsageMember = ("usage", usage);

/// What most usage objects, and what follows them, are shorter than.
const USUAL_BYTES: usize = 512;

/// Finds the usage in an answer that is not a stream.
#[derive(Clone, Debug)]
pub struct UsageMeter {
    /// What is looked for.
    member: UsageMember,
    place: Place,
    /// Braces that are open. Brackets do not matter: what is in them at depth 1 has no name.
    depth: u64,
    /// The string that is being read, as far as it could be the member's name.
    name: Name,
    /// The usage object, from its brace on.
    captured: Option<Vec<u8>>,
    found: Option<Usage>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Not in a string.
    #[default]
    Between,
    /// In a string.
    Text,
    /// Behind a backslash that the last piece ended with.
    Escape,
    /// Behind a string that could be the name: a colon makes it one.
    Colon,
    /// Behind the name: a brace begins the usage object.
    Brace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// The first bytes of the string are the first bytes of the member's name.
    Matches(usize),
    /// It is another string.
    Other,
}

impl Default for Name {
    fn default() -> Self {
        Self::Matches(0)
    }
}

impl Default for UsageMeter {
    fn default() -> Self {
        Self::of(OPENAI)
    }
}

impl UsageMeter {
    /// Looks for this member.
    #[must_use]
    pub fn of(member: UsageMember) -> Self {
        Self {
            member,
            place: Place::default(),
            depth: 0,
            name: Name::default(),
            captured: None,
            found: None,
        }
    }

    /// Takes in the next bytes of the body, split anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = match self.place {
                Place::Between if self.depth == 0 => self.outside(rest),
                Place::Between => self.between(rest),
                Place::Text => self.text(rest),
                Place::Escape => {
                    self.place = Place::Text;
                    1
                }
                Place::Colon => self.expect(rest, b':', Place::Brace),
                Place::Brace => self.expect(rest, b'{', Place::Between),
            };
            self.keep(&rest[..used]);
            rest = &rest[used..];
        }
    }

    /// The usage of a body that is here as a whole.
    ///
    /// Usage stands at the end of most answers. There it is found from behind, without reading the rest: quotes within
    /// strings are escaped, so an unescaped `"usage":` is a member's name; and if what follows its object is the end of
    /// one object and of the body, that one is the outermost. Otherwise the body is read from its start.
    #[must_use]
    pub fn whole(body: &[u8]) -> Option<Usage> {
        Self::whole_of(OPENAI, body)
    }

    /// The same for another member.
    #[must_use]
    pub fn whole_of(member: UsageMember, body: &[u8]) -> Option<Usage> {
        if member.0 == OPENAI.0
            && std::ptr::fn_addr_eq(member.1, OPENAI.1)
            && let Some(usage) = at_the_end(body)
        {
            return Some(usage);
        }
        let mut meter = Self::of(member);
        meter.feed(body);
        meter.finish()
    }

    /// The usage, once the body is complete. The last one counts.
    pub fn finish(&mut self) -> Option<Usage> {
        self.found.take()
    }

    fn outside(&mut self, rest: &[u8]) -> usize {
        let Some(at) = memchr(b'{', rest) else { return rest.len() };
        self.depth = 1;
        at + 1
    }

    fn between(&mut self, rest: &[u8]) -> usize {
        let Some(at) = memchr3(b'"', b'{', b'}', rest) else { return rest.len() };
        match rest[at] {
            b'{' => self.depth += 1,
            b'}' => {
                self.depth -= 1;
                if self.depth == 1 {
                    self.close_capture(&rest[..=at]);
                }
            }
            _ => {
                self.place = Place::Text;
                self.name = if self.depth == 1 { Name::Matches(0) } else { Name::Other };
            }
        }
        at + 1
    }

    fn text(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = memchr2(b'"', b'\\', &rest[at..]) {
            self.note_name(&rest[at..at + found]);
            at += found + 1;
            if rest[at - 1] == b'"' {
                let is_name = self.name == Name::Matches(self.member.0.len());
                self.place = if is_name { Place::Colon } else { Place::Between };
                return at;
            }
            self.name = Name::Other;
            if at == rest.len() {
                self.place = Place::Escape;
                return at;
            }
            at += 1;
        }
        self.note_name(&rest[at..]);
        rest.len()
    }

    #[inline]
    fn note_name(&mut self, text: &[u8]) {
        if let Name::Matches(len) = self.name {
            let matches = self.member.0.as_bytes()[len..].starts_with(text);
            self.name = if matches { Name::Matches(len + text.len()) } else { Name::Other };
        }
    }

    fn expect(&mut self, rest: &[u8], wanted: u8, next: Place) -> usize {
        match rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
            None => rest.len(),
            Some(at) if rest[at] == wanted => {
                self.place = next;
                if next == Place::Between {
                    self.captured = Some(Vec::new());
                    return at; // the brace is the first byte that is kept
                }
                at + 1
            }
            Some(at) => {
                self.place = Place::Between;
                at
            }
        }
    }

    /// Adds to the object that is captured, if any.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(captured) = &mut self.captured else { return };
        if captured.len() + bytes.len() > CAPTURE_BYTES_MAX {
            self.captured = None;
        } else {
            captured.extend_from_slice(bytes);
        }
    }

    /// The object that is captured, if any, ends with these bytes.
    fn close_capture(&mut self, last: &[u8]) {
        self.keep(last);
        if let Some(object) = self.captured.take() {
            self.found = (self.member.1)(&object).or(self.found);
        }
    }
}

fn at_the_end(body: &[u8]) -> Option<Usage> {
    static QUOTED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
    let last_in = |bytes: usize| {
        let window = body.len().saturating_sub(bytes);
        QUOTED.find_iter(&body[window..]).last().map(|at| window + at)
    };
    let from = last_in(USUAL_BYTES).or_else(|| last_in(CAPTURE_BYTES_MAX))?;
    if !matches!(body[..from].trim_ascii_end().last(), Some(b',' | b'{')) {
        return None;
    }
    let behind = body[from + OPENAI.0.len() + 2..].trim_ascii_start().strip_prefix(b":")?;
    let behind = behind.trim_ascii_start();
    let (usage, len) = read(behind)?;
    if ends_here(&behind[len..]) { usage } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metered(body: &str, size: usize) -> Option<Usage> {
        let mut meter = UsageMeter::default();
        for piece in body.as_bytes().chunks(size) {
            meter.feed(piece);
            assert!(
                meter.captured.as_ref().is_none_or(|c| c.capacity() <= 4096),
                "state is bounded"
            );
        }
        meter.finish()
    }

    /// Input and output.
    fn check(body: &str, expected: Option<(u64, u64)>) {
        for size in (1..40).chain([body.len().max(1)]) {
            let found =
                metered(body, size).map(|usage| (usage.total_input(), usage.total_output()));
            assert_eq!(found, expected, "pieces of {size}: {body}");
        }
        let whole = UsageMeter::whole(body.as_bytes());
        let whole = whole.map(|usage| (usage.total_input(), usage.total_output()));
        assert_eq!(whole, expected, "whole: {body}");
    }

    const USAGE: &str = r#""usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3}}"#;

    #[test]
    fn usage_is_found_wherever_it_is_in_the_outermost_object() {
        let choices = r#""choices":[{"message":{"content":"a } \" \\","tool_calls":[{}]}}]"#;
        check(&format!("{{{choices},{USAGE}}}"), Some((9, 2)));
        check(&format!("{{{USAGE},{choices}}}"), Some((9, 2)));
        check(&format!("{{\n {choices},\n  \"usage\" : \n{}\n}}", &USAGE[8..]), Some((9, 2)));
        check(&format!("{{\"data\":[{{\"embedding\":[-0.1,2e-5]}}],{USAGE}}}"), Some((9, 2)));
    }

    #[test]
    fn nothing_else_passes_for_usage() {
        for body in [
            String::new(),
            "[1]".into(),
            "{\"usage\":null}".into(),
            "{\"usage\":5,\"x\":{\"prompt_tokens\":1}}".into(),
            "{\"x\":\"usage\",\"y\":{\"prompt_tokens\":1}}".into(),
            "{\"x\":[\"usage\",{\"prompt_tokens\":1}]}".into(),
            format!("{{\"choices\":[{{\"arguments\":{{{USAGE}}}}}]}}"),
            format!("{{\"content\":{}}}", serde_json::Value::from(format!("{{{USAGE}}}"))),
            format!("{{\"content\":{}}}", serde_json::Value::from(format!("\",{USAGE}"))),
            format!("{{\"\\\"usage\":{}}}", &USAGE[8..]),
            format!("{{\"xusage\":{}}}", &USAGE[8..]),
            format!("{{\"usages\":{}}}", &USAGE[8..]),
            format!("{{\"content\":\"cut off {USAGE}"),
        ] {
            check(&body, None);
        }
        check(
            &format!(
                "{{{USAGE},\"choices\":[{{\"arguments\":{{\"usage\":{{\"prompt_tokens\":99}}}}}}]}}"
            ),
            Some((9, 2)),
        );
    }

    #[test]
    fn a_stream_that_passes_as_bytes_is_metered_too() {
        let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n";
        check(
            &format!(
                ": it's a \" comment\n\n{chunk}{chunk}data: {{\"choices\":[],{USAGE}}}\n\ndata: [DONE]\n\n"
            ),
            Some((9, 2)),
        );
    }

    #[test]
    fn a_usage_object_that_is_too_long_is_left_alone() {
        let padding = "x".repeat(CAPTURE_BYTES_MAX);
        check(&format!("{{\"usage\":{{\"prompt_tokens\":1,\"x\":\"{padding}\"}}}}"), None);
        check(
            &format!("{{\"usage\":{{\"prompt_tokens\":1,\"x\":\"{padding}\"}},{USAGE}}}"),
            Some((9, 2)),
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_metered_alike_in_any_pieces(body in "[{}\"\\\\: a]{0,30}(\"usage\":\\{\"prompt_tokens\":7\\})?[}\", ]{0,9}", size in 1..20_usize) {
            prop_assert_eq!(metered(&body, size), metered(&body, body.len().max(1)));
        }
    }
}
