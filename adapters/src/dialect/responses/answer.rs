//! Whole answers, written.

use faregate_wire::{Json, JsonWriter};

use super::{
    error,
    output::{Body, Content, Ending, Envelope, Fault, Item, Status, ending_of},
};
use crate::{
    chat::{Answer, AnswerPart, Choice, Media, MediaKind, Source, Usage},
    dialect::AnswerTerms,
};

/// Appends a whole answer: its first choice, since there is one.
pub(super) fn write(out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
    let envelope = Envelope::new(&answer.start, terms);
    let mut items = Vec::new();
    let choice = answer.choices.first();
    if let Some(choice) = choice {
        collect(choice, &envelope, &mut items);
    }
    let (status, reason) = ending_of(choice.and_then(|choice| choice.finish), &items);
    for item in &mut items {
        item.status = Status::Completed;
    }
    if let Some(last) = items.last_mut() {
        last.status = status;
    }
    let error = answer.error.as_ref().map(|error| Fault {
        code: error::code_for(error.kind, error.code.as_deref()),
        kind: error::type_for(error.kind),
        message: &error.message,
        param: error.param.as_deref(),
    });
    let ending = Ending {
        status: if error.is_some() { Status::Failed } else { status },
        reason: reason.filter(|_| error.is_none()),
        usage: answer.usage.or_else(|| error.is_none().then(Usage::default)),
        error,
    };
    envelope.write(&mut JsonWriter::new(out), &items, &ending);
}

fn collect(choice: &Choice<'_>, envelope: &Envelope, items: &mut Vec<Item>) {
    for part in &choice.parts {
        match part {
            AnswerPart::Text { text, citations } => {
                add(envelope, items, false, |content| {
                    content.push(text);
                    for citation in citations {
                        content.cite(citation.url.as_deref(), citation.title.as_deref());
                    }
                });
            }
            AnswerPart::Refusal(text) => add(envelope, items, true, |content| content.push(text)),
            AnswerPart::Reasoning { text, signature, redacted } => {
                let signature = signature.as_deref().map(str::to_owned);
                let body =
                    Body::Reasoning { text: text.clone(), has_summary: !redacted, signature };
                items.push(envelope.item(items.len(), body));
            }
            AnswerPart::ToolCall { id, name, arguments, custom, .. } => {
                let body = Body::Call {
                    id: id.clone().into_owned(),
                    name: name.clone().into_owned(),
                    arguments: arguments.clone(),
                    custom: *custom,
                };
                items.push(envelope.item(items.len(), body));
            }
            AnswerPart::Media(media) => match (image_data(media), &media.source) {
                (Some(data), _) => {
                    let body = Body::Image { data: data.to_owned() };
                    items.push(envelope.item(items.len(), body));
                }
                (None, Source::Url(url)) => {
                    add(envelope, items, false, |content| content.push(url));
                }
                (None, _) => {}
            },
        }
    }
    add_logprobs(choice, items);
}

/// The data of an image that can be an item of its own.
pub(super) fn image_data<'m>(media: &'m Media<'_>) -> Option<&'m str> {
    match &media.source {
        Source::Base64 { data, .. } if media.kind == MediaKind::Image => Some(data),
        _ => None,
    }
}

/// Adds to the part of a message that takes text next; one is begun where there is none.
fn add(
    envelope: &Envelope,
    items: &mut Vec<Item>,
    is_refusal: bool,
    change: impl FnOnce(&mut Content),
) {
    if !matches!(items.last(), Some(Item { body: Body::Message(_), .. })) {
        let item = envelope.item(items.len(), Body::Message(Vec::new()));
        items.push(item);
    }
    let Some(Item { body: Body::Message(parts), .. }) = items.last_mut() else { return };
    if parts.last().is_none_or(|part| part.is_refusal != is_refusal) {
        parts.push(Content::new(is_refusal));
    }
    parts.last_mut().map(change);
}

/// What is told of tokens is told with the last text.
fn add_logprobs(choice: &Choice<'_>, items: &mut [Item]) {
    let texts = items.iter_mut().rev().filter_map(|item| match &mut item.body {
        Body::Message(parts) => parts.iter_mut().rev().find(|part| !part.is_refusal),
        _ => None,
    });
    let Some(part) = texts.into_iter().next() else { return };
    for content in choice.logprobs.iter().filter_map(|raw| Json::new(raw)) {
        part.add_logprobs(content);
    }
}
