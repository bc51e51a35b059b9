//! The tables `models.*`: names that clients ask for, and the targets behind them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{
    Reader, Span, Word,
    limits::Scopes,
    providers::did_you_mean,
    route::{self, Pending},
    section::{Entry, Section},
};
use crate::{
    caller::ScopeIndex,
    health::{Breaker, BreakerSettings},
    hedge::Bucket,
    models::{Model, Models, Strategy},
    policy::{Policy, Provider, Target},
    prices::Prices,
    route::Gauge,
    rule::Watch,
};

/// Bytes of a model's name.
const NAME_BYTES_MAX: usize = 256;

/// The targets of a policy while it is read.
struct Targets<'p> {
    list: Vec<Target>,
    settings: BreakerSettings,
    /// What is known of targets by their name, those of the policy in force included.
    states: HashMap<Box<str>, (Arc<Breaker>, Arc<Gauge>)>,
    providers: &'p [Provider],
    by_cost: Vec<ByCost>,
    previous: Option<&'p Policy>,
}

/// What is read of models and targets.
pub(super) struct Read {
    pub(super) models: Models,
    pub(super) targets: Vec<Target>,
    pub(super) watch: Watch,
    /// Budgets of models, by the model's name.
    pub(super) limited: HashMap<Box<str>, ScopeIndex>,
    pub(super) by_cost: Vec<ByCost>,
}

/// Targets that are chosen by what they cost, and where that is said: looked at again when the prices are known.
pub(super) struct ByCost {
    span: Span,
    targets: Vec<usize>,
}

/// Tells the targets what they cost, and notes those that would have to be chosen by it and have no price.
pub(super) fn price(
    reader: &Reader<'_>,
    by_cost: &[ByCost],
    prices: &Prices,
    targets: &mut [Target],
) {
    prices.tell(targets);
    for ByCost { span, targets: indices } in by_cost {
        let Some(unpriced) = indices.iter().find(|index| targets[**index].cost.is_none()) else {
            continue;
        };
        let name = &targets[*unpriced].name;
        let reason = format!("there is no price for `{name}`");
        let help =
            format!("add [prices.{name:?}], or put the cheapest first and take strategy out");
        reader.clash(span, reason, help);
    }
}

/// Reads all models and their budgets, and gives each provider a target of its own for `provider/model`.
pub(super) fn read(
    reader: &Reader<'_>,
    root: &Section<'_, '_>,
    providers: &[Provider],
    settings: BreakerSettings,
    previous: Option<&Policy>,
    scopes: &mut Scopes<'_>,
) -> Read {
    let before = previous.map_or(&[][..], |policy| &policy.targets);
    let state = |target: &Target| (Arc::clone(&target.breaker), Arc::clone(&target.gauge));
    let states = before.iter().map(|target| (target.name.clone(), state(target))).collect();
    let by_cost = Vec::new();
    let mut targets = Targets { list: Vec::new(), settings, states, providers, by_cost, previous };
    let mut models = Models::default();
    let mut pending = Vec::new();
    let mut limited = HashMap::new();
    for (name, section) in root.named("models") {
        check_name(reader, &name, providers);
        let model = model(reader, &name, &section, &mut targets);
        let scope = scopes.read_budgets(reader, &section, &format!("model/{}", name.text));
        limited.extend(scope.map(|index| (name.text.into(), index)));
        if route::leads_on(&section) {
            pending.push(Pending { model: models.list().len(), section });
        }
        models.add(model); // without targets or rules it has been noted, and the policy is refused
    }
    for (index, provider) in providers.iter().enumerate() {
        let any = targets.add(index, "*", 1);
        let mut named: HashMap<Box<str>, usize> = HashMap::new();
        for (at, target) in targets.list.iter().enumerate() {
            if target.provider == index && !target.model.contains('*') {
                named.entry(target.model.clone()).or_insert(at);
            }
        }
        for offered in provider.models.iter().filter(|offered| offered.is_plain()) {
            let name = offered.as_str();
            named.entry(name.into()).or_insert_with(|| targets.add(index, name, 1));
        }
        models.add_provider(provider, any, named);
    }
    models.finish(targets.list.len());
    let watch = route::read(reader, &pending, &mut models, &targets.list);
    let Targets { list: targets, by_cost, .. } = targets;
    Read { models, targets, watch, limited, by_cost }
}

fn model(
    reader: &Reader<'_>,
    name: &Word<'_>,
    section: &Section<'_, '_>,
    targets: &mut Targets<'_>,
) -> Model {
    let strategy = strategy(section);
    match section.given("targets") {
        None if section.given("route").is_some() => {}
        None => {
            let help = "for example: targets = [\"openai/gpt-5-mini\"]";
            reader.wrong(&section.span, format!("{} has no targets", section.called()), help);
        }
        Some(span) if section.is_empty_list("targets") => {
            let help = "for example: targets = [\"openai/gpt-5-mini\"]";
            reader.wrong(&span, format!("{} has nowhere to go", section.called()), help);
        }
        Some(_) => {}
    }
    let mut indices: Vec<usize> = Vec::new();
    for entry in section.rows("targets") {
        let (word, weight) = match &entry {
            Entry::Text(word) => (Some(word.clone()), 1),
            Entry::Table(table) => (table.text("target"), weight(reader, table, strategy)),
        };
        let Some(word) = word else {
            if let Entry::Table(table) = &entry
                && table.given("target").is_none()
            {
                table.missing("target");
            }
            continue;
        };
        let Some((provider, asked)) = parts(reader, &word, targets.providers) else { continue };
        if indices.iter().any(|&index| &*targets.list[index].name == word.text) {
            let help = "a target that fails is tried again by itself: see [retries]";
            reader.wrong(&word.span, format!("`{}` is there twice", word.text), help);
            continue;
        }
        indices.push(targets.add(provider, asked, weight));
    }
    if matches!(strategy, Strategy::Cost | Strategy::BreakEven) {
        let span = section.given("strategy").unwrap_or_else(|| section.span.clone());
        targets.by_cost.push(ByCost { span, targets: indices.clone() });
    }
    Model {
        name: name.text.into(),
        strategy,
        targets: indices,
        sticky: route::sticky(reader, section, strategy),
        second: route::second(reader, section, strategy),
        allow_override: section.flag("allow_override").unwrap_or(false),
        branches: Vec::new(),
        cache: super::cache::read(reader, section),
        fallbacks: route::fallbacks(section),
        on_context_window: section.text("on_context_window").map(|word| word.text.into()),
        on_content_policy: section.text("on_content_policy").map(|word| word.text.into()),
        hedge_percent: section.number("hedge").unwrap_or(0),
        hedges: targets.bucket(name.text),
        context_tokens: section.number("context_tokens"),
    }
}

fn strategy(section: &Section<'_, '_>) -> Strategy {
    match section.choice("strategy") {
        "weight" | "weighted" => Strategy::Weighted,
        "latency" => Strategy::Latency,
        "load" => Strategy::Load,
        "cost" => Strategy::Cost,
        "break-even" => Strategy::BreakEven,
        _ => Strategy::Order,
    }
}

fn weight(reader: &Reader<'_>, table: &Section<'_, '_>, strategy: Strategy) -> u32 {
    if strategy != Strategy::Weighted
        && let Some(span) = table.given("weight")
    {
        let reason = match strategy {
            Strategy::Order => "a weight is without effect when targets are tried in order",
            _ => "a weight is without effect when targets are chosen by what they are like",
        };
        let help = "add strategy = \"weight\" to the model, or take the weight out";
        reader.clash(&span, reason, help);
    }
    table.number("weight").and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1)
}

/// The provider of a target and its name for the model.
fn parts<'d>(
    reader: &Reader<'_>,
    word: &Word<'d>,
    providers: &[Provider],
) -> Option<(usize, &'d str)> {
    let text = word.text;
    let Some((provider, model)) = text.split_once('/') else {
        let help = match providers.first() {
            Some(provider) => format!("a target is provider/model: \"{}/{text}\"", provider.name),
            None => "a target is provider/model".to_owned(),
        };
        reader.wrong(&word.span, format!("`{text}` does not name a provider"), help);
        return None;
    };
    if model.is_empty() || model.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let help = "a target is provider/model: \"openai/gpt-5-mini\"";
        reader.wrong(&word.span, format!("`{text}` does not name a model"), help);
        return None;
    }
    if model.bytes().filter(|&b| b == b'*').count() > 1 {
        let help = "one `*` stands for the whole name that the client asked for";
        reader.wrong(&word.span, format!("`{text}` holds more than one `*`"), help);
        return None;
    }
    let found = providers.iter().position(|candidate| &*candidate.name == provider);
    if found.is_none() {
        let names = providers.iter().map(|provider| &*provider.name);
        let help = reader.help(|| did_you_mean(provider, names, "providers are"));
        reader.clash(&word.span, format!("there is no provider `{provider}`"), help);
    }
    Some((found?, model))
}

fn check_name(reader: &Reader<'_>, name: &Word<'_>, providers: &[Provider]) {
    let fits = |c: char| !c.is_whitespace() && !c.is_control();
    if name.text.is_empty() || name.text.len() > NAME_BYTES_MAX || !name.text.chars().all(fits) {
        let reason = format!("`{}` cannot be the name of a model", name.text);
        let help = format!("no white space, at most {NAME_BYTES_MAX} bytes");
        reader.wrong(&name.span, reason, help);
    }
    let Some((prefix, rest)) = name.text.split_once('/') else { return };
    let Some(provider) = providers.iter().find(|provider| &*provider.name == prefix) else {
        return;
    };
    if !rest.contains('*') {
        let reason = format!(
            "model `{}` stands before what provider {prefix} has under that name",
            name.text
        );
        reader.warn(Some(&name.span), reason, "");
    } else if provider.models.iter().any(|pattern| pattern.covers_prefix("")) {
        let reason =
            format!("no request reaches model `{}`: provider {prefix} takes them first", name.text);
        let help = format!("narrow what {prefix}/… reaches by models in [providers.{prefix}]");
        reader.clash(&name.span, reason, help);
    }
}

impl Targets<'_> {
    /// The second attempts that a model may make: those of the policy in force go on.
    fn bucket(&self, model: &str) -> Arc<Bucket> {
        let before = self.previous.and_then(|policy| policy.models.named(model));
        before.map(|model| Arc::clone(&model.hedges)).unwrap_or_default()
    }

    fn add(&mut self, provider: usize, model: &str, weight: u32) -> usize {
        let name: Box<str> = format!("{}/{model}", self.providers[provider].name).into();
        let new = || (Arc::new(Breaker::new(self.settings)), Arc::default());
        let (breaker, gauge) = self.states.entry(name.clone()).or_insert_with(new).clone();
        let model = model.into();
        self.list.push(Target { provider, model, name, breaker, gauge, cost: None, weight });
        self.list.len() - 1
    }
}
