//! Policies as text.

use std::fmt::Write;

use faregate_policy::key;

/// A client key; every policy here has its hash.
pub const KEY: &[u8] = b"fg-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

const HEAD: &str = r#"
[server]
listen = "127.0.0.1:0"
[providers.a]
base_url = "http://127.0.0.1:1"
models = ["gpt-*", "o4-mini"]
"#;

/// One caller below an organisation, a team, a project and an agent, each with these limits.
#[must_use]
pub fn nested(limits: &str) -> String {
    let limits = format!("limits = [{limits}]");
    format!(
        "{HEAD}\
         [models.default]\ntargets = [\"a/x\", \"a/y\"]\n\
         [organisation]\n{limits}\n\
         [teams.t]\n{limits}\n\
         [teams.t.projects.p]\n{limits}\n\
         [teams.t.projects.p.agents.g]\n{limits}\n\
         [[keys]]\nname = \"k\"\nteam = \"t\"\nproject = \"p\"\nagent = \"g\"\nhash = \"{}\"\n",
        key::hash(KEY)
    )
}

/// `count` keys in 20 teams with limits; the first is [`KEY`].
#[must_use]
pub fn keys(count: usize) -> String {
    let mut text = format!("{HEAD}[models.default]\ntargets = [\"a/x\"]\n");
    for team in 0..20 {
        _ = write!(text, "[teams.t{team}]\nlimits = [\"60k requests/min\", \"60M tokens/min\"]\n");
    }
    for number in 0..count {
        let hash = if number == 0 { key::hash(KEY) } else { key::hash(&number.to_le_bytes()) };
        let team = number % 20;
        _ = write!(text, "[[keys]]\nname = \"k{number}\"\nteam = \"t{team}\"\nhash = \"{hash}\"\n");
    }
    text
}

/// `plain` names and `starred` names with `*`; `team-0/anything` is answered by the last of those that are tried.
#[must_use]
pub fn models(plain: usize, starred: usize) -> String {
    let mut text = HEAD.to_owned();
    for number in 0..plain {
        _ = write!(text, "[models.model-{number}]\ntargets = [\"a/x{number}\"]\n");
    }
    for number in 0..starred {
        // Longer names are tried first.
        let more = "x".repeat(number);
        _ = write!(text, "[models.\"team-{more}0/*\"]\ntargets = [\"a/*\"]\n");
    }
    text
}
