//! Parts of an answer as a Gemini client reads them.

use faregate_wire::{Json, JsonWriter};

use super::{finish, signature, sources, turns::is_object};
use crate::chat::{Finish, Media, Source};

/// Writes a text, or a thought.
pub(super) fn write_text(json: &mut JsonWriter<'_>, text: &str, is_thought: bool) {
    json.object().member_str("text", text);
    if is_thought {
        json.member_bool("thought", true);
    }
    json.end();
}

/// Writes a thought's signature, with the thought where it is at hand.
pub(super) fn write_signed(json: &mut JsonWriter<'_>, text: &str, sign: &str, redacted: bool) {
    json.object().member_str("text", text).member_bool("thought", true);
    json.member_str("thoughtSignature", &signature::wrap(sign, redacted)).end();
}

/// A call of a tool, whole.
#[derive(Debug, Default)]
pub(super) struct Call<'c> {
    pub(super) id: &'c str,
    pub(super) name: &'c str,
    pub(super) arguments: &'c str,
    pub(super) custom: bool,
    pub(super) signature: Option<&'c str>,
}

/// Writes a call. Arguments that are no object are told as the member `input` of one.
pub(super) fn write_call(json: &mut JsonWriter<'_>, call: &Call<'_>) {
    json.object().name("functionCall").object();
    if !call.id.is_empty() {
        json.member_str("id", call.id);
    }
    json.member_str("name", call.name).name("args");
    match call.arguments.trim() {
        "" => json.object().end(),
        text if !call.custom && is_object(text) => json.raw(text.as_bytes()),
        _ => json.object().member_str("input", call.arguments).end(),
    };
    json.end();
    if let Some(sign) = call.signature {
        json.member_str("thoughtSignature", sign);
    }
    json.end();
}

/// Writes an image or sound.
pub(super) fn write_media(json: &mut JsonWriter<'_>, media: &Media<'_>) {
    json.object();
    match &media.source {
        Source::Base64 { media_type, data } => {
            json.name("inlineData").object();
            json.member_str("mimeType", media_type).member_str("data", data).end();
        }
        Source::Url(uri) | Source::File(uri) => {
            json.name("fileData").object().member_str("fileUri", uri).end();
        }
        Source::Text(text) => {
            json.member_str("text", text);
        }
    }
    json.end();
}

/// Where a passage comes from.
#[derive(Debug)]
pub(super) struct Cited<'c> {
    pub(super) url: Option<&'c str>,
    pub(super) title: Option<&'c str>,
    pub(super) quote: Option<&'c str>,
}

/// Writes the member `groundingMetadata`, if there are sources.
pub(super) fn write_sources(json: &mut JsonWriter<'_>, sources: &[Cited<'_>]) {
    if sources.is_empty() {
        return;
    }
    json.name("groundingMetadata").object().name("groundingChunks").array();
    for source in sources {
        json.object().name("web").object();
        for (name, text) in [("uri", source.url), ("title", source.title)] {
            if let Some(text) = text {
                json.member_str(name, text);
            }
        }
        json.end().end();
    }
    json.end().name("groundingSupports").array();
    for (index, source) in (0..).zip(sources) {
        let Some(quote) = source.quote else { continue };
        json.object().name("segment").object().member_str("text", quote).end();
        json.name("groundingChunkIndices").array().u64(index).end().end();
    }
    json.end().end();
}

/// Writes the member `logprobsResult`, if there are probabilities: OpenAI's arrays, in order.
pub(super) fn write_logprobs(json: &mut JsonWriter<'_>, arrays: &[Vec<u8>]) {
    if !arrays.is_empty() {
        let items = arrays.iter().filter_map(|array| Json::new(array)).flat_map(Json::items);
        sources::write_logprobs(json.name("logprobsResult"), items);
    }
}

/// Writes the member `finishReason`.
pub(super) fn write_finish(json: &mut JsonWriter<'_>, finish: Option<Finish>) {
    json.member_str("finishReason", finish::name(finish.unwrap_or(Finish::Stop)));
}
