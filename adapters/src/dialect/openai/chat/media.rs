//! Images, sound and files, as OpenAI spells them: addresses, `data:` URLs and bare base64.

use std::borrow::Cow;

use crate::chat::{Media, MediaKind, Source};

/// What an address says: base64 of a media type when it is a `data:` URL.
pub(super) fn source_of_url(url: Cow<'_, str>) -> Source<'_> {
    match url {
        Cow::Borrowed(text) => match data_url(text) {
            Some((media_type, data)) => {
                Source::Base64 { media_type: media_type.into(), data: data.into() }
            }
            None => Source::Url(text.into()),
        },
        Cow::Owned(text) => match data_url(&text) {
            Some((media_type, data)) => Source::Base64 {
                media_type: Cow::Owned(media_type.to_owned()),
                data: Cow::Owned(data.to_owned()),
            },
            None => Source::Url(Cow::Owned(text)),
        },
    }
}

/// The media type and the data of a `data:` URL in base64.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let scheme = url.get(..5)?;
    let (head, data) = url.get(5..)?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media_type = head.split(';').next().unwrap_or_default();
    let media_type = if media_type.is_empty() { "text/plain" } else { media_type };
    scheme.eq_ignore_ascii_case("data:").then_some((media_type, data))
}

/// The address of what is there as an address or as data; `None` when it is neither.
pub(super) fn url_of<'s>(source: &'s Source<'_>) -> Option<Cow<'s, str>> {
    match source {
        Source::Url(url) => Some(Cow::Borrowed(url)),
        Source::Base64 { media_type, data } => {
            Some(Cow::Owned(["data:", media_type, ";base64,", data].concat()))
        }
        Source::File(_) | Source::Text(_) => None,
    }
}

/// Base64 that may be a `data:` URL, of a kind that is known otherwise.
pub(super) fn audio<'a>(data: Cow<'a, str>, format: Option<&str>) -> Media<'a> {
    let source = match source_of_url(data) {
        Source::Url(data) => {
            let media_type = match format {
                Some(format) => Cow::Owned(audio_type(format)),
                None => Cow::Borrowed(sniffed_audio_type(&data)),
            };
            Source::Base64 { media_type, data }
        }
        Source::Base64 { data, .. } if format.is_some() => {
            Source::Base64 { media_type: Cow::Owned(audio_type(format.unwrap_or_default())), data }
        }
        source => source,
    };
    Media { kind: MediaKind::Audio, source, detail: None, name: None }
}

/// The media type of OpenAI's name for a format.
fn audio_type(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        "pcm16" => "audio/pcm".to_owned(),
        other => format!("audio/{other}"),
    }
}

/// OpenAI's name for the format of a media type.
pub(super) fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/pcm" => "pcm16",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

/// The media type that base64 of sound begins like.
fn sniffed_audio_type(data: &str) -> &'static str {
    match data.get(..4) {
        Some("UklG") => "audio/wav",
        Some("SUQz") => "audio/mpeg",
        Some("T2dn") => "audio/ogg",
        Some("Zkxh") => "audio/flac",
        Some(start) if start.starts_with("//") => "audio/mpeg",
        _ => "audio/pcm",
    }
}

/// What a file of this media type is.
pub(super) fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// The plain words for a kind.
pub(super) const fn noun(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_taken_apart_and_put_together() {
        for url in ["data:image/png;base64,AAAA", "https://a.b/c.png", "data:text/plain,hello"] {
            let source = source_of_url(Cow::Borrowed(url));
            assert_eq!(source, source_of_url(Cow::Owned(url.to_owned())));
            assert_eq!(url_of(&source).unwrap(), url);
        }
        let source = source_of_url("DATA:image/svg+xml;charset=utf-8;base64,QQ==".into());
        let expected = Source::Base64 { media_type: "image/svg+xml".into(), data: "QQ==".into() };
        assert_eq!(source, expected);
    }

    #[test]
    fn audio_formats_have_media_types() {
        for format in ["wav", "mp3", "pcm16", "flac", "opus"] {
            let media = audio("AAAA".into(), Some(format));
            let Source::Base64 { media_type, .. } = &media.source else { panic!("{media:?}") };
            assert_eq!(audio_format(media_type), format);
        }
        let Source::Base64 { media_type, .. } = audio("UklGRg==".into(), None).source else {
            panic!("no data")
        };
        assert_eq!(media_type, "audio/wav");
    }
}
