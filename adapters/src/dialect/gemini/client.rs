//! A whole answer, written for a client.

use faregate_wire::JsonWriter;

use super::{
    error,
    parts::{self, Call, Cited},
    usage,
};
use crate::{
    chat::{Answer, AnswerPart, Choice},
    dialect::AnswerTerms,
};

/// Appends the answer, or the error that it ended with.
pub(super) fn write(out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
    if let Some(error) = &answer.error {
        error::write_told(out, error);
        return;
    }
    let mut json = JsonWriter::new(out);
    json.object().name("candidates").array();
    for (index, choice) in (0..).zip(&answer.choices) {
        write_candidate(&mut json, index, choice);
    }
    json.end();
    if let Some(usage) = &answer.usage {
        usage::write(json.name("usageMetadata"), usage);
    }
    let or = |said: &str, else_: &str| if said.is_empty() { else_ } else { said }.to_owned();
    json.member_str("modelVersion", &or(&answer.start.model, terms.model));
    json.member_str("responseId", &or(&answer.start.id, terms.request_id)).end();
}

fn write_candidate(json: &mut JsonWriter<'_>, index: u64, choice: &Choice<'_>) {
    let mut sources = Vec::new();
    json.object().name("content").object().name("parts").array();
    for part in &choice.parts {
        match part {
            AnswerPart::Text { text, citations } => {
                parts::write_text(json, text, false);
                sources.extend(citations.iter().map(|citation| Cited {
                    url: citation.url.as_deref(),
                    title: citation.title.as_deref(),
                    quote: citation.quote.as_deref(),
                }));
            }
            AnswerPart::Reasoning { text, signature: Some(sign), redacted } => {
                parts::write_signed(json, text, sign, *redacted);
            }
            AnswerPart::Reasoning { text, signature: None, .. } => {
                parts::write_text(json, text, true);
            }
            AnswerPart::ToolCall { id, name, arguments, custom, signature, .. } => {
                let call =
                    Call { id, name, arguments, custom: *custom, signature: signature.as_deref() };
                parts::write_call(json, &call);
            }
            AnswerPart::Refusal(text) => parts::write_text(json, text, false),
            AnswerPart::Media(media) => parts::write_media(json, media),
        }
    }
    if choice.parts.is_empty() {
        parts::write_text(json, "", false);
    }
    json.end().member_str("role", "model").end();
    parts::write_finish(json, choice.finish);
    json.member_u64("index", index);
    parts::write_sources(json, &sources);
    parts::write_logprobs(json, &choice.logprobs);
    json.end();
}
