//! JSON strings decoded: escapes and surrogate pairs (RFC 8259, section 7).

use std::borrow::Cow;

/// The text between two quotes. `None` when an escape is malformed or half of a surrogate pair.
pub(super) fn decode(literal: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(literal).ok()?;
    if !literal.contains(&b'\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
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
