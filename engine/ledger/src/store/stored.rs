//! A row as columns, and as the text that is hashed.
//!
//! In: rows. Out: values for a statement, and back. Counts of tokens stop at [`TOKENS_MAX`]: a provider that says more has
//! lost count, and sums have to stay sums.

use std::sync::Arc;

use faregate_adapters::chat::Usage;
use faregate_price::NanoUsd;
use faregate_wire::{Json, JsonWriter};
use rusqlite::{Statement, ToSql, params};

use super::{StoreError, names};
use crate::row::{Payer, Row, RowId, RowKind, UsageSource, Work};

/// The most tokens of one class that are kept of a row.
pub(super) const TOKENS_MAX: u64 = 1 << 40;

/// The most that one row can cost, a hundred million dollars; more is set aside.
pub(super) const COST_MAX: u64 = 100_000_000 * NanoUsd::DOLLAR.0;

/// Writes a row; one whose name is there already is left alone.
pub(super) const INSERT: &str = "INSERT INTO entry (source, number, booked_at, payer, work, corrects, credit, \
    reserved_at, settled_at, request_id, session, route_reason, status, fault, attempts, cache_hit, \
    input, cache_read, cache_write, cache_write_long, audio_input, output, reasoning, audio_output, \
    cost, reserved, saved_by_cache, saved_by_routing, wasted, scopes, duration_us, ttft_us, generation) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, \
    ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33) ON CONFLICT DO NOTHING";

/// Reads whole rows; conditions and order follow.
pub(crate) const SELECT: &str = "SELECT source.node, source.boot, entry.number, work.kind, entry.corrects, \
    entry.credit, entry.reserved_at, entry.settled_at, entry.request_id, payer.organisation, payer.team, \
    payer.project, payer.agent, payer.key_name, payer.user_name, entry.session, payer.tags, work.surface, \
    work.model_asked, work.provider, work.model, entry.route_reason, work.region, entry.status, entry.fault, \
    entry.attempts, entry.cache_hit, entry.input, entry.cache_read, entry.cache_write, entry.cache_write_long, \
    entry.audio_input, entry.output, entry.reasoning, entry.audio_output, work.usage_source, work.price_id, \
    entry.cost, entry.reserved, entry.saved_by_cache, entry.saved_by_routing, entry.wasted, entry.scopes, \
    entry.duration_us, entry.ttft_us, entry.generation, entry.booked_at \
    FROM entry JOIN source ON source.id = entry.source JOIN payer ON payer.id = entry.payer \
    JOIN work ON work.id = entry.work";

/// The numbers that a row has for its names, and when it is booked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub source: i64,
    pub payer: i64,
    pub work: i64,
    pub booked_at: u64,
}

/// Whether all amounts of the row are ones that a request can cost.
pub(super) fn is_sane(row: &Row) -> bool {
    [row.cost, row.reserved, row.saved_by_cache, row.saved_by_routing, row.wasted]
        .iter()
        .all(|amount| amount.0 <= COST_MAX)
}

/// Writes a row; `false` when its name is there already.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    row: &Row,
    place: Place,
) -> Result<bool, StoreError> {
    let (work, usage) = (&row.work, tokens(&row.usage));
    let corrects = row.corrects.map(|id| id.to_string()).unwrap_or_default();
    let scopes = row.scopes.join("\n");
    let values: [&dyn ToSql; 33] = [
        &place.source,
        &int(row.id.number),
        &int(place.booked_at),
        &place.payer,
        &place.work,
        &corrects,
        &row.is_credit,
        &int(row.reserved_at),
        &int(row.settled_at),
        &&*row.request_id,
        &&*row.session,
        &work.route_reason,
        &work.status,
        &work.fault,
        &work.attempts,
        &work.cache_hit,
        &int(usage.input),
        &int(usage.cache_read),
        &int(usage.cache_write),
        &int(usage.cache_write_long),
        &int(usage.audio_input),
        &int(usage.output),
        &int(usage.reasoning),
        &int(usage.audio_output),
        &signed(row, row.cost),
        &int(row.reserved.0),
        &int(row.saved_by_cache.0),
        &int(row.saved_by_routing.0),
        &signed(row, row.wasted),
        &scopes,
        &int(row.duration_us),
        &int(row.ttft_us),
        &int(row.generation),
    ];
    Ok(statement.execute(&values[..])? == 1)
}

/// The row of this name, as it is kept.
pub(super) fn find(db: &rusqlite::Connection, source: i64, number: u64) -> Result<Row, StoreError> {
    let mut statement =
        db.prepare(&format!("{SELECT} WHERE entry.source = ?1 AND entry.number = ?2"))?;
    let mut rows = statement.query(params![source, int(number)])?;
    let found = rows.next()?.ok_or_else(|| StoreError::Damaged("a row has gone".into()))?;
    read(found).map(|(row, _)| row)
}

/// A row that [`SELECT`] has found, and when it is booked.
pub(crate) fn read(found: &rusqlite::Row<'_>) -> Result<(Row, u64), StoreError> {
    let mut columns = Columns { found, at: 0 };
    let c = &mut columns;
    let id = RowId { node: c.bits()?, boot: c.bits()?, number: c.u64()? };
    let kind = kind_of(c.u64()?)?;
    let corrects = match c.text()?.as_str() {
        "" => None,
        text => Some(
            text.parse().map_err(|_| StoreError::Damaged(format!("row {id} corrects {text}")))?,
        ),
    };
    let is_credit = c.u64()? == 1;
    let (reserved_at, settled_at, request_id) = (c.u64()?, c.u64()?, c.text()?);
    let (payer, session) = payer(c)?;
    let work = work(c)?;
    let usage = Usage {
        input: c.u64()?,
        cache_read: c.u64()?,
        cache_write: c.u64()?,
        cache_write_long: c.u64()?,
        audio_input: c.u64()?,
        output: c.u64()?,
        reasoning: c.u64()?,
        audio_output: c.u64()?,
    };
    let row = Row {
        id,
        kind,
        corrects,
        is_credit,
        reserved_at,
        settled_at,
        request_id: request_id.into(),
        payer: payer.into(),
        session: session.into(),
        work: work.into(),
        usage,
        usage_source: usage_source_of(c.u64()?)?,
        price_id: c.text()?.into(),
        cost: c.amount()?,
        reserved: c.amount()?,
        saved_by_cache: c.amount()?,
        saved_by_routing: c.amount()?,
        wasted: c.amount()?,
        scopes: c.lines()?,
        duration_us: c.u64()?,
        ttft_us: c.u64()?,
        generation: c.u64()?,
    };
    Ok((row, c.u64()?))
}

fn payer(c: &mut Columns<'_, '_>) -> Result<(Payer, String), StoreError> {
    let mut payer = Payer {
        organisation: c.text()?,
        team: c.text()?,
        project: c.text()?,
        agent: c.text()?,
        key: c.text()?,
        user: c.text()?,
        tags: Vec::new(),
    };
    let session = c.text()?;
    payer.tags = tags_of(&c.text()?);
    Ok((payer, session))
}

fn work(c: &mut Columns<'_, '_>) -> Result<Work, StoreError> {
    Ok(Work {
        surface: c.text()?,
        model_asked: c.text()?,
        provider: c.text()?,
        model: c.text()?,
        route_reason: c.text()?,
        region: c.text()?,
        status: u16::try_from(c.u64()?).unwrap_or(u16::MAX),
        fault: c.text()?,
        attempts: u32::try_from(c.u64()?).unwrap_or(u32::MAX),
        cache_hit: c.u64()? == 1,
    })
}

/// The tags of a JSON object, in its order.
pub(crate) fn tags_of(json: &str) -> Vec<(String, String)> {
    let Some(json) = Json::new(json.as_bytes()) else { return Vec::new() };
    let texts = json.members().filter_map(|(name, value)| Some((name, value.str()?)));
    texts.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Reads columns one after the other.
struct Columns<'a, 'b> {
    found: &'a rusqlite::Row<'b>,
    at: usize,
}

impl Columns<'_, '_> {
    fn next(&mut self) -> usize {
        self.at += 1;
        self.at - 1
    }

    fn text(&mut self) -> Result<String, StoreError> {
        let at = self.next();
        Ok(self.found.get(at)?)
    }

    fn lines(&mut self) -> Result<Arc<[Arc<str>]>, StoreError> {
        let text = self.text()?;
        Ok(if text.is_empty() { Arc::default() } else { text.split('\n').map(Arc::from).collect() })
    }

    fn bits(&mut self) -> Result<u64, StoreError> {
        let at = self.next();
        Ok(self.found.get::<_, i64>(at)?.cast_unsigned())
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        let at = self.next();
        let number: i64 = self.found.get(at)?;
        u64::try_from(number)
            .map_err(|_| StoreError::Damaged(format!("{number} where a count stands")))
    }

    /// An amount; its sign is the row's.
    fn amount(&mut self) -> Result<NanoUsd, StoreError> {
        let at = self.next();
        Ok(NanoUsd(self.found.get::<_, i64>(at)?.unsigned_abs()))
    }
}

/// What a row says, as one line of JSON with its members in a fixed order: what is compared when a row comes again, and
/// hashed when a month is closed. Amounts are in nano-dollars, tokens stop at 2⁴⁰.
#[must_use]
pub fn canonical(row: &Row) -> String {
    let mut out = Vec::with_capacity(1024);
    let mut json = JsonWriter::new(&mut out);
    json.object().member_str("id", &row.id.to_string()).member_u64("kind", kind(row.kind).into());
    if let Some(id) = row.corrects {
        json.member_str("corrects", &id.to_string());
    }
    json.member_bool("credit", row.is_credit)
        .member_u64("reserved_at", clamped(row.reserved_at))
        .member_u64("settled_at", clamped(row.settled_at))
        .member_str("request_id", &row.request_id);
    write_payer(&mut json, row);
    write_work(&mut json, &row.work);
    let usage = tokens(&row.usage);
    json.member_u64("input", usage.input)
        .member_u64("cache_read", usage.cache_read)
        .member_u64("cache_write", usage.cache_write)
        .member_u64("cache_write_long", usage.cache_write_long)
        .member_u64("audio_input", usage.audio_input)
        .member_u64("output", usage.output)
        .member_u64("reasoning", usage.reasoning)
        .member_u64("audio_output", usage.audio_output)
        .member_u64("usage_source", usage_source(row.usage_source).into())
        .member_str("price_id", &row.price_id)
        .member_u64("cost", row.cost.0)
        .member_u64("reserved", row.reserved.0)
        .member_u64("saved_by_cache", row.saved_by_cache.0)
        .member_u64("saved_by_routing", row.saved_by_routing.0)
        .member_u64("wasted", row.wasted.0)
        .member_str("scopes", &row.scopes.join("\n"))
        .member_u64("duration_us", clamped(row.duration_us))
        .member_u64("ttft_us", clamped(row.ttft_us))
        .member_u64("generation", clamped(row.generation))
        .end();
    String::from_utf8(out).unwrap_or_default()
}

fn write_payer(json: &mut JsonWriter<'_>, row: &Row) {
    let payer = &row.payer;
    json.member_str("organisation", &payer.organisation)
        .member_str("team", &payer.team)
        .member_str("project", &payer.project)
        .member_str("agent", &payer.agent)
        .member_str("key", &payer.key)
        .member_str("user", &payer.user)
        .member_str("session", &row.session)
        .name("tags")
        .raw(names::tags(payer).as_bytes());
}

fn write_work(json: &mut JsonWriter<'_>, work: &Work) {
    json.member_str("surface", &work.surface)
        .member_str("model_asked", &work.model_asked)
        .member_str("provider", &work.provider)
        .member_str("model", &work.model)
        .member_str("route_reason", &work.route_reason)
        .member_str("region", &work.region)
        .member_u64("status", work.status.into())
        .member_str("fault", &work.fault)
        .member_u64("attempts", work.attempts.into())
        .member_bool("cache_hit", work.cache_hit);
}

/// Counts that a column and a sum can hold.
pub(super) fn tokens(usage: &Usage) -> Usage {
    Usage {
        input: usage.input.min(TOKENS_MAX),
        cache_read: usage.cache_read.min(TOKENS_MAX),
        cache_write: usage.cache_write.min(TOKENS_MAX),
        cache_write_long: usage.cache_write_long.min(TOKENS_MAX),
        audio_input: usage.audio_input.min(TOKENS_MAX),
        output: usage.output.min(TOKENS_MAX),
        reasoning: usage.reasoning.min(TOKENS_MAX),
        audio_output: usage.audio_output.min(TOKENS_MAX),
    }
}

/// An amount with the row's sign.
pub(super) fn signed(row: &Row, amount: NanoUsd) -> i64 {
    if row.is_credit { -int(amount.0) } else { int(amount.0) }
}

/// A number as SQLite holds it; what is larger becomes the largest.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn clamped(number: u64) -> u64 {
    number.min(i64::MAX.cast_unsigned())
}

pub(super) const fn kind(kind: RowKind) -> u8 {
    match kind {
        RowKind::Request => 0,
        RowKind::Unsettled => 1,
        RowKind::Correction => 2,
        RowKind::LostLease => 3,
    }
}

fn kind_of(number: u64) -> Result<RowKind, StoreError> {
    Ok(match number {
        0 => RowKind::Request,
        1 => RowKind::Unsettled,
        2 => RowKind::Correction,
        3 => RowKind::LostLease,
        _ => return Err(StoreError::Damaged(format!("a row of kind {number}"))),
    })
}

pub(super) const fn usage_source(source: UsageSource) -> u8 {
    match source {
        UsageSource::Provider => 0,
        UsageSource::Counted => 1,
        UsageSource::Estimated => 2,
        UsageSource::Absent => 3,
    }
}

fn usage_source_of(number: u64) -> Result<UsageSource, StoreError> {
    Ok(match number {
        0 => UsageSource::Provider,
        1 => UsageSource::Counted,
        2 => UsageSource::Estimated,
        3 => UsageSource::Absent,
        _ => return Err(StoreError::Damaged(format!("usage from source {number}"))),
    })
}
