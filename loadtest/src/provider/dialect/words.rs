//! The words in which each dialect says what is wrong with a request.
//!
//! In: a flaw and where it is, a refusal, or a scripted status. Out: a [`Refusal`], or the body of
//! an error. Formats: <https://docs.claude.com/en/api/errors>,
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors>,
//! <https://platform.openai.com/docs/guides/error-codes>

use serde_json::{Value, json};

use super::Dialect;
use super::shape::{Flaw, Kind, Step, Tags, snake};
use crate::provider::refusal::{Reason, Refusal, error_body};

/// A refusal of `dialect` because of `flaw` at `path`.
pub(crate) fn flaw(dialect: Dialect, path: &[Step], flaw: &Flaw<'_>) -> Refusal {
    let reason = match flaw {
        Flaw::Unknown => Reason::MemberUnknown,
        Flaw::Missing => Reason::Missing,
        Flaw::Type(..) => Reason::Type,
        Flaw::Range(..) | Flaw::Word(..) | Flaw::Tag(..) => Reason::Value,
    };
    let place = spell(dialect, path);
    let message = match dialect {
        Dialect::Anthropic | Dialect::RawPredict | Dialect::Invoke => {
            format!("{place}: {}", anthropic(flaw))
        }
        Dialect::Gemini => gemini(path, &place, flaw),
        Dialect::Converse => converse(path, &place, flaw),
        Dialect::OpenAi | Dialect::Responses => openai(&place, flaw),
    };
    let param = match flaw {
        Flaw::Tag(tags, _) => format!("{place}.{}", tags.member),
        _ => place,
    };
    Refusal::of(reason, param, message).told_by(dialect)
}

/// A path as the dialect writes it.
pub(crate) fn spell(dialect: Dialect, path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        let dotted = !out.is_empty();
        match (step, dialect) {
            (Step::Index(index), Dialect::Gemini | Dialect::OpenAi | Dialect::Responses) => {
                out.push_str(&format!("[{index}]"));
                continue;
            }
            (Step::Tag(_), Dialect::Gemini | Dialect::Converse | Dialect::OpenAi) => continue,
            (Step::Tag(_), Dialect::Responses) => continue,
            _ if dotted => out.push('.'),
            _ => {}
        }
        match step {
            Step::Key(name) if dialect == Dialect::Gemini => out.push_str(&snake(name)),
            Step::Key(name) | Step::Tag(name) => out.push_str(name),
            Step::Index(index) => out.push_str(&index.to_string()),
        }
    }
    out
}

fn anthropic(flaw: &Flaw<'_>) -> String {
    match flaw {
        Flaw::Unknown => "Extra inputs are not permitted".to_owned(),
        Flaw::Missing => "Field required".to_owned(),
        Flaw::Type(kind, _) => format!("Input should be {}", valid(kind)),
        Flaw::Range(kind, value) => {
            let (word, limit) = limit(kind, value);
            format!("Input should be {word} than or equal to {limit}")
        }
        Flaw::Word(words, _) => format!("Input should be {}", either(words, "or")),
        Flaw::Tag(tags, value) => format!(
            "Input tag '{}' found using '{}' does not match any of the expected tags: {}",
            value.as_str().unwrap_or_default(),
            tags.member,
            quoted(&names(tags)).join(", "),
        ),
    }
}

fn gemini(path: &[Step], place: &str, flaw: &Flaw<'_>) -> String {
    let (last, parent) = match path.split_last() {
        Some((Step::Key(name), parent)) => (name.as_str(), spell(Dialect::Gemini, parent)),
        _ => ("", String::new()),
    };
    match flaw {
        Flaw::Unknown => {
            let at = if parent.is_empty() { String::new() } else { format!(" at '{parent}'") };
            format!(
                "Invalid JSON payload received. Unknown name \"{last}\"{at}: Cannot find field."
            )
        }
        Flaw::Missing => format!("* GenerateContentRequest.{place}: {last} is not specified"),
        Flaw::Range(kind, value) => {
            let (word, limit) = limit(kind, value);
            format!("* GenerateContentRequest.{place}: must be {word} than or equal to {limit}")
        }
        Flaw::Type(kind, value) => format!("Invalid value at '{place}' ({}), {value}", proto(kind)),
        Flaw::Word(_, value) | Flaw::Tag(_, value) => {
            format!("Invalid value at '{place}' (TYPE_ENUM), {value}")
        }
    }
}

fn converse(path: &[Step], place: &str, flaw: &Flaw<'_>) -> String {
    let detected = "1 validation error detected: Value";
    let failed = "failed to satisfy constraint: Member must";
    match flaw {
        Flaw::Unknown => {
            let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
            let name = place.rsplit('.').next().unwrap_or_default();
            let pointer = spell(Dialect::Converse, parent).replace('.', "/");
            let pointer = if pointer.is_empty() { pointer } else { format!("/{pointer}") };
            format!(
                "Malformed input request: #{pointer}: extraneous key [{name}] is not permitted, \
                 please reformat your input and try again."
            )
        }
        Flaw::Missing => format!("{detected} null at '{place}' {failed} not be null"),
        Flaw::Range(kind, value) => {
            let (word, limit) = limit(kind, value);
            format!("{detected} '{value}' at '{place}' {failed} be {word} than or equal to {limit}")
        }
        Flaw::Word(words, value) => format!(
            "{detected} '{}' at '{place}' {failed} satisfy enum value set: [{}]",
            value.as_str().unwrap_or_default(),
            words.join(", ")
        ),
        Flaw::Type(..) | Flaw::Tag(..) => {
            "Unexpected type of the member ".to_owned() + place + ": SerializationException"
        }
    }
}

fn openai(place: &str, flaw: &Flaw<'_>) -> String {
    match flaw {
        Flaw::Unknown => format!("Unknown parameter: '{place}'."),
        Flaw::Missing => format!("Missing required parameter: '{place}'."),
        Flaw::Type(kind, value) => format!(
            "Invalid type for '{place}': expected {}, but got {} instead.",
            expected(kind),
            got(value)
        ),
        Flaw::Range(kind, value) => {
            let form = if matches!(kind, Kind::Int(..)) { "integer" } else { "decimal" };
            let (word, limit) = limit(kind, value);
            let (side, sign) = match word {
                "less" => ("above maximum", "<="),
                _ => ("below minimum", ">="),
            };
            format!(
                "Invalid '{place}': {form} {side} value. Expected a value {sign} {limit}, but got \
                 {value} instead."
            )
        }
        Flaw::Word(words, value) => format!(
            "Invalid value: '{}'. Supported values are: {}.",
            value.as_str().unwrap_or_default(),
            either(words, "and")
        ),
        Flaw::Tag(tags, value) => format!(
            "Invalid value: '{}'. Supported values are: {}.",
            value.as_str().unwrap_or_default(),
            either(&names(tags), "and")
        ),
    }
}

fn names(tags: &Tags) -> Vec<&'static str> {
    tags.shapes.iter().map(|(name, _)| *name).collect()
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("'{word}'")).collect()
}

/// `'a', 'b' or 'c'`.
fn either(words: &[&str], last: &str) -> String {
    let quoted = quoted(words);
    match quoted.split_last() {
        Some((word, [])) => word.clone(),
        Some((word, front)) => format!("{} {last} {word}", front.join(", ")),
        None => String::new(),
    }
}

/// On which side the number is out of range, and of what.
fn limit(kind: &Kind, value: &Value) -> (&'static str, String) {
    match kind {
        Kind::Int(least, most) => match value.as_i64() {
            Some(number) if number < *least => ("greater", least.to_string()),
            _ => ("less", most.to_string()),
        },
        Kind::Real(least, most) => match value.as_f64() {
            Some(number) if number < *least => ("greater", least.to_string()),
            _ => ("less", most.to_string()),
        },
        _ => ("less", String::new()),
    }
}

fn valid(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word(_) => "a valid string",
        Kind::Bool => "a valid boolean",
        Kind::Int(..) => "a valid integer",
        Kind::Real(..) => "a valid number",
        Kind::List(_) | Kind::TextOr(_) => "a valid list",
        Kind::Any => "valid",
        Kind::Map | Kind::Object(_) | Kind::Tagged(_) => "a valid dictionary",
    }
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word(_) => "a string",
        Kind::Bool => "a boolean",
        Kind::Int(..) => "an integer",
        Kind::Real(..) => "a decimal",
        Kind::List(_) => "an array of objects",
        Kind::TextOr(_) => "one of a string or array of objects",
        Kind::Any => "a value",
        Kind::Map | Kind::Object(_) | Kind::Tagged(_) => "an object",
    }
}

fn proto(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::TextOr(_) => "TYPE_STRING",
        Kind::Word(_) => "TYPE_ENUM",
        Kind::Bool => "TYPE_BOOL",
        Kind::Int(..) => "TYPE_INT32",
        Kind::Real(..) => "TYPE_FLOAT",
        Kind::Map => "type.googleapis.com/google.protobuf.Struct",
        Kind::Any | Kind::Object(_) | Kind::Tagged(_) | Kind::List(_) => "TYPE_MESSAGE",
    }
}

fn got(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The status with which `dialect` turns down for `reason`.
pub(crate) fn status(dialect: Dialect, reason: Reason) -> u16 {
    match (dialect, reason) {
        (Dialect::Gemini, Reason::KeyWrong) => 400,
        (Dialect::Gemini | Dialect::Converse | Dialect::Invoke, Reason::KeyMissing) => 403,
        (Dialect::Converse | Dialect::Invoke, Reason::KeyWrong) => 403,
        (Dialect::Converse | Dialect::Invoke, Reason::ModelUnknown | Reason::ContentType) => 400,
        (Dialect::Gemini | Dialect::Anthropic, Reason::ContentType) => 400,
        (Dialect::Gemini, Reason::MethodWrong) => 404,
        (Dialect::Responses, Reason::ItemUnknown) => 404,
        _ => reason.status(),
    }
}

/// What `dialect` says when there is no key, or a wrong one.
pub(crate) fn key(dialect: Dialect, reason: Reason) -> Refusal {
    let message = match (dialect, reason) {
        (Dialect::Anthropic, Reason::KeyMissing) => "x-api-key header is required",
        (Dialect::Anthropic, _) => "invalid x-api-key",
        (Dialect::Gemini, Reason::KeyMissing) => {
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API."
        }
        (Dialect::Gemini, _) => "API key not valid. Please pass a valid API key.",
        (Dialect::RawPredict, _) => {
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential."
        }
        (Dialect::Converse | Dialect::Invoke, Reason::KeyMissing) => "Missing Authentication Token",
        (Dialect::Converse | Dialect::Invoke, _) => {
            "The security token included in the request is invalid."
        }
        (Dialect::OpenAi | Dialect::Responses, Reason::KeyMissing) => {
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        }
        (Dialect::OpenAi | Dialect::Responses, _) => {
            "Incorrect API key provided. You can find your API key at \
             https://platform.openai.com/account/api-keys."
        }
    };
    Refusal::new(reason, message).told_by(dialect)
}

/// The error body of a refusal.
pub(crate) fn refusal(refusal: &Refusal) -> Vec<u8> {
    let (param, code) = (refusal.param.as_deref(), refusal.reason.code());
    match refusal.dialect {
        Dialect::OpenAi | Dialect::Responses => {
            error_body(&refusal.message, "invalid_request_error", param, Some(code))
        }
        Dialect::Gemini => {
            let mut body = google(refusal.status(), &refusal.message);
            if let (Some(field), Value::Object(error)) = (param, &mut body["error"]) {
                let kind = "type.googleapis.com/google.rpc.BadRequest";
                let violation = json!({"field": field, "description": refusal.message});
                let details = json!([{"@type": kind, "fieldViolations": [violation]}]);
                error.insert("details".to_owned(), details);
            }
            body.to_string().into_bytes()
        }
        dialect => error(dialect, refusal.status(), &refusal.message),
    }
}

/// The error body that goes with a status the script asked for. Gemini asks to be left alone for `delay` seconds in it.
pub(crate) fn scripted(dialect: Dialect, status: u16, delay: Option<&str>) -> Vec<u8> {
    if matches!(dialect, Dialect::OpenAi | Dialect::Responses) {
        return openai_scripted(status);
    }
    let message = match (dialect, status) {
        (Dialect::Anthropic | Dialect::RawPredict, 429) => {
            "This request would exceed the rate limit for your organization."
        }
        (Dialect::Anthropic | Dialect::RawPredict, 529) => "Overloaded",
        (Dialect::Gemini, 429) => {
            "You exceeded your current quota, please check your plan and billing details."
        }
        (Dialect::Gemini, 503) => "The model is overloaded. Please try again later.",
        (Dialect::Converse | Dialect::Invoke, 429) => {
            "Too many requests, please wait before trying again."
        }
        (_, 401 | 403) => return refusal(&key(dialect, Reason::KeyWrong)),
        (_, 500..) => "Internal server error",
        _ => "The request was refused by script",
    };
    if let (Dialect::Gemini, 429, Some(delay)) = (dialect, status, delay) {
        let mut body = google(status, message);
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        body["error"]["details"] = json!([{"@type": kind, "retryDelay": format!("{delay}s")}]);
        return body.to_string().into_bytes();
    }
    error(dialect, status, message)
}

fn openai_scripted(status: u16) -> Vec<u8> {
    let (message, kind, code) = match status {
        429 => ("Rate limit reached for requests", "requests", Some("rate_limit_exceeded")),
        401 => ("Incorrect API key provided", "invalid_request_error", Some("invalid_api_key")),
        503 => ("The engine is currently overloaded, please try again later", "overloaded", None),
        500.. => ("The server had an error while processing your request", "server_error", None),
        _ => ("The request was refused by script", "invalid_request_error", Some("scripted")),
    };
    error_body(message, kind, None, code)
}

fn error(dialect: Dialect, status: u16, message: &str) -> Vec<u8> {
    let body = match dialect {
        Dialect::Anthropic | Dialect::RawPredict => {
            let id = format!("req_{:024x}", crate::provider::text::hash(0, message.as_bytes()));
            let error = json!({"type": anthropic_type(status), "message": message});
            json!({"type": "error", "error": error, "request_id": id})
        }
        Dialect::Gemini => google(status, message),
        Dialect::Converse | Dialect::Invoke => json!({"message": message}),
        Dialect::OpenAi | Dialect::Responses => return openai_scripted(status),
    };
    body.to_string().into_bytes()
}

/// The type of Anthropic's error with that status.
pub(crate) fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The name of AWS's error with that status.
pub(crate) fn aws_type(status: u16) -> &'static str {
    match status {
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

/// Google's error.
pub(crate) fn google(status: u16, message: &str) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(dialect: Dialect, reason: Reason) -> Value {
        serde_json::from_slice(&Refusal::of(reason, "a.b", "no").told_by(dialect).body()).unwrap()
    }

    #[test]
    fn each_dialect_has_its_own_error() {
        let anthropic = body(Dialect::Anthropic, Reason::ModelUnknown);
        assert_eq!(anthropic["error"], json!({"type": "not_found_error", "message": "no"}));
        assert_eq!(anthropic["type"], "error");
        let gemini = body(Dialect::Gemini, Reason::MemberUnknown);
        assert_eq!(gemini["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!(gemini["error"]["details"][0]["fieldViolations"][0]["field"], "a.b");
        assert_eq!(body(Dialect::Converse, Reason::Type), json!({"message": "no"}));
        assert_eq!(body(Dialect::Responses, Reason::Type)["error"]["param"], "a.b");
    }

    #[test]
    fn a_scripted_error_says_what_the_real_one_says() {
        let limited: Value =
            serde_json::from_slice(&scripted(Dialect::Gemini, 429, Some("7"))).unwrap();
        assert_eq!(limited["error"]["details"][0]["retryDelay"], "7s");
        let overloaded: Value =
            serde_json::from_slice(&scripted(Dialect::Anthropic, 529, None)).unwrap();
        assert_eq!(overloaded["error"]["type"], "overloaded_error");
    }
}
