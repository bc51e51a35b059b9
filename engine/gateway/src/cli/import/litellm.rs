//! `LiteLLM`'s `config.yaml`: deployments, model groups, fallbacks.
//!
//! In: its tree. Out: providers and models of the draft. A model group is a model; its deployments are targets; a deployment's
//! address, key and region are a provider. What the sections of settings come to is in [`settings`].
//! Format: <https://docs.litellm.ai/docs/proxy/configs>

mod deployment;
mod reasons;
mod settings;

use super::{
    Import,
    draft::{Model, WEIGHT_MAX},
    report::Fate,
    tree::Node,
};

/// Weights are written as shares of this where they are no whole numbers.
const SHARES: f64 = 1000.0;

/// A model group with its deployments.
#[derive(Debug)]
struct Group {
    name: String,
    line: usize,
    targets: Vec<Target>,
    /// What stands here, where another name leads.
    alias_of: Option<String>,
}

/// A deployment of a group.
#[derive(Clone, Debug)]
struct Target {
    /// `provider/model`
    name: String,
    weight: Option<f64>,
    order: Option<f64>,
}

/// Reads the file.
pub(super) fn read(import: &mut Import<'_>, root: &Node) {
    let list = root.get("model_list").map_or(&[][..], Node::entries);
    let credentials = root.get("credential_list");
    let variables = root.get("environment_variables").map_or(&[][..], Node::members);
    import.variables = variables
        .iter()
        .filter_map(|(name, node)| Some((name.clone(), node.peek()?.to_owned())))
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    // Names with * want a provider of their own name, so they choose first.
    let wild = |entry: &&Node| {
        entry.get("model_name").and_then(Node::text).is_some_and(|name| name.contains('*'))
    };
    let entries = list.iter().filter(wild).chain(list.iter().filter(|entry| !wild(entry)));
    for entry in entries {
        let Some(name) = entry.get("model_name").and_then(Node::text) else {
            import.report.note(entry, Fate::Lost, "an entry without a model_name");
            continue;
        };
        if !is_model_name(name) {
            import.report.note(entry, Fate::Lost, "a policy takes no such model_name");
            continue;
        }
        let Some(target) = deployment::read(import, entry, name, credentials) else { continue };
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.targets.push(target),
            None => groups.push(Group {
                name: name.to_owned(),
                line: entry.line,
                targets: vec![target],
                alias_of: None,
            }),
        }
    }
    groups.retain(|group| group.targets.iter().any(|target| !target.name.is_empty()));
    groups.sort_by_key(|group| group.line);
    aliases(import, root, &mut groups);
    let fallbacks = Fallbacks::read(import, root, &groups);
    for group in &groups {
        let name = group.alias_of.as_ref().unwrap_or(&group.name);
        let model = model(group, &fallbacks.of(name, &groups));
        import.draft.model(model);
    }
    settings::read(import, root);
    import.report.left_over(root, reasons::ALL);
}

/// Whether clients of a policy can ask for a model by this name.
pub(super) fn is_model_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control();
    !name.is_empty() && name.len() <= 256 && name.chars().all(fits)
}

/// Adds the groups that other names lead to.
fn aliases(import: &mut Import<'_>, root: &Node, groups: &mut Vec<Group>) {
    let places = [
        ("router_settings", "model_group_alias"),
        ("litellm_settings", "model_group_alias"),
        ("litellm_settings", "model_alias_map"),
    ];
    for (section, key) in places {
        let Some(map) = root.get(section).and_then(|section| section.get(key)) else { continue };
        for (alias, node) in map.members() {
            let wanted = node.text().or_else(|| node.get("model").and_then(Node::text));
            let found = wanted.and_then(|wanted| groups.iter().find(|group| group.name == wanted));
            let Some(found) = found.filter(|_| is_model_name(alias) && !alias.contains('*')) else {
                import.report.note(node, Fate::Lost, "no model group of the file has this name");
                continue;
            };
            if groups.iter().any(|group| group.name == *alias) {
                let text = "there is a model group of this name, which was kept instead";
                import.report.note(node, Fate::Lost, text);
                continue;
            }
            if let Some(hidden) = node.get("hidden")
                && hidden.flag() == Some(true)
            {
                import.report.note(hidden, Fate::Lost, "the name is listed by GET /v1/models");
            }
            let group = Group {
                name: alias.clone(),
                line: node.line,
                targets: found.targets.clone(),
                alias_of: Some(found.name.clone()),
            };
            groups.push(group);
        }
    }
}

/// Which groups follow when a group fails.
struct Fallbacks {
    /// A group and those that follow it.
    named: Vec<(String, Vec<String>)>,
    /// Those that follow any other group.
    default: Vec<String>,
}

impl Fallbacks {
    fn read(import: &mut Import<'_>, root: &Node, groups: &[Group]) -> Self {
        let mut all = Self { named: Vec::new(), default: Vec::new() };
        for section in ["router_settings", "litellm_settings"] {
            let Some(section) = root.get(section) else { continue };
            for entry in section.get("fallbacks").map_or(&[][..], Node::entries) {
                for (name, list) in entry.members() {
                    let names = known(import, list, groups);
                    match name.as_str() {
                        "*" => all.default.extend(names),
                        name if groups.iter().any(|group| group.name == name) => {
                            all.named.push((name.to_owned(), names));
                        }
                        _ => {
                            let text = "fallbacks of what is no model group of the file";
                            import.report.note(list, Fate::Lost, text);
                        }
                    }
                }
            }
            if let Some(list) = section.get("default_fallbacks") {
                all.default.extend(known(import, list, groups));
            }
        }
        all
    }

    /// The targets that follow those of a group.
    fn of(&self, name: &str, groups: &[Group]) -> Vec<Target> {
        let named = self.named.iter().find(|(group, _)| group == name).map(|(_, names)| names);
        let names = named.unwrap_or(&self.default);
        let group = |name: &String| groups.iter().find(|group| group.name == *name);
        names.iter().filter_map(group).flat_map(|group| group.targets.clone()).collect()
    }
}

/// The names of a list that are groups.
fn known(import: &mut Import<'_>, list: &Node, groups: &[Group]) -> Vec<String> {
    let mut names = Vec::new();
    for node in list.entries() {
        let name = node.text().or_else(|| node.get("model").and_then(Node::text));
        match name.filter(|name| groups.iter().any(|group| group.name == *name)) {
            Some(name) => names.push(name.to_owned()),
            None => {
                import.report.note(node, Fate::Lost, "no model group of the file has this name")
            }
        }
    }
    names
}

/// The model of a group: its deployments by weight or in order, then those that follow.
fn model(group: &Group, after: &[Target]) -> Model {
    let mut own: Vec<Target> = Vec::new();
    for target in &group.targets {
        match own.iter_mut().find(|other| other.name == target.name) {
            Some(same) => same.weight = same.weight.zip(target.weight).map(|(a, b)| a + b),
            None => own.push(target.clone()),
        }
    }
    let ordered = own.iter().any(|target| target.order.is_some());
    if ordered {
        let rank = |target: &Target| target.order.unwrap_or(f64::MAX);
        own.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    }
    let after: Vec<&Target> = {
        let new = |target: &&Target| own.iter().all(|other| other.name != target.name);
        after.iter().filter(new).collect()
    };
    let weighted = own.len() > 1 && !ordered;
    let weights = weights(&own, weighted && !after.is_empty());
    let mut comment = match &group.alias_of {
        Some(other) => format!("line {}: another name of {other}", group.line),
        None => format!("line {}", group.line),
    };
    if !after.is_empty() && weighted {
        comment.push_str(
            "; fallbacks have the smallest weight: one request in about a million begins with one",
        );
    }
    let mut targets: Vec<(String, u32)> =
        own.into_iter().map(|target| target.name).zip(weights).collect();
    for target in after {
        if targets.iter().all(|(other, _)| *other != target.name) {
            targets.push((target.name.clone(), 1));
        }
    }
    targets.retain(|(name, _)| !name.is_empty());
    Model { name: group.name.clone(), targets, weighted, comment }
}

/// Whole weights; large ones, where others follow with the smallest.
fn weights(targets: &[Target], large: bool) -> Vec<u32> {
    let given: Vec<f64> = targets.iter().map(|target| target.weight.unwrap_or(1.0)).collect();
    whole_weights(&given, large)
}

/// Whole numbers that keep the shares of these; the largest is the largest there is, where `large`.
pub(super) fn whole_weights(given: &[f64], large: bool) -> Vec<u32> {
    let max = given.iter().copied().fold(0.0, f64::max);
    let whole = given.iter().all(|weight| weight.fract() == 0.0 && *weight >= 1.0);
    let factor = match (large, whole && max <= f64::from(WEIGHT_MAX)) {
        _ if max <= 0.0 => 1.0,
        (true, _) => f64::from(WEIGHT_MAX) / max,
        (false, true) => 1.0,
        (false, false) => SHARES / max,
    };
    given.iter().map(|weight| whole_weight(weight * factor)).collect()
}

fn whole_weight(weight: f64) -> u32 {
    let bounded = weight.round().clamp(1.0, f64::from(WEIGHT_MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 1 to WEIGHT_MAX"
    )]
    let weight = bounded as u32;
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[Option<f64>], large: bool, expected: &[u32]) {
        let target =
            |weight: &Option<f64>| Target { name: "p/m".into(), weight: *weight, order: None };
        let targets: Vec<Target> = given.iter().map(target).collect();
        assert_eq!(weights(&targets, large), expected, "{given:?}");
    }

    #[test]
    fn weights_become_whole_numbers_and_keep_their_shares() {
        check(&[None, None], false, &[1, 1]);
        check(&[Some(9.0), Some(1.0)], false, &[9, 1]);
        check(&[Some(0.7), Some(0.3)], false, &[1000, 429]);
        check(&[Some(2.0), Some(1.0)], true, &[1_000_000, 500_000]);
        check(&[Some(0.0), Some(0.0)], false, &[1, 1]);
        check(&[Some(1e300), Some(1.0)], false, &[1000, 1]);
    }
}
