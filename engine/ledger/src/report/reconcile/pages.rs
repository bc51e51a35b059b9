//! Reports of providers, read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use faregate_wire::{Json, Scanner};
use jiff::Timestamp;

use super::{Export, Measure, Source};
use crate::{month::DAY, report::money};

/// The most bytes of a report.
pub const EXPORT_BYTES_MAX: usize = 256 << 20;

/// Why a file is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadExport(pub String);

impl fmt::Display for BadExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn bad<T>(why: impl Into<String>) -> Result<T, BadExport> {
    Err(BadExport(why.into()))
}

/// Reads a report.
///
/// # Errors
///
/// It is no JSON, no report of this provider, not in dollars, or mixes costs and tokens.
pub fn read(source: Source, bytes: &[u8]) -> Result<Export, BadExport> {
    if bytes.len() > EXPORT_BYTES_MAX {
        return bad(format!("more than {} MiB", EXPORT_BYTES_MAX >> 20));
    }
    let mut reader = Reader { source, measure: None, export: empty() };
    for page in pages(bytes)? {
        reader.page(page)?;
    }
    let Some(measure) = reader.measure else {
        return bad(
            "no bucket with results in it: is it the answer of the costs or the usage API?",
        );
    };
    reader.export.measure = measure;
    Ok(reader.export)
}

fn empty() -> Export {
    Export {
        measure: Measure::Cost,
        days: BTreeSet::new(),
        amounts: BTreeMap::new(),
        was_cut: false,
        is_incomplete: false,
    }
}

/// The pages of a file: one object, several one after the other, or an array.
fn pages(bytes: &[u8]) -> Result<Vec<Json<'_>>, BadExport> {
    let mut pages = Vec::new();
    let mut rest = bytes.trim_ascii();
    while !rest.is_empty() {
        let len = faregate_wire::json::value_len(rest).filter(|len| *len > 0);
        let Some(value) = len.and_then(|len| Json::new(&rest[..len])) else {
            return bad(format!("no JSON at byte {}", bytes.len() - rest.len()));
        };
        if value.is_array() {
            pages.extend(value.items());
        } else {
            pages.push(value);
        }
        rest = rest[len.unwrap_or(rest.len())..].trim_ascii();
    }
    if pages.iter().any(|page| !is_sound(*page)) {
        return bad("there is an error in its JSON");
    }
    if pages.is_empty() { bad("the file is empty") } else { Ok(pages) }
}

/// Whether a value is an object in the grammar of JSON; what is read below takes that for granted.
fn is_sound(page: Json<'_>) -> bool {
    Scanner::new(&[]).finish(page.raw()).is_ok()
}

struct Reader {
    source: Source,
    measure: Option<Measure>,
    export: Export,
}

impl Reader {
    fn page(&mut self, page: Json<'_>) -> Result<(), BadExport> {
        let Some(data) = page.get("data").filter(|data| data.is_array()) else {
            return bad(
                "there is no \"data\" in it: is it the answer of the costs or the usage API?",
            );
        };
        // Of pages that follow each other, the last one says whether there are more.
        self.export.is_incomplete = page.get_bool("has_more") == Some(true);
        for bucket in data.items() {
            let days = self.days(bucket)?;
            self.export.days.insert(days);
            for result in bucket.get("results").into_iter().flat_map(Json::items) {
                let (measure, model, amount) = match self.source {
                    Source::OpenAi => self.openai(result)?,
                    Source::Anthropic => self.anthropic(result)?,
                };
                if self.measure.is_some_and(|known| known != measure) {
                    return bad("the file mixes costs and tokens: give one report at a time");
                }
                self.measure = Some(measure);
                let sum = self.export.amounts.entry((days, model)).or_default();
                *sum = sum
                    .checked_add(amount)
                    .ok_or_else(|| BadExport("amounts do not fit".into()))?;
            }
        }
        Ok(())
    }

    /// The day of a bucket.
    fn days(&self, bucket: Json<'_>) -> Result<u64, BadExport> {
        let (start, end) = match self.source {
            Source::OpenAi => ("start_time", "end_time"),
            Source::Anthropic => ("starting_at", "ending_at"),
        };
        let moment = |name| {
            let value = bucket.get(name)?;
            let nanos = match self.source {
                Source::OpenAi => value.u64()?.checked_mul(1_000_000_000)?,
                Source::Anthropic => {
                    let moment: Timestamp = value.str()?.parse().ok()?;
                    u64::try_from(moment.as_nanosecond()).ok()?
                }
            };
            Some(nanos)
        };
        let Some(from) = moment(start) else { return bad(format!("a bucket without {start}")) };
        let to = match (bucket.get(end), moment(end)) {
            (None, _) => from + 1,
            (Some(_), Some(to)) => to,
            (Some(_), None) => return bad(format!("a bucket with an {end} that is no moment")),
        };
        if to <= from || from / DAY != (to - 1) / DAY {
            return bad("a bucket is longer than a day of UTC: ask the API for bucket_width=1d");
        }
        Ok(from / DAY)
    }

    fn openai(&mut self, result: Json<'_>) -> Result<(Measure, String, i128), BadExport> {
        if let Some(amount) = result.get("amount") {
            let currency = amount.get_str("currency").unwrap_or_default();
            if !currency.eq_ignore_ascii_case("usd") {
                return bad(format!("amounts are in {currency:?}, the ledger is in dollars"));
            }
            let item = result.get_str("line_item").unwrap_or_default();
            let model = item.split(',').next().unwrap_or_default().trim().to_owned();
            return Ok((Measure::Cost, model, self.amount(amount.get("value"), 9)?));
        }
        // Cached and audio tokens are parts of these.
        let parts = ["input_tokens", "output_tokens"];
        let tokens = tokens(result, &parts)?;
        Ok((Measure::Tokens, result.get_str("model").unwrap_or_default().into_owned(), tokens))
    }

    fn anthropic(&mut self, result: Json<'_>) -> Result<(Measure, String, i128), BadExport> {
        let model = result.get_str("model").unwrap_or_default().into_owned();
        if let Some(amount) = result.get("amount") {
            let currency = result.get_str("currency").unwrap_or("USD".into());
            if !currency.eq_ignore_ascii_case("usd") {
                return bad(format!("amounts are in {currency:?}, the ledger is in dollars"));
            }
            // Cents: two digits more are nano-dollars.
            return Ok((Measure::Cost, model, self.amount(Some(amount), 7)?));
        }
        let mut tokens =
            tokens(result, &["uncached_input_tokens", "cache_read_input_tokens", "output_tokens"])?;
        if let Some(creation) = result.get("cache_creation") {
            let parts = ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"];
            tokens += parts
                .iter()
                .filter_map(|part| creation.get_u64(part))
                .map(i128::from)
                .sum::<i128>();
        }
        Ok((Measure::Tokens, model, tokens))
    }

    /// A decimal number, as a number or as text, in units of ten to the minus `scale`.
    fn amount(&mut self, value: Option<Json<'_>>, scale: u32) -> Result<i128, BadExport> {
        let Some(value) = value else { return bad("an amount without a value") };
        let raw = String::from_utf8_lossy(value.raw()).into_owned();
        let text = value.str().map_or(raw, std::borrow::Cow::into_owned);
        let Some((amount, was_cut)) = money::parse(text.trim(), scale) else {
            return bad(format!("{text:?} is no amount"));
        };
        self.export.was_cut |= was_cut;
        Ok(amount)
    }
}

fn tokens(result: Json<'_>, parts: &[&str]) -> Result<i128, BadExport> {
    let found: Vec<u64> = parts.iter().filter_map(|part| result.get_u64(part)).collect();
    if found.is_empty() {
        return bad("a result with neither an amount nor tokens");
    }
    Ok(found.into_iter().map(i128::from).sum())
}

/// Days since 1970 of a date.
pub(super) fn day(date: &str) -> Option<u64> {
    let date: jiff::civil::Date = date.parse().ok()?;
    let days = (date - jiff::civil::Date::constant(1970, 1, 1)).get_days();
    u64::try_from(days).ok()
}
