//! `faregate prices update`: a newer catalogue from lists that others keep.

use std::{
    fmt::Write,
    io::Write as _,
    path::{Path, PathBuf},
};

use faregate_price::{
    Catalogue, Class, Entry, List, Origin, Price,
    catalogue::{Change, Drift},
    line,
    source::{self, LIST_BYTES_MAX},
};

use super::{Stop, print};
use crate::{catalogue, clock::Clock};

/// Models that are named of each kind of change.
const NAMED_MAX: usize = 20;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Reads lists, writes a catalogue, says what changes against the one before.
pub(super) fn run(
    from: &[PathBuf],
    out: &Path,
    date: Option<&str>,
    dry_run: bool,
) -> Result<(), Stop> {
    let version = match date {
        Some(date) if is_date(date) => date.to_owned(),
        Some(date) => return Err(format!("`{date}` is no date: 2026-11-24").into()),
        None => day(Clock::start().wall() / 1_000_000_000 / DAY),
    };
    let old = match out.try_exists()? {
        true => catalogue::read(out)
            .map_err(|error| format!("{error}; it is not overwritten: name another --out"))?,
        false => Catalogue::built_in(),
    };
    let mut sources = old.origin().sources;
    let mut entries: Vec<Entry> = Vec::new();
    let mut renewed: Vec<List> = Vec::new();
    for path in from {
        let (list, found) = read(path)?;
        let letter = format!("{}: ", list.letter());
        sources.retain(|source| renewed.contains(&list) || !source.starts_with(&letter));
        let file: String =
            path.display().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        sources.push(format!(
            "{letter}{}, {file}, read for {version}; the list is under the MIT licence",
            list.as_str()
        ));
        renewed.push(list);
        entries.extend(found);
    }
    entries.extend(old.entries().filter(|entry| !renewed.contains(&entry.list)));
    sources.sort();
    let text = Catalogue::write(&Origin { version, sources }, entries);
    let new =
        Catalogue::read(text.clone()).map_err(|error| format!("the new catalogue: {error}"))?;
    let mut report = changes(&old.changes(&new), old.version());
    let count = new.iter().count();
    let name = out.display();
    if dry_run {
        let _ = writeln!(report, "{name} would have {count} prices; nothing was written");
    } else {
        write(out, &text)?;
        let _ = writeln!(
            report,
            "{name}: {count} prices as of {}\nfor the policy, below [server]: price_catalogue = {:?}",
            new.version(),
            name.to_string()
        );
    }
    print(&report)
}

fn read(path: &Path) -> Result<(List, Vec<Entry>), Stop> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(|error| named(&error))?.len();
    if usize::try_from(length).map_or(true, |length| length > LIST_BYTES_MAX) {
        return Err(named(&source::NotAList::TooLong).into());
    }
    let text = std::fs::read(path).map_err(|error| named(&error))?;
    source::read(&text).map_err(|error| named(&error).into())
}

/// Puts the whole text in the file's place at once: a gateway that watches it never sees half of it.
fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(std::fs::rename(&beside, path)?)
}

fn changes(changes: &[Change<'_>], since: &str) -> String {
    let mut text = String::new();
    if changes.is_empty() {
        let _ = writeln!(text, "nothing has changed since {since}");
    }
    for drift in Drift::ALL {
        let mut of_kind = changes.iter().filter(|change| change.drift == drift);
        let count = of_kind.clone().count();
        if count == 0 {
            continue;
        }
        let _ = writeln!(text, "{} since {since}: {count}", drift.as_str());
        for change in of_kind.by_ref().take(NAMED_MAX) {
            let (old, new) = (figures(change.old.as_ref()), figures(change.new.as_ref()));
            let moved = match (&old, &new) {
                (Some(old), Some(new)) if old != new => format!("{old} → {new}"),
                (Some(same), Some(_)) => format!("{same}, in other parts"),
                (one, other) => other.clone().or(one.clone()).unwrap_or_default(),
            };
            let _ = writeln!(text, "  {:<48} {moved}", change.name);
        }
        if count > NAMED_MAX {
            let _ = writeln!(text, "  and {} more", count - NAMED_MAX);
        }
    }
    text
}

/// Input and output of a price, in dollars for a million tokens.
fn figures(price: Option<&Price>) -> Option<String> {
    let tier = price?.tiers().first()?;
    let rate = |class| line::dollars_a_million(tier.rate(class));
    Some(format!("${} in ${} out", rate(Class::Input), rate(Class::Output)))
}

fn is_date(text: &str) -> bool {
    let digits = text.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    text.len() == 10 && digits
}

/// A day, counted from 1970, as a date.
fn day(days: u64) -> String {
    // Howard Hinnant's civil_from_days, for days after 1970: <https://howardhinnant.github.io/date_algorithms.html>
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_dates() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(11_016), "2000-02-29");
        assert_eq!(day(20_781), "2026-11-24");
        assert!(is_date("2026-11-24") && !is_date("2026-1-24") && !is_date("20261124"));
    }
}
