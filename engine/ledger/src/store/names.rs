//! Combinations of names that recur, each kept once: who pays, what was used, which process wrote.
//!
//! In: a row. Out: the numbers its names have in the tables. Remembered between calls: the latest ones, at most
//! [`REMEMBERED_MAX`] of each.

use std::sync::Arc;

use faregate_wire::JsonWriter;
use hashbrown::HashMap;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::{StoreError, stored};
use crate::row::{Payer, Row, Work};

/// Numbers that are kept in memory, of each kind; past it, all are forgotten and read again.
const REMEMBERED_MAX: usize = 65_536;

/// Numbers of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    sources: HashMap<(u64, u64), i64>,
    payers: HashMap<Box<[u8]>, i64>,
    works: HashMap<Box<[u8]>, i64>,
    key: Vec<u8>,
    /// The same by where a row's shared part lies: it is kept, so nothing else can lie there.
    payers_at: HashMap<usize, (Arc<Payer>, i64)>,
    works_at: HashMap<WorkAt, (Arc<Work>, Arc<str>, i64)>,
    /// Payers without user and tags, by those that they stand for.
    crowds: HashMap<i64, i64>,
}

/// Where what was used and the price's id lie, with the numbers that belong to the combination.
type WorkAt = (usize, usize, u8, u8);

impl Names {
    /// Forgets all: the transaction that may have made some was taken back.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn crowds(&mut self) -> &mut HashMap<i64, i64> {
        &mut self.crowds
    }

    pub(super) fn source(&mut self, db: &Connection, row: &Row) -> Result<i64, StoreError> {
        let key = (row.id.node, row.id.boot);
        if let Some(id) = self.sources.get(&key) {
            return Ok(*id);
        }
        let values = params![key.0.cast_signed(), key.1.cast_signed()];
        let id = number(db, "source", &["node", "boot"], values)?;
        bounded(&mut self.sources).insert(key, id);
        Ok(id)
    }

    pub(super) fn payer(&mut self, db: &Connection, row: &Row) -> Result<i64, StoreError> {
        let at = Arc::as_ptr(&row.payer).addr();
        if let Some((_, id)) = self.payers_at.get(&at) {
            return Ok(*id);
        }
        let id = self.payer_by_name(db, row)?;
        bounded(&mut self.payers_at).insert(at, (Arc::clone(&row.payer), id));
        Ok(id)
    }

    pub(super) fn work(&mut self, db: &Connection, row: &Row) -> Result<i64, StoreError> {
        let (work, price) = (&row.work, &row.price_id);
        let (source, kind) = (stored::usage_source(row.usage_source), stored::kind(row.kind));
        let at = (Arc::as_ptr(work).addr(), price.as_ptr().addr(), source, kind);
        if let Some((_, _, id)) = self.works_at.get(&at) {
            return Ok(*id);
        }
        let id = self.work_by_name(db, row)?;
        bounded(&mut self.works_at).insert(at, (Arc::clone(work), Arc::clone(price), id));
        Ok(id)
    }

    fn payer_by_name(&mut self, db: &Connection, row: &Row) -> Result<i64, StoreError> {
        let payer = &row.payer;
        self.key.clear();
        for name in [
            &payer.organisation,
            &payer.team,
            &payer.project,
            &payer.agent,
            &payer.key,
            &payer.user,
        ] {
            text(&mut self.key, name);
        }
        for (name, value) in &payer.tags {
            text(&mut self.key, name);
            text(&mut self.key, value);
        }
        if let Some(id) = self.payers.get(&self.key[..]) {
            return Ok(*id);
        }
        let columns = ["organisation", "team", "project", "agent", "key_name", "user_name", "tags"];
        let values = params![
            payer.organisation,
            payer.team,
            payer.project,
            payer.agent,
            payer.key,
            payer.user,
            tags(payer)
        ];
        let id = number(db, "payer", &columns, values)?;
        bounded(&mut self.payers).insert(self.key.as_slice().into(), id);
        Ok(id)
    }

    fn work_by_name(&mut self, db: &Connection, row: &Row) -> Result<i64, StoreError> {
        let work = &row.work;
        let (source, kind) = (stored::usage_source(row.usage_source), stored::kind(row.kind));
        self.key.clear();
        self.key.extend([source, kind]);
        for name in [
            &work.surface,
            &work.model_asked,
            &work.provider,
            &work.model,
            &work.region,
            &*row.price_id,
        ] {
            text(&mut self.key, name);
        }
        if let Some(id) = self.works.get(&self.key[..]) {
            return Ok(*id);
        }
        let columns = [
            "surface",
            "model_asked",
            "provider",
            "model",
            "region",
            "usage_source",
            "price_id",
            "kind",
        ];
        let values = params![
            work.surface,
            work.model_asked,
            work.provider,
            work.model,
            work.region,
            source,
            row.price_id,
            kind
        ];
        let id = number(db, "work", &columns, values)?;
        bounded(&mut self.works).insert(self.key.as_slice().into(), id);
        Ok(id)
    }
}

/// Tags as they are kept: a JSON object.
pub(super) fn tags(payer: &Payer) -> String {
    let mut out = Vec::new();
    let mut json = JsonWriter::new(&mut out);
    json.object();
    for (name, value) in &payer.tags {
        json.name(name).str(value);
    }
    json.end();
    String::from_utf8(out).unwrap_or_default()
}

/// The number of the record of `table` whose `columns` have `values`; it is made where there is none.
fn number(
    db: &Connection,
    table: &str,
    columns: &[&str],
    values: impl Params + Copy,
) -> Result<i64, StoreError> {
    let marks: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
    let equal: Vec<String> =
        columns.iter().zip(&marks).map(|(column, mark)| format!("{column} = {mark}")).collect();
    let find = format!("SELECT id FROM {table} WHERE {}", equal.join(" AND "));
    if let Some(id) = db.query_row(&find, values, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({}) RETURNING id",
        columns.join(", "),
        marks.join(", ")
    );
    Ok(db.query_row(&insert, values, |row| row.get(0))?)
}

/// A text whose end is known, so that no two sequences of texts look alike.
fn text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&text.len().to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

pub(super) fn bounded<K, V>(map: &mut HashMap<K, V>) -> &mut HashMap<K, V> {
    if map.len() >= REMEMBERED_MAX {
        map.clear();
    }
    map
}
