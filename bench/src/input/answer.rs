//! Answers to a chat completion that are no streams.

use super::prose::{Prose, Style};

/// Tokens of the prompt that the answer reports.
pub const PROMPT_TOKENS: u64 = 310;

/// Tokens of the completion that the answer reports.
pub const COMPLETION_TOKENS: u64 = 420;

/// An answer of exactly `bytes` bytes, with usage at its end.
///
/// # Panics
///
/// When `bytes` are fewer than an answer without text has.
#[must_use]
pub fn body(bytes: usize) -> Vec<u8> {
    let mut body =
        b"{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\",\
        \"created\":1741569952,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":\
        {\"role\":\"assistant\",\"content\":\""
            .to_vec();
    let tail = format!(
        "\",\"refusal\":null,\"annotations\":[]}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":{PROMPT_TOKENS},\"completion_tokens\":{COMPLETION_TOKENS},\
         \"total_tokens\":{}}},\"service_tier\":\"default\"}}",
        PROMPT_TOKENS + COMPLETION_TOKENS
    );
    let text = bytes - body.len() - tail.len();
    Prose::new(Style::Plain, 11).write(&mut body, text);
    body.extend_from_slice(tail.as_bytes());
    body
}
