//! Which answers can be given a second time.
//!
//! In: a request's body, an answer's bytes as its client got them. Out: whether the same request may be answered by the same
//! answer, which members of it do not shape the answer, and whether the answer is a whole one. Nothing is remembered.
//!
//! What is not known to be harmless is not repeated: tools that a provider runs, responses that it stores, endings that are
//! none of the usual ones. A member that is not known to be without effect shapes the answer.

use std::collections::BTreeSet;

use faregate_wire::{Cutter, FrameCutter, Json};

use crate::surface::Surface;

/// Choices of one answer that are followed; an answer with more is not repeated.
const CHOICES_MAX: usize = 128;

/// How an answer's bytes are cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One JSON value.
    Whole,
    /// Server-sent events.
    Events,
    /// AWS event-stream frames.
    Frames,
    /// A stream that is one JSON array.
    Array,
}

/// Whether anything at this surface may be answered a second time.
#[must_use]
pub const fn is_repeatable(surface: Surface) -> bool {
    matches!(
        surface,
        Surface::ChatCompletions
            | Surface::Completions
            | Surface::Embeddings
            | Surface::Responses
            | Surface::Messages
            | Surface::GenerateContent
            | Surface::EmbedContent
            | Surface::Converse
            | Surface::Rerank
    )
}

/// The top-level members that do not shape an answer: they say whom it is for. `stream` is among them because the path and
/// the body together say whether a stream is asked for.
#[must_use]
pub const fn left_out(surface: Surface) -> &'static [&'static str] {
    match surface {
        Surface::ChatCompletions | Surface::Responses => &[
            "stream",
            "user",
            "safety_identifier",
            "metadata",
            "prompt_cache_key",
            "prompt_cache_retention",
        ],
        Surface::Completions => &["stream", "user"],
        Surface::Embeddings | Surface::Rerank => &["user"],
        Surface::Messages => &["stream", "metadata"],
        Surface::GenerateContent => &["labels"],
        Surface::Converse => &["requestMetadata"],
        _ => &[],
    }
}

/// Why this request must reach its provider each time, if it must.
#[must_use]
pub fn why_not(surface: Surface, body: Json<'_>) -> Option<&'static str> {
    let is = |name: &str, wanted: bool| body.get_bool(name) == Some(wanted);
    let has = |name: &str| body.get(name).is_some();
    let stores = match surface {
        Surface::ChatCompletions => is("store", true),
        Surface::Responses => {
            !is("store", false)
                || is("background", true)
                || ["previous_response_id", "conversation", "prompt"].into_iter().any(has)
        }
        _ => false,
    };
    if stores {
        return Some("the provider stores it");
    }
    let tools = body.get("tools");
    let runs = match surface {
        Surface::ChatCompletions => {
            let others = ["web_search_options", "plugins", "mcp_servers"].into_iter().any(has);
            others || !all_of_type(tools, &["function", "custom"], false)
        }
        Surface::Responses => !all_of_type(tools, &["function", "custom"], false),
        Surface::Messages => {
            let others = ["mcp_servers", "container"].into_iter().any(has);
            others || !all_of_type(tools, &["custom"], true)
        }
        Surface::GenerateContent => {
            !all_members_in(tools, &["functionDeclarations", "function_declarations"])
        }
        Surface::Converse => {
            let tools = body.at(&["toolConfig", "tools"]);
            !all_members_in(tools, &["toolSpec", "cachePoint"])
        }
        _ => false,
    };
    if runs {
        return Some("the provider runs tools for it");
    }
    // Its audio is kept by the provider under an id that expires.
    (surface == Surface::ChatCompletions && has("audio")).then_some("its answer expires")
}

fn all_of_type(tools: Option<Json<'_>>, types: &[&str], may_lack: bool) -> bool {
    let Some(tools) = tools else { return true };
    tools.is_array()
        && tools.items().all(|tool| match tool.get_str("type") {
            Some(found) => types.contains(&&*found),
            None => may_lack && tool.is_object() && tool.get("type").is_none(),
        })
}

fn all_members_in(tools: Option<Json<'_>>, names: &[&str]) -> bool {
    let Some(tools) = tools else { return true };
    let is_plain = |tool: Json<'_>| {
        tool.is_object() && tool.members().all(|(name, _)| names.contains(&&*name))
    };
    tools.is_array() && tools.items().all(is_plain)
}

/// Whether `answer`, as its client got it, is one that came to its own end: neither cut at a bound, nor held back by a filter,
/// nor an error.
#[must_use]
pub fn is_whole(surface: Surface, shape: Shape, answer: &[u8]) -> bool {
    let mut seen = Seen::default();
    let is_read = match shape {
        Shape::Whole => Json::new(answer).is_some_and(|value| {
            seen.note(surface, b"", value);
            value.is_object() || surface == Surface::Rerank
        }),
        Shape::Array => Json::new(answer).is_some_and(|value| {
            value.items().for_each(|entry| seen.note(surface, b"", entry));
            value.is_array()
        }),
        Shape::Events => note_events(surface, answer, &mut seen),
        Shape::Frames => note_frames(surface, answer, &mut seen),
    };
    is_read && seen.is_whole(surface)
}

fn note_events(surface: Surface, answer: &[u8], seen: &mut Seen) -> bool {
    let mut cutter = Cutter::default();
    let mut rest = answer;
    while let Ok(Some(event)) = cutter.cut(rest) {
        rest = &rest[event.raw.len()..];
        let Some(data) = event.data_joined().filter(|data| **data != *b"[DONE]") else { continue };
        match Json::new(&data) {
            Some(value) => seen.note(surface, event.event().unwrap_or_default(), value),
            None => return false,
        }
    }
    rest.is_empty()
}

fn note_frames(surface: Surface, answer: &[u8], seen: &mut Seen) -> bool {
    let mut cutter = FrameCutter::default();
    let mut rest = answer;
    while let Ok(Some(frame)) = cutter.cut(rest) {
        rest = &rest[frame.raw.len()..];
        let (name, data) = (frame.event(), frame.data());
        if name.starts_with(b"exception:") {
            seen.is_bad = true;
        }
        match Json::new(&data) {
            Some(value) => seen.note(surface, &name, value),
            None => return false,
        }
    }
    rest.is_empty()
}

/// What was seen of an answer's endings.
#[derive(Debug, Default)]
struct Seen {
    begun: BTreeSet<u64>,
    ended: BTreeSet<u64>,
    is_bad: bool,
}

impl Seen {
    fn is_whole(&self, surface: Surface) -> bool {
        let makes_nothing =
            matches!(surface, Surface::Embeddings | Surface::EmbedContent | Surface::Rerank);
        !self.is_bad && (makes_nothing || !self.ended.is_empty() && self.begun == self.ended)
    }

    fn note(&mut self, surface: Surface, name: &[u8], part: Json<'_>) {
        self.is_bad |= part.get("error").is_some() || name == b"error";
        match surface {
            Surface::ChatCompletions | Surface::Completions => self.note_choices(part),
            Surface::Messages => self.note_message(part),
            Surface::Responses => self.note_response(part),
            Surface::GenerateContent => self.note_candidates(part),
            Surface::Converse => {
                let reason = part.get_str("stopReason");
                self.end_by(0, reason.as_deref(), &["end_turn", "tool_use", "stop_sequence"]);
            }
            _ => {}
        }
    }

    fn note_choices(&mut self, part: Json<'_>) {
        for choice in part.get("choices").into_iter().flat_map(Json::items) {
            let index = choice.get_u64("index").unwrap_or(0);
            let reason = choice.get_str("finish_reason");
            self.end_by(index, reason.as_deref(), &["stop", "tool_calls", "function_call"]);
            for message in ["message", "delta"].into_iter().filter_map(|name| choice.get(name)) {
                self.is_bad |= message.get("refusal").is_some();
            }
        }
    }

    fn note_message(&mut self, part: Json<'_>) {
        self.is_bad |= part.get_str("type").as_deref() == Some("error");
        let reason = part.get_str("stop_reason");
        let reason = reason.or_else(|| part.at(&["delta", "stop_reason"])?.str());
        self.end_by(0, reason.as_deref(), &["end_turn", "tool_use", "stop_sequence"]);
    }

    fn note_response(&mut self, part: Json<'_>) {
        let response = match part.get_str("type").as_deref() {
            Some("response.completed") => part.get("response"),
            Some("response.failed" | "response.incomplete" | "error") => {
                self.is_bad = true;
                None
            }
            Some(_) => None,
            None => Some(part),
        };
        let Some(response) = response else { return };
        self.is_bad |= response.get("incomplete_details").is_some();
        self.is_bad |= response.get("error").is_some();
        let items = response.get("output").into_iter().flat_map(Json::items);
        let mut parts = items.filter_map(|item| item.get("content")).flat_map(Json::items);
        self.is_bad |= parts.any(|part| part.get_str("type").as_deref() == Some("refusal"));
        self.end_by(0, response.get_str("status").as_deref(), &["completed"]);
    }

    fn note_candidates(&mut self, part: Json<'_>) {
        self.is_bad |= part.at(&["promptFeedback", "blockReason"]).is_some();
        for candidate in part.get("candidates").into_iter().flat_map(Json::items) {
            let index = candidate.get_u64("index").unwrap_or(0);
            self.end_by(index, candidate.get_str("finishReason").as_deref(), &["STOP"]);
        }
    }

    fn end_by(&mut self, choice: u64, reason: Option<&str>, usual: &[&str]) {
        self.begun.insert(choice);
        self.is_bad |= self.begun.len() > CHOICES_MAX;
        match reason {
            Some(reason) if usual.contains(&reason) => {
                self.ended.insert(choice);
            }
            Some(_) => self.is_bad = true,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_request(surface: Surface, body: &str, is_free: bool) {
        let body = Json::new(body.as_bytes()).unwrap();
        assert_eq!(why_not(surface, body).is_none(), is_free, "{surface:?} {body:?}");
    }

    fn check_answer(surface: Surface, shape: Shape, answer: &str, is_whole: bool) {
        assert_eq!(super::is_whole(surface, shape, answer.as_bytes()), is_whole, "{answer}");
    }

    #[test]
    fn what_a_provider_does_or_keeps_is_not_repeated() {
        use Surface::{ChatCompletions, Converse, GenerateContent, Messages, Responses};
        check_request(ChatCompletions, r#"{"tools":[{"type":"function"}]}"#, true);
        check_request(ChatCompletions, r#"{"store":false,"tools":[{"type":"custom"}]}"#, true);
        for body in [
            r#"{"store":true}"#,
            r#"{"tools":[{"type":"web_search"}]}"#,
            r#"{"tools":[{}]}"#,
            r#"{"tools":{}}"#,
            r#"{"web_search_options":{}}"#,
            r#"{"audio":{"voice":"a"}}"#,
        ] {
            check_request(ChatCompletions, body, false);
        }
        check_request(Responses, r#"{"store":false}"#, true);
        for body in [
            "{}",
            r#"{"store":true}"#,
            r#"{"store":null}"#,
            r#"{"store":false,"previous_response_id":"r"}"#,
            r#"{"store":false,"conversation":"c"}"#,
            r#"{"store":false,"background":true}"#,
            r#"{"store":false,"tools":[{"type":"mcp"}]}"#,
        ] {
            check_request(Responses, body, false);
        }
        check_request(Messages, r#"{"tools":[{"name":"a"},{"type":"custom"}]}"#, true);
        check_request(Messages, r#"{"tools":[{"type":"web_search_20250305"}]}"#, false);
        check_request(Messages, r#"{"tools":[{"type":7}]}"#, false);
        check_request(Messages, r#"{"mcp_servers":[]}"#, false);
        check_request(GenerateContent, r#"{"tools":[{"functionDeclarations":[]}]}"#, true);
        check_request(GenerateContent, r#"{"tools":[{"googleSearch":{}}]}"#, false);
        check_request(Converse, r#"{"toolConfig":{"tools":[{"toolSpec":{}}]}}"#, true);
        check_request(Converse, r#"{"toolConfig":{"tools":[{"systemTool":{}}]}}"#, false);
    }

    #[test]
    fn only_an_answer_that_came_to_its_own_end_is_whole() {
        use Surface::{ChatCompletions, Embeddings, GenerateContent, Messages, Responses};
        let chat = |reason: &str| {
            format!(r#"{{"choices":[{{"index":0,"message":{{}},"finish_reason":{reason}}}]}}"#)
        };
        for (reason, is_whole) in
            [("\"stop\"", true), ("\"tool_calls\"", true), ("\"length\"", false), ("null", false)]
        {
            check_answer(ChatCompletions, Shape::Whole, &chat(reason), is_whole);
            let events = format!("data: {}\n\ndata: [DONE]\n\n", chat(reason));
            check_answer(ChatCompletions, Shape::Events, &events, is_whole);
        }
        check_answer(ChatCompletions, Shape::Whole, r#"{"error":{"code":"x"}}"#, false);
        check_answer(ChatCompletions, Shape::Whole, r#"{"choices":[]}"#, false);
        check_answer(ChatCompletions, Shape::Whole, "<html>", false);
        let cut = format!("data: {}\n\ndata: {{\"cho", chat("\"stop\""));
        check_answer(ChatCompletions, Shape::Events, &cut, false);
        let two =
            r#"{"choices":[{"index":0,"finish_reason":"stop"},{"index":1,"finish_reason":null}]}"#;
        check_answer(ChatCompletions, Shape::Whole, two, false);
        check_answer(Messages, Shape::Whole, r#"{"stop_reason":"end_turn"}"#, true);
        check_answer(Messages, Shape::Whole, r#"{"stop_reason":"refusal"}"#, false);
        let events = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n";
        check_answer(Messages, Shape::Events, events, true);
        let failed = format!("{events}event: error\ndata: {{\"type\":\"error\"}}\n\n");
        check_answer(Messages, Shape::Events, &failed, false);
        check_answer(Responses, Shape::Whole, r#"{"status":"completed","error":null}"#, true);
        check_answer(Responses, Shape::Whole, r#"{"status":"incomplete"}"#, false);
        let done = r#"{"type":"response.completed","response":{"status":"completed"}}"#;
        check_answer(Responses, Shape::Events, &format!("data: {done}\n\n"), true);
        let failed = r#"{"type":"response.failed","response":{"status":"failed"}}"#;
        check_answer(Responses, Shape::Events, &format!("data: {failed}\n\n"), false);
        let gemini = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
        check_answer(GenerateContent, Shape::Whole, gemini, true);
        check_answer(GenerateContent, Shape::Array, &format!("[{gemini}]"), true);
        check_answer(GenerateContent, Shape::Array, &format!("[{gemini}"), false);
        let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#;
        check_answer(GenerateContent, Shape::Whole, blocked, false);
        check_answer(Embeddings, Shape::Whole, r#"{"data":[]}"#, true);
        check_answer(Embeddings, Shape::Whole, r#"{"error":{}}"#, false);
    }
}
