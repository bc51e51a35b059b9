//! A policy in a few lines, for people: `faregate check`, and the log when it takes effect.

use std::fmt;

use crate::{
    policy::{AccessLog, Policy},
    reference::written,
};

/// Names that are written out.
const NAMES_SHOWN_MAX: usize = 8;

/// What a policy comes to.
pub struct Summary<'p>(pub &'p Policy);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.0;
        let providers = policy.providers.iter().map(|provider| &*provider.name);
        writeln!(f, "providers  {}", Counted(policy.providers.len(), providers))?;
        let models = policy.models.list();
        let names = models.iter().map(|model| &*model.name);
        writeln!(f, "models     {}", Counted(models.len(), names))?;
        let anonymous = match policy.keys.anonymous {
            Some(_) => "callers without a key are served",
            None => "callers without a key are refused",
        };
        writeln!(f, "keys       {}; {anonymous}", policy.keys.len())?;
        let count = |scope: &crate::Scope| scope.limits.len() + scope.budgets.len();
        let limits: usize = policy.scopes.iter().map(count).sum();
        let scopes = policy.scopes.iter().map(|scope| &*scope.name);
        writeln!(f, "limits     {limits} in {}", Counted(policy.scopes.len(), scopes))?;
        let listen: Vec<_> = policy.server.listen.iter().map(ToString::to_string).collect();
        let tls = if policy.server.tls.is_some() { "by TLS" } else { "in the clear" };
        writeln!(f, "listens    {} {tls}, {}", listen.join(", "), Admin(policy))?;
        let log = match &policy.server.access_log {
            AccessLog::Stdout => "stdout".to_owned(),
            AccessLog::Stderr => "stderr".to_owned(),
            AccessLog::Off => "off".to_owned(),
            AccessLog::File(path) => path.display().to_string(),
        };
        let total = written(policy.server.deadlines.total);
        write!(f, "access log {log}; a request may take {total}")
    }
}

struct Admin<'p>(&'p Policy);

impl fmt::Display for Admin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.server.admin {
            Some(admin) => write!(f, "admin {admin}"),
            None => f.write_str("no admin"),
        }
    }
}

/// A count, and the first of the names behind it.
struct Counted<I>(usize, I);

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for Counted<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for (at, name) in self.1.clone().take(NAMES_SHOWN_MAX).enumerate() {
            write!(f, "{}{name}", if at == 0 { ": " } else { ", " })?;
        }
        if self.0 > NAMES_SHOWN_MAX { f.write_str(", …") } else { Ok(()) }
    }
}
