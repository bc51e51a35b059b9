//! JSON strings, read on without a copy, and decoded (RFC 8259, section 7).
//!
//! In: a body that grows, and how far the string has been read. Out: where it ends. State between calls ([`Text`]): where
//! it starts, whether it has escapes, and between which bytes there are characters beyond ASCII.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    JsonError,
    marks::{BLOCK_BYTES, Marks},
};

/// The string that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// Behind the opening quote.
    start: usize,
    /// All bytes that are not ASCII lie between these two, with whole characters around them; `high_end` is 0 when
    /// there are none.
    high_start: usize,
    high_end: usize,
    has_escapes: bool,
}

impl Text {
    pub(super) const fn at(start: usize) -> Self {
        Self { start, high_start: 0, high_end: 0, has_escapes: false }
    }

    /// Where the string starts, behind its quote.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Whether something in it is written with an escape.
    pub(super) const fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Reads on to the closing quote, and true, or as far as there is something to read, and false.
    #[inline(always)]
    pub(super) fn read(&mut self, body: &[u8], mut at: usize) -> Result<(usize, bool), JsonError> {
        loop {
            at = self.skip(body, at);
            match body.get(at) {
                Some(b'"') => {
                    self.check(body)?;
                    return Ok((at, true));
                }
                Some(b'\\') => {
                    self.has_escapes = true;
                    match escape_len(body, at)? {
                        0 => return Ok((at, false)),
                        len => at += len,
                    }
                }
                Some(_) => return Err(JsonError::Malformed(at)),
                None => return Ok((at, false)),
            }
        }
    }

    /// The place of the next byte that is special, or the end.
    #[inline(always)]
    fn skip(&mut self, body: &[u8], mut at: usize) -> usize {
        while let Some(block) = body[at..].first_chunk() {
            let marks = Marks::of(block);
            if marks.any() {
                if marks.high() {
                    self.note_high(&block[..marks.first_special()], at);
                }
                if marks.special() {
                    return at + marks.first_special();
                }
            }
            at += BLOCK_BYTES;
        }
        self.skip_last(body, at)
    }

    /// The same where less than a block is left.
    #[inline(never)]
    fn skip_last(&mut self, body: &[u8], mut at: usize) -> usize {
        let start = at;
        while body.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..=0x1f)) {
            at += 1;
        }
        self.note_high(&body[start..at], start);
        at
    }

    /// Notes whether there are bytes beyond ASCII in this part of the string, which is at `at`.
    #[cold]
    fn note_high(&mut self, part: &[u8], at: usize) {
        if part.is_ascii() {
            return;
        }
        if self.high_end == 0 {
            self.high_start = at;
        }
        self.high_end = at + part.len();
    }

    /// Whether the string is UTF-8.
    #[inline(always)]
    fn check(&self, body: &[u8]) -> Result<(), JsonError> {
        if self.high_end == 0 {
            return Ok(());
        }
        match std::str::from_utf8(&body[self.high_start..self.high_end]) {
            Ok(_) => Ok(()),
            Err(error) => Err(JsonError::Malformed(self.high_start + error.valid_up_to())),
        }
    }
}

/// Bytes of the escape whose backslash is at `at`; 0 when it is not all there.
#[inline(always)]
fn escape_len(body: &[u8], at: usize) -> Result<usize, JsonError> {
    let Some(&letter) = body.get(at + 1) else { return Ok(0) };
    match ESCAPE_LENS[usize::from(letter)] {
        2 => Ok(2),
        0 => Err(JsonError::Malformed(at)),
        len => match body.get(at + 2..at + len) {
            None => Ok(0),
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(len),
            Some(_) => Err(JsonError::Malformed(at)),
        },
    }
}

/// Bytes of an escape with this letter behind the backslash; 0 when there is none.
const ESCAPE_LENS: [usize; 256] = {
    let mut lens = [0; 256];
    let short = b"\"\\/bfnrt";
    let mut index = 0;
    while index < short.len() {
        lens[short[index] as usize] = 2;
        index += 1;
    }
    lens[b'u' as usize] = 6;
    lens
};

/// The text between two quotes. `None` when an escape is malformed or half of a surrogate pair.
pub(super) fn decode(literal: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(literal).ok()?;
    let Some(first) = memchr(b'\\', literal) else { return Some(Cow::Borrowed(text)) };
    let mut decoded = String::with_capacity(text.len());
    decoded.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        decoded.push_str(&rest[..at]);
        let (character, behind) = escape(&rest[at + 1..])?;
        decoded.push(character);
        rest = behind;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

/// The character that the text behind a backslash stands for, and what follows.
fn escape(text: &str) -> Option<(char, &str)> {
    let behind = text.get(1..)?;
    let character = match text.as_bytes().first()? {
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return code_unit(behind),
        _ => return None,
    };
    Some((character, behind))
}

/// The character that the text behind `\u` stands for, a second half included, and what follows.
fn code_unit(text: &str) -> Option<(char, &str)> {
    let (first, behind) = four_digits(text)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, behind));
    }
    let (second, behind) = four_digits(behind.strip_prefix("\\u")?)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let character = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((character, behind))
}

fn four_digits(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None; // from_str_radix would take a sign
    }
    Some((u32::from_str_radix(digits, 16).ok()?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_decoded_as_a_full_parser_does() {
        for literal in [
            r"plain",
            r"",
            r"\n\t\r\b\f\/\\\x",
            r#"a\"b"#,
            r"\u0041z",
            r"\ud83d\ude00!",
            r"\ud83d",
            r"\ude00",
            r"\ud83dA",
            r"\ud83d\u0041",
            r"\u12",
            r"\u+041",
            r"\u00e9é",
            r"\",
            r"\é",
            r"\u12é4",
            r"\ud83d\ud83d",
        ] {
            let expected = serde_json::from_str::<String>(&format!("\"{literal}\"")).ok();
            assert_eq!(decode(literal.as_bytes()).map(Cow::into_owned), expected, "{literal}");
        }
    }
}
