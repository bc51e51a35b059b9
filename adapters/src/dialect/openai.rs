//! The OpenAI API as OpenAI and the many that follow it spell it.
//!
//! Format: <https://platform.openai.com/docs/api-reference>

mod chat;
mod error;
mod meter;
mod request;
mod stream;
mod usage;

pub use super::ErrorBody;
pub use chat::{CHAT, Chat, ask};
pub use error::{write_error, write_error_event, write_model, write_models};
pub use meter::{UsageMember, UsageMeter};
pub use request::{Asked, FIELDS, Invalid, field, include_usage_edit, read};
pub use stream::{Seen, inspect};
pub use usage::usage;
