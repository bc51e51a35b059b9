//! The table `attribution`.

use super::{Reader, Word, section::Section};
use crate::{
    attribution::{Attribution, LABEL_BYTES_MAX, Place, TAG_NAME_BYTES_MAX, TAGS_MAX},
    workload::{CONDITIONS_MAX, TooMany, Workloads},
};

/// Reads `[attribution]`, and the matches of `[workloads.*]`.
pub(super) fn read(reader: &Reader<'_>, root: &Section<'_, '_>) -> Attribution {
    let section = &root.table("attribution");
    let usual = Attribution::default();
    let mut tags: Vec<(Box<str>, Place)> = Vec::new();
    for (name, place) in section.texts_by_name("tags") {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.text.is_empty()
            || name.text.len() > TAG_NAME_BYTES_MAX
            || !name.text.bytes().all(is_plain)
        {
            let help = format!("at most {TAG_NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`");
            reader.wrong(&name.span, format!("`{}` is no name of a tag", name.text), help);
        } else if tags.len() == TAGS_MAX {
            reader.wrong(&name.span, format!("a request has at most {TAGS_MAX} tags"), "");
        } else {
            tags.extend(self::place(reader, &place).map(|place| (name.text.into(), place)));
        }
    }
    Attribution {
        user: places(reader, section, "user").unwrap_or(usual.user),
        session: places(reader, section, "session").unwrap_or(usual.session),
        workload: places(reader, section, "workload").unwrap_or(usual.workload),
        workloads: workloads(reader, root),
        tags,
        conventions: section.flag("conventions").unwrap_or(usual.conventions),
    }
}

fn workloads(reader: &Reader<'_>, root: &Section<'_, '_>) -> Workloads {
    let mut workloads = Workloads::default();
    for (name, section) in root.named("workloads") {
        let table = section.table("match");
        if !table.is_there() {
            continue;
        }
        let read = |key: &str| {
            let pairs = table.texts_by_name(key).into_iter();
            pairs.filter_map(|(own, value)| condition(reader, key, &own, &value)).collect()
        };
        let (fields, tags): (Vec<_>, Vec<_>) = (read("header"), read("tag"));
        if fields.is_empty() && tags.is_empty() {
            let reason = format!("{} matches nothing by itself", table.called());
            reader.wrong(&table.span, reason, "for example: header = { x-workload = \"faq\" }");
        } else if name.text == "default" {
            let reason = "workloads.default is each that has no table of its own, and matches none";
            reader.wrong(&table.span, reason, "give the workload another name");
        } else if workloads.add(name.text, fields, tags) == Err(TooMany) {
            let reason = format!("there are more than {CONDITIONS_MAX} conditions on head fields");
            reader.wrong(&table.span, reason, "conditions that are alike count once");
        }
    }
    workloads
}

/// A head field, or a tag, and its value.
fn condition(
    reader: &Reader<'_>,
    key: &str,
    name: &Word<'_>,
    value: &Word<'_>,
) -> Option<(Box<str>, Box<str>)> {
    let name_max = if key == "tag" { TAG_NAME_BYTES_MAX } else { LABEL_BYTES_MAX };
    let is_kept = |text: &str, max: usize| {
        !text.is_empty()
            && text.len() <= max
            && text.trim() == text
            && !text.chars().any(char::is_control)
    };
    if key == "header"
        && let Err(error) = Place::parse(&format!("header:{}", name.text))
    {
        reader.wrong(&name.span, error.reason, error.help);
        return None;
    }
    if !is_kept(name.text, name_max) || !is_kept(value.text, LABEL_BYTES_MAX) {
        let reason = format!("no request can have {:?} as {:?}", value.text, name.text);
        let help = format!("at most {LABEL_BYTES_MAX} bytes, without white space around them");
        reader.wrong(&value.span, reason, help);
        return None;
    }
    let name = if key == "header" { name.text.to_ascii_lowercase() } else { name.text.to_owned() };
    Some((name.into(), value.text.into()))
}

fn places(reader: &Reader<'_>, section: &Section<'_, '_>, key: &str) -> Option<Vec<Place>> {
    let words = section.texts(key)?;
    Some(words.iter().filter_map(|word| place(reader, word)).collect())
}

fn place(reader: &Reader<'_>, word: &Word<'_>) -> Option<Place> {
    Place::parse(word.text).map_err(|error| reader.wrong(&word.span, error.reason, error.help)).ok()
}
