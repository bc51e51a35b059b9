//! Errors: bodies of refused requests, and what stands in a stream or in a failed response.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::chat::{Error, ErrorKind};

/// The most bytes of a foreign body that become a message.
const MESSAGE_BYTES_MAX: usize = 2 * 1024;

/// Reads the body of an answer whose status is not 2xx.
pub(super) fn read_body(status: u16, body: &[u8]) -> Error<'_> {
    let object = Json::new(body).filter(|json| json.is_object());
    let error = object.map(|object| object.get("error").unwrap_or(object));
    let message = error.and_then(|error| {
        error.str().or_else(|| error.get_str("message")).or_else(|| error.get_str("detail"))
    });
    let Some((error, message)) = error.zip(message) else {
        return Error {
            kind: ErrorKind::of_status(status),
            message: foreign(body),
            code: None,
            param: None,
            retry_after: None,
        };
    };
    let (code, param) = (code_of(error), error.get_str("param"));
    let kind = match kind_of(code.as_deref(), error.get_str("type").as_deref()) {
        Some(kind @ (ErrorKind::Billing | ErrorKind::Overloaded)) => kind,
        _ => ErrorKind::of_status(status),
    };
    Error { kind, message, code, param, retry_after: None }
}

/// Reads the error object of a failed response or of an `error` event.
pub(super) fn read_object(error: Json<'_>) -> Error<'_> {
    let code = code_of(error);
    let kind = kind_of(code.as_deref(), error.get_str("type").as_deref());
    Error {
        kind: kind.unwrap_or(ErrorKind::Api),
        message: error.get_str("message").unwrap_or(Cow::Borrowed("the provider failed")),
        code,
        param: error.get_str("param"),
        retry_after: None,
    }
}

fn code_of(error: Json<'_>) -> Option<Cow<'_, str>> {
    error.get_str("code").or_else(|| error.get_str("type").filter(|kind| kind != "error"))
}

fn kind_of(code: Option<&str>, kind: Option<&str>) -> Option<ErrorKind> {
    [code, kind].into_iter().flatten().find_map(|word| {
        Some(match word {
            "insufficient_quota" | "billing_hard_limit_reached" => ErrorKind::Billing,
            "rate_limit_exceeded" | "rate_limit_error" | "tokens" | "requests" => {
                ErrorKind::RateLimit
            }
            "server_is_overloaded" | "slow_down" | "overloaded_error" => ErrorKind::Overloaded,
            "invalid_api_key" | "authentication_error" => ErrorKind::Authentication,
            "model_not_found" | "image_file_not_found" | "not_found_error" => ErrorKind::NotFound,
            "server_error" | "api_error" => ErrorKind::Api,
            "vector_store_timeout" => ErrorKind::Timeout,
            "context_length_exceeded" | "invalid_request_error" | "invalid_prompt" => {
                ErrorKind::InvalidRequest
            }
            _ if word.contains("image") || word.contains("policy") => ErrorKind::InvalidRequest,
            _ => return None,
        })
    })
}

/// What a body that is no error of this dialect says.
fn foreign(body: &[u8]) -> Cow<'_, str> {
    let text = body.trim_ascii();
    match String::from_utf8_lossy(&text[..text.len().min(MESSAGE_BYTES_MAX)]) {
        text if text.is_empty() => Cow::Borrowed("the provider gave no reason"),
        text => text,
    }
}

/// The code that a failed response tells for an error of this kind, where it has none that clients know.
pub(super) fn code_for(kind: ErrorKind, code: Option<&str>) -> &str {
    const KNOWN: [&str; 6] = [
        "rate_limit_exceeded",
        "insufficient_quota",
        "context_length_exceeded",
        "invalid_prompt",
        "server_is_overloaded",
        "server_error",
    ];
    match code {
        Some(code) if KNOWN.contains(&code) => code,
        _ => match kind {
            ErrorKind::RateLimit => "rate_limit_exceeded",
            ErrorKind::Billing => "insufficient_quota",
            ErrorKind::Overloaded => "server_is_overloaded",
            ErrorKind::InvalidRequest | ErrorKind::TooLarge => "invalid_prompt",
            ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::Api
            | ErrorKind::Timeout => "server_error",
        },
    }
}

/// The type of an error, as bodies of refused requests tell it.
pub(super) const fn type_for(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::NotFound => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Api | ErrorKind::Timeout | ErrorKind::Overloaded => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_every_form_keep_what_they_say() {
        let quota = br#"{"error":{"message":"no money","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
        let error = read_body(429, quota);
        assert_eq!((error.kind, &*error.message), (ErrorKind::Billing, "no money"));
        let wrong = br#"{"error":{"message":"bad","type":"invalid_request_error","param":"input[0]","code":"invalid_value"}}"#;
        let error = read_body(400, wrong);
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert_eq!(error.param.as_deref(), Some("input[0]"));
        assert_eq!(error.code.as_deref(), Some("invalid_value"));
        assert_eq!(read_body(502, b"<html>bad gateway</html>").message, "<html>bad gateway</html>");
        assert_eq!(read_body(400, br#"{"detail":"Unsupported"}"#).message, "Unsupported");
        assert_eq!(read_body(503, b"").kind, ErrorKind::Overloaded);
        assert_eq!(read_body(500, br#"{"error":"x"}"#).message, "x");
    }
}
