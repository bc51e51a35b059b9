//! Every key of the policy file: where it stands, what it takes, what it is when left out, what it
//! is for.
//!
//! The one list that reading, defaults, diagnostics, `faregate policy explain` and the documents
//! are made from. A key that is not here is refused.

mod cache;
pub(crate) mod money;
mod prices;
mod resilience;
mod routes;
mod rows;
mod server;

use std::time::Duration;

use crate::nearest::nearest;

pub use rows::SECTIONS;

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its path; `*` stands for a name, `[]` for an entry of a list. Empty for the file itself.
    pub path: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What may stand in it.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value when left out, as it would be written without quotes; empty: none.
    pub default: &'static str,
    /// What a right value looks like, as it would be written with quotes.
    pub example: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table with keys of its own.
    Table,
    /// Tables by name.
    Named,
    /// A list of tables, or of texts that stand for one.
    Rows,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count(u64, u64),
    /// Whole percent within bounds.
    Percent(u64, u64),
    /// A duration within bounds.
    Duration(Duration, Duration),
    /// A duration within bounds, or `off`.
    DurationOrOff(Duration, Duration),
    /// A number of bytes within bounds; a bare number counts bytes.
    Bytes(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text.
    Text,
    /// A text or a list of texts.
    Texts,
    /// A limit or a list of them: texts, or the tables that every such list may hold.
    Limits,
    /// A table of texts.
    TextsByName,
    /// A date and time with its offset, or a date.
    Moment,
}

impl Kind {
    /// What it takes, in words: for messages (`must be …`) and documents.
    #[must_use]
    pub fn takes(self) -> String {
        match self {
            Self::Table => "a table".to_owned(),
            Self::Named => "a table of named tables".to_owned(),
            Self::Rows => "a list".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Count(min, max) => format!("a whole number from {min} to {max}"),
            Self::Percent(min, max) => format!("a share from {min}% to {max}%"),
            Self::Duration(min, max) => {
                format!("a duration from {} to {}", written(min), written(max))
            }
            Self::DurationOrOff(min, max) => {
                format!("a duration from {} to {}, or \"off\"", written(min), written(max))
            }
            Self::Bytes(min, max) => format!("a size from {} to {}", size(min), size(max)),
            Self::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Self::Text => "a text in quotes".to_owned(),
            Self::Texts => "a text in quotes, or a list of them".to_owned(),
            Self::Limits => "a limit in quotes, or a list of them and of tables".to_owned(),
            Self::TextsByName => "a table of texts".to_owned(),
            Self::Moment => "a date, or a date and time with its offset".to_owned(),
        }
    }

    /// Whether it holds keys rather than a value.
    #[must_use]
    pub fn is_section(self) -> bool {
        matches!(self, Self::Table | Self::Named | Self::Rows)
    }
}

/// A key as the documents list it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands: `server.deadlines.head`, `providers.*.api_key`, `keys[].hash`.
    pub path: String,
    /// What it takes, its unit included.
    pub unit: String,
    /// Its value when left out; empty: none.
    pub default: &'static str,
    /// What a right value looks like.
    pub example: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// Every key that takes a value, in the order of the documents.
pub fn rows() -> impl Iterator<Item = Row> {
    SECTIONS.iter().flat_map(|section| {
        section.keys.iter().filter(|key| !key.kind.is_section()).map(|key| Row {
            path: join(section.path, key.name),
            unit: key.kind.takes(),
            default: key.default,
            example: key.example,
            help: key.help,
        })
    })
}

/// The keys that `path` means: `server.deadlines.head`, `providers.openai.api_key`, `api_key`.
///
/// # Errors
///
/// There is none; the nearest path, if one is near.
pub fn explain(path: &str) -> Result<Vec<Row>, Option<String>> {
    let asked: Vec<&str> = path.split('.').collect();
    let found: Vec<Row> = rows().filter(|row| is_meant(&row.path, &asked)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let all: Vec<String> = rows().map(|row| row.path).collect();
    let names = all.iter().filter_map(|path| path.rsplit('.').next());
    Err(nearest(path, all.iter().map(String::as_str).chain(names)).map(str::to_owned))
}

/// Whether the end of a row's path is `asked`, with any name for a star.
fn is_meant(row: &str, asked: &[&str]) -> bool {
    let parts: Vec<&str> = row.split('.').collect();
    let Some(start) = parts.len().checked_sub(asked.len()) else { return false };
    parts[start..].iter().zip(asked).all(|(part, asked)| {
        *part == "*" || part == asked || part.strip_suffix("[]") == Some(asked)
    })
}

/// The reference as a page of Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::new();
    for section in SECTIONS.iter().filter(|section| !section.path.is_empty()) {
        let (open, close) = if section.path.ends_with("[]") { ("[[", "]]") } else { ("[", "]") };
        let path = section.path.replace("[]", "").replace('*', "NAME");
        page.push_str(&format!("## `{open}{path}{close}`\n\n{}\n\n", section.help));
        page.push_str("| key | takes | default | what it is for |\n| --- | --- | --- | --- |\n");
        for key in section.keys.iter().filter(|key| !key.kind.is_section()) {
            let default = match key.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            let takes = key.kind.takes();
            page.push_str(&format!("| `{}` | {takes} | {default} | {} |\n", key.name, key.help));
        }
        page.push('\n');
    }
    page
}

/// The section with this path.
///
/// # Panics
///
/// When there is none: paths are written in this crate alone.
pub(crate) fn section(path: &str) -> &'static Section {
    SECTIONS.iter().find(|section| section.path == path).expect("paths are those of SECTIONS")
}

/// The path of a section's key.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Section {
    /// The key with this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// What other gateways call things: the spelling, and what it is here.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("api_base", "base_url = \"…\""),
    ("endpoint", "base_url = \"…\""),
    ("url", "base_url = \"…\""),
    ("token", "api_key = \"env:NAME\""),
    ("secret", "api_key = \"env:NAME\""),
    ("key", "api_key = \"env:NAME\""),
    ("port", "listen = \"127.0.0.1:4000\""),
    ("host", "listen = \"127.0.0.1:4000\""),
    ("bind", "listen = \"127.0.0.1:4000\""),
    ("timeout", "a [….deadlines] table"),
    ("request_timeout", "a [….deadlines] table"),
    ("num_retries", "a [retries] table"),
    ("rpm", "limits = [\"600 requests/min\"]"),
    ("rpm_limit", "limits = [\"600 requests/min\"]"),
    ("tpm", "limits = [\"2M tokens/min\"]"),
    ("tpm_limit", "limits = [\"2M tokens/min\"]"),
    ("max_budget", "limits = [\"$500/month\"]"),
    ("budget_duration", "limits = [\"$500/month\"]"),
    ("max_parallel_requests", "limits = [\"40 concurrent\"]"),
    ("fallbacks", "more than one of targets"),
    ("model_list", "[models.NAME] tables"),
    ("org", "[organisation]"),
    ("organization", "[organisation]"),
    ("allowed_models", "models = [\"…\"]"),
];

/// Keys that stand for what is planned.
pub(crate) const LATER: &[&str] = &[
    "approvals",
    "audit",
    "budget",
    "evals",
    "guards",
    "jurisdiction",
    "jwt",
    "mcp",
    "oidc",
    "residency",
    "roles",
    "tools",
];

/// A duration as it is written: the largest unit that leaves a whole number.
#[must_use]
pub fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, scale) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= scale && millis.is_multiple_of(scale) {
            return format!("{}{unit}", millis / scale);
        }
    }
    format!("{millis}ms")
}

/// A size as it is written: the largest unit that leaves a whole number.
#[must_use]
pub fn size(bytes: u64) -> String {
    for (unit, scale) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{} {unit}", bytes / scale);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_section_hangs_on_a_key_and_is_there_once() {
        let mut seen = HashSet::new();
        for section in SECTIONS {
            assert!(seen.insert(section.path), "{} is there twice", section.path);
            let names: HashSet<_> = section.keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), section.keys.len(), "a key of {} is there twice", section.path);
            if section.path.is_empty() || section.path.starts_with('…') {
                continue;
            }
            let path = section.path.trim_end_matches(".*").trim_end_matches("[]");
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            let key = super::section(parent).key(name).unwrap();
            let expected = match section.path {
                path if path.ends_with(".*") => Kind::Named,
                path if path.ends_with("[]") => Kind::Rows,
                _ => Kind::Table,
            };
            assert_eq!(key.kind, expected, "{}", section.path);
        }
    }

    #[test]
    fn every_key_says_what_it_is_for_and_shows_a_value() {
        for section in SECTIONS {
            assert!(!section.help.is_empty(), "{}", section.path);
            for key in section.keys {
                assert!(!key.help.is_empty(), "{}.{}", section.path, key.name);
                assert!(key.kind.is_section() || !key.example.is_empty(), "{}", key.name);
                assert!(!LATER.contains(&key.name) || section.path == "retries", "{}", key.name);
            }
        }
    }

    #[test]
    fn a_key_is_explained_by_its_path_or_its_name() {
        let paths = |asked| explain(asked).unwrap().into_iter().map(|row| row.path);
        assert!(paths("server.deadlines.head").eq(["server.deadlines.head"]));
        assert!(paths("providers.openai.api_key").eq(["providers.*.api_key"]));
        assert!(paths("keys.hash").eq(["keys[].hash"]));
        assert_eq!(paths("limits").count(), 10);
        assert_eq!(explain("api_kei"), Err(Some("api_key".to_owned())));
        assert_eq!(explain("server.lisen"), Err(Some("server.listen".to_owned())));
        assert_eq!(explain("colour of the sky"), Err(None));
    }

    #[test]
    fn the_page_has_every_key() {
        let page = markdown();
        for row in rows() {
            assert!(page.contains(row.help), "{}", row.path);
        }
        assert!(
            page.lines()
                .filter(|line| line.starts_with('|'))
                .all(|line| { line.matches('|').count() == 5 })
        );
    }

    #[test]
    fn quantities_are_written_with_their_largest_unit() {
        assert_eq!(written(Duration::from_millis(250)), "250ms");
        assert_eq!(written(Duration::from_secs(90)), "90s");
        assert_eq!(written(Duration::from_secs(86_400)), "1d");
        assert_eq!(
            (size(1000), size(64 << 10), size(1 << 30)),
            ("1000 B".into(), "64 KiB".into(), "1 GiB".into())
        );
    }
}
