//! The comparison as Markdown.
//!
//! In: all measurements. Out: a table with a row per figure and a column per rival, and what a reader
//! must know to believe it.

use super::figure::{Cell, FIGURES, Figure, Measure};

/// Processors that something else may use before a measurement counts as disturbed.
pub(crate) const FOREIGN_MAX: f64 = 0.1;

/// Share of a processor beyond which generator and provider were the limit.
const GENERATOR_MAX: f64 = 0.95;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Columns, direct calls first.
    pub(crate) columns: Vec<String>,
    pub(crate) base: String,
    pub(crate) rounds: usize,
    /// Lines above the table.
    pub(crate) facts: Vec<String>,
    pub(crate) measures: Vec<Measure>,
}

impl Comparison {
    /// The cell of a figure and a column.
    pub(crate) fn cell(&self, figure: &Figure, column: &str) -> Option<Cell> {
        figure.cell(&self.measures, column, &self.base)
    }

    /// The whole report.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("# Comparison\n\n");
        for fact in &self.facts {
            text += &format!("- {fact}\n");
        }
        let (rounds, base) = (self.rounds, &self.base);
        text += &format!(
            "\nMedian of {rounds} alternating rounds (least to most), and the median of the rounds' \
             ratios to {base}.\n\n| figure |"
        );
        for column in &self.columns {
            text += &format!(" {column} |");
        }
        text += "\n|---|";
        text += &"---|".repeat(self.columns.len());
        text.push('\n');
        for figure in FIGURES {
            text += &self.row(figure);
        }
        for warning in self.warnings() {
            text += &format!("\n- {warning}");
        }
        text.push('\n');
        text
    }

    fn row(&self, figure: &Figure) -> String {
        let cells: Vec<_> = self.columns.iter().map(|column| self.cell(figure, column)).collect();
        if cells.iter().all(Option::is_none) {
            return String::new();
        }
        let digits = figure.digits;
        let show = |cell: Option<Cell>| {
            let Some(Cell { median, least, most, ratio }) = cell else { return "–".to_owned() };
            let ratio = ratio.map(|ratio| format!(", **{ratio:.2}x**")).unwrap_or_default();
            format!("{median:.digits$} ({least:.digits$}–{most:.digits$}){ratio}")
        };
        let cells: Vec<String> = cells.into_iter().map(show).collect();
        format!("| {} | {} |\n", figure.title, cells.join(" | "))
    }

    /// What a reader must know to believe the table.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for measure in &self.measures {
            for (kind, count) in &measure.report.errors {
                warnings.push(format!("**FAILED** {}: {count} x {kind}", place(measure)));
            }
            let report = &measure.report;
            if report.generator_cpu > GENERATOR_MAX && report.scenario != "plain" {
                warnings.push(format!("{}: the load generator was the limit", place(measure)));
            }
        }
        let noisy = self.measures.iter().filter(|measure| measure.foreign_cpus > FOREIGN_MAX);
        let worst =
            |one: &&Measure, other: &&Measure| one.foreign_cpus.total_cmp(&other.foreign_cpus);
        if let Some(worst) = noisy.clone().max_by(worst) {
            warnings.push(format!(
                "**NOISE** something else used more than {FOREIGN_MAX} processors during {} of {} \
                 measurements, at worst {:.2} ({}): these figures are not worth quoting",
                noisy.count(),
                self.measures.len(),
                worst.foreign_cpus,
                place(worst),
            ));
        }
        warnings
    }

    /// Whether every request was answered as it should be.
    pub(crate) fn is_clean(&self) -> bool {
        self.measures.iter().all(|measure| measure.report.failed() == 0)
    }
}

/// Which measurement it was, for a warning.
fn place(measure: &Measure) -> String {
    format!("{}, {}, round {}", measure.rival, measure.report.scenario, measure.round + 1)
}
