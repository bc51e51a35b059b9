//! Budgets and books among the metrics.
//!
//! In: the policy in force, the way to the books. Out: numbers that are read at each scrape.

use std::sync::atomic::{AtomicU64, Ordering};

use faregate_policy::{
    Policy, Wall,
    budget::{Budget, Level},
    metric::{self, Metric},
};

use crate::{
    allowance,
    books::Books,
    metrics::{Escaped, Gauge},
};

/// Budgets that have numbers: the broadest scopes first. A policy may have one for each of many keys.
const BUDGETS_MAX: usize = 500;

/// The numbers of the budgets of a policy.
pub(super) fn budgets(policy: &Policy, now: Wall) -> Vec<Gauge> {
    let all = policy.budgets().count();
    if all == 0 {
        return Vec::new();
    }
    let listed = || policy.budgets().take(BUDGETS_MAX);
    let levels: Vec<_> =
        listed().map(|(scope, budget)| (labels(scope, budget), budget.level(now))).collect();
    let of = |metric: &'static Metric, read: fn(&Level) -> u64| {
        let values = levels.iter().map(|(labels, level)| (labels.clone(), read(level)));
        gauge(metric, values.collect())
    };
    vec![
        of(&metric::BUDGET_LIMIT, |level| level.limit),
        of(&metric::BUDGET_SPENT, |level| level.spent),
        of(&metric::BUDGET_HELD, |level| level.held),
        of(&metric::BUDGET_OVERRUN, |level| level.overrun),
        one(&metric::BUDGETS_UNLISTED, all.saturating_sub(BUDGETS_MAX) as u64),
    ]
}

/// The numbers of the store that budgets are leased from.
pub(super) fn lending(books: &Books) -> Vec<Gauge> {
    if !books.lends() {
        return Vec::new();
    }
    let lending = &books.lending;
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    vec![
        one(&metric::BUDGET_STORE_UP, u64::from(lending.trouble().is_none())),
        one(&metric::BUDGET_STORE_FAILURES, read(&lending.failures)),
        one(&metric::BUDGET_STORE_ANSWERS, read(&lending.answers)),
        one(&metric::BUDGET_RECALLS, read(&lending.recalls)),
        one(&metric::BUDGET_REFUSALS, read(&lending.refusals)),
        one(&metric::BUDGET_STORE_GENERATION, read(&lending.generation)),
    ]
}

/// The numbers of the books.
pub(super) fn journal(books: &Books) -> Vec<Gauge> {
    vec![
        one(&metric::JOURNAL_WRITES, u64::from(books.trouble().is_none())),
        one(&metric::JOURNAL_ROWS_WAITING, books.waiting()),
        one(&metric::JOURNAL_ROWS_LOST, books.lost()),
    ]
}

fn labels(scope: &str, budget: &Budget) -> String {
    format!(
        "{{scope=\"{}\",limit=\"{}\",unit=\"{}\",period=\"{}\"}}",
        Escaped(scope),
        Escaped(&budget.text),
        allowance::unit_of(budget.unit),
        budget.period.as_str()
    )
}

fn one(metric: &'static Metric, value: u64) -> Gauge {
    gauge(metric, vec![(String::new(), value)])
}

fn gauge(metric: &'static Metric, values: Vec<(String, u64)>) -> Gauge {
    Gauge { name: metric.name, kind: metric.kind.as_str(), help: metric.help, values }
}
