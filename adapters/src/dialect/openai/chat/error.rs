//! Errors, read.
//!
//! OpenAI says `{"error":{message,type,param,code}}`. Others say a string, a list of one, `{"detail":…}` (FastAPI),
//! `{"message":…}`, or nothing that is JSON at all: whatever it is becomes the message.

use std::{borrow::Cow, time::Duration};

use faregate_wire::Json;

use crate::chat::{Error, ErrorKind};

/// The most bytes of a body that is not of the dialect that become the message.
const MESSAGE_BYTES_MAX: usize = 2048;

/// Reads the body of an answer with this status; 0 when there is none.
pub(super) fn read(status: u16, body: &[u8]) -> Error<'_> {
    let told = Json::new(body).and_then(|json| told(json, (status > 0).then_some(status)));
    told.unwrap_or_else(|| Error {
        kind: ErrorKind::of_status(status),
        message: plain(body),
        code: None,
        param: None,
        retry_after: None,
    })
}

/// Reads an error in a stream.
pub(super) fn read_in_stream(json: Json<'_>) -> Error<'_> {
    told(json, None).unwrap_or_else(|| Error {
        kind: ErrorKind::Api,
        message: Cow::Borrowed("the provider broke the answer off"),
        code: json.get_str("finish_reason"),
        param: None,
        retry_after: None,
    })
}

/// What a body tells; `None` when it has no message.
fn told(json: Json<'_>, status: Option<u16>) -> Option<Error<'_>> {
    let json = json.items().next().unwrap_or(json);
    let error = json.get("error").unwrap_or(json);
    let message = message(error).or_else(|| message(json))?;
    let kind_name = error.get_str("type").or_else(|| json.get_str("type"));
    let code = error.get("code").or_else(|| json.get("code"));
    let number = code.or_else(|| error.get("status")).and_then(number);
    let code =
        code.and_then(|code| code.str().or_else(|| Some(String::from_utf8_lossy(code.raw()))));
    let by_name = [code.as_deref(), kind_name.as_deref()].into_iter().flatten().find_map(kind);
    let by_status = status.or(number).map(ErrorKind::of_status);
    let kind = match (by_name, by_status) {
        (Some(ErrorKind::Api) | None, Some(kind)) | (Some(kind), _) => kind,
        (None, None) => ErrorKind::Api,
    };
    Some(Error {
        kind,
        message,
        code: code.or(kind_name),
        param: error.get_str("param"),
        retry_after: retry_after(error),
    })
}

fn message(error: Json<'_>) -> Option<Cow<'_, str>> {
    if let Some(text) = error.str() {
        return Some(text);
    }
    let detail = error.get("message").or_else(|| error.get("detail"))?;
    let first = detail.items().next();
    detail
        .str()
        .or_else(|| first?.get_str("msg"))
        .or_else(|| Some(String::from_utf8_lossy(detail.raw())))
}

/// A status in place of a code, as a number or as text.
fn number(code: Json<'_>) -> Option<u16> {
    let number = code.u64().or_else(|| code.str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|number| (400..600).contains(number))
}

/// The kind that a code or a type stands for.
fn kind(name: &str) -> Option<ErrorKind> {
    Some(match name {
        "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => ErrorKind::Billing,
        "invalid_api_key" | "authentication_error" | "invalid_authentication" => {
            ErrorKind::Authentication
        }
        "permission_error" | "permission_denied" => ErrorKind::Permission,
        "model_not_found" | "not_found_error" | "not_found" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "tokens"
        | "requests"
        | "RESOURCE_EXHAUSTED" => ErrorKind::RateLimit,
        "overloaded_error" | "overloaded" | "server_overloaded" | "UNAVAILABLE" => {
            ErrorKind::Overloaded
        }
        "timeout" | "timeout_error" | "request_timeout" => ErrorKind::Timeout,
        "context_length_exceeded"
        | "invalid_request_error"
        | "BadRequestError"
        | "content_filter" => ErrorKind::InvalidRequest,
        "server_error" | "api_error" | "internal_server_error" => ErrorKind::Api,
        _ => return None,
    })
}

/// Google's `RetryInfo` among the details: `7s` or `1.5s`.
fn retry_after(error: Json<'_>) -> Option<Duration> {
    let details = error.get("details")?;
    let delay = details.items().find_map(|detail| detail.get_str("retryDelay"))?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A body that is not JSON, as text that is not too long.
fn plain(body: &[u8]) -> Cow<'_, str> {
    let body = body.trim_ascii();
    if body.is_empty() {
        return Cow::Borrowed("the provider gave no reason");
    }
    String::from_utf8_lossy(body.get(..MESSAGE_BYTES_MAX).unwrap_or(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, kind: ErrorKind, message: &str, code: Option<&str>) {
        let error = read(status, body.as_bytes());
        assert_eq!(error.kind, kind, "{body}");
        assert_eq!(error.message, message, "{body}");
        assert_eq!(error.code.as_deref(), code, "{body}");
    }

    #[test]
    fn every_spelling_keeps_its_message() {
        use ErrorKind::*;
        check(
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages[0]","code":"context_length_exceeded"}}"#,
            InvalidRequest,
            "m",
            Some("context_length_exceeded"),
        );
        check(
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Billing,
            "m",
            Some("insufficient_quota"),
        );
        check(503, r#"{"error":"busy"}"#, Overloaded, "busy", None);
        check(
            422,
            r#"{"detail":[{"loc":["body","n"],"msg":"too many","type":"value_error"}]}"#,
            InvalidRequest,
            "too many",
            None,
        );
        check(404, r#"{"detail":"Not Found"}"#, NotFound, "Not Found", None);
        check(
            400,
            r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
            InvalidRequest,
            "m",
            Some("400"),
        );
        check(401, r#"{"message":"invalid api token"}"#, Authentication, "invalid api token", None);
        check(
            429,
            r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
            RateLimit,
            "m",
            Some("429"),
        );
        check(502, "<html>bad gateway</html>\n", Api, "<html>bad gateway</html>", None);
        check(500, "", Api, "the provider gave no reason", None);
        check(500, "{}", Api, "{}", None);
    }

    #[test]
    fn an_error_in_a_stream_tells_its_own_status() {
        for (body, kind) in [
            (r#"{"error":{"code":502,"message":"m"},"choices":[]}"#, ErrorKind::Api),
            (r#"{"error":{"code":"429","message":"m"}}"#, ErrorKind::RateLimit),
            (r#"{"error":{"message":"m","type":"server_error"}}"#, ErrorKind::Api),
            (r#"{"error":{"message":"m","type":"overloaded_error"}}"#, ErrorKind::Overloaded),
        ] {
            let error = read_in_stream(Json::new(body.as_bytes()).unwrap());
            assert_eq!((error.kind, &*error.message), (kind, "m"), "{body}");
        }
    }

    #[test]
    fn googles_delay_is_read() {
        let body = br#"[{"error":{"code":429,"message":"m","details":[{"@type":"x"},{"retryDelay":"1.5s"}]}}]"#;
        assert_eq!(read(429, body).retry_after, Some(Duration::from_millis(1500)));
    }
}
