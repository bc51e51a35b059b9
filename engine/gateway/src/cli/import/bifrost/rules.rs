//! Routing rules: those that ask for one model by name are models; others have no equivalent.

use super::{
    super::{Import, draft::Model, litellm::whole_weights, report::Fate, tree::Node},
    Bare, Served, targets,
};

/// Reads `governance.routing_rules`.
pub(super) fn read(import: &mut Import<'_>, root: &Node, all: &[Served], bare: &mut Vec<Bare>) {
    let rules = root.get("governance").and_then(|governance| governance.get("routing_rules"));
    for rule in rules.map_or(&[][..], Node::entries) {
        if rule.get("enabled").and_then(Node::flag) == Some(false) {
            import.report.note(rule, Fate::Needless, "the rule is not enabled");
            continue;
        }
        let global = rule.get("scope").and_then(Node::text).is_none_or(|scope| scope == "global");
        let asked = rule.get("cel_expression").and_then(Node::text).and_then(asked_model);
        let Some(asked) = asked.filter(|_| global) else {
            let text = "routes depend on the model that is asked for only: a rule of another kind has no equivalent";
            import.report.note(rule, Fate::Lost, text);
            continue;
        };
        let Some(model) = model(import, rule, asked, all) else {
            import.report.note(rule, Fate::Lost, "none of its targets is a provider of the policy");
            continue;
        };
        rule.take();
        bare.retain(|known| known.name != model.name);
        bare.push(Bare { name: model.name.clone(), leads_to: leads_to(rule) });
        import.draft.models.retain(|known| known.name != model.name);
        import.draft.model(model);
    }
}

/// The providers that a rule names.
fn leads_to(rule: &Node) -> Vec<String> {
    let entries = |key: &str| rule.get(key).map_or(&[][..], Node::entries).iter();
    let targets = entries("targets").filter_map(|node| node.get("provider")?.text());
    let fallbacks = entries("fallbacks").filter_map(Node::text);
    let provider = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
    targets.chain(fallbacks).map(provider).collect()
}

/// The model that an expression compares with: `request.model == "gpt-4o"`.
fn asked_model(expression: &str) -> Option<&str> {
    let (left, right) = expression.split_once("==")?;
    let name = right.trim();
    let quote = name.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let name = name.strip_prefix(quote)?.strip_suffix(quote)?;
    let plain = !name.contains(['"', '\'', '*', '&', '|']) && super::is_model_name(name);
    (plain && matches!(left.trim(), "model" | "request.model")).then_some(name)
}

fn model(import: &mut Import<'_>, rule: &Node, asked: &str, all: &[Served]) -> Option<Model> {
    let mut found: Vec<(String, f64)> = Vec::new();
    for node in rule.get("targets").map_or(&[][..], Node::entries) {
        let provider = node.get("provider").and_then(Node::text)?;
        let model = node.get("model").and_then(Node::text).unwrap_or(asked);
        let weight = node.get("weight").and_then(Node::number).unwrap_or(1.0);
        let served = all.iter().find(|served| served.name == provider)?;
        add(&mut found, one(import, served, model)?, weight);
    }
    let weighted = found.len() > 1;
    let given: Vec<f64> = found.iter().map(|(_, weight)| *weight).collect();
    let fallbacks = rule.get("fallbacks").map_or(&[][..], Node::entries);
    let mut weights = whole_weights(&given, weighted && !fallbacks.is_empty());
    for node in fallbacks {
        let Some(text) = node.text() else { continue };
        let (provider, model) = text.split_once('/').unwrap_or((text, asked));
        let served = all.iter().find(|served| served.name == provider);
        match served.and_then(|served| one(import, served, model)) {
            Some(target) if !found.iter().any(|(other, _)| *other == target) => {
                found.push((target, 1.0));
                weights.push(1);
            }
            Some(_) => {}
            None => import.report.note(node, Fate::Lost, "this is no provider of the policy"),
        }
    }
    let targets: Vec<(String, u32)> =
        found.into_iter().map(|(target, _)| target).zip(weights).collect();
    let comment = format!("line {}: a routing rule", rule.line);
    (!targets.is_empty()).then_some(Model { name: asked.to_owned(), targets, weighted, comment })
}

/// The first target for a model of a provider.
fn one(import: &mut Import<'_>, served: &Served, model: &str) -> Option<String> {
    if !super::is_model_name(model) || model.contains('*') {
        return None;
    }
    let (found, _) = targets(import, served, model);
    found.into_iter().next().map(|(target, _)| target)
}

fn add(found: &mut Vec<(String, f64)>, target: String, weight: f64) {
    match found.iter_mut().find(|(other, _)| *other == target) {
        Some((_, sum)) => *sum += weight,
        None => found.push((target, weight)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_comparison_with_one_model_is_understood() {
        for (text, expected) in [
            ("request.model == 'gpt-4o'", Some("gpt-4o")),
            ("model==\"a/b\"", Some("a/b")),
            ("true", None),
            ("model == 'a' || model == 'b'", None),
            ("team == 'a'", None),
            ("model == a", None),
            ("model == '", None),
        ] {
            assert_eq!(asked_model(text), expected, "{text}");
        }
    }
}
