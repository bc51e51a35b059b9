//! Sums put together for a question.
//!
//! A period is cut into pieces: whole days of UTC are answered from the sums of days, whole hours from those of hours, and
//! only what is left, or a question for sessions, from single rows. Names are read once and become groups before any sum is
//! looked at, so that a sum costs one step of a cursor and one addition.

mod names;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use rusqlite::params;

use super::{DIMENSIONS_MAX, Dimension, Group, Query, Report, Total, period::grain};
use crate::{
    month::{DAY, HOUR},
    store::{SUMS, Store, StoreError, crowd},
};
use names::{Names, is_of_payer, payers, works};

/// The span of a bucket of time, the groups of payer, of work and of session.
type Key = (u32, u32, u32, u32);

struct Gatherer<'a> {
    query: &'a Query,
    starts: Vec<u64>,
    payers: Names,
    works: Names,
    sessions: HashMap<String, u32>,
    session_names: Vec<String>,
    groups: HashMap<Key, Total>,
    owned: Total,
    unowned: Total,
}

pub(super) fn gather(store: &Store, query: Query) -> Result<Report, StoreError> {
    check(&query)?;
    // One view of the store for all that is read.
    let _view = store.connection().unchecked_transaction()?;
    let (from, to) = range(store, &query)?;
    let unit = query.by.iter().find(|dimension| dimension.is_time());
    let starts = unit.map_or_else(|| vec![from], |unit| query.period.starts(unit, from, to));
    // Where a span begins before the period does not matter.
    let coarsest = match grain(starts.get(1..).unwrap_or_default()) {
        _ if asks_for_sessions(&query) => 1,
        // Days of UTC do for days of other timezones: hours that belong to a neighbour are moved.
        HOUR if unit != Some(&Dimension::Hour) => DAY,
        grain => grain,
    };
    let mut gatherer = Gatherer {
        payers: payers(store, &query)?,
        works: works(store, &query)?,
        query: &query,
        starts,
        sessions: HashMap::new(),
        session_names: Vec::new(),
        groups: HashMap::new(),
        owned: Total::default(),
        unowned: Total::default(),
    };
    for piece in pieces(from, to, coarsest) {
        match piece.grain {
            1 => gatherer.rows(store, piece)?,
            HOUR => gatherer.sums(store, piece, hours(gatherer.query), None)?,
            _ => {
                gatherer.sums(store, piece, "day", None)?;
                gatherer.move_hours(store, piece)?;
            }
        }
    }
    let (groups, owned, unowned) = gatherer.finish();
    let mut total = owned;
    total.join(unowned);
    Ok(Report { groups, total, owned, unowned, aside: store.aside()?, query })
}

fn check(query: &Query) -> Result<(), StoreError> {
    let question = |why: &str| Err(StoreError::Question(why.into()));
    if query.by.len() > DIMENSIONS_MAX {
        return question(&format!("at most {DIMENSIONS_MAX} dimensions can be asked for"));
    }
    if query.by.iter().filter(|dimension| dimension.is_time()).count() > 1 {
        return question("hour, day, week and month: one of them");
    }
    if query.only.iter().any(|(dimension, _)| dimension.is_time()) {
        return question("rows are picked by time with the period");
    }
    for (at, dimension) in query.by.iter().enumerate() {
        if query.by[..at].contains(dimension) {
            return question(&format!("{dimension} is asked for twice"));
        }
    }
    Ok(())
}

fn asks_for_sessions(query: &Query) -> bool {
    let only = query.only.iter().map(|(dimension, _)| dimension);
    query.by.iter().chain(only).any(|dimension| *dimension == Dimension::Session)
}

/// The sums of hours that answer a question.
fn hours(query: &Query) -> &'static str {
    let only = query.only.iter().map(|(dimension, _)| dimension);
    let is_of_users = |of: &Dimension| matches!(of, Dimension::User | Dimension::Tag(_));
    crowd::hours(query.by.iter().chain(only).any(is_of_users))
}

/// The part of the period in which there are rows.
fn range(store: &Store, query: &Query) -> Result<(u64, u64), StoreError> {
    let found: (Option<i64>, Option<i64>) = store.connection().query_row(
        "SELECT (SELECT min(span) FROM hour), (SELECT max(span) FROM hour)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (Some(first), Some(last)) = found else { return Ok((0, 0)) };
    let first = first.cast_unsigned().saturating_mul(HOUR);
    let last = last.cast_unsigned().saturating_add(1).saturating_mul(HOUR);
    Ok((query.period.from.max(first), query.period.to.min(last)))
}

/// A piece of the period, and how fine the sums are that answer for it; 1 for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from: u64,
    to: u64,
    grain: u64,
}

/// The period from `from` to `to` in pieces of sums that are at most as coarse as `coarsest`.
fn pieces(from: u64, to: u64, coarsest: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    split(from, to, coarsest, &mut pieces);
    pieces.retain(|piece| piece.from < piece.to);
    pieces
}

fn split(from: u64, to: u64, grain: u64, pieces: &mut Vec<Piece>) {
    if from >= to {
        return;
    }
    let finer = match grain {
        DAY => HOUR,
        HOUR => 1,
        _ => return pieces.push(Piece { from, to, grain: 1 }),
    };
    let (first, last) = (from.div_ceil(grain).saturating_mul(grain), to / grain * grain);
    if first >= last {
        return split(from, to, finer, pieces);
    }
    split(from, first, finer, pieces);
    pieces.push(Piece { from: first, to: last, grain });
    split(last, to, finer, pieces);
}

/// Of each day of UTC within which a span of time begins: until when, and from when on, its hours are not of the span that
/// holds its middle.
fn strays(starts: &[u64], days: Piece) -> BTreeMap<u64, (u64, u64)> {
    let mut found: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let within =
        |start: &&u64| days.from < **start && **start < days.to && !start.is_multiple_of(DAY);
    for start in starts.iter().filter(within) {
        let day = start / DAY * DAY;
        let (before, behind) = found.entry(day).or_insert((day, day + DAY));
        if *start <= day + DAY / 2 {
            *before = (*before).max(*start);
        } else {
            *behind = (*behind).min(*start);
        }
    }
    found
}

impl Gatherer<'_> {
    /// Adds sums of days or hours up, each in the span of time that holds its middle; or, given a moment, moves them there
    /// from the span that holds it.
    fn sums(
        &mut self,
        store: &Store,
        piece: Piece,
        table: &str,
        moved_from: Option<u64>,
    ) -> Result<(), StoreError> {
        let mut statement = store.connection().prepare(&format!(
            "SELECT span, payer, work, {} FROM {table} WHERE span >= ?1 AND span < ?2",
            SUMS.join(", ")
        ))?;
        let spans = (piece.from / piece.grain, piece.to / piece.grain);
        let mut rows = statement.query(params![spans.0.cast_signed(), spans.1.cast_signed()])?;
        let mut sums = [0_i64; SUMS.len()];
        while let Some(row) = rows.next()? {
            let span: i64 = row.get(0)?;
            let (payer, work): (i64, i64) = (row.get(1)?, row.get(2)?);
            for (at, sum) in sums.iter_mut().enumerate() {
                *sum = row.get(at + 3)?;
            }
            let middle = span.cast_unsigned() * piece.grain + piece.grain / 2;
            self.add(middle, payer, work, 0, |_| sums)?;
            if let Some(old) = moved_from {
                self.add(old, payer, work, 0, |_| sums.map(|sum| -sum))?;
            }
        }
        Ok(())
    }

    /// Where a span of time begins within a day of UTC, moves the hours that are not of the span that holds the day's
    /// middle.
    fn move_hours(&mut self, store: &Store, days: Piece) -> Result<(), StoreError> {
        for (day, (before, behind)) in strays(&self.starts, days) {
            let noon = day + DAY / 2;
            for (from, to) in [(day, before), (behind, day + DAY)] {
                self.sums(store, Piece { from, to, grain: HOUR }, hours(self.query), Some(noon))?;
            }
        }
        Ok(())
    }

    fn rows(&mut self, store: &Store, piece: Piece) -> Result<(), StoreError> {
        if piece.from < store.compacted_before() {
            return Err(StoreError::Question(
                "this question needs single rows of a time whose rows have been deleted: ask for whole hours of UTC, \
                 and not for sessions"
                    .into(),
            ));
        }
        let mut statement = store.connection().prepare(
            "SELECT booked_at, payer, work, session, (status >= 400 OR fault <> ''), cache_hit, input, cache_read, \
             cache_write, cache_write_long, audio_input, output, reasoning, audio_output, cost, saved_by_cache, \
             saved_by_routing, wasted FROM entry WHERE booked_at >= ?1 AND booked_at < ?2",
        )?;
        let mut rows =
            statement.query(params![piece.from.cast_signed(), piece.to.cast_signed()])?;
        let asks_for_sessions = asks_for_sessions(self.query);
        while let Some(row) = rows.next()? {
            let at: i64 = row.get(0)?;
            let (payer, work): (i64, i64) = (row.get(1)?, row.get(2)?);
            let session = if asks_for_sessions {
                let Some(session) = self.session(row.get_ref(3)?.as_str().unwrap_or_default())
                else {
                    continue;
                };
                session
            } else {
                0
            };
            let mut sums = [0_i64; SUMS.len()];
            for (at, sum) in sums[1..15].iter_mut().enumerate() {
                *sum = row.get(at + 4)?;
            }
            self.add(at.cast_unsigned(), payer, work, session, |is_request| {
                sums[0] = i64::from(is_request);
                sums[15] = 1;
                if !is_request {
                    (sums[1], sums[2]) = (0, 0);
                }
                sums
            })?;
        }
        Ok(())
    }

    /// The group of a session; `None` when the question leaves it out.
    fn session(&mut self, name: &str) -> Option<u32> {
        let mut only = self.query.only.iter().filter(|(of, _)| *of == Dimension::Session);
        if !only.all(|(_, wanted)| wanted == name) {
            return None;
        }
        if let Some(group) = self.sessions.get(name) {
            return Some(*group);
        }
        let group = u32::try_from(self.session_names.len()).ok()?;
        self.session_names.push(name.to_owned());
        self.sessions.insert(name.to_owned(), group);
        Some(group)
    }

    fn add(
        &mut self,
        at: u64,
        payer: i64,
        work: i64,
        session: u32,
        sums: impl FnOnce(bool) -> [i64; SUMS.len()],
    ) -> Result<(), StoreError> {
        let gone = || StoreError::Damaged("a row without its names".into());
        let payer = *self.payers.kept.get(&payer).ok_or_else(gone)?;
        let work = *self.works.kept.get(&work).ok_or_else(gone)?;
        let (Some(payer), Some(work)) = (payer, work) else { return Ok(()) };
        let sums = sums(work.is_request);
        let bucket = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        let key = (u32::try_from(bucket).unwrap_or(u32::MAX), payer.group, work.group, session);
        self.groups.entry(key).or_default().add(&sums);
        if payer.is_owned { &mut self.owned } else { &mut self.unowned }.add(&sums);
        Ok(())
    }

    fn finish(self) -> (Vec<Group>, Total, Total) {
        let mut groups: Vec<(u32, Group)> = Vec::with_capacity(self.groups.len());
        // A group is empty when all of it was moved to another one.
        let filled = self.groups.iter().filter(|(_, total)| total.entries != 0);
        for (&(bucket, payer, work, session), total) in filled {
            let mut payer = self.payers.groups[payer as usize].iter();
            let mut work = self.works.groups[work as usize].iter();
            let value = |dimension: &Dimension| match dimension {
                Dimension::Session => self.session_names[session as usize].clone(),
                unit if unit.is_time() => {
                    self.query.period.label(unit, self.starts[bucket as usize])
                }
                of if is_of_payer(of) => payer.next().cloned().unwrap_or_default(),
                _ => work.next().cloned().unwrap_or_default(),
            };
            let values = self.query.by.iter().map(value).collect();
            groups.push((bucket, Group { values, total: *total }));
        }
        let by_time = self.query.by.first().is_some_and(Dimension::is_time);
        groups.sort_by(|(a_at, a), (b_at, b)| {
            let time = if by_time { a_at.cmp(b_at) } else { std::cmp::Ordering::Equal };
            time.then(b.total.cost.cmp(&a.total.cost)).then_with(|| a.values.cmp(&b.values))
        });
        (groups.into_iter().map(|(_, group)| group).collect(), self.owned, self.unowned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_period_once() {
        let hour = |n: u64| n * HOUR;
        for (from, to, coarsest) in [
            (0, 0, DAY),
            (5, hour(1) - 1, DAY),
            (5, hour(2) + 7, DAY),
            (hour(3), hour(100), DAY),
            (hour(24), hour(72), DAY),
            (hour(24) + 1, hour(72) - 1, DAY),
            (hour(24), hour(72), HOUR),
            (17, hour(72), 1),
            (hour(23), hour(25), DAY),
        ] {
            let pieces = pieces(from, to, coarsest);
            let mut at = from;
            for piece in &pieces {
                assert_eq!(piece.from, at);
                assert!(piece.grain <= coarsest);
                assert!(
                    piece.from.is_multiple_of(piece.grain) && piece.to.is_multiple_of(piece.grain)
                );
                at = piece.to;
            }
            assert_eq!(at, to.max(from));
        }
        assert_eq!(pieces(hour(24), hour(72), DAY).len(), 1);
    }

    #[test]
    fn hours_stray_on_the_shorter_side_of_a_day() {
        let days = Piece { from: 0, to: 3 * DAY, grain: DAY };
        let found = strays(&[0, 22 * HOUR, DAY + 5 * HOUR, 2 * DAY, 3 * DAY + HOUR], days);
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(
            found,
            [(0, (0, 22 * HOUR)), (DAY, (DAY + 5 * HOUR, 2 * DAY))],
            "two hours of the first day, five of the second, none of the third"
        );
        let found = strays(&[0, HOUR, 23 * HOUR], days);
        assert_eq!(found[&0], (HOUR, 23 * HOUR));
    }
}
