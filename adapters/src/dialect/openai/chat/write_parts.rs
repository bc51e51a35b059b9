//! The content of a message, written: one text as a string, anything else as a list of parts.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use super::{media, write_messages::cache_mark, write_request::Writing};
use crate::{
    chat::{Media, MediaKind, Part, PartBody, Source},
    quirks::Quirks,
};

/// Writes a content. Parts that cannot be said are noted.
pub(super) fn write(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, parts: &[&Part<'_>]) {
    let says_cache =
        writing.quirks.takes("cache_control") || !writing.quirks.refuses("prompt_cache_breakpoint");
    match parts {
        [] => {
            json.str("");
        }
        [Part { body: PartBody::Text(text), cache }] if cache.is_none() || !says_cache => {
            json.str(text);
        }
        _ if writing.quirks.joins_text && !says_cache && parts.iter().all(|p| is_text(p)) => {
            let texts = parts.iter().filter_map(|part| match &part.body {
                PartBody::Text(text) => Some(&**text),
                _ => None,
            });
            json.str(&texts.collect::<Vec<_>>().join("\n"));
        }
        _ => {
            let mut list = Vec::new();
            let mut inner = JsonWriter::new(&mut list);
            inner.array();
            for part in parts {
                self::part(writing, &mut inner, part);
            }
            inner.end();
            // A list without parts is refused.
            if list == b"[]" {
                json.str("")
            } else {
                json.raw(&list)
            };
        }
    }
}

fn is_text(part: &Part<'_>) -> bool {
    matches!(part.body, PartBody::Text(_))
}

fn part(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, part: &Part<'_>) {
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => {
            json.object().member_str("type", "text").member_str("text", text);
        }
        PartBody::Media(media) if self::media(writing.quirks, json, media) => {}
        PartBody::Media(media) => {
            writing.loss.add_named(&format!("messages.{}", media::noun(media.kind)));
            return;
        }
        PartBody::Other { kind, .. } => {
            writing.loss.add_named(&format!("messages.{kind}"));
            return;
        }
        PartBody::Reasoning(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => return,
    }
    cache_mark(writing, json, part.cache);
    json.end();
}

/// Opens a part for a piece of media and writes it, but for the end; false when there is none for it.
fn media(quirks: &Quirks, json: &mut JsonWriter<'_>, media: &Media<'_>) -> bool {
    let takes_files = !quirks.refuses("file");
    match (&media.source, media.kind) {
        (Source::Text(text), _) => {
            let text = match &media.name {
                Some(name) => Cow::Owned(format!("{name}:\n{text}")),
                None => Cow::Borrowed(&**text),
            };
            json.object().member_str("type", "text").member_str("text", &text);
        }
        (Source::File(id), MediaKind::Document | MediaKind::Image) if takes_files => {
            json.object().member_str("type", "file").name("file").object();
            json.member_str("file_id", id).end();
        }
        (Source::Base64 { media_type, data }, MediaKind::Audio) => {
            json.object().member_str("type", "input_audio").name("input_audio").object();
            json.member_str("data", data);
            json.member_str("format", media::audio_format(media_type)).end();
        }
        (source @ Source::Base64 { .. }, MediaKind::Document) if takes_files => {
            let Some(url) = media::url_of(source) else { return false };
            json.object().member_str("type", "file").name("file").object();
            json.member_str("filename", media.name.as_deref().unwrap_or("document.pdf"));
            json.member_str("file_data", &url).end();
        }
        (source, MediaKind::Image) => return at_url(json, "image_url", source, media),
        (source, MediaKind::Video) if quirks.takes("video_url") => {
            return at_url(json, "video_url", source, media);
        }
        _ => return false,
    }
    true
}

fn at_url(json: &mut JsonWriter<'_>, name: &str, source: &Source<'_>, media: &Media<'_>) -> bool {
    let Some(url) = media::url_of(source) else { return false };
    json.object().member_str("type", name).name(name).object().member_str("url", &url);
    if let Some(detail) = &media.detail {
        json.member_str("detail", detail);
    }
    json.end();
    true
}
