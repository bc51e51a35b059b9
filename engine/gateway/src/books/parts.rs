//! What rows of the books have in common, each made once: who pays, what was used, which scopes pay, by which price.
//!
//! In: a request that is being written down. Out: the shared parts of its row. Remembered between calls, for one core and one
//! policy: the latest parts, [`PLACES`] of each kind at most. A part that is not there any more is made anew, and says the
//! same.

use std::{cell::RefCell, hash::Hash, sync::Arc};

use faregate_ledger::{
    journal::TEXT_BYTES_MAX,
    row::{Payer, Work},
};
use faregate_policy::{Caller, attribution::Labels, exchange::Exchange, policy::Target};
use hashbrown::DefaultHashBuilder;

use crate::exchange::Walk;

/// Parts of each kind that are remembered.
const PLACES: usize = 256;

/// The parts of rows.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    payers: Table<Paying>,
    works: Table<Worked>,
    scopes: Table<Scopes>,
    texts: Table<Arc<str>>,
}

/// Who pays, and the caller that it is.
#[derive(Debug)]
struct Paying {
    caller: Address,
    payer: Arc<Payer>,
}

/// What was used, and the target that it is of.
#[derive(Debug)]
struct Worked {
    target: Address,
    work: Arc<Work>,
}

/// Which scopes pay, and the caller whose path they begin with.
#[derive(Debug)]
struct Scopes {
    caller: Address,
    scopes: Arc<[Arc<str>]>,
    /// So many are on the caller's path.
    path: usize,
}

/// Where something of the policy lies: it stays there as long as the policy does, which the parts belong to.
type Address = usize;

/// Values, each held by the latest that falls on its place.
#[derive(Debug)]
struct Table<T> {
    hash: DefaultHashBuilder,
    places: RefCell<Vec<Option<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { hash: DefaultHashBuilder::default(), places: RefCell::default() }
    }
}

impl<T> Table<T> {
    /// The value of `key` by `get`, when it `fits`; made where there is none.
    fn get<V>(
        &self,
        key: impl Hash,
        fits: impl FnOnce(&T) -> bool,
        get: impl FnOnce(&T) -> V,
        make: impl FnOnce() -> T,
    ) -> V {
        use std::hash::BuildHasher as _;
        let mut places = self.places.borrow_mut();
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        let place = usize::try_from(self.hash.hash_one(key) % PLACES as u64).unwrap_or(0);
        match &mut places[place] {
            Some(value) if fits(value) => get(value),
            place => get(place.insert(make())),
        }
    }
}

impl Parts {
    /// Who pays.
    pub(super) fn payer(&self, caller: Option<&Caller>, labels: &Labels) -> Arc<Payer> {
        let address = caller.map_or(0, address);
        let fits = |found: &Paying| {
            let payer = &found.payer;
            let tags = payer.tags.iter().map(|(name, value)| (&**name, &**value));
            found.caller == address
                && *payer.user == *labels.user
                && tags.eq(labels.tags.iter().map(|(name, value)| (&**name, &**value)))
        };
        self.payers.get(
            (address, &labels.user, &labels.tags),
            fits,
            |found| Arc::clone(&found.payer),
            || Paying { caller: address, payer: Arc::new(payer(caller, labels)) },
        )
    }

    /// What was used.
    pub(super) fn work(&self, walk: &Walk, status: u16, fault: &'static str) -> Arc<Work> {
        let exchange = &walk.exchange;
        let target = exchange.target();
        let asked = cut(walk.model.as_deref().unwrap_or_default());
        let (surface, model) = (walk.surface.name(), cut(exchange.upstream_model()));
        let (mut reason, attempts) = (exchange.route_reason(), exchange.attempts());
        if let Some(key) = &walk.provider_key {
            reason = format!("{reason}; key {key}").into();
        }
        if let Some(found) = &walk.found {
            let (provider, model) = &found.value.made_by;
            return Arc::new(Work {
                surface: surface.to_owned(),
                model_asked: asked.to_owned(),
                provider: provider.to_string(),
                model: model.to_string(),
                route_reason: format!("cache; {}", walk.note.unwrap_or_default()),
                region: String::new(),
                status,
                fault: fault.to_owned(),
                attempts,
                cache_hit: true,
            });
        }
        let address = target.map_or(0, address);
        let fits = |found: &Worked| {
            let work = &found.work;
            found.target == address
                && (work.status, work.attempts) == (status, attempts)
                && work.surface == surface
                && work.model_asked == asked
                && work.model == model
                && work.fault == fault
                && work.route_reason == cut(&reason)
        };
        let make = || Worked {
            target: address,
            work: Arc::new(Work {
                surface: surface.to_owned(),
                model_asked: asked.to_owned(),
                provider: provider(walk, target),
                model: model.to_owned(),
                route_reason: cut(&reason).to_owned(),
                region: String::new(),
                status,
                fault: fault.to_owned(),
                attempts,
                cache_hit: false,
            }),
        };
        // The reason may hold a figure of the request; names of one length seldom differ but at an end.
        let key = (address, ends(asked), ends(&reason), status, attempts);
        self.works.get(key, fits, |found| Arc::clone(&found.work), make)
    }

    /// Which scopes pay.
    pub(super) fn scopes(&self, exchange: &Exchange) -> Arc<[Arc<str>]> {
        let Some(caller) = exchange.caller().map(address) else { return Arc::default() };
        let drawn = Drawn(exchange);
        let fits = |found: &Scopes| {
            let others = found.scopes[found.path..].iter().map(|scope| &**scope);
            found.caller == caller && others.eq(exchange.drawn_scopes())
        };
        let make = || {
            let scopes: Arc<[Arc<str>]> =
                exchange.paying_scopes().into_iter().map(Into::into).collect();
            let path = scopes.len() - exchange.drawn_scopes().count();
            Scopes { caller, scopes, path }
        };
        self.scopes.get((caller, drawn), fits, |found| Arc::clone(&found.scopes), make)
    }

    /// A text that recurs.
    pub(super) fn text(&self, text: &str) -> Arc<str> {
        if text.is_empty() {
            return Arc::default();
        }
        let text = cut(text);
        self.texts.get(text, |found| **found == *text, Arc::clone, || text.into())
    }
}

/// The scopes of a request that are not on its caller's path.
struct Drawn<'a>(&'a Exchange);

impl Hash for Drawn<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.drawn_scopes().for_each(|scope| scope.hash(state));
    }
}

fn payer(caller: Option<&Caller>, labels: &Labels) -> Payer {
    let name = |of: fn(&Caller) -> Option<&str>| caller.and_then(of).unwrap_or_default().to_owned();
    Payer {
        organisation: name(|caller| caller.organisation.as_deref()),
        team: name(|caller| caller.team.as_deref()),
        project: name(|caller| caller.project.as_deref()),
        agent: name(|caller| caller.agent.as_deref()),
        key: name(|caller| Some(&caller.key)),
        user: labels.user.to_string(),
        tags: labels
            .tags
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    }
}

fn provider(walk: &Walk, target: Option<&Target>) -> String {
    let policy = &walk.live.policy;
    target.map(|target| policy.providers[target.provider].name.to_string()).unwrap_or_default()
}

/// The length of a text and a few bytes of it: enough to tell most apart.
fn ends(text: &str) -> (usize, u64, u64) {
    let bytes = text.as_bytes();
    let first = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let last = bytes.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (bytes.len(), first, last)
}

fn address<T>(of: &T) -> Address {
    std::ptr::from_ref(of).addr()
}

/// As much of a text as the journal keeps: what is remembered has a bound.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
