//! Documents that are made from the code, and those that must say what it says.

use std::fmt::Write;

use faregate_policy::{
    Phase, Policy,
    fault::{self, Fault},
    metric, reference,
};

use super::{none, read, root, rust_files};

/// The line that tells a reader who wrote a document.
pub(super) const MADE: &str =
    "<!-- Made from the code: UPDATE=1 cargo test -p faregate-tests --test tidy -->";

#[test]
fn the_table_of_faults_is_the_codes() {
    let mut text = format!(
        "# Faults\n\n{MADE}\n\n\
         Every way in which a request can fail, from `engine/policy/src/fault.rs`. The code is stable: it stands in \
         `error.code` of the answer, in `error_code` of the access log and in the label `code` of the metrics; the type \
         is OpenAI's, in `error.type`. *Tried again* means that another attempt may follow as long as the client has \
         received nothing.\n\n\
         | code | status | type | whose | tried again | what it means |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    for fault in fault::ALL {
        row(&mut text, *fault);
    }
    same("docs/faults.md", &text);
}

fn row(text: &mut String, fault: Fault) {
    writeln!(
        text,
        "| `{}` | {} | `{}` | {} | {} | {} |",
        fault.code(),
        fault.status(),
        fault.kind(),
        fault.whose().as_str(),
        if fault.is_retryable() { "yes" } else { "no" },
        fault.help().trim(),
    )
    .unwrap();
}

#[test]
fn the_table_of_metrics_is_the_codes() {
    let mut text = format!(
        "# Metrics\n\n{MADE}\n\n\
         What the admin listener gives at `/metrics`, from `engine/policy/src/metric.rs`, as Prometheus text. Values of \
         all labels are bounded: they come from the policy or from a table of the code, and past a number of \
         combinations the rest is counted under `other`.\n\n\
         | name | kind | unit | labels | what it says |\n| --- | --- | --- | --- | --- |\n"
    );
    for metric in metric::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let name = metric.name;
        let (kind, unit) = (metric.kind.as_str(), metric.unit);
        writeln!(text, "| `{name}` | {kind} | {unit} | {} | {} |", labels.join(", "), metric.help)
            .unwrap();
    }
    same("docs/metrics.md", &text);
}

#[test]
fn every_metric_that_the_gateway_names_is_in_the_table_and_the_other_way_round() {
    let code: String =
        rust_files("engine/gateway/src/").into_iter().map(|(_, text)| text).collect();
    let of_the_table = |name: &&str| metric::ALL.iter().any(|metric| metric.name == *name);
    let strays = quoted(&code).filter(|text| is_metric(text)).filter(|name| !of_the_table(name));
    none(
        strays.map(String::from).collect(),
        "metrics that engine/policy/src/metric.rs does not list",
    );
}

/// Whether a literal looks like the name of a metric of ours.
fn is_metric(text: &str) -> bool {
    let ours = text.starts_with("faregate_") || text.starts_with("gen_ai_server_");
    let units = ["_total", "_seconds", "_bytes", "_connections", "_in_flight", "_micros", "_info"];
    ours && units.iter().any(|unit| text.ends_with(unit))
}

#[test]
fn the_reference_of_the_policy_is_the_codes() {
    let mut text = format!(
        "# The policy file\n\n{MADE}\n\n\
         Every key, from `engine/policy/src/reference`. `faregate explain KEY` says the same; `policy.example.toml` has \
         them all in one file; `faregate check FILE` says what is wrong with yours. In the paths below `*` stands for a \
         name of your choice and `[]` for each table of a list. A key that is not listed is refused.\n"
    );
    for section in reference::SECTIONS {
        let title =
            if section.path.is_empty() { "The file".to_owned() } else { code(section.path) };
        writeln!(text, "\n## {title}\n\n{}.\n", capital(section.help)).unwrap();
        text.push_str("| key | takes | left out | as in | what it is for |\n| --- | --- | --- | --- | --- |\n");
        for key in section.keys {
            let takes = key.kind.takes();
            let cells = [key.name, key.default, key.example].map(code);
            let [name, default, example] = cells;
            writeln!(
                text,
                "| {name} | {} | {default} | {example} | {} |",
                bar(&takes),
                bar(key.help)
            )
            .unwrap();
        }
    }
    same("docs/policy.md", &text);
}

#[test]
fn the_example_policy_is_one_and_leaves_no_key_out() {
    let example = read("policy.example.toml");
    if let Err(problems) = Policy::compile(&example, "policy.example.toml", 2, None) {
        panic!("{problems}");
    }
    let missing = reference::rows().filter(|row| {
        let key = row.path.rsplit('.').next().unwrap_or_default();
        let starts = |line: &str| {
            let line = line.trim_start_matches(['#', ' ']);
            line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        !example.lines().any(starts) && !example.contains(&format!("{key} ="))
    });
    none(missing.map(|row| row.path).collect(), "keys that policy.example.toml does not show");
}

#[test]
fn the_policies_in_the_readme_are_right() {
    let readme = read("README.md");
    let policies = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut count = 0;
    for policy in policies {
        count += 1;
        if let Err(problems) = Policy::compile(policy, "README.md", 2, None) {
            panic!("{problems}");
        }
    }
    assert!(count > 0, "the README shows a policy");
}

#[test]
fn the_walk_in_the_documents_is_the_codes() {
    let names: Vec<_> = Phase::ALL.iter().map(|phase| phase.name().replace('_', " ")).collect();
    let walk = names.join(", ");
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = read(document).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&walk), "{document} does not have the walk: {walk}");
    }
}

#[test]
fn every_limit_of_the_wire_has_its_row_in_the_map() {
    let map = read("ARCHITECTURE.md");
    let consts = read("engine/wire/src/limits.rs");
    let names =
        consts.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let missing = names.filter(|name| !map.contains(&format!("`{name}`")));
    none(missing.map(String::from).collect(), "limits that ARCHITECTURE.md does not name");
}

/// Compares a document with what the code makes of it, or writes it with `UPDATE=1`.
pub(super) fn same(path: &str, made: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, made).unwrap();
        return;
    }
    let found = std::fs::read_to_string(file).unwrap_or_default();
    let line = found.lines().zip(made.lines()).position(|(found, made)| found != made);
    assert!(
        found == made,
        "{path} is not what the code says, from line {} on; UPDATE=1 writes it anew",
        line.map_or(found.lines().count().min(made.lines().count()) + 1, |line| line + 1)
    );
}

/// The string literals of a text, roughly.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(1).filter(|part| {
        !part.is_empty() && part.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
    })
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", bar(text)) }
}

/// Text that stands in a cell of a table.
pub(super) fn bar(text: &str) -> String {
    text.replace('|', "\\|")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
