//! InvokeModel's stream of a model's own events, taken out of their frames.
//!
//! `POST /model/{id}/invoke-with-response-stream` sends each event of the model's native API as a frame `chunk` whose
//! payload is `{"bytes":"<base64 of the event's JSON>"}`, with `p` as padding. For Claude that JSON is an event of
//! Anthropic's Messages API, and its `type` is the event's name.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::{base64, dialect::BadAnswer};

/// `anthropic_version` in a body for Claude, in place of the model's name and of the header.
pub const ANTHROPIC_VERSION: &str = "bedrock-2023-05-31";

/// Values of `anthropic-beta` that go into the body as `anthropic_beta`. One that Bedrock does not know fails the whole
/// request ("invalid beta flag"); these are the ones that are documented, or that others have seen accepted.
pub const BETAS: [&str; 20] = [
    "compact-2026-01-12",
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "mcp-client-2025-04-04",
    "mcp-client-2025-11-20",
    "output-128k-2025-02-19",
    "search-results-2025-06-09",
    "structured-outputs-2025-12-15",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
    "web-search-2025-03-05",
];

/// The values of an `anthropic-beta` header that may be sent on, in order.
pub fn known_betas(header: &str) -> impl Iterator<Item = &str> {
    header.split(',').map(str::trim).filter(|beta| BETAS.contains(beta))
}

/// An event of the model's own API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeEvent<'a> {
    /// The event's name: its `type`; of an exception the frame's name, `exception:…`.
    pub name: Cow<'a, [u8]>,
    /// Its JSON.
    pub data: Cow<'a, [u8]>,
}

impl NativeEvent<'_> {
    /// Whether it is no event of the model's API but an exception of Bedrock's.
    #[must_use]
    pub fn is_exception(&self) -> bool {
        self.name.starts_with(b"exception:")
    }
}

/// Takes the event out of a frame, whose name and payload are given; `None` for frames without one.
///
/// # Errors
///
/// [`BadAnswer`] when the payload is not base64 of a JSON object in JSON.
pub fn unwrap_chunk<'a>(
    name: &'a [u8],
    payload: &'a [u8],
) -> Result<Option<NativeEvent<'a>>, BadAnswer> {
    if name.starts_with(b"exception:") {
        return Ok(Some(NativeEvent { name: name.into(), data: payload.into() }));
    }
    if name != b"chunk" {
        return Ok(None);
    }
    let bytes = Json::new(payload).and_then(|json| json.get_str("bytes")).ok_or(BadAnswer)?;
    let data = base64::decode(bytes.as_bytes()).ok_or(BadAnswer)?;
    let event = Json::new(&data).filter(|json| json.is_object()).ok_or(BadAnswer)?;
    let name = event.get_str("type").unwrap_or_default().into_owned();
    Ok(Some(NativeEvent { name: name.into_bytes().into(), data: data.into() }))
}

/// The path of a request in the model's own form.
#[must_use]
pub fn path(model: &str, stream: bool) -> String {
    super::path_of(model, if stream { "invoke-with-response-stream" } else { "invoke" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_of_their_frames() {
        let inner =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#;
        let mut coded = String::new();
        base64::encode(&mut coded, inner.as_bytes());
        let payload = format!(r#"{{"bytes":"{coded}","p":"abcdef"}}"#);
        let event = unwrap_chunk(b"chunk", payload.as_bytes()).unwrap().unwrap();
        assert_eq!(&event.name[..], b"content_block_delta");
        assert_eq!(&event.data[..], inner.as_bytes());
        let exception = unwrap_chunk(b"exception:throttlingException", b"{}").unwrap().unwrap();
        assert_eq!(&exception.name[..], b"exception:throttlingException");
        assert_eq!(unwrap_chunk(b"other", b"{}"), Ok(None));
        for wrong in ["", "{}", r#"{"bytes":"!"}"#, r#"{"bytes":"Zm9v"}"#] {
            assert_eq!(unwrap_chunk(b"chunk", wrong.as_bytes()), Err(BadAnswer), "{wrong}");
        }
    }

    #[test]
    fn a_recorded_stream_comes_out_of_its_frames() {
        let mut wire =
            include_bytes!("../../../../tests/golden/bedrock_invoke/text/stream.bin").as_slice();
        let (mut cutter, mut names) = (faregate_wire::FrameCutter::default(), Vec::new());
        while let Some(frame) = cutter.cut(wire).unwrap() {
            let event =
                unwrap_chunk(&frame.event(), &frame.data()).unwrap().unwrap().name.into_owned();
            names.push(String::from_utf8(event).unwrap());
            wire = &wire[frame.raw.len()..];
        }
        let wanted = [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn only_betas_that_are_known_go_on() {
        let header = "claude-code-20250219, effort-2025-11-24,oauth-2025-04-20";
        assert_eq!(known_betas(header).collect::<Vec<_>>(), ["effort-2025-11-24"]);
    }

    #[test]
    fn the_model_is_one_segment_of_the_path() {
        assert_eq!(path("a.b-v1:0", true), "/model/a.b-v1%3A0/invoke-with-response-stream");
        assert_eq!(path("arn:x/y", false), "/model/arn%3Ax%2Fy/invoke");
    }
}
