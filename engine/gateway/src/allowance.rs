//! What scopes may still use, as JSON: for operators of all, for a caller of its own.
//!
//! In: a policy and the present. Out: the scopes' budgets and rates, with what is spent, held and left of them.

use faregate_policy::{
    Caller, Nanos, Policy, Wall,
    attribution::Labels,
    budget::{Budget, Unit},
    policy::{Limit, LimitKind, Scope},
};
use faregate_wire::JsonWriter;

use crate::log::write_number;

/// Where a caller asks what it may still use.
pub(crate) const ME_PATH: &str = "/v1/faregate/me";

/// Users, sessions and tags that are listed; others are counted.
const LISTED_MAX: usize = 10_000;

/// When it is looked at, and by which policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// The time of day.
    pub(crate) wall: Wall,
    /// The same on the monotonic clock.
    pub(crate) now: Nanos,
    /// The policy's generation.
    pub(crate) generation: u64,
    /// What shared budgets of money may be exceeded by while their store cannot be asked.
    pub(crate) overdraft: u64,
}

/// What shared budgets may be exceeded by, by the policy.
pub(crate) fn overdraft(policy: &Policy) -> u64 {
    let store = policy.budget_store.as_ref();
    store.and_then(|store| store.overdraft).map_or(0, |(amount, _)| amount)
}

/// Writes all scopes that have limits; `trouble`: why nothing may be spent, if nothing may.
pub(crate) fn write_all(out: &mut Vec<u8>, policy: &Policy, trouble: Option<&str>, at: At) {
    let mut json = JsonWriter::new(out);
    begin(&mut json, "faregate.budgets", at);
    json.name("trouble");
    match trouble {
        Some(trouble) => json.str(trouble),
        None => json.null(),
    };
    json.name("scopes").array();
    policy.scopes.iter().for_each(|scope| write_scope(&mut json, scope, at));
    let drawn = policy.crowd.all();
    for scope in drawn.iter().take(LISTED_MAX) {
        write_drawn(&mut json, (&scope.name, &scope.budgets), at);
    }
    json.end();
    json.member_u64("unlisted", drawn.len().saturating_sub(LISTED_MAX) as u64);
    json.end();
}

/// Writes who the caller is, and the scopes that have limits: on its path, from the organisation down to the key, then models that
/// it may use, then those that a request with these labels would draw on.
pub(crate) fn write_me(
    out: &mut Vec<u8>,
    policy: &Policy,
    (caller, labels): (&Caller, &Labels),
    at: At,
) {
    let mut json = JsonWriter::new(out);
    begin(&mut json, "faregate.me", at);
    json.name("caller").object().member_str("key", &caller.key);
    let levels = [
        ("agent", &caller.agent),
        ("project", &caller.project),
        ("team", &caller.team),
        ("organisation", &caller.organisation),
    ];
    for (level, name) in levels {
        json.name(level);
        match name {
            Some(name) => json.str(name),
            None => json.null(),
        };
    }
    json.end().name("scopes").array();
    let scopes = caller.scopes.iter().filter_map(|index| policy.scopes.get(*index));
    scopes.for_each(|scope| write_scope(&mut json, scope, at));
    let mut models: Vec<_> =
        policy.crowd.models().filter(|(name, _)| caller.may_use(name)).collect();
    models.sort_unstable();
    let models = models.into_iter().filter_map(|(_, index)| policy.scopes.get(index));
    models.for_each(|scope| write_scope(&mut json, scope, at));
    for scope in policy.crowd.look(labels) {
        write_drawn(&mut json, (&scope.name, &scope.budgets), at);
    }
    json.end().end();
}

/// A scope that has budgets alone.
fn write_drawn(json: &mut JsonWriter<'_>, (name, budgets): (&str, &[Budget]), at: At) {
    json.object().member_str("scope", name).name("budgets").array();
    budgets.iter().for_each(|budget| write_budget(json, budget, at));
    json.end().name("rates").array().end().end();
}

fn begin(json: &mut JsonWriter<'_>, object: &str, at: At) {
    json.object().member_str("object", object);
    json.member_u64("generation", at.generation);
    json.member_str("time", &at.wall.to_string());
}

fn write_scope(json: &mut JsonWriter<'_>, scope: &Scope, at: At) {
    json.object().member_str("scope", &scope.name).name("budgets").array();
    scope.budgets.iter().for_each(|budget| write_budget(json, budget, at));
    json.end().name("rates").array();
    scope.limits.iter().for_each(|limit| write_rate(json, limit, at));
    json.end().end();
}

/// The names of the members are those of a refusal.
pub(crate) fn write_budget(json: &mut JsonWriter<'_>, budget: &Budget, at: At) {
    let level = budget.level(at.wall);
    json.object().member_str("limit", &budget.text);
    json.member_str("unit", unit_of(budget.unit)).member_str("period", budget.period.as_str());
    json.member_u64("limit_units", level.limit);
    json.member_u64("spent", level.spent).member_u64("held", level.held);
    json.member_u64("left", level.left()).member_u64("percent", level.percent());
    json.name("window").object();
    let is_always = level.resets().is_none();
    let start = (!is_always).then(|| level.window.start.to_string());
    text_or_null(json, "start", start.as_deref());
    text_or_null(json, "end", level.resets().map(|end| end.to_string()).as_deref());
    json.member_str("zone", budget.calendar.zone()).end().name("resets_in_ms");
    match level.resets() {
        Some(end) => json.u64(millis(at.wall.until(end))),
        None => json.null(),
    };
    json.member_bool("soft", budget.is_soft).name("raise");
    match budget.raise.filter(|raise| raise.until > at.wall) {
        Some(raise) => {
            json.object().member_u64("to_units", raise.to);
            json.member_str("until", &raise.until.to_string()).end()
        }
        None => json.null(),
    };
    json.name("warn_at").array();
    for share in &budget.warn_at {
        json.u64(*share);
    }
    json.end().member_u64("overrun", level.overrun).name("overshoot_bound");
    match budget.is_soft {
        // It never refuses: nothing bounds it.
        true => json.null(),
        false if budget.fund.is_shared() => json.u64(at.overdraft),
        false => json.u64(0),
    };
    json.name("shared");
    match budget.fund.is_shared() {
        true => {
            let leased = budget.fund.leased(at.wall, &budget.calendar);
            json.object()
                .member_u64("leased_here", leased)
                .member_u64("elsewhere", level.elsewhere)
                .end()
        }
        false => json.null(),
    };
    json.end();
}

fn write_rate(json: &mut JsonWriter<'_>, limit: &Limit, at: At) {
    let level = limit.pool.level(at.now);
    json.object().member_str("limit", &limit.text).member_str("unit", limit.kind.as_str());
    json.member_u64("limit_units", level.amount).member_u64("left", level.left);
    if limit.kind != LimitKind::Concurrent {
        json.member_u64("period_ms", millis(limit.period));
        json.member_u64("full_in_ms", millis(level.full_in));
    }
    json.end();
}

/// Budgets that are warned of in one answer.
const WARNINGS_MAX: usize = 4;

/// Writes a field for each budget to warn of: `x-faregate-budget-warning: team/search $500/month 83%`.
pub(crate) fn write_warnings<'a>(
    out: &mut Vec<u8>,
    warnings: impl Iterator<Item = (&'a str, &'a Budget, u64)>,
) {
    for (scope, budget, percent) in warnings.take(WARNINGS_MAX) {
        out.extend_from_slice(b"x-faregate-budget-warning: ");
        let text = [scope, " ", &budget.text].into_iter().flat_map(str::bytes);
        out.extend(text.map(|b| if matches!(b, b' '..=b'~') { b } else { b'?' }));
        out.push(b' ');
        write_number(out, percent);
        out.extend_from_slice(b"%\r\n");
    }
}

/// The unit of numbers that are told.
pub(crate) fn unit_of(unit: Unit) -> &'static str {
    match unit {
        Unit::Money => "nanousd",
        Unit::Tokens => "tokens",
        Unit::Requests => "requests",
    }
}

fn text_or_null(json: &mut JsonWriter<'_>, name: &str, text: Option<&str>) {
    json.name(name);
    match text {
        Some(text) => json.str(text),
        None => json.null(),
    };
}

/// Whole milliseconds, rounded up.
fn millis(wait: std::time::Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
