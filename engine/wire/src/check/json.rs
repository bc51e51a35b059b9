//! The scanner and a full parser (`serde_json`) agree, and the scanner does not care how a body arrived.

use std::{fmt, ops::Range};

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::json::{DEPTH_MAX, JsonError, Peek, Scanner};

/// The names that are looked for.
pub const NAMES: &[&str] = &["model", "stream", "max_tokens", "n", "stream_options", "messages"];

/// What a scan came to.
pub type Found = Result<(Range<usize>, bool, Vec<Option<Range<usize>>>), JsonError>;

/// Asserts that the scanner accepts `body` when a full parser does, for the reasons that it documents otherwise, and finds
/// the same values.
///
/// # Panics
///
/// When it does not.
pub fn agrees_with_a_full_parser(body: &[u8]) {
    let ours = Scanner::new(NAMES).finish(body);
    let theirs = names(body);
    match (&ours, &theirs) {
        (Ok(peek), Some(_)) => same_values(peek, body),
        (Err(JsonError::Duplicate(index) | JsonError::EscapedName(index)), Some(Ok(names))) => {
            assert!(names.iter().any(|name| name == NAMES[*index]), "{names:?}");
        }
        (Err(JsonError::Duplicate(_) | JsonError::EscapedName(_)), _) => {}
        (Err(JsonError::TooDeep), _) => assert!(depth(body) > DEPTH_MAX),
        (Err(_), None) => {}
        (Ok(_), None) => unreachable_with(body, "accepted here, refused there"),
        (Err(error), Some(_)) => unreachable_with(body, &format!("refused here: {error}")),
    }
}

/// Asserts that a body that arrives in pieces of these sizes, over and over, is read like one that arrives whole.
///
/// # Panics
///
/// When it is not.
pub fn does_not_depend_on_pieces(body: &[u8], sizes: &[u8]) {
    let whole = found(Scanner::new(NAMES).finish(body));
    assert_eq!(in_pieces(body, sizes), whole, "pieces of {sizes:?}");
}

fn in_pieces(body: &[u8], sizes: &[u8]) -> Found {
    let mut scanner = Scanner::new(NAMES);
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let mut end = 0;
    while end < body.len() {
        end = body.len().min(end + sizes.next().unwrap_or(1));
        scanner.feed(&body[..end])?;
    }
    found(scanner.finish(body))
}

fn found(peek: Result<Peek, JsonError>) -> Found {
    peek.map(|peek| {
        let spans = (0..NAMES.len()).map(|index| peek.span(index)).collect();
        (peek.object(), peek.is_empty_object(), spans)
    })
}

fn same_values(peek: &Peek, body: &[u8]) {
    let object = peek.object();
    assert_eq!((body[object.start], body[peek.insert_at()]), (b'{', b'}'));
    assert_eq!(peek.insert_at() + 1, object.end);
    // What `serde_json` does not read as a value (see the differences) has no value to compare.
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return };
    assert_eq!(peek.is_empty_object(), members.is_empty());
    for (index, name) in NAMES.iter().enumerate() {
        let value = peek.span(index).map(|span| {
            let first_and_last = (body[span.start], body[span.end - 1]);
            assert!(
                !first_and_last.0.is_ascii_whitespace() && !first_and_last.1.is_ascii_whitespace()
            );
            serde_json::from_slice::<Value>(&body[span])
        });
        assert_eq!(value.map(Result::ok), members.get(*name).cloned().map(Some), "{name}");
        let Some(value) = members.get(*name) else { continue };
        let text = peek.string(body, index).and_then(Result::ok);
        assert_eq!(text.as_deref(), value.as_str(), "{name}");
        assert_eq!(peek.bool(body, index).and_then(Result::ok), value.as_bool(), "{name}");
        assert_eq!(peek.is_null(body, index), value.is_null(), "{name}");
        if let Some(Ok(number)) = peek.number_u64(body, index) {
            assert_eq!(Some(number), value.as_u64(), "{name}");
        }
    }
}

/// The names of the object in `body`, where a full parser finds exactly one object; an inner error when it cannot decode a
/// name.
fn names(body: &[u8]) -> Option<Result<Vec<String>, ()>> {
    let text = std::str::from_utf8(body).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    if !text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{') {
        return None;
    }
    Some(serde_json::Deserializer::from_str(text).deserialize_map(Names).map_err(drop))
}

/// Collects the names of a map.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            names.push(name);
        }
        Ok(names)
    }
}

/// The most containers that are open at a time.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut most, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

#[expect(clippy::panic, reason = "a check fails by panicking")]
fn unreachable_with(body: &[u8], what: &str) {
    panic!("{what}: {}", body.escape_ascii());
}
