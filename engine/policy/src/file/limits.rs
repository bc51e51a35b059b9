//! Scopes and their limits, and the pools that outlive a reload.

use std::{sync::Arc, time::Duration};

use hashbrown::HashMap;

use super::{
    Reader, Word, budgets,
    section::{Entry, Section},
};
use crate::{
    budget::{Budget, Calendar, Fund, Period, Unit},
    caller::ScopeIndex,
    pattern::Pattern,
    policy::{Limit, LimitKind, Policy, Scope},
    rate::Pool,
    time::nanos,
    units::{self, Sum, Written},
};

/// What makes two limits the same one: how much of it is used survives a change of its amount.
type Identity<'p> = (&'p str, LimitKind, Duration);

/// What makes two budgets the same one.
type BudgetIdentity<'p> = (&'p str, Unit, Period);

/// The scopes of a policy while it is read.
pub(super) struct Scopes<'p> {
    list: Vec<Scope>,
    cores: usize,
    calendar: Arc<Calendar>,
    pools: HashMap<Identity<'p>, &'p Arc<Pool>>,
    funds: HashMap<BudgetIdentity<'p>, &'p Arc<Fund>>,
}

impl<'p> Scopes<'p> {
    pub(super) fn new(cores: usize, calendar: Calendar, previous: Option<&'p Policy>) -> Self {
        let scopes = previous.map_or(&[][..], |policy| &policy.scopes);
        let pools = scopes.iter().flat_map(|scope| {
            let same = |limit: &'p Limit| ((&*scope.name, limit.kind, limit.period), &limit.pool);
            scope.limits.iter().map(same)
        });
        let funds = scopes.iter().flat_map(|scope| {
            let same =
                |budget: &'p Budget| ((&*scope.name, budget.unit, budget.period), &budget.fund);
            scope.budgets.iter().map(same)
        });
        Self {
            list: Vec::new(),
            cores,
            calendar: Arc::new(calendar),
            pools: pools.collect(),
            funds: funds.collect(),
        }
    }

    /// Reads `limits` of a section; `None` when it has none.
    pub(super) fn read(
        &mut self,
        reader: &Reader<'_>,
        section: &Section<'_, '_>,
        name: &str,
    ) -> Option<ScopeIndex> {
        let scope = self.scope(reader, section, name, true)?;
        self.list.push(scope);
        Some(self.list.len() - 1)
    }

    /// The same for a scope that has budgets alone.
    pub(super) fn read_budgets(
        &mut self,
        reader: &Reader<'_>,
        section: &Section<'_, '_>,
        name: &str,
    ) -> Option<ScopeIndex> {
        let scope = self.budgets(reader, section, name)?;
        self.list.push(scope);
        Some(self.list.len() - 1)
    }

    /// The same for a scope that is none of the list.
    pub(super) fn budgets(
        &self,
        reader: &Reader<'_>,
        section: &Section<'_, '_>,
        name: &str,
    ) -> Option<Scope> {
        self.scope(reader, section, name, false)
    }

    /// Cores that share limits.
    pub(super) fn cores(&self) -> usize {
        self.cores
    }

    fn scope(
        &self,
        reader: &Reader<'_>,
        section: &Section<'_, '_>,
        name: &str,
        takes_rates: bool,
    ) -> Option<Scope> {
        let mut scope = Scope { name: name.into(), limits: Vec::new(), budgets: Vec::new() };
        for entry in section.limits("limits")? {
            let (word, table) = match entry {
                Entry::Text(word) => (word, None),
                Entry::Table(table) => match table.text("limit") {
                    Some(word) => (word, Some(table)),
                    None => {
                        if table.given("limit").is_none() {
                            table.missing("limit");
                        }
                        continue;
                    }
                },
            };
            let by_calendar = !takes_rates
                || table.as_ref().is_some_and(|table| table.flag("calendar") == Some(true));
            match units::limit(word.text)
                .map(|limit| if by_calendar { of_calendar(limit) } else { limit })
            {
                Ok(Written::Rate(_)) if !takes_rates => no_rate(reader, &word),
                Ok(Written::Rate(amount)) => self.limit(reader, &mut scope, &word, amount, table),
                Ok(Written::Budget(sum)) => self.budget(reader, &mut scope, &word, sum, table),
                Err(error) => reader.wrong(&word.span, error.reason, error.help),
            }
        }
        if scope.limits.is_empty() && scope.budgets.is_empty() {
            return None;
        }
        Some(scope)
    }

    pub(super) fn done(self) -> Vec<Scope> {
        self.list
    }

    fn limit(
        &self,
        reader: &Reader<'_>,
        scope: &mut Scope,
        word: &Word<'_>,
        amount: units::Amount,
        table: Option<Section<'_, '_>>,
    ) {
        let (kind, period) = (amount.kind, amount.period);
        let same = |limit: &&Limit| (limit.kind, limit.period) == (kind, period);
        if let Some(other) = scope.limits.iter().find(same) {
            return twice(reader, word, &other.text);
        }
        table.iter().for_each(|table| budgets::refuse_terms(reader, table, word));
        let pool = match self.pools.get(&(&*scope.name, kind, period)) {
            Some(pool) => Arc::clone(pool),
            None => Arc::new(Pool::new(kind, amount.amount, nanos(period), self.cores)),
        };
        let text = word.text.into();
        scope.limits.push(Limit { kind, amount: amount.amount, period, text, pool });
    }

    fn budget(
        &self,
        reader: &Reader<'_>,
        scope: &mut Scope,
        word: &Word<'_>,
        sum: Sum,
        table: Option<Section<'_, '_>>,
    ) {
        let Sum { unit, amount: limit, period } = sum;
        let same = |budget: &&Budget| (budget.unit, budget.period) == (unit, period);
        if let Some(other) = scope.budgets.iter().find(same) {
            return twice(reader, word, &other.text);
        }
        let fund = match self.funds.get(&(&*scope.name, unit, period)) {
            Some(fund) => Arc::clone(fund),
            None => Arc::new(Fund::new(period, limit, self.cores, false)),
        };
        let calendar = Arc::clone(&self.calendar);
        let text = word.text.into();
        let (raise, is_soft, warn_at) = (None, false, Vec::new());
        let mut budget =
            Budget { unit, period, calendar, limit, raise, is_soft, warn_at, text, fund };
        if let Some(table) = table {
            budgets::terms(reader, &table, &mut budget);
        }
        scope.budgets.push(budget);
    }
}

/// What is written as a rate by the hour or the day, as a budget by the calendar.
fn of_calendar(written: Written) -> Written {
    let Written::Rate(rate) = &written else { return written };
    let unit = match rate.kind {
        LimitKind::Requests => Unit::Requests,
        LimitKind::Tokens => Unit::Tokens,
        LimitKind::Concurrent => return written,
    };
    let period = match rate.period.as_secs() {
        3_600 => Period::Hour,
        86_400 => Period::Day,
        _ => return written,
    };
    Written::Budget(Sum { unit, amount: rate.amount, period })
}

fn no_rate(reader: &Reader<'_>, word: &Word<'_>) {
    let reason = format!(
        "`{}` is no budget, and users, sessions, tags, workloads and models have budgets alone",
        word.text
    );
    let help = "money, tokens or requests by hour, day, week, month, quarter or year, or totals: \"$5/day\", \
        \"1k requests/day\"; limit rates of keys, teams and agents";
    reader.wrong(&word.span, reason, help);
}

fn twice(reader: &Reader<'_>, word: &Word<'_>, other: &str) {
    let reason = format!("`{}` limits the same as `{other}`", word.text);
    reader.wrong(&word.span, reason, "keep the one that is meant");
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
