//! What the operations are run on, made anew each time and always the same.

pub mod answer;
pub mod chat;
pub mod chunks;
pub mod head;
pub mod policy;
mod prose;
pub mod sse;

pub use prose::Style;
