//! A JSON value, read where it lies.
//!
//! In: a text. Out: its parts, borrowed from it. Nothing is built: a member is found by passing over those before it, so
//! each level of nesting reads its text once more, and what nobody asks for is never decoded. `raw` gives back any part
//! byte for byte, which is how schemas, arguments and numbers keep their spelling.
//!
//! Names, strings and brackets are followed; literals between them are not checked. A text that was accepted by
//! [`Scanner`](super::Scanner) is read as it is. In any other text the reading stops where it makes no sense: parts are
//! missing then, and nothing panics.
//! Format: RFC 8259 <https://www.rfc-editor.org/rfc/rfc8259>

use std::borrow::Cow;

use memchr::{memchr, memchr3};

use super::string::decode;

/// A value in a JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Json<'a> {
    /// The value alone, without blanks around it; never empty.
    raw: &'a [u8],
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Json<'a> {
    /// The value that `text` is, blanks around it aside; `None` when it is not one value.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Option<Self> {
        let raw = text.trim_ascii();
        (value_len(raw)? == raw.len()).then_some(Self { raw })
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.raw.first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The value's own bytes, as they were written.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.kind() == Kind::String
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.kind() == Kind::Array
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// The members of an object, in order; none of anything else.
    #[must_use]
    pub fn members(self) -> Members<'a> {
        Members { rest: open(self.raw, b'{') }
    }

    /// The items of an array, in order; none of anything else.
    #[must_use]
    pub fn items(self) -> Items<'a> {
        Items { rest: open(self.raw, b'[') }
    }

    /// The member of this name that is not `null`. Of several the last counts, as with most parsers.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Json<'a>> {
        let named = self.members().filter(|(found, _)| found == name);
        named.last().map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// The members of these names, each as [`get`](Self::get) has it, found in one pass.
    #[must_use]
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<Json<'a>>; N] {
        let mut found = [None; N];
        for (name, value) in self.members() {
            if let Some(at) = names.iter().position(|wanted| *wanted == name) {
                found[at] = Some(value).filter(|value| !value.is_null());
            }
        }
        found
    }

    /// The member that a path of names leads to.
    #[must_use]
    pub fn at(self, path: &[&str]) -> Option<Json<'a>> {
        path.iter().try_fold(self, |value, name| value.get(name))
    }

    /// The text of a string; `None` for anything else. Half of a surrogate pair becomes U+FFFD.
    #[must_use]
    pub fn str(self) -> Option<Cow<'a, str>> {
        let [b'"', literal @ .., b'"'] = self.raw else { return None };
        Some(match decode(literal) {
            Some(text) => text,
            None => Cow::Owned(decode_lossy(literal)),
        })
    }

    /// A boolean.
    #[must_use]
    pub fn bool(self) -> Option<bool> {
        match self.raw {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A whole number that is not negative; `12.0` is one too.
    #[must_use]
    pub fn u64(self) -> Option<u64> {
        let text = std::str::from_utf8(self.raw).ok()?;
        text.parse().ok().or_else(|| {
            let (whole, fraction) = text.split_once('.')?;
            whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'))
        })
    }

    /// Any number.
    #[must_use]
    pub fn f64(self) -> Option<f64> {
        let text = std::str::from_utf8(self.raw).ok().filter(|_| self.kind() == Kind::Number)?;
        text.parse().ok()
    }

    /// The text of the string member of this name.
    #[must_use]
    pub fn get_str(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.str()
    }

    /// The whole number of this name.
    #[must_use]
    pub fn get_u64(self, name: &str) -> Option<u64> {
        self.get(name)?.u64()
    }

    /// The boolean of this name.
    #[must_use]
    pub fn get_bool(self, name: &str) -> Option<bool> {
        self.get(name)?.bool()
    }
}

impl std::fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.raw))
    }
}

/// The members of an object.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    /// Behind the brace or the comma; empty when there are no more.
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = std::mem::take(&mut self.rest);
        let name_len = string_len(text)?;
        let literal = &text[1..name_len - 1];
        let name = decode(literal).unwrap_or_else(|| Cow::Owned(decode_lossy(literal)));
        let text = text[name_len..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (value, rest) = split_value(text)?;
        self.rest = rest;
        Some((name, value))
    }
}

/// The items of an array.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = split_value(std::mem::take(&mut self.rest))?;
        self.rest = rest;
        Some(value)
    }
}

fn open(raw: &[u8], bracket: u8) -> &[u8] {
    match raw.split_first() {
        Some((first, rest)) if *first == bracket => rest.trim_ascii_start(),
        _ => &[],
    }
}

/// The value that `text` begins with, and what is behind its comma.
fn split_value(text: &[u8]) -> Option<(Json<'_>, &[u8])> {
    let len = value_len(text)?;
    let rest = text[len..].trim_ascii_start();
    let rest = rest.strip_prefix(b",").map_or(&[][..], <[u8]>::trim_ascii_start);
    Some((Json { raw: &text[..len] }, rest))
}

/// Bytes of the string that `text` begins with, quotes included; `None` when it begins with none, or has no end.
///
/// Only quotes are looked for, and the backslashes right before each: a text full of `\n` is passed over at once.
#[must_use]
pub fn string_len(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += quote_at(text.get(at..)?)?;
        let escapes = text[1..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        at += 1;
        if escapes.is_multiple_of(2) {
            return Some(at);
        }
    }
}

/// Where the first quote is. Names are short, so eight bytes are looked at before the searcher is called.
#[inline]
fn quote_at(text: &[u8]) -> Option<usize> {
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let Some(first) = text.first_chunk() else { return memchr(b'"', text) };
    // The lowest high bit that is set belongs to the first byte that is zero; only those behind it can be set wrongly.
    let zeroed = u64::from_le_bytes(*first) ^ QUOTES;
    match zeroed.wrapping_sub(ONES) & !zeroed & HIGH {
        0 => memchr(b'"', &text[8..]).map(|at| at + 8),
        found => Some(found.trailing_zeros() as usize / 8),
    }
}

/// Bytes of the value that `text` begins with; `None` when it begins with none, or has no end.
#[must_use]
pub fn value_len(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'"' => string_len(text),
        b'{' => container_len(text, b'{', b'}'),
        b'[' => container_len(text, b'[', b']'),
        _ => {
            let ends = |byte: &u8| {
                matches!(byte, b',' | b'}' | b']' | b':' | b'"') || byte.is_ascii_whitespace()
            };
            let len = text.iter().position(ends).unwrap_or(text.len());
            (len > 0).then_some(len)
        }
    }
}

/// So many bytes that are no string are passed one by one before the searcher is called: most strings have two between them.
const NEAR: usize = 16;

/// Brackets of one kind are enough to find the end: in a well-formed text those of the other kind are balanced between.
fn container_len(text: &[u8], opening: u8, closing: u8) -> Option<usize> {
    let (mut depth, mut at, mut passed) = (0_usize, 0, 0);
    loop {
        match *text.get(at)? {
            b'"' => {
                at += string_len(&text[at..])?;
                passed = 0;
                continue;
            }
            byte if byte == opening => depth += 1,
            byte if byte == closing => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if passed == NEAR => {
                at += memchr3(b'"', opening, closing, &text[at..])?;
                continue;
            }
            _ => passed += 1,
        }
        at += 1;
    }
}

/// The text between two quotes as far as it can be read.
fn decode_lossy(literal: &[u8]) -> String {
    let mut text = String::with_capacity(literal.len());
    let mut rest = literal;
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len());
        text.push_str(&String::from_utf8_lossy(&rest[..plain]));
        rest = &rest[plain..];
        if rest.is_empty() {
            break;
        }
        let len = match rest.get(1) {
            Some(b'u') => pair_len(rest),
            Some(_) => 2,
            None => 1,
        };
        let escape = &rest[..len.min(rest.len())];
        match decode(escape) {
            Some(decoded) => text.push_str(&decoded),
            None => text.push(char::REPLACEMENT_CHARACTER),
        }
        rest = &rest[escape.len()..];
    }
    text
}

/// Bytes of the escape that `text` begins with, 12 when it is a surrogate pair.
fn pair_len(text: &[u8]) -> usize {
    let is_pair = text.get(..12).is_some_and(|pair| decode(pair).is_some() && pair[6] == b'\\');
    if is_pair { 12 } else { 6 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::new(text.as_bytes()).unwrap()
    }

    /// What a full parser reads, built from views.
    fn tree(json: Json<'_>) -> Value {
        match json.kind() {
            Kind::Object => {
                Value::Object(json.members().map(|(k, v)| (k.into_owned(), tree(v))).collect())
            }
            Kind::Array => Value::Array(json.items().map(tree).collect()),
            Kind::String => Value::String(json.str().unwrap().into_owned()),
            Kind::Null | Kind::Bool | Kind::Number => serde_json::from_slice(json.raw()).unwrap(),
        }
    }

    #[test]
    fn parts_are_found() {
        let text = r#" { "a" : [ 1 , {"b]":"}\"x"} , "t" ], "n":null, "s":"q\u0041\n", "u":12.0, "e":{} ,"f":[]} "#;
        let object = json(text);
        assert_eq!(object.get("a").unwrap().items().count(), 3);
        assert_eq!(
            object.at(&["a"]).unwrap().items().nth(1).unwrap().get_str("b]").unwrap(),
            "}\"x"
        );
        assert!(object.get("n").is_none());
        let [missing, number, string, null] = object.pick(["x", "u", "s", "n"]);
        assert_eq!((missing, null), (None, None));
        assert_eq!(
            (number.unwrap().u64(), string.unwrap().str().unwrap()),
            (Some(12), "qA\n".into())
        );
        assert_eq!(object.get_str("s").unwrap(), "qA\n");
        assert_eq!(object.get_u64("u"), Some(12));
        assert_eq!(object.get("e").unwrap().members().count(), 0);
        assert_eq!(object.get("f").unwrap().items().count(), 0);
        assert_eq!(tree(object), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn half_a_pair_is_replaced() {
        assert_eq!(json(r#""a\ud83db""#).str().unwrap(), "a\u{fffd}b");
        assert_eq!(json(r#""\ud83d\ude00\ud83d""#).str().unwrap(), "\u{1f600}\u{fffd}");
    }

    #[test]
    fn what_is_not_one_value_is_none() {
        for text in ["", " ", "{", "[1", "\"", "1 2", "{} x", "]", ","] {
            assert_eq!(Json::new(text.as_bytes()), None, "{text}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_full_parser_reads_the_same(value in value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(tree(json(&text)), value);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\":,\\\\a1u ]{0,40}") {
            for input in [&bytes[..], text.as_bytes()] {
                if let Some(json) = Json::new(input) {
                    let _ = json.str();
                    json.members().for_each(|(_, value)| { let _ = value.str(); });
                    json.items().for_each(|value| { let _ = (value.u64(), value.f64()); });
                }
            }
        }
    }
}
