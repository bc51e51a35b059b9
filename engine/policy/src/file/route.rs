//! The keys `models.*.route`: rules, and the models that they lead to.

use faregate_price::{Currencies, written};

use super::{
    Reader, Span, Word,
    providers::did_you_mean,
    section::{Entry, Section},
};
use crate::{
    models::{Branch, LEADS_MAX, Models, Resolved, Sticky, Strategy},
    policy::Target,
    route::{FEATURES, Weights},
    rule::{Known, Needs, Rule, Watch},
};

/// Rules of one model.
const RULES_MAX: usize = 64;

/// A model whose rules are read when all names are known.
pub(super) struct Pending<'r, 'd> {
    /// Index into the models.
    pub(super) model: usize,
    /// Its table.
    pub(super) section: Section<'r, 'd>,
}

/// Reads the rules of all models that have some. Out: what they look at.
pub(super) fn read(
    reader: &Reader<'_>,
    pending: &[Pending<'_, '_>],
    models: &mut Models,
    targets: &[Target],
) -> Watch {
    let names = targets.iter().map(|target| &*target.name).collect();
    let mut known = Known { targets: names, ..Known::default() };
    let mut needs = Needs::default();
    for Pending { model, section } in pending {
        let branches = branches(reader, section, models, &mut known);
        let of = |branch: &Branch| branch.when.as_ref().map(Rule::needs);
        needs = branches.iter().filter_map(of).fold(needs, Needs::or);
        models.branch(*model, branches);
        check_fallbacks(reader, section, models);
    }
    for index in models.endless() {
        let Some(Pending { section, .. }) = pending.iter().find(|it| it.model == index) else {
            continue;
        };
        let span = LEADING.iter().find_map(|key| section.given(key));
        let span = span.unwrap_or_else(|| section.span.clone());
        let reason =
            format!("the rules and fallbacks of {} lead on without an end", section.called());
        let help = format!("at most {LEADS_MAX} models, and none twice, to one that has targets");
        reader.clash(&span, reason, help);
    }
    let sticks = |sticky: Option<Sticky>| matches!(sticky, Some(Sticky::User | Sticky::Session));
    needs.shape |= models.list().iter().any(|model| sticks(model.sticky));
    needs.warm |= models.list().iter().any(|model| model.strategy == Strategy::BreakEven);
    Watch { headers: known.headers, tags: known.tags, needs }
}

/// Keys that lead to other models.
const LEADING: [&str; 4] = ["route", "fallbacks", "on_context_window", "on_content_policy"];

/// Models that stand in for one.
const FALLBACKS_MAX: usize = 8;

/// Whether a model leads to others.
pub(super) fn leads_on(section: &Section<'_, '_>) -> bool {
    LEADING.iter().any(|key| section.given(key).is_some())
}

/// Reads the models that stand in for one.
pub(super) fn fallbacks(section: &Section<'_, '_>) -> Vec<Box<str>> {
    let words = section.texts("fallbacks").unwrap_or_default();
    words.iter().map(|word| word.text.into()).collect()
}

fn check_fallbacks(reader: &Reader<'_>, section: &Section<'_, '_>, models: &Models) {
    let list = section.texts("fallbacks").unwrap_or_default();
    if list.len() > FALLBACKS_MAX
        && let Some(span) = section.given("fallbacks")
    {
        reader.wrong(&span, format!("a model has at most {FALLBACKS_MAX} fallbacks"), "");
    }
    let single = ["on_context_window", "on_content_policy"].map(|key| section.text(key));
    for to in list.iter().chain(single.iter().flatten()) {
        leads(reader, to, models);
        let has_rules = |found: Resolved<'_, '_>| found.targets.is_empty();
        if models.resolve(to.text).is_some_and(has_rules) {
            let reason = format!("model `{}` has rules, and a fallback has targets", to.text);
            reader.clash(&to.span, reason, "name one of the models that its rules lead to");
        }
    }
    if section.given("route").is_some()
        && let Some(span) = LEADING[1..].iter().find_map(|key| section.given(key))
    {
        let help = "give them to the models that the rules lead to";
        reader.clash(&span, "fallbacks are without effect on a model that has rules", help);
    }
    if section.given("context_tokens").is_some()
        && section.given("on_context_window").is_none()
        && let Some(span) = section.given("context_tokens")
    {
        let help = "add on_context_window = \"MODEL\", or take it out";
        reader.warn(Some(&span), "context_tokens is without effect alone", help);
    }
}

fn branches(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    models: &Models,
    known: &mut Known<'_>,
) -> Vec<Branch> {
    let Some(span) = section.given("route") else { return Vec::new() };
    if let Some(targets) = section.given("targets") {
        let reason = format!("{} has targets and rules", section.called());
        reader.clash(&targets, reason, "give the targets to a model of their own, and lead to it");
    }
    for key in ["strategy", "sticky", "second_worth"] {
        if let Some(given) = section.given(key) {
            let reason = format!("{key} is without effect on rules");
            reader.clash(&given, reason, "it belongs to the models that the rules lead to");
        }
    }
    let rows = section.rows("route");
    if rows.is_empty() {
        let help = "for example: route = [{ when = \"tools\", use = \"frontier\" }, { use = \"default\" }]";
        reader.wrong(&span, format!("{} has no rules", section.called()), help);
    }
    if rows.len() > RULES_MAX {
        reader.wrong(&span, format!("a model has at most {RULES_MAX} rules"), "");
    }
    let mut branches: Vec<Branch> = Vec::new();
    let mut always: Option<Span> = None;
    for row in rows.iter().take(RULES_MAX) {
        let Entry::Table(table) = row else {
            if let Entry::Text(word) = row {
                let help = format!("write {{ use = \"{}\" }}", word.text);
                reader.wrong(&word.span, "a rule is a table", help);
            }
            continue;
        };
        if let Some(always) = always.take() {
            let help = "the last rule alone has no when";
            reader.wrong(&always, "this rule always holds, and those behind it never", help);
        }
        let Some(to) = table.text("use") else {
            if table.given("use").is_none() {
                table.missing("use");
            }
            continue;
        };
        leads(reader, &to, models);
        let when = table.text("when");
        if when.is_none() && table.given("when").is_none() {
            always = Some(table.span.clone());
        }
        let when = when.and_then(|word| condition(reader, &word, known));
        branches.push(Branch { when, to: to.text.into() });
    }
    if always.is_none() && !rows.is_empty() {
        let help = "end with a rule without when, as in { use = \"default\" }";
        reader.wrong(&span, "where no rule holds there is nowhere to go", help);
    }
    branches
}

fn leads(reader: &Reader<'_>, to: &Word<'_>, models: &Models) {
    if models.resolve(to.text).is_none() {
        let help = reader.help(|| did_you_mean(to.text, models.names(), "models are"));
        reader.clash(&to.span, format!("nothing answers to model `{}`", to.text), help);
    }
}

fn condition(reader: &Reader<'_>, word: &Word<'_>, known: &mut Known<'_>) -> Option<Rule> {
    let read = Rule::compile(word.text, known);
    read.map_err(|mistake| {
        let span = reader.inside(word, &mistake.span);
        reader.wrong(&span, mistake.reason, mistake.help);
    })
    .ok()
}

/// Reads what makes a request look hard: what is left out is as it is shipped.
pub(super) fn weights(reader: &Reader<'_>, section: &Section<'_, '_>) -> Weights {
    let number = |word: &Word<'_>| {
        let read = word.text.trim().parse::<f64>().ok();
        let read = read.filter(|weight| weight.abs() <= WEIGHT_MAX);
        if read.is_none() {
            let help = format!("a number from -{WEIGHT_MAX} to {WEIGHT_MAX} in quotes: \"1.6\"");
            reader.wrong(&word.span, format!("`{}` is no weight", word.text), help);
        }
        read
    };
    let mut weights = Weights::default();
    if let Some(bias) = section.text("bias").and_then(|word| number(&word)) {
        weights.bias = bias;
    }
    for (name, word) in section.texts_by_name("weights") {
        match FEATURES.iter().position(|feature| feature.name == name.text) {
            Some(at) => weights.of[at] = number(&word).unwrap_or(weights.of[at]),
            None => {
                let names = FEATURES.iter().map(|feature| feature.name);
                let help = reader.help(|| did_you_mean(name.text, names, "features are"));
                reader.wrong(&name.span, format!("there is no feature `{}`", name.text), help);
            }
        }
    }
    weights
}

/// Weights beyond this are a mistake.
const WEIGHT_MAX: f64 = 100.0;

/// Pico-dollars of a nano-dollar.
const PICO: u64 = 1000;

/// Reads what a second of waiting is worth, in pico-dollars.
pub(super) fn second(reader: &Reader<'_>, section: &Section<'_, '_>, strategy: Strategy) -> u64 {
    let Some(word) = section.text("second_worth") else { return 0 };
    if strategy != Strategy::BreakEven {
        let help = "add strategy = \"break-even\" to the model, or take second_worth out";
        reader.warn(Some(&word.span), "second_worth is without effect on other strategies", help);
    }
    match written::amount(word.text, &Currencies::default()) {
        Ok(amount) => amount.0.saturating_mul(PICO),
        Err(error) => {
            reader.wrong(&word.span, error.reason, error.help);
            0
        }
    }
}

/// Reads whom draws are tied to.
pub(super) fn sticky(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    strategy: Strategy,
) -> Option<Sticky> {
    let span = section.given("sticky")?;
    if strategy != Strategy::Weighted && section.given("route").is_none() {
        let help = "add strategy = \"weight\" to the model, or take sticky out";
        reader.clash(&span, "sticky is without effect where nothing is drawn by weight", help);
    }
    match section.choice("sticky") {
        "user" => Some(Sticky::User),
        "session" => Some(Sticky::Session),
        "key" => Some(Sticky::Key),
        _ => None,
    }
}
