//! A key of a provider in Bifrost's file, with what its cloud wants.

use super::{
    super::{
        Import,
        draft::{Identity, Proof},
        report::Fate,
        source::{self, Family},
        toml,
        tree::Node,
    },
    Key,
};

/// The provider that a key belongs to.
pub(super) struct Context<'n> {
    pub(super) name: &'n str,
    pub(super) family: Family,
    pub(super) provider: &'n Node,
}

/// Whether a key is for all models.
pub(super) fn is_for_all(key: &Node) -> bool {
    key.get("models").is_none_or(|models| {
        models.is_empty() || models.entries().iter().any(|model| model.text() == Some("*"))
    })
}

/// Reads a key; its provider is in the draft afterwards. Without a node: a provider that asks for no key.
pub(super) fn read(
    import: &mut Import<'_>,
    context: &Context<'_>,
    node: Option<&Node>,
    count: usize,
) -> Option<Key> {
    let known = context.family.known;
    let mut identity = Identity {
        known: known.map(|known| known.name),
        dialect: known.map_or("openai", |known| known.dialect),
        ..Identity::default()
    };
    network(import, context, &mut identity);
    if let Some(node) = node {
        cloud(import, context, node, &mut identity);
    }
    identity.base_url = identity.base_url.or(context.family.base_url.map(str::to_owned));
    let missing = identity.base_url.is_none() && (known.is_none() || identity.dialect == "azure");
    if missing {
        let text = "nothing says where it is";
        import.report.note(node.unwrap_or(context.provider), Fate::Lost, text);
        return None;
    }
    let value = node.and_then(|node| node.get("value")).and_then(inner);
    let value = value.filter(|_| !identity.dialect.starts_with("vertex"));
    if let Some(value) = value {
        identity.key = import.proof(value);
    }
    let label =
        node.and_then(|node| node.get("name").or_else(|| node.get("id"))).and_then(Node::text);
    let mut names = vec![context.name.to_owned()];
    if count > 1
        && let Some(label) = label
    {
        let label = toml::name(label);
        let own = label.starts_with(context.name);
        names.push(if own { label } else { toml::name(&format!("{}-{label}", context.name)) });
    }
    let line = node.map_or(context.provider.line, |node| node.line);
    let provider = import.draft.provider(identity, &names, &format!("line {line}"));
    import.say_key(provider, value);
    let at = import.draft.providers.get(provider)?.name.clone();
    let weight = node.and_then(|node| node.get("weight")).and_then(Node::number).unwrap_or(1.0);
    let models = node.and_then(|node| models(import, node));
    let aliases = node.map_or(Vec::new(), |node| aliases(import, node));
    Some(Key { provider, at, models, aliases, weight, line })
}

/// The target for a model by a key.
pub(super) fn target(import: &mut Import<'_>, key: &Key, model: &str) -> String {
    let found = import.draft.providers.get(key.provider);
    let dialect = found.map_or("", |provider| provider.identity.dialect);
    let model = match dialect {
        "vertex" => model.strip_prefix("google/").unwrap_or(model),
        _ => model,
    };
    if dialect == "vertex"
        && model.contains("claude")
        && let Some(found) = found
    {
        let place = found.place.clone();
        let identity =
            Identity { dialect: "vertex-anthropic", known: None, ..found.identity.clone() };
        let names = ["vertex-anthropic".to_owned(), format!("{}-anthropic", key.at)];
        let at = import.draft.provider(identity, &names, &place);
        let model = model.strip_prefix("anthropic/").unwrap_or(model);
        let name = import.draft.providers.get(at).map_or("", |provider| provider.name.as_str());
        return format!("{name}/{model}");
    }
    format!("{}/{model}", key.at)
}

/// A value, or what an object says of it.
pub(super) fn inner(node: &Node) -> Option<&Node> {
    let found = match node.is_map() {
        true => {
            let full =
                |key: &str| node.get(key).filter(|node| node.text().is_some_and(|t| !t.is_empty()));
            full("env_var").or_else(|| full("ref")).or_else(|| full("value"))
        }
        false => Some(node),
    };
    if node.is_map() {
        node.take();
    }
    found.filter(|node| node.text().is_some_and(|text| !text.is_empty()))
}

/// Models that a key is for; none: all.
fn models(import: &mut Import<'_>, key: &Node) -> Option<Vec<String>> {
    let node = key.get("models")?;
    if node.is_empty() {
        let text =
            "an empty list was all models before version 1.5 and is none since; all were taken";
        import.report.say(key, Fate::Differs, text);
        return None;
    }
    let names: Vec<String> = node.texts().into_iter().map(str::to_owned).collect();
    if names.iter().any(|name| name == "*") {
        return None;
    }
    let (right, wrong): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| super::is_model_name(name));
    if !wrong.is_empty() {
        import.report.note(node, Fate::Lost, "a policy takes no such name of a model");
    }
    Some(right)
}

fn aliases(import: &mut Import<'_>, key: &Node) -> Vec<(String, String)> {
    let configs = ["azure_key_config", "bedrock_key_config", "vertex_key_config"];
    let old = configs.iter().filter_map(|config| key.get(config)?.get("deployments"));
    let mut found = Vec::new();
    for map in key.get("aliases").into_iter().chain(old) {
        for (name, node) in map.members() {
            let full = ["model_id", "id", "deployment", "name", "value"];
            let text = node.text().or_else(|| full.iter().find_map(|key| node.get(key)?.text()));
            match text.filter(|text| super::is_model_name(text) && super::is_model_name(name)) {
                Some(text) if !text.contains('*') && !name.contains('*') => {
                    found.push((name.clone(), text.to_owned()));
                }
                _ => import.report.note(node, Fate::Lost, "an alias that a policy cannot say"),
            }
        }
    }
    found
}

fn network(import: &mut Import<'_>, context: &Context<'_>, identity: &mut Identity) {
    let Some(network) = context.provider.get("network_config") else { return };
    if let Some(node) = network.get("base_url").and_then(inner)
        && let Some(url) = import.base_url(node, context.name)
    {
        identity.base_url = Some(versioned(import, node, url, identity.dialect));
    }
    for (name, node) in network.get("extra_headers").map_or(&[][..], Node::members) {
        import.header(name, node, identity, context.name);
    }
    let whole = network.get("default_request_timeout_in_seconds");
    if let Some(ms) = whole.and_then(|node| import.millis(node)) {
        identity.deadlines.push(("first_byte", ms));
        identity.deadlines.push(("first_token", ms));
        import.draft.total_ms = import.draft.total_ms.max(Some(ms.max(600_000)));
    }
    let idle = network.get("stream_idle_timeout_in_seconds");
    if let Some(ms) = idle.and_then(|node| import.millis(node)) {
        identity.deadlines.push(("between_tokens", ms));
        import.draft.total_ms = import.draft.total_ms.max(Some(ms.max(600_000)));
    }
    if network.get("insecure_skip_verify").and_then(Node::flag) == Some(true) {
        identity.insecure = true;
    }
    if let Some(node) = network.get("ca_cert_pem") {
        let text = "write the certificate into a file and name it: ca_file = \"/path.pem\"";
        import.report.note(node, Fate::Todo, text);
    }
}

/// Bifrost puts `/v1` behind an address, Faregate only behind one without a path.
fn versioned(import: &mut Import<'_>, node: &Node, url: String, dialect: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let has_version = url.ends_with("/v1");
    if path.is_none() || has_version || !matches!(dialect, "openai" | "anthropic") {
        return url;
    }
    import.report.note(node, Fate::Differs, "/v1 was put behind it, as Bifrost does");
    format!("{url}/v1")
}

fn cloud(import: &mut Import<'_>, context: &Context<'_>, key: &Node, identity: &mut Identity) {
    for config in ["vllm_key_config", "ollama_key_config", "sgl_key_config", "azure_key_config"] {
        let config = key.get(config);
        let url = config.and_then(|config| config.get("url").or_else(|| config.get("endpoint")));
        if let Some(node) = url.and_then(inner) {
            identity.base_url = import.base_url(node, context.name);
        }
    }
    if let Some(config) = key.get("bedrock_key_config") {
        let region = config.get("region").and_then(inner).and_then(|node| import.setting(node));
        identity.region = Some(region.unwrap_or_else(|| "us-east-1".to_owned()));
        for (key, usual) in [
            ("access_key", "AWS_ACCESS_KEY_ID"),
            ("secret_key", "AWS_SECRET_ACCESS_KEY"),
            ("session_token", "AWS_SESSION_TOKEN"),
        ] {
            let Some(node) = config.get(key).and_then(inner) else { continue };
            if node.text().and_then(source::reference) != Some(usual) {
                let text = format!(
                    "credentials of AWS come from its usual chain: set {usual}, a profile or a role"
                );
                import.report.note(node, Fate::Todo, text);
            }
        }
    } else if identity.dialect == "bedrock" && identity.base_url.is_none() {
        identity.region = Some("us-east-1".to_owned());
    }
    let config = key.get("vertex_key_config");
    if identity.dialect == "vertex" {
        let text = |import: &mut Import<'_>, key: &str| {
            config
                .and_then(|config| config.get(key))
                .and_then(inner)
                .and_then(|node| import.setting(node))
        };
        let project = text(import, "project_id");
        if project.is_none() {
            let said = "no project is named: write project into the provider";
            import.report.say(config.unwrap_or(key), Fate::Todo, said);
        }
        identity.project = Some(project.unwrap_or_else(|| "my-project".to_owned()));
        identity.region = Some(text(import, "region").unwrap_or_else(|| "us-central1".to_owned()));
        if let Some(node) = config.and_then(|config| config.get("auth_credentials")).and_then(inner)
        {
            let said = "credentials of Google come from a file: api_key = \"file:/path.json\", or \
                GOOGLE_APPLICATION_CREDENTIALS";
            import.report.note(node, Fate::Todo, said);
        }
        identity.key = Proof::None;
    }
}
