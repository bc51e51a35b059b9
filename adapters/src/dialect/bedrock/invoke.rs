//! InvokeModel's stream of a model's own events, taken out of their frames.
//!
//! `POST /model/{id}/invoke-with-response-stream` sends each event of the model's native API as a frame `chunk` whose
//! payload is `{"bytes":"<base64 of the event's JSON>"}`, with `p` as padding. For Claude that JSON is an event of
//! Anthropic's Messages API, and its `type` is the event's name.

use std::borrow::Cow;

use faregate_wire::Json;

use crate::{base64, dialect::BadAnswer};

/// An event of the model's own API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeEvent<'a> {
    /// The event's name: its `type`; of an exception the frame's name, `exception:…`.
    pub name: Cow<'a, [u8]>,
    /// Its JSON.
    pub data: Cow<'a, [u8]>,
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
    fn the_model_is_one_segment_of_the_path() {
        assert_eq!(path("a.b-v1:0", true), "/model/a.b-v1%3A0/invoke-with-response-stream");
        assert_eq!(path("arn:x/y", false), "/model/arn%3Ax%2Fy/invoke");
    }
}
