//! The last question of a request: the one text that may be put in other words.
//!
//! In: a request's body. Out: the text of its last message, where that is the user's and has one text, and the place of the text in
//! the body; so that all else can be compared exactly. Nothing is remembered. Where there is any doubt (a member that is
//! there twice, two texts, another role), there is no question.

use std::ops::Range;

use faregate_wire::{Json, Patch};

use crate::surface::Surface;

/// A question, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// The JSON string in the body, with its quotation marks.
    pub span: Range<usize>,
}

impl Question {
    /// The last question of `body`.
    #[must_use]
    pub fn of(surface: Surface, body: &[u8]) -> Option<Self> {
        let root = Json::new(body)?;
        let text = match surface {
            Surface::ChatCompletions => last(only(root, "messages")?, "content", &["text"]),
            Surface::Messages => last(only(root, "messages")?, "content", &["text"]),
            Surface::Converse => last(only(root, "messages")?, "content", &[]),
            Surface::GenerateContent => last(only(root, "contents")?, "parts", &[]),
            Surface::Responses => {
                let input = only(root, "input")?;
                match input.is_string() {
                    true => Some(input),
                    false => last(input, "content", &["input_text"]),
                }
            }
            _ => None,
        }?;
        let start = (text.raw().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        let span = start..start.checked_add(text.raw().len())?;
        debug_assert_eq!(body.get(span.clone()), Some(text.raw()), "the text is part of the body");
        Some(Self { text: text.str()?.into_owned(), span })
    }

    /// The body with an empty text in the question's place.
    #[must_use]
    pub fn without(&self, body: &[u8]) -> Vec<u8> {
        let mut patch = Patch::new();
        patch.replace(self.span.clone(), &b"\"\""[..]);
        let mut out = Vec::with_capacity(patch.len(body));
        patch.write(body, &mut out);
        out
    }
}

/// The member of that name, if there is one and no other.
fn only<'a>(object: Json<'a>, name: &str) -> Option<Json<'a>> {
    let mut found = object.members().filter(|(own, _)| own == name).map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The one text of the last message, if that is the user's: parts with a text are those of the `types`, or of any where the
/// dialect has no types.
fn last<'a>(messages: Json<'a>, content: &str, types: &[&str]) -> Option<Json<'a>> {
    let message = messages.is_array().then(|| messages.items().last())??;
    if only(message, "role")?.str()? != "user" {
        return None;
    }
    let content = only(message, content)?;
    if content.is_string() {
        return Some(content);
    }
    let mut texts = content.items().filter(|part| part.get("text").is_some());
    let part = texts.next()?;
    let is_typed = types.is_empty() || types.contains(&&*only(part, "type")?.str()?);
    let text = only(part, "text").filter(|text| text.is_string())?;
    (content.is_array() && is_typed && texts.next().is_none()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(surface: Surface, body: &str, expected: Option<&str>) {
        let found = Question::of(surface, body.as_bytes());
        assert_eq!(found.as_ref().map(|found| &*found.text), expected, "{body}");
        if let Some(found) = found {
            let without = String::from_utf8(found.without(body.as_bytes())).unwrap();
            let written = &body[found.span];
            assert_eq!(without, body.replacen(written, "\"\"", 1), "{body}");
        }
    }

    #[test]
    fn the_last_text_of_the_user_is_the_question() {
        use Surface::{ChatCompletions, Converse, GenerateContent, Messages, Responses};
        check(
            ChatCompletions,
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a \"b\""}],"n":1}"#,
            Some("a \"b\""),
        );
        check(
            ChatCompletions,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"q"},{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            Some("q"),
        );
        check(Messages, r#"{"messages":[{"role":"user","content":"m"}]}"#, Some("m"));
        check(Responses, r#"{"input":"i"}"#, Some("i"));
        check(
            Responses,
            r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"t"}]}]}"#,
            Some("t"),
        );
        check(
            GenerateContent,
            r#"{"contents":[{"role":"user","parts":[{"text":"g"}]}]}"#,
            Some("g"),
        );
        check(Converse, r#"{"messages":[{"role":"user","content":[{"text":"c"}]}]}"#, Some("c"));
    }

    #[test]
    fn where_there_is_doubt_there_is_no_question() {
        use Surface::{ChatCompletions, Embeddings, GenerateContent, Messages, Responses};
        for body in [
            "{}",
            "[]",
            "nonsense",
            r#"{"messages":[]}"#,
            r#"{"messages":"q"}"#,
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"tool","content":"t"}]}"#,
            r#"{"messages":[{"role":"user","role":"tool","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":"a","content":"b"}]}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"tool_result","text":"a"}]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":7}]}]}"#,
            r#"{"messages":[{"role":"user","content":{"text":"a"}}]}"#,
        ] {
            check(ChatCompletions, body, None);
            check(Messages, body, None);
        }
        check(Responses, r#"{"input":["a"]}"#, None);
        check(GenerateContent, r#"{"contents":[{"parts":[{"text":"g"}]}]}"#, None);
        check(Embeddings, r#"{"input":"a"}"#, None);
    }
}
