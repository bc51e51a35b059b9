//! How far the arguments of a call have come, read as they arrive in pieces.
//!
//! In: fragments of JSON. Out: whether the object is whole. State: depth, and whether a string is open.

/// How far a JSON object has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    is_whole: bool,
}

impl Progress {
    /// More of its text.
    pub(crate) fn feed(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_text => self.is_escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether it has ended.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_whole_behind_its_last_brace_wherever_it_is_cut() {
        let text = r#" {"a":"}\"]","b":[{"c":1}]}"#;
        for cut in 1..text.len() {
            let mut progress = Progress::default();
            progress.feed(&text[..cut]);
            assert!(!progress.is_whole(), "{cut}");
            progress.feed(&text[cut..]);
            assert!(progress.is_whole(), "{cut}");
        }
    }
}
