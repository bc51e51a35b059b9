//! Text as it stands in the strings of chats: words, line ends, quotes, code, and letters beyond ASCII.
//!
//! In: how many bytes. Out: so many, valid inside of a JSON string. The same sequence for the same seed.

/// Words, each valid inside of a JSON string. About one in ten has an escape, one in ten is not ASCII.
const WORDS: [&str; 30] = [
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
    state: u64,
}

impl Prose {
    /// Words that depend on `seed` alone.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
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
        let place = (self.state >> 33) % WORDS.len() as u64;
        usize::try_from(place).map_or(WORDS[0], |place| WORDS[place])
    }
}
