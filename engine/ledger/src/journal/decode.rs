//! Records, read from bytes.
//!
//! In: bytes of a batch and the dictionary of its segment so far. Out: the record at their start. The bytes have a checksum
//! that fits, so what cannot be read here was written by another version, or by nobody: it is an error, never a panic.

use std::sync::Arc;

use faregate_adapters::chat::Usage;
use faregate_price::NanoUsd;

use super::{
    QUARTER_NS,
    bytes::{Malformed, Reader},
    dictionary::Dictionary,
    encode,
    record::{Boot, Grant, Part, Record, Window},
};
use crate::row::{Payer, Row, RowKind, UsageSource, Work};

/// Takes the next record from `reader`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    dictionary: &mut Dictionary,
) -> Result<Record, Malformed> {
    let record = match reader.byte("the kind of a record")? {
        encode::ROW => Record::Row(Box::new(row(reader, dictionary)?)),
        encode::GRANT => Record::Grant(grant(reader, dictionary)?),
        encode::INTENT => Record::Intent(Box::new(row(reader, dictionary)?)),
        encode::RETURN => Record::Return(grant(reader, dictionary)?),
        encode::LOST => {
            let row = Box::new(row(reader, dictionary)?);
            Record::Lost { row, window: window(reader)? }
        }
        encode::BOOT => {
            let id = dictionary.id(reader)?;
            let at = reader.number("a start")?;
            Record::Boot(Boot { node: id.node, boot: id.boot, at, taken: id.number })
        }
        encode::CLOSE => Record::Close { at: reader.number("an end")? },
        kind => Record::Part(part(kind, reader, dictionary)?),
    };
    encode::fits(&record).map_err(|_| Malformed("a scope or a window"))?;
    Ok(record)
}

fn part(kind: u8, reader: &mut Reader<'_>, dictionary: &mut Dictionary) -> Result<Part, Malformed> {
    match kind {
        encode::QUARTER => Ok(Part::Quarter {
            scope: dictionary.text(reader, "a scope")?,
            quarter: reader.small("a quarter of an hour")?.checked_sub(1),
            sum: reader.signed("a sum")?,
        }),
        encode::SINCE => Ok(Part::Since(reader.small("a quarter of an hour")?)),
        encode::CHARGED => Ok(Part::Charged {
            scope: dictionary.text(reader, "a scope")?,
            window: window(reader)?,
            sum: reader.signed("a sum")?,
        }),
        encode::LOST_ROW => {
            Ok(Part::LostRow { id: dictionary.id(reader)?, window: window(reader)? })
        }
        encode::SETTLED => {
            let first = reader.number("a number of rows")?;
            let last = reader.number("a number of rows")?;
            if first > last {
                return Err(Malformed("a run of rows"));
            }
            Ok(Part::Settled { first, last })
        }
        _ => Err(Malformed("the kind of a record")),
    }
}

fn grant(reader: &mut Reader<'_>, dictionary: &mut Dictionary) -> Result<Grant, Malformed> {
    Ok(Grant {
        scope: dictionary.text(reader, "a scope")?,
        window: window(reader)?,
        total: money(reader)?,
    })
}

fn window(reader: &mut Reader<'_>) -> Result<Window, Malformed> {
    const WHAT: &str = "a window";
    let start = reader.number(WHAT)?.checked_mul(QUARTER_NS).ok_or(Malformed(WHAT))?;
    let end = match reader.number(WHAT)? {
        0 => u64::MAX,
        quarters => quarters.checked_mul(QUARTER_NS).ok_or(Malformed(WHAT))?,
    };
    Ok(Window { start, end })
}

fn money(reader: &mut Reader<'_>) -> Result<NanoUsd, Malformed> {
    Ok(NanoUsd(reader.number("an amount")?))
}

/// A struct's fields are read in the order in which they stand here: Rust keeps to it.
fn row(reader: &mut Reader<'_>, dictionary: &mut Dictionary) -> Result<Row, Malformed> {
    let flags = reader.byte("flags")?;
    let id = dictionary.id(reader)?;
    let has_corrected = flags & encode::CORRECTS != 0;
    let corrects = if has_corrected { Some(dictionary.id(reader)?) } else { None };
    let reserved_at = reader.number("a time")?;
    Ok(Row {
        id,
        kind: kind(flags),
        corrects,
        is_credit: flags & encode::IS_CREDIT != 0,
        reserved_at,
        settled_at: reserved_at.wrapping_add(unfolded(reader.number("a time")?)),
        request_id: dictionary.text(reader, "a request's id")?,
        payer: dictionary.part(|parts| &mut parts.payers, reader, "who pays", payer)?,
        session: dictionary.text(reader, "a session")?,
        work: dictionary.part(|parts| &mut parts.works, reader, "what was used", work)?,
        usage: usage(reader)?,
        usage_source: source(flags),
        price_id: dictionary.text(reader, "a price's id")?,
        cost: money(reader)?,
        reserved: money(reader)?,
        saved_by_cache: money(reader)?,
        saved_by_routing: money(reader)?,
        wasted: money(reader)?,
        scopes: dictionary.part(|parts| &mut parts.scopes, reader, "scopes", scopes)?,
        duration_us: reader.number("a duration")?,
        ttft_us: reader.number("a duration")?,
        generation: reader.number("a generation")?,
    })
}

fn payer(dictionary: &mut Dictionary, reader: &mut Reader<'_>) -> Result<Arc<Payer>, Malformed> {
    let mut text = |what| dictionary.text(reader, what).map(owned);
    Ok(Arc::new(Payer {
        organisation: text("an organisation")?,
        team: text("a team")?,
        project: text("a project")?,
        agent: text("an agent")?,
        key: text("a key's name")?,
        user: text("a user")?,
        tags: tags(reader, dictionary)?,
    }))
}

fn tags(
    reader: &mut Reader<'_>,
    dictionary: &mut Dictionary,
) -> Result<Vec<(String, String)>, Malformed> {
    let count = count(reader, encode::TAGS_MAX, "tags")?;
    (0..count)
        .map(|_| {
            let name = owned(dictionary.text(reader, "a tag's name")?);
            Ok((name, owned(dictionary.text(reader, "a tag")?)))
        })
        .collect()
}

fn work(dictionary: &mut Dictionary, reader: &mut Reader<'_>) -> Result<Arc<Work>, Malformed> {
    let mut text = |what| dictionary.text(reader, what).map(owned);
    let surface = text("a surface")?;
    let model_asked = text("a model")?;
    let provider = text("a provider")?;
    let model = text("a model")?;
    let route_reason = text("a route's reason")?;
    let region = text("a region")?;
    let fault = text("a fault")?;
    let status = u16::try_from(reader.number("a status")?).map_err(|_| Malformed("a status"))?;
    let attempts = reader.small("attempts")?;
    let cache_hit = match reader.byte("whether a cache answered")? {
        0 => false,
        1 => true,
        _ => return Err(Malformed("whether a cache answered")),
    };
    Ok(Arc::new(Work {
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
    }))
}

fn usage(reader: &mut Reader<'_>) -> Result<Usage, Malformed> {
    const WHAT: &str = "tokens";
    let there = reader.number(WHAT)?;
    if there > 0xff {
        return Err(Malformed(WHAT));
    }
    let mut class = |bit: u32| {
        if there >> bit & 1 == 1 { reader.number(WHAT) } else { Ok(0) }
    };
    Ok(Usage {
        input: class(0)?,
        cache_read: class(1)?,
        cache_write: class(2)?,
        cache_write_long: class(3)?,
        audio_input: class(4)?,
        output: class(5)?,
        reasoning: class(6)?,
        audio_output: class(7)?,
    })
}

fn scopes(
    dictionary: &mut Dictionary,
    reader: &mut Reader<'_>,
) -> Result<Arc<[Arc<str>]>, Malformed> {
    let count = count(reader, encode::SCOPES_MAX, "scopes")?;
    (0..count).map(|_| dictionary.text(reader, "a scope")).collect()
}

fn count(reader: &mut Reader<'_>, max: usize, what: &'static str) -> Result<usize, Malformed> {
    let count = usize::try_from(reader.number(what)?).map_err(|_| Malformed(what))?;
    if count > max { Err(Malformed(what)) } else { Ok(count) }
}

const fn kind(flags: u8) -> RowKind {
    match flags & 0b11 {
        0 => RowKind::Request,
        1 => RowKind::Unsettled,
        2 => RowKind::Correction,
        _ => RowKind::LostLease,
    }
}

const fn source(flags: u8) -> UsageSource {
    match flags >> 2 & 0b11 {
        0 => UsageSource::Provider,
        1 => UsageSource::Counted,
        2 => UsageSource::Estimated,
        _ => UsageSource::Absent,
    }
}

const fn unfolded(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

fn owned(text: Arc<str>) -> String {
    String::from(&*text)
}
