//! The Responses API of OpenAI, as client and as provider.
//!
//! Requests are read by `read` and written by `write`; answers are read by `receive` and written by `answer` and
//! `stream`, both by way of the items that `output` makes.
//!
//! An answer stored by the provider cannot be gone back to through another one: [`needs_stored_state`] tells the requests
//! that ask for it. Values of the request that the API repeats in its answers (`instructions`, `tools`, `temperature`, …)
//! are not repeated here: they are `null`, empty, or the default.
//!
//! Format: <https://platform.openai.com/docs/api-reference/responses>

mod answer;
mod error;
mod items;
mod made;
mod namespace;
mod output;
mod parts;
mod passage;
mod read;
mod receive;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod usage;
mod write;
mod write_items;
mod write_tools;

use std::borrow::Cow;

use faregate_wire::Peek;

use super::{
    AnswerTerms, Asked, BadAnswer, Call, ErrorBody, Inbound, Invalid, Outbound, Passage, ReadTerms,
    Seen, StreamReader, StreamWriter, Terms, openai,
};
use crate::chat::{Answer, Delta, Error, IdRule, Loss, NameRule, PartBody, Request, Usage};
pub use made::IdFinder;
pub use stream::HELD_BYTES_MAX;

/// The Responses API.
#[derive(Clone, Copy, Debug)]
pub struct Responses;

/// The Responses API.
pub static RESPONSES: Responses = Responses;

impl Inbound for Responses {
    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
        let mut request = read::read(body)?;
        if let Some(model) = call.model {
            request.model = Cow::Borrowed(model);
        }
        request.stream = call.stream.unwrap_or(request.stream);
        Ok(request)
    }

    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
        answer::write(out, answer, terms);
    }

    fn stream_writer(&self, terms: &AnswerTerms<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream::Writer::new(terms))
    }

    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>) {
        openai::write_error(out, error);
    }
}

impl Outbound for Responses {
    fn name_rule(&self) -> NameRule {
        NameRule { bytes_max: 64, also: b"", letter_first: false }
    }

    fn id_rule(&self) -> IdRule {
        write_items::ID_RULE
    }

    fn write_request(
        &self,
        out: &mut Vec<u8>,
        request: &Request<'_>,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Result<(), Invalid> {
        write::write(out, request, terms, loss);
        Ok(())
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/responses")
    }

    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        receive::Reader::new(terms.seed).whole(body, sink)
    }

    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader> {
        Box::new(receive::Reader::new(terms.seed))
    }

    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a> {
        error::read_body(status, body)
    }
}

impl Passage for Responses {
    fn fields(&self) -> &'static [&'static str] {
        passage::FIELDS
    }

    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
        passage::ask(peek, body, call)
    }

    fn inspect(&self, name: &[u8], data: &[u8]) -> Seen {
        passage::inspect(name, data)
    }

    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>) {
        ("usage", usage::read)
    }
}

/// Appends the end of a stream that was not written here and broke off behind `events` events.
pub fn write_break(out: &mut Vec<u8>, error: &ErrorBody<'_>, events: u64) {
    stream::Writer::behind(events, error.request_id).fail(error, out);
}

/// Whether a request goes back to something that only the provider that stored it has.
#[must_use]
pub fn needs_stored_state(request: &Request<'_>) -> bool {
    stored_state(request).is_some()
}

/// What a request goes back to that only the provider that stored it has, as the reason to refuse it for another.
#[must_use]
pub fn stored_state(request: &Request<'_>) -> Option<Invalid> {
    const MEMBERS: [&str; 4] = ["previous_response_id", "conversation", "prompt", "background"];
    let has = |name: &&&str| request.rest.iter().any(|(known, _)| known == **name);
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let is_reference = |body: &PartBody<'_>| matches!(body, PartBody::Other { kind, .. } if kind == "item_reference");
    let param = MEMBERS
        .iter()
        .find(has)
        .copied()
        .or_else(|| parts().any(|part| is_reference(&part.body)).then_some("input"))?;
    let message = format!(
        "{param} refers to what is stored at one provider, and this model is reached in another dialect: \
        send the whole conversation in input"
    );
    Some(Invalid { param: param.into(), message })
}
