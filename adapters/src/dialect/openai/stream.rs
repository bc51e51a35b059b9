//! What one event of a stream says, told by search.
//!
//! In: the data of one event. Out: [`Seen`]. Most events carry a piece of text and nothing else; they are searched, not
//! parsed. Only an event that may hold usage or an error is scanned, so that what a model writes is never taken for
//! either: only members of the outermost object count.

use std::sync::LazyLock;

use faregate_wire::{Peek, Scanner};
use memchr::{memchr, memchr2, memmem::Finder};

use super::usage;
use crate::chat::Usage;

/// What was seen in one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It is `[DONE]`.
    pub done: bool,
    /// It reports an error.
    pub error: bool,
    /// It carries a piece of the answer: text, reasoning, a refusal, a tool call or audio.
    pub content: bool,
    /// The usage that it tells.
    pub usage: Option<Usage>,
    /// It tells usage and its list of choices is empty: the chunk that `include_usage` adds.
    pub extra_chunk: bool,
}

/// Looks into one event's data.
#[must_use]
pub fn inspect(data: &[u8]) -> Seen {
    let finders = &*FINDERS;
    if data.first() == Some(&b'[') {
        return Seen { done: data.trim_ascii_end() == b"[DONE]", ..Seen::default() };
    }
    let content = finders.has_content(data);
    let mut seen = Seen { content, ..Seen::default() };
    if finders.may_have_usage(data) || (!content && finders.error.find(data).is_some()) {
        seen.scan(data);
    }
    seen
}

const NAMES: &[&str] = &["choices", "usage", "error", "x_groq", "response"];
const CHOICES: usize = 0;
const USAGE: usize = 1;
const ERROR: usize = 2;
/// Objects that hold the usage: Groq's addition, and the last event of the Responses API.
const WRAPPERS: [usize; 2] = [3, 4];

impl Seen {
    /// Reads the members of the outermost object.
    fn scan(&mut self, data: &[u8]) {
        let Ok(peek) = Scanner::new(NAMES).finish(data) else { return };
        self.error = peek.span(ERROR).is_some() && !peek.is_null(data, ERROR);
        self.usage = member_usage(&peek, data, USAGE).or_else(|| wrapped_usage(&peek, data));
        let choices = peek.span(CHOICES).map(|span| &data[span]);
        self.extra_chunk = self.usage.is_some() && choices.is_some_and(is_empty_list);
    }
}

fn member_usage(peek: &Peek, object: &[u8], index: usize) -> Option<Usage> {
    usage(&object[peek.span(index)?])
}

fn wrapped_usage(peek: &Peek, data: &[u8]) -> Option<Usage> {
    WRAPPERS.into_iter().find_map(|index| {
        let object = &data[peek.span(index)?];
        let inner = Scanner::new(&["usage"]).finish(object).ok()?;
        member_usage(&inner, object, 0)
    })
}

fn is_empty_list(list: &[u8]) -> bool {
    matches!(list, [b'[', inner @ .., b']'] if inner.trim_ascii().is_empty())
}

static FINDERS: LazyLock<Finders> = LazyLock::new(|| Finders {
    delta: Finder::new("\"delta\""),
    text: Finder::new("\"text\""),
    usage: Finder::new("\"usage\""),
    error: Finder::new("\"error\""),
});

struct Finders {
    delta: Finder<'static>,
    text: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
}

impl Finders {
    fn has_content(&self, data: &[u8]) -> bool {
        let mut rest = data;
        let mut has_delta = false;
        while let Some(at) = self.delta.find(rest) {
            has_delta = true;
            rest = &rest[at + self.delta.needle().len()..];
            match value(rest) {
                [b'{', members @ ..] if has_content_member(members) => return true,
                [b'"', first, ..] if *first != b'"' => return true,
                _ => {}
            }
        }
        !has_delta && self.has_text(data)
    }

    /// Legacy completions have the text right in the choice.
    fn has_text(&self, mut rest: &[u8]) -> bool {
        while let Some(at) = self.text.find(rest) {
            rest = &rest[at + self.text.needle().len()..];
            if matches!(value(rest), [b'"', first, ..] if *first != b'"') {
                return true;
            }
        }
        false
    }

    fn may_have_usage(&self, mut rest: &[u8]) -> bool {
        while let Some(at) = self.usage.find(rest) {
            rest = &rest[at + self.usage.needle().len()..];
            if value(rest).first() == Some(&b'{') {
                return true;
            }
        }
        false
    }
}

/// The value that `rest` holds behind a name and a colon, and what follows; nothing when there is no colon.
#[inline]
fn value(rest: &[u8]) -> &[u8] {
    match rest {
        [b':', value @ ..] if value.first().is_some_and(|byte| *byte > b' ') => value,
        _ => rest.trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii_start(),
    }
}

/// Whether a delta has a member that is a piece of the answer: any string, list or object that is not empty, but for the
/// role and the author's name. `rest` begins behind the delta's brace.
fn has_content_member(rest: &[u8]) -> bool {
    if let [b'"', behind @ ..] = rest
        && let Some([first, ..]) = behind.strip_prefix(b"content\":\"")
        && *first != b'"'
    {
        return true;
    }
    let mut rest = rest;
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        let Some(name) = rest.strip_prefix(b"\"") else { return false };
        let Some(end) = memchr(b'"', name) else { return false };
        let (name, behind) = (&name[..end], value(&name[end + 1..]));
        let is_label = matches!(name, b"role" | b"name");
        rest = match behind {
            [b'"', b'"', next @ ..] => next,
            [b'"', text @ ..] if is_label => behind_string(text),
            [b'[' | b'{', next @ ..] => match next.trim_ascii_start() {
                [b']' | b'}', next @ ..] => next,
                next => return !is_label && !next.is_empty(),
            },
            [b'"', ..] => return behind.len() > 1,
            _ => memchr2(b',', b'}', behind).map_or(&[], |at| &behind[at..]),
        };
    }
}

/// What follows the string whose text `rest` begins with. Labels have no escapes worth a thought.
fn behind_string(rest: &[u8]) -> &[u8] {
    memchr(b'"', rest).map_or(&[], |at| &rest[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: &str) {
        for data in [data.to_owned(), spaced(data)] {
            let seen = inspect(data.as_bytes());
            let mut found = Vec::new();
            for (is_so, what) in [
                (seen.done, "done"),
                (seen.error, "error"),
                (seen.content, "content"),
                (seen.usage.is_some(), "usage"),
                (seen.extra_chunk, "extra"),
            ] {
                if is_so {
                    found.push(what);
                }
            }
            assert_eq!(found.join(" "), expected, "{data}");
        }
    }

    /// The same JSON as a server writes it that puts spaces behind colons and commas.
    fn spaced(data: &str) -> String {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(data) else {
            return data.to_owned();
        };
        serde_json::to_string_pretty(&value).unwrap()
    }

    fn chunk(delta: &str) -> String {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5","service_tier":"default","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"aB3"}}"#
        )
    }

    const USAGE: &str = r#"{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}"#;

    #[test]
    fn the_end_is_seen() {
        check("[DONE]", "done");
        check("[DONE] ", "done");
        check("[]", "");
        check("", "");
        check("{}", "");
    }

    #[test]
    fn a_piece_of_the_answer_is_content() {
        for delta in [
            r#"{"content":" token"}"#,
            r#"{"role":"assistant","content":"x"}"#,
            r#"{"role":"assistant","content":"\"quoted\""}"#,
            r#"{"content":"","reasoning_content":"hm"}"#,
            r#"{"content":null,"reasoning":"hm"}"#,
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#,
            r#"{"refusal":"no"}"#,
            r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"usage\":{"}}]}"#,
            r#"{"function_call":{"name":"f"}}"#,
            r#"{"audio":{"id":"a","data":"AAAA"}}"#,
            r#"{"content":[{"type":"text","text":"x"}]}"#,
            r#"{"content":"\"delta\":{}"}"#,
        ] {
            check(&chunk(delta), "content");
        }
        check(
            r#"{"choices":[{"delta":{},"index":0},{"delta":{"content":"x"},"index":1}]}"#,
            "content",
        );
        check(
            r#"{"object":"text_completion","choices":[{"text":" tok","index":0,"finish_reason":null}]}"#,
            "content",
        );
        check(
            r#"{"type":"response.output_text.delta","delta":"Hel","sequence_number":4}"#,
            "content",
        );
    }

    #[test]
    fn what_says_nothing_is_no_content() {
        for delta in [
            "{}",
            r#"{"role":"assistant","content":""}"#,
            r#"{"role":"assistant","content":null,"refusal":null}"#,
            r#"{"role":"assistant","content":"","tool_calls":[],"audio":{},"x":5}"#,
            r#"{"name":"bob"}"#,
            "null",
        ] {
            check(&chunk(delta), "");
        }
        check(r#"{"choices":[{"text":"","index":0,"finish_reason":"stop"}]}"#, "");
        // Azure's first chunk.
        check(
            r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#,
            "",
        );
    }

    #[test]
    fn usage_is_told_apart_from_the_chunk_that_is_made_for_it() {
        check(&format!(r#"{{"id":"c","choices":[],"usage":{USAGE}}}"#), "usage extra");
        check(&format!(r#"{{"id":"c","choices":[ ],"usage":{USAGE},"x":1}}"#), "usage extra");
        check(r#"{"id":"c","choices":[],"usage":null}"#, "");
        check(r#"{"id":"c","choices":[],"usage":{}}"#, "");
        // vLLM with continuous_usage_stats, and servers that put usage on the last chunk.
        check(
            &format!(r#"{{"choices":[{{"delta":{{"content":"x"}}}}],"usage":{USAGE}}}"#),
            "content usage",
        );
        check(
            &format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],"usage":{USAGE}}}"#),
            "usage",
        );
        // Groq.
        check(
            &format!(r#"{{"choices":[{{"delta":{{}}}}],"x_groq":{{"id":"r","usage":{USAGE}}}}}"#),
            "usage",
        );
        // Responses.
        check(
            r#"{"type":"response.completed","response":{"output":[],"usage":{"input_tokens":1,"output_tokens":2}}}"#,
            "usage",
        );
    }

    #[test]
    fn a_model_cannot_write_usage_or_an_error() {
        for text in [
            "\"usage\":{\"prompt_tokens\":1}",
            "\",\"usage\":{\"prompt_tokens\":1}",
            "\\\",\"usage\":{\"prompt_tokens\":1}",
            "\"error\":{}",
        ] {
            let quoted = serde_json::Value::from(text);
            check(&chunk(&format!("{{\"content\":{quoted}}}")), "content");
            check(
                &chunk(&format!("{{\"role\":\"assistant\",\"content\":\"\",\"x\":{quoted}}}")),
                "content",
            );
        }
        check(
            r#"{"choices":[{"delta":{"tool_calls":[{"arguments":{"usage":{"prompt_tokens":1},"error":{}}}]}}]}"#,
            "content",
        );
    }

    #[test]
    fn errors_are_seen() {
        check(
            r#"{"error":{"message":"overloaded","type":"server_error","param":null,"code":null}}"#,
            "error",
        );
        check(r#"{"error":"overloaded"}"#, "error");
        check(r#"{"error":null,"choices":[]}"#, "");
        check(
            r#"{"id":"g","error":{"code":502,"message":"x"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            "error",
        );
    }

    #[test]
    fn broken_data_says_nothing_and_does_no_harm() {
        let whole = chunk(r#"{"role":"assistant","content":"x y","tool_calls":[{"a":1}]}"#);
        let usage = format!(r#"{{"choices":[],"usage":{USAGE}}}"#);
        for data in [whole, usage, r#"{"error":{"a":1},"choices":[{"text":"x"}]}"#.into()] {
            for end in 0..data.len() {
                let seen = inspect(&data.as_bytes()[..end]);
                assert!(seen.usage.is_none() && !seen.error && !seen.done);
            }
        }
    }
}
