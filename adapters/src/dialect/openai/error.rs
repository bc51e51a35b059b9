//! Answers that the gateway writes itself: errors and the list of models.

use faregate_wire::quote;

use crate::dialect::ErrorBody;

/// Appends the body of an error answer.
pub fn write_error(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    quote(out, error.message);
    out.extend_from_slice(b",\"type\":");
    quote(out, error.kind);
    out.extend_from_slice(b",\"param\":");
    match error.param {
        Some(param) => quote(out, param),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"code\":");
    quote(out, error.code);
    out.extend_from_slice(b",\"request_id\":");
    quote(out, error.request_id);
    if let Some(extra) = error.extra.filter(|extra| !extra.is_empty()) {
        out.push(b',');
        out.extend_from_slice(extra.as_bytes());
    }
    out.extend_from_slice(b"}}");
}

/// Appends an error as an event of a stream.
pub fn write_error_event(out: &mut Vec<u8>, error: &ErrorBody<'_>) {
    out.extend_from_slice(b"data: ");
    let start = out.len();
    write_error(out, error);
    // A line end in `extra` would end the data line; outside of strings, where alone it can be, a space says the same.
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends the body of `GET /models`: the id and the owner of each, created at `created` (seconds since 1970).
pub fn write_models<'a>(
    out: &mut Vec<u8>,
    models: impl Iterator<Item = (&'a str, &'a str)>,
    created: u64,
) {
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    for (index, (id, owned_by)) in models.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_model(out, id, owned_by, created);
    }
    out.extend_from_slice(b"]}");
}

/// Appends the body of `GET /models/{model}`; `created` is in seconds since 1970.
pub fn write_model(out: &mut Vec<u8>, id: &str, owned_by: &str, created: u64) {
    out.extend_from_slice(b"{\"id\":");
    quote(out, id);
    out.extend_from_slice(b",\"object\":\"model\",\"created\":");
    out.extend_from_slice(created.to_string().as_bytes());
    out.extend_from_slice(b",\"owned_by\":");
    quote(out, owned_by);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ERROR: ErrorBody<'_> = ErrorBody {
        status: 400,
        message: "a \"quoted\"\nline \\ \u{1}\u{2028}",
        kind: "invalid_request_error",
        code: "invalid_json",
        param: None,
        request_id: "req_1",
        extra: None,
    };

    #[test]
    fn an_error_is_json_whatever_its_message() {
        let mut out = Vec::new();
        write_error(&mut out, &ERROR);
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            read,
            json!({"error": {"message": ERROR.message, "type": ERROR.kind, "param": null,
                "code": ERROR.code, "request_id": "req_1"}})
        );
    }

    #[test]
    fn param_and_more_members_are_written() {
        let error =
            ErrorBody { param: Some("model"), extra: Some("\"limit\":5,\"left\":2"), ..ERROR };
        let mut out = Vec::new();
        write_error(&mut out, &error);
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["error"]["param"], "model");
        assert_eq!(read["error"]["limit"], 5);
        assert_eq!(read["error"]["left"], 2);
    }

    #[test]
    fn an_error_event_is_one_event() {
        let error = ErrorBody { extra: Some("\"a\":1,\n\"b\":2"), ..ERROR };
        let mut out = Vec::new();
        write_error_event(&mut out, &error);
        let mut cutter = faregate_wire::Cutter::default();
        let event = cutter.cut(&out).unwrap().unwrap();
        assert_eq!(event.raw.len(), out.len());
        let read: Value = serde_json::from_slice(event.data().unwrap()).unwrap();
        assert_eq!(read["error"]["message"], ERROR.message);
        assert_eq!(read["error"]["b"], 2);
    }

    #[test]
    fn models_are_listed() {
        let mut out = Vec::new();
        write_models(&mut out, [("gpt \"x\"", "openai"), ("b", "me")].into_iter(), 7);
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["object"], "list");
        assert_eq!(
            read["data"][0],
            json!({"id": "gpt \"x\"", "object": "model", "created": 7, "owned_by": "openai"})
        );
        assert_eq!(read["data"].as_array().unwrap().len(), 2);
        out.clear();
        write_models(&mut out, std::iter::empty(), 7);
        assert_eq!(out, br#"{"object":"list","data":[]}"#);
    }
}
