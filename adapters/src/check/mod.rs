//! What translation promises, as functions that take any bytes: called by tests and by fuzz targets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken promise panics")]

pub mod grammar;
mod request;
pub mod stream;

pub use request::any_bytes_as_a_request;
pub use stream::any_bytes_as_a_stream;

use crate::dialect::{AnswerTerms, ErrorBody, Form};

/// What breaks a stream off.
pub const BROKEN: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "the provider broke off",
    kind: "server_error",
    code: "upstream_cut",
    param: None,
    request_id: "req_1",
    extra: None,
};

/// The model that stands for a dialect.
#[must_use]
pub const fn model(form: Form) -> &'static str {
    match form {
        Form::Chat | Form::Responses => "gpt-5.5",
        Form::Messages => "claude-sonnet-4-5",
        Form::Gemini => "gemini-3-pro",
        Form::Converse => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    }
}

/// What a writer of answers is told.
#[must_use]
pub const fn answer_terms(client: Form) -> AnswerTerms<'static> {
    AnswerTerms {
        model: model(client),
        include_usage: true,
        request_id: "req_1",
        created: 7,
        input_estimate: None,
        json_array: false,
    }
}
