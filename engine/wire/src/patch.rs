//! Edits of a body that copy nothing but what is put in.
//!
//! In: byte ranges of a body and what shall stand there instead. Out: the parts of the new body, in order, for a
//! vectored write; or the new body in one piece. Bytes outside of the ranges are the body's own.

use std::{borrow::Cow, ops::Range};

/// Edits that do not overlap, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    bytes: Cow<'static, [u8]>,
}

impl Patch {
    /// No edits: the body as it is.
    #[must_use]
    pub const fn new() -> Self {
        Self { edits: Vec::new() }
    }

    /// Puts `bytes` in the place of `range`. Edits may be added in any order.
    ///
    /// # Panics
    ///
    /// When `range` overlaps that of another edit, or runs backwards.
    pub fn replace(&mut self, range: Range<usize>, bytes: impl Into<Cow<'static, [u8]>>) {
        assert!(range.start <= range.end, "an edit that runs backwards would send another body");
        let place = self.edits.partition_point(|edit| edit.range.end <= range.start);
        if let Some(next) = self.edits.get(place) {
            assert!(range.end <= next.range.start, "edits that overlap would send another body");
        }
        self.edits.insert(place, Edit { range, bytes: bytes.into() });
    }

    /// Puts `bytes` in before the byte at `at`; what is inserted at the same place later comes later.
    ///
    /// # Panics
    ///
    /// When `at` is inside of a range that is replaced.
    pub fn insert(&mut self, at: usize, bytes: impl Into<Cow<'static, [u8]>>) {
        self.replace(at..at, bytes);
    }

    /// Whether the body stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Bytes of the new body.
    #[must_use]
    pub fn len(&self, body: &[u8]) -> usize {
        self.edits.iter().fold(body.len(), |len, edit| len + edit.bytes.len() - edit.range.len())
    }

    /// Appends the non-empty parts of the new body, in order.
    ///
    /// # Panics
    ///
    /// When an edit lies outside of `body`.
    pub fn parts<'a>(&'a self, body: &'a [u8], out: &mut Vec<&'a [u8]>) {
        self.each(body, |part| out.push(part));
    }

    /// Appends the new body.
    ///
    /// # Panics
    ///
    /// When an edit lies outside of `body`.
    pub fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.len(body));
        self.each(body, |part| out.extend_from_slice(part));
    }

    fn each<'a>(&'a self, body: &'a [u8], mut put: impl FnMut(&'a [u8])) {
        let mut from = 0;
        for edit in &self.edits {
            for part in [&body[from..edit.range.start], &*edit.bytes] {
                if !part.is_empty() {
                    put(part);
                }
            }
            from = edit.range.end;
        }
        if from < body.len() {
            put(&body[from..]);
        }
    }
}

/// Appends `text` as a JSON string literal, quotes included (RFC 8259, section 7).
pub fn quote(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = crate::json::plain_len(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { break };
        write_escape(out, byte);
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(patch: &Patch, body: &str, expected: &str) {
        let (mut written, mut parts) = (b"before".to_vec(), Vec::new());
        patch.write(body.as_bytes(), &mut written);
        patch.parts(body.as_bytes(), &mut parts);
        assert_eq!(written, [b"before", expected.as_bytes()].concat());
        assert_eq!(parts.concat(), expected.as_bytes());
        assert!(parts.iter().all(|part| !part.is_empty()));
        assert_eq!(patch.len(body.as_bytes()), expected.len());
    }

    #[test]
    fn edits_apply_in_the_order_of_their_places() {
        let mut patch = Patch::new();
        check(&patch, "0123456789", "0123456789");
        assert!(patch.is_empty());
        patch.replace(8..10, &b"end"[..]);
        patch.replace(0..1, &b"start"[..]);
        patch.insert(4, &b"<"[..]);
        patch.insert(4, vec![b'>']);
        patch.replace(4..5, Vec::new());
        check(&patch, "0123456789", "start123<>567end");
        assert!(!patch.is_empty());
        check(&Patch::new(), "", "");
    }

    #[test]
    fn overlapping_edits_are_refused() {
        for range in [0..3, 2..3, 3..9, 4..5, 3..3] {
            let caught = std::panic::catch_unwind(|| {
                let mut patch = Patch::new();
                patch.replace(2..5, Vec::new());
                patch.replace(range.clone(), Vec::new());
            });
            assert!(caught.is_err(), "{range:?}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_text_is_read_back(text in "([\0-\x7f]|\\PC){0,40}") {
            let mut out = Vec::new();
            quote(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn edits_equal_edits_of_text(body in "[a-z]{0,40}", cuts in prop::collection::vec((0..41_usize, "[A-Z]{0,3}"), 0..4)) {
            let mut places: Vec<_> = cuts.iter().map(|(at, _)| (*at).min(body.len())).collect();
            places.sort_unstable();
            let mut patch = Patch::new();
            let mut expected = String::new();
            let mut from = 0;
            for (pair, (_, text)) in places.chunks(2).zip(&cuts) {
                let (start, end) = (pair[0], pair[pair.len() - 1]);
                if start < from { continue; }
                expected.push_str(&body[from..start]);
                expected.push_str(text);
                from = end;
                patch.replace(start..end, text.clone().into_bytes());
            }
            expected.push_str(&body[from..]);
            check(&patch, &body, &expected);
        }
    }
}
