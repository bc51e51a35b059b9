//! Customers, teams, virtual keys, budgets and rate limits of Bifrost's file.
//!
//! A team is a team, a virtual key is a key. Where customers are above teams, a customer is a team and its teams are its
//! projects: the policy has the same number of levels, by other names.

use super::{
    super::{
        Import,
        draft::{ClientKey, Scope},
        limit::Money,
        report::Fate,
        toml::{self, list, quoted},
        tree::Node,
    },
    Bare, Served, key,
};

/// Who pays, by the names of the policy.
#[derive(Clone, Debug)]
struct Payer {
    team: String,
    project: Option<String>,
}

impl Payer {
    /// The part of a header behind `teams.`
    fn header(&self) -> String {
        match &self.project {
            Some(project) => format!("{}.projects.{}", toml::key(&self.team), toml::key(project)),
            None => toml::key(&self.team),
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("team = {}", quoted(&self.team))];
        lines.extend(self.project.as_ref().map(|project| format!("project = {}", quoted(project))));
        lines
    }
}

/// What may be asked for.
pub(super) struct Reach<'a> {
    pub(super) all: &'a [Served],
    pub(super) bare: &'a [Bare],
}

/// Reads `governance`.
pub(super) fn read(import: &mut Import<'_>, root: &Node, reach: &Reach<'_>) {
    let empty = root.get("governance");
    let entries =
        |key: &str| empty.and_then(|governance| governance.get(key)).map_or(&[][..], Node::entries);
    let mut names = Names::default();
    let mut customers: Vec<(&str, Payer)> = Vec::new();
    for node in entries("customers") {
        let Some(id) = text(node, "id") else { continue };
        let team = names.free("team", text(node, "name").unwrap_or(id));
        let payer = Payer { team, project: None };
        let scope =
            limits(import, entries("budgets"), entries("rate_limits"), node, ("customer_id", id));
        import.draft.teams.push((payer.header(), scope));
        customers.push((id, payer));
    }
    let mut teams: Vec<(&str, Payer)> = Vec::new();
    for node in entries("teams") {
        let Some(id) = text(node, "id") else { continue };
        let name = text(node, "name").unwrap_or(id);
        let above = text(node, "customer_id");
        let above = customers.iter().find(|(customer, _)| Some(*customer) == above);
        let payer = match above {
            Some((customer, above)) => {
                let project = Some(names.free(customer, name));
                Payer { team: above.team.clone(), project }
            }
            None => Payer { team: names.free("team", name), project: None },
        };
        let scope =
            limits(import, entries("budgets"), entries("rate_limits"), node, ("team_id", id));
        import.draft.teams.push((payer.header(), scope));
        teams.push((id, payer));
    }
    import.draft.teams.sort_by(|(a, _), (b, _)| a.cmp(b));
    let legacy = root.get("version").and_then(Node::number) == Some(1.0);
    for node in entries("virtual_keys") {
        let id = text(node, "id").unwrap_or_default();
        let mut scope = limits(
            import,
            entries("budgets"),
            entries("rate_limits"),
            node,
            ("virtual_key_id", id),
        );
        let owner = |list: &[(&str, Payer)], key: &str| {
            let id = text(node, key)?;
            list.iter().find(|(other, _)| *other == id).map(|(_, payer)| payer.clone())
        };
        let payer = owner(&teams, "team_id").or_else(|| owner(&customers, "customer_id"));
        let mut lines = payer.map_or(Vec::new(), |payer| payer.lines());
        let name = names.free("key", text(node, "name").unwrap_or(id));
        let allowed = allowed(import, node, reach, legacy);
        let mut off = node.get("is_active").and_then(Node::flag) == Some(false);
        match allowed {
            Allowed::All => {}
            Allowed::These(models) => lines.push(format!("models = {}", list(&models))),
            Allowed::None => off = true,
        }
        let (hash, known) = match node.get("value").and_then(key::inner) {
            Some(value) => import.client_hash(value),
            None => {
                let said =
                    "it has no value: mint one with `faregate key new`, and take disabled out";
                import.report.say(node, Fate::Todo, said);
                (import.no_hash(), false)
            }
        };
        if off || !known {
            lines.push("disabled = true".to_owned());
        }
        lines.append(&mut scope.lines);
        scope.lines = lines;
        if import.draft.keys.iter().any(|other| other.hash == hash) {
            import.report.note(node, Fate::Lost, "another key has the same value");
            continue;
        }
        import.draft.keys.push(ClientKey { name, hash, scope });
    }
    if let Some(keys) = root.get("governance").and_then(|governance| governance.get("virtual_keys"))
        && !keys.is_empty()
    {
        let text = "clients show them in authorization, x-api-key, x-goog-api-key or api-key; x-bf-vk is not read";
        import.report.say(keys, Fate::Differs, text);
    }
    enforcement(import, root);
}

/// Whether callers need a key.
fn enforcement(import: &mut Import<'_>, root: &Node) {
    let client = root.get("client");
    let mut asked = false;
    for key in ["enforce_auth_on_inference", "enforce_governance_header"] {
        asked |= client.and_then(|client| client.get(key)).and_then(Node::flag) == Some(true);
    }
    for plugin in root.get("plugins").map_or(&[][..], Node::entries) {
        if text(plugin, "name") == Some("governance") {
            let mandatory = plugin.get("config").and_then(|config| config.get("is_vk_mandatory"));
            asked |= mandatory.and_then(Node::flag) == Some(true);
            plugin.take();
        } else {
            import.report.note(
                plugin,
                Fate::Lost,
                "no plugins: metrics, logs and keys are built in",
            );
        }
    }
    let auth = root.get("governance").and_then(|governance| governance.get("auth_config"));
    let auth = auth.or_else(|| root.get("auth_config"));
    let flag = |key: &str| auth.and_then(|auth| auth.get(key)).and_then(Node::flag);
    asked |= flag("is_enabled") == Some(true) && flag("disable_auth_on_inference") == Some(false);
    if !asked {
        let line = "anonymous = true # as in the file: callers without a key are served";
        import.draft.server.push(line.to_owned());
    } else if import.draft.keys.is_empty() {
        // A policy without keys would serve everybody on the machine.
        let hash = import.no_hash();
        let lines = vec![
            "disabled = true # the file asks for keys and has none: `faregate key new`".to_owned(),
        ];
        let scope = Scope { limits: Vec::new(), lines };
        import.draft.keys.push(ClientKey { name: "none-yet".to_owned(), hash, scope });
    }
}

/// The limits of somebody: what it refers to, what refers to it, and what stands with it.
fn limits(
    import: &mut Import<'_>,
    budgets: &[Node],
    rates: &[Node],
    owner: &Node,
    (back, id): (&str, &str),
) -> Scope {
    let mut scope = Scope::default();
    let wanted = text(owner, "budget_id");
    let own = |node: &&Node| {
        text(node, back) == Some(id) || wanted.is_some() && text(node, "id") == wanted
    };
    for node in budgets.iter().filter(own).chain(owner.get("budget")) {
        money(import, node, &mut scope);
    }
    let ids: Vec<&str> = text(owner, "rate_limit_id")
        .into_iter()
        .chain(owner.get("rate_limit_ids").map(Node::texts).unwrap_or_default())
        .collect();
    let named = |node: &&Node| text(node, "id").is_some_and(|id| ids.contains(&id));
    for node in rates.iter().filter(named).chain(owner.get("rate_limit")) {
        for (max, period, what) in [
            ("request_max_limit", "request_reset_duration", "requests"),
            ("token_max_limit", "token_reset_duration", "tokens"),
        ] {
            if let Some(amount) = node.get(max).filter(|node| !node.is_empty()) {
                import.count(amount, what, node.get(period), &mut scope);
            }
        }
    }
    scope
}

fn money(import: &mut Import<'_>, node: &Node, scope: &mut Scope) {
    if let Some(amount) = node.get("max_limit") {
        let period = node.get("reset_duration");
        import.money(&Money { amount, period, currency: '$' }, scope);
    }
}

/// What a virtual key may ask for.
enum Allowed {
    All,
    These(Vec<String>),
    None,
}

fn allowed(import: &mut Import<'_>, node: &Node, reach: &Reach<'_>, legacy: bool) -> Allowed {
    let configs = node.get("provider_configs").map_or(&[][..], Node::entries);
    if configs.is_empty() {
        return if legacy { Allowed::All } else { Allowed::None };
    }
    let mut models: Vec<String> = Vec::new();
    // Providers that may be asked, and for which models; none: for all.
    let mut may: Vec<(&str, Option<Vec<&str>>)> = Vec::new();
    for config in configs {
        let wanted = text(config, "provider").unwrap_or_default();
        if !reach.all.iter().any(|served| served.name == wanted) {
            import.report.note(config, Fate::Lost, "this is no provider of the policy");
            continue;
        }
        not_by_caller(import, config, configs.len() > 1);
        let listed = config.get("allowed_models").map(Node::texts).unwrap_or_default();
        if listed.contains(&"*") || listed.is_empty() && legacy {
            models.push(format!("{wanted}/*"));
            may.push((wanted, None));
            continue;
        }
        for model in &listed {
            let name = format!("{wanted}/{model}");
            if is_model(import, &name) {
                models.push(name);
            } else {
                let text = "a model that the provider's keys are not for";
                import.report.say(config, Fate::Lost, text);
            }
        }
        may.push((wanted, Some(listed)));
    }
    // A bare name is allowed when all that it may lead to is.
    let fits = |bare: &&Bare| {
        bare.leads_to.iter().all(|provider| {
            may.iter().any(|(name, listed)| {
                let any = |listed: &Vec<&str>| listed.contains(&bare.name.as_str());
                name == provider && listed.as_ref().is_none_or(any)
            })
        })
    };
    models.extend(reach.bare.iter().filter(fits).map(|bare| bare.name.clone()));
    let mut seen: Vec<String> = Vec::new();
    models.retain(|model| {
        let new = !seen.contains(model);
        seen.push(model.clone());
        new
    });
    if models.is_empty() { Allowed::None } else { Allowed::These(models) }
}

/// Says of what a virtual key settles of a provider that here does not depend on the caller.
fn not_by_caller(import: &mut Import<'_>, config: &Node, shared: bool) {
    let ids = config.get("key_ids").map(Node::texts).unwrap_or_default();
    if let Some(node) = config.get("key_ids")
        && !ids.contains(&"*")
    {
        let text = "which of a provider's keys is used does not depend on the caller";
        import.report.note(node, Fate::Lost, text);
    }
    match config.get("weight") {
        Some(node) if shared => {
            let text = "shares of providers do not depend on the caller: give targets weights";
            import.report.note(node, Fate::Lost, text);
        }
        Some(node) => node.take(),
        None => {}
    }
    for node in
        ["rate_limit_id", "rate_limit", "budget_id"].iter().filter_map(|key| config.get(key))
    {
        let text = "a limit holds for all that a key may ask for, not for one provider";
        import.report.note(node, Fate::Lost, text);
    }
}

/// Whether something of the draft answers to this name.
fn is_model(import: &Import<'_>, name: &str) -> bool {
    let draft = &import.draft;
    let direct = name.split_once('/').is_some_and(|(provider, model)| {
        let found = draft.providers.iter().find(|known| known.name == provider);
        found.is_some_and(|found| found.models.iter().any(|known| known == "*" || known == model))
    });
    super::is_model_name(name)
        && !name.contains('*')
        && (direct || draft.models.iter().any(|model| model.name == name))
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::text)
}

/// Names that are taken, by what they are names of.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    fn free(&mut self, of: &str, wanted: &str) -> String {
        let name = toml::name(wanted);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let taken = |text: &str| {
            text == "anonymous" || self.0.iter().any(|(kind, name)| kind == of && name == text)
        };
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name));
        let free = free.unwrap_or_default();
        self.0.push((of.to_owned(), free.clone()));
        free
    }
}
