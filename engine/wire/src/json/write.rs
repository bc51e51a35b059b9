//! JSON, written piece by piece.
//!
//! In: names and values in order. Out: bytes at the end of a buffer. State: whether a comma is due. No tree is built, and
//! a value that was read elsewhere is copied as it was spelled.

use super::Json;
use crate::quote;

/// Writes one JSON text to the end of a buffer.
///
/// Calls nest as the text does: [`object`](Self::object) and [`array`](Self::array) open, [`end`](Self::end) closes what
/// was opened last.
#[derive(Debug)]
pub struct JsonWriter<'b> {
    out: &'b mut Vec<u8>,
    /// The closing brackets that are due, the innermost last.
    open: Vec<u8>,
    /// Something stands before what comes next, in the same container.
    comma: bool,
}

impl<'b> JsonWriter<'b> {
    /// A writer at the end of `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out, open: Vec::new(), comma: false }
    }

    /// Opens an object.
    pub fn object(&mut self) -> &mut Self {
        self.open(b'{', b'}')
    }

    /// Opens an array.
    pub fn array(&mut self) -> &mut Self {
        self.open(b'[', b']')
    }

    /// Closes what was opened last.
    pub fn end(&mut self) -> &mut Self {
        if let Some(bracket) = self.open.pop() {
            self.out.push(bracket);
        }
        self.comma = true;
        self
    }

    /// Names the member whose value comes next.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.separate();
        quote(self.out, name);
        self.out.push(b':');
        self.comma = false;
        self
    }

    /// A string.
    pub fn str(&mut self, text: &str) -> &mut Self {
        self.separate();
        quote(self.out, text);
        self.comma = true;
        self
    }

    /// A whole number.
    pub fn u64(&mut self, number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b"0123456789"[(rest % 10) as usize];
            rest /= 10;
            if rest == 0 {
                return self.raw(&digits[at..]);
            }
        }
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.raw(if value { b"true" } else { b"false" })
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Self {
        self.raw(b"null")
    }

    /// A value that is JSON already.
    pub fn json(&mut self, value: Json<'_>) -> &mut Self {
        self.raw(value.raw())
    }

    /// Text that is one JSON value already.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(value);
        self.comma = true;
        self
    }

    /// A member that is a string.
    pub fn member_str(&mut self, name: &str, text: &str) -> &mut Self {
        self.name(name).str(text)
    }

    /// A member that is a whole number.
    pub fn member_u64(&mut self, name: &str, number: u64) -> &mut Self {
        self.name(name).u64(number)
    }

    /// A member that is a boolean.
    pub fn member_bool(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name).bool(value)
    }

    /// A member that is JSON already.
    pub fn member_json(&mut self, name: &str, value: Json<'_>) -> &mut Self {
        self.name(name).json(value)
    }

    fn open(&mut self, opening: u8, closing: u8) -> &mut Self {
        self.separate();
        self.out.push(opening);
        self.open.push(closing);
        self.comma = false;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = b"x".to_vec();
        let mut json = JsonWriter::new(&mut out);
        json.object().member_str("a\"", "b\n").member_u64("n", u64::MAX).name("list").array();
        json.u64(0).bool(true).null().object().end().array().end();
        json.end().member_bool("f", false).name("raw").raw(b"1e5").end();
        assert_eq!(out[0], b'x');
        let read: Value = serde_json::from_slice(&out[1..]).unwrap();
        assert_eq!(
            read,
            json!({"a\"": "b\n", "n": u64::MAX, "list": [0, true, null, {}, []], "f": false, "raw": 1e5})
        );
    }
}
