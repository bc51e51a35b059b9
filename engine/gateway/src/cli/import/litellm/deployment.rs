//! One entry of `model_list`: a deployment, its provider and its target.

use super::{
    super::{
        Import,
        draft::{Identity, Proof},
        report::Fate,
        source::{self, Family},
        toml,
        tree::Node,
    },
    Target,
};

/// The region that `LiteLLM` means when none is named.
const AWS_REGION: &str = "us-west-2";

/// The location that `LiteLLM` means when none is named.
const VERTEX_LOCATION: &str = "us-central1";

/// Where the values of a deployment stand: with it, or in a credential that it names.
struct Parameters<'n> {
    own: &'n Node,
    credential: Option<&'n Node>,
}

impl<'n> Parameters<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        let own = self.own.get(key).filter(|node| !node.is_empty());
        own.or_else(|| self.credential?.get(key).filter(|node| !node.is_empty()))
    }

    fn first(&self, keys: &[&str]) -> Option<&'n Node> {
        keys.iter().find_map(|key| self.get(key))
    }
}

/// Reads a deployment: its provider is in the draft afterwards. A target without a name is one that a provider reaches by itself.
pub(super) fn read(
    import: &mut Import<'_>,
    entry: &Node,
    group: &str,
    credentials: Option<&Node>,
) -> Option<Target> {
    let Some(own) = entry.get("litellm_params").filter(|params| params.is_map()) else {
        import.report.note(entry, Fate::Lost, "an entry without litellm_params");
        return None;
    };
    let parameters = Parameters { own, credential: credential(import, own, credentials) };
    let Some(node) = parameters.get("model") else {
        import.report.note(entry, Fate::Lost, "an entry without a model");
        return None;
    };
    let wanted = import.setting(node)?;
    let (family, model) = family(import, entry, &parameters, &wanted)?;
    let mut identity = Identity::default();
    let (kind, model) = kind(family, &model, &mut identity);
    identity.known = family.known.map(|known| known.name);
    identity.dialect = kind;
    if !super::is_model_name(&model) || model.matches('*').count() > 1 {
        import.report.note(entry, Fate::Lost, "a policy takes no such model");
        return None;
    }
    let claude_on_azure = kind == "anthropic" && family.name == "azure";
    let base = match kind {
        _ if claude_on_azure => "azure-anthropic",
        "vertex-anthropic" | "bedrock-anthropic" => kind,
        _ => family.name,
    };
    if let Some(node) = parameters.first(&["api_base", "base_url"]) {
        identity.base_url = import.base_url(node, base);
        if claude_on_azure {
            identity.known = None;
            identity.base_url = identity.base_url.map(|url| below_anthropic(&url));
            let text = "Claude on Azure was taken to listen at /anthropic/v1 there";
            import.report.note(node, Fate::Differs, text);
        }
    }
    if family.name == "azure" && identity.base_url.is_none() {
        import.report.note(entry, Fate::Lost, "an Azure deployment without an api_base");
        return None;
    }
    identity.base_url = identity.base_url.or(family.base_url.map(str::to_owned));
    if family.known.is_some_and(|known| identity.base_url.as_deref() == Some(known.base_url)) {
        identity.base_url = None;
    }
    let key = parameters
        .first(&["api_key", "azure_ad_token"])
        .filter(|_| !matches!(kind, "vertex" | "vertex-anthropic"));
    cloud(import, kind, &parameters, &mut identity);
    match key {
        Some(node) => identity.key = import.proof(node),
        None => identity.key = usual_key(family, &identity),
    }
    headers(import, &parameters, &mut identity, base);
    deadlines(import, &parameters, &mut identity);
    let (prefix, direct) = match group.split_once('/') {
        Some((prefix, rest)) if group.contains('*') => (Some(prefix), rest),
        _ => (None, ""),
    };
    let names = names(base, prefix, &identity);
    let provider = import.draft.provider(identity, &names, &format!("line {}", entry.line));
    import.say_key(provider, key);
    let name = import.draft.providers.get(provider)?.name.clone();
    let target = match prefix {
        _ if !group.contains('*') => format!("{name}/{model}"),
        Some(prefix) if prefix == name && direct == model => {
            if kind == "vertex" {
                let text = "Claude on Vertex AI needs a provider of its own: dialect = \"vertex-anthropic\"";
                import.report.say(own, Fate::Lost, text);
            }
            let models = &mut import.draft.providers.get_mut(provider)?.models;
            if !models.contains(&model) {
                models.push(model);
            }
            String::new()
        }
        _ => match wildcard(group, &model) {
            Some(model) => format!("{name}/{model}"),
            None => {
                let text =
                    "what * stands for here would have to be taken apart, which targets do not do";
                import.report.note(entry, Fate::Lost, text);
                return None;
            }
        },
    };
    let number = |key: &str| parameters.get(key).and_then(Node::number);
    let weight = number("weight");
    let by_limit = limit_as_weight(import, [own, entry]);
    Some(Target { name: target, weight: weight.or(by_limit), order: number("order") })
}

/// Limits of a deployment: `LiteLLM` takes them as weights, too, and that is what is left of them.
fn limit_as_weight(import: &mut Import<'_>, places: [&Node; 2]) -> Option<f64> {
    let mut found = None;
    for place in places {
        for node in ["rpm", "tpm"].iter().filter_map(|key| place.get(key)) {
            found = found.or(node.number());
            let text = "a target has no limit of its own; it counts as the target's weight, and a provider's \
                own 429 leads to the next target";
            import.report.note(node, Fate::Lost, text);
        }
    }
    found
}

/// The values of the credential that a deployment names.
fn credential<'n>(
    import: &mut Import<'_>,
    own: &Node,
    credentials: Option<&'n Node>,
) -> Option<&'n Node> {
    let node = own.get("litellm_credential_name")?;
    let wanted = node.text()?;
    let named = |entry: &&Node| entry.get("credential_name").and_then(Node::text) == Some(wanted);
    let found = credentials.map_or(&[][..], Node::entries).iter().find(named);
    if found.is_none() {
        import.report.note(node, Fate::Lost, "no entry of credential_list has this name");
    }
    found.and_then(|entry| entry.get("credential_values"))
}

/// The provider of a deployment and its name for the model.
fn family(
    import: &mut Import<'_>,
    entry: &Node,
    parameters: &Parameters<'_>,
    wanted: &str,
) -> Option<(Family, String)> {
    if let Some(node) = parameters.get("custom_llm_provider")
        && let Some(family) = node.text().and_then(source::family)
    {
        let model = wanted.split_once('/').filter(|(prefix, _)| Some(*prefix) == node.text());
        return Some((family, model.map_or(wanted, |(_, model)| model).to_owned()));
    }
    let has_base = parameters.first(&["api_base", "base_url"]).is_some();
    if let Some((prefix, model)) = wanted.split_once('/') {
        if let Some(family) = source::family(prefix) {
            return Some((family, model.to_owned()));
        }
        if has_base {
            let text =
                "its provider is not known here; it was taken for a server of OpenAI's dialect";
            import.report.note(parameters.own.get("model")?, Fate::Differs, text);
            return Some((Family::SERVER, model.to_owned()));
        }
        let text = format!("provider {prefix} is not known here, and no api_base says where it is");
        import.report.note(entry, Fate::Lost, text);
        return None;
    }
    if wanted == "*" {
        let text =
            "any model of any provider: only OpenAI's were carried, add others as [providers.NAME]";
        import.report.note(parameters.own.get("model")?, Fate::Lost, text);
    }
    let family = source::family_of_model(wanted).or_else(|| source::family("openai"))?;
    Some((family, wanted.to_owned()))
}

/// The kind of a deployment's provider and what is left of the model's name.
fn kind(family: Family, model: &str, identity: &mut Identity) -> (&'static str, String) {
    let mut model = model;
    let mut kind = family.known.map_or("openai", |known| known.dialect);
    if kind == "bedrock" {
        for (route, dialect) in [("converse/", "bedrock"), ("invoke/", "bedrock-anthropic")] {
            if let Some(rest) = model.strip_prefix(route) {
                model = rest;
                kind = if rest.contains("claude") { dialect } else { "bedrock" };
            }
        }
        // bedrock/us-west-2/anthropic.claude-…
        if let Some((region, rest)) = model.split_once('/')
            && region.split('-').count() >= 3
            && !region.contains([':', '.'])
        {
            identity.region = Some(region.to_owned());
            model = rest;
        }
    }
    if kind == "vertex" && model.contains("claude") {
        kind = "vertex-anthropic";
    }
    if kind == "azure" && model.contains("claude") {
        kind = "anthropic";
    }
    if family.name == "openai" || family.name == "azure" {
        model = model.strip_prefix("responses/").unwrap_or(model);
    }
    (kind, model.to_owned())
}

/// Region, project and credentials of a cloud.
fn cloud(
    import: &mut Import<'_>,
    kind: &str,
    parameters: &Parameters<'_>,
    identity: &mut Identity,
) {
    match kind {
        "bedrock" | "bedrock-anthropic" => {
            let named = parameters.first(&["aws_region_name", "aws_bedrock_region"]);
            let named = named.and_then(|node| import.setting(node));
            let mut usual = ["AWS_REGION_NAME", "AWS_REGION"].iter();
            let region = named.or_else(|| identity.region.take());
            let region = region.or_else(|| usual.find_map(|name| import.variable(name)));
            identity.region = Some(region.unwrap_or_else(|| AWS_REGION.to_owned()));
            for key in ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"] {
                let Some(node) = parameters.get(key) else { continue };
                let usual = key.to_ascii_uppercase();
                if node.text().and_then(source::reference) != Some(usual.as_str()) {
                    let text = format!(
                        "credentials of AWS come from its usual chain: set {usual}, a profile or a role"
                    );
                    import.report.note(node, Fate::Todo, text);
                }
            }
        }
        "vertex" | "vertex-anthropic" => {
            let named = parameters.first(&["vertex_project", "vertex_ai_project"]);
            let project = named.and_then(|node| import.setting(node));
            let mut usual = ["VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"].iter();
            let project = project.or_else(|| usual.find_map(|name| import.variable(name)));
            if project.is_none() && named.is_none() {
                let text = "no project is named: write project into the provider";
                import.report.say(parameters.own, Fate::Todo, text);
            }
            identity.project = Some(project.unwrap_or_else(|| "my-project".to_owned()));
            let place = parameters.first(&["vertex_location", "vertex_ai_location"]);
            let place = place.and_then(|node| import.setting(node));
            identity.region = Some(place.unwrap_or_else(|| VERTEX_LOCATION.to_owned()));
            if let Some(node) = parameters.get("vertex_credentials") {
                vertex_credentials(import, node, identity);
            }
        }
        _ => {}
    }
}

fn vertex_credentials(import: &mut Import<'_>, node: &Node, identity: &mut Identity) {
    let path = |text: &str| text.len() < 512 && text.ends_with(".json") && !text.contains('{');
    match node.text() {
        Some(text) if path(text) => identity.key = Proof::Reference(format!("file:{text}")),
        Some(text) if source::reference(text) == Some("GOOGLE_APPLICATION_CREDENTIALS") => {}
        _ => {
            let text = "credentials of Google come from a file: api_key = \"file:/path.json\", or \
                GOOGLE_APPLICATION_CREDENTIALS";
            import.report.note(node, Fate::Todo, text);
        }
    }
}

/// The key of a provider that names none: in its usual variable, when it is where it usually is.
fn usual_key(family: Family, identity: &Identity) -> Proof {
    if identity.key != Proof::None {
        return identity.key.clone();
    }
    let usual = family.known.filter(|known| {
        known.dialect != "bedrock" && (identity.base_url.is_none() || known.dialect == "azure")
    });
    let name = usual.and_then(|known| match known.name {
        "azure" => Some("AZURE_API_KEY"),
        "together" => Some("TOGETHERAI_API_KEY"),
        "fireworks" => Some("FIREWORKS_AI_API_KEY"),
        "nvidia" => Some("NVIDIA_NIM_API_KEY"),
        _ => known.key_vars.first().copied(),
    });
    let home = family.base_url.is_some() && identity.base_url.as_deref() == family.base_url;
    let name = name.or(family.key_var.filter(|_| home));
    name.map_or(Proof::None, |name| Proof::Reference(format!("env:{name}")))
}

fn headers(
    import: &mut Import<'_>,
    parameters: &Parameters<'_>,
    identity: &mut Identity,
    provider: &str,
) {
    if let Some(node) = parameters.get("organization") {
        import.header("openai-organization", node, identity, provider);
    }
    for key in ["extra_headers", "headers"] {
        for (name, node) in parameters.get(key).map_or(&[][..], Node::members) {
            import.header(name, node, identity, provider);
        }
    }
    if let Some(node) = parameters.get("ssl_verify")
        && node.flag() == Some(false)
    {
        identity.insecure = true;
    }
}

/// Timeouts: of the whole answer, and between what comes of a stream.
fn deadlines(import: &mut Import<'_>, parameters: &Parameters<'_>, identity: &mut Identity) {
    let timeout = parameters.get("timeout").and_then(|node| import.millis(node));
    let stream = parameters.get("stream_timeout").and_then(|node| import.millis(node));
    import.draft.total_ms = import.draft.total_ms.max(timeout).max(stream);
    if let Some(ms) = timeout {
        identity.deadlines.push(("first_byte", ms));
        if stream.is_none() {
            identity.deadlines.push(("first_token", ms));
        }
    }
    if let Some(ms) = stream {
        identity.deadlines.push(("between_tokens", ms));
        if timeout.is_none_or(|timeout| timeout <= ms) {
            identity.deadlines.push(("first_token", ms));
        }
    }
}

/// Where Azure has Anthropic's dialect.
fn below_anthropic(url: &str) -> String {
    let url = url.strip_suffix("/v1").unwrap_or(url);
    let url = url.strip_suffix("/anthropic").unwrap_or(url);
    format!("{url}/anthropic/v1")
}

/// Names that a provider may get, the best one first.
fn names(base: &str, prefix: Option<&str>, identity: &Identity) -> Vec<String> {
    let place = identity.region.clone().or_else(|| {
        let url = identity.base_url.as_deref()?;
        let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
        let numbers = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let label = if numbers { host } else { host.split('.').find(|part| *part != "api")? };
        Some(label.to_owned())
    });
    let mut names: Vec<String> = Vec::new();
    if let Some(prefix) = prefix.filter(|prefix| toml::name(prefix) == **prefix) {
        names.push(prefix.to_owned());
    }
    let at_home = base != "server" && (identity.base_url.is_none() || base != "openai");
    if at_home {
        names.push(base.to_owned());
    }
    match place {
        Some(place) if base == "server" || base == "openai" => names.push(toml::name(&place)),
        Some(place) => names.push(toml::name(&format!("{base}-{place}"))),
        None if !at_home => names.push(base.to_owned()),
        None => {}
    }
    if let Proof::Reference(at) = &identity.key {
        let variable = at.rsplit([':', '/']).next().unwrap_or_default().to_ascii_lowercase();
        let short = variable.replace("_api_key", "").replace("_key", "").replace('_', "-");
        names.push(toml::name(&short));
    }
    names
}

/// A target's model for a name with *: `*` there stands for the whole name that was asked for.
fn wildcard(group: &str, model: &str) -> Option<String> {
    let (before, after) = group.split_once('*')?;
    match model.split_once('*') {
        None => Some(model.to_owned()),
        Some((start, end)) => {
            let start = start.strip_suffix(before)?;
            let end = end.strip_prefix(after)?;
            Some(format!("{start}*{end}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_whole_name() {
        assert_eq!(wildcard("*", "*").as_deref(), Some("*"));
        assert_eq!(wildcard("gpt-*", "gpt-*").as_deref(), Some("*"));
        assert_eq!(wildcard("claude-*", "anthropic.claude-*").as_deref(), Some("anthropic.*"));
        assert_eq!(wildcard("x/*", "*"), None);
        assert_eq!(wildcard("gpt-*", "gpt-5-mini").as_deref(), Some("gpt-5-mini"));
    }
}
