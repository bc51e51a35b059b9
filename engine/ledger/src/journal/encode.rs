//! Records, written as bytes.
//!
//! In: a [`Record`] and the dictionary of its segment. Out: its bytes. The format is in
//! `docs/journal.md`; a change of it is a new [`super::segment::VERSION`].

use faregate_adapters::chat::Usage;

use super::{
    bytes::{put, put_signed},
    dictionary::{Dictionary, put_literal},
    record::{Boot, Grant, Part, Record, Unfit, Window},
};
use crate::row::{Payer, Row, RowId, RowKind, UsageSource, Work};

/// The longest text that a row keeps, in bytes; what is longer is cut. Names of scopes are never cut, they are refused.
pub const TEXT_BYTES_MAX: usize = 1024;

/// A route's reason that is longer is not likely to come again.
const REASON_BYTES_MAX: usize = 96;

/// The most scopes that a row pays from.
pub const SCOPES_MAX: usize = 64;

/// The most tags that a row keeps.
pub const TAGS_MAX: usize = 64;

pub(crate) const ROW: u8 = 1;
pub(crate) const GRANT: u8 = 2;
pub(crate) const INTENT: u8 = 3;
pub(crate) const RETURN: u8 = 4;
pub(crate) const LOST: u8 = 5;
pub(crate) const BOOT: u8 = 6;
pub(crate) const CLOSE: u8 = 7;
pub(crate) const QUARTER: u8 = 32;
pub(crate) const CHARGED: u8 = 33;
pub(crate) const LOST_ROW: u8 = 34;
pub(crate) const SETTLED: u8 = 35;
pub(crate) const SINCE: u8 = 36;

pub(crate) const IS_CREDIT: u8 = 0b0001_0000;
pub(crate) const CORRECTS: u8 = 0b0010_0000;

/// Whether `record` can be written.
///
/// # Errors
///
/// What about it does not fit. Texts that are too long are no reason, they are cut.
pub fn fits(record: &Record) -> Result<(), Unfit> {
    match record {
        Record::Row(row) | Record::Intent(row) => row_fits(row),
        Record::Lost { row, window } => row_fits(row).and_then(|()| window_fits(window)),
        Record::Grant(grant) | Record::Return(grant) => {
            scope_fits(&grant.scope).and_then(|()| window_fits(&grant.window))
        }
        Record::Boot(_) | Record::Close { .. } | Record::Part(_) => Ok(()),
    }
}

fn row_fits(row: &Row) -> Result<(), Unfit> {
    if row.scopes.len() > SCOPES_MAX {
        return Err(Unfit::Scopes(row.scopes.len()));
    }
    row.scopes.iter().try_for_each(|scope| scope_fits(scope))
}

const fn scope_fits(scope: &str) -> Result<(), Unfit> {
    if scope.len() > TEXT_BYTES_MAX { Err(Unfit::ScopeName(scope.len())) } else { Ok(()) }
}

const fn window_fits(window: &Window) -> Result<(), Unfit> {
    if window.is_aligned() { Ok(()) } else { Err(Unfit::Window(*window)) }
}

/// Appends `record`, which [`fits`].
pub(crate) fn encode(record: &Record, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    match record {
        Record::Row(row) => put_row(ROW, row, dictionary, out),
        Record::Grant(grant) => put_grant(GRANT, grant, dictionary, out),
        Record::Intent(row) => put_row(INTENT, row, dictionary, out),
        Record::Return(grant) => put_grant(RETURN, grant, dictionary, out),
        Record::Lost { row, window } => {
            put_row(LOST, row, dictionary, out);
            put_window(window, out);
        }
        Record::Boot(Boot { node, boot, at, taken }) => {
            out.push(BOOT);
            dictionary.put_id(out, RowId { node: *node, boot: *boot, number: *taken });
            put(out, *at);
        }
        Record::Close { at } => {
            out.push(CLOSE);
            put(out, *at);
        }
        Record::Part(part) => put_part(part, dictionary, out),
    }
}

fn put_grant(kind: u8, grant: &Grant, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    out.push(kind);
    dictionary.put_text(out, &grant.scope);
    put_window(&grant.window, out);
    put(out, grant.total.0);
}

/// Quarters of an hour, so that a window takes eight bytes; 0 for the end that never comes.
fn put_window(window: &Window, out: &mut Vec<u8>) {
    put(out, window.start / super::QUARTER_NS);
    let end = if window.end == u64::MAX { 0 } else { window.end / super::QUARTER_NS };
    put(out, end);
}

fn put_part(part: &Part, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    match part {
        Part::Quarter { scope, quarter, sum } => {
            out.push(QUARTER);
            dictionary.put_text(out, scope);
            put(out, quarter.map_or(0, |quarter| u64::from(quarter) + 1));
            put_signed(out, *sum);
        }
        Part::Since(quarter) => {
            out.push(SINCE);
            put(out, u64::from(*quarter));
        }
        Part::Charged { scope, window, sum } => {
            out.push(CHARGED);
            dictionary.put_text(out, scope);
            put_window(window, out);
            put_signed(out, *sum);
        }
        Part::LostRow { id, window } => {
            out.push(LOST_ROW);
            dictionary.put_id(out, *id);
            put_window(window, out);
        }
        Part::Settled { first, last } => {
            out.push(SETTLED);
            put(out, *first);
            put(out, *last);
        }
    }
}

/// Every field is named, so that one which is added later cannot be forgotten here.
fn put_row(tag: u8, row: &Row, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    let Row {
        id,
        kind,
        corrects,
        is_credit,
        reserved_at,
        settled_at,
        request_id,
        payer,
        session,
        work,
        usage,
        usage_source,
        price_id,
        cost,
        reserved,
        saved_by_cache,
        saved_by_routing,
        wasted,
        scopes,
        duration_us,
        ttft_us,
        generation,
    } = row;
    let mut flags = kind_number(*kind) | source_number(*usage_source) << 2;
    flags |= if *is_credit { IS_CREDIT } else { 0 };
    flags |= if corrects.is_some() { CORRECTS } else { 0 };
    out.push(tag);
    out.push(flags);
    dictionary.put_id(out, *id);
    if let Some(corrected) = corrects {
        dictionary.put_id(out, *corrected);
    }
    put(out, *reserved_at);
    put(out, folded(settled_at.wrapping_sub(*reserved_at)));
    put_literal(out, cut(request_id));
    dictionary.put_part(
        |parts| &mut parts.payers,
        out,
        payer,
        |dictionary, out| {
            put_payer(payer, dictionary, out);
        },
    );
    dictionary.put_text(out, cut(session));
    dictionary.put_part(
        |parts| &mut parts.works,
        out,
        work,
        |dictionary, out| {
            put_work(work, dictionary, out);
        },
    );
    put_usage(usage, out);
    dictionary.put_text(out, cut(price_id));
    for amount in [cost, reserved, saved_by_cache, saved_by_routing, wasted] {
        put(out, amount.0);
    }
    dictionary.put_part(
        |parts| &mut parts.scopes,
        out,
        scopes,
        |dictionary, out| {
            put(out, scopes.len() as u64);
            scopes.iter().for_each(|scope| dictionary.put_text(out, scope));
        },
    );
    for number in [duration_us, ttft_us, generation] {
        put(out, *number);
    }
}

fn put_payer(payer: &Payer, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    let Payer { organisation, team, project, agent, key, user, tags } = payer;
    for text in [organisation, team, project, agent, key, user] {
        dictionary.put_text(out, cut(text));
    }
    put(out, tags.len().min(TAGS_MAX) as u64);
    for (name, value) in tags.iter().take(TAGS_MAX) {
        dictionary.put_text(out, cut(name));
        dictionary.put_text(out, cut(value));
    }
}

fn put_work(work: &Work, dictionary: &mut Dictionary, out: &mut Vec<u8>) {
    let Work {
        surface,
        model_asked,
        provider,
        model,
        route_reason,
        region,
        status,
        fault,
        attempts,
        cache_hit,
    } = work;
    for text in [surface, model_asked, provider, model] {
        dictionary.put_text(out, cut(text));
    }
    // Arithmetic does not come again.
    match route_reason.len() {
        0..=REASON_BYTES_MAX => dictionary.put_text(out, cut(route_reason)),
        _ => put_literal(out, cut(route_reason)),
    }
    for text in [region, fault] {
        dictionary.put_text(out, cut(text));
    }
    put(out, u64::from(*status));
    put(out, u64::from(*attempts));
    out.push(u8::from(*cache_hit));
}

/// A bit for each class that is there, then those classes.
fn put_usage(usage: &Usage, out: &mut Vec<u8>) {
    let classes = classes(usage);
    let there = classes.iter().rev().fold(0, |bits, class| bits << 1 | u64::from(*class > 0));
    put(out, there);
    for class in classes.into_iter().filter(|class| *class > 0) {
        put(out, class);
    }
}

/// The classes of tokens in the order of the format: a new one comes last.
const fn classes(usage: &Usage) -> [u64; 8] {
    let Usage {
        input,
        cache_read,
        cache_write,
        cache_write_long,
        audio_input,
        output,
        reasoning,
        audio_output,
    } = *usage;
    [input, cache_read, cache_write, cache_write_long, audio_input, output, reasoning, audio_output]
}

const fn kind_number(kind: RowKind) -> u8 {
    match kind {
        RowKind::Request => 0,
        RowKind::Unsettled => 1,
        RowKind::Correction => 2,
        RowKind::LostLease => 3,
    }
}

const fn source_number(source: UsageSource) -> u8 {
    match source {
        UsageSource::Provider => 0,
        UsageSource::Counted => 1,
        UsageSource::Estimated => 2,
        UsageSource::Absent => 3,
    }
}

/// A difference as a number that is small when the difference is small either way.
const fn folded(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    (signed << 1 ^ signed >> 63).cast_unsigned()
}

/// The start of `text` that is kept.
pub(crate) fn cut(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}
