//! Text as it stands in the strings of chats: words, line ends, quotes, code, and letters beyond ASCII.
//!
//! In: a style, how many bytes. Out: so many, valid inside of a JSON string. The same sequence for the same seed.

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// English, with an escape every hundred bytes or so: a line end or a quote.
    Plain,
    /// Code and other scripts: an escape every forty bytes or so, and one word of ten beyond ASCII.
    Dense,
}

/// Words of [`Style::Plain`], each valid inside of a JSON string.
const PLAIN: [&str; 30] = [
    "the",
    "request",
    "of",
    "a",
    "caller",
    "goes",
    "to",
    "one",
    "target",
    "and",
    "is",
    "settled",
    "when",
    "its",
    "answer",
    "has",
    "ended;",
    "then",
    "we",
    "look",
    "for",
    "another",
    "provider,",
    "that",
    "may",
    "serve",
    "it.",
    "usage:",
    "\\n\\n",
    "said:",
];

/// Words of [`Style::Dense`], each valid inside of a JSON string.
const DENSE: [&str; 30] = [
    "the",
    "request",
    "of",
    "a",
    "caller",
    "goes",
    "to",
    "one",
    "target",
    "and",
    "is",
    "settled",
    "when",
    "its",
    "answer",
    "has",
    "ended;",
    "then",
    "we",
    "look",
    "for",
    "fn main() { let x = 1; }",
    "[1, 2, 3]",
    "usage:",
    "\\n\\n",
    "\\\"quoted\\\"",
    "\\tindented",
    "für",
    "数据",
    "naïve",
];

/// A source of words.
#[derive(Clone, Debug)]
pub(super) struct Prose {
    words: &'static [&'static str],
    state: u64,
}

impl Prose {
    /// Words that depend on `style` and `seed` alone.
    pub(super) fn new(style: Style, seed: u64) -> Self {
        let words = match style {
            Style::Plain => &PLAIN,
            Style::Dense => &DENSE,
        };
        Self { words, state: seed }
    }

    /// Appends exactly `bytes` bytes of text.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, bytes: usize) {
        let end = out.len() + bytes;
        loop {
            let word = self.word();
            if out.len() + word.len() + 1 > end {
                break;
            }
            out.extend_from_slice(word.as_bytes());
            out.push(b' ');
        }
        out.resize(end, b'.');
    }

    fn word(&mut self) -> &'static str {
        // Knuth's MMIX generator; its high bits are good enough for words.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let place = (self.state >> 33) % self.words.len() as u64;
        usize::try_from(place).map_or(self.words[0], |place| self.words[place])
    }
}
