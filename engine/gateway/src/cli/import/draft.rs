//! The policy while it is put together, and its text.
//!
//! In: what a file says, in the words of the policy. Out: TOML with comments. Nothing here knows whose file it was.

use std::fmt::Write;

use faregate_adapters::quirks;
use faregate_policy::{Policy, known};

use super::{
    report::clean,
    toml::{head, key, list, quoted, span, variable},
};

/// The lines of a section: keys with their values as TOML, and comments.
pub(super) type Lines = Vec<String>;

/// A policy that is being put together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Below `[server]`.
    pub(super) server: Lines,
    /// How long a request may take, in milliseconds.
    pub(super) total_ms: Option<u64>,
    /// How long a stream may be silent, in milliseconds, where a provider does not say.
    pub(super) stream_ms: Option<u64>,
    /// Below `[retries]`.
    pub(super) retries: Lines,
    /// Below `[breaker]`.
    pub(super) breaker: Lines,
    /// Who is spoken to.
    pub(super) providers: Vec<Provider>,
    /// Names that clients ask for.
    pub(super) models: Vec<Model>,
    /// Below `[organisation]`.
    pub(super) organisation: Scope,
    /// Who pays: the part of the header behind `teams.`, and its lines.
    pub(super) teams: Vec<(String, Scope)>,
    /// Who may call.
    pub(super) keys: Vec<ClientKey>,
    /// What is said at the end.
    pub(super) remarks: Lines,
}

/// A provider, by what makes it different from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// The kind.
    pub(super) dialect: &'static str,
    /// The known provider that it is or is like.
    pub(super) known: Option<&'static str>,
    /// Where it listens; none: where its name says.
    pub(super) base_url: Option<String>,
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    pub(super) key: Proof,
    /// Head fields, their values as in the policy.
    pub(super) headers: Vec<(String, String)>,
    pub(super) insecure: bool,
    /// Its deadlines in milliseconds.
    pub(super) deadlines: Vec<(&'static str, u64)>,
}

/// How a provider is told who pays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    /// Not at all, or by the chain of its cloud.
    #[default]
    None,
    /// By what is kept there.
    Reference(String),
    /// By a key that stood in the file: its hash, to tell it from others.
    Clear(String),
}

/// A provider with its name.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) identity: Identity,
    /// What `name/model` reaches.
    pub(super) models: Vec<String>,
    /// Where it stands in the file.
    pub(super) place: String,
}

/// A name that clients ask for.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) name: String,
    /// `provider/model` with its weight.
    pub(super) targets: Vec<(String, u32)>,
    pub(super) weighted: bool,
    pub(super) comment: String,
}

/// What somebody may use.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Limits that the policy takes.
    pub(super) limits: Vec<String>,
    /// Other lines: keys and comments.
    pub(super) lines: Lines,
}

/// A key of a client.
#[derive(Debug, Default)]
pub(super) struct ClientKey {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) scope: Scope,
}

impl Draft {
    /// The provider with this identity: the one that is there, or a new one with the first of these names that is free.
    pub(super) fn provider(&mut self, identity: Identity, names: &[String], place: &str) -> usize {
        let same = |provider: &Provider| provider.identity == identity;
        if let Some(at) = self.providers.iter().position(same) {
            return at;
        }
        let name = self.free_name(names);
        let place = place.to_owned();
        self.providers.push(Provider { name, identity, models: Vec::new(), place });
        self.providers.len() - 1
    }

    /// Adds a model, or its targets to the model of this name.
    pub(super) fn model(&mut self, model: Model) {
        match self.models.iter_mut().find(|known| known.name == model.name) {
            Some(known) => {
                for (target, weight) in model.targets {
                    match known.targets.iter_mut().find(|(other, _)| *other == target) {
                        Some((_, sum)) => *sum = sum.saturating_add(weight).min(WEIGHT_MAX),
                        None => known.targets.push((target, weight)),
                    }
                }
            }
            None => self.models.push(model),
        }
    }

    /// The longest list of targets.
    pub(super) fn chain_max(&self) -> usize {
        self.models.iter().map(|model| model.targets.len()).max().unwrap_or(0)
    }

    /// Makes comments of all limits of money; whether there were any.
    pub(super) fn without_money(&mut self) -> bool {
        let teams = self.teams.iter_mut().map(|(_, scope)| scope);
        let keys = self.keys.iter_mut().map(|key| &mut key.scope);
        let mut any = false;
        for scope in teams.chain(keys).chain([&mut self.organisation]) {
            let (money, rest): (Vec<_>, Vec<_>) =
                scope.limits.drain(..).partition(|limit| limit.starts_with('$'));
            scope.limits = rest;
            any |= !money.is_empty();
            let comment =
                |limit: String| format!("# limits: \"{limit}\" (refused beside the rest)");
            scope.lines.extend(money.into_iter().map(comment));
        }
        any
    }

    fn free_name(&self, names: &[String]) -> String {
        let taken = |name: &str| self.providers.iter().any(|provider| provider.name == name);
        let last = names.last().map_or("provider", String::as_str);
        let numbered = (2..).map(|number| format!("{}-{number}", head(last, 56)));
        let mut all = names.iter().map(|name| head(name, 64).to_owned()).chain(numbered);
        all.find(|name| !taken(name)).unwrap_or_default()
    }

    /// The policy.
    pub(super) fn text(&self, top: &[String], end: &[String]) -> String {
        let mut out = String::new();
        for line in top {
            comment(&mut out, line);
        }
        section(&mut out, "server", &self.server);
        if let Some(total) = self.total_ms {
            section(&mut out, "server.deadlines", &[format!("total = \"{}\"", span(total))]);
        }
        section(&mut out, "retries", &self.retries);
        section(&mut out, "breaker", &self.breaker);
        for provider in &self.providers {
            write_provider(&mut out, provider, self.stream_ms);
        }
        for model in &self.models {
            write_model(&mut out, model);
        }
        scope(&mut out, "[organisation]", &self.organisation);
        for (name, team) in &self.teams {
            scope(&mut out, &format!("[teams.{name}]"), team);
        }
        for key in &self.keys {
            let _ = write!(out, "\n[[keys]]\nname = {}\n", quoted(&key.name));
            let _ = writeln!(out, "hash = {}", quoted(&key.hash));
            scope_lines(&mut out, &key.scope);
        }
        if !self.remarks.is_empty() || !end.is_empty() {
            out.push('\n');
        }
        for line in self.remarks.iter().chain(end) {
            comment(&mut out, line);
        }
        out
    }
}

/// The largest weight of a target.
pub(super) const WEIGHT_MAX: u32 = 1_000_000;

/// Where operators look.
pub(super) const ADMIN: &str = "admin = \"127.0.0.1:4001\" # health and metrics";

/// Whether a policy takes this limit. What one version refuses another may enforce, so it is asked.
pub(super) fn is_limit(text: &str) -> bool {
    const REST: &str =
        "[server]\nanonymous = true\n[providers.p]\nbase_url = \"http://localhost\"\n";
    let policy = format!("{REST}[organisation]\nlimits = [{}]\n", quoted(text));
    Policy::compile(&policy, "limit", 1, None).is_ok()
}

fn comment(out: &mut String, line: &str) {
    let line = clean_long(line);
    let _ = if line.is_empty() { writeln!(out, "#") } else { writeln!(out, "# {line}") };
}

/// A comment's line keeps its length: what is in it was cleaned before.
fn clean_long(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn section(out: &mut String, name: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n[{name}]");
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}

fn scope(out: &mut String, header: &str, scope: &Scope) {
    if scope.limits.is_empty() && scope.lines.is_empty() && !header.starts_with("[teams") {
        return;
    }
    let _ = writeln!(out, "\n{header}");
    scope_lines(out, scope);
}

fn scope_lines(out: &mut String, scope: &Scope) {
    if !scope.limits.is_empty() {
        let _ = writeln!(out, "limits = {}", list(&scope.limits));
    }
    for line in &scope.lines {
        let _ = writeln!(out, "{line}");
    }
}

fn write_provider(out: &mut String, provider: &Provider, stream_ms: Option<u64>) {
    let Provider { name, identity, models, place } = provider;
    let _ = writeln!(out, "\n# {}\n[providers.{}]", clean(place), key(name));
    let mut put = |name: &str, value: String| {
        let _ = writeln!(out, "{name} = {value}");
    };
    let meant = Meant::of(name, identity);
    if meant.dialect {
        put("dialect", quoted(identity.dialect));
    }
    if !meant.speaks.is_empty() {
        put("speaks", list(&meant.speaks));
    }
    let texts = [
        ("like", meant.like),
        ("base_url", identity.base_url.as_deref().or(meant.base_url)),
        ("region", identity.region.as_deref()),
        ("project", identity.project.as_deref()),
    ];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        put(name, quoted(text));
    }
    match &identity.key {
        Proof::None => {}
        Proof::Reference(at) => put("api_key", quoted(at)),
        Proof::Clear(_) => put("api_key", quoted(&format!("env:{}", variable(name, "API_KEY")))),
    }
    if !identity.headers.is_empty() {
        let pair =
            |(name, value): &(String, String)| format!("{} = {}", quoted(name), quoted(value));
        let pairs: Vec<String> = identity.headers.iter().map(pair).collect();
        put("headers", format!("{{ {} }}", pairs.join(", ")));
    }
    if identity.insecure {
        put("insecure_skip_verify", "true".to_owned());
    }
    put("models", list(models));
    let mut deadlines = identity.deadlines.clone();
    if let Some(ms) = stream_ms
        && !deadlines.iter().any(|(name, _)| *name == "between_tokens")
    {
        deadlines.push(("between_tokens", ms));
    }
    if !deadlines.is_empty() {
        let _ = writeln!(out, "\n[providers.{}.deadlines]", key(name));
    }
    for (name, ms) in &deadlines {
        let _ = writeln!(out, "{name} = {}", quoted(&span(*ms)));
    }
}

/// What a provider must say because its name does not.
#[derive(Default)]
struct Meant {
    dialect: bool,
    speaks: Vec<String>,
    like: Option<&'static str>,
    base_url: Option<&'static str>,
}

impl Meant {
    fn of(name: &str, identity: &Identity) -> Self {
        let named = known::find(name);
        let meant = identity.known.and_then(known::find);
        let usual = named.map_or("openai", |known| known.dialect);
        let mut out = Self { dialect: usual != identity.dialect, ..Self::default() };
        let Some(meant) = meant.filter(|meant| meant.name != name) else { return out };
        let at_home = identity.base_url.is_none();
        if at_home && !meant.base_url.is_empty() {
            out.base_url = Some(meant.base_url);
        }
        if at_home && identity.dialect == meant.dialect {
            out.speaks = meant.forms.iter().map(|form| form.name().to_owned()).collect();
        }
        let peculiar = quirks::ALL.iter().any(|(known, _)| *known == meant.name);
        let local = meant.key_vars.is_empty();
        if peculiar && identity.dialect == "openai" && (at_home || local) {
            out.like = Some(meant.name);
        }
        out
    }
}

fn write_model(out: &mut String, model: &Model) {
    let _ = writeln!(out, "\n# {}\n[models.{}]", clean(&model.comment), key(&model.name));
    let weighted = model.weighted && model.targets.len() > 1;
    if !weighted {
        let targets: Vec<String> = model.targets.iter().map(|(target, _)| target.clone()).collect();
        let _ = writeln!(out, "targets = {}", list(&targets));
        return;
    }
    out.push_str("strategy = \"weighted\"\ntargets = [\n");
    for (target, weight) in &model.targets {
        let _ = writeln!(out, "  {{ target = {}, weight = {weight} }},", quoted(target));
    }
    out.push_str("]\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_what_the_policy_says_it_is() {
        assert!(is_limit("600 requests/min"));
        assert!(!is_limit("600 requests/fortnight"));
        assert!(!is_limit("\"]\nx"));
    }

    #[test]
    fn money_can_be_taken_out_of_every_scope() {
        let limits =
            || Scope { limits: vec!["$5/day".into(), "4 concurrent".into()], lines: vec![] };
        let key = ClientKey { scope: limits(), ..ClientKey::default() };
        let teams = vec![("t".to_owned(), limits())];
        let mut draft =
            Draft { organisation: limits(), teams, keys: vec![key], ..Draft::default() };
        assert!(draft.without_money());
        let text = draft.text(&[], &[]);
        assert_eq!(text.matches("limits = [\"4 concurrent\"]").count(), 3, "{text}");
        assert_eq!(text.matches("# limits: \"$5/day\"").count(), 3, "{text}");
        assert!(!draft.without_money());
    }

    #[test]
    fn providers_that_are_the_same_are_one() {
        let mut draft = Draft::default();
        let names = ["openai".to_owned(), "openai-eu".to_owned()];
        let other = Identity { region: Some("eu".to_owned()), ..Identity::default() };
        let third = Identity { insecure: true, ..Identity::default() };
        assert_eq!(draft.provider(Identity::default(), &names, ""), 0);
        assert_eq!(draft.provider(Identity::default(), &names, ""), 0);
        draft.provider(other, &names, "");
        draft.provider(third, &names, "");
        let found: Vec<&str> = draft.providers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(found, ["openai", "openai-eu", "openai-eu-2"]);
    }
}
