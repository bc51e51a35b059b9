//! A report as a table for a terminal, with a bar for each line.

use super::{
    Report, Total,
    money::{count, exact, rounded},
    percent, share,
};

/// Columns of a bar.
const BAR: usize = 24;

/// Columns that a name may have; longer ones are cut.
const NAME: usize = 36;

/// How a report is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Lines of groups; those behind are put together.
    pub top: usize,
    /// Every digit of amounts.
    pub exact: bool,
}

/// The report: what was spent, who answers for it, then a line for each group.
#[must_use]
pub fn terminal(report: &Report, shown: Shown) -> String {
    let mut out = head(report, shown);
    if report.query.by.is_empty() || report.groups.is_empty() {
        return out;
    }
    let mut lines = vec![titles(report)];
    let (kept, rest) = report.groups.split_at(shown.top.min(report.groups.len()));
    let dearest = kept.iter().map(|group| group.total.cost).max().unwrap_or(0);
    for group in kept {
        let names = group.values.iter().map(|value| name(value)).collect();
        lines.push(group_line(names, &group.total, report, shown, dearest));
    }
    if !rest.is_empty() {
        let mut total = Total::default();
        rest.iter().for_each(|group| total.join(group.total));
        let mut names = vec![String::new(); report.query.by.len()];
        names[0] = format!("{} more", count(i128::try_from(rest.len()).unwrap_or(0)));
        lines.push(group_line(names, &total, report, shown, 0));
    }
    let mut names = vec![String::new(); report.query.by.len()];
    names[0] = "total".into();
    lines.push(group_line(names, &report.total, report, shown, 0));
    out.push('\n');
    out.push_str(&aligned(&lines, report.query.by.len()));
    out
}

fn head(report: &Report, shown: Shown) -> String {
    let money = |nanos| amount(nanos, shown);
    let mut out = format!("spend, {}", report.query.period);
    for (dimension, value) in &report.query.only {
        out.push_str(&format!(", {dimension} {}", name(value)));
    }
    let Some(owned) = report.attribution() else {
        out.push_str(&format!(
            "\n{} in {} requests\n",
            money(report.total.cost),
            count(report.total.requests)
        ));
        return out + &aside(report);
    };
    let line = |label: &str, share: u64, total: &Total| {
        vec![
            label.into(),
            percent(share),
            money(total.cost),
            format!("{} requests", count(total.requests)),
        ]
    };
    let lines = [
        line("has an owner", owned, &report.owned),
        line("no owner", 10_000 - owned.min(10_000), &report.unowned),
        line("total", 10_000, &report.total),
    ];
    out.push('\n');
    out.push_str(&aligned(&lines, 1));
    out + &aside(report)
}

fn aside(report: &Report) -> String {
    if report.aside == 0 {
        return String::new();
    }
    format!(
        "note: {} rows are in no sum, because no request can cost what they say (table `aside` of the ledger)\n",
        report.aside
    )
}

fn titles(report: &Report) -> Vec<String> {
    let names = report.query.by.iter().map(ToString::to_string);
    let numbers = ["requests", "input", "cached", "output", "cost"];
    let saved: &[&str] = if has_saved(report) { &["caches saved", "routing saved"] } else { &[] };
    let numbers = numbers.iter().chain(saved).chain(&["share", ""]);
    names.chain(numbers.map(ToString::to_string)).collect()
}

/// Whether there is anything that caches or routes have saved.
fn has_saved(report: &Report) -> bool {
    report.total.saved_by_cache != 0 || report.total.saved_by_routing != 0
}

fn group_line(
    mut names: Vec<String>,
    total: &Total,
    report: &Report,
    shown: Shown,
    dearest: i128,
) -> Vec<String> {
    names.extend([
        count(total.requests),
        count(total.all_input()),
        count(total.cache_read),
        count(total.all_output()),
        amount(total.cost, shown),
    ]);
    if has_saved(report) {
        names.extend([amount(total.saved_by_cache, shown), amount(total.saved_by_routing, shown)]);
    }
    names.extend([
        share(total.cost, report.total.cost).map_or_else(String::new, percent),
        bar(total.cost, dearest, BAR),
    ]);
    names
}

fn amount(nanos: i128, shown: Shown) -> String {
    if shown.exact { exact(nanos) } else { rounded(nanos) }
}

/// A bar of at most `width` columns that is full at `of`, in eighths of a column.
#[must_use]
pub fn bar(value: i128, of: i128, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if value <= 0 || of <= 0 {
        return String::new();
    }
    let whole = i128::try_from(width * 8).unwrap_or(0);
    let eighths = value.min(of).saturating_mul(whole) / of;
    let eighths = usize::try_from(eighths).unwrap_or(0).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// A name without what a terminal would obey, cut where it is long.
fn name(text: &str) -> String {
    if text.is_empty() {
        return "(none)".into();
    }
    let plain: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if plain.chars().count() <= NAME {
        return plain;
    }
    plain.chars().take(NAME - 1).chain(['…']).collect()
}

/// Lines of cells as a table: those of the first `texts` columns to the left, and the last one, the others to the right.
/// What a terminal would obey is taken out.
#[must_use]
pub fn cells(lines: &[Vec<String>], texts: usize) -> String {
    let plain =
        |cell: &String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(plain).collect()).collect();
    aligned(&lines, texts)
}

/// Lines of cells under each other: the first `texts` to the left, the last one too, those between to the right.
fn aligned(lines: &[Vec<String>], texts: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (at, cell) in line.iter().enumerate() {
            let blank = " ".repeat(widths[at] - cell.chars().count());
            if at > 0 {
                text.push_str("  ");
            }
            if at < texts || (at + 1 == columns && texts > 0 && columns > 4) {
                text.push_str(cell);
                text.push_str(&blank);
            } else {
                text.push_str(&blank);
                text.push_str(cell);
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(8, 8, 3), "███");
        assert_eq!(bar(4, 8, 3), "█▌");
        assert_eq!(bar(1, 1_000_000, 3), "▏");
        assert_eq!(bar(0, 8, 3), "");
        assert_eq!(bar(-1, 8, 3), "");
        assert_eq!(bar(9, 8, 3), "███");
        assert!(!bar(i128::MAX, i128::MAX, 3).is_empty());
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(name("a\u{1b}[31mb\nc"), "a?[31mb?c");
        assert_eq!(name(""), "(none)");
        assert_eq!(name(&"x".repeat(100)).chars().count(), NAME);
    }
}
