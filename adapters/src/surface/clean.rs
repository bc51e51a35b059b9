//! Whether a path can be read in one way only.

/// Whether everybody reads the path alike: RFC 3986 characters only, no parameters, no empty or dotted segments, and
/// nothing encoded that need not be or that separates segments.
pub(super) fn is_clean(path: &str) -> bool {
    let mut rest = path.as_bytes();
    if rest.first() != Some(&b'/') {
        return false;
    }
    while let [first, behind @ ..] = rest {
        match (first, behind) {
            (b'/', [b'/', ..]) | (b'.', [b'.', ..]) => return false,
            (b'/', [b'.'] | [b'.', b'/', ..]) => return false,
            (b'%', [high, low, ..]) if encodes_what_it_must(*high, *low) => {}
            (b'/' | b'.' | b'-' | b'_' | b'~' | b':' | b'@', _) => {}
            (b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=', _) => {}
            (byte, _) if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        rest = behind;
    }
    true
}

/// Whether these two hex digits stand for a byte that may only appear encoded and does not separate anything.
fn encodes_what_it_must(high: u8, low: u8) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
    match high << 4 | low {
        byte if byte.is_ascii_alphanumeric() || byte.is_ascii_control() => false,
        b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b';' | b'%' | b'?' | b'#' => false,
        _ => true,
    }
}
