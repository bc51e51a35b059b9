//! An answer put together from its pieces, for dialects that say it as a whole.

use std::borrow::Cow;

use super::{Delta, Error, Finish, Media, Start, Usage};

/// The most answers to one request that are put together.
const CHOICES_MAX: u32 = 128;

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub struct Answer<'a> {
    /// How it began.
    pub start: Start<'a>,
    /// The answers; one unless more were asked for.
    pub choices: Vec<Choice<'a>>,
    /// What was used; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// The provider failed in the middle.
    pub error: Option<Error<'a>>,
    /// Everything has come.
    pub done: bool,
}

/// One of the answers.
#[derive(Clone, Debug, Default)]
pub struct Choice<'a> {
    /// What it says, in order. Calls of tools stand where they began.
    pub parts: Vec<AnswerPart<'a>>,
    /// Why it ended; `None` while it has not.
    pub finish: Option<Finish>,
    /// The stop text that ended it.
    pub stop: Option<Cow<'a, str>>,
    /// JSON texts: the arrays of [`Delta::Logprobs`] in order.
    pub logprobs: Vec<Vec<u8>>,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum AnswerPart<'a> {
    /// Text, with where it comes from.
    Text {
        /// The text.
        text: String,
        /// What it cites.
        citations: Vec<Citation<'a>>,
    },
    /// A thought.
    Reasoning {
        /// The thought or its summary; empty when it is hidden.
        text: String,
        /// Its signature.
        signature: Option<Cow<'a, str>>,
        /// The signature is the thought in encrypted form.
        redacted: bool,
    },
    /// A call of a tool.
    ToolCall {
        /// Which call, from 0.
        call: u32,
        /// Names the call.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// JSON text, or free text of a custom tool.
        arguments: String,
        /// Whether the arguments are free text.
        custom: bool,
        /// Gemini's `thoughtSignature`.
        signature: Option<Cow<'a, str>>,
    },
    /// A refusal.
    Refusal(String),
    /// An image or sound.
    Media(Media<'a>),
}

/// Where something comes from.
#[derive(Clone, Debug)]
pub struct Citation<'a> {
    /// Its address.
    pub url: Option<Cow<'a, str>>,
    /// Its title.
    pub title: Option<Cow<'a, str>>,
    /// The passage quoted.
    pub quote: Option<Cow<'a, str>>,
}

/// Puts an [`Answer`] together.
#[derive(Debug, Default)]
pub struct Assembler {
    answer: Answer<'static>,
}

impl Assembler {
    /// Takes in the next piece.
    pub fn push(&mut self, delta: Delta<'_>) {
        match delta {
            Delta::Start(start) => self.answer.start = owned_start(start),
            Delta::Usage(usage) => self.answer.usage = Some(usage),
            Delta::Error(error) => self.answer.error = Some(owned_error(error)),
            Delta::Done => self.answer.done = true,
            Delta::Text { choice, text } => self.choice(choice, |to| to.text(&text)),
            Delta::Reasoning { choice, text } => self.choice(choice, |to| to.reasoning(&text)),
            Delta::Signature { choice, signature, redacted } => {
                self.choice(choice, |to| to.sign(owned(signature), redacted));
            }
            Delta::ToolStart { choice, call, id, name, custom, signature } => {
                let part = AnswerPart::ToolCall {
                    call,
                    id: owned(id),
                    name: owned(name),
                    arguments: String::new(),
                    custom,
                    signature: signature.map(owned),
                };
                self.choice(choice, |to| to.parts.push(part));
            }
            Delta::ToolArguments { choice, call, fragment } => {
                self.choice(choice, |to| to.arguments(call, &fragment));
            }
            Delta::Refusal { choice, text } => self.choice(choice, |to| to.refusal(&text)),
            Delta::Media { choice, media } => {
                self.choice(choice, |to| to.parts.push(AnswerPart::Media(owned_media(media))));
            }
            Delta::Citation { choice, url, title, quote } => {
                let citation = Citation {
                    url: url.map(owned),
                    title: title.map(owned),
                    quote: quote.map(owned),
                };
                self.choice(choice, |to| to.cite(citation));
            }
            Delta::Logprobs { choice, content } => {
                self.choice(choice, |to| to.logprobs.push(content.raw().to_vec()));
            }
            Delta::Finish { choice, reason, stop } => self.choice(choice, |to| {
                to.finish = Some(reason);
                to.stop = stop.map(owned);
            }),
        }
    }

    /// What has come together. There is at least one choice.
    #[must_use]
    pub fn finish(mut self) -> Answer<'static> {
        if self.answer.choices.is_empty() {
            self.answer.choices.push(Choice::default());
        }
        if self.answer.usage.is_none() {
            self.answer.usage = self.answer.start.usage;
        }
        self.answer
    }

    fn choice(&mut self, index: u32, change: impl FnOnce(&mut Choice<'static>)) {
        if index >= CHOICES_MAX {
            return;
        }
        let index = index as usize;
        if self.answer.choices.len() <= index {
            self.answer.choices.resize_with(index + 1, Choice::default);
        }
        change(&mut self.answer.choices[index]);
    }
}

impl Choice<'static> {
    fn text(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Text { text, .. }) => text.push_str(more),
            _ => self.parts.push(AnswerPart::Text { text: more.to_owned(), citations: Vec::new() }),
        }
    }

    fn reasoning(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Reasoning { text, signature: None, redacted: false }) => {
                text.push_str(more);
            }
            _ => self.parts.push(AnswerPart::Reasoning {
                text: more.to_owned(),
                signature: None,
                redacted: false,
            }),
        }
    }

    fn sign(&mut self, sign: Cow<'static, str>, is_redacted: bool) {
        match self.parts.last_mut() {
            Some(AnswerPart::Reasoning { signature: signature @ None, .. }) if !is_redacted => {
                *signature = Some(sign);
            }
            _ => self.parts.push(AnswerPart::Reasoning {
                text: String::new(),
                signature: Some(sign),
                redacted: is_redacted,
            }),
        }
    }

    fn arguments(&mut self, wanted: u32, more: &str) {
        for part in self.parts.iter_mut().rev() {
            if let AnswerPart::ToolCall { call, arguments, .. } = part
                && *call == wanted
            {
                arguments.push_str(more);
                return;
            }
        }
    }

    fn refusal(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(AnswerPart::Refusal(text)) => text.push_str(more),
            _ => self.parts.push(AnswerPart::Refusal(more.to_owned())),
        }
    }

    fn cite(&mut self, citation: Citation<'static>) {
        if !matches!(self.parts.last(), Some(AnswerPart::Text { .. })) {
            self.parts.push(AnswerPart::Text { text: String::new(), citations: Vec::new() });
        }
        if let Some(AnswerPart::Text { citations, .. }) = self.parts.last_mut() {
            citations.push(citation);
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn owned_start(start: Start<'_>) -> Start<'static> {
    Start {
        id: owned(start.id),
        model: owned(start.model),
        created: start.created,
        usage: start.usage,
        tier: start.tier.map(owned),
    }
}

fn owned_error(error: Error<'_>) -> Error<'static> {
    Error {
        kind: error.kind,
        message: owned(error.message),
        code: error.code.map(owned),
        param: error.param.map(owned),
        retry_after: error.retry_after,
    }
}

fn owned_media(media: Media<'_>) -> Media<'static> {
    use super::Source;
    Media {
        kind: media.kind,
        source: match media.source {
            Source::Base64 { media_type, data } => {
                Source::Base64 { media_type: owned(media_type), data: owned(data) }
            }
            Source::Url(url) => Source::Url(owned(url)),
            Source::File(id) => Source::File(owned(id)),
            Source::Text(text) => Source::Text(owned(text)),
        },
        detail: media.detail.map(owned),
        name: media.name.map(owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_together_in_order() {
        let mut assembler = Assembler::default();
        let text = |text: &'static str| Delta::Text { choice: 0, text: text.into() };
        let start = |call, id: &'static str| Delta::ToolStart {
            choice: 0,
            call,
            id: id.into(),
            name: "f".into(),
            custom: false,
            signature: None,
        };
        let arguments = |call, fragment: &'static str| Delta::ToolArguments {
            choice: 0,
            call,
            fragment: fragment.into(),
        };
        for delta in [
            Delta::Start(Start { id: "x".into(), ..Start::default() }),
            Delta::Reasoning { choice: 0, text: "hm".into() },
            Delta::Signature { choice: 0, signature: "s".into(), redacted: false },
            text("a"),
            text("b"),
            start(0, "one"),
            start(1, "two"),
            arguments(0, "{"),
            arguments(1, "[]"),
            arguments(0, "}"),
            Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None },
            Delta::Usage(Usage { input: 3, ..Usage::default() }),
            Delta::Done,
        ] {
            assembler.push(delta);
        }
        let answer = assembler.finish();
        assert!(answer.done);
        assert_eq!(answer.usage.unwrap().input, 3);
        let [choice] = &answer.choices[..] else { panic!("one choice") };
        assert_eq!(choice.finish, Some(Finish::ToolCalls));
        let shown: Vec<String> = choice
            .parts
            .iter()
            .map(|part| match part {
                AnswerPart::Text { text, .. } => text.clone(),
                AnswerPart::Reasoning { text, signature, .. } => format!("{text}/{signature:?}"),
                AnswerPart::ToolCall { id, arguments, .. } => format!("{id}:{arguments}"),
                AnswerPart::Refusal(text) => text.clone(),
                AnswerPart::Media(_) => "media".to_owned(),
            })
            .collect();
        assert_eq!(shown, ["hm/Some(\"s\")", "ab", "one:{}", "two:[]"]);
    }
}
