//! Why a provider declines a request that another model might take: it is too long for the model, or its content is refused.
//!
//! In: the status and the body of an error, in any dialect. Out: [`Declined`], or nothing where it is another mistake.
//! Remembered: nothing.
//!
//! Codes come first; where a dialect has none, the provider's own sentence is known by words that stand in no other. Where
//! they are from: OpenAI, Azure and those that copy them have `context_length_exceeded`, `content_policy_violation` and
//! `content_filter` (<https://platform.openai.com/docs/guides/error-codes>,
//! <https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter>); Anthropic, Gemini, Bedrock and vLLM say
//! `invalid_request_error`, `INVALID_ARGUMENT`, `ValidationException` and `BadRequestError` with a sentence, llama.cpp
//! `exceed_context_size_error`.

use faregate_wire::Json;

/// Bytes of an error that are looked at.
pub const DECLINED_BYTES_MAX: usize = 16 * 1024;

/// Why a provider declines what another model might take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// The input is longer than the model's window.
    ContextWindow,
    /// The provider's rules do not allow the content.
    ContentPolicy,
}

/// Codes and types that say it by themselves.
const CODES: &[(&str, Declined)] = &[
    ("context_length_exceeded", Declined::ContextWindow),
    ("context_window_exceeded", Declined::ContextWindow),
    ("exceed_context_size_error", Declined::ContextWindow),
    ("string_above_max_length", Declined::ContextWindow),
    ("request_too_large", Declined::ContextWindow),
    ("content_policy_violation", Declined::ContentPolicy),
    ("content_filter", Declined::ContentPolicy),
    ("responsibleaipolicyviolation", Declined::ContentPolicy),
    ("invalid_prompt", Declined::ContentPolicy),
    ("prohibited_content", Declined::ContentPolicy),
];

/// Words of sentences, lower case.
const WORDS: &[(&str, Declined)] = &[
    ("maximum context length", Declined::ContextWindow),
    ("exceeds the context window", Declined::ContextWindow),
    ("exceed context limit", Declined::ContextWindow),
    ("available context size", Declined::ContextWindow),
    ("prompt is too long", Declined::ContextWindow),
    ("input is too long", Declined::ContextWindow),
    ("exceeds the maximum number of tokens", Declined::ContextWindow),
    ("too many input tokens", Declined::ContextWindow),
    ("reduce the length of the messages", Declined::ContextWindow),
    ("number of tokens in the prompt cannot exceed", Declined::ContextWindow),
    ("content filtering policy", Declined::ContentPolicy),
    ("content management policy", Declined::ContentPolicy),
    ("result of our safety system", Declined::ContentPolicy),
    ("violating our usage policy", Declined::ContentPolicy),
    ("blocked by our content filters", Declined::ContentPolicy),
    ("prohibited_content", Declined::ContentPolicy),
];

/// Why a request was declined that was answered with this status and this body.
#[must_use]
pub fn declined(status: u16, body: &[u8]) -> Option<Declined> {
    if !matches!(status, 400 | 403 | 413 | 422) || body.len() > DECLINED_BYTES_MAX {
        return None;
    }
    let whole = Json::new(body).filter(|json| json.is_object())?;
    let error = whole.get("error").filter(|error| error.is_object()).unwrap_or(whole);
    let inner = error.get("innererror").or_else(|| error.get("inner_error"));
    let codes = [error.get("code"), error.get("type"), inner.and_then(|inner| inner.get("code"))];
    let said = |code: Option<Json<'_>>| {
        let code = code?.str()?.to_ascii_lowercase();
        CODES.iter().find(|(known, _)| *known == code).map(|(_, why)| *why)
    };
    if let Some(why) = codes.into_iter().find_map(said) {
        return Some(why);
    }
    let sentence = error.get("message").or_else(|| error.get("Message")).or(whole.get("detail"));
    let sentence = sentence?.str()?.to_ascii_lowercase();
    WORDS.iter().find(|(words, _)| sentence.contains(words)).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Option<Declined>) {
        assert_eq!(declined(status, body.as_bytes()), expected, "{status} {body}");
    }

    #[test]
    fn every_dialect_says_in_its_way_that_the_input_is_too_long() {
        let too_long = Some(Declined::ContextWindow);
        for body in [
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":null}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"},"request_id":"req_1"}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}}"#,
            r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
            r#"{"message":"Input is too long for requested model."}"#,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#,
        ] {
            check(400, body, too_long);
        }
        check(
            413,
            r#"{"type":"error","error":{"type":"request_too_large","message":"too big"}}"#,
            too_long,
        );
    }

    #[test]
    fn every_dialect_says_in_its_way_that_the_content_is_refused() {
        let refused = Some(Declined::ContentPolicy);
        for body in [
            r#"{"error":{"message":"Your request was rejected.","type":"image_generation_user_error","code":"content_policy_violation"}}"#,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            r#"{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
            r#"{"error":{"code":400,"message":"The prompt was blocked: PROHIBITED_CONTENT","status":"INVALID_ARGUMENT"}}"#,
            r#"{"message":"The generated text has been blocked by our content filters."}"#,
        ] {
            check(400, body, refused);
        }
    }

    #[test]
    fn other_mistakes_are_the_client_s() {
        for body in [
            "",
            "{}",
            "[1]",
            "not json: maximum context length",
            r#"{"error":"maximum context length"}"#,
            r#"{"error":{"message":"max_tokens is too large: 5000","type":"invalid_request_error","code":"invalid_value"}}"#,
            r#"{"error":{"message":"Unsupported parameter","code":"unsupported_parameter"}}"#,
        ] {
            check(400, body, None);
        }
        let long = r#"{"error":{"code":"context_length_exceeded"}}"#;
        for status in [200, 401, 404, 429, 500, 503] {
            check(status, long, None);
        }
        let padded = format!(
            "{{\"error\":{{\"code\":\"context_length_exceeded\"}},\"x\":\"{}\"}}",
            "y".repeat(DECLINED_BYTES_MAX)
        );
        check(400, &padded, None);
    }
}
