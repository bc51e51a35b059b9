//! A whole answer, read and written.

use faregate_wire::{Json, JsonWriter};

use super::{
    ID_RULE,
    events::{citation, message_id, stop_reason},
    parts::write_input,
    stream_read::Reader,
    usage::write_usage,
};
use crate::{
    chat::{Answer, AnswerPart, Choice, Citation, Delta, Finish, Usage, fit_id},
    dialect::{AnswerTerms, BadAnswer},
};

/// Reads a whole answer.
pub(super) fn read_answer(
    body: &[u8],
    seed: u64,
    sink: &mut dyn FnMut(Delta<'_>),
) -> Result<(), BadAnswer> {
    let body = Json::new(body).filter(|body| body.is_object()).ok_or(BadAnswer)?;
    let mut reader = Reader::new(seed);
    if body.get_str("type").is_some_and(|kind| kind == "error") {
        reader.fail(body, sink);
        return Ok(());
    }
    let content = body.get("content").filter(|content| content.is_array()).ok_or(BadAnswer)?;
    reader.start(body, sink);
    for (index, block) in (0..).zip(content.items()) {
        reader.open_block(index, block, sink);
        reader.close_block(index, sink);
    }
    reader.end(body, sink);
    reader.usage(body.get("usage"), sink);
    reader.stop(sink);
    Ok(())
}

/// Writes a whole answer: the first choice.
pub(super) fn write_answer(out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
    let start = &answer.start;
    let choice = answer.choices.first();
    let mut json = JsonWriter::new(out);
    json.object().member_str("id", &message_id(&start.id, terms.request_id));
    json.member_str("type", "message").member_str("role", "assistant");
    json.member_str("model", if start.model.is_empty() { terms.model } else { &start.model });
    json.name("content").array();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let parts = match parts {
        [front @ .., AnswerPart::Text { .. }, last] if is_bare_proof(last) => {
            &parts[..front.len() + 1]
        }
        parts => parts,
    };
    parts.iter().for_each(|part| write_part(&mut json, part));
    json.end();
    let stop = choice.and_then(|choice| choice.stop.as_deref());
    json.member_str("stop_reason", stop_reason(finish(choice), stop.is_some()));
    match stop {
        Some(stop) => json.member_str("stop_sequence", stop),
        None => json.name("stop_sequence").null(),
    };
    let estimate = Usage { input: terms.input_estimate.unwrap_or(0), ..Usage::default() };
    json.name("usage");
    write_usage(&mut json, &answer.usage.unwrap_or(estimate), start.tier.as_deref());
    json.end();
}

/// Why a choice ended; calls and refusals speak for themselves.
fn finish(choice: Option<&Choice<'_>>) -> Finish {
    let Some(choice) = choice else { return Finish::Stop };
    let has = |wanted: fn(&AnswerPart<'_>) -> bool| choice.parts.iter().any(wanted);
    match choice.finish {
        Some(Finish::Stop) | None if has(|part| matches!(part, AnswerPart::ToolCall { .. })) => {
            Finish::ToolCalls
        }
        Some(Finish::Stop) | None if has(|part| matches!(part, AnswerPart::Refusal(_))) => {
            Finish::Refusal
        }
        Some(finish) => finish,
        None => Finish::Stop,
    }
}

/// Whether it is a signature of nothing that is shown. It is not the last block: clients take that for the answer.
fn is_bare_proof(part: &AnswerPart<'_>) -> bool {
    matches!(part, AnswerPart::Reasoning { text, redacted: false, .. } if text.is_empty())
}

fn write_part(json: &mut JsonWriter<'_>, part: &AnswerPart<'_>) {
    match part {
        AnswerPart::Text { text, citations } => write_text(json, text, citations),
        AnswerPart::Refusal(text) => write_text(json, text, &[]),
        AnswerPart::Reasoning { signature: Some(data), redacted: true, .. } => {
            json.object().member_str("type", "redacted_thinking").member_str("data", data).end();
        }
        AnswerPart::Reasoning { text, signature, .. } => {
            json.object().member_str("type", "thinking").member_str("thinking", text);
            json.member_str("signature", signature.as_deref().unwrap_or_default()).end();
        }
        AnswerPart::ToolCall { id, name, arguments, custom, .. } => {
            json.object().member_str("type", "tool_use").member_str("id", &fit_id(id, &ID_RULE));
            json.member_str("name", name).name("input");
            write_input(json, arguments, *custom);
            json.end();
        }
        AnswerPart::Media(_) => {}
    }
}

fn write_text(json: &mut JsonWriter<'_>, text: &str, citations: &[Citation<'_>]) {
    json.object().member_str("type", "text").member_str("text", text);
    if !citations.is_empty() {
        json.name("citations").array();
        for source in citations {
            citation(json, source.url.as_deref(), source.title.as_deref(), source.quote.as_deref());
        }
        json.end();
    }
    json.end();
}
