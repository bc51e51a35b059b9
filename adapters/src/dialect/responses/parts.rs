//! Parts of a message or of a tool's result, read.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::{
    chat::{CacheMark, Media, MediaKind, Part, PartBody, Source},
    dialect::Invalid,
};

/// Where something stands in the input, for messages about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    item: usize,
    part: Option<(&'static str, usize)>,
}

impl Place {
    /// The item of this index.
    pub(super) const fn item(index: usize) -> Self {
        Self { item: index, part: None }
    }

    /// A member of what stands here is not `wanted`.
    pub(super) fn wrong(self, member: &str, wanted: &str) -> Invalid {
        Invalid::type_of(self.param(member), wanted)
    }

    /// The name of a member of what stands here; of the thing itself when `member` is empty.
    pub(super) fn param(self, member: &str) -> String {
        let mut param = format!("input[{}]", self.item);
        if let Some((list, part)) = self.part {
            param.push_str(&format!(".{list}[{part}]"));
        }
        if !member.is_empty() {
            param.push('.');
            param.push_str(member);
        }
        param
    }

    /// The text of a member that must be there.
    pub(super) fn text<'a>(
        self,
        value: Option<Json<'a>>,
        member: &str,
    ) -> Result<Cow<'a, str>, Invalid> {
        value.and_then(Json::str).ok_or_else(|| self.wrong(member, "a string"))
    }
}

/// Reads a string or a list of parts.
pub(super) fn read<'a>(
    content: Json<'a>,
    place: Place,
    member: &'static str,
) -> Result<Vec<Part<'a>>, Invalid> {
    if let Some(text) = content.str() {
        return Ok(vec![Part::text(text)]);
    }
    if !content.is_array() {
        return Err(place.wrong(member, "a string or an array"));
    }
    let parts = content.items().enumerate();
    parts
        .map(|(index, part)| read_part(part, Place { part: Some((member, index)), ..place }))
        .collect()
}

/// The members of a part, found in one pass.
#[derive(Default)]
struct Members<'a> {
    kind: Option<Json<'a>>,
    text: Option<Json<'a>>,
    file_id: Option<Json<'a>>,
    image_url: Option<Json<'a>>,
    file_url: Option<Json<'a>>,
    file_data: Option<Json<'a>>,
    filename: Option<Json<'a>>,
    detail: Option<Json<'a>>,
    audio: Option<Json<'a>>,
    cache: Option<Json<'a>>,
}

impl<'a> Members<'a> {
    fn of(part: Json<'a>) -> Self {
        let mut members = Self::default();
        for (name, value) in part.members().filter(|(_, value)| !value.is_null()) {
            let place = match &*name {
                "type" => &mut members.kind,
                "text" | "refusal" => &mut members.text,
                "file_id" => &mut members.file_id,
                "image_url" => &mut members.image_url,
                "file_url" => &mut members.file_url,
                "file_data" => &mut members.file_data,
                "filename" => &mut members.filename,
                "detail" => &mut members.detail,
                "input_audio" => &mut members.audio,
                "prompt_cache_breakpoint" => &mut members.cache,
                // `annotations` and `logprobs` are the provider's own account of an earlier answer.
                _ => continue,
            };
            *place = Some(value);
        }
        members
    }
}

fn read_part<'a>(part: Json<'a>, place: Place) -> Result<Part<'a>, Invalid> {
    if !part.is_object() {
        return Err(place.wrong("", "an object"));
    }
    let members = Members::of(part);
    let kind = place.text(members.kind, "type")?;
    let body = match &*kind {
        "input_text" | "output_text" | "text" => PartBody::Text(place.text(members.text, "text")?),
        "refusal" => PartBody::Refusal(place.text(members.text, "refusal")?),
        "input_image" => PartBody::Media(read_image(&members, place)?),
        "input_file" => PartBody::Media(read_file(&members, place)?),
        "input_audio" => PartBody::Media(read_audio(&members, place)?),
        _ => PartBody::Other { kind, json: part },
    };
    Ok(Part { body, cache: members.cache.map(cache_mark) })
}

fn cache_mark(mark: Json<'_>) -> CacheMark {
    let minutes = match mark.get_str("ttl").as_deref() {
        Some("30m") => Some(30),
        Some("12h") => Some(12 * 60),
        _ => None,
    };
    CacheMark { minutes }
}

fn read_image<'a>(members: &Members<'a>, place: Place) -> Result<Media<'a>, Invalid> {
    let source = match (members.image_url, members.file_id) {
        (Some(url), _) => source_of_url(place.text(Some(url), "image_url")?),
        (None, id) => Source::File(place.text(id, "image_url")?),
    };
    let detail = members.detail.and_then(Json::str);
    Ok(Media { kind: MediaKind::Image, source, detail, name: None })
}

fn read_file<'a>(members: &Members<'a>, place: Place) -> Result<Media<'a>, Invalid> {
    let name = members.filename.and_then(Json::str);
    let source = match (members.file_data, members.file_url, members.file_id) {
        (Some(data), ..) => match source_of_url(place.text(Some(data), "file_data")?) {
            // Base64 without a media type.
            Source::Url(data) => Source::Base64 { media_type: type_of_name(name.as_deref()), data },
            source => source,
        },
        (None, Some(url), _) => source_of_url(place.text(Some(url), "file_url")?),
        (None, None, id) => Source::File(place.text(id, "file_id")?),
    };
    let detail = members.detail.and_then(Json::str);
    Ok(Media { kind: MediaKind::Document, source, detail, name })
}

fn read_audio<'a>(members: &Members<'a>, place: Place) -> Result<Media<'a>, Invalid> {
    let audio = members.audio.ok_or_else(|| place.wrong("input_audio", "an object"))?;
    let media_type = match audio.get_str("format").as_deref() {
        Some("mp3") => Cow::Borrowed("audio/mpeg"),
        Some(format) => Cow::Owned(format!("audio/{format}")),
        None => return Err(place.wrong("input_audio.format", "a string")),
    };
    let data = place.text(audio.get("data"), "input_audio.data")?;
    let source = Source::Base64 { media_type, data };
    Ok(Media { kind: MediaKind::Audio, source, detail: None, name: None })
}

/// What an address leads to: for a data URL in base64 the data itself.
pub(super) fn source_of_url(url: Cow<'_, str>) -> Source<'_> {
    match url {
        Cow::Borrowed(url) => match split_data_url(url) {
            Some((media_type, data)) => {
                Source::Base64 { media_type: media_type.into(), data: data.into() }
            }
            None => Source::Url(url.into()),
        },
        Cow::Owned(url) => match split_data_url(&url) {
            Some((media_type, data)) => Source::Base64 {
                media_type: media_type.to_owned().into(),
                data: data.to_owned().into(),
            },
            None => Source::Url(url.into()),
        },
    }
}

fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    let plain = media_type.split(';').next().unwrap_or_default();
    Some((if plain.is_empty() { "text/plain" } else { plain }, data))
}

fn type_of_name(name: Option<&str>) -> Cow<'static, str> {
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    Cow::Borrowed(match ending {
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html") => "text/html",
        _ => "application/pdf",
    })
}
