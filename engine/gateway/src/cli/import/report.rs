//! What became of a file: what differs, what was left out, what waits for a hand.
//!
//! In: findings, each with its place. Out: lines for the terminal and comments for the policy. Values of the file are never
//! repeated, since any of them may be a secret.

use std::fmt::Write;

use super::tree::Node;

/// Places that are named of findings that say the same.
const PLACES_SHOWN_MAX: usize = 6;

/// Findings that are kept; a file that has more is no configuration.
const FINDINGS_MAX: usize = 1000;

/// What became of a part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It waits for somebody to do something.
    Todo,
    /// Nothing of the policy says it.
    Lost,
    /// It was carried, and is not quite the same.
    Differs,
    /// It needs no equivalent.
    Needless,
}

impl Fate {
    /// The word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Todo => "to do",
            Self::Lost => "not carried",
            Self::Differs => "differs",
            Self::Needless => "not needed",
        }
    }
}

/// What becomes of parts that nobody reads: the start of their path, or with a dot before it their last key.
pub(super) type Reason = (&'static str, Fate, &'static str);

/// Something that is worth saying of a place.
#[derive(Debug)]
struct Finding {
    fate: Fate,
    /// The path, without numbers of entries.
    kind: String,
    /// The first path.
    path: String,
    lines: Vec<usize>,
    text: String,
}

/// All that is worth saying.
#[derive(Debug)]
pub(super) struct Report {
    file: String,
    findings: Vec<Finding>,
    /// How many have had no room.
    more: usize,
}

impl Report {
    /// Nothing yet, of this file.
    pub(super) fn new(file: &str) -> Self {
        Self { file: clean(file), findings: Vec::new(), more: 0 }
    }

    /// Notes what became of a node, all of which counts as read.
    pub(super) fn note(&mut self, node: &Node, fate: Fate, text: impl Into<String>) {
        node.take();
        self.say(node, fate, text);
    }

    /// Notes something of a node whose parts are looked at all the same.
    pub(super) fn say(&mut self, node: &Node, fate: Fate, text: impl Into<String>) {
        self.add(fate, &node.path, node.line, text.into());
    }

    /// Says of each part that nobody read why: of a part that is known, or else of each part of it.
    pub(super) fn left_over(&mut self, root: &Node, reasons: &[Reason]) {
        root.unread(&mut |node| match reason(&node.path, reasons) {
            Some((fate, text)) => self.note(node, fate, text),
            None if node.is_map() => {
                node.members().iter().for_each(|(_, node)| self.left_over(node, reasons));
            }
            None => self.note(node, Fate::Lost, "nothing of the policy says this"),
        });
    }

    /// Whether all of the file is in the policy.
    pub(super) fn is_whole(&self) -> bool {
        self.more == 0
            && !self.findings.iter().any(|finding| matches!(finding.fate, Fate::Todo | Fate::Lost))
    }

    /// How many findings of a fate there are.
    pub(super) fn count(&self, fate: Fate) -> usize {
        self.findings.iter().filter(|finding| finding.fate == fate).count()
    }

    /// Lines, the weightiest first.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut order: Vec<&Finding> = self.findings.iter().collect();
        order.sort_by_key(|finding| (finding.fate, finding.lines.first().copied()));
        let mut lines: Vec<String> = order.into_iter().map(|finding| self.line(finding)).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines
    }

    fn add(&mut self, fate: Fate, path: &str, line: usize, text: String) {
        let kind = without_numbers(path);
        let full = self.findings.len() >= FINDINGS_MAX;
        let same = |finding: &&mut Finding| {
            finding.fate == fate && finding.kind == kind && finding.text == text
        };
        match self.findings.iter_mut().find(same) {
            Some(finding) if finding.lines.last() != Some(&line) => finding.lines.push(line),
            Some(_) => {}
            None if full => self.more += 1,
            None => {
                let (path, lines) = (clean(path), vec![line]);
                self.findings.push(Finding { fate, kind, path, lines, text: clean(&text) });
            }
        }
    }

    fn line(&self, finding: &Finding) -> String {
        let (first, more) = finding.lines.split_first().unwrap_or((&0, &[]));
        let path = if more.is_empty() { &finding.path } else { &clean(&finding.kind) };
        let mut line = format!("{}: {}:{first} {path}", finding.fate.word(), self.file);
        if !more.is_empty() {
            let shown: Vec<String> =
                more.iter().take(PLACES_SHOWN_MAX).map(ToString::to_string).collect();
            let rest = more.len().saturating_sub(PLACES_SHOWN_MAX);
            let _ = write!(line, " (also line {}", shown.join(", "));
            let _ = match rest {
                0 => write!(line, ")"),
                rest => write!(line, " and {rest} more)"),
            };
        }
        let _ = write!(line, ": {}", finding.text);
        line
    }
}

/// What becomes of the part at this path; `None` when nothing is known of it.
fn reason(path: &str, reasons: &[Reason]) -> Option<(Fate, &'static str)> {
    let fits = |(part, _, _): &&Reason| match part.strip_prefix('.') {
        Some(key) => path.rsplit('.').next() == Some(key),
        None => path.starts_with(part),
    };
    reasons.iter().find(fits).map(|(_, fate, text)| (*fate, *text))
}

/// A text without what would end a comment or move a terminal's cursor.
pub(super) fn clean(text: &str) -> String {
    const CHARS_MAX: usize = 400;
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `a[0].b[12].c` as `a[].b[].c`.
fn without_numbers(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside && c.is_ascii_digit() => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{super::tree, *};

    #[test]
    fn what_is_said_of_many_places_is_said_once() {
        let root = tree::read("a:\n- rpm: 1\n- rpm: 2\n- rpm: 3\nb: 4\n").unwrap();
        let mut report = Report::new("x.yaml");
        for entry in root.get("a").unwrap().entries() {
            report.note(entry.get("rpm").unwrap(), Fate::Lost, "no limit of a target");
        }
        assert!(!report.is_whole());
        report.note(root.get("b").unwrap(), Fate::Differs, "almost");
        assert_eq!(
            report.lines(),
            [
                "not carried: x.yaml:2 a[].rpm (also line 3, 4): no limit of a target",
                "differs: x.yaml:5 b: almost"
            ]
        );
    }

    #[test]
    fn a_reason_is_found_by_the_start_of_a_path_or_its_last_key() {
        let reasons = [("a.cache", Fate::Lost, "one"), (".mode", Fate::Needless, "two")];
        let root = tree::read("a: {cache: {x: 1}, other: {y: 2, mode: 3}}").unwrap();
        let mut report = Report::new("x.yaml");
        report.left_over(&root, &reasons);
        let expected = [
            "not carried: x.yaml:1 a.cache: one",
            "not carried: x.yaml:1 a.other.y: nothing of the policy says this",
            "not needed: x.yaml:1 a.other.mode: two",
        ];
        assert_eq!(report.lines(), expected);
    }

    #[test]
    fn a_report_is_one_line_a_finding_whatever_the_file_holds() {
        assert_eq!(clean("a\nb\u{1b}[2J"), "a b [2J");
        assert_eq!(without_numbers("a[0].b[12].c"), "a[].b[].c");
    }
}
