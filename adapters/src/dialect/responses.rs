//! The Responses API of OpenAI, as client and as provider.
//!
//! Requests are read by [`read`] and written by [`write`]; answers are read by [`receive`] and written by [`answer`] and
//! [`stream`], both by way of the items that [`output`] makes.
//!
//! An answer stored by the provider cannot be gone back to through another one: [`needs_stored_state`] tells the requests
//! that ask for it. Values of the request that the API repeats in its answers (`instructions`, `tools`, `temperature`, …)
//! are not repeated here: they are `null`, empty, or the default.
//!
//! Format: <https://platform.openai.com/docs/api-reference/responses>

mod error;
mod items;
mod namespace;
mod parts;
mod passage;
mod read;
mod tools;
mod usage;
mod write;
mod write_items;
mod write_tools;

use crate::{
    chat::{PartBody, Request},
    dialect::Invalid,
};

/// The Responses API.
#[derive(Clone, Copy, Debug)]
pub struct Responses;

/// The Responses API.
pub static RESPONSES: Responses = Responses;

/// Whether a request goes back to something that only the provider that stored it has.
#[must_use]
pub fn needs_stored_state(request: &Request<'_>) -> bool {
    stored_state(request).is_some()
}

/// What a request goes back to that only the provider that stored it has, as the reason to refuse it for another.
#[must_use]
pub fn stored_state(request: &Request<'_>) -> Option<Invalid> {
    const MEMBERS: [&str; 4] = ["previous_response_id", "conversation", "prompt", "background"];
    let has = |name: &&&str| request.rest.iter().any(|(known, _)| known == **name);
    let parts = || request.messages.iter().flat_map(|message| &message.parts);
    let is_reference = |body: &PartBody<'_>| matches!(body, PartBody::Other { kind, .. } if kind == "item_reference");
    let param = MEMBERS
        .iter()
        .find(has)
        .copied()
        .or_else(|| parts().any(|part| is_reference(&part.body)).then_some("input"))?;
    let message = format!(
        "{param} refers to what is stored at one provider, and this model is reached in another dialect: \
        send the whole conversation in input"
    );
    Some(Invalid { param: param.into(), message })
}
