//! Errors of Bedrock: as the body of an answer, and as an exception in a stream.
//!
//! In: a status or the exception's name, and a body. Out: what it says. The name stands in the header `x-amzn-errortype`
//! of an answer, in `__type` of some bodies, and in the headers of a frame.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::chat::{Error, ErrorKind};

/// The kind of each exception, by its name in lower case without `Exception`.
const KINDS: &[(&str, ErrorKind)] = &[
    ("validation", ErrorKind::InvalidRequest),
    ("accessdenied", ErrorKind::Permission),
    ("unrecognizedclient", ErrorKind::Authentication),
    ("expiredtoken", ErrorKind::Authentication),
    ("invalidsignature", ErrorKind::Authentication),
    ("incompletesignature", ErrorKind::Authentication),
    ("missingauthenticationtoken", ErrorKind::Authentication),
    ("resourcenotfound", ErrorKind::NotFound),
    ("modeltimeout", ErrorKind::Timeout),
    ("modelerror", ErrorKind::Api),
    ("modelstreamerror", ErrorKind::Api),
    ("throttling", ErrorKind::RateLimit),
    ("servicequotaexceeded", ErrorKind::RateLimit),
    ("modelnotready", ErrorKind::Overloaded),
    ("internalserver", ErrorKind::Api),
    ("serviceunavailable", ErrorKind::Overloaded),
];

/// Words of messages that tell a wrong key from a missing right: both are 403.
const KEY_WORDS: [&str; 4] = ["security token", "signature", "api key", "authentication token"];

/// Reads an exception of a stream.
pub(super) fn exception<'a>(name: &'a [u8], data: &'a [u8]) -> Error<'a> {
    let name = String::from_utf8_lossy(name);
    let json = Json::new(data);
    let message = message(json, data).unwrap_or_else(|| name.clone());
    let status = json.and_then(|json| json.get_u64("originalStatusCode"));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let kind = match status.map(ErrorKind::of_status) {
        Some(kind) if of_name(&name) == Some(ErrorKind::Api) => kind,
        _ => of_name(&name).unwrap_or(ErrorKind::Api),
    };
    Error { kind, message, code: Some(name), param: None, retry_after: None }
}

/// Reads the body of an answer with such a status.
pub(super) fn read(status: u16, body: &[u8]) -> Error<'_> {
    let json = Json::new(body).filter(|json| json.is_object());
    let code = json
        .and_then(|json| json.get_str("__type").or_else(|| json.at(&["Output", "__type"])?.str()));
    let code = code.map(|code| match code {
        Cow::Borrowed(code) => Cow::Borrowed(plain_name(code)),
        Cow::Owned(code) => Cow::Owned(plain_name(&code).to_owned()),
    });
    let message =
        message(json, body).unwrap_or_else(|| format!("the provider answered {status}").into());
    let named = code.as_deref().and_then(of_name);
    let lower = message.to_ascii_lowercase();
    let kind = match named.unwrap_or(ErrorKind::of_status(status)) {
        ErrorKind::Permission if KEY_WORDS.iter().any(|word| lower.contains(word)) => {
            ErrorKind::Authentication
        }
        ErrorKind::InvalidRequest if status == 424 => ErrorKind::Api,
        kind => kind,
    };
    Error { kind, message, code, param: None, retry_after: None }
}

/// The exception's name for a status, for errors that are told to a client of this dialect.
pub(super) const fn name_of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        402 | 429 => "ThrottlingException",
        502 | 503 | 529 => "ServiceUnavailableException",
        400..=499 => "ValidationException",
        _ => "InternalServerException",
    }
}

fn message<'a>(json: Option<Json<'a>>, body: &'a [u8]) -> Option<Cow<'a, str>> {
    let said = json.and_then(|json| {
        ["message", "Message", "originalMessage"].into_iter().find_map(|name| json.get_str(name))
    });
    let whole = || String::from_utf8_lossy(body.trim_ascii());
    Some(said.unwrap_or_else(whole)).filter(|message| !message.is_empty())
}

/// The name without what stands around it: `com.amazon#ThrottlingException:http://…`.
fn plain_name(name: &str) -> &str {
    let name = name.rsplit('#').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}

fn of_name(name: &str) -> Option<ErrorKind> {
    let name = plain_name(name).to_ascii_lowercase();
    let name = name.strip_suffix("exception").unwrap_or(&name);
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_any_form_keep_what_they_say() {
        for (status, body, kind, message, code) in [
            (
                429,
                r#"{"message":"Too many tokens, please wait."}"#,
                ErrorKind::RateLimit,
                "Too many tokens, please wait.",
                None,
            ),
            (
                403,
                r#"{"message":"The security token included in the request is expired"}"#,
                ErrorKind::Authentication,
                "The security token included in the request is expired",
                None,
            ),
            (
                403,
                r#"{"Message":"User is not authorized to perform: bedrock:InvokeModel"}"#,
                ErrorKind::Permission,
                "User is not authorized to perform: bedrock:InvokeModel",
                None,
            ),
            (
                400,
                r#"{"__type":"com.amazon.coral.service#ThrottlingException","message":"slow"}"#,
                ErrorKind::RateLimit,
                "slow",
                Some("ThrottlingException"),
            ),
            (424, r#"{"message":"model failed"}"#, ErrorKind::Api, "model failed", None),
            (
                404,
                r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
                ErrorKind::NotFound,
                r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
                Some("UnknownOperationException"),
            ),
            (502, "<html>bad</html>", ErrorKind::Api, "<html>bad</html>", None),
            (503, "", ErrorKind::Overloaded, "the provider answered 503", None),
        ] {
            let error = read(status, body.as_bytes());
            assert_eq!((error.kind, &*error.message, error.code.as_deref()), (kind, message, code));
        }
    }

    #[test]
    fn exceptions_are_told_by_name() {
        for (name, data, kind) in [
            ("throttlingException", r#"{"message":"m"}"#, ErrorKind::RateLimit),
            ("validationException", r#"{"message":"m"}"#, ErrorKind::InvalidRequest),
            ("serviceUnavailableException", r#"{"message":"m"}"#, ErrorKind::Overloaded),
            (
                "modelStreamErrorException",
                r#"{"message":"m","originalStatusCode":529,"originalMessage":"o"}"#,
                ErrorKind::Overloaded,
            ),
            ("InternalServerException:http://x", r#"{"message":"m"}"#, ErrorKind::Api),
            ("new", r#"{"message":"m"}"#, ErrorKind::Api),
        ] {
            let error = exception(name.as_bytes(), data.as_bytes());
            assert_eq!((error.kind, &*error.message), (kind, "m"), "{name}");
        }
        assert_eq!(exception(b"x", b"").message, "x");
    }
}
