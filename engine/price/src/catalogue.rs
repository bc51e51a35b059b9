//! The catalogue: what models cost, by provider and name.
//!
//! In: one text, sorted, a line for each model. Out: the price of a model, found by binary search; nothing is built at the
//! start. The one that comes with the program was made from public lists by `examples/catalogue.rs`; its first lines say
//! from which, of what date, and under which licence.

mod changes;
mod names;

use std::{borrow::Cow, fmt};

use crate::{
    Draft, Price, line,
    source::{self, Entry, List},
};

pub use changes::{Change, Drift};
pub use names::Asked;

/// The catalogue that comes with the program.
const BUILT_IN: &str = include_str!("catalogue/prices.txt");

/// How every catalogue begins.
const FIRST_LINE: &str = "# faregate prices 1";

/// Bytes of a catalogue that is read.
pub const CATALOGUE_BYTES_MAX: usize = 16 << 20;

/// Prices by name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    text: Cow<'static, str>,
    /// Where the first price stands.
    start: usize,
}

/// What a catalogue says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The day it stands for: `2026-11-24`.
    pub version: String,
    /// Where it is from: a sentence for each source, its licence included.
    pub sources: Vec<String>,
}

/// A price that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'c> {
    /// The name in the catalogue: `openai/gpt-5-mini`.
    pub name: &'c str,
    /// Which list it is from.
    pub list: List,
    /// What it costs.
    pub price: Price,
}

/// Why a text is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotACatalogue {
    /// The line, from 1; 0 for the whole.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl fmt::Display for NotACatalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl std::error::Error for NotACatalogue {}

impl Catalogue {
    /// The one that comes with the program.
    #[must_use]
    pub fn built_in() -> Self {
        Self { text: Cow::Borrowed(BUILT_IN), start: start_of(BUILT_IN) }
    }

    /// The catalogue that `text` is.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn read(text: String) -> Result<Self, NotACatalogue> {
        let wrong = |line, reason| Err(NotACatalogue { line, reason });
        if text.len() > CATALOGUE_BYTES_MAX {
            return wrong(0, "it is longer than 16 MiB");
        }
        if text.lines().next() != Some(FIRST_LINE) {
            return wrong(1, "this is no catalogue: make one with `faregate prices update`");
        }
        let start = start_of(&text);
        let before = text[..start].lines().count();
        let mut last = "";
        for (index, line) in text[start..].lines().enumerate() {
            let number = before + index + 1;
            match parts(line) {
                Some((name, ..)) if name <= last => {
                    return wrong(number, "the names are not in order, or one is there twice");
                }
                Some((name, _, price)) if line::read(price).and_then(Draft::finish).is_some() => {
                    last = name;
                }
                _ => return wrong(number, "this is no price"),
            }
        }
        if last.is_empty() {
            return wrong(0, "there is no price in it");
        }
        Ok(Self { text: Cow::Owned(text), start })
    }

    /// Writes a catalogue; of two entries of one name the one that [`source::unify`] keeps.
    #[must_use]
    pub fn write(origin: &Origin, mut entries: Vec<Entry>) -> String {
        source::unify(&mut entries);
        let mut text = format!("{FIRST_LINE}\n# version {}\n", origin.version);
        for sentence in &origin.sources {
            text.extend(["# source ", sentence, "\n"]);
        }
        for Entry { name, list, draft } in entries {
            text.extend([&*name, "\t", list.letter(), "\t", &line::write(&draft), "\n"]);
        }
        text
    }

    /// What it says of itself.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let mut origin = Origin::default();
        for line in self.text[..self.start].lines() {
            if let Some(version) = line.strip_prefix("# version ") {
                origin.version = version.to_owned();
            } else if let Some(sentence) = line.strip_prefix("# source ") {
                origin.sources.push(sentence.to_owned());
            }
        }
        origin
    }

    /// The day it stands for.
    #[must_use]
    pub fn version(&self) -> &str {
        let mut lines = self.text[..self.start].lines();
        lines.find_map(|line| line.strip_prefix("# version ")).unwrap_or_default()
    }

    /// What `name` is followed by in ids of prices: `catalogue/2026-11-24/openai/gpt-5-mini`.
    #[must_use]
    pub fn id(&self, name: &str) -> String {
        format!("catalogue/{}/{name}", self.version())
    }

    /// The price under exactly this name: `openai/gpt-5-mini`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Found<'_>> {
        let line = self.text[self.lower_bound(name)..].lines().next()?;
        if line.split('\t').next() == Some(name) { found(line) } else { None }
    }

    /// What is written under exactly this name.
    #[must_use]
    pub fn draft(&self, name: &str) -> Option<Draft> {
        let line = self.text[self.lower_bound(name)..].lines().next()?;
        let (found, _, price) = parts(line)?;
        if found == name { line::read(price) } else { None }
    }

    /// The price of what a provider calls `asked.model`, by the rules of [`Asked`]; nothing rather than a likeness.
    #[must_use]
    pub fn find(&self, asked: &Asked<'_>) -> Option<Found<'_>> {
        names::find(self, asked)
    }

    /// All of it, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        self.text[self.start..].lines().filter_map(found)
    }

    /// All of it as entries, to make another catalogue of.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.text[self.start..].lines().filter_map(|line| {
            let (name, list, price) = parts(line)?;
            Some(Entry { name: name.to_owned(), list, draft: line::read(price)? })
        })
    }

    /// What is different in `newer`, in the order of names.
    #[must_use]
    pub fn changes<'c>(&'c self, newer: &'c Self) -> Vec<Change<'c>> {
        changes::between(self, newer)
    }

    /// Models whose names hold all of `words`.
    pub fn search<'c>(&'c self, words: &'c [String]) -> impl Iterator<Item = Found<'c>> {
        let lines = self.text[self.start..].lines();
        let fits = |line: &&str| {
            let name = line.split('\t').next().unwrap_or_default();
            words.iter().all(|word| name.contains(&*word.to_ascii_lowercase()))
        };
        lines.filter(fits).filter_map(found)
    }

    /// Whether a provider is called this.
    #[must_use]
    pub fn has_provider(&self, provider: &str) -> bool {
        let start = format!("{}/", names::provider(provider));
        self.names_from(&start).next().is_some_and(|name| name.starts_with(&start))
    }

    /// Names from the first one on that is not before `name`.
    fn names_from(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.text[self.lower_bound(name)..].lines();
        lines.filter_map(|line| line.split('\t').next())
    }

    /// Where the first line stands whose name is not before `name`.
    fn lower_bound(&self, name: &str) -> usize {
        let (mut low, mut high) = (self.start, self.text.len());
        // `low` and `high` are starts of lines, or the end.
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = self.text.as_bytes();
            let line =
                bytes[low..middle].iter().rposition(|&b| b == b'\n').map_or(low, |at| low + at + 1);
            let len =
                bytes[line..high].iter().position(|&b| b == b'\n').map_or(high - line, |at| at + 1);
            let end = bytes[line..line + len].iter().position(|&b| b == b'\t').unwrap_or(len);
            if bytes[line..line + end] < *name.as_bytes() {
                low = line + len;
            } else {
                high = line;
            }
        }
        low
    }
}

/// Where the first line stands that is no comment.
fn start_of(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum()
}

fn parts(line: &str) -> Option<(&str, List, &str)> {
    let (name, rest) = line.split_once('\t')?;
    let (letter, price) = rest.split_once('\t')?;
    Some((name, List::of_letter(letter)?, price))
}

fn found(line: &str) -> Option<Found<'_>> {
    let (name, list, price) = parts(line)?;
    Some(Found { name, list, price: line::read(price)?.finish()? })
}

#[cfg(test)]
mod tests;
