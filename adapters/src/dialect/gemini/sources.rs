//! What stands beside the text of an answer: where it comes from, how probable its tokens were, and code that was run.

use faregate_wire::{Json, JsonWriter};

use super::member::{list, member};
use crate::chat::Delta;

/// The most sources that are told; further ones are passed over.
const CITED_MAX: usize = 512;

/// Which sources have been told. Chunks may tell all of them again.
#[derive(Debug, Default)]
pub(super) struct Cited {
    seen: Vec<u64>,
}

impl Cited {
    /// Tells the sources of a candidate that have not been told.
    pub(super) fn read(&mut self, choice: u32, json: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let citations = member(json, "citationMetadata").and_then(|m| member(m, "citations"));
        for source in citations.into_iter().flat_map(list) {
            self.tell(choice, source, None, sink);
        }
        let Some(grounding) = member(json, "groundingMetadata") else { return };
        let items = |name: &str| member(grounding, name).into_iter().flat_map(list);
        let mut is_supported = Vec::new();
        for support in items("groundingSupports") {
            let quote = member(support, "segment").and_then(|segment| member(segment, "text"));
            for index in member(support, "groundingChunkIndices").into_iter().flat_map(list) {
                let index = index.u64().and_then(|index| usize::try_from(index).ok());
                if let Some(chunk) = index.and_then(|index| items("groundingChunks").nth(index)) {
                    is_supported.extend(index);
                    self.tell(choice, source_of(chunk), quote, sink);
                }
            }
        }
        for (index, chunk) in items("groundingChunks").enumerate() {
            if !is_supported.contains(&index) {
                self.tell(choice, source_of(chunk), None, sink);
            }
        }
    }

    fn tell(
        &mut self,
        choice: u32,
        source: Json<'_>,
        quote: Option<Json<'_>>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) {
        let url = member(source, "uri").and_then(Json::str);
        let title = member(source, "title").and_then(Json::str);
        let quote = quote.and_then(Json::str);
        let mark = mark(&[url.as_deref(), title.as_deref(), quote.as_deref()], choice);
        let is_new = !self.seen.contains(&mark) && self.seen.len() < CITED_MAX;
        if is_new && (url.is_some() || title.is_some()) {
            self.seen.push(mark);
            sink(Delta::Citation { choice, url, title, quote });
        }
    }
}

/// The source itself: `web`, `retrievedContext`, `maps` or `image`.
fn source_of(chunk: Json<'_>) -> Json<'_> {
    let mut sources = chunk.members().map(|(_, value)| value);
    sources.find(|value| value.is_object()).unwrap_or(chunk)
}

/// FNV-1a over the texts.
fn mark(texts: &[Option<&str>], choice: u32) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.unwrap_or_default().bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325 ^ u64::from(choice), |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// `logprobsResult` in OpenAI's form: the items of `logprobs.content`.
pub(super) fn logprobs(json: Json<'_>) -> Vec<u8> {
    let items = |json, name: &str| member(json, name).into_iter().flat_map(list);
    let mut top = items(json, "topCandidates");
    let mut out = Vec::new();
    let mut writer = JsonWriter::new(&mut out);
    writer.array();
    for chosen in items(json, "chosenCandidates") {
        writer.object();
        write_token(&mut writer, chosen);
        writer.name("top_logprobs").array();
        for other in top.next().into_iter().flat_map(|top| items(top, "candidates")) {
            writer.object();
            write_token(&mut writer, other);
            writer.end();
        }
        writer.end().end();
    }
    writer.end();
    if out == b"[]" { Vec::new() } else { out }
}

fn write_token(out: &mut JsonWriter<'_>, json: Json<'_>) {
    let token = member(json, "token").and_then(Json::str).unwrap_or_default();
    out.member_str("token", &token);
    write_number(out, "logprob", member(json, "logProbability"));
    out.name("bytes").array();
    token.bytes().for_each(|byte| {
        out.u64(u64::from(byte));
    });
    out.end();
}

/// Writes a number that a provider told, unless it is none: nobody has checked how it is spelled.
fn write_number(out: &mut JsonWriter<'_>, name: &str, number: Option<Json<'_>>) {
    if let Some(number) = number.and_then(Json::f64).filter(|number| number.is_finite()) {
        out.name(name).raw(number.to_string().as_bytes());
    }
}

/// OpenAI's items in the form of `logprobsResult`.
pub(super) fn write_logprobs<'j>(
    out: &mut JsonWriter<'_>,
    items: impl Iterator<Item = Json<'j>> + Clone,
) {
    out.object().name("chosenCandidates").array();
    items.clone().for_each(|item| write_candidate(out, item));
    out.end().name("topCandidates").array();
    for item in items {
        out.object().name("candidates").array();
        item.get("top_logprobs").into_iter().flat_map(Json::items).for_each(|other| {
            write_candidate(out, other);
        });
        out.end().end();
    }
    out.end().end();
}

fn write_candidate(out: &mut JsonWriter<'_>, item: Json<'_>) {
    out.object().member_str("token", &item.get_str("token").unwrap_or_default());
    write_number(out, "logProbability", item.get("logprob"));
    out.end();
}

/// Code that the provider ran, or what came of it, as text: no other dialect has a part for it.
pub(super) fn code(json: Json<'_>) -> Option<String> {
    if let Some(code) = member(json, "executableCode") {
        let language = member(code, "language").and_then(Json::str).unwrap_or_default();
        let text = member(code, "code").and_then(Json::str)?;
        return Some(format!("\n```{}\n{text}\n```\n", language.to_ascii_lowercase()));
    }
    let result = member(json, "codeExecutionResult")?;
    let text = member(result, "output").and_then(Json::str)?;
    Some(format!("\n```\n{text}\n```\n"))
}
