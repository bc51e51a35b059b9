//! A chat in the gateway's own terms, whatever dialect it came in.
//!
//! A [`Request`] is what a client asks, read from its dialect and written in another; an answer is a sequence of
//! [`Delta`]s, whether it comes as a stream or as a whole; [`Error`] is what either side says when something is wrong.
//! What a dialect cannot say is noted in a [`Loss`]. N client dialects and M provider dialects meet here, so that there
//! are N + M translations and not N × M.

mod answer;
mod custom;
mod delta;
mod error;
mod loss;
mod names;
mod progress;
mod request;
mod usage;

pub use answer::{Answer, AnswerPart, Assembler, Choice, Citation};
pub use custom::Customs;
pub use delta::{Delta, Finish, Start};
pub use error::{Error, ErrorKind};
pub use loss::Loss;
pub use names::{IdRule, NameRule, Names, fit_id};
pub(crate) use progress::Progress;
pub use request::{
    CacheMark, Effort, Format, Media, MediaKind, Message, Part, PartBody, Reasoning, ReasoningPart,
    Request, Role, Sampling, Source, Tier, Tool, ToolChoice, ToolKind,
};
pub use usage::{Usage, UsageSource};
