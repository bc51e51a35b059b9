//! Whose answers are kept to be given again, for how long, and to whom: as the policy says of workloads.
//!
//! In: the name of a workload, a caller. Out: an [`Exact`], where answers are kept, and the tenant that they are kept for.
//! Nothing is remembered.

use std::time::Duration;

use hashbrown::HashMap;

use super::semantic::Semantic;
use crate::Caller;

/// The name that stands for each workload without a table of its own.
const DEFAULT: &str = "default";

/// What is kept of answers, over all workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Bytes of all answers that are kept at a time.
    pub memory_bytes: u64,
    /// Bytes of the longest answer that is kept.
    pub answer_bytes: usize,
    /// What is kept of each workload that has a table; `None`: nothing.
    pub(crate) workloads: HashMap<Box<str>, Option<Exact>>,
    /// Of which workloads answers are given to other words.
    pub(crate) semantic: HashMap<Box<str>, Semantic>,
}

/// The exact cache of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// How long an answer is given again.
    pub ttl: Duration,
    /// Who is given what was answered to another.
    pub share: Share,
    /// How long a request waits for the answer to another one like it that is under way; `None`: it does not.
    pub coalesce: Option<Duration>,
    /// Whether a request may ask for a shorter or longer time.
    pub ttl_header: bool,
}

/// Who is given what was answered to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Everybody of the organisation.
    Organisation,
    /// The team; a key that is of none, alone.
    #[default]
    Team,
    /// The project; a key that is of none, alone.
    Project,
    /// The key alone.
    Key,
}

impl Answers {
    /// Whether anything is kept at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.workloads.values().any(Option::is_some)
    }

    /// What is demanded before an answer is given to other words; `None`: it never is.
    #[must_use]
    pub fn semantic(&self, workload: &str) -> Option<&Semantic> {
        self.exact(workload)?;
        let own = if self.workloads.contains_key(workload) { workload } else { DEFAULT };
        self.semantic.get(own)
    }

    /// Whether any workload has its answers given to other words.
    #[must_use]
    pub fn has_semantic(&self) -> bool {
        !self.semantic.is_empty()
    }

    /// What is kept of a workload; an empty name is none.
    #[must_use]
    pub fn exact(&self, workload: &str) -> Option<&Exact> {
        if self.workloads.is_empty() || workload.is_empty() {
            return None;
        }
        self.workloads.get(workload).or_else(|| self.workloads.get(DEFAULT))?.as_ref()
    }
}

impl Share {
    /// The tenant that a caller's answers are kept for: kinds of tenants never have a name in common, and what a caller has not
    /// is never shared.
    #[must_use]
    pub fn tenant(self, caller: &Caller) -> String {
        let organisation = caller.organisation.as_deref().unwrap_or_default();
        let within = |kind: &str, names: &[&str]| {
            let mut name = format!("{kind}/{}:{organisation}", organisation.len());
            for part in names {
                name.push_str(&format!("/{}:{part}", part.len()));
            }
            name
        };
        let team = caller.team.as_deref();
        match (self, team, caller.project.as_deref()) {
            (Self::Organisation, _, _) => within("organisation", &[]),
            (Self::Team, Some(team), _) => within("team", &[team]),
            (Self::Project, Some(team), Some(project)) => within("project", &[team, project]),
            (Self::Team | Self::Project | Self::Key, _, _) => within("key", &[&caller.key]),
        }
    }
}
