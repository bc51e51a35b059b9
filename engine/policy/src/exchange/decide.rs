//! From a request that was read to a way for it: what it may use, where that is, what must be set aside.

use faregate_adapters::surface::Family;

use crate::{
    Nanos, Phase,
    attribution::Labels,
    fault::{Fault, Refusal},
    models::Strategy,
    policy::Provider,
    route::Route,
};

use super::{Asks, Exchange, Extra, way::Led};

/// Tokens of output set aside for each choice when the client asks for no bound.
pub const OUTPUT_TOKENS_SLICE: u64 = 1024;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The model, as the client spells it.
    pub model: Option<&'a str>,
    /// The provider, for paths that name no model.
    pub provider: Option<&'a str>,
    /// Whose API the path is of, for paths that name no provider.
    pub family: Family,
    /// Whether there is nothing to do without a model.
    pub needs_model: bool,
    /// Tokens that the input cannot exceed.
    pub input_tokens_bound: u64,
    /// Tokens that an answer cannot exceed, if the client says so.
    pub output_tokens_max: Option<u64>,
    /// Answers asked for at once. At least 1.
    pub choices: u64,
    /// Whether tokens are counted.
    pub metered: bool,
    /// The only place it can go to.
    pub pinned: Option<Pin<'a>>,
    /// What it may use beside its tokens; `None`: it costs nothing.
    pub extra: Option<Extra>,
    /// Whom and what it is for: some of them may have budgets.
    pub labels: Option<&'a Labels>,
    /// What else routes may depend on.
    pub asks: Asks<'a>,
}

/// Where a response of the caller's is stored that a request goes back to.
#[derive(Clone, Copy, Debug)]
pub struct Pin<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// The name of the target that made it.
    pub target: &'a str,
    /// The response itself is asked for: its path names no model, and that it is the caller's own is leave enough.
    pub is_asked_for: bool,
}

impl Exchange {
    /// Decides everything that needs no provider: what may pass, where the request may go, and what is set aside for it.
    ///
    /// # Errors
    ///
    /// `ModelMissing`, `ModelForbidden`, `OverrideForbidden`, `ModelUnknown`, `PathUnknown`, `TokenRate`, `RequestExceedsLimit`,
    /// `ScopesFull`.
    pub fn decide(&mut self, wanted: &Wanted<'_>, now: Nanos) -> Result<(), Refusal> {
        self.resolve(wanted, now)?;
        self.draw(wanted.labels, now)
    }

    /// The first half of [`decide`](Self::decide): what may pass, and where the request may go. It stands at *look up* then: an
    /// answer that is kept is found by where the request may go, and costs nothing.
    ///
    /// # Errors
    ///
    /// `ModelMissing`, `ModelForbidden`, `OverrideForbidden`, `ModelUnknown`, `PathUnknown`.
    pub fn resolve(&mut self, wanted: &Wanted<'_>, now: Nanos) -> Result<(), Refusal> {
        assert_eq!(self.phase, Phase::Read, "a request is decided once, when it has been admitted");
        self.see(now);
        // Guards have their place here and nothing in it yet.
        self.phase = Phase::Guard;
        self.phase = Phase::LookUp;
        self.find_way(wanted)?;
        self.fallbacks.stays = wanted.pinned.is_some();
        self.fallbacks.input_bound = wanted.input_tokens_bound;
        self.turn_ahead(wanted.asks.input_tokens);
        self.money.extra = wanted.extra;
        self.input_bound = wanted.input_tokens_bound;
        self.is_metered = wanted.metered;
        if wanted.metered {
            self.output = (wanted.output_tokens_max, wanted.choices.max(1));
        }
        Ok(())
    }

    /// The second half: what is set aside.
    ///
    /// # Errors
    ///
    /// `TokenRate`, `RequestExceedsLimit`, `ScopesFull`.
    pub fn draw(&mut self, labels: Option<&Labels>, now: Nanos) -> Result<(), Refusal> {
        assert_eq!(
            self.phase,
            Phase::LookUp,
            "what a request needs is set aside when its way is known"
        );
        self.see(now);
        self.phase = Phase::Route;
        if self.money.extra.is_some() {
            self.draw_on(labels, now)?;
        }
        self.phase = Phase::Reserve;
        if self.is_metered {
            self.reserve(self.input_bound, now)?;
        }
        self.phase = Phase::Write;
        Ok(())
    }

    /// Reserves after all, with a bound that is closer than the one that did not fit. The bound must hold at each of the
    /// [`candidates`](Self::candidates).
    ///
    /// # Errors
    ///
    /// `TokenRate`, `RequestExceedsLimit`.
    pub fn reserve_closer(&mut self, input_tokens_bound: u64, now: Nanos) -> Result<(), Refusal> {
        assert_eq!(self.phase, Phase::Reserve, "only a reservation that was refused is made again");
        self.see(now);
        self.reserve(input_tokens_bound, now)?;
        self.phase = Phase::Write;
        Ok(())
    }

    /// Notes a bound of the input that is closer than the one before: for budgets that refused a step.
    pub fn bound_closer(&mut self, input_tokens_bound: u64) {
        self.input_bound = self.input_bound.min(input_tokens_bound);
    }

    fn find_way(&mut self, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        if let Some(pin) = wanted.pinned.filter(|pin| pin.is_asked_for) {
            return self.find_stored(pin);
        }
        match wanted.model {
            Some(model) => self.find_model(model, wanted),
            None if wanted.needs_model => {
                Err(Refusal::new(Fault::ModelMissing, "the request names no model").about("model"))
            }
            None => self.find_provider(wanted),
        }
    }

    fn find_model(&mut self, model: &str, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let policy = std::rc::Rc::clone(&self.policy);
        if let Some(Led { found, way, stuck, asked }) = self.lead(&policy, model, wanted)? {
            let kept = wanted.pinned.map(|pin| pinned(&policy, found.targets, pin));
            if kept.as_ref().is_some_and(Vec::is_empty) {
                let message = format!(
                    "the response is stored at a provider where the model {} is not; ask for the model \
                     that made it, or send the whole conversation in input",
                    shown(model)
                );
                return Err(previous_unknown(message));
            }
            let targets = kept.as_deref().unwrap_or(found.targets);
            let route = Route::new(found.strategy, targets).stick(stuck);
            let even = self.even(&policy, &found, targets, wanted);
            let route = route.weighing(even);
            self.go(found.name, found.asked, route);
            self.fallbacks.model = found.index;
            self.way = way;
            self.dearest = asked.and_then(|asked| policy.models.dearest(asked));
            return Ok(());
        }
        let passed = if wanted.needs_model { None } else { self.passthrough(wanted) };
        match passed {
            Some((index, provider)) if provider.models.iter().any(|own| own.matches(model)) => {
                self.go_anywhere(index, model)
            }
            _ => {
                let message = format!(
                    "no model {}; GET /v1/models lists those that are served",
                    shown(model)
                );
                Err(Refusal::new(Fault::ModelUnknown, message).about("model"))
            }
        }
    }

    /// A response that is the caller's own is asked for where it is stored.
    fn find_stored(&mut self, pin: Pin<'_>) -> Result<(), Refusal> {
        match self.policy.provider(pin.provider) {
            Some(provider) => self.go_anywhere(provider, ""),
            None => Err(Refusal::new(
                Fault::ResponseUnknown,
                format!(
                    "the policy has no provider {} any more, where this is stored",
                    pin.provider
                ),
            )
            .about("id")),
        }
    }

    /// A path that names no model goes to a provider; its caller must be allowed everything there.
    fn find_provider(&mut self, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let Some((index, provider)) = self.passthrough(wanted) else {
            let message = match wanted.provider {
                Some(name) => format!("no provider {} takes paths that name no model", shown(name)),
                None => "no provider takes this path: name one in x-faregate-provider".to_owned(),
            };
            return Err(Refusal::new(Fault::PathUnknown, message));
        };
        if self.caller().is_some_and(|caller| !caller.may_use_all_of(&provider.name)) {
            let message = format!(
                "this key may use some models of {} only, and the request names none that can be checked",
                provider.name
            );
            return Err(Refusal::new(Fault::ModelForbidden, message));
        }
        self.go_anywhere(index, "")
    }

    /// The provider of that name, or of the paths that name none, if it takes such paths.
    fn passthrough(&self, wanted: &Wanted<'_>) -> Option<(usize, &Provider)> {
        let policy = &self.policy;
        let index = match wanted.pinned.map(|pin| pin.provider).or(wanted.provider) {
            Some(name) => policy.providers.iter().position(|provider| *provider.name == *name),
            None => policy.passthrough_of(wanted.family),
        }?;
        policy.providers.get(index).filter(|provider| provider.passthrough).map(|p| (index, p))
    }

    /// Goes to the provider's target for any model.
    fn go_anywhere(&mut self, provider: usize, asked: &str) -> Result<(), Refusal> {
        let own = |target: &crate::Target| target.provider == provider && *target.model == *"*";
        let Some(target) = self.policy.targets.iter().position(own) else {
            return Err(Refusal::new(Fault::Internal, "a provider has no target for any model"));
        };
        self.go("", asked, Route::new(Strategy::Order, &[target]));
        Ok(())
    }

    pub(super) fn go(&mut self, name: &str, asked: &str, route: Route) {
        let mut names = String::with_capacity(name.len() + asked.len());
        names.push_str(name);
        names.push_str(asked);
        self.name_len = name.len();
        self.names = names.into_boxed_str();
        self.route = route;
        self.fallbacks.model = None;
    }

    /// Sets aside what the request may use, in every limit on tokens or in none.
    fn reserve(&mut self, input: u64, now: Nanos) -> Result<(), Refusal> {
        let limits = self.limits();
        let Some(tokens_max) = limits.tokens_max() else { return Ok(()) };
        let (output_max, choices) = self.output;
        let output = match output_max {
            Some(output) => output.saturating_mul(choices),
            // No bound was asked for: the slice must not be what makes the request impossible.
            None => {
                OUTPUT_TOKENS_SLICE.saturating_mul(choices).min(tokens_max.saturating_sub(input))
            }
        };
        let tokens = input.saturating_add(output).max(1);
        limits.reserve(tokens, now)?;
        self.reserved = tokens;
        self.input_bound = input;
        Ok(())
    }
}

/// Of `targets` those at which the pinned response is known: the one that made it, or else its provider's.
pub(super) fn pinned(policy: &crate::Policy, targets: &[usize], pin: Pin<'_>) -> Vec<usize> {
    let target = |index: &usize| &policy.targets[*index];
    let made_it = |index: &usize| *target(index).name == *pin.target;
    let has_it = |index: &usize| *policy.providers[target(index).provider].name == *pin.provider;
    let of = |is_kept: &dyn Fn(&usize) -> bool| targets.iter().copied().filter(is_kept).collect();
    let exact: Vec<usize> = of(&made_it);
    if exact.is_empty() { of(&has_it) } else { exact }
}

/// The refusal of a response that is gone back to.
fn previous_unknown(message: String) -> Refusal {
    Refusal::new(Fault::PreviousUnknown, message).about("previous_response_id")
}

/// A name that the client sent, short enough for a message.
pub(super) fn shown(name: &str) -> String {
    const CHARS_MAX: usize = 128;
    let short: String = name.chars().take(CHARS_MAX).filter(|c| !c.is_control()).collect();
    format!("`{short}`")
}
