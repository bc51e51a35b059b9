//! Streams of server-sent events.

use super::prose::{Prose, Style};

/// What OpenAI sends behind the last text when usage is asked for: the data of that event.
pub const USAGE: &[u8] =
    b"{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\",\
    \"created\":1741569952,\"model\":\"gpt-4o-mini\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":310,\"completion_tokens\":420,\"total_tokens\":730}}";

/// Tokens that [`USAGE`] reports.
pub const USAGE_TOKENS: u64 = 730;

/// The data that ends a stream.
pub const DONE: &[u8] = b"[DONE]";

/// What stands before the text of an event, and behind it.
const DELTA_HEAD: &[u8] =
    b"{\"id\":\"chatcmpl-B9MBs8Cj\",\"object\":\"chat.completion.chunk\",\"created\":1741569952,\
    \"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
const DELTA_TAIL: &[u8] = b"\"}}]}";

/// The data of an event that carries text, `bytes` in all.
///
/// # Panics
///
/// When `bytes` are fewer than an event without text has.
#[must_use]
pub fn delta(bytes: usize) -> Vec<u8> {
    let mut data = DELTA_HEAD.to_vec();
    let text = bytes - data.len() - DELTA_TAIL.len();
    Prose::new(Style::Plain, 13).write(&mut data, text);
    data.extend_from_slice(DELTA_TAIL);
    data
}

/// The data of an event that carries this text, which is valid inside of a JSON string.
#[must_use]
pub fn delta_of(text: &str) -> Vec<u8> {
    let mut data = DELTA_HEAD.to_vec();
    data.extend_from_slice(text.as_bytes());
    data.extend_from_slice(DELTA_TAIL);
    data
}

/// An event with this data.
#[must_use]
pub fn event(data: &[u8]) -> Vec<u8> {
    [b"data: ", data, b"\n\n"].concat()
}
