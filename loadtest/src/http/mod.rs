//! What both ends need of HTTP/1.1: the chunked coding and the head of an answer.

mod answer;
mod chunk;

pub use answer::{AnswerHead, BadAnswer, Ends};
pub use chunk::{BadChunk, Chunks};
