//! Where operators are told of budgets that have reached a share to warn at.

use std::path::PathBuf;

use crate::policy::Secret;

/// A place that takes POSTs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its URL, of http or https.
    pub url: Box<str>,
    /// What bodies are signed with.
    pub secret: Secret,
    /// Who may vouch for it; `None`: the system's authorities.
    pub ca_file: Option<PathBuf>,
}
