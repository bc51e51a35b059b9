//! What each recording becomes in the other dialects.

use std::{collections::BTreeMap, fs, path::PathBuf};

use faregate_adapters::{check::stream::Ends, dialect::Form};

use super::{
    fixture::{Case, DEMANDED, cases, cases_of, folder},
    layout, relay,
};

#[test]
fn every_dialect_has_the_demanded_recordings() {
    for form in Form::ALL {
        let cases = cases_of(form);
        for name in DEMANDED {
            let case = cases.iter().find(|case| case.name == name);
            let case = case.unwrap_or_else(|| panic!("{} lacks {name}", folder(form)));
            let label = case.label();
            assert!(case.request().is_some(), "{label} lacks request.json");
            assert!(case.answer().is_some(), "{label} lacks answer.json");
            assert!(case.stream().is_some(), "{label} lacks its stream");
        }
    }
}

#[test]
fn recordings_become_what_was_read_and_found_right() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let expected = crossed(&case);
        if is_update {
            rewrite(&case, &expected);
        }
        let known = committed(&case);
        for path in expected.keys().chain(known.keys()) {
            let (expected, known) = (expected.get(path), known.get(path));
            if expected != known && !wrong.contains(path) {
                wrong.push(path.clone());
            }
        }
    }
    assert!(wrong.is_empty(), "UPDATE=1 rewrites, then read the diff: {wrong:#?}");
}

/// The files of a case, by their paths.
fn crossed(case: &Case) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for other in Form::ALL.into_iter().filter(|other| *other != case.form) {
        let mut file = |kind: &str, text: String| {
            files.insert(case.path.join("to").join(format!("{}.{kind}", folder(other))), text);
        };
        if let Some(body) = case.request() {
            file("request.json", request(case.form, &body, other));
        }
        if let Some(body) = case.answer() {
            file("answer.json", layout::lines(&relay::answer(case.form, &body, other)));
        }
        if let Some(stream) = case.stream() {
            let relayed = Ends::plain(case.form, other).relay(&stream, &[], true);
            file("stream.txt", layout::stream(other, &relayed.out));
        }
    }
    files
}

/// A request, behind a line that names what was lost.
fn request(client: Form, body: &[u8], target: Form) -> String {
    match relay::request(client, body, target) {
        Ok((body, lost)) if lost.is_empty() => layout::lines(&body),
        Ok((body, lost)) => format!("// lost: {lost}\n{}", layout::lines(&body)),
        Err(invalid) => format!("// refused: {}: {}\n", invalid.param, invalid.message),
    }
}

fn committed(case: &Case) -> BTreeMap<PathBuf, String> {
    let Ok(files) = fs::read_dir(case.path.join("to")) else { return BTreeMap::new() };
    let paths = files.map(|file| file.unwrap().path());
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn rewrite(case: &Case, files: &BTreeMap<PathBuf, String>) {
    let _ = fs::remove_dir_all(case.path.join("to"));
    fs::create_dir_all(case.path.join("to")).unwrap();
    for (path, text) in files {
        fs::write(path, text).unwrap();
    }
}
