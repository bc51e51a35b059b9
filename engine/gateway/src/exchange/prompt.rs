//! The prompt of a request, where its replica is chosen by it.

use faregate_adapters::{prefix, surface::Surface};
use faregate_policy::{Nanos, affinity::Prompt};

use super::{Walk, read::Body};
use crate::{
    affinity::{Affinity, Asked},
    clock::Instant,
    homes::Follow,
};

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
    pub(super) fn arrive(&mut self, status: u16, now: Instant) {
        match status {
            200..300 => {
                if let Some(follow) = &self.follow {
                    follow.answered(now);
                }
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

    /// Finds the request's place in its conversation, if the policy asks for that and the body is a chat.
    pub(super) fn find_conversation(&mut self, body: &Body, raw_tokens: u64, now: Nanos) {
        let Some(followed) = self.live.followed.clone() else { return };
        let prompt = followed.prompt(&[self.tenant()]);
        let prompt = self.fill(body, prompt);
        self.follow =
            prompt.map(|prompt| Box::new(Follow::new(&followed, prompt, raw_tokens, now)));
    }

    /// A target is asked, index into the policy's.
    pub(super) fn ask_home(&mut self, target: usize, now: Instant) {
        if let Some(follow) = &mut self.follow {
            follow.ask(self.live.policy.home(target, self.exchange.upstream_model()), now);
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
        let scope = [self.tenant(), &target.name, self.exchange.upstream_model()];
        self.fill(body, affinity.prompt(&scope))
    }

    /// Who does not see the prompts of others.
    fn tenant(&self) -> &str {
        let caller = self.exchange.caller();
        caller.map_or("", |caller| caller.team.as_deref().unwrap_or(&caller.key))
    }

    /// The prompt, read from the body; `None` where it has none.
    fn fill(&self, body: &Body, mut prompt: Prompt) -> Option<Prompt> {
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
        for part in whole.iter().filter_map(|name| span(name)) {
            prompt.add_whole(part);
        }
        prompt.add(prefix::open_end(span(grows)?));
        prompt.name(&self.labels.session);
        Some(prompt)
    }
}
