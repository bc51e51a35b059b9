//! Which members of a request make up its prompt, in the order in which a model reads them.
//!
//! In: a dialect. Out: names of members. Requests of one conversation begin the same in this order, whatever the order of
//! the members in their bodies, and whatever else differs between them.

use crate::dialect::Form;

/// The members of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Those that are the same in every turn of a conversation: tools and instructions.
    pub whole: &'static [&'static str],
    /// The conversation itself, which grows: a list, or a text.
    pub grows: &'static str,
}

/// The members of a prompt in a dialect. All are among those that the dialect's scan looks for.
#[must_use]
pub const fn order(form: Form) -> Order {
    let (whole, grows): (&[&str], &str) = match form {
        Form::Chat => (&["tools"], "messages"),
        Form::Responses => (&["tools", "instructions"], "input"),
        Form::Messages => (&["tools", "system"], "messages"),
        Form::Gemini => (&["tools", "systemInstruction", "system_instruction"], "contents"),
        Form::Converse => (&["toolConfig", "system"], "messages"),
    };
    Order { whole, grows }
}

/// A list or a text as it begins in the next turn, too: without what ends it.
#[must_use]
pub fn open_end(value: &[u8]) -> &[u8] {
    match value {
        [b'[' | b'"', .., b']' | b'"'] => value[..value.len() - 1].trim_ascii_end(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_up_a_prompt_is_looked_for() {
        for form in Form::ALL {
            let Order { whole, grows } = order(form);
            for name in whole.iter().chain([&grows]) {
                assert!(form.passage().fields().contains(name), "{form:?} {name}");
            }
        }
    }

    #[test]
    fn a_turn_begins_as_the_turn_before() {
        for (one, next) in
            [("[1, 2\n ]", "[1, 2\n , 3]"), ("[]", "[1]"), (r#""hello""#, r#""hello and more""#)]
        {
            assert!(next.as_bytes().starts_with(open_end(one.as_bytes())), "{one}");
        }
        assert_eq!(open_end(b"7"), b"7");
    }
}
