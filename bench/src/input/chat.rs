//! Bodies of chat completions, of any size.

use super::prose::{Prose, Style};

/// The model that every body asks for.
pub const MODEL: &str = "gpt-4o-mini";

/// The bound on tokens that every body sets.
pub const MAX_TOKENS: u64 = 256;

/// A kibibyte.
pub const KIB: usize = 1024;

/// A mebibyte.
pub const MIB: usize = 1024 * KIB;

/// Bytes of text in each message but the last.
const MESSAGE_BYTES: usize = 600;

/// Where `model` stands in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In front of the messages, where most SDKs write it.
    First,
    /// Behind the messages.
    Last,
}

/// A body of exactly `bytes` bytes that asks for a stream and does not ask for usage.
///
/// # Panics
///
/// When `bytes` are too few for a message.
#[must_use]
pub fn body(bytes: usize, place: Place) -> Vec<u8> {
    body_of(Style::Plain, bytes, place)
}

/// The same, with messages in this style.
///
/// # Panics
///
/// When `bytes` are too few for a message.
#[must_use]
pub fn body_of(style: Style, bytes: usize, place: Place) -> Vec<u8> {
    let model = format!("\"model\":\"{MODEL}\"");
    let (before, after) = match place {
        Place::First => (format!("{model},"), String::new()),
        Place::Last => (String::new(), format!(",{model}")),
    };
    let tail = format!("]{after}}}");
    let mut body = format!(
        "{{{before}\"stream\":true,\"max_tokens\":{MAX_TOKENS},\"temperature\":0.7,\"messages\":[\
         {{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}}"
    )
    .into_bytes();
    write_messages(&mut body, style, bytes - tail.len());
    body.extend_from_slice(tail.as_bytes());
    assert_eq!(body.len(), bytes, "a body of another size is another measurement");
    body
}

/// Appends messages until `body` has `end` bytes.
fn write_messages(body: &mut Vec<u8>, style: Style, end: usize) {
    let mut prose = Prose::new(style, 7);
    for role in ["user", "assistant"].iter().cycle() {
        let head = format!(",{{\"role\":\"{role}\",\"content\":\"");
        let frame = head.len() + "\"}".len();
        let left = end - body.len();
        // The last message takes what would be too little for another one.
        let text = if left < 2 * (frame + MESSAGE_BYTES) { left - frame } else { MESSAGE_BYTES };
        body.extend_from_slice(head.as_bytes());
        prose.write(body, text);
        body.extend_from_slice(b"\"}");
        if body.len() == end {
            return;
        }
    }
}
