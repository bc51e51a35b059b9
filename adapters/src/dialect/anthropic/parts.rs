//! Parts, written as content blocks of a request.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter, Scanner};

use super::{
    ID_RULE,
    marks::Marks,
    turns::{Block, NO_RESULT, is_said},
};
use crate::chat::{
    CacheMark, IdRule, Loss, Media, MediaKind, Part, PartBody, ReasoningPart, Source, ToolKind,
    fit_id,
};

/// Blocks that only this dialect has.
const KINDS: &[&str] = &[
    "advisor_tool_result",
    "bash_code_execution_tool_result",
    "browser_state",
    "code_execution_tool_result",
    "container_upload",
    "document",
    "fallback",
    "image",
    "mcp_tool_listing",
    "mcp_tool_result",
    "mcp_tool_use",
    "search_result",
    "server_tool_use",
    "text_editor_code_execution_tool_result",
    "tool_addition",
    "tool_reference",
    "tool_removal",
    "tool_search_tool_result",
    "tool_use",
    "web_fetch_tool_result",
    "web_search_tool_result",
];

/// Writes blocks.
pub(super) struct Writer<'w, 'a> {
    /// Which cache marks are said.
    pub(super) marks: Marks,
    /// What is lost.
    pub(super) loss: &'w mut Loss,
    /// What ids must look like.
    pub(super) id_rule: IdRule,
    /// The `citations` of every document.
    pub(super) document_citations: Option<Json<'a>>,
    /// Texts of earlier answers, with their sources, in order.
    pub(super) cited: Cited<'a>,
}

impl Writer<'_, '_> {
    /// Writes one block.
    pub(super) fn block(&mut self, json: &mut JsonWriter<'_>, block: &Block<'_, '_>) {
        match block {
            Block::Part(part) => self.part(json, part),
            Block::Text(text, cache) => self.text(json, text, *cache, None),
            Block::NoResult(id) => {
                json.object().member_str("type", "tool_result");
                json.member_str("tool_use_id", &fit_id(id, &self.id_rule));
                json.name("content").array();
                self.text(json, NO_RESULT, None, None);
                json.end().member_bool("is_error", true).end();
            }
        }
    }

    fn part(&mut self, json: &mut JsonWriter<'_>, part: &Part<'_>) {
        match &part.body {
            PartBody::Text(text) => {
                let sources = self.cited.next(text);
                self.text(json, text, part.cache, sources);
            }
            PartBody::Refusal(text) => self.text(json, text, part.cache, None),
            PartBody::Media(media) => self.media(json, media, part.cache),
            PartBody::Reasoning(thought) => write_thought(json, thought),
            PartBody::ToolCall { id, name, arguments, kind, .. } => {
                json.object().member_str("type", "tool_use");
                json.member_str("id", &fit_id(id, &self.id_rule)).member_str("name", name);
                json.name("input");
                write_input(json, arguments, *kind == ToolKind::Custom);
                self.marks.write(json, part.cache);
                json.end();
            }
            PartBody::ToolResult { id, content, is_error, .. } => {
                json.object().member_str("type", "tool_result");
                json.member_str("tool_use_id", &fit_id(id, &self.id_rule));
                if content.iter().any(is_said) {
                    json.name("content").array();
                    content
                        .iter()
                        .filter(|part| is_said(part))
                        .for_each(|part| self.part(json, part));
                    json.end();
                }
                if *is_error {
                    json.member_bool("is_error", true);
                }
                self.marks.write(json, part.cache);
                json.end();
            }
            PartBody::Other { kind, json: block } => self.other(json, kind, *block, part.cache),
        }
    }

    fn text(
        &mut self,
        json: &mut JsonWriter<'_>,
        text: &str,
        cache: Option<CacheMark>,
        sources: Option<Json<'_>>,
    ) {
        json.object().member_str("type", "text").member_str("text", text);
        if let Some(sources) = sources {
            json.member_json("citations", sources);
        }
        self.marks.write(json, cache);
        json.end();
    }

    fn media(&mut self, json: &mut JsonWriter<'_>, media: &Media<'_>, cache: Option<CacheMark>) {
        let kind = match media.kind {
            MediaKind::Image => "image",
            MediaKind::Document => "document",
            MediaKind::Audio => return self.leave_out(json, "audio", cache),
            MediaKind::Video => return self.leave_out(json, "video", cache),
        };
        let Some(source) = SourceText::of(media) else {
            return self.leave_out(json, "file", cache);
        };
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            self.loss.add("detail");
        }
        json.object().member_str("type", kind);
        source.write(json);
        if media.kind == MediaKind::Document {
            if let Some(title) = media.name.as_deref().filter(|title| !title.is_empty()) {
                json.member_str("title", title);
            }
            if let Some(citations) = self.document_citations {
                json.member_json("citations", citations);
            }
        }
        self.marks.write(json, cache);
        json.end();
    }

    fn other(
        &mut self,
        json: &mut JsonWriter<'_>,
        kind: &str,
        block: Json<'_>,
        cache: Option<CacheMark>,
    ) {
        let is_ours = KINDS.contains(&kind)
            || (kind == "compaction" && block.get("content").is_some_and(Json::is_string));
        if is_ours {
            self.marks.write_raw(json, block, cache);
        } else {
            self.loss.add_named(kind);
            self.leave_out(json, "", cache);
        }
    }

    /// A turn or a result must not be left without a block, so what is left out leaves a word.
    fn leave_out(
        &mut self,
        json: &mut JsonWriter<'_>,
        what: &'static str,
        cache: Option<CacheMark>,
    ) {
        if !what.is_empty() {
            self.loss.add(what);
        }
        self.text(json, "[left out: this model cannot read it]", cache, None);
    }
}

/// Where a piece of media is, as this dialect says it.
enum SourceText<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url(&'a str),
    File(&'a str),
    Text(Cow<'a, str>),
}

impl<'a> SourceText<'a> {
    /// `None` when this dialect has no such media.
    fn of(media: &'a Media<'_>) -> Option<Self> {
        let is_document = media.kind == MediaKind::Document;
        Some(match &media.source {
            Source::Url(url) => Self::Url(url),
            Source::File(id) => Self::File(id),
            Source::Text(text) => Self::Text(Cow::Borrowed(&**text)).filter(is_document)?,
            Source::Base64 { media_type, data } if !is_document => {
                Self::Base64 { media_type, data }
            }
            Source::Base64 { media_type, data } => {
                let essence = media_type.split(';').next().unwrap_or_default().trim();
                match essence {
                    "application/pdf" => Self::Base64 { media_type: essence, data },
                    _ if essence.starts_with("text/") || essence == "application/json" => {
                        Self::Text(Cow::Owned(String::from_utf8(decode_base64(data)?).ok()?))
                    }
                    _ => return None,
                }
            }
        })
    }

    fn filter(self, keep: bool) -> Option<Self> {
        keep.then_some(self)
    }

    fn write(&self, json: &mut JsonWriter<'_>) {
        json.name("source").object();
        match self {
            Self::Base64 { media_type, data } => {
                json.member_str("type", "base64").member_str("media_type", media_type);
                json.member_str("data", data);
            }
            Self::Url(url) => {
                json.member_str("type", "url").member_str("url", url);
            }
            Self::File(id) => {
                json.member_str("type", "file").member_str("file_id", id);
            }
            Self::Text(text) => {
                json.member_str("type", "text").member_str("media_type", "text/plain");
                json.member_str("data", text);
            }
        }
        json.end();
    }
}

/// The texts of earlier answers, in order, with the sources of those that have some.
#[derive(Default)]
pub(super) struct Cited<'a> {
    texts: std::collections::VecDeque<(Cow<'a, str>, Option<Json<'a>>)>,
    /// What is written is the model's.
    pub(super) is_answer: bool,
}

impl<'a> Cited<'a> {
    /// Finds them in a list of messages.
    pub(super) fn of(messages: Json<'a>) -> Self {
        let is_answer =
            |message: &Json<'_>| message.get_str("role").as_deref() == Some("assistant");
        let answers = messages.items().filter(is_answer);
        let blocks = answers.filter_map(|message| message.get("content")).flat_map(Json::items);
        let texts = blocks.filter_map(|block| {
            let sources = block.get("citations").filter(|list| list.items().next().is_some());
            Some((block.get_str("text")?, sources))
        });
        Self { texts: texts.collect(), is_answer: false }
    }

    /// The sources of this text, if it has some; those before it have been left out.
    fn next(&mut self, text: &str) -> Option<Json<'a>> {
        let is_this = |(cited, _): &(Cow<'_, str>, _)| self.is_answer && cited == text;
        let at = self.texts.iter().position(is_this)?;
        self.texts.drain(..=at).next_back()?.1
    }
}

fn write_thought(json: &mut JsonWriter<'_>, thought: &ReasoningPart<'_>) {
    let signature = thought.signature.as_deref().unwrap_or_default();
    json.object();
    if thought.redacted {
        json.member_str("type", "redacted_thinking").member_str("data", signature);
    } else {
        json.member_str("type", "thinking").member_str("thinking", &thought.text);
        json.member_str("signature", signature);
    }
    json.end();
}

/// Writes the input of a call, which must be an object: text that is none is wrapped.
pub(super) fn write_input(json: &mut JsonWriter<'_>, arguments: &str, is_free: bool) {
    let arguments = if arguments.trim().is_empty() && !is_free { "{}" } else { arguments };
    if !is_free && Scanner::new(&[]).finish(arguments.as_bytes()).is_ok() {
        json.raw(arguments.trim().as_bytes());
    } else {
        json.object().member_str("input", arguments).end();
    }
}

/// The bytes that base64 stands for; `None` when it is none.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace());
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut len) = (0_u32, 0_u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        len += 6;
        if len >= 8 {
            len -= 8;
            bytes.push((bits >> len).to_le_bytes()[0]);
        }
    }
    Some(bytes)
}

/// The rule for ids of this provider.
pub(super) fn id_rule(quirk: Option<IdRule>) -> IdRule {
    quirk.unwrap_or(ID_RULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        for (text, bytes) in [("", ""), ("aGk=", "hi"), ("aGk", "hi"), ("aGkh\n", "hi!")] {
            assert_eq!(decode_base64(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert_eq!(decode_base64("a*"), None);
    }

    #[test]
    fn an_input_is_always_an_object() {
        for (arguments, is_free, expected) in [
            ("", false, "{}"),
            (" {\"a\":1e5}\n", false, "{\"a\":1e5}"),
            ("{\"a\":", false, "{\"input\":\"{\\\"a\\\":\"}"),
            ("[1]", false, "{\"input\":\"[1]\"}"),
            ("{}", true, "{\"input\":\"{}\"}"),
        ] {
            let mut out = Vec::new();
            write_input(&mut JsonWriter::new(&mut out), arguments, is_free);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
