//! Functions in a namespace, under names of their own.
//!
//! A tool of type `namespace` holds functions, and a call of one names both (`"namespace":"files","name":"read"`). Other
//! dialects have no namespaces: there the function is called `files::read`, which `chat::Names` fits to what a
//! provider allows (`files__read_…`) and restores in the answer, where [`split`] takes it apart again. A plain function
//! with `::` in its name has it once more in front, so that every name has one meaning.

use std::borrow::Cow;

/// Stands between a namespace and a name; OpenAI's own names cannot hold it.
pub(super) const SEPARATOR: &str = "::";

/// The one name of a function in a namespace, or in none.
pub(super) fn join<'a>(namespace: Option<&str>, name: Cow<'a, str>) -> Cow<'a, str> {
    match namespace {
        Some(namespace) if !namespace.is_empty() => {
            Cow::Owned([namespace, SEPARATOR, &name].concat())
        }
        _ if name.contains(SEPARATOR) => Cow::Owned([SEPARATOR, &name].concat()),
        _ => name,
    }
}

/// The namespace, if there is one, and the name in it.
pub(super) fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once(SEPARATOR) {
        Some(("", name)) => (None, name),
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_taken_apart_as_it_was_put_together() {
        for (namespace, name) in
            [(None, "f"), (None, "a::b"), (None, "::"), (Some("n"), "f"), (Some("n"), "a::b")]
        {
            let joined = join(namespace, name.into());
            assert_eq!(split(&joined), (namespace, name), "{joined}");
        }
        assert_eq!(join(Some(""), "f".into()), "f");
    }
}
