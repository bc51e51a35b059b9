//! Content blocks of a request, read into parts.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::{
    chat::{CacheMark, Media, MediaKind, Part, PartBody, ReasoningPart, Source, ToolKind},
    dialect::Invalid,
};

/// Reads content, and remembers what has no place in parts.
#[derive(Default)]
pub(super) struct Blocks<'a> {
    /// What goes to `rest`, each name once.
    pub(super) notes: Vec<(Cow<'a, str>, Json<'a>)>,
    /// All messages, for notes about what is in them.
    pub(super) messages: Option<Json<'a>>,
}

/// Where in a request something stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// `None` in `system`.
    message: Option<usize>,
    block: Option<usize>,
    /// The block within a tool's result.
    inner: Option<usize>,
}

impl Place {
    pub(super) const fn system() -> Self {
        Self { message: None, block: None, inner: None }
    }

    pub(super) const fn message(index: usize) -> Self {
        Self { message: Some(index), block: None, inner: None }
    }

    const fn within(self, index: usize) -> Self {
        match self.block {
            None => Self { block: Some(index), ..self },
            Some(_) => Self { inner: Some(index), ..self },
        }
    }

    /// `member` of what stands here is not `wanted`.
    pub(super) fn invalid(self, member: &str, wanted: &str) -> Invalid {
        let mut param = match self.message {
            None => "system".to_owned(),
            Some(index) => format!("messages[{index}]"),
        };
        if let Some(block) = self.block {
            let list = if self.message.is_some() { ".content" } else { "" };
            param.push_str(&format!("{list}[{block}]"));
        }
        if let Some(inner) = self.inner {
            param.push_str(&format!(".content[{inner}]"));
        }
        if !member.is_empty() {
            param.push_str(&format!(".{member}"));
        }
        Invalid::type_of(param, wanted)
    }
}

impl<'a> Blocks<'a> {
    /// Reads a string, or a list of blocks.
    pub(super) fn content(
        &mut self,
        place: Place,
        content: Json<'a>,
    ) -> Result<Vec<Part<'a>>, Invalid> {
        if let Some(text) = content.str() {
            return Ok(vec![Part::text(text)]);
        }
        if !content.is_array() {
            let is_system = place.message.is_none();
            let member = if is_system { "" } else { "content" };
            return Err(place.invalid(member, "a string or an array"));
        }
        let mut parts = Vec::new();
        for (index, block) in content.items().enumerate() {
            self.block(place.within(index), block, &mut parts)?;
        }
        Ok(parts)
    }

    /// Notes what has no place in the canonical chat.
    pub(super) fn note(&mut self, name: Cow<'a, str>, value: Json<'a>) {
        if !self.notes.iter().any(|(noted, _)| *noted == name) {
            self.notes.push((name, value));
        }
    }

    fn block(
        &mut self,
        place: Place,
        block: Json<'a>,
        parts: &mut Vec<Part<'a>>,
    ) -> Result<(), Invalid> {
        let [kind, cache, text, citations] =
            block.pick(["type", "cache_control", "text", "citations"]);
        let kind = kind.and_then(Json::str);
        let kind = kind.ok_or_else(|| place.invalid("type", "a string"))?;
        let body = match &*kind {
            "text" => Some(self.text(place, text, citations)?),
            "image" => image(block),
            "document" => self.document(block, parts),
            "tool_use" => tool_use(place, block)?,
            "tool_result" => self.tool_result(place, block)?,
            "thinking" => Some(thinking(place, block)?),
            "redacted_thinking" => Some(redacted(place, block)?),
            _ => None,
        };
        let body = body.unwrap_or(PartBody::Other { kind, json: block });
        parts.push(Part { body, cache: cache.map(cache_mark) });
        Ok(())
    }

    fn text(
        &mut self,
        place: Place,
        text: Option<Json<'a>>,
        citations: Option<Json<'a>>,
    ) -> Result<PartBody<'a>, Invalid> {
        let text = text.and_then(Json::str).ok_or_else(|| place.invalid("text", "a string"))?;
        let cites = citations.is_some_and(|list| list.items().next().is_some());
        if let Some(messages) = self.messages.filter(|_| cites) {
            self.note(Cow::Borrowed("messages.citations"), messages);
        }
        Ok(PartBody::Text(text))
    }

    fn document(&mut self, block: Json<'a>, parts: &mut Vec<Part<'a>>) -> Option<PartBody<'a>> {
        let source = block.get("source").and_then(source)?;
        if let Some(context) = block.get_str("context").filter(|text| !text.trim().is_empty()) {
            parts.push(Part::text(context));
        }
        let citations = block.get("citations");
        if let Some(citations) = citations.filter(|c| c.get_bool("enabled") == Some(true)) {
            self.note(Cow::Borrowed("document.citations"), citations);
        }
        let name = block.get_str("title");
        Some(PartBody::Media(Media { kind: MediaKind::Document, source, detail: None, name }))
    }

    fn tool_result(
        &mut self,
        place: Place,
        block: Json<'a>,
    ) -> Result<Option<PartBody<'a>>, Invalid> {
        let id = block.get_str("tool_use_id");
        let content = match block.get("content") {
            Some(content) => self.content(place, content)?,
            None => Vec::new(),
        };
        Ok(Some(PartBody::ToolResult {
            id: id.ok_or_else(|| place.invalid("tool_use_id", "a string"))?,
            name: None,
            content,
            is_error: block.get_bool("is_error").unwrap_or(false),
        }))
    }
}

/// Reads `cache_control`.
pub(super) fn cache_mark(mark: Json<'_>) -> CacheMark {
    let ttl = mark.get_str("ttl");
    let minutes = ttl.as_deref().and_then(|ttl| match ttl.strip_suffix('h') {
        Some(hours) => hours.parse::<u32>().ok()?.checked_mul(60),
        None => ttl.strip_suffix('m')?.parse().ok(),
    });
    CacheMark { minutes }
}

fn image<'a>(block: Json<'a>) -> Option<PartBody<'a>> {
    let source = block.get("source").and_then(source)?;
    Some(PartBody::Media(Media { kind: MediaKind::Image, source, detail: None, name: None }))
}

/// Where a piece of media is; `None` when it is said in a way that only this dialect knows.
fn source<'a>(source: Json<'a>) -> Option<Source<'a>> {
    let kind = source.get_str("type")?;
    Some(match &*kind {
        "base64" => Source::Base64 {
            media_type: source.get_str("media_type")?,
            data: source.get_str("data")?,
        },
        "url" => Source::Url(source.get_str("url")?),
        "file" => Source::File(source.get_str("file_id")?),
        "text" => Source::Text(source.get_str("data")?),
        _ => return None,
    })
}

/// `None` when the call was made by a program that the provider runs, or belongs to a set of tools of the provider's.
fn tool_use<'a>(place: Place, block: Json<'a>) -> Result<Option<PartBody<'a>>, Invalid> {
    let id = block.get_str("id").ok_or_else(|| place.invalid("id", "a string"))?;
    let name = block.get_str("name").ok_or_else(|| place.invalid("name", "a string"))?;
    let input = block.get("input").filter(|input| input.is_object());
    let input = input.ok_or_else(|| place.invalid("input", "an object"))?;
    let caller = block.get("caller").and_then(|caller| caller.get_str("type"));
    if caller.is_some_and(|caller| caller != "direct") || block.get("toolset_name").is_some() {
        return Ok(None);
    }
    Ok(Some(PartBody::ToolCall {
        id,
        name,
        arguments: String::from_utf8_lossy(input.raw()),
        kind: ToolKind::Function,
        signature: None,
    }))
}

fn thinking<'a>(place: Place, block: Json<'a>) -> Result<PartBody<'a>, Invalid> {
    let text = block.get_str("thinking");
    Ok(PartBody::Reasoning(ReasoningPart {
        text: text.ok_or_else(|| place.invalid("thinking", "a string"))?,
        signature: block.get_str("signature").filter(|signature| !signature.is_empty()),
        redacted: false,
        id: None,
    }))
}

fn redacted<'a>(place: Place, block: Json<'a>) -> Result<PartBody<'a>, Invalid> {
    let data = block.get_str("data");
    Ok(PartBody::Reasoning(ReasoningPart {
        text: Cow::Borrowed(""),
        signature: Some(data.ok_or_else(|| place.invalid("data", "a string"))?),
        redacted: true,
        id: None,
    }))
}
