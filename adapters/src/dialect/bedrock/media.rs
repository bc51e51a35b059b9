//! Images, documents, sound and moving pictures, by the names that Converse has for their formats.
//!
//! In: a piece of media. Out: the block, or nothing when Converse has no word for it. It takes bytes and objects in S3; an
//! address in the web it does not fetch.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use crate::{
    base64,
    chat::{Media, MediaKind, Source},
};

/// The most bytes of a document's name.
const NAME_BYTES_MAX: usize = 200;

/// Converse's name for each format, and the media type. Of several the first is the one that is told to clients.
const FORMATS: &[(MediaKind, &str, &str)] = &[
    (MediaKind::Image, "png", "image/png"),
    (MediaKind::Image, "jpeg", "image/jpeg"),
    (MediaKind::Image, "jpeg", "image/jpg"),
    (MediaKind::Image, "gif", "image/gif"),
    (MediaKind::Image, "webp", "image/webp"),
    (MediaKind::Document, "pdf", "application/pdf"),
    (MediaKind::Document, "csv", "text/csv"),
    (MediaKind::Document, "doc", "application/msword"),
    (
        MediaKind::Document,
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (MediaKind::Document, "xls", "application/vnd.ms-excel"),
    (
        MediaKind::Document,
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (MediaKind::Document, "html", "text/html"),
    (MediaKind::Document, "txt", "text/plain"),
    (MediaKind::Document, "md", "text/markdown"),
    (MediaKind::Audio, "mp3", "audio/mpeg"),
    (MediaKind::Audio, "mp3", "audio/mp3"),
    (MediaKind::Audio, "wav", "audio/wav"),
    (MediaKind::Audio, "wav", "audio/x-wav"),
    (MediaKind::Audio, "opus", "audio/opus"),
    (MediaKind::Audio, "aac", "audio/aac"),
    (MediaKind::Audio, "flac", "audio/flac"),
    (MediaKind::Audio, "mp4", "audio/mp4"),
    (MediaKind::Audio, "m4a", "audio/x-m4a"),
    (MediaKind::Audio, "ogg", "audio/ogg"),
    (MediaKind::Audio, "webm", "audio/webm"),
    (MediaKind::Audio, "mka", "audio/x-matroska"),
    (MediaKind::Audio, "pcm", "audio/pcm"),
    (MediaKind::Video, "mp4", "video/mp4"),
    (MediaKind::Video, "mov", "video/quicktime"),
    (MediaKind::Video, "mkv", "video/x-matroska"),
    (MediaKind::Video, "webm", "video/webm"),
    (MediaKind::Video, "flv", "video/x-flv"),
    (MediaKind::Video, "mpeg", "video/mpeg"),
    (MediaKind::Video, "wmv", "video/x-ms-wmv"),
    (MediaKind::Video, "three_gp", "video/3gpp"),
];

/// The names of the documents of one request: each may stand for one only.
#[derive(Debug, Default)]
pub(super) struct DocumentNames {
    used: Vec<String>,
}

/// The format of a piece of media, where Converse can say it at all.
pub(super) fn format(media: &Media<'_>) -> Option<&'static str> {
    let known = FORMATS.iter().filter(|(kind, ..)| *kind == media.kind);
    match &media.source {
        Source::Base64 { media_type, .. } => {
            let plain = media_type.split(';').next().unwrap_or_default().trim();
            known.into_iter().find(|(.., t)| t.eq_ignore_ascii_case(plain)).map(|(_, f, _)| *f)
        }
        Source::Url(at) | Source::File(at) => {
            let path = at.strip_prefix("s3://")?;
            let ending = path.rsplit('.').next()?.to_ascii_lowercase();
            let ending = if ending == "jpg" { "jpeg" } else { &ending };
            known.into_iter().find(|(_, format, _)| *format == ending).map(|(_, f, _)| *f)
        }
        Source::Text(_) => (media.kind == MediaKind::Document).then_some("txt"),
    }
}

/// The media type of one of Converse's formats.
pub(super) fn media_type(kind: MediaKind, format: &str) -> Cow<'static, str> {
    match FORMATS.iter().find(|(k, f, _)| *k == kind && *f == format) {
        Some((.., media_type)) => (*media_type).into(),
        None => format!("{}/{format}", noun(kind)).into(),
    }
}

/// The kind of this name, and back: the member that a block has.
pub(super) const KINDS: [(MediaKind, &str); 4] = [
    (MediaKind::Image, "image"),
    (MediaKind::Document, "document"),
    (MediaKind::Audio, "audio"),
    (MediaKind::Video, "video"),
];

pub(super) const fn noun(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

/// Writes a piece of media as a block; its format must be known.
pub(super) fn write(
    json: &mut JsonWriter<'_>,
    media: &Media<'_>,
    format: &str,
    names: &mut DocumentNames,
) {
    json.object().name(noun(media.kind)).object().member_str("format", format);
    if media.kind == MediaKind::Document {
        let name = names.fit(media.name.as_deref().unwrap_or("document"));
        json.member_str("name", &name);
    }
    json.name("source").object();
    match &media.source {
        Source::Base64 { data, .. } => {
            json.member_str("bytes", data);
        }
        Source::Text(text) => {
            let mut data = String::new();
            base64::encode(&mut data, text.as_bytes());
            json.member_str("bytes", &data);
        }
        Source::Url(at) | Source::File(at) => {
            json.name("s3Location").object().member_str("uri", at).end();
        }
    }
    json.end().end().end();
}

impl DocumentNames {
    /// `name` as Converse takes it: letters, digits, single blanks, hyphens, parentheses and brackets; with a number when
    /// there is one like it.
    fn fit(&mut self, name: &str) -> String {
        let mut fitted = String::with_capacity(name.len().min(NAME_BYTES_MAX));
        for character in name.chars() {
            let plain = character.is_ascii_alphanumeric() || "-()[]".contains(character);
            match (plain, fitted.ends_with([' ', '-'])) {
                (true, _) => fitted.push(character),
                (false, false) if character.is_whitespace() => fitted.push(' '),
                (false, false) => fitted.push('-'),
                (false, true) => {}
            }
        }
        fitted.truncate(NAME_BYTES_MAX - 12); // room for a number
        let fitted = fitted.trim_matches([' ', '-']);
        let fitted = if fitted.is_empty() { "document" } else { fitted };
        let mut unique = fitted.to_owned();
        let mut number = 2;
        while self.used.contains(&unique) {
            unique = format!("{fitted} ({number})");
            number += 1;
        }
        self.used.push(unique.clone());
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_plain_and_differ() {
        let mut names = DocumentNames::default();
        for (name, fitted) in [
            ("report 2026.pdf", "report 2026-pdf"),
            ("report  2026.pdf", "report 2026-pdf (2)"),
            ("report 2026_pdf", "report 2026-pdf (3)"),
            ("", "document"),
            ("年次報告", "document (2)"),
            ("a [b] (c)-d", "a [b] (c)-d"),
        ] {
            assert_eq!(names.fit(name), fitted);
        }
        assert!(names.fit(&"x".repeat(500)).len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn formats_are_told_by_media_type_or_ending() {
        let media = |kind, source| Media { kind, source, detail: None, name: None };
        let base64 = |media_type: &'static str| Source::Base64 {
            media_type: media_type.into(),
            data: "".into(),
        };
        for (kind, source, expected) in [
            (MediaKind::Image, base64("image/jpg"), Some("jpeg")),
            (MediaKind::Image, base64("Image/PNG; x=y"), Some("png")),
            (MediaKind::Image, base64("image/tiff"), None),
            (MediaKind::Image, Source::Url("https://a/b.png".into()), None),
            (MediaKind::Image, Source::Url("s3://a/b.JPG".into()), Some("jpeg")),
            (MediaKind::Document, Source::Text("x".into()), Some("txt")),
            (MediaKind::Audio, Source::File("file-1".into()), None),
        ] {
            assert_eq!(format(&media(kind, source)), expected);
        }
        assert_eq!(media_type(MediaKind::Image, "jpeg"), "image/jpeg");
        assert_eq!(media_type(MediaKind::Audio, "new"), "audio/new");
    }
}
