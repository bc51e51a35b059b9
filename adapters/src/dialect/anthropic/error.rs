//! Errors: the body of an answer, and an event of a stream.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use crate::{
    chat::{Error, ErrorKind},
    dialect::ErrorBody,
};

/// The types of errors, with the kinds they stand for.
const TYPES: [(&str, ErrorKind); 10] = [
    ("invalid_request_error", ErrorKind::InvalidRequest),
    ("authentication_error", ErrorKind::Authentication),
    ("billing_error", ErrorKind::Billing),
    ("permission_error", ErrorKind::Permission),
    ("not_found_error", ErrorKind::NotFound),
    ("request_too_large", ErrorKind::TooLarge),
    ("rate_limit_error", ErrorKind::RateLimit),
    ("api_error", ErrorKind::Api),
    ("timeout_error", ErrorKind::Timeout),
    ("overloaded_error", ErrorKind::Overloaded),
];

/// Appends the body of an error answer.
pub fn write_error(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    let kind = type_of(ErrorKind::of_status(error.status));
    let mut json = JsonWriter::new(out);
    json.object().member_str("type", "error").name("error").object();
    json.member_str("type", kind).member_str("message", error.message);
    if !error.code.is_empty() {
        json.member_str("code", error.code);
    }
    if let Some(param) = error.param {
        json.member_str("param", param);
    }
    if let Some(members) = error.extra.filter(|extra| !extra.trim().is_empty()) {
        // A line end can only stand between members; in an event it would end the line.
        let members = format!("{{{}}}", members.replace(['\n', '\r'], " "));
        for (name, value) in Json::new(members.as_bytes()).into_iter().flat_map(Json::members) {
            json.member_json(&name, value);
        }
    }
    json.end().member_str("request_id", error.request_id).end();
}

/// Appends an error as an event of a stream.
pub(super) fn write_error_event(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    out.extend_from_slice(b"event: error\ndata: ");
    write_error(out, error);
    out.extend_from_slice(b"\n\n");
}

/// Appends a provider's error as an event of a stream.
pub(super) fn write_told_event(out: &mut Vec<u8>, error: &Error<'_>, request_id: &str) {
    out.extend_from_slice(b"event: error\ndata: ");
    let mut json = JsonWriter::new(out);
    json.object().member_str("type", "error").name("error").object();
    json.member_str("type", type_of(error.kind)).member_str("message", &error.message);
    json.end().member_str("request_id", request_id).end();
    out.extend_from_slice(b"\n\n");
}

/// Reads the body of an answer whose status is not 2xx.
pub(super) fn read_error(status: u16, body: &[u8]) -> Error<'_> {
    let error = Json::new(body).and_then(|body| {
        let body = if body.is_array() { body.items().next()? } else { body };
        read_error_object(body.get("error").filter(|e| e.is_object()).unwrap_or(body), status)
    });
    error.unwrap_or_else(|| Error {
        kind: ErrorKind::of_status(status),
        message: String::from_utf8_lossy(body.trim_ascii()),
        code: None,
        param: None,
        retry_after: None,
    })
}

/// Reads an error object; `None` when it says nothing.
pub(super) fn read_error_object(error: Json<'_>, status: u16) -> Option<Error<'_>> {
    let message = error.get_str("message").or_else(|| error.get_str("Message"))?;
    let code = error.get_str("type").or_else(|| error.get_str("status"));
    Some(Error {
        kind: kind_of(code.as_deref(), status),
        message,
        code,
        param: error.get_str("param"),
        retry_after: None,
    })
}

/// An error that says nothing of itself.
pub(super) const fn unknown_error<'a>() -> Error<'a> {
    Error {
        kind: ErrorKind::Api,
        message: Cow::Borrowed("the provider reported an error"),
        code: None,
        param: None,
        retry_after: None,
    }
}

fn kind_of(name: Option<&str>, status: u16) -> ErrorKind {
    let found = TYPES.iter().find(|(known, _)| Some(*known) == name);
    found.map_or(ErrorKind::of_status(status), |(_, kind)| *kind)
}

fn type_of(kind: ErrorKind) -> &'static str {
    TYPES.iter().find(|(_, known)| *known == kind).map_or("api_error", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ERROR: ErrorBody<'_> = ErrorBody {
        status: 429,
        message: "too \"many\"\n",
        kind: "budget",
        code: "budget_exhausted",
        param: None,
        request_id: "req_1",
        extra: Some("\"limit\":5,\n\"left\":2"),
    };

    #[test]
    fn an_error_has_the_type_of_its_status() {
        let mut out = Vec::new();
        write_error(&mut out, &ERROR);
        assert_eq!(
            serde_json::from_slice::<Value>(&out).unwrap(),
            json!({"type": "error", "request_id": "req_1", "error": {"type": "rate_limit_error",
                "message": "too \"many\"\n", "code": "budget_exhausted", "limit": 5, "left": 2}})
        );
        let read = read_error(500, &out);
        assert_eq!((read.kind, &*read.message), (ErrorKind::RateLimit, "too \"many\"\n"));
        out.clear();
        write_error_event(&mut out, &ERROR);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 3);
    }

    #[test]
    fn whatever_a_body_says_is_kept() {
        for (status, body, kind, message) in [
            (529, "busy\n", ErrorKind::Overloaded, "busy"),
            (400, r#"{"error":{"message":"m","type":"x"}}"#, ErrorKind::InvalidRequest, "m"),
            (
                403,
                r#"[{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED"}}]"#,
                ErrorKind::Permission,
                "m",
            ),
            (429, r#"{"message":"Too many"}"#, ErrorKind::RateLimit, "Too many"),
            (502, "<html>", ErrorKind::Api, "<html>"),
            (400, r#"{"error":"text"}"#, ErrorKind::InvalidRequest, r#"{"error":"text"}"#),
        ] {
            let error = read_error(status, body.as_bytes());
            assert_eq!((error.kind, &*error.message), (kind, message), "{body}");
        }
    }
}
