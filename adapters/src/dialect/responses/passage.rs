//! What is looked for in requests and streams that pass as they are.

use std::sync::LazyLock;

use faregate_wire::{Json, Peek};
use memchr::memmem::Finder;

use super::usage;
use crate::dialect::{Asked, Call, Invalid, Seen, UsageReport};

/// Members of a request, in the order of the constants below.
pub(super) const FIELDS: &[&str] = &[
    "model",
    "stream",
    "max_output_tokens",
    "input",
    "instructions",
    "store",
    "previous_response_id",
    "background",
    "conversation",
    "tools",
    "prompt_cache_key",
    "service_tier",
    "user",
    "safety_identifier",
    "metadata",
    "session_id",
];
const MODEL: usize = 0;
const STREAM: usize = 1;
const OUTPUT_MAX: usize = 2;

/// Tells what a request asks. A bound of output is never read lower than the provider may read it: one that is not a
/// whole number is refused.
pub(super) fn ask<'a>(peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
    let value = |index| {
        let span = peek.span(index)?;
        Json::new(body.get(span)?).filter(|value| !value.is_null())
    };
    let model = match value(MODEL) {
        Some(model) => Some(model.str().ok_or_else(|| Invalid::type_of("model", "a string"))?),
        None => call.model.map(Into::into),
    };
    let stream = match value(STREAM) {
        Some(stream) => stream.bool().ok_or_else(|| Invalid::type_of("stream", "a boolean"))?,
        None => call.stream.unwrap_or(false),
    };
    let output_max = match value(OUTPUT_MAX) {
        Some(max) => {
            Some(max.u64().ok_or_else(|| Invalid::type_of("max_output_tokens", "a whole number"))?)
        }
        None => None,
    };
    Ok(Asked { model, stream, output_max, choices: 1, tells_usage: true })
}

/// Looks into one event. Most are pieces of text: those are searched, not read.
pub(super) fn inspect(name: &[u8], data: &[u8]) -> Seen {
    let found;
    let name = match name {
        b"" => {
            found = Json::new(data).and_then(|event| event.get_str("type"));
            found.as_deref().unwrap_or_default().as_bytes()
        }
        name => name,
    };
    match name {
        b"response.completed" | b"response.incomplete" => {
            Seen { done: true, usage: response_usage(data), ..Seen::default() }
        }
        b"response.failed" => {
            Seen { done: true, error: true, usage: response_usage(data), ..Seen::default() }
        }
        b"error" => Seen { error: true, ..Seen::default() },
        b"response.output_item.done" => Seen { content: true, ..Seen::default() },
        _ if name.ends_with(b".delta") => Seen { content: has_delta(data), ..Seen::default() },
        _ => Seen { content: name.ends_with(b".partial_image"), ..Seen::default() },
    }
}

fn response_usage(data: &[u8]) -> Option<UsageReport> {
    let usage = Json::new(data)?.at(&["response", "usage"])?;
    usage::read(usage.raw()).map(UsageReport::whole)
}

/// Whether the member `delta` holds something. Within strings its quotes would be escaped.
fn has_delta(data: &[u8]) -> bool {
    static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));
    let Some(at) = DELTA.find(data) else { return false };
    let behind = data[at + DELTA.needle().len()..].trim_ascii_start();
    let value = behind.strip_prefix(b":").unwrap_or(behind).trim_ascii_start();
    !value.starts_with(b"\"\"") && !value.starts_with(b"null")
}

#[cfg(test)]
mod tests {
    use faregate_wire::Scanner;

    use super::*;

    #[test]
    fn what_is_asked_is_told() {
        let body = br#"{"model":"gpt-5.5","input":"hi","stream":true,"max_output_tokens":100}"#;
        let peek = Scanner::new(FIELDS).finish(body).unwrap();
        let asked = ask(&peek, body, &Call::default()).unwrap();
        assert_eq!(asked.model.as_deref(), Some("gpt-5.5"));
        assert!(asked.stream && asked.tells_usage);
        assert_eq!((asked.output_max, asked.choices), (Some(100), 1));
        let body = br#"{"model":1}"#;
        let peek = Scanner::new(FIELDS).finish(body).unwrap();
        assert_eq!(ask(&peek, body, &Call::default()).unwrap_err().param, "model");
    }

    #[test]
    fn events_are_told_apart_with_and_without_a_name() {
        let delta = br#"{"type":"response.output_text.delta","delta":"x","obfuscation":"a"}"#;
        for name in [&b""[..], b"response.output_text.delta"] {
            assert!(inspect(name, delta).content);
        }
        let text = br#"{"type":"response.output_text.delta","delta":"","a":"\"delta\":\"x\""}"#;
        assert!(!inspect(b"", text).content);
        let created = br#"{"type":"response.created","response":{"usage":null,"error":null}}"#;
        assert_eq!(inspect(b"", created), Seen::default());
        for kind in ["completed", "incomplete", "failed"] {
            let data = format!(
                r#"{{"type":"response.{kind}","response":{{"usage":{{"input_tokens":5,"output_tokens":7,"total_tokens":12}}}}}}"#
            );
            let seen = inspect(b"", data.as_bytes());
            assert!(seen.done, "{kind}");
            assert_eq!(seen.error, kind == "failed");
            assert_eq!(seen.usage.unwrap().usage.total(), 12);
        }
        assert!(inspect(b"error", br#"{"type":"error","message":"x"}"#).error);
    }
}
