//! The comparison as a picture: bars of ratios to the base, less is better.
//!
//! In: the comparison. Out: an SVG that needs no font, script or style from elsewhere and is legible
//! on light and dark pages.

use std::fmt::Write as _;

use super::figure::{Cell, FIGURES, Figure};
use super::table::Comparison;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 330.0;
const ROW: f64 = 20.0;
const GAP: f64 = 14.0;
const TOP: f64 = 64.0;

/// Bars longer than this many times the base are cut.
const RATIO_MAX: f64 = 3.0;

const COLOURS: [&str; 6] = ["#2f81f7", "#3fb950", "#d29922", "#a371f7", "#f85149", "#8b949e"];

/// The SVG.
pub(crate) fn svg(comparison: &Comparison) -> String {
    let figures: Vec<&Figure> =
        FIGURES.iter().filter(|figure| is_shown(figure, comparison)).collect();
    let columns: Vec<&String> =
        comparison.columns.iter().filter(|column| *column != super::figure::DIRECT).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows and columns")]
    let (rows, bars) = (figures.len() as f64, columns.len() as f64);
    let height = TOP + rows * (bars * ROW + GAP) + 10.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" fill=\"#1f2328\">Ratio to {}, one core each, same \
         load: shorter is better</text>\n",
        escape(&comparison.base)
    );
    legend(&mut out, &columns);
    let base = LABELS + scale(1.0);
    let _ = writeln!(
        out,
        "<line x1=\"{base}\" y1=\"{}\" x2=\"{base}\" y2=\"{height}\" stroke=\"#8b949e\" \
         stroke-dasharray=\"3 3\"/>",
        TOP - 8.0
    );
    let mut y = TOP;
    for figure in figures {
        let middle = y + bars * ROW / 2.0 + 4.0;
        text(&mut out, 12.0, middle, "#1f2328", figure.title);
        for (place, column) in columns.iter().enumerate() {
            if let Some(cell) = comparison.cell(figure, column) {
                bar(&mut out, y, COLOURS[place % COLOURS.len()], cell, figure.digits);
            }
            y += ROW;
        }
        y += GAP;
    }
    out += "</svg>\n";
    out
}

/// Figures of which less is better and that were measured.
fn is_shown(figure: &Figure, comparison: &Comparison) -> bool {
    let measured =
        |column: &String| comparison.cell(figure, column).is_some_and(|cell| cell.ratio.is_some());
    figure.key != "requests_per_second" && comparison.columns.iter().any(measured)
}

fn legend(out: &mut String, columns: &[&String]) {
    let mut x = 12.0;
    for (place, column) in columns.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"34\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        text(out, x + 17.0, 44.0, "#1f2328", column);
        x += 110.0;
    }
}

fn bar(out: &mut String, y: f64, colour: &str, cell: Cell, digits: usize) {
    let Some(ratio) = cell.ratio else { return };
    let width = scale(ratio.clamp(0.0, RATIO_MAX));
    let _ = writeln!(
        out,
        "<rect x=\"{LABELS}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
        y + 2.0,
        ROW - 4.0
    );
    let cut = if ratio > RATIO_MAX { ", cut" } else { "" };
    let label = format!("{ratio:.2}x ({:.digits$}{cut})", cell.median);
    text(out, LABELS + width + 6.0, y + 14.0, "#1f2328", &label);
}

/// Pixels of a ratio.
fn scale(ratio: f64) -> f64 {
    ratio * (WIDTH - LABELS - 120.0) / RATIO_MAX
}

fn text(out: &mut String, x: f64, y: f64, colour: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y:.1}\" fill=\"{colour}\">{text}</text>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
