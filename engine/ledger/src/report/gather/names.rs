//! Names of the ledger put into the groups of a question.
//!
//! In: the tables of who pays and of what was used. Out: for each of their records the group that it belongs to, or nothing where
//! the question leaves it out.

use hashbrown::HashMap;

use super::super::{ANONYMOUS, Dimension, Query};
use crate::store::{Store, StoreError, tags_of};

/// What the names of a payer or of a work come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// The group, by its index.
    pub(super) group: u32,
    /// Whether somebody answers for it.
    pub(super) is_owned: bool,
    /// Whether its rows are requests.
    pub(super) is_request: bool,
}

/// Groups of names: which record of a table belongs to which.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the record's number; `None` when the question leaves it out.
    pub(super) kept: HashMap<i64, Option<Kept>>,
    pub(super) groups: Vec<Vec<String>>,
}

pub(super) fn is_of_payer(dimension: &Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Organisation
            | Dimension::Team
            | Dimension::Project
            | Dimension::Agent
            | Dimension::Key
            | Dimension::User
            | Dimension::Tag(_)
    )
}

/// Payers, by the number that rows have them by.
pub(super) fn payers(store: &Store, query: &Query) -> Result<Names, StoreError> {
    let mut statement = store.connection().prepare(
        "SELECT id, organisation, team, project, agent, key_name, user_name, tags FROM payer",
    )?;
    let mut rows = statement.query([])?;
    let mut builder = Builder::new(query, true);
    while let Some(row) = rows.next()? {
        let texts: [String; 7] = texts(row)?;
        let [_, team, project, agent, key, ..] = &texts;
        let key = if key == ANONYMOUS { "" } else { key.as_str() };
        let is_owned = [team.as_str(), project, agent, key].iter().any(|name| !name.is_empty());
        let value = |dimension: &Dimension| match dimension {
            Dimension::Organisation => texts[0].clone(),
            Dimension::Team => texts[1].clone(),
            Dimension::Project => texts[2].clone(),
            Dimension::Agent => texts[3].clone(),
            Dimension::Key => texts[4].clone(),
            Dimension::User => texts[5].clone(),
            Dimension::Tag(name) => {
                let tag = tags_of(&texts[6]).into_iter().find(|(found, _)| found == name);
                tag.map(|(_, value)| value).unwrap_or_default()
            }
            _ => String::new(),
        };
        builder.record(row.get(0)?, value, is_owned, false);
    }
    Ok(builder.names)
}

/// What was used, by the number that rows have it by.
pub(super) fn works(store: &Store, query: &Query) -> Result<Names, StoreError> {
    let mut statement = store.connection().prepare(
        "SELECT id, surface, model_asked, provider, model, region, price_id, usage_source, kind FROM work",
    )?;
    let mut rows = statement.query([])?;
    let mut builder = Builder::new(query, false);
    while let Some(row) = rows.next()? {
        let texts: [String; 6] = texts(row)?;
        let (source, kind): (i64, i64) = (row.get(7)?, row.get(8)?);
        let value = |dimension: &Dimension| match dimension {
            Dimension::Surface => texts[0].clone(),
            Dimension::ModelAsked => texts[1].clone(),
            Dimension::Provider => texts[2].clone(),
            Dimension::Model => texts[3].clone(),
            Dimension::Region => texts[4].clone(),
            Dimension::PriceId => texts[5].clone(),
            Dimension::UsageSource => {
                name_of(&["provider", "counted", "estimated", "absent"], source)
            }
            Dimension::Kind => name_of(&["request", "unsettled", "correction", "lost_lease"], kind),
            _ => String::new(),
        };
        builder.record(row.get(0)?, value, false, kind <= 1);
    }
    Ok(builder.names)
}

fn name_of(names: &[&str], number: i64) -> String {
    let name = usize::try_from(number).ok().and_then(|at| names.get(at));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn texts<const N: usize>(row: &rusqlite::Row<'_>) -> Result<[String; N], StoreError> {
    let mut texts = [const { String::new() }; N];
    for (at, text) in texts.iter_mut().enumerate() {
        *text = row.get(at + 1)?;
    }
    Ok(texts)
}

/// Puts records of names into groups.
struct Builder {
    by: Vec<Dimension>,
    only: Vec<(Dimension, String)>,
    known: HashMap<Vec<String>, u32>,
    names: Names,
}

impl Builder {
    fn new(query: &Query, of_payer: bool) -> Self {
        let mine = |dimension: &Dimension| {
            !dimension.is_time()
                && *dimension != Dimension::Session
                && is_of_payer(dimension) == of_payer
        };
        Self {
            by: query.by.iter().filter(|dimension| mine(dimension)).cloned().collect(),
            only: query.only.iter().filter(|(dimension, _)| mine(dimension)).cloned().collect(),
            known: HashMap::new(),
            names: Names::default(),
        }
    }

    fn record(
        &mut self,
        id: i64,
        value: impl Fn(&Dimension) -> String,
        is_owned: bool,
        is_request: bool,
    ) {
        if !self.only.iter().all(|(dimension, wanted)| value(dimension) == *wanted) {
            self.names.kept.insert(id, None);
            return;
        }
        let values: Vec<String> = self.by.iter().map(value).collect();
        let next = u32::try_from(self.names.groups.len()).unwrap_or(u32::MAX);
        let group = *self.known.entry(values).or_insert_with_key(|values| {
            self.names.groups.push(values.clone());
            next
        });
        self.names.kept.insert(id, Some(Kept { group, is_owned, is_request }));
    }
}
