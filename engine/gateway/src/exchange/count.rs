//! Tokens that the gateway counts by itself, because no provider does or none has yet.

use faregate_adapters::{
    chat::{Request, Usage, UsageSource},
    dialect::{Form, responses},
    surface::Surface,
    tokens::{self, Count, How, Tokenizer},
};
use faregate_policy::{Nanos, exchange::Refusal, fault::Fault, policy::Provider};

use super::{
    Walk,
    read::{Body, Stop},
    write,
};
use crate::{
    counter::{self, Job, Pending, Wish},
    relay::{Learned, Plan},
    worker::Core,
};

impl Walk {
    /// Counts the tokens of a request to count them, for the target that was chosen.
    ///
    /// # Errors
    ///
    /// A refusal when the request is none, or refers to what only a provider has.
    pub(super) async fn count(
        &self,
        core: &Core,
        body: &Body,
        provider: &Provider,
    ) -> Result<Count, Refusal> {
        let form = self.form();
        let sizes = {
            let prepared = form.inbound().prepare(body.bytes());
            let bytes = prepared.as_deref().unwrap_or(body.bytes());
            let request = counter::read(self.surface, form, bytes);
            let request = request.map_err(|invalid| write::refusal(&invalid))?;
            if form == Form::Responses
                && let Some(invalid) = responses::stored_state(&request)
            {
                return Err(write::refusal(&invalid));
            }
            tokens::bound(&request, self.body_bytes)
        };
        let model = self.exchange.upstream_model();
        let pending = tokenizer(provider, model)
            .and_then(|tokenizer| core.shared.counter.ask(self.job(Wish::Count, tokenizer, body)));
        let counted = match pending {
            Some(pending) => pending.wait(core).await,
            None => None,
        };
        Ok(counted.unwrap_or(sizes))
    }

    /// Reserves after all where less is needed than the body's bytes say: what a limit refused is counted.
    ///
    /// # Errors
    ///
    /// The refusal, or a new one, when it stays.
    pub(super) async fn reserve_closer(
        &mut self,
        core: &Core,
        body: &Body,
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        let is_for_tokens = matches!(refusal.fault, Fault::TokenRate | Fault::RequestExceedsLimit);
        let tokenizer = self.common_tokenizer().filter(|_| is_for_tokens);
        let pending = tokenizer
            .and_then(|tokenizer| core.shared.counter.ask(self.job(Wish::Bound, tokenizer, body)));
        let Some(pending) = pending else { return Err(refusal) };
        match pending.wait(core).await {
            Some(Count { tokens, how: How::Exact | How::UpperBound }) => {
                self.exchange.reserve_closer(tokens, Nanos(core.now().nanos()))
            }
            Some(Count { how: How::Estimate, .. }) | None => Err(refusal),
        }
    }

    /// Bounds the input more closely than the body's bytes do, where a budget refused and the tokens can be counted.
    ///
    /// # Errors
    ///
    /// The refusal, when they cannot.
    pub(super) async fn bound_closer(
        &mut self,
        core: &Core,
        body: &Body,
        refusal: Refusal,
    ) -> Result<(), Stop> {
        let pending = self
            .common_tokenizer()
            .and_then(|tokenizer| core.shared.counter.ask(self.job(Wish::Bound, tokenizer, body)));
        let Some(pending) = pending else { return Err(Stop::Refused(refusal)) };
        match pending.wait(core).await {
            Some(Count { tokens, how: How::Exact | How::UpperBound }) => {
                self.exchange.bound_closer(tokens);
                Ok(())
            }
            Some(Count { how: How::Estimate, .. }) | None => Err(Stop::Refused(refusal)),
        }
    }

    /// The tokenizer of every model that the request may go to. A bound by one vocabulary is none by another.
    fn common_tokenizer(&self) -> Option<Tokenizer> {
        self.surface.form()?;
        let mut tokenizers = self
            .exchange
            .candidates()
            .map(|(target, model)| tokenizer(&self.live.policy.providers[target.provider], &model));
        let first = tokenizers.next()??;
        tokenizers.all(|other| other.is_some_and(|other| other.counts_like(first))).then_some(first)
    }

    /// Estimates the input of a request that is translated, and has it counted where the client is told it first.
    pub(super) fn look_ahead(
        &self,
        core: &Core,
        body: &Body,
        request: &Request<'_>,
        provider: &Provider,
    ) -> Early {
        let model = self.exchange.upstream_model();
        let tokenizer = tokenizer(provider, model).filter(|_| self.tells_input_first());
        let ask = |tokenizer| core.shared.counter.ask(self.job(Wish::Display, tokenizer, body));
        Early { pending: tokenizer.and_then(ask), estimate: tokens::estimate(None, request) }
    }

    /// Whether the client's stream begins with the number of input tokens.
    pub(super) fn tells_input_first(&self) -> bool {
        self.streams && self.form() == Form::Messages
    }

    fn job(&self, wish: Wish, tokenizer: Tokenizer, body: &Body) -> Job {
        let (surface, form) = (self.surface, self.form());
        Job { wish, surface, form, tokenizer, body: body.bytes().into() }
    }
}

/// What stands for the usage of an answer whose provider has told none, and how good that is.
pub(super) struct StandIn {
    /// The tokens.
    pub(super) usage: Usage,
    /// Where they come from.
    pub(super) source: UsageSource,
}

impl StandIn {
    /// Made of what has passed. `input` is what the gateway knows of the request.
    pub(super) fn of(learned: &Learned, plan: &Plan, surface: Surface, input: Count) -> Self {
        let output = match surface {
            Surface::Embeddings | Surface::EmbedContent => 0,
            // A whole answer that passes is not looked into.
            _ if !plan.events && learned.content_events == 0 => tokens::estimated(learned.bytes),
            _ => tokens::estimated_output(learned.content_events, learned.content_bytes),
        };
        let source = match input.how {
            How::Exact if output == 0 => UsageSource::Counted,
            How::Exact | How::UpperBound | How::Estimate => UsageSource::Estimated,
        };
        Self { usage: Usage { input: input.tokens, output, ..Usage::default() }, source }
    }
}

/// What the provider has told of usage.
pub(super) struct Told {
    /// The tokens; of a stream that broke off, at least those that came.
    pub(super) usage: Option<Usage>,
    /// More came than it has told.
    pub(super) is_short: bool,
}

impl Told {
    /// Some providers tell the output once at the start and again at the end: where that was not reached, what came counts.
    pub(super) fn of(learned: &Learned, plan: &Plan) -> Self {
        let came = tokens::estimated_output(learned.content_events, learned.content_bytes);
        let is_cut = plan.events && !learned.done;
        let short = learned.usage.map_or(0, |usage| came.saturating_sub(usage.total_output()));
        let is_short = is_cut && short > 0;
        let added = if is_short { short } else { 0 };
        let more = |usage: Usage| Usage { output: usage.output.saturating_add(added), ..usage };
        Self { usage: learned.usage.map(more), is_short }
    }

    /// How the usage, or what stands for it, is known.
    pub(super) fn source(&self, stand_in: Option<&StandIn>) -> UsageSource {
        match (&self.usage, stand_in) {
            (Some(_), _) if self.is_short => UsageSource::Estimated,
            (Some(_), _) => UsageSource::Provider,
            (None, Some(stand_in)) => stand_in.source,
            (None, None) => UsageSource::Absent,
        }
    }
}

/// The input of a request, before its provider has told.
pub(crate) struct Early {
    pending: Option<Pending>,
    estimate: Count,
}

impl Early {
    /// What is known now: the count when it is there, else the estimate.
    pub(crate) fn count(&self) -> Count {
        self.pending.as_ref().and_then(Pending::now).unwrap_or(self.estimate)
    }
}

/// The tokenizer of what a provider calls `model`, where that is known.
fn tokenizer(provider: &Provider, model: &str) -> Option<Tokenizer> {
    Tokenizer::of(model).filter(|_| provider.quirks.runs_openai_models)
}

#[cfg(test)]
mod tests {
    use faregate_wire::Framing;

    use super::*;
    use crate::relay::Downstream;

    fn plan(events: bool) -> Plan {
        Plan {
            upstream: Framing::Chunked,
            downstream: Downstream::Chunked,
            events,
            array: false,
            drop_usage_chunk: false,
            metered: true,
            form: Form::Chat,
        }
    }

    #[test]
    fn what_stands_for_usage_says_how_good_it_is() {
        let check = |learned: &Learned, events, how, expected: (u64, UsageSource)| {
            let input = Count { tokens: 7, how };
            let stand_in = StandIn::of(learned, &plan(events), Surface::ChatCompletions, input);
            assert_eq!(stand_in.usage.input, 7);
            assert_eq!((stand_in.usage.output, stand_in.source), expected, "{learned:?}");
        };
        let nothing = Learned::default();
        check(&nothing, true, How::Exact, (0, UsageSource::Counted));
        check(&nothing, true, How::UpperBound, (0, UsageSource::Estimated));
        let pieces = Learned { content_events: 5, bytes: 4000, ..Learned::default() };
        check(&pieces, true, How::Exact, (5, UsageSource::Estimated));
        let texts = Learned { content_events: 2, content_bytes: 80, ..Learned::default() };
        check(&texts, false, How::Exact, (20, UsageSource::Estimated));
        let whole = Learned { bytes: 400, ..Learned::default() };
        check(&whole, false, How::Exact, (100, UsageSource::Estimated));
    }

    #[test]
    fn what_came_of_a_broken_stream_counts_though_the_provider_told_less() {
        let started = Usage { input: 9, output: 1, ..Usage::default() };
        let told = |events, done| {
            let learned = Learned {
                usage: Some(started),
                content_events: events,
                done,
                ..Learned::default()
            };
            let told = Told::of(&learned, &plan(true));
            (told.usage.unwrap().output, told.source(None))
        };
        assert_eq!(told(5, false), (5, UsageSource::Estimated));
        assert_eq!(told(1, false), (1, UsageSource::Provider));
        assert_eq!(told(5, true), (1, UsageSource::Provider));
    }

    #[test]
    fn vectors_have_no_output() {
        let learned = Learned { bytes: 40_000, ..Learned::default() };
        let input = Count { tokens: 7, how: How::Estimate };
        let stand_in = StandIn::of(&learned, &plan(false), Surface::Embeddings, input);
        assert_eq!((stand_in.usage.output, stand_in.source), (0, UsageSource::Estimated));
    }
}
