//! The sections of settings of `LiteLLM`'s file.
//!
//! In: its tree. Out: the server, retries, breaker, limits and keys of the draft.
//! Format: <https://docs.litellm.ai/docs/proxy/config_settings>

use super::super::{
    Import,
    draft::{ADMIN, ClientKey, Scope},
    limit::Money,
    report::Fate,
    source::whole,
    toml::span,
    tree::Node,
};

/// The largest number of attempts that a policy takes.
const ATTEMPTS_MAX: usize = 10;

/// Reads all sections but `model_list`.
pub(super) fn read(import: &mut Import<'_>, root: &Node) {
    let sections = Sections {
        router: root.get("router_settings"),
        litellm: root.get("litellm_settings"),
        general: root.get("general_settings"),
    };
    reliability(import, &sections);
    limits(import, &sections);
    access(import, &sections, root);
    if let Some(node) = sections.general("max_request_size_mb")
        && let Some(mib) = node.number().map(|mib| whole(mib.ceil()).clamp(1, 1024))
    {
        import.draft.server.push(format!("body_bytes = \"{mib} MiB\""));
    }
    if let Some(node) = sections.router("routing_strategy")
        && !matches!(node.text(), Some("simple-shuffle") | None)
    {
        let text = "targets are chosen by weight or in order, not by load, latency, use or cost";
        import.report.note(node, Fate::Lost, text);
    }
    if let Some(node) = sections.litellm("drop_params") {
        match node.flag() {
            Some(true) => {}
            _ => import.draft.server.push("strict_translation = true".to_owned()),
        }
    }
}

struct Sections<'n> {
    router: Option<&'n Node>,
    litellm: Option<&'n Node>,
    general: Option<&'n Node>,
}

impl<'n> Sections<'n> {
    fn router(&self, key: &str) -> Option<&'n Node> {
        self.router?.get(key).filter(|node| !node.is_empty())
    }

    fn litellm(&self, key: &str) -> Option<&'n Node> {
        self.litellm?.get(key).filter(|node| !node.is_empty())
    }

    fn general(&self, key: &str) -> Option<&'n Node> {
        self.general?.get(key).filter(|node| !node.is_empty())
    }

    /// What the router's settings say, or else the library's; the other one counts as read.
    fn either(&self, router: &str, litellm: &str) -> Option<&'n Node> {
        let (first, second) = (self.router(router), self.litellm(litellm));
        if let (Some(_), Some(second)) = (first, second) {
            second.take();
        }
        first.or(second)
    }
}

fn reliability(import: &mut Import<'_>, sections: &Sections<'_>) {
    let timeout = sections.either("timeout", "request_timeout");
    let timeout = timeout.and_then(|node| import.millis(node));
    let stream = sections.router("stream_timeout").and_then(|node| import.millis(node));
    let longest = import.draft.total_ms.max(timeout);
    import.draft.total_ms = longest;
    if let (Some(ms), Some(node)) = (stream, sections.router("stream_timeout")) {
        if longest.is_some_and(|longest| ms > longest) {
            import.report.note(node, Fate::Lost, "it is longer than a request may take");
        } else {
            import.draft.stream_ms = Some(ms);
        }
    }
    let chain = import.draft.chain_max();
    let retries = sections.either("num_retries", "num_retries");
    let given =
        retries.and_then(Node::number).map(|count| usize::try_from(whole(count)).unwrap_or(0));
    let wanted = match given {
        Some(retries) => Some(retries.saturating_add(chain.max(1))),
        None if chain > 3 => Some(chain),
        None => None,
    };
    if let Some(wanted) = wanted {
        let attempts = wanted.clamp(1, ATTEMPTS_MAX);
        import.draft.retries.push(format!("attempts = {attempts} # over all targets of a model"));
        if let Some(node) = retries {
            let text = format!(
                "{attempts} attempts over all targets of a model together, not so many for each of them"
            );
            import.report.note(node, Fate::Differs, text);
        }
    }
    if let Some(node) = sections.router("retry_after")
        && let Some(ms) = import.millis(node)
    {
        let ms = ms.min(60_000);
        import.draft.retries.push(format!("backoff = \"{}\"", span(ms)));
        import.draft.retries.push(format!("backoff_max = \"{}\"", span(ms.max(8000))));
    }
    breaker(import, sections);
}

fn breaker(import: &mut Import<'_>, sections: &Sections<'_>) {
    let fails = sections.either("allowed_fails", "allowed_fails").and_then(Node::number);
    let off = sections.router("disable_cooldowns").and_then(Node::flag) == Some(true);
    if off {
        import.draft.breaker.push("failures = 10000 # cooldowns were disabled".to_owned());
    } else if let Some(fails) = fails {
        let failures = whole(fails).saturating_add(1).min(10_000);
        import.draft.breaker.push(format!("failures = {failures}"));
        import.draft.breaker.push("window = \"1m\"".to_owned());
    }
    let node = sections.either("cooldown_time", "cooldown_time");
    if let Some(node) = node
        && let Some(ms) = import.millis(node)
        && !off
    {
        let ms = ms.min(3_600_000);
        import.draft.breaker.push(format!("open = \"{}\"", span(ms)));
        import.draft.breaker.push(format!("open_max = \"{}\"", span(ms.max(60_000))));
    }
}

fn limits(import: &mut Import<'_>, sections: &Sections<'_>) {
    let mut whole_scope = Scope::default();
    if let Some(node) = sections.litellm("max_budget") {
        let period = sections.litellm("budget_duration");
        let money = Money { amount: node, period, currency: '$' };
        import.money(&money, &mut whole_scope);
    }
    if let Some(node) = sections.general("global_max_parallel_requests")
        && let Some(count) = node.number().map(whole)
    {
        import.limit(node, &[format!("{count} concurrent")], &mut whole_scope);
    }
    import.draft.organisation = whole_scope;
}

fn access(import: &mut Import<'_>, sections: &Sections<'_>, root: &Node) {
    let server = &mut import.draft.server;
    let listen = "listen = \"127.0.0.1:4000\" # \"0.0.0.0:4000\" lets other machines connect, as LiteLLM does";
    server.push(listen.to_owned());
    server.push(ADMIN.to_owned());
    let Some(node) = sections.general("master_key") else {
        server
            .push("anonymous = true # no master_key: callers without a key are served".to_owned());
        return;
    };
    let (hash, known) = import.client_hash(node);
    let mut scope = Scope::default();
    if !known {
        scope.lines.push("disabled = true # until hash is that of the master key".to_owned());
    }
    import.draft.keys.push(ClientKey { name: "master".to_owned(), hash, scope });
    let has_database = sections.general("database_url").is_some()
        || root.get("environment_variables").is_some_and(|map| map.get("DATABASE_URL").is_some());
    if has_database {
        import.draft.remarks.extend(
            [
                "Virtual keys are in LiteLLM's database, which this file does not have. Its table",
                "LiteLLM_VerificationToken holds their SHA-256 in the column token, so clients keep their keys:",
                "  [[keys]]",
                "  name = \"the key_alias\"",
                "  hash = \"sha256:the token\"",
                "",
            ]
            .map(str::to_owned),
        );
    }
}
