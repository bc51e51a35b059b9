//! The dialects, one a file.

pub mod openai;
