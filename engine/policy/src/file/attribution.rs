//! The table `attribution`.

use super::{Reader, Word, section::Section};
use crate::attribution::{Attribution, Place, TAG_NAME_BYTES_MAX, TAGS_MAX};

/// Reads `[attribution]`.
pub(super) fn read(reader: &Reader<'_>, section: &Section<'_, '_>) -> Attribution {
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
        tags,
        conventions: section.flag("conventions").unwrap_or(usual.conventions),
    }
}

fn places(reader: &Reader<'_>, section: &Section<'_, '_>, key: &str) -> Option<Vec<Place>> {
    let words = section.texts(key)?;
    Some(words.iter().filter_map(|word| place(reader, word)).collect())
}

fn place(reader: &Reader<'_>, word: &Word<'_>) -> Option<Place> {
    Place::parse(word.text).map_err(|error| reader.wrong(&word.span, error.reason, error.help)).ok()
}
