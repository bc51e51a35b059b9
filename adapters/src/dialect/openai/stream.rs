//! What one event of a stream says.

use crate::chat::Usage;

/// What was seen in one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It is `[DONE]`.
    pub done: bool,
    /// It reports an error.
    pub error: bool,
    /// It carries a piece of the answer: text, reasoning, a refusal, a tool call or audio.
    pub content: bool,
    /// The usage that it tells.
    pub usage: Option<Usage>,
    /// It tells usage and has no choices: the chunk that `include_usage` adds.
    pub extra_chunk: bool,
}

/// Looks into one event's data.
#[must_use]
pub fn inspect(data: &[u8]) -> Seen {
    Seen { done: data == b"[DONE]", ..Seen::default() }
}
