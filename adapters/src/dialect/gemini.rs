//! Google's Gemini API (`generateContent`), as the Gemini API and Vertex AI spell it.
//!
//! Format: <https://ai.google.dev/api/generate-content>; the members are those of `google-genai` 3.6.1.

mod answer;
mod client;
mod config;
mod contents;
mod error;
mod finish;
mod media;
mod member;
mod models;
mod partial;
mod parts;
mod passage;
mod prepare;
mod request;
mod settings;
mod signature;
mod sources;
mod stream;
mod turns;
mod usage;
mod write;

use std::borrow::Cow;

use faregate_wire::Peek;

pub use error::told_delay;
pub use models::{read_count, write_count, write_model, write_models};
pub use request::read_count_request;
pub use usage::usage;
pub use write::{count_path, write_count_request};

pub(crate) use member::{camel, list, member};
pub(crate) use write::resource;

use super::{
    AnswerTerms, Asked, BadAnswer, Call, ErrorBody, Inbound, Invalid, Outbound, Passage, ReadTerms,
    Seen, StreamReader, StreamWriter, Terms,
};
use crate::chat::{Answer, Delta, Error, IdRule, Loss, NameRule, Request, Usage};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

/// The dialect.
pub static GEMINI: Gemini = Gemini;

impl Inbound for Gemini {
    fn prepare(&self, body: &[u8]) -> Option<Vec<u8>> {
        prepare::prepare(body)
    }

    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
        request::read(body, call)
    }

    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
        client::write(out, answer, terms);
    }

    fn stream_writer(&self, terms: &AnswerTerms<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(terms))
    }

    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>) {
        error::write(out, error);
    }
}

impl Outbound for Gemini {
    fn name_rule(&self) -> NameRule {
        write::NAME_RULE
    }

    fn id_rule(&self) -> IdRule {
        write::ID_RULE
    }

    fn write_request(
        &self,
        out: &mut Vec<u8>,
        request: &Request<'_>,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Result<(), Invalid> {
        write::write(out, request, terms, loss)
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        write::path(model, stream)
    }

    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        answer::read(body, terms, sink)
    }

    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader> {
        Box::new(answer::Reader::new(terms))
    }

    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a> {
        error::read(status, body)
    }
}

impl Passage for Gemini {
    fn fields(&self) -> &'static [&'static str] {
        passage::FIELDS
    }

    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
        passage::ask(peek, body, call)
    }

    fn inspect(&self, _name: &[u8], data: &[u8]) -> Seen {
        passage::inspect(data)
    }

    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>) {
        ("usageMetadata", usage)
    }

    fn keep_alive(&self) -> &'static [u8] {
        stream::KEEP_ALIVE
    }
}

/// The model that a path or a member names, without what stands before its name: `models/`.
#[must_use]
pub fn bare_model(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Whether a model is of the third generation or later, which asks for `thoughtSignature`s back, thinks in levels, and
/// takes media in a tool's result. What is no `gemini-…` (tuned models, endpoints) is not.
fn is_third_generation(model: &str) -> bool {
    let Some((_, behind)) = model.rsplit_once("gemini-") else { return false };
    match behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default() {
        "" => behind.ends_with("-latest"),
        version => !matches!(version, "1" | "2"),
    }
}

/// A model's name with what a path cannot hold encoded; `/` and `:` stay.
fn encode_model(model: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    if model.bytes().all(plain) {
        return Cow::Borrowed(model);
    }
    let mut encoded = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_told_by_the_name() {
        for (model, expected) in [
            ("gemini-2.5-pro", false),
            ("models/gemini-1.5-flash-001", false),
            ("gemini-3-pro-preview", true),
            ("gemini-3.5-flash", true),
            ("publishers/google/models/gemini-10-pro", true),
            ("gemini-flash-latest", true),
            ("gemini-embedding-001", false),
            ("gemma-3-27b-it", false),
            ("tunedModels/mine", false),
        ] {
            assert_eq!(is_third_generation(model), expected, "{model}");
        }
    }
}
