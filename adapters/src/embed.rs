//! Embeddings, in the gateway's own terms and in two spellings: OpenAI's `/embeddings`, Gemini's `embedContent` and
//! `batchEmbedContents`.
//!
//! In: bodies. Out: an [`EmbedRequest`] or [`EmbedAnswer`] that borrows from them, or bodies again. Numbers keep the
//! provider's spelling where both ends spell vectors alike.

pub mod gemini;
pub mod openai;

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter, Scanner};

use crate::{base64, dialect::BadAnswer};

/// A request for embeddings.
#[derive(Clone, Debug, Default)]
pub struct EmbedRequest<'a> {
    /// The model asked for.
    pub model: Cow<'a, str>,
    /// What is to be embedded: one vector each.
    pub inputs: Vec<Input<'a>>,
    /// How many numbers a vector shall have.
    pub dimensions: Option<u64>,
    /// How the client reads vectors.
    pub encoding: Encoding,
    /// What the vectors are for (Gemini's `taskType`).
    pub task: Option<Cow<'a, str>>,
    /// The title of the document (Gemini's `title`).
    pub title: Option<Cow<'a, str>>,
    /// The end user, in the client's own terms.
    pub end_user: Option<Cow<'a, str>>,
    /// Members of the request that have no place above.
    pub rest: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A JSON array of token ids, which only dialects with the same tokens can say.
    Tokens(Json<'a>),
}

/// How vectors are spelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// An array of numbers.
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats.
    Base64,
}

/// An answer with embeddings.
#[derive(Clone, Debug, Default)]
pub struct EmbedAnswer<'a> {
    /// The vectors, in the order of the inputs.
    pub vectors: Vec<Vector<'a>>,
    /// The model, as the provider calls it; empty when it does not say.
    pub model: Cow<'a, str>,
    /// Tokens of input, where they are told.
    pub input_tokens: Option<u64>,
}

/// A vector as it was spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vector<'a> {
    /// A JSON array of numbers.
    Numbers(Json<'a>),
    /// Base64 of little-endian 32-bit floats.
    Base64(Cow<'a, str>),
}

impl Vector<'_> {
    /// Writes the vector as a JSON value. A base64 text that is none, or a number that JSON cannot say, becomes 0.
    pub(crate) fn write(&self, json: &mut JsonWriter<'_>, encoding: Encoding) {
        match (self, encoding) {
            (Self::Numbers(numbers), Encoding::Float) => json.json(*numbers),
            (Self::Base64(text), Encoding::Base64) => json.str(text),
            (Self::Numbers(numbers), Encoding::Base64) => json.str(&packed(*numbers)),
            (Self::Base64(text), Encoding::Float) => write_unpacked(json, text),
        };
    }
}

/// The object that a provider's answer is. Vectors go on as they are spelled, so all of it is checked.
fn checked(body: &[u8]) -> Result<Json<'_>, BadAnswer> {
    Scanner::new(&[]).finish(body).map_err(|_| BadAnswer)?;
    Json::new(body).ok_or(BadAnswer)
}

fn packed(numbers: Json<'_>) -> String {
    let bytes = numbers.items().flat_map(|number| narrow(number).to_le_bytes());
    base64::encoded(&bytes.collect::<Vec<u8>>())
}

/// The nearest 32-bit float.
fn narrow(number: Json<'_>) -> f32 {
    let text = std::str::from_utf8(number.raw()).unwrap_or_default();
    text.parse().unwrap_or(0.0)
}

fn write_unpacked<'j, 'b>(json: &'j mut JsonWriter<'b>, text: &str) -> &'j mut JsonWriter<'b> {
    json.array();
    for bytes in base64::decode(text.as_bytes()).unwrap_or_default().chunks_exact(4) {
        let number = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let number = if number.is_finite() { number } else { 0.0 };
        json.raw(number.to_string().as_bytes());
    }
    json.end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn vectors_survive_both_spellings(numbers: Vec<f32>) {
            let finite = numbers.iter().map(|n| if n.is_finite() { *n } else { 0.0 });
            let text = format!("{:?}", finite.clone().collect::<Vec<f32>>());
            let mut packed = Vec::new();
            let vector = Vector::Numbers(Json::new(text.as_bytes()).unwrap());
            vector.write(&mut JsonWriter::new(&mut packed), Encoding::Base64);
            let packed = Json::new(&packed).unwrap().str().unwrap();
            prop_assert_eq!(packed.len(), (numbers.len() * 4).div_ceil(3) * 4);
            let mut out = Vec::new();
            Vector::Base64(packed).write(&mut JsonWriter::new(&mut out), Encoding::Float);
            let read: Vec<f32> = Json::new(&out).unwrap().items().map(narrow).collect();
            prop_assert_eq!(read, finite.collect::<Vec<f32>>());
        }
    }
}
