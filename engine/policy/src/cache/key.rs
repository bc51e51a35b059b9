//! The name under which an answer is kept: a SHA-256 of everything that shapes it.
//!
//! In: parts, one by one. Out: a [`CacheKey`]. Each part goes in with what it is and how long it is, so that no two lists of
//! parts are the same bytes.
//!
//! A JSON body goes in with its top-level members in the order of their names and without the blanks between its tokens.
//! Nothing else is taken to mean the same: the order of members further in, the spelling of numbers and of strings all shape
//! what a model reads.

use std::fmt;

use faregate_wire::Json;
use sha2::{Digest, Sha256};

/// Head fields that say who asks, by what way or how often, and do not shape an answer. A name that ends in `*` stands for
/// all that begin so.
pub const FIELDS_LEFT_OUT: &[&str] = &[
    "accept-encoding",
    "accept-language",
    "baggage",
    "cache-control",
    "cf-*",
    "connection",
    "content-length",
    "date",
    "forwarded",
    "helicone-*",
    "host",
    "idempotency-key",
    "origin",
    "pragma",
    "priority",
    "referer",
    "sec-*",
    "session-id",
    "session_id",
    "te",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-b3-*",
    "x-bf-*",
    "x-claude-code-session-id",
    "x-client-request-id",
    "x-envoy-*",
    "x-faregate-*",
    "x-forwarded-*",
    "x-goog-api-client",
    "x-litellm-*",
    "x-portkey-*",
    "x-real-ip",
    "x-request-id",
    "x-session-affinity",
    "x-session-id",
    "x-stainless-*",
];

/// What an answer is kept under. Two requests with the same one are the same in all that shapes an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

/// The first eight digits.
impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl CacheKey {
    /// A key as it is written.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Which of so many places it falls on; of none, the first.
    #[must_use]
    pub fn place(&self, places: usize) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        usize::try_from(number.checked_rem(places as u64).unwrap_or(0)).unwrap_or(0)
    }
}

/// Makes a key of parts.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    hash: Sha256,
}

impl KeyMaker {
    /// A key of nothing yet; `kind` says what it is a key of.
    #[must_use]
    pub fn new(kind: &str) -> Self {
        let mut maker = Self { hash: Sha256::new() };
        maker.add("kind", kind.as_bytes());
        maker
    }

    /// Adds a part.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        for bytes in [name.as_bytes(), value] {
            self.hash.update((bytes.len() as u64).to_le_bytes());
            self.hash.update(bytes);
        }
    }

    /// Adds the head fields that shape an answer, of lines that end with CRLF.
    pub fn add_fields(&mut self, lines: &[u8]) {
        let mut fields: Vec<(String, &[u8])> = Vec::new();
        for line in lines.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr_colon(line) else { continue };
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            if shapes(&name) {
                fields.push((name, line[colon + 1..].trim_ascii()));
            }
        }
        fields.sort();
        for (name, value) in fields {
            self.add(&name, value);
        }
    }

    /// Adds a JSON object without the members that are `left_out`.
    pub fn add_body(&mut self, body: Json<'_>, left_out: &[&str]) {
        let mut members: Vec<_> =
            body.members().filter(|(name, _)| !left_out.contains(&&**name)).collect();
        members.sort_by(|one, other| one.0.cmp(&other.0));
        self.hash.update((members.len() as u64).to_le_bytes());
        for (name, value) in members {
            self.add("member", name.as_bytes());
            self.add_compact(value.raw());
        }
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> CacheKey {
        CacheKey(self.hash.finalize().into())
    }

    /// Adds a JSON text without the blanks between its tokens. Its end is told by a byte that JSON cannot have.
    fn add_compact(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let string = faregate_wire::json::string_len(rest);
            let run = string.unwrap_or_else(|| {
                rest.iter()
                    .skip(1)
                    .position(|byte| byte.is_ascii_whitespace() || *byte == b'"')
                    .map_or(rest.len(), |at| at + 1)
            });
            let (token, behind) = rest.split_at(run);
            self.hash.update(if string.is_some() { token } else { token.trim_ascii() });
            rest = behind;
        }
        self.hash.update([0xff]);
    }
}

fn memchr_colon(line: &[u8]) -> Option<usize> {
    line.iter().position(|byte| *byte == b':')
}

fn shapes(name: &str) -> bool {
    !FIELDS_LEFT_OUT.iter().any(|own| match own.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *own == name,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(body: &str, left_out: &[&str]) -> CacheKey {
        let mut maker = KeyMaker::new("test");
        maker.add_body(Json::new(body.as_bytes()).unwrap(), left_out);
        maker.finish()
    }

    fn fields(lines: &str) -> CacheKey {
        let mut maker = KeyMaker::new("test");
        maker.add_fields(lines.as_bytes());
        maker.finish()
    }

    #[test]
    fn blanks_and_the_order_of_members_mean_nothing() {
        let plain = of(r#"{"a":[1,{"x":"a b","y":2}],"b":true}"#, &[]);
        for same in [
            r#"{"b":true,"a":[1,{"x":"a b","y":2}]}"#,
            "{ \"a\" : [ 1 ,\n{\"x\": \"a b\" ,\t\"y\":2 } ] , \"b\" : true }",
            r#"{"\u0061":[1,{"x":"a b","y":2}],"b":true}"#,
        ] {
            assert_eq!(of(same, &[]), plain, "{same}");
        }
    }

    #[test]
    fn everything_else_means_something() {
        let plain = of(r#"{"a":[1,{"x":"a b","y":2}],"b":true}"#, &[]);
        for other in [
            r#"{"a":[1,{"y":2,"x":"a b"}],"b":true}"#,
            r#"{"a":[1,{"x":"a  b","y":2}],"b":true}"#,
            r#"{"a":[1.0,{"x":"a b","y":2}],"b":true}"#,
            r#"{"a":[1,{"x":"a b","y":2}],"b":false}"#,
            r#"{"a":[1,{"x":"a b","y":2}]}"#,
            r#"{"a":[1,{"x":"a b","y":2}],"b":true,"c":null}"#,
            r#"{"a":[1,{"x":"a b","y":2}],"c":true}"#,
            r#"{"a":[1,{"x":"a b","y":2}],"b":true,"b":true}"#,
            r#"{"a":["1",{"x":"a b","y":2}],"b":true}"#,
        ] {
            assert_ne!(of(other, &[]), plain, "{other}");
        }
        assert_ne!(of(r#"{"a":"1","b":"2"}"#, &[]), of(r#"{"a":"1\"b\"2"}"#, &[]));
        assert_ne!(of(r#"{"a":1,"b":2}"#, &[]), of(r#"{"a":12}"#, &[]));
    }

    #[test]
    fn what_is_left_out_means_nothing_at_the_top_alone() {
        let left_out = &["user"];
        assert_eq!(of(r#"{"user":"a","b":1}"#, left_out), of(r#"{"b":1}"#, left_out));
        let inner = |user: &str| of(&format!(r#"{{"b":{{"user":"{user}"}}}}"#), left_out);
        assert_ne!(inner("a"), inner("b"));
    }

    #[test]
    fn fields_that_say_who_asks_mean_nothing() {
        let plain = fields("anthropic-version: 1\r\ncontent-type: application/json\r\n");
        for same in [
            "Content-Type: application/json\r\nAnthropic-Version:  1\r\n",
            "anthropic-version: 1\r\nuser-agent: x\r\nX-Stainless-Lang: js\r\ncontent-type: application/json\r\n",
        ] {
            assert_eq!(fields(same), plain, "{same}");
        }
        for other in [
            "anthropic-version: 2\r\ncontent-type: application/json\r\n",
            "anthropic-version: 1\r\nanthropic-beta: b\r\ncontent-type: application/json\r\n",
            "content-type: application/json\r\n",
            "anthropic-version: 1\r\ncontent-type: application/json\r\nx-new: 1\r\n",
        ] {
            assert_ne!(fields(other), plain, "{other}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[(&str, &str)]| {
            let mut maker = KeyMaker::new("test");
            parts.iter().for_each(|(name, value)| maker.add(name, value.as_bytes()));
            maker.finish()
        };
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", ""), ("b", "c")]), of(&[("a", "b"), ("", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("c", "d"), ("a", "b")]));
    }
}
