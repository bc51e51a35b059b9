//! Who may know whom, and what a floor has never heard of.

use super::{none, read, rust_files};

/// A crate, its folder, and the crates of ours that it may name.
const FLOORS: [(&str, &str, &[&str]); 7] = [
    ("faregate-wire", "engine/wire", &[]),
    ("faregate-adapters", "adapters", &["faregate-wire"]),
    ("faregate-price", "engine/price", &["faregate-adapters", "faregate-wire"]),
    ("faregate-semantic", "engine/semantic", &[]),
    ("faregate-policy", "engine/policy", &["faregate-adapters", "faregate-price", "faregate-wire"]),
    ("faregate-ledger", "engine/ledger", &["faregate-adapters", "faregate-price", "faregate-wire"]),
    (
        "faregate",
        "engine/gateway",
        &[
            "faregate-adapters",
            "faregate-ledger",
            "faregate-loadtest",
            "faregate-policy",
            "faregate-price",
            "faregate-semantic",
            "faregate-wire",
        ],
    ),
];

/// Floors that decide: no unsafe code, no clock, no files, no sockets.
const PURE: [&str; 5] =
    ["engine/wire", "adapters", "engine/price", "engine/semantic", "engine/policy"];

/// Words that a floor has never heard of.
const UNHEARD: [(&str, &[&str]); 2] = [
    ("engine/wire", &["openai", "anthropic", "gemini", "bedrock", "reservation"]),
    ("adapters", &["breaker", "reservation"]),
];

#[test]
fn a_floor_names_only_floors_below_it() {
    let mut found = Vec::new();
    for (name, folder, below) in FLOORS {
        for other in dependencies(folder).into_iter().filter(|other| other.starts_with("faregate"))
        {
            // A crate's tests may name the crate itself, to have its checks.
            if other != name && !below.contains(&other.as_str()) {
                found.push(format!("{name} depends on {other}"));
            }
        }
        let above =
            FLOORS.iter().map(|(other, ..)| *other).filter(|o| *o != name && !below.contains(o));
        let above: Vec<String> =
            above.map(|other| format!("{}::", other.replace('-', "_"))).collect();
        for (path, text) in rust_files(&format!("{folder}/src/")) {
            let named = above.iter().filter(|other| names(&text, other));
            found.extend(named.map(|other| format!("{path} names {other}")));
        }
    }
    none(found, "floors that know what is above them");
}

#[test]
fn the_deciding_floors_forbid_unsafe_code() {
    let lax = PURE
        .into_iter()
        .filter(|floor| !read(&format!("{floor}/src/lib.rs")).contains("#![forbid(unsafe_code)]"));
    none(lax.map(String::from).collect(), "floors without #![forbid(unsafe_code)]");
}

#[test]
fn the_deciding_floors_ban_clocks_files_and_sockets() {
    let banned =
        ["std::time::Instant::now", "std::time::SystemTime::now", "std::fs", "std::net::TcpStream"];
    let mut found = Vec::new();
    for floor in PURE {
        let rules = read(&format!("{floor}/clippy.toml"));
        let missing = banned.iter().filter(|path| !rules.contains(*path));
        found.extend(missing.map(|path| format!("{floor}/clippy.toml: {path}")));
    }
    none(found, "bans that are missing");
}

#[test]
fn only_the_clock_reads_the_time() {
    let readings = ["Instant::now()", "SystemTime::now()"];
    let mut found = Vec::new();
    for (_, folder, _) in FLOORS {
        for (path, text) in rust_files(&format!("{folder}/src/")) {
            // The demonstration's clients stand outside, like those of the load generator.
            let outside = path.starts_with("engine/gateway/src/cli/demo/");
            let reads = readings.iter().any(|reading| text.contains(reading));
            if reads && !outside && path != "engine/gateway/src/clock.rs" {
                found.push(path);
            }
        }
    }
    none(found, "files that read a clock");
}

#[test]
fn the_runtime_and_unsafe_code_stay_behind_the_seam() {
    let marks = ["monoio::", "unsafe {", "expect(unsafe_code"];
    let mut found = Vec::new();
    for (path, text) in rust_files("engine/gateway/src/") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let leaks = code.filter(|line| marks.iter().any(|mark| line.contains(mark)));
        if !path.starts_with("engine/gateway/src/io/") {
            found.extend(leaks.map(|line| format!("{path}: {}", line.trim())));
        }
    }
    none(found, "what belongs to engine/gateway/src/io alone");
}

#[test]
fn a_floor_has_never_heard_of_what_is_not_its_business() {
    let mut found = Vec::new();
    for (floor, words) in UNHEARD {
        for (path, text) in rust_files(&format!("{floor}/src/")) {
            let text = without_tests(&path, &text).to_lowercase();
            let heard = words.iter().filter(|word| text.contains(*word));
            found.extend(heard.map(|word| format!("{path}: {word}")));
        }
    }
    none(found, "words of another floor");
}

#[test]
fn every_dependency_has_its_line_in_the_decisions() {
    let page = read("decisions/0010-dependencies.md");
    let mut found = Vec::new();
    for folder in
        FLOORS.map(|(_, folder, _)| folder).into_iter().chain(["loadtest", "bench", "tests"])
    {
        let ours = |name: &String| name.starts_with("faregate");
        for name in dependencies(folder).into_iter().filter(|name| !ours(name)) {
            if !page.contains(&name) {
                found.push(format!("{folder}: {name}"));
            }
        }
    }
    none(found, "dependencies without a line in decisions/0010-dependencies.md");
}

/// What is compiled into the binary of a file.
fn without_tests<'a>(path: &str, text: &'a str) -> &'a str {
    if path.ends_with("/tests.rs") || path.contains("/check/") {
        return "";
    }
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The crates that the manifest in `folder` names, in whichever table, under their own names.
fn dependencies(folder: &str) -> Vec<String> {
    let path = super::root().join(folder).join("Cargo.toml");
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let manifest: toml::Table = text.parse().unwrap();
    let mut found = Vec::new();
    collect(&manifest, &mut found);
    found
}

fn collect(table: &toml::Table, found: &mut Vec<String>) {
    for (key, value) in table {
        let Some(table) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            found.extend(table.keys().cloned());
        } else if key == "target" || key.starts_with("cfg(") {
            collect(table, found);
        }
    }
}

/// Whether `text` has `path` as a path of its own, and not as the end of a longer name.
fn names(text: &str, path: &str) -> bool {
    text.match_indices(path)
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
