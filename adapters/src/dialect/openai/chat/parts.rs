//! The contents of messages, read: a string or a list of parts.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{media, path::Path};
use crate::{
    chat::{CacheMark, Media, MediaKind, Part, PartBody, ReasoningPart, Source},
    dialect::Invalid,
};

/// Reads a content to the end of `parts`. Empty texts say nothing and are left out, unless they carry a cache mark.
pub(super) fn read<'a>(
    path: Path<'_>,
    content: Json<'a>,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Invalid> {
    if let Some(text) = content.str() {
        push(parts, PartBody::Text(text), None);
        return Ok(());
    }
    if !content.is_array() {
        return Err(path.is_not("a string or an array of parts"));
    }
    for (index, item) in content.items().enumerate() {
        let path = path.item(index);
        if let Some(text) = item.str() {
            push(parts, PartBody::Text(text), None);
            continue;
        }
        let spelled = Spelled::read(path.object(item)?);
        let kind = spelled.kind.ok_or_else(|| path.member("type").is_not("a string"))?;
        let body = match spelled.text {
            Some(text) if kind == "text" => PartBody::Text(text),
            _ => body(path, item, kind)?,
        };
        push(parts, body, spelled.cache);
    }
    Ok(())
}

/// What every part has, and the text of most, read in one go: texts are long.
#[derive(Default)]
struct Spelled<'a> {
    kind: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    cache: Option<CacheMark>,
}

impl<'a> Spelled<'a> {
    fn read(item: Json<'a>) -> Self {
        let mut spelled = Self::default();
        for (name, value) in item.members() {
            match &*name {
                "type" => spelled.kind = value.str(),
                "text" => spelled.text = value.str(),
                "prompt_cache_breakpoint" | "cache_control" => {
                    spelled.cache = mark(value).or(spelled.cache);
                }
                _ => {}
            }
        }
        spelled
    }
}

fn push<'a>(parts: &mut Vec<Part<'a>>, body: PartBody<'a>, cache: Option<CacheMark>) {
    if cache.is_some() || !matches!(&body, PartBody::Text(text) if text.is_empty()) {
        parts.push(Part { body, cache });
    }
}

fn body<'a>(path: Path<'_>, item: Json<'a>, kind: Cow<'a, str>) -> Result<PartBody<'a>, Invalid> {
    Ok(match &*kind {
        "text" | "input_text" | "output_text" => PartBody::Text(path.required_text(item, "text")?),
        "refusal" => PartBody::Refusal(path.required_text(item, "refusal")?),
        "image_url" | "video_url" | "audio_url" => PartBody::Media(at_url(path, item, &kind)?),
        "input_audio" => {
            let (path, audio) = (path.member("input_audio"), path.required(item, "input_audio")?);
            let data = path.required_text(audio, "data")?;
            PartBody::Media(media::audio(data, audio.get_str("format").as_deref()))
        }
        "file" => return file(path, item, kind.clone()),
        "thinking" => PartBody::Reasoning(thinking(item)),
        _ => PartBody::Other { kind, json: item },
    })
}

/// An address, bare or in an object.
fn at_url<'a>(path: Path<'_>, item: Json<'a>, name: &str) -> Result<Media<'a>, Invalid> {
    let (value, path) = (path.required(item, name)?, path.member(name));
    let url = match value.str() {
        Some(url) => url,
        None => path.required_text(value, "url")?,
    };
    let kind = match name {
        "image_url" => MediaKind::Image,
        "video_url" => MediaKind::Video,
        _ => MediaKind::Audio,
    };
    Ok(Media {
        kind,
        source: media::source_of_url(url),
        detail: value.get_str("detail"),
        name: None,
    })
}

fn file<'a>(path: Path<'_>, item: Json<'a>, kind: Cow<'a, str>) -> Result<PartBody<'a>, Invalid> {
    let file = path.required(item, "file")?;
    let name = file.get_str("filename");
    let source = match (file.get_str("file_data"), file.get_str("file_id")) {
        (Some(data), _) => match media::source_of_url(data) {
            Source::Url(bare) if !bare.contains(':') => {
                Source::Base64 { media_type: "application/pdf".into(), data: bare }
            }
            source => source,
        },
        (None, Some(id)) => Source::File(id),
        (None, None) => return Ok(PartBody::Other { kind, json: item }),
    };
    let kind = match &source {
        Source::Base64 { media_type, .. } => media::kind_of(media_type),
        _ => MediaKind::Document,
    };
    Ok(PartBody::Media(Media { kind, source, detail: None, name }))
}

/// Mistral's part for a thought: `thinking` is a list of texts; others write a string and a signature.
pub(super) fn thinking(item: Json<'_>) -> ReasoningPart<'_> {
    let thinking = item.get("thinking");
    let text = thinking.and_then(Json::str).unwrap_or_else(|| {
        let items = thinking.into_iter().flat_map(Json::items);
        Cow::Owned(items.filter_map(|item| item.get_str("text")).collect())
    });
    ReasoningPart { text, signature: item.get_str("signature"), ..ReasoningPart::default() }
}

/// OpenAI's `prompt_cache_breakpoint`, or `cache_control` as several gateways take it.
pub(super) fn cache_mark(item: Json<'_>) -> Option<CacheMark> {
    mark(item.get("prompt_cache_breakpoint").or_else(|| item.get("cache_control"))?)
}

/// The mark that such a member is.
pub(super) fn mark(mark: Json<'_>) -> Option<CacheMark> {
    let minutes = mark.get_str("ttl").and_then(|ttl| minutes(&ttl));
    mark.is_object().then_some(CacheMark { minutes })
}

/// `30m` or `12h` in minutes.
fn minutes(ttl: &str) -> Option<u32> {
    let number = |unit: char| ttl.strip_suffix(unit)?.parse::<u32>().ok();
    number('m').or_else(|| number('h')?.checked_mul(60))
}
