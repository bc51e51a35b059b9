//! What a client takes for a stream of its dialect: the order of events, and how a stream may end.

mod chat;
mod converse;
mod gemini;
mod messages;
mod responses;

use faregate_adapters::dialect::Form;
use serde_json::Value;

use super::fixture::cut_all;

/// How a stream ended, for a client that reads all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Whole,
    /// With an error.
    Error,
    /// Neither.
    Open,
}

/// Follows a stream event by event; panics at the first that is out of order.
pub(crate) fn follow(form: Form, stream: &[u8]) -> End {
    let events: Vec<(String, Value)> = cut_all(form, stream)
        .into_iter()
        .map(|event| {
            let name = String::from_utf8(event.name).unwrap();
            let data = match &*event.data {
                b"[DONE]" => "[DONE]".into(),
                data => serde_json::from_slice(data).unwrap(),
            };
            (name, data)
        })
        .collect();
    match form {
        Form::Chat => chat::follow(&events),
        Form::Responses => responses::follow(&events),
        Form::Messages => messages::follow(&events),
        Form::Gemini => gemini::follow(&events),
        Form::Converse => converse::follow(&events),
    }
}
