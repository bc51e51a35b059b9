//! What is wrong with a policy: where, why, and what would be right.
//!
//! Rendered as compilers do: `file:line:column: reason`, the line, carets under what is meant,
//! help. What may be a secret is not repeated.

use std::{fmt, ops::Range};

/// Problems that are written out; of more only the number is given.
pub const PROBLEMS_SHOWN_MAX: usize = 100;

/// Characters of a line that are shown.
const LINE_CHARS_MAX: usize = 140;

/// Characters of a shown line before the carets, when it is cut.
const LEAD_CHARS: usize = 40;

/// Characters of a reason or a help.
const MESSAGE_CHARS_MAX: usize = 600;

/// A word that is at least this long, and begins as keys do, may be one.
const SECRET_CHARS_MIN: usize = 20;

/// A word that is at least this long, and looks random, may be a secret.
const RANDOM_CHARS_MIN: usize = 32;

/// What keys begin with.
const KEY_STARTS: &[&str] = &["sk-", "fg-", "gsk_", "xai-", "pk-", "csk-", "hf_", "AIza", "nvapi-"];

/// Problems that are kept.
pub(crate) const PROBLEMS_MAX: usize = 1000;

/// One mistake in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: Box<str>,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// What is wrong: lower case, without a full stop.
    pub reason: String,
    /// What would be right.
    pub help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// Everything that is wrong with a policy. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// A line, and what is meant in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    shown: String,
    /// White space up to the carets.
    lead: String,
    carets: usize,
}

impl Problem {
    /// A mistake at `span` of `text`; in the lines shown, `secrets` are masked.
    pub(crate) fn at(
        (file, text): (&str, &str),
        span: Range<usize>,
        secrets: &[Range<usize>],
        (reason, help): (String, Option<String>),
    ) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line = masked(text, line_start..line_end, secrets);
        let lead = text[line_start..start].chars().count();
        let width = text[start..end.min(line_end)].chars().count().max(1);
        let (reason, help) = (cleaned(&reason), help.as_deref().map(cleaned));
        Self {
            file: file.into(),
            line: text[..line_start].bytes().filter(|&b| b == b'\n').count() + 1,
            column: lead + 1,
            reason,
            help,
            excerpt: Some(Excerpt::new(&line, lead, width)),
        }
    }

    /// A mistake of the file as a whole.
    pub(crate) fn of_file(file: &str, (reason, help): (String, Option<String>)) -> Self {
        let (reason, help) = (cleaned(&reason), help.as_deref().map(cleaned));
        Self { file: file.into(), line: 0, column: 0, reason, help, excerpt: None }
    }
}

impl Excerpt {
    fn new(line: &[char], lead: usize, width: usize) -> Self {
        let from = if line.len() > LINE_CHARS_MAX { lead.saturating_sub(LEAD_CHARS) } else { 0 };
        let to = line.len().min(from + LINE_CHARS_MAX);
        let cut = |end: bool| if end { "…" } else { "" };
        let shown: String = line[from..to].iter().collect();
        let before = line[from..lead.min(line.len())].iter();
        let blank = |&c: &char| if c == '\t' { '\t' } else { ' ' };
        Self {
            shown: format!("{}{shown}{}", cut(from > 0), cut(to < line.len())),
            lead: cut(from > 0).chars().map(|_| ' ').chain(before.map(blank)).collect(),
            carets: width.min((from + LINE_CHARS_MAX).saturating_sub(lead)).max(1),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)?;
        } else {
            writeln!(f, "{}: {}", self.file, self.reason)?;
        }
        let gutter = if self.line > 0 { self.line.to_string().len() } else { 1 };
        if let Some(excerpt) = &self.excerpt {
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{} | {}", self.line, excerpt.shown)?;
            writeln!(f, "{:gutter$} | {}{}", "", excerpt.lead, "^".repeat(excerpt.carets))?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.0.iter().take(PROBLEMS_SHOWN_MAX) {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            count if count > PROBLEMS_SHOWN_MAX => {
                let more = if count >= PROBLEMS_MAX { " or more" } else { "" };
                write!(f, "{count} problems{more}, {PROBLEMS_SHOWN_MAX} of them shown")
            }
            count => write!(f, "{count} problems"),
        }
    }
}

impl std::error::Error for Problems {}

/// The nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A message without control characters, without what may be a secret, and of bounded length.
fn cleaned(message: &str) -> String {
    let mut chars = masked(message, 0..message.len(), &[]);
    if chars.len() > MESSAGE_CHARS_MAX {
        chars.truncate(MESSAGE_CHARS_MAX);
        chars.push('…');
    }
    chars.into_iter().collect()
}

/// The characters of a line, with control characters replaced and with stars for what may be a
/// secret.
fn masked(text: &str, line: Range<usize>, secrets: &[Range<usize>]) -> Vec<char> {
    let mut chars: Vec<char> = text[line.clone()]
        .char_indices()
        .map(|(at, c)| match c {
            _ if secrets.iter().any(|secret| secret.contains(&(line.start + at))) => '*',
            '\t' => '\t',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let mut before = String::new();
    for word in chars.chunk_by_mut(|a, b| is_word(*a) == is_word(*b)) {
        if looks_secret(word, &before) {
            word[3..].fill('*');
        }
        before = if before == "sha256" { "sha256:".to_owned() } else { word.iter().collect() };
    }
    chars
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether a word of a line, behind another, may be a secret: it begins as keys do, or it is long,
/// has digits, few separators, and is no hash.
fn looks_secret(word: &[char], before: &str) -> bool {
    let has_digit = word.iter().any(char::is_ascii_digit);
    let begins = |start: &&str| word.iter().copied().zip(start.chars()).all(|(a, b)| a == b);
    if word.len() < SECRET_CHARS_MIN || !has_digit {
        return false;
    }
    if KEY_STARTS.iter().any(begins) {
        return true;
    }
    let separators = word.iter().filter(|c| matches!(c, '-' | '_')).count();
    let is_hash = before == "sha256:" || word.iter().all(char::is_ascii_hexdigit);
    word.len() >= RANDOM_CHARS_MIN && separators <= word.len() / 16 && !is_hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, span: Range<usize>, expected: &str) {
        let why = ("this is wrong".to_owned(), Some("do it right".to_owned()));
        let problem = Problem::at(("p.toml", text), span, &[], why);
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn the_carets_stand_under_what_is_meant() {
        check(
            "a = 1\n\tbé = \"x\"\n",
            13..16,
            "p.toml:2:7: this is wrong\n  |\n2 | \tbé = \"x\"\n  | \t     ^^^\n  = help: do it right\n",
        );
    }

    #[test]
    fn the_end_of_the_file_has_a_place() {
        check(
            "a = 1",
            5..9,
            "p.toml:1:6: this is wrong\n  |\n1 | a = 1\n  |      ^\n  = help: do it right\n",
        );
        check("", 0..0, "p.toml:1:1: this is wrong\n  |\n1 | \n  | ^\n  = help: do it right\n");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = format!("{}X{}", "a ".repeat(400), " b".repeat(400));
        let problem = Problem::at(("p", &text), 800..801, &[], ("r".into(), None));
        let shown = problem.to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() < 160), "{shown}");
        let caret = lines[3].chars().position(|c| c == '^');
        assert_eq!(lines[2].chars().position(|c| c == 'X'), caret, "{shown}");
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let text = "api_key = \"sk-proj4n7Gq2Zx81LmPq0rT5\" # x";
        let problem = Problem::at(("p", text), 0..7, &[], ("r".into(), None));
        assert!(problem.to_string().contains("\"sk-*"), "{problem}");
        assert!(!problem.to_string().contains("n7Gq2"), "{problem}");
        let hidden = std::slice::from_ref(&(5..7));
        let short = Problem::at(("p", "k = \"pw\""), 0..1, hidden, ("r".into(), None));
        assert!(short.to_string().contains("k = \"**\""), "{short}");
    }

    #[test]
    fn hashes_and_model_names_are_shown() {
        for text in [
            "sha256:3b4c5d6e7f80912233445566778899aa",
            "sha256:3b4c5d6e7f80912233445566778899xx",
            "claude-3-5-sonnet-20241022-v2",
            "nemotron-4-340b-instruct",
            "qwen3-coder-480b-a35b-instruct-fp8",
        ] {
            let problem = Problem::at(("p", text), 0..1, &[], ("r".into(), None));
            assert!(problem.to_string().contains(text), "{problem}");
        }
    }
}
