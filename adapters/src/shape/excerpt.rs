//! What the last question looks like, from its first and last bytes.

use super::fences;

/// Bytes that are looked at, at the start of a question and at its end.
pub const EXCERPT_BYTES: usize = 512;

/// What a text looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excerpt {
    /// Bytes of the whole text as it is written.
    pub bytes: usize,
    /// Bytes that were looked at.
    pub seen: usize,
    /// Words among them.
    pub words: u32,
    /// Words that come with hard work: `prove`, `refactor`, …
    pub hard: u32,
    /// Words that come with easy work: `translate`, `thanks`, …
    pub easy: u32,
    /// Question marks.
    pub questions: u32,
    /// Ends of lines.
    pub lines: u32,
    /// Digits and signs of formulas.
    pub figures: u32,
    /// Brackets, semicolons and the like.
    pub code: u32,
    /// Code fences of the whole text.
    pub fences: u32,
}

/// How words begin that come with hard work, in lower case, cut after [`STEM`] letters.
const HARD: &[&str] = &[
    "algori", "analy", "analyz", "analys", "archit", "bug", "compil", "comple", "concur", "crash",
    "deadlo", "debug", "derive", "design", "diagno", "effici", "equati", "eviden", "exploi",
    "formal", "implem", "infer", "integr", "invari", "invest", "latenc", "lemma", "migrat",
    "optim", "optimi", "proof", "prove", "reason", "refact", "regres", "rigoro", "simula", "solve",
    "strate", "theore", "thorou", "tradeo", "why",
];

/// How words begin that come with easy work.
const EASY: &[&str] = &[
    "bye", "catego", "classi", "extrac", "format", "greet", "hello", "hey", "hi", "list", "lowerc",
    "ok", "paraph", "rephra", "rewrit", "sentim", "spell", "summar", "tag", "thank", "thanks",
    "title", "transl", "upperc", "yes",
];

/// Letters of a word that are compared.
const STEM: usize = 6;

const SLOTS: usize = 512;

/// Stems by their hash, zero where there is none, with one more bit for those of easy work.
static TABLE: [u64; SLOTS] = table();

impl Excerpt {
    /// Looks at a text as JSON spells it, without its quotes.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let fences = u32::try_from(fences(text)).unwrap_or(u32::MAX);
        let mut excerpt = Self { bytes: text.len(), fences, ..Self::default() };
        if text.len() <= 2 * EXCERPT_BYTES {
            excerpt.look(text);
        } else {
            excerpt.look(&text[..EXCERPT_BYTES]);
            excerpt.look(&text[text.len() - EXCERPT_BYTES..]);
        }
        excerpt
    }

    fn look(&mut self, text: &[u8]) {
        self.seen += text.len();
        let mut bytes = text.iter();
        let (mut stem, mut letters) = (0_u64, 0_usize);
        while let Some(&byte) = bytes.next() {
            if byte.is_ascii_alphabetic() {
                if letters < STEM {
                    stem = stem << 8 | u64::from(byte | 0x20);
                }
                letters += 1;
                continue;
            }
            if letters > 0 {
                self.word(stem);
                (stem, letters) = (0, 0);
            }
            match byte {
                b'\\' => self.lines += u32::from(bytes.next() == Some(&b'n')),
                b'?' => self.questions += 1,
                b'0'..=b'9' | b'+' | b'^' | b'%' => self.figures += 1,
                b'{' | b'}' | b'(' | b')' | b'[' | b']' | b';' | b'=' | b'<' | b'>' | b'_' => {
                    self.code += 1;
                }
                _ => {}
            }
        }
        if letters > 0 {
            self.word(stem);
        }
    }

    fn word(&mut self, stem: u64) {
        self.words += 1;
        let mut slot = slot(stem);
        loop {
            let found = TABLE[slot];
            if found >> 1 == stem {
                let is_easy = found & 1 == 1;
                self.easy += u32::from(is_easy);
                self.hard += u32::from(!is_easy);
                return;
            }
            if found == 0 {
                return;
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

const fn slot(stem: u64) -> usize {
    // The upper nine bits of a product name a slot.
    (stem.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize
}

const fn table() -> [u64; SLOTS] {
    let mut table = [0; SLOTS];
    let lists = [HARD, EASY];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let stem = stem_of(lists[list][at].as_bytes());
            let mut slot = slot(stem);
            while table[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            table[slot] = stem << 1 | list as u64;
            at += 1;
        }
        list += 1;
    }
    table
}

const fn stem_of(word: &[u8]) -> u64 {
    assert!(!word.is_empty() && word.len() <= STEM, "a stem that is never compared");
    let (mut stem, mut at) = (0, 0);
    while at < word.len() {
        stem = stem << 8 | word[at] as u64;
        at += 1;
    }
    stem
}
