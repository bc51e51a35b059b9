//! What is looked for in bytes that pass as they are.
//!
//! Events are told apart by their name, and only the two that tell usage are read further, so that what a model writes is
//! never taken for usage, an error or an end.

use std::{borrow::Cow, sync::LazyLock};

use faregate_wire::{Json, JsonError, Peek};
use memchr::memmem::Finder;

use super::{
    Messages,
    usage::{Counts, usage},
};
use crate::{
    chat::Usage,
    dialect::{Asked, Call, Invalid, Passage, Seen},
};

/// The event that shows a silent stream is alive.
pub const KEEP_ALIVE: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// The top-level members of a request that are looked for.
pub const FIELDS: &[&str] = &[
    "model",
    "stream",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "metadata",
    "output_config",
    "cache_control",
    "service_tier",
    "anthropic_version",
];

/// Places in [`FIELDS`].
pub mod field {
    /// `model`
    pub const MODEL: usize = 0;
    /// `stream`
    pub const STREAM: usize = 1;
    /// `max_tokens`
    pub const MAX_TOKENS: usize = 2;
    /// `messages`
    pub const MESSAGES: usize = 3;
    /// `system`
    pub const SYSTEM: usize = 4;
    /// `tools`
    pub const TOOLS: usize = 5;
    /// `tool_choice`
    pub const TOOL_CHOICE: usize = 6;
    /// `thinking`
    pub const THINKING: usize = 7;
    /// `metadata`
    pub const METADATA: usize = 8;
    /// `output_config`
    pub const OUTPUT_CONFIG: usize = 9;
    /// `cache_control`
    pub const CACHE_CONTROL: usize = 10;
    /// `service_tier`
    pub const SERVICE_TIER: usize = 11;
    /// `anthropic_version`
    pub const ANTHROPIC_VERSION: usize = 12;
}

impl Passage for Messages {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
        let is_null = |index| peek.is_null(body, index);
        let model = match call.model {
            Some(model) => Some(Cow::Borrowed(model)),
            None => {
                known(peek.string(body, field::MODEL), is_null(field::MODEL), "model", "a string")?
            }
        };
        let stream =
            known(peek.bool(body, field::STREAM), is_null(field::STREAM), "stream", "a boolean")?;
        let output_max = match peek.span(field::MAX_TOKENS).and_then(|span| Json::new(&body[span]))
        {
            Some(value) if !value.is_null() => {
                let wanted = || Invalid::type_of("max_tokens", "a whole number");
                Some(value.u64().ok_or_else(wanted)?)
            }
            _ => None,
        };
        Ok(Asked {
            model,
            stream: call.stream.or(stream).unwrap_or(false),
            output_max,
            choices: 1,
            tells_usage: true,
        })
    }

    fn inspect(&self, name: &[u8], data: &[u8]) -> Seen {
        let mut seen = Seen::default();
        match event_name(name, data) {
            b"content_block_delta" => seen.content = EMPTY.iter().all(|e| e.find(data).is_none()),
            b"content_block_start" => seen.content = TOOL.find(data).is_some(),
            b"message_start" => {
                let usage = Json::new(data).and_then(|data| data.at(&["message", "usage"]));
                seen.usage = usage.and_then(|usage| Counts::of(usage).report());
            }
            b"message_delta" => {
                let usage = Json::new(data).and_then(|data| data.get("usage"));
                seen.usage = usage.and_then(|usage| Counts::of(usage).report());
            }
            b"message_stop" => seen.done = true,
            b"error" => seen.error = true,
            _ => {}
        }
        seen
    }

    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>) {
        ("usage", usage)
    }

    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}

/// An empty string as a member's value; in a string its quotes would be escaped.
static EMPTY: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("\":\"\""), Finder::new("\": \"\"")]);

/// The type of a block that begins a call.
static TOOL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"tool_use\""));

/// The name of an event, which its data repeats.
pub(super) fn event_name<'e>(name: &'e [u8], data: &'e [u8]) -> &'e [u8] {
    if !name.is_empty() && name != b"message" {
        return name;
    }
    let members = Json::new(data).into_iter().flat_map(Json::members);
    let kind = members.filter(|(name, _)| name == "type").map(|(_, value)| value.raw()).next();
    match kind {
        Some([b'"', kind @ .., b'"']) => kind,
        _ => b"",
    }
}

fn known<T>(
    value: Option<Result<T, JsonError>>,
    is_null: bool,
    param: &'static str,
    wanted: &str,
) -> Result<Option<T>, Invalid> {
    match value {
        Some(Err(_)) if !is_null => Err(Invalid::type_of(param, wanted)),
        Some(Err(_)) | None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use faregate_wire::Scanner;

    use super::*;

    fn asked(body: &str) -> Result<Asked<'_>, Invalid> {
        let peek = Scanner::new(FIELDS).finish(body.as_bytes()).unwrap();
        Messages.ask(&peek, body.as_bytes(), &Call::default())
    }

    #[test]
    fn requests_are_asked() {
        let read = asked(r#"{"model":"c","stream":true,"max_tokens":7,"messages":[]}"#).unwrap();
        assert_eq!(read.model.as_deref(), Some("c"));
        assert_eq!((read.stream, read.output_max, read.choices), (true, Some(7), 1));
        assert_eq!(asked(r#"{"model":null}"#).unwrap().model, None);
        assert_eq!(asked(r#"{"model":5}"#).unwrap_err().param, "model");
        assert_eq!(asked(r#"{"max_tokens":-1}"#).unwrap_err().param, "max_tokens");
    }

    #[test]
    fn events_are_told_apart() {
        let see = |name: &str, data: &str| Messages.inspect(name.as_bytes(), data.as_bytes());
        let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\"usage\":{\"output_tokens\":9} error"}}"#;
        assert_eq!(see("content_block_delta", text), Seen { content: true, ..Seen::default() });
        assert_eq!(see("", text), Seen { content: true, ..Seen::default() });
        let empty = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#;
        assert_eq!(see("content_block_delta", empty), Seen::default());
        assert!(see("message_stop", "{}").done);
        assert!(see("error", "{}").error);
        let usage = see("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#).usage.unwrap();
        assert_eq!((usage.has_input, usage.has_output, usage.usage.output), (false, true, 9));
        let usage = see("message_start", r#"{"type":"message_start","message":{"content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#).usage.unwrap();
        assert_eq!((usage.has_input, usage.usage.input), (true, 3));
        let clone = see(
            "message_delta",
            r#"{"type":"message_delta","usage":{"cache_read_input_tokens":50,"output_tokens":9}}"#,
        )
        .usage
        .unwrap();
        let before = usage.over(None);
        assert_eq!((clone.over(Some(before)).input, clone.over(Some(before)).cache_read), (3, 50));
    }
}
