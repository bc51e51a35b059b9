//! The prompt of a request, where its replica is chosen by it.

use faregate_adapters::{prefix, surface::Surface};
use faregate_policy::affinity::Prompt;

use super::{Walk, read::Body};
use crate::affinity::{Affinity, Asked};

/// The prompt of a request as one target sees it.
pub(super) struct Prompted {
    target: usize,
    prompt: Prompt,
}

impl Walk {
    /// Reads the prompt for `target`, if its replica is chosen by that and the body has one.
    pub(super) fn find_prompt(&mut self, body: &Body, target: usize) {
        if self.prompted.as_ref().is_some_and(|prompted| prompted.target == target) {
            return;
        }
        let prompt = self.prompt_for(body, target);
        self.prompted = prompt.map(|prompt| Box::new(Prompted { target, prompt }));
    }

    /// What is asked of the replicas, where one is chosen by the prompt.
    pub(super) fn asked(&self) -> Option<Asked<'_>> {
        let affinity: &Affinity = self.live.affinity.as_deref()?;
        self.prompted.as_ref().map(|prompted| Asked { affinity, prompt: &prompted.prompt })
    }

    /// The replica answers with this status.
    pub(super) fn arrive(&mut self, status: u16) {
        match status {
            200..300 => {
                if let Some(stay) = &mut self.stay {
                    stay.read();
                }
            }
            _ => self.leave(false),
        }
    }

    /// The replica has not read the prompt, or has gone.
    pub(super) fn leave(&mut self, has_gone: bool) {
        if let (Some(stay), Some(asked)) = (self.stay.take(), self.asked()) {
            asked.failed(&stay, has_gone);
        }
    }

    fn prompt_for(&self, body: &Body, target: usize) -> Option<Prompt> {
        let places = self.live.targets[target].upstreams.len();
        let target = &self.live.policy.targets[target];
        let provider = &self.live.policy.providers[target.provider];
        if !provider.by_prefix || places < 2 {
            return None;
        }
        let affinity = self.live.affinity.as_deref()?;
        let (whole, grows) = match (self.surface.form(), self.surface) {
            (Some(form), _) => {
                let order = prefix::order(form);
                (order.whole, order.grows)
            }
            (None, Surface::Completions) => (&[][..], "prompt"),
            (None, _) => return None,
        };
        let peek = body.peek.as_ref()?;
        let span = |name: &str| {
            let index = self.fields().iter().position(|field| *field == name)?;
            body.bytes().get(peek.span(index)?)
        };
        let caller = self.exchange.caller();
        let tenant = caller.map_or("", |caller| caller.team.as_deref().unwrap_or(&caller.key));
        let mut prompt = affinity.prompt(&[tenant, &target.name, self.exchange.upstream_model()]);
        for part in whole.iter().filter_map(|name| span(name)) {
            prompt.add_whole(part);
        }
        prompt.add(prefix::open_end(span(grows)?));
        prompt.name(&self.labels.session);
        Some(prompt)
    }
}
