//! Anthropic's Messages, as a client's dialect and as a provider's.
//!
//! What the canonical chat has no place for is kept in [`Request::rest`] under names of its own, so that another dialect
//! reports it as lost and this one can say it again: `tools.<member>` (members of tools; the value is the list of tools),
//! `document.citations`, `messages.citations` (sources of earlier answers; the value is the list of messages). The
//! `context` of a document becomes a text before it.
//!
//! Format: <https://platform.claude.com/docs/en/api/messages>

mod answer;
mod blocks;
mod error;
mod events;
mod marks;
mod models;
mod open;
mod parts;
mod passage;
mod read;
mod schema;
mod stream_read;
mod stream_write;
#[cfg(test)]
mod tests;
mod thinking;
mod turns;
mod usage;
mod write;

use std::borrow::Cow;

use super::{
    AnswerTerms, BadAnswer, Call, ErrorBody, Inbound, Invalid, Outbound, ReadTerms, StreamReader,
    StreamWriter, Terms,
};
use crate::chat::{Answer, Delta, Error, IdRule, Loss, NameRule, Request};

pub use error::write_error;
pub use models::{Model, write_model, write_models};
pub use passage::{FIELDS, KEEP_ALIVE, field};
pub use usage::usage;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Messages;

/// The dialect, for tables.
pub static MESSAGES: Messages = Messages;

/// What names of tools may look like.
const NAME_RULE: NameRule = NameRule { bytes_max: 128, also: b"", letter_first: false };

/// What ids of calls may look like.
const ID_RULE: IdRule = IdRule { bytes_max: 64, exact_alphanumeric: false };

impl Inbound for Messages {
    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
        read::read_request(body, call)
    }

    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, terms: &AnswerTerms<'_>) {
        answer::write_answer(out, answer, terms);
    }

    fn stream_writer(&self, terms: &AnswerTerms<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_write::Writer::new(terms))
    }

    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>) {
        write_error(out, error);
    }
}

impl Outbound for Messages {
    fn name_rule(&self) -> NameRule {
        NAME_RULE
    }

    fn id_rule(&self) -> IdRule {
        ID_RULE
    }

    fn write_request(
        &self,
        out: &mut Vec<u8>,
        request: &Request<'_>,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Result<(), Invalid> {
        write::write_request(out, request, terms, loss)
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/messages")
    }

    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        answer::read_answer(body, terms.seed, sink)
    }

    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader> {
        Box::new(stream_read::Reader::new(terms.seed))
    }

    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a> {
        error::read_error(status, body)
    }
}

/// What a request goes back to that only the provider that keeps it has, as the reason to refuse it for another: with a
/// `thread`, the turns before are on the provider's side, and what is sent is the latest one alone.
#[must_use]
pub fn stored_state(request: &Request<'_>) -> Option<Invalid> {
    let has_thread = request.rest.iter().any(|(name, _)| name == "thread");
    let message = "thread refers to what is stored at one provider, and this model is reached in another dialect: \
        leave it out, and send the whole conversation in messages";
    has_thread.then(|| Invalid { param: "thread".into(), message: message.to_owned() })
}

/// Reads the body of `POST /messages/count_tokens`: a request that says nothing of its output.
///
/// # Errors
///
/// [`Invalid`] as for a request.
pub fn read_count<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    read::read_request(body, call)
}

/// Appends the answer to `POST /messages/count_tokens`.
pub fn write_count(out: &mut Vec<u8>, input_tokens: u64) {
    faregate_wire::JsonWriter::new(out).object().member_u64("input_tokens", input_tokens).end();
}
