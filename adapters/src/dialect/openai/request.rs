//! What a request asks for.

use std::{borrow::Cow, ops::Range};

use faregate_wire::{Patch, Peek};

use crate::surface::Surface;

/// Top-level members that decisions depend on: what a [`faregate_wire::Scanner`] looks for.
pub const FIELDS: &[&str] = &[
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "stream_options",
    "best_of",
    "max_output_tokens",
    "messages",
    "prompt",
    "input",
];

/// Places in [`FIELDS`].
pub mod field {
    /// `model`
    pub const MODEL: usize = 0;
    /// `stream`
    pub const STREAM: usize = 1;
    /// `max_tokens`
    pub const MAX_TOKENS: usize = 2;
    /// `max_completion_tokens`
    pub const MAX_COMPLETION_TOKENS: usize = 3;
    /// `n`
    pub const N: usize = 4;
    /// `stream_options`
    pub const STREAM_OPTIONS: usize = 5;
    /// `best_of`
    pub const BEST_OF: usize = 6;
    /// `max_output_tokens`
    pub const MAX_OUTPUT_TOKENS: usize = 7;
    /// `messages`
    pub const MESSAGES: usize = 8;
    /// `prompt`
    pub const PROMPT: usize = 9;
    /// `input`
    pub const INPUT: usize = 10;
}

/// What a request asks for, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The model.
    pub model: Option<Cow<'a, str>>,
    /// Where the model's string literal is in the body.
    pub model_span: Option<Range<usize>>,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// The most tokens each choice may have; `None` when the request sets no bound.
    pub output_max: Option<u64>,
    /// How many choices are generated, at least 1.
    pub choices: u64,
    /// What `stream_options.include_usage` says.
    pub include_usage: Option<bool>,
}

/// A parameter that cannot be what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which one.
    pub param: &'static str,
    /// What is wrong, for the client.
    pub message: String,
}

/// Reads what the request in `body` asks for; `peek` comes from a scan for [`FIELDS`].
///
/// # Errors
///
/// [`Invalid`] when a parameter has the wrong type.
pub fn read<'a>(peek: &Peek, body: &'a [u8], surface: Surface) -> Result<Asked<'a>, Invalid> {
    let _ = (peek, body, surface);
    Ok(Asked::default())
}

/// Sets `stream_options.include_usage` to true, unless it is. The request must have passed [`read`].
pub fn include_usage_edit(patch: &mut Patch, peek: &Peek, body: &[u8]) {
    let _ = (patch, peek, body);
}
