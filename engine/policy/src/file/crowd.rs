//! The tables `users.*`, `sessions.*`, `workloads.*` and `tags.*`: budgets of scopes that are made when they are first seen.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Reader, Word, limits::Scopes, section::Section};
use crate::{
    attribution::{LABEL_BYTES_MAX, TAG_NAME_BYTES_MAX},
    caller::ScopeIndex,
    crowd::{Crowd, Kind, Rule, Table},
    policy::Policy,
};

/// The name that stands for each user or session without a table of its own.
const DEFAULT: &str = "default";

/// Reads all of them; `models` are those that have budgets, `room` how many scopes there may be.
pub(super) fn read(
    reader: &Reader<'_>,
    root: &Section<'_, '_>,
    scopes: &mut Scopes<'_>,
    (models, room): (HashMap<Box<str>, ScopeIndex>, Option<u64>),
    previous: Option<&Policy>,
) -> Crowd {
    let before = previous.map(|policy| &policy.crowd);
    let mut crowd = Crowd {
        generation: before.map_or(0, |crowd| crowd.generation) + 1,
        users: kind(reader, root, scopes, "users"),
        sessions: kind(reader, root, scopes, "sessions"),
        workloads: kind(reader, root, scopes, "workloads"),
        tags: tags(reader, root, scopes),
        models,
        room: room.unwrap_or(crate::crowd::SCOPES_MAX),
        table: before.and_then(|crowd| crowd.table.clone()),
    };
    if crowd.table.is_none() && !crowd.is_empty() {
        crowd.table = Some(Arc::new(Table::new(scopes.cores())));
    }
    crowd
}

fn kind(reader: &Reader<'_>, root: &Section<'_, '_>, scopes: &Scopes<'_>, key: &str) -> Kind {
    let mut kind = Kind::default();
    for (name, section) in root.named(key) {
        check(reader, &name, name.text, LABEL_BYTES_MAX);
        // A workload that is matched, or has a cache, is one without limits, too.
        if section.given("limits").is_none()
            && key == "workloads"
            && ["match", "cache"].into_iter().any(|key| section.given(key).is_some())
        {
            continue;
        }
        let Some(rule) = rule(reader, &section, scopes) else { continue };
        if name.text == DEFAULT {
            kind.default = Some(rule);
        } else {
            kind.named.insert(name.text.into(), rule);
        }
    }
    kind
}

fn tags(
    reader: &Reader<'_>,
    root: &Section<'_, '_>,
    scopes: &Scopes<'_>,
) -> HashMap<Box<str>, Kind> {
    let mut tags: HashMap<Box<str>, Kind> = HashMap::new();
    for (name, section) in root.named("tags") {
        let rule = rule(reader, &section, scopes);
        let Some((tag, value)) = name.text.split_once('=') else {
            let reason = format!("`{}` is no tag with its value", name.text);
            let help = format!(
                "for example [tags.\"{0}=search\"], or [tags.\"{0}=*\"] for each value by itself",
                if name.text.is_empty() { "feature" } else { name.text }
            );
            reader.wrong(&name.span, reason, help);
            continue;
        };
        check(reader, &name, tag, TAG_NAME_BYTES_MAX);
        check(reader, &name, value, LABEL_BYTES_MAX);
        let Some(rule) = rule else { continue };
        let kind = tags.entry(tag.into()).or_default();
        if value == "*" {
            kind.default = Some(rule);
        } else {
            kind.named.insert(value.into(), rule);
        }
    }
    tags
}

fn rule(reader: &Reader<'_>, section: &Section<'_, '_>, scopes: &Scopes<'_>) -> Option<Rule> {
    if section.given("limits").is_none() {
        section.missing("limits");
    }
    let scope = scopes.budgets(reader, section, "")?;
    Some(scope.budgets.into())
}

/// Notes a name that no request can have: labels are kept without white space around them, and longer ones as digests.
fn check(reader: &Reader<'_>, word: &Word<'_>, name: &str, bytes_max: usize) {
    let reason = if name.is_empty() {
        format!("`{}` names nothing", word.text)
    } else if name.len() > bytes_max {
        format!("`{}` has more than {bytes_max} bytes", word.text)
    } else if name.trim() != name || name.chars().any(char::is_control) {
        format!("`{}` has white space around it, or characters that do not print", word.text)
    } else {
        return;
    };
    reader.wrong(&word.span, reason, "write it as it is read from requests: see [attribution]");
}
