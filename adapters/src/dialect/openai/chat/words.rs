//! What whole answers and streams say alike: reasons, usage, errors.

use faregate_wire::JsonWriter;

use crate::{
    chat::{Error, ErrorKind, Finish, Usage},
    dialect::{AnswerTerms, ErrorBody},
};

/// OpenAI's name for why an answer ended.
pub(super) const fn finish_name(finish: Finish) -> &'static str {
    match finish {
        // A paused turn has no name of its own: the client may send the answer back, or not.
        Finish::Stop | Finish::Pause => "stop",
        Finish::Length | Finish::ContextFull => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Refusal => "content_filter",
    }
}

/// OpenAI's type for a kind of error.
const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Api => "server_error",
    }
}

/// A provider's error in the form in which the gateway tells its own.
pub(super) fn error_body<'e>(error: &'e Error<'_>, request_id: &'e str) -> ErrorBody<'e> {
    let kind = error_type(error.kind);
    ErrorBody {
        status: 0,
        message: &error.message,
        kind,
        code: error.code.as_deref().unwrap_or(kind),
        param: error.param.as_deref(),
        request_id,
        extra: None,
    }
}

/// The answer's id: the provider's, or one made of the gateway's.
pub(super) fn id(given: &str, terms: &AnswerTerms<'_>) -> String {
    match given {
        "" => ["chatcmpl-", terms.request_id].concat(),
        given => given.to_owned(),
    }
}

/// Writes a usage object.
pub(super) fn write_usage(json: &mut JsonWriter<'_>, usage: &Usage) {
    json.object();
    json.member_u64("prompt_tokens", usage.total_input());
    json.member_u64("completion_tokens", usage.total_output());
    json.member_u64("total_tokens", usage.total());
    json.name("prompt_tokens_details").object();
    json.member_u64("cached_tokens", usage.cache_read);
    json.member_u64("cache_write_tokens", usage.total_cache_write());
    json.member_u64("audio_tokens", usage.audio_input).end();
    json.name("completion_tokens_details").object();
    json.member_u64("reasoning_tokens", usage.reasoning);
    json.member_u64("audio_tokens", usage.audio_output);
    json.member_u64("accepted_prediction_tokens", 0);
    json.member_u64("rejected_prediction_tokens", 0).end();
    json.end();
}

/// Writes an item of `annotations`. Where in the text the cited words stand is not known: all of it, so far.
pub(super) fn write_citation(
    json: &mut JsonWriter<'_>,
    (url, title, quote): (Option<&str>, Option<&str>, Option<&str>),
    text_chars: u64,
) {
    json.object().member_str("type", "url_citation").name("url_citation").object();
    json.member_u64("start_index", 0).member_u64("end_index", text_chars);
    json.member_str("url", url.unwrap_or_default());
    json.member_str("title", title.unwrap_or_default());
    if let Some(quote) = quote {
        json.member_str("content", quote);
    }
    json.end().end();
}

/// Writes an image that the model made, as OpenRouter spells it.
pub(super) fn write_image(json: &mut JsonWriter<'_>, url: &str, index: u64) {
    json.object().member_str("type", "image_url").member_u64("index", index);
    json.name("image_url").object().member_str("url", url).end().end();
}
