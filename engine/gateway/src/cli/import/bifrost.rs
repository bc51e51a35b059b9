//! Bifrost's `config.json`: providers, their keys and models.
//!
//! In: its tree. Out: providers and models of the draft. A key of a provider is a provider, since a provider here has one key;
//! the first one has the provider's name. Who may call is in [`governance`].
//! Format: <https://docs.getbifrost.ai/deployment-guides/config-json>

mod governance;
mod key;
mod reasons;
mod rules;

use super::{
    Import,
    draft::{ADMIN, Model},
    litellm::{is_model_name, whole_weights},
    report::Fate,
    source::{self, Family, whole},
    toml::{self, span},
    tree::Node,
};

/// A provider of the file.
#[derive(Debug)]
struct Served {
    name: String,
    keys: Vec<Key>,
}

/// A key of a provider.
#[derive(Debug)]
struct Key {
    /// The provider of the draft.
    provider: usize,
    /// Its name in the draft.
    at: String,
    /// Models that it is for; none: all.
    models: Option<Vec<String>>,
    /// Names of models, and what they stand for.
    aliases: Vec<(String, String)>,
    weight: f64,
    line: usize,
}

/// Reads the file.
pub(super) fn read(import: &mut Import<'_>, root: &Node) {
    let mut all: Vec<Served> = Vec::new();
    for (name, node) in root.get("providers").map_or(&[][..], Node::members) {
        if let Some(served) = provider(import, name, node) {
            all.push(served);
        }
    }
    for served in &all {
        models(import, served, root);
    }
    let mut bare = bare_names(import, &all);
    network(import, root);
    client(import, root);
    rules::read(import, root, &all, &mut bare);
    governance::read(import, root, &governance::Reach { all: &all, bare: &bare });
    import.report.left_over(root, reasons::ALL);
}

fn provider(import: &mut Import<'_>, name: &str, node: &Node) -> Option<Served> {
    let custom = node.get("custom_provider_config");
    let base = custom.and_then(|custom| custom.get("base_provider_type")).and_then(Node::text);
    let url = node.get("network_config").and_then(|network| network.get("base_url"));
    let family = match (base, source::family(name)) {
        (Some(base), _) => source::family(base),
        (None, Some(family)) => Some(family),
        (None, None) => url.map(|_| Family::SERVER),
    };
    let Some(family) = family else {
        let text = "the provider is not known here, and no base_url says where it is";
        import.report.note(node, Fate::Lost, text);
        return None;
    };
    if toml::name(name) != name {
        import.report.note(node, Fate::Lost, "a policy takes no such name of a provider");
        return None;
    }
    let mut served = Served { name: name.to_owned(), keys: Vec::new() };
    let context = key::Context { name, family, provider: node };
    let mut keys: Vec<&Node> = node.get("keys").map_or(&[][..], Node::entries).iter().collect();
    keys.retain(|key| {
        let off = key.get("enabled").and_then(Node::flag) == Some(false);
        if off {
            import.report.note(key, Fate::Needless, "the key is disabled");
        }
        !off
    });
    // The heaviest one for all models is the one that name/model reaches.
    let rank = |key: &&Node| (key::is_for_all(key), key.get("weight").and_then(Node::number));
    keys.sort_by(|a, b| rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal));
    if keys.is_empty() {
        served.keys.extend(key::read(import, &context, None, 1));
    }
    let count = keys.len();
    for key in keys {
        served.keys.extend(key::read(import, &context, Some(key), count));
    }
    (!served.keys.is_empty()).then_some(served)
}

/// Models of a provider: what `name/model` reaches, aliases, and models that several keys share.
fn models(import: &mut Import<'_>, served: &Served, root: &Node) {
    let Some(first) = served.keys.first() else { return };
    if let Some(provider) = import.draft.providers.get_mut(first.provider) {
        provider.models = first.models.clone().unwrap_or_else(|| vec!["*".to_owned()]);
    }
    for name in named(served) {
        let (targets, weighted) = targets(import, served, &name);
        let plain = matches!(&targets[..], [(one, _)] if *one == format!("{}/{name}", first.at));
        if targets.is_empty() || plain && first.models.is_none() {
            continue;
        }
        let comment = format!("line {}: models of the provider's keys", first.line);
        if !plain {
            if let Some(provider) = import.draft.providers.get_mut(first.provider) {
                provider.models.retain(|model| *model != name); // it goes elsewhere
            }
            let name = format!("{}/{name}", served.name);
            import.draft.model(Model { name, targets, weighted, comment });
        }
    }
    let whole = served.keys.iter().filter(|key| key.models.is_none()).count();
    if whole > 1
        && let Some(keys) = root.get("providers").and_then(|all| all.get(&served.name)?.get("keys"))
    {
        let text = format!(
            "keys for all models do not share them: {0}/… goes by the first; name models in [models.\"{0}/MODEL\"] \
             with the others as targets",
            served.name
        );
        import.report.say(keys, Fate::Lost, text);
    }
}

/// Names of models that a provider's keys list.
fn named(served: &Served) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for key in &served.keys {
        let listed = key.models.iter().flatten().chain(key.aliases.iter().map(|(name, _)| name));
        for name in listed {
            if is_model_name(name) && !name.contains('*') && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

/// Where a model of a provider goes, and whether by weight.
fn targets(import: &mut Import<'_>, served: &Served, name: &str) -> (Vec<(String, u32)>, bool) {
    let mut found: Vec<(String, f64)> = Vec::new();
    for key in &served.keys {
        let listed =
            key.models.as_ref().is_none_or(|models| models.iter().any(|model| model == name));
        let alias = key.aliases.iter().find(|(alias, _)| alias == name);
        if !listed && alias.is_none() {
            continue;
        }
        let model = alias.map_or(name, |(_, model)| model.as_str());
        let target = key::target(import, key, model);
        match found.iter_mut().find(|(other, _)| *other == target) {
            Some((_, sum)) => *sum += key.weight,
            None => found.push((target, key.weight)),
        }
    }
    let weights: Vec<f64> = found.iter().map(|(_, weight)| *weight).collect();
    let weights = whole_weights(&weights, false);
    let weighted = found.len() > 1;
    (found.into_iter().map(|(target, _)| target).zip(weights).collect(), weighted)
}

/// A name without a provider, and the providers that it leads to.
#[derive(Debug)]
struct Bare {
    name: String,
    leads_to: Vec<String>,
}

/// Names without a provider: they reach all providers that list them, in order.
fn bare_names(import: &mut Import<'_>, all: &[Served]) -> Vec<Bare> {
    let mut bare: Vec<Bare> = Vec::new();
    for served in all {
        for name in named(served) {
            if name.contains('/') {
                continue;
            }
            let (targets, weighted) = targets(import, served, &name);
            let others = all.iter().filter(|other| named(other).contains(&name)).count();
            let comment = match others {
                1 => "listed by one provider".to_owned(),
                n => format!("listed by {n} providers: the next one follows when one fails"),
            };
            let weighted = weighted && others == 1;
            match bare.iter_mut().find(|bare| bare.name == name) {
                Some(bare) => bare.leads_to.push(served.name.clone()),
                None => {
                    bare.push(Bare { name: name.clone(), leads_to: vec![served.name.clone()] });
                }
            }
            import.draft.model(Model { name, targets, weighted, comment });
        }
    }
    bare
}

/// Retries and timeouts, which providers have and a policy has for all.
fn network(import: &mut Import<'_>, root: &Node) {
    let providers = root.get("providers").map_or(&[][..], Node::members);
    let networks = providers.iter().filter_map(|(_, provider)| provider.get("network_config"));
    let (mut retries, mut backoff, mut backoff_max) = (None::<u64>, None::<u64>, None::<u64>);
    let number = |node: Option<&Node>| node.and_then(Node::number).map(whole);
    let mut last = None;
    for network in networks {
        let node = network.get("max_retries");
        retries = retries.max(number(node));
        last = node.or(last);
        let first = ["retry_backoff_initial", "retry_backoff_initial_ms"];
        let longest = ["retry_backoff_max", "retry_backoff_max_ms"];
        backoff = backoff.max(first.iter().find_map(|key| number(network.get(key))));
        backoff_max = backoff_max.max(longest.iter().find_map(|key| number(network.get(key))));
    }
    if let Some(retries) = retries {
        let attempts = retries.saturating_add(1).clamp(1, 10);
        import.draft.retries.push(format!("attempts = {attempts} # over all targets of a model"));
        if let Some(node) = last {
            let text = "[retries] holds for all providers; the largest number was taken";
            import.report.note(node, Fate::Differs, text);
        }
    }
    let (first, longest) =
        (backoff.map(|ms| ms.clamp(1, 60_000)), backoff_max.map(|ms| ms.clamp(1, 60_000)));
    if let Some(ms) = first {
        import.draft.retries.push(format!("backoff = \"{}\"", span(ms)));
    }
    if let Some(ms) = longest.or(first.filter(|ms| *ms > 8000)) {
        let ms = ms.max(first.unwrap_or(250));
        import.draft.retries.push(format!("backoff_max = \"{}\"", span(ms)));
    }
}

/// What holds for all clients.
fn client(import: &mut Import<'_>, root: &Node) {
    let text = "listen = \"127.0.0.1:8080\" # \"0.0.0.0:8080\" lets other machines connect";
    import.draft.server.push(text.to_owned());
    import.draft.server.push(ADMIN.to_owned());
    let size = root.get("client").and_then(|client| client.get("max_request_body_size_mb"));
    if let Some(mib) = size.and_then(Node::number).map(|mib| whole(mib.ceil()).clamp(1, 1024)) {
        import.draft.server.push(format!("body_bytes = \"{mib} MiB\""));
    }
}
