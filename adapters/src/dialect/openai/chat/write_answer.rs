//! A whole answer, written.

use faregate_wire::JsonWriter;

use super::{media, words};
use crate::{
    chat::{Answer, AnswerPart, Choice, Citation, Media, MediaKind, Source},
    dialect::AnswerTerms,
};

/// Writes an answer.
pub(super) fn write(out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
    let start = &answer.start;
    let model = if start.model.is_empty() { terms.model } else { &start.model };
    let id = words::id(&start.id, terms);
    let mut json = JsonWriter::new(out);
    json.object().member_str("id", &id).member_str("object", "chat.completion");
    json.member_u64("created", start.created.unwrap_or(terms.created));
    json.member_str("model", model).name("choices").array();
    for (index, choice) in (0..).zip(&answer.choices) {
        self::choice(&mut json, index, choice, &id);
    }
    json.end();
    if let Some(usage) = &answer.usage {
        json.name("usage");
        words::write_usage(&mut json, usage);
    }
    if let Some(tier) = &start.tier {
        json.member_str("service_tier", tier);
    }
    json.end();
}

fn choice(json: &mut JsonWriter<'_>, index: u64, choice: &Choice<'_>, id: &str) {
    json.object().member_u64("index", index).name("message");
    message(json, choice, id);
    json.name("logprobs");
    logprobs(json, choice);
    json.name("finish_reason");
    match choice.finish {
        Some(finish) => json.str(words::finish_name(finish)),
        None => json.null(),
    };
    json.end();
}

fn message(json: &mut JsonWriter<'_>, choice: &Choice<'_>, id: &str) {
    let (mut text, mut refusal, mut reasoning) = (String::new(), String::new(), String::new());
    let mut citations: Vec<&Citation<'_>> = Vec::new();
    for part in &choice.parts {
        match part {
            AnswerPart::Text { text: more, citations: cited } => {
                text.push_str(more);
                citations.extend(cited);
            }
            AnswerPart::Reasoning { text: more, .. } => reasoning.push_str(more),
            AnswerPart::Refusal(more) => refusal.push_str(more),
            AnswerPart::ToolCall { .. } | AnswerPart::Media(_) => {}
        }
    }
    let or_null = |json: &mut JsonWriter<'_>, name: &str, text: &str| {
        json.name(name);
        if text.is_empty() {
            json.null()
        } else {
            json.str(text)
        };
    };
    json.object().member_str("role", "assistant");
    or_null(json, "content", &text);
    or_null(json, "refusal", &refusal);
    if !reasoning.is_empty() {
        json.member_str("reasoning_content", &reasoning);
    }
    thoughts(json, choice);
    if !citations.is_empty() {
        json.name("annotations").array();
        let chars = text.chars().count().try_into().unwrap_or(u64::MAX);
        for Citation { url, title, quote } in citations {
            let cited = (url.as_deref(), title.as_deref(), quote.as_deref());
            words::write_citation(json, cited, chars);
        }
        json.end();
    }
    calls(json, choice);
    let media = choice.parts.iter().filter_map(|part| match part {
        AnswerPart::Media(media) => Some(media),
        _ => None,
    });
    images(json, media.clone());
    sound(json, media, id);
    json.end();
}

/// Thoughts with what proves them, where anything does.
fn thoughts(json: &mut JsonWriter<'_>, choice: &Choice<'_>) {
    let is_signed =
        |part: &AnswerPart<'_>| matches!(part, AnswerPart::Reasoning { signature: Some(_), .. });
    if !choice.parts.iter().any(is_signed) {
        return;
    }
    json.name("reasoning_details").array();
    let mut index = 0;
    for part in &choice.parts {
        if let AnswerPart::Reasoning { text, signature, redacted } = part {
            super::write_thought(json, text, signature.as_deref(), *redacted, Some(index));
            index += 1;
        }
    }
    json.end();
}

fn calls(json: &mut JsonWriter<'_>, choice: &Choice<'_>) {
    let is_call = |part: &&AnswerPart<'_>| matches!(part, AnswerPart::ToolCall { .. });
    let mut calls = choice.parts.iter().filter(is_call).peekable();
    if calls.peek().is_none() {
        return;
    }
    json.name("tool_calls").array();
    for part in calls {
        let AnswerPart::ToolCall { id, name, arguments, custom, signature, .. } = part else {
            continue;
        };
        json.object().member_str("id", id);
        if *custom {
            json.member_str("type", "custom").name("custom").object();
            json.member_str("name", name).member_str("input", arguments).end();
        } else {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            json.member_str("type", "function").name("function").object();
            json.member_str("name", name).member_str("arguments", arguments).end();
        }
        if let Some(signature) = signature {
            super::write_extra_content(json, signature);
        }
        json.end();
    }
    json.end();
}

fn images<'m>(json: &mut JsonWriter<'_>, media: impl Iterator<Item = &'m Media<'m>>) {
    let mut urls = media
        .filter(|media| media.kind == MediaKind::Image)
        .filter_map(|media| media::url_of(&media.source))
        .peekable();
    if urls.peek().is_none() {
        return;
    }
    json.name("images").array();
    for (index, url) in (0..).zip(urls) {
        words::write_image(json, &url, index);
    }
    json.end();
}

/// The first sound: a message has place for one.
fn sound<'m>(json: &mut JsonWriter<'_>, media: impl Iterator<Item = &'m Media<'m>>, id: &str) {
    let mut sounds = media.filter_map(|media| match &media.source {
        Source::Base64 { data, .. } if media.kind == MediaKind::Audio => Some(data),
        _ => None,
    });
    let Some(data) = sounds.next() else { return };
    json.name("audio").object().member_str("id", id).member_str("data", data);
    json.member_u64("expires_at", 0).member_str("transcript", "").end();
}

fn logprobs(json: &mut JsonWriter<'_>, choice: &Choice<'_>) {
    if choice.logprobs.is_empty() {
        json.null();
        return;
    }
    json.object().name("content").array();
    for list in &choice.logprobs {
        for item in faregate_wire::Json::new(list).into_iter().flat_map(faregate_wire::Json::items)
        {
            json.json(item);
        }
    }
    json.end().name("refusal").null().end();
}
