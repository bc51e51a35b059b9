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

/// Counts the input tokens of a request to a model with this tokenizer: what the provider gets is this request, said in its
/// dialect. Exact where it is nothing but plain texts and their framing is published.
#[must_use]
pub fn count(tokenizer: Tokenizer, request: &Request<'_>) -> Count {
    Tally::new(Way::Bound(tokenizer)).count(request).count
}

/// What the input can take at most, when the request came in a body of so many bytes: texts are counted, and each other byte
/// is taken for a token, whether the request in canonical form knows of it or not. [`How::Estimate`] when it holds what no
/// size bounds.
#[must_use]
pub fn refine(tokenizer: Tokenizer, request: &Request<'_>, body_bytes: u64) -> Count {
    let tally = Tally::new(Way::Bound(tokenizer)).count(request);
    let others = input_upper_bound(body_bytes).saturating_sub(tally.text_bytes);
    let tokens = others.saturating_add(tally.text_tokens).min(input_upper_bound(body_bytes));
    Count { tokens, how: tally.count.how.max(How::UpperBound) }
}

/// What the input can take at most at a model whose tokenizer is not known; an estimate when it holds what no size bounds.
#[must_use]
pub fn bound(request: &Request<'_>, body_bytes: u64) -> Count {
    let tally = Tally::new(Way::Sizes).count(request);
    match tally.has_media {
        true => tally.count,
        false => Count { tokens: input_upper_bound(body_bytes), how: How::UpperBound },
    }
}

/// About what the input takes, for display: what cannot be counted goes by its size.
#[must_use]
pub fn estimate(tokenizer: Option<Tokenizer>, request: &Request<'_>) -> Count {
    Tally::new(tokenizer.map_or(Way::Sizes, Way::Display)).count(request).count
}

/// How what is no plain text is counted.
#[derive(Clone, Copy)]
enum Way {
    /// By what bounds it.
    Bound(Tokenizer),
    /// By its size.
    Display(Tokenizer),
    /// By its size, and texts too.
    Sizes,
}

/// What has been counted so far.
struct Tally {
    way: Way,
    count: Count,
    /// Texts alone, as the body spells them at least, and their tokens.
    text_bytes: u64,
    text_tokens: u64,
    has_media: bool,
}

impl Tally {
    fn new(way: Way) -> Self {
        let how = match way {
            Way::Sizes => How::Estimate,
            Way::Bound(_) | Way::Display(_) => How::Exact,
        };
        Self {
            way,
            count: Count { tokens: 0, how },
            text_bytes: 0,
            text_tokens: 0,
            has_media: false,
        }
    }

    fn count(mut self, request: &Request<'_>) -> Self {
        for message in &request.messages {
            self.message(message);
        }
        for tool in &request.tools {
            self.tool(tool);
        }
        match &request.format {
            Some(Format::JsonSchema { name, description, schema, .. }) => {
                self.frame();
                self.bytes(length(name) + length(description) + schema.raw().len());
            }
            Some(Format::JsonObject) => self.frame(),
            None => {}
        }
        for (name, value) in &request.rest {
            self.bytes(name.len() + value.raw().len());
        }
        self.framed(ANSWER_TOKENS);
        self
    }

    fn message(&mut self, message: &Message<'_>) {
        self.framed(MESSAGE_TOKENS);
        self.word(match message.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        });
        if let Some(name) = &message.name {
            self.word(name);
            self.add(NAME_TOKENS);
        }
        self.parts(&message.parts);
    }

    /// Texts of one message may be joined in the model's template.
    fn parts(&mut self, parts: &[Part<'_>]) {
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| match &part.body {
                PartBody::Text(text) => Some(&**text),
                _ => None,
            })
            .collect();
        match &*texts {
            [] => {}
            [text] => self.text(text),
            texts => {
                let apart = texts.iter().map(|text| self.tokens_of(text)).sum();
                let joined = texts.concat();
                let tokens = self.tokens_of(&joined).max(apart);
                self.add_text(joined.len(), tokens);
                texts.iter().for_each(|_| self.frame());
            }
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
                self.has_media = true;
                self.count.how = How::Estimate;
                self.add(MEDIA_TOKENS_ESTIMATED);
            }
        }
    }

    fn tool(&mut self, tool: &Tool<'_>) {
        self.frame();
        let schema = tool.parameters.as_ref().map_or(0, |schema| schema.raw().len());
        self.bytes(tool.name.len() + length(&tool.description) + schema);
    }

    /// A text of the client's.
    fn text(&mut self, text: &str) {
        let tokens = self.tokens_of(text);
        self.add_text(text.len(), tokens);
    }

    fn add_text(&mut self, bytes: usize, tokens: u64) {
        self.text_bytes = self.text_bytes.saturating_add(bytes as u64);
        self.text_tokens = self.text_tokens.saturating_add(tokens);
        self.add(tokens);
    }

    /// A text that is not the client's, or that a provider may leave out.
    fn word(&mut self, word: &str) {
        let tokens = self.tokens_of(word);
        self.add(tokens);
    }

    fn tokens_of(&mut self, text: &str) -> u64 {
        let (Way::Bound(tokenizer) | Way::Display(tokenizer)) = self.way else {
            return estimated(text.len() as u64);
        };
        let counted = text::count(tokenizer, text);
        self.count.how = self.count.how.max(counted.how);
        counted.tokens
    }

    /// What is no text.
    fn bytes(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes > 0 {
            self.unsure();
            self.add(match self.way {
                Way::Bound(_) => input_upper_bound(bytes),
                Way::Display(_) | Way::Sizes => estimated(bytes),
            });
        }
    }

    /// The control tokens around something, `published` by the rule.
    fn framed(&mut self, published: u64) {
        match self.way {
            Way::Bound(tokenizer) | Way::Display(tokenizer)
                if tokenizer.framing() == Framing::Published =>
            {
                self.add(published)
            }
            _ => self.frame(),
        }
    }

    /// The control tokens around something that has no rule.
    fn frame(&mut self) {
        self.unsure();
        self.add(match self.way {
            Way::Bound(_) => FRAME_TOKENS_MAX,
            Way::Display(_) | Way::Sizes => MESSAGE_TOKENS,
        });
    }

    fn unsure(&mut self) {
        self.count.how = self.count.how.max(match self.way {
            Way::Bound(_) => How::UpperBound,
            Way::Display(_) | Way::Sizes => How::Estimate,
        });
    }

    fn add(&mut self, tokens: u64) {
        self.count.tokens = self.count.tokens.saturating_add(tokens);
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
            let request =
                Form::Chat.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
            let shown = estimate(Tokenizer::of("gpt-4o"), &request);
            assert!(shown.how == How::Estimate && shown.tokens < count.tokens, "{shown:?} {body}");
        }
    }

    #[test]
    fn each_byte_that_is_no_text_is_a_token_where_the_body_is_bounded() {
        let tokenizer = Tokenizer::of("gpt-4o").unwrap();
        let check = |body: &str, saved: u64| {
            let request =
                Form::Chat.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
            let count = refine(tokenizer, &request, body.len() as u64);
            let expected = Count { tokens: body.len() as u64 - saved, how: How::UpperBound };
            assert_eq!(count, expected, "{body}");
            assert_eq!(bound(&request, body.len() as u64).tokens, body.len() as u64);
        };
        let said = "tiktoken is great!".len() as u64 - 6;
        check(r#"{"messages":[{"role":"user","content":"tiktoken is great!"}]}"#, said);
        check(
            r#"{"messages":[{"role":"user","content":"tiktoken is great!","function_call":{"name":"f","arguments":"{}"}}]}"#,
            said,
        );
        check(
            r#"{"messages":[{"role":"user","content":"tiktoken is great!"}],"tools":[{"type":"function","function":{"name":"f","description":"tiktoken is great!"}}]}"#,
            said,
        );
        check(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"tiktoken is"},{"type":"text","text":" great!"}]}]}"#,
            said,
        );
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
        let request = Form::Chat.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
        assert_eq!(refine(Tokenizer::of("gpt-4o").unwrap(), &request, 999).how, How::Estimate);
        let count = bound(&request, 999);
        assert!(count.how == How::Estimate && count.tokens > MEDIA_TOKENS_ESTIMATED, "{count:?}");
    }

    #[test]
    fn an_unknown_models_tokens_are_estimated_by_size() {
        let body =
            format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(4000));
        let request = Form::Chat.inbound().read_request(body.as_bytes(), &Call::default()).unwrap();
        let count = estimate(None, &request);
        assert_eq!(count.how, How::Estimate);
        assert!((1000..1020).contains(&count.tokens), "{count:?}");
    }
}
