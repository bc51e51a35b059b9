//! A table of the file, read key by key as the reference says.
//!
//! A value that is not what its key takes is noted, and the default stands in for it, so that
//! reading goes on.

use std::time::Duration;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Reader, Span, Word};
use crate::{
    nearest::nearest,
    reference::{self, ELSEWHERE, Key, Kind, LATER},
    units::{self, NotAQuantity},
};

/// What the names of secrets contain.
const SECRET_WORDS: &[&str] = &["key", "token", "secret", "pass", "auth"];

type Value<'d> = Spanned<DeValue<'d>>;

/// A table of the file, or the absence of one.
#[derive(Clone)]
pub(crate) struct Section<'r, 'd> {
    reader: &'r Reader<'d>,
    keys: &'static reference::Section,
    /// The path as the file has it: `providers.openai`.
    pub(crate) path: String,
    /// Where its name stands.
    pub(crate) span: Span,
    table: Option<&'d DeTable<'d>>,
}

/// An entry of a list of tables.
pub(crate) enum Entry<'r, 'd> {
    /// A text that stands for a table.
    Text(Word<'d>),
    /// A table.
    Table(Section<'r, 'd>),
}

impl<'r, 'd> Section<'r, 'd> {
    /// The file itself.
    pub(crate) fn root(reader: &'r Reader<'d>, table: &'d DeTable<'d>) -> Self {
        Self::open(reader, "", String::new(), 0..0, Some(table))
    }

    fn open(
        reader: &'r Reader<'d>,
        at: &str,
        path: String,
        span: Span,
        table: Option<&'d DeTable<'d>>,
    ) -> Self {
        let section = Self { reader, keys: reference::section(at), path, span, table };
        section.refuse_unknown();
        section
    }

    /// Whether it stands in the file.
    pub(crate) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Where the value of `key` stands, if it does.
    pub(crate) fn given(&self, key: &str) -> Option<Span> {
        self.value(key).map(Spanned::span)
    }

    /// Notes that `key` is needed and not there.
    pub(crate) fn missing(&self, key: &str) {
        let row = self.key(key);
        self.reader.wrong(
            &self.span,
            format!("{} has no {key}", self.called()),
            format!("for example: {key} = {}", row.example),
        );
    }

    /// A table with keys of its own; an empty one when it is not there.
    pub(crate) fn table(&self, key: &str) -> Self {
        let at = reference::join(self.keys.path, key);
        let path = reference::join(&self.path, key);
        let found = self.value(key).and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some((table, value.span())),
            _ => self.mismatch(key, value),
        });
        let span = found.as_ref().map_or_else(|| self.span.clone(), |(_, span)| span.clone());
        Self::open(self.reader, &at, path, span, found.map(|(table, _)| table))
    }

    /// Tables by name, in the order of the file.
    pub(crate) fn named(&self, key: &str) -> Vec<(Word<'d>, Self)> {
        let at = format!("{}.*", reference::join(self.keys.path, key));
        let mut found = Vec::new();
        for (name, value) in self.entries(key) {
            let path =
                format!("{}.{}", reference::join(&self.path, key), bare_or_quoted(name.text));
            match value.get_ref() {
                DeValue::Table(table) => {
                    let span = name.span.clone();
                    found.push((name, Self::open(self.reader, &at, path, span, Some(table))));
                }
                other => self.reader.wrong(
                    &value.span(),
                    format!("`{path}` must be a table, not {}", a(other)),
                    format!("write its keys below [{path}]"),
                ),
            }
        }
        found
    }

    /// A table of texts, in the order of the file.
    pub(crate) fn texts_by_name(&self, key: &str) -> Vec<(Word<'d>, Word<'d>)> {
        let entries = self.entries(key).into_iter();
        entries.filter_map(|(name, value)| Some((name, self.word(key, value)?))).collect()
    }

    /// A list of tables, or of texts that stand for one.
    pub(crate) fn rows(&self, key: &str) -> Vec<Entry<'r, 'd>> {
        let at = format!("{}[]", reference::join(self.keys.path, key));
        let Some(value) = self.value(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(list) => self.list(key, &at, list),
            _ => self.mismatch(key, value).unwrap_or_default(),
        }
    }

    /// A limit or a list of limits: texts, or tables with the keys that every such list has; `None` when it is not there.
    pub(crate) fn limits(&self, key: &str) -> Option<Vec<Entry<'r, 'd>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(list) => Some(self.list(key, "….limits[]", list)),
            _ => self.word(key, value).map(|word| vec![Entry::Text(word)]),
        }
    }

    fn list(&self, key: &str, at: &str, list: &'d [Value<'d>]) -> Vec<Entry<'r, 'd>> {
        let path = format!("{}[]", reference::join(&self.path, key));
        let entry = |value: &'d Value<'d>| match value.get_ref() {
            DeValue::Table(table) => Some(Entry::Table(Self::open(
                self.reader,
                at,
                path.clone(),
                value.span(),
                Some(table),
            ))),
            DeValue::String(text) => Some(Entry::Text(Word { text, span: value.span() })),
            other => {
                let what = if at.starts_with('…') { "a text or a table" } else { "a table" };
                let reason = format!("an entry of {key} must be {what}, not {}", a(other));
                self.reader.wrong(&value.span(), reason, "");
                None
            }
        };
        list.iter().filter_map(entry).collect()
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Option<Word<'d>> {
        self.word(key, self.value(key)?)
    }

    /// Whether the value of `key` is a list with nothing in it.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        self.value(key)
            .is_some_and(|value| matches!(value.get_ref(), DeValue::Array(list) if list.is_empty()))
    }

    /// A text or a list of texts; `None` when it is not there.
    pub(crate) fn texts(&self, key: &str) -> Option<Vec<Word<'d>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(list) => {
                Some(list.iter().filter_map(|value| self.word(key, value)).collect())
            }
            _ => self.word(key, value).map(|word| vec![word]),
        }
    }

    /// `true` or `false`; `None` when it is neither there nor has a default.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let default = self.key(key).default.parse().ok();
        let Some(value) = self.value(key) else { return default };
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.mismatch(key, value).or(default),
        }
    }

    /// One of the words of a choice.
    pub(crate) fn choice(&self, key: &str) -> &'static str {
        let row = self.key(key);
        let Kind::Choice(words) = row.kind else { return row.default };
        let Some(word) = self.text(key) else { return row.default };
        if let Some(choice) = words.iter().find(|choice| **choice == word.text) {
            return choice;
        }
        let help = match nearest(word.text, words.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? it is {}", row.kind.takes()),
            None => format!("it is {}", row.kind.takes()),
        };
        self.reader.wrong(&word.span, format!("`{key}` cannot be `{}`", word.text), help);
        row.default
    }

    /// A number: a count, a share, or a size in bytes; `None` when it is neither there nor has a
    /// default.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        let row = self.key(key);
        let (min, max, read): (u64, u64, fn(&str) -> Result<u64, NotAQuantity>) = match row.kind {
            Kind::Bytes(min, max) => (min, max, units::bytes),
            Kind::Percent(min, max) => (min, max, units::percent),
            Kind::Count(min, max) => (min, max, units::count),
            _ => return None,
        };
        let default = read(row.default).ok();
        let Some(value) = self.value(key) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(integer) if !matches!(row.kind, Kind::Percent(..)) => {
                u64::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            DeValue::String(text) => match self.quantity(value, read(text)) {
                Some(number) => Some(number),
                None => return default,
            },
            _ => return self.mismatch(key, value).or(default),
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.mismatch(key, value).or(default),
        }
    }

    /// A duration; `None` when it is `off`.
    pub(crate) fn duration_or_off(&self, key: &str) -> Option<Duration> {
        let row = self.key(key);
        let default = units::duration(row.default).ok();
        let (Kind::Duration(min, max) | Kind::DurationOrOff(min, max)) = row.kind else {
            return default;
        };
        let Some(value) = self.value(key) else { return default };
        let DeValue::String(text) = value.get_ref() else {
            return self.mismatch(key, value).or(default);
        };
        if text == "off" && matches!(row.kind, Kind::DurationOrOff(..)) {
            return None;
        }
        match self.quantity(value, units::duration(text)) {
            Some(duration) if !(min..=max).contains(&duration) => {
                self.mismatch(key, value).or(default)
            }
            Some(duration) => Some(duration),
            None => default,
        }
    }

    /// A duration.
    pub(crate) fn duration(&self, key: &str) -> Duration {
        self.duration_or_off(key).expect("keys that are a duration have a default: tested")
    }

    /// A moment as the file spells it, date or text.
    pub(crate) fn moment(&self, key: &str) -> Option<(String, Span)> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Datetime(datetime) => Some((datetime.to_string(), value.span())),
            DeValue::String(text) => Some((text.to_string(), value.span())),
            _ => self.mismatch(key, value),
        }
    }

    /// What the table is called in messages.
    pub(crate) fn called(&self) -> String {
        match self.path.as_str() {
            "" => "the file".to_owned(),
            path => match path.strip_suffix("[]") {
                Some(list) => format!("this entry of `{list}`"),
                None => format!("`{path}`"),
            },
        }
    }

    fn key(&self, name: &str) -> &'static Key {
        self.keys.key(name).expect("only keys of the reference are read: tested")
    }

    fn value(&self, key: &str) -> Option<&'d Value<'d>> {
        debug_assert!(self.keys.key(key).is_some(), "{key} would be refused as unknown");
        self.table?.get(key)
    }

    /// The entries of a table that has names for keys, in the order of the file.
    fn entries(&self, key: &str) -> Vec<(Word<'d>, &'d Value<'d>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            return self.mismatch(key, value).unwrap_or_default();
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(name, value)| (Word { text: name.get_ref(), span: name.span() }, value))
            .collect();
        entries.sort_by_key(|(name, _)| name.span.start);
        entries
    }

    fn word(&self, key: &str, value: &'d Value<'d>) -> Option<Word<'d>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Word { text, span: value.span() }),
            _ => self.mismatch(key, value),
        }
    }

    fn quantity<T>(&self, value: &Value<'d>, read: Result<T, NotAQuantity>) -> Option<T> {
        read.map_err(|error| self.reader.wrong(&value.span(), error.reason, error.help)).ok()
    }

    /// Notes that a value is not what its key takes.
    fn mismatch<T>(&self, key: &str, value: &Value<'d>) -> Option<T> {
        let row = self.key(key);
        let not = match value.get_ref() {
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::String(text) if row.kind != Kind::Text => format!("\"{text}\""),
            other => a(other),
        };
        let help = match row.example {
            "" => String::new(),
            example => format!("for example: {key} = {example}"),
        };
        self.reader.wrong(
            &value.span(),
            format!("`{key}` must be {}, not {not}", row.kind.takes()),
            help,
        );
        None
    }

    fn refuse_unknown(&self) {
        let Some(table) = self.table else { return };
        let unknown = table.iter().filter(|(name, _)| self.keys.key(name.get_ref()).is_none());
        for (name, value) in unknown {
            let word: &str = name.get_ref();
            if SECRET_WORDS.iter().any(|part| word.to_ascii_lowercase().contains(part)) {
                self.reader.hide(&value.span());
            }
            if LATER.contains(&word) {
                let reason = format!("`{word}` is not part of this version");
                self.reader.wrong(&name.span(), reason, "take it out: it would have no effect");
                continue;
            }
            let reason = match self.path.as_str() {
                "" => format!("unknown key `{word}`"),
                _ => format!("unknown key `{word}` in {}", self.called()),
            };
            let help = self.reader.help(|| self.meant_by(word));
            self.reader.wrong(&name.span(), reason, help);
        }
    }

    /// What an unknown key may have been meant to be.
    fn meant_by(&self, word: &str) -> String {
        let known = self.keys.keys.iter().map(|key| key.name);
        if let Some(near) = nearest(word, known.clone()) {
            return format!("did you mean `{near}`?");
        }
        if let Some((_, here)) = ELSEWHERE.iter().find(|(other, _)| *other == word) {
            return format!("here it is spelled {here}");
        }
        let elsewhere = reference::SECTIONS.iter().filter(|section| section.key(word).is_some());
        let paths: Vec<_> = elsewhere.map(|section| format!("[{}]", section.path)).collect();
        match &paths[..] {
            [path] if path != "[]" => format!("`{word}` belongs to {}", path.replace('*', "NAME")),
            _ => format!("{} may hold {}", self.called(), known.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// The kind of a value, with its article.
fn a(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(_) => "an integer".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

/// A name as TOML spells it.
pub(crate) fn bare_or_quoted(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("{name:?}") }
}
