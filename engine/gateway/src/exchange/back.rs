//! Requests that go back to a stored response: whose it is, and where.
//!
//! In: the path, or `previous_response_id` in the body. Out: the [`Maker`] of the caller's own response, nothing where the
//! request goes back to none, or the refusal, which is the same for what is another caller's and for what is not known.

use std::sync::Arc;

use faregate_adapters::surface::{Surface, is_whole_response, may_go_on, response_id};
use faregate_policy::{
    exchange::{Pin, Refusal},
    fault::Fault,
};
use faregate_wire::Method;

use super::{Walk, read::Body};
use crate::{
    stored::{Found, Maker, Stored},
    upstream::Upstream,
};

const PREVIOUS: &str = "previous_response_id";

impl Walk {
    /// Finds the stored response that the request goes back to, and notes whether it has one stored.
    pub(super) fn go_back(&mut self, stored: &Stored, body: &Body) -> Result<(), Refusal> {
        let stores = self.member(body, "store").is_none_or(|store| store.bool() != Some(false));
        self.stores = self.surface == Surface::Responses && stores;
        let (id, fault) = match self.surface {
            Surface::StoredResponse => match response_id(&self.path) {
                Some(id) => (id, Fault::ResponseUnknown),
                None => return Ok(()),
            },
            Surface::Responses | Surface::CountResponse | Surface::Other
                if may_go_on(&self.path) =>
            {
                match self.member(body, PREVIOUS) {
                    Some(id) => (id.str().ok_or_else(no_text)?, Fault::PreviousUnknown),
                    None => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        let found = match stored.find(&id, self.owner()) {
            Found::Own(maker) => Some(maker),
            Found::Unknown if self.live.policy.passes_unknown_responses() => None,
            Found::Unknown | Found::Another => return Err(not_found(&id, fault)),
        };
        self.made = found;
        Ok(())
    }

    /// Whose the response is that the provider stores now, if it does.
    pub(super) fn maker(
        &self,
        provider: &str,
        target: &str,
        upstream: &Upstream,
    ) -> Option<Arc<Maker>> {
        self.stores.then(|| {
            Arc::new(Maker {
                owner: self.owner().into(),
                provider: provider.into(),
                target: target.into(),
                place: Maker::place(upstream),
            })
        })
    }

    /// Forgets the response that the provider has just deleted.
    pub(super) fn forget(&self, stored: &Stored) {
        let deletes = self.surface == Surface::StoredResponse && self.method == Method::Delete;
        if deletes
            && is_whole_response(&self.path)
            && let Some(id) = response_id(&self.path)
        {
            stored.forget(&id);
        }
    }

    fn owner(&self) -> &str {
        self.exchange.caller().map_or("", |caller| &caller.key)
    }
}

/// Where a request must go that goes back to what `made` is of.
pub(super) fn pin(made: Option<&Maker>, surface: Surface) -> Option<Pin<'_>> {
    made.map(|maker| Pin {
        provider: &maker.provider,
        target: &maker.target,
        is_asked_for: surface == Surface::StoredResponse,
    })
}

fn no_text() -> Refusal {
    Refusal::new(Fault::BodyMalformed, format!("{PREVIOUS} must be a string")).about(PREVIOUS)
}

fn not_found(id: &str, fault: Fault) -> Refusal {
    const CHARS_MAX: usize = 128;
    let shown: String = id.chars().take(CHARS_MAX).filter(|c| !c.is_control()).collect();
    let message = format!(
        "Response with id '{shown}' not found: this key has none of that id that was stored through this process; \
         of older ones and those of other gateways see server.unknown_responses"
    );
    let about = if fault == Fault::PreviousUnknown { PREVIOUS } else { "id" };
    Refusal::new(fault, message).about(about)
}
