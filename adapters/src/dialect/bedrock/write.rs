//! Answers of Converse as clients read them: whole, and errors.
//!
//! In: an answer. Out: the body. `metrics.latencyMs` is demanded by the form and not known here: it is 0.

use faregate_wire::JsonWriter;

use super::{error, media, opaque, request::object};
use crate::{
    chat::{Answer, AnswerPart, Choice, Citation, Finish, Media, MediaKind, Source, Usage},
    dialect::ErrorBody,
};

/// Appends a whole answer.
pub(super) fn write(out: &mut Vec<u8>, answer: &Answer<'_>) {
    let mut json = JsonWriter::new(out);
    let none = Choice::default();
    let choice = answer.choices.first().unwrap_or(&none);
    json.object().name("output").object().name("message").object();
    json.member_str("role", "assistant").name("content").array();
    for part in &choice.parts {
        write_part(&mut json, part);
    }
    json.end().end().end();
    json.member_str("stopReason", stop_reason(choice.finish, choice.stop.is_some()));
    stop_text(&mut json, choice.stop.as_deref());
    json.name("usage");
    write_usage(&mut json, &answer.usage.unwrap_or_default());
    json.name("metrics").object().member_u64("latencyMs", 0).end();
    tier(&mut json, answer.start.tier.as_deref());
    json.end();
}

/// Appends the body of an error. The SDKs tell exceptions apart by `__type` where the header `x-amzn-errortype` is
/// missing.
pub(super) fn write_error(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    let mut json = JsonWriter::new(out);
    json.object().member_str("__type", error::name_of_status(error.status));
    json.member_str("message", error.message).member_str("errorCode", error.code);
    if let Some(param) = error.param {
        json.member_str("param", param);
    }
    json.member_str("requestId", error.request_id).end();
    if let Some(extra) = error.extra.filter(|extra| !extra.is_empty()) {
        out.pop();
        out.push(b',');
        out.extend_from_slice(extra.as_bytes());
        out.push(b'}');
    }
}

fn write_part(json: &mut JsonWriter<'_>, part: &AnswerPart<'_>) {
    match part {
        AnswerPart::Text { text, citations } if citations.is_empty() => {
            json.object().member_str("text", text).end();
        }
        AnswerPart::Text { text, citations } => {
            json.object().name("citationsContent").object().name("content").array();
            json.object().member_str("text", text).end().end().name("citations").array();
            for Citation { url, title, quote } in citations {
                write_citation(json, url.as_deref(), title.as_deref(), quote.as_deref());
            }
            json.end().end().end();
        }
        AnswerPart::Reasoning { text, signature, redacted } => {
            json.object().name("reasoningContent").object();
            if *redacted {
                let blob = opaque::to_blob(signature.as_deref().unwrap_or_default());
                json.member_str("redactedContent", &blob);
            } else {
                json.name("reasoningText").object().member_str("text", text);
                if let Some(signature) = signature {
                    json.member_str("signature", signature);
                }
                json.end();
            }
            json.end().end();
        }
        AnswerPart::ToolCall { id, name, arguments, .. } => {
            json.object().name("toolUse").object().member_str("toolUseId", id);
            json.member_str("name", name).name("input");
            match object(arguments) {
                Some(object) => json.json(object),
                None if arguments.trim().is_empty() => json.raw(b"{}"),
                None => json.object().member_str("input", arguments).end(),
            };
            json.end().end();
        }
        AnswerPart::Refusal(text) => {
            json.object().member_str("text", text).end();
        }
        AnswerPart::Media(media) => {
            if let Some((format, data)) = image(media) {
                json.object().name("image").object().member_str("format", format);
                json.name("source").object().member_str("bytes", data).end().end().end();
            }
        }
    }
}

/// The format and the base64 of an image, the only thing beside text that an answer of Converse can hold.
pub(super) fn image<'m>(media: &'m Media<'_>) -> Option<(&'static str, &'m str)> {
    let Source::Base64 { data, .. } = &media.source else { return None };
    let format = media::format(media).filter(|_| media.kind == MediaKind::Image)?;
    Some((format, data))
}

/// Writes a citation; its quote is a list of texts in either form.
pub(super) fn write_citation(
    json: &mut JsonWriter<'_>,
    url: Option<&str>,
    title: Option<&str>,
    quote: Option<&str>,
) {
    json.object();
    if let Some(title) = title {
        json.member_str("title", title);
    }
    if let Some(quote) = quote {
        json.name("sourceContent").array().object().member_str("text", quote).end().end();
    }
    if let Some(url) = url {
        json.name("location").object().name("web").object().member_str("url", url).end().end();
    }
    json.end();
}

pub(super) const fn stop_reason(finish: Option<Finish>, has_stop_text: bool) -> &'static str {
    match finish {
        Some(Finish::Stop) if has_stop_text => "stop_sequence",
        Some(Finish::Stop | Finish::Pause) | None => "end_turn",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ContextFull) => "model_context_window_exceeded",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::Refusal) => "content_filtered",
    }
}

/// Which text ended the answer, where Claude tells it.
pub(super) fn stop_text(json: &mut JsonWriter<'_>, stop: Option<&str>) {
    if let Some(stop) = stop {
        json.name("additionalModelResponseFields").object();
        json.member_str("stop_sequence", stop).end();
    }
}

pub(super) fn write_usage(json: &mut JsonWriter<'_>, usage: &Usage) {
    json.object().member_u64("inputTokens", usage.input.saturating_add(usage.audio_input));
    json.member_u64("outputTokens", usage.total_output()).member_u64("totalTokens", usage.total());
    let written = usage.total_cache_write();
    if usage.cache_read > 0 || written > 0 {
        json.member_u64("cacheReadInputTokens", usage.cache_read);
        json.member_u64("cacheWriteInputTokens", written);
    }
    if written > 0 {
        json.name("cacheDetails").array();
        for (ttl, tokens) in [("5m", usage.cache_write), ("1h", usage.cache_write_long)] {
            if tokens > 0 {
                json.object().member_str("ttl", ttl).member_u64("inputTokens", tokens).end();
            }
        }
        json.end();
    }
    json.end();
}

/// The tier, where the provider's word is one of Converse's.
pub(super) fn tier(json: &mut JsonWriter<'_>, tier: Option<&str>) {
    let tier = tier.map(|tier| if tier == "standard" { "default" } else { tier });
    let known = tier.filter(|tier| matches!(*tier, "default" | "flex" | "priority" | "reserved"));
    if let Some(tier) = known {
        json.name("serviceTier").object().member_str("type", tier).end();
    }
}
