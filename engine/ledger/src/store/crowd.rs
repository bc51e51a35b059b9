//! Sums of hours over users and tags.
//!
//! In: sums of hours by payer. Out: the same by payer without user and tags, and which questions they answer. Remembered
//! between calls: which payer stands for which, in [`Names`](super::names::Names).

use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    StoreError,
    fold::{Cell, SUMS, Sums},
};

/// The table of sums of hours that answers a question: the small one, unless users or tags are asked for.
pub(crate) const fn hours(asks_for_users: bool) -> &'static str {
    if asks_for_users { "hour" } else { "crowd_hour" }
}

/// Sums of hours by what pays without its user and its tags.
pub(super) fn sums(
    db: &Connection,
    crowds: &mut HashMap<i64, i64>,
    hours: &HashMap<Cell, Sums>,
) -> Result<HashMap<Cell, Sums>, StoreError> {
    let mut sums: HashMap<Cell, Sums> = HashMap::new();
    for (&(hour, payer, work), added) in hours {
        let crowd = crowd(db, crowds, payer)?;
        let cell = sums.entry((hour, crowd, work)).or_insert([0; SUMS.len()]);
        for (sum, more) in cell.iter_mut().zip(added) {
            let full = || StoreError::Damaged("an hour's sum does not fit".into());
            *sum = sum.checked_add(*more).ok_or_else(full)?;
        }
    }
    Ok(sums)
}

/// The payer without user and tags that stands for this one.
fn crowd(db: &Connection, crowds: &mut HashMap<i64, i64>, payer: i64) -> Result<i64, StoreError> {
    if let Some(crowd) = crowds.get(&payer) {
        return Ok(*crowd);
    }
    let found = db
        .query_row(
            "SELECT crowd.id FROM payer JOIN payer AS crowd \
             ON (crowd.organisation, crowd.team, crowd.project, crowd.agent, crowd.key_name) \
             = (payer.organisation, payer.team, payer.project, payer.agent, payer.key_name) \
             WHERE payer.id = ?1 AND crowd.user_name = '' AND crowd.tags = '{}'",
            params![payer],
            |row| row.get(0),
        )
        .optional()?;
    let crowd = match found {
        Some(crowd) => crowd,
        None => db.query_row(
            "INSERT INTO payer (organisation, team, project, agent, key_name, user_name, tags) \
             SELECT organisation, team, project, agent, key_name, '', '{}' FROM payer WHERE id = ?1 RETURNING id",
            params![payer],
            |row| row.get(0),
        )?,
    };
    super::names::bounded(crowds).insert(payer, crowd);
    Ok(crowd)
}
