//! A form's field does not depend on where the form was split.

use crate::multipart::{FormError, FormField, FormScanner};

/// Asserts that a form is read the same in one piece, in single bytes and in pieces that the bytes themselves say, and that
/// the field lies where it is said to lie.
///
/// # Panics
///
/// When it is not.
pub fn form(bytes: &[u8]) {
    let whole = in_pieces(bytes, &[]);
    if let Ok(Some(field)) = &whole {
        let span = usize::try_from(field.span.start).ok().zip(usize::try_from(field.span.end).ok());
        let value = span.and_then(|(start, end)| bytes.get(start..end));
        assert_eq!(value, Some(field.value.as_bytes()), "{}", bytes.escape_ascii());
    }
    for sizes in [&[1], bytes] {
        assert_eq!(in_pieces(bytes, sizes), whole, "{}", bytes.escape_ascii());
    }
}

fn in_pieces(bytes: &[u8], sizes: &[u8]) -> Result<Option<FormField>, FormError> {
    let scanner = FormScanner::of(b"multipart/form-data; boundary=b", "model");
    let Some(mut scanner) = scanner else { return Ok(None) };
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(sizes.next().unwrap_or(rest.len())));
        scanner.feed(piece)?;
        rest = behind;
    }
    scanner.finish()?;
    Ok(scanner.found().cloned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &[u8] =
        b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";

    #[test]
    fn a_field_is_found_and_lies_where_it_is_said() {
        let field = in_pieces(FORM, &[]).unwrap().unwrap();
        assert_eq!(&*field.value, "whisper");
        form(FORM);
    }

    proptest! {
        #[test]
        fn a_changed_form_is_read_alike(at in 0..FORM.len(), by in "[-\\r\\nb:\";a=]{0,4}", bytes: Vec<u8>) {
            form(&[&FORM[..at], by.as_bytes(), &FORM[at..]].concat());
            form(&bytes);
        }
    }
}
