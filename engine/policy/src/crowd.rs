//! Budgets of scopes that the policy does not list: users, sessions, workloads, tags, whoever they are.
//!
//! In: what a request says of itself ([`Labels`]), with the present. Out: its scopes, pinned while it draws on them. Remembered
//! in a table that outlives the policy: a fund for each budget of each scope that was seen and may still matter.
//!
//! A scope is made by the first request that needs it, and shared by all that come at the same time. There is room for
//! [`SCOPES_MAX`] unless the policy says otherwise. One that nobody has drawn on for a while goes when its windows are over,
//! or when the journal will know again what it has spent; where there is no room even so, a request that needs a new scope
//! with a hard limit is refused.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::{attribution::Labels, budget::Budget, caller::ScopeIndex, time::Wall};

mod entry;
#[cfg(all(test, loom))]
mod model;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use entry::Pin;
pub use entry::{Drawn, Leaving};
pub(crate) use table::Table;

/// Scopes there is room for, where the policy says nothing.
pub const SCOPES_MAX: u64 = 65_536;

/// The budgets of a scope, with funds that nobody draws on.
pub(crate) type Rule = Arc<[Budget]>;

/// Users, sessions, workloads, or the values of one tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    /// Each that has no rule of its own.
    pub(crate) default: Option<Rule>,
    /// Those that have.
    pub(crate) named: HashMap<Box<str>, Rule>,
}

impl Kind {
    fn rule(&self, name: &str) -> Option<&Rule> {
        if name.is_empty() {
            return None;
        }
        self.named.get(name).or(self.default.as_ref())
    }

    fn is_empty(&self) -> bool {
        self.default.is_none() && self.named.is_empty()
    }
}

/// What the policy says of them.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    /// Counts policies: a scope goes by the latest that it was seen by.
    pub(crate) generation: u64,
    pub(crate) users: Kind,
    pub(crate) sessions: Kind,
    pub(crate) workloads: Kind,
    /// By the tag's name.
    pub(crate) tags: HashMap<Box<str>, Kind>,
    /// Models of the policy that have budgets, by name.
    pub(crate) models: HashMap<Box<str>, ScopeIndex>,
    /// Scopes there is room for.
    pub(crate) room: u64,
    /// `None`: no policy has had any such budget.
    pub(crate) table: Option<Arc<Table>>,
}

/// A scope as a request would find it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its name: `user/alice`.
    pub name: String,
    /// What it may use.
    pub budgets: Vec<Budget>,
}

/// There is no room for this scope, and a hard limit must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) String);

impl Crowd {
    /// Whether no scope can be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.sessions.is_empty()
            && self.workloads.is_empty()
            && self.tags.is_empty()
    }

    /// The scopes that a request with these labels would draw on, as far as they have been seen; of one that has not, the budgets
    /// are untouched. Nothing is made.
    #[must_use]
    pub fn look(&self, labels: &Labels) -> Vec<Looked> {
        let mut found = Vec::new();
        let Some(table) = &self.table else { return found };
        let mut look = |rule: Option<&Rule>, name: &dyn Fn() -> String| {
            let Some(rule) = rule else { return };
            let name = name();
            let budgets = match table.find(&name) {
                Some(drawn) => drawn.budgets.to_vec(),
                None => rule.to_vec(),
            };
            found.push(Looked { name, budgets });
        };
        let Labels { session, user, workload, .. } = labels;
        look(self.sessions.rule(session), &|| format!("session/{session}"));
        look(self.users.rule(user), &|| format!("user/{user}"));
        for (tag, value) in &labels.tags {
            let rule = self.tags.get(tag).and_then(|kind| kind.rule(value));
            look(rule, &|| format!("tag/{tag}={value}"));
        }
        look(self.workloads.rule(workload), &|| format!("workload/{workload}"));
        found
    }

    /// Models that have budgets, each with its scope's place in the policy.
    pub fn models(&self) -> impl Iterator<Item = (&str, ScopeIndex)> {
        self.models.iter().map(|(name, index)| (&**name, *index))
    }

    /// The scopes that a request draws on, the narrowest first: its session, its user, its tags, its workload.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when one of them is new and there is no room for it.
    pub(crate) fn draw(&self, labels: &Labels, now: Wall) -> Result<Vec<Pin>, NoRoom> {
        let mut pins = Vec::new();
        let Some(table) = &self.table else { return Ok(pins) };
        let mut pin = |rule: Option<&Rule>, name: &dyn Fn() -> String| {
            let Some(rule) = rule else { return Ok(()) };
            let name = name();
            match table.pin(&name, (self.generation, rule), self.room, now) {
                Some(pin) => pins.push(pin),
                None if rule.iter().all(|budget| budget.is_soft) => {}
                None => return Err(NoRoom(name)),
            }
            Ok(())
        };
        let Labels { session, user, workload, .. } = labels;
        pin(self.sessions.rule(session), &|| format!("session/{session}"))?;
        pin(self.users.rule(user), &|| format!("user/{user}"))?;
        if !self.tags.is_empty() {
            for (tag, value) in &labels.tags {
                let rule = self.tags.get(tag).and_then(|kind| kind.rule(value));
                pin(rule, &|| format!("tag/{tag}={value}"))?;
            }
        }
        pin(self.workloads.rule(workload), &|| format!("workload/{workload}"))?;
        Ok(pins)
    }

    /// A journal keeps the budgets that are made from now on.
    pub fn keep_in_journal(&self) {
        if let Some(table) = &self.table {
            table.keep_in_journal();
        }
    }

    /// The budgets that a journal keeps are leased from a store, from now on: other gateways spend them, too.
    pub fn share(&self) {
        if let Some(table) = &self.table {
            table.share();
        }
    }

    /// Scopes that have been drawn on since this was last asked, or are being drawn on: for one thread.
    #[must_use]
    pub fn stirring(&self) -> Vec<Arc<Drawn>> {
        self.table.as_ref().map_or_else(Vec::new, |table| table.stirring())
    }

    /// Every scope that is known, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Drawn>> {
        self.table.as_ref().map_or_else(Vec::new, |table| table.all())
    }

    /// How many scopes are known.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.table.as_ref().map_or(0, |table| table.count())
    }

    /// Whether a request was refused for want of room since this was last asked.
    #[must_use]
    pub fn wants_room(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.wants_room())
    }

    /// Drops the scopes that nobody draws on and that nothing would be forgotten with; `leave` is told of each. For one thread,
    /// now and then.
    pub fn sweep(&self, now: Wall, leave: &mut dyn FnMut(&Leaving<'_>)) {
        if let Some(table) = &self.table {
            table.sweep(now, leave);
        }
    }
}
