//! What a client takes for a stream of its dialect: the order of events, and how a stream may end.

mod chat;
mod converse;
mod gemini;
mod messages;
mod responses;

use crate::dialect::Form;
use serde_json::Value;

use super::stream::read_all;

/// How a stream ended, for a client that reads all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Whole,
    /// With an error.
    Error,
    /// Neither.
    Open,
}

/// Follows a stream event by event.
///
/// # Panics
///
/// At the first that is out of order.
#[must_use]
pub fn follow(form: Form, stream: &[u8]) -> End {
    let events: Vec<(String, Value)> = read_all(form, stream)
        .into_iter()
        .map(|(name, data)| {
            let name = String::from_utf8(name).unwrap();
            let data = match &*data {
                b"[DONE]" => "[DONE]".into(),
                data => serde_json::from_slice(data).unwrap(),
            };
            (name, data)
        })
        .collect();
    follow_values(form, &events)
}

/// Follows events whose data has been read.
///
/// # Panics
///
/// At the first that is out of order.
#[must_use]
pub fn follow_values(form: Form, events: &[(String, Value)]) -> End {
    match form {
        Form::Chat => chat::follow(events),
        Form::Responses => responses::follow(events),
        Form::Messages => messages::follow(events),
        Form::Gemini => gemini::follow(events),
        Form::Converse => converse::follow(events),
    }
}
