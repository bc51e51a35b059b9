//! `contents`, read.
//!
//! Streams are kept by clients piece by piece: contents of the model that follow each other are one message, and pieces of
//! text or of a thought that follow each other in it are one part.
//!
//! Calls may have no ids, and results none or only a name. A call without an id is named after its place; a result is
//! matched by its id, else to the first call of its name that has no result yet.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    member::{camel, is_named, list, member, object, text},
    signature,
};
use crate::{
    base64,
    chat::{
        Media, MediaKind, Message, Part, PartBody, ReasoningPart, Request, Role, Source, ToolKind,
    },
    dialect::Invalid,
};

pub(super) fn read<'a>(json: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    let mut reader = Reader { request, calls: Vec::new() };
    for (at, content) in list(json).enumerate() {
        reader.content(at, content)?;
    }
    Ok(())
}

/// A part of `systemInstruction`.
pub(super) fn instruction_part<'a>(
    json: Json<'a>,
    param: &str,
) -> Result<Option<Part<'a>>, Invalid> {
    match member(json, "text") {
        Some(words) => Ok(Some(Part::text(text(words, &format!("{param}.text"))?))),
        None => Ok(other(json)),
    }
}

struct Reader<'r, 'a> {
    request: &'r mut Request<'a>,
    calls: Vec<Call<'a>>,
}

/// A call that was read.
struct Call<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    is_answered: bool,
}

/// Where a part is.
struct Place {
    content: usize,
    part: usize,
}

impl Place {
    fn param(&self, member: &str) -> String {
        format!("contents[{}].parts[{}].{member}", self.content, self.part)
    }

    /// The id of a call that has none.
    fn id<'a>(&self) -> Cow<'a, str> {
        Cow::Owned(format!("call_{}_{}", self.content, self.part))
    }
}

impl<'a> Reader<'_, 'a> {
    fn content(&mut self, at: usize, json: Json<'a>) -> Result<(), Invalid> {
        object(json, &format!("contents[{at}]"))?;
        let role = match member(json, "role") {
            None => Role::User,
            Some(role) => role_of(role).ok_or_else(|| {
                Invalid::type_of(format!("contents[{at}].role"), "user, model or function")
            })?,
        };
        let goes_on = role == Role::Assistant
            && self.request.messages.last().is_some_and(|last| last.role == role);
        if !goes_on {
            self.request.messages.push(Message { role, ..Message::default() });
        }
        let mut parts = match self.request.messages.last_mut() {
            Some(message) => std::mem::take(&mut message.parts),
            None => Vec::new(),
        };
        for (part, json) in member(json, "parts").into_iter().flat_map(list).enumerate() {
            let place = Place { content: at, part };
            object(json, &format!("contents[{at}].parts[{part}]"))?;
            self.part(&place, role, json, &mut parts)?;
        }
        if let Some(message) = self.request.messages.last_mut() {
            message.parts = parts;
        }
        Ok(())
    }

    fn part(
        &mut self,
        place: &Place,
        role: Role,
        json: Json<'a>,
        into: &mut Vec<Part<'a>>,
    ) -> Result<(), Invalid> {
        let sign = match member(json, "thoughtSignature") {
            Some(sign) => Some(text(sign, &place.param("thoughtSignature"))?),
            None => None,
        };
        let sign = sign.filter(|sign| !sign.is_empty()).map(signature::unwrap);
        let is_thought = member(json, "thought").and_then(Json::bool) == Some(true);
        if let Some(words) = member(json, "text") {
            let words = text(words, &place.param("text"))?;
            match is_thought {
                true => push_thought(into, words, sign),
                false => push_text(into, words, sign, role),
            }
        } else if let Some(call) = member(json, "functionCall") {
            let sign = sign.map(|(sign, _)| sign);
            into.push(self.call(place, object(call, &place.param("functionCall"))?, sign)?);
        } else if let Some(response) = member(json, "functionResponse") {
            let response = object(response, &place.param("functionResponse"))?;
            into.push(self.response(place, response)?);
        } else if let Some(media) = media(json, place)? {
            into.push(Part::new(PartBody::Media(self.with_detail(json, media))));
            into.extend(sign.map(|sign| thought("".into(), Some(sign))));
        } else if is_thought || sign.is_some() {
            push_thought(into, "".into(), sign);
        } else {
            into.extend(other(json));
        }
        Ok(())
    }

    /// What stands beside a piece of media.
    fn with_detail(&mut self, json: Json<'a>, mut media: Media<'a>) -> Media<'a> {
        for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
            let name = camel(name);
            let level = member(value, "level").and_then(Json::str).unwrap_or_default();
            match (&*name, &*level) {
                ("inlineData" | "fileData" | "thought" | "thoughtSignature", _) => {}
                ("mediaResolution", "MEDIA_RESOLUTION_LOW") => media.detail = Some("low".into()),
                ("mediaResolution", "MEDIA_RESOLUTION_HIGH") => media.detail = Some("high".into()),
                _ => self.request.rest.push((name, value)),
            }
        }
        media
    }

    fn call(
        &mut self,
        place: &Place,
        json: Json<'a>,
        signature: Option<Cow<'a, str>>,
    ) -> Result<Part<'a>, Invalid> {
        let wanted = || Invalid::type_of(place.param("functionCall.name"), "a string");
        let name = member(json, "name").and_then(Json::str).ok_or_else(wanted)?;
        let id = member(json, "id").and_then(Json::str).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| place.id());
        let arguments = match member(json, "args") {
            Some(args) => raw(object(args, &place.param("functionCall.args"))?),
            None => Cow::Borrowed("{}"),
        };
        self.calls.push(Call { id: id.clone(), name: name.clone(), is_answered: false });
        let kind = ToolKind::Function;
        Ok(Part::new(PartBody::ToolCall { id, name, arguments, kind, signature }))
    }

    fn response(&mut self, place: &Place, json: Json<'a>) -> Result<Part<'a>, Invalid> {
        let id = member(json, "id").and_then(Json::str).filter(|id| !id.is_empty());
        let mut name = member(json, "name").and_then(Json::str).filter(|name| !name.is_empty());
        let call = self.calls.iter_mut().find(|call| Some(&call.id) == id.as_ref());
        let is_known = call.is_some();
        let call = match is_known {
            true => self.calls.iter_mut().find(|call| Some(&call.id) == id.as_ref()),
            false => self.calls.iter_mut().find(|call| {
                !call.is_answered && name.as_ref().is_none_or(|name| *name == call.name)
            }),
        };
        let id = match call {
            Some(call) => {
                call.is_answered = true;
                name.get_or_insert_with(|| call.name.clone());
                call.id.clone()
            }
            None => id.unwrap_or_else(|| place.id()),
        };
        let (mut content, is_error) = match member(json, "response") {
            Some(response) => result(response),
            None => (Vec::new(), false),
        };
        for part in member(json, "parts").into_iter().flat_map(list) {
            let media = media(part, place)?;
            content.extend(media.map(|media| Part::new(PartBody::Media(media))).or(other(part)));
        }
        Ok(Part::new(PartBody::ToolResult { id, name, content, is_error }))
    }
}

fn role_of(json: Json<'_>) -> Option<Role> {
    let role = json.str()?;
    if role.eq_ignore_ascii_case("model") {
        return Some(Role::Assistant);
    }
    let is_user = ["user", "function", "tool", ""];
    is_user.iter().any(|user| role.eq_ignore_ascii_case(user)).then_some(Role::User)
}

type Signature<'a> = (Cow<'a, str>, bool);

fn thought<'a>(text: Cow<'a, str>, sign: Option<Signature<'a>>) -> Part<'a> {
    let (signature, redacted) = sign.map_or((None, false), |(sign, hidden)| (Some(sign), hidden));
    Part::new(PartBody::Reasoning(ReasoningPart { text, signature, redacted, id: None }))
}

/// A piece of a thought. The thought before it goes on unless it has been signed.
fn push_thought<'a>(into: &mut Vec<Part<'a>>, words: Cow<'a, str>, sign: Option<Signature<'a>>) {
    let is_hidden = sign.as_ref().is_some_and(|(_, hidden)| *hidden);
    if let Some(PartBody::Reasoning(open)) = into.last_mut().map(|part| &mut part.body)
        && open.signature.is_none()
        && !is_hidden
    {
        open.text.to_mut().push_str(&words);
        open.signature = sign.map(|(sign, _)| sign);
    } else if !words.is_empty() || sign.is_some() {
        into.push(thought(words, sign));
    }
}

/// A piece of text. A signature beside it is a thought that is not shown.
fn push_text<'a>(
    into: &mut Vec<Part<'a>>,
    words: Cow<'a, str>,
    sign: Option<Signature<'a>>,
    role: Role,
) {
    match into.last_mut().map(|part| &mut part.body) {
        Some(PartBody::Text(open)) if role == Role::Assistant => open.to_mut().push_str(&words),
        _ if words.is_empty() => {}
        _ => into.push(Part::text(words)),
    }
    into.extend(sign.map(|sign| thought("".into(), Some(sign))));
}

/// `inlineData` or `fileData`.
fn media<'a>(json: Json<'a>, place: &Place) -> Result<Option<Media<'a>>, Invalid> {
    let string = |json, of: &str, name: &str| -> Result<Option<Cow<'a, str>>, Invalid> {
        let found: Option<Json<'a>> = member(json, name);
        found.map(|found| text(found, &place.param(&format!("{of}.{name}")))).transpose()
    };
    let (json, is_inline) = match (member(json, "inlineData"), member(json, "fileData")) {
        (Some(inline), _) => (inline, true),
        (None, Some(file)) => (file, false),
        (None, None) => return Ok(None),
    };
    let of = if is_inline { "inlineData" } else { "fileData" };
    let media_type = string(json, of, "mimeType")?.unwrap_or_default();
    let wanted = |name: &str| Invalid::type_of(place.param(&format!("{of}.{name}")), "a string");
    let kind = kind_of(&media_type);
    let source = if is_inline {
        let data = string(json, of, "data")?.ok_or_else(|| wanted("data"))?;
        // Google's own SDK for Python writes the alphabet for URLs, which no other dialect takes.
        Source::Base64 { media_type, data: base64::standard(data) }
    } else {
        let uri = string(json, of, "fileUri")?.ok_or_else(|| wanted("fileUri"))?;
        match uri.contains("/files/") || uri.starts_with("files/") {
            true => Source::File(uri),
            false => Source::Url(uri),
        }
    };
    Ok(Some(Media { kind, source, detail: None, name: string(json, of, "displayName")? }))
}

/// What a media type is.
pub(super) fn kind_of(media_type: &str) -> MediaKind {
    let (family, _) = media_type.split_once('/').unwrap_or_default();
    match family.to_ascii_lowercase().as_str() {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::Document,
    }
}

/// What a tool gave back, and whether it failed. A text alone under one of the documented names is that text.
fn result(json: Json<'_>) -> (Vec<Part<'_>>, bool) {
    let mut members = json.members();
    if let (Some((name, value)), None) = (members.next(), members.next()) {
        let is_error = name == "error";
        if let Some(text) = value.str()
            && (is_error || name == "result" || name == "output")
        {
            return (vec![Part::text(text)], is_error);
        }
        return (vec![Part::text(raw(json))], is_error);
    }
    match json.str() {
        Some(text) => (vec![Part::text(text)], false),
        None => (vec![Part::text(raw(json))], false),
    }
}

/// A part that is said in no other dialect, by the name of what is in it.
fn other(json: Json<'_>) -> Option<Part<'_>> {
    let beside = ["thought", "thoughtSignature", "partMetadata"];
    let mut named = json.members().map(|(name, _)| name);
    let kind = named.find(|name| !beside.iter().any(|beside| is_named(name, beside)))?;
    Some(Part::new(PartBody::Other { kind: camel(kind), json }))
}

fn raw(json: Json<'_>) -> Cow<'_, str> {
    String::from_utf8_lossy(json.raw())
}

#[cfg(test)]
mod tests;
