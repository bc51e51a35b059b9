//! One choice of an answer or a chunk, read.
//!
//! A message and a delta hold the same: what a message says as a whole, deltas say in pieces.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    calls::{Calls, Fragment, Of, Sink},
    media,
};
use crate::{
    chat::{Delta, Finish, Media, MediaKind},
    dialect::BadAnswer,
};

/// A choice as it is spelled.
#[derive(Default)]
pub(super) struct Choice<'a> {
    pub(super) index: Option<u32>,
    pub(super) error: Option<Json<'a>>,
    /// The stop text that ended it, as vLLM tells it.
    pub(super) stop: Option<Cow<'a, str>>,
    piece: Piece<'a>,
    logprobs: Option<Json<'a>>,
    finish: Option<Cow<'a, str>>,
}

/// A message or a delta as it is spelled.
#[derive(Default)]
struct Piece<'a> {
    content: Option<Json<'a>>,
    refusal: Option<Json<'a>>,
    reasoning: Option<Cow<'a, str>>,
    details: Option<Json<'a>>,
    tool_calls: Option<Json<'a>>,
    function_call: Option<Json<'a>>,
    audio: Option<Json<'a>>,
    images: Option<Json<'a>>,
    annotations: Option<Json<'a>>,
}

impl<'a> Choice<'a> {
    pub(super) fn read(json: Json<'a>) -> Self {
        let mut choice = Self::default();
        for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "index" => choice.index = value.u64().and_then(|index| index.try_into().ok()),
                "delta" | "message" => choice.piece.read(value),
                "text" => choice.piece.content = Some(value),
                "logprobs" => choice.logprobs = value.get("content"),
                "finish_reason" => choice.finish = value.str().filter(|name| !name.is_empty()),
                "stop_reason" => choice.stop = value.str(),
                "error" => choice.error = Some(value),
                _ => {}
            }
        }
        choice
    }

    /// Tells what it says, but for its end.
    pub(super) fn contents(
        &self,
        of: Of,
        calls: &mut Calls,
        is_whole: bool,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let piece = &self.piece;
        piece.thoughts(of.choice, sink);
        if let Some(content) = piece.content {
            text(of.choice, content, sink);
        }
        if let Some(text) = piece.refusal.and_then(Json::str).filter(|text| !text.is_empty()) {
            sink(Delta::Refusal { choice: of.choice, text });
        }
        piece.citations(of.choice, sink);
        piece.media(of.choice, sink);
        if let Some(told) = self.logprobs.and_then(|list| Delta::logprobs(of.choice, list)) {
            sink(told);
        }
        piece.calls(of, calls, is_whole, sink)
    }

    /// Its text as it is spelled.
    pub(super) fn literal(&self) -> Option<&'a [u8]> {
        self.piece.content.filter(|content| content.is_string()).map(Json::raw)
    }

    pub(super) fn is_failed(&self) -> bool {
        let failed = ["error", "abort", "insufficient_system_resource"];
        self.error.is_some() || self.finish.as_deref().is_some_and(|name| failed.contains(&name))
    }

    /// Why it ended, if it did. A reason that is not known is taken for the usual one.
    pub(super) fn finish(&self) -> Option<Finish> {
        Some(match self.finish.as_deref()?.to_ascii_lowercase().as_str() {
            "length" | "max_tokens" | "max_output_tokens" => Finish::Length,
            "model_length" | "model_context_window_exceeded" => Finish::ContextFull,
            "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
            "content_filter" | "refusal" | "safety" | "recitation" | "sensitive" | "blocklist"
            | "prohibited_content" => Finish::Refusal,
            "pause_turn" => Finish::Pause,
            _ => Finish::Stop,
        })
    }
}

impl<'a> Piece<'a> {
    fn read(&mut self, json: Json<'a>) {
        let mut old_reasoning = None;
        for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "content" => self.content = Some(value),
                "refusal" => self.refusal = Some(value),
                "reasoning_content" => self.reasoning = value.str(),
                "reasoning" => old_reasoning = value.str(),
                "reasoning_details" => self.details = Some(value),
                "tool_calls" => self.tool_calls = Some(value),
                "function_call" => self.function_call = Some(value),
                "audio" => self.audio = Some(value),
                "images" => self.images = Some(value),
                "annotations" => self.annotations = Some(value),
                _ => {}
            }
        }
        let is_empty = |text: &Cow<'_, str>| text.is_empty();
        if self.reasoning.as_ref().is_none_or(is_empty) {
            self.reasoning = old_reasoning;
        }
    }

    /// The same thought may stand in a string and in details: it is told once.
    fn thoughts(&self, choice: u32, sink: Sink<'_>) {
        let details = || self.details.into_iter().flat_map(Json::items);
        let has_text = details().any(|item| !detail_text(item).is_empty());
        if let Some(text) = self.reasoning.clone().filter(|text| !has_text && !text.is_empty()) {
            sink(Delta::Reasoning { choice, text });
        }
        for item in details() {
            let text = detail_text(item);
            if !text.is_empty() {
                sink(Delta::Reasoning { choice, text });
            }
            let data = item.get_str("data").filter(|_| !self.is_call(item));
            let redacted = data.is_some();
            let signature = data.or_else(|| item.get_str("signature"));
            if let Some(signature) = signature.filter(|text| !text.is_empty()) {
                sink(Delta::Signature { choice, signature, redacted });
            }
        }
    }

    /// Whether a detail belongs to one of the calls beside it.
    fn is_call(&self, detail: Json<'_>) -> bool {
        let Some(wanted) = detail.get_str("id") else { return false };
        let mut calls = self.tool_calls.into_iter().flat_map(Json::items);
        calls.any(|call| call.get_str("id").as_ref() == Some(&wanted))
    }

    fn citations(&self, choice: u32, sink: Sink<'_>) {
        for item in self.annotations.into_iter().flat_map(Json::items) {
            let Some(cited) = item.get("url_citation") else { continue };
            sink(Delta::Citation {
                choice,
                url: cited.get_str("url"),
                title: cited.get_str("title"),
                quote: cited.get_str("content"),
            });
        }
    }

    fn media(&self, choice: u32, sink: Sink<'_>) {
        for item in self.images.into_iter().flat_map(Json::items) {
            image(choice, item, sink);
        }
        let Some(audio) = self.audio else { return };
        if let Some(text) = audio.get_str("transcript").filter(|text| !text.is_empty()) {
            sink(Delta::Text { choice, text });
        }
        if let Some(data) = audio.get_str("data").filter(|data| !data.is_empty()) {
            sink(Delta::Media { choice, media: media::audio(data, None) });
        }
    }

    fn calls(
        &self,
        of: Of,
        calls: &mut Calls,
        is_whole: bool,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        for item in self.tool_calls.into_iter().flat_map(Json::items) {
            let mut fragment = Fragment::read(item);
            for detail in self.details.into_iter().flat_map(Json::items) {
                let is_its = detail.get_str("id").is_some_and(|id| id == fragment.id());
                if let Some(data) = detail.get_str("data").filter(|_| is_its) {
                    fragment.sign(data);
                }
            }
            calls.take(of, fragment, is_whole, sink)?;
        }
        match self.function_call.filter(|call| call.is_object()) {
            Some(call) => calls.take(of, Fragment::read(call), is_whole, sink),
            None => Ok(()),
        }
    }
}

fn detail_text(item: Json<'_>) -> Cow<'_, str> {
    item.get_str("text").or_else(|| item.get_str("summary")).unwrap_or_default()
}

/// A text, or parts of which some are thoughts (Mistral).
fn text(choice: u32, content: Json<'_>, sink: Sink<'_>) {
    if let Some(text) = content.str() {
        if !text.is_empty() {
            sink(Delta::Text { choice, text });
        }
        return;
    }
    for part in content.items() {
        match part.get_str("type").as_deref() {
            Some("thinking") => {
                let thought = super::parts::thinking(part);
                if !thought.text.is_empty() {
                    sink(Delta::Reasoning { choice, text: thought.text });
                }
            }
            Some("image_url") => image(choice, part, sink),
            _ => {
                let text = part.get_str("text").unwrap_or_default();
                if !text.is_empty() {
                    sink(Delta::Text { choice, text });
                }
            }
        }
    }
}

fn image(choice: u32, item: Json<'_>, sink: Sink<'_>) {
    let Some(image) = item.get("image_url") else { return };
    let Some(url) = image.str().or_else(|| image.get_str("url")) else { return };
    let source = media::source_of_url(url);
    let media = Media { kind: MediaKind::Image, source, detail: None, name: None };
    sink(Delta::Media { choice, media });
}
