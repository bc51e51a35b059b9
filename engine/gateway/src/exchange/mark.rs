//! Marks for providers' prompt caches, where the policy wants them and the client has put none.
//!
//! In: the request as it is about to be written for a provider. Out: the same with marks, and whether there are any, which
//! the client is told in `x-faregate-cache`. What is marked, and where, is decided by [`faregate_adapters::cache`].

use faregate_adapters::{
    cache::{self, Wish},
    chat::Request,
    dialect::Form,
};
use faregate_policy::policy::Provider;
use faregate_wire::Patch;

use super::{Walk, read::Body};

impl Walk {
    /// Marks a request that passes as it is.
    pub(super) fn mark_passing(&self, body: &Body, provider: &Provider, patch: &mut Patch) -> bool {
        let (Some(peek), Some(form)) = (&body.peek, self.surface.form()) else { return false };
        let mark = |wish: &Wish<'_>| cache::edit(form, body.bytes(), peek, wish, patch);
        self.with_wish(provider, mark)
    }

    /// Marks a request that is about to be said in the dialect `target`.
    pub(super) fn mark_crossing(
        &self,
        target: Form,
        provider: &Provider,
        request: &mut Request<'_>,
    ) -> bool {
        self.with_wish(provider, |wish| cache::mark(target, request, wish))
    }

    /// Does something with what is wanted of marks for a provider, if any are.
    fn with_wish(&self, provider: &Provider, mark: impl FnOnce(&Wish<'_>) -> bool) -> bool {
        if self.surface.counts_tokens() || !self.surface.is_metered() {
            return false;
        }
        let Some(target) = self.exchange.target() else { return false };
        let model = self.exchange.model();
        let Some(cache) = self.live.policy.prompt_cache(model, target.provider) else {
            return false;
        };
        let caller = self.exchange.caller();
        let team = caller.and_then(|caller| caller.team.as_deref()).unwrap_or_default();
        let tenant = format!("{team}/{}", caller.map_or("", |caller| &caller.key));
        mark(&Wish {
            is_long: cache.is_long,
            tokens_min: cache.tokens_min,
            tenant: &tenant,
            session: &self.labels.session,
            model: self.exchange.upstream_model(),
            quirks: &provider.quirks,
        })
    }
}
