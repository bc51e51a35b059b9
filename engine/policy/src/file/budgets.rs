//! The table `budgets`, and what an entry of `limits` says beyond its text.

use std::sync::Arc;

use super::{Reader, Word, moment, providers::did_you_mean, section::Section};
use crate::{
    budget::{Budget, Calendar, LIMIT_MAX, Raise, window},
    reference::money::MONTHS,
    time::Wall,
    units,
};

/// Keys of an entry that rates do not have.
const TERMS: [&str; 5] = ["calendar", "soft", "timezone", "warn_at", "raise"];

/// Reads `[budgets]`: the calendar of budgets that name no zone of their own.
pub(super) fn calendar(reader: &Reader<'_>, section: &Section<'_, '_>) -> Calendar {
    let calendar = Calendar::default();
    let calendar = calendar.with_week_start(section.choice("week_start")).unwrap_or(calendar);
    let month = section.choice("fiscal_year_start");
    let months = (1..).zip(MONTHS).find(|(_, name)| **name == month);
    let calendar =
        months.and_then(|(month, _)| calendar.with_year_start(month)).unwrap_or(calendar);
    in_zone(reader, section, &calendar).unwrap_or(calendar)
}

/// Reads what a table says of a budget beside `limit`.
pub(super) fn terms(reader: &Reader<'_>, table: &Section<'_, '_>, budget: &mut Budget) {
    budget.is_soft = table.flag("soft").unwrap_or(false);
    if let Some(calendar) = in_zone(reader, table, &budget.calendar) {
        budget.calendar = Arc::new(calendar);
    }
    budget.warn_at = warn_at(reader, table);
    budget.raise = raise(reader, &table.table("raise"), budget);
}

/// Notes what a table says of a rate as if it were a budget.
pub(super) fn refuse_terms(reader: &Reader<'_>, table: &Section<'_, '_>, word: &Word<'_>) {
    for key in TERMS {
        if let Some(span) = table.given(key) {
            let reason = format!("`{}` is no budget, so {key} means nothing to it", word.text);
            let help = "budgets are of money, or by week, month, quarter or year, or totals";
            reader.wrong(&span, reason, help);
        }
    }
}

fn in_zone(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    calendar: &Calendar,
) -> Option<Calendar> {
    let word = section.text("timezone")?;
    let found = calendar.in_zone(word.text);
    if found.is_none() {
        let help = reader.help(|| {
            let zones = window::zones();
            did_you_mean(word.text, zones.iter().map(String::as_str), "zones are")
        });
        reader.wrong(&word.span, format!("there is no zone `{}`", word.text), help);
    }
    found
}

fn warn_at(reader: &Reader<'_>, table: &Section<'_, '_>) -> Vec<u64> {
    let mut shares = Vec::new();
    for word in table.texts("warn_at").unwrap_or_default() {
        match units::percent(word.text) {
            Ok(share) if (1..=1000).contains(&share) => shares.push(share),
            Ok(_) => {
                let reason = format!("`{}` is no share to warn at", word.text);
                reader.wrong(&word.span, reason, "write 1% to 1000%");
            }
            Err(error) => reader.wrong(&word.span, error.reason, error.help),
        }
    }
    shares.sort_unstable();
    shares.dedup();
    shares
}

fn raise(reader: &Reader<'_>, table: &Section<'_, '_>, budget: &Budget) -> Option<Raise> {
    if !table.is_there() {
        return None;
    }
    for key in ["to", "until"] {
        if table.given(key).is_none() {
            table.missing(key);
        }
    }
    let (to, (text, span)) = (table.text("to")?, table.moment("until")?);
    let until = moment::parse(&text);
    let until = until.map_err(|help| reader.wrong(&span, format!("`{text}` is no moment"), help));
    let amount = match units::raised(to.text, budget.unit) {
        Ok(amount) => amount,
        Err(error) => {
            reader.wrong(&to.span, error.reason, error.help);
            return None;
        }
    };
    if amount <= budget.limit || amount > LIMIT_MAX {
        let reason = format!("`{}` is no more than `{}`", to.text, budget.text);
        reader.wrong(&to.span, reason, "a raise is above the limit; to lower it, change the limit");
    }
    Some(Raise { to: amount.min(LIMIT_MAX), until: Wall(until.ok()?) })
}
