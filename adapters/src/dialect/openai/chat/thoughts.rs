//! Earlier thoughts in an assistant's message, read.
//!
//! `reasoning_details` is the fullest spelling: it alone has signatures. Its fragments may come back as they were
//! streamed; those of one index belong together. `reasoning_content` and `reasoning` hold the text alone.

use std::borrow::Cow;

use faregate_wire::Json;

use super::parts;
use crate::chat::{Part, PartBody, ReasoningPart};

/// The thoughts that a message holds. What is encrypted for one call has the call's id.
pub(super) fn read<'a>(
    text: Option<Cow<'a, str>>,
    details: Option<Json<'a>>,
    blocks: Option<Json<'a>>,
) -> Vec<ReasoningPart<'a>> {
    let mut thoughts = Vec::new();
    if let Some(details) = details {
        from_details(details, &mut thoughts);
    } else if let Some(blocks) = blocks {
        thoughts.extend(blocks.items().map(from_block));
    }
    let has_text = thoughts.iter().any(|thought| !thought.text.is_empty());
    if let Some(text) = text.filter(|text| !has_text && !text.is_empty()) {
        match thoughts.iter_mut().find(|thought| !thought.redacted) {
            Some(signed) => signed.text = text,
            None => thoughts.insert(0, ReasoningPart { text, ..ReasoningPart::default() }),
        }
    }
    thoughts.retain(|thought| !thought.text.is_empty() || thought.signature.is_some());
    thoughts
}

/// Gives what is encrypted for one call to that call.
pub(super) fn sign_calls(parts: &mut Vec<Part<'_>>) {
    let mut at = 0;
    while let Some(part) = parts.get_mut(at) {
        let PartBody::Reasoning(thought) = &mut part.body else { break };
        let id = thought.id.take().filter(|_| thought.redacted);
        let sign = id.and_then(|id| thought.signature.clone().map(|sign| (id, sign)));
        if sign.is_some_and(|(id, sign)| sign_call(parts, &id, sign)) {
            parts.remove(at);
        } else {
            at += 1;
        }
    }
}

fn sign_call<'a>(parts: &mut [Part<'a>], wanted: &str, sign: Cow<'a, str>) -> bool {
    for part in parts {
        if let PartBody::ToolCall { id, signature: signature @ None, .. } = &mut part.body
            && *id == wanted
        {
            *signature = Some(sign);
            return true;
        }
    }
    false
}

fn from_details<'a>(details: Json<'a>, thoughts: &mut Vec<ReasoningPart<'a>>) {
    let mut last_index = None;
    for item in details.items() {
        let index = item.get_u64("index");
        let signature = item.get_str("signature").filter(|sign| !sign.is_empty());
        if let Some(data) = item.get_str("data") {
            let id = item.get_str("id");
            let text = Cow::Borrowed("");
            thoughts.push(ReasoningPart { text, signature: Some(data), redacted: true, id });
            continue;
        }
        let text = item.get_str("text").or_else(|| item.get_str("summary")).unwrap_or_default();
        match thoughts.last_mut() {
            Some(open) if !open.redacted && open.signature.is_none() && index == last_index => {
                open.text.to_mut().push_str(&text);
                open.signature = signature;
            }
            _ => thoughts.push(ReasoningPart { text, signature, ..ReasoningPart::default() }),
        }
        last_index = index;
    }
}

/// Anthropic's block, as LiteLLM's clients send it back in `thinking_blocks`.
fn from_block(block: Json<'_>) -> ReasoningPart<'_> {
    match block.get_str("data") {
        Some(data) => {
            ReasoningPart { signature: Some(data), redacted: true, ..ReasoningPart::default() }
        }
        None => parts::thinking(block),
    }
}
