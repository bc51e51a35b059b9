//! Google's Gemini API (`generateContent`), as the Gemini API and Vertex AI spell it.
//!
//! Format: <https://ai.google.dev/api/generate-content>; the members are those of `google-genai` 3.6.1.

mod config;
mod contents;
mod media;
mod member;
mod prepare;
mod request;
mod settings;
mod signature;
mod turns;
mod write;

use std::borrow::Cow;

pub use write::{NAME_RULE, path};

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

/// The dialect.
pub static GEMINI: Gemini = Gemini;

/// The model that a path or a member names, without what stands before its name: `models/`.
#[must_use]
pub fn bare_model(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// Whether a model is of the third generation or later, which asks for `thoughtSignature`s back, thinks in levels, and
/// takes media in a tool's result. What is no `gemini-…` (tuned models, endpoints) is not.
fn is_third_generation(model: &str) -> bool {
    let Some((_, behind)) = model.rsplit_once("gemini-") else { return false };
    match behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default() {
        "" => behind.ends_with("-latest"),
        version => !matches!(version, "1" | "2"),
    }
}

/// A model's name with what a path cannot hold encoded; `/` and `:` stay.
fn encode_model(model: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte);
    if model.bytes().all(plain) {
        return Cow::Borrowed(model);
    }
    let mut encoded = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_told_by_the_name() {
        for (model, expected) in [
            ("gemini-2.5-pro", false),
            ("models/gemini-1.5-flash-001", false),
            ("gemini-3-pro-preview", true),
            ("gemini-3.5-flash", true),
            ("publishers/google/models/gemini-10-pro", true),
            ("gemini-flash-latest", true),
            ("gemini-embedding-001", false),
            ("gemma-3-27b-it", false),
            ("tunedModels/mine", false),
        ] {
            assert_eq!(is_third_generation(model), expected, "{model}");
        }
    }
}
