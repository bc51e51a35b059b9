//! Errors: a provider's read, the gateway's own and others' written.
//!
//! Format: <https://cloud.google.com/apis/design/errors>; the names are those of `google.rpc.Code`.

use std::{borrow::Cow, time::Duration};

use faregate_wire::{Json, JsonWriter};

use super::member::{list, member};
use crate::{
    chat::{Error, ErrorKind},
    dialect::ErrorBody,
};

/// Appends the body of an error answer.
pub(super) fn write(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    let mut json = JsonWriter::new(out);
    json.object().name("error").object();
    json.member_u64("code", u64::from(error.status));
    json.member_str("message", error.message);
    json.member_str("status", status_name(error.status));
    json.name("details").array().object();
    json.member_str("@type", "type.googleapis.com/google.rpc.ErrorInfo");
    json.member_str("reason", error.code).member_str("domain", "faregate");
    json.name("metadata").object().member_str("request_id", error.request_id).end();
    json.end();
    if let Some(param) = error.param {
        json.object().member_str("@type", "type.googleapis.com/google.rpc.BadRequest");
        json.name("fieldViolations").array().object();
        json.member_str("field", param).member_str("description", error.message).end().end().end();
    }
    json.end();
    if let Some(extra) = error.extra.filter(|extra| !extra.is_empty()) {
        write_extra(&mut json, extra);
    }
    json.end().end();
}

/// Members that come as raw JSON without braces.
fn write_extra(json: &mut JsonWriter<'_>, extra: &str) {
    let object = format!("{{{extra}}}");
    for (name, value) in Json::new(object.as_bytes()).into_iter().flat_map(Json::members) {
        json.member_json(&name, value);
    }
}

/// Appends the object of an error that a provider told.
pub(super) fn write_told(out: &mut Vec<u8>, error: &Error<'_>) {
    let status = status_of(error.kind);
    let mut json = JsonWriter::new(out);
    json.object().name("error").object().member_u64("code", u64::from(status));
    json.member_str("message", &error.message).member_str("status", status_name(status));
    if let Some(code) = &error.code {
        json.name("details").array().object();
        json.member_str("@type", "type.googleapis.com/google.rpc.ErrorInfo");
        json.member_str("reason", code).member_str("domain", "provider").end().end();
    }
    json.end().end();
}

const fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::InvalidRequest => 400,
        ErrorKind::Authentication => 401,
        ErrorKind::Billing => 402,
        ErrorKind::Permission => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::TooLarge => 413,
        ErrorKind::RateLimit => 429,
        ErrorKind::Api => 500,
        ErrorKind::Timeout => 504,
        ErrorKind::Overloaded => 503,
    }
}

const fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        405 | 501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

/// Reads the body of an answer that is an error: an object, or a list of one where the stream was to be a list.
pub(super) fn read(status: u16, body: &[u8]) -> Error<'_> {
    let json = Json::new(body);
    let first = json.and_then(|json| list(json).next());
    match first.and_then(|json| member(json, "error")) {
        Some(error) if error.is_object() => read_object(status, error),
        Some(error) => plain(status, error.str().unwrap_or_default()),
        None => plain(status, String::from_utf8_lossy(body.trim_ascii())),
    }
}

fn plain(status: u16, message: Cow<'_, str>) -> Error<'_> {
    let kind = ErrorKind::of_status(status);
    Error { kind, message, code: None, param: None, retry_after: None }
}

/// Reads an `error` object. In a stream there is no status but its own: 0 stands for it.
pub(super) fn read_object(status: u16, json: Json<'_>) -> Error<'_> {
    let told = member(json, "code").and_then(Json::u64).and_then(|code| u16::try_from(code).ok());
    let status = if status == 0 { told.unwrap_or(500) } else { status };
    let mut error = plain(status, member(json, "message").and_then(Json::str).unwrap_or_default());
    error.code = member(json, "status").and_then(Json::str);
    for detail in member(json, "details").into_iter().flat_map(list) {
        if let Some(reason) = member(detail, "reason").and_then(Json::str) {
            // A wrong key is told with status 400.
            if reason.starts_with("API_KEY_") {
                error.kind = ErrorKind::Authentication;
            }
            error.code = Some(reason);
        }
        let delay = member(detail, "retryDelay").and_then(Json::str);
        error.retry_after = delay.and_then(|delay| seconds(&delay)).or(error.retry_after);
        let mut fields = member(detail, "fieldViolations").into_iter().flat_map(list);
        error.param = fields.find_map(|field| member(field, "field")?.str()).or(error.param);
    }
    if error.kind == ErrorKind::Api && error.code.as_deref() == Some("UNAVAILABLE") {
        error.kind = ErrorKind::Overloaded;
    }
    error
}

/// How long the bytes of an error ask to be left alone (`RetryInfo`), in whatever pieces they are framed. There is no head
/// field for it in this API (<https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>).
#[must_use]
pub fn told_delay(bytes: &[u8]) -> Option<Duration> {
    const NAME: &[u8] = br#""retryDelay""#;
    let behind = &bytes[memchr::memmem::find(bytes, NAME)? + NAME.len()..];
    let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"")?;
    let end = value.iter().take(DELAY_BYTES_MAX).position(|b| *b == b'"')?;
    seconds(std::str::from_utf8(&value[..end]).ok()?)
}

/// Longer than any duration is spelled.
const DELAY_BYTES_MAX: usize = 32;

/// A duration as protobuf spells it: `7s`, `0.5s`.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_delay_is_found_in_bytes() {
        let told = |bytes: &[u8]| told_delay(bytes);
        assert_eq!(told(b"1f\r\n[{\"retryDelay\": \"7.5s\"}]"), Some(Duration::from_millis(7500)));
        assert_eq!(told(br#"{"retryDelay":"40s"}"#), Some(Duration::from_secs(40)));
        for none in [&b"{}"[..], br#"{"retryDelay":7}"#, br#"{"retryDelay":"7"#, br#""retryDelay""#]
        {
            assert_eq!(told(none), None);
        }
        assert_eq!(told(br#"{"retryDelay":"-7s"}"#), None);
    }

    #[test]
    fn a_provider_s_error_is_read() {
        let body =
            br#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7.5s"}]}}]"#;
        let error = read(429, body);
        assert_eq!((error.kind, &*error.message), (ErrorKind::RateLimit, "quota"));
        assert_eq!(error.retry_after, Some(Duration::from_millis(7500)));
        let key = br#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[
            {"reason":"API_KEY_INVALID","domain":"googleapis.com"},
            {"fieldViolations":[{"field":"contents[0]","description":"d"}]}]}}"#;
        let error = read(400, key);
        assert_eq!(error.kind, ErrorKind::Authentication);
        assert_eq!(error.param.as_deref(), Some("contents[0]"));
        for body in ["<html>busy</html>", " busy ", "[]", ""] {
            assert_eq!(read(503, body.as_bytes()).message, body.trim());
            assert_eq!(read(503, body.as_bytes()).kind, ErrorKind::Overloaded);
        }
    }

    #[test]
    fn the_gateway_s_error_is_written() {
        let error = ErrorBody {
            status: 429,
            message: "too \"many\"",
            kind: "rate_limit_error",
            code: "rate",
            param: Some("contents"),
            request_id: "r1",
            extra: Some(r#""limit":5,"left":{"a":2}"#),
        };
        let mut out = Vec::new();
        write(&mut out, &error);
        let written: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(written["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(written["error"]["limit"], 5);
        assert_eq!(written["error"]["left"], json!({"a": 2}));
        assert_eq!(written["error"]["details"][0]["reason"], "rate");
        assert_eq!(read(429, &out).param.as_deref(), Some("contents"));
    }
}
