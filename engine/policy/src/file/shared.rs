//! The table `budgets.store`: where budgets are leased from that other gateways spend, too.

use super::{
    Reader, Word,
    providers::{reference, secret},
    section::Section,
};
use crate::{
    budget::Unit,
    policy::{BudgetStore, StoreUrl},
    units,
};

/// What a URL of a store begins with.
const SCHEMES: [&str; 2] = ["redis://", "valkey://"];

/// Bytes of names.
const NAME_BYTES_MAX: usize = 64;

/// Reads `[budgets.store]`.
pub(super) fn store(reader: &Reader<'_>, section: &Section<'_, '_>) -> Option<BudgetStore> {
    if !section.is_there() {
        return None;
    }
    let Some(word) = section.text("url") else {
        section.missing("url");
        return None;
    };
    let name = |key| section.text(key).filter(|word| is_name(reader, word));
    Some(BudgetStore {
        url: url(reader, &word)?,
        password: section.text("password").and_then(|word| secret(reader, &word)),
        node: name("node").map(|word| word.text.to_owned()),
        prefix: name("prefix").map_or_else(|| "faregate".to_owned(), |word| word.text.to_owned()),
        replicas: section.number("replicas").unwrap_or(0),
        overdraft: overdraft(reader, section),
    })
}

fn url(reader: &Reader<'_>, word: &Word<'_>) -> Option<StoreUrl> {
    match reference(word.text) {
        Some(Ok(secret)) => return Some(StoreUrl::Secret(secret)),
        Some(Err(reason)) => {
            reader.wrong(&word.span, reason, "for example: url = \"env:FAREGATE_REDIS_URL\"");
            return None;
        }
        None => {}
    }
    let rest = SCHEMES.iter().find_map(|scheme| word.text.strip_prefix(scheme));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        reader.wrong(
            &word.span,
            format!("`{}` is no store of budgets", word.text),
            "for example: url = \"redis://127.0.0.1:6379/0\"",
        );
        return None;
    };
    if rest.contains('@') {
        reader.hide(&word.span);
        let help = "say password = \"env:NAME\", or keep the whole URL there: url = \"env:NAME\"";
        reader.wrong(&word.span, "a password does not stand in the policy", help);
        return None;
    }
    Some(StoreUrl::Text(word.text.to_owned()))
}

fn is_name(reader: &Reader<'_>, word: &Word<'_>) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    let is_one =
        !word.text.is_empty() && word.text.len() <= NAME_BYTES_MAX && word.text.bytes().all(fits);
    if !is_one {
        let help = "letters, digits, -, _, . and :, 64 at most";
        reader.wrong(&word.span, format!("`{}` is no such name", word.text), help);
    }
    is_one
}

fn overdraft(reader: &Reader<'_>, section: &Section<'_, '_>) -> Option<(u64, u64)> {
    let word = section.text("overdraft")?;
    let Some(amount) = units::raised(word.text, Unit::Money).ok() else {
        let help = "for example: overdraft = \"$5\"";
        reader.wrong(&word.span, format!("`{}` is no amount of money", word.text), help);
        return None;
    };
    Some((amount, section.number("gateways").unwrap_or(1)))
}
