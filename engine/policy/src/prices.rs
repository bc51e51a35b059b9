//! What targets cost: the policy's own prices first, then the catalogue's.
//!
//! In: a target and the provider's name for a model. Out: its price and the price's name, for the books. Targets with a
//! fixed model are looked up when the policy is read; those with `*` when they are asked for.

use std::{borrow::Cow, cell::RefCell, cmp::Reverse, ops::Deref, rc::Rc, sync::Arc};

use faregate_adapters::chat::Usage;
use faregate_price::{Asked, Catalogue, Circumstances, Currencies, Draft, Price, Unit, Units};
use hashbrown::HashMap;

use crate::{
    file::is_private,
    known,
    pattern::Pattern,
    policy::{Policy, Provider, Scheme, Target},
};

/// Tokens of the input of a request by which targets are compared.
pub const USUAL_INPUT: u64 = 1000;

/// Tokens of its output.
pub const USUAL_OUTPUT: u64 = 200;

/// A price, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced<'p> {
    /// What it costs.
    pub price: Cow<'p, Price>,
    /// `catalogue/2026-11-24/openai/gpt-5-mini`, or `policy/fleet/qwen3-32b`.
    pub id: Cow<'p, str>,
}

/// Everything that is known about prices.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Prices of the policy, the one that fixes most characters first.
    written: Vec<Written>,
    catalogue: Catalogue,
    currencies: Currencies,
    /// The name in the catalogue of each provider.
    sellers: Vec<Option<Box<str>>>,
    /// Prices of targets with a fixed model.
    fixed: Vec<Option<Priced<'static>>>,
}

/// A price of the policy.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Index of its provider.
    pub(crate) provider: usize,
    /// The provider's names for its models.
    pub(crate) models: Pattern,
    /// As the table is called: `fleet/qwen3-32b`.
    pub(crate) name: Box<str>,
    /// What it says.
    pub(crate) draft: Draft,
    /// The name in the catalogue that it starts from.
    pub(crate) like: Option<Box<str>>,
}

impl Prices {
    /// Prices of these targets, by the catalogue that comes with the program.
    pub(crate) fn new(
        mut written: Vec<Written>,
        currencies: Currencies,
        providers: &[Provider],
        targets: &[Target],
    ) -> Self {
        written.sort_by_key(|one| Reverse((one.models.is_plain(), one.models.weight())));
        let catalogue = Catalogue::built_in();
        let mut prices =
            Self { written, catalogue, currencies, sellers: Vec::new(), fixed: Vec::new() };
        prices.look_up(providers, targets);
        prices
    }

    /// The catalogue.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What other currencies are worth.
    #[must_use]
    pub const fn currencies(&self) -> &Currencies {
        &self.currencies
    }

    /// The price of a target that is asked for `model`.
    pub(crate) fn of<'p>(
        &'p self,
        providers: &[Provider],
        target: &Target,
        index: usize,
        model: &str,
    ) -> Option<Priced<'p>> {
        if *target.model == *model {
            return self.fixed.get(index)?.as_ref().map(Priced::borrowed);
        }
        self.find(providers, target.provider, model)
    }

    pub(crate) fn use_catalogue(
        &mut self,
        catalogue: Catalogue,
        providers: &[Provider],
        targets: &[Target],
    ) -> Result<(), String> {
        let likes =
            self.written.iter().filter_map(|written| Some((written, written.like.as_ref()?)));
        for (written, like) in likes {
            if catalogue.get(like).is_none() {
                let version = catalogue.version();
                return Err(format!(
                    "prices.{:?}: the catalogue of {version} has no `{like}`",
                    written.name
                ));
            }
        }
        self.catalogue = catalogue;
        self.look_up(providers, targets);
        Ok(())
    }

    /// Tells targets with a fixed model what a usual request costs there.
    pub(crate) fn tell(&self, targets: &mut [Target]) {
        let usual = Usage { input: USUAL_INPUT, output: USUAL_OUTPUT, ..Usage::default() };
        let at = Circumstances {
            units: Units::default().with(Unit::Request, 1),
            ..Circumstances::default()
        };
        for (target, priced) in targets.iter_mut().zip(&self.fixed) {
            let cost = priced.as_ref().and_then(|priced| priced.price.cost(&usual, &at).ok());
            target.cost = cost.map(|cost| cost.0);
        }
    }

    fn look_up(&mut self, providers: &[Provider], targets: &[Target]) {
        self.sellers = providers.iter().map(|provider| self.seller(provider)).collect();
        let fixed = |target: &Target| {
            self.find(providers, target.provider, &target.model).map(Priced::into_owned)
        };
        let is_fixed = |target: &Target| !target.model.contains('*');
        self.fixed = targets.iter().map(|t| is_fixed(t).then(|| fixed(t)).flatten()).collect();
    }

    fn find(&self, providers: &[Provider], provider: usize, model: &str) -> Option<Priced<'_>> {
        let seller = self.sellers.get(provider)?.as_deref();
        let listed = || {
            let region = providers[provider].region.as_deref();
            self.catalogue.find(&Asked { provider: seller?, region, model })
        };
        let fits =
            |written: &&Written| written.provider == provider && written.models.matches(model);
        let Some(written) = self.written.iter().find(fits) else {
            let found = listed()?;
            let id = Cow::Owned(self.catalogue.id(found.name));
            return Some(Priced { price: Cow::Owned(found.price), id });
        };
        let base = match &written.like {
            Some(like) => Some(&**like),
            None if written.draft.has_rates() => None,
            None => Some(listed()?.name),
        };
        let mut draft = match base {
            Some(name) => self.catalogue.draft(name)?,
            None => Draft::default(),
        };
        draft.overlay(&written.draft);
        let id = Cow::Owned(format!("policy/{}", written.name));
        Some(Priced { price: Cow::Owned(draft.finish()?), id })
    }

    /// Under which name the catalogue has what a provider sells: that of a known provider, or of its address, or of its
    /// kind. Machines of one's own sell nothing, whatever they are called.
    fn seller(&self, provider: &Provider) -> Option<Box<str>> {
        let is_own = provider.replicas.iter().any(is_private);
        let has = |name: &str| self.catalogue.has_provider(name);
        if has(&provider.name) && (!is_own || known::find(&provider.name).is_some()) {
            return Some(provider.name.clone());
        }
        let hosts = |known: &&known::Known| {
            let host = known.base_url.split('/').nth(2).unwrap_or_default();
            provider.replicas.iter().any(|url| url.scheme == Scheme::Https && url.host == host)
        };
        let by_host = known::ALL.iter().find(hosts).map(|known| known.name);
        let by_kind = match provider.kind.name {
            "openai" => None,
            "vertex-anthropic" => Some("vertex"),
            "bedrock-anthropic" => Some("bedrock"),
            kind => Some(kind),
        };
        by_host.or(by_kind).filter(|name| has(name)).map(Into::into)
    }
}

/// A policy as one core sees it, with the prices that its requests have asked for. Counted without touching what other cores
/// count.
#[derive(Debug)]
pub struct CorePolicy {
    policy: Arc<Policy>,
    known: RefCell<PriceCache>,
}

impl CorePolicy {
    /// A core's view of a policy.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Rc<Self> {
        Rc::new(Self { policy, known: RefCell::default() })
    }

    /// Calls `with` for the price of a target that is asked for `model`.
    pub(crate) fn with_price<T>(
        &self,
        target: usize,
        model: &str,
        with: impl FnOnce(Option<Priced<'_>>) -> T,
    ) -> T {
        with(self.known.borrow_mut().price((&self.policy, 0), target, model))
    }
}

impl Deref for CorePolicy {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

/// Prices that a core has asked for, so that a target with `*` is not looked up for every request.
///
/// It belongs to one core and to one policy; for another policy it begins anew. When it is full it begins anew, too.
#[derive(Clone, Debug, Default)]
pub struct PriceCache {
    generation: u64,
    known: HashMap<usize, HashMap<Box<str>, Option<Priced<'static>>>>,
    count: usize,
}

/// Models whose prices a core remembers.
const REMEMBERED_MAX: usize = 1024;

impl PriceCache {
    /// What a target of `policy`, the one of this generation, costs that is asked for `model`.
    pub fn price<'c>(
        &'c mut self,
        (policy, generation): (&'c Policy, u64),
        target: usize,
        model: &str,
    ) -> Option<Priced<'c>> {
        if !policy.targets[target].model.contains('*') {
            return policy.price(target, model);
        }
        if self.generation != generation || self.count >= REMEMBERED_MAX {
            *self = Self { generation, ..Self::default() };
        }
        let of_target = self.known.entry(target).or_default();
        if !of_target.contains_key(model) {
            let found = policy.price(target, model).map(Priced::into_owned);
            of_target.insert(model.into(), found);
            self.count += 1;
        }
        of_target.get(model)?.as_ref().map(Priced::borrowed)
    }
}

impl Priced<'_> {
    fn into_owned(self) -> Priced<'static> {
        Priced { price: Cow::Owned(self.price.into_owned()), id: Cow::Owned(self.id.into_owned()) }
    }

    fn borrowed(&self) -> Priced<'_> {
        Priced { price: Cow::Borrowed(&*self.price), id: Cow::Borrowed(&*self.id) }
    }
}

/// What to add to the policy so that a provider's model has a price.
pub(crate) fn wanted(provider: &str, model: &str) -> String {
    let name = format!("{provider}/{model}");
    format!(
        "nothing says what {name} costs; add to the policy:\n\n[prices.{name:?}]\ninput = \"$0.10/M\"   # dollars for a \
         million tokens\noutput = \"$0.40/M\"\n\nor `like = \"provider/model\"` instead, with a name of `faregate prices \
         --search WORD`; what costs nothing: input = \"$0/M\""
    )
}
