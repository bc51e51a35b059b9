//! The tokens of a whole chat.
//!
//! In: a request in canonical form. Out: a [`Count`]. Texts are counted one by one; what stands around them is added by
//! OpenAI's published rule (<https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>) or by a bound.
//!
//! What the bounds rest on. Of what is no text (calls, schemas, arguments, members that are not known) each byte is taken for
//! a token, as in [`input_upper_bound`]: a provider spells these in no more tokens than JSON has bytes. Control tokens of a chat
//! template are fewer than [`FRAME_TOKENS_MAX`] a message or part. Texts of one message may be joined or kept apart: whichever
//! makes more tokens counts.

use std::borrow::Cow;

use super::{Count, How, Tokenizer, encoding::Framing, estimated, input_upper_bound, text};
use crate::chat::{Format, Media, Message, Part, PartBody, Request, Role, Source, Tool};

/// The rule's tokens around each message, for a name, and before the answer.
const MESSAGE_TOKENS: u64 = 3;
const NAME_TOKENS: u64 = 1;
const ANSWER_TOKENS: u64 = 3;

/// The most control tokens around a message, a part of one, a tool or the answer, where there is no rule.
const FRAME_TOKENS_MAX: u64 = 10;

/// About what an image, a page or a minute of sound takes.
const MEDIA_TOKENS_ESTIMATED: u64 = 1024;

/// Counts the input tokens of a request to a model with this tokenizer.
#[must_use]
pub fn count(tokenizer: Tokenizer, request: &Request<'_>) -> Count {
    Tally::new(Some(tokenizer)).count(request)
}

/// Estimates the input tokens of a request to a model whose tokenizer is not known.
#[must_use]
pub fn estimate(request: &Request<'_>) -> Count {
    Tally::new(None).count(request)
}

/// What has been counted so far.
struct Tally {
    tokenizer: Option<Tokenizer>,
    count: Count,
}

impl Tally {
    fn new(tokenizer: Option<Tokenizer>) -> Self {
        let how = match tokenizer.map(Tokenizer::framing) {
            Some(Framing::Published) => How::Exact,
            Some(Framing::Unpublished) => How::UpperBound,
            None => How::Estimate,
        };
        Self { tokenizer, count: Count { tokens: 0, how } }
    }

    fn count(mut self, request: &Request<'_>) -> Count {
        for message in &request.messages {
            self.message(message);
        }
        for tool in &request.tools {
            self.tool(tool);
        }
        match &request.format {
            Some(Format::JsonSchema { name, description, schema, .. }) => {
                self.frame();
                self.bytes(name.as_ref().map_or(0, |name| name.len()));
                self.bytes(description.as_ref().map_or(0, |text| text.len()));
                self.bytes(schema.raw().len());
            }
            Some(Format::JsonObject) => self.frame(),
            None => {}
        }
        for (name, value) in &request.rest {
            self.bytes(name.len());
            self.bytes(value.raw().len());
        }
        match self.is_published() || self.tokenizer.is_none() {
            true => self.add(ANSWER_TOKENS),
            false => self.frame(),
        }
        self.count
    }

    fn message(&mut self, message: &Message<'_>) {
        match self.is_published() {
            true => self.add(MESSAGE_TOKENS),
            false => self.frame(),
        }
        self.text(match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        });
        if let Some(name) = &message.name {
            self.text(name);
            self.add(NAME_TOKENS);
        }
        self.parts(&message.parts);
    }

    /// Texts of one message may be joined in the model's template.
    fn parts(&mut self, parts: &[Part<'_>]) {
        let before = self.count.tokens;
        let mut texts = Vec::new();
        for part in parts {
            if let PartBody::Text(text) = &part.body {
                texts.push(&**text);
                self.text(text);
            }
        }
        if texts.len() > 1 && self.tokenizer.is_some() {
            let apart = self.count.tokens - before;
            self.count.tokens = before;
            self.text(&texts.concat());
            let joined = self.count.tokens - before;
            self.count.tokens = before.saturating_add(apart.max(joined));
            texts.iter().for_each(|_| self.frame());
        }
        for part in parts {
            self.part(&part.body);
        }
    }

    fn part(&mut self, part: &PartBody<'_>) {
        match part {
            PartBody::Text(_) => return,
            PartBody::Refusal(text) => self.text(text),
            PartBody::Reasoning(thought) => {
                self.text(&thought.text);
                self.bytes(length(&thought.signature) + length(&thought.id));
            }
            PartBody::ToolCall { id, name, arguments, signature, .. } => {
                self.bytes(id.len() + name.len() + arguments.len() + length(signature));
            }
            PartBody::ToolResult { id, name, content, .. } => {
                self.bytes(id.len() + length(name));
                self.parts(content);
            }
            PartBody::Media(media) => self.media(media),
            PartBody::Other { json, .. } => self.bytes(json.raw().len()),
        }
        self.frame();
    }

    fn media(&mut self, media: &Media<'_>) {
        self.bytes(length(&media.name));
        match &media.source {
            Source::Text(text) => self.text(text),
            Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
                self.count.how = How::Estimate;
                self.add(MEDIA_TOKENS_ESTIMATED);
            }
        }
    }

    fn tool(&mut self, tool: &Tool<'_>) {
        self.frame();
        self.bytes(tool.name.len() + length(&tool.description));
        self.bytes(tool.parameters.as_ref().map_or(0, |schema| schema.raw().len()));
    }

    fn text(&mut self, text: &str) {
        let Some(tokenizer) = self.tokenizer else {
            return self.add(estimated(text.len() as u64));
        };
        let counted = text::count(tokenizer, text);
        self.add(counted.tokens);
        self.count.how = self.count.how.max(counted.how);
    }

    /// What is no text.
    fn bytes(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let bytes = bytes as u64;
        match self.tokenizer {
            Some(_) => {
                self.count.how = self.count.how.max(How::UpperBound);
                self.add(input_upper_bound(bytes));
            }
            None => self.add(estimated(bytes)),
        }
    }

    /// Something that no rule says the framing of.
    fn frame(&mut self) {
        match self.tokenizer {
            Some(_) => {
                self.count.how = self.count.how.max(How::UpperBound);
                self.add(FRAME_TOKENS_MAX);
            }
            None => self.add(MESSAGE_TOKENS),
        }
    }

    fn add(&mut self, tokens: u64) {
        self.count.tokens = self.count.tokens.saturating_add(tokens);
    }

    fn is_published(&self) -> bool {
        self.tokenizer.map(Tokenizer::framing) == Some(Framing::Published)
    }
}

fn length(text: &Option<Cow<'_, str>>) -> usize {
    text.as_ref().map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Call, Form};

    fn counted(model: &str, form: Form, body: &str) -> Count {
        let request = form.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
        count(Tokenizer::of(model).unwrap(), &request)
    }

    fn exact(tokens: u64) -> Count {
        Count { tokens, how: How::Exact }
    }

    /// The conversation that OpenAI's cookbook checks its rule with against the API.
    const COOKBOOK: &str = r#"{"model":"m","messages":[
        {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
        {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
        {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
        {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}"#;

    #[test]
    fn openais_own_example_has_the_tokens_that_its_api_counts() {
        assert_eq!(counted("gpt-3.5-turbo", Form::Chat, COOKBOOK), exact(129));
        assert_eq!(counted("gpt-4-0613", Form::Chat, COOKBOOK), exact(129));
        assert_eq!(counted("gpt-4o", Form::Chat, COOKBOOK), exact(124));
        assert_eq!(counted("gpt-4o-mini", Form::Chat, COOKBOOK), exact(124));
        let bound = counted("gpt-5", Form::Chat, COOKBOOK);
        assert!(
            bound.how == How::UpperBound && (124..COOKBOOK.len() as u64).contains(&bound.tokens)
        );
    }

    #[test]
    fn plain_texts_are_exact_in_every_dialect() {
        let chat = r#"{"messages":[{"role":"user","content":"tiktoken is great!"}]}"#;
        let messages =
            r#"{"max_tokens":9,"messages":[{"role":"user","content":"tiktoken is great!"}]}"#;
        let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"tiktoken is great!"}]}]}"#;
        let responses = r#"{"model":"m","input":"tiktoken is great!"}"#;
        for (form, body) in [
            (Form::Chat, chat),
            (Form::Messages, messages),
            (Form::Gemini, gemini),
            (Form::Responses, responses),
        ] {
            assert_eq!(counted("gpt-4o", form, body), exact(3 + 1 + 6 + 3), "{form:?}");
        }
    }

    #[test]
    fn what_has_no_published_rule_is_bounded_by_no_more_than_the_body() {
        for body in [
            r#"{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}]}"#,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"done"}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}]}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}"#,
            r#"{"messages":[{"role":"user","content":"a"}],"functions":[{"name":"f"}]}"#,
        ] {
            let count = counted("gpt-4o", Form::Chat, body);
            assert_eq!(count.how, How::UpperBound, "{body}");
            assert!(count.tokens <= input_upper_bound(body.len() as u64), "{count:?} {body}");
        }
    }

    #[test]
    fn texts_that_may_be_joined_count_as_what_makes_more_tokens() {
        let body = |parts: &[&str]| {
            let parts: Vec<_> =
                parts.iter().map(|p| format!(r#"{{"type":"text","text":"{p}"}}"#)).collect();
            format!(r#"{{"messages":[{{"role":"user","content":[{}]}}]}}"#, parts.join(","))
        };
        let frames = 2 * FRAME_TOKENS_MAX;
        let check = |parts: &[&str], tokens: u64| {
            let count = counted("gpt-4o", Form::Chat, &body(parts));
            assert_eq!(count.tokens, 3 + 1 + tokens + frames + 3, "{parts:?}");
        };
        check(&["hel", "lo"], 2);
        check(&["12", "34"], 2);
    }

    #[test]
    fn a_picture_makes_it_an_estimate() {
        let body = r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://e.x/i.png"}}]}]}"#;
        assert_eq!(counted("gpt-4o", Form::Chat, body).how, How::Estimate);
    }

    #[test]
    fn an_unknown_models_tokens_are_estimated_by_size() {
        let body =
            format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(4000));
        let request = Form::Chat.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
        let count = estimate(&request);
        assert_eq!(count.how, How::Estimate);
        assert!((1000..1020).contains(&count.tokens), "{count:?}");
    }
}
