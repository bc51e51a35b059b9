//! Events of a stream, and the words that streams and whole answers share.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use crate::chat::Finish;

/// The id of an answer: the provider's, or one made of the request's.
pub(super) fn message_id<'i>(id: &'i str, request_id: &str) -> Cow<'i, str> {
    if id.is_empty() { Cow::Owned(format!("msg_{request_id}")) } else { Cow::Borrowed(id) }
}

/// Why an answer ended, in this dialect's words.
pub(super) const fn stop_reason(finish: Finish, has_stop: bool) -> &'static str {
    match finish {
        Finish::Stop if has_stop => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ContextFull => "model_context_window_exceeded",
        Finish::ToolCalls => "tool_use",
        Finish::Refusal => "refusal",
        Finish::Pause => "pause_turn",
    }
}

/// Writes where something comes from: a page if it has an address, else a place in a document.
pub(super) fn citation(
    json: &mut JsonWriter<'_>,
    url: Option<&str>,
    title: Option<&str>,
    quote: Option<&str>,
) {
    let quote = quote.unwrap_or_default();
    json.object();
    match url {
        Some(url) => {
            json.member_str("type", "web_search_result_location").member_str("cited_text", quote);
            json.member_str("url", url).name("title");
            nullable(json, title);
            json.member_str("encrypted_index", "");
        }
        None => {
            json.member_str("type", "char_location").member_str("cited_text", quote);
            json.member_u64("document_index", 0).name("document_title");
            nullable(json, title);
            json.member_u64("start_char_index", 0).member_u64("end_char_index", 0);
        }
    }
    json.end();
}

fn nullable(json: &mut JsonWriter<'_>, text: Option<&str>) {
    match text {
        Some(text) => json.str(text),
        None => json.null(),
    };
}

pub(super) fn event(out: &mut Vec<u8>, name: &str, write: impl FnOnce(&mut JsonWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut json = JsonWriter::new(out);
    json.object().member_str("type", name);
    write(&mut json);
    json.end();
    out.extend_from_slice(b"\n\n");
}

/// The text as it stands between the quotes of a JSON string.
pub(super) fn escaped(text: &str) -> String {
    let mut quoted = Vec::new();
    faregate_wire::quote(&mut quoted, text);
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    String::from_utf8_lossy(inner).into_owned()
}
