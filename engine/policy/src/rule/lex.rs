//! The words of a condition.

use std::ops::Range;

use super::{Mistake, mistake};

/// One word, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word<'t> {
    pub(super) is: Is<'t>,
    pub(super) span: Range<usize>,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Is<'t> {
    Name(&'t str),
    Number(f64),
    /// Without its quotes.
    Text(&'t str),
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "(", ")", "[", "]", ","];

/// What others write, and what it is here.
const FOREIGN: &[(&str, &str)] = &[
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("=~", "write `matches \"gpt-*\"`, where * stands for any characters"),
    ("=", "two values are compared by `==`"),
    ("!", "write `not`"),
    ("/", "there is no division: multiply the other side"),
    (".", "a name has no parts: `header[\"x-tier\"]`, `tag[\"job\"]`"),
];

/// Cuts a text into words; the last one is [`Is::End`].
pub(super) fn words(text: &str) -> Result<Vec<Word<'_>>, Mistake> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (is, len) = word(text, at, c)?;
        words.push(Word { is, span: at..at + len });
        at += len;
    }
    words.push(Word { is: Is::End, span: at..at });
    Ok(words)
}

fn word(text: &str, at: usize, first: char) -> Result<(Is<'_>, usize), Mistake> {
    let rest = &text[at..];
    if first.is_ascii_alphabetic() || first == '_' {
        let len = len_of(rest, |b| b.is_ascii_alphanumeric() || b == b'_');
        return Ok((Is::Name(&rest[..len]), len));
    }
    if first.is_ascii_digit() {
        return number(rest, at);
    }
    if matches!(first, '"' | '\'') {
        let Some(len) = rest[1..].find(first) else {
            let help = format!("close it with {first}");
            return Err(mistake(at..text.len(), "a text without an end", help));
        };
        return Ok((Is::Text(&rest[1..=len]), len + 2));
    }
    if let Some((foreign, help)) = FOREIGN.iter().find(|(foreign, _)| is_foreign(rest, foreign)) {
        let reason = format!("`{foreign}` is not part of the language");
        return Err(mistake(at..at + foreign.len(), reason, *help));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Is::Sign(sign), sign.len())),
        None => Err(mistake(
            at..at + first.len_utf8(),
            format!("`{first}` is not part of the language"),
            "a text stands in quotes",
        )),
    }
}

fn is_foreign(rest: &str, foreign: &str) -> bool {
    rest.starts_with(foreign) && !rest.starts_with("==") && !rest.starts_with("!=")
}

/// `12`, `0.7`, `8_000`, `32k`, `2M`, `20%`
fn number(rest: &str, at: usize) -> Result<(Is<'_>, usize), Mistake> {
    let mut len = len_of(rest, |b| b.is_ascii_digit() || b == b'_');
    if rest[len..].starts_with('.') {
        len += 1 + len_of(&rest[len + 1..], |b| b.is_ascii_digit());
    }
    let digits = rest[..len].replace('_', "");
    let factor = match rest.as_bytes().get(len) {
        Some(b'k') => Some(1e3),
        Some(b'M') => Some(1e6),
        Some(b'%') => Some(0.01),
        _ => None,
    };
    let whole = len + usize::from(factor.is_some());
    let more = len_of(&rest[whole..], |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    match digits.parse::<f64>() {
        Ok(value) if more == 0 && !digits.ends_with('.') && value.is_finite() => {
            Ok((Is::Number(value * factor.unwrap_or(1.0)), whole))
        }
        _ => {
            let written = &rest[..whole + more];
            let reason = format!("`{written}` is no number");
            Err(mistake(at..at + written.len(), reason, "for example 12, 0.7, 32k, 2M or 20%"))
        }
    }
}

fn len_of(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|b| !fits(b)).unwrap_or(text.len())
}
