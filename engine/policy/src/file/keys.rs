//! The key `providers.*.keys`: several keys of one provider.

use faregate_adapters::kind::{Auth, Kind};

use super::{
    Reader, Word,
    providers::{is_name, secret},
    section::{Entry, Section},
};
use crate::{
    keyring::KEYS_MAX,
    policy::{ProviderKey, Secret},
};

/// Reads the keys of a provider that has several.
pub(super) fn read(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    kind: &Kind,
) -> Vec<ProviderKey> {
    let Some(span) = section.given("keys") else { return Vec::new() };
    if let Some(one) = section.given("api_key") {
        reader.clash(&one, "api_key and keys are both there", "put all keys into keys");
    }
    if matches!(kind.auth, Auth::Aws | Auth::Google) {
        let reason = "a provider of this dialect is not told by a key who pays";
        reader.clash(&span, reason, "make a provider of each account, and targets of them");
    }
    let rows = section.rows("keys");
    if rows.is_empty() || rows.len() > KEYS_MAX {
        reader.wrong(&span, format!("there are {} keys", rows.len()), format!("1 to {KEYS_MAX}"));
    }
    let mut keys: Vec<ProviderKey> = Vec::new();
    for row in &rows {
        let Some((word, name)) = parts(row) else { continue };
        let Some(secret) = secret(reader, &word) else { continue };
        if let Some(name) = &name {
            is_name(reader, name, "a key");
        }
        let called: Box<str> = match &name {
            Some(name) => name.text.into(),
            None => usual_name(&secret).into(),
        };
        let span = name.map_or(word.span, |name| name.span);
        if keys.iter().any(|key| key.name == called) {
            let help = "each has a name of its own: { name = \"batch\", key = \"env:NAME\" }";
            reader.wrong(&span, format!("two keys are called `{called}`"), help);
            continue;
        }
        keys.push(ProviderKey { name: called, secret });
    }
    keys
}

/// Where a key is kept, and what it is called.
fn parts<'d>(row: &Entry<'_, 'd>) -> Option<(Word<'d>, Option<Word<'d>>)> {
    match row {
        Entry::Text(word) => Some((word.clone(), None)),
        Entry::Table(table) => {
            if table.given("key").is_none() {
                table.missing("key");
            }
            Some((table.text("key")?, table.text("name")))
        }
    }
}

/// The name of the variable, or of the file without its folder.
fn usual_name(secret: &Secret) -> String {
    match secret {
        Secret::Env(name) => name.clone(),
        Secret::File(path) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect()
        }
    }
}
