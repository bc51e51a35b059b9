//! A text, cut into words, numbers, names and marks.
//!
//! In: a text as somebody typed it. Out: [`Token`]s; what is no plain word or number is one token, letter for letter: code,
//! quotations, addresses, paths, names with digits. Nothing is remembered, and nothing is left out but white space.

pub mod quantity;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Letters, with hyphens and apostrophes between them.
    Word,
    /// A number, its digits as they stand.
    Number,
    /// A day, month or year that is written as one.
    Date,
    /// A time of day.
    Time,
    /// What a number counts: a unit, a currency, per cent.
    Unit,
    /// Anything that must be the same letter for letter: code, quotations, addresses, names with digits.
    Verbatim,
    /// Punctuation.
    Mark,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As it is compared.
    pub text: String,
    /// Whether it is the first of a sentence, where a capital says nothing.
    pub opens: bool,
}

impl Token {
    /// A token inside of a sentence.
    #[must_use]
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), opens: false }
    }

    /// Whether it is this word, as it stands.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Whether it is this mark.
    #[must_use]
    pub fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Pairs of marks around what is quoted.
const QUOTES: [(char, char); 7] =
    [('`', '`'), ('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('‘', '’'), ('\'', '\'')];

/// Marks that open a piece, and those that close one.
const OPENING: [char; 5] = ['(', '[', '{', '¿', '¡'];
const CLOSING: [char; 10] = ['.', ',', ';', ':', '!', '?', ')', ']', '}', '…'];

/// Cuts `text` into tokens.
#[must_use]
pub fn cut(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if let Some((quoted, behind)) = quoted(rest, first) {
            push(&mut tokens, Kind::Verbatim, quoted);
            rest = behind;
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (chunk, behind) = rest.split_at(end);
        // A quotation that begins inside of a chunk begins a piece of its own.
        let inside = chunk.char_indices().skip(1).find(|&(at, c)| opens_quote(c, chunk, at));
        match inside {
            Some((at, _)) => {
                piece(&mut tokens, &chunk[..at]);
                rest = &rest[at..];
            }
            None => {
                piece(&mut tokens, chunk);
                rest = behind;
            }
        }
    }
    tokens
}

/// Whether a quotation begins at `at`: an apostrophe inside of a word is none.
fn opens_quote(c: char, chunk: &str, at: usize) -> bool {
    let is_apostrophe = matches!(c, '\'' | '’' | '‘');
    let before = chunk[..at].chars().next_back();
    QUOTES.iter().any(|(open, _)| *open == c) && !(is_apostrophe && before != Some('('))
}

/// The quotation that `rest` begins with, marks included, and what stands behind it.
fn quoted(rest: &str, first: char) -> Option<(&str, &str)> {
    if let Some(code) = rest.strip_prefix("```") {
        let end = code.find("```").map_or(rest.len(), |at| at + 6);
        return Some(rest.split_at(end));
    }
    let (open, close) = QUOTES.iter().find(|(open, _)| *open == first)?;
    let inner = &rest[open.len_utf8()..];
    let is_apostrophe = matches!(first, '\'' | '‘');
    let end = inner.char_indices().find(|&(at, c)| {
        let next = inner[at + c.len_utf8()..].chars().next();
        c == *close && !(is_apostrophe && next.is_some_and(char::is_alphanumeric))
    });
    match end {
        Some((at, _)) => Some(rest.split_at(open.len_utf8() + at + close.len_utf8())),
        // A quotation without an end goes on to the text's, but a lone apostrophe is part of a word.
        None if is_apostrophe => None,
        None => Some((rest, "")),
    }
}

/// Cuts what stands between white space.
fn piece(tokens: &mut Vec<Token>, chunk: &str) {
    let mut core = chunk;
    while let Some(c) = core.chars().next().filter(|c| OPENING.contains(c)) {
        push(tokens, Kind::Mark, &core[..c.len_utf8()]);
        core = &core[c.len_utf8()..];
    }
    let whole = core;
    let is_abbreviation = |text: &str| {
        text.strip_suffix('.').is_some_and(|inner| {
            inner.contains('.') && inner.split('.').all(|part| part.chars().count() == 1)
        })
    };
    while !is_abbreviation(core) {
        let Some(c) = core.chars().next_back().filter(|c| CLOSING.contains(c)) else { break };
        core = &core[..core.len() - c.len_utf8()];
    }
    if !core.is_empty() {
        core_piece(tokens, core);
    }
    for c in whole[core.len()..].chars() {
        let mut buffer = [0; 4];
        push(tokens, Kind::Mark, c.encode_utf8(&mut buffer));
    }
}

fn core_piece(tokens: &mut Vec<Token>, core: &str) {
    if is_word(core) {
        let plain: String = core.chars().map(|c| if c == '’' { '\'' } else { c }).collect();
        push(tokens, Kind::Word, &plain);
    } else if let Some(found) = quantity::read(core) {
        for token in found {
            push(tokens, token.kind, &token.text);
        }
    } else if core.chars().all(|c| matches!(c, '-' | '–' | '—' | '/' | '&' | '+' | '=')) {
        push(tokens, Kind::Mark, core);
    } else {
        push(tokens, Kind::Verbatim, core);
    }
}

/// Letters, with hyphens and apostrophes between them.
fn is_word(text: &str) -> bool {
    let is_joint = |c: char| matches!(c, '-' | '\'' | '’');
    let ends = [text.chars().next(), text.chars().next_back()];
    ends.iter().all(|end| end.is_some_and(|c| !is_joint(c)))
        && text.chars().all(|c| c.is_alphabetic() || is_joint(c))
}

fn push(tokens: &mut Vec<Token>, kind: Kind, text: &str) {
    let opens = tokens.iter().rev().find(|token| !is_opening(token)).is_none_or(ends_sentence);
    tokens.push(Token { kind, text: text.to_owned(), opens });
}

fn is_opening(token: &Token) -> bool {
    token.kind == Kind::Mark && token.text.chars().all(|c| OPENING.contains(&c))
}

fn ends_sentence(token: &Token) -> bool {
    token.kind == Kind::Mark && matches!(token.text.as_str(), "." | "!" | "?" | "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(Kind, &str)]) {
        let found: Vec<(Kind, String)> =
            cut(text).into_iter().map(|token| (token.kind, token.text)).collect();
        let expected: Vec<(Kind, String)> =
            expected.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_and_marks_are_cut_apart() {
        use Kind::{Mark, Word};
        check(
            "Hello, how do I sign-in (again)?",
            &[
                (Word, "Hello"),
                (Mark, ","),
                (Word, "how"),
                (Word, "do"),
                (Word, "I"),
                (Word, "sign-in"),
                (Mark, "("),
                (Word, "again"),
                (Mark, ")"),
                (Mark, "?"),
            ],
        );
        check("Don’t stop", &[(Word, "Don't"), (Word, "stop")]);
    }

    #[test]
    fn what_is_no_word_stays_letter_for_letter() {
        use Kind::{Mark, Verbatim, Word};
        check(
            "Run `rm -rf x` in ~/Data, mail a@b.org!",
            &[
                (Word, "Run"),
                (Verbatim, "`rm -rf x`"),
                (Word, "in"),
                (Verbatim, "~/Data"),
                (Mark, ","),
                (Word, "mail"),
                (Verbatim, "a@b.org"),
                (Mark, "!"),
            ],
        );
        check("say 'hi there' now", &[(Word, "say"), (Verbatim, "'hi there'"), (Word, "now")]);
        check("C++ or C#", &[(Verbatim, "C++"), (Word, "or"), (Verbatim, "C#")]);
        check("the U.S. army", &[(Word, "the"), (Verbatim, "U.S."), (Word, "army")]);
        check("print(\"a b\")", &[(Verbatim, "print("), (Verbatim, "\"a b\""), (Mark, ")")]);
    }

    #[test]
    fn nothing_but_white_space_is_left_out() {
        for text in ["a 'b", "x \"y z", "```\ncode", "¿qué?", "(((", "“", "''", "5'10\"", "a-", "…"]
        {
            let kept: String = cut(text).into_iter().map(|token| token.text).collect();
            let strip = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(strip(&kept), strip(text), "{text}");
        }
    }
}
