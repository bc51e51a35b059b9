//! Arguments of a call that come piece by piece (`partialArgs`), as the JSON text that they make.
//!
//! In: a path and a value, or a piece of a string, at a time. Out: the text that follows what was given out before. State
//! between calls: the containers that are open, and in each which names have been used, so that no member is written
//! twice. Values come in the order of the text; a path that leads back into something closed is refused.
//! Paths: RFC 9535 <https://www.rfc-editor.org/rfc/rfc9535>, of which only names and indices occur.

use faregate_wire::{Json, quote};

use super::member::member;
use crate::dialect::BadAnswer;

/// The most segments of a path.
const DEPTH_MAX: usize = 64;

/// The most members of one object.
const NAMES_MAX: usize = 4096;

/// The most items of a list that may be passed over; they become `null`.
const GAP_MAX: usize = 1024;

/// The text so far, as far as it is needed to go on.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    /// Open containers, the outermost first; none before the first value.
    open: Vec<Container>,
    /// The last string is not at its end.
    in_string: bool,
}

#[derive(Debug)]
enum Container {
    Object { names: Vec<String> },
    Array { len: usize },
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Name(String),
    Index(usize),
}

impl PartialArgs {
    /// Takes one item of `partialArgs`, and appends the text that it adds.
    pub(super) fn push(&mut self, item: Json<'_>, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        let path = member(item, "jsonPath").and_then(Json::str).ok_or(BadAnswer)?;
        let path = segments(&path).ok_or(BadAnswer)?;
        let goes_on = member(item, "willContinue").and_then(Json::bool) == Some(true);
        let text = member(item, "stringValue").and_then(Json::str);
        if self.in_string && self.is_last(&path) {
            append_escaped(out, text.as_deref().unwrap_or_default());
            self.in_string = goes_on;
            if !goes_on {
                out.push(b'"');
            }
            return Ok(());
        }
        let value = ["numberValue", "boolValue"].iter().find_map(|name| member(item, name));
        let is_null = item.members().any(|(name, _)| matches!(&*name, "nullValue" | "null_value"));
        if text.is_none() && value.is_none() && !is_null {
            return Ok(());
        }
        self.go_to(&path, out)?;
        match (text, value) {
            (Some(text), _) => {
                out.push(b'"');
                append_escaped(out, &text);
                self.in_string = goes_on;
                if !goes_on {
                    out.push(b'"');
                }
            }
            (None, Some(value)) => out.extend_from_slice(value.raw()),
            (None, None) => out.extend_from_slice(b"null"),
        }
        Ok(())
    }

    /// Appends what closes the text.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if self.open.is_empty() {
            out.extend_from_slice(b"{}");
        }
        self.close_to(0, out);
    }

    /// Whether `path` is that of the value written last.
    fn is_last(&self, path: &[Segment]) -> bool {
        self.open.len() == path.len()
            && self.open.iter().zip(path).all(|(container, segment)| container.is_at(segment))
    }

    /// Opens and closes what stands between the last value and the next.
    fn go_to(&mut self, path: &[Segment], out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        if self.open.is_empty() {
            out.push(b'{');
            self.open.push(Container::Object { names: Vec::new() });
        }
        let last = path.len().checked_sub(1).ok_or(BadAnswer)?;
        let inner = self.open.len().saturating_sub(1);
        let pairs = self.open.iter().zip(path).take(last.min(inner));
        let shared = pairs.take_while(|(container, segment)| container.is_at(segment)).count();
        self.close_to(shared + 1, out);
        for (at, segment) in path.iter().enumerate().skip(shared) {
            self.open.last_mut().ok_or(BadAnswer)?.step(segment, out)?;
            match path.get(at + 1) {
                Some(Segment::Name(_)) => {
                    out.push(b'{');
                    self.open.push(Container::Object { names: Vec::new() });
                }
                Some(Segment::Index(_)) => {
                    out.push(b'[');
                    self.open.push(Container::Array { len: 0 });
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Closes the string, and containers until `keep` are open.
    fn close_to(&mut self, keep: usize, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.in_string) {
            out.push(b'"');
        }
        while self.open.len() > keep {
            match self.open.pop() {
                Some(Container::Object { .. }) => out.push(b'}'),
                Some(Container::Array { .. }) => out.push(b']'),
                None => {}
            }
        }
    }
}

impl Container {
    /// Whether the last value in it is the one that `segment` names.
    fn is_at(&self, segment: &Segment) -> bool {
        match (self, segment) {
            (Self::Object { names }, Segment::Name(name)) => names.last() == Some(name),
            (Self::Array { len }, Segment::Index(index)) => *len == index + 1,
            _ => false,
        }
    }

    /// Begins the value that `segment` names.
    fn step(&mut self, segment: &Segment, out: &mut Vec<u8>) -> Result<(), BadAnswer> {
        match (self, segment) {
            (Self::Object { names }, Segment::Name(name)) => {
                if names.contains(name) || names.len() >= NAMES_MAX {
                    return Err(BadAnswer);
                }
                if !names.is_empty() {
                    out.push(b',');
                }
                quote(out, name);
                out.push(b':');
                names.push(name.clone());
            }
            (Self::Array { len }, Segment::Index(index)) => {
                if index < len || index - *len > GAP_MAX {
                    return Err(BadAnswer);
                }
                for at in *len..=*index {
                    if at > 0 {
                        out.push(b',');
                    }
                    if at < *index {
                        out.extend_from_slice(b"null");
                    }
                }
                *len = index + 1;
            }
            _ => return Err(BadAnswer),
        }
        Ok(())
    }
}

/// The segments of a path such as `$.a[0]['b c']`.
fn segments(path: &str) -> Option<Vec<Segment>> {
    let mut rest = path.strip_prefix('$')?;
    let mut segments = Vec::new();
    while !rest.is_empty() {
        if segments.len() == DEPTH_MAX {
            return None;
        }
        let (segment, behind) = match rest.strip_prefix('.') {
            Some(named) => {
                let end = named.find(['.', '[']).unwrap_or(named.len());
                (Segment::Name(named.get(..end)?.to_owned()), named.get(end..)?)
            }
            None => bracketed(rest.strip_prefix('[')?)?,
        };
        segments.push(segment);
        rest = behind;
    }
    Some(segments)
}

/// What stands in brackets: an index, or a name in quotes.
fn bracketed(rest: &str) -> Option<(Segment, &str)> {
    let mark = rest.chars().next().filter(|mark| matches!(mark, '\'' | '"'));
    let Some(mark) = mark else {
        let (index, behind) = rest.split_once(']')?;
        return Some((Segment::Index(index.parse().ok()?), behind));
    };
    let mut name = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            letter if letter == mark => {
                let behind = rest.get(at + 1..)?.strip_prefix(']')?;
                return Some((Segment::Name(name), behind));
            }
            letter => name.push(letter),
        }
    }
    None
}

fn append_escaped(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    quote(out, text);
    out.pop();
    out.remove(start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: &[&str], expected: Result<&str, BadAnswer>) {
        let mut partial = PartialArgs::default();
        let mut out = Vec::new();
        let pushed = items
            .iter()
            .try_for_each(|item| partial.push(Json::new(item.as_bytes()).unwrap(), &mut out));
        partial.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(pushed.map(|()| &*text), expected);
    }

    #[test]
    fn values_make_one_text() {
        check(&[], Ok("{}"));
        check(
            &[
                r#"{"jsonPath":"$.city","stringValue":"New \"","willContinue":true}"#,
                r#"{"jsonPath":"$.city","stringValue":"York"}"#,
                r#"{"jsonPath":"$.n","numberValue":1.50}"#,
                r#"{"jsonPath":"$.list[0].a","boolValue":true}"#,
                r#"{"jsonPath":"$.list[0]['b c']","nullValue":"NULL_VALUE"}"#,
                r#"{"jsonPath":"$.list[2]","stringValue":"x","willContinue":true}"#,
                r#"{"jsonPath":"$.o.p","stringValue":""}"#,
            ],
            Ok(
                r#"{"city":"New \"York","n":1.50,"list":[{"a":true,"b c":null},null,"x"],"o":{"p":""}}"#,
            ),
        );
        // A string that is ended by an item without a value, and one that is never ended.
        check(
            &[
                r#"{"jsonPath":"$.a","stringValue":"x","willContinue":true}"#,
                r#"{"jsonPath":"$.a"}"#,
                r#"{"jsonPath":"$.b","stringValue":"y","willContinue":true}"#,
            ],
            Ok(r#"{"a":"x","b":"y"}"#),
        );
    }

    #[test]
    fn what_makes_no_text_is_refused() {
        for items in [
            &[r#"{"stringValue":"x"}"#][..],
            &[r#"{"jsonPath":"a","stringValue":"x"}"#],
            &[r#"{"jsonPath":"$","stringValue":"x"}"#],
            &[r#"{"jsonPath":"$[0]","stringValue":"x"}"#],
            &[r#"{"jsonPath":"$.a[x]","stringValue":"x"}"#],
            &[r#"{"jsonPath":"$.a[99999]","stringValue":"x"}"#],
            &[r#"{"jsonPath":"$.a","boolValue":true}"#, r#"{"jsonPath":"$.a","boolValue":true}"#],
            &[
                r#"{"jsonPath":"$.a.x","boolValue":true}"#,
                r#"{"jsonPath":"$.b","boolValue":true}"#,
                r#"{"jsonPath":"$.a.y","boolValue":true}"#,
            ],
        ] {
            let mut partial = PartialArgs::default();
            let mut out = Vec::new();
            let pushed = items
                .iter()
                .try_for_each(|item| partial.push(Json::new(item.as_bytes()).unwrap(), &mut out));
            assert_eq!(pushed, Err(BadAnswer), "{items:?}");
        }
    }
}
