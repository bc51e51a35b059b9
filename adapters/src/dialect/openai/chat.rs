//! Chat Completions as a whole: requests, answers and streams, read and written.
//!
//! Format: <https://platform.openai.com/docs/api-reference/chat>, and what providers that follow it add: thoughts as
//! `reasoning_content`, `reasoning` and `reasoning_details` (OpenRouter), signatures of calls in `extra_content` (Google).

mod calls;
mod error;
mod likeness;
mod media;
mod messages;
mod parts;
mod passage;
mod path;
mod piece;
mod reader;
mod request;
mod schema;
mod thoughts;
mod tools;
mod words;
mod write_answer;
mod write_messages;
mod write_others;
mod write_parts;
mod write_request;
mod write_tools;
mod writer;

pub use passage::ask;

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use crate::{
    chat::{Answer, Delta, Error, IdRule, Loss, NameRule, Request},
    dialect::{
        AnswerTerms, BadAnswer, Call, ErrorBody, Inbound, Invalid, Outbound, ReadTerms,
        StreamReader, StreamWriter, Terms,
    },
};

/// Chat Completions, for clients and for providers.
#[derive(Clone, Copy, Debug)]
pub struct Chat;

/// Chat Completions.
pub static CHAT: Chat = Chat;

impl Inbound for Chat {
    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
        request::read(body, call)
    }

    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
        write_answer::write(out, answer, terms);
    }

    fn stream_writer(&self, terms: &AnswerTerms<'_>) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(terms))
    }

    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>) {
        super::write_error(out, error);
    }
}

impl Outbound for Chat {
    fn name_rule(&self) -> NameRule {
        name_rule()
    }

    fn id_rule(&self) -> IdRule {
        id_rule()
    }

    fn write_request(
        &self,
        out: &mut Vec<u8>,
        request: &Request<'_>,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Result<(), Invalid> {
        write_request::write(out, request, terms, loss)
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat/completions")
    }

    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        reader::Reader::new(terms.seed).answer(body, sink)
    }

    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader> {
        Box::new(reader::Reader::new(terms.seed))
    }

    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a> {
        error::read(status, body)
    }
}

/// What names of tools may look like.
const fn name_rule() -> NameRule {
    NameRule { bytes_max: 64, also: b"", letter_first: false }
}

/// What ids of calls may look like. The documents allow more; the API has refused ids of more than 40 bytes.
const fn id_rule() -> IdRule {
    IdRule { bytes_max: 40, exact_alphanumeric: false }
}

/// Writes one item of `reasoning_details`.
fn write_thought(
    json: &mut JsonWriter<'_>,
    text: &str,
    signature: Option<&str>,
    is_redacted: bool,
    index: Option<u64>,
) {
    json.object();
    match signature {
        Some(data) if is_redacted => {
            json.member_str("type", "reasoning.encrypted").member_str("data", data);
        }
        _ => {
            json.member_str("type", "reasoning.text").member_str("text", text);
            if let Some(signature) = signature {
                json.member_str("signature", signature);
            }
        }
    }
    if let Some(index) = index {
        json.member_u64("index", index);
    }
    json.end();
}

/// Writes a call's signature as Google spells it in OpenAI's dialect.
fn write_extra_content(json: &mut JsonWriter<'_>, signature: &str) {
    json.name("extra_content").object().name("google").object();
    json.member_str("thought_signature", signature).end().end();
}

#[cfg(test)]
mod tests;
