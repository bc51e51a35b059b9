//! What an answer says, as one text.
//!
//! In: an answer's bytes, whole or a stream, in any of the dialects. Out: the text of its one choice; nothing where it also calls
//! tools, has media, refuses, or breaks off: such answers are compared with no other. Nothing is remembered.

use faregate_wire::{Cutter, FrameCutter, Json};

use crate::{
    chat::Delta,
    dialect::{Form, ReadTerms},
    quirks::Quirks,
    repeat::Shape,
};

/// The text of an answer.
#[must_use]
pub fn text(form: Form, shape: Shape, answer: &[u8]) -> Option<String> {
    let mut said = Said::default();
    let quirks = Quirks::NONE;
    let terms = ReadTerms { seed: 0, quirks: &quirks };
    let mut sink = |delta: Delta<'_>| said.add(&delta);
    let mut reader = form.outbound().stream_reader(&terms);
    match shape {
        Shape::Whole => form.outbound().read_answer(answer, &terms, &mut sink).ok()?,
        Shape::Events => {
            let mut cutter = Cutter::default();
            let mut rest = answer;
            while let Some(event) = cutter.cut(rest).ok()? {
                rest = &rest[event.raw.len()..];
                let Some(data) = event.data_joined() else { continue };
                reader.event(event.event().unwrap_or_default(), &data, &mut sink).ok()?;
            }
        }
        Shape::Frames => {
            let mut cutter = FrameCutter::default();
            let mut rest = answer;
            while let Some(frame) = cutter.cut(rest).ok()? {
                rest = &rest[frame.raw.len()..];
                reader.event(&frame.event(), &frame.data(), &mut sink).ok()?;
            }
        }
        Shape::Array => {
            for part in Json::new(answer)?.items() {
                reader.event(b"", part.raw(), &mut sink).ok()?;
            }
        }
    }
    if shape != Shape::Whole {
        reader.close(&mut sink);
    }
    said.text()
}

#[derive(Default)]
struct Said {
    text: String,
    has_ended: bool,
    is_more: bool,
}

impl Said {
    fn add(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text { choice: 0, text } => self.text.push_str(text),
            Delta::Finish { choice: 0, .. } => self.has_ended = true,
            Delta::Start(_)
            | Delta::Usage(_)
            | Delta::Done
            | Delta::Reasoning { choice: 0, .. }
            | Delta::Signature { choice: 0, .. }
            | Delta::Logprobs { choice: 0, .. }
            | Delta::Citation { choice: 0, .. } => {}
            _ => self.is_more = true,
        }
    }

    fn text(self) -> Option<String> {
        (self.has_ended && !self.is_more && !self.text.trim().is_empty()).then_some(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: Form, shape: Shape, answer: &str, expected: Option<&str>) {
        assert_eq!(text(form, shape, answer.as_bytes()).as_deref(), expected, "{answer}");
    }

    #[test]
    fn a_text_is_read_whole_or_in_pieces() {
        check(
            Form::Chat,
            Shape::Whole,
            r#"{"id":"a","choices":[{"index":0,"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}]}"#,
            Some("Paris."),
        );
        let piece = |delta: &str, reason: &str| {
            format!(
                "data: {{\"id\":\"a\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
            )
        };
        let stream = [
            piece(r#"{"role":"assistant","content":"Pa"}"#, "null"),
            piece(r#"{"content":"ris."}"#, "null"),
            piece("{}", "\"stop\""),
            "data: [DONE]\n\n".to_owned(),
        ]
        .concat();
        check(Form::Chat, Shape::Events, &stream, Some("Paris."));
        check(
            Form::Messages,
            Shape::Whole,
            r#"{"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"Yes"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#,
            Some("Yes"),
        );
        check(
            Form::Gemini,
            Shape::Whole,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Ja"}]},"finishReason":"STOP"}]}"#,
            Some("Ja"),
        );
    }

    #[test]
    fn what_is_more_than_a_text_is_not_compared() {
        check(Form::Chat, Shape::Whole, "nonsense", None);
        check(
            Form::Chat,
            Shape::Whole,
            r#"{"choices":[{"index":0,"message":{"content":"a","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
            None,
        );
        check(
            Form::Chat,
            Shape::Whole,
            r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"stop"}]}"#,
            None,
        );
        check(
            Form::Chat,
            Shape::Events,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"cut\"}}]}\n\n",
            None,
        );
    }
}
