//! From the model that was asked for to the one that has targets: defaults, overrides, rules.

use std::{cell::OnceCell, fmt::Write};

use crate::{
    Policy,
    fault::{Fault, Refusal},
    models::{Branch, LEADS_MAX, Resolved},
    route::Difficulty,
};

use super::{
    Exchange, Left, Pin, Wanted,
    decide::{pinned, shown},
    facts::Seen,
};

/// The name that stands for the caller's default model.
pub const DEFAULT: &str = "default";

/// How a request came from the model that was asked for to the one that it is sent to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Way {
    /// Why the model is another one than the body says.
    pub instead: Option<Instead>,
    /// The rules that held, each of the model that the one before led to.
    pub turns: Vec<Turn>,
    /// How hard the request looks, where a rule has asked.
    pub difficulty: Option<Difficulty>,
    /// Models that could not answer, each a fallback of the one before.
    pub left: Vec<Left>,
}

/// Why the model is another one than the body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// It is the caller's default.
    Default,
    /// `x-faregate-model` names it.
    Override,
}

/// A rule that held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The model whose rule it is: index into [`Models::list`](crate::Models::list).
    pub model: usize,
    /// The rule: index into its branches.
    pub rule: usize,
}

impl Way {
    /// `default > `, `auto rule 1 > frontier (difficulty 0.82); `: what stands before the reason; empty for a model that
    /// was asked for and has targets.
    pub(super) fn text(&self, policy: &Policy, model: &str) -> String {
        let mut out = String::new();
        match self.instead {
            Some(Instead::Default) => out.push_str("default > "),
            Some(Instead::Override) => out.push_str("x-faregate-model > "),
            None if self.turns.is_empty() && self.left.is_empty() => return out,
            None => {}
        }
        for turn in &self.turns {
            let name = &policy.models.list()[turn.model].name;
            let _ = write!(out, "{name} rule {} > ", turn.rule + 1);
        }
        for Left { model, by } in &self.left {
            let _ = write!(out, "{model} {} > ", by.as_str());
        }
        out.push_str(model);
        if let Some(difficulty) = self.difficulty {
            let told = if difficulty.terms.is_none() { ", told" } else { "" };
            let _ = write!(out, " (difficulty {:.2}{told})", difficulty.value);
        }
        out.push_str("; ");
        out
    }
}

/// What a name has led to.
pub(super) struct Led<'a> {
    pub(super) found: Resolved<'a, 'a>,
    pub(super) way: Way,
    pub(super) stuck: Option<u64>,
    /// The model that was asked for, before rules: index into the models.
    pub(super) asked: Option<usize>,
}

impl Exchange {
    /// Where `model` leads to for this request; `None` when nothing answers to it.
    pub(super) fn lead<'a>(
        &self,
        policy: &'a Policy,
        model: &'a str,
        wanted: &'a Wanted<'a>,
    ) -> Result<Option<Led<'a>>, Refusal> {
        let caller = self.caller.map(|index| &policy.keys.callers[index]);
        let mut way = Way::default();
        let mut name = model;
        if let Some(default) = caller.and_then(|caller| caller.default_model.as_deref())
            && wanted.needs_model
            && name != default
            && (name == DEFAULT || policy.models.resolve(name).is_none())
        {
            name = default;
            way.instead = Some(Instead::Default);
        }
        self.allow(name)?;
        let Some(mut found) = policy.models.resolve(name) else { return Ok(None) };
        let allows = found.index.is_some_and(|index| policy.models.list()[index].allow_override);
        if let Some(instead) = wanted.asks.instead.filter(|instead| *instead != name) {
            if !allows {
                let message = format!(
                    "the policy does not let x-faregate-model take the place of {}; it would by \
                     allow_override = true",
                    shown(name)
                );
                return Err(
                    Refusal::new(Fault::OverrideForbidden, message).about("x-faregate-model")
                );
            }
            self.allow(instead)?;
            way.instead = Some(Instead::Override);
            match policy.models.resolve(instead) {
                Some(other) => found = other,
                None => {
                    let message = format!(
                        "no model {}, as x-faregate-model has it; GET /v1/models lists those that are served",
                        shown(instead)
                    );
                    return Err(
                        Refusal::new(Fault::ModelUnknown, message).about("x-faregate-model")
                    );
                }
            }
        }
        let seen = Seen {
            policy,
            caller,
            wanted,
            now: self.now,
            hears_difficulty: allows,
            difficulty: OnceCell::new(),
        };
        let asked = found.index;
        found = follow(&seen, found, &mut way)?;
        way.difficulty = seen.difficulty.get().copied();
        let stuck = found.index.and_then(|index| seen.sticks(&policy.models.list()[index]));
        Ok(Some(Led { found, way, stuck, asked }))
    }

    fn allow(&self, model: &str) -> Result<(), Refusal> {
        if self.caller().is_none_or(|caller| caller.may_use(model)) {
            return Ok(());
        }
        let message = format!("this key may not use the model {}", shown(model));
        Err(Refusal::new(Fault::ModelForbidden, message).about("model"))
    }

    /// How the request came to its model.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }
}

/// Follows rules to a model that has targets. A request that goes back to a stored response is led where that is, if a rule
/// leads there: by one that holds, else by the first.
fn follow<'a>(
    seen: &Seen<'a>,
    mut found: Resolved<'a, 'a>,
    way: &mut Way,
) -> Result<Resolved<'a, 'a>, Refusal> {
    for _ in 0..=LEADS_MAX {
        let Some(index) = found.index.filter(|_| found.targets.is_empty()) else {
            return Ok(found);
        };
        let branches = &seen.policy.models.list()[index].branches;
        let holds = |branch: &Branch| branch.when.as_ref().is_none_or(|rule| rule.holds(seen));
        let home = |branch: &Branch| {
            let pin = seen.wanted.pinned;
            pin.is_some_and(|pin| reaches(seen.policy, &branch.to, pin, &mut Vec::new()))
        };
        let first = |fits: &dyn Fn(&Branch) -> bool| branches.iter().position(fits);
        let rule = match seen.wanted.pinned {
            Some(_) => first(&|branch| holds(branch) && home(branch)).or_else(|| first(&home)),
            None => None,
        };
        let Some(rule) = rule.or_else(|| first(&holds)) else { break };
        way.turns.push(Turn { model: index, rule });
        match seen.policy.models.resolve(&branches[rule].to) {
            Some(next) => found = next,
            None => break,
        }
    }
    // What a policy with such a model would need was checked when it was read.
    Err(Refusal::new(Fault::Internal, "the rules of a model lead nowhere"))
}

/// Whether a model, or one that its rules lead to, has the response that is gone back to.
fn reaches(policy: &Policy, model: &str, pin: Pin<'_>, passed: &mut Vec<usize>) -> bool {
    let Some(found) = policy.models.resolve(model) else { return false };
    let Some(index) = found.index.filter(|_| found.targets.is_empty()) else {
        return !pinned(policy, found.targets, pin).is_empty();
    };
    if passed.contains(&index) {
        return false;
    }
    passed.push(index);
    let branches = &policy.models.list()[index].branches;
    branches.iter().any(|branch| reaches(policy, &branch.to, pin, passed))
}
