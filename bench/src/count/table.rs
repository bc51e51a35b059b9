//! Counts as Markdown.

use std::fmt::Write;

use faregate_bench::ops::{self, OURS};

use super::{Cost, saved::Saved};

/// What every operation costs, in the order of the list; a library beside ours, and how many times as much it takes.
pub(super) fn costs(saved: &Saved) -> String {
    let mut text = format!("commit {}, {}\n\n", saved.commit, saved.valgrind);
    text.push_str("| operation | by | instructions | × ours | allocations | bytes allocated |\n");
    text.push_str("| --- | --- | ---: | ---: | ---: | ---: |\n");
    for group in ops::GROUPS {
        for (name, operation) in group.named() {
            let Some(cost) = saved.operations.get(&name) else { continue };
            let (group, case, by) = (group.name, operation.case, operation.by);
            let ours = saved.operations.get(&format!("{group}/{case}/{OURS}"));
            let times = match ours {
                Some(ours) if by != OURS => format!("{:.2}", cost.instructions / ours.instructions),
                _ => String::new(),
            };
            let Cost { instructions, allocations, allocated_bytes } = cost;
            _ = writeln!(
                text,
                "| {group}: {case} | {by} | {} | {times} | {} | {} |",
                whole(*instructions),
                short(*allocations),
                whole(*allocated_bytes)
            );
        }
    }
    text
}

/// What has changed between two commits.
pub(super) struct Comparison {
    /// As Markdown: every operation whose count differs.
    pub(super) text: String,
    /// Operations that cost more than they may.
    pub(super) dearer: usize,
}

impl Comparison {
    /// Compares; an operation of ours may take `tolerance` times the instructions it took before, and no more allocations.
    /// A library's costs are shown and never too high.
    pub(super) fn of(before: &Saved, after: &Saved, tolerance: f64) -> Self {
        let mut text = format!("{} against {}\n\n", after.commit, before.commit);
        if before.valgrind != after.valgrind {
            _ = writeln!(
                text,
                "not the same valgrind: {} and {}\n",
                before.valgrind, after.valgrind
            );
        }
        text.push_str("| operation | before | after | ratio | allocations before | after | |\n");
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
        let mut dearer = 0;
        for (name, new) in &after.operations {
            let Some(old) = before.operations.get(name) else {
                _ = writeln!(
                    text,
                    "| {name} | | {} | | | {} | new |",
                    whole(new.instructions),
                    short(new.allocations)
                );
                continue;
            };
            let ratio = new.instructions / old.instructions;
            let is_dearer = ratio > tolerance || new.allocations > old.allocations;
            let is_failure = is_dearer && name.ends_with(OURS);
            dearer += usize::from(is_failure);
            let verdict = if is_failure { "**dearer**" } else { "" };
            _ = writeln!(
                text,
                "| {name} | {} | {} | {ratio:.3} | {} | {} | {verdict} |",
                whole(old.instructions),
                whole(new.instructions),
                short(old.allocations),
                short(new.allocations)
            );
        }
        let gone = before.operations.keys().filter(|name| !after.operations.contains_key(*name));
        let gone = gone.count();
        if gone > 0 {
            _ = writeln!(text, "\n{gone} that were counted before were not counted now");
        }
        _ = writeln!(text, "\n{dearer} of ours dearer than {tolerance} times what it was");
        Self { text, dearer }
    }
}

/// A number without fraction, in groups of three digits.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number with at most two digits behind the point.
fn short(number: f64) -> String {
    format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(name: &str, instructions: f64, allocations: f64) -> Saved {
        let cost = Cost { instructions, allocations, allocated_bytes: 0.0 };
        Saved {
            commit: "c".to_owned(),
            valgrind: "v".to_owned(),
            operations: [(name.to_owned(), cost)].into(),
        }
    }

    /// How many are dearer.
    fn check(name: &str, before: (f64, f64), after: (f64, f64), expected: usize) {
        let before = saved(name, before.0, before.1);
        let after = saved(name, after.0, after.1);
        assert_eq!(Comparison::of(&before, &after, 1.05).dearer, expected, "{after:?}");
    }

    #[test]
    fn more_instructions_than_tolerated_are_a_failure() {
        check("g/c/faregate", (100.0, 0.0), (105.0, 0.0), 0);
        check("g/c/faregate", (100.0, 0.0), (106.0, 0.0), 1);
        check("g/c/faregate", (100.0, 0.0), (50.0, 0.0), 0);
    }

    #[test]
    fn an_allocation_more_is_a_failure() {
        check("g/c/faregate", (100.0, 1.0), (100.0, 2.0), 1);
        check("g/c/faregate", (100.0, 2.0), (100.0, 1.0), 0);
    }

    #[test]
    fn what_a_library_costs_is_not_ours_to_answer_for() {
        check("g/c/serde_json", (100.0, 1.0), (200.0, 2.0), 0);
    }

    #[test]
    fn an_operation_that_is_new_is_shown() {
        let after = saved("g/new/faregate", 1.0, 0.0);
        let comparison = Comparison::of(&saved("g/old/faregate", 1.0, 0.0), &after, 1.05);
        assert!(
            comparison.text.contains("| g/new/faregate | | 1 | | | 0 | new |"),
            "{}",
            comparison.text
        );
    }

    #[test]
    fn long_numbers_are_readable() {
        assert_eq!(whole(1_234_567.4), "1 234 567");
        assert_eq!(whole(12.0), "12");
        assert_eq!(short(2.50), "2.5");
        assert_eq!(short(10.0), "10");
    }
}
