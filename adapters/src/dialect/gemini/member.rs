//! Members of an object by name, in both spellings that the API takes: `maxOutputTokens` and `max_output_tokens`.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::dialect::Invalid;

/// Whether `found` is `camel` in one of its spellings.
pub(super) fn is_named(found: &str, camel: &str) -> bool {
    if found == camel {
        return true;
    }
    let mut rest = found.as_bytes();
    for byte in camel.bytes() {
        rest = match rest {
            [first, behind @ ..] if *first == byte => behind,
            [b'_', first, behind @ ..]
                if byte.is_ascii_uppercase() && *first == byte.to_ascii_lowercase() =>
            {
                behind
            }
            _ => return false,
        };
    }
    rest.is_empty()
}

/// The member that is called `camel` in one of its spellings and is not `null`; of several the last.
pub(crate) fn member<'a>(json: Json<'a>, camel: &str) -> Option<Json<'a>> {
    let named = json.members().filter(|(found, _)| is_named(found, camel));
    named.last().map(|(_, value)| value).filter(|value| !value.is_null())
}

/// `name` in the first of its spellings.
pub(crate) fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') {
        return name;
    }
    let mut camel = String::with_capacity(name.len());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.next_if(|next| letter == '_' && next.is_ascii_lowercase()) {
            Some(next) if !camel.is_empty() => camel.push(next.to_ascii_uppercase()),
            Some(next) => camel.extend(['_', next]),
            None => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}

/// The items of an array; where the API takes one value for a list of one, that value.
pub(crate) fn list<'a>(json: Json<'a>) -> impl Iterator<Item = Json<'a>> {
    let one = (!json.is_array()).then_some(json);
    json.items().chain(one)
}

/// The bytes of a value without blanks between its parts: whole answers come indented.
pub(super) fn compact(json: Json<'_>) -> Cow<'_, str> {
    if !json.raw().iter().any(u8::is_ascii_whitespace) {
        return String::from_utf8_lossy(json.raw());
    }
    let (mut in_string, mut is_escaped) = (false, false);
    let mut kept = json.raw().to_vec();
    kept.retain(|byte| {
        let is_blank = !in_string && byte.is_ascii_whitespace();
        in_string ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        !is_blank
    });
    Cow::Owned(String::from_utf8_lossy(&kept).into_owned())
}

pub(super) fn text<'a>(json: Json<'a>, param: &str) -> Result<Cow<'a, str>, Invalid> {
    json.str().ok_or_else(|| Invalid::type_of(param.to_owned(), "a string"))
}

pub(super) fn flag(json: Json<'_>, param: &str) -> Result<bool, Invalid> {
    json.bool().ok_or_else(|| Invalid::type_of(param.to_owned(), "a boolean"))
}

pub(super) fn object<'a>(json: Json<'a>, param: &str) -> Result<Json<'a>, Invalid> {
    if json.is_object() { Ok(json) } else { Err(Invalid::type_of(param.to_owned(), "an object")) }
}

pub(super) fn number<'a>(json: Json<'a>, param: &str) -> Result<Json<'a>, Invalid> {
    match json.f64() {
        Some(_) => Ok(json),
        None => Err(Invalid::type_of(param.to_owned(), "a number")),
    }
}

/// A whole number that is not negative; the API also takes it as a string.
pub(super) fn count(json: Json<'_>, param: &str) -> Result<u64, Invalid> {
    let number = json.u64().or_else(|| json.str()?.parse().ok());
    number.ok_or_else(|| Invalid::type_of(param.to_owned(), "a whole number, not negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_between_parts_are_left_out() {
        let json = Json::new(b"{ \"a b\\\" \" : [ 1.50 ,\n true ] }").unwrap();
        assert_eq!(compact(json), r#"{"a b\" ":[1.50,true]}"#);
    }

    #[test]
    fn both_spellings_are_one_name() {
        for (found, is_so) in [
            ("maxOutputTokens", true),
            ("max_output_tokens", true),
            ("max_outputTokens", true),
            ("maxoutputtokens", false),
            ("maxOutputToken", false),
            ("maxOutputTokensX", false),
        ] {
            assert_eq!(is_named(found, "maxOutputTokens"), is_so, "{found}");
        }
        assert_eq!(camel("max_output_tokens".into()), "maxOutputTokens");
        assert_eq!(camel("_x".into()), "_x");
        assert_eq!(camel("a_".into()), "a_");
        assert_eq!(camel("topK".into()), "topK");
    }
}
