//! Reports as files: CSV and JSON, with every digit.
//!
//! Amounts stand twice, as whole nano-dollars and as dollars with nine digits behind the point. Names come from clients:
//! in CSV one that a spreadsheet would take for a formula gets an apostrophe before it.

use faregate_wire::JsonWriter;

use super::{Report, Total, money::decimal, percent};

/// The names of the sums, in the order of [`numbers`].
const NUMBERS: [&str; 19] = [
    "requests",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_long_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "cost_nano_usd",
    "saved_by_cache_nano_usd",
    "saved_by_routing_nano_usd",
    "wasted_nano_usd",
    "cost_usd",
    "saved_by_cache_usd",
    "saved_by_routing_usd",
    "wasted_usd",
];

/// How many of [`NUMBERS`] are whole numbers; those behind them are decimals.
const WHOLE: usize = 15;

fn numbers(total: &Total) -> [String; 19] {
    let mut total = *total;
    let decimals =
        [total.cost, total.saved_by_cache, total.saved_by_routing, total.wasted].map(decimal);
    let mut whole = total.parts().into_iter().map(|number| number.to_string());
    let mut decimals = decimals.into_iter();
    std::array::from_fn(|at| {
        let next = if at < WHOLE { whole.next() } else { decimals.next() };
        next.unwrap_or_default()
    })
}

/// A table with a head, one line for each group.
#[must_use]
pub fn csv(report: &Report) -> String {
    let mut out = String::new();
    let names = report.query.by.iter().map(ToString::to_string);
    line(&mut out, names.chain(NUMBERS.map(str::to_owned)));
    for group in &report.groups {
        let values = group.values.iter().map(|value| csv_field(value));
        line(&mut out, values.chain(numbers(&group.total)));
    }
    out
}

fn line(out: &mut String, fields: impl Iterator<Item = String>) {
    out.push_str(&fields.collect::<Vec<_>>().join(","));
    out.push_str("\r\n");
}

/// Text as a field of CSV (RFC 4180). What a spreadsheet would run as a formula begins with an apostrophe.
#[must_use]
pub fn csv_field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// One object.
#[must_use]
pub fn json(report: &Report) -> String {
    let mut out = Vec::new();
    let mut json = JsonWriter::new(&mut out);
    json.object().member_str("period", &report.query.period.to_string());
    json.member_u64("from_unix_nanos", report.query.period.from);
    json.member_u64("to_unix_nanos", report.query.period.to);
    json.name("by").array();
    for dimension in &report.query.by {
        json.str(&dimension.to_string());
    }
    json.end().name("attribution").object().name("share_percent");
    match report.attribution() {
        Some(share) => json.str(percent(share).trim_end_matches(" %")),
        None => json.null(),
    };
    total(&mut json, "owned", &report.owned);
    total(&mut json, "unowned", &report.unowned);
    json.end();
    total(&mut json, "total", &report.total);
    json.member_u64("rows_set_aside", report.aside).name("groups").array();
    for group in &report.groups {
        json.object();
        for (dimension, value) in report.query.by.iter().zip(&group.values) {
            json.member_str(&dimension.to_string(), value);
        }
        members(&mut json, &group.total);
        json.end();
    }
    json.end().end();
    out.push(b'\n');
    String::from_utf8(out).unwrap_or_default()
}

fn total(json: &mut JsonWriter<'_>, name: &str, total: &Total) {
    json.name(name).object();
    members(json, total);
    json.end();
}

fn members(json: &mut JsonWriter<'_>, total: &Total) {
    for (at, (name, number)) in NUMBERS.iter().zip(numbers(total)).enumerate() {
        if at < WHOLE {
            json.name(name).raw(number.as_bytes());
        } else {
            json.member_str(name, &number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_field_and_no_formula() {
        for (text, field) in [
            ("search", "search"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("=1+1", "'=1+1"),
            ("@a,b", "\"'@a,b\""),
            ("", ""),
        ] {
            assert_eq!(csv_field(text), field, "{text}");
        }
    }
}
