//! How files look.

use super::{files, none, read, rust_files};

/// Lines of a file; beyond, it is two files.
const LINES_MAX: usize = 700;

#[test]
fn every_file_says_what_it_is_before_anything_else() {
    let silent = |(path, text): (String, String)| (!text.starts_with("//!")).then_some(path);
    none(
        rust_files("").into_iter().filter_map(silent).collect(),
        "files that do not open with //!",
    );
}

#[test]
fn no_file_is_too_long_to_read_in_one_sitting() {
    let long = rust_files("").into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{path}: {lines} lines"))
    });
    none(long.collect(), &format!("files of more than {LINES_MAX} lines"));
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not name them.
    let places = ["work", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let mut found = Vec::new();
    for (path, text) in files() {
        let lines = text
            .lines()
            .zip(1..)
            .filter(|(line, _)| places.iter().any(|place| line.contains(place.as_str())));
        found.extend(lines.map(|(line, n)| format!("{path}:{n}: {}", line.trim())));
    }
    none(found, "paths of a machine");
}

#[test]
fn no_test_is_ignored_or_left_to_panic() {
    let marks = ["ignore", "should_panic"].map(|name| format!("#[{name}"));
    let mut found = Vec::new();
    for (path, text) in rust_files("") {
        if marks.iter().any(|mark| text.contains(mark)) {
            found.push(path);
        }
    }
    none(found, "tests that are not run, or pass by failing");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let all = files();
    let mut dead = Vec::new();
    for (path, text) in all.iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in links(text) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let wanted = resolve(folder, target);
            let there =
                all.keys().any(|file| *file == wanted || file.starts_with(&format!("{wanted}/")));
            if !there {
                dead.push(format!("{path}: {target}"));
            }
        }
    }
    none(dead, "links that lead nowhere");
}

#[test]
fn every_decision_is_in_their_index() {
    let index = read("decisions/README.md");
    let missing = files().into_keys().filter(|path| {
        let page = path.strip_prefix("decisions/").filter(|page| *page != "README.md");
        page.is_some_and(|page| !index.contains(&format!("({page})")))
    });
    none(missing.collect(), "decisions that decisions/README.md does not list");
}

/// What stands between `](` and `)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
