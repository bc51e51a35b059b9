//! The example and the starter are complete and load.

use toml::de::{DeTable, DeValue};

use super::{right, warnings};
use crate::{
    policy::Policy,
    reference::{self, Kind},
};

/// The example of the repository.
pub(super) const EXAMPLE: &str = include_str!("../../../../policy.example.toml");

#[test]
fn the_example_loads() {
    let policy = right(EXAMPLE);
    assert_eq!(policy.keys.len(), 1);
    assert_eq!(policy.scopes.len(), 7);
    assert_eq!(policy.warnings, []);
}

#[test]
fn the_starter_loads_without_a_warning() {
    assert_eq!(warnings(Policy::starter()), Vec::<String>::new());
}

#[test]
fn what_the_starter_has_in_comments_loads_too() {
    let uncommented = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<_> = Policy::starter().lines().map(uncommented).collect();
    let policy = right(&lines.join("\n").replace("sha256:…", &format!("sha256:{:064}", 0)));
    assert_eq!((policy.providers.len(), policy.keys.len()), (3, 1));
}

#[test]
fn the_example_has_every_key_of_the_reference() {
    let document = DeTable::parse(EXAMPLE).unwrap();
    for row in reference::rows() {
        let value = DeValue::Table(document.get_ref().clone());
        let path: Vec<&str> = row.path.split('.').collect();
        assert!(has(&value, &path), "the example lacks {}", row.path);
    }
}

/// Whether a value has something at a path of the reference.
fn has(value: &DeValue<'_>, path: &[&str]) -> bool {
    let Some((&name, rest)) = path.split_first() else { return true };
    if name == "…" {
        let below = |value: &DeValue<'_>| has(value, path);
        return has(value, rest)
            || value.as_table().is_some_and(|t| t.iter().any(|(_, v)| below(v.get_ref())))
            || value.as_array().is_some_and(|list| list.iter().any(|v| below(v.get_ref())));
    }
    let Some(table) = value.as_table() else { return false };
    if name == "*" {
        return table.iter().any(|(_, value)| has(value.get_ref(), rest));
    }
    match name.strip_suffix("[]") {
        Some(name) => table
            .get(name)
            .and_then(|list| list.get_ref().as_array())
            .is_some_and(|list| list.iter().any(|value| has(value.get_ref(), rest))),
        None => table.get(name).is_some_and(|value| has(value.get_ref(), rest)),
    }
}

#[test]
fn the_example_shows_defaults_as_the_reference_has_them() {
    for row in reference::rows().filter(|row| !row.default.is_empty()) {
        let name = row.path.rsplit('.').next().unwrap();
        let plain = format!("{name} = {}", row.default);
        let quoted = format!("{name} = \"{}\"", row.default);
        let listed = matches!(&*row.path, "providers.*.models" | "models.*.targets[].weight");
        assert!(listed || EXAMPLE.contains(&plain) || EXAMPLE.contains(&quoted), "{}", row.path);
    }
}

#[test]
fn every_default_and_example_is_right() {
    for section in reference::SECTIONS {
        for key in section.keys.iter().filter(|key| !key.kind.is_section()) {
            let at = format!("{}.{}", section.path, key.name);
            if !key.default.is_empty() {
                let value = match key.kind {
                    Kind::Flag | Kind::Count(..) => key.default.to_owned(),
                    _ => format!("\"{}\"", key.default),
                };
                super::rules::takes(section.path, key.name, &value)
                    .unwrap_or_else(|problems| panic!("{at}: {problems}"));
            }
            super::rules::takes(section.path, key.name, key.example)
                .unwrap_or_else(|problems| panic!("{at}: {problems}"));
        }
    }
}
