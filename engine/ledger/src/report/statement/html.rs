//! A statement as one file that a browser shows and prints: no script, no font, no picture from elsewhere.
//!
//! Names come from clients and are escaped. Amounts have all nine digits, those behind the cent in grey.

use std::fmt::Write;

use super::{Purpose, SIDES, Statement};
use crate::report::{
    Group, Report, Total,
    money::{count, decimal},
    percent, share,
};

/// Lines of a table; those behind are put together.
const LINES_MAX: usize = 40;

/// The document.
#[must_use]
pub fn html(statement: &Statement) -> String {
    let mut out = String::with_capacity(32 * 1024);
    let (dimension, name) = &statement.of;
    let title = format!("{} {}, {}", dimension, name, statement.period);
    put(&mut out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    put(&mut out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    put(
        &mut out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    );
    let _ = write!(out, "<title>{}</title><style>{STYLE}</style></head><body>", escaped(&title));
    write_head(&mut out, statement);
    write_figures(&mut out, statement);
    write_days(&mut out, &statement.days);
    for ((title, by), report) in SIDES.iter().zip(&statement.sides) {
        let names = by.iter().map(ToString::to_string).collect::<Vec<_>>();
        write_table(&mut out, title, &names, report);
    }
    write_foot(&mut out, statement);
    put(&mut out, "</body></html>\n");
    out
}

fn write_head(out: &mut String, statement: &Statement) {
    let (kind, note) = match statement.purpose {
        Purpose::Showback => ("Showback", "For information: nothing is charged by this statement."),
        Purpose::Chargeback => ("Chargeback", "The total is charged."),
        Purpose::ForcedChargeback => (
            "Chargeback, forced",
            "Made although too little of the cost of the period has an owner.",
        ),
    };
    let (dimension, name) = &statement.of;
    let _ = write!(
        out,
        "<header><p class=\"kind\">{kind}</p><h1>{} <b>{}</b></h1><p>{}. {note}</p></header>",
        escaped(&capital(&dimension.to_string())),
        escaped(if name.is_empty() { "(none)" } else { name }),
        escaped(&statement.period.to_string()),
    );
}

fn write_figures(out: &mut String, statement: &Statement) {
    let total = &statement.detail.total;
    let mut figures = vec![
        ("Total", money(total.cost)),
        ("Requests", count(total.requests)),
        ("Tokens in", count(total.all_input())),
        ("Tokens out", count(total.all_output())),
        ("Saved by prompt caches", money(total.saved_by_cache)),
        ("Saved by routing", money(total.saved_by_routing)),
        ("Spent on answers nobody got", money(total.wasted)),
    ];
    if let Some(share) = statement.attribution {
        figures.push(("Of all cost in the period, has an owner", percent(share)));
    }
    put(out, "<dl>");
    for (label, value) in figures {
        let _ = write!(out, "<div><dt>{label}</dt><dd>{value}</dd></div>");
    }
    put(out, "</dl>");
}

/// Days as columns of a chart.
fn write_days(out: &mut String, days: &[Group]) {
    const HEIGHT: i128 = 120;
    const STEP: usize = 22;
    let dearest = days.iter().map(|day| day.total.cost).max().unwrap_or(0);
    if dearest <= 0 || days.len() > 366 {
        return;
    }
    let width = days.len().max(1) * STEP;
    let _ = write!(
        out,
        "<section><h2>Days</h2><svg viewBox=\"0 0 {width} 150\" role=\"img\" aria-label=\"Cost of each day\">"
    );
    for (at, day) in days.iter().enumerate() {
        let height = day.total.cost.max(0).saturating_mul(HEIGHT) / dearest;
        let date = day.values.first().map_or("", String::as_str);
        let _ = write!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\" rx=\"2\" fill=\"#2f6f6a\"><title>{}: ${}</title></rect>",
            at * STEP + 2,
            HEIGHT - height,
            STEP - 4,
            escaped(date),
            decimal(day.total.cost)
        );
        // The day of the month, under each column, or each fifth where there are many.
        if days.len() <= 31 || at.is_multiple_of(5) {
            let _ = write!(
                out,
                "<text x=\"{}\" y=\"140\" font-size=\"9\" fill=\"#667085\" text-anchor=\"middle\">{}</text>",
                at * STEP + STEP / 2,
                escaped(date.get(8..10).unwrap_or(date))
            );
        }
    }
    put(out, "</svg></section>");
}

fn write_table(out: &mut String, title: &str, names: &[String], report: &Report) {
    let _ = write!(out, "<section><h2>{title}</h2><table><thead><tr>");
    for name in names {
        let _ = write!(out, "<th>{}</th>", escaped(&capital(&name.replace('_', " "))));
    }
    put(
        out,
        "<th class=\"n\">Requests</th><th class=\"n\">Tokens in</th><th class=\"n\">Tokens out</th>\
         <th class=\"n\">Share</th><th class=\"n\">Cost</th></tr></thead><tbody>",
    );
    let (kept, rest) = report.groups.split_at(LINES_MAX.min(report.groups.len()));
    for group in kept {
        let values =
            group.values.iter().map(|value| if value.is_empty() { "(none)" } else { value });
        write_line(out, values, names.len(), &group.total, &report.total);
    }
    if !rest.is_empty() {
        let mut total = Total::default();
        rest.iter().for_each(|group| total.join(group.total));
        let label = format!("{} more", rest.len());
        write_line(out, [label.as_str()].into_iter(), names.len(), &total, &report.total);
    }
    put(out, "</tbody><tfoot>");
    write_line(out, ["Total"].into_iter(), names.len(), &report.total, &report.total);
    put(out, "</tfoot></table></section>");
}

fn write_line<'a>(
    out: &mut String,
    values: impl Iterator<Item = &'a str>,
    columns: usize,
    total: &Total,
    whole: &Total,
) {
    put(out, "<tr>");
    let mut written = 0;
    for value in values {
        let _ = write!(out, "<td>{}</td>", escaped(value));
        written += 1;
    }
    put(out, &"<td></td>".repeat(columns - columns.min(written)));
    let _ = write!(
        out,
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        count(total.requests),
        count(total.all_input()),
        count(total.all_output()),
        share(total.cost, whole.cost).map_or_else(String::new, percent),
        money(total.cost)
    );
}

fn write_foot(out: &mut String, statement: &Statement) {
    put(out, "<footer>");
    match &statement.closed {
        Some(closed) => {
            let _ = write!(
                out,
                "<p>The month is closed: {} rows, ${} in all, SHA-256 <code>{}</code>. It is verified by \
                 <code>faregate close --month {} --verify</code>.</p>",
                closed.entries,
                decimal(closed.cost.into()),
                escaped(&closed.entries_sha256),
                closed.month
            );
        }
        None => put(out, "<p>The period is not closed: figures may still change.</p>"),
    }
    if statement.detail.aside > 0 {
        let _ = write!(
            out,
            "<p>{} rows of the ledger are in no sum, because no request can cost what they say.</p>",
            statement.detail.aside
        );
    }
    put(
        out,
        "<p>Amounts are US dollars, exact to the nano-dollar; each table adds up to the total. Tokens in include those read \
         from and written to prompt caches. Made by Faregate.</p></footer>",
    );
}

/// Dollars with nine digits, those behind the cent in grey.
fn money(nanos: i128) -> String {
    let text = decimal(nanos);
    let (sign, size) = text.strip_prefix('-').map_or(("", text.as_str()), |size| ("−", size));
    let (cents, rest) = size.split_at(size.len() - 7);
    format!("{sign}${cents}<i>{rest}</i>")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn put(out: &mut String, text: &str) {
    out.push_str(text);
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of text around could make one name look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "\
:root{--ink:#1b1f24;--soft:#667085;--line:#e4e7ec;--tint:#2f6f6a}\
*{box-sizing:border-box}\
body{font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:var(--ink);max-width:62rem;margin:2.5rem auto;padding:0 1.5rem;background:#fff}\
header{border-bottom:3px solid var(--tint);padding-bottom:1rem}\
h1{font-size:2rem;font-weight:400;margin:.2rem 0}\
h2{font-size:1.05rem;margin:2rem 0 .5rem}\
.kind{color:var(--tint);font-weight:600;letter-spacing:.06em;text-transform:uppercase;margin:0}\
header p{margin:0;color:var(--soft)}\
dl{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}\
dl div{flex:1 1 13rem;border:1px solid var(--line);border-radius:8px;padding:.6rem .9rem}\
dt{color:var(--soft);font-size:.85rem}\
dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}\
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}\
th{color:var(--soft);font-weight:600;font-size:.85rem}\
.n{text-align:right;white-space:nowrap;overflow-wrap:normal}\
tfoot td{font-weight:600;border-bottom:0;border-top:2px solid var(--ink)}\
i{font-style:normal;color:#98a2b3;font-size:.85em}\
svg{width:100%;max-height:190px}\
footer{margin-top:2.5rem;border-top:1px solid var(--line);color:var(--soft);font-size:.85rem}\
code{font-size:.85em;overflow-wrap:anywhere}\
@page{size:A4;margin:16mm}\
@media print{tfoot{display:table-row-group}html{font-size:11px}body{margin:0;padding:0;max-width:none;font-size:10.5px}thead{display:table-header-group}tr,svg,dl div{break-inside:avoid}\
h2{break-after:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_nothing_else() {
        assert_eq!(
            escaped("<script>alert(\"1\" & '2')</script>\u{202e}\n"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn amounts_show_cents_and_then_the_rest() {
        assert_eq!(money(12_345_678_901), "$12.34<i>5678901</i>");
        assert_eq!(money(-1), "−$0.00<i>0000001</i>");
    }
}
