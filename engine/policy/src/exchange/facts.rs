//! What rules are told of a request, and whom a draw is tied to.

use std::cell::OnceCell;

use faregate_adapters::shape::Shape;

use crate::{
    Caller, Nanos, Policy, Wall,
    affinity::{Homes, Seen as Known},
    budget::Budget,
    health::Health,
    models::{Model, Sticky},
    route::Difficulty,
    rule::{Facts, FlagField, NumberField, TextField},
};

use super::Wanted;

/// What the client says of its request that routes may depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asks<'a> {
    /// What is called: `chat_completions`, `messages`, …
    pub surface: &'a str,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// Tokens that the input has, about.
    pub input_tokens: u64,
    /// The body's shape; `None` where the policy does not need it, or there is none.
    pub shape: Option<&'a Shape<'a>>,
    /// The fields of [`Watch::headers`](crate::rule::Watch::headers), in that order; empty where one is missing.
    pub headers: &'a [Box<str>],
    /// The tags of [`Watch::tags`](crate::rule::Watch::tags), in that order; empty where one is missing.
    pub tags: &'a [Box<str>],
    /// What the head calls the conversation.
    pub session: Option<&'a str>,
    /// The model that is asked for in `x-faregate-model`.
    pub instead: Option<&'a str>,
    /// How hard the client says it is, in `x-faregate-difficulty`.
    pub difficulty: Option<f64>,
    /// The share of the prompt that a target still holds, from 0 to 1.
    pub warm: f64,
    /// Where conversations have been answered, and what is known of this one; `None` where the policy does not need it.
    pub homes: Option<(&'a Homes, &'a Known)>,
    /// The present, in nanoseconds since 1970 UTC.
    pub wall_nanos: u64,
}

impl<'a> Asks<'a> {
    /// Who the client says its user is.
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        self.shape.and_then(|shape| shape.user)
    }

    /// What the client calls the conversation, in the head or in the body.
    #[must_use]
    pub fn session(&self) -> Option<&'a str> {
        self.session.or(self.shape.and_then(|shape| shape.session))
    }
}

/// A request as rules see it.
pub(super) struct Seen<'a> {
    pub(super) policy: &'a Policy,
    pub(super) caller: Option<&'a Caller>,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) now: Nanos,
    /// What the client says counts, and is not only a hint.
    pub(super) hears_difficulty: bool,
    pub(super) difficulty: OnceCell<Difficulty>,
}

impl Seen<'_> {
    fn difficulty(&self) -> Difficulty {
        let asks = &self.wanted.asks;
        *self.difficulty.get_or_init(|| match asks.difficulty.filter(|_| self.hears_difficulty) {
            Some(told) => Difficulty::told(told),
            None => {
                let weights = &self.policy.difficulty;
                Difficulty::by(asks.shape.unwrap_or(&Shape::default()), weights)
            }
        })
    }

    /// The share that is left of the tightest budget that the request draws on, from 0 to 1. What requests hold is not left.
    fn budget_left(&self) -> f64 {
        let Some(caller) = self.caller else { return 1.0 };
        let wall = Wall(self.wanted.asks.wall_nanos);
        let crowd = &self.policy.crowd;
        let model = self.wanted.model.and_then(|model| crowd.models.get(model));
        let scopes = caller.scopes.iter().chain(model);
        let listed = scopes.filter_map(|index| self.policy.scopes.get(*index));
        let share = |budget: &Budget| {
            let level = budget.level(wall);
            float(level.left()) / float(level.limit.max(1))
        };
        let listed = listed.flat_map(|scope| &scope.budgets).map(share).fold(1.0, f64::min);
        let drawn = self.wanted.labels.map(|labels| crowd.look(labels)).unwrap_or_default();
        drawn.iter().flat_map(|scope| &scope.budgets).map(share).fold(listed, f64::min)
    }

    /// What draws of this model are tied to, where they are and the client says who it is.
    pub(super) fn sticks(&self, model: &Model) -> Option<u64> {
        let asks = &self.wanted.asks;
        let caller = self.caller;
        let who = match model.sticky? {
            Sticky::User => asks.user()?,
            Sticky::Session => asks.session()?,
            Sticky::Key => &caller?.key,
        };
        let team = caller.and_then(|caller| caller.team.as_deref()).unwrap_or_default();
        Some(number(&[&model.name, team, who]))
    }
}

impl Facts for Seen<'_> {
    fn flag(&self, field: FlagField) -> bool {
        let asks = &self.wanted.asks;
        match field {
            FlagField::Tools => asks.shape.is_some_and(|shape| shape.tools > 0),
            FlagField::Stream => asks.stream,
        }
    }

    fn number(&self, field: NumberField) -> f64 {
        let asks = &self.wanted.asks;
        let count =
            |of: fn(&Shape<'_>) -> u32| asks.shape.map_or(0.0, |shape| f64::from(of(shape)));
        match field {
            NumberField::InputTokens => float(asks.input_tokens),
            NumberField::MaxTokens => float(self.wanted.output_tokens_max.unwrap_or(0)),
            NumberField::Turns => count(|shape| shape.turns),
            NumberField::ToolCount => count(|shape| shape.tools),
            NumberField::Images => count(|shape| shape.images),
            NumberField::Difficulty => self.difficulty().value,
            NumberField::BudgetLeft => self.budget_left(),
            NumberField::Warm => asks.warm,
        }
    }

    fn text(&self, field: TextField) -> &str {
        let asks = &self.wanted.asks;
        let of = |part: fn(&Caller) -> Option<&str>| self.caller.and_then(part).unwrap_or_default();
        match field {
            TextField::Team => of(|caller| caller.team.as_deref()),
            TextField::Project => of(|caller| caller.project.as_deref()),
            TextField::Agent => of(|caller| caller.agent.as_deref()),
            TextField::Key => of(|caller| Some(&caller.key)),
            TextField::Organisation => of(|caller| caller.organisation.as_deref()),
            TextField::Model => self.wanted.model.unwrap_or_default(),
            TextField::Surface => asks.surface,
            TextField::Reasoning => {
                asks.shape.and_then(|shape| shape.effort).map_or("", |effort| effort.as_str())
            }
            TextField::User => asks.user().unwrap_or_default(),
        }
    }

    fn header(&self, index: usize) -> &str {
        self.wanted.asks.headers.get(index).map_or("", |value| value)
    }

    fn tag(&self, index: usize) -> &str {
        self.wanted.asks.tags.get(index).map_or("", |value| value)
    }

    fn healthy(&self, target: usize) -> bool {
        let target = self.policy.targets.get(target);
        target.is_some_and(|target| {
            matches!(target.breaker.health(self.now), Health::Closed | Health::HalfOpen)
        })
    }

    fn wall_nanos(&self) -> u64 {
        self.wanted.asks.wall_nanos
    }
}

/// Counts above 2^53 need not be exact here.
#[expect(clippy::cast_precision_loss, reason = "compared with numbers that people write")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The same number for the same texts, in every process: FNV-1a, spread by the finish of `MurmurHash3`.
fn number(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for text in texts {
        // A byte that no text holds stands between them.
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_texts_are_spread_and_stay() {
        assert_eq!(number(&["m", "", "u"]), number(&["m", "", "u"]));
        assert_ne!(number(&["m", "a", "b"]), number(&["m", "ab", ""]));
        let upper = (0..1000).filter(|n| number(&["m", "", &n.to_string()]) >> 63 == 1).count();
        assert!((400..600).contains(&upper), "{upper} of 1000");
    }
}
