//! Scopes and their limits, and the pools that outlive a reload.

use std::{sync::Arc, time::Duration};

use hashbrown::HashMap;

use super::{Reader, section::Section};
use crate::{
    caller::ScopeIndex,
    pattern::Pattern,
    policy::{Limit, LimitKind, Policy, Scope},
    rate::Pool,
    time::nanos,
    units,
};

/// What makes two limits the same one: how much of it is used survives a change of its amount.
type Identity<'p> = (&'p str, LimitKind, Duration);

/// The scopes of a policy while it is read.
pub(super) struct Scopes<'p> {
    list: Vec<Scope>,
    cores: usize,
    before: HashMap<Identity<'p>, &'p Arc<Pool>>,
}

impl<'p> Scopes<'p> {
    pub(super) fn new(cores: usize, previous: Option<&'p Policy>) -> Self {
        let scopes = previous.map_or(&[][..], |policy| &policy.scopes);
        let before = scopes.iter().flat_map(|scope| {
            let same = |limit: &'p Limit| ((&*scope.name, limit.kind, limit.period), &limit.pool);
            scope.limits.iter().map(same)
        });
        Self { list: Vec::new(), cores, before: before.collect() }
    }

    /// Reads `limits` of a section; `None` when it has none.
    pub(super) fn read(
        &mut self,
        reader: &Reader<'_>,
        section: &Section<'_, '_>,
        name: &str,
    ) -> Option<ScopeIndex> {
        let mut limits: Vec<Limit> = Vec::new();
        for word in section.texts("limits")? {
            let amount = match units::limit(word.text) {
                Ok(amount) => amount,
                Err(error) => {
                    reader.wrong(&word.span, error.reason, error.help);
                    continue;
                }
            };
            let same = |limit: &&Limit| (limit.kind, limit.period) == (amount.kind, amount.period);
            if let Some(other) = limits.iter().find(same) {
                let reason = format!("`{}` limits the same as `{}`", word.text, other.text);
                reader.wrong(&word.span, reason, "keep the one that is meant");
                continue;
            }
            limits.push(Limit {
                kind: amount.kind,
                amount: amount.amount,
                period: amount.period,
                text: word.text.into(),
                pool: self.pool(name, amount),
            });
        }
        if limits.is_empty() {
            return None;
        }
        self.list.push(Scope { name: name.into(), limits, budgets: Vec::new() });
        Some(self.list.len() - 1)
    }

    pub(super) fn done(self) -> Vec<Scope> {
        self.list
    }

    fn pool(&self, scope: &str, amount: units::Amount) -> Arc<Pool> {
        match self.before.get(&(scope, amount.kind, amount.period)) {
            Some(pool) => Arc::clone(pool),
            None => {
                let period = nanos(amount.period);
                Arc::new(Pool::new(amount.kind, amount.amount, period, self.cores))
            }
        }
    }
}

/// Reads `models` of a section as permission; `None` when it allows everything.
pub(super) fn allowed(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    known: &dyn Fn(&str) -> Result<(), String>,
) -> Option<Vec<Pattern>> {
    let words = section.texts("models")?;
    if words.is_empty()
        && let Some(span) = section.given("models")
    {
        let help = "leave it out to allow all that the level above allows; disabled = true shuts a \
            key out";
        reader.wrong(&span, "an empty list allows no model", help);
    }
    for word in &words {
        if word.text.is_empty() || word.text.contains(char::is_whitespace) {
            reader.wrong(&word.span, format!("`{}` is no name of a model", word.text), "");
        } else if !word.text.contains('*')
            && let Err(help) = known(word.text)
        {
            let reason = format!("nothing answers to model `{}`", word.text);
            reader.clash(&word.span, reason, help);
        }
    }
    Some(words.iter().map(|word| Pattern::new(word.text)).collect())
}
