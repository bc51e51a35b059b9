//! What a request asks for.

use std::{borrow::Cow, ops::Range};

use faregate_wire::{JsonError, Patch, Peek, Scanner};
use memchr::memchr2;

use crate::surface::Surface;

/// Top-level members that decisions depend on: what a [`faregate_wire::Scanner`] looks for.
pub const FIELDS: &[&str] = &[
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream_options",
    "best_of",
    "max_output_tokens",
    "messages",
    "prompt",
    "input",
    "previous_response_id",
    "user",
    "safety_identifier",
    "metadata",
    "session_id",
    "prompt_cache_key",
    "tools",
    "service_tier",
];

/// Places in [`FIELDS`].
pub mod field {
    /// `model`
    pub const MODEL: usize = 0;
    /// `stream`
    pub const STREAM: usize = 1;
    /// `max_tokens`
    pub const MAX_TOKENS: usize = 2;
    /// `max_completion_tokens`
    pub const MAX_COMPLETION_TOKENS: usize = 3;
    /// `n`
    pub const N: usize = 4;
    /// `stream_options`
    pub const STREAM_OPTIONS: usize = 5;
    /// `best_of`
    pub const BEST_OF: usize = 6;
    /// `max_output_tokens`
    pub const MAX_OUTPUT_TOKENS: usize = 7;
    /// `messages`
    pub const MESSAGES: usize = 8;
    /// `prompt`
    pub const PROMPT: usize = 9;
    /// `input`
    pub const INPUT: usize = 10;
}

/// What a request asks for, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The model.
    pub model: Option<Cow<'a, str>>,
    /// Where the model's string literal is in the body.
    pub model_span: Option<Range<usize>>,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// The most tokens each choice may have; `None` when the request sets no bound.
    pub output_max: Option<u64>,
    /// How many choices are generated, at least 1.
    pub choices: u64,
    /// What `stream_options.include_usage` says.
    pub include_usage: Option<bool>,
}

/// A parameter that cannot be what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which one.
    pub param: &'static str,
    /// What is wrong, for the client.
    pub message: String,
}

/// Reads what the request in `body` asks for; `peek` comes from a scan for [`FIELDS`].
///
/// A bound for tokens is never read lower than the provider may read it: of `max_tokens` and `max_completion_tokens` the
/// larger counts, a fraction is rounded up, and a negative number, which some servers take for "no bound", is none.
///
/// # Errors
///
/// [`Invalid`] when a parameter has the wrong type, or `stream_options.include_usage` could be read in two ways.
pub fn read<'a>(peek: &Peek, body: &'a [u8], surface: Surface) -> Result<Asked<'a>, Invalid> {
    let fields = Fields { peek, body };
    let model = fields.model()?;
    Ok(Asked {
        model_span: model.as_ref().and(peek.span(field::MODEL)),
        model,
        stream: fields.stream()?,
        output_max: fields.output_max(surface)?,
        choices: fields.choices(surface)?,
        include_usage: Options::find(peek, body)?.and_then(|options| options.include_usage),
    })
}

/// Sets `stream_options.include_usage` to true, unless it is. The request must have passed [`read`].
pub fn include_usage_edit(patch: &mut Patch, peek: &Peek, body: &[u8]) {
    const OPTIONS: &[u8] = b"{\"include_usage\":true}";
    let Ok(options) = Options::find(peek, body) else { return };
    let Some(options) = options else {
        match peek.span(field::STREAM_OPTIONS) {
            Some(null) => patch.replace(null, OPTIONS),
            None if peek.is_empty_object() => {
                patch.insert(peek.insert_at(), &b"\"stream_options\":{\"include_usage\":true}"[..]);
            }
            None => {
                patch.insert(peek.insert_at(), &b",\"stream_options\":{\"include_usage\":true}"[..])
            }
        }
        return;
    };
    match options.value {
        Some(_) if options.include_usage == Some(true) => {}
        Some(value) => patch.replace(value, &b"true"[..]),
        None if options.is_empty => patch.insert(options.insert_at, &b"\"include_usage\":true"[..]),
        None => patch.insert(options.insert_at, &b",\"include_usage\":true"[..]),
    }
}

/// `stream_options`, with places in the whole body.
struct Options {
    /// Where the value of `include_usage` is.
    value: Option<Range<usize>>,
    include_usage: Option<bool>,
    insert_at: usize,
    is_empty: bool,
}

impl Options {
    /// `None` when they are absent or null.
    fn find(peek: &Peek, body: &[u8]) -> Result<Option<Self>, Invalid> {
        const PARAM: &str = "stream_options";
        let Some(span) = peek.span(field::STREAM_OPTIONS) else { return Ok(None) };
        if peek.is_null(body, field::STREAM_OPTIONS) {
            return Ok(None);
        }
        let (start, body) = (span.start, &body[span]);
        let inner = Scanner::new(&["include_usage"]).finish(body).map_err(|error| match error {
            JsonError::NotAnObject => Invalid::type_of(PARAM, "an object"),
            _ => {
                Invalid { param: PARAM, message: format!("stream_options.include_usage: {error}") }
            }
        })?;
        let include_usage = match inner.bool(body, 0) {
            Some(Ok(value)) => Some(value),
            Some(Err(_)) if !inner.is_null(body, 0) => {
                return Err(Invalid::type_of("stream_options.include_usage", "a boolean"));
            }
            Some(Err(_)) | None => None,
        };
        Ok(Some(Self {
            value: inner.span(0).map(|value| start + value.start..start + value.end),
            include_usage,
            insert_at: start + inner.insert_at(),
            is_empty: inner.is_empty_object(),
        }))
    }
}

impl Invalid {
    fn type_of(param: &'static str, wanted: &str) -> Self {
        Self { param, message: format!("{param} must be {wanted}") }
    }
}

/// The fields of a request. Null is as good as absent.
struct Fields<'p, 'a> {
    peek: &'p Peek,
    body: &'a [u8],
}

impl<'a> Fields<'_, 'a> {
    fn model(&self) -> Result<Option<Cow<'a, str>>, Invalid> {
        match self.peek.string(self.body, field::MODEL) {
            Some(Err(_)) if self.peek.is_null(self.body, field::MODEL) => Ok(None),
            Some(Err(_)) => Err(Invalid::type_of("model", "a string")),
            Some(Ok(model)) => Ok(Some(model)),
            None => Ok(None),
        }
    }

    fn stream(&self) -> Result<bool, Invalid> {
        match self.peek.bool(self.body, field::STREAM) {
            Some(Err(_)) if self.peek.is_null(self.body, field::STREAM) => Ok(false),
            Some(Err(_)) => Err(Invalid::type_of("stream", "a boolean")),
            Some(Ok(stream)) => Ok(stream),
            None => Ok(false),
        }
    }

    fn output_max(&self, surface: Surface) -> Result<Option<u64>, Invalid> {
        if surface == Surface::Embeddings {
            return Ok(Some(0));
        }
        let mut most = None;
        for index in [field::MAX_TOKENS, field::MAX_COMPLETION_TOKENS, field::MAX_OUTPUT_TOKENS] {
            most = most.max(self.bound(index)?);
        }
        Ok(most)
    }

    fn choices(&self, surface: Surface) -> Result<u64, Invalid> {
        let n = self.bound(field::N)?.unwrap_or(1).max(1);
        if surface != Surface::Completions {
            return Ok(n);
        }
        let tried = self.bound(field::BEST_OF)?.unwrap_or(1).max(n);
        Ok(tried.saturating_mul(self.prompts()))
    }

    /// A number that bounds something, rounded up. `None` when it is absent or negative.
    fn bound(&self, index: usize) -> Result<Option<u64>, Invalid> {
        let invalid = || Invalid::type_of(FIELDS[index], "a number");
        match self.peek.number_u64(self.body, index) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) if self.peek.is_null(self.body, index) => Ok(None),
            Some(Err(_)) => {
                let text = self.peek.span(index).map(|span| &self.body[span]).unwrap_or_default();
                let number = std::str::from_utf8(text).ok().filter(|text| is_number(text));
                let number: f64 = number.and_then(|n| n.parse().ok()).ok_or_else(invalid)?;
                Ok((number >= 0.0).then(|| round_up(number)))
            }
        }
    }

    /// How many prompts a legacy completion has: a list of strings or of token lists is a batch.
    fn prompts(&self) -> u64 {
        let Some(span) = self.peek.span(field::PROMPT) else { return 1 };
        let Some(mut rest) = self.body[span].strip_prefix(b"[") else { return 1 };
        let mut count = 0_u64;
        while let Some(at) = memchr2(b'"', b'[', rest) {
            count += 1;
            let is_string = rest[at] == b'"';
            rest = &rest[at + 1..];
            if is_string {
                rest = behind_string(rest);
            }
        }
        count.max(1)
    }
}

/// What follows the string whose text `rest` begins with.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let step = if rest[at] == b'"' { 1 } else { 2 };
        let is_end = rest[at] == b'"';
        rest = rest.get(at + step..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and what is too large becomes the largest there is"
)]
fn round_up(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn peek(body: &str) -> Peek {
        Scanner::new(FIELDS).finish(body.as_bytes()).unwrap()
    }

    fn asked(body: &str, surface: Surface) -> Result<Asked<'_>, Invalid> {
        read(&peek(body), body.as_bytes(), surface)
    }

    fn chat(body: &str) -> Asked<'_> {
        asked(body, Surface::ChatCompletions).unwrap()
    }

    #[test]
    fn fields_are_where_their_names_say() {
        for (index, name) in [
            (field::MODEL, "model"),
            (field::STREAM, "stream"),
            (field::MAX_TOKENS, "max_tokens"),
            (field::MAX_COMPLETION_TOKENS, "max_completion_tokens"),
            (field::N, "n"),
            (field::STREAM_OPTIONS, "stream_options"),
            (field::BEST_OF, "best_of"),
            (field::MAX_OUTPUT_TOKENS, "max_output_tokens"),
            (field::MESSAGES, "messages"),
            (field::PROMPT, "prompt"),
            (field::INPUT, "input"),
        ] {
            assert_eq!(FIELDS[index], name);
        }
    }

    #[test]
    fn a_request_is_read() {
        let body = r#"{"messages":[],"model":"gp\u0074","stream":true,"n":2,"max_tokens":5,
            "max_completion_tokens":9,"stream_options":{"include_usage":true}}"#;
        let asked = chat(body);
        assert_eq!(asked.model.as_deref(), Some("gpt"));
        assert_eq!(&body[asked.model_span.unwrap()], r#""gp\u0074""#);
        assert!(asked.stream);
        assert_eq!((asked.output_max, asked.choices), (Some(9), 2));
        assert_eq!(asked.include_usage, Some(true));
        let nothing = Asked { choices: 1, ..Asked::default() };
        assert_eq!(chat("{}"), nothing);
        let nulls =
            r#"{"model":null,"stream":null,"n":null,"max_tokens":null,"stream_options":null}"#;
        assert_eq!(chat(nulls), nothing);
    }

    #[test]
    fn bounds_are_never_read_too_low() {
        for (number, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512.0", Some(512)),
            ("1e3", Some(1000)),
            ("0.5", Some(1)),
            ("-1", None),
            ("-1.5", None),
            ("18446744073709551616", Some(u64::MAX)),
            ("1e999", Some(u64::MAX)),
            ("null", None),
        ] {
            let body = format!("{{\"max_tokens\":{number}}}");
            assert_eq!(chat(&body).output_max, expected, "{number}");
        }
    }

    #[test]
    fn every_prompt_and_every_try_of_a_legacy_completion_counts() {
        for (body, expected) in [
            (r#"{"prompt":"a"}"#, 1),
            (r#"{"prompt":"a","n":2,"best_of":5}"#, 5),
            (r#"{"prompt":[1,2,3],"n":2}"#, 2),
            (r#"{"prompt":["a [x] \"q\" \\","b"],"n":2}"#, 4),
            (r#"{"prompt":[[1,2],[3]]}"#, 2),
            (r#"{"prompt":[]}"#, 1),
            (r#"{"prompt":["a","b"],"n":18446744073709551615}"#, u64::MAX),
            (r#"{"n":0}"#, 1),
        ] {
            assert_eq!(asked(body, Surface::Completions).unwrap().choices, expected, "{body}");
        }
        assert_eq!(asked(r#"{"input":"a"}"#, Surface::Embeddings).unwrap().output_max, Some(0));
    }

    #[test]
    fn wrong_types_are_named() {
        for (body, param) in [
            (r#"{"model":1}"#, "model"),
            (r#"{"model":"\ud800"}"#, "model"),
            (r#"{"stream":"true"}"#, "stream"),
            (r#"{"stream":1}"#, "stream"),
            (r#"{"max_tokens":"5"}"#, "max_tokens"),
            (r#"{"n":[1]}"#, "n"),
            (r#"{"max_completion_tokens":true}"#, "max_completion_tokens"),
            (r#"{"stream_options":1}"#, "stream_options"),
            (r#"{"stream_options":{"include_usage":1}}"#, "stream_options.include_usage"),
            (
                r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
                "stream_options",
            ),
            (r#"{"stream_options":{"include_us\u0061ge":false}}"#, "stream_options"),
        ] {
            let invalid = asked(body, Surface::ChatCompletions).unwrap_err();
            assert_eq!(invalid.param, param, "{body}");
            assert!(invalid.message.starts_with(param), "{}", invalid.message);
        }
    }

    #[test]
    fn usage_is_asked_for_by_the_smallest_edit() {
        for (body, expected) in [
            ("{}", r#"{"stream_options":{"include_usage":true}}"#),
            (r#"{"n":1 }"#, r#"{"n":1 ,"stream_options":{"include_usage":true}}"#),
            (
                r#"{"stream_options":null,"n":1}"#,
                r#"{"stream_options":{"include_usage":true},"n":1}"#,
            ),
            (r#"{"stream_options":{ }}"#, r#"{"stream_options":{ "include_usage":true}}"#),
            (
                r#"{"stream_options":{"include_obfuscation":false},"n":1}"#,
                r#"{"stream_options":{"include_obfuscation":false,"include_usage":true},"n":1}"#,
            ),
            (
                r#"{"stream_options":{"include_usage": false }}"#,
                r#"{"stream_options":{"include_usage": true }}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":null}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":true}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
        ] {
            let mut patch = Patch::new();
            include_usage_edit(&mut patch, &peek(body), body.as_bytes());
            let mut edited = Vec::new();
            patch.write(body.as_bytes(), &mut edited);
            assert_eq!(std::str::from_utf8(&edited).unwrap(), expected);
            assert_eq!(patch.is_empty(), body == expected);
            let read: Value = serde_json::from_slice(&edited).unwrap();
            assert_eq!(read["stream_options"]["include_usage"], json!(true));
        }
    }
}
