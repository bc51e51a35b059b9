//! The page on routing: what conditions may name, and what difficulty is made of, are the code's.

use std::fmt::Write;

use faregate_policy::{
    route::{BIAS, FEATURES},
    rule::{DEPTH_MAX, FIELDS, LIST_MAX, RULE_BYTES_MAX, TEXT_BYTES_MAX},
};

use super::{
    documents::{bar, same},
    read,
};

const PAGE: &str = "docs/routing.md";

#[test]
fn the_tables_of_routing_are_the_codes() {
    let mut fields = "| name | type | what it is |\n| --- | --- | --- |\n".to_owned();
    for field in FIELDS {
        writeln!(fields, "| `{}` | {} | {} |", field.name, field.kind, bar(field.help)).unwrap();
    }
    let bounds = format!(
        "A condition has at most {RULE_BYTES_MAX} bytes, {DEPTH_MAX} levels of brackets and `not`, and {LIST_MAX} values in \
         a list. Of a text the first {TEXT_BYTES_MAX} bytes are looked at.\n"
    );
    let mut weights =
        format!("| feature | weight |\n| --- | --- |\n| bias, always there | {BIAS} |\n");
    for feature in FEATURES {
        writeln!(weights, "| `{}` | {} |", feature.name, feature.weight).unwrap();
    }
    let page = read(PAGE);
    let page = put(&page, "fields", &fields);
    let page = put(&page, "bounds", &bounds);
    same(PAGE, &put(&page, "weights", &weights));
}

/// The page with `text` between the two comments of this name.
fn put(page: &str, name: &str, text: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let (before, rest) = page.split_once(&start).unwrap_or_else(|| panic!("{PAGE} has no {start}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{PAGE} has no {end}"));
    format!("{before}{start}{text}{end}{after}")
}
