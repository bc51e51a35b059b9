//! AWS Bedrock: Converse, and the frames around models' own events.
//!
//! In and out: JSON bodies and event-stream frames. Converse is one form for many models; what it leaves to each family
//! goes by the model's id.
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

mod answer;
mod block;
mod error;
mod extra;
mod family;
mod frames;
pub mod invoke;
mod media;
mod opaque;
mod passage;
mod prepare;
mod read;
mod request;
mod stream;
mod tools;
mod turns;
mod write;

use std::borrow::Cow;

use super::{
    AnswerTerms, BadAnswer, Call, ErrorBody, Inbound, Invalid, Outbound, ReadTerms, StreamFraming,
    StreamReader, StreamWriter, Terms,
};
use crate::{
    auth::sigv4,
    chat::{Answer, Delta, Error, IdRule, Loss, NameRule, Request},
};

pub use family::Caches;

/// Where the model of this id or ARN is known to take cache points.
#[must_use]
pub fn known_to_cache(model: &str) -> Caches {
    family::Family::of(model).known_to_cache()
}

/// Bedrock's Converse and ConverseStream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Converse;

/// Bedrock's Converse and ConverseStream.
pub static CONVERSE: Converse = Converse;

/// What ids of calls may look like.
const ID_RULE: IdRule = IdRule { bytes_max: 64, exact_alphanumeric: false };

impl Inbound for Converse {
    fn prepare(&self, body: &[u8]) -> Option<Vec<u8>> {
        prepare::prepare(body)
    }

    fn read_request<'a>(&self, body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
        read::read(body, call)
    }

    fn write_answer(&self, out: &mut Vec<u8>, answer: &Answer<'_>, _: &AnswerTerms<'_>) {
        write::write(out, answer);
    }

    fn stream_writer(&self, _: &AnswerTerms<'_>) -> Box<dyn StreamWriter> {
        Box::new(frames::Writer::default())
    }

    fn write_error(&self, out: &mut Vec<u8>, error: &ErrorBody<'_>) {
        write::write_error(out, error);
    }
}

impl Outbound for Converse {
    fn name_rule(&self) -> NameRule {
        NameRule { bytes_max: 64, also: b"", letter_first: false }
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
        request::write(out, request, terms, loss)
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        path_of(model, if stream { "converse-stream" } else { "converse" }).into()
    }

    fn read_answer(
        &self,
        body: &[u8],
        terms: &ReadTerms<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        answer::read(body, terms.seed, sink)
    }

    fn stream_framing(&self) -> StreamFraming {
        StreamFraming::Frames
    }

    fn stream_reader(&self, terms: &ReadTerms<'_>) -> Box<dyn StreamReader> {
        Box::new(stream::Reader::new(terms.seed))
    }

    fn read_error<'a>(&self, status: u16, body: &'a [u8]) -> Error<'a> {
        error::read(status, body)
    }
}

fn path_of(model: &str, verb: &str) -> String {
    let mut path = "/model/".to_owned();
    sigv4::encode_segment(&mut path, model);
    path.push('/');
    path.push_str(verb);
    path
}

#[cfg(test)]
mod tests;
