//! Images, documents, sound and film as parts of a content.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use super::write::Writing;
use crate::chat::{Media, MediaKind, Source};

/// Media types by the end of a path. What has none of these is said to be the usual type of its kind.
const BY_END: [(&str, &str); 20] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".gif", "image/gif"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".md", "text/markdown"),
    (".html", "text/html"),
    (".csv", "text/csv"),
    (".mp3", "audio/mp3"),
    (".wav", "audio/wav"),
    (".ogg", "audio/ogg"),
    (".flac", "audio/flac"),
    (".m4a", "audio/m4a"),
    (".mp4", "video/mp4"),
    (".mov", "video/quicktime"),
    (".webm", "video/webm"),
];

/// Writes one part; nothing when the provider cannot find it, which is noted.
pub(super) fn write(json: &mut JsonWriter<'_>, media: &Media<'_>, to: &mut Writing<'_>) {
    match &media.source {
        Source::Base64 { media_type, data } => {
            let media_type = if media_type.is_empty() { usual(media.kind) } else { media_type };
            write_inline(json, media, media_type, data, to);
        }
        Source::Url(url) => match data_url(url) {
            Some((media_type, data)) => write_inline(json, media, media_type, data, to),
            None => write_file(json, media, url, to),
        },
        Source::File(id) if id.contains("files/") || id.contains("://") => {
            write_file(json, media, id, to);
        }
        Source::File(_) => to.loss.add("file_id"),
        Source::Text(text) => {
            let text = match &media.name {
                Some(name) => Cow::Owned(format!("{name}\n\n{text}")),
                None => Cow::Borrowed(&**text),
            };
            json.object().member_str("text", &text).end();
        }
    }
}

/// The media type and the base64 of a `data:` URL.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    Some((media_type.split(';').next().unwrap_or(media_type), data))
}

fn write_inline(
    json: &mut JsonWriter<'_>,
    media: &Media<'_>,
    media_type: &str,
    data: &str,
    to: &mut Writing<'_>,
) {
    json.object().name("inlineData").object();
    json.member_str("mimeType", media_type).member_str("data", data).end();
    write_detail(json, media, to);
    json.end();
}

fn write_file(json: &mut JsonWriter<'_>, media: &Media<'_>, uri: &str, to: &mut Writing<'_>) {
    let path = uri.split(['?', '#']).next().unwrap_or(uri).to_ascii_lowercase();
    let known = BY_END.iter().find(|(end, _)| path.ends_with(end));
    let media_type = known.map_or(usual(media.kind), |(_, media_type)| media_type);
    json.object().name("fileData").object();
    json.member_str("mimeType", media_type).member_str("fileUri", uri).end();
    write_detail(json, media, to);
    json.end();
}

/// What stands beside a piece of media: how closely a picture is looked at, which only the third generation can be told part by part.
fn write_detail(json: &mut JsonWriter<'_>, media: &Media<'_>, to: &mut Writing<'_>) {
    // A name of a file is only known to Vertex, and there in the results of tools.
    if media.name.is_some() {
        to.loss.add("filename");
    }
    let level = match media.detail.as_deref() {
        Some("low") => "MEDIA_RESOLUTION_LOW",
        Some("high") => "MEDIA_RESOLUTION_HIGH",
        _ => return,
    };
    if to.is_third {
        json.name("mediaResolution").object().member_str("level", level).end();
    } else {
        to.loss.add("detail");
    }
}

const fn usual(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Document => "application/pdf",
        MediaKind::Audio => "audio/mp3",
        MediaKind::Video => "video/mp4",
    }
}
