//! One field of a form, found while the form passes.
//!
//! In: the body of a `multipart/form-data` request, split anywhere, and its boundary. Out: the value of the field and
//! where it lies, as soon as it is whole. State between calls: the bytes of a delimiter or of a part's head that may go
//! on, never the content of a part beyond [`FORM_VALUE_BYTES_MAX`].
//! Format: <https://www.rfc-editor.org/rfc/rfc7578>, <https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1>
//!
//! Parsers of forms disagree about bare LF, folded heads, quotes in names, preambles. What they could read differently is
//! [`FormError::Unclear`] here; a second field of the same name is [`FormError::Twice`].

use std::ops::Range;

use memchr::memmem;

use crate::limits::{FORM_BOUNDARY_BYTES_MAX, FORM_VALUE_BYTES_MAX, PART_HEAD_BYTES_MAX};

/// Why a form says nothing that everybody would read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormError {
    /// The field stands in it twice.
    Twice,
    /// Another parser could find other parts in it.
    Unclear,
}

/// The value of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// What it says.
    pub value: Box<str>,
    /// Where it lies in the body.
    pub span: Range<u64>,
}

/// Looks for one field of a form.
#[derive(Clone, Debug)]
pub struct FormScanner {
    /// LF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    name: &'static str,
    place: Place,
    /// Bytes that have been fed and are not done with.
    pending: Vec<u8>,
    /// Where `pending` starts in the body.
    at: u64,
    found: Option<FormField>,
}

/// Where in the form the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter.
    Start,
    /// Behind a delimiter.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In a part of no interest.
    Content,
    /// In the field.
    Value,
    /// Behind the last delimiter.
    End,
}

impl FormScanner {
    /// A scanner for the field `name`, when `content_type` is that of a form with one plain boundary.
    #[must_use]
    pub fn of(content_type: &[u8], name: &'static str) -> Option<Self> {
        const TYPE: &[u8] = b"multipart/form-data";
        let (kind, parameters) = content_type.split_at_checked(TYPE.len())?;
        let parameter = parameters.trim_ascii().strip_prefix(b";")?.trim_ascii();
        let (key, value) = parameter.split_at_checked("boundary=".len())?;
        if !kind.eq_ignore_ascii_case(TYPE) || !key.eq_ignore_ascii_case(b"boundary=") {
            return None;
        }
        let boundary =
            value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
        let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"'+_-.=".contains(b);
        let fits = (1..=FORM_BOUNDARY_BYTES_MAX).contains(&boundary.len());
        if !fits || !boundary.iter().all(is_plain) {
            return None;
        }
        let delimiter = [b"\n--", boundary].concat();
        let place = Place::Start;
        Some(Self { delimiter, name, place, pending: Vec::new(), at: 0, found: None })
    }

    /// The field, once it is whole.
    #[must_use]
    pub fn found(&self) -> Option<&FormField> {
        self.found.as_ref()
    }

    /// Takes in the next bytes of the body.
    ///
    /// # Errors
    ///
    /// [`FormError`]; the scanner is of no more use then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), FormError> {
        self.pending.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    ///
    /// [`FormError::Unclear`] when the form has not.
    pub fn finish(&self) -> Result<(), FormError> {
        if self.place == Place::End { Ok(()) } else { Err(FormError::Unclear) }
    }

    /// Gets one place further. False when that takes more bytes.
    fn step(&mut self) -> Result<bool, FormError> {
        match self.place {
            Place::Start => self.start(),
            Place::Delimiter => self.delimiter(),
            Place::Head => self.head(),
            Place::Content | Place::Value => self.content(),
            Place::End => match self.pending.iter().all(|b| matches!(b, b'\r' | b'\n')) {
                true => {
                    self.drop(self.pending.len());
                    Ok(false)
                }
                false => Err(FormError::Unclear),
            },
        }
    }

    fn start(&mut self) -> Result<bool, FormError> {
        let first = &self.delimiter[1..];
        let len = self.pending.len().min(first.len());
        if self.pending[..len] != first[..len] {
            return Err(FormError::Unclear);
        }
        Ok(len == first.len() && self.go(len, Place::Delimiter))
    }

    fn delimiter(&mut self) -> Result<bool, FormError> {
        match &self.pending[..] {
            [b'\r', b'\n', ..] => Ok(self.go(2, Place::Head)),
            [b'-', b'-', ..] => Ok(self.go(2, Place::End)),
            [] | [b'\r' | b'-'] => Ok(false),
            _ => Err(FormError::Unclear),
        }
    }

    fn head(&mut self) -> Result<bool, FormError> {
        let Some(end) = memmem::find(&self.pending, b"\r\n\r\n") else {
            let is_long = self.pending.len() > PART_HEAD_BYTES_MAX;
            return if is_long { Err(FormError::Unclear) } else { Ok(false) };
        };
        let name = std::str::from_utf8(&self.pending[..end]).ok().and_then(name_of);
        let is_ours = match name {
            None => return Err(FormError::Unclear),
            Some(name) if name.text == self.name => {
                if name.is_file {
                    return Err(FormError::Unclear);
                }
                true
            }
            // One that a careless parser could take for it.
            Some(name) if name.text.trim().eq_ignore_ascii_case(self.name) => {
                return Err(FormError::Unclear);
            }
            Some(_) => false,
        };
        if is_ours && self.found.is_some() {
            return Err(FormError::Twice);
        }
        Ok(self.go(end + 4, if is_ours { Place::Value } else { Place::Content }))
    }

    fn content(&mut self) -> Result<bool, FormError> {
        let is_value = self.place == Place::Value;
        let Some(lf) = memmem::find(&self.pending, &self.delimiter) else {
            if is_value {
                let is_long = self.pending.len() > FORM_VALUE_BYTES_MAX + self.delimiter.len();
                return if is_long { Err(FormError::Unclear) } else { Ok(false) };
            }
            // The start of a delimiter, and the CR in front of it.
            self.drop(self.pending.len().saturating_sub(self.delimiter.len()));
            return Ok(false);
        };
        let Some(end) = lf.checked_sub(1).filter(|cr| self.pending[*cr] == b'\r') else {
            return Err(FormError::Unclear);
        };
        if is_value {
            let value = std::str::from_utf8(&self.pending[..end]).ok();
            let is_fine =
                |v: &&str| v.len() <= FORM_VALUE_BYTES_MAX && !v.contains(char::is_control);
            let value = value.filter(is_fine).ok_or(FormError::Unclear)?.into();
            self.found = Some(FormField { value, span: self.at..self.at + end as u64 });
        }
        Ok(self.go(lf + self.delimiter.len(), Place::Delimiter))
    }

    fn go(&mut self, used: usize, place: Place) -> bool {
        self.drop(used);
        self.place = place;
        true
    }

    fn drop(&mut self, used: usize) {
        self.pending.drain(..used);
        self.at += used as u64;
    }
}

/// The name of a part.
struct Name<'a> {
    text: &'a str,
    is_file: bool,
}

/// The name in the head of a part, when there is one way to read it.
fn name_of(head: &str) -> Option<Name<'_>> {
    let mut name = None;
    for line in head.split("\r\n") {
        let (field, value) = line.split_once(':')?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if field.is_empty() || !field.bytes().all(is_plain) || value.contains(char::is_control) {
            return None;
        }
        if field.eq_ignore_ascii_case("content-transfer-encoding") {
            return None;
        }
        if field.eq_ignore_ascii_case("content-disposition") {
            if name.is_some() {
                return None;
            }
            name = Some(disposition(value.trim())?);
        }
    }
    name
}

/// `form-data; name="…"`, perhaps with `; filename="…"` behind it.
fn disposition(value: &str) -> Option<Name<'_>> {
    let (text, rest) = value.strip_prefix("form-data; name=\"")?.split_once('"')?;
    let is_plain = |text: &str| !text.contains(['\\', '%', '"']);
    let is_file = match rest.strip_prefix("; filename=\"") {
        Some(rest) => {
            let (file, behind) = rest.split_once('"')?;
            let is_extended = |b: u8| b.is_ascii_alphanumeric() || b"%-._'".contains(&b);
            let extended = behind.is_empty()
                || behind.strip_prefix("; filename*=").is_some_and(|v| v.bytes().all(is_extended));
            if file.contains('\\') || !extended {
                return None;
            }
            true
        }
        None if rest.is_empty() => false,
        None => return None,
    };
    is_plain(text).then_some(Name { text, is_file })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=xYz";
    const MODEL: &str =
        "--xYz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n";
    const FILE: &str = "--xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
        Content-Type: audio/mpeg\r\n\r\n\r\n--xY\r\nmodel\n\r\n--x\r\n";
    const LAST: &str = "--xYz--\r\n";

    fn scan(body: &[u8], step: usize) -> Result<Option<FormField>, FormError> {
        let mut scanner = FormScanner::of(TYPE, "model").unwrap();
        for piece in body.chunks(step) {
            scanner.feed(piece)?;
        }
        scanner.finish()?;
        Ok(scanner.found().cloned())
    }

    #[track_caller]
    fn check(body: &str, expected: Result<Option<&str>, FormError>) {
        for step in [1, 2, 3, 7, 16, 61, body.len().max(1)] {
            let found = scan(body.as_bytes(), step);
            if let Ok(Some(found)) = &found {
                let at = |at: u64| usize::try_from(at).unwrap();
                let span = at(found.span.start)..at(found.span.end);
                assert_eq!(&body[span], &*found.value, "{body}");
            }
            let value = found.as_ref().map(|found| found.as_ref().map(|found| &*found.value));
            assert_eq!(value.map_err(|error| *error), expected, "in steps of {step}: {body}");
        }
    }

    #[test]
    fn the_field_is_found_wherever_the_form_is_cut() {
        check(&[MODEL, LAST].concat(), Ok(Some("whisper-1")));
        check(&[MODEL, FILE, LAST].concat(), Ok(Some("whisper-1")));
        check(&[FILE, MODEL, LAST].concat(), Ok(Some("whisper-1")));
        check(&[FILE, FILE, LAST].concat(), Ok(None));
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_unclear() {
        use FormError::{Twice, Unclear};
        check(&[MODEL, MODEL, LAST].concat(), Err(Twice));
        check(&[MODEL, FILE, MODEL, LAST].concat(), Err(Twice));
        for (from, to) in [
            ("name=\"model\"", "name=model"),
            ("name=\"model\"", "name=\"mod\\el\""),
            ("name=\"model\"", "name=\"%6dodel\""),
            ("name=\"model\"", "name=\"Model\""),
            ("name=\"model\"", "name=\"model\"; filename=\"x\""),
            ("name=\"model\"", "name=\"model\"; name=\"x\""),
            ("name=\"model\"", "name=\"x\"; name=\"model\""),
            ("form-data; ", "form-data;\r\n "),
            ("form-data; ", "attachment; "),
            ("whisper-1\r\n", "whisper-1\n"),
            ("whisper-1\r\n", "whis\nper-1\r\n"),
            (
                "Content-Disposition",
                "X: y\r\ncontent-transfer-encoding: base64\r\nContent-Disposition",
            ),
            ("--xYz\r\nContent-Disposition", "--xYz \r\nContent-Disposition"),
            ("--xYz\r\nContent-Disposition", "preamble\r\n--xYz\r\nContent-Disposition"),
        ] {
            check(&[&MODEL.replace(from, to), LAST].concat(), Err(Unclear));
        }
        check(&[MODEL, LAST, MODEL, LAST].concat(), Err(Unclear));
        check(MODEL, Err(Unclear));
        let long = "m".repeat(FORM_VALUE_BYTES_MAX + 1);
        check(&[&MODEL.replace("whisper-1", &long), LAST].concat(), Err(Unclear));
    }

    #[test]
    fn only_plain_boundaries_are_looked_for() {
        for (content_type, is_form) in [
            (&b"multipart/form-data; boundary=abc"[..], true),
            (b"Multipart/Form-Data;boundary=\"a.b'c\"", true),
            (b"multipart/form-data", false),
            (b"multipart/form-data; boundary=", false),
            (b"multipart/form-data; boundary=a; boundary=b", false),
            (b"multipart/form-data; charset=x; boundary=a", false),
            (b"multipart/form-data; boundary=\"a b\"", false),
            (b"multipart/mixed; boundary=abc", false),
            (b"application/json", false),
        ] {
            assert_eq!(FormScanner::of(content_type, "model").is_some(), is_form);
        }
    }

    #[test]
    fn no_more_is_kept_than_a_delimiter() {
        let mut scanner = FormScanner::of(TYPE, "model").unwrap();
        scanner.feed(FILE.as_bytes()).unwrap();
        for _ in 0..100 {
            scanner.feed(&[b'x'; 16 * 1024]).unwrap();
            assert!(scanner.pending.len() <= scanner.delimiter.len());
        }
    }
}
