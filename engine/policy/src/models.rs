//! Names that clients ask for, and the targets behind them.
//!
//! A name as written in the policy comes first, then `provider/model` where the provider offers it,
//! then names with `*`, the one that fixes most characters first.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{
    cache::PromptCache,
    caller::Caller,
    hedge::Bucket,
    pattern::Pattern,
    policy::{Provider, Target},
    rule::Rule,
};

/// How many models a rule may lead through, one after the other.
pub const LEADS_MAX: usize = 8;

/// Who owns the names of the policy in `GET /v1/models`.
pub const OWNER: &str = "faregate";

/// How the targets of a model share its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The first one that can answer.
    #[default]
    Order,
    /// By lot, as their weights say; the others follow when it fails.
    Weighted,
    /// The one whose answers begin soonest, requests under way counted in.
    Latency,
    /// The one with the fewest requests under way.
    Load,
    /// The one that costs least.
    Cost,
    /// The one where this turn and those to come cost least, with what caches have read of the conversation counted in.
    BreakEven,
}

impl Strategy {
    /// The word for it in the policy and in reasons.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Weighted => "weighted",
            Self::Latency => "latency",
            Self::Load => "load",
            Self::Cost => "cost",
            Self::BreakEven => "break-even",
        }
    }
}

/// Who is drawn the same target every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// The client's own user.
    User,
    /// The client's session.
    Session,
    /// The caller's key.
    Key,
}

/// A name of the policy.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name; it may hold `*`.
    pub name: Box<str>,
    /// How its targets share the requests.
    pub strategy: Strategy,
    /// Indices into [`Policy::targets`](crate::Policy::targets), in the order of the file. Empty only where there are
    /// branches.
    pub targets: Vec<usize>,
    /// Who is drawn the same target every time.
    pub sticky: Option<Sticky>,
    /// What a second until an answer begins is worth, in pico-dollars.
    pub second: u64,
    /// Whether a request for it may name another model in its head, and say how hard it is.
    pub allow_override: bool,
    /// Rules that lead to other models. Empty where there are targets; the last one holds always.
    pub branches: Vec<Branch>,
    /// What is done about prompt caches; `None`: what each provider says.
    pub cache: Option<PromptCache>,
    /// Models to go on with where none of its targets answers.
    pub fallbacks: Vec<Box<str>>,
    /// The model to go on with where the input is longer than this one's window.
    pub on_context_window: Option<Box<str>>,
    /// The model to go on with where a provider does not allow the content.
    pub on_content_policy: Option<Box<str>>,
    /// Second attempts in a hundred requests, for answers that are late.
    pub hedge_percent: u64,
    /// Second attempts that it may make.
    pub hedges: Arc<Bucket>,
    /// Tokens of input that its targets take.
    pub context_tokens: Option<u64>,
}

impl Model {
    /// Every model that it leads to, by rules and as fallbacks.
    pub fn leads_to(&self) -> impl Iterator<Item = &str> {
        let rules = self.branches.iter().map(|branch| &*branch.to);
        let named = self.fallbacks.iter().chain(&self.on_context_window);
        rules.chain(named.chain(&self.on_content_policy).map(|name| &**name))
    }
}

/// A rule of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// When it holds; `None`: always.
    pub when: Option<Rule>,
    /// The model that it leads to.
    pub to: Box<str>,
}

/// What a requested name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved<'p, 'a> {
    /// The policy's name for it; empty for `provider/model`.
    pub name: &'p str,
    /// How its targets share the requests.
    pub strategy: Strategy,
    /// Indices into [`Policy::targets`](crate::Policy::targets). Empty where the model has rules instead.
    pub targets: &'p [usize],
    /// Where it stands in [`Models::list`]; `None` for `provider/model`.
    pub index: Option<usize>,
    /// What `*` in a target's model stands for.
    pub asked: &'a str,
}

/// All names of a policy.
#[derive(Clone, Debug, Default)]
pub struct Models {
    list: Vec<Model>,
    names: HashMap<Box<str>, usize>,
    patterns: Vec<(Pattern, usize)>,
    direct: HashMap<Box<str>, Direct>,
    /// `[0, 1, 2, …]`: a slice of it is a list of one target.
    targets: Vec<usize>,
    offered: Vec<(Box<str>, Box<str>)>,
    /// Of each model the dearest target that it can lead to.
    dearest: Vec<Option<usize>>,
}

/// What `provider/…` means.
#[derive(Clone, Debug)]
struct Direct {
    offers: Vec<Pattern>,
    /// The target that takes any model.
    any: usize,
    /// Targets of the policy with a fixed model.
    named: HashMap<Box<str>, usize>,
}

impl Models {
    /// Adds a name of the policy.
    pub(crate) fn add(&mut self, model: Model) {
        if model.name.contains('*') {
            self.patterns.push((Pattern::new(&model.name), self.list.len()));
        } else {
            self.names.insert(model.name.clone(), self.list.len());
            self.offered.push((model.name.clone(), OWNER.into()));
        }
        self.list.push(model);
    }

    /// Adds `provider/…`: `any` is the target that takes any model, `named` those with a fixed one.
    pub(crate) fn add_provider(
        &mut self,
        provider: &Provider,
        any: usize,
        named: HashMap<Box<str>, usize>,
    ) {
        for pattern in provider.models.iter().filter(|pattern| pattern.is_plain()) {
            let id = format!("{}/{pattern}", provider.name);
            if !self.names.contains_key(id.as_str()) {
                self.offered.push((id.into(), provider.name.clone()));
            }
        }
        let offers = provider.models.clone();
        self.direct.insert(provider.name.clone(), Direct { offers, any, named });
    }

    /// Gives the model at `index` its rules.
    pub(crate) fn branch(&mut self, index: usize, branches: Vec<Branch>) {
        self.list[index].branches = branches;
    }

    /// The models whose rules and fallbacks lead on and on: in a circle, or through more than [`LEADS_MAX`] models.
    pub(crate) fn endless(&self) -> Vec<usize> {
        let mut steps = vec![0_usize; self.list.len()];
        for _ in 0..=LEADS_MAX {
            for index in 0..self.list.len() {
                let to = self.list[index].leads_to().filter_map(|to| self.resolve(to)?.index);
                steps[index] = to.map(|next| steps[next] + 1).max().unwrap_or(0);
            }
        }
        (0..steps.len()).filter(|index| steps[*index] > LEADS_MAX).collect()
    }

    /// Puts the names with `*` in order, the one that fixes most characters first; `targets` is how
    /// many there are.
    pub(crate) fn finish(&mut self, targets: usize) {
        self.patterns.sort_by(|(a, _), (b, _)| {
            b.weight().cmp(&a.weight()).then_with(|| a.as_str().cmp(b.as_str()))
        });
        self.targets = (0..targets).collect();
    }

    /// Notes for each model the dearest target that it or its rules can lead to, by what a usual request costs there.
    pub(crate) fn find_dearest(&mut self, targets: &[Target]) {
        let dearest = |index| {
            let mut reached = Vec::new();
            self.reach(index, &mut Vec::new(), &mut reached);
            let priced = reached.into_iter().filter(|target| targets[*target].cost.is_some());
            priced.max_by_key(|target| targets[*target].cost)
        };
        self.dearest = (0..self.list.len()).map(dearest).collect();
    }

    /// The dearest target that a model can lead to, where one has a price.
    #[must_use]
    pub fn dearest(&self, index: usize) -> Option<usize> {
        self.dearest.get(index).copied().flatten()
    }

    fn reach(&self, index: usize, passed: &mut Vec<usize>, reached: &mut Vec<usize>) {
        if passed.contains(&index) {
            return;
        }
        passed.push(index);
        reached.extend(&self.list[index].targets);
        for branch in &self.list[index].branches {
            let Some(found) = self.resolve(&branch.to) else { continue };
            match found.index {
                Some(next) => self.reach(next, passed, reached),
                None => reached.extend(found.targets),
            }
        }
    }

    /// What `name` means; `None` when nothing answers to it.
    #[must_use]
    pub fn resolve<'a>(&self, name: &'a str) -> Option<Resolved<'_, 'a>> {
        if let Some(&index) = self.names.get(name) {
            return Some(self.resolved(index, name));
        }
        if let Some(found) = self.resolve_direct(name) {
            return Some(found);
        }
        let (_, index) = self.patterns.iter().find(|(pattern, _)| pattern.matches(name))?;
        Some(self.resolved(*index, name))
    }

    /// Whether a request for `name` may meet rules, or a lot that is tied to somebody. What nothing answers to may lead to
    /// a default model.
    #[must_use]
    pub fn may_branch(&self, name: &str) -> bool {
        let branches = |index: Option<usize>| {
            let model = index.map(|index| &self.list[index]);
            model.is_some_and(|model| !model.branches.is_empty() || model.sticky.is_some())
        };
        name == crate::exchange::DEFAULT
            || self.resolve(name).is_none_or(|found| branches(found.index))
    }

    /// The names that `caller` may use, each with its owner: those without `*`.
    pub fn offered<'p>(
        &'p self,
        caller: Option<&'p Caller>,
    ) -> impl Iterator<Item = (&'p str, &'p str)> {
        self.offered
            .iter()
            .map(|(id, owner)| (&**id, &**owner))
            .filter(move |(id, _)| caller.is_none_or(|caller| caller.may_use(id)))
    }

    /// The model with this name, as it is written in the policy.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Model> {
        let plain = self.names.get(name).map(|index| &self.list[*index]);
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.as_str() == name);
        plain.or_else(|| pattern().map(|(_, index)| &self.list[*index]))
    }

    /// Every name without `*`, whoever asks.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.offered.iter().map(|(id, _)| &**id)
    }

    /// All names of the policy, those with `*` included.
    #[must_use]
    pub fn list(&self) -> &[Model] {
        &self.list
    }

    fn resolved<'a>(&self, index: usize, asked: &'a str) -> Resolved<'_, 'a> {
        let model = &self.list[index];
        Resolved {
            name: &model.name,
            strategy: model.strategy,
            targets: &model.targets,
            index: Some(index),
            asked,
        }
    }

    fn resolve_direct<'a>(&self, name: &'a str) -> Option<Resolved<'_, 'a>> {
        let (provider, asked) = name.split_once('/')?;
        let direct = self.direct.get(provider)?;
        if asked.is_empty() || !direct.offers.iter().any(|pattern| pattern.matches(asked)) {
            return None;
        }
        let target = direct.named.get(asked).copied().unwrap_or(direct.any);
        Some(Resolved {
            name: "",
            strategy: Strategy::Order,
            targets: &self.targets[target..=target],
            index: None,
            asked,
        })
    }
}
