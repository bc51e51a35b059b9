//! What could not be carried from one dialect into another.

use std::borrow::Cow;

/// The most fields that are named.
const NAMED_MAX: usize = 24;

/// The most bytes of one name.
const NAME_BYTES_MAX: usize = 48;

/// The fields of a request that its target's dialect cannot say, by the names they have in the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    names: Vec<Cow<'static, str>>,
    more: bool,
}

impl Loss {
    /// Notes a field of a fixed name, such as `top_k`.
    pub fn add(&mut self, name: &'static str) {
        self.note(Cow::Borrowed(name));
    }

    /// Notes a field that the client named.
    pub fn add_named(&mut self, name: &str) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if name.len() <= NAME_BYTES_MAX && !name.is_empty() && name.bytes().all(plain) {
            self.note(Cow::Owned(name.to_owned()));
        } else {
            self.more = true;
        }
    }

    /// Whether everything was carried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.more
    }

    /// The fields, separated by commas, as `x-faregate-lost` names them; `…` is spelled `more`.
    #[must_use]
    pub fn list(&self) -> String {
        let mut list = self.names.join(",");
        if self.more {
            list.push_str(if list.is_empty() { "more" } else { ",more" });
        }
        list
    }

    fn note(&mut self, name: Cow<'static, str>) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() == NAMED_MAX {
            self.more = true;
        } else {
            self.names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_named_once_and_the_list_is_bounded() {
        let mut loss = Loss::default();
        assert!(loss.is_empty());
        loss.add("top_k");
        loss.add("top_k");
        loss.add_named("a\r\nb");
        assert_eq!(loss.list(), "top_k,more");
        for n in 0..100 {
            loss.add_named(&format!("f{n}"));
        }
        assert!(loss.list().len() < 300);
    }
}
