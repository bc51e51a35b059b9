//! A stream that is one JSON array (Gemini without `alt=sse`), cut behind whole entries.
//!
//! In: the body's bytes, split anywhere. Out: where the array may be broken off, so that an entry of ours and its end can
//! follow. State between calls: how deep the next byte is, and whether it is in a text.
//!
//! What is not an array passes as it is, and has no place for an entry of ours.

/// Where in an array the next byte is.
#[derive(Debug, Default)]
pub(super) struct Entries {
    place: Place,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// Entries that have ended.
    count: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing but white space has come.
    #[default]
    Before,
    /// Behind `[` or a comma: an entry must come.
    Wanting,
    /// In an entry.
    Inside,
    /// Behind an entry.
    Behind,
    /// Behind `]`.
    After,
    /// This is no array.
    Other,
}

impl Entries {
    /// Takes in bytes; how many of them end where the array may be broken off. `None`: nowhere in them.
    pub(super) fn take(&mut self, data: &[u8]) -> Option<usize> {
        let mut safe = None;
        for (at, &byte) in data.iter().enumerate() {
            self.step(byte);
            if self.may_break() {
                safe = Some(at + 1);
            }
        }
        safe
    }

    /// Whether the array has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.place == Place::After
    }

    /// Whether it has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.place, Place::Wanting | Place::Inside | Place::Behind)
    }

    /// Whether this is an array, or may become one.
    pub(super) fn is_array(&self) -> bool {
        !matches!(self.place, Place::Other)
    }

    /// Whether entries have ended.
    pub(super) fn has_entries(&self) -> bool {
        self.count > 0
    }

    fn may_break(&self) -> bool {
        matches!(self.place, Place::Before | Place::Behind | Place::After | Place::Other)
    }

    fn step(&mut self, byte: u8) {
        let space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.place = match (self.place, byte) {
            (Place::Other, _) => Place::Other,
            (Place::Inside, _) => return self.step_inside(byte),
            (place, _) if space => place,
            (Place::Before, b'[') => Place::Wanting,
            (Place::Wanting | Place::Behind, b']') => Place::After,
            (Place::Behind, b',') => Place::Wanting,
            (Place::Wanting, b'{') => {
                self.depth = 1;
                Place::Inside
            }
            // Anything else is not what the API sends.
            _ => Place::Other,
        };
    }

    fn step_inside(&mut self, byte: u8) {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.place = Place::Behind;
                    self.count += 1;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an array up to the last place where it may be broken off.
    fn check(array: &str, expected: &str) {
        for piece in 1..=array.len() {
            let mut entries = Entries::default();
            let (mut passed, mut held) = (Vec::new(), Vec::new());
            for data in array.as_bytes().chunks(piece) {
                match entries.take(data) {
                    Some(at) => {
                        passed.append(&mut held);
                        passed.extend_from_slice(&data[..at]);
                        held.extend_from_slice(&data[at..]);
                    }
                    None => held.extend_from_slice(data),
                }
            }
            assert_eq!(
                String::from_utf8(passed).unwrap(),
                expected,
                "{array} in pieces of {piece}"
            );
        }
    }

    #[test]
    fn an_array_is_cut_behind_whole_entries() {
        check("[{\"a\":1}\n,\r\n{\"b\":[{}]}\n]\n", "[{\"a\":1}\n,\r\n{\"b\":[{}]}\n]\n");
        check("[{\"a\":1}\n,\r\n{\"b\":[{}]", "[{\"a\":1}\n");
        check("[{\"a\":\"}]\\\"}\"}, {", "[{\"a\":\"}]\\\"}\"}");
        check("[", "");
        check(" \n", " \n");
        check("[]", "[]");
    }

    #[test]
    fn what_is_no_array_passes_as_it_is() {
        for text in ["{\"error\":{}}", "[1,2]", "x", "[{}]]"] {
            let mut entries = Entries::default();
            assert_eq!(entries.take(text.as_bytes()), Some(text.len()), "{text}");
            assert!(!entries.is_array() && !entries.is_open(), "{text}");
        }
    }
}
