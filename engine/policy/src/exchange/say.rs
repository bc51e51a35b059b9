//! Refusals put into words: lowercase, naming the thing and the value, with the same as JSON members for programs.

use std::{fmt::Write, time::Duration};

use faregate_price::NanoUsd;

use crate::{
    Wall,
    budget::{Budget, Level, Unit},
    fault::{Fault, Refusal},
    policy::{Limit, LimitKind, Scope},
    rate::Empty,
};

/// A client is told to come again after a second when a slot may come free at any time.
const CONCURRENCY_RETRY: Duration = Duration::from_secs(1);

/// The refusal of a limit.
#[cold]
pub(super) fn limit(
    scope: &Scope,
    limit: &Limit,
    asked: u64,
    fault: Fault,
    empty: Empty,
) -> Refusal {
    let wait = match limit.kind {
        LimitKind::Concurrent => CONCURRENCY_RETRY,
        LimitKind::Requests | LimitKind::Tokens => empty.ready_in,
    };
    let (name, text) = (&scope.name, &limit.text);
    let message = match fault {
        Fault::RequestExceedsLimit => format!(
            "the request may need {asked} tokens, more than the limit of {name} ever allows at once: \
             {text}; a smaller max_tokens or prompt would fit"
        ),
        Fault::Concurrency => {
            format!("concurrency limit of {name} reached: {text}; try again in 1 s")
        }
        Fault::TokenRate => format!(
            "rate limit of {name} exhausted: {text}; asked {asked}, left {}; try again in {}",
            empty.available,
            seconds(wait)
        ),
        _ => format!("rate limit of {name} exhausted: {text}; try again in {}", seconds(wait)),
    };
    let mut refusal = Refusal::new(fault, message);
    let never = fault == Fault::RequestExceedsLimit;
    refusal.data = Some(members(scope, limit, asked, empty.available, (!never).then_some(wait)));
    refusal.retry_after = (!never).then_some(wait);
    refusal.should_retry = never.then_some(false);
    refusal
}

/// A budget that refused.
pub(super) struct Refused<'a> {
    /// The scope's name.
    pub(super) scope: &'a str,
    /// The budget.
    pub(super) budget: &'a Budget,
    /// Units that were asked of it.
    pub(super) asked: u64,
    /// What has become of it.
    pub(super) level: Level,
    /// Tokens of output that would fit.
    pub(super) output_fits: Option<u64>,
    /// Another model that would fit.
    pub(super) model_fits: Option<&'a str>,
}

/// The refusal of a budget that is leased from a store, while that cannot be asked and nothing leased is left.
#[cold]
pub(super) fn store_away(scope: &str, budget: &Budget) -> Refusal {
    let message = format!(
        "budget of {scope} is shared with other gateways, and the store that it is leased from cannot be asked: {}; what was \
         leased before is used up",
        budget.text
    );
    let mut refusal = Refusal::new(Fault::BudgetStoreAway, message);
    refusal.retry_after = Some(AWAY_RETRY);
    refusal
}

/// When a store that is away is worth another try.
const AWAY_RETRY: Duration = Duration::from_secs(2);

/// The refusal of a budget.
#[cold]
pub(super) fn budget(refused: &Refused<'_>, now: Wall) -> Refusal {
    let Refused { scope, budget, asked, level, output_fits, model_fits } = refused;
    let unit = budget.unit;
    let amount = |units: u64| match unit {
        Unit::Money => NanoUsd(units).to_string(),
        Unit::Tokens => format!("{units} tokens"),
        Unit::Requests => format!("{units} requests"),
    };
    let resets = level.resets().map(|at| now.until(at));
    let mut message = format!(
        "budget of {scope} does not suffice: {}; this request may take {}, left {} (spent {}, held by requests under way {})",
        budget.text,
        amount(*asked),
        amount(level.left()),
        amount(level.spent),
        amount(level.held),
    );
    if let Some(wait) = resets {
        let _ = write!(message, "; full again in {}", seconds(wait));
    }
    if let Some(fits) = output_fits {
        let _ = write!(message, "; a max_tokens of {fits} would fit");
    }
    if let Some(model) = model_fits {
        let _ = write!(message, "; the model {model} would fit");
    }
    let fault = if resets.is_some() { Fault::BudgetExceeded } else { Fault::BudgetSpent };
    let mut refusal = Refusal::new(fault, message);
    let mut out = String::with_capacity(256);
    out.push_str("\"limit\":");
    quote(&mut out, &budget.text);
    out.push_str(",\"scope\":");
    quote(&mut out, scope);
    let _ = write!(
        out,
        ",\"unit\":\"{}\",\"limit_units\":{},\"asked\":{asked},\"spent\":{},\"held\":{},\"left\":{}",
        match unit {
            Unit::Money => "nanousd",
            Unit::Tokens => "tokens",
            Unit::Requests => "requests",
        },
        level.limit,
        level.spent,
        level.held,
        level.left(),
    );
    if let Some(wait) = resets {
        let _ = write!(out, ",\"resets_in_ms\":{}", wait.as_nanos().div_ceil(1_000_000));
    }
    if let Some(fits) = output_fits {
        let _ = write!(out, ",\"max_tokens_that_fits\":{fits}");
    }
    if let Some(model) = model_fits {
        out.push_str(",\"model_that_fits\":");
        quote(&mut out, model);
    }
    refusal.data = Some(out);
    refusal.retry_after = resets;
    refusal.should_retry = Some(false);
    refusal
}

fn members(scope: &Scope, limit: &Limit, asked: u64, left: u64, wait: Option<Duration>) -> String {
    let mut out = String::with_capacity(128);
    out.push_str("\"limit\":");
    quote(&mut out, &limit.text);
    out.push_str(",\"scope\":");
    quote(&mut out, &scope.name);
    let _ = write!(out, ",\"asked\":{asked},\"left\":{left}");
    if let Some(wait) = wait {
        let _ = write!(out, ",\"resets_in_ms\":{}", wait.as_nanos().div_ceil(1_000_000));
    }
    out
}

/// Whole seconds, rounded up: `12 s`.
pub(super) fn seconds(wait: Duration) -> String {
    format!("{} s", wait.as_nanos().div_ceil(1_000_000_000).max(1))
}

/// A fault's help as the end of a sentence: without its full stop, and lowercase but for abbreviations.
pub(super) fn clause(fault: Fault) -> String {
    let help = fault.help().trim().trim_end_matches('.');
    let mut chars = help.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            format!("{}{}", first.to_lowercase(), chars.as_str())
        }
        _ => help.to_owned(),
    }
}

/// JSON string of a name in the policy.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_begins_lowercase_but_for_abbreviations() {
        assert_eq!(clause(Fault::TlsFailed), "TLS with the provider failed");
        assert_eq!(clause(Fault::ConnectFailed), "the provider accepts no connection");
        assert_eq!(clause(Fault::UpstreamCut), "the provider broke an answer off");
    }

    #[test]
    fn names_are_quoted_as_json() {
        let mut out = String::new();
        quote(&mut out, "a\"b\\c\nd");
        assert_eq!(out, r#""a\"b\\c\u000ad""#);
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(seconds(Duration::from_millis(11_001)), "12 s");
        assert_eq!(seconds(Duration::ZERO), "1 s");
    }
}
