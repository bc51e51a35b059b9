//! A policy made of the environment alone: `OPENAI_API_KEY=… faregate serve`.
//!
//! In: variables. Out: the text of a policy, read like any other. It holds the names of secrets and
//! the hashes of client keys, no secret itself.

use std::fmt::Write;

use hashbrown::HashMap;

use crate::{
    key,
    known::{self, Known},
    policy::Policy,
    problem::{Problem, Problems},
};

/// What the text is called in diagnostics.
pub const FILE: &str = "(environment)";

/// Variables that hold a key which clients must show, and what it is called.
const CLIENT_KEYS: &[(&str, &str)] =
    &[("FAREGATE_KEY", "faregate-key"), ("LITELLM_MASTER_KEY", "litellm-master-key")];

/// The policy of an environment: every known provider whose usual variables are there.
pub(crate) fn compile(
    vars: impl Iterator<Item = (String, String)>,
    cores: usize,
) -> Result<Policy, Problems> {
    let text = text(vars)?;
    Policy::compile(&text, FILE, cores, None)
}

/// The text of that policy.
///
/// # Errors
///
/// No provider is there.
pub fn text(vars: impl Iterator<Item = (String, String)>) -> Result<String, Problems> {
    let vars: HashMap<String, String> = vars.filter(|(_, value)| !value.is_empty()).collect();
    let mut text = server(&vars);
    let present: Vec<&Known> =
        known::ALL.iter().filter(|known| provider(&mut text, known, &vars)).collect();
    let Some(first) = present.first() else {
        let keys = known::ALL.iter().filter_map(|known| known.key_vars.first().copied());
        let reason = "no provider is known from the environment".to_owned();
        let help = format!(
            "set one of {}; or OLLAMA_HOST, or write a policy: faregate init",
            keys.collect::<Vec<_>>().join(", ")
        );
        return Err(Problems(vec![Problem::of_file(FILE, (reason, Some(help)))]));
    };
    for known in &present {
        for pattern in known.prefixes {
            model(&mut text, pattern, known.name);
        }
    }
    model(&mut text, "*", first.name);
    client_keys(&mut text, &vars);
    Ok(text)
}

fn server(vars: &HashMap<String, String>) -> String {
    let mut text = String::from("[server]\n");
    for (var, key) in [("FAREGATE_LISTEN", "listen"), ("FAREGATE_ADMIN", "admin")] {
        if let Some(value) = vars.get(var) {
            line(&mut text, key, value);
        }
    }
    text
}

/// Adds a provider when it is there.
fn provider(text: &mut String, known: &Known, vars: &HashMap<String, String>) -> bool {
    let key = known.key_vars.iter().find(|var| vars.contains_key(**var));
    let url = known.url_var.and_then(|var| vars.get(var));
    // Who has no usual address is there when the environment names one.
    if (key.is_none() || known.base_url.is_empty()) && url.is_none() {
        return false;
    }
    push(text, format_args!("\n[providers.{}]\n", known.name));
    if let Some(url) = url {
        line(text, "base_url", &whole_url(known, url));
    }
    if let Some(var) = key {
        line(text, "api_key", &format!("env:{var}"));
    }
    true
}

/// What a variable says of where a provider listens, as a URL: `OLLAMA_HOST` is often an address
/// alone, and the one to listen at.
fn whole_url(known: &Known, url: &str) -> String {
    if url.contains("://") || url.starts_with("unix:") {
        return url.to_owned();
    }
    let usual = known.base_url.trim_end_matches("/v1");
    let usual_port = usual.rsplit(':').next().unwrap_or_default();
    let (host, port) = match url.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port),
        _ => (url, usual_port),
    };
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    format!("http://{host}:{port}")
}

fn model(text: &mut String, pattern: &str, provider: &str) {
    push(text, format_args!("\n[models.{}]\n", quoted(pattern)));
    push(text, format_args!("targets = [{}]\n", quoted(&format!("{provider}/*"))));
}

fn client_keys(text: &mut String, vars: &HashMap<String, String>) {
    let mut seen = Vec::new();
    for (var, name) in CLIENT_KEYS {
        let Some(value) = vars.get(*var) else { continue };
        let hash = key::hash(value.as_bytes());
        if !seen.contains(&hash) {
            push(text, format_args!("\n[[keys]]\nname = \"{name}\"\nhash = \"{hash}\"\n"));
            seen.push(hash);
        }
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    push(text, format_args!("{key} = {}\n", quoted(value)));
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all that is written");
}

/// A text as TOML spells it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => push(&mut quoted, format_args!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Secret;

    fn check(vars: &[(&str, &str)]) -> Policy {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        compile(vars, 2).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn goes_to(policy: &Policy, asked: &str) -> String {
        let found = policy.models.resolve(asked).unwrap();
        let target = &policy.targets[found.targets[0]];
        let provider = &policy.providers[target.provider].name;
        format!("{provider} {}", target.model_for(found.asked))
    }

    #[test]
    fn one_key_is_enough() {
        let policy = check(&[("OPENAI_API_KEY", "sk-x"), ("PATH", "/bin")]);
        assert_eq!(policy.providers.len(), 1);
        assert_eq!(policy.providers[0].api_key, Some(Secret::Env("OPENAI_API_KEY".into())));
        assert_eq!(goes_to(&policy, "gpt-5"), "openai gpt-5");
        assert_eq!(goes_to(&policy, "anything"), "openai anything");
        assert!(policy.keys.anonymous.is_some());
        assert_eq!(policy.passthrough_name(), Some("openai"));
    }

    #[test]
    fn bare_names_go_to_who_makes_the_model() {
        let policy = check(&[
            ("OPENAI_API_KEY", "a"),
            ("GROQ_API_KEY", "b"),
            ("XAI_API_KEY", "c"),
            ("GEMINI_API_KEY", "d"),
            ("MISTRAL_API_KEY", ""),
            ("OLLAMA_HOST", "0.0.0.0"),
        ]);
        for (asked, expected) in [
            ("gpt-5-mini", "openai gpt-5-mini"),
            ("o3", "openai o3"),
            ("grok-4", "xai grok-4"),
            ("gemini-2.5-pro", "gemini gemini-2.5-pro"),
            ("llama-3.3-70b-versatile", "openai llama-3.3-70b-versatile"),
            ("groq/llama-3.3-70b-versatile", "groq llama-3.3-70b-versatile"),
            ("ollama/qwen3:8b", "ollama qwen3:8b"),
            ("mistral-large-latest", "openai mistral-large-latest"),
        ] {
            assert_eq!(goes_to(&policy, asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_key_for_clients_is_asked_for_when_there_is_one() {
        let policy = check(&[
            ("OPENAI_API_KEY", "a"),
            ("LITELLM_MASTER_KEY", "sk-1234"),
            ("FAREGATE_KEY", "fg-other"),
            ("FAREGATE_LISTEN", "0.0.0.0:80"),
        ]);
        assert!(policy.keys.anonymous.is_none());
        assert!(policy.caller_of(b"sk-1234").is_some());
        assert!(policy.caller_of(b"fg-other").is_some());
        assert!(policy.caller_of(b"sk-12345").is_none());
        assert_eq!(policy.server.listen[0].port(), 80);
    }

    #[test]
    fn an_address_is_made_a_url() {
        let ollama = known::find("ollama").unwrap();
        for (value, expected) in [
            ("0.0.0.0", "http://127.0.0.1:11434"),
            (":8080", "http://127.0.0.1:8080"),
            ("box:1234", "http://box:1234"),
            ("https://box/x", "https://box/x"),
        ] {
            assert_eq!(whole_url(ollama, value), expected, "{value}");
        }
    }

    #[test]
    fn nothing_there_is_said_with_what_could_be() {
        let problems = compile(std::iter::empty(), 1).unwrap_err();
        assert!(problems.to_string().contains("OPENAI_API_KEY"), "{problems}");
    }

    #[test]
    fn a_wrong_value_is_pointed_at() {
        let vars = [("OPENAI_API_KEY", "a"), ("OPENAI_BASE_URL", "x\"\n[y")];
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let problems = compile(vars, 1).unwrap_err();
        assert!(problems.to_string().contains("(environment):4:12"), "{problems}");
    }
}
