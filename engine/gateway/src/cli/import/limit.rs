//! Limits: written where the policy takes them, and as a comment where this version does not.

use super::{
    Import,
    draft::{Scope, is_limit},
    report::Fate,
    source::whole,
    tree::Node,
};

/// A limit of money.
#[derive(Debug)]
pub(super) struct Money<'n> {
    pub(super) amount: &'n Node,
    pub(super) period: Option<&'n Node>,
    pub(super) currency: char,
}

impl Import<'_> {
    /// Adds the first of these spellings that the policy takes, and the first one as a comment when it takes none.
    pub(super) fn limit(&mut self, node: &Node, spellings: &[String], scope: &mut Scope) {
        let Some(first) = spellings.first() else { return };
        match spellings.iter().find(|text| is_limit(text)) {
            Some(text) if scope.limits.contains(text) => {}
            Some(text) => {
                scope.limits.push(text.clone());
                if text != first {
                    let said = format!("written as {text}, which is the nearest that a policy has");
                    self.report.note(node, Fate::Differs, said);
                }
            }
            None => {
                scope.lines.push(format!("# limits: \"{first}\" (not in this version)"));
                let said = format!(
                    "this version has no limit \"{first}\"; it is in the policy as a comment"
                );
                self.report.note(node, Fate::Lost, said);
            }
        }
    }

    /// Adds a limit of money.
    pub(super) fn money(&mut self, money: &Money<'_>, scope: &mut Scope) {
        let Some(amount) = money.amount.number() else {
            self.report.note(money.amount, Fate::Lost, "this is no amount of money");
            return;
        };
        let shown = format!("{}{amount}", money.currency);
        let spellings: Vec<String> = match money.period {
            None => ["total", "ever"].iter().map(|word| format!("{shown} {word}")).collect(),
            Some(period) => {
                let words = period.text().map(periods).unwrap_or_default();
                if words.is_empty() {
                    self.report.note(period, Fate::Lost, "this is no period");
                    return;
                }
                words.iter().map(|word| format!("{shown}/{word}")).collect()
            }
        };
        self.limit(money.amount, &spellings, scope);
    }

    /// Adds a limit of a count in a period.
    pub(super) fn count(
        &mut self,
        amount: &Node,
        what: &str,
        period: Option<&Node>,
        scope: &mut Scope,
    ) {
        let words = period.map_or(vec!["min".to_owned()], |period| {
            period.text().map(periods).unwrap_or_default()
        });
        match amount.number().map(whole).filter(|_| !words.is_empty()) {
            Some(count) => {
                let spellings: Vec<String> =
                    words.iter().map(|word| format!("{count} {what}/{word}")).collect();
                self.limit(amount, &spellings, scope);
            }
            None => self.report.note(amount, Fate::Lost, "this is no count in a period"),
        }
    }
}

/// The spellings of a period such as `1h`, `30d` or `1M`, the exact ones first.
fn periods(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(end);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().unwrap_or(0) };
    let word = match unit {
        "s" => "s",
        "m" => "min",
        "h" => "h",
        "d" => "day",
        "w" => "week",
        "M" | "mo" => "month",
        "Q" => "quarter",
        "y" | "Y" => "year",
        _ => return Vec::new(),
    };
    let near = match (count, unit) {
        (0, _) => return Vec::new(),
        (1, _) => return vec![word.to_owned()],
        (24, "h") => "day",
        (7, "d") => "week",
        (28..=31, "d") => "month",
        (90..=92, "d") | (3, "M" | "mo") => "quarter",
        (365 | 366, "d") | (12, "M" | "mo") => "year",
        _ => "",
    };
    let exact = match unit {
        "M" | "mo" => format!("{count}mo"),
        _ => format!("{count}{}", unit.to_ascii_lowercase()),
    };
    let mut all = vec![exact];
    if !near.is_empty() {
        all.push(near.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_spelled_as_the_policy_does() {
        for (text, expected) in [
            ("1h", vec!["h"]),
            ("30d", vec!["30d", "month"]),
            ("24h", vec!["24h", "day"]),
            ("1M", vec!["month"]),
            ("1m", vec!["min"]),
            ("5m", vec!["5m"]),
            ("1mo", vec!["month"]),
            ("3M", vec!["3mo", "quarter"]),
            ("0d", vec![]),
            ("soon", vec![]),
        ] {
            assert_eq!(periods(text), expected, "{text}");
        }
    }
}
